"""Which positions of an axis each position of a resized one is made from, and their shares.

An axis of n positions becomes one of m. Positions are cells: output o covers the input from ``o * n / m`` on, and its
centre lies over the input coordinate ``(o + 1/2) * n / m - 1/2``. The tables are those of `kernels.upsample.resample`.
"""

from typing import Any

import numpy as np

# How far the kernels reach.
RADIUS = {"bilinear": 1, "bicubic": 2, "lanczos3": 3, "lanczos5": 5}
# TensorFlow looks cubic weights up in a table of so many steps from one position to the next.
CUBIC_STEPS = 1024

Tables = tuple[np.ndarray, np.ndarray]


def runs(length: int, out_length: int, interpolation: str, antialias: bool, dtype: Any, start: int = 0) -> Tables:
    """Positions from ``start`` on, so many of them, that each output position reads, and their shares.

    Parameters
    ----------
    length, out_length : int
    interpolation : {"nearest", "area", "bilinear", "bicubic", "lanczos3", "lanczos5"}
    antialias : bool
        Whether kernels are stretched where the axis becomes shorter.
    dtype : dtype
    start : int
        The first position that may be read.

    Returns
    -------
    ends : int64 array (out_length, 2)
        The first position read, and the one after the last.
    share : array (out_length, most)
        Shares that add up to 1.
    """
    n, m = length, out_length
    outputs = np.arange(m, dtype=np.int64)
    if interpolation == "nearest":
        # In float32, as TensorFlow does: where a centre lies between two positions, rounding decides.
        centre = (outputs.astype(np.float32) + np.float32(0.5)) * (np.float32(n) / np.float32(m))
        first = start + np.minimum(np.floor(centre).astype(np.int64), n - 1)
        return np.stack([first, first + 1], 1), np.ones((m, 1), dtype)
    if interpolation == "area":
        first, last = outputs * n // m, ((outputs + 1) * n - 1) // m
        read = first[:, None] + np.arange((last - first).max(initial=0) + 1)
        # What the output's cell covers of each position, in whole m-ths of it.
        begin, end = np.maximum(read * m, outputs[:, None] * n), np.minimum((read + 1) * m, (outputs[:, None] + 1) * n)
        return _trimmed(first + start, np.maximum(end - begin, 0), dtype)
    radius = RADIUS[interpolation]
    stretch = max(n / m, 1.0) if antialias else 1.0
    centre = (outputs + 0.5) * n / m - 0.5
    first = np.clip(np.ceil(centre - radius * stretch), 0, n - 1).astype(np.int64)
    last = np.clip(np.floor(centre + radius * stretch), 0, n - 1).astype(np.int64)
    read = first[:, None] + np.arange((last - first).max(initial=0) + 1)
    if interpolation == "bicubic" and not antialias:
        distance = read - _on_the_table(n, m)[:, None]
    else:
        # Whole numbers but for the last step, so that what is a whole distance away has no share at all.
        distance = ((2 * read + 1) * m - (2 * outputs[:, None] + 1) * n) / (2 * (m if stretch == 1.0 else n))
    weights = np.where(read <= last[:, None], _weights(np.abs(distance), radius), 0.0)
    return _trimmed(first + start, weights, dtype)


def taken(tables: Tables, length: int) -> Tables:
    """The tables of the gradient: outputs that each of so many positions has a share in, and its shares in them."""
    ends, share = tables
    m, most = share.shape
    outputs, taps = (a.ravel() for a in np.indices((m, most)))
    at, given = ends[outputs, 0] + taps, share.ravel()
    outputs, at, given = (a[given != 0] for a in (outputs, at, given))
    back = np.stack([np.full(length, m), np.zeros(length, np.int64)], 1)
    np.minimum.at(back[:, 0], at, outputs)
    np.maximum.at(back[:, 1], at, outputs + 1)
    # What no output reads.
    back[back[:, 0] == m] = 0
    shares = np.zeros((length, np.diff(back).max(initial=1)), share.dtype)
    np.add.at(shares, (at, outputs - back[at, 0]), given)
    return back, shares


def unchanged(length: int, dtype: Any) -> Tables:
    """The tables of an axis that stays as it is."""
    at = np.arange(length, dtype=np.int64)
    return np.stack([at, at + 1], 1), np.ones((length, 1), dtype)


def _on_the_table(n: int, m: int) -> np.ndarray:
    """Centres of the outputs, in float32 and rounded to the steps of TensorFlow's table of cubic weights."""
    half = np.float32(0.5)
    centre = (np.arange(m, dtype=np.float32) + half) * (np.float32(n) / np.float32(m)) - half
    below = np.floor(centre)
    steps = np.rint((centre - below) * np.float32(CUBIC_STEPS))
    return below.astype(np.float64) + steps.astype(np.float64) / CUBIC_STEPS


def _weights(distance: np.ndarray, radius: int) -> np.ndarray:
    """A kernel at these distances, not negative, in units of a position: tent, Keys's cubic or Lanczos's."""
    d = distance
    if radius == 1:
        return np.maximum(1 - d, 0)
    if radius == 2:
        near, far = (1.5 * d - 2.5) * d * d + 1, ((-0.5 * d + 2.5) * d - 4) * d + 2
        return np.where(d < 1, near, np.where(d < 2, far, 0.0))
    weights = np.where(d < radius, np.sinc(d) * np.sinc(d / radius), 0.0)
    return np.where(d == np.rint(d), d == 0, weights)


def _trimmed(first: np.ndarray, weights: np.ndarray, dtype: Any) -> Tables:
    """Tables without the positions at either end that have no share."""
    most = weights.shape[1]
    has = weights != 0
    before, behind = has.argmax(1), has[:, ::-1].argmax(1)
    ends = np.stack([first + before, first + most - behind], 1)
    places = np.minimum(before[:, None] + np.arange((most - behind - before).max(initial=1)), most - 1)
    kept = np.take_along_axis(weights, places, 1)
    kept[np.arange(kept.shape[1]) >= np.diff(ends)] = 0
    return ends, (kept / kept.sum(1, keepdims=True)).astype(dtype)
