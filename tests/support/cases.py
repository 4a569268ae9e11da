"""One table of cases for all seven operations, shared by every test that runs an operation.

Each case is written channels last; `to_format` turns its arrays for channels first. Inputs are drawn as float32 values,
so that one float64 result, from the textbook loops of `numbaconv.reference`, is what both precisions have to come to.
"""

from functools import cache
from typing import Any

import conv_cases
import moving_cases
import numpy as np
import pytest
from case import Case

from numbaconv import functional, layers, shapes
from numbaconv.layers.merging import Merge
from numbaconv.layers.wrapping import Wrapper
from numbaconv.selfcheck import textbook
from numbaconv.selfcheck.sequences import KINDS

FORMATS = ("channels_last", "channels_first")
# Of the largest |output|.
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}
# Every layer once: aliases are the same classes.
_CLASSES = {one.__name__ for name in layers.__all__ if isinstance(one := getattr(layers, name), type)}
ALL_LAYERS = sorted(_CLASSES - {"InputLayer", "Layer"})
# Those of several inputs, those of sequences or that hold others, and all others.
MERGES = [name for name in ALL_LAYERS if issubclass(getattr(layers, name), Merge)]
SEQUENCES = [name for name in ALL_LAYERS if issubclass(getattr(layers, name), (*KINDS, Wrapper))]
LAYERS = [name for name in ALL_LAYERS if name not in MERGES + SEQUENCES]

CASES = [*conv_cases.CASES, *moving_cases.CASES]
WEIGHTED = [case for case in CASES if case.has_weights]


def each(cases: list[Case]) -> Any:
    """Run a test once per case, the case's name being its id."""
    return pytest.mark.parametrize("case", cases, ids=[case.name.replace(" ", "_") for case in cases])


def interpolates(case: Case) -> bool:
    """Whether a case multiplies with shares that are no whole numbers."""
    return case.settings.get("interpolation", "nearest") != "nearest"


def kernel_shapes(case: Case) -> list[tuple[int, ...]]:
    """Shapes of the kernels, in the order of the function's arguments."""
    k, c, f, m = case.kernel_size, case.channels, case.filters, case.multiplier
    ones = (1,) * case.rank
    return {
        "conv": [(*k, c // case.groups, f)],
        "depthwise_conv": [(*k, c, m)],
        "separable_conv": [(*k, c, m), (*ones, c * m, f)],
        "conv_transpose": [(*k, f, c)],
    }.get(case.operation, [])


def operands(case: Case, dtype: Any = np.float64) -> list[np.ndarray]:
    """Input, kernels and bias of a case, seeded by its name and channels last."""
    rng = np.random.default_rng(list(case.name.encode()))
    kernels = kernel_shapes(case)
    filters = case.channels * case.multiplier if case.operation == "depthwise_conv" else case.filters
    bias = [(filters,)] if kernels else []
    return [rng.standard_normal(shape, np.float32).astype(dtype) for shape in (case.shape, *kernels, *bias)]


def run(case: Case, arrays: list[Any], data_format: str = "channels_last", **settings: Any) -> np.ndarray:
    """Call the function of a case on arrays as `operands` makes them, the input being in ``data_format``."""
    return getattr(functional, case.operation)(*arrays, data_format=data_format, **{**case.settings, **settings})


def pack(case: Case, kernels: list[Any]) -> list[Any]:
    """The kernels of a case prepared for repeated calls."""
    if case.operation == "conv":
        return [functional.pack_conv(*kernels, groups=case.groups)]
    if case.operation == "separable_conv":
        return [functional.pack_depthwise_conv(kernels[0]), functional.pack_conv(kernels[1])]
    if case.operation == "conv_transpose":
        return [functional.pack_conv_transpose(*kernels, case.setting("strides"), case.setting("dilation_rate"))]
    return [getattr(functional, f"pack_{case.operation}")(*kernels)]


def to_format(array: np.ndarray, data_format: str) -> np.ndarray:
    """A channels-last array in ``data_format``, contiguous."""
    return np.ascontiguousarray(np.moveaxis(array, -1, 1)) if data_format == "channels_first" else array


def output_shape(case: Case, data_format: str = "channels_last") -> tuple[int | None, ...]:
    """What `numbaconv.shapes` says of a case."""
    batch, *lengths, channels = case.shape
    shape = (batch, channels, *lengths) if data_format == "channels_first" else case.shape
    if not case.has_weights:
        size = {k: v for k, v in case.settings.items() if k != "interpolation"}
        return getattr(shapes, f"{case.operation}_output_shape")(shape, **size, data_format=data_format)
    function = shapes.conv_transpose_output_shape if case.operation == "conv_transpose" else shapes.conv_output_shape
    filters = channels * case.multiplier if case.operation == "depthwise_conv" else case.filters
    return function(shape, filters, case.kernel_size, **case.settings, data_format=data_format)


@cache
def _expected(name: str) -> np.ndarray:
    case = next(case for case in CASES if case.name == name)
    return reference_result(case, operands(case))


def expected(case: Case) -> np.ndarray:
    """The reference's result for `operands` of a case of the table, float64 and channels last."""
    return _expected(case.name)


def reference_settings(case: Case) -> tuple[tuple[int, ...], ...]:
    """What the reference's function for a case takes after its arrays."""
    return textbook.settings_of(case.operation, case.shape, case.kernel_size, **case.settings)


def reference_result(case: Case, arrays: list[np.ndarray]) -> np.ndarray:
    """The reference's result for a case on float64 arrays, channels last."""
    return textbook.result(case.operation, arrays, **case.settings)


def reference_gradients(case: Case, arrays: list[np.ndarray], grad_out: np.ndarray) -> dict[str, np.ndarray]:
    """The reference's gradients for a case on float64 arrays, channels last, each of the shape of its array.

    The keys are "x" and the weights' names: "kernel" or "depthwise" or both "depthwise" and "pointwise", then "bias".
    """
    names = {
        "depthwise_conv": ["x", "depthwise", "bias"],
        "separable_conv": ["x", "depthwise", "pointwise", "bias"],
    }.get(case.operation, ["x", "kernel", "bias"])
    gradients = textbook.gradients(case.operation, arrays, grad_out, **case.settings)
    return dict(zip(names, gradients, strict=False))


def layer_class(case: Case) -> Any:
    """The layer that computes a case, or None where Keras has none or its page refuses the settings."""
    stem = {
        "conv": "Conv{}D",
        "depthwise_conv": "DepthwiseConv{}D",
        "separable_conv": "SeparableConv{}D",
        "conv_transpose": "Conv{}DTranspose",
        "crop": "Cropping{}D",
        "zero_pad": "ZeroPadding{}D",
        "upsample": "UpSampling{}D",
    }[case.operation]
    name = stem.format(case.rank)
    both = case.has_weights and max(case.setting("strides")) > 1 and max(case.setting("dilation_rate")) > 1
    causal = case.settings.get("padding") == "causal" and name != "Conv1D"
    return None if both or causal else getattr(layers, name, None)


def make_layer(case: Case, data_format: str = "channels_last", **arguments: Any) -> Any:
    """The layer of a case, with the case's weights."""
    cls, kernels = layer_class(case), operands(case)[1:]
    sizes = {"filters": case.filters} if case.operation in ("conv", "separable_conv", "conv_transpose") else {}
    if case.operation == "conv":
        sizes["groups"] = case.groups
    if case.operation in ("depthwise_conv", "separable_conv"):
        sizes["depth_multiplier"] = case.multiplier
    if case.has_weights:
        arguments = {"kernel_size": case.kernel_size, "weights": kernels, **sizes, **arguments}
    if case.has_weights or case.rank > 1:
        arguments["data_format"] = data_format
    return cls(**case.settings, **arguments)


def assert_close(
    actual: np.ndarray, wanted: np.ndarray, tolerance: float | None = None, scale: float | None = None
) -> None:
    """Within ``tolerance``, by default the precision's, of ``scale``, by default the largest |output|."""
    assert actual.shape == wanted.shape
    scale = np.abs(wanted).max(initial=0) if scale is None else scale
    error = np.abs(actual - wanted).max(initial=0)
    limit = TOLERANCE[actual.dtype.name] if tolerance is None else tolerance
    assert error <= limit * scale, f"off by {error:.2g} where outputs reach {scale:.2g}"
