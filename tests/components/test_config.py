"""The configuration file and the setters that override it."""

import importlib
import json
import os
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from numbaconv import config

pytestmark = pytest.mark.situation("malformed keras.json")

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
        b'{"a":' * 200_000,
        b'{"epsilon": ' + b"9" * 5000 + b"}",
        b'{"floatx": "float64"}' + b" " * 2**20,
        b"0" * 2**21,
        '{"floatx": "float64"}'.encode("utf-16"),
        b"\0" * 100,
        b'{"floatx": "float64"}\0',
        b'\xef\xbb\xbf\xef\xbb\xbf{"floatx": "float64"}',
        b"floatx: float64",
        b"-",
        b"NaN",
        b"1e999",
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
        ("epsilon", [1e-7]),
        ("epsilon", {"value": 1e-7}),
        ("epsilon", False),
        ("epsilon", "NaN"),
        ("floatx", "float32\0"),
        ("floatx", "\ud800"),
        ("floatx", {"a": {"b": []}}),
        ("image_data_format", ""),
        ("image_data_format", None),
        ("image_data_format", "channels_last "),
        ("image_data_format", ["channels_last"]),
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


@pytest.mark.parametrize("key", ["floatx", "epsilon", "image_data_format"])
def test_values_nested_so_deeply_that_they_cannot_be_shown(monkeypatch, tmp_path, key):
    # Some of these can be read and not be shown.
    for depth in range(sys.getrecursionlimit() - 100, sys.getrecursionlimit()):
        value = "[" * depth + "]" * depth
        (tmp_path / "keras.json").write_text(f'{{"{key}": {value}}}')
        (message,) = load(monkeypatch, tmp_path)
        assert str(tmp_path / "keras.json") in message
        assert current() == DEFAULTS


def test_the_last_of_equal_keys_counts(monkeypatch, tmp_path):
    (tmp_path / "keras.json").write_text('{"epsilon": 3, "epsilon": 0.5}')
    assert load(monkeypatch, tmp_path) == []
    assert config.epsilon() == 0.5


def test_a_file_cut_short_anywhere(monkeypatch, tmp_path):
    content = b'{"floatx": "float64", "epsilon": 0.5}'
    for size in range(len(content)):
        (tmp_path / "keras.json").write_bytes(content[:size])
        (message,) = load(monkeypatch, tmp_path)
        assert str(tmp_path / "keras.json") in message
        assert current() == DEFAULTS


def test_noise(monkeypatch, tmp_path):
    rng = np.random.default_rng(0)
    for size in (1, 10, 1000, 100_000):
        (tmp_path / "keras.json").write_bytes(rng.bytes(size))
        (message,) = load(monkeypatch, tmp_path)
        assert str(tmp_path / "keras.json") in message
        assert current() == DEFAULTS


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in the file system")
@pytest.mark.parametrize("put", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")], ids=["pipe", "device"])
def test_what_is_no_file(monkeypatch, tmp_path, put):
    put(tmp_path / "keras.json")
    (message,) = load(monkeypatch, tmp_path)
    assert "no regular file" in message
    assert current() == DEFAULTS


def test_links_that_lead_nowhere(monkeypatch, tmp_path):
    link = tmp_path / "keras.json"
    link.symlink_to(tmp_path / "gone")
    assert load(monkeypatch, tmp_path) == []
    link.unlink()
    link.symlink_to(link)
    (message,) = load(monkeypatch, tmp_path)
    assert str(link) in message
    assert current() == DEFAULTS


def test_a_file_in_place_of_the_directory(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    for home in (tmp_path / "file", tmp_path / ("x" * 5000)):
        (message,) = load(monkeypatch, home)
        assert "keras.json was not read" in message
        assert current() == DEFAULTS


def test_a_directory_in_place_of_the_file(monkeypatch, tmp_path):
    (tmp_path / "keras.json").mkdir()
    (message,) = load(monkeypatch, tmp_path)
    assert str(tmp_path / "keras.json") in message
    assert current() == DEFAULTS


def test_a_file_without_permission(monkeypatch, tmp_path):
    file = tmp_path / "keras.json"
    file.write_text('{"floatx": "float64"}')

    def refuse(path, mode):
        raise PermissionError(13, "Permission denied", str(path))

    # A mode of 000 would not stop a test that runs as root.
    monkeypatch.setattr(config, "open", refuse, raising=False)
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


@pytest.mark.parametrize(("keras_home", "count"), [(None, 0), ("", 0), ("~/.keras", 1)])
@pytest.mark.parametrize(
    ("method", "error"),
    [
        ("expanduser", RuntimeError("Could not determine home directory.")),
        ("stat", PermissionError(13, "Permission denied")),
        ("stat", NotADirectoryError(20, "Not a directory")),
    ],
    ids=["no home", "somebody else's home", "a file as home"],
)
def test_no_home_directory(monkeypatch, method, error, keras_home, count):
    """Only who asked for a folder is told that it cannot be entered."""

    def refuse(path):
        raise error

    monkeypatch.setattr(Path, method, refuse)
    if keras_home is None:
        monkeypatch.delenv("KERAS_HOME", raising=False)
        keras_home = ""
    with monkeypatch.context() as patch:
        messages = load(patch, keras_home)
    assert len(messages) == count
    assert all("was not read" in message for message in messages)
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
