"""Inverted residuals in one pass, a band of rows at a time, with the bits of one convolution after the other."""

from contextlib import contextmanager

import numpy as np
import pytest
from test_fused_networks import filled, layer_by_layer

from numbaconv import layers
from numbaconv.calls import bands
from numbaconv.kernels.plan.axes import BLOCK, H
from numbaconv.models import Model
from numbaconv.models.fused.running import fused

SHAPE = (40, 33, 24)


@contextmanager
def host(**knobs):
    """Bands as for other caches."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bands, "HOST", bands.HOST._replace(**knobs))
        bands.bands_call.cache_clear()
        yield
    bands.bands_call.cache_clear()


@pytest.fixture
def small_caches():
    """What a convolution widens fills the caches several times."""
    with host(l2_bytes=64 * 1024, band_bytes=0, band_share=100, band_work=1000):
        yield


def narrowed(x, size=3, strides=2, filters=24, activation="relu6", pad=None):
    """A block of MobileNet's."""
    x = layers.BatchNormalization()(layers.Conv2D(32, 1, use_bias=False)(x))
    x = layers.Activation(activation)(x)
    x = x if pad is None else layers.ZeroPadding2D(pad)(x)
    x = layers.DepthwiseConv2D(size, strides=strides, padding="same" if pad is None else "valid")(x)
    x = layers.Activation(activation)(layers.BatchNormalization()(x))
    return layers.BatchNormalization()(layers.Conv2D(filters, 1)(x))


def made(kind):
    x = layers.Input(SHAPE)
    if kind == "padded":
        y = narrowed(x, pad=((0, 1), (0, 1)))
    elif kind == "residual":
        y = layers.Add()([x, narrowed(x, strides=1)])
    elif kind == "beside others":
        y = layers.Concatenate()(
            [layers.Conv2D(5, 1, strides=2)(x), narrowed(x), layers.MaxPooling2D(2, padding="same")(x)]
        )
        y = layers.ReLU()(layers.BatchNormalization()(y))
    elif kind == "of another":
        y = narrowed(layers.Conv2D(8, 3, padding="same", activation="relu")(x), size=5, activation="swish")
        y = layers.Add()([narrowed(y, strides=1), y])
    else:
        y = layers.ReLU(6.0)(narrowed(x, size=(3, 5), strides=(3, 2)))
    return filled(Model(x, y), np.random.default_rng(0), "float32")


def image(batch=3):
    return np.random.default_rng(1).standard_normal((batch, *SHAPE)).astype("f4")


def banded_turns(model, x):
    return [turn for turn in fused(model._program()).runner([x.shape]).turns if turn.stage.widening]


KINDS = {"padded": 1, "residual": 1, "beside others": 1, "of another": 2, "far steps": 1}


@pytest.mark.parametrize("kind", KINDS)
def test_bands_have_the_bits_of_two_calls(kind, small_caches, monkeypatch, each_thread_count):
    for _ in each_thread_count():
        model, xs = made(kind), [image(), image(1)]
        found = [[model(x) for _ in range(4)] for x in xs]
        assert all(len(banded_turns(model, x)) == KINDS[kind] for x in xs)
        with host(band_bytes=10**12):
            plain = made(kind)
            wanted = [plain(x) for x in xs]
            assert not any(banded_turns(plain, x) for x in xs)
        for results, one, x in zip(found, wanted, xs, strict=True):
            for result in results:
                np.testing.assert_array_equal(result, one)
            by_layer = layer_by_layer(monkeypatch, model, x)
            np.testing.assert_allclose(one, by_layer, rtol=0, atol=1e-5 * np.abs(by_layer).max())


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("kernel", [0, 1, 2])
def test_weights_that_are_not_finite(value, kernel, small_caches, monkeypatch):
    model, x = made("padded"), image()
    assert banded_turns(model, x)
    for _ in range(3):
        model(x)
    layer = [one for one in model.layers if isinstance(one, layers.Conv2D | layers.DepthwiseConv2D)][kernel]
    weights = layer.get_weights()
    weights[0].flat[1] = value
    layer.set_weights(weights)
    for _ in range(3):
        np.testing.assert_array_equal(model(x), layer_by_layer(monkeypatch, model, x))


def test_a_weight_that_is_replaced(small_caches, monkeypatch):
    model, x = made("residual"), image(1)
    before = [model(x) for _ in range(3)][-1]
    for layer in model.layers:
        layer.set_weights([weight * 0.5 for weight in layer.get_weights()])
        after = model(x)
        by_layer = layer_by_layer(monkeypatch, model, x)
        np.testing.assert_allclose(after, by_layer, rtol=0, atol=1e-5 * np.abs(by_layer).max())
    assert (after != before).any()


def test_work_and_memory_are_told(small_caches):
    model, x = made("padded"), image(1)
    (row,) = (row for row in model.explain_program(x.shape) if "bands" in row.algorithm)
    with host(band_bytes=10**12):
        apart = list(made("padded").explain_program(x.shape))
    assert row.multiplications == sum(one.multiplications for one in apart)


@pytest.mark.parametrize(
    "threads, knobs, rows",
    [
        (2, {"l2_bytes": 64 * 1024}, 4),
        (2, {"l2_bytes": 1}, 0),
        (2, {"band_bytes": 10**6}, 0),
        (2, {"band_work": 32}, 0),
        (2, {"band_share": 0.02}, 0),
        (1, {"band_share": 0.02}, 10),
        (50, {"band_share": 100.0}, 0),
    ],
    ids=["near", "too near", "small", "much work", "overlapping", "one thread", "more threads than rows"],
)
def test_how_many_rows(threads, knobs, rows, monkeypatch):
    monkeypatch.setattr(bands.threads, "count", lambda: threads)
    shapes = (1, 1, 24, 32), (3, 3, 32, 1), (1, 1, 32, 24)
    window = bands.Window((3, 3), (2, 2), "valid", (1, 1), "channels_last")
    with host(**{"band_bytes": 0, **knobs}):
        call = bands.bands_call((1, *SHAPE), shapes, 4, window)
    assert (call.arguments[1][H, BLOCK] if call.arguments else 0) == rows
