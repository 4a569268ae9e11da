"""What docs/bring_your_network.md does by hand gives PyTorch's numbers."""

import re
from pathlib import Path

import numpy as np
import pytest

from numbaconv import layers
from numbaconv.models import Sequential

torch = pytest.importorskip("torch")
nn = torch.nn
PAGE = Path(__file__).parents[2] / "docs" / "bring_your_network.md"


@pytest.fixture(scope="module")
def page():
    """The functions that the page defines, by name."""
    found = {}
    for block in re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        if "def " in block:
            exec(compile(block, str(PAGE), "exec"), found)
    return found


def arrays(module):
    return [parameter.detach().numpy() for parameter in module.parameters()]


def theirs(module, x):
    """What PyTorch gives for images with channels last."""
    with torch.no_grad():
        out = module.eval()(torch.from_numpy(x.transpose(0, 3, 1, 2).copy())).numpy()
    return out.transpose(0, 2, 3, 1) if out.ndim == 4 else out


@pytest.fixture
def x():
    torch.manual_seed(3)
    return np.random.default_rng(3).normal(size=(2, 12, 10, 6)).astype(np.float32)


def close(ours, expected):
    assert ours.shape == expected.shape
    np.testing.assert_allclose(ours, expected, atol=2e-5 * max(1, np.abs(expected).max()), rtol=0)


def given(layer, shape, weights):
    layer.build(shape)
    layer.set_weights(weights)
    return layer


@pytest.mark.parametrize("groups", [1, 2])
def test_convolution(page, x, groups):
    module = nn.Conv2d(6, 8, (3, 5), stride=2, padding=1, groups=groups)
    weight, bias = arrays(module)
    padded = layers.ZeroPadding2D(1)(x)
    layer = layers.Conv2D(8, (3, 5), strides=2, groups=groups)
    close(given(layer, padded.shape, [page["conv_kernel"](weight), bias])(padded), theirs(module, x))


@pytest.mark.parametrize(("padding", "extra"), [(0, 0), (1, 0), (1, 1)])
def test_transposed_convolution(page, x, padding, extra):
    module = nn.ConvTranspose2d(6, 4, (3, 4), stride=2, padding=padding, output_padding=extra)
    weight, bias = arrays(module)
    layer = given(layers.Conv2DTranspose(4, (3, 4), strides=2), x.shape, [page["transposed_kernel"](weight), bias])
    crop = layers.Cropping2D(((padding, padding - extra), (padding, padding - extra)))
    close(crop(layer(x)), theirs(module, x))


def test_depthwise_convolution(page, x):
    module = nn.Conv2d(6, 18, 3, groups=6)
    weight, bias = arrays(module)
    layer = layers.DepthwiseConv2D(3, depth_multiplier=3)
    close(given(layer, x.shape, [page["depthwise_kernel"](weight, 6), bias])(x), theirs(module, x))


def test_dense_after_flatten(page, x):
    module = nn.Sequential(nn.Flatten(), nn.Linear(12 * 10 * 6, 5))
    weight, bias = arrays(module)
    flat = layers.Flatten()(x)
    layer = given(layers.Dense(5), flat.shape, [page["dense_kernel_after_flatten"](weight, 6, 12, 10), bias])
    close(layer(flat), theirs(module, x))
    first = x.transpose(0, 3, 1, 2)
    assert np.array_equal(layers.Flatten(data_format="channels_first")(first), flat)
    module = nn.Linear(7, 3)
    weight, bias = arrays(module)
    rows = x.reshape(-1, 720)[:, :7]
    layer = given(layers.Dense(3), rows.shape, [page["dense_kernel"](weight), bias])
    close(layer(rows), module(torch.from_numpy(rows.copy())).detach().numpy())


def test_settings_that_mean_something_else(x):
    padded = layers.ZeroPadding2D(1)
    pairs = [
        (nn.LeakyReLU(), layers.LeakyReLU(0.01)),
        (nn.Upsample(scale_factor=2, mode="bilinear"), layers.UpSampling2D(interpolation="bilinear")),
        (nn.AvgPool2d(3, 2, padding=1), Sequential([padded, layers.AveragePooling2D(3, 2)])),
        (
            nn.Sequential(nn.ReLU(), nn.MaxPool2d(3, 2, 1)),
            Sequential([layers.ReLU(), padded, layers.MaxPooling2D(3, 2)]),
        ),
        (nn.GroupNorm(3, 6), layers.GroupNormalization(3, epsilon=1e-5)),
    ]
    for module, ours in pairs:
        close(ours(x), theirs(module, x))
    rows = x[0]
    close(layers.LayerNormalization(epsilon=1e-5)(rows), nn.LayerNorm(6)(torch.from_numpy(rows)).detach().numpy())
    assert layers.LayerNormalization().epsilon == layers.GroupNormalization(3).epsilon == 1e-3


def test_momentum_is_the_share_that_stays(x):
    module, layer = nn.BatchNorm2d(6), layers.BatchNormalization(epsilon=1e-5, momentum=0.9)
    assert (module.eps, module.momentum, layers.BatchNormalization().epsilon) == (1e-5, 0.1, 1e-3)
    expected = module.train()(torch.from_numpy(x.transpose(0, 3, 1, 2).copy())).detach().numpy()
    close(layer(x, training=True), expected.transpose(0, 2, 3, 1))
    close(layer.get_weights()[2], module.running_mean.numpy())


def test_the_whole_network(page):
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, groups=8, padding=1),
        nn.Flatten(),
        nn.Linear(16 * 6 * 5, 10),
    )
    images = torch.randn(4, 3, 12, 10)
    with torch.no_grad():
        # Statistics that are not 0 and 1.
        network.train()(3 * images + 1)
        expected = network.eval()(images).numpy()
    ours = page["from_state"]({name: tensor.numpy() for name, tensor in network.state_dict().items()})
    close(ours.predict(images.numpy().transpose(0, 2, 3, 1), verbose=0), expected)
