"""What all rungs share: their task, the check against the reference, and the timing.

The task is a 3x3 convolution with padding "same" and no bias::

    out[h, w, f] = sum over kh, kw, c of x[h + kh - 1, w + kw - 1, c] * weights[kh, kw, c, f]

for ``x`` (H, W, C), ``weights`` (3, 3, C, F) and ``out`` (H, W, F), all float32 and C-contiguous; outside the image x
is 0. A rung is a function ``conv(x, weights, out)``. A rung that wants the weights in another order has a function
``pack(weights)`` beside it, whose time does not count: a layer packs its weights once and uses them for many images.
"""

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from numbaconv import reference
from numbaconv.machine.aligned import aligned_empty
from numbaconv.machine.peak import peak_flops

# Errors as shares of the largest output: sums of rounded products, in any order; and after Winograd's transforms.
TOLERANCE = 2e-5

Array = np.ndarray
Rung = Callable[[Array, Any, Array], None]


def task(height: int = 56, width: int = 56, channels: int = 64, filters: int = 64) -> tuple[Array, Array]:
    """An image and weights, the same on every run."""
    rng = np.random.default_rng(0)
    image, kernel = (height, width, channels), (3, 3, channels, filters)
    return rng.standard_normal(image, np.float32), rng.standard_normal(kernel, np.float32)


def expected(x: Array, weights: Array) -> Array:
    """The textbook's result in float64."""
    ones, before = (1, 1, 1), (0, 1, 1)
    bias = np.zeros(weights.shape[-1])
    image, kernel = x[None, None].astype(float), weights[None].astype(float)
    return reference.conv(image, kernel, bias, ones, ones, before, before)[0, 0]


def check(name: str, out: Array, wanted: Array) -> float:
    """The largest error as a share of the largest output.

    Raises
    ------
    AssertionError
        If it is too large, or an output is NaN.
    """
    share = float(np.abs(out - wanted).max() / np.abs(wanted).max())
    if not share < TOLERANCE:
        raise AssertionError(f"{name}: wrong by {share:.1e} of the largest output")
    return share


def operations(x: Array, weights: Array) -> int:
    """Multiplications and additions, those with zeros outside the image included, as everyone counts them."""
    return 2 * x.shape[0] * x.shape[1] * weights.size


def prepared(conv: Rung, x: Array, weights: Array, pack: Callable[[Array], Any] | None = None) -> Callable[[], Array]:
    """A call as a layer makes it: from an image to a new array."""
    operand = weights if pack is None else pack(weights)

    def call() -> Array:
        out = aligned_empty((*x.shape[:2], weights.shape[-1]), x.dtype)
        conv(x, operand, out)
        return out

    return call


def checked(conv: Rung, x: Array, weights: Array, wanted: Array, pack: Callable[[Array], Any] | None = None) -> float:
    """`check` what a rung writes into an array of NaN."""
    out = np.full(wanted.shape, np.nan, x.dtype)
    conv(x, weights if pack is None else pack(weights), out)
    return check(conv.__module__, out, wanted)


def interleaved(calls: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Median seconds of each call, the calls taken in turn, so that all meet the same state of the machine."""
    repeats = {}
    for name, call in calls.items():
        call()
        start = time.perf_counter()
        call()
        repeats[name] = max(1, min(200, int(0.004 / (time.perf_counter() - start))))
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            # The threads of the call before may still spin for a while; the first call is theirs.
            time.sleep(0.002)
            call()
            start = time.perf_counter()
            for _ in range(repeats[name]):
                call()
            times[name].append((time.perf_counter() - start) / repeats[name])
    return {name: statistics.median(values) for name, values in times.items()}


def report(conv: Rung, pack: Callable[[Array], Any] | None = None) -> None:
    """Check one rung, time it and print both."""
    print((sys.modules[conv.__module__].__doc__ or "").partition("\n")[0])
    x, weights = task()
    share = checked(conv, x, weights, expected(x, weights), pack)
    print(f"error {share:.1e} of the largest output")
    seconds = interleaved({"": prepared(conv, x, weights, pack)}, rounds=21)[""]
    speed, peak = operations(x, weights) / seconds, peak_flops()
    print(f"{speed / 1e9:.1f} GFLOP/s, {speed / peak:.0%} of the peak of {numba.get_num_threads()} cores")
