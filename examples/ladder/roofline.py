"""A roofline: how fast a loop can be at most, by how often it uses what it has loaded, with the rungs below that roof.

The roof rises until the arithmetic units are busy: so many bytes a second times the operations done for each byte. How
many bytes, depends on where they come from.
"""

import time
from collections.abc import Sequence
from pathlib import Path

import numba
import numpy as np

from numbaconv.machine.aligned import aligned_empty
from numbaconv.machine.vectors import TILE_ROWS, VECTOR_BYTES, panel_width

ITEM = np.dtype(np.float32).itemsize
_TILE = TILE_ROWS * panel_width(ITEM), TILE_ROWS + panel_width(ITEM)
# Multiply-adds in the innermost loop of a rung, and the numbers that are loaded and stored for them.
MOVES = {
    "plain_loops": (1, 2),
    "parallel_rows": (1, 2),
    "filters_innermost": (1, 3),
    "unrolled_block": (16, 12),
    "register_tile": _TILE,
    "strips_and_packed_weights": _TILE,
    "winograd": _TILE,
}
# Of the multiplications of the direct sum, those that Winograd's algorithm makes.
WINOGRAD = 36 / 144
# Bytes that each core goes through: they fit the L1 cache, the L2 cache, and neither.
SIZES = {"16 KB": 2**14, "512 KB": 2**19, "64 MB": 2**26}


def intensity(name: str) -> float:
    """Operations of a rung for each byte that it loads or stores."""
    multiply_adds, numbers = MOVES[name]
    return 2 * multiply_adds / (ITEM * numbers)


@numba.njit(parallel=True, fastmath={"contract"})
def add_scaled(x, y, factor, rounds):
    """Two loads and a store for each number, as in the rung `filters_innermost`."""
    for core in numba.prange(x.shape[0]):
        for _ in range(rounds):
            for i in range(x.shape[1]):
                y[core, i] += factor * x[core, i]


def bandwidth(size: int, seconds: float = 0.5) -> float:
    """Bytes per second that all cores load and store together, where each goes through ``size`` bytes; the best try."""
    shape = numba.get_num_threads(), size // ITEM // 2
    # Small arrays would not begin with a cache line. And loads would wait for stores that they only seem to meet, were
    # the two a multiple of 4 KB apart.
    room, length = (
        aligned_empty((max(2**20, 2 * shape[0] * shape[1] + 272),), np.dtype(np.float32)),
        shape[0] * shape[1],
    )
    room[:] = 1
    x, y = room[:length].reshape(shape), room[length + 272 :][:length].reshape(shape)
    # So many that starting the loop takes nothing beside it.
    rounds = max(1, 2**28 // size)
    add_scaled(x, y, np.float32(1e-9), 1)
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        add_scaled(x, y, np.float32(1e-9), rounds)
        best = min(best, time.perf_counter() - start)
    return 3 * x.nbytes * rounds / best


def bandwidths(seconds: float = 0.5) -> dict[str, float]:
    return {name: bandwidth(size, seconds) for name, size in SIZES.items()}


def sentence(found: dict[str, float]) -> str:
    """What was measured, in words."""
    each = ", ".join(f"{speed / 1e9:.0f} GB/s where each core goes through {name}" for name, speed in found.items())
    return f"Loading and storing: {each}."


def draw(rungs: Sequence[tuple[str, float]], peak: float, found: dict[str, float], path: Path) -> None:
    """The chart, of names and speeds of the rungs in order."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 5.6), layout="constrained")
    left, right = 0.08, 40.0
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(left, right)
    axes.set_xticks([0.1, 1, 10], ["0.1", "1", "10"])
    least, most = min(speed for _, speed in rungs) / 1e9, max(peak, *(speed for _, speed in rungs)) / 1e9
    axes.set_ylim(0.5 * least, 2 * most)
    x = np.geomspace(left, right, 300)
    # Two roofs may be near each other: one is named above its line, the other below.
    styles = (("#1f2933", 0.9, "bottom"), ("#5b6770", 0.75, "top"), ("#8a949c", 0.5, "bottom"))
    for (name, speed), (colour, share, side) in zip(found.items(), styles, strict=True):
        axes.plot(x, np.minimum(peak, speed * x) / 1e9, color=colour, linewidth=1.5)
        at = share * peak / speed
        # Where the slope is, once both axes have their scales.
        (x0, y0), (x1, y1) = axes.transData.transform([[at, speed * at / 1e9], [2 * at, 2 * speed * at / 1e9]])
        angle = np.degrees(np.arctan2(y1 - y0, x1 - x0))
        style = {"rotation": angle, "rotation_mode": "anchor", "ha": "right"}
        height = {"bottom": 1.12, "top": 0.9}[side] * speed * at / 1e9
        axes.text(at, height, f"data of {name}", va=side, **style)
    one = peak * ITEM / VECTOR_BYTES
    axes.axhline(one / 1e9, color="#8a949c", linestyle=":", linewidth=1.5)
    axes.text(right, 1.07 * one / 1e9, "one number at a time ", ha="right")
    axes.text(right, 0.95 * peak / 1e9, f"peak {peak / 1e9:.0f} GFLOP/s ", ha="right", va="top")
    for number, (name, speed) in enumerate(rungs, 1):
        if name not in MOVES:
            axes.axhline(speed / 1e9, color="#b34d00", linestyle="--", linewidth=1)
            words = f"{number}: its loads and stores are those of NumPy's library "
            axes.text(right, 0.95 * speed / 1e9, words, color="#b34d00", ha="right", va="top")
            continue
        # Beside the rung before, which it would hide.
        at = intensity(name) * (1.18 if name == "strips_and_packed_weights" else 1)
        if name == "winograd":
            axes.plot([at, at], [WINOGRAD * speed / 1e9, speed / 1e9], color="#0072b2", linestyle=":")
            axes.plot(at, WINOGRAD * speed / 1e9, "o", markersize=17, color="white", markeredgecolor="#0072b2")
            axes.text(at, WINOGRAD * speed / 1e9, number, color="#0072b2", ha="center", va="center", fontweight="bold")
            axes.text(1.25 * at, speed / 1e9, "counted as the direct sum", va="center")
            axes.text(1.25 * at, WINOGRAD * speed / 1e9, "its own multiplications", va="center")
        axes.plot(at, speed / 1e9, "o", markersize=17, color="#0072b2")
        axes.text(at, speed / 1e9, number, color="white", ha="center", va="center", fontweight="bold")
    axes.set_xlabel("operations for each byte that is loaded or stored (logarithmic)")
    axes.set_ylabel("GFLOP/s (logarithmic)")
    axes.set_title("The rungs below their roof", loc="left", fontweight="bold")
    axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=130)
    plt.close(figure)
