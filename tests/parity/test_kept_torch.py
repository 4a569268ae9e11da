"""What layers keep for the backward pass, beside the tensors that PyTorch saves for the same network."""

import numpy as np
import pytest

from numbaconv import layers

torch = pytest.importorskip("torch")
nn = torch.nn

NETWORKS = {
    "convolutions": (
        [
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.Conv2D(24, 3, 2, activation="relu"),
            layers.Conv2D(8, 3),
        ],
        [nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 24, 3, 2), nn.ReLU(), nn.Conv2d(24, 8, 3)],
    ),
    "pooling and normalization": (
        [
            layers.Conv2D(16, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.Activation("relu"),
            layers.MaxPooling2D(),
            layers.AveragePooling2D(),
            layers.Flatten(),
            layers.Dense(20, activation="relu"),
            layers.Dense(10),
        ],
        [
            nn.Conv2d(3, 16, 3, padding=1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.AvgPool2d(2),
            nn.Flatten(),
            nn.Linear(16 * 8 * 8, 20),
            nn.ReLU(),
            nn.Linear(20, 10),
        ],
    ),
    "separable, transposed and resized": (
        [
            layers.SeparableConv2D(16, 3, padding="same", activation="relu"),
            layers.UpSampling2D(2),
            layers.Conv2DTranspose(8, 2, 2, activation="relu"),
            layers.ZeroPadding2D(1),
            layers.DepthwiseConv2D(3),
            layers.Cropping2D(2),
        ],
        [
            nn.Conv2d(3, 3, 3, padding=1, groups=3, bias=False),
            nn.Conv2d(3, 16, 1),
            nn.ReLU(),
            nn.Upsample(scale_factor=2),
            nn.ConvTranspose2d(16, 8, 2, 2),
            nn.ReLU(),
            nn.ZeroPad2d(1),
            nn.Conv2d(8, 8, 3, groups=8),
            nn.ZeroPad2d(-2),
        ],
    ),
}


def arrays_in(kept):
    if isinstance(kept, np.ndarray):
        # Views keep the whole array that they look into; what is lent ends with its lease, which is no plain array.
        while type(kept) is np.ndarray and isinstance(kept.base, np.ndarray):
            kept = kept.base
        yield kept
    elif isinstance(kept, tuple | list | dict):
        for part in kept.values() if isinstance(kept, dict) else kept:
            yield from arrays_in(part)


def kept_bytes(network, x):
    for layer in network:
        x = layer.forward(x)
    arrays = {id(array): array.nbytes for layer in network for array in arrays_in(layer._kept)}
    return sum(arrays.values())


def saved_bytes(network, x):
    storages = {}

    def save(tensor):
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    weights = {parameter.data_ptr() for module in network for parameter in module.parameters()}
    with torch.autograd.graph.saved_tensors_hooks(save, lambda tensor: tensor):
        for module in network:
            x = module(x)
    return sum(size for pointer, size in storages.items() if pointer not in weights)


@pytest.mark.parametrize("ours, theirs", NETWORKS.values(), ids=NETWORKS)
def test_no_more_is_kept_than_pytorch_saves(ours, theirs):
    x = np.random.default_rng(0).standard_normal((8, 32, 32, 3), dtype=np.float32)
    saved = saved_bytes(theirs, torch.from_numpy(np.moveaxis(x, -1, 1).copy()).requires_grad_())
    assert kept_bytes(ours, x) <= 1.2 * saved
