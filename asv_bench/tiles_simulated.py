"""How long images of up to 10^12 pixels take on many workers, simulated from the tiles that `tiles.py` has measured.

python asv_bench/tiles_simulated.py                            # a table
python asv_bench/tiles_simulated.py --publish --picture docs/tile_costs.png

A worker is one core like the measured one. It asks the scheduler for a tile, reads what the tile depends on from the
storage that all workers share, computes it, and writes the result there. Scheduler and storage serve one at a time.
"""

import argparse
import heapq
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from paste import publish
from tiles import JSON, ROOT, unet

PAGE = ROOT / "docs" / "tile_costs.md"
PIXELS = (10**8, 10**10, 10**12)
SIDES = (64, 128, 256, 512, 1024, 2048, 4096)
# Beyond so many tiles the slowest of scheduler, storage and workers alone says how long it takes.
MOST_TILES = 200_000


class Costs(NamedTuple):
    """What a tile of a certain side costs: seconds of a core, and bytes that come in and go out."""

    side: int
    seconds: float
    read: int
    written: int
    memory: int


class Shared(NamedTuple):
    """What workers share: seconds in which a tile is handed out, and the storage's bytes a second."""

    handing: float
    bandwidth: float


class Run(NamedTuple):
    """Seconds in all, and what they were spent on: work of one worker, handing out, and reading and writing."""

    seconds: float
    work: float
    handing: float
    moving: float

    @property
    def bound(self) -> str:
        """What takes longest; where it is none of these, there are too few tiles for all workers."""
        name, most = max(zip(("work", "scheduler", "storage"), self[1:], strict=True), key=lambda pair: pair[1])
        return name if most > 0.75 * self.seconds else "too few tiles"


def costs(found: dict[str, Any]) -> list[Costs]:
    """Of each side, by the measured time of a multiplication in tiles of this side or of the largest one measured."""
    turns, model = found["turns"], unet(tuple(found["whole"]["filters"]))
    each = turns["multiplications"]["whole"] / turns["large"] ** 2
    listed, rate = [], 0.0
    for side in SIDES:
        name, middle = f"tiles of {side}", (20_000, 20_000 + side)
        if name in turns["seconds"]:
            rate = float(np.quantile(turns["seconds"][name], 0.25)) / turns["multiplications"][name]
        first, end = model.input_region([middle, middle], (None, 60_000, 60_000, 3))[0]
        reads = end - first
        # Layers far from the result compute more than the result's share, those next to it hardly more.
        computed = each * (side * side + reads * reads) / 2
        memory = found["whole"]["memory"] * (reads / (found["whole"]["tile"][0] + reads - side)) ** 2
        listed.append(Costs(side, computed * rate, 3 * reads * reads, 2 * side * side, int(memory)))
    return listed


def simulated(pixels: float, workers: int, tile: Costs, shared: Shared) -> Run:
    """One image, tile by tile; the times of tiles differ by up to a tenth."""
    tiles = int(np.ceil(pixels**0.5 / tile.side)) ** 2
    moved = (tile.read + tile.written) / shared.bandwidth
    work, handing, moving = tiles * tile.seconds / workers, tiles * shared.handing, tiles * moved
    if tiles > MOST_TILES:
        return Run(max(work, handing, moving) + tile.seconds + moved, work, handing, moving)
    free, scheduler, storage = [0.0] * min(workers, tiles), 0.0, 0.0
    for seconds in tile.seconds * np.random.default_rng(0).uniform(0.9, 1.1, tiles):
        scheduler = max(heapq.heappop(free), scheduler) + shared.handing
        storage = max(scheduler, storage) + moved
        heapq.heappush(free, storage + seconds)
    return Run(max(free), work, handing, moving)


def table(listed: list[Costs], workers: int, shared: Shared) -> str:
    """Time for each size of images and tiles, and what bounds it."""
    heads = [f"10^{round(np.log10(n))} pixels" for n in PIXELS]
    lines = [
        f"| tile | computed twice | MB of a worker | {' | '.join(heads)} |",
        f"| ---: | ---: | ---: |{' ---: |' * len(heads)}",
    ]
    runs = {(tile.side, n): simulated(n, workers, tile, shared) for tile in listed for n in PIXELS}
    best = {n: min(runs[tile.side, n].seconds for tile in listed) for n in PIXELS}
    for tile in listed:
        more, cells = ((tile.read / 3) / tile.side**2 - 1) / 2, []
        for n in PIXELS:
            run = runs[tile.side, n]
            shown = f"{lasting(run.seconds)}, {run.bound}"
            cells.append(f"**{shown}**" if run.seconds == best[n] else shown)
        lines.append(f"| {tile.side}² | {more:.0%} | {tile.memory / 1e6:,.0f} | {' | '.join(cells)} |")
    return "\n".join(lines)


def scaling(listed: list[Costs], shared: Shared, pixels: float = PIXELS[-1]) -> str:
    """The best tile for each number of workers, and what becomes of them."""
    lines = ["| workers | tile | time | times one worker's speed | bound by |", "| ---: | ---: | ---: | ---: | --- |"]
    alone = min(simulated(pixels, 1, tile, shared).seconds for tile in listed)
    for workers in (1, 10, 100, 1000, 10_000):
        run, side = min((simulated(pixels, workers, tile, shared), tile.side) for tile in listed)
        cells = [f"{workers:,}", f"{side}²", lasting(run.seconds), f"{alone / run.seconds:,.0f}", run.bound]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def lasting(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.0f} {unit}"
    return f"{seconds:,.0f} s" if seconds >= 10 else f"{seconds:.1f} s"


def told(listed: list[Costs], workers: int, shared: Shared) -> str:
    best = min(simulated(PIXELS[-1], workers, tile, shared).seconds for tile in listed)
    return "\n".join(
        [
            f"{workers} workers of one core; a tile is handed out in {shared.handing * 1e3:g} ms, and the storage "
            f"moves {shared.bandwidth / 1e9:g} GB a second for all. The fastest of each column is bold; after each "
            "time stands what it is bound by.",
            "",
            table(listed, workers, shared),
            "",
            f"So 10^12 pixels take {lasting(best)}. More workers help as long as the work is the bound:",
            "",
            scaling(listed, shared),
        ]
    )


def drawn(listed: list[Costs], workers: int, shared: Shared, path: Path) -> None:
    """Left, what tiles cost; right, how far workers help."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.8), layout="constrained")
    sides = [tile.side for tile in listed]
    for n in PIXELS:
        times = np.array([simulated(n, workers, tile, shared).seconds for tile in listed])
        left.plot(sides, times * 1e9 * workers / n, "o-", label=f"$10^{{{round(np.log10(n))}}}$ pixels")
    left.set(xscale="log", yscale="log", xlabel="side of a tile", ylabel="ns of a worker for each pixel")
    left.set_title(f"{workers} workers", fontsize=10)
    left.set_xticks(sides, [str(side) for side in sides])
    left.minorticks_off()
    counts = np.unique(np.logspace(0, 4, 33).astype(int))
    alone = min(simulated(PIXELS[-1], 1, tile, shared).seconds for tile in listed)
    for tile in listed[1::2]:
        speeds = [alone / simulated(PIXELS[-1], int(n), tile, shared).seconds for n in counts]
        right.plot(counts, speeds, label=f"tiles of {tile.side}²")
    right.plot(counts, counts, "k:", linewidth=1, label="as many times")
    right.set(xscale="log", yscale="log", xlabel="workers", ylabel="times one worker's speed")
    right.set_title(f"$10^{{{round(np.log10(PIXELS[-1]))}}}$ pixels", fontsize=10)
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8, frameon=False)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, default=JSON, help="what tiles.py has written")
    parser.add_argument("--workers", type=int, default=100)
    parser.add_argument("--handing", type=float, default=5e-4, help="seconds of the scheduler for each tile")
    parser.add_argument("--bandwidth", type=float, default=5e9, help="bytes a second of the storage")
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--publish", action="store_true", help="put the tables into the page")
    given = parser.parse_args()
    listed, shared = costs(json.loads(given.json.read_text())), Shared(given.handing, given.bandwidth)
    text = told(listed, given.workers, shared)
    print(text)
    if given.publish:
        publish(text, "simulated", PAGE)
    if given.picture:
        drawn(listed, given.workers, shared, given.picture)


if __name__ == "__main__":
    main()
