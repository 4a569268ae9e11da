"""Which convolutions are Winograd's: chosen by shapes alone, within the promised error, refused where there is none."""

import copy
import pickle

import numpy as np
import pytest
from cases import FORMATS, Case, assert_close, each, operands, run, to_format
from winograd_cases import call_of, is_winograd, make_case, winograd

from numbaconv import functional, layers
from numbaconv.calls.winograd import FEWEST
from numbaconv.machine.vectors import panel_width

# Filters that do not fill more than half of a panel, where there have to be 16 at least.
HALF = max(16, panel_width(4) // 2)
# Shapes that "auto" computes as Winograd's: the fewest and the most channels, and few and many outputs.
CHOSEN = [
    make_case((16, 8), 1024, 16, batch=3),
    make_case((14, 14), 256, 256, batch=1),
    make_case((8, 16), 256, 48, "valid", batch=2),
    make_case((12, 12), 255, 16, batch=3),
    make_case((28, 28), 128, 48, batch=1),
    make_case((30, 30), 16, 16, "valid", batch=1),
    make_case((30, 30), FEWEST, 40, "valid", batch=1),
    make_case((24, 24), 15, HALF + 1, batch=1),
    make_case((10, 10), 13, 64, batch=3, taps=5),
    make_case((56, 56), 64, 64, batch=1),
    make_case((7, 7), 512, 32, batch=6),
    make_case((16, 8), 64, 40, batch=1),
    make_case((7, 7), 64, 64, batch=50),
    make_case((4, 8), 1024, 16, batch=3, taps=5),
    make_case((8, 16), 512, 20, "valid", batch=2, taps=5),
    make_case((14, 14), 256, 32, batch=1, taps=5),
    make_case((7, 7), 16, 16, batch=2, taps=5),
    make_case((32, 16), 1024, 16, batch=3, dilation_rate=2),
    make_case((64, 32), 64, 64, batch=1, dilation_rate=(4, 4)),
    make_case((16, 128), 32, 32, batch=3, dilation_rate=(1, 16)),
    make_case((8, 24), 512, 16, "valid", batch=3, taps=5, dilation_rate=(2, 3)),
    # Nothing is transformed along H.
    Case("1d", "conv", (1, 900, 32), (3,), 32, settings={"padding": "same"}),
    Case("1d", "conv", (3, 20, 1024), (3,), 40),
    Case("1d", "conv", (2, 301, 70), (5,), 41, settings={"padding": "same", "dilation_rate": 3}),
    Case("1x3", "conv", (2, 7, 30, 40), (1, 3), 33, settings={"padding": "same"}),
    Case("1x5", "conv", (1, 9, 31, 64), (1, 5), 48),
    Case("3d", "conv", (1, 3, 12, 12, 341), (3, 3, 3), 16, settings={"padding": "same"}),
    Case(
        "3d dilated", "conv", (2, 4, 8, 8, 16), (2, 3, 3), 16, settings={"padding": "same", "dilation_rate": (3, 1, 1)}
    ),
]


@pytest.mark.double
@each(CHOSEN)
def test_error_where_auto_chooses_it(case):
    assert is_winograd(call_of(case))
    assert not is_winograd(call_of(case, "float64"))
    for seed in range(4):
        rng = np.random.default_rng(seed)
        shapes = case.shape, (*case.kernel_size, case.channels, case.filters)
        arrays = [rng.standard_normal(shape, np.float32) for shape in shapes]
        # In float64 the direct kernel, which has tests of its own, is exact enough and fast.
        exact = run(case, [a.astype(np.float64) for a in arrays])
        out = run(case, arrays)
        assert_close(out, exact, 2e-5)
        assert out.tobytes() == winograd(case, arrays).tobytes() != run(case, arrays, algorithm="direct").tobytes()


NOT_CHOSEN = {
    "few channels": make_case((16, 16), FEWEST - 1, 64),
    "few channels, 5x5": make_case((16, 16), FEWEST - 1, 64, taps=5),
    "few channels for half a panel": make_case((24, 24), 15 if panel_width(4) > 16 else 7, HALF),
    "few channels of several planes": Case(
        "3d", "conv", (1, 3, 12, 12, 15), (3, 3, 3), 48, settings={"padding": "same"}
    ),
    "many channels": make_case((16, 16), 1025, 64),
    "many channels, 5x5": make_case((16, 16), 1025, 64, taps=5),
    "few filters": make_case((16, 16), 64, 15),
    "few filters, 5x5": make_case((16, 16), 64, 15, taps=5),
    "few patches": make_case((12, 8), 64, 64, batch=1),
    "few patches for each thread": make_case((20, 16), 64, panel_width(4), batch=1),
    "few patches, 5x5": make_case((2, 14), 64, 64, batch=1, taps=5),
    "few patches of each phase": make_case((24, 16), 64, 64, batch=1, dilation_rate=2),
    "patches not full": make_case((5, 40), 64, 64),
    "patches not full, 5x5": make_case((1, 40), 64, 64, taps=5),
    "patches of phases not full": make_case((10, 80), 64, 64, dilation_rate=2),
    "many phases": make_case((170, 16), 64, 64, dilation_rate=(17, 1)),
    "strides": make_case((32, 32), 64, 64, strides=2),
    "strides, 5x5": make_case((32, 32), 64, 64, taps=5, strides=(1, 2)),
    "4x4": make_case((32, 32), 64, 64, taps=4),
    "7x7": make_case((32, 32), 64, 64, taps=7),
    "3x5": Case("3x5", "conv", (1, 32, 32, 64), (3, 5), 64, settings={"padding": "same"}),
    "3x1": Case("3x1", "conv", (1, 32, 32, 64), (3, 1), 64, settings={"padding": "same"}),
    "one axis, few channels": Case("1d", "conv", (1, 900, 16), (3,), 64, settings={"padding": "same"}),
    "one axis, few patches": Case("1d", "conv", (1, 60, 32), (3,), 48, settings={"padding": "same"}),
    "one axis, 5 taps, few filters": Case("1d", "conv", (1, 900, 64), (5,), 16, settings={"padding": "same"}),
    "one axis, many channels": Case("1d", "conv", (1, 900, 1025), (3,), 64, settings={"padding": "same"}),
    "many channels of several planes": Case(
        "3d", "conv", (1, 3, 12, 12, 342), (3, 3, 3), 16, settings={"padding": "same"}
    ),
    "more planes than there is room for": Case(
        "3d", "conv", (1, 112, 112, 112, 16), (3, 3, 3), 16, settings={"padding": "same"}
    ),
    "transposed": make_case((16, 16), FEWEST - 1, 64, operation="conv_transpose"),
    "transposed, strides": make_case((16, 16), 64, 64, operation="conv_transpose", strides=(1, 2)),
}


@pytest.mark.parametrize("case", NOT_CHOSEN.values(), ids=NOT_CHOSEN)
def test_auto_is_direct_elsewhere(case):
    assert not is_winograd(call_of(case))
    assert not is_winograd(call_of(case, "float64"))


def test_the_choice_depends_on_shapes_and_dtype_alone(recut, each_thread_count):
    for _ in each_thread_count():
        recut({})
        assert all(is_winograd(call_of(case)) for case in CHOSEN)
        for batch in (0, 1, 3, 64):
            assert is_winograd(call_of(make_case((16, 16), 64, 64, batch=batch)))
    case = make_case((32, 12), 32, 32)
    x, *rest = operands(case, "float32")
    out = run(case, [x, *rest])
    assert out.tobytes() == winograd(case, [x, *rest]).tobytes()
    # Images do not meet: where one holds a NaN, its rows are computed by the plain sum, the others are as they were.
    x[1, 3, 3, 0] = np.nan
    spoilt = run(case, [x, *rest])
    assert spoilt[0].tobytes() == out[0].tobytes() == run(case, [x[:1], *rest]).tobytes()
    assert spoilt[1, :8].tobytes() == run(case, [x[1:], *rest], algorithm="direct")[0, :8].tobytes()
    assert spoilt[1, 8:].tobytes() == out[1, 8:].tobytes()


@pytest.mark.double
def test_double_precision_is_direct():
    case = make_case((32, 12), 32, 32)
    arrays = operands(case, "float64")
    assert run(case, arrays).tobytes() == run(case, arrays, algorithm="direct").tobytes()


REFUSED = {
    "1x1": (2, {"kernel_size": 1}),
    "3x4": (2, {"kernel_size": (3, 4)}),
    "3x5": (2, {"kernel_size": (3, 5)}),
    "7x7": (2, {"kernel_size": 7}),
    "strides": (2, {"kernel_size": 3, "strides": (1, 2)}),
    "strides, 5x5": (2, {"kernel_size": 5, "strides": 2}),
    "one axis, 4 taps": (1, {"kernel_size": 4}),
    "one axis, strides": (1, {"kernel_size": 3, "strides": 2}),
    "5x1": (2, {"kernel_size": (5, 1)}),
    "strides along depth": (3, {"kernel_size": 3, "strides": (2, 1, 1)}),
}


@pytest.mark.parametrize(("rank", "settings"), REFUSED.values(), ids=REFUSED)
def test_refused_where_it_does_not_exist(rank, settings):
    exists = "'winograd' exists only for strides 1 and kernels of 3 or 5 taps along the last axis, and as many or one"
    message = f"algorithm must be 'auto' or 'direct', because {exists} along that before it, got 'winograd'"
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


@pytest.mark.parametrize("algorithm", ["direct", "winograd"])
@pytest.mark.parametrize("data_format", FORMATS)
def test_layers_take_an_algorithm(algorithm, data_format):
    case = make_case((32, 12), 32, 32)
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
        layers.Conv2D(4, 3, 1, "same", None, 1, 1, None, True, "ones", "zeros", None, None, None, None, None, "direct")
    with pytest.raises(TypeError, match="algorithm"):
        layers.SeparableConv2D(4, 3, algorithm="direct")
    with pytest.raises(TypeError, match="algorithm"):
        layers.DepthwiseConv2D(3, algorithm="direct")


def test_transposed_layers_choose_too():
    x = np.random.default_rng(0).standard_normal((1, 16, 16, 16), dtype=np.float32)
    made = {name: layers.Conv2DTranspose(16, 3, algorithm=name) for name in ("auto", "direct", "winograd")}
    outputs = {}
    for name, layer in made.items():
        layer.build(x.shape)
        layer.set_weights(made["auto"].get_weights())
        outputs[name] = layer(x)
    assert outputs["auto"].tobytes() == outputs["winograd"].tobytes() != outputs["direct"].tobytes()
    np.testing.assert_allclose(outputs["auto"], outputs["direct"], atol=1e-4)
    assert "algorithm" not in made["auto"].get_config()
    assert made["direct"].get_config()["algorithm"] == "direct"
    with pytest.raises(ValueError, match=r"algorithm.*strides=\(2, 2\)"):
        layers.Conv2DTranspose(4, 3, 2, algorithm="winograd")


def test_winograd_is_refused_when_the_layer_is_made():
    for make in (
        lambda: layers.Conv2D(4, 7, algorithm="winograd"),
        lambda: layers.Conv2D(4, 3, 2, algorithm="winograd"),
        lambda: layers.Conv1D(4, 7, algorithm="winograd"),
    ):
        with pytest.raises(ValueError, match="algorithm"):
            make()
