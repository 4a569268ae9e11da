"""SpatialDropout, GaussianNoise and GaussianDropout: what is drawn, how runs are repeated, and gradients."""

import copy
import json
import pickle

import numpy as np
import pytest
from differences import assert_gradients

from numbaconv.layers import (
    Dropout,
    GaussianDropout,
    GaussianNoise,
    SpatialDropout1D,
    SpatialDropout2D,
    SpatialDropout3D,
)
from numbaconv.models import Sequential

SPATIAL = {1: SpatialDropout1D, 2: SpatialDropout2D, 3: SpatialDropout3D}
MADE = {
    "spatial 1": (lambda **k: SpatialDropout1D(0.5, seed=3, **k), (4, 3, 5)),
    "spatial 2": (lambda **k: SpatialDropout2D(0.5, "channels_first", 3, **k), (4, 3, 5, 2)),
    "spatial 3": (lambda **k: SpatialDropout3D(0.5, seed=3, **k), (4, 3, 2, 2, 5)),
    "noise": (lambda **k: GaussianNoise(0.5, 3, **k), (4, 3, 5)),
    "dropout": (lambda **k: GaussianDropout(0.5, 3, **k), (4, 3, 5)),
}
every_layer = pytest.mark.parametrize(("make", "shape"), MADE.values(), ids=MADE)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_whole_channels_are_dropped(rank, data_format):
    layer = SPATIAL[rank](0.25, seed=1, **({"data_format": data_format} if rank > 1 else {}), dtype=float)
    first = data_format == "channels_first" and rank > 1
    x = 1 + np.random.default_rng(0).random((200, *(3, 2, 4)[:rank], 50))
    out = layer.forward(np.moveaxis(x, -1, 1) if first else x)
    factor = (np.moveaxis(out, 1, -1) if first else out) / x
    kept = factor.reshape(200, -1, 50)
    assert (kept == kept[:, :1]).all() or np.allclose(kept, kept[:, :1], rtol=1e-14)
    np.testing.assert_allclose(np.unique(kept.round(12)), [0, 4 / 3])
    # Five standard deviations of 10,000 draws.
    assert abs((kept[:, 0] == 0).mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 10_000)
    same = Dropout(0.25, (None, 50, *(1,) * rank) if first else (None, *(1,) * rank, 50), seed=1, dtype=float)
    assert same.forward(np.moveaxis(x, -1, 1) if first else x).tobytes() == out.tobytes()


def test_noise_has_its_mean_and_deviation():
    x = np.full((1000, 100), 3, np.float64)
    for layer, deviation in ((GaussianNoise(0.5, 1, dtype=float), 0.5), (GaussianDropout(0.2, 1, dtype=float), 1.5)):
        out = layer.forward(x)
        assert abs(out.mean() - 3) < 5 * deviation / np.sqrt(x.size)
        assert abs(out.std() - deviation) < 5 * deviation / np.sqrt(2 * x.size)
        # Neighbours are independent of each other.
        assert abs(np.corrcoef(out[1:].ravel(), out[:-1].ravel())[0, 1]) < 5 / np.sqrt(x.size)
    np.testing.assert_allclose(layer.backward(np.full_like(x, 6)), 2 * out)


@every_layer
def test_gradients(make, shape):
    layer = make(dtype=float)
    state = layer.get_state()

    def repeated(x):
        layer.set_state(state)
        return layer.forward(x)

    assert_gradients(layer, np.random.default_rng(1).standard_normal(shape), repeated)


@every_layer
def test_nothing_happens_outside_training(make, shape):
    layer, x = make(), np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    state = layer.get_state()
    for out in (layer(x), layer.forward(x, training=False), layer(np.asfortranarray(x))):
        np.testing.assert_array_equal(out, x)
        assert not np.may_share_memory(layer(x), x)
    assert layer.get_state() == state
    assert layer.forward(x).tobytes() != x.tobytes()
    assert layer.get_state() != state
    mask = np.ones(shape[:2], bool)
    assert layer.compute_mask(x, mask) is mask


@every_layer
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_runs_are_repeated_from_seeds_and_states(make, shape, dtype):
    x = np.ones(shape)
    first, second = make(dtype=dtype), make(dtype=dtype)
    outs = [first.forward(x).tobytes() for _ in range(3)]
    assert len(set(outs)) == 3
    assert [second.forward(x).tobytes() for _ in range(3)] == outs
    saved = json.loads(json.dumps(first.get_state()))
    then = [first.forward(x).tobytes() for _ in range(2)]
    second.set_state(saved)
    assert [second.forward(x).tobytes() for _ in range(2)] == then
    first.set_state(saved)
    for twin in (copy.deepcopy(first), pickle.loads(pickle.dumps(first)), first):
        assert [twin.forward(x).tobytes() for _ in range(2)] == then
    second.seed = 3
    assert second.forward(x).tobytes() == outs[0]
    with pytest.raises(ValueError, match="state must be what get_state returned"):
        second.set_state({})


@every_layer
def test_an_empty_batch(make, shape):
    layer, x = make(), np.ones((0, *shape[1:]))
    assert layer.forward(x).shape == layer.backward(x).shape == x.shape


def test_amounts_of_nothing():
    x = np.array([[1, np.inf, np.nan, -3e38]], np.float32)
    for layer in (GaussianNoise(0), GaussianDropout(0)):
        assert layer.forward(x).tobytes() == layer.backward(x).tobytes() == x.tobytes()
    GaussianDropout(0.9).forward(x)
    assert not SpatialDropout1D(1).forward(np.ones((2, 3, 4))).any()


def test_files_keep_the_state(tmp_path):
    model = Sequential([SpatialDropout1D(0.5, seed=1), GaussianNoise(1.0, seed=2), GaussianDropout(0.5, seed=3)])
    x = np.ones((4, 3, 5))
    model(x, training=True)
    model.save(tmp_path / "model.npz")
    again = Sequential.load(tmp_path / "model.npz")
    assert again(x, training=True).tobytes() == model(x, training=True).tobytes()


def test_what_keras_2_wrote_of_spatial_dropout():
    layer = SpatialDropout1D.from_config({"name": "s", "trainable": True, "rate": 0.5, "noise_shape": None, "seed": 4})
    assert (layer.rate, layer.seed) == (0.5, 4)
    with pytest.raises(TypeError, match=r"noise_shape must be None, because whole channels are dropped, got \(3,\)"):
        SpatialDropout1D(0.5, noise_shape=(3,))


REFUSED = {
    "rate": (lambda: SpatialDropout2D(1.5), ValueError, "rate must be a finite number >= 0 and <= 1, got 1.5"),
    "data_format": (lambda: SpatialDropout2D(0.5, "last"), ValueError, "data_format"),
    "rank": (lambda: SpatialDropout2D(0.5)(np.ones((2, 3, 4))), ValueError, "x must have 4 axes"),
    "rank in shapes": (lambda: SpatialDropout1D(0.5).build((2, 3)), ValueError, "input_shape must be a tuple of 3"),
    "seed": (lambda: SpatialDropout1D(0.5, 0.5), TypeError, "seed must be an integer, got 0.5"),
    "stddev": (lambda: GaussianNoise(-1), ValueError, "stddev must be a finite number >= 0, got -1"),
    "all": (lambda: GaussianDropout(1), ValueError, "rate must be a finite number >= 0 and < 1, got 1"),
}


@pytest.mark.parametrize(("call", "error", "said"), REFUSED.values(), ids=REFUSED)
def test_mistakes_are_named(call, error, said):
    with pytest.raises(error, match=said):
        call()
