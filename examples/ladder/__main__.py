"""One convolution eight times, each time faster: climb the whole ladder, side by side with PyTorch.

    python -m examples.ladder               # checks and times every rung and prints the table
    python -m examples.ladder --publish     # and writes it into docs/ladder.md, with its charts

All rungs, a layer and PyTorch take turns in one process, so that the machine's ups and downs meet them alike. A rung by
itself runs as ``python examples/ladder/plain_loops.py``.
"""

import argparse
import importlib
import platform
import re
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import measure
import numba
import numpy as np
import roofline

from numbaconv.layers import Conv2D

try:
    import torch
except ImportError:
    torch = None

LAYER, PEER = "`Conv2D`", "PyTorch"
ROOT = Path(__file__).parents[2]
PAGE, CHART, ROOF = (ROOT / "docs" / name for name in ("ladder.md", "ladder.png", "roofline.png"))

RUNGS = [
    "plain_loops",
    "parallel_rows",
    "filters_innermost",
    "unrolled_block",
    "matrix_product",
    "register_tile",
    "strips_and_packed_weights",
    "winograd",
]


class Result(NamedTuple):
    name: str
    idea: str
    error: float
    speed: float


def in_torch(x: np.ndarray, weights: np.ndarray) -> Callable[[], Any]:
    """PyTorch's call for the same task, with the channels last in memory as here."""
    image, kernel = torch.from_numpy(x)[None].permute(0, 3, 1, 2), torch.from_numpy(weights).permute(3, 2, 0, 1)
    last = {"memory_format": torch.channels_last}
    image, kernel = image.contiguous(**last), kernel.contiguous(**last)
    return lambda: torch.nn.functional.conv2d(image, kernel, padding=1)


def climb(x: np.ndarray, weights: np.ndarray, rounds: int) -> tuple[list[Result], list[Result]]:
    """Check all rungs, then time them in turn; beside them a layer and, if it is installed, PyTorch."""
    wanted = measure.expected(x, weights)
    ideas, errors, calls = {}, {}, {}
    for name in RUNGS:
        rung = importlib.import_module(name)
        pack = getattr(rung, "pack", None)
        ideas[name] = (rung.__doc__ or "").partition("\n")[0]
        errors[name] = measure.checked(rung.conv, x, weights, wanted, pack)
        calls[name] = measure.prepared(rung.conv, x, weights, pack)
    layer, image = Conv2D(weights.shape[-1], 3, padding="same"), x[None]
    layer.build(image.shape)
    layer.set_weights([weights, np.zeros(weights.shape[-1])])
    calls[LAYER], ideas[LAYER] = lambda: layer(image), "the library's layer, called from Python, with a bias"
    errors[LAYER] = measure.check(LAYER, layer(image)[0], wanted)
    with torch.inference_mode() if torch else nullcontext():
        if torch:
            torch.set_num_threads(numba.get_num_threads())
            calls[PEER] = in_torch(x, weights)
            ideas[PEER] = f"{torch.__version__}, channels last"
            errors[PEER] = measure.check(PEER, calls[PEER]().numpy()[0].transpose(1, 2, 0), wanted)
        seconds = measure.interleaved(calls, rounds)
    work = measure.operations(x, weights)
    results = {name: Result(name, ideas[name], errors[name], work / s) for name, s in seconds.items()}
    return [results[name] for name in RUNGS], [results[name] for name in (LAYER, PEER) if name in results]


def title(name: str) -> str:
    return name.replace("_", " ").capitalize()


def table(results: list[Result], others: list[Result], peak: float, bandwidths: dict[str, float]) -> str:
    """The results as Markdown."""
    lines = [
        "A 3x3 convolution of a 56x56 image, 64 channels to 64 filters, float32, on "
        f"{numba.get_num_threads()} cores, {platform.machine()}, Python {platform.python_version()}, Numba "
        f"{numba.__version__}. The peak of {peak / 1e9:.0f} GFLOP/s is what the register tile reaches on data that "
        f"stay in the L1 cache, in the same run: at other times the processor's clock may be another. "
        f"{roofline.sentence(bandwidths)} Winograd's rung and the layer are counted as if they computed the direct "
        "sum. The error is the largest one as a share of the largest output.",
        "",
        "| | rung | idea | GFLOP/s | share of peak | times the rung before | error |",
        "| ---: | --- | --- | ---: | ---: | ---: | ---: |",
    ]
    before = None
    for number, r in enumerate(results, 1):
        gain = "" if before is None else f"{r.speed / before:.1f}"
        idea = r.idea.partition(": ")[2].rstrip(".")
        row = (
            str(number),
            f"`{r.name}.py`",
            idea,
            f"{r.speed / 1e9:.1f}",
            f"{r.speed / peak:.0%}",
            gain,
            f"{r.error:.1e}",
        )
        lines.append(f"| {' | '.join(row)} |")
        before = r.speed
    for r in others:
        row = "", r.name, r.idea, f"{r.speed / 1e9:.1f}", f"{r.speed / peak:.0%}", "", f"{r.error:.1e}"
        lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines)


def draw(results: list[Result], others: list[Result], peak: float, path: Path) -> None:
    """The speeds as a bar chart."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 4.6), layout="constrained")
    places, speeds = range(len(results)), [r.speed / 1e9 for r in results]
    least = min(1, min(speeds) / 2)
    axes.barh(places, speeds, color="#2a78b5", height=0.7)
    for place, speed in zip(places, speeds, strict=True):
        axes.text(1.1 * least, place, f"{speed:.3g}", va="center", color="white", fontweight="bold")
    lines = [(peak, "peak", "-"), *((r.speed, r.name, "--") for r in others if r.name == PEER)]
    for (speed, label, style), side in zip(sorted(lines), ("right", "left"), strict=False):
        axes.axvline(speed / 1e9, color="black", linewidth=1, linestyle=style)
        axes.text(speed / 1e9, -0.55, f" {label} {speed / 1e9:.0f} ", ha=side, va="bottom")
    axes.set_xscale("log")
    axes.set_xlim(least, 2.5 * max(speeds))
    axes.set_xticks([1, 10, 100, 1000], ["1", "10", "100", "1000"])
    axes.set_yticks(places, [f"{number}  {title(r.name)}" for number, r in enumerate(results, 1)])
    axes.set_ylim(len(results) - 0.5, -1)
    axes.set_xlabel("GFLOP/s of the direct sum (logarithmic)")
    axes.set_title("A 3x3 convolution, 56x56, 64 channels to 64 filters, float32", loc="left", fontweight="bold")
    axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def publish(text: str, page: Path = PAGE) -> None:
    """Put the table between its marks in the page."""
    marked = r"(<!-- ladder: begin -->\n).*?(<!-- ladder: end -->)"
    new, count = re.subn(marked, lambda m: f"{m[1]}{text}\n{m[2]}", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    if count != 1:
        raise ValueError(f"{page.name} must have the marks of the ladder once")
    page.write_text(new, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m examples.ladder", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--publish", action="store_true", help="write table and chart into docs/")
    parser.add_argument("--rounds", type=int, default=21, help="measurements of each rung")
    options = parser.parse_args()
    x, weights = measure.task()
    peak = measure.peak_flops()
    results, others = climb(x, weights, options.rounds)
    bandwidths = roofline.bandwidths()
    # The machine may have been slower before.
    peak = max(peak, measure.peak_flops())
    text = table(results, others, peak, bandwidths)
    print(text)
    if options.publish:
        draw(results, others, peak, CHART)
        roofline.draw([(r.name, r.speed) for r in results], peak, bandwidths, ROOF)
        publish(text)


if __name__ == "__main__":
    main()
