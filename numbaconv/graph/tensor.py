"""Tensors without numbers, and the nodes that they come from and go to."""

from collections.abc import Callable
from typing import Any, ClassVar, NoReturn

from ..common.structures import leaves
from ..objects.strict import Strict
from ..shapes import Shape

# What stands for ``x + y`` and its like, by the name of Python's method; `numbaconv.layers` gives it.
OPERATORS: dict[str, Callable[[Any, Any], Any]] = {}


def _operator(name: str) -> Callable[[Any, Any], Any]:
    def method(self: "KerasTensor", other: Any) -> Any:
        operator = OPERATORS.get(name)
        return NotImplemented if operator is None else operator(self, other)

    method.__name__ = name
    return method


def _refused(name: str) -> Callable[..., Any]:
    def method(self: "KerasTensor", *others: Any) -> NoReturn:
        raise TypeError(
            f"{self!r} has no {name}: of two tensors there are +, - and *, of a tensor and a number / too; "
            "layers.Lambda computes anything else"
        )

    method.__name__ = name
    return method


class KerasTensor(Strict):
    """The place of an array in a network: its shape and dtype, and no numbers (Keras's ``KerasTensor``).

    `numbaconv.layers.Input` makes one; a layer that is called on some makes others. ``x + y``, ``x - y`` and ``x * y``
    of two of them stand for the layers `Add`, `Subtract` and `Multiply`; those of a tensor and a number, ``x / 2`` and
    ``-x`` stand for `Rescaling`.

    Attributes
    ----------
    shape : tuple of int or None
        With the batch axis; None is unknown.
    dtype : str
    name : str
    """

    # NumPy leaves operators to this class.
    __array_ufunc__: ClassVar[None] = None
    shape: Shape
    dtype: str
    name: str
    _node: Any

    def __init__(self, shape: Shape, dtype: str, name: str) -> None:
        # A network has hundreds, of which nobody is to look at each attribute.
        vars(self).update(shape=shape, dtype=dtype, name=name, _node=None)

    @property
    def ndim(self) -> int:
        """Number of axes, the batch axis included."""
        return len(self.shape)

    __add__, __radd__, __sub__, __rsub__, __mul__, __rmul__, __truediv__ = map(
        _operator, ("__add__", "__radd__", "__sub__", "__rsub__", "__mul__", "__rmul__", "__truediv__")
    )
    __neg__ = lambda self: self * -1  # noqa: E731

    __abs__, __getitem__, __matmul__, __pow__, __rpow__, __rtruediv__ = map(
        _refused, ("abs()", "x[...]", "@", "**", "**", "division of a number by it")
    )

    def __array__(self, *arguments: Any, **keywords: Any) -> NoReturn:
        raise TypeError(f"{self!r} has no numbers: call the model with an array")

    def __iter__(self) -> NoReturn:
        raise TypeError(f"{self!r} has no numbers to go through")

    def __bool__(self) -> NoReturn:
        raise TypeError(f"{self!r} has no numbers, so that no condition can depend on them")

    def __repr__(self) -> str:
        return f"<KerasTensor {self.name!r}, shape {self.shape}, {self.dtype}>"


class Node:
    """One call of an operation: a layer that is called twice has two of them.

    Arguments are the positional and the keyword arguments of the call, tensors among them, outputs a KerasTensor or a
    structure of some.
    """

    def __init__(self, operation: Any, arguments: tuple[tuple[Any, ...], dict[str, Any]], outputs: Any) -> None:
        self.operation, self.arguments, self.structure = operation, arguments, outputs
        self.inputs: list[KerasTensor] = tensors_in(arguments)
        self.outputs: list[KerasTensor] = tensors_in(outputs)
        for tensor in self.outputs:
            tensor._node = self


def tensors_in(structure: Any) -> list[KerasTensor]:
    """The tensors among the values of a structure."""
    return [one for one in leaves(structure) if isinstance(one, KerasTensor)]
