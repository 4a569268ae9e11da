"""Layers that compute the same for every value, or nothing: Rescaling, ActivityRegularization, Identity."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from .. import config, regularizers
from ..common.arrays import as_numbers, cast
from ..common.words import Penalized, Unpack
from ..objects.registry import number
from .any_rank import AnyRank


class Identity(AnyRank):
    """Do nothing (Keras's ``Identity``): ``out = x``.

    Notes
    -----
    Input of any shape, output the same. Keeps nothing for backward.
    """

    supports_masking = True

    def __init__(self, **kwargs: "Unpack[Penalized]") -> None:
        super().__init__(**kwargs)

    def _forward(self, x: np.ndarray) -> tuple[np.ndarray, Any]:
        return np.ascontiguousarray(x), None

    def _whole_axes(self, count: int) -> Collection[int]:
        return ()

    def _input_grad(self, kept: Any, grad_out: np.ndarray) -> np.ndarray:
        return grad_out


class ActivityRegularization(Identity):
    """Do nothing but ask a penalty for what passes (Keras's ``ActivityRegularization``).

    The penalty is ``(l1 * sum(|x|) + l2 * sum(x ** 2)) / N``, for N examples, and is among the `Layer.losses`.

    Parameters
    ----------
    l1, l2 : float
        Not negative.

    Notes
    -----
    Input of any shape, output the same. Keeps for backward: its output.
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: "Unpack[Penalized]") -> None:
        given = kwargs.pop("activity_regularizer", None)
        super().__init__(**kwargs)
        with self._named():
            # When a setting changes, it is that of before.
            if not isinstance(given, regularizers.L1L2 | None):
                raise TypeError(f"activity_regularizer must not be given, it is made from l1 and l2, got {given!r}")
            self.l1, self.l2 = number(l1, "l1", minimum=0), number(l2, "l2", minimum=0)
            self._set_components({"activity_regularizer": regularizers.L1L2(self.l1, self.l2)})

    def get_config(self) -> dict[str, Any]:
        return {key: value for key, value in super().get_config().items() if key != "activity_regularizer"}


class Rescaling(AnyRank):
    """Bring values to another range (Keras's ``Rescaling``): ``out = x * scale + offset``.

    Parameters
    ----------
    scale, offset : float or array_like
        Arrays are broadcast over the last axes of the input, such as one number for each channel; with
        `config.image_data_format` of channels_first, a ``scale`` of one axis is that of the channels there, as in
        Keras.

    Notes
    -----
    Input of any shape, output the same. Integers, such as images of uint8, become the layer's dtype first. Keeps
    nothing for backward.
    """

    supports_masking = True

    def __init__(self, scale: Any, offset: Any = 0.0, **kwargs: "Unpack[Penalized]") -> None:
        super().__init__(**kwargs)
        with self._named():
            self.scale, self.offset = _as_tuples(scale, "scale"), _as_tuples(offset, "offset")
        factor = cast(np.array(self.scale), self._dtype)
        if factor.ndim and config.image_data_format() == "channels_first":
            factor = factor.reshape(factor.shape + (1,) * (3 - factor.ndim))
        self._factor, self._shift = factor, cast(np.array(self.offset), self._dtype)

    @np.errstate(over="ignore", invalid="ignore")
    def _forward(self, x: np.ndarray) -> tuple[np.ndarray, Any]:
        for name, values in (("scale", self._factor), ("offset", self._shift)):
            fits = (n in (1, size) for n, size in zip(values.shape[::-1], x.shape[::-1], strict=False))
            if values.ndim > x.ndim or not all(fits):
                raise ValueError(f"x must have a shape that {name} {values.shape} broadcasts to, got {x.shape}")
        out = np.ascontiguousarray(x) * self._factor
        out += self._shift
        return out, None

    def _factors_of(self, weights: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """The factors of ``out = x * scale + shift``, as those of a batch normalization."""
        return self._factor.astype(np.float64), self._shift.astype(np.float64)

    def _whole_axes(self, count: int) -> Collection[int]:
        shapes = (self._factor.shape, self._shift.shape)
        return {count - i for shape in shapes for i, n in enumerate(shape[::-1], 1) if n > 1}

    @np.errstate(over="ignore", invalid="ignore")
    def _input_grad(self, kept: Any, grad_out: np.ndarray) -> np.ndarray:
        grad: np.ndarray = grad_out * self._factor
        return grad


def _as_tuples(value: Any, name: str) -> Any:
    """Numbers as floats in tuples, which cannot be changed in place; those of an array as Keras's files hold it too."""
    if isinstance(value, Mapping):
        # {"class_name": "__numpy__", "config": {"value": [...], "dtype": ...}}
        value = dict(value.get("config") or {}).get("value")
    array = cast(as_numbers(value, name), np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must hold finite numbers, got {value!r}")

    def tuples(values: Any) -> Any:
        return tuple(map(tuples, values)) if isinstance(values, list) else values

    return tuples(array.tolist())
