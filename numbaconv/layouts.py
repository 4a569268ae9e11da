"""Between the arrays of a user and the kernels' canonical arrays: the one place that knows data_format and rank.

A canonical array is C-contiguous, channels last, with three spatial axes: (N, D, H, W, C). Fewer spatial axes become
leading axes of length 1, which costs nothing.
"""

from typing import Any

import numpy as np

_ONES: dict[int, tuple[int, ...]] = {3: (1, 1), 4: (1,), 5: ()}


def three(values: tuple, fill: Any) -> tuple:
    """Settings of 1 to 3 spatial axes as settings of three: ``fill`` in front."""
    return (fill,) * (3 - len(values)) + tuple(values)


def canonical(x: np.ndarray, data_format: str) -> np.ndarray:
    """View a channels-last array as (N, D, H, W, C); copy it where it is channels first or not contiguous."""
    if data_format == "channels_first":
        x = np.moveaxis(x, 1, -1)
    return _contiguous(x).reshape(x.shape[:1] + _ONES[x.ndim] + x.shape[1:])


def original(out: np.ndarray, rank: int, data_format: str) -> np.ndarray:
    """Take the result of a kernel, (N, D, H, W, C), back to ``rank`` spatial axes and the data format."""
    out = out.reshape(out.shape[:1] + out.shape[4 - rank :])
    return np.ascontiguousarray(np.moveaxis(out, -1, 1)) if data_format == "channels_first" else out


def canonical_images(x: np.ndarray, data_format: str) -> np.ndarray:
    """Like `canonical` for operations that treat every channel alike, which then never need a copy to move it.

    Channels first is the view (N * C, D, H, W, 1): each channel is an image of its own.
    """
    if data_format == "channels_last":
        return canonical(x, data_format)
    batch, channels, *lengths = x.shape
    return _contiguous(x).reshape(batch * channels, *three(tuple(lengths), 1), 1)


def canonical_kernel(weights: np.ndarray) -> np.ndarray:
    """View weights (spatial axes, two channel axes) as (KD, KH, KW, ., .)."""
    *lengths, a, b = weights.shape
    return weights.reshape(*three(tuple(lengths), 1), a, b)


def _contiguous(x: np.ndarray) -> np.ndarray:
    # Read-only arrays would be types of their own to Numba, each with a second of compiling.
    flags = x.flags
    if flags.c_contiguous and flags.writeable:
        return x
    return np.array(x, order="C")
