"""HDF5 files as h5py writes them are read to the last bit; damaged ones are refused, without much memory or time."""

import io
import struct
import tracemalloc

import numpy as np
import pytest

from numbaconv.files.hdf5 import Hdf5File

h5py = pytest.importorskip("h5py")
pytestmark = pytest.mark.situation("damaged or hostile files")


def written(fill, **settings):
    """The bytes of a file that a function has filled."""
    file = io.BytesIO()
    with h5py.File(file, "w", **settings) as tree:
        fill(tree)
    return file.getvalue()


def opened(content):
    return Hdf5File(io.BytesIO(content))


def everything(file, path=""):
    """All arrays below a group, by path."""
    found = {}
    for name in file.names(path):
        full = f"{path}/{name}" if path else name
        found |= {full: file.read(full)} if file.is_array(full) else everything(file, full)
    return found


def sample(tree):
    tree.attrs["text"] = "Größe"
    tree.attrs["bytes"] = b"fixed"
    tree.attrs["names"] = [b"first", b"second/kernel:0"]
    tree.attrs["objects"] = np.array(["one", "", "three"], dtype=object)
    tree.attrs["nothing"] = np.array([])
    rng = np.random.default_rng(0)
    for i, dtype in enumerate(("<f4", ">f4", "<f8", "f2", "i8", "u1", ">i2")):
        tree[f"group/{i}"] = rng.uniform(0, 100, (3, i + 1, 2)).astype(dtype)
    tree["group/scalar"] = np.float32(2.5)
    tree["group/empty"] = np.zeros((0, 3), "f4")
    tree.create_dataset("chunks", data=rng.standard_normal((7, 10)), chunks=(3, 4))
    tree.create_dataset("packed", data=rng.integers(0, 9, (50, 30)), chunks=(20, 7), compression="gzip", shuffle=True)
    tree.create_dataset("checked", data=np.arange(30.0), chunks=(7,), fletcher32=True)
    for i in range(40):
        tree.create_group(f"many/{i}").attrs["number"] = i


@pytest.fixture(scope="module")
def content():
    return written(sample)


@pytest.mark.parametrize("settings", [{}, {"libver": "earliest"}, {"libver": ("earliest", "v110")}])
def test_all_is_read_as_h5py_reads_it(settings):
    content = written(sample, **settings)
    found = everything(opened(content))
    with h5py.File(io.BytesIO(content)) as tree:
        wanted = {}
        tree.visititems(lambda name, one: wanted.update({name: one[()]}) if isinstance(one, h5py.Dataset) else None)
        assert len(wanted) == 12
    assert set(found) == set(wanted)
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype.newbyteorder("=")
        assert opened(content).entry(name) == (array.dtype, array.shape)


def test_attributes(content):
    file = opened(content)
    assert file.attribute("", "text") == "Größe"
    assert file.attribute("", "bytes") == "fixed"
    assert file.attribute("", "names") == ["first", "second/kernel:0"]
    assert file.attribute("", "objects") == ["one", "", "three"]
    assert file.attribute("", "nothing").size == 0
    assert file.attribute("many/37", "number") == 37
    assert file.attribute("", "missing") is None


def test_paths(content):
    file = opened(content)
    assert sorted(map(int, file.names("many"))) == list(range(40))
    assert "group/0" in file and "/group//0" in file
    assert "group/9" not in file and "group/0/deeper" not in file
    for path in ("group/9", "nowhere"):
        with pytest.raises(ValueError, match="must have"):
            file.attribute(path, "name")
    with pytest.raises(ValueError, match="array"):
        file.read("group")


def test_bfloat16():
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    content = written(lambda tree: tree.create_dataset("a", data=np.array([0, 1, -2.5, 3e38]).astype(bfloat16)))
    assert opened(content).entry("a") == (np.float32, (4,))
    np.testing.assert_array_equal(opened(content).read("a"), np.array([0, 1, -2.5, 3e38]).astype(bfloat16).astype("f4"))


# -- what is not followed ----------------------------------------------------------------------------------------------


def test_links_to_elsewhere_do_not_exist(tmp_path):
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as tree:
        tree["secret"] = np.ones(3)

    def fill(tree):
        tree["own"] = np.ones(3)
        tree["soft"] = h5py.SoftLink("/own")
        tree["external"] = h5py.ExternalLink(str(other), "/secret")

    for settings in ({}, {"libver": ("v110", "v110")}):
        file = opened(written(fill, **settings))
        assert file.names() == ["own"]
        for path in ("soft", "external"):
            assert path not in file
            with pytest.raises(ValueError, match="missing or a link to elsewhere"):
                file.read(path)


def test_arrays_in_other_files_are_refused(tmp_path):
    raw = tmp_path / "raw"
    raw.write_bytes(bytes(80))
    content = written(lambda tree: tree.create_dataset("a", (10,), "f8", external=[(str(raw), 0, 80)]))
    with pytest.raises(ValueError, match="another file"):
        opened(content).read("a")
    layout = h5py.VirtualLayout((3,), "f8")
    layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "secret", (3,))
    content = written(lambda tree: tree.create_virtual_dataset("a", layout))
    with pytest.raises(ValueError, match="in one piece"):
        opened(content).read("a")


@pytest.mark.parametrize(
    "fill",
    [
        lambda tree: tree.create_dataset("a", data=np.zeros(100), chunks=(10,), compression="lzf"),
        lambda tree: tree.create_dataset("a", data=["text", "more"]),
        lambda tree: tree.create_dataset("a", data=np.zeros(3, "f4,f4")),
        lambda tree: tree.create_dataset("a", data=np.zeros(3, complex)),
        lambda tree: tree.create_dataset("a", (3,), h5py.ref_dtype),
        lambda tree: tree.create_dataset("a", data=np.zeros(3, bool)),
    ],
)
def test_other_kinds_are_refused(fill):
    with pytest.raises(ValueError, match="must"):
        opened(written(fill)).read("a")


# -- damage ------------------------------------------------------------------------------------------------------------


def attempt(content):
    """Read all of a file; whatever is wrong with it is one of the errors that `keras_file.opened` expects."""
    try:
        everything_bounded(opened(content))
    except Exception as error:
        assert not isinstance(error, MemoryError | AssertionError)
        return True
    return False


def everything_bounded(file, path="", depth=0):
    assert depth < 100 or pytest.fail("a circle")
    for name in file.names(path)[:300]:
        full = f"{path}/{name}" if path else name
        if file.is_array(full):
            file.read(full)
        elif depth < 5:
            everything_bounded(file, full, depth + 1)
    for name in ("text", "names", "objects"):
        file.attribute(path, name)


def test_cut_short_anywhere(content):
    for size in range(0, len(content) - 1, 97):
        with pytest.raises(ValueError, match=r"cut short|no HDF5"):
            opened(content[:size])


@pytest.mark.parametrize("times", [6, pytest.param(200, marks=pytest.mark.slow)])
def test_flipped_bytes_end_in_an_error_or_do_no_harm(content, times):
    rng = np.random.default_rng(times)
    tracemalloc.start()
    noticed = 0
    try:
        for count in times * [1, 8, 64]:
            spoiled = bytearray(content)
            # Most bytes of headers are at the beginning.
            for place in rng.integers(len(content) if count > 1 else 4000, size=count):
                spoiled[place] ^= int(rng.integers(1, 256))
            noticed += attempt(bytes(spoiled))
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()
    assert noticed > times


# -- bombs -------------------------------------------------------------------------------------------------------------


def refused_soon(content, said):
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=said):
            opened(content).read("a")
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


def test_arrays_without_data():
    refused_soon(written(lambda tree: tree.create_dataset("a", (10**9,), "f4")), "larger than the file|bytes")
    refused_soon(written(lambda tree: tree.create_dataset("a", (10**9,), "f4", chunks=(10**6,))), "larger|chunks")
    packed = {"chunks": (10**8,), "compression": "gzip"}
    refused_soon(written(lambda tree: tree.create_dataset("a", (10**9,), "f4", **packed)), "larger|chunks|address")


def test_a_chunk_larger_than_its_array():
    def fill(tree):
        tree.create_dataset("a", data=np.zeros(3), chunks=(10**6,), maxshape=(None,), compression="gzip")

    refused_soon(written(fill), "chunks")


def test_arrays_that_share_their_bytes():
    def fill(tree):
        tree["0"] = np.zeros(10_000)
        for i in range(1, 200):
            tree[str(i)] = tree["0"]

    file = opened(written(fill))
    with pytest.raises(ValueError, match="larger than the file"):
        everything(file)


def test_texts_that_share_their_bytes():
    content = written(lambda tree: tree.attrs.update(names=np.array(["a" * 60_000] * 400, dtype=object)))
    with pytest.raises(ValueError, match="too long"):
        opened(content).attribute("", "names")


def test_groups_in_a_circle():
    def fill(tree):
        tree["group/again"] = tree
        tree["group/a"] = np.ones(2)

    file = opened(written(fill))
    path = "/".join(["group/again"] * 50) + "/group/a"
    np.testing.assert_array_equal(file.read(path), [1, 1])


def assembled(body):
    """A file whose root's header comes first in the body, with whatever follows: the first address is 48."""
    end = 48 + len(body)
    return b"\x89HDF\r\n\x1a\n" + bytes([2, 8, 8, 0]) + struct.pack("<4Q4x", 0, 2**64 - 1, end, 48) + body


def header(*messages):
    """An object header with messages of a kind and their data."""
    packed = b"".join(struct.pack("<HHB3x", kind, len(data), 0) + data for kind, data in messages)
    return struct.pack("<BBHII4x", 1, 0, min(len(messages), 65535), 1, len(packed)) + packed


def symbol_table(levels, rows, names):
    """A root that is a group: as many levels of a tree, each all entries of the next one, and rows of a table."""
    tree = 48 + 40
    size = 24 + 16 * rows
    table = tree + levels * size
    heap = table + 8 + 40 * rows
    body = header((0x11, struct.pack("<QQ", tree, heap)))
    for level in reversed(range(levels)):
        body += b"TREE" + struct.pack("<BBHQQ", 0, level, rows, 0, 0)
        body += struct.pack("<QQ", 0, tree + (levels - level) * size) * rows
    body += b"SNOD" + struct.pack("<BBH", 1, 0, rows)
    body += b"".join(struct.pack("<QQIIQQ", i % len(names), 48, 0, 0, 0, 0) for i in range(rows))
    return assembled(body + b"HEAP" + struct.pack("<4xQQQ", len(names), 0, heap + 32) + names)


def refused_as_damaged(content, said="share their bytes|into another one"):
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=said):
            opened(content).names()
        assert tracemalloc.get_traced_memory()[1] < 50 * len(content)
    finally:
        tracemalloc.stop()


def test_headers_that_share_their_bytes():
    count = 500
    parts = [(0x10, struct.pack("<QQ", 64 + 24 * i, 24 * (count - i))) for i in range(count)]
    refused_as_damaged(assembled(header(*parts)))
    refused_as_damaged(assembled(header(*[(0, b"")] * 70_000)), "at most 65536 messages")


def test_trees_that_share_their_bytes():
    assert opened(symbol_table(1, 1, b"abc\0")).names() == ["abc"]
    refused_as_damaged(symbol_table(3, 200, b"abc\0"))


def test_names_that_share_their_bytes():
    refused_as_damaged(symbol_table(1, 1, b"ab"))
    content = bytearray(symbol_table(1, 1000, b"a" * 100_000 + b"\0"))
    # All rows of the table belong to the first entry of the tree.
    struct.pack_into("<H", content, 48 + 40 + 6, 1)
    refused_as_damaged(bytes(content))


def test_an_attribute_of_another_kind_harms_nobody():
    def fill(tree):
        tree.attrs["flag"] = True
        tree.attrs["text"] = "abc"

    file = opened(written(fill))
    assert file.attribute("", "text") == "abc"
    with pytest.raises(ValueError, match="numbers or texts"):
        file.attribute("", "flag")
