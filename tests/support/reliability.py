"""The situations in which the package has to hold, and the report of what the tests measured in them.

A pytest plugin. ``@pytest.mark.situation("bounds")`` says what a test measures. With ``--reliability-report=PATH`` the
run ends by writing ``docs/reliability.md`` to PATH with its table made anew. Figures come from ``record_property``: of
the same name, integers are added up over the tests, of other numbers the largest counts, and texts are listed.
"""

import platform
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

from numbaconv.machine.vectors import VECTOR_BYTES

# From this number of skipped tests on, they are not even counted one by one.
MANY = 500
PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
MARKS = "<!-- measured: begin -->\n", "<!-- measured: end -->"
# Each situation and what is promised there. Other names are refused.
SITUATIONS = {
    "8 threads at once": "right results from the very first call, no abort; under omp, tbb and workqueue",
    "one layer shared by 8 threads": "right results, though unbuilt at the start and given different shapes",
    "fork after a kernel ran": "the child computes right results and does not hang",
    "spawn, nested, dask, joblib": "right results in new processes, inside parallel programs, under dask and joblib",
    "folders unwritable or disk full": "works, uncached, with one warning",
    "sources edited or package changed": "old machine code never runs",
    "8 processes at once, empty cache": "right results, and the cache intact afterwards",
    "damaged cache files": "compiled anew, right results",
    "Ctrl-C": "KeyboardInterrupt within one kernel call; the process goes on working",
    "threading layers and thread counts": "the same bits whatever layer runs and however many threads",
    "NUMBA_DISABLE_JIT": "a clear message that points to `reference`, which works",
    "NaN, Inf, denormals, -0.0": "what the direct formula says; padding is 0 times nothing, not 0 times Inf",
    "arrays of every kind": "right result or a clear error; the input never changed",
    "more than 2^31 elements": "right, or MemoryError before anything is computed",
    "save interrupted": "the old file is whole; the new one appears complete or not at all",
    "damaged or hostile files": "a clear error, nothing executed, the model unchanged",
    "malformed keras.json": "one warning, defaults",
    "arbitrary arguments": "ValueError, TypeError, MemoryError or a right result",
    "bounds": "no kernel reads or writes outside its arrays",
    "leaks": "memory, file descriptors and threads stay level",
    "soak": "no wrong result in random calls from threads and processes",
}


@dataclass
class Measured:
    """What the tests of one situation came to."""

    outcomes: dict[str, str] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)

    def add(self, report: pytest.TestReport) -> None:
        """One of a test's three phases: its call decides, unless another phase fails or skips it."""
        if report.when == "call" or not report.passed:
            self.outcomes[report.nodeid] = report.outcome
        if report.when == "call" and report.passed:
            for name, value in report.user_properties:
                self.figures[name] = _joined(self.figures[name], value) if name in self.figures else value

    def count(self, outcome: str) -> int:
        return list(self.outcomes.values()).count(outcome)

    def row(self, situation: str, promise: str) -> str:
        passed, failed, skipped = map(self.count, ("passed", "failed", "skipped"))
        outcome = f"**fails in {failed}**" if failed else "holds" if passed else "not measured"
        figures = [f"{name}: {_written(value)}" for name, value in self.figures.items()]
        if skipped:
            figures.append(f"tests skipped: {skipped}")
        return f"| {situation} | {promise} | {passed + failed} | {outcome} | {', '.join(figures)} |"


def _joined(old: Any, new: Any) -> Any:
    """Two values of a figure as one."""
    if isinstance(old, int) and isinstance(new, int):
        return old + new
    if isinstance(old, int | float) and isinstance(new, int | float):
        return max(old, new)
    parts = str(old).split("; ")
    return "; ".join(parts if str(new) in parts else [*parts, str(new)])


def _written(value: Any) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _environment(profile: str, slow: bool) -> str:
    try:
        layer = numba.threading_layer()
    except ValueError:
        layer = "not started"
    return (
        f"Measured with Python {platform.python_version()}, NumPy {np.__version__} and Numba {numba.__version__} on "
        f"{platform.system()}, {platform.machine()}, {numba.config.NUMBA_NUM_THREADS} cores, vectors of "
        f"{VECTOR_BYTES * 8} bits, threading layer {layer}; hypothesis profile {profile}, slow tests "
        f"{'included' if slow else 'left out'}."
    )


def render(page: str, measured: dict[str, Measured], environment: str) -> str:
    """The page with a new table between its marks."""
    begin, end = MARKS
    if page.count(begin) != 1 or page.count(end) != 1:
        raise ValueError("the page must have the marks of the table once")
    rows = [measured.get(name, Measured()).row(name, promise) for name, promise in SITUATIONS.items()]
    head = ["| situation | promise | tests | outcome | figures |", "| --- | --- | ---: | --- | --- |"]
    table = "\n".join([environment, "", *head, *rows])
    return re.sub(rf"(?s){begin}.*{end}", lambda _: f"{begin}{table}\n{end}", page)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("reliability")
    group.addoption("--slow", action="store_true", help="run the tests that take long, and double precision, too")
    group.addoption("--double", action="store_true", help="run the tests of double precision, too")
    group.addoption("--reliability-report", type=Path, metavar="PATH", help="write docs/reliability.md anew to PATH")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--reliability-report"):
        if getattr(config.option, "numprocesses", None):
            raise pytest.UsageError("--reliability-report counts tests of one process: leave -n out")
        config.pluginmanager.register(Reporter(config), "reliability reporter")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what takes long; in a large run leave it out, as skipping takes a millisecond or two."""
    if config.getoption("--slow"):
        return
    doubles, skipped = config.getoption("--double"), set()
    for item in items:
        marks = {mark.name for mark in item.iter_markers()}
        if not marks.isdisjoint(("slow", "nightly")):
            skipped.add(item)
            item.add_marker(pytest.mark.skip(reason="takes long; run with --slow"))
        elif "double" in marks and not doubles:
            skipped.add(item)
            item.add_marker(pytest.mark.skip(reason="double precision; run with --double or --slow"))
    if len(skipped) > MANY and not config.getoption("--reliability-report"):
        config.hook.pytest_deselected(items=list(skipped))
        items[:] = [item for item in items if item not in skipped]


class Reporter:
    """Gathers the outcomes of marked tests and writes the page when all have run."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.situations: dict[str, set[str]] = {}
        self.measured = {name: Measured() for name in SITUATIONS}

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for item in session.items:
            self.situations[item.nodeid] = {name for mark in item.iter_markers("situation") for name in mark.args}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for name in self.situations[report.nodeid]:
            self.measured[name].add(report)

    def pytest_sessionfinish(self) -> None:
        profile = self.config.getoption("--hypothesis-profile") or "default"
        environment = _environment(profile, self.config.getoption("--slow"))
        page = render(PAGE.read_text(encoding="utf-8"), self.measured, environment)
        self.config.getoption("--reliability-report").write_text(page, encoding="utf-8")
