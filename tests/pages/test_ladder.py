"""The ladder in `examples/`: every rung computes the convolution, and the table and the chart show all of them."""

import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from numbaconv.exercises import EXERCISES

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "examples"))

ladder = importlib.import_module("ladder.__main__")
measure, roofline = importlib.import_module("measure"), importlib.import_module("roofline")
WIDTH = importlib.import_module("register_tile").WIDTH

SHAPES = [(6, 5, 3, 5), (1, 1, 1, 1), (7, 33, 4, 2 * WIDTH), (2, 6, 12, 7), (3, 2, 5, WIDTH), (1, 17, 8, WIDTH)]
# Rung -> what its docstring says its channels and filters must be multiples of.
MULTIPLES = {"unrolled_block": (4, 1), "register_tile": (1, WIDTH)}


@pytest.mark.slow
@pytest.mark.parametrize("name", ladder.RUNGS)
def test_rung_computes_the_convolution(name):
    rung = importlib.import_module(name)
    taken = 0
    for shape in SHAPES:
        if any(n % m for n, m in zip(shape[2:], MULTIPLES.get(name, (1, 1)), strict=True)):
            continue
        x, weights = measure.task(*shape)
        given = x.copy(), weights.copy()
        pack = getattr(rung, "pack", None)
        wanted = measure.expected(x, weights)
        share = measure.checked(rung.conv, x, weights, wanted, pack)
        assert share < (2e-5 if name == "winograd" else 2e-6)
        np.testing.assert_array_equal(measure.prepared(rung.conv, x, weights, pack)().shape, wanted.shape)
        np.testing.assert_array_equal(x, given[0])
        np.testing.assert_array_equal(weights, given[1])
        taken += 1
    assert taken >= 3


def test_every_file_is_a_rung_of_the_list():
    helpers = {"__init__", "__main__", "measure", "roofline"}
    assert {path.stem for path in (ROOT / "examples" / "ladder").glob("*.py")} == {*ladder.RUNGS, *helpers}


def test_every_rung_says_what_limits_it_and_what_it_takes():
    for name in ladder.RUNGS:
        text = importlib.import_module(name).__doc__
        idea, _, rest = text.partition(": ")
        assert idea == ladder.title(name)
        assert rest.partition("\n")[0].endswith(".")
        assert "\nWhat limits it: " in rest


@pytest.mark.parametrize("fault", [np.nan, 1e-3])
def test_wrong_outputs_are_refused(fault):
    x, weights = measure.task(3, 4, 4, 4)
    wanted = measure.expected(x, weights)

    def almost(x, weights, out):
        out[:] = wanted
        out[1, 2, 3] += fault * abs(wanted).max()

    with pytest.raises(AssertionError, match="wrong by"):
        measure.checked(almost, x, weights, wanted)


def test_unwritten_outputs_are_refused():
    x, weights = measure.task(3, 4, 4, 4)
    with pytest.raises(AssertionError, match="wrong by nan"):
        measure.checked(lambda x, weights, out: None, x, weights, measure.expected(x, weights))


@pytest.mark.slow
def test_all_rungs_are_timed_and_shown(monkeypatch, tmp_path):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(ladder, "torch", None)
    results, others = ladder.climb(*measure.task(4, 5, 4, WIDTH), rounds=1)
    assert [r.name for r in results] == ladder.RUNGS
    assert all(r.speed > 0 for r in results)
    assert [r.name for r in others] == ["`Conv2D`"]
    found = roofline.bandwidths(seconds=0.01)
    assert min(found.values()) > 0
    for others in ([], [ladder.Result("PyTorch", "a version", 1e-6, 1e11)]):
        text = ladder.table(results, others, 2e11, found)
        assert [f"`{name}.py`" in text for name in ladder.RUNGS] == [True] * len(ladder.RUNGS)
        assert len(text.splitlines()) == 4 + len(results) + len(others)
        ladder.draw(results, others, 2e11, tmp_path / "ladder.png")
        assert (tmp_path / "ladder.png").stat().st_size > 10_000
    roofline.draw([(r.name, r.speed) for r in results], 2e11, found, tmp_path / "roofline.png")
    assert (tmp_path / "roofline.png").stat().st_size > 10_000

    page = tmp_path / "page.md"
    page.write_text("before\n<!-- ladder: begin -->\nold\n<!-- ladder: end -->\nafter\n", encoding="utf-8")
    ladder.publish("new \\1", page)
    assert page.read_text(encoding="utf-8") == (
        "before\n<!-- ladder: begin -->\nnew \\1\n<!-- ladder: end -->\nafter\n"
    )
    page.write_text("no marks\n", encoding="utf-8")
    with pytest.raises(ValueError, match="marks"):
        ladder.publish("new", page)


def test_operations_are_counted_for_each_byte():
    assert {*roofline.MOVES} == {*ladder.RUNGS} - {"matrix_product"}
    assert roofline.intensity("plain_loops") == 2 / 8
    assert roofline.intensity("unrolled_block") == 32 / 48


def test_pytorch_computes_the_same(monkeypatch):
    pytest.importorskip("torch")
    # What it is beside is compiled by other tests.
    monkeypatch.setattr(ladder, "RUNGS", [])
    x, weights = measure.task(5, 6, 4, WIDTH)
    _, (_, peer) = ladder.climb(x, weights, rounds=1)
    assert (peer.name, peer.speed > 0, peer.error < 2e-6) == ("PyTorch", True, True)


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [["examples/ladder/strips_and_packed_weights.py"], ["-m", "examples.ladder.strips_and_packed_weights"]],
    ids=["file", "module"],
)
def test_a_rung_runs_by_itself(arguments):
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    idea, error, speed = done.stdout.splitlines()
    assert idea.startswith("Strips and packed weights: ")
    assert error.startswith("error ")
    assert "GFLOP/s" in speed


def test_published_page_shows_every_rung():
    page = (ROOT / "docs" / "ladder.md").read_text(encoding="utf-8")
    for number, name in enumerate(ladder.RUNGS, 1):
        assert page.count(f"| {number} | `{name}.py` |") == 1


def test_exercises_know_which_rung_their_solution_is():
    rungs = {name.partition("_")[2]: exercise.rung for name, exercise in EXERCISES.items() if exercise.rung}
    assert rungs == {name: ladder.RUNGS.index(name) + 1 for name in rungs}
    assert len(rungs) == 4
