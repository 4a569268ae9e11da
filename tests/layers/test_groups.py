"""Convolutions in groups: beside convolutions of each group by itself, and what a layer says of them."""

import numpy as np
import pytest
from cases import FORMATS, assert_close, to_format
from test_learning import assert_gradients_are_slopes

from numbaconv import functional, layers
from numbaconv.calls.conv import WindowCall, conv_call
from numbaconv.calls.gradients import DepthwiseInputCall, conv_grad
from numbaconv.calls.window import window_of
from numbaconv.kernels.depthwise import depthwise_conv
from numbaconv.models import Sequential


def drawn(*shape):
    return np.random.default_rng(sum(shape)).standard_normal(shape, np.float32)


def test_kernels_have_the_channels_of_a_group():
    layer = layers.Conv2D(6, (3, 2), groups=3)
    layer.build((None, 8, 8, 12))
    assert [w.shape for w in layer.get_weights()] == [(3, 2, 4, 6), (6,)]
    assert layer.get_config()["groups"] == 3
    assert layers.Conv2D.from_config(layer.get_config()).groups == 3


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("name, rank", [("Conv1D", 1), ("Conv2D", 2), ("Conv3D", 3)])
def test_each_group_is_a_layer_of_its_own(name, rank, data_format):
    x, kernel, bias = drawn(2, *(7, 6, 5)[:rank], 6), drawn(*(3,) * rank, 3, 10), drawn(10)
    whole = getattr(layers, name)(10, 3, groups=2, data_format=data_format, weights=[kernel, bias], activation="relu")
    parts = [
        getattr(layers, name)(5, 3, weights=[w, b], activation="relu")(part)
        for w, b, part in zip(*(np.split(a, 2, axis=-1) for a in (kernel, bias, x)), strict=True)
    ]
    assert_close(whole(to_format(x, data_format)), to_format(np.concatenate(parts, axis=-1), data_format))


@pytest.mark.double
@pytest.mark.parametrize("layer", [layers.Conv1D(4, 3, 2, groups=2), layers.Conv2D(6, 3, padding="same", groups=3)])
def test_gradients_are_slopes(layer):
    layer = type(layer)(**{**layer.get_config(), "dtype": "float64", "activation": "tanh", "kernel_regularizer": "l2"})
    x = drawn(2, *(6, 5)[: layer.rank], 6)
    layer.build(x.shape)
    layer.set_weights([0.5 * drawn(*w.shape) for w in layer.weights])
    assert_gradients_are_slopes(layer, x)


def test_a_channel_for_each_group_is_a_depthwise_convolution():
    x, weights = drawn(2, 9, 20, 5), drawn(3, 3, 5, 2)
    window = window_of((3, 3), padding="same")
    call = conv_call(x.shape, (3, 3, 1, 10), 8, window, "auto")
    assert isinstance(call, WindowCall)
    assert call.kernel is depthwise_conv
    assert isinstance(conv_grad(x.shape, (3, 3, 1, 10), 8, window).input_call, DepthwiseInputCall)
    grouped, settings = weights.reshape(3, 3, 1, 10), {"padding": "same"}
    out = functional.depthwise_conv(x, weights, padding="same")
    assert functional.conv(x, grouped, padding="same").tobytes() == out.tobytes()
    grad_x = functional.conv_input_grad(out, grouped, x.shape, **settings)
    assert grad_x.tobytes() == functional.depthwise_conv_input_grad(out, weights, x.shape, **settings).tobytes()
    grad = functional.conv_weight_grad(x, out, 3, groups=5, **settings)
    assert grad.shape == grouped.shape
    assert grad.tobytes() == functional.depthwise_conv_weight_grad(x, out, 3, **settings).tobytes()


def test_groups_of_a_built_layer_stay():
    layer = layers.Conv2D(4, 3)
    layer.groups = 2
    layer(np.ones((1, 5, 5, 4)))
    with pytest.raises(ValueError, match="groups cannot be set to 4 once the layer is built"):
        layer.groups = 4


def test_infinities_stay_in_their_group():
    x, kernel = drawn(1, 6, 6, 4), drawn(3, 3, 2, 6)
    plain = functional.conv(x, kernel, padding="same")
    x[0, 0, 0, 0], kernel[0, 0, 0, 1] = np.inf, np.inf
    out = functional.conv(x, kernel, padding="same")
    assert not np.isfinite(out[..., :3]).all()
    assert_close(out[..., 3:], plain[..., 3:])
    grad = functional.conv_weight_grad(x, plain, 3, padding="same", groups=2)
    assert np.isfinite(grad[..., 3:]).all()
    assert not np.isfinite(grad[..., :3]).all()


def test_a_network_of_groups_trains_and_is_saved(tmp_path):
    x, y = drawn(16, 8, 8, 4), np.arange(16) % 2
    stack = [layers.Conv2D(8, 3, groups=4, activation="relu"), layers.Flatten(), layers.Dense(2, activation="softmax")]
    model = Sequential(stack)
    model.compile("adam", "sparse_categorical_crossentropy")
    losses = model.fit(x, y, epochs=8, verbose=0, seed=1).history["loss"]
    assert losses[-1] < losses[0]
    model.save(tmp_path / "model.npz")
    again = Sequential.load(tmp_path / "model.npz")
    assert again.predict(x).tobytes() == model.predict(x).tobytes()
