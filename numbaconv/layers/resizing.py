"""Resizing and CenterCrop: images of one size, whatever they were."""

from typing import Any, ClassVar, Literal

import numpy as np

from .. import shapes
from ..calls.layouts import spatial
from ..calls.moving import Resize, crop_call, resize_call, resize_grad_call, zero_pad_call
from ..common.arguments import check_bool, check_data_format, check_interpolation
from ..common.words import DataFormat, Interpolation, Penalized, Unpack
from ..objects.registry import number
from .moving import Moving


class OneSize(Moving):
    """A layer that makes images of one height and width; see `Resizing`."""

    rank = 2
    # Of preprocessing layers.
    _neutral: ClassVar = {"bounding_box_format": ((None,), "there are no bounding boxes")}

    def _set_lengths(self, height: Any, width: Any, data_format: str | None) -> None:
        self.height, self.width = (
            shapes.normalize_tuple(value, 1, name)[0] for value, name in ((height, "height"), (width, "width"))
        )
        self.data_format = check_data_format(data_format)

    def _output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return shapes.resize_output_shape(input_shape, (self.height, self.width), self.data_format)


class Resizing(OneSize):
    """Bring images to one height and width (Keras's ``Resizing``).

    Every value is a sum of input values, each with its share; shares add up to 1. Output o of m lies over the input
    coordinate ``(o + 0.5) * n / m - 0.5`` of n (half-pixel centres).

    Parameters
    ----------
    height, width : int
    interpolation : {"bilinear", "nearest", "bicubic", "lanczos3", "lanczos5", "area"}
        "nearest" copies; "area" is the mean over what an output's cell covers; the others are kernels that reach 1, 2,
        3 or 5 positions: a tent, Keys's cubic (a = -0.5), Lanczos's windowed sinc.
    crop_to_aspect_ratio : bool
        Whether the image is first cut, in the middle, to the proportions of the result.
    pad_to_aspect_ratio : bool
        Whether the image is first given such proportions by adding to its shorter side.
    fill_mode : {"constant"}
    fill_value : float
        What is added.
    antialias : bool
        Whether kernels are stretched where an axis becomes shorter, so that they meet every position.

    Notes
    -----
    Input (N, H, W, C), output (N, height, width, C); channels second for channels_first. Results are floats of the
    layer's dtype, never rounded to integers. As in TensorFlow, "bicubic" without antialias reads at places rounded to
    1/1024. Keeps for backward: the shape of its input.

    Keys, "Cubic Convolution Interpolation for Digital Image Processing", 1981.
    """

    def __init__(
        self,
        height: int,
        width: int,
        interpolation: Interpolation | Literal["area"] = "bilinear",
        crop_to_aspect_ratio: bool = False,
        pad_to_aspect_ratio: bool = False,
        fill_mode: str = "constant",
        fill_value: float = 0.0,
        antialias: bool = False,
        data_format: DataFormat | None = None,
        **kwargs: "Unpack[Penalized]",
    ) -> None:
        super().__init__(**kwargs)
        with self._named():
            self._set_lengths(height, width, data_format)
            self.interpolation = check_interpolation(interpolation, 2, "area")
            self.crop_to_aspect_ratio = check_bool(crop_to_aspect_ratio, "crop_to_aspect_ratio")
            self.pad_to_aspect_ratio = check_bool(pad_to_aspect_ratio, "pad_to_aspect_ratio")
            if self.crop_to_aspect_ratio and self.pad_to_aspect_ratio:
                raise ValueError("pad_to_aspect_ratio must be False where crop_to_aspect_ratio is True, got True")
            if fill_mode != "constant":
                raise ValueError(f"fill_mode must be 'constant', got {fill_mode!r}")
            self.fill_mode = "constant"
            self.fill_value = number(fill_value, "fill_value")
            self.antialias = check_bool(antialias, "antialias")

    def what_it_does(self) -> str:
        """For ``explain``."""
        first = "cut to the proportions of the result and " if self.crop_to_aspect_ratio else ""
        first = "padded to the proportions of the result and " if self.pad_to_aspect_ratio else first
        return f"{first}resized by {self.interpolation} interpolation"

    def _prepare(self, x_shape: tuple[int, ...]) -> Any:
        padded = self._padded(x_shape)
        call = resize_call(padded, self._resize(x_shape), self.data_format, self._dtype.itemsize)
        if padded == x_shape:
            return call
        inside = self._inside(x_shape)

        def run(x: np.ndarray) -> np.ndarray:
            whole = np.full(padded, self.fill_value, x.dtype)
            whole[inside] = x
            return call(whole)

        return run

    def _input_grad(self, x_shape: tuple[int, ...], grad_out: np.ndarray) -> np.ndarray:
        padded = self._padded(x_shape)
        grad = resize_grad_call(padded, self._resize(x_shape), self.data_format, self._dtype.itemsize)(grad_out)
        return grad if padded == x_shape else np.ascontiguousarray(grad[self._inside(x_shape)])

    def _resize(self, x_shape: tuple[int, ...]) -> Resize:
        size = self.height, self.width
        lengths: Any = spatial(x_shape, self.data_format)
        box = shapes.crop_to_aspect(lengths, size) if self.crop_to_aspect_ratio else None
        return Resize(size, self.interpolation, self.antialias, box)

    def _padding(self, x_shape: tuple[int, ...]) -> tuple[tuple[int, int], tuple[int, int]]:
        lengths: Any = spatial(x_shape, self.data_format)
        return shapes.pad_to_aspect(lengths, (self.height, self.width))

    def _padded(self, x_shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape that is resized."""
        if not self.pad_to_aspect_ratio:
            return x_shape
        padded: Any = shapes.zero_pad_output_shape(x_shape, self._padding(x_shape), self.data_format)
        return tuple(padded)

    def _inside(self, x_shape: tuple[int, ...]) -> tuple[slice, ...]:
        """Where the input lies in what is resized."""
        lengths = spatial(x_shape, self.data_format)
        inner = tuple(slice(a, a + n) for n, (a, _) in zip(lengths, self._padding(x_shape), strict=True))
        whole = slice(None)
        return (whole, whole, *inner) if self.data_format == "channels_first" else (whole, *inner, whole)


class CenterCrop(OneSize):
    """Cut the middle out of images (Keras's ``CenterCrop``).

    An image that is lower or narrower than the result is brought to its size by `Resizing` with
    ``crop_to_aspect_ratio``, bilinear.

    Parameters
    ----------
    height, width : int

    Notes
    -----
    Input (N, H, W, C), output (N, height, width, C); channels second for channels_first. Of an odd rest, one more is
    cut behind. Keeps for backward: the shape of its input.
    """

    def __init__(
        self, height: int, width: int, data_format: DataFormat | None = None, **kwargs: "Unpack[Penalized]"
    ) -> None:
        super().__init__(**kwargs)
        with self._named():
            self._set_lengths(height, width, data_format)

    def what_it_does(self) -> str:
        """For ``explain``."""
        return "of which the middle is cut out, or resized where the image is too small"

    def _prepare(self, x_shape: tuple[int, ...]) -> Any:
        cropping = self._cropping(x_shape)
        if cropping is None:
            return resize_call(x_shape, self._resize(x_shape), self.data_format, self._dtype.itemsize)
        return crop_call(x_shape, cropping, self.data_format, self._dtype.itemsize)

    def _input_grad(self, x_shape: tuple[int, ...], grad_out: np.ndarray) -> np.ndarray:
        cropping = self._cropping(x_shape)
        if cropping is None:
            call = resize_grad_call(x_shape, self._resize(x_shape), self.data_format, self._dtype.itemsize)
            return call(grad_out)
        return zero_pad_call(grad_out.shape, cropping, self.data_format, grad_out.itemsize)(grad_out)

    def _cropping(self, x_shape: tuple[int, ...]) -> tuple[tuple[int, int], ...] | None:
        """What is cut off on each axis; None where the image is too small."""
        lengths, size = spatial(x_shape, self.data_format), (self.height, self.width)
        rests = [n - m for n, m in zip(lengths, size, strict=True)]
        return None if min(rests) < 0 else tuple((rest // 2, rest - rest // 2) for rest in rests)

    def _resize(self, x_shape: tuple[int, ...]) -> Resize:
        lengths: Any = spatial(x_shape, self.data_format)
        size = self.height, self.width
        return Resize(size, "bilinear", False, shapes.crop_to_aspect(lengths, size))
