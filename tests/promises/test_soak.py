"""The soak: with ``--slow`` for 10 seconds, in the nightly profile for an hour; and that it finds faults."""

import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soak

ROOT = Path(__file__).parents[2]
SUPPORT = ROOT / "tests" / "support"
STARTS = ["fork", "spawn"] if sys.platform == "linux" else ["spawn"]


def run_soak(*arguments):
    command = [sys.executable, str(SUPPORT / "soak.py"), *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.situation("soak")
def test_no_wrong_result(pytestconfig, record_property):
    nightly = pytestconfig.getoption("--hypothesis-profile") == "nightly"
    seconds = 3600 if nightly else 10
    done = run_soak("--seconds", seconds, "--start", *STARTS)
    assert done.returncode == 0, done.stdout + done.stderr
    record_property("calls", int(re.search(r"(\d+) calls", done.stdout)[1]))
    record_property("seconds", seconds)


def test_examples_are_of_all_kinds():
    examples = [soak.draw(seed) for seed in range(400)]
    assert soak.draw(3) == soak.draw(3)
    kinds = {(e.case.operation, e.case.rank, e.dtype) for e in examples}
    assert len(kinds) == 8 * 3 * 2
    assert {True, False} == {e.by_layer for e in examples} == {e.with_gradients for e in examples}


@pytest.mark.slow
def test_a_seed_is_replayed():
    done = run_soak("--replay", 5)
    assert done.returncode == 0, done.stderr
    assert "soak 5" in done.stdout


def test_a_wrong_value_is_found(monkeypatch):
    right = soak.cases.run

    def wrong(case, *arguments, **settings):
        out = right(case, *arguments, **settings)
        out.flat[-1:] += 1
        return out

    monkeypatch.setattr(soak.cases, "run", wrong)
    monkeypatch.setattr(soak, "_has_layer", lambda *_: False)
    outcome = soak.work(0, 0, time.time() + 60, 2)
    assert re.match(r"seed \d+: AssertionError: off by", outcome.failures[0])


def test_other_bits_are_found(monkeypatch):
    """Within the tolerance, but not the same in both threads."""
    first = threading.get_ident
    monkeypatch.setattr(soak, "COMMON", 1)
    monkeypatch.setattr(soak, "results", lambda seed: [np.array([first() if seed == 0 else 0])])
    outcome = soak.work(0, 0, time.time() + 60, 2)
    assert outcome.failures[0] == "seed 0: AssertionError: other bits than before"


def test_other_bits_of_another_process_are_found(monkeypatch):
    outcomes = [soak.Outcome(1, {7: "one"}, []), soak.Outcome(1, {7: "another"}, [])]
    monkeypatch.setattr(soak, "play_round", lambda *_: outcomes)
    assert soak.soak(60, 0, 1, []) == (2, ["seed 7: other bits than in another process"])


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize(("work", "said"), [("os._exit(3)", "died with 3"), ("time.sleep(60)", "hangs")])
def test_processes_that_fail_are_found(work, said):
    code = f"""
import os, time
import soak
soak.GRACE_SECONDS = 2
here = os.getpid()
soak.work = lambda *_: soak.Outcome(1, {{}}, []) if os.getpid() == here else {work}
print(soak.play_round(0, 0, 0.1, 1, ["fork"])[1].failures)
"""
    paths = os.pathsep.join([str(ROOT), str(SUPPORT)])
    command, environment = [sys.executable, "-c", code], {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert f"a process started by fork {said}" in done.stdout, done.stderr
