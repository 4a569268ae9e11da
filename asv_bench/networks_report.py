"""What `networks.py` found: as text, in the pages and as a picture."""

import json
import math
import platform
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from paste import ROOT, publish

OURS = "numbaconv"
TURNS = "`asv_bench/networks.py` gives each runtime a process of its own. All but one are stopped at any time."
COLOURS = {
    "ONNX Runtime": "tab:blue",
    "OpenVINO": "tab:purple",
    "Keras, TensorFlow": "tab:orange",
    "torchvision": "tab:red",
}


class Measured(NamedTuple):
    """A runtime on a network; seconds and MB."""

    network: str
    batch: int
    runtime: str
    threads: int
    # Median times of a call, in each block of calls.
    blocks: list[float]
    # Distance from the result of Keras in parts of the largest output; None for torchvision, whose weights are others.
    error: float | None
    # Of the process at most, and when all was imported.
    memory: float | None
    imported: float | None
    # Of import, load and first result, and of all together with the interpreter's own beginning.
    seconds: dict[str, float]
    # What conversion from the Keras file takes beforehand; None where there is none.
    converting: float | None

    @property
    def time(self) -> float:
        return statistics.median(self.blocks)


Value = Callable[[Measured], float | None]


def from_keras(one: Measured) -> float | None:
    """Seconds from the Keras file to the first result."""
    return None if one.converting is None else one.seconds["all"] + one.converting


def beyond(one: Measured) -> float | None:
    """MB that the process had at most, beyond those when all was imported."""
    return None if one.memory is None or one.imported is None else one.memory - one.imported


# Groups of the table: what they are called, which value they show, and how.
GROUPS: dict[str, tuple[Value, str]] = {
    "ms of a call": (lambda one: one.time * 1e3, ".1f"),
    "MB of memory, at most": (lambda one: one.memory, ".0f"),
    "MB of these after all was imported": (beyond, ".0f"),
    "s from start to first result, network converted": (lambda one: one.seconds["all"], ".2f"),
    "s from start to first result, from the Keras file": (from_keras, ".1f"),
}
ONCE = [group for group in GROUPS if group.startswith("s ")]


def ratio(values: dict[str, float]) -> float | None:
    """Ours divided by the least of the others'."""
    others = [value for runtime, value in values.items() if runtime != OURS]
    return values[OURS] / min(others) if OURS in values and others else None


def ratios(found: list[Measured], batch: int, value: Value) -> dict[str, float]:
    """Of each network at this batch."""
    return {
        network: one
        for network, members in by_network(found, batch).items()
        if (one := ratio(values_of(members, value))) is not None
    }


def by_network(found: list[Measured], batch: int) -> dict[str, list[Measured]]:
    members: dict[str, list[Measured]] = {}
    for one in found:
        if one.batch == batch:
            members.setdefault(one.network, []).append(one)
    return members


def values_of(members: list[Measured], value: Value) -> dict[str, float]:
    return {one.runtime: number for one in members if (number := value(one)) is not None}


def head(found: list[Measured]) -> str:
    threads = " or ".join("1 thread" if n == 1 else f"{n} threads" for n in dict.fromkeys(one.threads for one in found))
    errors = [one.error for one in found if one.error is not None]
    return (
        f"float32, {threads}, {platform.machine()}, Python {platform.python_version()}. "
        f"All results but torchvision's are within {max(errors, default=0):.0e} of the largest output of Keras."
    )


def report(found: list[Measured]) -> str:
    """All that was measured, as one Markdown table, with a group of rows for each kind of value and batch."""
    runtimes = list(dict.fromkeys(one.runtime for one in found))
    lines = [
        head(found),
        "",
        f"| | {' | '.join(runtimes)} | {OURS} / least of the others |",
        "| --- |" + " ---: |" * (len(runtimes) + 1),
    ]
    batches = list(dict.fromkeys(one.batch for one in found))
    for group, (value, form) in GROUPS.items():
        for batch in batches[:1] if group in ONCE else batches:
            known = ratios(found, batch, value)
            mean = f"**{statistics.geometric_mean(known.values()):.2f}** " if known else ""
            lines.append(f"| **{group}, batch {batch}** |{' |' * len(runtimes)} {mean}|")
            for network, members in by_network(found, batch).items():
                values = values_of(members, value)
                cells = [f"{values[runtime]:{form}}" if runtime in values else "" for runtime in runtimes]
                last = f"{known[network]:.2f}" if network in known else ""
                lines.append(f"| {network} | {' | '.join(cells)} | {last} |")
    return "\n".join(lines)


def short(found: list[Measured]) -> str:
    """In a few lines: our times beside the fastest of the others."""
    batches = list(dict.fromkeys(one.batch for one in found))
    value = GROUPS["ms of a call"][0]
    known = {batch: ratios(found, batch, value) for batch in batches}
    lines = [
        "Time of a whole network divided by that of the fastest of ONNX Runtime, OpenVINO, Keras on TensorFlow (as a "
        f"graph with constants) and torchvision (frozen, channels last), {head(found)}",
        "",
        "| |" + "".join(f" batch {batch} | ms | fastest of the others |" for batch in batches),
        "| --- |" + " ---: | ---: | --- |" * len(batches),
    ]
    for network in dict.fromkeys(one.network for one in found):
        cells = ""
        for batch in batches:
            values = values_of(by_network(found, batch).get(network, []), value)
            if network in known[batch]:
                fastest = min((name for name in values if name != OURS), key=lambda name: values[name])
                cells += f" {known[batch][network]:.2f} | {values[OURS]:.1f} | {fastest} |"
            else:
                cells += " | | |"
        lines.append(f"| {network} |{cells}")
    means = "".join(
        f" **{statistics.geometric_mean(one.values()):.2f}** | | |" if one else " | | |" for one in known.values()
    )
    return "\n".join([*lines, f"| **geometric mean** |{means}"])


def draw(found: list[Measured], path: Path) -> None:
    """Times beside the fastest of the others, one point for each runtime."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    batches = list(dict.fromkeys(one.batch for one in found))
    networks = list(dict.fromkeys(one.network for one in found))
    size = (4.5 * len(batches) + 2, 0.4 * len(networks) + 1.6)
    figure, panels = plt.subplots(1, len(batches), figsize=size, layout="constrained", sharey=True, squeeze=False)
    for axes, batch in zip(panels[0], batches, strict=True):
        for network, members in by_network(found, batch).items():
            place = networks.index(network)
            values = values_of(members, lambda one: one.time)
            fastest = min((value for name, value in values.items() if name != OURS), default=math.nan)
            axes.plot([0.2, 5], [place, place], color="0.9", linewidth=1, zorder=0)
            for name, value in values.items():
                style = (
                    {"color": "black", "marker": "D", "s": 55} if name == OURS else {"color": COLOURS[name], "s": 30}
                )
                axes.scatter(value / fastest, place, label=name, **style)
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}" if value >= 1 else f"1/{1 / value:g}")
        largest = max([2.0, *(point[0] for dots in axes.collections for point in np.asarray(dots.get_offsets()))])
        axes.set_xlim(1 / 2.5, 1.15 * largest)
        axes.axvline(1, color="black", linewidth=1)
        axes.set_title(f"batch {batch}", fontsize=10)
        axes.set_xlabel("time / fastest of the others")
        axes.spines[["top", "right"]].set_visible(False)
    panels[0][0].set_yticks(range(len(networks)), networks)
    panels[0][0].invert_yaxis()
    handles = {label: dot for dot, label in zip(*panels[0][0].get_legend_handles_labels(), strict=True)}
    order = [name for name in (OURS, *COLOURS) if name in handles]
    panels[0][-1].legend(
        [handles[name] for name in order], order, fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.01, 1)
    )
    figure.suptitle("numbaconv beside other runtimes (further left is faster)", x=0.01, ha="left", fontweight="bold")
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def write(found: list[Measured]) -> None:
    """Put the tables into the page on benchmarks, the chart beside it, and one sentence into the README."""
    draw(found, ROOT / "docs" / "networks.png")
    picture = "![Time of each runtime beside the fastest of the others](networks.png)"
    _, _, everything = report(found).partition("\n\n")
    parts = ["## Whole networks", TURNS, short(found), picture, "All that was measured:", everything]
    publish("\n\n".join(parts), "networks")


def load(path: Path) -> list[Measured]:
    """What a run has put into a file."""
    return [Measured(**one) for one in json.loads(path.read_text("utf-8"))]
