"""NaN, infinities, denormals and -0.0: every operation gives what the formula of the reference gives.

Padding is 0 times nothing: a tap outside the image is left out, so an infinite weight over padding makes no NaN.
"""

import numpy as np
import pytest
from backward import gradients
from cases import (
    CASES,
    FORMATS,
    each,
    interpolates,
    operands,
    output_shape,
    pack,
    reference_gradients,
    reference_result,
    run,
)
from cases import to_format as to
from pooling_cases import CASES as POOLING
from pooling_cases import KINDS
from pooling_cases import expected as pooled
from pooling_cases import run as pool
from winograd_cases import call_of, is_winograd, make_case

pytestmark = pytest.mark.situation("NaN, Inf, denormals, -0.0")

DTYPES = ("float32", "float64")
VALUES = (np.inf, -np.inf, np.nan)
FILLED = [case for case in CASES if case.shape[0] and np.prod(case.shape) < 20_000]
FILLED_WEIGHTED = [case for case in FILLED if case.has_weights]
MOVING = [case for case in FILLED if not case.has_weights]
EXACT = [case for case in MOVING if not interpolates(case)]
# Where "auto" takes Winograd's convolution for float32, and sizes in which it fills its patches badly.
LARGER = [
    make_case((12, 14), 19, 35),
    make_case((13, 15), 16, 33, "valid"),
    make_case((16, 12), 17, 16, taps=5),
    make_case((20, 19), 16, 20, dilation_rate=2),
    make_case((12, 14), 19, 35, operation="conv_transpose"),
]
POOLING = [case for case in POOLING if case.shape[0]]
by_dtype = pytest.mark.parametrize("dtype", DTYPES)
by_format = pytest.mark.parametrize("data_format", FORMATS)
by_kind = pytest.mark.parametrize("kind", KINDS)


def rng_of(case):
    return np.random.default_rng([7, *case.name.encode()])


def places(shape, rng):
    """The first and the last corner, the middle, and anywhere."""
    return [
        (0,) * len(shape),
        tuple(n - 1 for n in shape),
        tuple(n // 2 for n in shape),
        *(tuple(rng.integers(shape)) for _ in range(3)),
    ]


def assert_alike(out, wanted):
    """NaN and infinities stand where they should, and the rest is near, measured by the largest finite value."""
    assert out.shape == wanted.shape
    for kind in (np.isnan, np.isposinf, np.isneginf):
        found, right = kind(out), kind(wanted)
        assert (found == right).all(), f"{kind.__name__}: {found.sum()} instead of {right.sum()} of {out.size}"
    finite = np.isfinite(wanted)
    limit = 2e-5 if out.dtype == np.float32 else 1e-11
    scale = np.abs(wanted[finite]).max(initial=0)
    assert np.abs(out[finite] - wanted[finite]).max(initial=0) <= limit * scale


def right(case, arrays):
    """What the reference gives for values that float32 holds."""
    with np.errstate(invalid="ignore"):
        # For arrays of float32 the reference would be compiled once more.
        return reference_result(case, [a.astype(np.float64) for a in arrays])


def assert_gives(wanted, case, arrays, dtype, **settings):
    """Both formats do."""
    x, *weights = (a.astype(dtype) for a in arrays)
    for data_format in FORMATS:
        out = run(case, [to(x, data_format), *weights], data_format, **settings)
        assert_alike(out, to(wanted, data_format))


def assert_right(case, arrays, dtype):
    """Both formats give what the reference gives."""
    wanted = right(case, arrays)
    assert_gives(wanted, case, arrays, dtype)
    return wanted


def planted(case):
    """Operands of a case with one special value each: in every kind of place of every operand."""
    rng = rng_of(case)
    for value in VALUES:
        for i, array in enumerate(operands(case)):
            for place in places(array.shape, rng):
                arrays = operands(case)
                arrays[i][place] = value
                yield arrays


# One way through each kernel. Of the other cases values are only strewn, below, unless --slow asks for more.
@pytest.fixture(
    scope="module",
    params=[
        pytest.param(case, id=case.name, marks=[] if case in LARGER[:1] or "smoke" in case.name else pytest.mark.slow)
        for case in FILLED + LARGER
    ],
)
def examples(request):
    """A case, and its planted operands with what the reference makes of them: the same for both precisions."""
    case = request.param
    return case, [(arrays, right(case, arrays)) for arrays in planted(case)]


@by_dtype
def test_one_value_anywhere(examples, dtype, record_property):
    case, found = examples
    settings = [{}]
    if case.operation == "conv" and case.groups == 1 and is_winograd(call_of(case, dtype)):
        settings.append({"algorithm": "direct"})
    for arrays, wanted in found:
        for setting in settings:
            assert_gives(wanted, case, arrays, dtype, **setting)
    record_property("planted values", len(found))


@each(FILLED + LARGER)
@by_dtype
def test_values_strewn_over_all_operands(case, dtype):
    rng = rng_of(case)
    for _ in range(6):
        arrays = operands(case)
        for array in arrays:
            # Few enough that most outputs are not NaN for several reasons at once.
            strewn = rng.random(array.shape) < 1 / 40
            array[strewn] = rng.choice([*VALUES, -0.0, 0.0], strewn.sum())
        assert_right(case, arrays, dtype)


@each([case for case in FILLED_WEIGHTED + LARGER if case.settings.get("padding", "valid") != "valid"])
@by_dtype
def test_infinite_weights_meet_no_padding(case, dtype):
    """All of a kernel infinite: only the bias and what lies in the image decide."""
    for value in (np.inf, np.nan):
        x, *kernels, bias = operands(case)
        kernels[0][...] = value
        assert_right(case, [np.abs(x), *kernels, bias], dtype)
    # At an edge tap alone, outputs whose tap lies in the padding stay finite.
    x, *kernels, bias = operands(case, dtype)
    kernels[0][(0,) * case.rank] = np.inf
    assert_right(case, [x, *kernels, bias], dtype)
    out = run(case, [x, *kernels, bias])
    assert run(case, [x, *pack(case, kernels), bias]).tobytes() == out.tobytes()


@each(FILLED)
@by_dtype
def test_zeros_stay_zeros(case, dtype):
    """Of a sum the sign of a zero is not promised; that it is zero is."""
    arrays = [np.full_like(a, -0.0, dtype) for a in operands(case)]
    assert (run(case, arrays) == 0).all()


@each(EXACT)
@by_dtype
@by_format
def test_moved_values_keep_every_bit(case, dtype, data_format):
    """Signs of zeros, denormals and what a NaN carries."""
    bits = {"float32": np.uint32, "float64": np.uint64}[dtype]
    x = rng_of(case).integers(0, np.iinfo(bits).max, case.shape, bits, endpoint=True)
    strange = np.array([-0.0, 0.0, np.nan, -np.nan, np.inf, 5e-324, 1e-45, -1e-310], dtype).view(bits)
    x.flat[: strange.size] = strange[: x.size]
    numbers = np.arange(1.0, x.size + 1).reshape(x.shape)
    taken = reference_result(case, [numbers]).astype(int)
    wanted = np.append(np.zeros(1, bits), x)[taken]
    out = run(case, [to(x, data_format).view(dtype)], data_format)
    np.testing.assert_array_equal(out.view(bits), to(wanted, data_format))


@each(FILLED + LARGER)
@by_dtype
def test_denormals_are_not_flushed(case, dtype):
    """Sums of whole multiples of the smallest number are exact."""
    # Winograd's transforms round to such a multiple, as everything does, so it gets larger ones.
    unit = np.finfo(dtype).smallest_subnormal * (2.0**13 if case in LARGER else 1)
    rng = rng_of(case)
    arrays = [rng.integers(-9, 10, a.shape).astype(dtype) for a in operands(case)]
    wanted = reference_result(case, [a.astype(float) for a in arrays])
    # Kernels stay as they are.
    arrays[0] *= unit
    if case.has_weights:
        arrays[-1] *= unit
    difference = np.abs(run(case, arrays) / unit - wanted).max()
    if interpolates(case):
        # Each share may round by half a unit: of four neighbours, or of so many along one axis and then the other.
        assert (
            difference <= {"bilinear": 2, "bicubic": 6, "lanczos3": 9, "lanczos5": 15}[case.settings["interpolation"]]
        )
    else:
        assert difference <= (1e-3 * np.abs(wanted).max() if case in LARGER else 0)


@each(MOVING)
@by_dtype
def test_gradients_of_moving_values(case, dtype):
    rng = rng_of(case)
    arrays = operands(case)
    for value in VALUES:
        grad_out = rng.standard_normal(output_shape(case), np.float32).astype(float)
        grad_out[tuple(rng.integers(grad_out.shape))] = value
        wanted = reference_gradients(case, arrays, grad_out)["x"]
        assert_alike(gradients(case, [a.astype(dtype) for a in arrays], grad_out.astype(dtype))["x"], wanted)


@each(FILLED_WEIGHTED + LARGER)
@by_dtype
def test_gradients_hide_nothing(case, dtype):
    """What is not finite stays so, without a warning; at the edges, more may become so."""
    rng = rng_of(case)
    for value in (np.inf, np.nan):
        for i in range(3):
            x, *weights = operands(case)
            grad_out = rng.standard_normal(output_shape(case), np.float32).astype(float)
            # Two of them, which meet where tasks' sums are added up.
            (x, grad_out, weights[0])[i].flat[[0, -1]] = value, -value
            with np.errstate(invalid="ignore"):
                wanted = reference_gradients(case, [x, *weights], grad_out)
            arrays = [a.astype(dtype) for a in (x, *weights)]
            for name, gradient in gradients(case, arrays, grad_out.astype(dtype)).items():
                assert not np.isfinite(gradient[~np.isfinite(wanted[name])]).any()


@each(POOLING)
@by_kind
@by_dtype
def test_pooling_of_zeros_and_denormals(case, kind, dtype):
    rng = rng_of(case)
    zeros = rng.choice([0.0, -0.0], case.shape).astype(dtype)
    out = pool(kind, case, zeros)
    assert (out == 0).all()
    if kind == "max":
        np.testing.assert_array_equal(np.signbit(out), np.signbit(pooled(kind, case, zeros)))
    smallest = np.finfo(dtype).smallest_subnormal
    x = rng.integers(-9, 10, case.shape).astype(dtype)
    difference = pool(kind, case, x * smallest) / smallest - pooled(kind, case, x)
    assert np.abs(difference).max() <= (0 if kind == "max" else 0.5)


@each(POOLING)
@by_kind
@by_dtype
@by_format
def test_pooling_with_one_value_anywhere(case, kind, dtype, data_format):
    rng = rng_of(case)
    for value in VALUES:
        for place in places(case.shape, rng):
            x = rng.standard_normal(case.shape, np.float32).astype(float)
            x[place] = value
            out = pool(kind, case, to(x.astype(dtype), data_format), data_format)
            assert_alike(out, to(pooled(kind, case, x), data_format))


def test_winograd_spreads_what_it_says():
    """Asked for by name, an infinity may reach outputs up to five positions away, and none beyond."""
    case = make_case((24, 24), 16, 16)
    arrays = [a.astype(np.float32) for a in operands(case)]
    plain = run(case, arrays, algorithm="winograd")
    arrays[0][0, 12, 12, 3] = np.inf
    touched = ~np.isfinite(run(case, arrays, algorithm="winograd"))
    far = np.ones(24, bool)
    far[12 - 5 : 12 + 6] = False
    assert not touched[1].any()
    assert not touched[0, far].any() and not touched[0, :, far].any()
    out = run(case, arrays, algorithm="winograd")
    np.testing.assert_array_equal(out[0, far], plain[0, far])
