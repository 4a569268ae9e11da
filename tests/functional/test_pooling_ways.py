"""Pooling: the ways that windows of different shapes go, and that all of them have the same results."""

import numpy as np
import pytest
from cases import FORMATS, each, to_format
from pooling_cases import CASES, KINDS, LARGE, operands

from numbaconv import functional, layers
from numbaconv.calls import pooling as pool_calls
from numbaconv.calls.moving import MovingCall
from numbaconv.calls.window import window_of
from numbaconv.kernels import pool
from numbaconv.machine.vectors import LINE

by_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])
by_format = pytest.mark.parametrize("data_format", FORMATS)


def test_small_arrays_and_single_tasks_stay_on_one_core():
    def serial(shape, size):
        return pool_calls.pool_call("max", shape, window_of(size, size)).serial

    assert serial((8, 16, 16, 4), (2, 2))
    assert not serial((8, 64, 64, 4), (2, 2))
    # One line of channels is one task, and several are shared.
    assert serial((1, 64, 64, LINE), (64, 64))
    assert not serial((1, 64, 64, 4 * LINE), (64, 64))


@by_dtype
@pytest.mark.parametrize("windows", [(1, 49, 80), (3, 33, 83), (2, 70, 200)])
def test_averages_of_many_channels_add_up_positions_in_order_in_double_precision(windows, dtype):
    count, size, channels = windows
    x = np.random.default_rng(0).standard_normal((2, count * size, channels)).astype(dtype)
    call = pool_calls.pool_call("average", x.shape, window_of((size,), size), count == 1, size)
    assert call.kernel is pool.average_windows
    by_window = x.reshape(2, count, size, channels)
    sums = np.add.accumulate(by_window, 2, np.float64)[:, :, -1]
    np.testing.assert_array_equal(call(x), (sums / size).astype(dtype))


@by_dtype
@pytest.mark.parametrize("channels", [1, 3, 12, 16, 45, 150])
def test_long_windows_are_joined_whatever_follows_them(channels, dtype):
    """Lines are wider than the channels, and read what belongs to no window, or to the next."""
    x = np.random.default_rng(4).standard_normal((2, 1300, channels)).astype(dtype)
    # What lies between the windows, and a value of one of them.
    x[:, 600:650], x[1, 700, 0] = np.nan, np.inf
    parts = x[:, :600], x[:, 650:1250]
    largest, mean = functional.max_pool(x, 600, 650), functional.average_pool(x, 600, 650)
    np.testing.assert_array_equal(largest, np.stack([part.max(1) for part in parts], 1))
    tolerance = 1e-7 if dtype == "float32" else 1e-15
    expected = np.stack([part.mean(1, dtype=np.float64) for part in parts], 1)
    np.testing.assert_allclose(mean, expected, rtol=tolerance, atol=tolerance)
    for kind, result in (("max", largest), ("average", mean)):
        call = pool_calls.pool_call(kind, x.shape, window_of((600,), 650))
        assert call.kernel in (pool.max_windows, pool.average_windows)
        apart = np.concatenate([call(x[n : n + 1].repeat(2, 0))[:1] for n in range(2)])
        np.testing.assert_array_equal(apart, result)


@by_dtype
@pytest.mark.parametrize("channels", [1, 5, 20])
@pytest.mark.parametrize("window", [(16, 1), (37, 2), (100, 3)])
def test_long_windows_that_overlap_are_made_of_shorter_ones(window, channels, dtype, monkeypatch):
    size, stride = window
    assert pool.doubled(size, stride, channels)
    x = np.random.default_rng(5).standard_normal((2, 300, channels)).astype(dtype)
    x[0, 40, 0], x[0, 150, 0], x[1, 299, 0] = np.nan, np.inf, -np.inf
    settings = {"strides": stride, "padding": "same"}
    found = [run(x, size, **settings) for run in (functional.max_pool, functional.average_pool)]
    monkeypatch.setattr(pool, "doubled", lambda *sizes: False)
    pool_calls.pool_call.cache_clear()
    largest, mean = (run(x, size, **settings) for run in (functional.max_pool, functional.average_pool))
    pool_calls.pool_call.cache_clear()
    np.testing.assert_array_equal(found[0], largest)
    tolerance = 1e-7 if dtype == "float32" else 1e-15
    np.testing.assert_allclose(found[1], mean, rtol=tolerance, atol=tolerance)


def test_windows_of_few_channels_are_made_of_shorter_ones_sooner():
    """They are gathered position by position; whole lines of one are only read."""
    assert pool.doubled(32, 4, LINE // 4) and not pool.doubled(32, 4, LINE)
    calls = [pool_calls.pool_call("max", (1, 999, 16), window_of((48,), step)) for step in (6, 48)]
    assert [call.kernel is pool.max_windows for call in calls] == [False, True]


@each([*CASES, *LARGE])
@by_dtype
@by_format
def test_planes_and_vectors_of_channels_have_the_same_gradients(case, dtype, data_format, monkeypatch):
    x, grad_out = operands(case, dtype)
    x.flat[::7] = np.nan
    x, grad_out = to_format(x, data_format), to_format(grad_out, data_format)
    found = functional.max_pool_grad(x, grad_out, **case.settings, data_format=data_format)
    pool_calls.pool_grad_call.cache_clear()
    monkeypatch.setattr(pool_calls, "_planes_grad", lambda *settings: None)
    other = functional.max_pool_grad(x, grad_out, **case.settings, data_format=data_format)
    pool_calls.pool_grad_call.cache_clear()
    assert found.tobytes() == other.tobytes()


@by_dtype
@pytest.mark.parametrize("step", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("columns", [16, 40, 900])
def test_windows_of_planes_have_the_bits_of_those_of_channels(columns, kind, step, dtype):
    """A few planes are taken as they lie, as long rows are; many short ones are brought beside each other."""
    x = np.random.default_rng(3).standard_normal((128, 3, columns)).astype(dtype)
    x.flat[::7], x.flat[::301] = -0.0, np.nan
    pooled = functional.max_pool if kind == "max" else functional.average_pool
    for planes, size, padding in ((128, (2, 3), "same"), (128, (1, 5), "valid"), (3, (1, 2), "valid"), (2, 3, "same")):
        settings = {"pool_size": size, "strides": (1, step), "padding": padding}
        found = pooled(x[None, :planes], **settings, data_format="channels_first")
        right = pooled(x.transpose(1, 2, 0)[None], **settings)[..., :planes]
        assert found.tobytes() == np.ascontiguousarray(right.transpose(0, 3, 1, 2)).tobytes()


def test_planes_are_taken_as_they_lie():
    def kind(x_shape, size, data_format="channels_first", itemsize=4):
        window = pool_calls.pool_window(size, 2, "valid", data_format, 2)
        lengths = pool_calls.spatial(x_shape, data_format)
        shape = pool_calls.of_lengths(x_shape, tuple((n - size) // 2 + 1 for n in lengths), data_format)
        return type(pool_calls.pool_grad_call("max", x_shape, shape, itemsize, window))

    planes, vectors = pool_calls.PlanesGradCall, pool_calls.PoolGradCall
    assert kind((20, 40, 16, 16), 2) is kind((20, 16, 16, LINE - 1), 2, "channels_last") is planes
    # Channels that fill a vector, windows that overlap by far, few planes, a table that is too long.
    assert kind((20, 16, 16, LINE), 2, "channels_last") is vectors
    assert kind((20, 40, 16, 16), 4) is kind((1, 3, 90, 90), 2) is kind((20, 40, 260, 260), 2) is vectors


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("stride", [1, 2])
def test_windows_of_one_value_are_only_moved(stride, data_format):
    x = np.random.default_rng(1).standard_normal((3, 9, 9, 9)).astype(np.float32)
    for kind in (np.float32, np.float64):
        picked = x[:, ::stride, ::stride] if data_format == "channels_last" else x[..., ::stride, ::stride]
        found = functional.max_pool(x.astype(kind), 1, stride, data_format=data_format)
        np.testing.assert_array_equal(found, picked)
    x[0, 0, 0, 0] = np.nan
    window = pool_calls.pool_window(1, stride, "valid", data_format, 2)
    grad = functional.max_pool(x[..., ::-1], 1, stride, data_format=data_format)
    call = pool_calls.pool_grad_call("max", x.shape, grad.shape, 4, window)
    assert isinstance(call, pool_calls.SelectedGradCall)
    wanted = np.zeros_like(x)
    (wanted[:, ::stride, ::stride] if data_format == "channels_last" else wanted[..., ::stride, ::stride])[...] = grad
    np.testing.assert_array_equal(call(x, grad), wanted)


@pytest.mark.parametrize("channels", [3, 40])
def test_gradients_of_averages_of_windows_apart_are_copied_as_they_lie(channels):
    grad = np.random.default_rng(1).standard_normal((5, channels, 4, 4)).astype(np.float32)
    calls = [
        pool_calls.pool_grad_call("average", x_shape, shape, 4, pool_calls.pool_window(3, 4, "same", data_format, 2))
        for data_format, x_shape, shape in (
            ("channels_first", (5, channels, 16, 16), grad.shape),
            ("channels_last", (5, 16, 16, channels), (5, 4, 4, channels)),
        )
    ]
    assert all(isinstance(call, MovingCall) for call in calls)
    last = calls[1](np.ascontiguousarray(np.moveaxis(grad, 1, -1)))
    np.testing.assert_array_equal(calls[0](grad), np.moveaxis(last, -1, 1))


@pytest.mark.parametrize("channels", [1, 2, 5, LINE // 2, LINE])
@pytest.mark.parametrize("size", [(2, 3), (6, 9), (13, 14)])
def test_few_channels_have_the_gradients_of_many(channels, size):
    rng = np.random.default_rng(12)
    # Many equal values, of which the first counts, and NaN, which does before all; windows that overlap.
    x = rng.integers(0, 4, (2, 26, 27, 4 * LINE)).astype(np.float32)
    x[rng.random(x.shape) < 0.01] = np.nan
    grad = rng.standard_normal(functional.max_pool(x, size, 2).shape, dtype=np.float32)
    many = functional.max_pool_grad(x, grad, size, 2)
    few = functional.max_pool_grad(x[..., :channels], grad[..., :channels], size, 2)
    np.testing.assert_array_equal(few, many[..., :channels])


@pytest.mark.parametrize("shape", [(1, 96, 120, 48), (3, 101, 100, 20), (1, 739, 739, 1), (8, 9, 9, 900)])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_few_large_windows_are_shared_by_many_cores(shape, data_format):
    x = np.random.default_rng(8).standard_normal(shape, dtype=np.float32)
    x[0, 5, 7, 0] = np.nan
    last, moved = data_format == "channels_last", np.moveaxis(x, -1, 1)
    given = x if last else np.ascontiguousarray(moved)
    largest = layers.GlobalMaxPooling2D(data_format=data_format)(given)
    np.testing.assert_array_equal(largest, x.max((1, 2)))
    mean = layers.GlobalAveragePooling2D(data_format=data_format)(given)
    np.testing.assert_allclose(mean, x.mean((1, 2), dtype=np.float64), rtol=0, atol=1e-7)
    if last and shape[1] == 96:
        call = pool_calls.pool_call("max", shape, window_of(shape[1:3], shape[1:3]))
        assert call.parts.arguments[0][-1][-1] >= 16


@pytest.mark.parametrize("length", [9, 31, 49, 130])
@pytest.mark.parametrize("planes", [(1, 3), (1, 19), (5, 67)])
def test_planes_are_pooled_as_rows(length, planes):
    x = np.random.default_rng(length).standard_normal((*planes, length), dtype=np.float32)
    x[0, 1, 5] = np.nan
    for kind, layer in (("max", layers.GlobalMaxPooling1D), ("average", layers.GlobalAveragePooling1D)):
        found = layer("channels_first")(x)
        last = layer("channels_last")(np.ascontiguousarray(np.moveaxis(x, 1, 2)))
        np.testing.assert_array_equal(found, x.max(2) if kind == "max" else x.mean(2, dtype=np.float64).astype("f4"))
        np.testing.assert_array_equal(found, last)
        window = window_of((length,), (length,))._replace(data_format="channels_first")
        few_long = planes == (1, 3) and length >= pool.LONG
        named = pool_calls.pool_call(kind, x.shape, window, True).kernel.__name__
        assert named.endswith("_windows" if few_long else "_rows")
    # Windows side by side in a longer row.
    found = functional.max_pool(x.reshape(1, 1, -1), length, data_format="channels_first")
    np.testing.assert_array_equal(found.ravel(), x.max(2).ravel())


def test_planes_of_few_windows_are_read_row_by_row():
    size, shape = (3, 6, 5), (5, 17, 7, 8, 9)
    x = np.random.default_rng(3).standard_normal(shape, dtype=np.float32)
    x[1, 2, 5, 7, 8] = np.nan
    window = window_of(size, (4, 3, 4))._replace(data_format="channels_first")
    windows = np.lib.stride_tricks.sliding_window_view(x, size, (2, 3, 4))[:, :, ::4, ::3, ::4]
    for kind, function in (("max", functional.max_pool), ("average", functional.average_pool)):
        assert pool_calls.pool_call(kind, shape, window).kernel.__name__.endswith("_rows")
        found = function(x, size, (4, 3, 4), data_format="channels_first")
        named = windows.max((5, 6, 7)) if kind == "max" else windows.mean((5, 6, 7), dtype=np.float64).astype("f4")
        np.testing.assert_array_equal(found, named)
    few = x[0, :, 0, :2, :3][None]
    mean = layers.GlobalAveragePooling2D("channels_first")(few)
    np.testing.assert_allclose(mean, few.mean((2, 3), dtype=np.float64), rtol=0, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 3, 16])
def test_averages_are_alike_where_a_window_is_as_wide_as_the_image(channels):
    x = np.random.default_rng(0).random((2, 8, 9, channels), np.float32)
    whole = functional.average_pool(x, (2, 3), strides=2)
    np.testing.assert_array_equal(functional.average_pool(x[:, :, :3], (2, 3), strides=2), whole[:, :, :1])
    np.testing.assert_array_equal(functional.average_pool(x[:, :2, :3], (2, 3), strides=2), whole[:, :1, :1])
