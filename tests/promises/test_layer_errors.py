"""Everything a user can get wrong with a layer: the kind of error, and what its message says."""

import numpy as np
import pytest
from refusals import assert_refused, table

from numbaconv import activations, constraints, initializers, layers, regularizers

X1, X2, W2 = np.ones((2, 8, 3)), np.ones((2, 8, 9, 3)), np.ones((2, 2, 3, 4))

Conv1D, Conv2D, Conv3D = layers.Conv1D, layers.Conv2D, layers.Conv3D
Conv2DTranspose, Conv3DTranspose = layers.Conv2DTranspose, layers.Conv3DTranspose
DepthwiseConv2D, SeparableConv2D = layers.DepthwiseConv2D, layers.SeparableConv2D


def built(layer=None):
    layer = layer or Conv2D(4, 2)
    layer.build((None, 8, 9, 3))
    return layer


def assign_kernel(layer, value):
    layer.kernel = value


LAYERS = {
    "too few arguments": (lambda: Conv2D(3), TypeError, ("kernel_size",)),
    "too many arguments": (lambda: Conv2D(*[3] * 40), TypeError, ("positional",)),
    "unknown argument": (lambda: Conv2D(3, 2, kernel=5), TypeError, ("Conv2D", "kernel", "kernel_size")),
    "dilation of Conv3DTranspose": (
        lambda: Conv3DTranspose(3, 2, dilation_rate=2),
        TypeError,
        ("Conv3DTranspose", "dilation_rate"),
    ),
    "data_format of UpSampling1D": (
        lambda: layers.UpSampling1D(2, data_format="channels_last"),
        TypeError,
        ("UpSampling1D", "data_format"),
    ),
    "name": (lambda: Conv2D(3, 2, name=""), TypeError, ("Conv2D", "name", "''")),
    "trainable": (lambda: Conv2D(3, 2, trainable=1), TypeError, ("Conv2D", "trainable", "got 1")),
    "dtype": (lambda: Conv2D(3, 2, dtype="float16"), ValueError, ("Conv2D", "dtype", "float32", "'float16'")),
    "filters is zero": (lambda: Conv2D(0, 2), ValueError, ("Conv2D", "filters", "positive", "got 0")),
    "filters is a float": (lambda: Conv1D(3.0, 2), ValueError, ("Conv1D", "filters", "3.0")),
    "filters is a bool": (lambda: SeparableConv2D(True, 2), ValueError, ("SeparableConv2D", "filters", "True")),
    "kernel_size": (lambda: Conv2D(3, (2, 0)), ValueError, ("kernel_size", "tuple of 2", "(2, 0)")),
    "kernel_size in 3D": (lambda: Conv3D(3, (2, 2)), ValueError, ("Conv3D", "kernel_size", "tuple of 3", "(2, 2)")),
    "kernel_size is a string": (lambda: Conv2D(3, "3"), ValueError, ("kernel_size", "'3'")),
    "strides": (lambda: Conv1D(3, 2, -1), ValueError, ("Conv1D", "strides", "-1")),
    "depth_multiplier": (lambda: DepthwiseConv2D(3, depth_multiplier=0), ValueError, ("depth_multiplier", "got 0")),
    "groups": (lambda: Conv2D(4, 2, groups=0), ValueError, ("Conv2D", "groups", "positive", "got 0")),
    "groups by position, where an activation was": (
        lambda: Conv2D(4, 2, 1, "valid", None, 1, "relu"),
        ValueError,
        ("Conv2D", "groups", "got 'relu'"),
    ),
    "groups and filters": (lambda: Conv2D(4, 2, groups=3), ValueError, ("Conv2D", "groups", "4 filters", "got 3")),
    "groups and channels": (
        lambda: Conv2D(4, 2, groups=2)(X2),
        ValueError,
        ("Conv2D", "groups", "3 channels", "got 2"),
    ),
    "groups by Winograd's algorithm": (
        lambda: Conv2D(4, 3, groups=2, algorithm="winograd"),
        ValueError,
        ("Conv2D", "algorithm", "'direct'", "groups"),
    ),
    "use_bias": (lambda: Conv2D(3, 2, use_bias="no"), TypeError, ("use_bias", "'no'", "True or False")),
    "padding": (lambda: Conv2D(3, 2, padding="half"), ValueError, ("Conv2D", "padding", "'same'", "'half'")),
    "causal Conv2D": (lambda: Conv2D(3, 2, padding="causal"), ValueError, ("Conv2D", "padding", "'causal'")),
    "causal SeparableConv1D": (
        lambda: layers.SeparableConv1D(3, 2, padding="causal"),
        ValueError,
        ("SeparableConv1D", "padding", "'causal'"),
    ),
    "causal DepthwiseConv2D": (lambda: DepthwiseConv2D(3, padding="causal"), ValueError, ("padding", "'causal'")),
    "data_format": (lambda: Conv2D(3, 2, data_format="last"), ValueError, ("Conv2D", "data_format", "'last'")),
    "strides with dilation": (
        lambda: Conv2D(3, 2, strides=2, dilation_rate=3),
        ValueError,
        ("Conv2D", "strides=(2, 2)", "dilation_rate=(3, 3)"),
    ),
    "strides with dilation on another axis": (
        lambda: Conv2DTranspose(3, 2, strides=(2, 1), dilation_rate=(1, 3)),
        ValueError,
        ("Conv2DTranspose", "(2, 1)", "(1, 3)"),
    ),
    "output_padding": (
        lambda: Conv2DTranspose(3, 2, strides=2, output_padding=(1, 2)),
        ValueError,
        ("Conv2DTranspose", "output_padding", "(2, 2)", "(1, 2)"),
    ),
    "activation": (lambda: Conv2D(3, 2, activation="rellu"), ValueError, ("Conv2D", "activation", "relu", "'rellu'")),
    "activation is a number": (lambda: Conv2D(3, 2, activation=3), TypeError, ("activation", "3")),
    "initializer": (lambda: Conv2D(3, 2, kernel_initializer="x"), ValueError, ("Conv2D", "initializer", "'x'")),
    "initializer is a number": (lambda: Conv2D(3, 2, bias_initializer=0), TypeError, ("initializer", "0")),
    "regularizer": (lambda: Conv2D(3, 2, bias_regularizer="l3"), ValueError, ("regularizer", "'l3'")),
    "regularizer's config": (
        lambda: Conv2D(3, 2, bias_regularizer={"class_name": "L2", "config": {"l1": 1}}),
        TypeError,
        ("Conv2D", "L2", "l1"),
    ),
    "constraint": (lambda: Conv2D(3, 2, kernel_constraint="non-neg"), ValueError, ("constraint", "'non-neg'")),
    "interpolation": (
        lambda: layers.UpSampling2D(2, interpolation="area"),
        ValueError,
        ("UpSampling2D", "interpolation", "'area'"),
    ),
    "pool_size": (lambda: layers.MaxPooling2D(0), ValueError, ("MaxPooling2D", "pool_size", "positive", "got 0")),
    "causal pooling": (lambda: layers.AveragePooling1D(padding="causal"), ValueError, ("AveragePooling1D", "'causal'")),
    "keepdims": (lambda: layers.GlobalMaxPooling1D(keepdims=1), TypeError, ("GlobalMaxPooling1D", "keepdims", "got 1")),
    "nothing to pool": (
        lambda: layers.GlobalMaxPooling1D()(np.ones((2, 0, 3))),
        ValueError,
        ("GlobalMaxPooling1D", "positive", "(0,)"),
    ),
    "size": (lambda: layers.UpSampling3D((1, 2)), ValueError, ("UpSampling3D", "size", "tuple of 3", "(1, 2)")),
    "cropping": (lambda: layers.Cropping2D(((1, 1), (1,))), ValueError, ("Cropping2D", "cropping", "((1, 1), (1,))")),
    "padding is a dictionary": (
        lambda: layers.ZeroPadding1D({"left_pad": 1, "right_pad": 2}),
        ValueError,
        ("ZeroPadding1D", "padding", "left_pad", "(before, after)"),
    ),
    "batch_size alone": (lambda: Conv2D(3, 2, batch_size=4), ValueError, ("Conv2D", "batch_size", "input_shape", "4")),
    "two input shapes": (
        lambda: Conv2D(3, 2, input_shape=(8, 8, 3), batch_input_shape=(None, 8, 8, 3)),
        ValueError,
        ("Conv2D", "batch_input_shape", "input_shape"),
    ),
    "short input_shape": (lambda: Conv2D(3, 2, input_shape=(8, 3)), ValueError, ("input_shape", "3 sizes", "(8, 3)")),
    "negative input_shape": (lambda: Conv2D(3, 2, input_shape=(8, -8, 3)), ValueError, ("input_shape", "-8")),
    "rank of x": (lambda: Conv2D(3, 2)(X1), ValueError, ("Conv2D", "x", "height, width", "(2, 8, 3)")),
    "kind of x": (lambda: Conv2D(3, 2)(X2 * 1j), TypeError, ("Conv2D", "x", "complex128")),
    "channels of x": (lambda: built()(X2[..., :2]), ValueError, ("Conv2D", "x", "3 channels", "(2, 8, 9, 2)")),
    "no channels": (lambda: Conv2D(3, 2)(X2[..., :0]), ValueError, ("Conv2D", "channels", "got 0")),
    "channels unknown": (
        lambda: Conv2D(3, 2).build((None, 8, 9, None)),
        ValueError,
        ("Conv2D", "channels", "known", "None"),
    ),
    "build for other channels": (lambda: built().build((None, 8, 9, 5)), ValueError, ("Conv2D", "3 channels", "5")),
    "build without batch": (lambda: Conv2D(3, 2).build((8, 9, 3)), ValueError, ("input_shape", "4", "(8, 9, 3)")),
    "empty output": (lambda: Conv2D(3, 10)(X2), ValueError, ("Conv2D", "(8, 9)", "kernel_size", "'valid'")),
    "empty output shape": (
        lambda: Conv2D(3, 10).compute_output_shape((None, 8, None, 3)),
        ValueError,
        ("Conv2D", "kernel_size", "(10, 10)", "strides", "dilation_rate"),
    ),
    "shape that is no tuple": (
        lambda: Conv2D(3, 2).compute_output_shape(8),
        ValueError,
        ("Conv2D", "input_shape", "8"),
    ),
    "all cropped": (lambda: layers.Cropping1D(4)(X1), ValueError, ("Cropping1D", "cropping", "(4, 4)", "(8,)")),
    "explain": (lambda: Conv2D(3, 2).explain((8, 9, 3)), ValueError, ("Conv2D", "(8, 9, 3)")),
    "set_weights before build": (lambda: Conv2D(3, 2).set_weights([W2]), ValueError, ("Conv2D", "build(input_shape)")),
    "assignment before build": (lambda: assign_kernel(Conv2D(3, 2), W2), ValueError, ("Conv2D", "kernel", "built")),
    "count_params before build": (lambda: Conv2D(3, 2).count_params(), ValueError, ("Conv2D", "build(input_shape)")),
    "number of weights": (
        lambda: built().set_weights([W2]),
        ValueError,
        ("Conv2D", "weights", "kernel", "(2, 2, 3, 4)", "bias", "got 1"),
    ),
    "weights is no list": (lambda: built().set_weights(None), TypeError, ("Conv2D", "weights", "None")),
    "shape of weights": (
        lambda: built().set_weights([W2[0], np.ones(4)]),
        ValueError,
        ("Conv2D", "kernel", "(2, 2, 3, 4)", "(2, 3, 4)"),
    ),
    "kind of weights": (lambda: assign_kernel(built(), W2 * 1j), TypeError, ("Conv2D", "kernel", "complex128")),
    "initial weights": (
        lambda: Conv2D(4, 2, weights=[W2[0], np.ones(4)])(X2),
        ValueError,
        ("Conv2D", "kernel", "(2, 2, 3, 4)", "(2, 3, 4)"),
    ),
    "initializer of another shape": (
        lambda: Conv2D(4, 2, kernel_initializer=lambda shape, dtype: np.ones(3))(X2),
        ValueError,
        ("Conv2D", "kernel", "(2, 2, 3, 4)", "(3,)"),
    ),
    "identity of four axes": (
        lambda: Conv2D(4, 2, kernel_initializer="identity")(X2),
        ValueError,
        ("Conv2D", "2 axes", "(2, 2, 3, 4)"),
    ),
    "configuration of a function": (
        lambda: Conv2D(4, 2, activation=lambda x: x).get_config(),
        TypeError,
        ("activation", "lambda"),
    ),
    "configuration with an unknown key": (
        lambda: DepthwiseConv2D.from_config({**DepthwiseConv2D(2).get_config(), "groups": 2}),
        TypeError,
        ("DepthwiseConv2D", "groups"),
    ),
}


@table(LAYERS)
def test_layers_refuse(call, error, fragments):
    assert_refused(call, error, fragments)


@pytest.mark.parametrize("module", [activations, constraints, initializers, regularizers])
def test_components_refuse(module):
    assert_refused(lambda: module.get("nonsense"), ValueError, ("must be one of", "'nonsense'"))
    assert_refused(lambda: module.get(3), TypeError, ("3",))


def test_a_layers_name_stands_in_the_message_once():
    with pytest.raises(ValueError, match=r"^Conv2D 'edges': x must have 4 axes") as raised:
        Conv2D(4, 2, name="edges")(X1)
    assert str(raised.value).count("edges") == 1


def test_a_failed_call_leaves_the_layer_as_it_was():
    layer = built()
    before = layer(X2)
    with pytest.raises(ValueError, match="channels"):
        layer(X2[..., :1])
    assert layer(X2).tobytes() == before.tobytes()
    fresh = Conv2D(4, 2)
    with pytest.raises(ValueError, match="x must have"):
        fresh(X1)
    assert not fresh.built
    assert fresh(X2).shape == before.shape


def test_no_error_is_its_own_cause():
    """Tools that follow the chain of causes would never come to its end."""
    for call in (lambda: built().set_weights([]), lambda: Conv2D(4, 2, weights=[W2])(X2), lambda: Conv2D(4, 2)(X1)):
        with pytest.raises(ValueError, match="Conv2D") as raised:
            call()
        seen, error = set(), raised.value
        while error is not None:
            assert id(error) not in seen
            seen.add(id(error))
            error = error.__cause__
