"""Winograd's convolution: right on every shape, and the same to the bit however it is cut."""

import numpy as np
import pytest
from cases import Case, assert_close, each, operands, reference_result, run, to_format
from winograd_cases import LARGE_BLOCKS, SMALL_BLOCKS, SPREAD, TOLERANCE, by_dtype, call_of, make_case, winograd

from numbaconv import functional, layers
from numbaconv.calls.winograd import WinogradCall
from numbaconv.kernels.plan.axes import BLOCK, H, W
from numbaconv.kernels.plan.host import HOST
from numbaconv.kernels.winograd import weights as winograd_weights
from numbaconv.kernels.winograd.points import SCHEMES
from numbaconv.kernels.winograd.products import conv_winograd, spread_patches
from numbaconv.kernels.winograd.weights import pack_winograd
from numbaconv.machine.vectors import SLIM_ROWS, panel_width

OUTPUTS = [(1, 1), (2, 5), (3, 4), (4, 2), (5, 3), (6, 8), (9, 7), (14, 13)]
# Patches that fill tasks and chunks of them unevenly, and channels and filters that fill no vector.
UNEVEN = [
    make_case((9, 10), 16, 33),
    make_case((13, 29), 15, 33),
    make_case((31, 30), 5, 40, "valid"),
    make_case((14, 14), 64, 96, batch=1),
    make_case((7, 6), 64, 40, batch=9),
    make_case((3, 5), 20, 33, batch=31),
    make_case((9, 11), 17, 33, taps=5),
    make_case((13, 29), 15, 33, dilation_rate=2),
    make_case((10, 27), 19, panel_width(4, 1), taps=5),
    Case("1x3", "conv", (2, 3, 30, 15), (1, 3), 33, settings={"padding": "same"}),
    Case("1x5", "conv", (1, 4, 31, 70), (1, 5), 20),
    Case("1d", "conv", (3, 61, 20), (3,), 40, settings={"padding": "causal", "dilation_rate": 3}),
]
# Phases of unequal lengths, phases that have no output, and taps that all but the middle one miss the image.
DILATED = [
    make_case(lengths, channels, 35, padding, taps=taps, dilation_rate=dilation_rate)
    for lengths, channels in (((9, 14), 19), ((5, 4), 3), ((2, 7), 16))
    for dilation_rate in (2, (1, 3), (3, 1), (4, 9), (20, 30))
    for padding in ("valid", "same")
    for taps in (3, 5)
]
# Strides 1 where "auto" is Winograd's: the convolution of the flipped kernel, and more of it with "valid".
TRANSPOSED = [
    make_case(lengths, channels, 35, padding, taps=taps, operation="conv_transpose", dilation_rate=dilation_rate)
    for lengths, channels, taps, dilation_rate in (
        ((12, 14), 19, 3, 1),
        ((20, 22), 16, 5, 1),
        ((22, 22), 17, 3, (2, 1)),
        ((16, 12), 16, 5, (2, 3)),
    )
    for padding in ("valid", "same")
]


def assert_right(case, dtype):
    arrays = operands(case)
    given = [a.astype(dtype) for a in arrays]
    out = winograd(case, given)
    assert out.dtype == dtype
    assert_close(out, reference_result(case, arrays), TOLERANCE[dtype])
    first = winograd(case, [to_format(given[0], "channels_first"), *given[1:]], "channels_first")
    assert first.tobytes() == to_format(out, "channels_first").tobytes()


@pytest.mark.parametrize("filters", [1, 33, 77])
@pytest.mark.parametrize("channels", [1, 15, 16, 45])
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("lengths", OUTPUTS)
@pytest.mark.parametrize("taps", [3, 5])
@by_dtype
def test_each_size_matches_the_reference(lengths, taps, padding, channels, filters, dtype):
    assert_right(make_case(lengths, channels, filters, padding, taps=taps), dtype)


@each(DILATED)
@by_dtype
def test_dilation_matches_the_reference(case, dtype):
    assert_right(case, dtype)


@each(TRANSPOSED)
def test_transposed_with_strides_1_matches_the_reference(case):
    call, arrays = call_of(case), operands(case)
    assert isinstance(call, WinogradCall)
    assert not isinstance(call_of(case, "float64"), WinogradCall)
    wanted = reference_result(case, arrays)
    x, weights, bias = (a.astype(np.float32) for a in arrays)
    out = run(case, [x, weights, bias])
    assert_close(out, wanted, TOLERANCE["float32"])
    packed = functional.pack_conv_transpose(weights, 1, case.setting("dilation_rate"))
    assert run(case, [x, packed, bias]).tobytes() == out.tobytes()
    first = run(case, [to_format(x, "channels_first"), weights, bias], "channels_first")
    assert first.tobytes() == to_format(out, "channels_first").tobytes()
    settings = {**case.settings, "weights": [weights, bias]}
    assert layers.Conv2DTranspose(case.filters, case.kernel_size, **settings)(x).tobytes() == out.tobytes()
    if case.settings["padding"] == "same":
        # An odd kernel lies alike either way round: not a bit differs from the convolution that it is.
        flipped = weights[::-1, ::-1].swapaxes(2, 3)
        settings = {**case.settings, "algorithm": "winograd"}
        assert functional.conv(x, flipped, bias, **settings).tobytes() == out.tobytes()


@pytest.mark.double
@each(TRANSPOSED)
def test_transposed_of_float64_is_the_direct_sum(case):
    assert_close(run(case, operands(case)), reference_result(case, operands(case)), 1e-12)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("taps", "dilation_rate"), [(3, 1), (5, 1), (3, 2), (5, (3, 20))])
@by_dtype
def test_empty_batch(padding, taps, dilation_rate, dtype):
    case = make_case((5, 9), 16, 33, padding, batch=0, taps=taps, dilation_rate=dilation_rate)
    out = winograd(case, operands(case, dtype))
    assert (out.shape, out.dtype) == ((0, 5, 9, 33), dtype)


@pytest.mark.parametrize(("taps", "dilation_rate"), [(3, (1, 1, 1)), (5, (1, 1, 1)), (3, (2, 3, 2)), (5, (3, 1, 2))])
@pytest.mark.parametrize("depth_stride", [1, 2])
@by_dtype
def test_three_axes_with_one_tap_along_depth(depth_stride, taps, dilation_rate, dtype):
    settings = {"padding": "same", "strides": (depth_stride, 1, 1), "dilation_rate": dilation_rate}
    case = Case("winograd 3d", "conv", (2, 3, 7, 6, 5), (1, taps, taps), 20, settings=settings)
    out = winograd(case, operands(case, dtype))
    assert_close(out, reference_result(case, operands(case)), TOLERANCE[dtype])


def depth_case(taps, padding, dilation_rate=1, shape=(2, 3, 7, 6, 5), filters=20, operation="conv"):
    settings = {"padding": padding, "dilation_rate": dilation_rate}
    return Case(f"{operation} {taps} {padding} {dilation_rate}", operation, shape, taps, filters, settings=settings)


DEPTHS = [
    depth_case((3, 3, 3), "same"),
    depth_case((2, 3, 3), "same"),
    depth_case((4, 5, 5), "same", (2, 1, 1)),
    depth_case((3, 3, 3), "same", (1, 2, 1)),
    depth_case((3, 3, 3), "valid", (2, 1, 1), (1, 6, 7, 9, 70), 33),
    depth_case((3, 5, 5), "valid", 1, (2, 3, 9, 9, 16), 35),
    depth_case((5, 3, 3), "same", (1, 1, 3), (1, 2, 4, 9, 17)),
]


@each(DEPTHS)
@by_dtype
def test_taps_along_depth_are_summed_up(case, dtype):
    assert_right(case, dtype)


def test_transposed_along_three_axes():
    case = depth_case((3, 3, 3), "same", shape=(1, 4, 12, 12, 16), operation="conv_transpose")
    assert isinstance(call_of(case), WinogradCall)
    out = run(case, [a.astype(np.float32) for a in operands(case)])
    assert_close(out, reference_result(case, operands(case)), TOLERANCE["float32"])


@each(DEPTHS[::3])
def test_threads_do_not_change_a_bit_of_three_axes(case, recut, poisoned):
    arrays = operands(case, "float32")
    usual = winograd(case, arrays)
    for knobs in (SMALL_BLOCKS, LARGE_BLOCKS, {"threads": 16}):
        recut(knobs)
        assert winograd(case, arrays).tobytes() == usual.tobytes()


@each(UNEVEN)
@by_dtype
def test_blocks_threads_and_tile_heights_do_not_change_a_bit(case, dtype, recut, each_thread_count):
    arrays = operands(case, dtype)
    usual = winograd(case, arrays)
    heights = HOST.winograd_rows
    for knobs in ({}, SMALL_BLOCKS, LARGE_BLOCKS, *({"winograd_rows": (height,)} for height in heights)):
        recut({"winograd_rows": heights, **knobs})
        for _ in each_thread_count():
            for _ in range(2):
                assert winograd(case, arrays).tobytes() == usual.tobytes()


@each(UNEVEN)
@pytest.mark.parametrize(
    ("dtype", "data_format"),
    [
        ("float32", "channels_last"),
        pytest.param("float32", "channels_first", marks=pytest.mark.slow),
        pytest.param("float64", "channels_last", marks=pytest.mark.slow),
        ("float64", "channels_first"),
    ],
)
def test_an_input_transformed_beforehand_does_not_change_a_bit(case, dtype, data_format, recut, poisoned):
    x, *weights = operands(case, dtype)
    arrays = to_format(x, data_format), *weights
    usual = winograd(case, arrays, data_format)
    # One height is one kernel to compile.
    for knobs in ({}, SMALL_BLOCKS):
        recut({"winograd_rows": HOST.winograd_rows[:1], **SPREAD, **knobs})
        assert call_of(case, dtype, "winograd").work.spreads is not None
        assert winograd(case, arrays, data_format).tobytes() == usual.tobytes()


def test_the_knobs_cut_as_they_say(recut):
    def blocks_of(case):
        # The first phase of a dilation is the longest.
        plan = call_of(case, algorithm="winograd").work.plans[0]
        return plan[[H, W], BLOCK].tolist()

    recut(SMALL_BLOCKS)
    assert [blocks_of(case) for case in UNEVEN] == [[1, 1]] * len(UNEVEN)
    recut(LARGE_BLOCKS)
    large = [[3, 3], [4, 8], [8, 8], [4, 4], [2, 2], [1, 2], [5, 6], [2, 4], [5, 14], [3, 8], [4, 14], [1, 6]]
    assert [blocks_of(case) for case in UNEVEN] == large


def test_every_tile_height_is_chosen_somewhere():
    calls = (call_of(case, algorithm="winograd") for case in (*UNEVEN, make_case((56, 56), 64, 64, batch=1)))
    chosen = {len(call.work.tile_shape) for call in calls}
    assert chosen == {*HOST.winograd_rows, SLIM_ROWS}


@pytest.mark.parametrize("lengths", OUTPUTS)
@pytest.mark.parametrize(("taps", "dilation_rate"), [(3, 1), (5, 1), (3, (2, 3)), (5, (20, 2))])
@by_dtype
def test_every_output_is_written(lengths, taps, dilation_rate, dtype, poisoned):
    case = make_case(lengths, 7, 39, taps=taps, dilation_rate=dilation_rate)
    assert np.isfinite(winograd(case, operands(case, dtype))).all()


@each(TRANSPOSED)
def test_every_output_of_a_transposed_convolution_is_written(case, poisoned):
    assert np.isfinite(run(case, operands(case, "float32"))).all()


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(("taps", "dilation_rate"), [(3, (1, 1)), (5, (1, 1)), (3, (2, 3)), (5, (4, 1))])
@by_dtype
def test_an_infinity_stays_within_its_patches(value, padding, taps, dilation_rate, dtype):
    case = make_case((19, 22), 16, 20, padding, taps=taps, dilation_rate=dilation_rate)
    x, weights, bias = operands(case, dtype)
    clean, exact = winograd(case, [x, weights, bias]), run(case, [x, weights, bias], algorithm="direct")
    befores = [(taps - 1) // 2 * d if padding == "same" else 0 for d in dilation_rate]

    def reach(length, at, dilation, before):
        """Outputs whose patches read this input, and those alone that lie at most five steps of the dilation away."""
        phase, q = np.arange(length) % dilation, np.arange(length) // dilation
        outputs = SCHEMES[taps].outputs
        steps, rest = np.divmod(at + before - phase - q // outputs * outputs * dilation, dilation)
        near = abs(np.arange(length) + (taps - 1) // 2 * dilation - before - at) <= 5 * dilation
        return (rest == 0) & (steps >= 0) & (steps <= 5), near

    for place in ((0, 0), (9, 8), (7, 11), (x.shape[1] - 1, x.shape[2] - 1)):
        spoilt = x.copy()
        spoilt[(1, *place, 3)] = value
        out = winograd(case, [spoilt, weights, bias])
        axes = zip((19, 22), place, dilation_rate, befores, strict=True)
        (rows, near_rows), (columns, near_columns) = (reach(*axis) for axis in axes)
        far = np.ones((2, 19, 22), bool)
        far[1] = ~np.outer(rows, columns)
        assert out[far].tobytes() == clean[far].tobytes()
        assert_close(out[far], exact[far], TOLERANCE[dtype])
        # As documented.
        assert far[1][~np.outer(near_rows, near_columns)].all()
        window = np.isnan(run(case, [np.where(np.isfinite(spoilt), spoilt, np.nan), weights, bias], algorithm="direct"))
        assert window.any()
        assert not np.isfinite(out[window]).any()


@pytest.mark.parametrize("taps", [3, 5])
@by_dtype
def test_packed_weights_serve_both_algorithms(dtype, taps):
    case = make_case((9, 11), 20, 35, taps=taps)
    x, weights, bias = operands(case, dtype)
    packed = functional.pack_conv(weights)
    for algorithm in ("winograd", "direct", "winograd", "auto"):
        plain = run(case, [x, weights, bias], algorithm=algorithm)
        assert run(case, [x, packed, bias], algorithm=algorithm).tobytes() == plain.tobytes()


@by_dtype
@pytest.mark.parametrize("backwards", [False, True])
def test_weights_are_transformed_alike_on_all_cores(dtype, backwards, monkeypatch):
    weights = np.random.default_rng(0).standard_normal((1, 5, 5, 19, 40)).astype(dtype)
    alone = pack_winograd(weights, backwards)
    monkeypatch.setattr(winograd_weights, "SMALL_WEIGHTS", 0)
    together = pack_winograd(weights, backwards)
    assert together.panels.tobytes() == alone.panels.tobytes()
    assert together.limits == alone.limits


def test_compiled_for_two_dtypes_and_the_tile_heights_only():
    formats = 2
    inputs = 2  # The image, or what threads transformed of it.
    assert len(conv_winograd.dispatcher.signatures) <= 2 * inputs * formats * len({*HOST.winograd_rows, SLIM_ROWS})
    assert len(spread_patches.dispatcher.signatures) <= 2 * formats
