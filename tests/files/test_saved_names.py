"""Names of files: those that are refused, and that errors speak of the name that was given."""

import errno
import io
import json
import zipfile

import numpy as np
import pytest
from training_cases import Linear, classes, classifier, one_weight

from numbaconv.callbacks import ModelCheckpoint
from numbaconv.layers import wrapping
from numbaconv.models import Sequential


@pytest.fixture(autouse=True)
def saved_like_others(monkeypatch):
    monkeypatch.setitem(wrapping.KINDS, "Linear", Linear)


def files(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("suffix", [".h5", ".hdf5", ".H5", ".weights.h5"])
def test_suffixes_of_keras(tmp_path, suffix):
    model = one_weight()
    said = r"must end in \.keras, .* another suffix, such as \.npz, .*, got .*m\..*save_weights"
    for name in (f"m{suffix}", tmp_path / f"m{suffix}"):
        with pytest.raises(ValueError, match=f"^Sequential 'm': path {said}"):
            model.save(name)
        with pytest.raises(ValueError, match=f"^filepath {said}"):
            ModelCheckpoint(name)
    with pytest.raises(ValueError, match=r"^filepath must end in \.keras"):
        ModelCheckpoint("{epoch:02d}-{val_loss:.2f}" + suffix)
    assert files(tmp_path) == []


def test_models_that_were_saved_under_such_names_are_read(tmp_path):
    model = one_weight(3.0)
    model.save(tmp_path / "model")
    for name in ("m.h5", "m.keras"):
        (tmp_path / name).write_bytes((tmp_path / "model").read_bytes())
        assert Sequential.load(tmp_path / name).get_weights() == [[[3.0]]]


def test_files_of_keras_are_named_as_such(tmp_path):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as entries:
        for name in ("metadata.json", "config.json"):
            entries.writestr(name, json.dumps({}))
    for name, content in (("m.h5", b"\x89HDF\r\n\x1a\n" + bytes(100)), ("m.keras", archive.getvalue())):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=rf"{name}' cannot be loaded as a model: .* It is a file of Keras's"):
            Sequential.load(tmp_path / name)
    (tmp_path / "other").write_bytes(b"text")
    with pytest.raises(ValueError, match="other' cannot be loaded as a model") as caught:
        Sequential.load(tmp_path / "other")
    assert "Keras" not in str(caught.value)


def test_overwriting(tmp_path):
    first, second = one_weight(1.0), one_weight(2.0)
    first.save(tmp_path / "m", overwrite=False)
    second.save(tmp_path / "m")
    with pytest.raises(FileExistsError, match=r"overwrite is False: '.*m'") as caught:
        first.save(tmp_path / "m", overwrite=False)
    assert caught.value.errno == errno.EEXIST
    with pytest.raises(TypeError, match=r"^Sequential 'm': overwrite must be True or False, got 'no'"):
        first.save(tmp_path / "m", "no")
    assert Sequential.load(tmp_path / "m").get_weights() == [[[2.0]]]
    second.save(tmp_path / "m", overwrite=True)
    assert files(tmp_path) == ["m"]


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("none/m", FileNotFoundError),
        ("file/m", NotADirectoryError),
        ("folder", IsADirectoryError),
        ("m" * 300, OSError),
    ],
)
def test_errors_name_the_file_itself(tmp_path, name, error):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    before = files(tmp_path)
    with pytest.raises(error) as caught:
        one_weight().save(tmp_path / name)
    assert caught.value.filename == str(tmp_path / name)
    assert caught.value.filename2 is None
    assert "numbaconv" not in str(caught.value)
    assert files(tmp_path) == before


def test_a_full_disk_names_the_file_too(tmp_path, monkeypatch):
    def full(file, **arrays):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*model'"):
        one_weight().save(tmp_path / "model")
    assert files(tmp_path) == []


def test_drawings_that_cannot_be_written_are_closed(tmp_path):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    history = classifier().fit(*classes(6), verbose=0)
    for name, error in (("curves.nothing", ValueError), ("none/curves.png", FileNotFoundError)):
        with pytest.raises(error, match=r"nothing|none.curves\.png"):
            history.plot(tmp_path / name)
    assert pyplot.get_fignums() == []
