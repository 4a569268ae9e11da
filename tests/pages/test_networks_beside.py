"""The comparison of whole networks: its arithmetic, its tables, and that its processes work. Times are invented."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "asv_bench"))

import networks_profile
import networks_report
from networks_profile import Part
from networks_report import Measured

BENCH = Path(networks_report.__file__).parent


def measured(runtime, time, network="A", batch=1, converting=0.0, **fields):
    seconds = {"import": 1.0, "load": 0.5, "first": 0.5, "all": 2.5}
    blocks, error = [2 * time, time, time / 2], 1e-6
    return Measured(network, batch, runtime, 2, blocks, error, 100.0, 40.0, seconds, converting)._replace(**fields)


FOUND = [
    measured("numbaconv", 1e-3),
    measured("ONNX Runtime", 2e-3, converting=10.0),
    measured("torchvision", 4e-3, error=None, converting=None),
    measured("numbaconv", 4e-3, "B"),
    measured("ONNX Runtime", 2e-3, "B", converting=10.0),
    measured("numbaconv", 8e-3, batch=8),
    measured("ONNX Runtime", 4e-3, batch=8, memory=None),
]


def test_ratios_are_those_to_the_least_of_the_others():
    def time(one):
        return one.time

    assert networks_report.ratios(FOUND, 1, time) == {"A": 0.5, "B": 2.0}
    assert networks_report.ratios(FOUND, 8, time) == {"A": 2.0}
    assert networks_report.ratios(FOUND[1:3], 1, time) == {}
    assert networks_report.ratios(FOUND, 1, networks_report.from_keras) == {"A": 2.5 / 12.5, "B": 2.5 / 12.5}
    assert networks_report.beyond(FOUND[0]) == 60


def test_tables():
    rows = networks_report.report(FOUND).splitlines()
    for row in (
        "| | numbaconv | ONNX Runtime | torchvision | numbaconv / least of the others |",
        "| **ms of a call, batch 1** | | | | **1.00** |",
        "| A | 1.0 | 2.0 | 4.0 | 0.50 |",
        "| B | 4.0 | 2.0 |  | 2.00 |",
        "| **MB of memory, at most, batch 8** | | | | |",
        "| A | 2.5 | 12.5 |  | 0.20 |",
    ):
        assert row in rows
    short = networks_report.short(FOUND).splitlines()
    assert "| A | 0.50 | 1.0 | ONNX Runtime | 2.00 | 8.0 | ONNX Runtime |" in short
    assert "| B | 2.00 | 4.0 | ONNX Runtime | | | |" in short
    assert "| **geometric mean** | **1.00** | | | **2.00** | | |" in short


def test_results_are_kept_and_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    kept = tmp_path / "results.json"
    kept.write_text(json.dumps([one._asdict() for one in FOUND]))
    assert networks_report.load(kept) == FOUND
    networks_report.draw(FOUND, tmp_path / "networks.png")
    assert (tmp_path / "networks.png").stat().st_size > 10_000


def test_a_profile_puts_equal_shapes_beside_each_other():
    shape = "3x3/1x1 to 8x8, 4 to 4"
    ours = [Part("convolution", shape, 1e-3), Part("convolution", shape, 2e-3), Part("ReLU", "", 1e-3)]
    rows = [line.split() for line in networks_profile.report(ours, [Part("convolution", shape, 2e-3)]).splitlines()]
    assert ["convolution", "3.00", "ms", "2", "2.00", "ms", "1", "1.50"] in rows
    assert ["convolution", *shape.split(), "3.00", "ms", "2", "2.00", "ms", "1", "1.50"] in rows
    assert ["ReLU", "1.00", "ms", "1"] in rows
    assert ["all", "4.00", "ms", "2.00", "ms", "2.00"] in rows


@pytest.mark.slow
def test_a_small_network_in_all_runtimes_that_are_there(tmp_path):
    pytest.importorskip("keras")
    words = ["--networks", "tiny", "--quick", "--threads", "1", "--batch", "2", "--folder", tmp_path]
    subprocess.run([sys.executable, BENCH / "networks.py", *words], check=True, stdout=subprocess.DEVNULL)
    (kept,) = tmp_path.glob("results-*.json")
    found = networks_report.load(kept)
    assert {"numbaconv", "Keras, TensorFlow"} <= {one.runtime for one in found}
    for one in found:
        assert (one.network, one.batch, one.threads) == ("tiny", 2, 1)
        assert one.time > 0 and one.error < 1e-4 and one.memory > one.imported > 0
    if "OpenVINO" in {one.runtime for one in found}:
        command = [sys.executable, BENCH / "networks.py", "--profile", "tiny", "--threads", "1", "--folder", tmp_path]
        text = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        assert "convolution 3x3/1x1 to 16x16, 3 to 8" in text
