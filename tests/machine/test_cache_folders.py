"""Where the cache of machine code lies: in nobody's way, also where nothing can be written."""

import os

import pytest
from kept_kernels import call_kernel, files


def no_home(package):
    """Variables of a user of this copy of the package that has no home, and temporary files beside the copy."""
    variables = {"HOME": "/dev/null", "KERAS_HOME": None, "XDG_CACHE_HOME": None}
    return {**variables, "TMPDIR": package, "PYTHONPATH": package}


def assert_one_warning(numbers, err):
    assert numbers == [1, 0, 1, 1]
    assert err.count("RuntimeWarning") == 1
    assert "Set NUMBA_CACHE_DIR to a folder that can be written, or NUMBACONV_CACHE=0" in err


@pytest.mark.situation("folders unwritable or disk full")
def test_a_cache_folder_that_cannot_be_written(tmp_path):
    """A folder that cannot be written costs time and one warning, nothing else."""
    (tmp_path / "file").touch()
    assert_one_warning(*call_kernel(tmp_path / "file" / "below"))


@pytest.mark.situation("folders unwritable or disk full")
@pytest.mark.slow
def test_a_package_that_cannot_be_written(package):
    """A read-only installation without a home works, and so does its reference."""
    for folder in ("kernels", "reference"):
        # Not even root can write below a file.
        (package / "numbaconv" / folder / "__pycache__").touch()
    (package / f"numba-{os.getuid()}").touch()
    variables = {**no_home(package), "PYTHONDONTWRITEBYTECODE": 1}
    reference = """
from numbaconv import reference
import numpy as np
def check():
    assert reference.crop(np.ones((1, 1, 1, 3, 1)), (0, 0, 1), (0, 0, 1)).shape == (1, 1, 1, 1, 1)
import atexit; atexit.register(check)
"""
    assert_one_warning(*call_kernel(None, reference, **variables))


@pytest.mark.slow
def test_kernels_are_kept_in_the_cache_folder_of_the_user(package, tmp_path):
    """Nothing lies beside the sources, where it would outlive an installation."""
    variables = {"HOME": tmp_path / "home", "XDG_CACHE_HOME": None, "PYTHONPATH": package}
    assert call_kernel(None, **variables)[0] == [1, 0, 1, 0]
    assert list((tmp_path / "home").rglob("*.nbc"))
    assert not list(package.rglob("*.nbc"))


@pytest.mark.situation("folders unwritable or disk full")
@pytest.mark.slow
def test_a_user_without_a_home_keeps_kernels_among_temporary_files(package):
    (package / "numbaconv" / "kernels" / "__pycache__").touch()
    variables = {**no_home(package), "PYTHONDONTWRITEBYTECODE": 1}
    assert call_kernel(None, **variables) == ([1, 0, 1, 0], "")
    assert call_kernel(None, **variables) == ([1, 1, 0, 0], "")
    folder = package / f"numba-{os.getuid()}"
    assert list(folder.rglob("*.nbc"))
    folder.chmod(0o770)
    assert_one_warning(*call_kernel(None, **variables))
    folder.chmod(0o700)
    folder.rename(package / "elsewhere")
    folder.symlink_to(package / "elsewhere")
    assert_one_warning(*call_kernel(None, **variables))


UNKNOWN = """
import os, pwd
import numpy, numba
def unknown(uid):
    raise KeyError(uid)
pwd.getpwuid = unknown
"""


@pytest.mark.situation("folders unwritable or disk full")
@pytest.mark.slow
def test_a_user_whom_the_machine_does_not_know(package):
    """Nothing is warned of without a home and an entry in the table of users, as in containers."""
    assert call_kernel(None, UNKNOWN, **{**no_home(package), "HOME": None}) == ([1, 0, 1, 0], "")


@pytest.mark.slow
@pytest.mark.situation("folders unwritable or disk full")
def test_a_full_disk(tmp_path):
    """A disk that fills up while a file is written leaves nothing half done."""
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
    assert_one_warning(*call_kernel(tmp_path, limit))
    assert files(tmp_path) == []


@pytest.mark.situation("folders unwritable or disk full")
@pytest.mark.slow
def test_a_prepared_cache_is_read_where_nothing_can_be_written(package):
    """A read-only installation reads what was compiled while it could still be written, and warns of nothing."""
    cache = package / "numbaconv" / "kernels" / "__pycache__"
    variables = no_home(package)
    assert call_kernel(None, **variables)[0] == [1, 0, 1, 0]
    assert list(cache.glob("*.nbc"))
    # Numba's own lock lies in shared memory, which counts as a file here.
    full = "import numba, resource\nnumba.get_num_threads()\nresource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
    assert call_kernel(None, full, PYTHONDONTWRITEBYTECODE=1, **variables)[0] == [1, 1, 0, 0]


@pytest.mark.situation("folders unwritable or disk full")
@pytest.mark.slow
def test_the_cache_and_how_to_switch_it_off(tmp_path):
    """What one process compiles, the next one reads; ``NUMBACONV_CACHE=0`` reads and writes nothing, silently."""
    assert call_kernel(tmp_path)[0] == [1, 0, 1, 0]
    before = files(tmp_path)
    assert sorted(file.suffix for file in before) == [".nbc", ".nbm"]
    assert call_kernel(tmp_path)[0] == [1, 1, 0, 0]
    for file in before:
        file.unlink()
    assert call_kernel(tmp_path, NUMBACONV_CACHE=0)[0] == [1, 0, 1, 0]
    assert files(tmp_path) == []
