"""Cropping, zero padding and upsampling: layers without weights, which move values around."""

from typing import Any, ClassVar

import numpy as np

from .. import shapes
from ..calls.moving import crop_call, upsample_call, upsample_grad_call, zero_pad_call
from ..common.arguments import check_data_format, check_interpolation
from ..common.words import DataFormat, Interpolation, Penalized, Unpack
from .base import Layer


class Moving(Layer):
    """A layer without weights, which puts values, or sums of them, elsewhere along ``rank`` spatial axes."""

    rank: ClassVar[int]

    def _forward(self, x: np.ndarray) -> tuple[np.ndarray, Any]:
        return self.call(x), x.shape


class Cropping(Moving):
    """Cut positions off the ends of ``rank`` spatial axes; see `Cropping2D`."""

    _repeats = True

    def _set_cropping(self, cropping: Any, data_format: str | None) -> None:
        with self._named():
            self.cropping = shapes.normalize_pairs(cropping, self.rank, "cropping")
            self.data_format = check_data_format(data_format)

    def _prepare(self, x_shape: tuple[int, ...]) -> Any:
        return crop_call(x_shape, self.cropping, self.data_format, self._dtype.itemsize)

    def _input_grad(self, x_shape: tuple[int, ...], grad_out: np.ndarray) -> np.ndarray:
        return zero_pad_call(grad_out.shape, self.cropping, self.data_format, grad_out.itemsize)(grad_out)

    def _output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return shapes.crop_output_shape(input_shape, self.cropping, self.data_format)


class Cropping1D(Cropping):
    """Cut steps off both ends (Keras's ``Cropping1D``).

    Parameters
    ----------
    cropping : int or tuple of int
        Steps to drop at each end, or (at the beginning, at the end).

    Notes
    -----
    Input (N, steps, C), output (N, steps - before - after, C).
    """

    rank = 1

    def __init__(self, cropping: Any = (1, 1), **kwargs: "Unpack[Penalized]") -> None:
        super().__init__(**kwargs)
        self._set_cropping(cropping, "channels_last")

    def get_config(self) -> dict[str, Any]:
        # Keras keeps the one pair as it is, not in a tuple of pairs.
        return {**super().get_config(), "cropping": list(self.cropping[0])}


class Cropping2D(Cropping):
    """Cut rows and columns off the borders of an image (Keras's ``Cropping2D``).

    Parameters
    ----------
    cropping : int, tuple of 2 int or tuple of 2 pairs of int
        One amount for all borders; one for height and one for width; or ((top, bottom), (left, right)).

    Notes
    -----
    Input (N, H, W, C), output (N, H - top - bottom, W - left - right, C); channels second for channels_first.
    Keeps for backward: the shape of its input.
    """

    rank = 2

    def __init__(
        self, cropping: Any = ((0, 0), (0, 0)), data_format: DataFormat | None = None, **kwargs: "Unpack[Penalized]"
    ) -> None:
        super().__init__(**kwargs)
        self._set_cropping(cropping, data_format)


class Cropping3D(Cropping):
    """Cut positions off the borders of a volume (Keras's ``Cropping3D``): `Cropping2D` with one more axis."""

    rank = 3

    def __init__(
        self,
        cropping: Any = ((1, 1), (1, 1), (1, 1)),
        data_format: DataFormat | None = None,
        **kwargs: "Unpack[Penalized]",
    ) -> None:
        super().__init__(**kwargs)
        self._set_cropping(cropping, data_format)


class ZeroPadding(Moving):
    """Add zeros at the ends of ``rank`` spatial axes; see `ZeroPadding2D`."""

    _repeats = True

    def _set_padding(self, padding: Any, data_format: str | None) -> None:
        with self._named():
            self.padding = shapes.normalize_pairs(padding, self.rank, "padding")
            self.data_format = check_data_format(data_format)

    def _prepare(self, x_shape: tuple[int, ...]) -> Any:
        return zero_pad_call(x_shape, self.padding, self.data_format, self._dtype.itemsize)

    def _input_grad(self, x_shape: tuple[int, ...], grad_out: np.ndarray) -> np.ndarray:
        return crop_call(grad_out.shape, self.padding, self.data_format, grad_out.itemsize)(grad_out)

    def _output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return shapes.zero_pad_output_shape(input_shape, self.padding, self.data_format)


class ZeroPadding1D(ZeroPadding):
    """Add zero steps at both ends (Keras's ``ZeroPadding1D``).

    Parameters
    ----------
    padding : int or tuple of int
        Steps to add at each end, or (at the beginning, at the end). Keras's page speaks of a dictionary too, which
        Keras never took: it is refused.

    Notes
    -----
    Input (N, steps, C), output (N, before + steps + after, C).
    """

    rank = 1
    _neutral: ClassVar = {"data_format": (("channels_last",), "the axes of one dimension stand in this order")}

    def __init__(self, padding: Any = 1, **kwargs: "Unpack[Penalized]") -> None:
        super().__init__(**kwargs)
        self._set_padding(padding, "channels_last")

    def get_config(self) -> dict[str, Any]:
        # Keras keeps the one pair as it is, not in a tuple of pairs.
        return {**super().get_config(), "padding": list(self.padding[0])}


class ZeroPadding2D(ZeroPadding):
    """Add rows and columns of zeros around an image (Keras's ``ZeroPadding2D``).

    Parameters
    ----------
    padding : int, tuple of 2 int or tuple of 2 pairs of int
        One amount for all borders; one for height and one for width; or ((top, bottom), (left, right)).

    Notes
    -----
    Input (N, H, W, C), output (N, top + H + bottom, left + W + right, C); channels second for channels_first.
    Keeps for backward: the shape of its input.
    """

    rank = 2

    def __init__(
        self, padding: Any = (1, 1), data_format: DataFormat | None = None, **kwargs: "Unpack[Penalized]"
    ) -> None:
        super().__init__(**kwargs)
        self._set_padding(padding, data_format)


class ZeroPadding3D(ZeroPadding):
    """Add zeros around a volume (Keras's ``ZeroPadding3D``): `ZeroPadding2D` with one more axis."""

    rank = 3

    def __init__(
        self, padding: Any = (1, 1, 1), data_format: DataFormat | None = None, **kwargs: "Unpack[Penalized]"
    ) -> None:
        super().__init__(**kwargs)
        self._set_padding(padding, data_format)


class UpSampling(Moving):
    """Enlarge ``rank`` spatial axes by whole factors; see `UpSampling2D`."""

    _repeats = True

    def _set_size(self, size: Any, data_format: str | None, interpolation: str = "nearest") -> None:
        with self._named():
            self.size = shapes.normalize_tuple(size, self.rank, "size")
            self.data_format = check_data_format(data_format)
            self.interpolation = check_interpolation(interpolation, self.rank)

    def _prepare(self, x_shape: tuple[int, ...]) -> Any:
        return upsample_call(x_shape, self.size, self.interpolation, self.data_format, self._dtype.itemsize)

    def _input_grad(self, x_shape: tuple[int, ...], grad_out: np.ndarray) -> np.ndarray:
        settings = self.size, self.interpolation, self.data_format, self._dtype.itemsize
        return upsample_grad_call(x_shape, *settings)(grad_out)

    def _output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return shapes.upsample_output_shape(input_shape, self.size, self.data_format)


class UpSampling1D(UpSampling):
    """Repeat every step (Keras's ``UpSampling1D``).

    Parameters
    ----------
    size : int

    Notes
    -----
    Input (N, steps, C), output (N, steps * size, C).
    """

    rank = 1

    def __init__(self, size: Any = 2, **kwargs: "Unpack[Penalized]") -> None:
        super().__init__(**kwargs)
        self._set_size(size, "channels_last")


class UpSampling2D(UpSampling):
    """Enlarge an image (Keras's ``UpSampling2D``).

    Parameters
    ----------
    size : int or tuple of 2 int
        Factors for height and width.
    interpolation : {"nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"}
        "nearest" repeats rows and columns. The others read the input at ``(o + 0.5) / size - 0.5`` (half-pixel
        centres): "bilinear" with the borders held, "bicubic" with Keys's cubic (a = -0.5), at places rounded to 1/1024
        as TensorFlow does, "lanczos3" and "lanczos5" with Lanczos's kernel; shares outside the image fall to the rest.

    Notes
    -----
    Input (N, H, W, C), output (N, H * size[0], W * size[1], C); channels second for channels_first.
    Keeps for backward: the shape of its input.
    """

    rank = 2

    def __init__(
        self,
        size: Any = (2, 2),
        data_format: DataFormat | None = None,
        interpolation: Interpolation = "nearest",
        **kwargs: "Unpack[Penalized]",
    ) -> None:
        super().__init__(**kwargs)
        self._set_size(size, data_format, interpolation)


class UpSampling3D(UpSampling):
    """Repeat every position of a volume (Keras's ``UpSampling3D``): nearest `UpSampling2D` with one more axis."""

    rank = 3

    def __init__(
        self, size: Any = (2, 2, 2), data_format: DataFormat | None = None, **kwargs: "Unpack[Penalized]"
    ) -> None:
        super().__init__(**kwargs)
        self._set_size(size, data_format)
