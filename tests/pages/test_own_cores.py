"""What is measured while threads share a core is measured again."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "asv_bench"))
import own_cores


@pytest.fixture
def cores(monkeypatch):
    monkeypatch.setattr(own_cores.Cores, "_seconds", lambda cores, tasks: 1.0)
    monkeypatch.setattr(own_cores.time, "sleep", lambda seconds: None)
    return own_cores.Cores()


def test_a_measurement_between_two_good_moments_counts(cores):
    # Put off, disturbed at its end, and good.
    cores.own = iter([False, True, False, True, True]).__next__
    assert cores.measure(iter("abc").__next__) == "b"
    assert cores.told().startswith("Of 1 measurements 2 ")


def test_a_machine_that_has_no_good_moments_is_measured_all_the_same(cores):
    cores._seconds = lambda tasks: float(tasks)
    cores._threads = 2
    assert cores.measure(lambda: "found") == "found"
    assert cores.again == own_cores.TRIES
    # What it has is what the next measurements expect.
    assert cores.own()
