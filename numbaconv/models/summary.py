"""The table of a model's layers."""

from typing import Any

from ..shapes import Shape


def summary_of(model: Any) -> str:
    """Layers, their output shapes, numbers of parameters and, where they are no line, what feeds them."""
    rows = [("Layer (class)", "Output shape", "Parameters", "Fed by")]
    for layer, shape, sources in model._rows():
        parameters = f"{layer.count_params():,}" if layer.built else "not built"
        rows.append((f"{layer.name} ({type(layer).__name__})", _shown(shape), parameters, ", ".join(sources)))
    if not any(fed_by for *_, fed_by in rows[1:]):
        rows = [row[:-1] for row in rows]  # type: ignore[misc]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [_line(row, widths) for row in rows]
    rule = "-" * max(map(len, lines))
    if model.built:
        total, trainable = model.count_params(), sum(w.size for w in model.trainable_weights)
        totals = f"Total: {total:,} parameters, {trainable:,} trainable, {total - trainable:,} not trainable"
    else:
        totals = "Not built: the first call, or build(input_shape), creates the weights"
    return "\n".join([f"{type(model).__name__} {model.name!r}", rule, lines[0], rule, *lines[1:], rule, totals])


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    # Numbers are read from the right.
    sides = ("<", "<", ">", "<")
    cells = (f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=False))
    return "  ".join(cells).rstrip()


def _shown(shape: Shape | list[Shape] | None) -> str:
    return "?" if shape is None else str(shape)
