"""Winograd's convolution: right on every shape, chosen by shapes alone, and the same to the bit however it is cut."""

import copy
import pickle

import numpy as np
import pytest
from cases import FORMATS, Case, assert_close, operands, reference_result, run, to_format

from numbaconv import calls, functional, layers
from numbaconv.kernels import plan
from numbaconv.kernels.winograd import conv_winograd

# Of the largest |output|.
TOLERANCE = {"float32": 2e-5, "float64": 1e-11}
SMALL_BLOCKS = {"TASK_COST": 0, "CORES": (10**6,)}
LARGE_BLOCKS = {"TASK_COST": 10**12, "CORES": (1,), "SPREAD_BYTES": 2**40}
OUTPUTS = [(1, 1), (2, 5), (3, 4), (4, 2), (5, 3), (6, 8), (9, 7), (14, 13)]
by_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


def make_case(lengths, channels, filters, padding="same", batch=2, **settings):
    """A 3x3 convolution with so many output positions."""
    shape = (batch, *(n + 2 * (padding == "valid") for n in lengths), channels)
    name = f"{shape} {filters} {padding}"
    return Case(name, "conv", shape, (3, 3), filters, settings={"padding": padding, **settings})


# Blocks that fill tasks and chunks of them unevenly, and channels and filters that fill no vector.
UNEVEN = [
    make_case((9, 10), 16, 33),
    make_case((13, 29), 15, 33),
    make_case((31, 30), 5, 40, "valid"),
    make_case((14, 14), 64, 96, batch=1),
]
# Shapes that "auto" computes as Winograd's: the fewest and the most channels, and few and many outputs.
CHOSEN = [
    make_case((14, 14), 256, 256, batch=1),
    make_case((16, 16), 256, 64, batch=1),
    make_case((8, 16), 256, 32, "valid", batch=2),
    make_case((12, 12), 255, 16, batch=1),
    make_case((28, 28), 128, 48, batch=1),
    make_case((30, 30), 16, 16, "valid", batch=1),
    make_case((56, 56), 64, 64, batch=1),
]


def each(cases):
    return pytest.mark.parametrize("case", cases, ids=[case.name.replace(" ", "_") for case in cases])


def call_of(case, dtype="float32", algorithm="auto"):
    """The prepared call of a case."""
    settings = (case.setting("strides"), case.settings["padding"], case.setting("dilation_rate"), "channels_last")
    weights = (*case.kernel_size, case.channels, case.filters)
    return calls.conv_call(case.shape, weights, np.dtype(dtype).itemsize, *settings, algorithm)


def winograd(case, arrays, data_format="channels_last"):
    return run(case, arrays, data_format, algorithm="winograd")


@pytest.mark.parametrize("filters", [1, 33, 77])
@pytest.mark.parametrize("channels", [1, 15, 16, 45])
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("lengths", OUTPUTS)
def test_matches_the_reference(lengths, padding, channels, filters):
    case = make_case(lengths, channels, filters, padding)
    arrays = operands(case)
    wanted = reference_result(case, arrays)
    for dtype, tolerance in TOLERANCE.items():
        given = [a.astype(dtype) for a in arrays]
        out = winograd(case, given)
        assert out.dtype == dtype
        assert_close(out, wanted, tolerance)
        first = winograd(case, [to_format(given[0], "channels_first"), *given[1:]], "channels_first")
        assert first.tobytes() == to_format(out, "channels_first").tobytes()


@pytest.mark.parametrize("padding", ["valid", "same"])
@by_dtype
def test_empty_batch(padding, dtype):
    case = make_case((5, 9), 16, 33, padding, batch=0)
    out = winograd(case, operands(case, dtype))
    assert (out.shape, out.dtype) == ((0, 5, 9, 33), dtype)


@pytest.mark.parametrize("depth_stride", [1, 2])
def test_three_axes_with_one_tap_along_depth(depth_stride):
    settings = {"padding": "same", "strides": (depth_stride, 1, 1)}
    case = Case("winograd 3d", "conv", (2, 3, 7, 6, 5), (1, 3, 3), 20, settings=settings)
    arrays = operands(case)
    assert_close(winograd(case, arrays), reference_result(case, arrays), TOLERANCE["float64"])


@each(CHOSEN)
def test_error_where_auto_chooses_it(case):
    assert call_of(case).winograd
    assert not call_of(case, "float64").winograd
    for seed in range(4):
        rng = np.random.default_rng(seed)
        shapes = case.shape, (3, 3, case.channels, case.filters)
        arrays = [rng.standard_normal(shape, np.float32) for shape in shapes]
        # In float64 the direct kernel, which has tests of its own, is exact enough and fast.
        exact = run(case, [a.astype(np.float64) for a in arrays])
        out = run(case, arrays)
        assert_close(out, exact, 2e-5)
        assert out.tobytes() == winograd(case, arrays).tobytes() != run(case, arrays, algorithm="direct").tobytes()


NOT_CHOSEN = {
    "few channels": make_case((16, 16), 15, 64),
    "many channels": make_case((16, 16), 257, 64),
    "few filters": make_case((16, 16), 64, 15),
    "few blocks": make_case((12, 8), 64, 64),
    "few blocks of many images": make_case((7, 7), 64, 64, batch=50),
    "blocks not full": make_case((5, 40), 64, 64),
    "strides": make_case((32, 32), 64, 64, strides=2),
    "dilation": make_case((32, 32), 64, 64, dilation_rate=2),
    "5x5": Case("5x5", "conv", (1, 32, 32, 64), (5, 5), 64, settings={"padding": "same"}),
    "3x1": Case("3x1", "conv", (1, 32, 32, 64), (3, 1), 64, settings={"padding": "same"}),
    "one axis": Case("1d", "conv", (1, 900, 64), (3,), 64, settings={"padding": "same"}),
    "three axes": Case("3d", "conv", (1, 4, 16, 16, 64), (3, 3, 3), 64, settings={"padding": "same"}),
}


@pytest.mark.parametrize("case", NOT_CHOSEN.values(), ids=NOT_CHOSEN)
def test_auto_is_direct_elsewhere(case):
    assert not call_of(case).winograd
    assert not call_of(case, "float64").winograd


def test_the_choice_depends_on_shapes_and_dtype_alone(recut, each_thread_count):
    for _ in each_thread_count():
        recut({})
        assert all(call_of(case).winograd for case in CHOSEN)
        for batch in (0, 1, 3, 64):
            assert call_of(make_case((16, 16), 64, 64, batch=batch)).winograd
    case = make_case((16, 12), 32, 32)
    x, *rest = operands(case, "float32")
    out = run(case, [x, *rest])
    assert out.tobytes() == winograd(case, [x, *rest]).tobytes()
    # Infinities and NaN do not turn it into the direct sum, and images do not meet.
    x[1] = np.nan
    assert run(case, [x, *rest])[0].tobytes() == out[0].tobytes() == run(case, [x[:1], *rest]).tobytes()
    x, *rest = operands(case, "float64")
    assert run(case, [x, *rest]).tobytes() == run(case, [x, *rest], algorithm="direct").tobytes()


@each(UNEVEN)
@by_dtype
def test_blocks_threads_and_tile_heights_do_not_change_a_bit(case, dtype, recut, each_thread_count):
    arrays = operands(case, dtype)
    usual = winograd(case, arrays)
    heights = plan.WINOGRAD_ROWS
    for knobs in ({}, SMALL_BLOCKS, LARGE_BLOCKS, *({"WINOGRAD_ROWS": (height,)} for height in heights)):
        recut({"WINOGRAD_ROWS": heights, **knobs})
        for _ in each_thread_count():
            for _ in range(2):
                assert winograd(case, arrays).tobytes() == usual.tobytes()


def test_the_knobs_cut_as_they_say(recut):
    def blocks_of(case):
        axes = call_of(case, algorithm="winograd").arguments[2]
        return axes[plan.H :, plan.BLOCK].tolist()

    recut(SMALL_BLOCKS)
    assert [blocks_of(case) for case in UNEVEN] == [[1, 1]] * len(UNEVEN)
    recut(LARGE_BLOCKS)
    assert [blocks_of(case) for case in UNEVEN] == [[3, 3], [4, 8], [8, 8], [4, 4]]


def test_every_tile_height_is_chosen_somewhere():
    chosen = {len(call_of(case, algorithm="winograd").arguments[1]) for case in (*UNEVEN, *CHOSEN)}
    assert chosen == set(plan.WINOGRAD_ROWS)


@pytest.mark.parametrize("lengths", OUTPUTS)
@by_dtype
def test_every_output_is_written(lengths, dtype, poisoned):
    case = make_case(lengths, 7, 39)
    assert np.isfinite(winograd(case, operands(case, dtype))).all()


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize(("padding", "before"), [("same", 1), ("valid", 0)])
@by_dtype
def test_an_infinity_stays_within_its_blocks(value, padding, before, dtype):
    case = make_case((19, 22), 16, 20, padding)
    x, weights, bias = operands(case, dtype)
    clean, exact = winograd(case, [x, weights, bias]), run(case, [x, weights, bias], algorithm="direct")
    for row, column in ((0, 0), (9, 8), (7, 11), (x.shape[1] - 1, x.shape[2] - 1)):
        spoilt = x.copy()
        spoilt[1, row, column, 3] = value
        out = winograd(case, [spoilt, weights, bias])
        y, z = np.arange(19)[:, None], np.arange(22)
        far = np.ones((2, 19, 22), bool)
        # The block of outputs 4b to 4b + 3 reads the inputs 4b - before to 4b - before + 5.
        (rows, columns) = (
            (a // 4 * 4 - before <= at) & (at <= a // 4 * 4 - before + 5) for a, at in ((y, row), (z, column))
        )
        far[1] = ~(rows & columns)
        assert out[far].tobytes() == clean[far].tobytes()
        assert_close(out[far], exact[far], TOLERANCE[dtype])
        # As documented: nothing farther than five positions away is touched.
        centre = row - 1 + before, column - 1 + before
        assert far[1][(abs(y - centre[0]) > 5) | (abs(z - centre[1]) > 5)].all()
        window = np.isnan(run(case, [np.where(np.isfinite(spoilt), spoilt, np.nan), weights, bias], algorithm="direct"))
        assert not np.isfinite(out[window]).any()


REFUSED = {
    "1x1": (2, {"kernel_size": 1}),
    "3x4": (2, {"kernel_size": (3, 4)}),
    "5x5": (2, {"kernel_size": 5}),
    "strides": (2, {"kernel_size": 3, "strides": (1, 2)}),
    "dilation": (2, {"kernel_size": 3, "dilation_rate": (2, 1)}),
    "one axis": (1, {"kernel_size": 3}),
    "three axes": (3, {"kernel_size": 3}),
}


@pytest.mark.parametrize(("rank", "settings"), REFUSED.values(), ids=REFUSED)
def test_refused_where_it_does_not_exist(rank, settings):
    message = r"algorithm must be 'auto' or 'direct', .*'winograd' exists only for 3x3 kernels.*, got 'winograd'"
    x = np.ones((1, *(8,) * rank, 3), np.float32)
    layer_class = getattr(layers, f"Conv{rank}D")
    usual = layer_class(4, **settings)
    usual(x)
    arguments = {name: value for name, value in settings.items() if name != "kernel_size"}
    with pytest.raises(ValueError, match=message):
        functional.conv(x, usual.kernel, **arguments, algorithm="winograd")
    with pytest.raises(ValueError, match=f"mine.*{message}"):
        layer_class(4, **settings, algorithm="winograd", name="mine")(x)


@pytest.mark.parametrize("algorithm", ["fast", "Winograd", "", None, 3, ["auto"]])
def test_unknown_algorithms_are_refused(algorithm):
    message = "algorithm must be 'auto', 'direct' or 'winograd', got "
    with pytest.raises(ValueError, match=message):
        functional.conv(np.ones((1, 8, 8, 3)), np.ones((3, 3, 3, 4)), algorithm=algorithm)
    for layer_class in (layers.Conv1D, layers.Conv2D, layers.Conv3D):
        with pytest.raises(ValueError, match=message):
            layer_class(4, 3, algorithm=algorithm)


@by_dtype
def test_packed_weights_serve_both_algorithms(dtype):
    case = make_case((9, 11), 20, 35)
    x, weights, bias = operands(case, dtype)
    packed = functional.pack_conv(weights)
    for algorithm in ("winograd", "direct", "winograd", "auto"):
        plain = run(case, [x, weights, bias], algorithm=algorithm)
        assert run(case, [x, packed, bias], algorithm=algorithm).tobytes() == plain.tobytes()


@pytest.mark.parametrize("algorithm", ["direct", "winograd"])
@pytest.mark.parametrize("data_format", FORMATS)
def test_layers_take_an_algorithm(algorithm, data_format):
    case = make_case((16, 12), 32, 32)
    x, weights, bias = operands(case, "float32")
    x = to_format(x, data_format)
    layer = layers.Conv2D(32, 3, padding="same", data_format=data_format, algorithm=algorithm, weights=[weights, bias])
    out = layer(x)
    assert out.tobytes() == run(case, [x, weights, bias], data_format, algorithm=algorithm).tobytes()
    rebuilt = layers.Conv2D.from_config(layer.get_config())
    rebuilt.build(x.shape)
    rebuilt.set_weights([weights, bias])
    for twin in (rebuilt, copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert twin.algorithm == algorithm
        assert twin(x).tobytes() == out.tobytes()
    layer.kernel = np.zeros_like(weights)
    np.testing.assert_array_equal(layer(x), np.broadcast_to(to_format(bias[None, None, None], data_format), x.shape))


@pytest.mark.parametrize("layer_class", [layers.Conv1D, layers.Conv2D, layers.Conv3D])
def test_configurations_name_the_algorithm_unless_it_is_auto(layer_class):
    for layer in (layer_class(4, 3), layer_class(4, 3, algorithm="auto")):
        assert layer.algorithm == "auto"
        assert "algorithm" not in layer.get_config()
        assert layer_class.from_config(layer.get_config()).algorithm == "auto"
    config = layer_class(4, 3, algorithm="direct").get_config()
    assert config["algorithm"] == "direct"
    assert layer_class.from_config(config).get_config() == config


def test_algorithm_is_for_convolutions_and_by_keyword_only():
    with pytest.raises(TypeError):
        layers.Conv2D(4, 3, 1, "same", None, 1, None, True, "ones", "zeros", None, None, None, None, None, "direct")
    for layer_class in (layers.SeparableConv2D, layers.Conv2DTranspose):
        with pytest.raises(TypeError, match="algorithm"):
            layer_class(4, 3, algorithm="direct")
    with pytest.raises(TypeError, match="algorithm"):
        layers.DepthwiseConv2D(3, algorithm="direct")


def test_compiled_for_two_dtypes_and_the_tile_heights_only():
    assert len(conv_winograd.parallel.signatures) <= 2 * len(plan.WINOGRAD_ROWS)
