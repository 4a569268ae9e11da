"""Dropout, of single values and of whole channels."""

from typing import Any, ClassVar

import numpy as np

from .. import shapes
from ..common.arguments import check_data_format
from ..common.arrays import masked
from ..common.words import DataFormat, Penalized, Unpack
from ..objects.registry import number
from .any_rank import Shape
from .drawing import Drawing


class Dropping(Drawing):
    """A layer that drops values.

    Parameters
    ----------
    rate : float
        Share of the values to be dropped, from 0 to 1.
    seed : int, optional
        Two layers of the same seed drop the same values; without one, every layer is different.
    """

    rate: float

    def _drawn(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of the draw for an input of this shape."""
        raise NotImplementedError

    def _forward(self, x: np.ndarray) -> tuple[np.ndarray, Any]:
        x = np.ascontiguousarray(x)
        if self.rate == 0:
            return x, None
        left = self._generator.random(self._drawn(x.shape), np.float32) >= self.rate
        return self._masked(x, left), left

    def _input_grad(self, kept: Any, grad_out: np.ndarray) -> np.ndarray:
        return grad_out if kept is None else self._masked(grad_out, kept)

    @np.errstate(over="ignore", invalid="ignore")
    def _masked(self, values: np.ndarray, left: np.ndarray) -> np.ndarray:
        # A rate of 1 leaves nothing that could be enlarged.
        scale = 1 / (1 - self.rate or 1)
        return masked(left, values * scale)


class Dropout(Dropping):
    """Set values to 0 at random in training, and enlarge the others to make up for it (Keras's ``Dropout``).

    ``out = x / (1 - rate)`` with probability ``1 - rate``, otherwise 0. Outside training the layer does nothing.

    Parameters
    ----------
    noise_shape : tuple of int or None, optional
        Shape of the draw, which is broadcast over the input, None being the input's own size: (None, 1, C) drops whole
        channels of (N, steps, C).

    Notes
    -----
    Input of any shape, output the same. Keeps for backward: which values are left, a bool for each one drawn.
    """

    def __init__(
        self, rate: float, noise_shape: Any = None, seed: int | None = None, **kwargs: "Unpack[Penalized]"
    ) -> None:
        super().__init__(**kwargs)
        with self._named():
            self.rate = number(rate, "rate", minimum=0, maximum=1)
            self.noise_shape = None if noise_shape is None else _checked_sizes(noise_shape)
            self._begin(seed)

    def _drawn(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of the draw for an input of this shape."""
        if self.noise_shape is None:
            return shape
        drawn = tuple(shape[i] if n is None else n for i, n in enumerate(self.noise_shape[: len(shape)]))
        fits = (n in (1, size) for n, size in zip(drawn[::-1], shape[::-1], strict=False))
        if len(self.noise_shape) > len(shape) or not all(fits):
            raise ValueError(f"x must have a shape that noise_shape {self.noise_shape} broadcasts to, got {shape}")
        return drawn


class SpatialDropping(Dropping):
    """Dropout of whole channels."""

    _neutral: ClassVar = {"noise_shape": ((None,), "whole channels are dropped")}

    def _drawn(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        positions = (1,) * (len(shape) - 2)
        if self.data_format == "channels_first":
            return *shape[:2], *positions
        return shape[0], *positions, shape[-1]

    def _why(self, before: Shape, after: Shape) -> str:
        return "every value keeps its place; in training, a channel is dropped as a whole"

    def get_config(self) -> dict[str, Any]:
        # Keras's have no argument trainable, on which nothing depends.
        return {key: value for key, value in super().get_config().items() if key != "trainable"}


class SpatialDropout1D(SpatialDropping):
    """Set whole channels to 0 at random in training, and enlarge the others (Keras's ``SpatialDropout1D``).

    ``out = x / (1 - rate)`` with probability ``1 - rate``, otherwise 0: one draw for each channel of each sequence.
    Outside training the layer does nothing.

    Notes
    -----
    Input (N, steps, C), output the same. Keeps for backward: which channels are left, a bool for each.

    Tompson et al., "Efficient Object Localization Using Convolutional Networks", 2015.
    """

    rank = 1

    def __init__(
        self, rate: float, seed: int | None = None, name: str | None = None, dtype: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(name=name, dtype=dtype, **kwargs)
        with self._named():
            self.rate = number(rate, "rate", minimum=0, maximum=1)
            self._begin(seed)


class _OfImages(SpatialDropping):
    """Dropout of whole channels in either data format."""

    def __init__(
        self,
        rate: float,
        data_format: DataFormat | None = None,
        seed: int | None = None,
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, dtype=dtype, **kwargs)
        with self._named():
            self.rate = number(rate, "rate", minimum=0, maximum=1)
            self.data_format = check_data_format(data_format)
            self._begin(seed)


class SpatialDropout2D(_OfImages):
    """Set whole channels to 0 at random in training, and enlarge the others (Keras's ``SpatialDropout2D``).

    ``out = x / (1 - rate)`` with probability ``1 - rate``, otherwise 0: one draw for each channel of each image.
    Outside training the layer does nothing.

    Notes
    -----
    Input (N, H, W, C) or (N, C, H, W), output the same. Keeps for backward: which channels are left, a bool for each.

    Tompson et al., "Efficient Object Localization Using Convolutional Networks", 2015.
    """

    rank = 2


class SpatialDropout3D(_OfImages):
    """Set whole channels of volumes to 0 at random in training (Keras's ``SpatialDropout3D``); see `SpatialDropout2D`.

    Input (N, D, H, W, C) or (N, C, D, H, W), output the same.
    """

    rank = 3


def _checked_sizes(noise_shape: Any) -> tuple[int | None, ...]:
    if not isinstance(noise_shape, tuple | list):
        raise TypeError(f"noise_shape must be a tuple of sizes (None for the input's own), got {noise_shape!r}")
    return tuple(n if n is None else shapes.normalize_tuple(n, 1, "sizes in noise_shape")[0] for n in noise_shape)
