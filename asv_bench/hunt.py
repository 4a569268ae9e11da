"""Hunt for slow shapes: random layers on random inputs, each checked against PyTorch, then timed beside it.

    python -m pip install -e ".[peers,examples]"
    python asv_bench/hunt.py --forward 300 --backward 150 --threads one
    python asv_bench/hunt.py --case f1234                  # one case, by the name that stands before it
    python asv_bench/hunt.py --only Pooling --climb        # and from the worst cases on to worse ones
    python asv_bench/hunt.py --publish --json hunt.json    # writes the table into docs/benchmarks.md, with its picture

Every ratio is our time over PyTorch's, in the faster of its two memory formats, taken in turn in one process; with one
thread each it is processor time, so that other programs matter less.
"""

import argparse
import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from pathlib import Path
from typing import Any

import numba
import numpy as np
import torch
from hunt_draws import KINDS, Draw, kind_of_seed, neighbours, of_name, of_seed
from hunt_report import Outcome, draw, load, report, save, table
from in_torch import channels_are_last, has_formats, in_torch, in_torch_order, trained_in_torch
from paste import ROOT, publish
from peers import interleaved
from processor import add_option, restart

from numbaconv import layers as nl

PICTURE = ROOT / "docs" / "hunt.png"
# Largest error, as a share of the largest value; sums that nearly cancel out are judged by their float64 values.
TOLERANCE = {"float32": 2e-5, "float64": 1e-11}
# PyTorch takes the slope of a sixth from float32.
ROUNDED = ("hard_sigmoid", "hard_silu")
# PyTorch's memory formats.
FORMATS = ("contiguous", "channels last")
Calls = dict[str, Callable[[], Any]]
Timer = Callable[[Calls], dict[str, float]]


class Trial:
    """A case with its values: our call and PyTorch's, and their results in PyTorch's order."""

    def __init__(self, case: Draw, backward: bool) -> None:
        rng = np.random.default_rng(0)
        self.case, self.backward = case, backward
        self.x = rng.standard_normal(case.shape).astype(case.words["dtype"])
        self.layer: Any = case.layer()
        self.layer.build(self.x.shape)
        self.weights = [rng.standard_normal(w.shape).astype(w.dtype) for w in self.layer.weights]
        if isinstance(self.layer, nl.BatchNormalization):
            self.weights = [0.5 + np.abs(w) for w in self.weights]
        self.layer.set_weights(self.weights)
        self.grad_out = rng.standard_normal(self.layer.compute_output_shape(self.x.shape)).astype(self.x.dtype)

    def ours(self) -> Any:
        """Our call; each step of training packs its weights anew."""
        if not self.backward:
            return self.layer(self.x)
        self.layer.set_weights(self.weights)
        self.layer.forward(self.x)
        return [self.layer.backward(self.grad_out), *(g for g in self.layer.gradients if g is not None)]

    def in_order(self, result: Any) -> list[np.ndarray]:
        """What our call returned, in PyTorch's order of axes and results."""
        if self.backward:
            return in_torch_order(self.layer, result)
        return [np.moveaxis(result, -1, 1) if channels_are_last(self.layer) else result]

    def theirs(self) -> tuple[Calls, str]:
        """PyTorch's calls by memory format, those that it does not refuse; otherwise why it does."""
        tried = {name: self._their(name) for name in FORMATS[: 2 if has_formats(self.layer) else 1]}
        calls = {name: call for name, call in tried.items() if not isinstance(call, str)}
        return calls, "" if calls else str(tried[FORMATS[0]])

    def _their(self, layout: str) -> Callable[[], Any] | str:
        try:
            if self.backward:
                call: Any = trained_in_torch(self.layer, self.x, self.grad_out, layout == FORMATS[1])
            else:
                call = in_torch(self.layer, self.x, layout == FORMATS[1])
            call()
        except (RuntimeError, NotImplementedError) as error:
            return str(error).splitlines()[0][:100]
        return call

    def exact(self) -> list[np.ndarray] | None:
        """PyTorch's results in float64."""
        wider = Trial(self.case._replace(words={**self.case.words, "dtype": "float64"}), self.backward)
        wider.x, wider.grad_out = self.x.astype("f8"), self.grad_out.astype("f8")
        wider.layer.set_weights(self.weights)
        calls, _ = wider.theirs()
        return results(next(iter(calls.values()))()) if calls else None


def results(found: Any) -> list[np.ndarray]:
    """What a call of PyTorch's returned, as arrays."""
    return [one.detach().numpy() for one in (found if isinstance(found, list | tuple) else [found])]


def error_of(found: list[np.ndarray], right: list[np.ndarray]) -> float:
    """The largest error of all results, as a share of the largest value of its own; infinite for another shape."""
    errors = [0.0]
    for one, other in zip(found, right, strict=True):
        if one.shape != other.shape or one.dtype != other.dtype:
            return np.inf
        scale = max(float(np.abs(other).max()), np.finfo(other.dtype).tiny)
        errors.append(float(np.abs(one - other).max()) / scale)
    return float(np.max(errors))


def check(trial: Trial, right: list[np.ndarray]) -> str:
    """What is wrong with our result, if anything."""
    first = trial.in_order(trial.ours())
    # What is not written would show: the next result gets memory that holds NaN.
    first = [np.array(one) for one in first]
    poison = [np.full(one.shape, np.nan, one.dtype) for one in first]
    del poison
    second = trial.in_order(trial.ours())
    if not all(np.array_equal(a, b, equal_nan=True) for a, b in zip(first, second, strict=True)):
        return "not the same result twice"
    tolerance, error = TOLERANCE[trial.case.words["dtype"]], error_of(second, right)
    if trial.case.words.get("activation") in ROUNDED:
        tolerance = max(tolerance, 1e-7)
    if error <= tolerance:
        return ""
    exact = trial.exact() if tolerance > 1e-10 and np.isfinite(error) else None
    if exact is not None:
        ours, theirs = (error_of([one.astype("f8") for one in found], exact) for found in (second, right))
        if ours <= max(tolerance, 4 * theirs):
            return ""
    return f"wrong by {error:.1e} of the largest value"


def untold(case: Draw, backward: bool) -> Outcome:
    """A case of which only its name is known."""
    return Outcome(f"{'b' if backward else 'f'}{case.name}", case.kind, str(case))


def measure(case: Draw, backward: bool, timer: Timer) -> Outcome:
    """Check a case against PyTorch, and time both."""
    told = untold(case, backward)
    with torch.inference_mode(not backward):
        trial = Trial(case, backward)
        peers, refusal = trial.theirs()
        if not peers:
            return told._replace(fault=f"refused, {refusal}", refused=True)
        try:
            fault = check(trial, results(next(iter(peers.values()))()))
        except Exception as error:
            fault = f"{type(error).__name__}: {error}"
        if fault:
            return told._replace(fault=fault)
        try:
            times = timer({"ours": trial.ours, **peers})
        except RuntimeError as error:
            # PyTorch may refuse a second call as it does a first one.
            return told._replace(fault=f"refused, {str(error).splitlines()[0][:100]}", refused=True)
    layout = min(peers, key=lambda name: times[name])
    return told._replace(ours=times["ours"], peer=times[layout], layout=layout)


def run_peers(case: Draw, backward: bool) -> bool:
    """Call PyTorch alone, as often as a case that is checked and timed would at least."""
    with torch.inference_mode(not backward):
        for call in Trial(case, backward).theirs()[0].values():
            for _ in range(3):
                call()
    return True


class Apart:
    """Measures in another process, and in a new one after that died: PyTorch itself crashes on some cases."""

    def __init__(self, timer: Timer) -> None:
        self.timer = timer
        self._begin()

    def _begin(self) -> None:
        threads = (numba.get_num_threads(),)
        context = multiprocessing.get_context("spawn")
        self._process = ProcessPoolExecutor(1, context, initializer=torch.set_num_threads, initargs=threads)

    def _ask(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """What the function returns there; None where the process died of it."""
        try:
            return self._process.submit(function, *arguments).result()
        except BrokenProcessPool:
            self.close()
            self._begin()
            return None

    def close(self) -> None:
        """End the process."""
        self._process.shutdown()

    def measure(self, case: Draw, backward: bool) -> Outcome:
        """What `measure` finds; a case on which PyTorch alone crashes, too, counts as refused."""
        found: Outcome | None = self._ask(measure, case, backward, self.timer)
        if found is not None:
            return found
        crashes = self._ask(run_peers, case, backward) is None
        fault = "refused, PyTorch crashes" if crashes else "the process died"
        return untold(case, backward)._replace(fault=fault, refused=crashes)


def processor_time(calls: Calls) -> dict[str, float]:
    """Seconds of processor time of one thread; the least is what other programs disturbed least."""
    return interleaved(calls, 7, time.process_time, min, 1.5)


def all_cores(calls: Calls) -> dict[str, float]:
    """Seconds by the clock."""
    return interleaved(calls, 7, time.perf_counter, statistics.median, 1.5)


def climb(start: Draw, ratio: float, measured: Callable[[Draw], Outcome], steps: int = 6) -> Iterator[Outcome]:
    """From a bad case to its worst neighbour, and on from there, as long as it gets worse."""
    here, seen = start, {str(start)}
    for _ in range(steps):
        worst = ratio * 1.05
        for case in neighbours(here):
            if str(case) in seen:
                continue
            seen.add(str(case))
            found = measured(case)
            yield found
            if found.counts and found.ratio > worst:
                worst, here = found.ratio, case
        if worst == ratio * 1.05:
            return
        ratio = worst


def seeds(count: int, first: int, only: str) -> Iterator[int]:
    """As many seeds of cases whose kind contains this."""
    seed = first
    while count:
        if only.lower() in kind_of_seed(seed).lower():
            yield seed
            count -= 1
        seed += 1


def hunt(options: argparse.Namespace, measured: Callable[[Draw, bool], Outcome]) -> Iterator[Outcome]:
    """All cases that were asked for, as they are measured."""
    outcomes = []
    for count, backward in ((options.forward, False), (options.backward, True)):
        for seed in seeds(count, options.seed * 1_000_000, options.only):
            outcomes.append(measured(of_seed(seed), backward))
            yield outcomes[-1]
    if options.climb:
        for start in sorted((o for o in outcomes if o.counts), key=lambda o: -o.ratio)[: options.climb]:
            backward = start.name[0] == "b"
            for found in climb(of_name(start.name[1:]), start.ratio, lambda case, b=backward: measured(case, b)):
                yield found._replace(climbed=True)


def settings() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--forward", type=int, default=100, metavar="N", help="cases forward")
    parser.add_argument("--backward", type=int, default=50, metavar="N", help="cases forward and backward")
    parser.add_argument("--nightly", action="store_true", help="5,000 of both")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="another one draws other cases")
    parser.add_argument(
        "--only", default="", metavar="KIND", help=f"kinds whose name contains this: {', '.join(KINDS)}"
    )
    parser.add_argument("--case", metavar="NAME", help="repeat exactly this one, such as f1234 or b17+filters*2")
    parser.add_argument("--threads", choices=("one", "all"), default="one", help="of both; one counts processor time")
    parser.add_argument("--climb", type=int, nargs="?", const=10, default=0, metavar="N", help="from the N worst cases")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the results beside those of other runs")
    parser.add_argument("--publish", action="store_true", help="write all runs of the file into docs/benchmarks.md")
    add_option(parser)
    options = parser.parse_args()
    if options.publish and not options.json:
        parser.error("--publish needs the file of --json")
    if options.nightly:
        options.forward = options.backward = 5000
    return options


def main() -> int:
    options = settings()
    restart(options.avx2, options.threads == "one")
    with closing(Apart(processor_time if options.threads == "one" else all_cores)) as apart:
        return reported(options, apart)


def reported(options: argparse.Namespace, apart: Apart) -> int:
    """Measure and tell what was asked for: the exit code."""
    if options.case:
        found = apart.measure(of_name(options.case[1:]), options.case[0] == "b")
        print(found)
        return int(bool(found.fault) and not found.refused)
    run = "one thread" if options.threads == "one" else f"{numba.get_num_threads()} threads"
    run += ", AVX2" if options.avx2 else ""
    outcomes: list[Outcome] = []
    for outcome in hunt(options, apart.measure):
        outcomes.append(outcome)
        print(outcome, flush=True)
        if options.json:
            save(options.json, run, outcomes)
    print(f"\n{report(outcomes)}")
    if options.publish:
        runs = load(options.json)
        draw(runs, PICTURE)
        publish(f"{table(runs)}\n\n![Share of cases by ratio](hunt.png)", "hunt")
    return int(any(o.fault and not o.refused for o in outcomes))


if __name__ == "__main__":
    raise SystemExit(main())
