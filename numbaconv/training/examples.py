"""What training is given, checked: examples with their targets and weights."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..common.arguments import as_numbers
from ..common.targets import check_sample_weight
from ..objects.registry import number

NAMES = ("x", "y", "sample_weight")


@dataclass(frozen=True)
class Examples:
    """Inputs, targets and, if there are any, weights, of the same length."""

    x: np.ndarray
    y: np.ndarray
    weight: np.ndarray | None

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, part: Any) -> "Examples":
        return Examples(self.x[part], self.y[part], None if self.weight is None else self.weight[part])

    def batches(self, size: int, order: np.ndarray | None = None) -> Iterator["Examples"]:
        """Parts of this size, in the given order."""
        for start in range(0, len(self), size):
            part = slice(start, start + size)
            yield self[part if order is None else order[part]]

    def split(self, fraction: float) -> tuple["Examples", "Examples"]:
        """The first ones, and this fraction of all from the end."""
        # The border is rounded as in Keras.
        border = math.floor(len(self) * (1 - fraction))
        if not 0 < border < len(self):
            raise ValueError(
                f"validation_split must leave examples on both sides, got {fraction} of {len(self)} examples"
            )
        return self[:border], self[border:]


def check_examples(x: Any, y: Any, sample_weight: Any, names: Sequence[str] = NAMES) -> Examples:
    """Examples, at least one; the names are for error messages."""
    given = {name: value for name, value in zip(names, (x, y, sample_weight), strict=True) if value is not None}
    arrays = {name: as_numbers(value, name) for name, value in given.items()}
    for name in names[:2]:
        if name not in arrays:
            raise TypeError(f"{name} must be an array of numbers, got None")
    for name, array in arrays.items():
        if array.ndim == 0:
            raise ValueError(f"{name} must have a batch axis, got the single number {array}")
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        found = ", ".join(map(str, lengths.values()))
        raise ValueError(f"{', '.join(lengths)} must be of the same length, got {found}")
    if not lengths[names[0]]:
        raise ValueError(f"{names[0]} must hold at least one example, got shape {arrays[names[0]].shape}")
    return Examples(*arrays.values(), *(None,) * (3 - len(arrays)))


def check_validation(validation_data: Any) -> Examples:
    """The examples in a tuple of inputs, targets and perhaps weights."""
    if not isinstance(validation_data, tuple | list) or len(validation_data) not in (2, 3):
        given = f"{len(validation_data)} values" if isinstance(validation_data, tuple | list) else repr(validation_data)
        raise TypeError(f"validation_data must be a tuple (x, y) or (x, y, sample_weight), got {given}")
    x, y, weight = (*validation_data, None)[:3]
    return check_examples(x, y, weight, [f"{name} of validation_data" for name in NAMES])


def with_class_weight(examples: Examples, class_weight: Any, loss: Any, out_shape: tuple) -> Examples:
    """The examples, each position weighted by its class too.

    Classes are integer labels or, where targets have a value for each class, the first of the largest. Those that
    ``class_weight`` leaves out weigh 1.
    """
    if not isinstance(class_weight, Mapping):
        raise TypeError(f"class_weight must be a dict of classes and their weights, got {class_weight!r}")
    y, axis = examples.y, getattr(loss, "axis", -1) % len(out_shape)
    positions = (*out_shape[:axis], *out_shape[axis + 1 :])
    # A single output tells two classes apart.
    classes = max(out_shape[axis], 2)
    table = np.ones(classes)
    for label, weight in class_weight.items():
        if isinstance(label, bool | np.bool_) or label not in range(classes):
            raise ValueError(f"class_weight must have classes from 0 to {classes - 1} as keys, got {label!r}")
        table[int(label)] = number(weight, f"class_weight[{label!r}]")
    if y.ndim == len(out_shape):
        y = y.squeeze(axis) if y.shape[axis] == 1 else y.argmax(axis)
    known = np.isin(y, np.arange(classes))
    wrong = ~known & (y != getattr(loss, "ignore_class", None))
    if wrong.any():
        raise ValueError(
            f"y must hold classes from 0 to {classes - 1} where class_weight is given, got {y[wrong].flat[0]}"
        )
    weights = check_sample_weight(table[np.where(known, y, 0).astype(np.intp)], positions)
    if examples.weight is not None:
        weights *= check_sample_weight(examples.weight, positions)
    return replace(examples, weight=weights)
