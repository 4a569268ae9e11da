"""Pooling: layers without weights, whose windows keep their largest value or the average of their values."""

from typing import Any, ClassVar

import numpy as np

from .. import shapes
from ..calls.layouts import spatial
from ..calls.pooling import pool_call, pool_grad_call, pool_window
from ..calls.window import Window
from ..common.arguments import check_bool, check_data_format, check_mask
from ..common.words import DataFormat, Padding, Penalized, Unpack
from .base import Layer


class PoolingLayer(Layer):
    """What pooling of windows and of whole images have in common."""

    rank: ClassVar[int]
    kind: ClassVar[str]
    # Whether a window is all of an image, whatever its size.
    whole: ClassVar[bool] = False
    _repeats = True

    def _window(self, x_shape: tuple[int, ...]) -> Window:
        """The windows over an input of this shape."""
        raise NotImplementedError

    def _prepare(self, x_shape: tuple[int, ...]) -> Any:
        return pool_call(self.kind, x_shape, self._window(x_shape), self.whole)

    def _forward(self, x: np.ndarray) -> tuple[np.ndarray, Any]:
        return self.call(x), x if self.kind == "max" else x.shape

    def _input_grad(self, kept: Any, grad_out: np.ndarray) -> np.ndarray:
        x_shape, operands = (kept.shape, (kept, grad_out)) if self.kind == "max" else (kept, (grad_out,))
        call = pool_grad_call(self.kind, x_shape, grad_out.shape, self._dtype.itemsize, self._window(x_shape))
        return call(*operands)


class Pooling(PoolingLayer):
    """Pool windows of ``rank`` spatial axes; see `MaxPooling2D` and `AveragePooling2D`.

    Parameters
    ----------
    pool_size : int or tuple of int
        Of the windows along each axis.
    strides : int or tuple of int, optional
        From one window to the next; None takes ``pool_size``.
    padding : {"valid", "same"}
        With "same", windows begin at every stride-th position and may reach beyond the input, where nothing counts.
    """

    def __init__(
        self,
        pool_size: Any = 2,
        strides: Any = None,
        padding: Padding = "valid",
        data_format: DataFormat | None = None,
        **kwargs: "Unpack[Penalized]",
    ) -> None:
        super().__init__(**kwargs)
        with self._named():
            window = pool_window(pool_size, strides, padding, data_format, self.rank)
            self.pool_size, self.strides, self.padding, _, self.data_format = window

    def _window(self, x_shape: tuple[int, ...]) -> Window:
        return Window(self.pool_size, self.strides, self.padding, (1,) * self.rank, self.data_format)

    def _output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return shapes.pool_output_shape(input_shape, self.pool_size, self.strides, self.padding, self.data_format)


class GlobalPooling(PoolingLayer):
    """Pool all positions of ``rank`` spatial axes; see `GlobalMaxPooling2D` and `GlobalAveragePooling2D`.

    Parameters
    ----------
    keepdims : bool
        Whether the spatial axes stay, as axes of length 1.
    """

    whole = True

    def __init__(
        self, data_format: DataFormat | None = None, keepdims: bool = False, **kwargs: "Unpack[Penalized]"
    ) -> None:
        super().__init__(**kwargs)
        with self._named():
            self.data_format = check_data_format(data_format)
            self.keepdims = check_bool(keepdims, "keepdims")

    def _window(self, x_shape: tuple[int, ...]) -> Window:
        lengths = spatial(x_shape, self.data_format)
        return Window(lengths, lengths, "valid", (1,) * self.rank, self.data_format)

    def _output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return shapes.global_pool_output_shape(input_shape, self.keepdims, self.data_format)

    def call(self, x: np.ndarray) -> np.ndarray:
        out, channels = super().call(x), self._channels_of(x.shape)
        return out if self.keepdims else out.reshape(len(x), channels)  # type: ignore[arg-type]

    def _input_grad(self, kept: Any, grad_out: np.ndarray) -> np.ndarray:
        x_shape = kept.shape if self.kind == "max" else kept
        shape: Any = shapes.global_pool_output_shape(x_shape, True, self.data_format)
        return super()._input_grad(kept, grad_out.reshape(shape))


class MaxPooling1D(Pooling):
    """Keep the largest value of every window of steps (Keras's ``MaxPooling1D``): one-dimensional `MaxPooling2D`."""

    rank, kind = 1, "max"


class MaxPooling2D(Pooling):
    """Keep the largest value of every window of an image (Keras's ``MaxPooling2D``).

    Notes
    -----
    Input (N, H, W, C), output (N, H', W', C) as in `shapes.pool_output_shape`; channels second for channels_first.
    Keeps for backward: its input.
    """

    rank, kind = 2, "max"


class MaxPooling3D(Pooling):
    """Keep the largest value of every window of a volume (Keras's ``MaxPooling3D``): `MaxPooling2D` and an axis."""

    rank, kind = 3, "max"


class AveragePooling1D(Pooling):
    """Average every window of steps (Keras's ``AveragePooling1D``): one-dimensional `AveragePooling2D`."""

    rank, kind = 1, "average"


class AveragePooling2D(Pooling):
    """Average every window of an image (Keras's ``AveragePooling2D``).

    A window that reaches beyond the image averages what it holds of it.

    Notes
    -----
    Input (N, H, W, C), output (N, H', W', C) as in `shapes.pool_output_shape`; channels second for channels_first.
    Keeps for backward: the shape of its input.
    """

    rank, kind = 2, "average"


class AveragePooling3D(Pooling):
    """Average every window of a volume (Keras's ``AveragePooling3D``): `AveragePooling2D` with one more axis."""

    rank, kind = 3, "average"


class GlobalMaxPooling1D(GlobalPooling):
    """Keep the largest of all steps (Keras's ``GlobalMaxPooling1D``): one-dimensional `GlobalMaxPooling2D`."""

    rank, kind = 1, "max"


class GlobalMaxPooling2D(GlobalPooling):
    """Keep the largest value of an image, channel by channel (Keras's ``GlobalMaxPooling2D``).

    Notes
    -----
    Input (N, H, W, C), output (N, C), or (N, 1, 1, C) with ``keepdims``; channels second for channels_first.
    Keeps for backward: its input.
    """

    rank, kind = 2, "max"


class GlobalMaxPooling3D(GlobalPooling):
    """Keep the largest value of a volume (Keras's ``GlobalMaxPooling3D``): `GlobalMaxPooling2D` with one more axis."""

    rank, kind = 3, "max"


class GlobalAveragePooling1D(GlobalPooling):
    """Average all steps (Keras's ``GlobalAveragePooling1D``): one-dimensional `GlobalAveragePooling2D`.

    With a mask, those that count; their average is NaN where there are none.
    """

    rank, kind = 1, "average"
    supports_masking = True

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """None: no steps are left."""

    def call(self, x: np.ndarray, mask: Any = None) -> np.ndarray:
        if mask is None:
            return super().call(x)
        self._must_fit(x)
        return self._forward(x, mask)[0]

    def _forward(self, x: np.ndarray, mask: Any = None) -> tuple[np.ndarray, Any]:
        if mask is None:
            return super()._forward(x)
        steps = 2 if self.data_format == "channels_first" else 1
        counts = np.expand_dims(check_mask(mask, (len(x), x.shape[steps])), 3 - steps)
        count = counts.sum(axis=steps, keepdims=True).astype(x.dtype)
        with np.errstate(all="ignore"):
            share = counts / count
            out = np.where(counts, x, 0).sum(axis=steps, keepdims=True) / count
        return out if self.keepdims else out.squeeze(steps), (x.shape, share, steps)

    def _input_grad(self, kept: Any, grad_out: np.ndarray) -> np.ndarray:
        if not isinstance(kept[0], tuple):
            return super()._input_grad(kept, grad_out)
        shape, share, steps = kept
        grad = grad_out if self.keepdims else np.expand_dims(grad_out, steps)
        return np.ascontiguousarray(np.broadcast_to(grad * share, shape))


class GlobalAveragePooling2D(GlobalPooling):
    """Average an image, channel by channel (Keras's ``GlobalAveragePooling2D``).

    Notes
    -----
    Input (N, H, W, C), output (N, C), or (N, 1, 1, C) with ``keepdims``; channels second for channels_first.
    Keeps for backward: the shape of its input.
    """

    rank, kind = 2, "average"


class GlobalAveragePooling3D(GlobalPooling):
    """Average a volume (Keras's ``GlobalAveragePooling3D``): `GlobalAveragePooling2D` with one more axis."""

    rank, kind = 3, "average"
