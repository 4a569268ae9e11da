"""Input, where a network begins."""

from collections.abc import Sequence
from typing import Any

from .. import config, shapes
from ..common.arguments import check_bool
from ..common.arrays import dtype_or_none
from ..graph.tensor import KerasTensor, Node
from ..objects.docstrings import as_in
from .base import Layer


class InputLayer(Layer):
    """The place where an array comes into a network (Keras's ``InputLayer``).

    Parameters
    ----------
    shape : tuple of int or None
        Shape of one input, without the batch axis; None where a size is unknown.
    batch_size : int, optional
    dtype : str, optional
        What the network is given; layers cast it to their own. None takes `config.floatx()`.
    batch_shape : tuple of int or None, optional
        Shape with the batch axis, in place of ``shape`` and ``batch_size``.
    name : str, optional
        By which a dict of inputs names this one; by default input_layer, input_layer_1, ...

    Raises
    ------
    ValueError, TypeError
        If there is no shape, or one with something else in it than sizes.
    """

    def __init__(
        self,
        shape: Sequence[int | None] | None = None,
        batch_size: int | None = None,
        dtype: Any = None,
        batch_shape: Sequence[int | None] | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        with self._named():
            if (shape is None) == (batch_shape is None):
                raise ValueError("one of shape and batch_shape must be given, and not both")
            if batch_shape is not None and batch_size is not None:
                raise ValueError("batch_size must not come with batch_shape, which includes it")
            given = shape if batch_shape is None else batch_shape
            if not isinstance(given, list | tuple):
                raise TypeError(f"shape must be a tuple of sizes (None where unknown), got {given!r}")
            full = (batch_size, *given) if batch_shape is None else tuple(given)
            if not full:
                raise ValueError("batch_shape must have a batch axis, got ()")
            self.batch_shape = shapes.normalize_shape(full, "shape")
            vars(self).update(built=True, input_shape=self.batch_shape, dtype=_dtype(dtype))
        tensor = KerasTensor(self.batch_shape, self.dtype, self.name)
        self._nodes.append(Node(self, ((), {}), tensor))

    def _output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def _checked_shape(self, input_shape: Any) -> Any:
        return shapes.normalize_shape(input_shape, "input_shape")

    def _change(self, name: str, value: Any) -> None:
        if name != "trainable":
            raise ValueError(f"{name} cannot be set, because what follows depends on it: make a new Input")
        vars(self)[name] = check_bool(value, name)

    def get_config(self) -> dict[str, Any]:
        return {"batch_shape": list(self.batch_shape), "dtype": self.dtype, "name": self.name}


@as_in(InputLayer)
def Input(  # noqa: N802
    shape: Sequence[int | None] | None = None,
    batch_size: int | None = None,
    dtype: Any = None,
    batch_shape: Sequence[int | None] | None = None,
    name: str | None = None,
) -> KerasTensor:
    """Begin a network: a tensor without numbers, to call layers on (Keras's ``Input``).

    Returns
    -------
    KerasTensor

    Examples
    --------
    >>> from numbaconv.layers import Dense, Input
    >>> x = Input((4,))
    >>> Dense(3)(x).shape
    (None, 3)
    """
    layer = InputLayer(shape, batch_size, dtype, batch_shape, name)
    tensor: KerasTensor = layer.output
    return tensor


def _dtype(value: Any) -> str:
    dtype = dtype_or_none(config.floatx() if value is None else value)
    if dtype is None or dtype.kind not in "biuf":
        raise ValueError(f"dtype must be one of numbers, got {value!r}")
    return dtype.name
