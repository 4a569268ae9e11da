"""An image larger than memory
===========================

A network takes the noise out of an image that is never in memory as a whole.

::

    python -m pip install -e ".[examples]"
    python examples/large_image.py
    python examples/large_image.py --size 32768 --folder /data

The image is made of a micrograph of stained tissue, which comes with scikit-image: nothing is downloaded. It lies on
disk, in Zarr, or in a .npy file where Zarr is not installed. `numbaconv.models.Model.predict_tiled` computes it tile by
tile. A strip of the result is compared with the network's result on the strip as one image. The picture shows the
tiles, what one of them reads, the seams that tiles have which know nothing of each other, and what time and memory
tiles of several sizes take. With ``--size 32768`` the image has a gigapixel.

.. image:: /large_image.jpg
   :alt: The tiles of an image and what one of them reads; a part with noise and without; the seams of tiles that know
      nothing of each other; time and memory against the size of tiles
"""

# sphinx_gallery_thumbnail_path = "large_image.jpg"

import argparse
import tempfile
import threading
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")  # draws into a file, so that no window is needed

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from skimage import data

from numbaconv import layers as nl
from numbaconv.initializers import HeUniform, RandomNormal
from numbaconv.models import Model
from numbaconv.optimizers import Adam
from numbaconv.schedules import CosineDecay
from numbaconv.shapes import Region, input_region

NOISE = 0.15
PATCH = 32
# Rows that are made and written at a time.
ROWS = 512
# What is shown enlarged.
CLOSE = slice(160, 320), slice(60, 220)
INK, MUTED, ACCENT, SECOND = "#1f2430", "#8a90a0", "#c2410c", "#2563a8"


# %%
# The image
# ---------
# It is made and written by some rows at a time, since it may be larger than memory.


def on_disk(path: Path, shape: tuple[int, ...]) -> Any:
    """A new array of bytes on disk: Zarr's, or a memory map where Zarr is not installed."""
    try:
        import zarr
    except ModuleNotFoundError:
        return np.lib.format.open_memmap(path.with_suffix(".npy"), "w+", np.uint8, shape)
    chunks = tuple(min(n, ROWS) for n in shape)
    return zarr.open_array(path.with_suffix(".zarr"), mode="w", shape=shape, chunks=chunks, dtype="uint8")


def micrograph() -> np.ndarray:
    """Stained tissue, (512, 512, 3), bytes."""
    return data.immunohistochemistry()


def noisy(clean: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Bytes with noise added."""
    image = clean + 255 * NOISE * rng.standard_normal(clean.shape, dtype=np.float32)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def slide(image: Any) -> None:
    """Fill an array with the micrograph, mirrored again and again so that no edge shows, and with noise."""
    piece = micrograph()
    piece = np.concatenate([piece, piece[::-1]])
    piece = np.concatenate([piece, piece[:, ::-1]], axis=1)
    height, width = image.shape[:2]
    columns = np.arange(width) % piece.shape[1]
    for top in range(0, height, ROWS):
        rows = np.arange(top, min(top + ROWS, height)) % len(piece)
        image[top : top + ROWS] = noisy(piece[rows][:, columns], np.random.default_rng(top))


class Bytes:
    """What the network gives, from 0 to 1, is written as bytes into another array."""

    def __init__(self, array: Any) -> None:
        self.array, self.shape = array, array.shape

    def __setitem__(self, index: tuple[slice, ...], values: np.ndarray) -> None:
        self.array[index] = as_bytes(values)


def as_bytes(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(255 * values), 0, 255).astype(np.uint8)


# %%
# The network
# -----------
# It is fully convolutional, so it takes images of any size, and tiles of them. `numbaconv.shapes.input_region` tells
# what a tile of the result reads of each layer's input.


def network(seed: int = 0) -> tuple[Model, list[nl.Layer]]:
    """Bytes in, the image from 0 to 1 out; and the layers that find the noise, the longest way through them."""
    settings = {"padding": "same", "activation": "relu"}
    chain = [
        nl.Conv2D(24, 3, name="first", **settings),
        nl.Conv2D(48, 3, 2, name="half the size", **settings),
        nl.Conv2D(48, 3, name="second", **settings),
        nl.Conv2D(48, 3, name="wide", padding="same", activation="relu", dilation_rate=3),
        nl.Conv2DTranspose(24, 4, 2, name="full size", **settings),
        nl.Conv2D(3, 3, name="noise", padding="same", kernel_initializer=RandomNormal(stddev=0.01, seed=seed)),
    ]
    for number, layer in enumerate(chain[:-1]):
        layer.kernel_initializer = HeUniform(seed=10 * seed + number)
    x = nl.Input((None, None, 3))
    image = nl.Rescaling(1 / 255)(x)
    first, *inner, last = chain
    around = y = first(image)
    for layer in inner:
        y = layer(y)
    return Model(x, nl.Subtract()([image, last(nl.Concatenate()([around, y]))])), chain


def train(epochs: int, count: int = 600, seed: int = 0) -> tuple[Model, list[nl.Layer]]:
    """A network trained on noisy patches of the micrograph, some seconds long."""
    rng = np.random.default_rng(seed)
    clean = micrograph()
    tops, lefts = (rng.integers(n - PATCH + 1, size=count) for n in clean.shape[:2])
    patches = np.stack([clean[a : a + PATCH, b : b + PATCH] for a, b in zip(tops, lefts, strict=True)])
    model, chain = network(seed)
    model.compile(Adam(CosineDecay(3e-3, epochs * -(-count // 32))), "mean_squared_error")
    model.fit(noisy(patches, rng), patches / np.float32(255), 32, epochs, seed=seed, verbose=0)
    return model, chain


def regions(chain: list[nl.Layer], size: int, start: int, stop: int) -> list[tuple[str, Region, float]]:
    """What outputs from ``start`` to before ``stop`` need along a side: of each layer's input, the last layer first.

    With it comes how many pixels of the image lie between two positions of that input.
    """
    shapes = [(None, size, size, None)]
    for layer in chain:
        shapes.append((*layer.compute_output_shape(shapes[-1])[:-1], None))
    rows = []
    for layer, shape in zip(reversed(chain), reversed(shapes[:-1]), strict=True):
        _, region = input_region(layer, shape, [(start, stop)] * 2)
        rows.append((layer.name, region, size / shape[1]))
        start, stop = region.start, region.stop
    return rows


def reach(chain: list[nl.Layer]) -> int:
    """How many pixels away an output may still read, even: strips begin where tiles of half the size can."""
    size = 1024
    rows = regions(chain, size, size // 2, size // 2 + 2)
    _, region, _ = rows[-1]
    return 2 * -(-(size // 2 - region.start) // 2)


# %%
# Tiles beside the whole
# ----------------------
# A strip of the result is compared with the same strip computed as one image. Tiles that know nothing of each other
# show what happens otherwise.


def largest_difference(model: Model, image: Any, result: Any, margin: int) -> tuple[float, int]:
    """The result beside a strip of it that is computed as one image: which share of bytes differs, and by how much."""
    height, width = image.shape[:2]
    top, rows = height // 4 * 2, min(64, height // 4)
    first, last = max(top - margin, 0), min(top + rows + margin, height)
    across = min(width, 4096)
    strip = np.asarray(image[first:last, : min(across + margin, width)])
    strip = model(strip[None])[0, top - first :][:rows, :across]
    apart = np.abs(as_bytes(strip).astype(int) - result[top : top + rows, :across])
    return float(np.mean(apart > 0)), int(apart.max())


def by_themselves(model: Model, image: np.ndarray, tile: int) -> np.ndarray:
    """What comes out of tiles that know nothing of each other."""
    out = np.empty(image.shape, np.float32)
    for top in range(0, image.shape[0], tile):
        for left in range(0, image.shape[1], tile):
            place = slice(top, top + tile), slice(left, left + tile)
            out[place] = model(image[place][None])[0]
    return out


class AnonymousMemory:
    """Context that tells how many bytes this process took at most in addition, files on disk left out (Linux)."""

    def __enter__(self) -> "AnonymousMemory":
        self.before, self.most, self._over = self._now(), 0, threading.Event()
        self._watch = threading.Thread(target=self._look, daemon=True)
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._watch.join()

    def _look(self) -> None:
        while not self._over.wait(0.002):
            self.most = max(self.most, self._now() - self.before)

    @staticmethod
    def _now() -> int:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return 1024 * int(line.split()[1])
        return 0


def sizes_compared(model: Model, image: np.ndarray) -> list[tuple[int, float, float]]:
    """For tiles of several sizes: nanoseconds of a core for a pixel, and MB in addition, in a process for each."""
    tiles = [2**i for i in range(5, 12) if 2 * 2**i <= min(image.shape[:2])]
    with get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        found = pool.starmap(measured, [(model, image[: 4 * max(n, 128), : 4 * max(n, 128)], n) for n in tiles], 1)
        pool.close()
        pool.join()
    return found


def measured(model: Model, image: np.ndarray, tile: int) -> tuple[int, float, float]:
    # Kernels and the memory of the result are there before.
    out = np.full(image.shape, np.nan, np.float32)
    model.predict_tiled(image[:96, :96], 32, verbose=0)
    with AnonymousMemory() as memory:
        model.predict_tiled(image, tile, out, verbose=0)
    seconds = []
    for _ in range(3):
        # That of all cores: what else the machine does counts less.
        start = time.process_time()
        model.predict_tiled(image, tile, out, verbose=0)
        seconds.append(time.process_time() - start)
    return tile, 1e9 * min(seconds) / image[..., 0].size, memory.most / 1e6


# %%
# The picture
# -----------
# All of it is drawn on one sheet.


def picture(
    model: Model, chain: list[nl.Layer], image: Any, result: Any, tile: int, compared: list[tuple[int, float, float]]
) -> Figure:
    """All of it on one sheet."""
    figure = plt.figure(figsize=(13, 12.2), layout="constrained")
    top, middle, bottom = figure.subfigures(3, 1, height_ratios=[4.5, 4.1, 3])
    left, before, after = top.subplots(1, 3)
    draw_tiles(left, image, chain, tile)
    for axes, array, title in ((before, image, "Close: as it lies on disk"), (after, result, "Close: the result")):
        axes.imshow(array[CLOSE], interpolation="nearest")
        titled(axes, title)
    errors, costs = middle.subfigures(1, 2, width_ratios=[2, 1])
    draw_seams(errors, model, image, chain)
    draw_costs(costs.subplots(2, 1, sharex=True), compared)
    draw_regions(bottom.subplots(), chain)
    return figure


def titled(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", fontsize=11, color=INK)
    axes.set_xticks([])
    axes.set_yticks([])


def draw_tiles(axes: Axes, image: Any, chain: list[nl.Layer], tile: int) -> None:
    """The image small, its tiles, and what one of them reads."""
    height, width = image.shape[:2]
    step = -(-max(height, width) // 1024)
    # Chunk by chunk: each is unpacked once.
    rows = [np.asarray(image[top : top + ROWS, ::step])[-top % step :: step] for top in range(0, height, ROWS)]
    axes.imshow(np.concatenate(rows), extent=(0, width, height, 0))
    for edge in range(tile, max(height, width), tile):
        for line, n in ((axes.axhline, height), (axes.axvline, width)):
            if edge < n:
                line(edge, color="white", lw=0.7)
    start = tile * (width // tile // 2)
    stop = min(start + tile, width)
    _, read, _ = regions(chain, width, start, stop)[-1]
    sides = read.stop - read.start
    axes.add_patch(Rectangle((start, start), stop - start, stop - start, fill=False, ec=ACCENT, lw=2.2))
    axes.add_patch(Rectangle((read.start, read.start), sides, sides, fill=False, ec=ACCENT, lw=1.2, ls="--"))
    titled(axes, f"{height:,} x {width:,} pixels; dashed: what a tile reads")


def draw_seams(figure: Any, model: Model, image: Any, chain: list[nl.Layer]) -> None:
    """How far tiles are from the whole: those that know nothing of each other, and those of predict_tiled."""
    side, tile = min(256, image.shape[0] // 2), 64
    margin = reach(chain)
    part = np.asarray(image[: side + margin, : side + margin])
    whole = model(part[None])[0, :side, :side]
    alone = by_themselves(model, part[:side, :side], tile)
    tiled = model.predict_tiled(part, tile, verbose=0)[:side, :side]
    both = figure.subplots(1, 2)
    for axes, found, title in zip(both, (alone, tiled), ("Tiles by themselves", "predict_tiled"), strict=True):
        apart = 255 * np.abs(found - whole).max(axis=2)
        shown = axes.imshow(apart, vmin=0, vmax=10, cmap="magma", interpolation="nearest")
        titled(axes, f"{title}: off by {apart.max():.2g} at most")
    bar = figure.colorbar(shown, ax=both, extend="max", shrink=0.7)
    bar.set_label("difference from the whole, of 255")
    bar.outline.set_visible(False)


def draw_regions(axes: Axes, chain: list[nl.Layer], size: int = 192, tile: int = 48) -> None:
    """What a tile at the border and one within need of each layer's input, in pixels of the image."""
    start = 2 * tile
    wide = [("result", Region(a, a + tile, 0, 0), 1.0) for a in (0, start)]
    columns = [[first, *regions(chain, size, a, a + tile)] for first, a in zip(wide, (0, start), strict=True)]
    for rows, colour in zip(columns, (SECOND, ACCENT), strict=True):
        for height, (_, region, step) in enumerate(reversed(rows)):
            begin, end = region.start * step, region.stop * step
            axes.barh(height, end - begin, 0.62, begin, color=colour, alpha=0.85)
            # Of a transposed convolution they are cut off from what comes out.
            zeros = max(region.before, 0) * step
            if zeros and not region.start:
                axes.barh(height, zeros, 0.62, begin - zeros, color="none", ec=colour, hatch="////", lw=0)
            outer = f"{region.stop - region.start}"
            axes.text(end + tile * 0.02, height, outer, va="center", fontsize=8.5, color=MUTED)
    names = [f"into {name!r}" for name, _, _ in columns[0][1:]]
    axes.set_yticks(range(len(names) + 1), [*reversed(names), "result"], fontsize=9)
    axes.axvline(0, color=INK, lw=1)
    axes.set_xlabel("position in pixels of the image; numbers are positions of that layer's input", fontsize=9)
    title = f"What two tiles of {tile} need of each layer's input; hatched: zeros, where the image ends and only there"
    axes.set_title(title, loc="left", fontsize=11, color=INK)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(left=False)


def draw_costs(both: Any, compared: list[tuple[int, float, float]]) -> None:
    """Time and memory against the size of tiles."""
    sizes, times, memory = zip(*compared, strict=True)
    for axes, values, label in ((both[0], times, "core ns for a pixel"), (both[1], memory, "MB in addition")):
        axes.plot(sizes, values, "o-", color=SECOND, ms=4)
        axes.set_xscale("log", base=2)
        axes.set_ylim(0, 1.1 * max(values))
        axes.set_ylabel(label, fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
    both[0].set_title("Time and memory against the size of tiles", loc="left", fontsize=11, color=INK)
    both[1].set_xticks(sizes, [str(size) for size in sizes])
    both[1].set_xlabel("outputs of a tile along each side", fontsize=9)


# %%
# The run
# -------
# A first step compiles the kernels, so that the seconds are those of training and of predicting alone.


def main() -> None:
    parser = argparse.ArgumentParser(description="Take the noise out of an image larger than memory.")
    parser.add_argument("--size", type=int, default=2048, help="pixels along each side, even")
    parser.add_argument("--tile", type=int, default=512, help="outputs of a tile along each side")
    parser.add_argument("--epochs", type=int, default=8, help="passes through the patches")
    parser.add_argument("--folder", type=Path, help="where the image and the result go; by default they are deleted")
    parser.add_argument("--out", type=Path, default=Path("large_image.jpg"), help="where the picture goes")
    options = parser.parse_args()
    train(1, count=64)
    start = time.perf_counter()
    model, chain = train(options.epochs)
    print(f"trained in {time.perf_counter() - start:.1f} s")
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        shape = (options.size, options.size, 3)
        image, result = (on_disk(folder / name, shape) for name in ("slide", "result"))
        slide(image)
        with AnonymousMemory() as memory:
            start, cores = time.perf_counter(), time.process_time()
            model.predict_tiled(image, options.tile, Bytes(result))
            seconds, cores = time.perf_counter() - start, time.process_time() - cores
        pixels, tiles = options.size**2 / 1e6, (-(-options.size // options.tile)) ** 2
        print(f"{pixels:,.1f} megapixels in {tiles:,} tiles: {seconds:.1f} s, {cores:.1f} s of a core")
        print(f"with at most {memory.most / 1e6:,.0f} MB of memory in addition")
        share, most = largest_difference(model, image, result, reach(chain))
        print(f"a strip computed as one image: {share:.4%} of its bytes differ, by {most} at most")
        compared = sizes_compared(model, np.asarray(image[:4096, :4096]))
        for tile, nanoseconds, megabytes in compared:
            print(f"tiles of {tile:5}: {nanoseconds:6.1f} core ns for a pixel, {megabytes:7.1f} MB")
        picture(model, chain, image, result, options.tile, compared).savefig(options.out, dpi=100)
    print(f"picture: {options.out}")


if __name__ == "__main__":
    main()
