"""How fast a right function is, beside the solution, the library and PyTorch."""

import time
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from .. import functional

# The ladder's case: 56x56 outputs, a kernel of 3x3, 64 channels, 64 filters. Tiles of any machine need some more.
OUTPUTS, TAPS, CHANNELS = 56, 3, 64
ROUNDS = 7


def speeds(conv: Callable[..., Any], solution: Callable[..., Any]) -> dict[str, float]:
    """Multiplications and additions in a second, of each, taken in turn in one process; of PyTorch if it is installed.

    ``conv`` and ``solution`` are functions of an image, weights and an output.
    """
    from ..machine.vectors import TILE_ROWS, panel_width

    width = -(-OUTPUTS // (4 * TILE_ROWS)) * 4 * TILE_ROWS
    filters = -(-CHANNELS // (wide := panel_width(4))) * wide
    rng = np.random.default_rng(0)
    x = rng.standard_normal((OUTPUTS + TAPS - 1, width + TAPS - 1, CHANNELS), np.float32)
    weights = rng.standard_normal((TAPS, TAPS, CHANNELS, filters), np.float32)
    out = np.empty((OUTPUTS, width, filters), np.float32)
    packed, images = functional.pack_conv(weights), x[None]
    calls = {
        "yours": lambda: conv(x, weights, out),
        "the solution": lambda: solution(x, weights, out),
        "numbaconv": lambda: functional.conv(images, packed),
        **_in_torch(x, weights),
    }
    work = 2 * out.size * weights[..., 0].size
    return {name: work / seconds for name, seconds in _fastest(calls).items()}


def _in_torch(x: np.ndarray, weights: np.ndarray) -> dict[str, Callable[[], Any]]:
    try:
        import torch
    except ImportError:
        return {}
    torch.set_num_threads(numba.get_num_threads())
    image, kernel = (
        torch.from_numpy(np.array(a)) for a in (x[None].transpose(0, 3, 1, 2), weights.transpose(3, 2, 0, 1))
    )
    image, kernel = (a.contiguous(memory_format=torch.channels_last) for a in (image, kernel))
    return {"PyTorch": lambda: torch.nn.functional.conv2d(image, kernel)}


def _fastest(calls: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Seconds of each call, the best of some rounds."""
    seconds = dict.fromkeys(calls, float("inf"))
    for turn in range(ROUNDS + 1):
        for name, call in calls.items():
            begin = time.perf_counter()
            call()
            # The first turn compiles.
            if turn:
                seconds[name] = min(seconds[name], time.perf_counter() - begin)
    return seconds
