"""How weights of older versions become today's: other axes, flipped kernels, and matrices of which there were many."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...objects.tuples import NamedTuple

# Of Keras 1, which kept the matrices of each gate by themselves: the gates in today's order.
_GATES = {"LSTM": (0, 2, 1, 3), "GRU": (0, 1, 2)}


class Conversion(NamedTuple):
    """What is done with the arrays of a file to make one weight, step by step."""

    # Put side by side along the last axis, in this order.
    joined: tuple[int, ...] = (0,)
    # Of a Conv1D of Keras 1, whose kernels had an axis of length 1.
    squeezed: bool = False
    # Of Theano's kernels, (F, C, ...), and in which direction they slide.
    transposed: bool = False
    flipped: int = 0

    def __call__(self, arrays: list[np.ndarray]) -> np.ndarray:
        parts = [arrays[i] for i in self.joined]
        value = parts[0] if len(parts) == 1 else np.concatenate(parts, -1)
        if self.squeezed:
            value = value[:, 0]
        if self.transposed:
            value = value.transpose(*range(2, value.ndim), 1, 0)
        if self.flipped:
            value = np.flip(value, tuple(range(self.flipped)))
        return value

    def shape(self, shapes: list[tuple[int, ...]]) -> tuple[int, ...]:
        """The shape of the result for arrays of these shapes."""
        found = shapes[0]
        if len(self.joined) > 1:
            if len({one[:-1] for one in shapes}) > 1 or not found:
                raise ValueError(f"the matrices of gates must have shapes that fit together, got {shapes}")
            found = (*found[:-1], sum(one[-1] for one in shapes))
        if self.squeezed:
            found = (found[0], *found[2:])
        if self.transposed:
            found = (*found[2:], found[1], found[0])
        return found


def converted(
    order: list[tuple[Any, str]], paths: list[str], how: Mapping[str, Any]
) -> list[tuple[list[str], Conversion]]:
    """With each weight, a layer and a name in ``order``, the paths of the arrays that it is made of, and how.

    Paths are as the file lists them for these layers; ``how`` has ``version`` and ``backend`` of Keras, and ``shapes``,
    a function from a path to the shape of what is there. Raises ValueError if there are too few or too many.
    """
    if len(paths) != len(order):
        leaves = list(dict.fromkeys(leaf for leaf, _ in order))
        gates = [_GATES.get(type(leaf).__name__) for leaf in leaves]
        if all(gates) and len(paths) == sum(3 * len(one) for one in gates if one):
            return _from_gates(leaves, paths)
        names = ", ".join(name for _, name in order)
        raise ValueError(
            f"layer {order[0][0].name!r} must have {len(order)} weights ({names}), got {len(paths)}: "
            f"{', '.join(path.rpartition('/')[2] for path in paths)}"
        )
    return [([path], _single(leaf, name, path, how)) for (leaf, name), path in zip(order, paths, strict=True)]


def _single(leaf: Any, name: str, path: str, how: Mapping[str, Any]) -> Conversion:
    rank = getattr(leaf, "rank", None)
    if not name.endswith("kernel") or not rank or not hasattr(leaf, "kernel_size"):
        return Conversion()
    wanted, given = leaf._weights[name].shape, how["shapes"](path)
    old = str(how["version"]).startswith("1")
    theano = how["backend"] == "theano"
    if old and rank == 1 and len(given) == 4:
        return Conversion(squeezed=True, flipped=int(theano))
    first = getattr(leaf, "data_format", None) == "channels_first"
    transposed = old and first and len(given) == len(wanted) and math.prod(given) == math.prod(wanted)
    return Conversion(transposed=transposed, flipped=rank if theano else 0)


def _from_gates(leaves: list[Any], paths: list[str]) -> list[tuple[list[str], Conversion]]:
    """Kernel, recurrent kernel and bias of each layer from those of its gates, which come gate by gate."""
    found = []
    for leaf in leaves:
        gates = _GATES[type(leaf).__name__]
        own, paths = paths[: 3 * len(gates)], paths[3 * len(gates) :]
        found += [([own[3 * gate + kind] for gate in gates], Conversion(tuple(range(len(gates))))) for kind in range(3)]
    return found
