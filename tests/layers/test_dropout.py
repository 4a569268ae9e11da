"""Dropout: what is dropped, how runs are repeated, and gradients."""

import copy
import json
import pickle

import numpy as np
import pytest
from differences import assert_gradients

from numbaconv.layers import Dropout
from numbaconv.utils import set_random_seed


def normal(*shape):
    return np.random.default_rng(1).standard_normal(shape)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_drops_its_share_and_enlarges_the_rest(rate):
    x = 1 + np.arange(100_000.0).reshape(100, 1000)
    layer = Dropout(rate, seed=1, dtype=float)
    out = layer.forward(x)
    left = out != 0
    np.testing.assert_allclose(out[left], (x / (1 - rate))[left], rtol=1e-15)
    # Five standard deviations of a binomial distribution; neighbours are independent of each other.
    for share, wanted in ((left.mean(), 1 - rate), ((left[1:] & left[:-1]).mean(), (1 - rate) ** 2)):
        assert abs(share - wanted) < 5 * np.sqrt(wanted * (1 - wanted) / x.size)
    np.testing.assert_array_equal(layer.backward(x), out)


def test_dropout_does_nothing_outside_training():
    layer = Dropout(0.9)
    x = normal(3, 4)
    state = layer.get_state()
    for out in (layer(x), layer.forward(x, training=False)):
        np.testing.assert_array_equal(out, x.astype(np.float32))
    assert layer.get_state() == state


def test_rates_of_nothing_and_all():
    x = np.array([[1, np.inf, np.nan, -3e38]])
    np.testing.assert_array_equal(Dropout(0).forward(x), x.astype(np.float32))
    none = Dropout(1)
    np.testing.assert_array_equal(none.forward(x), [[0, 0, 0, 0]])
    np.testing.assert_array_equal(none.backward(x), [[0, 0, 0, 0]])


def test_dropped_values_are_zero_whatever_they_were():
    x = np.full((50, 2), np.inf)
    x[:, 1] = np.nan
    out = Dropout(0.5, seed=3).forward(x)
    assert set(out[:, 0].tolist()) == {0, np.inf}
    assert {0} < set(np.nan_to_num(out[:, 1], nan=7).tolist()) == {0, 7}


@pytest.mark.parametrize("noise_shape", [None, (None, 1, None), (4, 3, 1), (1, 1, 5), (5,), (3, 1), ()])
def test_noise_shape(noise_shape):
    layer = Dropout(0.5, noise_shape, seed=2, dtype=float)
    state = layer.get_state()
    out = layer.forward(np.ones((4, 3, 5)))
    drawn = {None: (4, 3, 5), (None, 1, None): (4, 1, 5)}.get(noise_shape, noise_shape)
    assert set(np.unique(out).tolist()) <= {0, 2}
    for axis, size in enumerate((1,) * (3 - len(drawn)) + drawn):
        alike = (out == out.take([0], axis)).all()
        assert alike == (size == 1)
    layer.set_state(state)

    def repeated(x):
        layer.set_state(state)
        return layer.forward(x)

    assert_gradients(layer, normal(4, 3, 5), repeated)


def test_runs_are_repeated_from_seeds_and_states():
    x = np.ones((8, 33))
    first, second, other = Dropout(0.5, seed=-4), Dropout(0.5, seed=-4), Dropout(0.5, seed=5)
    outs = [first.forward(x).tobytes() for _ in range(3)]
    assert len({*outs, other.forward(x).tobytes()}) == 4
    assert [second.forward(x).tobytes() for _ in range(3)] == outs
    assert Dropout(0.5).forward(x).tobytes() != Dropout(0.5).forward(x).tobytes()
    # Nor does a copy begin elsewhere that is made before anything is drawn.
    fresh = Dropout(0.5)
    assert copy.deepcopy(fresh).forward(x).tobytes() == fresh.forward(x).tobytes()

    saved = json.loads(json.dumps(first.get_state()))
    then = [first.forward(x).tobytes() for _ in range(2)]
    other.set_state(saved)
    assert [other.forward(x).tobytes() for _ in range(2)] == then
    first.set_state(saved)
    for twin in (copy.deepcopy(first), pickle.loads(pickle.dumps(first)), first):
        assert [twin.forward(x).tobytes() for _ in range(2)] == then


def test_where_numbers_begin_is_decided_when_a_layer_is_made(monkeypatch):
    monkeypatch.setattr("numbaconv.common.random._source", None)
    x = np.ones((8, 33))
    set_random_seed(3)
    first, second = Dropout(0.5), Dropout(0.5)
    outs = [second.forward(x).tobytes(), first.forward(x).tobytes()]
    set_random_seed(3)
    assert [Dropout(0.5).forward(x).tobytes() for _ in range(2)] == outs[::-1]


@pytest.mark.parametrize("state", [None, {}, [], {"bit_generator": "PCG64"}, {"bit_generator": "MT19937", "state": {}}])
def test_refused_states_change_nothing(state):
    layer = Dropout(0.5)
    before = layer.get_state()
    with pytest.raises(ValueError, match=f"Dropout '{layer.name}': state must be what get_state returned, got "):
        layer.set_state(state)
    spoiled = {**before, "state": {"state": -1, "inc": "x"}}
    with pytest.raises(ValueError, match="state must be"):
        layer.set_state(spoiled)
    assert layer.get_state() == before
