"""The layers: arguments, configurations, and that each computes its function."""

import json
import re

import numpy as np
import pytest
from cases import CASES, FORMATS, assert_close, each, layer_class, make_layer, operands, output_shape, run, to_format
from layer_cases import SIGNATURES, every_class, every_weighted, example, make

from numbaconv import activations, config, functional, layers

# One value per argument that is neither its default nor that of a neighbour it could be mistaken for.
OTHER_VALUES = {
    "filters": 6,
    "kernel_size": 3,
    "strides": 2,
    "padding": "same",
    "output_padding": 1,
    "data_format": "channels_first",
    "dilation_rate": 1,
    "depth_multiplier": 4,
    "groups": 3,
    "activation": "relu",
    "use_bias": False,
    "kernel_initializer": "ones",
    "depthwise_initializer": "he_normal",
    "pointwise_initializer": "lecun_normal",
    "bias_initializer": "he_uniform",
    "kernel_regularizer": "l1",
    "depthwise_regularizer": "l1",
    "pointwise_regularizer": {"class_name": "L2", "config": {"l2": 0.25}},
    "bias_regularizer": "l2",
    "activity_regularizer": "l1_l2",
    "kernel_constraint": "non_neg",
    "depthwise_constraint": "non_neg",
    "pointwise_constraint": "max_norm",
    "bias_constraint": "unit_norm",
    "cropping": 2,
    "size": 3,
    "interpolation": "bilinear",
    "pool_size": 3,
    "keepdims": True,
}
NAMES = {
    "Conv1D": "conv1d",
    "Conv2D": "conv2d",
    "SeparableConv1D": "separable_conv1d",
    "SeparableConv2D": "separable_conv2d",
    "DepthwiseConv1D": "depthwise_conv1d",
    "DepthwiseConv2D": "depthwise_conv2d",
    "Conv1DTranspose": "conv1d_transpose",
    "Conv2DTranspose": "conv2d_transpose",
    "Conv3D": "conv3d",
    "Conv3DTranspose": "conv3d_transpose",
    "Cropping1D": "cropping1d",
    "Cropping2D": "cropping2d",
    "Cropping3D": "cropping3d",
    "UpSampling1D": "up_sampling1d",
    "UpSampling2D": "up_sampling2d",
    "UpSampling3D": "up_sampling3d",
    "ZeroPadding1D": "zero_padding1d",
    "ZeroPadding2D": "zero_padding2d",
    "ZeroPadding3D": "zero_padding3d",
    "MaxPooling1D": "max_pooling1d",
    "MaxPooling2D": "max_pooling2d",
    "MaxPooling3D": "max_pooling3d",
    "AveragePooling1D": "average_pooling1d",
    "AveragePooling2D": "average_pooling2d",
    "AveragePooling3D": "average_pooling3d",
    "GlobalMaxPooling1D": "global_max_pooling1d",
    "GlobalMaxPooling2D": "global_max_pooling2d",
    "GlobalMaxPooling3D": "global_max_pooling3d",
    "GlobalAveragePooling1D": "global_average_pooling1d",
    "GlobalAveragePooling2D": "global_average_pooling2d",
    "GlobalAveragePooling3D": "global_average_pooling3d",
}
TABLE = [case for case in CASES if layer_class(case)]


def arguments_of(name):
    """Values for all arguments of a class in the page's order, none of them the default."""
    required, defaults = SIGNATURES[name]
    values = {argument: OTHER_VALUES[argument] for argument in (*required, *defaults)}
    if name.startswith("ZeroPadding"):
        values["padding"] = 3
    if "pool_size" in values:
        values["strides"] = 4
    return values


def settings_of(layer):
    return {key: value for key, value in layer.get_config().items() if key != "name"}


def test_all_are_there():
    assert len(SIGNATURES) == 31
    assert {*SIGNATURES, "Layer"} < set(layers.__all__)


@every_class
def test_arguments_stand_in_the_order_of_the_page(name):
    values = arguments_of(name)
    cls = getattr(layers, name)
    by_position, by_name = settings_of(cls(*values.values())), settings_of(cls(**values))
    assert by_position == by_name
    given = {key: by_name[key] for key in values}
    usual = settings_of(make(name))
    assert {key for key in values if given[key] == usual[key]} <= {"dilation_rate"}
    with pytest.raises(TypeError):
        cls(*values.values(), None)


@every_class
def test_defaults_are_those_of_the_page(name):
    assert settings_of(make(name)) == settings_of(make(name, **SIGNATURES[name][1]))


@every_class
def test_dilation_rate(name):
    has_it = "dilation_rate" in SIGNATURES[name][1] or name == "DepthwiseConv2D"
    if has_it:
        layer = make(name, dilation_rate=2)
        assert layer.dilation_rate == (2,) * layer.rank
    else:
        with pytest.raises(TypeError, match="dilation_rate"):
            make(name, dilation_rate=2)


@each(TABLE)
@pytest.mark.parametrize("data_format", FORMATS)
def test_computes_its_function(case, data_format):
    if case.rank == 1 and not case.has_weights:
        data_format = "channels_last"
    arrays = operands(case, "float32")
    x = to_format(arrays[0], data_format)
    layer = make_layer(case, data_format)
    out = layer(x)
    assert out.tobytes() == run(case, [x, *arrays[1:]], data_format).tobytes()
    assert out.flags.c_contiguous
    assert out.shape == output_shape(case, data_format) == layer.compute_output_shape(x.shape)
    assert layer.output_shape == (None, *out.shape[1:])
    assert layer.input_shape == (None, *x.shape[1:])
    assert layer.compute_output_shape((None, *x.shape[1:])) == layer.output_shape
    said = [int(number) for number in re.findall(r"\d+", layer.explain(x.shape))]
    assert set(x.shape) | set(out.shape) <= set(said)


@pytest.mark.double
@each([case for case in TABLE if "smoke" in case.name])
def test_float64_layer(case):
    x, *weights = operands(case)
    layer = make_layer(case, dtype="float64")
    out = layer(x.astype(np.float32))
    assert out.dtype == np.float64
    assert_close(out, run(case, [x, *weights]))
    assert all(w.dtype == np.float64 for w in layer.weights)


@every_class
def test_result_has_the_layers_dtype(name):
    layer = make(name)
    for dtype in ("float64", "float16", "int32", "bool", ">f8"):
        assert layer(example(layer).astype(dtype)).dtype == np.float32


@pytest.mark.double
@every_class
def test_result_of_a_float64_layer(name):
    layer = make(name, dtype="float64")
    for dtype in ("float64", "float32"):
        assert layer(example(layer).astype(dtype)).dtype == np.float64


@every_class
@pytest.mark.parametrize("data_format", FORMATS)
def test_configuration_round_trip(name, data_format):
    has_format = "data_format" in SIGNATURES[name][1]
    values = {**arguments_of(name), **({"data_format": data_format} if has_format else {})}
    cls = getattr(layers, name)
    layer = cls(**values, trainable=False, dtype="float64", batch_input_shape=(None, *(9,) * cls.rank, 3))
    text = json.dumps(layer.get_config())
    twin = type(layer).from_config(json.loads(text))
    assert json.dumps(twin.get_config()) == text
    assert (twin.name, twin.dtype, twin.trainable) == (layer.name, "float64", False)
    assert twin.batch_input_shape == layer.batch_input_shape
    # What is computed is compiled in single precision.
    layer, twin = (cls.from_config({**each.get_config(), "dtype": "float32"}) for each in (layer, twin))
    x = example(layer)
    layer.build(x.shape)
    twin.build((None, *x.shape[1:]))
    twin.set_weights(layer.get_weights())
    assert twin(x).tobytes() == layer(x).tobytes()


@every_class
def test_names_count_per_class(name):
    first, second = make(name).name, make(name).name
    stem = NAMES[name]
    number = 0 if first == stem else int(first.removeprefix(f"{stem}_"))
    assert second == f"{stem}_{number + 1}"
    assert make(name, name="mine").name == "mine"
    assert "mine" in repr(make(name, name="mine"))


@every_class
def test_input_shape_forms(name):
    rank = getattr(layers, name).rank
    shape = (*(6, 7, 5)[:rank], 3)
    assert make(name).batch_input_shape is None
    assert make(name, input_shape=shape).batch_input_shape == (None, *shape)
    assert make(name, input_shape=list(shape), batch_size=8).batch_input_shape == (8, *shape)
    assert make(name, batch_input_shape=(8, *shape)).batch_input_shape == (8, *shape)
    assert make(name, input_shape=(None,) * rank + (np.int64(3),)).batch_input_shape == (None,) * (rank + 1) + (3,)


@every_class
def test_empty_batch(name):
    layer = make(name)
    x = example(layer)
    assert layer(x[:0]).shape == (0, *layer(x).shape[1:])


@pytest.fixture
def channels_first_by_default():
    before = config.image_data_format()
    config.set_image_data_format("channels_first")
    yield
    config.set_image_data_format(before)


@every_class
def test_data_format_of_the_configuration(name, channels_first_by_default):
    layer = make(name)
    follows = SIGNATURES[name][1].get("data_format", "none") is None
    assert layer.data_format == ("channels_first" if follows else "channels_last")
    config.set_image_data_format("channels_last")
    # Settled when the layer is made.
    assert layer.data_format == ("channels_first" if follows else "channels_last")
    assert layer(example(layer)).shape == layer.compute_output_shape(example(layer).shape)


def test_functions_follow_the_configuration(channels_first_by_default):
    x = np.random.default_rng(4).standard_normal((2, 3, 6, 7))
    w = np.ones((2, 2, 3, 4))
    wanted = functional.conv(x, w, data_format="channels_first")
    assert functional.conv(x, w).tobytes() == wanted.tobytes()


def test_softmax_acts_on_the_last_axis():
    layer = layers.Conv2D(4, 3, activation="softmax", data_format="channels_first")
    out = layer(example(layer))
    np.testing.assert_allclose(out.sum(-1), 1, rtol=1e-6)
    assert abs(out.sum(1) - 1).max() > 1e-3


@every_weighted
def test_activations(name):
    plain = make(name)
    x = example(plain)
    out = plain(x)
    for activation in ("relu", activations.relu, lambda a: np.maximum(a.astype(np.float64), 0)):
        layer = make(name, activation=activation, weights=plain.get_weights())
        assert layer(x).dtype == np.float32
        np.testing.assert_array_equal(layer(x), np.maximum(out, 0))
