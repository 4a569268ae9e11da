"""Resizing: every position of the result is a sum of input positions, each with its share.

Along one axis of n positions that becomes one of m, the shares are a matrix (m, n), whose rows add up to 1. Positions
are cells: output o covers the inputs from ``o * n / m`` to ``(o + 1) * n / m``, and its centre lies over the input
coordinate ``p = (o + 0.5) * n / m - 0.5``. The functions named ``*_shares`` make such matrices; `resize` applies three.
"""

import math

import numpy as np

from .compiled import njit
from .operations import Array


@njit
def nearest_shares(n: int, m: int) -> Array:
    """Let each output read the input whose cell its centre lies in; on an edge, what float32 makes of it.

    Returns
    -------
    shares : (m, n)
    """
    shares = np.zeros((m, n))
    for o in range(m):
        centre = (np.float32(o) + np.float32(0.5)) * (np.float32(n) / np.float32(m))
        shares[o, min(int(centre), n - 1)] = 1.0
    return shares


@njit
def area_shares(n: int, m: int) -> Array:
    """Weigh each input by how much of it the output's cell covers.

    Returns
    -------
    shares : (m, n)
    """
    shares = np.zeros((m, n))
    for o in range(m):
        for i in range(n):
            # In whole m-ths of an input position.
            covered = min((i + 1) * m, (o + 1) * n) - max(i * m, o * n)
            if covered > 0:
                shares[o, i] = covered / n
    return shares


@njit
def _kernel(distance: float, radius: int) -> float:
    """Weigh an input by its distance: a tent, Keys's cubic with a = -0.5, or for 3 and 5 Lanczos's windowed sinc."""
    d = abs(distance)
    if d >= radius:
        return 0.0
    if radius == 1:
        return 1.0 - d
    if radius == 2:
        if d < 1.0:
            return 1.5 * d * d * d - 2.5 * d * d + 1.0
        return -0.5 * d * d * d + 2.5 * d * d - 4.0 * d + 2.0
    if d == round(d):
        return 1.0 if d == 0.0 else 0.0
    return radius * math.sin(math.pi * d) * math.sin(math.pi * d / radius) / (math.pi * math.pi * d * d)


@njit
def _in_steps(o: int, n: int, m: int) -> float:
    """Find the centre of output o in float32, rounded to 1/1024: TensorFlow reads cubic weights from a table."""
    half = np.float32(0.5)
    centre = (np.float32(o) + half) * (np.float32(n) / np.float32(m)) - half
    below = math.floor(centre)
    return below + np.float64(np.rint((centre - np.float32(below)) * np.float32(1024.0))) / 1024.0


@njit
def kernel_shares(n: int, m: int, radius: int, antialias: bool) -> Array:
    """Weigh each input by its distance from the output's centre, as a share of all weights that lie inside.

    ``shares[o, i] = kernel((i - p) / stretch) / sum over i of kernel((i - p) / stretch)``

    Parameters
    ----------
    radius : 1 for bilinear, 2 for bicubic, 3 or 5 for Lanczos
    antialias : whether the kernel is stretched by n / m where the axis becomes shorter

    Returns
    -------
    shares : (m, n)
    """
    shares = np.zeros((m, n))
    # The distance in units of the stretch is a whole number over this one.
    unit = 2 * n if antialias and n > m else 2 * m
    for o in range(m):
        total = 0.0
        for i in range(n):
            if radius == 2 and not antialias:
                weight = _kernel(i - _in_steps(o, n, m), radius)
            else:
                weight = _kernel(((2 * i + 1) * m - (2 * o + 1) * n) / unit, radius)
            shares[o, i] = weight
            total += weight
        for i in range(n):
            shares[o, i] /= total
    return shares


@njit
def resize(x: Array, depth: Array, height: Array, width: Array) -> Array:
    """Resize three axes by their shares (Keras: Resizing, UpSampling2D, and CenterCrop of small images).

    ``out[o] = sum over i of shares[o, i] * x[i]``, and an input of share zero is not read.

    Parameters
    ----------
    x : (N, D, H, W, C)
    depth, height, width : (OD, D), (OH, H), (OW, W)

    Returns
    -------
    out : (N, OD, OH, OW, C)
    """
    batch, D, H, W, C = x.shape
    out = np.zeros((batch, len(depth), len(height), len(width), C))
    for n in range(batch):
        for od in range(len(depth)):
            for oh in range(len(height)):
                for ow in range(len(width)):
                    for d in range(D):
                        for h in range(H):
                            for w in range(W):
                                share = depth[od, d] * height[oh, h] * width[ow, w]
                                if share != 0.0:
                                    for c in range(C):
                                        out[n, od, oh, ow, c] += share * x[n, d, h, w, c]
    return out


@njit
def resize_grad(grad_out: Array, depth: Array, height: Array, width: Array) -> Array:
    """Give each input its share of every output's gradient: `resize` with the transposed matrices.

    ``grad_x[i] = sum over o of shares[o, i] * grad_out[o]``
    """
    return resize(grad_out, depth.T.copy(), height.T.copy(), width.T.copy())
