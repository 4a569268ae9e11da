"""Seventeen layers, one photograph
================================

Seventeen convolutional layers on one photograph: prints a table and draws a contact sheet.

::

    python -m pip install -e ".[examples]"
    python examples/photo.py

A layer usually learns its weights. Here they are set by hand, so that one sees what each layer does. The photograph
comes with scikit-image: nothing is downloaded.
"""

import argparse
import statistics
import textwrap
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import matplotlib

matplotlib.use("Agg")  # draws into a file, so that no window is needed

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import hsv_to_rgb
from skimage import data

from numbaconv import layers as nl

# %%
# The weights
# -----------
# A kernel is a small picture, too: where it is positive, it adds the pixel that lies there, and where it is negative,
# it takes it away. These have spatial axes alone. The functions below them add the axes for channels that a layer's
# weights have.

SOBEL = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 4  # its transpose measures from top to bottom
SHARPEN = np.array([[0, -1, 0], [-1, 5, -1], [0, -1, 0]])
EMBOSS = np.array([[-2, -1, 0], [-1, 0, 1], [0, 1, 2]])
BOX = np.full((10, 10), 1 / 100)
STEP = np.array([-1, -1, -1, -1, 0, 1, 1, 1, 1]) / 4
FADE = np.array([0.5, 1, 0.5]).reshape(3, 1, 1) * np.ones((1, 2, 2))
# Matrices from one set of colours to another, (C, F).
GREY = np.array([[0.299], [0.587], [0.114]])
SEPIA = np.array([[0.393, 0.349, 0.272], [0.769, 0.686, 0.534], [0.189, 0.168, 0.131]])


def bell(size: int, sigma: float) -> np.ndarray:
    """A Gaussian of size x size taps that sum to 1."""
    line = np.exp(-((np.arange(size) - size // 2) ** 2) / (2 * sigma**2))
    return np.outer(line, line) / line.sum() ** 2


def tent(size: int) -> np.ndarray:
    """A pyramid of size x size taps; copies of it, set size/2 apart, sum to 1 everywhere."""
    half = (2 * np.arange(size // 2) + 1) / size
    line = np.concatenate([half, half[::-1]])
    return np.outer(line, line)


def per_colour(*kernels: np.ndarray) -> np.ndarray:
    """Depthwise weights, shape (*kernel_size, 3, len(kernels)): the same kernels on red, on green and on blue."""
    return np.stack([np.stack(kernels, axis=-1)] * 3, axis=-2)


def on_grey(*kernels: np.ndarray) -> np.ndarray:
    """Convolution weights, shape (*kernel_size, 3, len(kernels)): each filter sees the brightness."""
    return per_colour(*kernels) * GREY


def colours_apart(kernel: np.ndarray) -> np.ndarray:
    """Convolution weights, shape (*kernel_size, 3, 3): red comes from red alone, green from green, blue from blue."""
    return kernel[..., None, None] * np.eye(3)


# %%
# From outputs to pictures
# ------------------------
# What comes out of a layer has the shape (1, ...) or, where the rows of the photograph are the batch, (rows, ...), and
# any values. A picture has values from 0 to 1.


def plain(out: np.ndarray) -> np.ndarray:
    return np.clip(out.squeeze(), 0, 1)


def stretched(values: np.ndarray) -> np.ndarray:
    """Values from 0 up, so that all but the largest few fit and the small ones are seen."""
    return np.sqrt(np.clip(values / np.percentile(values, 99.5), 0, 1))


def directions(out: np.ndarray) -> np.ndarray:
    """Slopes along x and along y: the direction as hue, the steepness as brightness."""
    x, y = out[0, ..., 0], out[0, ..., 1]
    hue = np.arctan2(y, x) / (2 * np.pi) % 1
    return hsv_to_rgb(np.stack([hue, np.full_like(hue, 0.7), stretched(np.hypot(x, y))], axis=-1))


def steepness(out: np.ndarray) -> np.ndarray:
    """Slopes along x and along y, for each colour in turn."""
    return stretched(np.hypot(out[0, ..., 0::2], out[0, ..., 1::2]))


def signed(out: np.ndarray) -> np.ndarray:
    """Negative values blue, positive ones red."""
    limit = np.percentile(np.abs(out), 99)
    return plt.get_cmap("RdBu_r")(out[..., 0] / limit / 2 + 0.5)


def film(out: np.ndarray) -> np.ndarray:
    """Four frames, two by two, with a transparent gap between them."""
    frames = np.insert(np.clip(out[0], 0, 1), 3, 1, axis=-1)
    gap_y, gap_x = frames.shape[1] // 20, frames.shape[2] // 20
    first, second, third, fourth = np.pad(frames, ((0, 0), (0, gap_y), (0, gap_x), (0, 0)))
    return np.block([[[first], [second]], [[third], [fourth]]])[:-gap_y, :-gap_x]


def as_written(layer: nl.Layer) -> str:
    """The call that makes this layer, without the settings left at their defaults."""

    def short(value: object) -> str:
        if isinstance(value, list):
            each = [short(v) for v in value]
            return each[0] if len(set(each)) == 1 else f"({', '.join(each)})"
        return f'"{value}"' if isinstance(value, str) else str(value)

    config = {name: short(value) for name, value in layer.get_config().items()}
    first = ["filters", "kernel_size", "cropping", "size"]
    defaults = {"strides": "1", "padding": '"valid"', "dilation_rate": "1", "depth_multiplier": "1"}
    if isinstance(layer, nl.ZeroPadding1D | nl.ZeroPadding2D | nl.ZeroPadding3D):
        first, defaults = ["padding"], {}
    arguments = [config[name] for name in first if name in config]
    for name, default in {**defaults, "interpolation": '"nearest"'}.items():
        if config.get(name, default) != default:
            arguments.append(f"{name}={config[name]}")
    return f"{type(layer).__name__}({', '.join(arguments)})"


# %%
# The contact sheet
# -----------------
# It sets a layer's weights, calls the layer, prints a line of the table and keeps the picture. The first call compiles
# the kernel, or loads what an earlier run has compiled. It is not in the times.


class Panel(NamedTuple):
    title: str
    call: str
    shape: str
    image: np.ndarray


class Sheet:
    """Runs layers, prints a line of the table for each, and keeps the pictures."""

    def __init__(self) -> None:
        self.panels: list[Panel] = []

    def run(
        self,
        title: str,
        layer: nl.Layer,
        x: np.ndarray,
        kernels: Sequence[np.ndarray] = (),
        bias: float = 0,
        show: Callable[[np.ndarray], np.ndarray] = plain,
    ) -> np.ndarray:
        """Set the weights, call the layer, and return its output."""
        layer.build(x.shape)
        if kernels:
            layer.set_weights([*kernels, np.full(layer.weights[-1].shape, bias)])  # the last one is the bias
        out = layer(x)  # compiles, or loads what an earlier run compiled
        milliseconds = []
        for _ in range(5):
            start = time.perf_counter()
            layer(x)
            milliseconds.append(1000 * (time.perf_counter() - start))
        call, shape = as_written(layer), " x ".join(map(str, out.shape))
        print(f"{call:<56} {title:<42} {shape:<21} {statistics.median(milliseconds):>6.2f}")
        self.panels.append(Panel(title, call, shape, show(out)))
        return out

    def save(self, path: str) -> None:
        columns, width, left, cell_height, head = 4, 4.2, 0.26, 4.1, 1.2  # inches
        rows = -(-len(self.panels) // columns)
        size = (columns * (width + left) + left, rows * cell_height + head)
        figure = plt.figure(figsize=size, dpi=100, facecolor="#faf9f6")

        def write(x: float, y: float, text: str, **style: Any) -> None:
            figure.text(x / size[0], 1 - y / size[1], text, va="baseline", **style)

        write(left, 0.55, "Seventeen layers, one cat", fontsize=26, weight="bold", color="#222222")
        write(left, 0.9, "Chelsea, by Stéfan van der Walt (CC0), through numbaconv", fontsize=14, color="#666666")
        for i, panel in enumerate(self.panels):
            x, y = left + i % columns * (width + left), head + i // columns * cell_height
            box = (x / size[0], 1 - (y + width / 1.5) / size[1], width / size[0], width / 1.5 / size[1])
            axes = figure.add_axes(box, facecolor="#ebe9e3", xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
            axes.imshow(panel.image, cmap="gray", vmin=0, vmax=1)
            axes.set_adjustable("datalim")  # the same box for every shape of picture; what is left over is background
            y += width / 1.5 + 0.06
            for line in textwrap.wrap(panel.title, 31):
                write(x, y := y + 0.22, line, fontsize=14, weight="bold", color="#222222")
            for line in textwrap.wrap(panel.call, 40):
                write(x, y := y + 0.21, line, fontsize=12, family="monospace", color="#2b5c8a")
            write(x, y + 0.21, panel.shape, fontsize=12, family="monospace", color="#666666")
        figure.savefig(path)


# %%
# The layers
# ----------
# Layers of two dimensions get the photograph. Those of one dimension get its 300 rows, as 300 signals of 451 steps.
# Those of three dimensions get frames of a film: the photograph through a window that moves.


def main() -> None:
    parser = argparse.ArgumentParser(description="Run seventeen convolutional layers on one photograph.")
    parser.add_argument("--output", default="photo.png", help="where to write the picture (default: %(default)s)")
    output = parser.parse_args().output

    photo = (data.chelsea() / 255).astype("float32")
    image, rows = photo[None], photo  # 1 picture of 300 x 451 pixels; to the 1D layers, 300 rows of 451 steps
    eye = image[:, 97:137, 140:200]
    # The window of a moving camera: six frames, of which some layers get the first and the last.
    frames = np.stack([photo[15 * i : 15 * i + 200, 30 * i : 30 * i + 300] for i in range(6)])[None]
    ends = frames[:, ::5]
    three = np.stack([photo[:286, 10 * i : 10 * i + 429] for i in range(3)])[None]
    one_colour_each = (np.eye(3)[:, :, None] * np.eye(3)).reshape(3, 1, 1, 3, 3)

    sheet = Sheet()
    sheet.panels.append(Panel("The photograph", "the input", " x ".join(map(str, image.shape)), photo))
    print("The first call of each kernel ever compiles it, which takes some seconds; times are of later calls.\n")
    print(f"{'layer':<56} {'what it does':<42} {'output':<21} {'ms':>6}")

    slopes = [on_grey(SOBEL, SOBEL.T)]
    sheet.run("Gaussian blur", nl.DepthwiseConv2D(15, padding="same"), image, [per_colour(bell(15, 3.5))])
    sheet.run("Sharpen", nl.DepthwiseConv2D(3, padding="same"), image, [per_colour(SHARPEN)])
    sheet.run(
        "Emboss: a bias of 0.5 is the flat grey", nl.Conv2D(1, 3, padding="same"), image, [on_grey(EMBOSS)], bias=0.5
    )

    sheet.run("Sobel: hue is the direction of an edge", nl.Conv2D(2, 3), image, slopes, show=directions)
    sheet.run("The same nine taps, six pixels apart", nl.Conv2D(2, 3, dilation_rate=6), image, slopes, show=directions)
    slopes = [per_colour(SOBEL, SOBEL.T)]
    sheet.run("Edges of each colour", nl.DepthwiseConv2D(3, depth_multiplier=2), image, slopes, show=steepness)
    sepia = [per_colour(bell(9, 2)), SEPIA.reshape(1, 1, 3, 3)]
    sheet.run("Blur each colour, then mix to sepia", nl.SeparableConv2D(3, 9, padding="same"), image, sepia)

    mosaic = sheet.run("Mosaic: means of 10 x 10 pixels", nl.Conv2D(3, 10, strides=10), image, [colours_apart(BOX)])
    spread = nl.Conv2DTranspose(3, 20, strides=10, padding="same")
    sheet.run("The mosaic spread out again by pyramids", spread, mosaic, [colours_apart(tent(20))])
    sheet.run("An eye of 40 x 60 pixels, nearest", nl.UpSampling2D(6), eye)
    sheet.run("The same eye, bilinear", nl.UpSampling2D(6, interpolation="bilinear"), eye)

    smear = [colours_apart(np.full(40, 1 / 40))]
    sheet.run("Mean of this and the 39 pixels before", nl.Conv1D(3, 40, padding="causal"), rows, smear)
    step = [per_colour(STEP), GREY[None]]
    sheet.run("Red: brighter to the right; blue: darker", nl.SeparableConv1D(1, 9), rows, step, show=signed)
    sheet.run("Every row cut", nl.Cropping1D((110, 80)), rows)
    sheet.run("Every row padded with zeros", nl.ZeroPadding1D(60), rows)

    sheet.run("Every pixel of a row twice", nl.UpSampling1D(2), rows)
    sheet.run("A picture cut on four sides", nl.Cropping2D(((70, 50), (120, 61))), image)
    sheet.run("A picture padded with zeros", nl.ZeroPadding2D((20, 30)), image)
    sheet.run("Red, green, blue from frames 1, 2, 3", nl.Conv3D(3, (3, 1, 1)), three, [one_colour_each])

    between = nl.Conv3DTranspose(3, (3, 2, 2), strides=2, padding="same")
    sheet.run("Two frames doubled in size and in number", between, ends, [colours_apart(FADE)], show=film)
    sheet.run("Two frames, each shown twice", nl.UpSampling3D((2, 1, 1)), ends, show=film)
    sheet.run("Six frames, first and last and borders cut", nl.Cropping3D((1, 30, 45)), frames, show=film)
    sheet.run("Two frames with black around and in time", nl.ZeroPadding3D((1, 20, 30)), ends, show=film)

    sheet.save(output)
    print(f"\nThe picture is {output}")


if __name__ == "__main__":
    main()
