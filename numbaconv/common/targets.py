"""Checks what losses and metrics compare: predictions, targets and the weights of samples."""

import math
from typing import Any

import numpy as np

from .arguments import as_numbers


def check_predictions(y_pred: Any) -> np.ndarray:
    """An array of numbers with at least a batch axis."""
    y_pred = as_numbers(y_pred, "y_pred")
    if y_pred.ndim == 0:
        raise ValueError(f"y_pred must have a batch axis, got the single number {y_pred}")
    return y_pred


def check_positions(y_pred: np.ndarray, axis: int = -1, classes: int = 1) -> tuple[int, ...]:
    """The shape of predictions without ``axis``, which must be this long; a single axis is the batch."""
    shape = y_pred.shape
    if len(shape) == 1 and axis == -1:
        given, positions = 1, shape
    else:
        place = axis + len(shape) if axis < 0 else axis
        if not 0 < place < len(shape):
            raise ValueError(f"axis must be an axis of y_pred after the batch, got {axis} for shape {shape}")
        given, positions = shape[place], (*shape[:place], *shape[place + 1 :])
    if given < classes:
        hint = "; for one output take the binary loss or metric" if given == 1 else ""
        raise ValueError(f"y_pred must have {classes} or more values on axis {axis}, got shape {shape}{hint}")
    return positions


def as_rows(array: np.ndarray, axis: int | tuple[int, ...]) -> np.ndarray:
    """A row per position: two axes, the last of them ``axis`` or, if there is only the batch, new."""
    if array.ndim == 1 and axis == -1:
        return array[:, None]
    count = 1 if isinstance(axis, int) else len(axis)
    if axis != -1:
        array = np.moveaxis(array, axis, -1 if count == 1 else range(-count, 0))
    # Not reshape(-1, ...), which an empty batch leaves open.
    return array.reshape(math.prod(array.shape[:-count]), math.prod(array.shape[-count:]))


def from_rows(rows: np.ndarray, axis: int | tuple[int, ...], shape: tuple[int, ...]) -> np.ndarray:
    """The array of this shape from which `as_rows` makes these rows."""
    if axis == -1:
        return rows.reshape(shape)
    axes = (axis,) if isinstance(axis, int) else axis
    places = range(-len(axes), 0)
    moved = np.moveaxis(np.empty(shape, bool), axes, places).shape
    return np.ascontiguousarray(np.moveaxis(rows.reshape(moved), places, axes))


def aligned(y_true: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Targets with a last axis of 1 more or less if that gives them the shape of the predictions; else as they are."""
    if (*y_true.shape, 1) == shape or y_true.shape == (*shape, 1):
        return y_true.reshape(shape)
    return y_true


def function_values(function: Any, y_true: np.ndarray, y_pred: np.ndarray, name: str) -> np.ndarray:
    """What a user's function makes of targets and predictions: a value for each position, or for the whole batch."""
    values = as_numbers(function(aligned(y_true, y_pred.shape), y_pred), f"the value of {name}")
    if values.shape != y_pred.shape[: values.ndim]:
        raise ValueError(f"the value of {name} must have the first axes of y_pred, {y_pred.shape}, got {values.shape}")
    return values


def check_targets(y_true: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Targets in the shape of the predictions; a last axis of 1 may be missing or too many, as in Keras."""
    y_true = as_numbers(y_true, "y_true")
    if aligned(y_true, shape).shape != shape:
        raise ValueError(f"y_true must have the shape of y_pred, {shape}, got {y_true.shape}")
    return aligned(y_true, shape)


def check_one_hot(y_true: Any, shape: tuple[int, ...], positions: tuple[int, ...]) -> np.ndarray:
    """Targets with a value for every class, in the shape of the predictions."""
    y_true = as_numbers(y_true, "y_true")
    if y_true.shape in (positions, (*positions, 1)) and np.array_equal(y_true, np.floor(y_true)):
        raise ValueError(
            f"y_true must have the shape of y_pred, {shape}, got {y_true.shape}; integer labels need the loss or "
            "metric whose name begins with Sparse"
        )
    return check_targets(y_true, shape)


def check_labels(
    y_true: Any, shape: tuple[int, ...], positions: tuple[int, ...], axis: int = -1, ignored: int | None = None
) -> np.ndarray:
    """Integer labels of all positions one after the other, each the number of a class or ``ignored``."""
    y_true = as_numbers(y_true, "y_true")
    single = list(shape)
    single[axis] = 1
    if y_true.shape not in (positions, tuple(single)):
        hint = "; one-hot targets need the loss or metric without Sparse" if y_true.shape == shape else ""
        raise ValueError(f"y_true must hold a label per position, shape {positions}, got {y_true.shape}{hint}")
    given = y_true.ravel()
    labels = given.astype(np.intp)
    # Unsigned, a negative label is out of range above.
    if labels.size and (labels.view(np.uintp).max() >= shape[axis] or given.dtype.kind == "f"):
        wrong = (labels < 0) | (labels >= shape[axis]) | (labels != given)
        if ignored is not None:
            wrong &= given != ignored
        if wrong.any():
            found = first_of(wrong.reshape(y_true.shape), y_true)
            raise ValueError(f"y_true must hold integers from 0 to {shape[axis] - 1}, got {found}")
    return labels


def check_shares(y_true: Any) -> np.ndarray:
    """Targets between 0 and 1."""
    y_true = as_numbers(y_true, "y_true")
    if y_true.size and not (y_true.min() >= 0 and y_true.max() <= 1):
        raise ValueError(f"y_true must be between 0 and 1, got {first_of(~((y_true >= 0) & (y_true <= 1)), y_true)}")
    return y_true


def check_sample_weight(sample_weight: Any, positions: tuple[int, ...]) -> np.ndarray:
    """A float64 weight for every position, ones for None.

    Axes count from the batch on, so that one weight per sample holds for all positions of it. A last axis of 1 may be
    too many, as in Keras.
    """
    if sample_weight is None:
        return np.ones(positions)
    weights = as_numbers(sample_weight, "sample_weight")
    if not positions:
        raise ValueError(
            f"sample_weight must be None where one value stands for the whole batch, got shape {weights.shape}"
        )
    shape = weights.shape[:-1] if weights.shape[len(positions) :] == (1,) else weights.shape
    shape = (*shape, *(1,) * (len(positions) - len(shape)))
    if len(shape) != len(positions) or any(have not in (1, want) for have, want in zip(shape, positions, strict=True)):
        raise ValueError(
            f"sample_weight must have the shape {positions} or its first axes, with 1 where all share a weight, "
            f"got {weights.shape}"
        )
    finite = np.isfinite(weights)
    if not finite.all():
        raise ValueError(f"sample_weight must be finite, got {first_of(~finite, weights)}")
    return np.broadcast_to(weights.reshape(shape), positions).astype(np.float64)


def first_of(wrong: np.ndarray, values: np.ndarray) -> str:
    """The first of the wrong values, and where it is."""
    index = tuple(int(i) for i in np.unravel_index(wrong.argmax(), wrong.shape))
    return f"{values[index]} at index {index}"
