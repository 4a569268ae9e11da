"""Compare the layers with PyTorch, case by case: check the results, then time both side by side.

    python -m pip install -e ".[peers,examples]"
    python asv_bench/peers.py               # prints the table
    python asv_bench/peers.py --publish     # and writes it into docs/benchmarks.md and, in short, the README

Each ratio is our median time over PyTorch's, in the faster of its two memory formats, from one run in one process, the
contestants in turn: absolute times drift on a shared machine, ratios much less.
"""

import argparse
import math
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numba
import numpy as np
import torch
from in_torch import in_torch
from own_cores import cores
from paste import ROOT, publish
from peer_cases import Case, cases, dense_flops
from processor import add_option, restart

from numbaconv.machine.peak import peak_flops

CHART = ROOT / "docs" / "peers.png"


class Result(NamedTuple):
    case: Case
    ours: float
    peer: float
    layout: str
    share: float | None

    @property
    def ratio(self) -> float:
        return self.ours / self.peer


def interleaved(
    calls: dict[str, Callable[[], Any]],
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
    pick: Callable[[list[float]], float] = statistics.median,
    budget: float = math.inf,
) -> dict[str, float]:
    """Seconds of each call, the median of the rounds, the calls taken in turn; fewer rounds if they took too long.

    By the clock, a round is taken again if threads shared a core.
    """
    repeats, longest = {}, 0.0
    for name, call in calls.items():
        call()
        start = clock()
        call()
        once = clock() - start
        repeats[name] = max(1, min(200, int(0.004 / max(once, 1e-6))))
        longest += 2 * max(once, 0.004)

    def turn() -> dict[str, float]:
        times = {}
        for name, call in calls.items():
            # The other's idle threads still spin for a while; the first call is theirs.
            time.sleep(0.002)
            call()
            start = clock()
            for _ in range(repeats[name]):
                call()
            times[name] = (clock() - start) / repeats[name]
        return times

    count = min(rounds, max(3, int(budget / longest))) if budget < math.inf else rounds
    turns = [cores().measure(turn) if clock is time.perf_counter else turn() for _ in range(count)]
    return {name: pick([times[name] for times in turns]) for name in calls}


def measure(case: Case, rounds: int, peak: float) -> Result:
    """Check one case against PyTorch and time it."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal(case.shape, dtype=np.float32)
    layer = case.layer
    layer.build(x.shape)
    layer.set_weights([rng.standard_normal(w.shape, dtype=np.float32) for w in layer.weights])
    peers = {name: in_torch(layer, x, name == "channels last") for name in ("contiguous", "channels last")}
    expected = peers["contiguous"]().numpy()
    if layer.data_format == "channels_last":
        expected = np.moveaxis(expected, 1, -1)
    out = layer(x)
    error = float(np.abs(out - expected).max() / np.abs(expected).max())
    if out.shape != expected.shape or not error < 2e-5:
        raise AssertionError(f"{case.group}, {case.name}: wrong by {error:.1e} of the largest output")
    times = interleaved({"ours": lambda: layer(x), **peers}, rounds)
    layout = min(peers, key=lambda name: times[name])
    flops = dense_flops(case)
    share = None if flops is None else flops / times["ours"] / peak
    return Result(case, times["ours"], times[layout], layout, share)


def geometric_mean(ratios: list[float]) -> float:
    return math.exp(statistics.fmean(map(math.log, ratios)))


def table(results: list[Result], peak: float) -> str:
    """The results as Markdown."""
    lines = [
        f"Time of a layer call divided by PyTorch's ({torch.__version__}, faster of its two memory formats), float32, "
        f"{numba.get_num_threads()} cores, {platform.machine()}, Python {platform.python_version()}. Below 1 is faster "
        f"than PyTorch. The share of peak counts the operations of the direct sum against {peak / 1e9:.0f} GFLOP/s, "
        "which the same tile reaches on registers alone; Winograd's convolution needs fewer and can exceed it.",
        "",
        "| | time / PyTorch's | ms | share of peak |",
        "| --- | ---: | ---: | ---: |",
    ]
    groups: dict[str, list[Result]] = {}
    for result in results:
        groups.setdefault(result.case.group, []).append(result)
    for group, members in groups.items():
        lines.append(f"| **{group}** | **{geometric_mean([r.ratio for r in members]):.2f}** | | |")
        for r in members:
            share = "" if r.share is None else f"{r.share:.0%}"
            lines.append(f"| {r.case.name} | {r.ratio:.2f} | {r.ours * 1e3:.3f} | {share} |")
    lines.append(f"| **geometric mean of all** | **{geometric_mean([r.ratio for r in results]):.2f}** | | |")
    return "\n".join(lines)


def draw(results: list[Result], path: Path) -> None:
    """The ratios as a bar chart."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    groups = list(dict.fromkeys(r.case.group for r in results))
    colours = dict(zip(groups, plt.get_cmap("tab10").colors, strict=False))  # type: ignore[attr-defined]
    figure, axes = plt.subplots(figsize=(9, 0.27 * len(results) + 1.4), layout="constrained")
    places = range(len(results))
    axes.barh(places, [r.ratio for r in results], color=[colours[r.case.group] for r in results], height=0.75)
    backing = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
    for place, r in zip(places, results, strict=True):
        axes.text(r.ratio + 0.015, place, f"{r.ratio:.2f}", va="center", fontsize=8, bbox=backing)
    axes.set_yticks(places, [r.case.name for r in results], fontsize=8)
    axes.invert_yaxis()
    axes.margins(y=0.01)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xlabel("time divided by PyTorch's (shorter is faster; the line is PyTorch)")
    axes.set_title("numbaconv beside PyTorch", loc="left", fontweight="bold")
    axes.spines[["top", "right"]].set_visible(False)
    handles = [plt.Rectangle((0, 0), 1, 1, color=colours[g]) for g in groups]
    axes.legend(handles, groups, fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.01, 1))
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--publish", action="store_true", help="write the table and the chart into the pages")
    parser.add_argument("--rounds", type=int, default=21, help="measurements of each call")
    parser.add_argument("--only", default="", help="cases whose group or name contains this")
    add_option(parser)
    options = parser.parse_args()
    restart(options.avx2)
    torch.set_num_threads(numba.get_num_threads())
    peak = peak_flops()
    with torch.inference_mode():
        chosen = [c for c in cases() if options.only in f"{c.group} {c.name}"]
        results = []
        for case in chosen:
            results.append(measure(case, options.rounds, peak))
            r = results[-1]
            share = "" if r.share is None else f"{r.share:6.0%} of peak"
            print(
                f"{case.group:14} {case.name:34} {r.ratio:5.2f}  {r.ours * 1e3:8.3f} ms  {share:16} {r.layout}",
                flush=True,
            )
    text = table(results, peak)
    print(f"\ngeometric mean {geometric_mean([r.ratio for r in results]):.2f}. {cores().told()}")
    if options.publish:
        draw(results, CHART)
        publish(f"{text}\n\n![Ratios as a bar chart](peers.png)", "peers")


if __name__ == "__main__":
    main()
