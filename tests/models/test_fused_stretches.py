"""Networks whose first layers run for a few images of a batch at a time: what leaves them, and what stays whole."""

import numpy as np
import pytest
from test_fused_bands import SHAPE, host, narrowed
from test_fused_networks import filled

from numbaconv import layers
from numbaconv.models import Model, Sequential, clone_model
from numbaconv.models.fused import stretches
from numbaconv.models.fused.running import fused


@pytest.fixture(autouse=True)
def image_by_image(monkeypatch):
    monkeypatch.setattr(stretches, "HOST", stretches.HOST._replace(near_bytes=1))


def network(*after):
    first = layers.Conv2D(8, 3, padding="same", activation="relu"), layers.Conv2D(8, 3, padding="same")
    return filled(Sequential([layers.Input((24, 24, 3)), *first, *after]), np.random.default_rng(0), "float32")


def images(count, seed=0):
    return np.random.default_rng(seed).standard_normal((count, 24, 24, 3)).astype(np.float32)


def is_cut(model, *shapes):
    return any(turn.stage.kind == "together" for turn in fused(model._program()).runner(shapes).turns)


@pytest.mark.parametrize("last", [layers.Reshape((-1, 8)), layers.Flatten(), layers.ReLU()], ids=lambda one: one.name)
def test_results_stay(last):
    model = network(last)
    kept = [(found, found.copy()) for found in (model(images(6, seed)) for seed in range(4))]
    for found, copied in kept:
        np.testing.assert_array_equal(found, copied)


def test_what_layers_of_your_own_keep_stays():
    kept = []

    class Keep(layers.Layer):
        def call(self, x):
            kept.append((x, x.copy()))
            return x

        def compute_output_shape(self, input_shape):
            return input_shape

    model = network(Keep(), layers.Conv2D(4, 1))
    kept.clear()
    for seed in range(4):
        model(images(6, seed))
    for found, copied in kept:
        np.testing.assert_array_equal(found, copied)


def test_views_of_what_is_read_lie_elsewhere_each_time():
    more = layers.Reshape((576, 8)), layers.Conv1D(8, 3), layers.Conv1D(4, 3), layers.GlobalAveragePooling1D()
    model = network(*more)
    for seed in range(5):
        x = images(6, seed)
        np.testing.assert_allclose(model(x), np.concatenate([model(x[i : i + 1]) for i in range(6)]), atol=1e-6)


def test_inputs_of_other_batches_are_not_cut():
    one, two = layers.Input((24, 24, 3)), layers.Input((24, 24, 3))
    product = layers.Multiply()([layers.Conv2D(4, 3)(one), layers.Conv2D(4, 3)(two)])
    model = filled(Model([one, two], product), np.random.default_rng(0), "float32")
    x = images(6)
    np.testing.assert_allclose(model([x, x[:1]]), model([x, np.repeat(x[:1], 6, 0)]), atol=1e-6)
    assert not is_cut(model, (6, 24, 24, 3), (1, 24, 24, 3))


def test_factors_of_each_image_are_not_cut():
    scale = np.arange(1, 7, dtype=np.float32).reshape(6, 1, 1, 1)
    model, plain, x = network(layers.Rescaling(scale), layers.Conv2D(4, 1, use_bias=False)), network(), images(6)
    model.layers[-1].set_weights([np.eye(8, 4, dtype=np.float32)[None, None]])
    np.testing.assert_allclose(model(x), (plain(x) * scale)[..., :4], rtol=1e-5, atol=1e-5)


def test_what_has_no_kernel_for_some_images_is_not_cut(monkeypatch):
    with host(l2_bytes=64 * 1024, band_bytes=0, band_share=100, band_work=1000):
        given = layers.Input(SHAPE)
        model, shape = Model(given, narrowed(narrowed(narrowed(given, strides=1), strides=1))), (6, *SHAPE)
        joined = [turn.stage for turn in fused(model._program()).runner([shape]).turns if turn.stage.widening]
        assert joined and is_cut(model, shape)
        none = stretches.banded(joined[0].joined, shape)._replace(arguments=None)
        monkeypatch.setattr(stretches, "banded", lambda *_: none)
        assert not is_cut(clone_model(model), shape)
