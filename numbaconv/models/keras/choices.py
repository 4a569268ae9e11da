"""Operations that choose: where, glu, take and the shares of colours."""

from typing import Any

import numpy as np

from ...layers.any_rank import Shape
from .array_operations import ArrayOperation, OfSeveral, axes_of, moving


def chosen(numbers: list[Any], name: str) -> ArrayOperation:
    """Of two arrays the first where a condition is not 0; ``numbers`` has None where one of the three is an array."""

    def filled(xs: list[np.ndarray]) -> list[Any]:
        arrays = iter(xs)
        return [next(arrays) if one is None else float(one) for one in numbers]

    def shape(given: list[Shape]) -> Shape:
        if len(given) != numbers.count(None):
            raise ValueError(f"there must be {numbers.count(None)} arrays, got {len(given)}")
        columns = [{n for n in sizes if n != 1} for sizes in zip(*given, strict=False)]
        if len(set(map(len, given))) > 1 or any(len(one - {None}) > 1 for one in columns):
            raise ValueError(f"shapes must be equal but for sizes of 1, got {given}")
        return tuple(next(iter(sorted(one, key=lambda n: n is None)), 1) for one in columns)

    def compute(xs: list[np.ndarray]) -> np.ndarray:
        condition, a, b = filled(xs)
        return np.where(condition != 0, a, b)

    def back(xs: list[np.ndarray], out: np.ndarray, grad_out: np.ndarray) -> list[np.ndarray]:
        condition = filled(xs)[0]
        grads = [np.zeros_like(grad_out), np.where(condition != 0, grad_out, 0), np.where(condition != 0, 0, grad_out)]
        given = [grad for grad, one in zip(grads, numbers, strict=True) if one is None]
        repeated = [tuple(i for i, n in enumerate(x.shape) if n != out.shape[i]) for x in xs]
        return [grad.sum(axes, keepdims=True) for grad, axes in zip(given, repeated, strict=True)]

    return OfSeveral(compute, shape, back, name=name)


def gated(axis: int, name: str) -> ArrayOperation:
    """The first half of an axis by the sigmoid of the second."""

    def parts(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        a, b = np.split(x, 2, axis)
        return a, 1 / (1 + np.exp(-b))

    def shape(given: Shape) -> Shape:
        (at,) = axes_of((axis,), given)
        size = given[at]
        if size is None or size % 2:
            raise ValueError(f"axis {axis} must have a known and even size, got {given}")
        return (*given[:at], size // 2, *given[at + 1 :])

    def back(x: np.ndarray, out: np.ndarray, grad_out: np.ndarray) -> np.ndarray:
        a, gate = parts(x)
        return np.concatenate([grad_out * gate, grad_out * a * gate * (1 - gate)], axis)

    def compute(x: np.ndarray) -> np.ndarray:
        a, gate = parts(x)
        return a * gate

    return ArrayOperation(compute, shape, back, name=name)


def taken(at: np.ndarray, axis: int, name: str) -> ArrayOperation:
    """What is at some places along an axis."""

    def shape(given: Shape) -> Shape:
        (along,) = axes_of((axis,), given)
        size = given[along]
        if size is not None and not -size <= at.min() <= at.max() < size:
            raise ValueError(f"an index must be below {size}, got {at.tolist()}")
        return (*given[:along], *at.shape, *given[along + 1 :])

    return moving(lambda x: x.take(at, axis), shape, name)


def gray(name: str) -> ArrayOperation:
    """The brightness of images of three colours; those of one channel as they are."""

    def shape(given: Shape) -> Shape:
        if len(given) != 4 or given[-1] not in (1, 3):
            raise ValueError(f"the array must be images of 1 or 3 channels, got {given}")
        return (*given[:-1], 1)

    def shares(x: np.ndarray) -> np.ndarray:
        return np.array([0.2989, 0.587, 0.114] if x.shape[-1] == 3 else [1], x.dtype)

    back = lambda x, out, grad_out: grad_out * shares(x)  # noqa: E731
    return ArrayOperation(lambda x: (x @ shares(x))[..., None], shape, back, name=name)
