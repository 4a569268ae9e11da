"""Memory of `predict`: weights are there twice at most, and nothing grows from call to call or from shape to shape."""

import gc
import tracemalloc

import numpy as np
import pytest
from test_fused_networks import filled

from numbaconv import layers
from numbaconv.calls.conv import FAR_WEIGHTS
from numbaconv.models import Sequential
from numbaconv.models.fused.arena import Lifetime, laid_out
from numbaconv.models.fused.running import fused

# What Python's own caches may take in the course of many calls.
SOME = 64 * 1024


@pytest.fixture
def traced(all_memory_is_traced):
    tracemalloc.start()

    def taken():
        # Python keeps freed tuples and frames for new ones, some 200 kB of them, until it collects.
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    yield taken
    tracemalloc.stop()


def small_network(filters=8):
    model = Sequential(
        [
            layers.Input((None, None, 3)),
            layers.Conv2D(filters, 3, padding="same"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.DepthwiseConv2D(3),
            layers.GlobalAveragePooling2D(),
            layers.Dense(filters),
        ]
    )
    return filled(model, np.random.default_rng(0), "float32")


def test_memory_is_flat_over_calls(traced):
    model, x = small_network(), np.ones((1, 12, 12, 3), np.float32)
    for _ in range(50):
        model.predict_on_batch(x)
    before = traced()
    for _ in range(1000):
        model.predict_on_batch(x)
    assert traced() - before < SOME


@pytest.mark.slow
def test_memory_is_flat_over_shapes(traced):
    model = small_network()
    after = []
    for _ in range(3):
        for size in range(100):
            model.predict_on_batch(np.ones((1, 8 + size // 10, 8 + size % 10, 3), np.float32))
        after.append(traced())
    assert after[2] - after[1] < SOME


def test_folded_weights_are_kept_as_kernels_read_them_alone(traced):
    filters, x = 256, np.ones((1, 12, 12, 256), np.float32)
    model = Sequential([layers.Input((12, 12, filters)), layers.Conv2D(filters, 1), layers.BatchNormalization()])
    filled(model, np.random.default_rng(0), "float32")
    size = model.layers[0].kernel.nbytes
    model.predict_on_batch(x)
    before = traced()
    for layer in model.layers:
        layer.set_weights(layer.get_weights())
    fresh = model.predict_on_batch(x)
    # Made anew, in the place of those that were there.
    assert traced() - before < size / 2
    (turn,) = fused(model._program()).runner([x.shape]).turns
    packed = next(iter(fused(model._program())._folded.values())).operands()[0]
    assert packed._kept is None and packed.panels.nbytes == size and turn.stage.kind == "conv"
    np.testing.assert_array_equal(packed.plain.ravel(), packed.plain.ravel())
    np.testing.assert_array_equal(model.predict_on_batch(x), fresh)


def test_many_weights_of_two_rows_are_read_in_one_stream_and_others_as_they_lie():
    for rows, features, units in ((2, 960, 240), (1, 1024, 1000), (2, 1024, 1000)):
        model, x = Sequential([layers.Input((features,)), layers.Dense(units)]), np.ones((rows, features), np.float32)
        (turn,) = fused(model._program()).runner([x.shape]).turns
        assert (turn.call.rows is None) == (rows > 1 and features * units > FAR_WEIGHTS)
        found = [model.predict_on_batch(x) for _ in range(3)]
        assert all(np.array_equal(one, model(x)) for one in found)


def test_values_share_the_middle_of_others_so_that_two_threads_keep_their_halves():
    places, size = laid_out([Lifetime(4096, 0, 1), Lifetime(1024, 1, 2), Lifetime(2048, 2, 3), Lifetime(960, 3, 4)])
    assert places == [0, 4096, 1024, 4096] and size == 5120


def test_values_that_are_there_at_once_lie_apart():
    rng = np.random.default_rng(0)
    for _ in range(50):
        wanted = [
            Lifetime(int(size), int(i), int(i + lasts)) for i, (size, lasts) in enumerate(rng.integers(1, 9, (20, 2)))
        ]
        wanted = [one._replace(size=one.size * 100) for one in wanted]
        places, size = laid_out(wanted)
        spans = [(place, place + one.size, one) for place, one in zip(places, wanted, strict=True)]
        assert min(places) == 0 and max(end for _, end, _ in spans) == size
        for i, (start, end, one) in enumerate(spans):
            for begin, stop, other in spans[:i]:
                at_once = other.first <= one.last and one.first <= other.last
                assert not at_once or end <= begin or stop <= start
