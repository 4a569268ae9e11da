"""ReLU and its kin, Softmax, Rescaling, ActivityRegularization and Identity: values, gradients and what they refuse."""

import json
import math

import numpy as np
import pytest
from differences import assert_gradients

from numbaconv import activations, config, layers
from numbaconv.layers import ELU, ActivityRegularization, Identity, LeakyReLU, PReLU, ReLU, Rescaling, Softmax
from numbaconv.models import Sequential


def normal(*shape, dtype=np.float64):
    return np.random.default_rng(1).standard_normal(shape).astype(dtype)


# A layer, an input, its result and, for a gradient of ones, that of the input.
BY_HAND = [
    (ReLU(), [-4, 0, 3], [0, 0, 3], [0, 0, 1]),
    (ReLU(max_value=2), [-4, 1, 3], [0, 1, 2], [0, 1, 0]),
    (ReLU(None, 0.5, 1), [-3, 0.5, 2], [-2, -0.25, 2], [0.5, 0.5, 1]),
    (LeakyReLU(), [-10, 3], [-3, 3], [0.3, 1]),
    (LeakyReLU(0), [-10, 3], [0, 3], [0, 1]),
    (ELU(), [-math.log(2), 3], [-0.5, 3], [0.5, 1]),
    (ELU(4), [-math.log(2), 3], [-2, 3], [2, 1]),
    (PReLU("ones"), [-2, 0, 3], [-2, 0, 3], [1, 0, 1]),
    (PReLU(weights=[[0.5, 3]]), [-2, -2], [-1, -6], [0.5, 3]),
    (Softmax(), [0, math.log(3)], [0.25, 0.75], [0, 0]),
    (Rescaling(0.5), [-2, 3], [-1, 1.5], [0.5, 0.5]),
    (Rescaling([2, 3], [1, 10]), [-2, 3], [-3, 19], [2, 3]),
    (ActivityRegularization(l1=0.5), [-2, 3], [-2, 3], [0.5, 1.5]),
    (ActivityRegularization(l2=0.25), [-2, 3], [-2, 3], [0, 2.5]),
    (Identity(), [-2, 3], [-2, 3], [1, 1]),
]


@pytest.mark.parametrize(("layer", "x", "expected", "slope"), BY_HAND)
def test_values_and_gradients_by_hand(layer, x, expected, slope):
    for out in (layer([x]), layer.forward([x])):
        assert out.dtype == np.float32
        np.testing.assert_allclose(out, [expected], rtol=1e-6)
    np.testing.assert_allclose(layer.backward(np.ones((1, len(x)))), [slope], rtol=1e-6, atol=1e-7)


MADE = {
    "relu": lambda **k: ReLU(0.75, 0.5, 0.25, **k),
    "leaky": lambda **k: LeakyReLU(0.25, **k),
    "steep": lambda **k: LeakyReLU(2.5, **k),
    "elu": lambda **k: ELU(0.5, **k),
    "prelu": lambda **k: PReLU("he_normal", "l2", "non_neg", **k),
    "shared": lambda **k: PReLU("he_normal", shared_axes=[1], activity_regularizer="l2", **k),
    "softmax": lambda **k: Softmax([1, 2], **k),
    "rescaling": lambda **k: Rescaling([[1], [2], [3]], [1, 2, 3, 4], **k),
    "regularization": lambda **k: ActivityRegularization(0.25, 0.5, **k),
    "identity": lambda **k: Identity(**k),
}
every_layer = pytest.mark.parametrize("make", MADE.values(), ids=MADE)


@every_layer
def test_gradients(make):
    assert_gradients(make(dtype=float), normal(2, 3, 4))


@every_layer
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_results_are_new_contiguous_and_of_the_layers_dtype(make, dtype):
    layer = make(dtype=dtype)
    for x in (normal(2, 3, 4), np.asfortranarray(normal(2, 3, 4, dtype=dtype)), normal(2, 3, 8)[..., ::2] > 0):
        before = x.copy()
        out = layer(x)
        assert not np.may_share_memory(out, x)
        for result in (out, layer.forward(x)):
            assert result.flags.c_contiguous
            assert (result.dtype, result.shape) == (np.dtype(dtype), x.shape)
        assert layer.backward(np.asfortranarray(out)).dtype == dtype
        np.testing.assert_array_equal(x, before)
        np.testing.assert_array_equal(layer.forward(x), out)
    assert layer(np.ones((0, 3, 4))).shape == (0, 3, 4)


@every_layer
def test_configuration_round_trip(make, tmp_path):
    layer = make(trainable=False, dtype="float64", batch_input_shape=(None, 3, 4))
    text = json.dumps(layer.get_config())
    twin = type(layer).from_config(json.loads(text))
    assert json.dumps(twin.get_config()) == text
    x = normal(2, 3, 4)
    model = Sequential([layer])
    model.save(tmp_path / "model.npz")
    assert Sequential.load(tmp_path / "model.npz")(x).tobytes() == layer(x).tobytes()
    mask = np.ones((2, 3), bool)
    assert layer.compute_mask(x, mask) is mask


def test_training_copies_no_more_than_needed():
    x = normal(2, 3, dtype=np.float32)
    for layer in (Identity(), ActivityRegularization(), ReLU(None, 1)):
        assert np.shares_memory(layer.forward(x), x) == (type(layer) is not ReLU)
        assert not np.shares_memory(layer(x), x)


@pytest.mark.parametrize("layer", [ReLU(1.5), LeakyReLU(), ELU(0.5), Softmax(1)])
def test_layers_as_activations(layer):
    x = normal(3, 4)
    dense = layers.Dense(2, layer, dtype=float)
    plain = layers.Dense(2, weights=dense.get_weights() or None, dtype=float)
    dense.build(x.shape), plain.build(x.shape)
    plain.set_weights(dense.get_weights())
    twin = type(layer).from_config({**layer.get_config(), "dtype": "float64"})
    np.testing.assert_array_equal(dense(x), twin(plain(x)))
    again = layers.Dense.from_config(json.loads(json.dumps(dense.get_config())))
    assert again.activation == dense.activation
    assert_gradients(dense, x)


# -- PReLU -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shared", "size"),
    [(None, (4, 5, 3)), (1, (1, 5, 3)), ((1, 2), (1, 1, 3)), ([3], (4, 5, 1)), ((1, 2, 3), (1, 1, 1))],
)
def test_sizes_of_alpha(shared, size):
    layer = PReLU("he_normal", shared_axes=shared, dtype=float)
    x = normal(2, 4, 5, 3)
    layer.build(x.shape)
    assert layer.alpha.shape == size
    assert layer.count_params() == math.prod(size)
    np.testing.assert_array_equal(layer(x), np.where(x > 0, x, layer.alpha * x))
    assert_gradients(layer, x)
    assert (layer.forward(x) == layer(x)).all()
    layer.trainable = False
    layer.forward(x)
    assert layer.backward(x).shape == x.shape
    assert layer.gradients == [None]


def test_prelu_with_unknown_sizes():
    layer = PReLU(shared_axes=(1, 2))
    layer.build((None, None, None, 3))
    assert layer.alpha.shape == (1, 1, 3)
    for shape in ((2, 4, 5, 3), (1, 7, 1, 3)):
        assert layer(np.ones(shape)).shape == shape
    assert layer.compute_output_shape((None, None, 9, 3)) == (None, None, 9, 3)
    for wrong in ((2, 4, 5, 4), (2, 5, 3)):
        with pytest.raises(ValueError, match=r"PReLU .*(alpha \(1, 1, 3\)|shared_axes)"):
            layer(np.ones(wrong))
    with pytest.raises(
        ValueError, match=r"sizes of axes that are not shared must be known and positive, got \(None, 3"
    ):
        PReLU().build((None, None, 3))
    whole = PReLU()
    whole.build((None, 4, 3))
    with pytest.raises(ValueError, match=r"the input must have the sizes that alpha \(4, 3\) is for, got \(2, 5, 3\)"):
        whole(np.ones((2, 5, 3)))


def test_alpha_gradient_keeps_the_digits_of_many_rows():
    layer = PReLU()
    x = np.full((100_000, 1), -0.1, np.float32)
    layer.forward(x)
    layer.backward(np.ones_like(x))
    np.testing.assert_array_equal(layer.gradients[0], np.float32(100_000 * x[0].astype(float)))


# -- Softmax -----------------------------------------------------------------------------------------------------------


def test_softmax_over_several_axes_adds_up_to_1():
    x = normal(2, 3, 4, 5)
    for axis in (-1, 0, 2, (1, 2), [1, -1]):
        out = Softmax(axis, dtype=float)(x)
        axes = tuple(axis) if isinstance(axis, list) else axis
        np.testing.assert_allclose(out.sum(axis=axes), np.ones_like(out.sum(axis=axes)), rtol=1e-14)
        np.testing.assert_allclose(out, np.exp(x) / np.exp(x).sum(axis=axes, keepdims=True), rtol=1e-13)


@pytest.mark.parametrize("axis", [-1, 1, (1, 2)])
def test_softmax_of_masked_values(axis):
    x, mask = normal(2, 3, 4), np.random.default_rng(2).random((2, 3, 4)) > 0.4
    mask[:, 0], mask[:, 1:, 0] = False, True
    x[~mask] = np.inf
    layer = Softmax(axis, dtype=float)
    out = layer(x, mask=mask)
    shares = np.where(mask, np.exp(np.where(mask, x, 0)), 0)
    total = shares.sum(axis=axis, keepdims=True)
    np.testing.assert_allclose(out, shares / np.where(total == 0, 1, total), rtol=1e-13)
    np.testing.assert_array_equal(layer(x, mask=mask, training=True), out)
    np.testing.assert_array_equal(layer(x, mask=mask.astype(int)), out)
    finite, kept = layer._forward(np.where(mask, x, 7), mask)
    grad = layer._input_grad(kept, np.ones_like(x) * np.arange(4))
    assert not grad[~mask].any()
    np.testing.assert_array_equal(finite, out)
    with pytest.raises(ValueError, match=r"mask must have a shape that broadcasts to that of x, \(2, 3, 4\), got \(2,"):
        layer(x, mask=mask[:, :, :3])


# -- Rescaling ---------------------------------------------------------------------------------------------------------


def test_images_of_bytes():
    image = np.array([[[[0, 128, 255]]]], np.uint8)
    np.testing.assert_allclose(Rescaling(1 / 127.5, -1)(image), [[[[-1, 128 / 127.5 - 1, 1]]]], atol=1e-7)
    assert Rescaling(np.float32(0.5), offset=[1]).get_config()["scale"] == 0.5
    held = {"class_name": "__numpy__", "config": {"value": [1.0, 2.0, 4.0], "dtype": "float64"}}
    layer = Rescaling.from_config({"scale": held, "offset": 0.0})
    assert layer.scale == (1, 2, 4)
    assert layer(image).ravel().tolist() == [0, 256, 1020]


def test_channels_first_takes_a_scale_of_its_channels():
    config.set_image_data_format("channels_first")
    try:
        layer = Rescaling([1, 2])
    finally:
        config.set_image_data_format("channels_last")
    np.testing.assert_array_equal(layer(np.ones((1, 2, 2, 3)))[0, :, 1, 1], [1, 2])
    layer.forward(np.ones((1, 2, 2, 3)))
    np.testing.assert_array_equal(layer.backward(np.ones((1, 2, 2, 3)))[0, :, 1, 1], [1, 2])


# -- ActivityRegularization --------------------------------------------------------------------------------------------


def test_penalties():
    layer = ActivityRegularization(0.5, 0.25)
    layer([[-2, 3], [1, 0]])
    assert layer.losses == [(0.5 * 6 + 0.25 * 14) / 2]
    layer.l1 = 0
    layer([[-2, 3], [1, 0]])
    assert layer.losses == [0.25 * 14 / 2]
    assert "activity_regularizer" not in layer.get_config()


REFUSED = {
    "max_value": (lambda: ReLU(-1), ValueError, "max_value must be a finite number >= 0, got -1"),
    "negative_slope": (lambda: ReLU(negative_slope=None), TypeError, "negative_slope must be a finite number"),
    "threshold": (lambda: ReLU(threshold=math.inf), ValueError, "threshold must be a finite number >= 0, got inf"),
    "slope": (lambda: LeakyReLU(-0.1), ValueError, "negative_slope must be a finite number >= 0, got -0.1"),
    "alpha": (lambda: ELU("1"), TypeError, "alpha must be a finite number >= 0, got '1'"),
    "shared_axes": (lambda: PReLU(shared_axes=[0]), ValueError, r"shared_axes must be axes from 1 on, .* got \[0\]"),
    "twice": (lambda: PReLU(shared_axes=[1, 1]), ValueError, "each of them once"),
    "shared float": (lambda: PReLU(shared_axes=[1.5]), TypeError, "shared_axes must be an integer, got 1.5"),
    "shared beyond": (lambda: PReLU(shared_axes=3)(np.ones((2, 3))), ValueError, "shared_axes must be from 1 to 1"),
    "axis": (lambda: Softmax("last"), TypeError, "axis must be an integer, got 'last'"),
    "axes": (lambda: Softmax((1, 1)), ValueError, "axis must name axes of x, each of them once"),
    "no axis": (lambda: Softmax(()), ValueError, "axis must name axes of x"),
    "axis beyond": (lambda: Softmax(3)(np.ones((2, 3))), ValueError, "axis must be from -2 to 1 for 2 axes"),
    "same axis": (lambda: Softmax((1, -1))(np.ones((2, 3))), ValueError, "axis must name axes of x, each of them once"),
    "scale": (lambda: Rescaling("half"), TypeError, "scale must"),
    "no scale": (lambda: Rescaling(None), TypeError, "scale must"),
    "ragged": (lambda: Rescaling([[1], [1, 2]]), ValueError, "scale must be an array of numbers"),
    "infinite": (lambda: Rescaling(1, np.nan), ValueError, "offset must hold finite numbers, got nan"),
    "channels": (lambda: Rescaling([1, 2])(np.ones((2, 3))), ValueError, r"x must have a shape that scale \(2,\)"),
    "offset": (lambda: Rescaling(1, np.ones((2, 1, 1)))(np.ones((2, 3))), ValueError, r"that offset \(2, 1, 1\)"),
    "l1": (lambda: ActivityRegularization(-1), ValueError, "l1 must be a finite number >= 0, got -1"),
    "regularizer": (
        lambda: ActivityRegularization(activity_regularizer="l2"),
        TypeError,
        "activity_regularizer must not be given, it is made from l1 and l2, got 'l2'",
    ),
}


@pytest.mark.parametrize(("call", "error", "said"), REFUSED.values(), ids=REFUSED)
def test_mistakes_are_named(call, error, said):
    with pytest.raises(error, match=rf"^\w+ '\w+': .*{said}"):
        call()


def test_names_that_keras_gives():
    assert [cls().name.rstrip("0123456789_") for cls in (PReLU, ReLU, LeakyReLU, ELU)] == [
        "p_re_lu",
        "re_lu",
        "leaky_re_lu",
        "elu",
    ]
    assert activations.get(ReLU()) is activations.relu
