"""Files of old versions of Keras, made by hand: all kinds that stop Keras 3, or that it misunderstands."""

import numpy as np
import pytest

pytest.importorskip("h5py")

from keras_files import functional, input_layer, layer, legacy, modern

from numbaconv import layers
from numbaconv.models import load_model, model_from_json

RNG = np.random.default_rng(0)


def random(*shape):
    return RNG.uniform(-1, 1, shape).astype("f4")


KERNEL, BIAS = random(3, 3, 2, 4), random(4)
X = random(2, 6, 5, 2)
CONV = {"filters": 4, "kernel_size": [3, 3], "padding": "valid"}


def conv(x=X, kernel=KERNEL, bias=BIAS, **settings):
    return layers.Conv2D(kernel.shape[-1], kernel.shape[:2], weights=[kernel, bias], **settings)(x)


def entry(class_name, **config):
    return {"class_name": class_name, "config": config}


WEIGHTS = {"c": {"kernel": KERNEL, "bias": BIAS}}


# -- Sequential --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("as_list", [True, False])
def test_sequential_configurations_are_lists_up_to_keras_2_2(tmp_path, as_list):
    entries = [
        entry("Conv2D", name="c", batch_input_shape=[None, 6, 5, 2], activation="relu", dtype="float32", **CONV),
        entry("Flatten", name="f"),
        entry("Dense", name="d", units=3),
    ]
    config = {"class_name": "Sequential", "config": entries if as_list else {"name": "s", "layers": entries}}
    dense = {"kernel": random(48, 3), "bias": random(3)}
    model = load_model(legacy(tmp_path / "m", config, {**WEIGHTS, "f": {}, "d": dense}))
    assert model.input_shape == (None, 6, 5, 2)
    wanted = np.maximum(conv(), 0).reshape(2, 48) @ dense["kernel"] + dense["bias"]
    np.testing.assert_allclose(model(X), wanted, rtol=1e-5, atol=1e-5)


def test_batch_input_shape_has_the_batch_axis_already(tmp_path):
    entries = [entry("Dense", name="d", units=2, batch_input_shape=[None, 4, 3])]
    weights = {"d": {"kernel": random(3, 2), "bias": random(2)}}
    model = load_model(legacy(tmp_path / "m", {"class_name": "Sequential", "config": entries}, weights))
    assert model.input_shape == (None, 4, 3) and model.output_shape == (None, 4, 2)


def test_models_in_models(tmp_path):
    inner = {"name": "inner", "layers": [entry("Conv2D", name="c", batch_input_shape=[None, 6, 5, 2], **CONV)]}
    entries = [{"class_name": "Sequential", "config": inner}, entry("Activation", name="a", activation="tanh")]
    arrays = {"inner": {"c/kernel": KERNEL, "c/bias": BIAS}, "a": {}}
    model = load_model(legacy(tmp_path / "m", {"class_name": "Sequential", "config": {"layers": entries}}, arrays))
    np.testing.assert_allclose(model(X), np.tanh(conv()), rtol=1e-5)


def test_trained_weights_of_a_model_within_come_first(tmp_path):
    parts = [
        input_layer("i", 6, 5, 2),
        layer("BatchNormalization", "b", "i", axis=[3]),
        layer("Conv2D", "c", "b", **CONV),
        layer("BatchNormalization", "n", "c", axis=3, trainable=False),
    ]
    inner = functional(parts, ["i"], ["n"], name="inner")
    outer = [input_layer("x", 6, 5, 2), {**inner, "name": "inner", "inbound_nodes": [[["x", 0, 0, {}]]]}]
    first = {name: random(2) + 2 for name in ("gamma", "beta", "moving_mean", "moving_variance")}
    last = {name: random(4) + 2 for name in first}
    arrays = {
        **{f"b/{name}": first[name] for name in ("gamma", "beta")},
        **{f"c/{name}": array for name, array in WEIGHTS["c"].items()},
        **{f"b/{name}": first[name] for name in ("moving_mean", "moving_variance")},
        **{f"n/{name}": array for name, array in last.items()},
    }
    model = load_model(legacy(tmp_path / "m", functional(outer, ["x"], ["inner"]), {"inner": arrays}))
    within = model.get_layer("inner")
    for name, weights in (("b", first), ("n", last)):
        for wanted, found in zip(weights.values(), within.get_layer(name).weights, strict=True):
            np.testing.assert_array_equal(found, wanted)
    assert not within.get_layer("n").trainable


@pytest.mark.parametrize(
    ("class_name", "config", "wanted"),
    [
        ("ReLU", {"max_value": 0.5, "negative_slope": 0.25, "threshold": 0.0}, np.where(X < 0, X / 4, X.clip(0, 0.5))),
        ("LeakyReLU", {"alpha": 0.25}, np.where(X < 0, X / 4, X)),
        ("ThresholdedReLU", {"theta": 0.5}, X * (X > 0.5)),
    ],
)
def test_numbers_of_tensorflow_1_are_arrays(tmp_path, class_name, config, wanted):
    # MobileNetV2's rectifiers were saved like that.
    told = {key: {"type": "ndarray", "value": value} for key, value in config.items()}
    parts = [input_layer("x", 6, 5, 2), layer(class_name, "o", "x", **told)]
    model = load_model(legacy(tmp_path / "m", functional(parts, ["x"], ["o"]), {}, "2.1.6-tf"))
    np.testing.assert_allclose(model(X), wanted, rtol=1e-6)


# -- Keras 2 -----------------------------------------------------------------------------------------------------------


def one_layer(tmp_path, class_name, weights, shape=(6, 5, 2), version="2.4.0", **config):
    parts = [input_layer("x", *shape), layer(class_name, "c", "x", **config)]
    return load_model(legacy(tmp_path / "m", functional(parts, ["x"], ["c"]), {"x": {}, "c": weights}, version))


def test_initializers_regularizers_and_constraints_never_stop_a_prediction(tmp_path):
    model = one_layer(
        tmp_path,
        "Conv2D",
        WEIGHTS["c"],
        **CONV,
        kernel_initializer=entry("GlorotUniform", seed=None, dtype="float32"),
        bias_initializer=entry("MyInitializer", scale=3),
        kernel_regularizer=entry("L1L2", l1=0.0, l2=0.01),
        bias_regularizer={"class_name": "Nobody", "config": {}},
        kernel_constraint=entry("Custom>Unknown"),
    )
    np.testing.assert_array_equal(model(X), conv())
    assert model.layers[1].kernel_regularizer.l2 == 0.01
    assert model.layers[1].bias_regularizer is None


def test_a_separable_convolution_with_arguments_of_its_base(tmp_path):
    weights = {"depthwise": random(3, 3, 2, 1), "pointwise": random(1, 1, 2, 4), "bias": BIAS}
    unused = {
        "kernel_initializer": entry("GlorotUniform"),
        "kernel_regularizer": entry("L2"),
        "kernel_constraint": None,
    }
    model = one_layer(tmp_path, "SeparableConv2D", weights, version="2.4.0", groups=1, **CONV, **unused)
    made = layers.SeparableConv2D(4, 3, weights=list(weights.values()))
    np.testing.assert_array_equal(model(X), made(X))


def test_an_attention_that_knows_its_shapes(tmp_path):
    told = {f"{name}_shape": [None, 4, 3] for name in ("query", "key", "value")}
    weights = {f"{i}": random(*shape) for i, shape in enumerate([(3, 1, 2), (1, 2)] * 3 + [(1, 2, 3), (3,)])}
    parts = [input_layer("x", 4, 3), layer("MultiHeadAttention", "c", ["x", 0, 0], num_heads=1, key_dim=2, **told)]
    parts[1]["inbound_nodes"] = [["x", 0, 0, {"value": ["x", 0, 0]}]]
    model = load_model(legacy(tmp_path / "m", functional(parts, ["x"], ["c"]), {"c": weights}, "2.15.0"))
    assert model(random(2, 4, 3)).shape == (2, 4, 3)


def test_a_depthwise_convolution_with_one_group(tmp_path):
    kernel = random(3, 3, 2, 2)
    arguments = {"kernel_size": [3, 3], "depth_multiplier": 2, "groups": 1, "filters": None, "padding": "valid"}
    model = one_layer(tmp_path, "DepthwiseConv2D", {"depthwise_kernel": kernel, "bias": BIAS}, **arguments)
    wanted = layers.DepthwiseConv2D(3, depth_multiplier=2, weights=[kernel, BIAS])(X)
    np.testing.assert_array_equal(model(X), wanted)


def test_a_dropout_of_channels_with_arguments_of_its_base(tmp_path):
    arguments = {"rate": 0.2, "trainable": True, "noise_shape": None, "seed": 7}
    model = one_layer(tmp_path, "SpatialDropout1D", {}, (4, 3), **arguments)
    x = random(2, 4, 3)
    np.testing.assert_array_equal(model(x), x)


def test_a_recurrent_layer_of_keras_2(tmp_path):
    arguments = {"units": 2, "time_major": False, "implementation": 2, "unroll": False, "stateful": False}
    arguments |= {"recurrent_activation": "hard_sigmoid", "unit_forget_bias": True, "return_sequences": True}
    weights = {"kernel": random(3, 8), "recurrent_kernel": random(2, 8), "bias": random(8)}
    model = one_layer(tmp_path, "LSTM", weights, (4, 3), "2.2.4", **arguments)
    x, (kernel, recurrent, bias) = random(1, 4, 3), weights.values()
    state, cell = np.zeros((2, 1, 2), "f4")
    for step in range(4):
        gates = np.split(x[:, step] @ kernel + state @ recurrent + bias, 4, -1)
        enter, forget, out = (np.clip(0.2 * gates[i] + 0.5, 0, 1) for i in (0, 1, 3))
        cell = forget * cell + enter * np.tanh(gates[2])
        state = out * np.tanh(cell)
        np.testing.assert_allclose(model(x)[:, step], state, rtol=1e-4, atol=1e-6)
    with pytest.raises(ValueError, match=r"layer 'c' \(LSTM\).*time_major"):
        one_layer(tmp_path, "LSTM", weights, (4, 3), "2.4.0", **{**arguments, "time_major": True})


def test_gates_of_keras_1_had_matrices_of_their_own(tmp_path):
    shapes = {"W": (3, 2), "U": (2, 2), "b": (2,)}
    gates = {f"{kind}_{gate}": random(*shape) for gate in "icfo" for kind, shape in shapes.items()}
    arguments = {"output_dim": 2, "inner_activation": "sigmoid", "inner_init": "orthogonal", "forget_bias_init": "one"}
    arguments |= {"dropout_W": 0.0, "dropout_U": 0.0, "consume_less": "cpu", "input_dim": 3, "input_length": None}
    model = one_layer(tmp_path, "LSTM", gates, (4, 3), "1.2.0", **arguments)
    for name, kind in (("kernel", "W"), ("recurrent_kernel", "U"), ("bias", "b")):
        wanted = np.concatenate([gates[f"{kind}_{gate}"] for gate in "ifco"], -1)
        np.testing.assert_array_equal(model.layers[1].named_weights[name], wanted)


def test_what_would_change_the_result_is_refused_by_name(tmp_path):
    with pytest.raises(ValueError, match=r"m' cannot be loaded as a model: layer 'c' \(Dense\): mystery must not be 3"):
        one_layer(tmp_path, "Dense", {}, units=2, mystery=3, quiet=None, off=False)


@pytest.mark.parametrize(("version", "slope"), [("2.3.1", 0.2), ("3.1.0", 1 / 6)])
def test_hard_sigmoid_became_another_function(tmp_path, version, slope):
    model = one_layer(tmp_path, "Activation", {}, (3,), version, activation="hard_sigmoid")
    x = np.array([[-4, -1, 0.5]], "f4")
    np.testing.assert_allclose(model(x), np.clip(slope * x + 0.5, 0, 1), rtol=1e-6)


@pytest.mark.parametrize(
    ("activation", "wanted"),
    [
        ("tanh", np.tanh),
        (
            entry("LeakyReLU", name="l", trainable=True, dtype="float32", alpha=0.25),
            lambda x: np.where(x > 0, x, x / 4),
        ),
        ({"module": "builtins", "class_name": "function", "config": "relu"}, lambda x: np.maximum(x, 0)),
        ("Custom>gauss", lambda x: np.exp(-x * x)),
    ],
)
def test_activations_by_name_and_by_configuration(tmp_path, activation, wanted):
    parts = [input_layer("x", 3), layer("Activation", "a", "x", activation=activation)]
    path = legacy(tmp_path / "m", functional(parts, ["x"], ["a"]), {})
    x = random(2, 3)
    model = load_model(path, {"gauss": lambda x: np.exp(-x * x)})
    np.testing.assert_allclose(model(x), wanted(x), rtol=1e-6)
    if activation == "Custom>gauss":
        with pytest.raises(ValueError, match=r"layer 'a' \(Activation\).*gauss.*custom_objects"):
            load_model(path)


def test_numbers_of_16_bits_are_computed_with_32_and_it_is_said_once(tmp_path):
    policy = entry("Policy", name="mixed_float16")
    parts = [
        input_layer("x", 6, 5, 2),
        layer("Conv2D", "c", "x", dtype=policy, **CONV),
        layer("Activation", "a", "c", activation="relu", dtype=policy),
    ]
    path = legacy(tmp_path / "m", functional(parts, ["x"], ["a"]), WEIGHTS)
    with pytest.warns(UserWarning, match="mixed_float16 is computed in float32") as said:
        model = load_model(path)
    assert len(said) == 1
    np.testing.assert_array_equal(model(X), np.maximum(conv(), 0))


def test_a_layer_called_twice(tmp_path):
    parts = [
        input_layer("x", 6, 5, 4),
        input_layer("y", 6, 5, 4),
        layer("Conv2D", "c", filters=4, kernel_size=3, padding="same"),
        layer("Concatenate", "j", ["c", 1, 0], ["c", 0, 0], axis=-1),
    ]
    parts[2]["inbound_nodes"] = [[["x", 0, 0, {}]], [["y", 0, 0, {}]]]
    kernel, x, y = random(3, 3, 4, 4), random(1, 6, 5, 4), random(1, 6, 5, 4)
    weights = {"c": {"kernel": kernel, "bias": BIAS}}
    model = load_model(legacy(tmp_path / "m", functional(parts, ["x", "y"], ["j"]), weights))
    both = [conv(one, kernel, padding="same") for one in (y, x)]
    np.testing.assert_array_equal(model([x, y]), np.concatenate(both, -1))


def test_a_part_that_is_never_trained(tmp_path):
    parts = [
        input_layer("x", 4),
        layer("BatchNormalization", "b", "x", keywords={"training": False}, axis=[1]),
        layer("Dropout", "d", "b", keywords={"training": True}, rate=0.5, seed=1),
    ]
    norm = {name: random(4) + 1 for name in ("gamma", "beta", "moving_mean", "moving_variance")}
    path = legacy(tmp_path / "m", functional(parts, ["x"], ["d"]), {"b": norm})
    for model in (load_model(path), model_from_json(load_model(path).to_json())):
        before, x = model.get_weights(), random(50, 4)
        out = model.forward(x)
        # Other statistics than those of the batch are not followed, and values are always left out.
        assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
        assert 0.2 < np.mean(out == 0) < 0.8
        assert 0.2 < np.mean(model(x) == 0) < 0.8
    parts[1]["inbound_nodes"][0][0][3]["training"] = "yes"
    with pytest.raises(ValueError, match=r"layer 'b' \(BatchNormalization\): training must be True or False"):
        load_model(legacy(tmp_path / "m", functional(parts, ["x"], ["d"]), {"b": norm}))


# -- what the file does not hold ---------------------------------------------------------------------------------------


class Scale(layers.Layer):
    """Multiplies with a weight."""

    def __init__(self, by=1.0, **kwargs):
        super().__init__(**kwargs)
        self.by = by

    def build(self, input_shape):
        self.factor = self.add_weight((input_shape[-1],))

    def compute_output_shape(self, input_shape):
        return input_shape

    def call(self, x):
        return x * self.factor * self.by


def test_layers_of_the_users(tmp_path):
    parts = [input_layer("x", 3), layer("Custom>Scale", "s", "x", by=2.0, dtype="float32", trainable=True)]
    path = legacy(tmp_path / "m", functional(parts, ["x"], ["s"]), {"s": {"factor": [1, 2, 3]}})
    model = load_model(path, {"Scale": Scale})
    np.testing.assert_array_equal(model(np.ones((1, 3))), [[2, 4, 6]])
    with pytest.raises(ValueError, match=r"m' cannot .*layer 's' \(Custom>Scale\).*custom_objects=\{'Custom>Scale'"):
        load_model(path)
    with pytest.raises(ValueError, match=r"derived from numbaconv.layers.Layer"):
        load_model(path, {"Scale": dict})


def test_classes_of_other_names_in_the_file(tmp_path):
    norm = {"axis": -1, "dtype": "float32", "trainable": True}
    parts = [
        input_layer("x", 3),
        layer("Scale", "p", "x", dtype="float32", trainable=True),
        layer("MyScale", "s", "p", dtype="float32", trainable=True),
        layer("SyncBatchNormalization", "n", "s", **norm),
        layer("BatchNormalization", "m", "n", **norm),
    ]
    normal = [np.ones(3), np.zeros(3), np.zeros(3), np.full(3, 0.999)]
    groups = ("sync_batch_normalization", "batch_normalization")
    arrays = {f"layers/{group}/vars/{i}": array for group in groups for i, array in enumerate(normal)}
    arrays |= {"layers/scale/vars/0": [1, 2, 3], "layers/my_scale/vars/0": [2, 2, 2]}
    path = modern(tmp_path / "m", functional(parts, ["x"], ["m"], "Functional"), arrays, "2.15.0")
    model = load_model(path, {"MyScale": Scale, "Scale": Scale})
    np.testing.assert_allclose(model(np.ones((1, 3))), [[2, 4, 6]], rtol=1e-5)


def test_the_code_of_a_lambda_is_never_run(tmp_path):
    code = ["4wEAAAAAAAAAAAAAAAEAAAACAAAAQwAAAHMIAAAAfABkARQAUwApAk7pAgAAAKkAKQE=", None, None]
    parts = [input_layer("x", 3), layer("Lambda", "double", "x", function=code, function_type="lambda")]
    path = legacy(tmp_path / "m", functional(parts, ["x"], ["double"]), {})
    with pytest.raises(ValueError, match=r"layer 'double' \(Lambda\).*custom_objects=\{'double': function\}"):
        load_model(path)
    model = load_model(path, {"double": lambda x: 2 * x})
    np.testing.assert_array_equal(model(np.ones((1, 3))), [[2, 2, 2]])


def test_a_model_of_a_class_of_the_users_is_no_architecture(tmp_path):
    with pytest.raises(ValueError, match="got 'MyModel', whose code is not in the file"):
        load_model(legacy(tmp_path / "m", {"class_name": "MyModel", "config": {"name": "m"}}, {}))
