"""What training is given, checked: examples with their targets and weights."""

import math
import numbers
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..common.arguments import as_numbers
from ..common.targets import check_sample_weight
from ..objects.registry import number

Array = np.ndarray | None


class Examples:
    """Arrays of the same length for all inputs of a model and, if there are any, for its outputs.

    Targets and their weights are one for each output; None where there are none.
    """

    __slots__ = ("weights", "xs", "ys")

    def __init__(self, xs: Sequence[np.ndarray], ys: Sequence[Array] = (), weights: Sequence[Array] = ()) -> None:
        self.xs, self.ys, self.weights = xs, ys, weights

    @property
    def x(self) -> Any:
        """What the model is called with: an array, or a list of several."""
        return self.xs[0] if len(self.xs) == 1 else list(self.xs)

    def __len__(self) -> int:
        return len(self.xs[0])

    def __getitem__(self, part: Any) -> "Examples":
        xs = [array[part] for array in self.xs]
        ys, weights = ([one if one is None else one[part] for one in arrays] for arrays in (self.ys, self.weights))
        return Examples(xs, ys, weights)

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


def labels(argument: str, names: Sequence[str], of: str = "") -> list[str]:
    """How messages call the parts of an argument that has one for each of these names."""
    return [argument + of] if len(names) == 1 else [f"{argument}[{name!r}]{of}" for name in names]


def targets_by_output(y: Any, outputs: Sequence[str], needed: Sequence[int], label: str) -> list[Any]:
    """The targets of each output, None for those that need none.

    ``needed`` are the outputs with a loss or metrics.
    """
    count, only = len(outputs), ", ".join(outputs[i] for i in needed)
    if isinstance(y, Mapping):
        unknown = [str(name) for name in y if name not in outputs]
        missing = [outputs[i] for i in needed if outputs[i] not in y]
        if unknown or missing:
            wrong = f"{', '.join(missing)} is missing" if missing else f"got {', '.join(unknown)}"
            raise ValueError(f"{label} must be a dict with the keys {only}, {wrong}")
        return [y[name] if i in needed else None for i, name in enumerate(outputs)]
    if count == 1:
        return [y]
    parts = list(y) if _is_list_of_arrays(y) else [] if y is None else [y]
    if len(parts) == count:
        return [one if i in needed else None for i, one in enumerate(parts)]
    if len(parts) == len(needed):
        places = dict(zip(needed, parts, strict=True))
        return [places.get(i) for i in range(count)]
    raise ValueError(f"{label} must be {len(needed)} arrays, for {only}, got {len(parts) or None}")


def weights_by_output(
    sample_weight: Any, outputs: Sequence[str], needed: Sequence[int], label: str
) -> tuple[list[Any], list[str]]:
    """The weights of each output's examples, None where there are none, and how messages call them."""
    count, names = len(outputs), labels(label, outputs)
    if isinstance(sample_weight, Mapping):
        unknown = [str(name) for name in sample_weight if name not in outputs]
        if unknown:
            raise ValueError(f"{label} must be a dict with the keys {', '.join(outputs)}, got {', '.join(unknown)}")
        found = [sample_weight.get(name) for name in outputs]
    elif count == 1:
        return [sample_weight], [label]
    elif _is_list_of_arrays(sample_weight):
        if len(sample_weight) != count:
            raise ValueError(
                f"{label} must be {count} arrays, for {', '.join(outputs)}, or a single one for all of them, "
                f"got {len(sample_weight)}"
            )
        found = list(sample_weight)
    else:
        found, names = [sample_weight] * count, [label] * count
    return [one if i in needed else None for i, one in enumerate(found)], names


def check_examples(parts: Sequence[Sequence[tuple[str, Any]]], needed: Sequence[int]) -> Examples:
    """Examples, at least one, of inputs, targets and weights, each with the name that messages have for it.

    ``needed`` are the outputs that need targets.
    """
    xs, targets, _ = parts
    found = {name: as_numbers(one, name) for part in parts for name, one in part if one is not None}
    for name in (*(name for name, _ in xs), *(targets[i][0] for i in needed)):
        if name not in found:
            raise TypeError(f"{name} must be an array of numbers, got None")
    for name, array in found.items():
        if array.ndim == 0:
            raise ValueError(f"{name} must have a batch axis, got the single number {array}")
    check_lengths(found)
    first = xs[0][0]
    if not len(found[first]):
        raise ValueError(f"{first} must hold at least one example, got shape {found[first].shape}")
    ys, weights = ([None if one is None else found[name] for name, one in part] for part in parts[1:])
    return Examples([found[name] for name, _ in xs], ys, weights)


def check_lengths(arrays: Mapping[str, np.ndarray]) -> None:
    """Raise ValueError for arrays of which some have more examples than others."""
    lengths = [len(array) for array in arrays.values()]
    if len(set(lengths)) > 1:
        raise ValueError(f"{', '.join(arrays)} must be of the same length, got {', '.join(map(str, lengths))}")


def check_validation(validation_data: Any) -> tuple[Any, Any, Any]:
    """The inputs, targets and perhaps weights in a tuple."""
    if not isinstance(validation_data, tuple | list) or len(validation_data) not in (2, 3):
        given = f"{len(validation_data)} values" if isinstance(validation_data, tuple | list) else repr(validation_data)
        raise TypeError(f"validation_data must be a tuple (x, y) or (x, y, sample_weight), got {given}")
    x, y, weight = (*validation_data, None)[:3]
    return x, y, weight


def with_class_weight(examples: Examples, class_weight: Any, loss: Any, out_shape: tuple) -> Examples:
    """The examples of a model with a single output, each position weighted by its class too.

    Classes are integer labels or, where targets have a value for each class, the first of the largest. Those that
    ``class_weight`` leaves out weigh 1.
    """
    if not isinstance(class_weight, Mapping):
        raise TypeError(f"class_weight must be a dict of classes and their weights, got {class_weight!r}")
    ((y,), (weight,)), axis = (examples.ys, examples.weights), getattr(loss, "axis", -1) % len(out_shape)
    assert y is not None
    positions = (*out_shape[:axis], *out_shape[axis + 1 :])
    # A single output tells two classes apart.
    classes = max(out_shape[axis], 2)
    table = np.ones(classes)
    for label, value in class_weight.items():
        if isinstance(label, bool | np.bool_) or label not in range(classes):
            raise ValueError(f"class_weight must have classes from 0 to {classes - 1} as keys, got {label!r}")
        table[int(label)] = number(value, f"class_weight[{label!r}]")
    if y.ndim == len(out_shape):
        y = y.squeeze(axis) if y.shape[axis] == 1 else y.argmax(axis)
    known = np.isin(y, np.arange(classes))
    wrong = ~known & (y != getattr(loss, "ignore_class", None))
    if wrong.any():
        raise ValueError(
            f"y must hold classes from 0 to {classes - 1} where class_weight is given, got {y[wrong].flat[0]}"
        )
    weights = check_sample_weight(table[np.where(known, y, 0).astype(np.intp)], positions)
    if weight is not None:
        weights *= check_sample_weight(weight, positions)
    return Examples(examples.xs, examples.ys, [weights])


def _is_list_of_arrays(value: Any) -> bool:
    """Whether a list has a part for each output, and no numbers of a single one."""
    return isinstance(value, list | tuple) and not (value and isinstance(value[0], numbers.Number))
