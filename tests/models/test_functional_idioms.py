"""How Keras's guides have networks built and taken apart: what holds there holds here.

Each of these tests passes with Keras in place of the package, too, but for one that says so.
"""

import json

import numpy as np
import pytest

import numbaconv as nc

RNG = np.random.default_rng(6)
X = RNG.normal(size=(3, 5)).astype(np.float32)
PICTURES = RNG.normal(size=(2, 8, 8, 3)).astype(np.float32)


def shape(tensor):
    return tuple(tensor.shape)


def values(array):
    return np.asarray(array)


def encoder():
    """The encoder of the guide, smaller."""
    inputs = nc.Input((8, 8, 3), name="img")
    x = nc.layers.Conv2D(4, 3, activation="relu", name="first")(inputs)
    x = nc.layers.MaxPooling2D(3, name="pool")(x)
    return nc.Model(inputs, nc.layers.GlobalMaxPooling2D(name="code")(x), name="encoder")


def test_a_network_layer_by_layer():
    inputs = nc.Input(shape=(5,))
    assert shape(inputs) == (None, 5)
    assert inputs.dtype == "float32"
    dense = nc.layers.Dense(4, activation="relu")
    x = dense(inputs)
    assert shape(x) == (None, 4)
    x = nc.layers.Dense(4, activation="relu")(x)
    outputs = nc.layers.Dense(2)(x)
    model = nc.Model(inputs=inputs, outputs=outputs, name="mnist_model")
    assert model.name == "mnist_model"
    assert model.count_params() == 5 * 4 + 4 + 4 * 4 + 4 + 4 * 2 + 2
    assert len(model.layers) == 4
    assert model.layers[1] is dense
    assert model.input_shape == (None, 5)
    assert model.output_shape == (None, 2)
    assert [w.shape for w in model.get_weights()] == [(5, 4), (4,), (4, 4), (4,), (4, 2), (2,)]
    kernels = model.get_weights()
    hidden = np.maximum(X @ kernels[0] + kernels[1], 0)
    hidden = np.maximum(hidden @ kernels[2] + kernels[3], 0)
    np.testing.assert_allclose(values(model(X)), hidden @ kernels[4] + kernels[5], rtol=1e-5, atol=1e-6)


def test_layers_of_one_network_in_two_models():
    first = encoder()
    x = nc.layers.Reshape((2, 2, 1))(first.output)
    both = nc.Model(first.input, nc.layers.Conv2DTranspose(1, 3)(x), name="autoencoder")
    assert both.get_layer("first") is first.get_layer("first")
    assert shape(both(PICTURES)) == (2, 4, 4, 1)
    before = values(first(PICTURES))
    both.get_layer("first").set_weights([0 * w for w in both.get_layer("first").get_weights()])
    assert not np.array_equal(values(first(PICTURES)), before)


def test_models_are_called_like_layers():
    first = encoder()
    code = nc.Input((4,))
    decoder = nc.Model(code, nc.layers.Dense(3)(code), name="decoder")
    inputs = nc.Input((8, 8, 3))
    both = nc.Model(inputs, decoder(first(inputs)))
    assert [layer.name for layer in both.layers[1:]] == ["encoder", "decoder"]
    assert both.get_layer("encoder") is first
    np.testing.assert_allclose(values(both(PICTURES)), values(decoder(first(PICTURES))), rtol=1e-6)


def test_an_ensemble():
    inputs = nc.Input((5,))
    models = []
    for _ in range(3):
        own = nc.Input((5,))
        models.append(nc.Model(own, nc.layers.Dense(1)(own)))
    ensemble = nc.Model(inputs, nc.layers.Average()([model(inputs) for model in models]))
    expected = np.mean([values(model(X)) for model in models], axis=0)
    np.testing.assert_allclose(values(ensemble(X)), expected, rtol=1e-5, atol=1e-6)


def tickets():
    """Several inputs and several outputs, as in the guide."""
    title, body = nc.Input((5,), name="title"), nc.Input((4,), name="body")
    tags = nc.Input((2,), name="tags")
    x = nc.layers.Concatenate()([title, body, tags])
    return nc.Model(
        inputs=[title, body, tags],
        outputs={"priority": nc.layers.Dense(1, name="priority")(x), "department": nc.layers.Dense(4, name="other")(x)},
    )


def test_several_inputs_in_a_list_or_by_name():
    model = tickets()
    arrays = {"tags": np.ones((3, 2), "f"), "title": X, "body": X[:, :4]}
    by_name = model(arrays)
    in_list = model([arrays["title"], arrays["body"], arrays["tags"]])
    assert set(by_name) == {"priority", "department"}
    for name in by_name:
        assert np.array_equal(values(by_name[name]), values(in_list[name]))
    assert [shape(tensor) for tensor in model.inputs] == [(None, 5), (None, 4), (None, 2)]
    assert model.input_shape == [(None, 5), (None, 4), (None, 2)]
    # Those of dicts come in the order of their names.
    assert [shape(tensor) for tensor in model.outputs] == [(None, 4), (None, 1)]
    assert model.output_shape == [(None, 4), (None, 1)]


def test_dicts_of_inputs_in_any_order():
    inputs = {"zebra": nc.Input((2,), name="zebra"), "apple": nc.Input((2,), name="apple")}
    model = nc.Model(inputs, nc.layers.Subtract()([inputs["zebra"], inputs["apple"]]))
    arrays = {"apple": np.float32([[1, 2]]), "zebra": np.float32([[10, 20]])}
    assert values(model(arrays)).tolist() == [[9, 18]]
    assert values(model({"zebra": arrays["zebra"], "apple": arrays["apple"]})).tolist() == [[9, 18]]


def test_a_list_of_one():
    inputs = nc.Input((5,))
    outputs = nc.layers.Dense(2)(inputs)
    model = nc.Model([inputs], [outputs])
    assert shape(model(X)) == shape(model([X])) == (3, 2)
    assert isinstance(model.output, list)
    assert model.output_shape == (None, 2)
    (again,) = model([inputs])
    assert shape(again) == (None, 2)


def test_shared_layers():
    shared = nc.layers.Dense(3)
    left, right = nc.Input((5,)), nc.Input((5,))
    model = nc.Model([left, right], [shared(left), shared(right)])
    assert model.count_params() == 18
    a, b = model([X, 2 * X])
    np.testing.assert_allclose(values(b), 2 * values(a), rtol=1e-5, atol=1e-6)
    assert len(model.layers) == 3
    assert shape(shared.output) == (None, 3)


def test_features_of_every_layer():
    model = encoder()
    features = nc.Model(model.input, [layer.output for layer in model.layers])
    found = features(PICTURES)
    assert [shape(one) for one in found] == [(2, 8, 8, 3), (2, 6, 6, 4), (2, 2, 2, 4), (2, 4)]
    assert np.array_equal(values(found[0]), PICTURES)
    assert np.array_equal(values(found[-1]), values(model(PICTURES)))
    part = nc.Model(model.get_layer("pool").input, model.get_layer("pool").output)
    assert np.array_equal(values(part(found[1])), values(found[2]))


def test_features_of_a_sequential():
    model = nc.Sequential([nc.Input((8, 8, 3)), nc.layers.Conv2D(4, 5, name="conv"), nc.layers.Flatten()])
    features = nc.Model(inputs=model.inputs, outputs=model.get_layer(name="conv").output)
    assert shape(features(PICTURES)) == (2, 4, 4, 4)
    several = nc.Model(inputs=model.inputs, outputs=[layer.output for layer in model.layers])
    assert [shape(one) for one in several(PICTURES)] == [(2, 4, 4, 4), (2, 64)]


def test_a_frozen_base_with_a_new_head():
    base = encoder()
    base.trainable = False
    inputs = nc.Input((8, 8, 3))
    model = nc.Model(inputs, nc.layers.Dense(1)(base(inputs, training=False)))
    assert len(model.weights) == 4
    assert len(model.trainable_weights) == 2
    assert len(model.non_trainable_weights) == 2
    assert not any(layer.trainable for layer in base.layers)
    # What is connected stays so.
    assert shape(base.get_layer("pool").output) == (None, 2, 2, 4)
    base.trainable = True
    assert len(model.trainable_weights) == 4


def test_training_false_holds_within_training():
    # So says the guide of transfer learning; Keras 3 itself lets the outer call decide.
    norm = nc.layers.BatchNormalization()
    own = nc.Input((5,))
    base = nc.Model(own, norm(own))
    inputs = nc.Input((5,))
    model = nc.Model(inputs, base(inputs, training=False))
    before = norm.get_weights()
    model(X, training=True)
    for a, b in zip(norm.get_weights(), before, strict=True):
        assert np.array_equal(a, b)


def test_sums_and_products_of_tensors():
    a, b = nc.Input((5,)), nc.Input((5,))
    model = nc.Model([a, b], [a + b, a - b, a * b])
    y = X[::-1].copy()
    for found, expected in zip(model([X, y]), (X + y, X - y, X * y), strict=True):
        np.testing.assert_allclose(values(found), expected, rtol=1e-6)


def test_get_layer():
    model = encoder()
    assert model.get_layer("pool") is model.get_layer(index=2) is model.layers[2]
    for wrong in ({"name": "nowhere"}, {"index": 4}, {}):
        with pytest.raises(ValueError):
            model.get_layer(**wrong)


def test_a_clone_has_weights_of_its_own():
    model = tickets()
    clone = nc.models.clone_model(model)
    assert [layer.name for layer in clone.layers] == [layer.name for layer in model.layers]
    assert not any(a is b for a, b in zip(clone.layers, model.layers, strict=True))
    clone.set_weights([w + 1 for w in model.get_weights()])
    assert not np.array_equal(clone.get_weights()[0], model.get_weights()[0])


def test_a_clone_of_other_layers():
    model = encoder()

    def other(layer):
        config = layer.get_config()
        return type(layer).from_config(config) if layer.name != "first" else nc.layers.Conv2D(4, 3, name="other")

    clone = nc.models.clone_model(model, clone_function=other)
    assert [layer.name for layer in clone.layers] == ["img", "other", "pool", "code"]


def test_configurations():
    model = tickets()
    made = nc.Model.from_config(model.get_config())
    made.set_weights(model.get_weights())
    arrays = [X, X[:, :4], np.ones((3, 2), "f")]
    for name, found in made(arrays).items():
        assert np.array_equal(values(found), values(model(arrays)[name]))
    made = nc.models.model_from_json(model.to_json())
    assert [layer.name for layer in made.layers] == [layer.name for layer in model.layers]
    assert set(json.loads(model.to_json())) >= {"class_name", "config"}


def test_the_summary_names_what_feeds_a_layer():
    text = []
    x = nc.Input((8, 8, 3), name="begin")
    y = nc.layers.Conv2D(3, 3, padding="same", name="conv")(x)
    model = nc.Model(x, nc.layers.Add(name="sum")([y, x]))
    model.summary(print_fn=lambda line, *_, **__: text.append(line))
    table = "\n".join(text)
    assert "84" in table
    after = table[table.index("sum (Add)") :]
    assert "conv" in after
    assert "begin" in after


def test_a_sequential_within_a_sequential():
    inner = nc.Sequential([nc.layers.Dense(4), nc.layers.Dense(3)], name="inner")
    outer = nc.Sequential([nc.layers.Dense(6), inner, nc.layers.Dense(2)])
    assert shape(outer(X)) == (3, 2)
    assert [layer.name for layer in outer.layers][1] == "inner"
    assert outer.count_params() == 5 * 6 + 6 + 6 * 4 + 4 + 4 * 3 + 3 + 3 * 2 + 2
    assert len(outer.weights) == 8


def test_a_residual_toy_network():
    inputs = nc.Input((16, 16, 3), name="img")
    x = nc.layers.Conv2D(4, 3, activation="relu")(inputs)
    first = nc.layers.MaxPooling2D(3)(x)
    x = nc.layers.Conv2D(4, 3, activation="relu", padding="same")(first)
    second = nc.layers.Add()([nc.layers.Conv2D(4, 3, activation="relu", padding="same")(x), first])
    x = nc.layers.GlobalAveragePooling2D()(nc.layers.Conv2D(4, 3, activation="relu")(second))
    x = nc.layers.Dropout(0.5)(nc.layers.Dense(8, activation="relu")(x))
    model = nc.Model(inputs, nc.layers.Dense(10)(x), name="toy_resnet")
    assert model.count_params() == 3 * 3 * 3 * 4 + 4 + 3 * (3 * 3 * 4 * 4 + 4) + 4 * 8 + 8 + 8 * 10 + 10
    assert shape(model(np.zeros((1, 16, 16, 3), np.float32))) == (1, 10)


def test_outputs_may_be_inputs_and_come_twice():
    x = nc.Input((5,))
    y = nc.layers.Activation("relu")(x)
    model = nc.Model(x, [x, y, y])
    found = [values(one) for one in model(X)]
    assert np.array_equal(found[0], X)
    assert np.array_equal(found[1], np.maximum(X, 0))
    assert np.array_equal(found[1], found[2])


def test_branches_that_lead_nowhere_are_left_out():
    x = nc.Input((5,))
    kept = nc.layers.Dense(2, name="kept")(x)
    nc.layers.Dense(2, name="left_out")(kept)
    model = nc.Model(x, kept)
    assert [layer.name for layer in model.layers][1:] == ["kept"]


def test_what_is_not_connected_is_refused():
    x, other = nc.Input((5,)), nc.Input((5,))
    with pytest.raises(ValueError):
        nc.Model(x, nc.layers.Add()([x, other]))


def test_names_must_differ():
    x = nc.Input((5,))
    y = nc.layers.Dense(2, name="same")(nc.layers.Dense(2, name="same")(x))
    with pytest.raises(ValueError):
        nc.Model(x, y)


def test_lengths_may_be_unknown():
    inputs = nc.Input((None, 3))
    x = nc.layers.Conv1D(4, 3, padding="same")(inputs)
    assert shape(x) == (None, None, 4)
    for pooling in (nc.layers.GlobalMaxPooling1D, nc.layers.GlobalAveragePooling1D):
        model = nc.Model(inputs, pooling()(x))
        for length in (1, 7):
            assert shape(model(np.zeros((2, length, 3), np.float32))) == (2, 4)


def test_a_batch_size_may_be_given():
    inputs = nc.Input((5,), batch_size=3)
    assert shape(inputs) == (3, 5)
    assert shape(nc.layers.Dense(2)(inputs)) == (3, 2)
    assert nc.Model(inputs, nc.layers.Dense(2)(inputs)).output_shape == (3, 2)
