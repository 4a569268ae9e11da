"""`python -m numbaconv summary`, `predict` and `bench`: what they print and write, and that faults are one line."""

import sys

import numpy as np
import pytest

from numbaconv import __version__, layers
from numbaconv.__main__ import main
from numbaconv.models import Model, Sequential


@pytest.fixture
def saved(tmp_path):
    """Saves models and arrays by name, and gives the paths."""

    def save(name, what):
        path = tmp_path / name
        if isinstance(what, bytes):
            path.write_bytes(what)
        elif isinstance(what, dict):
            np.savez(path, **what)
        elif isinstance(what, np.ndarray):
            np.save(path, what)
        else:
            what.save(path)
        return str(path)

    return save


@pytest.fixture
def said(capsys):
    """Runs a command that succeeds and gives the lines that it prints."""

    def run(*arguments):
        assert main([str(argument) for argument in arguments]) == 0, capsys.readouterr().err
        return capsys.readouterr().out.splitlines()

    return run


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def flat(shape=(6, 5, 3), first=()):
    """A network that gives its input back, as a line."""
    return Sequential([layers.Input(shape), *first, layers.Flatten()], name="flat")


def sum_and_difference():
    first, second = layers.Input((4,), name="first"), layers.Input((4,), name="second")
    outputs = [layers.Add(name="sum")([first, second]), layers.Subtract(name="difference")([first, second])]
    return Model([first, second], outputs)


def test_version(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"numbaconv {__version__}\n"


def test_summary(saved, said):
    lines = said("summary", saved("sum.npz", sum_and_difference()))
    assert any(line.startswith("sum (Add)") for line in lines)
    assert lines[-4:] == [
        "Input: first (None, 4) float32",
        "Input: second (None, 4) float32",
        "Output: sum (None, 4) float32",
        "Output: difference (None, 4) float32",
    ]


def test_predict_prints_the_largest_values(saved, said):
    model = saved("m.npz", flat((2, 3, 1)))
    x = np.float32([[[1], [5], [2]], [[6], [3], [4]]])
    input_line, shape, values = said("predict", model, saved("x.npy", x))
    assert input_line == "input: (1, 2, 3, 1) float32"
    assert shape.startswith("flatten")
    assert shape.endswith(": (1, 6) float32")
    assert values == "  0: [3] 6, [1] 5, [5] 4, [4] 3, [2] 2"
    lines = said("predict", model, saved("many.npy", np.stack([x] * 7)))
    assert lines[2:] == [*(values.replace("0", str(i), 1) for i in range(4)), "  ... and 3 more"]


def test_predict_prints_the_range_of_pictures(saved, said):
    model = Sequential([layers.Input((2, 2, 1)), layers.ZeroPadding2D(1)])
    lines = said("predict", saved("m.npz", model), saved("x.npy", np.full((1, 2, 2, 1), 4.0)))
    assert lines[-1] == "  0: from 0 to 4, mean 1"


def test_predict_writes(saved, said, tmp_path, rng):
    x = rng.standard_normal((3, 6, 5, 3), np.float32)
    out = tmp_path / "out.npy"
    lines = said("predict", saved("m.npz", flat()), saved("x.npz", {"whatever": x}), out)
    assert lines[-1] == f"written: {out}"
    np.testing.assert_array_equal(np.load(out), x.reshape(3, 90))


def test_predict_takes_and_gives_several(saved, said, tmp_path):
    model = saved("m.npz", sum_and_difference())
    first, second = np.float32([[1, 2, 3, 4]]), np.float32([[5, 5, 5, 5]])
    out = tmp_path / "out.npz"
    for arrays in ({"second": second, "first": first}, {"a": first, "b": second}):
        said("predict", model, saved("x.npz", arrays), out)
        with np.load(out) as found:
            np.testing.assert_array_equal(found["sum"], first + second)
            np.testing.assert_array_equal(found["difference"], first - second)


def picture_of(values, path):
    image = pytest.importorskip("PIL.Image")
    image.fromarray(values).save(path)
    return path


@pytest.mark.parametrize(
    ("first", "scale", "low", "high"),
    [
        ((), (), 0, 1),
        ((layers.Rescaling(1.0),), (), 0, 255),
        ((), ("--scale", "raw"), 0, 255),
        ((), ("--scale", "signed"), -1, 1),
    ],
)
def test_picture(saved, said, tmp_path, rng, first, scale, low, high):
    values = rng.integers(256, size=(6, 5, 3), dtype=np.uint8)
    path, out = picture_of(values, tmp_path / "p.png"), tmp_path / "out.npy"
    lines = said("predict", saved("m.npz", flat(first=first)), path, out, *scale)
    assert f"RGB of 6 x 5, values from {low} to {high}" in lines[0]
    expected = low + values.reshape(1, 90) * ((high - low) / 255)
    np.testing.assert_allclose(np.load(out), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((6, 5, 1), (6, 5, 1)), ((6, 5), (6, 5)), ((1, 6, 5), (1, 6, 5)), ((None, None, 1), (6, 5, 1))],
)
def test_grey_picture(saved, said, tmp_path, rng, shape, expected):
    values = rng.integers(256, size=(6, 5), dtype=np.uint8)
    path, out = picture_of(values, tmp_path / "p.png"), tmp_path / "out.npy"
    model = Sequential([layers.Input(shape), layers.Activation("relu")])
    said("predict", saved("m.npz", model), path, out, "--scale", "raw")
    np.testing.assert_array_equal(np.load(out), values.reshape(1, *expected))


def test_picture_with_channels_first(saved, said, tmp_path, rng):
    values = rng.integers(256, size=(6, 5, 3), dtype=np.uint8)
    path, out = picture_of(values, tmp_path / "p.png"), tmp_path / "out.npy"
    said("predict", saved("m.npz", flat((3, 6, 5))), path, out, "--scale", "raw")
    np.testing.assert_array_equal(np.load(out).reshape(3, 6, 5), np.moveaxis(values, -1, 0))


def test_picture_is_resized(saved, said, tmp_path):
    path, out = picture_of(np.full((9, 16), 51, np.uint8), tmp_path / "p.png"), tmp_path / "out.npy"
    lines = said("predict", saved("m.npz", flat()), path, out)
    assert "grey as RGB of 9 x 16, resized to 6 x 5" in lines[0]
    np.testing.assert_allclose(np.load(out), 0.2, rtol=1e-6)


@pytest.mark.parametrize(
    ("shape", "batches", "shown"),
    [((6, 5, 3), ["1", "8"], "(6, 5, 3)"), ((None, 3), ["1", "8"], "(64, 3)")],
)
def test_bench(saved, said, shape, batches, shown):
    model = Sequential([layers.Input(shape), layers.Activation("relu")])
    lines = said("bench", saved("m.npz", model), "--calls", 3)
    assert [line.split()[0] for line in lines] == ["import:", "load:", "batch", *batches, "Median"]
    assert all(float(line.split()[3]) > 0 for line in lines[3:-1])
    assert lines[-1].endswith(shown)


def test_bench_of_several_inputs_with_a_batch_of_their_own(saved, said):
    inputs = {"b": layers.Input((4,), batch_size=2, name="x"), "a": layers.Input((4,), batch_size=2, name="y")}
    lines = said("bench", saved("m.npz", Model(inputs, layers.Add()(list(inputs.values())))), "--calls", 1)
    assert [line.split()[0] for line in lines[3:]] == ["2", "Median"]


FINE = np.zeros((1, 6, 5, 3), np.float32)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.npy", None, "none.npy: No such file or directory"),
        ("none.png", None, "none.png: No such file or directory"),
        ("x.npy", b"", "x.npy cannot be read as arrays"),
        ("x.npy", b"\x93NUMPY\x01\x00 damaged", "x.npy cannot be read as arrays"),
        ("x.npz", b"PK\x03\x04 damaged", "x.npz cannot be read as arrays"),
        ("x.npy", np.array([{}]), "x.npy cannot be read as arrays"),
        ("x.npy", FINE[:, 1:], "INPUT must have the shape (None, 6, 5, 3) for"),
        ("x.npy", FINE.astype(str), "real numbers"),
        ("x.npz", {"a": FINE, "b": FINE}, "one array for each of 1 inputs, got 2"),
    ],
)
def test_faults_of_inputs_are_one_line(saved, capsys, tmp_path, name, content, message):
    path = str(tmp_path / name) if content is None else saved(name, content)
    fails(capsys, message, "predict", saved("m.npz", flat()), path)


def fails(capsys, message, *arguments):
    assert main(list(arguments)) == 1
    told = capsys.readouterr().err
    assert told.startswith("Error: ")
    assert told.count("\n") == 1
    assert message in told


@pytest.mark.parametrize("command", [["summary"], ["bench"], ["predict", "x.npy"]])
def test_faults_of_networks_are_one_line(saved, capsys, tmp_path, command):
    command, *rest = command
    whole = saved("m.npz", flat())
    fails(capsys, "none.keras", command, str(tmp_path / "none.keras"), *rest)
    with open(whole, "rb") as file:
        fails(capsys, "damaged.npz", command, saved("damaged.npz", file.read()[:-99]), *rest)
    fails(capsys, "text.h5", command, saved("text.h5", b"no network"), *rest)


def test_what_cannot_be_done_is_one_line(saved, capsys, tmp_path, monkeypatch):
    one, two = saved("one.npz", flat()), saved("two.npz", sum_and_difference())
    line = saved("line.npz", Sequential([layers.Input((7,)), layers.Activation("relu")]))
    x = saved("x.npy", FINE)
    fails(capsys, "OUTPUT must end in .npy", "predict", one, x, "out.txt")
    fails(capsys, "OUTPUT must end in .npz", "predict", two, x, "out.npy")
    fails(capsys, "No such file or directory", "predict", one, x, str(tmp_path / "nowhere" / "out.npy"))
    fails(capsys, "--scale is for pictures", "predict", one, x, "--scale", "raw")
    text = saved("text.png", b"no picture")
    fails(capsys, "INPUT must be a .npz file: the network has 2 inputs", "predict", two, text)
    fails(capsys, "INPUT must be a .npy file: a picture has 1, 3 or 4 channels", "predict", line, text)
    deep = picture_of(np.zeros((6, 5), np.uint16), tmp_path / "deep.png")
    fails(capsys, "more than 8 bits", "predict", one, str(deep))
    fails(capsys, "text.png", "predict", one, text)
    monkeypatch.setitem(sys.modules, "PIL", None)
    fails(capsys, "pip install pillow", "predict", one, text)


@pytest.mark.parametrize(
    "arguments", [["--quick", "summary", "m.npz"], ["bench", "m.npz", "--calls", "0"], ["predict", "m.npz"], ["draw"]]
)
def test_calls_that_cannot_be_meant(capsys, arguments):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert "usage: python -m numbaconv" in capsys.readouterr().err
