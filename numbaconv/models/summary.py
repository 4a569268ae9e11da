"""The table of a model's layers."""

from html import escape
from typing import Any

from ..common.tables import html_table, text_lines
from ..shapes import Shape


def summary_of(model: Any) -> str:
    """Layers, their output shapes, numbers of parameters and, where they are no line, what feeds them."""
    rows = _rows_of(model)
    lines = text_lines(rows, numbers=(2,))
    rule = "-" * max(map(len, lines))
    return "\n".join([_title(model), rule, lines[0], rule, *lines[1:], rule, _totals(model)])


def html_of(model: Any) -> str:
    """The summary as HTML."""
    head, *rows = _rows_of(model)
    return f"{html_table(_title(model), head, rows, numbers=(2,))}\n<p>{escape(_totals(model))}</p>"


def _rows_of(model: Any) -> list[tuple[str, ...]]:
    """The cells of all lines, the head first."""
    rows: list[tuple[str, ...]] = [("Layer (class)", "Output shape", "Parameters", "Fed by")]
    for layer, shape, sources in model._rows():
        parameters = f"{layer.count_params():,}" if layer.built else "not built"
        rows.append((f"{layer.name} ({type(layer).__name__})", _shown(shape), parameters, ", ".join(sources)))
    return rows if any(fed_by for *_, fed_by in rows[1:]) else [row[:-1] for row in rows]


def _title(model: Any) -> str:
    return f"{type(model).__name__} {model.name!r}"


def _totals(model: Any) -> str:
    if not model.built:
        return "Not built: the first call, or build(input_shape), creates the weights"
    total, trainable = model.count_params(), sum(w.size for w in model.trainable_weights)
    return f"Total: {total:,} parameters, {trainable:,} trainable, {total - trainable:,} not trainable"


def _shown(shape: Shape | list[Shape] | None) -> str:
    return "?" if shape is None else str(shape)
