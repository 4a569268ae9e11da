"""Every benchmark works: once each, in one process, where asv starts one for each set of parameters."""

from itertools import product
from pathlib import Path

import pytest

discovery = pytest.importorskip("asv_runner.discovery")
BENCHMARKS = str(Path(__file__).parents[2] / "asv_bench" / "benchmarks")
# What asv calls quick.
ONCE = {"number": 1, "repeat": 1, "warmup_time": 0, "rounds": 1}


@pytest.mark.slow
def test_every_benchmark_works():
    ran = 0
    discovery.update_sys_path(BENCHMARKS)
    for found in discovery.disc_benchmarks(BENCHMARKS):
        for number, _ in enumerate(product(*found.params)):
            benchmark = discovery.get_benchmark_from_name(BENCHMARKS, f"{found.name}-{number}", extra_params=ONCE)
            benchmark.do_setup_cache()
            assert not benchmark.do_setup()
            assert benchmark.do_run()
            benchmark.do_teardown()
            ran += 1
    assert ran
