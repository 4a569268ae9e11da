"""How a call gets faster with the number of cores: measured on those of this machine, simulated for more.

    python asv_bench/scaling.py             # prints the table
    python asv_bench/scaling.py --publish   # and writes it into docs/benchmarks.md, with its chart

Simulated is what needs no other machine: layers are planned for 8 to 64 threads, and the tasks that Numba would deal
out to each of them run here, thread after thread, by themselves, again and again on data that the caches hold. A
parallel loop takes as long as its busiest thread, and starting it as long as measured here with two threads, plus
`WAKING` for each further one. What cores have in common is not simulated: an L3 cache whose bandwidth they share,
memory, and a clock that falls when all of them work.

Efficiency is the time that one core takes, divided by cores times the time that they take together.
"""

import argparse
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numba
import numpy as np
from numba import prange
from paste import ROOT, publish
from spinning import go_first

from numbaconv import layers
from numbaconv.kernels.conv import conv, conv_at
from numbaconv.kernels.records import Epilogue
from numbaconv.kernels.table import TASKS, WORK
from numbaconv.kernels.winograd.products import conv_winograd, run_tasks, spread_patches, spread_tasks
from numbaconv.kernels.winograd.table import SHARES
from numbaconv.kernels.winograd.trust import Limits, Trust
from numbaconv.machine import threads
from numbaconv.machine.compiler import ParallelKernel, compiled

CHART = ROOT / "docs" / "scaling.png"
CORES = (8, 16, 32, 64)
# Seconds that waking one more thread takes, and hearing of its end: two cache lines that go from core to core.
WAKING = 0.15e-6
GROUPS = ("3x3, stride 1", "other dense")


class Launch(NamedTuple):
    """A kernel that a call has started."""

    kernel: Any
    arguments: tuple
    serial: bool


class Row(NamedTuple):
    """A case: seconds on one core, and the simulated efficiency for each number of cores."""

    name: str
    alone: float
    efficiencies: dict[int, float]


@compiled(parallel=True)
def winograd_at(x, weights, epilogue, limits, out, doubtful, tile_shape, plans, chosen):
    """`conv_winograd`, but only its tasks from the first of ``chosen`` to before the second."""
    for _ in prange(1):
        run = chosen[0], chosen[1]
        run_tasks(run, x, weights, Epilogue(*epilogue), Trust(doubtful, Limits(*limits)), out, tile_shape, plans)


@compiled(parallel=True)
def spread_at(x, values, limits, doubtful, plans, chosen):
    """`spread_patches`, but only these tasks."""
    for _ in prange(1):
        spread_tasks((chosen[0], chosen[1]), x, values, Trust(doubtful, Limits(*limits)), plans)


@compiled(parallel=True)
def nothing(out):
    """A parallel loop of as many tasks as ``out`` is long, which do next to nothing."""
    for task in prange(len(out)):
        out[task] = 1


def dealt_out(tasks: int, cores: int) -> list[range]:
    """The tasks of each thread, as Numba's ``prange`` deals them out: runs that differ by one task at most."""
    few, longer = divmod(tasks, cores)
    ends = [few * i + min(i, longer) for i in range(cores + 1)]
    return [range(first, end) for first, end in pairwise(ends)]


def efficiency(alone: float, loops: list[list[float]], cores: int, start: float) -> float:
    """That of so many cores: ``loops`` has the seconds of each thread in every parallel loop of a call."""
    starting = start + WAKING * max(0, cores - 2)
    return alone / (cores * sum(max(loop) + (starting if len(loop) > 1 else 0) for loop in loops))


def geometric_mean(values: list[float]) -> float:
    return math.exp(statistics.fmean(map(math.log, values)))


def launches(layer: Any, x: np.ndarray, cores: int) -> list[Launch]:
    """What a call of the layer starts where so many threads run."""
    found: list[Launch] = []
    run, count = ParallelKernel.__call__, threads.count

    def note(kernel: Any, *arguments: Any, serial: bool = False) -> None:
        found.append(Launch(kernel, arguments, serial))
        run(kernel, *arguments, serial=serial)

    try:
        ParallelKernel.__call__, threads.count = note, lambda: cores  # type: ignore[method-assign]
        layer(x)
    finally:
        ParallelKernel.__call__, threads.count = run, count  # type: ignore[method-assign]
    return found


def of_threads(launch: Launch, cores: int) -> list[Callable[[], Any]]:
    """For each thread, what it does of a launch."""
    kernel, arguments, serial = launch
    if serial:
        return [lambda: kernel(*arguments, serial=True)]
    if kernel is conv:
        runs = [np.arange(run.start, run.stop) for run in dealt_out(arguments[-1][WORK, TASKS], cores)]
        return [lambda run=run: conv_at(*arguments, run, serial=True) for run in runs if len(run)]
    tasks = int(arguments[-1][:, WORK, TASKS].sum())
    if kernel is spread_patches:
        at, runs = spread_at, [np.array([run.start, run.stop]) for run in dealt_out(tasks, cores)]
    else:
        assert kernel is conv_winograd
        count = min(arguments[-1][0, WORK, SHARES], tasks)
        ends = np.arange(count + 1) * tasks // count
        at, runs = winograd_at, [ends[i : i + 2].copy() for i in range(count)]
    return [lambda run=run: at(*arguments, run, serial=True) for run in runs if run[0] < run[1]]


def seconds(call: Callable[[], Any], least: float, clock: Callable[[], float] = time.thread_time) -> float:
    """The shortest time of a call, which is repeated for so many seconds, and a few times at least.

    Of this thread alone, unless by another clock: what else the machine does takes time from the longer calls.
    """
    call()
    best, end, rounds = math.inf, time.perf_counter() + least, 0
    while rounds < 5 or time.perf_counter() < end:
        start = clock()
        call()
        best, rounds = min(best, clock() - start), rounds + 1
    return best


def starting() -> float:
    """Seconds from the start of a parallel loop of two threads to its end, where another one has just ended."""
    out = np.zeros(2, np.int64)
    calls = [lambda serial=serial: nothing(out, serial=serial) for serial in (True, False)]
    alone, together = (seconds(call, 0.2, time.perf_counter) for call in calls)
    return together - alone


def starting_undisturbed() -> float:
    """`starting` in a process that goes before all others."""
    command = [sys.executable, __file__, "--start"]
    environment = {**os.environ, "NUMBA_NUM_THREADS": "2"}
    return float(subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout)


def simulate(name: str, layer: Any, shape: tuple[int, ...], cores: tuple[int, ...], start: float, least: float) -> Row:
    """One case; each measurement takes ``least`` seconds."""
    x = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    # Weights are packed at the first call.
    layer(x)
    whole = [call for launch in launches(layer, x, 1) for call in of_threads(launch, 1)]
    alone, busy = math.inf, {}
    # One core once more before each other number: the machine itself has slow and fast phases.
    for count in cores:
        alone = min(alone, sum(seconds(call, 20 * least) for call in whole))
        busy[count] = [
            [seconds(call, least) for call in of_threads(launch, count)] for launch in launches(layer, x, count)
        ]
    found = {count: efficiency(alone, loops, count, start) for count, loops in busy.items()}
    return Row(name, alone, found)


def measure(rounds: int) -> dict[str, dict[int, float]]:
    """The measured efficiency of 1, 2, 4 and so on to all cores, of the layers and of PyTorch."""
    import torch
    from in_torch import in_torch
    from peers import interleaved

    cores = sorted(
        {2**i for i in range(numba.config.NUMBA_NUM_THREADS.bit_length())} | {numba.config.NUMBA_NUM_THREADS}
    )
    ratios: dict[str, dict[int, list[float]]] = {name: {n: [] for n in cores} for name in ("numbaconv", "PyTorch")}
    for _, layer, shape in dense_cases():
        x = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
        layer.build(x.shape)
        peer, alone = in_torch(layer, x, True), {}
        for count in cores:
            numba.set_num_threads(count)
            torch.set_num_threads(count)
            with torch.inference_mode():
                times = interleaved({"numbaconv": lambda layer=layer, x=x: layer(x), "PyTorch": peer}, rounds)
            alone = alone or times
            for name, taken in times.items():
                ratios[name][count].append(alone[name] / (count * taken))
    return {name: {n: geometric_mean(found) for n, found in of.items()} for name, of in ratios.items()}


def dense_cases() -> list[tuple[str, layers.Layer, tuple[int, ...]]]:
    """Name, layer and shape of those of one image."""
    from peer_cases import cases

    return [(c.name, c.layer, c.shape) for c in cases() if c.group in GROUPS and c.shape[0] == 1]


def table(rows: list[Row], batch: list[Row], measured: dict[str, dict[int, float]], start: float) -> str:
    """The results as Markdown."""
    counts = list(rows[0].efficiencies)
    real = [f"{name} {value:.2f} on {n} cores" for name, of in measured.items() for n, value in of.items() if n > 1]
    lines = [
        f"Efficiency, simulated: the time of one core divided by cores times the time of so many. Starting a parallel "
        f"loop takes {start * 1e6:.1f} us on two threads, and {WAKING * 1e6:.2f} us for each further one.",
        *([f"Measured here, geometric mean of the same layers: {', '.join(real)}."] if real else []),
        "",
        f"| one image | ms on one core | {' | '.join(f'{n} cores' for n in counts)} |",
        f"| --- | ---: |{' ---: |' * len(counts)}",
        *(_line(row.name, f"{row.alone * 1e3:.3f}", row.efficiencies, counts) for row in rows),
        _line("**geometric mean**", "", means(rows), counts),
    ]
    if batch:
        lines.append(_line("**32 images, geometric mean**", "", means(batch), counts))
    return "\n".join(lines)


def _line(name: str, time: str, values: dict[int, float], counts: list[int]) -> str:
    return f"| {name} | {time} | {' | '.join(f'{values[n]:.2f}' if n in values else '' for n in counts)} |"


def means(rows: list[Row]) -> dict[int, float]:
    """The geometric mean of all cases for each number of cores."""
    return {n: geometric_mean([row.efficiencies[n] for row in rows]) for n in rows[0].efficiencies}


def draw(rows: list[Row], batch: list[Row], measured: dict[str, dict[int, float]], path: Path) -> None:
    """How many times as fast as one core, against the number of cores."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 5), layout="constrained")
    every = [1, *rows[0].efficiencies]
    axes.plot(every, every, color="black", linewidth=0.8, label="as many times as fast as there are cores")
    for row in rows:
        axes.plot(
            every, [1, *(n * e for n, e in row.efficiencies.items())], color="tab:blue", alpha=0.25, linewidth=0.8
        )
    for label, of, colour in (("one image", rows, "tab:blue"), ("32 images", batch, "tab:green")):
        if of:
            speeds = [1, *(n * e for n, e in means(of).items())]
            axes.plot([1, *of[0].efficiencies], speeds, "o-", color=colour, label=f"{label}, simulated")
    for (name, of), mark in zip(measured.items(), "sx", strict=False):
        axes.plot(list(of), [n * e for n, e in of.items()], mark, color="tab:red", label=f"{name}, measured")
    axes.set(xscale="log", yscale="log", xlabel="cores", ylabel="times as fast as one core")
    axes.set_xticks(every, [str(n) for n in every])
    axes.set_yticks(every, [str(n) for n in every])
    axes.minorticks_off()
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--publish", action="store_true", help="write the table and the chart into docs/benchmarks.md")
    parser.add_argument("--seconds", type=float, default=0.002, help="that each thread's tasks are repeated for")
    parser.add_argument("--rounds", type=int, default=21, help="measurements beside PyTorch; 0 for none")
    parser.add_argument("--batch", action="store_true", help="simulate 32 images on 32 cores, too, which takes longer")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--start", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.start:
        go_first()
        print(starting())
        return
    start = starting_undisturbed()
    rows, batch = [], []
    for name, layer, shape in dense_cases():
        if options.only not in name:
            continue
        layer.build(shape)
        rows.append(simulate(name, layer, shape, CORES, start, options.seconds))
        if options.batch:
            batch.append(simulate(name, layer, (32, *shape[1:]), (32,), start, options.seconds))
        print(_line(*rows[-1][:1], f"{rows[-1].alone * 1e3:.3f}", rows[-1].efficiencies, list(CORES)), flush=True)
    measured = measure(options.rounds) if options.rounds else {}
    text = table(rows, batch, measured, start)
    print(f"\n{text}")
    if options.publish:
        draw(rows, batch, measured, CHART)
        publish(f"{text}\n\n![How many times as fast](scaling.png)", "scaling")


if __name__ == "__main__":
    main()
