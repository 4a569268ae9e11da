"""Convolutions by themselves are right for any finite input: where Winograd's sums would not be, plain ones are."""

import numpy as np
import pytest
from cases import Case, run
from hypothesis import given, settings
from hypothesis import strategies as st
from winograd_cases import LARGE_BLOCKS, SMALL_BLOCKS, SPREAD, call_of, is_winograd, make_case, winograd

from numbaconv import functional
from numbaconv.calls.conv import conv_call
from numbaconv.calls.epilogue import epilogue_of
from numbaconv.calls.window import window_of
from numbaconv.kernels.plan.host import HOST
from numbaconv.kernels.winograd.points import SCHEMES
from numbaconv.kernels.winograd.products import conv_winograd

LAST, FIRST = "channels_last", "channels_first"
# What an output may be wrong by, as a share of the sum of |x| over its own window times the filter's largest weight.
ALLOWED = 1e-4

INPUTS = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "half zeros": lambda rng, shape: np.maximum(rng.standard_normal(shape), 0),
    "outliers": lambda rng, shape: rng.standard_normal(shape) * 1e6 ** (rng.random(shape) < 1e-3),
    "a fill value": lambda rng, shape: np.where(rng.random((*shape[:-1], 1)) < 0.01, 1e20, rng.standard_normal(shape)),
    "sparse": lambda rng, shape: rng.random(shape) * 1000 * (rng.random((*shape[:-1], 1)) < 0.02),
    "sparse channels": lambda rng, shape: rng.standard_normal(shape) * (rng.random(shape) < 0.01),
    "empty": lambda rng, shape: np.zeros(shape),
    "one value": lambda rng, shape: np.eye(1, np.prod(shape), rng.integers(np.prod(shape))).reshape(shape) * 1e-4,
    "half empty": lambda rng, shape: rng.random(shape) * (np.arange(shape[1]) < rng.integers(shape[1]))[:, None, None],
    "any range": lambda rng, shape: rng.standard_normal(shape) * 10.0 ** rng.uniform(-18, 18, (*shape[:-1], 1)),
    "huge": lambda rng, shape: rng.standard_normal(shape) * 1e35,
    "tiny": lambda rng, shape: rng.standard_normal(shape) * 1e-28,
    "alike in all channels": lambda rng, shape: np.broadcast_to(rng.random((*shape[:-1], 1)), shape),
    "a slope": lambda rng, shape: np.exp(np.arange(shape[1])[:, None, None] * rng.uniform(0, 3) + rng.random(shape)),
}
KERNELS = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "ones": lambda rng, shape: np.ones(shape),
    "signs": lambda rng, shape: rng.choice([-1.0, 1.0], shape),
    "one tap": lambda rng, shape: np.where(np.arange(shape[0])[:, None, None, None] == 1, rng.random(shape), 0),
    "filters of other sizes": lambda rng, shape: rng.standard_normal(shape) * 10.0 ** rng.uniform(-6, 0, shape[-1]),
    "small": lambda rng, shape: rng.standard_normal(shape) * 1e-25,
}
SETTINGS = {
    "same": {"padding": "same"},
    "valid": {"padding": "valid"},
    "dilated": {"padding": "same", "dilation_rate": (2, 1)},
}


def result(operation, x, weights, bias, data_format, **settings):
    """One of four operations that run as Winograd's, of a channels-last input, channels last again."""
    to, back = ((lambda a: a), (lambda a: a)) if data_format == LAST else (planes, lambda a: np.moveaxis(a, 1, -1))
    settings["data_format"] = data_format
    if operation == "conv":
        return back(functional.conv(to(x), weights, bias, **settings))
    if operation == "conv_transpose":
        return back(functional.conv_transpose(to(x), weights, bias, **settings))
    # An input whose gradient this is: the windows of x and of the result are the same.
    reach = 0 if settings["padding"] == "same" else 1
    grow = reach if operation == "conv_input_grad" else -reach
    dilation = np.broadcast_to(settings.get("dilation_rate", 1), 2)
    lengths = [n + grow * (k - 1) * d for n, k, d in zip(x.shape[1:3], weights.shape, dilation, strict=False)]
    like = np.empty((len(x), *lengths, weights.shape[2 if operation == "conv_input_grad" else 3]), x.dtype)
    gradient = getattr(functional, operation)
    return back(gradient(to(x), weights, to(like).shape, **settings))


def planes(array):
    return np.ascontiguousarray(np.moveaxis(array, -1, 1))


def largest_error(operation, x, weights, out, **settings):
    """The largest error of ``out`` as a share of what it may be."""
    x, weights = x.astype(np.float64), weights.astype(np.float64)
    backwards = operation in ("conv_transpose", "conv_input_grad")
    axes = (0, 1, 3) if backwards else (0, 1, 2)
    largest = np.abs(weights).max(axes)
    exact = result(operation, x, weights, None, LAST, **settings)
    window = np.ones_like(weights[:, :, :1] if backwards else weights[..., :1])
    sums = result(operation, np.abs(x), window, None, LAST, **settings)
    # Products too small for float32 are nobody's fault.
    allowed = ALLOWED * sums * largest + x.size * 2.0**-149
    fits = sums * largest < np.finfo(np.float32).max
    return float((np.abs(out - exact) / allowed)[fits].max(initial=0))


@pytest.mark.double
@pytest.mark.parametrize("taps", [3, 5])
@pytest.mark.parametrize("operation", ["conv", "conv_transpose", "conv_input_grad", "conv_transpose_input_grad"])
@settings(max_examples=60)
@given(
    kind=st.sampled_from(sorted(INPUTS)),
    weights_kind=st.sampled_from(sorted(KERNELS)),
    setting=st.sampled_from(sorted(SETTINGS)),
    data_format=st.sampled_from([LAST, FIRST]),
    channels=st.sampled_from([16, 70]),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_error_is_small_beside_the_inputs_of_its_own_window(
    operation, taps, kind, weights_kind, setting, data_format, channels, seed
):
    if operation.startswith("conv_transpose"):
        # Dilated and strided, these are other kernels' work.
        setting = "same" if setting == "dilated" else setting
    rng = np.random.default_rng(seed)
    filters = 18
    x = INPUTS[kind](rng, (2, 20, 36, channels)).astype(np.float32)
    backwards = operation in ("conv_transpose", "conv_input_grad")
    shape = (taps, taps, *((filters, channels) if backwards else (channels, filters)))
    weights = KERNELS[weights_kind](rng, shape).astype(np.float32)
    out = result(operation, x, weights, None, data_format, **SETTINGS[setting])
    assert largest_error(operation, x, weights, out, **SETTINGS[setting]) <= 1


@pytest.mark.parametrize("channels", [16, 64])
def test_counts_are_not_negative_and_empty_ground_is_the_bias(channels):
    rng = np.random.default_rng(0)
    x = INPUTS["sparse"](rng, (1, 56, 56, channels)).astype(np.float32)
    weights, bias = np.ones((3, 3, channels, channels), np.float32), np.full(channels, 0.1, np.float32)
    out = functional.conv(x, weights, bias, padding="same", data_format=LAST)
    empty = functional.conv(x, weights, padding="same", data_format=LAST, algorithm="direct") == 0
    assert empty.any()
    assert (out[empty] == bias[0]).all()
    assert (functional.conv(x, weights, padding="same", data_format=LAST) >= 0).all()


@pytest.mark.parametrize("value", [1e4, 1e6, 1e20])
@pytest.mark.parametrize("data_format", [LAST, FIRST])
def test_a_pixel_spoils_nothing_that_it_does_not_touch(value, data_format):
    case = make_case((56, 56), 32, 32, batch=1)
    x, weights, bias = arrays(case)
    clean = result("conv", x, weights, bias, data_format, padding="same")
    x[0, 28, 28, 0] = value
    touched = np.zeros((56, 56), bool)
    touched[27:30, 27:30] = True
    out = result("conv", x, weights, bias, data_format, padding="same")
    assert np.abs(out - clean)[0, ~touched].max() <= 2e-5 * np.abs(clean).max()


@pytest.mark.double
@pytest.mark.parametrize("taps", [3, 5])
def test_slices_of_volumes_are_as_right_as_images(taps):
    rng = np.random.default_rng(0)
    for kind in ("outliers", "sparse", "half empty", "a fill value"):
        x = INPUTS[kind](rng, (6, 20, 36, 16)).astype(np.float32).reshape(2, 3, 20, 36, 16)
        weights = rng.standard_normal((1, taps, taps, 16, 18)).astype(np.float32)
        case = Case("", "conv", x.shape, (1, taps, taps), 18, 1, {"padding": "same"})
        assert is_winograd(call_of(case))
        out = run(case, [x, weights, None])
        slices, each = x.reshape(6, *x.shape[2:]), out.reshape(6, *out.shape[2:])
        assert largest_error("conv", slices, weights[0], each, padding="same") <= 1


def arrays(case, seed=0):
    rng = np.random.default_rng(seed)
    weights = rng.standard_normal((*case.kernel_size, case.channels, case.filters))
    both = rng.standard_normal(case.shape), weights, rng.standard_normal(case.filters)
    return [a.astype(np.float32) for a in both]


@pytest.mark.parametrize("taps", [3, 5])
@pytest.mark.parametrize("kind", ["normal", "half zeros", "empty"])
def test_ordinary_inputs_are_winograds_throughout(kind, taps):
    case = make_case((26, 33), 32, 40, taps=taps)
    _, weights, bias = arrays(case)
    x = INPUTS[kind](np.random.default_rng(1), case.shape).astype(np.float32)
    assert is_winograd(call_of(case))
    assert run(case, [x, weights, bias]).tobytes() == winograd(case, [x, weights, bias]).tobytes()


@pytest.mark.parametrize("dilation_rate", [1, (1, 2)])
@pytest.mark.parametrize("taps", [3, 5])
def test_blocks_threads_and_formats_do_not_change_a_bit_of_uneven_inputs(taps, dilation_rate, recut, each_thread_count):
    case = make_case((22, 62), 20, 18, taps=taps, dilation_rate=dilation_rate)
    x, weights, bias = arrays(case)
    x[0, 5, 7, 3], x[1, 9:, 30:], x[1, 15, 45] = 1e8, 0, 1
    usual = run(case, [x, weights, bias])
    direct = run(case, [x, weights, bias], algorithm="direct")
    plain = (usual == direct).all(-1)
    # Pieces of rows are computed anew, not the image.
    assert plain[0, 5, 7]
    assert plain[1, 15, 45]
    assert not plain[0, :, 40:].all()
    assert not plain[1, :4].all()
    assert run(case, [planes(x), weights, bias], FIRST).tobytes() == planes(usual).tobytes()
    for knobs in ({}, SMALL_BLOCKS, LARGE_BLOCKS, {"winograd_rows": HOST.winograd_rows[:1], **SPREAD}):
        recut(knobs)
        for _ in each_thread_count():
            assert run(case, [x, weights, bias]).tobytes() == usual.tobytes()


@pytest.mark.double
@settings(max_examples=20)
@given(kind=st.sampled_from(sorted(INPUTS)), channels=st.sampled_from([16, 70]), seed=st.integers(0, 2**32 - 1))
def test_errors_of_taps_along_depth(kind, channels, seed):
    rng = np.random.default_rng(seed)
    # Each plane of its own kind.
    x = np.stack([INPUTS[k](rng, (2, 16, 12, channels)) for k in (kind, "normal", kind, "half zeros", kind)], 1)
    x, weights = x.astype(np.float32), rng.standard_normal((3, 3, 3, channels, 18)).astype(np.float32)
    assert is_winograd(conv_call(x.shape, weights.shape, 4, window_of((3, 3, 3), padding="same"), "auto"))
    out, double = functional.conv(x, weights, padding="same"), weights.astype(np.float64)
    exact = functional.conv(x.astype(np.float64), double, padding="same")
    sums = functional.conv(np.abs(x).astype(np.float64), np.ones((3, 3, 3, channels, 1)), padding="same")
    allowed = ALLOWED * sums * np.abs(double).max((0, 1, 2, 3)) + x.size * 2.0**-149
    fits = np.broadcast_to(sums * np.abs(double).max() < np.finfo(np.float32).max, out.shape)
    assert (np.abs(out - exact) <= allowed)[fits].all()


def test_a_value_that_stands_out_spoils_no_plane_that_meets_it():
    rng = np.random.default_rng(0)
    x, weights = rng.standard_normal((1, 6, 12, 24, 16), np.float32), rng.standard_normal((3, 3, 3, 16, 16), np.float32)
    usual, direct = (functional.conv(x, weights, padding="same", algorithm=a) for a in ("auto", "direct"))
    x[0, 2, 5, 5, 3] = np.nan
    out, plain = (functional.conv(x, weights, padding="same", algorithm=a) for a in ("auto", "direct"))
    assert (np.isnan(out) == np.isnan(plain)).all()
    # Rows of the patch in the planes that its taps reach; others are as they were.
    assert out[:, 1:4, 4:8, :12].tobytes() == plain[:, 1:4, 4:8, :12].tobytes()
    assert out[:, [0, 4, 5]].tobytes() == usual[:, [0, 4, 5]].tobytes() != direct[:, [0, 4, 5]].tobytes()


@pytest.mark.parametrize("taps", [3, 5])
@pytest.mark.parametrize("lengths", [(9, 9), (14, 33), (4, 64)])
def test_doubtful_patches_are_those_of_the_rule(lengths, taps):
    case = make_case(lengths, 17, 16, taps=taps)
    rng = np.random.default_rng(0)
    x = rng.standard_normal(case.shape) * 10.0 ** rng.uniform(0, 3, (*case.shape[:-1], 1))
    x = (x * (rng.random((*case.shape[:-1], 1)) < 0.7)).astype(np.float32)
    call = call_of(case, algorithm="winograd")
    (part,) = call.phases
    size, before = SCHEMES[taps].outputs, taps // 2
    magnitudes = np.zeros((len(x), *(size * n + 6 for n in part.patches[2:])))
    magnitudes[:, before : before + lengths[0], before : before + lengths[1]] = np.abs(x).sum(-1, dtype=np.float64)
    ratios = np.empty(part.patches)
    for n, _, row, column in np.ndindex(part.patches):
        y, z = row * size, column * size
        outputs = np.ndindex(min(size, lengths[0] - y), min(size, lengths[1] - z))
        least = min(magnitudes[n, y + i : y + i + taps, z + j : z + j + taps].sum() for i, j in outputs)
        ratios[n, 0, row, column] = (magnitudes[n, y : y + 6, z : z + 6] ** 2).sum() / max(least, 1e-9) ** 2
    doubtful, limit = np.zeros(part.patches, bool), np.sort(ratios, axis=None)[ratios.size // 2] * 1.0001
    out, weights = np.empty((*x.shape[:-1], 16), np.float32), np.ones((taps, taps, 17, 16), np.float32)
    conv_winograd(
        x[:, None],
        functional.pack_conv(weights).winograd.panels,
        epilogue_of(np.zeros(32, np.float32)),
        (limit, 1e-30, 1e36),
        out.reshape(-1),
        doubtful.reshape(-1),
        call.work.tile_shape,
        call.work.plans,
    )
    assert (doubtful == (ratios > limit)).all()
    assert 0.3 < doubtful.mean() < 0.7


@pytest.mark.double
@pytest.mark.parametrize("taps", [3, 5])
@pytest.mark.parametrize("channels", [16, 64, 200])
@pytest.mark.parametrize("weights_kind", ["ones", "signs", "halves", "normal", "half empty", "one larger"])
def test_rounding_errors_are_those_that_the_limits_assume(weights_kind, channels, taps):
    """The worst kind of input that was found: few positions, the same value in all channels, so roundings add up."""
    rng = np.random.default_rng(0)
    shape = (taps, taps, channels, 16)
    numbers = np.arange(channels)[:, None]
    kinds = {
        **KERNELS,
        "halves": lambda rng, shape: rng.choice([0.5, 1.0], shape),
        "half empty": lambda rng, shape: np.ones(shape) * (numbers < 0.55 * channels),
        "one larger": lambda rng, shape: np.where(numbers, 0.74, 1.0) * np.ones(shape),
    }
    weights = kinds[weights_kind](rng, shape).astype(np.float32)
    x = rng.random((400, 6, 6, 1)) * 10.0 ** rng.integers(-2, 1, (400, 6, 6, 1)) * (rng.random((400, 6, 6, 1)) < 0.3)
    x[:, 2, 2] += 1e-6
    x = (x * rng.choice([-1, 1], x.shape) * np.ones(channels)).astype(np.float32)
    x[::2] *= np.sign(weights[1, 1, :, 0])
    if weights_kind == "one larger":
        x[..., 0] = 0
    packed = functional.pack_conv(weights)
    out = functional.conv(x, packed, padding="valid", data_format=LAST, algorithm="winograd")
    exact = functional.conv(x.astype(np.float64), weights.astype(np.float64), padding="valid", data_format=LAST)
    roots = np.sqrt((np.abs(x).sum(-1, dtype=np.float64) ** 2).sum((1, 2)))
    error = (np.abs(out - exact) / np.abs(weights).max((0, 1, 2))).max((1, 2, 3))
    # The allowed error, divided by the largest multiple of the least sum that the root may be.
    assert (error / roots).max() <= ALLOWED / np.sqrt(packed.winograd.limits[0])


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e38, 1e-35])
def test_weights_that_leave_no_room_are_for_the_plain_sum(value):
    case = make_case((16, 16), 16, 16)
    x, weights, bias = arrays(case)
    weights[..., 3] = 0
    weights[1, 1, 4, 3] = value
    assert functional.pack_conv(weights).winograd.limits is None
    with np.errstate(over="ignore"):
        assert run(case, [x, weights, bias]).tobytes() == run(case, [x, weights, bias], algorithm="direct").tobytes()


def test_filters_of_zeros_leave_room():
    case = make_case((16, 16), 16, 16)
    x, weights, bias = arrays(case)
    weights[..., 3] = 0
    assert functional.pack_conv(weights).winograd.limits is not None
    assert (run(case, [x, weights, bias])[..., 3] == bias[3]).all()
    weights[...] = 0
    assert (run(case, [x, weights, bias]) == bias).all()
