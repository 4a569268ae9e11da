"""The hunt for slow shapes: its draws, its checks, its climbs and its arithmetic. Times are invented."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from layer_cases import SIGNATURES

from numbaconv import layers

sys.path.insert(0, str(Path(__file__).parents[2] / "asv_bench"))

import hunt_draws
import hunt_report
from hunt_report import Outcome
from processor import without_avx512


def outcome(ratio, name="f0", **fields):
    return Outcome(name, "Dense", "Dense()", ratio * 1e-3, 1e-3, "contiguous", **fields)


def test_a_seed_stands_for_one_case():
    drawn = [hunt_draws.of_seed(seed) for seed in range(40)]
    assert drawn == [hunt_draws.of_name(draw.name) for draw in drawn]
    assert len(set(map(str, drawn))) == 40


def test_all_operations_are_drawn():
    assert {hunt_draws.kind_of_seed(seed) for seed in range(600)} == set(hunt_draws.KINDS)
    assert set(SIGNATURES) < set(hunt_draws.KINDS)


def test_neighbours_are_repeated_by_their_names():
    draw = hunt_draws.of_seed(next(s for s in range(600) if hunt_draws.kind_of_seed(s) == "Conv2D"))
    found = list(hunt_draws.neighbours(draw))
    assert len(found) > 5
    assert found == [hunt_draws.of_name(one.name) for one in found]
    assert {one.words["data_format"] for one in found} == set(hunt_draws.FORMATS)
    with pytest.raises(ValueError, match="no step"):
        hunt_draws.of_name(f"{draw.name}+taps*2")


def test_quantiles():
    ratios = [0.5] * 89 + [1.2] * 10 + [3.0]
    assert [hunt_report.quantile(ratios, share) for share in (0.5, 0.89, 0.9, 0.99, 1)] == [0.5, 0.5, 1.2, 1.2, 3.0]
    (row,) = hunt_report.distribution([outcome(ratio) for ratio in ratios])
    assert row == "forward | 100 | 0.50 | 1.20 | 1.20 | 3.00 | 11.0% | 1.0% | 1.0% |"


def test_a_report_tells_apart_what_does_not_count(tmp_path):
    short = Outcome("f1", "Dense", "", 9e-6, 3e-6)
    found = [outcome(1.5), outcome(4.0, "b2"), short, outcome(9.0, "f3", climbed=True)]
    found += [outcome(1.0, "f4", fault="refused, so", refused=True), outcome(1.0, "f5", fault="wrong by 1")]
    text = hunt_report.report(found)
    assert "| forward | 1 | 1.50 " in text
    assert "| forward and backward | 1 | 4.00 " in text
    for line in ("1 where PyTorch takes less than 20 us: median 3.00", "1 that PyTorch cannot do", "1 WRONG"):
        assert line in text
    for run in ("one thread", "8 threads"):
        hunt_report.save(tmp_path / "hunt.json", run, found)
    runs = hunt_report.load(tmp_path / "hunt.json")
    assert runs == {"one thread": found, "8 threads": found}
    assert hunt_report.table(runs).count("\n") == 5


def test_without_avx512():
    assert "+avx512" not in without_avx512()["NUMBA_CPU_FEATURES"]


@pytest.fixture(scope="module")
def hunt():
    pytest.importorskip("torch")
    import hunt

    return hunt


def timer(calls):
    return {name: 2e-3 if name == "ours" else 1e-3 for name in calls}


def test_a_spoilt_result_is_found(hunt, monkeypatch):
    numbers = {"batch": (2,), "lengths": (30,), "channels": (8,), "before": (1,), "after": (2,)}
    draw = hunt_draws.Draw("Cropping1D", numbers, {"dtype": "float32"}, "7")

    def fault(backward=False):
        return hunt.measure(draw, backward, timer).fault

    good = Outcome("f7", "Cropping1D", str(draw), 2e-3, 1e-3, "contiguous")
    assert hunt.measure(draw, False, timer) == good
    assert not fault(backward=True)
    call = layers.Cropping1D.call
    for spoil in (lambda out: out * np.float32(1.001), lambda out: np.where(out > 2, np.nan, out), lambda out: out[:1]):
        monkeypatch.setattr(layers.Cropping1D, "call", lambda self, x, spoil=spoil: spoil(call(self, x)))
        assert fault().startswith("wrong by")
    left_out = iter(np.float32([1, 2]))
    monkeypatch.setattr(layers.Cropping1D, "call", lambda self, x: call(self, x) * next(left_out))
    assert fault() == "not the same result twice"
    monkeypatch.undo()
    monkeypatch.setattr(layers.Cropping1D, "_backward", lambda self, kept, g, i: (np.ones(draw.shape, g.dtype), {}))
    assert fault(backward=True).startswith("wrong by")


def test_a_wrong_result_makes_the_exit_code(hunt, monkeypatch, capsys):
    faults = iter(("", "wrong by 1"))
    monkeypatch.setattr(hunt.Apart, "measure", lambda self, case, backward: outcome(1.0, fault=next(faults)))
    monkeypatch.setattr(hunt, "restart", lambda *settings: None)
    monkeypatch.setattr(sys, "argv", ["hunt.py", "--forward", "1", "--backward", "0"])
    assert hunt.main() == 0
    assert hunt.main() == 1
    assert "1 WRONG" in capsys.readouterr().out


@pytest.mark.parametrize("crashes", [True, False])
def test_a_hunt_goes_on_after_a_crash(hunt, monkeypatch, crashes):
    numbers = {"batch": (2,), "lengths": (30,), "channels": (8,), "before": (1,), "after": (2,)}
    draw = hunt_draws.Draw("Cropping1D", numbers, {"dtype": "float32"}, "7")
    apart = hunt.Apart(timer)
    # What each function of the other process becomes: `os._exit` ends it as a crash does.
    dies = {hunt.measure: True, hunt.run_peers: crashes}
    ask = hunt.Apart._ask
    monkeypatch.setattr(
        hunt.Apart, "_ask", lambda self, f, *a: ask(self, os._exit, 1) if dies[f] else ask(self, abs, 1)
    )
    found = apart.measure(draw, True)
    assert (found.name, found.refused) == ("b7", crashes)
    assert found.fault == ("refused, PyTorch crashes" if crashes else "the process died")
    assert ask(apart, abs, -3) == 3
    apart.close()


def test_climbing_finds_a_planted_cliff(hunt):
    def measured(case):
        units, rows = case.numbers["units"][0], case.numbers["batch"][0]
        return outcome(9.0 if units >= 1000 and rows == 16 else 1 + units / 999, case.name)

    numbers = {"batch": (32,), "lengths": (), "channels": (1024,), "units": (100,)}
    start = hunt_draws.Draw("Dense", numbers, {"dtype": "float32"}, "7")
    found = list(hunt.climb(start, 1.1, measured))
    worst = next(one for one in found if one.ratio == 9)
    assert sorted(worst.name.split("+")[1:]) == ["batch/2", *["units*2"] * 4]
    assert len(found) == len({one.name for one in found}) < 50


@pytest.mark.slow
@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("kind", hunt_draws.KINDS)
def test_every_kind_agrees_with_torch(hunt, kind, backward):
    for seed in (0, 10**6):
        (seed,) = hunt.seeds(1, seed, kind)
        found = hunt.measure(hunt_draws.of_seed(seed), backward, timer)
        assert found.refused or not found.fault
