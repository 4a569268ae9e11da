"""The distribution that `hunt.py` found: as text, in a file, in the pages and as a picture."""

import json
import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

# Calls that take PyTorch less are mostly overhead, and are told apart.
SHORTEST = 20e-6


class Outcome(NamedTuple):
    """What became of a case, times in seconds; ``fault`` says what is wrong, or why PyTorch refuses it."""

    name: str
    kind: str
    text: str
    ours: float = 0.0
    peer: float = 0.0
    layout: str = ""
    fault: str = ""
    refused: bool = False
    climbed: bool = False

    @property
    def ratio(self) -> float:
        return self.ours / self.peer if self.peer else 0.0

    @property
    def counts(self) -> bool:
        """Whether it is part of the distribution."""
        return self.peer >= SHORTEST and not self.fault and not self.climbed

    def __str__(self) -> str:
        if self.fault:
            return f"{self.name:8} {self.fault}: {self.text}"
        return f"{self.name:8} {self.ratio:6.2f}  {self.ours * 1e3:9.3f} ms  {self.layout:13}  {self.text}"


def quantile(ratios: Iterable[float], share: float) -> float:
    """The smallest ratio that this share of all do not exceed."""
    return float(np.quantile(list(ratios), share, method="inverted_cdf"))


def ways(outcomes: list[Outcome]) -> dict[str, list[Outcome]]:
    """Those that are part of the distribution, forward and backward apart."""
    names = {"f": "forward", "b": "forward and backward"}
    found = {way: [o for o in outcomes if o.name[0] == letter and o.counts] for letter, way in names.items()}
    return {way: members for way, members in found.items() if members}


def distribution(outcomes: list[Outcome]) -> list[str]:
    """Rows of a Markdown table, one for each way."""
    rows = []
    for way, members in ways(outcomes).items():
        ratios = [o.ratio for o in members]
        quantiles = " | ".join(f"{quantile(ratios, share):.2f}" for share in (0.5, 0.9, 0.99, 1))
        above = " | ".join(f"{sum(r > limit for r in ratios) / len(ratios):.1%}" for limit in (1, 1.5, 2))
        rows.append(f"{way} | {len(ratios)} | {quantiles} | {above} |")
    return rows


HEAD = ["| cases | median | 90% | 99% | largest | above 1 | above 1.5 | above 2 |", "| ---: " * 8 + "|"]


def report(outcomes: list[Outcome], worst: int = 20) -> str:
    """All that is to be said of a run."""
    lines = [f"| {HEAD[0]}", f"| --- {HEAD[1]}", *(f"| {row}" for row in distribution(outcomes))]
    for way, members in ways(outcomes).items():
        lines += ["", f"Medians, {way}:"]
        kinds: dict[str, list[float]] = {}
        for one in members:
            kinds.setdefault(one.kind, []).append(one.ratio)
        for kind, ratios in sorted(kinds.items(), key=lambda item: -statistics.median(item[1])):
            lines.append(f"{kind:24} {statistics.median(ratios):6.2f}  largest {max(ratios):6.2f}  of {len(ratios)}")
        lines += ["", f"The worst, {way}:", *map(str, sorted(members, key=lambda o: -o.ratio)[:worst])]
    short = [o for o in outcomes if 0 < o.peer < SHORTEST and not o.fault]
    if short:
        median = statistics.median(o.ratio for o in short)
        lines += ["", f"{len(short)} where PyTorch takes less than {SHORTEST * 1e6:.0f} us: median {median:.2f}"]
    refused = [o for o in outcomes if o.refused]
    if refused:
        lines += ["", f"{len(refused)} that PyTorch cannot do, for example {refused[0]}"]
    wrong = [o for o in outcomes if o.fault and not o.refused]
    if wrong:
        lines += ["", f"{len(wrong)} WRONG:", *map(str, wrong)]
    return "\n".join(lines)


def save(path: Path, run: str, outcomes: list[Outcome]) -> None:
    """Put a run into a file beside the others there."""
    runs = json.loads(path.read_text("utf-8")) if path.exists() else {}
    runs[run] = [o._asdict() for o in outcomes]
    path.write_text(json.dumps(runs, indent=1), "utf-8")


def load(path: Path) -> dict[str, list[Outcome]]:
    """All runs of a file."""
    runs = json.loads(path.read_text("utf-8"))
    return {run: [Outcome(**one) for one in outcomes] for run, outcomes in runs.items()}


def table(runs: dict[str, list[Outcome]]) -> str:
    """All runs as one Markdown table."""
    rows = [f"| {run}, {row}" for run, outcomes in runs.items() for row in distribution(outcomes)]
    return "\n".join([f"| {HEAD[0]}", f"| --- {HEAD[1]}", *rows])


def draw(runs: dict[str, list[Outcome]], path: Path) -> None:
    """Share of the cases by ratio, a line for each run and way."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 4.5), layout="constrained")
    for run, outcomes in runs.items():
        for way, members in ways(outcomes).items():
            axes.ecdf([o.ratio for o in members], label=f"{run}, {way} ({len(members)} cases)")
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}" if value >= 1 else f"1/{1 / value:g}")
    axes.axvline(1, color="black", linewidth=1)
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.grid(alpha=0.3)
    axes.set_xlabel("time divided by PyTorch's (further left is faster; the line is PyTorch)")
    axes.set_ylabel("share of the cases up to there")
    axes.set_title("numbaconv beside PyTorch on random shapes of all operations", loc="left", fontweight="bold")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8, frameon=False, loc="upper left")
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=130)
    plt.close(figure)
