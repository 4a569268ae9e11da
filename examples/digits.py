"""Reading handwritten digits
==========================

A convolutional network learns to read handwritten digits, from scratch.

::

    python -m pip install -e ".[examples]"
    python examples/digits.py

The 1,797 digits of 8x8 pixels come with scikit-learn: nothing is downloaded. A fifth of them is held out and looked at
once, at the end. Draws the course of the training, what the first layer looks for, and the mistakes.
"""

import argparse
import time
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # draws into a file, so that no window is needed

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from numbaconv import layers as nl
from numbaconv.activations import softmax
from numbaconv.history import History
from numbaconv.initializers import HeUniform
from numbaconv.losses import SparseCategoricalCrossentropy
from numbaconv.models import Sequential
from numbaconv.optimizers import Adam
from numbaconv.schedules import CosineDecay

BATCH = 64


# %%
# The digits
# ----------
# There are few of them, so each is shown five times: as it is, and moved by a pixel to each side.


def digits() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Images (N, 8, 8, 1) from 0 to 1 and their digits: those to learn from, and a fifth that is held out."""
    found = load_digits()
    images = (found.images / 16).astype(np.float32)[..., None]
    x, x_test, y, y_test = train_test_split(images, found.target, test_size=0.2, stratify=found.target, random_state=0)
    return x, y, x_test, y_test


def shifted(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each image five times: as it is, and moved by a pixel to each side."""
    padded = nl.ZeroPadding2D(1)(x)
    moved = [padded[:, a : a + 8, b : b + 8] for a, b in ((1, 1), (0, 1), (2, 1), (1, 0), (1, 2))]
    return np.concatenate(moved), np.tile(y, len(moved))


# %%
# The network
# -----------
# Convolutions find strokes and corners, pooling makes the picture smaller, and the last layer weighs what was found.
# Dropout leaves out half of it at random while the network learns, so that it does not rely on single values.


def network(seed: int = 0) -> Sequential:
    """Four convolutions with pooling between, and a layer that weighs what they found: one output for each digit."""

    def conv(filters: int, number: int) -> nl.Conv2D:
        start = HeUniform(seed=10 * seed + number)
        return nl.Conv2D(filters, 3, padding="same", activation="relu", kernel_initializer=start)

    return Sequential(
        [
            conv(32, 0),
            conv(32, 1),
            nl.MaxPooling2D(2),
            conv(64, 2),
            conv(64, 3),
            nl.Flatten(),
            nl.Dropout(0.5, seed=seed),
            nl.Dense(10, kernel_initializer=HeUniform(seed=10 * seed + 4)),
        ]
    )


def train(x: np.ndarray, y: np.ndarray, epochs: int, seed: int = 0, verbose: int = 1) -> tuple[Sequential, History]:
    """A network trained on nine tenths of the examples, shifted; the last tenth tells how well it does meanwhile."""
    share = len(x) * 9 // 10
    images, labels = shifted(x[:share], y[:share])
    model = network(seed)
    rate = CosineDecay(2e-3, epochs * -(-len(images) // BATCH))
    model.compile(Adam(rate), SparseCategoricalCrossentropy(from_logits=True), ["accuracy"])
    validation = (x[share:], y[share:])
    history = model.fit(images, labels, BATCH, epochs, validation_data=validation, seed=seed, verbose=verbose)
    return model, history


# %%
# What it has learned
# -------------------
# The curves tell whether it learns or learns by heart, the filters what it looks for, and the mistakes what is still
# hard.


def picture(model: Sequential, history: History, x_test: np.ndarray, y_test: np.ndarray) -> Figure:
    """Curves, the first layer's filters, and the digits that are read wrongly or nearly so."""
    shares = softmax(model.predict(x_test, verbose=0))
    predicted, sure = shares.argmax(1), shares.max(1)
    wrong = predicted != y_test
    figure = plt.figure(figsize=(10, 7), layout="constrained")
    top, middle, bottom = figure.subfigures(3, 1, height_ratios=[2.2, 1.4, 1.3])
    for axes, name in zip(top.subplots(1, 2), ("loss", "accuracy"), strict=True):
        curves = {"training, shifted digits": history.history[name], "validation": history.history[f"val_{name}"]}
        for (label, values), colour in zip(curves.items(), ("C0", "C1"), strict=True):
            axes.plot(range(1, len(values) + 1), values, color=colour, label=label)
        axes.set_xlabel("epoch")
        axes.set_title(name, loc="left")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
    top.axes[0].set_yscale("log")
    top.suptitle("A network learns to read digits", x=0.01, ha="left", fontweight="bold")
    kernels = model.layers[0].kernel[:, :, 0]
    limit = np.abs(kernels).max()
    for axes, kernel in zip(middle.subplots(2, 16).flat, np.moveaxis(kernels, -1, 0), strict=True):
        axes.imshow(kernel, cmap="RdBu_r", vmin=-limit, vmax=limit)
        axes.axis("off")
    middle.suptitle("What the 32 filters of the first layer look for (red is ink, blue is paper)", x=0.01, ha="left")
    # All mistakes, then what was nearly one.
    shown = np.lexsort((sure, ~wrong))[: max(8, wrong.sum())]
    for axes, i in zip(bottom.subplots(1, len(shown)), shown, strict=True):
        axes.imshow(x_test[i, :, :, 0], cmap="gray_r")
        axes.axis("off")
        axes.set_title(
            f"{y_test[i]} read as {predicted[i]}\n{sure[i]:.0%} sure", fontsize=8, color="C3" if wrong[i] else "C7"
        )
    text = f"{1 - wrong.mean():.1%} of {len(y_test)} digits it never saw are read right; mistakes (red) and near ones:"
    bottom.suptitle(text, x=0.01, ha="left")
    return figure


# %%
# The training
# ------------
# A first step compiles the kernels, so that the seconds are those of training alone.


def main() -> None:
    parser = argparse.ArgumentParser(description="Train a network that reads handwritten digits.")
    parser.add_argument("--epochs", type=int, default=12, help="passes through the examples")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="one training for each; the first is drawn")
    parser.add_argument("--out", type=Path, default=Path("digits.png"), help="where the picture goes")
    options = parser.parse_args()
    x, y, x_test, y_test = digits()
    train(x[: 2 * BATCH], y[: 2 * BATCH], epochs=1, verbose=0)
    print("seed  seconds  right of those held out")
    for seed in options.seeds:
        start = time.perf_counter()
        model, history = train(x, y, options.epochs, seed, verbose=0)
        seconds = time.perf_counter() - start
        loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
        print(f"{seed:4}  {seconds:7.1f}  {accuracy:.2%} (loss {loss:.3f})", flush=True)
        if seed == options.seeds[0]:
            picture(model, history, x_test, y_test).savefig(options.out, dpi=130)
    print(f"picture: {options.out}")


if __name__ == "__main__":
    main()
