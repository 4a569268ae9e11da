"""The fuzz tests in a process of their own, which would report a crash of the process itself. Run with --slow."""

import secrets
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.situation("arbitrary arguments"), pytest.mark.nightly]

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"


def survives(seed, *arguments):
    """Raise unless pytest passes; if it dies, say how to make it die again."""
    command = [sys.executable, "-X", "faulthandler", "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    command += ["--hypothesis-profile=anew", f"--hypothesis-seed={seed}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    told = f"{' '.join(command[1:])}\n{done.stdout[-5000:]}\n{done.stderr[-5000:]}"
    if done.returncode < 0:
        pytest.fail(f"died of {signal.Signals(-done.returncode).name}: {told}")
    assert done.returncode == 0, told


def test_the_process_survives():
    names = "promises/test_fuzz.py", "promises/test_fuzz_models.py", "files/test_hostile_files.py"
    survives(secrets.randbelow(2**32), *(str(TESTS / name) for name in names))


def test_a_death_is_reported(tmp_path):
    (tmp_path / "conftest.py").write_text("from hypothesis import settings\nsettings.register_profile('anew')\n")
    (tmp_path / "test_death.py").write_text("import os, signal\ndef test(): os.kill(os.getpid(), signal.SIGSEGV)\n")
    with pytest.raises(pytest.fail.Exception, match=r"(?s)died of SIGSEGV.*--hypothesis-seed=7.*Segmentation fault"):
        survives(7, str(tmp_path / "test_death.py"))
