"""Makes the files of a network for `networks.py`, in a process of its own, which is all that needs Keras.

python asv_bench/networks_made.py make NETWORK FOLDER       # the network, an input, and what Keras says of it
python asv_bench/networks_made.py convert FOLDER            # the same network for ONNX Runtime and OpenVINO
"""

import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

BATCH = 8
# With the sides of the pictures that they were made for.
OF_KERAS = {
    **dict.fromkeys(("MobileNet", "MobileNetV2", "MobileNetV3Large", "ResNet50", "DenseNet121", "EfficientNetB0"), 224),
    **dict.fromkeys(("InceptionV3", "Xception"), 299),
}


def unet(side: int = 224, filters: tuple[int, ...] = (32, 64, 128, 256)) -> Any:
    """A U-Net: two convolutions for each size, down and up again, where what was passed on the way down comes in."""
    import keras
    from keras import layers

    def twice(x: Any, count: int) -> Any:
        for _ in range(2):
            x = layers.Conv2D(count, 3, padding="same", use_bias=False)(x)
            x = layers.ReLU()(layers.BatchNormalization()(x))
        return x

    start = x = layers.Input((side, side, 3))
    passed = []
    for count in filters[:-1]:
        passed.append(twice(x, count))
        x = layers.MaxPooling2D()(passed[-1])
    x = twice(x, filters[-1])
    for count, across in zip(filters[-2::-1], passed[::-1], strict=True):
        x = layers.Conv2DTranspose(count, 2, 2)(x)
        x = twice(layers.Concatenate()([across, x]), count)
    return keras.Model(start, layers.Conv2D(1, 1)(x), name="unet")


def tiny() -> Any:
    """A network to try the scripts with."""
    return unet(16, (8, 16))


OWN: dict[str, Callable[[], Any]] = {"U-Net": unet, "tiny": tiny}
NETWORKS = (*OF_KERAS, "U-Net")


def made(name: str) -> Any:
    """A network with random weights."""
    import keras

    if name in OWN:
        return OWN[name]()
    # Softmax brings all outputs near each other when weights are random, and would hide differences.
    shape = (OF_KERAS[name], OF_KERAS[name], 3)
    return getattr(keras.applications, name)(input_shape=shape, weights=None, classifier_activation=None)


def randomise(model: Any, rng: np.random.Generator) -> None:
    """Give what begins as zeros or ones something to do, and normalizations the statistics of random pictures."""
    import keras

    for layer in model.layers:
        for weight in layer.weights:
            if weight.name in ("gamma", "beta", "bias"):
                weight.assign((weight.name == "gamma") + rng.uniform(-0.3, 0.3, weight.shape))
        if isinstance(layer, keras.layers.BatchNormalization):
            # Then the moving statistics are those of the next batch, and values keep their size on the way.
            layer.momentum = 0.0
    model(pictures(model, rng), training=True)


def pictures(model: Any, rng: np.random.Generator) -> np.ndarray:
    """A batch with values from 0 to 255, as networks expect them that begin with Rescaling."""
    return 255 * rng.random((BATCH, *model.input_shape[1:]), dtype=np.float32)


def make(name: str, folder: Path) -> None:
    """Write the network, a batch and its result into a folder."""
    import keras

    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    model = made(name)
    randomise(model, rng)
    x = pictures(model, rng)
    model.save(folder / "model.keras")
    np.save(folder / "x.npy", x)
    np.save(folder / "expected.npy", np.asarray(model(x, training=False)))


def convert(folder: Path) -> None:
    """Write the network of a folder as ONNX, which OpenVINO reads too, and runs as fast as what Keras writes for it."""
    import keras

    model = keras.saving.load_model(folder / "model.keras", compile=False)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization):
            # Tensors would become further inputs of the network.
            layer.mean, layer.variance = np.asarray(layer.mean), np.asarray(layer.variance)
    # Keras exports only what has been called.
    model(np.load(folder / "x.npy")[:1])
    model.export(folder / "model.onnx", format="onnx", verbose=False)


if __name__ == "__main__":
    action, *words = sys.argv[1:]
    with contextlib.redirect_stdout(sys.stderr):
        make(words[0], Path(words[1])) if action == "make" else convert(Path(words[0]))
