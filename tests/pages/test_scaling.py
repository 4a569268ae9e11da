"""The arithmetic of the simulation of many cores, and that the tasks of all threads together are the whole call."""

import sys
from pathlib import Path

import numpy as np
import pytest

from numbaconv import layers

sys.path.insert(0, str(Path(__file__).parents[2] / "asv_bench"))
import scaling


@pytest.mark.parametrize("tasks", [0, 1, 7, 8, 9, 64, 100])
@pytest.mark.parametrize("cores", [1, 2, 8, 12])
def test_tasks_are_dealt_out_in_runs(tasks, cores):
    runs = scaling.dealt_out(tasks, cores)
    assert [task for run in runs for task in run] == list(range(tasks))
    assert len(runs) == cores
    lengths = [len(run) for run in runs]
    assert max(lengths) - min(lengths) <= 1
    assert lengths == sorted(lengths, reverse=True)


def test_efficiency():
    # Two loops on four cores: 3 and 1 s, and 0.5 s to start each; one core took 16 s.
    loops = [[3.0, 2.0, 1.0, 3.0], [1.0, 1.0]]
    waking = 2 * scaling.WAKING
    assert scaling.efficiency(16, loops, 4, 0.5 - waking) == pytest.approx(16 / (4 * (3 + 1 + 2 * 0.5)))
    # What a single thread does needs no start.
    assert scaling.efficiency(16, [[4.0]], 4, 0.5) == 1


def test_means_and_table():
    rows = [scaling.Row("one", 1e-3, {8: 0.5, 16: 0.4}), scaling.Row("two", 2e-3, {8: 0.98, 16: 0.1})]
    assert scaling.means(rows) == pytest.approx({8: 0.7, 16: 0.2})
    batch = [scaling.Row("one", 1.0, {16: 0.9})]
    measured = {"numbaconv": {1: 1.0, 2: 0.95}, "PyTorch": {1: 1.0, 2: 0.85}}
    text = scaling.table(rows, batch, measured, 1.5e-6)
    assert "| one | 1.000 | 0.50 | 0.40 |" in text
    assert "| **geometric mean** |  | 0.70 | 0.20 |" in text
    assert "| **32 images, geometric mean** |  |  | 0.90 |" in text
    assert "numbaconv 0.95 on 2 cores, PyTorch 0.85 on 2 cores" in text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "filters", "size"),
    [((1, 14, 14, 256), 256, 3), ((1, 30, 30, 20), 40, 3), ((2, 9, 9, 8), 20, 1)],
    ids=["Winograd, transformed beforehand", "Winograd", "direct"],
)
def test_the_tasks_of_all_threads_are_the_whole_call(shape, filters, size, recut):
    recut({"serial_work": 0})
    layer, x = layers.Conv2D(filters, size), np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    usual = layer(x)
    started = scaling.launches(layer, x, 8)
    # No other argument is as large.
    (out,) = (a for a in started[-1].arguments if isinstance(a, np.ndarray) and a.size == usual.size)
    out.fill(np.nan)
    for launch in started:
        calls = scaling.of_threads(launch, 8)
        assert 1 < len(calls) <= 8
        for call in calls:
            call()
    assert out.tobytes() == usual.tobytes()
