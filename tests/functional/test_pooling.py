"""Pooling, its gradients and its layers against the reference, on a table of cases and on random ones."""

import numpy as np
import pytest
from cases import FORMATS, assert_close, each, to_format
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from input_forms import INPUT_FORMS
from pooling_cases import CASES, KINDS, LARGE, expected, operands, run, run_grad, window

from numbaconv import functional, layers, shapes
from numbaconv.calls import pooling as pool_calls
from numbaconv.calls.moving import MovingCall
from numbaconv.calls.window import window_of
from numbaconv.kernels import blend, pool, pool_grad, pool_planes
from numbaconv.machine.vectors import LINE
from numbaconv.models import Sequential

by_kind = pytest.mark.parametrize("kind", KINDS)
by_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])
by_format = pytest.mark.parametrize("data_format", FORMATS)


@each(CASES)
@by_kind
@by_dtype
@by_format
def test_matches_the_reference(case, kind, dtype, data_format, poisoned):
    arrays = operands(case, dtype)
    x, grad_out = (to_format(a, data_format) for a in arrays)
    before = x.copy(), grad_out.copy()
    out, grad = run(kind, case, x, data_format), run_grad(kind, case, x, grad_out, data_format)
    assert_close(out, to_format(expected(kind, case, arrays[0]), data_format))
    assert_close(grad, to_format(expected(kind, case, *arrays), data_format))
    for result in (out, grad):
        assert result.dtype == dtype
        assert result.flags.c_contiguous and result.flags.writeable
        assert not np.shares_memory(result, x) and not np.shares_memory(result, grad_out)
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(grad_out, before[1])


@pytest.mark.situation("NaN, Inf, denormals, -0.0")
@each([case for case in CASES if case.shape[0]])
@by_kind
@by_dtype
def test_infinities_and_nan(case, kind, dtype):
    rng = np.random.default_rng(3)
    x, grad_out = operands(case, dtype)
    x = np.where(rng.random(x.shape) < 0.4, rng.choice([-np.inf, np.inf, np.nan], x.shape), x).astype(dtype)
    with np.errstate(invalid="ignore"):
        wanted, wanted_grad = expected(kind, case, x), expected(kind, case, x, grad_out)
    tolerance = 1e-12 if dtype == "float64" else 1e-5
    np.testing.assert_allclose(run(kind, case, x), wanted, tolerance, tolerance)
    np.testing.assert_allclose(run_grad(kind, case, x, grad_out), wanted_grad, tolerance, tolerance)


@each(LARGE)
@by_kind
def test_bands_and_threads_do_not_change_a_bit(case, kind, recut, monkeypatch, each_thread_count):
    x, grad_out = operands(case, "float32")
    out, grad = run(kind, case, x), run_grad(kind, case, x, grad_out)
    assert_close(out, expected(kind, case, x))
    assert_close(grad, expected(kind, case, x, grad_out))
    usual = out.tobytes(), grad.tobytes()
    for bands, least, values in ((16, 8, 16_384), (1, 1, 1 << 30), (1000, 0, 64)):
        monkeypatch.setattr(pool_grad, "BANDS", bands)
        monkeypatch.setattr(pool_grad, "LEAST_OVERLAPS", least)
        monkeypatch.setattr(pool, "TASK_VALUES", values)
        monkeypatch.setattr(pool, "FAR_VALUES", values)
        monkeypatch.setattr(blend, "TASK_VALUES", values)
        recut({})
        for _ in each_thread_count():
            assert (run(kind, case, x).tobytes(), run_grad(kind, case, x, grad_out).tobytes()) == usual


@given(
    windows=st.tuples(*[st.integers(1, n) for n in (60, 9, 9)]),
    padding=st.sampled_from(["valid", "same"]),
    batch=st.integers(0, 20),
    channels=st.integers(1, 3000),
)
def test_input_bands_hold_every_window_that_reaches_into_them(windows, padding, batch, channels):
    length, size, stride = windows
    count = shapes.conv_output_length(length, size, padding, stride)
    assume(count > 0)
    ends = pool.window_ends(count, length, size, stride, shapes.conv_padding(length, size, padding, stride)[0])
    assert (ends[:, 0] < ends[:, 1]).all()
    bands = pool_grad.input_bands((batch, length, 1, 7, channels), 4, ends, size, stride, 16)
    parts: dict[tuple[int, ...], list[int]] = {}
    for *band, begin, end in bands.tolist():
        parts.setdefault(tuple(band), []).extend(range(begin, end))
    assert all(covered == list(range(channels)) for covered in parts.values())
    assert np.concatenate([np.arange(lo, hi) for _, _, lo, hi in parts]).tolist() == list(range(length))
    for first, last, lo, hi in parts:
        assert list(range(first, last)) == [q for q, (start, end) in enumerate(ends) if start < hi and end > lo]


@by_kind
@by_format
@pytest.mark.parametrize("form", INPUT_FORMS.values(), ids=INPUT_FORMS)
@by_dtype
def test_input_forms(kind, form, data_format, dtype):
    case = window("forms", (2, 6, 8, 3), (3, 2), 2)
    x = form(to_format(np.random.default_rng(0).integers(-3, 4, case.shape).astype(dtype), data_format))
    plain = np.array(x, order="C", subok=False)
    wanted = np.float64 if plain.dtype.kind == "f" and plain.dtype.itemsize == 8 else np.float32
    if wanted != dtype:
        pytest.skip("it holds the other precision, whatever it was made of")
    out = run(kind, case, x, data_format)
    assert type(out) is np.ndarray and out.dtype == wanted
    assert out.tobytes() == run(kind, case, plain.astype(wanted), data_format).tobytes()
    grad = functional.max_pool_grad(x, out, **case.settings, data_format=data_format)
    assert grad.dtype == wanted
    assert grad.tobytes() == run_grad("max", case, plain.astype(wanted), out, data_format).tobytes()


@pytest.mark.double
def test_one_float64_operand_makes_the_gradient_float64():
    case = window("mixed", (2, 6, 8, 3), 2)
    x, grad_out = operands(case)
    for arrays in ((x, grad_out.astype("float32")), (x.astype("float32"), grad_out)):
        assert run_grad("max", case, *arrays).dtype == np.float64
        assert_close(run_grad("max", case, *arrays), expected("max", case, x, grad_out))


@by_kind
def test_long_windows_lose_no_precision(kind):
    x = np.full((1, 200_000, 1), 0.1, np.float32)
    assert run(kind, window("long", x.shape, 200_000), x).item() == np.float32(0.1)


@pytest.mark.double
@each(CASES)
def test_gradient_of_the_maximum_is_its_slope(case):
    rng = np.random.default_rng(5)
    # Distinct values more than a step apart keep their order.
    x = rng.permutation(np.arange(float(np.prod(case.shape)))).reshape(case.shape)
    step, grad_out = rng.random(case.shape) / 2, operands(case)[1]
    change = ((run("max", case, x + step) - run("max", case, x)) * grad_out).sum()
    assert (run_grad("max", case, x, grad_out) * step).sum() == pytest.approx(change, rel=1e-9, abs=1e-9)


@pytest.mark.double
@each(CASES)
def test_gradient_of_the_average_is_its_adjoint(case):
    x, grad_out = operands(case)
    there, back = run("average", case, x), run_grad("average", case, x, grad_out)
    assert (there * grad_out).sum() == pytest.approx((x * back).sum(), rel=1e-10, abs=1e-9)


@by_dtype
@settings(max_examples=150)
@given(
    axes=st.lists(st.tuples(*[st.integers(1, n) for n in (9, 5, 4)]), min_size=1, max_size=3),
    padding=st.sampled_from(["valid", "same"]),
    batch=st.integers(0, 2),
    channels=st.integers(1, 40),
    kind=st.sampled_from(KINDS),
    data_format=st.sampled_from(FORMATS),
)
def test_random_windows(axes, padding, batch, channels, kind, data_format, dtype):
    lengths, size, strides = zip(*axes, strict=True)
    assume(padding == "same" or all(k <= n for n, k in zip(lengths, size, strict=True)))
    case = window("random", (batch, *lengths, channels), size, strides, padding)
    arrays = operands(case)
    wanted, wanted_grad = expected(kind, case, arrays[0]), expected(kind, case, *arrays)
    x, grad_out = (to_format(a.astype(dtype), data_format) for a in arrays)
    assert_close(run(kind, case, x, data_format), to_format(wanted, data_format))
    assert_close(run_grad(kind, case, x, grad_out, data_format), to_format(wanted_grad, data_format))


def layer_of(kind, case, **arguments):
    name = f"{kind.capitalize()}Pooling{case.rank}D"
    return getattr(layers, name)(**case.settings, **arguments)


@each(CASES)
@by_kind
@by_format
def test_layers_compute_their_functions(case, kind, data_format):
    x, grad_out = (to_format(a, data_format) for a in operands(case, "float32"))
    layer = layer_of(kind, case, data_format=data_format)
    out = layer(x)
    assert out.tobytes() == run(kind, case, x, data_format).tobytes()
    assert out.shape == layer.compute_output_shape(x.shape)
    again, kept = layer._forward(x)
    assert again.tobytes() == out.tobytes()
    assert kept is x if kind == "max" else kept == x.shape
    grad, gradients = layer._backward(kept, grad_out, True)
    assert grad.tobytes() == run_grad(kind, case, x, grad_out, data_format).tobytes()
    assert gradients == {}
    assert layer._backward(kept, grad_out, False) == (None, {})


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("rank", [1, 2, 3])
@by_kind
@by_dtype
@by_format
def test_global_pooling(rank, keepdims, kind, dtype, data_format):
    cls = getattr(layers, f"Global{kind.capitalize()}Pooling{rank}D")
    layer = cls(data_format, keepdims, dtype=dtype)
    lengths = (7, 4, 5)[:rank]
    case = window("global", (2, *lengths, 19), lengths)
    arrays = operands(case, dtype)
    x, grad_out = (to_format(a, data_format) for a in arrays)
    wanted = to_format(expected(kind, case, arrays[0]), data_format)
    grad_out = grad_out if keepdims else grad_out.reshape(2, 19)
    layer.build(x.shape)
    out, kept = layer._forward(x)
    assert_close(out, wanted if keepdims else wanted.reshape(2, 19))
    assert (layer(x).tobytes(), out.shape) == (out.tobytes(), layer.compute_output_shape(x.shape))
    grad, gradients = layer._backward(kept, grad_out, True)
    assert (grad.dtype, gradients) == (dtype, {})
    assert_close(grad, to_format(expected(kind, case, *arrays), data_format))
    assert layer(x[:0]).shape == (0, *out.shape[1:])
    said = f"{lengths[0]}, pooled into 1" + ("" if keepdims else ", and the axis dropped")
    assert said in layer.explain(x.shape)


def test_models_with_pooling_are_saved(tmp_path):
    model = Sequential(
        [
            layers.MaxPooling2D(3, 2, "same", input_shape=(9, 8, 5)),
            layers.AveragePooling2D((2, 1), data_format="channels_last"),
            layers.GlobalMaxPooling2D(keepdims=True),
            layers.GlobalAveragePooling2D(),
        ]
    )
    assert model.output_shape == (None, 5)
    model.save(tmp_path / "model")
    again = Sequential.load(tmp_path / "model")
    assert again.get_config() == model.get_config()
    x = np.random.default_rng(6).random((3, 9, 8, 5))
    assert again(x).tobytes() == model(x).tobytes()


def test_each_kernel_is_compiled_for_few_types_only():
    """After all of the above: two dtypes; sums of few values or many, sums or copies, or two widths of the kernel."""
    planes = (pool_planes.max_pool_planes_grad,)
    for kernel in (pool.max_pool, pool.average_pool, blend.blend, pool_grad.max_pool_grad, *planes):
        most = {pool.max_pool: 2, pool.average_pool: 3, **dict.fromkeys(planes, 2)}.get(kernel, 4)
        assert len(kernel.dispatcher.signatures) <= most, kernel.dispatcher.signatures


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
@pytest.mark.parametrize("planes", [(1, 3), (5, 67)])
def test_planes_are_pooled_as_rows(length, planes):
    x = np.random.default_rng(length).standard_normal((*planes, length), dtype=np.float32)
    x[0, 1, 5] = np.nan
    for kind, layer in (("max", layers.GlobalMaxPooling1D), ("average", layers.GlobalAveragePooling1D)):
        found = layer("channels_first")(x)
        last = layer("channels_last")(np.ascontiguousarray(np.moveaxis(x, 1, 2)))
        np.testing.assert_array_equal(found, x.max(2) if kind == "max" else x.mean(2, dtype=np.float64).astype("f4"))
        np.testing.assert_array_equal(found, last)
        window = window_of((length,), (length,))._replace(data_format="channels_first")
        assert pool_calls.pool_call(kind, x.shape, window, True).kernel.__name__.endswith("_rows")
    # Windows side by side in a longer row.
    found = functional.max_pool(x.reshape(1, 1, -1), length, data_format="channels_first")
    np.testing.assert_array_equal(found.ravel(), x.max(2).ravel())


@pytest.mark.parametrize("channels", [1, 3, 16])
def test_averages_are_alike_where_a_window_is_as_wide_as_the_image(channels):
    x = np.random.default_rng(0).random((2, 8, 9, channels), np.float32)
    whole = functional.average_pool(x, (2, 3), strides=2)
    np.testing.assert_array_equal(functional.average_pool(x[:, :, :3], (2, 3), strides=2), whole[:, :, :1])
    np.testing.assert_array_equal(functional.average_pool(x[:, :2, :3], (2, 3), strides=2), whole[:, :1, :1])
