"""Operations on arrays that no layer of Keras's does, with NumPy, and the way back through most of them."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ...common.structures import leaves, mapped
from ...graph.operation import is_shape
from ...layers.any_rank import AnyRank, Shape
from ...layers.base import Layer
from ...layers.merging import Merge
from ..configs import operation_from

# From the number of axes to an index of NumPy's, and to an order of the axes.
Index = Callable[[int], list[Any]]
Order = Callable[[int], tuple[int, ...] | None]
# From what an operation got, what it gave and the gradient of that, to the gradient of the first; lists where it has
# several, with None for the gradient of what nobody reads.
Back = Callable[[Any, Any, Any], Any]


class Unwritten(Layer):
    """A layer that only Keras's description of it can make anew."""

    def get_config(self) -> dict[str, Any]:
        raise TypeError(f"{self._label} is an operation of Keras's: only the configuration of a Model can hold it")


class ArrayOperation(Unwritten, AnyRank):
    """A function of an array, and what it makes of the shape; by default it leaves that alone. Both may give a list."""

    def __init__(
        self,
        function: Callable[..., Any],
        shape: Callable[..., Any] | None = None,
        back: Back | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._function, self._shape, self._back = function, shape, back

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_function": None, "_shape": None, "_back": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        anew = operation_from({"name": state["name"], "operation": state["_described"]})
        vars(self).update(state, _function=anew._function, _shape=anew._shape, _back=anew._back)

    def _output_shape(self, input_shape: Any) -> Any:
        found = input_shape if self._shape is None else self._shape(input_shape)
        batches = {one[:1] for one in (*leaves(found, is_shape), *leaves(input_shape, is_shape))}
        if len(batches - {(None,)}) > 1 or () in batches:
            raise ValueError(f"the batch must be left as it is, got {found} of {input_shape}")
        return found

    @np.errstate(all="ignore")
    def call(self, x: Any) -> Any:
        for one in leaves(x):
            self._must_fit(one)
        return mapped(lambda one: np.array(one, self._dtype, order="C"), self._function(x))

    def _forward(self, x: Any) -> tuple[Any, Any]:
        out = self.call(x)
        return out, (x, out)

    @np.errstate(all="ignore")
    def _input_grad(self, kept: Any, grad_out: Any) -> Any:
        if self._back is None:
            raise ValueError(
                "no layer before it can be trained, because numbaconv computes this operation for prediction only: set "
                "trainable=False for all of them"
            )
        x, out = kept
        return mapped(lambda one: np.array(one, self._dtype, order="C"), self._back(x, out, grad_out))


class OfSeveral(ArrayOperation):
    """A function of a list of arrays."""

    _takes_lists = True


# Functions of two arrays, with the slopes by each of them, of both and the result. As in TensorFlow the first of equal
# ones counts, and what is not positive has no logarithm and counts as 1.
OF_TWO: dict[str, tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]] = {
    "add": (np.add, lambda a, b, out: 1, lambda a, b, out: 1),
    "subtract": (np.subtract, lambda a, b, out: 1, lambda a, b, out: -1),
    "multiply": (np.multiply, lambda a, b, out: b, lambda a, b, out: a),
    "divide": (np.divide, lambda a, b, out: 1 / b, lambda a, b, out: -out / b),
    "power": (np.power, lambda a, b, out: b * a ** (b - 1), lambda a, b, out: out * np.log(np.where(a > 0, a, 1))),
    "maximum": (np.maximum, lambda a, b, out: a >= b, lambda a, b, out: a < b),
    "minimum": (np.minimum, lambda a, b, out: a <= b, lambda a, b, out: a > b),
    "arctan2": (np.arctan2, lambda a, b, out: b / (a * a + b * b), lambda a, b, out: -a / (a * a + b * b)),
    # True is 1 here, which only a cast can tell.
    **{
        name: (getattr(np, name), lambda a, b, out: 0, lambda a, b, out: 0)
        for name in ("greater", "greater_equal", "less", "less_equal", "equal", "not_equal")
    },
}


class OfTwo(Unwritten, Merge):
    """A function of two arrays, value by value."""

    _least, _most = 2, 2

    def __init__(self, kind: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._kind = kind

    @np.errstate(all="ignore")
    def _merged(self, xs: list[np.ndarray]) -> np.ndarray:
        return np.asarray(OF_TWO[self._kind][0](*xs), self._dtype)

    @np.errstate(all="ignore")
    def _parts(self, xs: list[np.ndarray], grad_out: np.ndarray) -> list[np.ndarray]:
        out = self._merged(xs)
        return [grad_out * slope(*xs, out) for slope in OF_TWO[self._kind][1:]]


def moved(function: Callable[[Any], Any]) -> Back:
    """The way back through a function that puts values elsewhere, and zeros."""

    def back(x: Any, out: Any, grad_out: Any) -> Any:
        xs = x if isinstance(x, list) else [x]
        ends = np.cumsum([one.size for one in xs])
        numbers = [np.arange(end - one.size, end).reshape(one.shape) + 1 for one, end in zip(xs, ends, strict=True)]
        origins = leaves(function(numbers if isinstance(x, list) else numbers[0]))
        given = [(at, grad) for at, grad in zip(origins, leaves(grad_out), strict=True) if grad is not None]
        places, values = (np.concatenate([one.ravel() for one in ones]) for ones in zip(*given, strict=True))
        found = np.split(np.bincount(places, values, ends[-1] + 1)[1:], ends[:-1])
        grads = [one.reshape(like.shape) for one, like in zip(found, xs, strict=True)]
        return grads if isinstance(x, list) else grads[0]

    return back


def moving(function: Callable[[Any], Any], shape: Callable[..., Any], name: str) -> ArrayOperation:
    """A function that puts values elsewhere."""
    return ArrayOperation(function, shape, moved(function), name=name)


# Slopes of a result along some axes, of the values, it and how many there are.
_SLOPES: dict[str, Callable[..., Any]] = {
    "sum": lambda x, y, n: 1,
    "mean": lambda x, y, n: 1 / n,
    "max": lambda x, y, n: x == y,
    "min": lambda x, y, n: x == y,
    "norm": lambda x, y, n: x / y,
    "logsumexp": lambda x, y, n: np.exp(x - y),
    **dict.fromkeys(("argmax", "argmin"), lambda x, y, n: 0),
}


def _norm(x: np.ndarray, **settings: Any) -> np.ndarray:
    found: np.ndarray = np.sqrt(np.sum(np.square(x), **settings))
    return found


def _logsumexp(x: np.ndarray, axis: tuple[int, ...], keepdims: bool, **settings: Any) -> np.ndarray:
    most = np.max(x, axis=axis, keepdims=True)
    most = np.where(np.isfinite(most), most, 0)
    found: np.ndarray = np.log(np.sum(np.exp(x - most), axis=axis, keepdims=True, **settings)) + most
    return found if keepdims else found.squeeze(axis)


def _place(least: bool) -> Callable[..., Any]:
    def function(x: np.ndarray, axis: tuple[int, ...], keepdims: bool) -> Any:
        (one,) = axis
        # For Keras, -0 is less than 0.
        apart = np.where(np.signbit(x) & (x == 0), -np.finfo(x.dtype).tiny, x)
        return (np.argmin if least else np.argmax)(apart, one, keepdims=keepdims)

    return function


def reduced(kind: str, axes: tuple[int, ...], keep: bool, name: str) -> ArrayOperation:
    """The mean, sum, maximum, ... over some axes."""
    own = {"norm": _norm, "logsumexp": _logsumexp, "argmax": _place(False), "argmin": _place(True)}
    function: Any = own.get(kind) or getattr(np, kind)
    # Sums over long axes would lose digits.
    wide = {} if kind in ("max", "min", "prod", "argmax", "argmin") else {"dtype": np.float64}

    def shape(given: Shape) -> Shape:
        dropped = axes_of(axes, given)
        return tuple(1 if i in dropped else n for i, n in enumerate(given) if keep or i not in dropped)

    def back(x: np.ndarray, out: np.ndarray, grad_out: np.ndarray) -> np.ndarray:
        y, grad = (one if keep else np.expand_dims(one, axes) for one in (out, grad_out))
        n = x.size // max(y.size, 1)
        if kind in ("std", "var"):
            off = (x - x.mean(axes, keepdims=True)) / n
            return grad * (2 * off if kind == "var" else off / y)
        slope = _SLOPES[kind](x, y, n)
        # Equal ones share the gradient, as in TensorFlow.
        many = slope.sum(axes, keepdims=True) if kind in ("max", "min") else 1
        found: np.ndarray = np.broadcast_to(grad * slope / many, x.shape)
        return found

    compute = lambda x: function(x, axis=axes, keepdims=keep, **wide)  # noqa: E731
    return ArrayOperation(compute, shape, None if kind == "prod" else back, name=name)


def both(one: ArrayOperation, other: ArrayOperation, name: str) -> ArrayOperation:
    """The results of two operations."""
    pair = one, other

    def back(x: np.ndarray, out: Any, grad_out: Any) -> Any:
        ways: Any = zip(pair, out, grad_out, strict=True)
        return sum(part._back(x, y, grad) for part, y, grad in ways if part._back and grad is not None)

    return ArrayOperation(
        lambda x: [part._function(x) for part in pair],
        lambda given: [part._output_shape(given) for part in pair],
        back,
        name=name,
    )


def transposed(order_of: Order, name: str) -> ArrayOperation:
    """The axes in another order."""

    def shape(given: Shape) -> Shape:
        count, order = len(given), order_of(len(given))
        named = sorted(axis + count if axis < 0 else axis for axis in order or ())
        if order is None or named != list(range(count)) or order[0] % count:
            raise ValueError(f"perm must name each of {count} axes once, the batch's first, got {order}")
        return tuple(given[axis] for axis in order)

    return moving(lambda x: x.transpose(order_of(x.ndim)), shape, name)


def indexed(index: Index, name: str) -> ArrayOperation:
    """A part of the array, with axes left out or put in."""

    def shape(given: Shape) -> Shape:
        found: list[int | None] = []
        axis = 0
        for one in index(len(given)):
            if axis == 0 and one != slice(None):
                raise ValueError("the batch must be left as it is")
            if one is None:
                found.append(1)
                continue
            if axis >= len(given):
                raise ValueError(f"an index must have at most {len(given)} entries")
            size, full = given[axis], one == slice(None)
            if isinstance(one, slice):
                found.append(size if full or size is None else len(range(*one.indices(size))))
            elif size is not None and not -size <= one < size:
                raise ValueError(f"an index must be below {size}, got {one}")
            axis += 1
        return tuple(found)

    return moving(lambda x: x[tuple(index(x.ndim))], shape, name)


def padded(pairs: list[tuple[int, ...]], mode: str, value: float, name: str) -> ArrayOperation:
    """The array with values before and after it along each axis: a constant, or its own as in a mirror."""

    def shape(given: Shape) -> Shape:
        if len(pairs) != len(given) or any(len(one) != 2 or min(one) < 0 for one in pairs):
            raise ValueError(f"the padding must be two numbers for each of {len(given)} axes, got {pairs}")
        if any(pairs[0]):
            raise ValueError(f"the batch must be left as it is, got the padding {pairs}")
        for n, pair in zip(given, pairs, strict=True):
            if mode != "constant" and n is not None and max(pair) > n - (mode == "reflect"):
                raise ValueError(f"an axis of size {n} must be longer to be padded by {pair} in mode {mode!r}")
        return tuple(n if n is None else n + sum(pair) for n, pair in zip(given, pairs, strict=True))

    def compute(x: np.ndarray, value: float = value) -> np.ndarray:
        shape(x.shape)
        settings = {"constant_values": value} if mode == "constant" else {}
        return np.pad(x, pairs, mode, **settings)  # type: ignore[call-overload]

    return ArrayOperation(compute, shape, moved(lambda x: compute(x, 0)), name=name)


def along(
    function: Callable[[np.ndarray], np.ndarray], axes: tuple[int, ...], times: int, name: str, back: Back | None = None
) -> ArrayOperation:
    """A function along some axes, which become so many times as long: it moves values, unless there is a ``back``."""

    def shape(given: Shape) -> Shape:
        longer = axes_of(axes, given)
        return tuple(n * times if n is not None and i in longer else n for i, n in enumerate(given))

    return ArrayOperation(function, shape, back or moved(function), name=name)


def tiled(counts: tuple[int, ...], name: str) -> ArrayOperation:
    """The array several times side by side along its axes."""

    def shape(given: Shape) -> Shape:
        if len(counts) != len(given) or counts[0] != 1 or min(counts) < 1:
            raise ValueError(f"repeats must be a number for each of {len(given)} axes, 1 for the batch's, got {counts}")
        return tuple(n if n is None else n * count for n, count in zip(given, counts, strict=True))

    return moving(lambda x: np.tile(x, counts), shape, name)


def split(parts: Any, axis: int, name: str, sizes: bool = False) -> ArrayOperation:
    """The parts of the array along an axis: of so many equal ones, or each up to the next of some ends.

    Or each of one of some ``sizes``, where -1 stands for what the others leave.
    """

    def ends(size: int) -> Any:
        if isinstance(parts, int) and (parts < 1 or size % parts):
            raise ValueError(f"an axis of size {size} must be a multiple of {parts} to be split into so many parts")
        if not sizes:
            return parts
        rest = size - sum(part for part in parts if part != -1)
        whole = [rest if part == -1 else part for part in parts]
        if parts.count(-1) > 1 or min(whole, default=0) < 0 or sum(whole) != size:
            raise ValueError(f"parts of the sizes {parts} must add up to the axis's, which is {size}")
        return np.cumsum(whole)[:-1].tolist()

    def shape(given: Shape) -> list[Shape]:
        (at,) = axes_of((axis,), given)
        size = given[at]
        if size is None:
            raise ValueError(f"axis {axis} must have a known size to be split, got {given}")
        return [(*given[:at], len(part), *given[at + 1 :]) for part in np.split(np.empty(size), ends(size))]

    return moving(lambda x: np.split(x, ends(x.shape[axis]), axis), shape, name)


def unstacked(axis: int, name: str) -> ArrayOperation:
    """The arrays that lie side by side along an axis."""

    def shape(given: Shape) -> list[Shape]:
        (at,) = axes_of((axis,), given)
        size = given[at]
        if size is None:
            raise ValueError(f"axis {axis} must have a known size to be unstacked, got {given}")
        return [(*given[:at], *given[at + 1 :])] * size

    return moving(lambda x: list(np.moveaxis(x, axis, 0)), shape, name)


def stacked(axis: int, name: str) -> ArrayOperation:
    """Arrays of one shape side by side along a new axis."""

    def shape(given: list[Shape]) -> Shape:
        first = given[0]
        if any(len(one) != len(first) for one in given):
            raise ValueError(f"arrays to be stacked must have one shape, got {given}")
        sizes = [{n for n in sizes if n is not None} for sizes in zip(*given, strict=True)]
        if any(len(one) > 1 for one in sizes):
            raise ValueError(f"arrays to be stacked must have one shape, got {given}")
        (at,) = axes_of((axis,), (*first, 1))
        full: Shape = tuple(one.pop() if one else None for one in sizes)
        return (*full[:at], len(given), *full[at:])

    stack = lambda xs: np.stack(xs, axis)  # noqa: E731
    return OfSeveral(stack, shape, moved(stack), name=name)


def multiplied(name: str) -> ArrayOperation:
    """The products of the matrices in two arrays."""

    def shape(given: list[Shape]) -> Shape:
        a, b = given
        fitting = zip((*a[:-2], a[-1]), b[:-1], strict=True) if len(a) == len(b) > 2 else [(1, 2)]
        if any(n != m and None not in (n, m) for n, m in fitting):
            raise ValueError(f"matrices must fit together, and the axes before them be equal, got {given}")
        return (*a[:-1], b[-1])

    def back(xs: list[np.ndarray], out: np.ndarray, grad_out: np.ndarray) -> list[np.ndarray]:
        a, b = (x.swapaxes(-1, -2) for x in xs)
        return [grad_out @ b, a @ grad_out]

    return OfSeveral(lambda xs: np.matmul(*xs), shape, back, name=name)


def blocks(size: int, to_space: bool, name: str) -> ArrayOperation:
    """Channels that become squares of pixels of this size, or the other way round."""

    def shape(given: Shape) -> Shape:
        n, h, w, c = given if len(given) == 4 else (None,) * 4
        if c is None:
            raise ValueError(f"the array must be images with a known number of channels, got {given}")
        whole = [c / size**2] if to_space else [(m or 0) / size for m in (h, w)]
        if not all(one.is_integer() for one in whole):
            raise ValueError(f"{given} has no whole blocks of size {size}")
        if to_space:
            return n, h and h * size, w and w * size, c // size**2
        return n, h and h // size, w and w // size, c * size**2

    def compute(x: np.ndarray) -> np.ndarray:
        found: Any = shape(x.shape)
        n, h, w, c = x.shape
        if to_space:
            return x.reshape(n, h, w, size, size, c // size**2).transpose(0, 1, 3, 2, 4, 5).reshape(found)
        return x.reshape(n, h // size, size, w // size, size, c).transpose(0, 1, 3, 2, 4, 5).reshape(found)

    return moving(compute, shape, name)


def axes_of(axes: tuple[int, ...], shape: Shape) -> set[int]:
    """The numbers of axes, from the front; ValueError for the batch's and for those that are not there."""
    count = len(shape)
    found = {axis % count for axis in axes if -count <= axis < count}
    if len(found) != len(axes) or 0 in found:
        raise ValueError(f"axis must be axes of {shape}, not the batch's, each once, got {list(axes)}")
    return found
