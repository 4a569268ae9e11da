"""Prepared passes over an image: a multiply-add with factors of each channel, and what an epilogue says."""

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from ..common.again import again
from ..kernels.named import scale_lines, scale_planes, scale_rows
from ..machine.aligned import aligned_empty
from ..objects.tuples import NamedTuple
from .epilogue import Epilogue
from .layouts import SMALL, Ints, canonical, empty_planes, original, planar, planar_result
from .packed import Packed

# Values of a row, which as many pixels are as fit, and of a task.
ROW, TASK = 1024, 8192


class ScaleCall(NamedTuple):
    """``x * scale + bias``, and so on, ready for canonical arrays of one shape."""

    out_shape: Ints
    # How many times factors of the channels stand side by side.
    repeats: int
    arguments: tuple
    serial: bool

    def factors(self, values: np.ndarray | None, dtype: np.dtype) -> np.ndarray:
        """Numbers of each channel (C,) as the kernel takes them, as a scale or as the bias of an epilogue; or none."""
        if values is None:
            return np.empty(0, dtype)
        return np.tile(np.asarray(values, dtype), self.repeats)

    def run(self, image: np.ndarray, scale: np.ndarray, epilogue: Epilogue, out: Any = None) -> np.ndarray:
        """From canonical array to canonical array; into ``out``, where it is given.

        ``scale`` and the bias are what `factors` made, or the scale is gates, an array (N, 1, 1, 1, C).
        """
        out = aligned_empty(self.out_shape, image.dtype) if out is None else out
        arrays = image.reshape(-1), scale.reshape(-1), epilogue, out.reshape(-1)
        scale_rows(*arrays, *self.arguments, serial=self.serial)
        return out


class PixelsCall(NamedTuple):
    """A depthwise convolution of one tap, ready for arrays of one shape: each pixel times the weights.

    With channels last, pixels stand side by side in rows, so that vectors are full however few channels there are. Of
    the planes of channels first, each is multiplied by a number, or by several. ``direct`` prepares the
    call for canonical images that these do not fit.
    """

    kernel: Any
    out_shape: Ints
    rank: int
    data_format: str
    repeats: int
    arguments: tuple
    serial: bool
    direct: Callable[[], Any] | None = None

    def __call__(self, x: np.ndarray, packed: Packed, epilogue: Epilogue) -> np.ndarray:
        if self.data_format == "channels_last":
            return original(self.run(canonical(x, self.data_format), packed, epilogue), self.rank, self.data_format)
        out = empty_planes(self.out_shape, packed.dtype)
        arrays = planar(x).reshape(-1), packed.plain.reshape(-1), epilogue, out.reshape(-1)
        self.kernel(*arrays, *self.arguments, serial=self.serial)
        return planar_result(out, self.out_shape, self.rank)

    def run(self, image: np.ndarray, packed: Packed, epilogue: Epilogue, out: Any = None) -> np.ndarray:
        """From canonical array to canonical array; into ``out``, where it is given."""
        channels = self.out_shape[-1]
        if self.data_format != "channels_last" or image.shape[-1] != channels:
            assert self.direct is not None
            return self.direct().run(image, packed, epilogue, out)
        out = aligned_empty(self.out_shape, image.dtype) if out is None else out
        bias, *others = epilogue
        row = aligned_empty((self.repeats, channels), image.dtype)
        again(np.copyto, row, bias[:channels])
        arrays = image.reshape(-1), packed.row(self.repeats), (row.reshape(-1), *others), out.reshape(-1)
        self.kernel(*arrays, *self.arguments, serial=self.serial)
        return out


class LinesCall(NamedTuple):
    """Weights of a convolution of one tap times a number of each channel, ready for panels (P, C, width)."""

    shape: Ints
    kernel: Any = scale_lines

    @property
    def serial(self) -> bool:
        """Whether one core does it."""
        return prod(self.shape) < SMALL

    def run(self, packed: Packed, scale: np.ndarray, out: np.ndarray) -> None:
        """The products of packed weights into ``out``."""
        self.kernel(packed.panels.reshape(self.shape), scale.reshape(-1), out, serial=self.serial)


class Lines(NamedTuple):
    """What `LinesCall` made, in the place of `Packed`."""

    panels: np.ndarray
    finite: bool = True

    def lines(self, few: bool) -> tuple[np.ndarray, np.ndarray]:
        """As `Packed.lines`."""
        whole = self.panels[:, None, None, None]
        return whole, whole


def pixels_call(
    out_shape: Ints, multiplier: int, rank: int, data_format: str, direct: Callable[[], Any] | None = None
) -> PixelsCall:
    """Prepare a depthwise convolution of one tap, with a multiplier for channels first alone."""
    values = prod(out_shape)
    if data_format == "channels_last":
        call = scale_call(out_shape)
        kernel, repeats, arguments = scale_rows, call.repeats, call.arguments
    else:
        filters, pixels, kernel, repeats = out_shape[-1], prod(out_shape[1:-1]), scale_planes, 1
        width = max(1, min(pixels, TASK))
        parts, rows = out_shape[0] * filters * -(-pixels // width), TASK // width
        arguments = (np.array([width, parts, pixels, filters, multiplier, rows, -(-parts // rows)], np.int64),)
    return PixelsCall(kernel, out_shape, rank, data_format, repeats, arguments, values < SMALL, direct)


def scale_call(shape: Ints, gates: bool = False, pitch: int = 0, x_pitch: int = 0) -> ScaleCall:
    """Prepare a pass over canonical arrays of this shape; with ``gates``, each image has a scale of its own.

    The pitches are channels of the pixels of the result and of the input, of which the call then takes flat views from
    the first channel on; 0 where these are all.
    """
    pixels, channels = prod(shape[:-1]), shape[-1]
    apart = gates or pitch or x_pitch
    repeats = 1 if apart else max(1, ROW // max(1, channels))
    width, values = repeats * channels, pixels * channels
    shared = prod(shape[1:-1]) if gates else max(1, pixels)
    rows = max(1, TASK // max(1, width))
    tasks = -(-values // max(1, rows * width))
    plan = np.array([width, values, x_pitch or width, pitch or width, shared, rows, tasks], np.int64)
    return ScaleCall(shape, repeats, (plan,), values < SMALL)
