"""Files damaged by accident or made to do harm: a clear error, nothing executed, no memory for what is not there."""

import io
import json
import os
import pickle
import re
import struct
import time
import tracemalloc
import zipfile

import numpy as np
import pytest
from fuzzing import spoiled_json
from hypothesis import given
from hypothesis import strategies as st

from numbaconv.layers import Conv2D, Cropping2D, Dense, Dropout, Flatten
from numbaconv.models import Sequential

pytestmark = pytest.mark.situation("damaged or hostile files")


def small():
    model = Sequential(
        [Conv2D(3, 2, input_shape=(5, 4, 2), name="a"), Cropping2D(1, name="b"), Flatten(), Dropout(0.5), Dense(2)],
        name="m",
    )
    model.compile("sgd", "mse")
    return model


def trained():
    model = small()
    model.compile("adam", "mse")
    model.fit(np.ones((2, 5, 4, 2)), np.ones((2, 2)), verbose=0)
    return model


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp("good") / "model"
    small().save(path)
    return path.read_bytes()


@pytest.fixture
def path(tmp_path, good):
    (tmp_path / "model").write_bytes(good)
    return tmp_path / "model"


@pytest.fixture(autouse=True)
def nothing_is_unpickled(monkeypatch):
    def refuse(*_):
        raise AssertionError("unpickled")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)


def refused(path, said=""):
    """Loading raises a ValueError that names the file, soon and without much memory."""
    tracemalloc.start()
    begin = time.monotonic()
    try:
        with pytest.raises(
            ValueError, match=rf"(?s)^{re.escape(repr(str(path)))} cannot be loaded as a model: .*{said}"
        ):
            Sequential.load(path)
        assert tracemalloc.get_traced_memory()[1] < 200e6
    finally:
        tracemalloc.stop()
    # A hang would be hours.
    assert time.monotonic() - begin < 30


def same(a, b):
    return a.get_config() == b.get_config() and all(map(np.array_equal, a.weights, b.weights))


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def members(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(path, entries, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)


def header_of(content):
    return json.loads(np.load(io.BytesIO(content), allow_pickle=False)["config"].item())


def with_header(content, header):
    text = header if isinstance(header, str) else json.dumps(header)
    return {**members(content), "config.npy": npy(np.array(text))}


def array_header(shape, descr="<f4", fortran="False"):
    text = f"{{'descr': {descr!r}, 'fortran_order': {fortran}, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


# -- by accident -------------------------------------------------------------------------------------------------------


def test_cut_short_anywhere(path):
    Sequential([Dense(1, input_shape=(1,))]).save(path)
    for size in reversed(range(path.stat().st_size)):
        os.truncate(path, size)
        with pytest.raises(ValueError, match="cannot be loaded as a model"):
            Sequential.load(path)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
def test_flipped_bytes_are_noticed_or_harmless(path, good, compression):
    write(path, members(good), compression)
    content, model, rng = path.read_bytes(), Sequential.load(path), np.random.default_rng(0)
    noticed = 0
    for count in [1] * 500 + [8] * 200:
        spoiled = bytearray(content)
        for place in rng.integers(len(content), size=count):
            spoiled[place] ^= int(rng.integers(1, 256))
        path.write_bytes(spoiled)
        try:
            again = Sequential.load(path)
        except ValueError as error:
            assert str(path) in str(error)
            noticed += 1
        else:
            assert same(model, again)
    assert noticed > 500


@pytest.mark.parametrize("entry", ["config.npy", "0/kernel.npy", "optimizer/iterations.npy"])
@pytest.mark.parametrize("step", [29, pytest.param(7, marks=pytest.mark.slow)])
def test_entries_cut_short_anywhere(path, good, entry, step):
    entries = members(good)
    for size in range(0, len(entries[entry]), step):
        write(path, {**entries, entry: entries[entry][:size]})
        refused(path)
    write(path, {**entries, entry: entries[entry] + b"0"})
    refused(path, "bytes of data")


def test_noise(path):
    rng = np.random.default_rng(0)
    for size in (0, 1, 21, 22, 1000, 100_000):
        for start in (b"", b"PK\x03\x04", b"\x93NUMPY\x01\x00"):
            path.write_bytes(start + rng.bytes(size))
            refused(path)


# -- entries -----------------------------------------------------------------------------------------------------------

FIRST = "0/kernel.npy"
SPOILED = {
    "object array": lambda e: {**e, FIRST: array_header((24,), "|O") + bytes(8 * 24)},
    "pickle in place of an array": lambda e: {**e, FIRST: pickle.dumps([1])},
    "structured": lambda e: {**e, FIRST: npy(np.zeros((2, 2, 2, 3), "f4,f4"))},
    "expression in the header": lambda e: {**e, FIRST: array_header("(__import__('os').abort(),)")},
    "header without end": lambda e: {**e, FIRST: array_header("(" * 9000)},
    "digits without end": lambda e: {**e, FIRST: array_header("(" + "1" * 5000)},
    "longest header": lambda e: {**e, FIRST: b"\x93NUMPY\x02\x00\xff\xff\xff\xff"},
    "version 3": lambda e: {**e, FIRST: b"\x93NUMPY\x03\x00" + e[FIRST][8:]},
    "shape of 2^62": lambda e: {**e, FIRST: array_header((2**62,))},
    "shape beyond 64 bits": lambda e: {**e, FIRST: array_header((10**17, 10**17, 10**17))},
    "shape beyond all digits": lambda e: {**e, FIRST: array_header((10**30,))},
    "negative shape": lambda e: {**e, FIRST: array_header((-1, 24)) + bytes(96)},
    "65 axes": lambda e: {**e, FIRST: array_header((1,) * 65) + bytes(4)},
    "empty with huge axes": lambda e: {**e, FIRST: array_header((0, 10**17))},
    "element of a gigabyte": lambda e: {**e, FIRST: array_header((), "<U250000000")},
    "no such type": lambda e: {**e, FIRST: array_header((24,), "<q9")},
    "name of a path": lambda e: {"../../evil.npy": e[FIRST], **e},
    "absolute name": lambda e: {**e, "/tmp/evil.npy": e[FIRST]},
    "no array": lambda e: {**e, "0/code.py": b"raise SystemExit"},
    "negative layer": lambda e: {**e, "-1/kernel.npy": e[FIRST]},
    "extra weight": lambda e: {**e, "0/more.npy": e[FIRST]},
    "missing weight": lambda e: {k: v for k, v in e.items() if k != FIRST},
    "weights in another order": lambda e: dict(sorted(e.items(), reverse=True)),
    "missing state": lambda e: {k: v for k, v in e.items() if "iterations" not in k},
    "huge state": lambda e: {**e, "optimizer/velocity/0.npy": npy(np.zeros(10_000))},
    "state as text": lambda e: {**e, "optimizer/iterations.npy": npy(np.array("1"))},
    "negative state": lambda e: {**e, "optimizer/iterations.npy": npy(np.array(-1))},
    "no configuration": lambda e: {k: v for k, v in e.items() if k != "config.npy"},
    "configuration in bytes": lambda e: {**e, "config.npy": npy(np.array(b"{}"))},
    "configuration beyond Unicode": lambda e: {**e, "config.npy": array_header((), "<U1") + b"\xff\xff\xff\xff"},
    "half a surrogate": lambda e: {**e, "config.npy": array_header((), "<U1") + b"\x00\xd8\x00\x00"},
}


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
def test_spoiled_entries(path, good, spoil, compression):
    write(path, spoil(members(good)), compression)
    refused(path)


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_entries_of_one_name(path, good):
    for name, content in members(good).items():
        path.write_bytes(good)
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(name, content)
        refused(path, "same name")


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA], ids=["bzip2", "lzma"])
def test_compressions_that_could_explode(path, good, compression):
    write(path, members(good), compression)
    refused(path, "stored or deflated")


def test_a_compressed_copy_is_read(path, good):
    model = Sequential.load(path)
    write(path, members(good), zipfile.ZIP_DEFLATED)
    assert same(Sequential.load(path), model)
    entries = members(good)
    kernel = np.load(io.BytesIO(entries[FIRST]))
    write(path, {**entries, FIRST: npy(np.asfortranarray(kernel))})
    assert same(Sequential.load(path), model)


# -- bombs -------------------------------------------------------------------------------------------------------------


def sized(good, filters):
    """The entries, the first layer having so many filters."""
    header = header_of(good)
    header["model"]["layers"][0]["config"]["filters"] = filters
    return with_header(good, header)


@pytest.mark.parametrize("filters", [10**8, 10**12, 10**18, 10**30])
@pytest.mark.parametrize("claimed", [False, True])
def test_a_layer_of_absurd_size(path, good, filters, claimed):
    entries = sized(good, filters)
    if claimed:
        entries[FIRST] = array_header((2, 2, 2, filters)) + bytes(10**6)
    write(path, entries, zipfile.ZIP_DEFLATED)
    refused(path)


def test_a_dense_layer_after_an_absurd_shape(path, good):
    header = header_of(good)
    for shape in ([None, 10**6, 10**6, 2], [None, 2**70, 4, 2], [10**18, 10**18, 10**18, 2]):
        header["model"]["build_input_shape"] = shape
        write(path, with_header(good, header))
        refused(path)


def lied(content, name, size):
    """The archive with another size of an entry in its directory and before the entry."""
    content, name = bytearray(content), name.encode()
    for magic, size_at, name_at in ((b"PK\x01\x02", 24, 46), (b"PK\x03\x04", 22, 30)):
        place = content.find(magic)
        while content[place + name_at : place + name_at + len(name)] != name:
            place = content.find(magic, place + 1)
        content[place + size_at : place + size_at + 4] = struct.pack("<I", size)
    return bytes(content)


@pytest.mark.parametrize("size", [0, 100, 2**20, 2**31, 2**32 - 2])
def test_sizes_that_are_lies(path, good, size):
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        for entry in (FIRST, "config.npy"):
            write(path, members(good), compression)
            path.write_bytes(lied(path.read_bytes(), entry, size))
            refused(path)


def test_a_lie_that_fits_the_header(path, good):
    entries = sized(good, 10**8)
    entries[FIRST] = array_header((2, 2, 2, 10**8)) + bytes(1000)
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        write(path, entries, compression)
        path.write_bytes(lied(path.read_bytes(), FIRST, len(array_header(())) + 32 * 10**8))
        refused(path)


@pytest.mark.slow
def test_a_text_that_inflates(path, good):
    text = "[" + "0," * 20_000_000 + "0]"
    write(path, {**members(good), "config.npy": npy(np.array(text))}, zipfile.ZIP_DEFLATED)
    refused(path, "characters")


def test_entries_that_share_their_bytes(path, good):
    write(path, members(good), zipfile.ZIP_DEFLATED)
    content = bytearray(path.read_bytes())
    end = content.rfind(b"PK\x05\x06")
    start = struct.unpack("<I", content[end + 16 : end + 20])[0]
    first = bytes(content[start : content.find(b"PK\x01\x02", start + 1)])
    # The directory names the same bytes again and again.
    copies = b"".join(first.replace(b"config.npy", b"%06d.npy" % i) for i in range(1000))
    content[end:end] = copies
    end += len(copies)
    content[end + 8 : end + 16] = struct.pack("<HHI", 1006, 1006, end - start)
    path.write_bytes(content)
    refused(path)


# -- configurations ----------------------------------------------------------------------------------------------------

TEXTS = {
    "empty": "",
    "no JSON": "{",
    "python": "__import__('os').abort()",
    "deep lists": "[" * 100_000,
    "deep dictionaries": '{"a":' * 100_000,
    "deep but closed": '{"format_version": 2, "training": null, "model": ' + "[" * 900 + "]" * 900 + "}",
    "digits": '{"format_version": ' + "9" * 5000 + "}",
    "newer": '{"format_version": 1e999, "model": {}}',
    "not a number": '{"format_version": NaN, "model": {}}',
    "names twice": '{"format_version": 2, "format_version": 1, "model": []}',
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_texts(path, good, text):
    write(path, with_header(good, text))
    refused(path)


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), -float("inf"), 10**400, -1, 2**63, True, None, [], {}, "a"]
)
def test_odd_values_everywhere(path, good, value):
    header = header_of(good)
    assert same(Sequential.load(path), Sequential.load(path))
    for place, old in leaves(header):
        if type(old) is type(value) is str or old is None:
            continue
        changed = json.loads(json.dumps(header))
        part = changed
        for key in place[:-1]:
            part = part[key]
        part[place[-1]] = value
        write(path, with_header(good, changed))
        try:
            Sequential.load(path)
        except ValueError as error:
            assert str(path) in str(error)


def leaves(value, place=()):
    if isinstance(value, dict | list):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(part, (*place, key))
    elif place:
        yield place, value


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory):
    path = tmp_path_factory.mktemp("fuzzed") / "model"
    trained().save(path)
    return path, path.read_bytes()


@given(st.data())
def test_arbitrary_configurations(fuzzed, data):
    path, content = fuzzed
    header = data.draw(spoiled_json(header_of(content)))
    write(path, with_header(content, header))
    try:
        model = Sequential.load(path)
    except ValueError as error:
        assert str(path) in str(error)
    else:
        assert model.built


def test_a_trained_model_is_read(fuzzed):
    path, content = fuzzed
    path.write_bytes(content)
    assert Sequential.load(path).optimizer.iterations == 1


# -- what is no file ---------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in the file system")
def test_pipes_and_devices(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, "/dev/zero"):
        with pytest.raises(ValueError, match="no regular file"):
            Sequential.load(path)
