"""Taking the noise out of photographs
===================================

A network learns to take the noise out of photographs.

::

    python -m pip install -e ".[examples]"
    python examples/denoise.py

It learns from patches of one photograph and is shown another one, that of an astronaut, which it has never seen. Both
come with scikit-image: nothing is downloaded. Strided convolutions make the image smaller, transposed ones bring it
back; what comes out is the noise, which is then taken away (Zhang et al., "Beyond a Gaussian Denoiser", 2017).

.. image:: /denoise.jpg
   :alt: A noisy photograph, blurred and as the network returns it
"""

# sphinx_gallery_thumbnail_path = "denoise.jpg"

import argparse
import time
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # draws into a file, so that no window is needed

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from skimage import data

from numbaconv import layers as nl
from numbaconv.history import History
from numbaconv.initializers import HeUniform
from numbaconv.models import Sequential
from numbaconv.optimizers import Adam
from numbaconv.schedules import CosineDecay

NOISE = 0.1
PATCH = 32


# %%
# The photographs
# ---------------
# The network learns from squares cut out of one photograph, with noise added. It never sees the other one.


def photographs() -> tuple[np.ndarray, np.ndarray]:
    """One photograph to learn from and one to be shown, (H, W, 3), values from 0 to 1."""
    return data.coffee().astype(np.float32) / 255, data.astronaut()[:256, 128:384].astype(np.float32) / 255


def noisy(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return image + NOISE * rng.standard_normal(image.shape, dtype=np.float32)


def patches(image: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Squares cut out anywhere, half of them mirrored."""
    tops, lefts = (rng.integers(n - PATCH + 1, size=count) for n in image.shape[:2])
    found = np.stack([image[a : a + PATCH, b : b + PATCH] for a, b in zip(tops, lefts, strict=True)])
    found[::2] = found[::2, :, ::-1]
    return found


# %%
# The network
# -----------
# What it gives is the noise. At half the size, one step of a kernel covers twice the distance, at a quarter of the
# work.


def network(seed: int = 0) -> Sequential:
    """Down to half the size and back: the output is the noise in the input."""

    def start(number: int) -> HeUniform:
        return HeUniform(seed=10 * seed + number)

    same = {"padding": "same", "activation": "relu"}
    return Sequential(
        [
            nl.Conv2D(24, 3, kernel_initializer=start(0), **same),
            nl.Conv2D(48, 3, 2, kernel_initializer=start(1), **same),
            nl.Conv2D(48, 3, kernel_initializer=start(2), **same),
            nl.Conv2D(48, 3, kernel_initializer=start(3), **same),
            nl.Conv2DTranspose(24, 4, 2, kernel_initializer=start(4), **same),
            nl.Conv2D(3, 3, padding="same", kernel_initializer="zeros"),
        ]
    )


def train(image: np.ndarray, epochs: int, count: int, seed: int = 0) -> tuple[Sequential, History]:
    """A network trained on noisy patches of one photograph."""
    rng = np.random.default_rng(seed)
    clean = patches(image, count, rng)
    x = noisy(clean, rng)
    model = network(seed)
    model.compile(Adam(CosineDecay(2e-3, epochs * -(-count // 32))), "mean_squared_error")
    history = model.fit(x, x - clean, 32, epochs, validation_split=0.1, seed=seed, verbose=0)
    return model, history


# %%
# Beside a blur
# -------------
# A blur takes noise away, and detail with it. The network is compared with the best of many.


def blurred(image: np.ndarray, sigma: float) -> np.ndarray:
    """The classical cure: each channel filtered with a bell-shaped kernel."""
    line = np.exp(-(np.arange(-3, 4) ** 2) / (2 * sigma**2))
    bell = np.outer(line, line) / line.sum() ** 2
    kernel = np.repeat(bell[:, :, None, None], 3, axis=2)
    return nl.DepthwiseConv2D(7, padding="same", use_bias=False, weights=[kernel])(image[None])[0]


def psnr(image: np.ndarray, clean: np.ndarray) -> float:
    """Peak signal-to-noise ratio in decibels, of values from 0 to 1."""
    return float(-10 * np.log10(np.mean((np.clip(image, 0, 1) - clean) ** 2)))


def picture(images: dict[str, np.ndarray], clean: np.ndarray, history: History) -> Figure:
    """The images, a part of them enlarged, and the course of the training."""
    figure = plt.figure(figsize=(12, 8.4), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=[3, 1.1])
    axes = top.subplots(2, len(images))
    for column, (title, image) in enumerate(images.items()):
        quality = "" if image is clean else f", {psnr(image, clean):.1f} dB"
        axes[0, column].set_title(title + quality, loc="left", fontsize=11)
        axes[0, column].imshow(np.clip(image, 0, 1))
        axes[1, column].imshow(np.clip(image[60:140, 70:150], 0, 1), interpolation="nearest")
    for each in axes.flat:
        each.axis("off")
    top.suptitle(
        "A network that has seen one photograph takes the noise out of another", x=0.01, ha="left", weight="bold"
    )
    curve = bottom.subplots()
    for label, name in (("training patches", "loss"), ("patches kept aside", "val_loss")):
        curve.plot(range(1, len(history.epoch) + 1), -10 * np.log10(history.history[name]), label=label)
    curve.set_xlabel("epoch")
    curve.set_ylabel("PSNR (dB)")
    curve.legend(frameon=False, loc="lower right")
    curve.spines[["top", "right"]].set_visible(False)
    return figure


# %%
# The training
# ------------
# A first step compiles the kernels, so that the seconds are those of training alone.


def main() -> None:
    parser = argparse.ArgumentParser(description="Train a network that takes the noise out.")
    parser.add_argument("--epochs", type=int, default=12, help="passes through the patches")
    parser.add_argument("--patches", type=int, default=2000, help="patches to learn from")
    parser.add_argument("--out", type=Path, default=Path("denoise.jpg"), help="where the picture goes")
    options = parser.parse_args()
    lesson, clean = photographs()
    train(lesson, 1, 64)
    start = time.perf_counter()
    model, history = train(lesson, options.epochs, options.patches)
    print(f"trained in {time.perf_counter() - start:.1f} s")
    x = noisy(clean, np.random.default_rng(99))
    sigmas = np.linspace(0.4, 1.6, 13)
    blurs = [blurred(x, sigma) for sigma in sigmas]
    # The best of many, which only who knows the clean image could choose: the hardest to beat.
    best = max(blurs, key=lambda image: psnr(image, clean))
    images = {"clean": clean, "noisy": x, "best Gaussian blur": best, "network": x - model(x[None])[0]}
    for name, image in images.items():
        if image is not clean:
            print(f"{name:20} {psnr(image, clean):5.2f} dB")
    picture(images, clean, history).savefig(options.out, dpi=110)
    print(f"picture: {options.out}")


if __name__ == "__main__":
    main()
