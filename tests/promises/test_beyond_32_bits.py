"""Operations on arrays of more than 2^31 elements, computed; each takes up to 20 GB. Run with --slow.

Inputs are zeros that take no memory until they are written to, with a few values near their ends.
"""

import numpy as np
import pytest

from numbaconv import functional, layers

pytestmark = [pytest.mark.situation("more than 2^31 elements"), pytest.mark.nightly]

N = 2**31 + 2**10


@pytest.fixture(autouse=True)
def memory():
    try:
        with open("/proc/meminfo") as file:
            available = int(next(line for line in file if "MemAvailable" in line).split()[1])
    except OSError:
        pytest.skip("needs Linux's table of memory")
    if available < 20e6:
        pytest.skip("needs 20 GB of memory")


def zeros(*shape):
    """A large array, and its last values set."""
    x = np.zeros(shape, np.float32)
    x.reshape(-1)[-5:] = [1, 2, 3, 4, 5]
    x.reshape(-1)[:2] = [7, 8]
    return x


def only(out, first, last):
    """Raise unless an array begins and ends like this and has no other values, looked at in parts."""
    flat = out.reshape(-1)
    assert flat.size > 2**31
    assert flat[: len(first)].tolist() == first
    assert flat[flat.size - len(last) :].tolist() == last
    middle = flat[len(first) : flat.size - len(last)]
    assert not any(middle[i : i + 2**24].any() for i in range(0, middle.size, 2**24))


def test_zero_pad():
    only(functional.zero_pad(zeros(1, N, 1), (1, 2)), [0, 7, 8], [1, 2, 3, 4, 5, 0, 0])


def test_crop():
    only(functional.crop(zeros(1, N, 1), (1, 1)), [8], [1, 2, 3, 4])


def test_upsample():
    only(functional.upsample(zeros(1, N // 2, 1), 2), [7, 7, 8, 8], [1, 1, 2, 2, 3, 3, 4, 4, 5, 5])


def last_to_second():
    """Weights of two taps that read the last of 8 channels and write the second of 8 filters."""
    weights = np.zeros((2, 8, 8), np.float32)
    weights[1, 7, 1] = 1
    return weights


def test_conv():
    only(functional.conv(zeros(1, N // 8, 8), last_to_second()), [0], [5, *[0] * 6])


def test_winograd():
    x = zeros(1, 46_400, 46_400, 1)
    weights = np.zeros((3, 3, 1, 1), np.float32)
    weights[1, 1] = 1
    out = functional.conv(x, weights, padding="same", algorithm="winograd").reshape(-1)
    assert out.size > 2**31
    assert np.allclose(out[-6:], [0, 1, 2, 3, 4, 5], atol=1e-4)
    assert np.allclose(out[:3], [7, 8, 0], atol=1e-4)


def test_conv_with_strides():
    step = 2**27
    x = zeros(1, N, 1)
    x[0, ::step, 0] = np.arange(17) + 1
    assert functional.conv(x, np.ones((1, 1, 1), np.float32), strides=step).ravel().tolist() == list(range(1, 18))
    assert functional.depthwise_conv(x, np.ones((1, 1, 2)), strides=step).ravel().tolist() == [
        float(i) for i in range(1, 18) for _ in range(2)
    ]


def test_depthwise_conv():
    weights = np.array([1, 10], np.float32)[:, None, None]
    only(functional.depthwise_conv(zeros(1, N, 1), weights), [87, 8], [10, 21, 32, 43, 54])


def test_conv_transpose():
    weights = last_to_second().swapaxes(1, 2)
    only(functional.conv_transpose(zeros(1, N // 16, 8), weights, strides=2), [0], [5, *[0] * 6])


def test_weight_gradient():
    x = zeros(1, N // 8, 8)
    grad = functional.conv_weight_grad(x, x, 1)[0]
    assert [grad[0, 0], grad[1, 0], grad[7, 7], grad[3, 7]] == [49, 56, 25, 5]


def test_input_gradient():
    weights = last_to_second().swapaxes(1, 2)
    only(functional.conv_input_grad(zeros(1, N // 8, 8), weights, (1, N // 8 + 1, 8)), [0], [5, *[0] * 6])


def test_max_pool():
    x = zeros(1, N // 32, 32)
    only(functional.max_pool(x, 2, 1), [7, 8], [1, 2, 3, 4, 5])
    assert functional.max_pool(x, 2**20, padding="same").ravel()[-5:].tolist() == [1, 2, 3, 4, 5]


def test_pool_gradient():
    grad = functional.average_pool_grad(zeros(1, N // 64, 32), (1, N // 64 * 2, 32), 2)
    only(grad, [3.5, 4, *[0] * 30, 3.5, 4], [0.5, 1, 1.5, 2, 2.5, *[0] * 27, 0.5, 1, 1.5, 2, 2.5])


def test_channels_first():
    only(functional.crop(zeros(1, 2, N // 2), (0, 0), "channels_first"), [7, 8], [1, 2, 3, 4, 5])
    out = functional.conv(zeros(1, 2, N // 2), np.eye(2, dtype=np.float32)[None], data_format="channels_first")
    only(out, [7, 8], [1, 2, 3, 4, 5])


def test_layers_of_bytes():
    # Of the input there is a single byte.
    x = np.broadcast_to(np.int8(3), (1, N, 1))
    out = layers.Cropping1D((N - 4, 1))(x)
    assert out.ravel().tolist() == [3, 3, 3]


def test_normalization_and_activation():
    only(layers.BatchNormalization(epsilon=0)(zeros(1, N, 1)), [7, 8], [1, 2, 3, 4, 5])
    only(layers.Activation("relu")(zeros(1, N, 1)), [7, 8], [1, 2, 3, 4, 5])


def test_dense():
    only(layers.Dense(1, kernel_initializer="ones")(zeros(N, 1)), [7, 8], [1, 2, 3, 4, 5])
