"""Models within models: at the beginning of a line and with layers of the same name."""

import copy

import numpy as np
import pytest

from numbaconv.layers import Add, BatchNormalization, Dense, Input, ReLU
from numbaconv.models import Model, Sequential, clone_model, load_model, model_from_json

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(8, 3)).astype("f4"), RNG.normal(size=(8, 2)).astype("f4")


def base(name=None, dtype=None):
    x = Input((3,), dtype=dtype)
    return Model(x, BatchNormalization(dtype=dtype)(Dense(4, activation="relu", dtype=dtype, name="d")(x)), name)


def files(model, tmp_path):
    """The model out of each kind of file."""
    for suffix in ("npz", "keras"):
        model.save(tmp_path / f"m.{suffix}")
        yield load_model(tmp_path / f"m.{suffix}")


@pytest.mark.parametrize("first", [base, lambda: Sequential([base()]), lambda: Sequential([Input((3,)), base()])])
def test_a_model_begins_a_line(first, tmp_path):
    pytest.importorskip("h5py")
    model = Sequential([first(), Dense(3, name="d"), ReLU()])
    model.add(Dense(2))
    model.compile("adam", "mse")
    model.fit(X, Y, verbose=0)
    for other in (copy.deepcopy(model), *files(model, tmp_path)):
        np.testing.assert_array_equal(other(X), model(X))
        assert other.fit(X, Y, verbose=0, seed=1).history == copy.deepcopy(model).fit(X, Y, verbose=0, seed=1).history
    again = model_from_json(model.to_json())
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(again(X), model(X))
    assert clone_model(model).output_shape == (None, 2)


def test_what_follows_a_wide_model_is_as_wide():
    model = Sequential([base(dtype="float64"), ReLU(), Dense(2)])
    assert [layer.dtype for layer in model.layers[1:]] == ["float64", "float64"]
    assert model(X).dtype == np.float64


def test_a_line_takes_no_model_of_several_ends():
    a, b = Input((3,)), Input((3,))
    for model in (Model([a, b], Add()([a, b])), Model(a, [Dense(2)(a), Dense(2)(a)])):
        for make in (lambda: Sequential([model, Dense(1)]), lambda: Sequential([Dense(3), model])):  # noqa: B023
            with pytest.raises(ValueError, match="must have one input and one output"):
                make()


@pytest.mark.parametrize("suffix", ["npz", "keras"])
def test_an_empty_line_is_not_written(suffix, tmp_path):
    with pytest.raises(ValueError, match="has no layers: add one first"):
        Sequential([Input((3,))]).save(tmp_path / f"m.{suffix}")


@pytest.mark.parametrize("made", [lambda layers: Sequential([Input((3,)), *layers]), lambda layers: connected(layers)])
def test_layers_that_were_given_the_same_name_are_not_written(made, tmp_path):
    layers = [Dense(3, name="a"), Dense(2, name="b")]
    model = made(layers)
    layers[1].name = "a"
    with pytest.raises(ValueError, match="several 'a'"):
        model.save(tmp_path / "m.npz")


def connected(layers):
    x = Input((3,))
    return Model(x, layers[1](layers[0](x)))


def test_arrays_do_not_stand_among_tensors():
    x = Input((3,))
    with pytest.raises(
        TypeError, match=r"Add 'add.*': an array must not stand among tensors, got one of shape \(1, 3\)"
    ):
        Add()([x, np.ones((1, 3))])
    with pytest.raises(TypeError, match="an array must not stand among tensors"):
        Dense(2)(x, mask=np.ones((1, 3), bool))


def test_layers_are_counted_from_the_end_too():
    model = Sequential([Input((3,)), Dense(3), Dense(2)])
    assert model.get_layer(index=-1) is model.layers[-1]
    for index, said in ((2, "below 2"), (-3, "below 2"), ("a", "an integer"), (True, "an integer")):
        with pytest.raises(ValueError, match=f"index must be {said}"):
            model.get_layer(index=index)
