"""A layer or a model that several models within a model share is still one in copies, files and Keras's models."""

import copy
import json
import pickle
from types import SimpleNamespace

import numpy as np
import pytest

from numbaconv.layers import Activation, Add, Dense, Input, TimeDistributed
from numbaconv.models import Model, Sequential, clone_model, from_keras, load_model

X = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
Y = np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32)


def around():
    start, x, shared = Input((3,), name="start"), Input((3,), name="x"), Dense(3, name="shared")
    inner = Model(start, Dense(3, name="own")(shared(start)), name="inner")
    return Model(x, Add(name="sum")([inner(x), shared(x)]), name="around")


def two_heads():
    x, trunk = Input((3,), name="x"), Sequential([Input((3,)), Dense(3, name="a"), Dense(3, name="b")], name="trunk")
    heads = [Sequential([trunk, Dense(3, name=f"head_{i}")], name=f"line_{i}") for i in range(2)]
    return Model(x, Add(name="sum")([head(x) for head in heads]), name="heads")


def in_a_wrapper():
    x, shared = Input((3,), name="x"), Dense(3, name="shared")
    inner = Model(x, shared(x), name="inner")
    steps = Input((2, 3), name="steps")
    return Model([x, steps], [inner(x), TimeDistributed(shared, name="each")(steps)], name="wrapped")


def values(model, x=X):
    return model([x, np.stack([x, 2 * x], 1)]) if len(model.inputs) > 1 else [model(x)]


MADE = pytest.mark.parametrize("made", [around, two_heads, in_a_wrapper])


def same(model, other):
    assert other.count_params() == model.count_params()
    assert [layer.name for layer in other.layers] == [layer.name for layer in model.layers]
    for a, b in zip(values(other), values(model), strict=True):
        np.testing.assert_array_equal(a, b)
    # What is one in both is trained as one.
    for one in (model, other):
        one.set_weights([w + 1 for w in one.get_weights()])
    for a, b in zip(values(other), values(model), strict=True):
        np.testing.assert_array_equal(a, b)


@MADE
def test_files(made, tmp_path):
    model = made()
    model.save(tmp_path / "m.npz")
    same(model, load_model(tmp_path / "m.npz"))


@MADE
def test_clones(made):
    model = made()
    clone = clone_model(model)
    clone.set_weights(model.get_weights())
    same(model, clone)


@MADE
def test_pickles(made):
    model = made()
    same(model, pickle.loads(pickle.dumps(model)))


@MADE
def test_training_goes_on_to_the_same_bits(made, tmp_path):
    model = made()
    several = len(model.inputs) > 1
    given, wanted = (X, Y) if not several else ([X, np.stack([X, X], 1)], [Y, np.stack([Y, Y], 1)])
    model.compile("adam", "mse" if not several else ["mse", "mse"])
    model.fit(given, wanted, epochs=2, verbose=0)
    model.save(tmp_path / "m.npz")
    other = load_model(tmp_path / "m.npz")
    for one in (model, other):
        one.fit(given, wanted, epochs=2, verbose=0, seed=0)
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_what_is_loaded_can_be_taken_apart(tmp_path):
    model = around()
    model.save(tmp_path / "m.npz")
    made = load_model(tmp_path / "m.npz")
    end = Model(made.input, made.get_layer("sum").output)
    np.testing.assert_array_equal(end(X), model(X))
    made.save(tmp_path / "n.npz")
    same(made, load_model(tmp_path / "n.npz"))


def test_weights_of_keras_come_once(tmp_path):
    h5py = pytest.importorskip("h5py")
    model = around()
    model.save_weights(tmp_path / "m.weights.h5")
    wanted = model.get_weights()
    model.set_weights([0 * w for w in wanted])
    with h5py.File(tmp_path / "m.weights.h5", "a") as file:
        del file["layers/dense"]
    model.load_weights(tmp_path / "m.weights.h5")
    for a, b in zip(model.get_weights(), wanted, strict=True):
        np.testing.assert_array_equal(a, b)


def like_keras(model):
    """What `from_keras` asks of a model of Keras's."""
    known = {}

    def told(one):
        if id(one) not in known:
            listed = {"layers": [told(layer) for layer in one.layers]} if hasattr(one, "layers") else {}
            known[id(one)] = SimpleNamespace(name=one.name, get_weights=one.get_weights, to_json=None, **listed)
        return known[id(one)]

    made = told(model)
    made.to_json = model.to_json
    return made


@pytest.mark.parametrize("made", [around, two_heads])
def test_models_in_memory(made):
    model = made()
    same(model, from_keras(like_keras(model)))


@pytest.mark.parametrize("shared", [3, [[0, 0]], [[1, 5]], [[99, 1]], [[2, -1]], [["a", 1]], [[4, 1]]])
def test_wrong_places(shared, tmp_path, monkeypatch):
    monkeypatch.setattr("numbaconv.models.parts.shared_places", lambda model: shared)
    model = around()
    model.save(tmp_path / "m.npz")
    with pytest.raises(ValueError, match=r"m\.npz.*(shared must be pairs|must be of the same class|weights must be)"):
        load_model(tmp_path / "m.npz")


def test_only_what_shares_says_so(tmp_path):
    for model, says in ((around(), True), (Model(*2 * [Input((3,))]), False)):
        model.save(tmp_path / "m.npz")
        with np.load(tmp_path / "m.npz") as file:
            assert ("shared" in json.loads(str(file["config"]))) == says


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_activity_penalties_of_a_shared_layer_add_up_in_copies(copied):
    x, shared = Input((3,)), Dense(3, activity_regularizer="l2")
    model = Model(x, shared(Activation("tanh")(shared(x))))
    other = copied(model)
    for one in (model, other):
        one(X)
    assert other.losses == model.losses
