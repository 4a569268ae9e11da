"""Calls in Keras's configurations: models within, lists of one, what comes in; and the same in what is written."""

import json

import numpy as np
import pytest

pytest.importorskip("h5py")

from keras_files import functional, input_layer, layer, legacy

from numbaconv import layers
from numbaconv.layers import Dense, Input
from numbaconv.models import Model, Sequential, clone_model, load_model, model_from_json

X, Y = np.array([[1.0, 2.0]]), np.array([[3.0, 5.0]])
DOUBLE = layers.Rescaling(2.0, name="double")


def inner(double=DOUBLE):
    x = Input((2,), name="in")
    return Model(x, double(x), name="inner")


def again(model):
    return model_from_json(model.to_json())


# -- calls of models ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_keras_2_counts_calls_of_models_from_1(tmp_path, first, order):
    parts = [input_layer("i", 2), layer("Activation", "a", "i", activation="relu")]
    within = {**functional(parts, ["i"], ["a"], name="m"), "name": "m"}
    within["inbound_nodes"] = [[["x", 0, 0, {}]], [["y", 0, 0, {}]]]
    both = layer("Concatenate", "c", *(["m", first + call, 0] for call in order), axis=-1)
    config = functional([input_layer("x", 2), input_layer("y", 2), within, both], ["x", "y"], ["c"])
    config["config"]["output_layers"].append(["m", first + order[0], 0])
    model = load_model(legacy(tmp_path / "m", config))
    joined, last = model([X, Y])
    inputs = [X, Y]
    np.testing.assert_array_equal(joined, np.concatenate([inputs[call] for call in order], -1))
    np.testing.assert_array_equal(last, inputs[order[0]])


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("made", [inner, lambda: Sequential([Input((2,)), DOUBLE], name="inner")])
def test_keras_3_counts_them_from_1_where_the_network_ends(made, order):
    x, y, shared = Input((2,), name="x"), Input((2,), name="y"), made()
    found = [shared(x), shared(y)]
    model = Model([x, y], [layers.Subtract(name="less")(found), *(found[call] for call in order)])
    config = json.loads(model.to_json())["config"]
    first = int(isinstance(shared, Model))
    assert config["output_layers"][1:] == [["inner", first + call, 0] for call in order]
    entry = next(one for one in config["layers"] if one["name"] == "less")
    histories = [one["config"]["keras_history"] for one in entry["inbound_nodes"][0]["args"][0]]
    assert histories == [["inner", 0, 0], ["inner", 1, 0]]
    wanted = [2 * (X - Y), *((2 * X, 2 * Y)[call] for call in order)]
    for copy in (again(model), Model.from_config(model.get_config()), clone_model(model)):
        for a, b in zip(copy([X, Y]), wanted, strict=True):
            np.testing.assert_array_equal(a, b)


# -- lists of one ------------------------------------------------------------------------------------------------------


def test_a_list_of_one_stays_one():
    x, z = Input((2,), name="x"), Input((2,), name="z")
    listed = Model([x], [DOUBLE(x)], name="listed")
    outer = again(Model({"z": z}, {"out": listed([z])[0]}, name="outer"))
    within = outer.get_layer("listed")
    assert isinstance(within.input, list) and isinstance(within.output, list)
    np.testing.assert_array_equal(outer({"z": X})["out"], 2 * X)


def test_keras_2_knows_no_lists_of_one(tmp_path):
    parts = [input_layer("x", 2), layer("Activation", "a", "x", activation="relu")]
    model = load_model(legacy(tmp_path / "m", functional(parts, ["x"], ["a"])))
    assert model.input.name == "x" and model.output.name == "a"


@pytest.mark.parametrize("made", [inner, lambda: Sequential([Input((2,)), DOUBLE], name="inner")])
def test_one_input_may_come_in_a_list(made):
    x, shared = Input((2,), name="x"), made()
    model = Model(x, shared([x]))
    for one in (model, again(model)):
        np.testing.assert_array_equal(one(X), 2 * X)
        one.forward(X)
        np.testing.assert_array_equal(one.backward(Y), 2 * Y)
    np.testing.assert_array_equal(shared([X]), 2 * X)
    assert shared([x]).shape == (None, 2)


def test_masks_of_none_are_none():
    x, y = Input((2,), name="x"), Input((2,), name="y")
    named, listed = (
        Model(form, layers.Add(name="a")([layers.Softmax(name="s")(x), y]), name=name)
        for name, form in (("named", {"x": x, "y": y}), ("listed", [x, y]))
    )
    z = Input((2,), name="z")
    model = Model(z, layers.Add(name="sum")([named({"x": z, "y": z}), listed([z, z])]))
    told = json.loads(model.to_json())
    for name, mask in (("named", {"x": None, "y": None}), ("listed", [None, None]), ("sum", [None, None])):
        entry = next(one for one in told["config"]["layers"] if one["name"] == name)
        entry["inbound_nodes"][0]["kwargs"] = {"mask": mask}
    np.testing.assert_array_equal(model_from_json(json.dumps(told))(X), model(X))


def test_a_list_of_rows_is_an_array():
    assert inner()([X[0]]).shape == (1, 2)
    assert inner()([X[0], Y[0]]).shape == (2, 2)


# -- what comes in -----------------------------------------------------------------------------------------------------


def test_inputs_keep_their_dtype():
    x = Input((2,), dtype="float64", name="x")
    model = Model(x, [x, Dense(1, dtype="float32")(x)])
    for made in (again(model), model):
        same, lower = made(X / 3)
        assert same.dtype == np.float64 and lower.dtype == np.float32
        np.testing.assert_array_equal(same, X / 3)


def test_zero_padding_has_one_order_of_axes(tmp_path):
    def network(data_format):
        parts = [
            input_layer("x", 3, 2),
            layer("ZeroPadding1D", "p", "x", padding=[1, 1], data_format=data_format),
        ]
        return load_model(legacy(tmp_path / "m", functional(parts, ["x"], ["p"])))

    assert network("channels_last").output_shape == (None, 5, 2)
    with pytest.raises(ValueError, match="data_format must not be 'channels_first'"):
        network("channels_first")


# -- to_json -----------------------------------------------------------------------------------------------------------


def test_models_in_layers_of_layers():
    model = Sequential([Input((4, 2)), layers.TimeDistributed(inner(), name="each")])
    made = again(model)
    assert made.get_config() == model.get_config()
    np.testing.assert_array_equal(made(np.ones((1, 4, 2))), 2 * np.ones((1, 4, 2)))


def test_models_that_are_not_built_and_empty_ones():
    for model in (Sequential([Dense(3)]), Sequential([])):
        assert again(model).get_config() == model.get_config()


def test_a_model_that_begins_with_models():
    model = Sequential([Input((2,)), Sequential([inner(), Dense(2, dtype="float64")]), Dense(1)])
    assert json.loads(model.to_json())["config"]["layers"][0]["config"]["dtype"] == "float32"
    assert [type(one) for one in again(model).layers] == [Sequential, Dense]
