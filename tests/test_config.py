"""The configuration file and the setters that override it."""

import importlib
import json
import warnings
from pathlib import Path

import numpy as np
import pytest

from numbaconv import config

DEFAULTS = ("float32", 1e-7, "channels_last")


def current():
    return config.floatx(), config.epsilon(), config.image_data_format()


def load(monkeypatch, home):
    """Import the configuration anew with KERAS_HOME at `home`; return the warnings it gave."""
    monkeypatch.setenv("KERAS_HOME", str(home))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        importlib.reload(config)
    return [str(warning.message) for warning in caught]


@pytest.fixture(autouse=True)
def restore(tmp_path):
    yield
    with pytest.MonkeyPatch.context() as patch:
        assert load(patch, tmp_path / "nothing here") == []
    assert current() == DEFAULTS


def test_defaults_without_a_file(monkeypatch, tmp_path):
    assert load(monkeypatch, tmp_path) == []
    assert current() == DEFAULTS
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", DEFAULTS),
        ('{"floatx": "float64"}', ("float64", 1e-7, "channels_last")),
        ('{"epsilon": 1e-3}', ("float32", 1e-3, "channels_last")),
        ('{"epsilon": 1}', ("float32", 1.0, "channels_last")),
        ('{"image_data_format": "channels_first"}', ("float32", 1e-7, "channels_first")),
        (
            '{"floatx": "float64", "epsilon": 1e-05, "backend": "jax", "image_data_format": "channels_first"}',
            ("float64", 1e-5, "channels_first"),
        ),
        ('{"backend": 3, "nnx_enabled": []}', DEFAULTS),
        ('\ufeff{"floatx": "float64"}', ("float64", 1e-7, "channels_last")),
    ],
)
def test_legal_files(monkeypatch, tmp_path, text, expected):
    file = tmp_path / "keras.json"
    file.write_text(text, encoding="utf-8")
    assert load(monkeypatch, tmp_path) == []
    assert current() == expected
    assert file.read_text(encoding="utf-8") == text


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"floatx"',
        b"{'floatx': 'float64'}",
        b'{"floatx": "float64",}',
        b'{"floatx": "float64"} x',
        b"\xff\xfe\x00",
        b'{"floatx": "\xe9"}',
        b"[" * 200_000,
    ],
)
def test_an_unreadable_file_gives_one_warning_that_names_it(monkeypatch, tmp_path, content):
    (tmp_path / "keras.json").write_bytes(content)
    (message,) = load(monkeypatch, tmp_path)
    assert str(tmp_path / "keras.json") in message
    assert all(key in message for key in ("floatx", "epsilon", "image_data_format"))
    assert current() == DEFAULTS


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("floatx", "float16"),
        ("floatx", "bfloat16"),
        ("floatx", "double"),
        ("floatx", ""),
        ("floatx", 32),
        ("floatx", None),
        ("floatx", ["float32"]),
        ("epsilon", 0),
        ("epsilon", -1e-7),
        ("epsilon", float("nan")),
        ("epsilon", float("inf")),
        ("epsilon", 10**400),
        ("epsilon", True),
        ("epsilon", "1e-7"),
        ("epsilon", None),
        ("image_data_format", "NCHW"),
        ("image_data_format", "channels_middle"),
        ("image_data_format", True),
        ("image_data_format", {}),
    ],
)
def test_an_illegal_value_gives_one_warning_and_leaves_the_others_alone(monkeypatch, tmp_path, key, value):
    good = {"floatx": "float64", "epsilon": 0.25, "image_data_format": "channels_first"}
    (tmp_path / "keras.json").write_text(json.dumps({**good, key: value}))
    (message,) = load(monkeypatch, tmp_path)
    assert str(tmp_path / "keras.json") in message
    assert key in message
    assert repr(value) in message
    assert not any(other in message.replace(str(tmp_path), "") for other in good if other != key)
    default = dict(zip(good, DEFAULTS, strict=True))[key]
    assert current() == tuple({**good, key: default}.values())


def test_several_illegal_values_share_one_warning(monkeypatch, tmp_path):
    (tmp_path / "keras.json").write_text('{"floatx": 1, "epsilon": -1, "image_data_format": 2}')
    (message,) = load(monkeypatch, tmp_path)
    assert all(key in message for key in ("floatx", "epsilon", "image_data_format"))
    assert current() == DEFAULTS


def test_a_directory_in_place_of_the_file(monkeypatch, tmp_path):
    (tmp_path / "keras.json").mkdir()
    (message,) = load(monkeypatch, tmp_path)
    assert str(tmp_path / "keras.json") in message
    assert current() == DEFAULTS


def test_a_file_without_permission(monkeypatch, tmp_path):
    file = tmp_path / "keras.json"
    file.write_text('{"floatx": "float64"}')

    def refuse(path, *args, **kwargs):
        raise PermissionError(13, "Permission denied", str(path))

    # A mode of 000 would not stop a test that runs as root.
    monkeypatch.setattr(Path, "read_text", refuse)
    (message,) = load(monkeypatch, tmp_path)
    assert str(file) in message
    assert "Permission denied" in message
    assert current() == DEFAULTS


@pytest.mark.parametrize("keras_home", [None, "", "~/.keras"])
def test_the_home_directory(monkeypatch, tmp_path, keras_home):
    (tmp_path / ".keras").mkdir()
    (tmp_path / ".keras" / "keras.json").write_text('{"floatx": "float64"}')
    monkeypatch.setattr(Path, "expanduser", lambda path: Path(str(path).replace("~", str(tmp_path), 1)))
    if keras_home is None:
        monkeypatch.delenv("KERAS_HOME", raising=False)
    else:
        monkeypatch.setenv("KERAS_HOME", keras_home)
    importlib.reload(config)
    assert config.floatx() == "float64"


def test_no_home_directory(monkeypatch):
    def refuse(path):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("KERAS_HOME", raising=False)
    monkeypatch.setattr(Path, "expanduser", refuse)
    with pytest.warns(UserWarning, match=r"\.keras.keras\.json was not read") as caught:
        importlib.reload(config)
    assert len(caught) == 1
    assert current() == DEFAULTS


def test_setters():
    config.set_floatx("float64")
    config.set_epsilon(np.float32(0.5))
    config.set_image_data_format("Channels_First")
    assert current() == ("float64", 0.5, "channels_first")
    assert type(config.epsilon()) is float


@pytest.mark.parametrize(
    ("setter", "value", "error"),
    [
        (config.set_floatx, "float16", ValueError),
        (config.set_floatx, np.float32, TypeError),
        (config.set_floatx, None, TypeError),
        (config.set_epsilon, 0.0, ValueError),
        (config.set_epsilon, float("nan"), ValueError),
        (config.set_epsilon, True, TypeError),
        (config.set_epsilon, "1", TypeError),
        (config.set_image_data_format, "NHWC", ValueError),
        (config.set_image_data_format, None, TypeError),
    ],
)
def test_setters_refuse(setter, value, error):
    with pytest.raises(error) as caught:
        setter(value)
    assert setter.__name__.removeprefix("set_") in str(caught.value)
    assert repr(value) in str(caught.value)
    assert current() == DEFAULTS
