"""Pooling, its gradients and its layers against the reference, on a table of cases and on random ones."""

import numpy as np
import pytest
from cases import FORMATS, assert_close, each, to_format
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from input_forms import INPUT_FORMS
from pooling_cases import CASES, KINDS, LARGE, expected, operands, run, run_grad, window

from numbaconv import functional, layers, shapes
from numbaconv.kernels import blend, pool, pool_grad, pool_planes
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
