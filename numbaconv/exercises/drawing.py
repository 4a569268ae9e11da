"""A wrong result in words and in a picture of characters: where it is wrong, and in what way."""

from typing import Any

import numpy as np

Array = np.ndarray
# As much as fits a screen.
MOST_ROWS, MOST_COLUMNS = 16, 30


def difference(got: Any, right: Array, tolerance: float) -> str | None:
    """Say how a result differs from the right one; None if it does not, up to this share of the largest number."""
    if got is None:
        return "It returns nothing. Does it end with a return? To print a result is not to return it."
    try:
        got = np.asarray(got, float)
    except (TypeError, ValueError):
        return f"It returns {type(got).__name__}, where numbers are asked for."
    if got.shape != right.shape:
        return f"It gives {_shaped(got)}, where {_shaped(right)} is right."
    wrong = ~(np.abs(got - right) <= tolerance * max(1.0, float(np.abs(right).max(initial=0))))
    if not wrong.any():
        return None
    place = tuple(int(i) for i in np.argwhere(wrong)[0])
    at = f"out{list(place)}" if place else "The result"
    lines = [f"{at} is {got[place]:.6g}, and {right[place]:.6g} is right."]
    if got.ndim == 1:
        lines += _row(got, right, wrong)
    if got.ndim > 1:
        lines += _plane(wrong, place)
    return "\n".join([*lines, *_pattern(got, right, wrong)])


def _shaped(array: Array) -> str:
    if array.ndim:
        return f"an array of shape {array.shape}"
    return f"the number {array:g}"


def _row(got: Array, right: Array, wrong: Array) -> list[str]:
    """Both results, one above the other, with a mark under each wrong number."""
    first = max(0, int(np.argmax(wrong)) - MOST_COLUMNS // 4)
    part = slice(first, first + MOST_COLUMNS // 2)
    columns = [[f"{value:.4g}" for value in values[part]] for values in (got, right)]
    columns.append(["^" if mark else "" for mark in wrong[part]])
    width = max(len(text) for column in columns for text in column) + 1
    names = ("yours", "right", "")
    return [f"  {name:6}" + "".join(f"{t:>{width}}" for t in c) for name, c in zip(names, columns, strict=True)]


def _plane(wrong: Array, place: tuple[int, ...]) -> list[str]:
    """The rows and columns around the first wrong number: a dot for each right one, an x for each wrong one."""
    # Channels, if there are any, are the last axis.
    down = max(0, wrong.ndim - 3) if wrong.ndim > 2 else 0
    index: list[Any] = list(place)
    index[down], index[down + 1] = slice(None), slice(None)
    plane = wrong[tuple(index)]
    top = max(0, place[down] - MOST_ROWS // 2)
    left = max(0, place[down + 1] - MOST_COLUMNS // 2)
    shown = ", ".join(":" if isinstance(i, slice) else str(i) for i in index)
    rows = plane[top : top + MOST_ROWS, left : left + MOST_COLUMNS]
    begin = f" from row {top} and column {left} on" if top or left else ""
    return [f"  out[{shown}]{begin}, with . for what is right and x for what is wrong:"] + [
        "    " + " ".join("x" if mark else "." for mark in row) for row in rows
    ]


def _pattern(got: Array, right: Array, wrong: Array) -> list[str]:
    """What the wrong numbers have in common."""
    if np.isnan(got[wrong]).all():
        return ["nan is no number. Was nothing written there, or added to what was never set, or 0 divided by 0?"]
    if wrong.all() and wrong.size > 1:
        with np.errstate(divide="ignore", invalid="ignore"):
            factors = got[right != 0] / right[right != 0]
        if factors.size > 1 and np.allclose(factors, factors[0]) and not (got[right == 0]).any():
            return [f"Everything is {factors[0]:.4g} times what is right."]
        return ["Nothing is right so far."]
    inner = tuple(slice(1, -1) if n > 2 else slice(None) for n in wrong.shape)
    edges = (wrong.take(end, axis).all() for axis, n in enumerate(wrong.shape) if n > 2 for end in (0, -1))
    if any(edges) and not wrong[inner].any():
        return ["Only the edge is wrong: look at where the loops begin and end, and at what lies outside."]
    return []
