"""An image larger than memory through a U-Net of twelve layers: what `predict_tiled` takes, and what the usual way.

python asv_bench/tiles.py --folder /tmp                        # writes 2 GB there, and deletes it; ten minutes
python asv_bench/tiles.py --side 8000 --rounds 1 --beside 12   # two minutes
python asv_bench/tiles.py --only beside                        # that part anew; the others stay as they were
python asv_bench/tiles.py --publish                            # puts the table into the page
python asv_bench/tiles.py --publish --kept                     # measures nothing: what --json holds from before

All runs on one thread, and processor time is what counts. What was found is written to --json, which
`tiles_simulated.py` reads too. Each part is a process of its own:

- whole: `predict_tiled` over all of the image, to see how much memory it takes.
- beside: the same, but after each tile, a large image is computed at once. So whatever slows the machine down meets
  both, and what is left is what tiles cost beyond their multiplications: reading, converting, preparing, writing.
- turns: tiles of several sizes, and the usual way, on a part of the image, in turns. The usual way is PyTorch, tile by
  tile, with a fixed overlap that is cut off; it is left out where PyTorch is missing.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from paste import publish

from numbaconv.layers import Concatenate, Conv2D, Conv2DTranspose, Input, MaxPooling2D
from numbaconv.machine import recycling
from numbaconv.models import Model
from numbaconv.models.fused.explaining import explained
from numbaconv.models.tiling import _Images, _tiles_of

ROOT = Path(__file__).parent.parent
JSON = ROOT / "asv_bench" / ".asv" / "tiles.json"
PAGE = ROOT / "docs" / "tile_costs.md"
# Sides of tiles whose times `tiles_simulated.py` goes by, and the usual ways: side and overlap.
SIDES = (64, 128, 256, 512, 1024, 2048)
USUAL = ((512, 0), (512, 8), (512, 16), (512, 32), (512, 64), (1024, 32))
PARTS = ("whole", "beside", "turns")
LABELS = {"whole": "at once", "tiled": "`predict_tiled`", "PyTorch, whole": "PyTorch, at once"}
LABELS |= {f"PyTorch, {side}, {overlap}": f"PyTorch, tiles of {side}², overlap {overlap}" for side, overlap in USUAL}
# Of the image that is computed whole.
LARGE = 2048


def unet(filters: tuple[int, ...] = (8, 16, 32)) -> Model:
    """Twelve layers with weights for three sizes of pictures."""
    settings: Any = {"padding": "same", "activation": "relu"}
    x = start = Input((None, None, 3))
    passed = []
    for count in filters[:-1]:
        x = Conv2D(count, 3, **settings)(Conv2D(count, 3, **settings)(x))
        passed.append(x)
        x = MaxPooling2D()(x)
    x = Conv2D(filters[-1], 3, **settings)(Conv2D(filters[-1], 3, **settings)(x))
    for count, across in zip(filters[-2::-1], passed[::-1], strict=True):
        x = Concatenate()([across, Conv2DTranspose(count, 2, 2)(x)])
        x = Conv2D(count, 3, **settings)(x)
        x = Conv2D(count, 3, **settings)(x) if count > filters[0] else Conv2D(1, 1)(x)
    model = Model(start, x)
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(0, (2 / max(1, w[..., 0].size)) ** 0.5, w.shape) for w in model.get_weights()])
    return model


def picture(path: Path, side: int) -> np.memmap:
    """An image of bytes on disk: squares, slopes and noise."""
    image = np.memmap(path, "uint8", "w+", shape=(side, side, 3))
    rng, columns = np.random.default_rng(0), np.arange(side)
    for first in range(0, side, 500):
        rows = np.arange(first, min(first + 500, side))[:, None]
        plain = (rows // 97 + columns // 61) % 3 * 60 + (rows + columns) // 40 % 60
        image[rows[0, 0] : rows[-1, 0] + 1] = plain[..., None] + rng.integers(0, 40, (*plain.shape, 3))
    image.flush()
    return image


# -- the whole image --------------------------------------------------------------------------------------------------


def anonymous() -> int:
    """Bytes of this process that no file stands for."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


class Watch:
    """The most anonymous memory of this process, looked at again and again."""

    def __enter__(self) -> "Watch":
        self.most, self._over = anonymous(), threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def _look(self) -> None:
        while not self._over.wait(0.01):
            self.most = max(self.most, anonymous())

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()


def whole(folder: Path, side: int, filters: tuple[int, ...], memory: int) -> dict[str, Any]:
    """What `predict_tiled` takes for all of the image."""
    model = unet(filters)
    x = np.memmap(folder / "x", "uint8", "r", shape=(side, side, 3))
    out = np.memmap(folder / "out", "float16", "w+", shape=(side, side, 1))
    images = _Images(model, x)
    tiles = _tiles_of(images, None, memory)
    # Kernels come from the disk, or are compiled, before the clock runs.
    model.predict_tiled(x[: tiles.sizes[0], : tiles.sizes[1] * 2], tiles.sizes, verbose=0)
    recycling.give_back()
    before = anonymous()
    with Watch() as watch:
        started, clock = time.process_time(), time.perf_counter()
        model.predict_tiled(x, out=out, memory=memory, verbose=1)
        out.flush()
    ends = [ends for _, ends in tiles.after(0)]
    reads = [np.prod([b - a for a, b in images.parts.reads(one)[0]]) for one in ends]
    return {
        "side": side,
        "filters": filters,
        "memory": memory,
        "tile": tiles.sizes,
        "tiles": len(tiles),
        "forms": len({str(images.parts._form(one)) for one in ends}),
        "seconds": time.process_time() - started,
        "clock": time.perf_counter() - clock,
        "anonymous": watch.most,
        "before": before,
        "read": int(sum(reads)),
        "multiplications": sum(multiplications(images, one) for one in ends),
    }


def multiplications(images: Any, ends: Any) -> int:
    """Of one tile."""
    runner = images.parts.prepared(ends)
    return sum(row.multiplications for row in explained(runner, [], False))


# -- tiles and a large image in turns ---------------------------------------------------------------------------------


class EnoughError(Exception):
    """So many tiles."""


class Between:
    """What tiles are written to; after each one, a large image is computed.

    Parameters
    ----------
    out : array_like
    large : function
        Computes that image.
    most : int
        Tiles after which there have been enough; 0 is all.
    """

    def __init__(self, out: Any, large: Any, most: int) -> None:
        self.out, self.shape, self.dtype, self.large, self.most = out, out.shape, out.dtype, large, most
        self.tiles: list[float] = []
        self.larges: list[float] = []
        self._since = time.process_time()

    def __setitem__(self, index: Any, value: np.ndarray) -> None:
        self.out[index] = value
        done = time.process_time()
        self.large()
        self.tiles.append(done - self._since)
        self._since = time.process_time()
        self.larges.append(self._since - done)
        if len(self.tiles) == self.most:
            raise EnoughError


def beside(folder: Path, side: int, filters: tuple[int, ...], memory: int, most: int) -> dict[str, Any]:
    """What tiles take, and what a large image takes after each of them."""
    model = unet(filters)
    x, large = np.memmap(folder / "x", "uint8", "r", shape=(side, side, 3)), np.array(picture(folder / "large", LARGE))
    out = np.memmap(folder / "out", "float16", "w+", shape=(side, side, 1))
    images = _Images(model, x)
    tiles = _tiles_of(images, None, memory)
    # Kernels are there before, as in the other parts; what is prepared for tiles is not.
    model(large[None])
    model.predict_tiled(x[: tiles.sizes[0], : tiles.sizes[1] * 2], tiles.sizes, verbose=0)
    between = Between(out, lambda: model(large[None]), most)
    with suppress(EnoughError):
        model.predict_tiled(x, out=between, memory=memory, verbose=0)
    ends = [ends for _, ends in tiles.after(0)][: len(between.tiles)]
    whole = multiplications(_Images(model, large), ((0, LARGE), (0, LARGE), (0, 1)))
    counts = [multiplications(images, one) for one in ends]
    return {"tiles": between.tiles, "larges": between.larges, "multiplications": counts, "large": whole}


def compared(found: dict[str, Any]) -> tuple[float, np.ndarray]:
    """What tiles take, of what their multiplications take in the large image of the same turn: in all, and of each."""
    each = np.array(found["multiplications"]) * found["larges"] / found["large"]
    return float(np.sum(found["tiles"]) / each.sum()), found["tiles"] / each


# -- ways in turns ----------------------------------------------------------------------------------------------------


class Torch:
    """The same network in PyTorch, and the usual way to use it on tiles."""

    def __init__(self, model: Model, filters: tuple[int, ...]) -> None:
        import torch

        torch.set_num_threads(1)
        self.torch, self.levels = torch, len(filters) - 1
        arrays = [torch.from_numpy(w) for w in model.get_weights()]
        self.layers = [(self._kernel(w), b) for w, b in zip(arrays[::2], arrays[1::2], strict=True)]

    def _kernel(self, w: Any) -> Any:
        # Both of Keras's orders end in what PyTorch's begin with: filters, channels; channels, filters.
        return w.permute(3, 2, 0, 1).contiguous(memory_format=self.torch.channels_last)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        torch, layers = self.torch, iter(self.layers)
        functional = torch.nn.functional

        def conv(y: Any) -> Any:
            kernel, bias = next(layers)
            return functional.conv2d(y, kernel, bias, padding="same").relu_()

        with torch.inference_mode():
            y, passed = torch.from_numpy(x[None].astype(np.float32)).permute(0, 3, 1, 2), []
            for _ in range(self.levels):
                passed.append(conv(conv(y)))
                y = functional.max_pool2d(passed[-1], 2)
            y = conv(conv(y))
            for level, across in enumerate(passed[::-1], 1):
                y = torch.cat([across, functional.conv_transpose2d(y, *next(layers), stride=2)], 1)
                y = conv(y)
                y = conv(y) if level < self.levels else functional.conv2d(y, *next(layers))
            return np.asarray(y[0].permute(1, 2, 0))

    def tiled(self, x: np.ndarray, side: int, overlap: int) -> np.ndarray:
        """Tiles of so many inputs, of whose results the overlap is cut off, where there is a neighbour."""
        out, step = np.empty((*x.shape[:2], 1), np.float32), side - 2 * overlap
        for i in range(0, x.shape[0], step):
            for j in range(0, x.shape[1], step):
                top, left = max(0, i - overlap), max(0, j - overlap)
                part = self(x[top : i + step + overlap, left : j + step + overlap])
                out[i : i + step, j : j + step] = part[i - top :, j - left :][:step, :step]
        return out


def in_turns(filters: tuple[int, ...], memory: int, tile: tuple[int, ...], rounds: int, folder: Path) -> dict[str, Any]:
    """Processor time of each way on one image, in turns, and how far each is from the whole result."""
    model = unet(filters)
    x = np.array(picture(folder / "part", LARGE))
    # As for a large image: what is prepared serves many tiles.
    images = _Images(model, x)
    size = tuple(min(n, LARGE) for n in tile)
    ways: dict[str, Any] = {"whole": lambda: model(x[None])[0], "tiled": lambda: tiled(images, size, memory)}
    if find_spec("torch"):
        other = Torch(model, filters)
        ways["PyTorch, whole"] = lambda: other(x)
        ways |= {f"PyTorch, {n}, {overlap}": lambda n=n, o=overlap: other.tiled(x, n, o) for n, overlap in USUAL}
    ways |= {f"tiles of {side}": lambda side=side: tiled(images, side, memory) for side in SIDES}
    exact, errors = ways["whole"](), {}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds + 1):
        for name, run in ways.items():
            started = time.process_time()
            found = run()
            if turn:
                seconds[name].append(time.process_time() - started)
            far = np.abs(found - exact).max(axis=2) / np.abs(exact).max()
            errors[name] = {"most": float(far.max()), "wrong": float((far > 1e-3).mean())}
            del found, far
    middle = np.array([[(LARGE - n) // 2, (LARGE - n) // 2 + n] for n in size])
    parts = {"whole": ((0, LARGE), (0, LARGE), (0, 1)), "tile": (*map(tuple, middle.tolist()), (0, 1))}
    counts = {name: multiplications(images, ends) for name, ends in parts.items()}
    counts |= {f"tiles of {side}": _of_all(images, side, memory) for side in SIDES} | {
        "tiled": _of_all(images, size, memory)
    }
    return {"large": LARGE, "size": size, "seconds": seconds, "errors": errors, "multiplications": counts}


def tiled(images: Any, tile: Any, memory: int) -> np.ndarray:
    """All tiles of an image."""
    out = np.empty(images.out_shape[1:], np.float32)
    for rows, ends in _tiles_of(images, tile, memory).after(0):
        images.write(out, rows, ends, images.compute(rows, ends))
    return out


def _of_all(images: Any, tile: Any, memory: int) -> int:
    return sum(multiplications(images, ends) for _, ends in _tiles_of(images, tile, memory).after(0))


# -- told -------------------------------------------------------------------------------------------------------------


def told(found: dict[str, Any]) -> str:
    """What was found, as tables."""
    one, turns = found["whole"], found["turns"]
    quick = {name: float(np.quantile(times, 0.25)) for name, times in turns["seconds"].items()}
    pixels, sides = turns["large"] ** 2, "x".join(map(str, one["tile"]))
    ratio, each = compared(found["beside"])
    low, high = np.quantile(each, [0.25, 0.75])
    text = (
        f"{one['side']:,} x {one['side']:,} pixels of three bytes, in {one['tiles']} tiles of {sides}, with "
        f"`memory={one['memory']:,}`: the process had at most {one['anonymous'] / 1e6:,.0f} MB of anonymous memory, "
        f"{one['before'] / 1e6:,.0f} MB of them before, and took {one['seconds']:,.0f} s of one core. Measured tile by "
        f"tile, in turns with {LARGE}² pixels at once, {len(each)} of the tiles took {ratio:.2f} times what their "
        f"multiplications take there (half of them between {low:.2f} and {high:.2f})."
    )
    lines = [
        text,
        "",
        f"| {turns['large']}² pixels | ns for each | largest error | pixels off by a thousandth |",
        "| --- | ---: | ---: | ---: |",
    ]
    names = ["whole", "tiled", *(name for name in quick if name.startswith("PyTorch"))]
    for name in names:
        error = turns["errors"][name]
        nanoseconds, label = quick[name] / pixels * 1e9, LABELS.get(name, name)
        lines.append(f"| {label} | {nanoseconds:,.0f} | {error['most']:.0e} | {error['wrong']:.2%} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=20_000)
    parser.add_argument("--filters", type=int, nargs=3, default=(8, 16, 32))
    parser.add_argument("--memory", type=int, default=2**29)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the image is written; by default a temporary one")
    parser.add_argument("--beside", type=int, default=0, help="tiles of the part of this name; by default all")
    parser.add_argument("--json", type=Path, default=JSON, help="where what was found is kept")
    parser.add_argument("--only", choices=PARTS, nargs="+", default=PARTS, help="parts to measure anew")
    parser.add_argument("--kept", action="store_true", help="measure nothing; take what was found before")
    parser.add_argument("--publish", action="store_true", help="put the table into the page")
    parser.add_argument("--tile", type=int, nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part:
        return print(json.dumps(part(given)))
    if not given.kept:
        measure(given)
    found = json.loads(given.json.read_text())
    if missing := [name for name in PARTS if name not in found]:
        return print(json.dumps(found, indent=1), f"\nThe table has to wait for: {', '.join(missing)}.")
    text = told(found)
    print(text)
    return publish(text, "tiles", PAGE) if given.publish else None


def part(given: argparse.Namespace) -> dict[str, Any]:
    """What a process of its own measures."""
    filters = tuple(given.filters)
    if given.part == "turns":
        return in_turns(filters, given.memory, tuple(given.tile), given.rounds, given.folder)
    some = given.folder, given.side, filters, given.memory
    return beside(*some, given.beside) if given.part == "beside" else whole(*some)


def measure(given: argparse.Namespace) -> None:
    """Measure parts, and keep what was found beside that of the others."""
    found: dict[str, Any] = json.loads(given.json.read_text()) if given.json.exists() else {}
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        if {"whole", "beside"} & set(given.only):
            picture(Path(folder) / "x", given.side)
        settings = ["--side", given.side, "--memory", given.memory, "--rounds", given.rounds, "--folder", folder]
        settings += ["--beside", given.beside, "--filters", *given.filters]
        # The tile of the whole image is that of the turns.
        for name in sorted(given.only, key=PARTS.index):
            found[name] = _process(name, *settings, *(["--tile", *found["whole"]["tile"]] if name == "turns" else []))
            given.json.parent.mkdir(exist_ok=True, parents=True)
            given.json.write_text(json.dumps(found, indent=1))


def _process(name: str, *settings: Any) -> dict[str, Any]:
    """What a process of its own, on one thread, finds: what was imported and computed before would count."""
    command = [sys.executable, __file__, "--part", name, *map(str, settings)]
    alone = dict.fromkeys(("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=os.environ | alone)
    return dict(json.loads(done.stdout))


if __name__ == "__main__":
    main()
