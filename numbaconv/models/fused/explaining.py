"""What the program of `predict` does, as a table: a row for each stage."""

from collections.abc import Sequence
from math import prod
from os import PathLike
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from ...calls.bands import BandsCall
from ...calls.scaling import ScaleCall
from ...calls.separable import SeparableCall
from ...calls.transposed import OverlapCall, ScatterCall, TransposedCall
from ...calls.winograd import WinogradCall
from ...common.tables import text_lines
from ...objects.tuples import NamedTuple
from . import bars
from .rules import KERNELS, channels_last
from .running import Arena, Runner, Turn

# Runs whose fastest time of each stage is shown.
RUNS = 20
_ALGORITHMS = {
    WinogradCall: ("conv_winograd", "Winograd"),
    ScatterCall: ("scatter", "scattering"),
    OverlapCall: ("add_up", "products added up"),
    TransposedCall: ("conv", "direct, by phases"),
    BandsCall: ("separable_conv", "direct, in bands of rows"),
    SeparableCall: ("separable_conv", "direct, in one pass"),
    ScaleCall: ("scale_rows", ""),
}
_HEAD = ("Layers", "Kernel", "Algorithm", "Output shape", "Multiplications", "Bytes", "Microseconds")


class StageReport(NamedTuple):
    """What one stage of a program does.

    Attributes
    ----------
    layers : tuple of str
        Names of what became one stage, in order.
    kernel, algorithm : str
        What runs; empty where the layers themselves do.
    output_shape : tuple of int
    multiplications : int
        Of the sums over windows, each tap and channel counted, whatever the algorithm saves.
    bytes : int
        Of inputs, weights and result.
    seconds : float or None
        The shortest time of several runs; None if none was asked for.
    """

    layers: tuple[str, ...]
    kernel: str
    algorithm: str
    output_shape: tuple[int, ...]
    multiplications: int
    bytes: int
    seconds: float | None


class ProgramReport(tuple[StageReport, ...]):
    """The stages of a program in order; as a string, a table."""

    def __str__(self) -> str:
        work, moved = sum(row.multiplications for row in self), sum(row.bytes for row in self)
        seconds = sum(row.seconds or 0.0 for row in self)
        rows = [_HEAD, *map(_cells, self), ("Total", "", "", "", *_numbers(work, moved, seconds))]
        columns = len(_HEAD) if seconds else len(_HEAD) - 1
        lines = text_lines([row[:columns] for row in rows], numbers=range(4, columns))
        rule = "-" * max(map(len, lines))
        return "\n".join((lines[0], rule, *lines[1:-1], rule, lines[-1]))

    __repr__ = __str__

    def plot(self, to_file: str | PathLike[str] = "program.svg") -> None:
        """Draw a bar for each stage: its time where that was measured, its multiplications otherwise.

        Parameters
        ----------
        to_file : path-like
            An .svg file needs nothing else; .png, .pdf and what else Matplotlib writes need that.

        Raises
        ------
        ModuleNotFoundError
            If a format needs Matplotlib, and it is not installed.
        """
        picture = bars.bars_of(self)
        if Path(to_file).suffix.lower() == ".svg":
            Path(to_file).write_text(bars.svg(picture), "utf-8")
        else:
            bars.draw(picture, to_file)


def explained(runner: Runner, inputs: Sequence[np.ndarray], measure: bool) -> ProgramReport:
    """The report of a runner; with ``measure``, each stage is timed on these inputs."""
    times: list[Any] = [None] * len(runner.turns)
    if measure:
        arena, clock = Arena(), [0.0]
        runs = []
        for _ in range(RUNS):
            clock[:] = [perf_counter()]
            runner.run(inputs, arena, lambda: clock.append(perf_counter()))
            runs.append(np.diff(clock))
        times = [float(seconds) for seconds in np.min(runs, axis=0)]
    size = runner.dtype.itemsize
    # Those for some images are told as one.
    rows: dict[int, list[tuple[Turn, Any]]] = {}
    for turn, seconds in zip(runner.turns, times, strict=True):
        if turn.stage.parts:
            rows.setdefault(id(turn.stage), []).append((turn, seconds))
    return ProgramReport(_report(row, runner.shapes, size) for row in rows.values())


def _report(row: list[tuple[Turn, Any]], shapes: dict[int, Any], itemsize: int) -> StageReport:
    turn, count = row[0][0], len(row)
    seconds = None if row[0][1] is None else sum(seconds for _, seconds in row)
    stage, (*outer, images) = turn.stage, shapes[turn.outputs[0]][::-1]
    shape = (count * images, *outer[::-1])
    values = sum(prod(shapes[slot]) for slot in {*turn.inputs, *turn.outputs})
    work, weights = 0, 0
    if stage.kind in KERNELS:
        work, weights = _counted(stage, shapes)
    kernel, algorithm = _named(turn)
    names = tuple(part.name for part in stage.parts if part.name)
    moved = (count * values + weights) * itemsize
    return StageReport(names, kernel, algorithm, shape, count * work, moved, seconds)


def _counted(stage: Any, shapes: dict[int, Any]) -> tuple[int, int]:
    """Multiplications of a stage with a kernel, and its weights."""
    if stage.widening is not None:
        both = _counted(stage.widening, shapes), _counted(stage._replace(widening=None), shapes)
        return both[0][0] + both[1][0], both[0][1] + both[1][1]
    layer, shape = stage.layers[0], shapes[stage.output]
    held = dict(layer._weights)
    if stage.before is not None:
        held |= stage.before.layers[0]._weights
    kernels = {name: weight for name, weight in held.items() if name.endswith("kernel")}
    # Each value of a kernel is a factor once at each position: of the result, or of what is spread over it.
    positions = prod(shape[:-1] if channels_last(stage) else (shape[0], *shape[2:]))
    if stage.kind == "transposed":
        positions = prod(shapes[stage.inputs[0]]) // kernels["kernel"].shape[-1]
    return positions * sum(w.size for w in kernels.values()), sum(w.size for w in held.values())


def _named(turn: Turn) -> tuple[str, str]:
    """The kernel of a stage, and the algorithm."""
    call = turn.call
    if isinstance(call, SeparableCall) and call.arguments is None:
        return "depthwise_conv, conv", "in two passes"
    if type(call) in _ALGORITHMS:
        return _ALGORITHMS[type(call)]
    if turn.stage.kind == "function":
        return "apply" if turn.place is not None else "", getattr(call, "__name__", "")
    kernel = getattr(call, "kernel", None)
    return getattr(kernel, "__name__", ""), "direct" if turn.stage.kind in KERNELS else ""


def _cells(row: StageReport) -> tuple[str, ...]:
    numbers = _numbers(row.multiplications, row.bytes, row.seconds or 0.0)
    return " + ".join(row.layers), row.kernel, row.algorithm, str(row.output_shape), *numbers


def _numbers(work: int, moved: int, seconds: float) -> tuple[str, ...]:
    return f"{work:,}", f"{moved:,}", f"{seconds * 1e6:,.1f}"
