"""Few windows of many weights as rows of a matrix: products then read the weights as they lie, and pack nothing."""

from math import prod

import numpy as np

from ..common.again import again
from ..kernels.plan.axes import Axis
from ..machine.aligned import aligned_empty
from ..objects.tuples import NamedTuple
from .layouts import Ints

# More windows had better not become copies of what they read, nor more of their taps be listed.
MOST_WINDOWS, MOST_TAPS, MOST_BYTES = 64, 4096, 16 * 1024 * 1024
# Weights of a tap for each window that make up for copying what its windows read.
TAP_WEIGHTS = 64
# Channels of a pixel, and of all taps, from which on sums over so few windows are products of patches: sums for each
# share of the windows, a panel wide for ever so few outputs, take longer than to copy what is read.
PIXEL, LONG = 64, 1024


class Patches(NamedTuple):
    """What the windows of ``axes`` read of images of so many ``lengths`` (D, H, W).

    ``pixels`` are flat indices of what each tap of each window reads, and ``outside`` lists those that lie outside.
    Each of ``turns`` has flat indices of pixels, none of them twice, and of what reads them, a window's tap.
    """

    lengths: Ints
    shape: Ints
    pixels: np.ndarray
    outside: np.ndarray
    turns: list[tuple[np.ndarray, np.ndarray]]

    @classmethod
    def of(cls, axes: tuple[Axis, ...], lengths: Ints) -> "Patches":
        """Those of axes N, D, H and W."""
        pixels, there, readers = _read(axes, lengths)
        read = pixels.flat[readers]
        # The how manieth reader of its pixel each is.
        turn = np.arange(len(read)) - np.searchsorted(read, read)
        turns = [(read[turn == i], readers[turn == i]) for i in range(turn.max(initial=-1) + 1)]
        return cls((axes[0].windows, *lengths), pixels.shape, pixels.reshape(-1), np.flatnonzero(~there), turns)

    def gathered(self, image: np.ndarray) -> np.ndarray:
        """An array (windows, taps * C) of what windows read of a canonical image, zeros where that lies outside."""
        channels = image.shape[-1]
        rows = aligned_empty((len(self.pixels), channels), image.dtype)
        again(_gather, image.reshape(-1, channels), self.pixels, self.outside, rows)
        return rows.reshape(self.shape[0], -1)

    def spread(self, rows: np.ndarray) -> np.ndarray:
        """The canonical image in which each pixel is the sum of what its readers have, from such an array."""
        rows = rows.reshape(prod(self.shape), -1)
        image = aligned_empty((prod(self.lengths), rows.shape[1]), rows.dtype)
        again(_spread, rows, self.turns, image)
        return image.reshape(*self.lengths, -1)


def _gather(image: np.ndarray, pixels: np.ndarray, outside: np.ndarray, rows: np.ndarray) -> None:
    # With any other mode, NumPy fills memory of its own first.
    image.take(pixels, axis=0, out=rows, mode="clip")
    rows[outside] = 0


@np.errstate(all="ignore")
def _spread(rows: np.ndarray, turns: list[tuple[np.ndarray, np.ndarray]], image: np.ndarray) -> None:
    image.fill(0)
    for pixels, readers in turns:
        image[pixels] += rows[readers]


def _read(axes: tuple[Axis, ...], lengths: Ints) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The pixels (windows, taps) that are read, which of them lie inside, and these sorted by their pixels."""
    batch, *moving = axes
    pixels = np.arange(batch.windows).reshape(-1, *[1] * 6)
    there: np.ndarray = np.ones_like(pixels, np.bool_)
    for i, (axis, length) in enumerate(zip(moving, lengths, strict=True)):
        shape = [1] * 7
        shape[1 + i], shape[4 + i] = axis.windows, axis.taps
        at = np.arange(axis.windows)[:, None] * axis.stride + np.arange(axis.taps) * axis.dilation - axis.before
        there = there & ((at >= 0) & (at < length)).reshape(shape)
        pixels = pixels * length + at.reshape(shape)
    taps = prod(axis.taps for axis in moving)
    pixels, there = np.where(there, pixels, 0).reshape(-1, taps), there.reshape(-1)
    readers = np.flatnonzero(there)
    readers = readers[np.argsort(pixels.flat[readers], kind="stable")]
    return pixels, there, readers


def meeting(axes: tuple[Axis, ...], lengths: Ints) -> tuple[np.ndarray, np.ndarray]:
    """For the pixels of one image, where those begin that read it, and these: a window times all taps, and a tap."""
    pixels, _, readers = _read((axes[0]._replace(windows=1), *axes[1:]), lengths)
    return np.searchsorted(pixels.flat[readers], np.arange(prod(lengths) + 1)), readers


def are_products(axes: tuple[Axis, ...], channels: int, outputs: int, itemsize: int) -> bool:
    """Whether gradients of a convolution with so many channels and outputs had better be products of patches."""
    windows = prod(axis.windows for axis in axes)
    return windows <= min(outputs, channels * outputs // TAP_WEIGHTS) and _fits(axes, channels, itemsize)


def sums_are_products(axes: tuple[Axis, ...], channels: int, outputs: int, itemsize: int) -> bool:
    """Whether the gradient of the weights had, whatever that of the input is."""
    many = channels >= PIXEL and channels * prod(axis.taps for axis in axes) >= LONG
    return (many and _fits(axes, channels, itemsize)) or are_products(axes, channels, outputs, itemsize)


def _fits(axes: tuple[Axis, ...], channels: int, itemsize: int) -> bool:
    windows, taps = prod(axis.windows for axis in axes), prod(axis.taps for axis in axes)
    # Steps beyond all images would not fit 64 bits.
    near = all(max(axis.stride, axis.dilation, axis.before) < MOST_BYTES for axis in axes)
    small = windows * taps <= MOST_TAPS and windows * taps * channels * itemsize <= MOST_BYTES
    return 0 < windows <= MOST_WINDOWS and small and near
