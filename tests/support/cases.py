"""One table of cases for all seven operations, shared by every test that runs an operation.

Each case is written channels last; `to_format` turns its arrays for channels first. Inputs are drawn as float32 values,
so that one float64 result, from the textbook loops of `numbaconv.reference`, is what both precisions have to come to.
"""

from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import numpy as np
import pytest

from numbaconv import functional, layers, shapes
from numbaconv.layers.merging import Merge
from numbaconv.layers.predict_only import PredictOnly
from numbaconv.layers.wrapping import Wrapper
from numbaconv.selfcheck import textbook

FORMATS = ("channels_last", "channels_first")
# Of the largest |output|.
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}
# Every layer once: aliases are the same classes.
_CLASSES = {one.__name__ for name in layers.__all__ if isinstance(one := getattr(layers, name), type)}
ALL_LAYERS = sorted(_CLASSES - {"InputLayer", "Layer"})
# Those of several inputs, those that are not trained or hold others, and all others.
MERGES = [name for name in ALL_LAYERS if issubclass(getattr(layers, name), Merge)]
SEQUENCES = [name for name in ALL_LAYERS if issubclass(getattr(layers, name), PredictOnly | Wrapper)]
LAYERS = [name for name in ALL_LAYERS if name not in MERGES + SEQUENCES]


@dataclass(frozen=True)
class Case:
    """A call of one operation.

    ``filters`` counts output channels; a depthwise convolution has ``multiplier`` ones per input channel instead, and a
    separable one has both. ``settings`` are the remaining arguments of the function in `numbaconv.functional`, and
    ``groups`` those of a convolution, which the function infers.
    """

    name: str
    operation: str
    shape: tuple[int, ...]
    kernel_size: tuple[int, ...] = ()
    filters: int = 2
    multiplier: int = 1
    settings: dict[str, Any] = field(default_factory=dict)
    groups: int = 1

    @property
    def rank(self) -> int:
        return len(self.shape) - 2

    @property
    def channels(self) -> int:
        return self.shape[-1]

    @property
    def has_weights(self) -> bool:
        return bool(self.kernel_size)

    def setting(self, name: str, fill: int = 1) -> tuple[int, ...]:
        """A window argument as one integer per axis."""
        return shapes.normalize_tuple(self.settings.get(name, fill), self.rank, name, allow_zero=True)


def row(operation: str, name: str, shape: tuple[int, ...], *args: Any, **settings: Any) -> Case:
    """Write a case as one line: shape, then kernel size and filters where there are weights, then settings."""
    sizes = {key: settings.pop(key) for key in ("multiplier", "groups") if key in settings}
    return Case(f"{operation}{len(shape) - 2}d {name}", operation, shape, *args, **sizes, settings=settings)


conv = partial(row, "conv")
depthwise = partial(row, "depthwise_conv")
separable = partial(row, "separable_conv")
transpose = partial(row, "conv_transpose")
crop = partial(row, "crop")
zero_pad = partial(row, "zero_pad")
upsample = partial(row, "upsample")

CASES = [
    conv("valid", (2, 9, 3), (3,), 4),
    conv("same, even kernel", (2, 8, 3), (4,), 5, padding="same"),
    conv("causal smoke", (2, 8, 2), (3,), 3, padding="causal"),
    conv("causal, dilated", (1, 9, 2), (3,), 3, padding="causal", dilation_rate=2),
    conv("causal, strided and dilated", (2, 11, 2), (3,), 3, padding="causal", strides=2, dilation_rate=3),
    conv("strides and dilation share a factor", (2, 23, 2), (4,), 3, strides=4, dilation_rate=6),
    conv("stride beyond the kernel", (2, 13, 3), (2,), 3, strides=5),
    conv("one position", (2, 1, 3), (1,), 2),
    conv("one position, same", (2, 1, 3), (5,), 2, padding="same"),
    conv("kernel as long as the input", (2, 6, 3), (6,), 4),
    conv("empty batch", (0, 6, 3), (3,), 4),
    conv("blocks of columns", (1, 20000, 5), (3,), 4, strides=1),
    conv("valid smoke", (2, 7, 6, 3), (3, 2), 4),
    conv("same, strided smoke", (2, 8, 9, 3), (3, 4), 5, strides=(2, 3), padding="same"),
    conv("dilated smoke", (1, 9, 11, 3), (3, 3), 4, dilation_rate=(2, 3)),
    conv("strided and dilated", (2, 13, 12, 3), (3, 2), 4, strides=(2, 3), dilation_rate=(3, 2), padding="same"),
    conv("strides beyond the kernel", (2, 11, 9, 2), (1, 2), 3, strides=(3, 4), padding="same"),
    conv("one by one", (2, 5, 4, 6), (1, 1), 7),
    conv("one by one, 512 channels", (1, 3, 5, 512), (1, 1), 3),
    conv("512 channels", (1, 3, 5, 512), (3, 2), 3, padding="same"),
    conv("one by one, strided", (2, 5, 6, 3), (1, 1), 4, strides=2),
    conv("one channel", (2, 6, 5, 1), (3, 3), 1, padding="same"),
    conv("45 channels to 77 filters", (2, 6, 5, 45), (3, 3), 77, padding="same"),
    conv("one filter more than a tile", (1, 4, 5, 2), (2, 2), 33),
    conv("one column", (2, 7, 1, 3), (3, 3), 2, padding="same"),
    conv("kernel as large as the input", (2, 5, 4, 3), (5, 4), 6),
    conv("dilated kernel as large as the input", (1, 7, 9, 2), (3, 3), 2, dilation_rate=(3, 4)),
    conv("padding wider than the input", (1, 2, 3, 2), (7, 9), 3, padding="same"),
    conv("dilated by more than the input", (2, 9, 5), (3,), 4, padding="same", dilation_rate=11),
    conv("taps farther apart than the output is wide", (1, 29, 39, 20), (3, 3), 5, dilation_rate=(10, 17)),
    conv("all taps in the padding", (2, 4, 3), (2,), 4, padding="same", dilation_rate=40),
    conv("causal, dilated by more than a block", (2, 70, 40), (2,), 33, padding="causal", dilation_rate=30),
    conv("windows of each tap apart smoke", (1, 13, 17, 6), (3, 3), 5, padding="same", dilation_rate=(9, 7)),
    conv("kernel beyond the input", (2, 5, 6, 3), (12, 15), 18, padding="same"),
    conv("dilated kernel beyond the input", (1, 3, 4, 5, 2), (3, 4, 5), 3, padding="same", dilation_rate=(2, 1, 3)),
    conv("groups, dilated by more than the input", (1, 5, 6, 6), (3, 3), 9, groups=3, padding="same", dilation_rate=6),
    conv("empty batch", (0, 6, 5, 3), (3, 3), 4, padding="same"),
    conv("blocks of rows", (1, 70, 60, 8), (3, 3), 16, padding="same"),
    conv("groups of filters", (1, 7, 7, 128), (3, 3), 256, padding="same"),
    conv("valid smoke", (2, 4, 5, 6, 2), (2, 3, 2), 3),
    conv("same, strided", (2, 5, 6, 4, 3), (3, 2, 3), 4, strides=(2, 1, 3), padding="same"),
    conv("dilated", (1, 7, 5, 6, 2), (3, 2, 2), 3, dilation_rate=(2, 3, 1), padding="same"),
    conv("strided and dilated", (1, 9, 8, 7, 2), (2, 2, 3), 3, strides=(3, 2, 2), dilation_rate=(2, 3, 2)),
    conv("few windows, many filters", (1, 3, 3, 5), (3, 3), 300, padding="same"),
    conv("one channel, many filters", (2, 9, 21, 1), (3, 3), 40, padding="same"),
    conv("many channels, few filters", (2, 9, 21, 40), (3, 3), 3, strides=2, padding="same"),
    conv("long windows, one filter", (2, 40, 37), (9,), 1, padding="causal", dilation_rate=2),
    conv("long windows, one filter smoke", (2, 7, 9, 10), (3, 5), 1, padding="same"),
    conv("long windows, five filters", (1, 6, 11, 21), (4, 3), 5, strides=2, padding="same"),
    conv("long windows with gaps between them, few filters", (1, 9, 38, 16), (3, 3), 1, strides=4, padding="same"),
    conv("long windows, few filters, 512 channels", (1, 4, 5, 512), (2, 3), 2, padding="same"),
    conv("long windows, two filters, dilated", (2, 5, 9, 33), (3, 3), 2, dilation_rate=(2, 4)),
    conv("long windows, few filters", (2, 3, 5, 4, 9), (2, 3, 3), 3, padding="same", strides=(1, 2, 1)),
    conv("groups, long windows, few filters", (2, 6, 7, 60), (3, 3), 9, groups=3, padding="same"),
    conv("one window of many images", (17, 3, 4, 70), (3, 4), 40),
    conv("few windows of several images", (9, 3, 3, 9), (3, 3), 35, padding="same", strides=2),
    conv("several images, parts of a vector of channels", (3, 7, 7, 40), (3, 3), 33, padding="same"),
    conv("rows of a matrix, longer than one part of a sum", (5, 1, 3000), (1,), 37),
    conv("groups, causal, dilated smoke", (2, 9, 6), (3,), 4, groups=2, padding="causal", dilation_rate=2),
    conv("groups, strided and dilated", (2, 11, 9), (3,), 6, groups=3, strides=2, dilation_rate=3),
    conv("groups smoke", (2, 5, 6, 6), (3, 2), 9, groups=3, padding="same"),
    conv("groups, strided", (2, 8, 9, 8), (3, 3), 4, groups=4, strides=(2, 3), padding="same"),
    conv("groups of one channel and two filters", (2, 7, 6, 5), (3, 3), 10, groups=5, padding="same"),
    conv("groups, one by one", (1, 5, 7, 24), (1, 1), 36, groups=3),
    conv("groups, one by one, 512 channels", (1, 3, 5, 1024), (1, 1), 6, groups=2),
    conv("groups of a filter more than a tile", (1, 4, 5, 4), (2, 2), 66, groups=2),
    conv("groups of many filters, strided", (2, 9, 7, 10), (3, 3), 154, groups=2, strides=2, padding="same"),
    conv("32 groups, blocks of rows", (1, 30, 40, 128), (3, 3), 128, groups=32, padding="same"),
    conv("groups, empty batch", (0, 6, 5, 4), (3, 3), 6, groups=2),
    conv("groups", (1, 4, 5, 6, 4), (2, 3, 2), 6, groups=2, strides=(1, 2, 1), padding="same"),
    depthwise("valid", (2, 9, 3), (3,)),
    depthwise("causal, dilated", (2, 9, 3), (3,), multiplier=2, padding="causal", dilation_rate=2),
    depthwise("same smoke", (2, 7, 6, 5), (3, 3), padding="same"),
    depthwise("multiplier, strided smoke", (2, 8, 7, 3), (3, 2), multiplier=3, strides=2, padding="same"),
    depthwise("dilated", (1, 9, 8, 4), (3, 3), multiplier=2, dilation_rate=(2, 1)),
    depthwise("strided and dilated", (2, 11, 12, 3), (3, 2), multiplier=2, strides=(2, 3), dilation_rate=2),
    depthwise("taps farther apart than the output is wide", (1, 29, 39, 20), (3, 3), dilation_rate=(10, 17)),
    depthwise("dilated by more than the input", (1, 9, 30, 20), (3, 3), padding="same", dilation_rate=(10, 17)),
    depthwise("kernel beyond the input", (1, 4, 15, 20), (9, 32), padding="same"),
    depthwise("one channel", (2, 5, 6, 1), (2, 3)),
    depthwise("45 channels", (2, 6, 5, 45), (3, 3), padding="same"),
    depthwise("19 channels by 7", (1, 5, 4, 19), (3, 2), multiplier=7, padding="same"),
    depthwise("empty batch", (0, 6, 5, 3), (3, 3)),
    depthwise("blocks of rows", (1, 60, 50, 70), (3, 3), padding="same"),
    depthwise("neighbours, five taps", (2, 4, 19, 35), (2, 5), padding="same"),
    depthwise("neighbours, six taps, multiplier", (1, 20, 37), (6,), multiplier=2, padding="same"),
    depthwise("neighbours, rows of 3D smoke", (1, 2, 3, 15, 3), (2, 2, 3), padding="same"),
    depthwise("neighbours around the image", (2, 5, 31, 48), (3, 4), padding="same"),
    depthwise("neighbours around volumes", (1, 3, 4, 16, 16), (3, 3, 5), padding="same"),
    depthwise("neighbours, causal", (3, 15, 16), (3,), padding="causal"),
    depthwise("neighbours, causal by more than a tile", (2, 45, 16), (19,), padding="causal"),
    depthwise("neighbours in parts of rows", (1, 2, 30, 64), (15, 15), padding="same"),
    depthwise("neighbours far apart", (1, 5, 18, 512), (2, 5), padding="same"),
    depthwise("groups of channels", (1, 14, 14, 512), (3, 3), padding="same"),
    depthwise("neighbours, strided rows", (1, 7, 20, 16), (5, 3), strides=(2, 1), padding="same"),
    depthwise("whole panels, strided and dilated", (2, 11, 13, 64), (3, 4), strides=(1, 2), dilation_rate=3),
    depthwise("whole panels around the image", (2, 5, 17, 64), (3, 5), padding="same", dilation_rate=(1, 3)),
    depthwise("1200 outputs", (1, 5, 5, 300), (3, 3), multiplier=4, padding="same"),
    depthwise("same, strided", (2, 5, 4, 6, 3), (3, 2, 2), multiplier=2, strides=(1, 2, 2), padding="same"),
    separable("same", (2, 9, 3), (3,), 4, padding="same"),
    separable("causal, strided", (2, 9, 3), (3,), 4, multiplier=2, padding="causal", strides=2),
    separable("dilated", (2, 9, 3), (3,), 4, dilation_rate=3),
    separable("strided smoke", (2, 8, 7, 3), (3, 3), 4, multiplier=2, strides=2, padding="same"),
    separable("dilated", (1, 9, 8, 3), (3, 2), 4, dilation_rate=(2, 3)),
    separable("strided and dilated", (2, 11, 12, 3), (3, 2), 5, strides=(3, 2), dilation_rate=2),
    separable("many channels", (2, 5, 6, 23), (3, 3), 37, multiplier=2, padding="same"),
    separable("blocks of rows", (1, 20, 30, 35), (3, 3), 70, padding="same"),
    separable("neighbours, causal", (3, 17, 32), (5,), 20, padding="causal"),
    separable("neighbours around the image", (2, 6, 17, 32), (3, 5), 20, padding="same"),
    separable("empty batch", (0, 6, 5, 3), (3, 3), 4),
    separable("valid", (1, 4, 5, 4, 2), (2, 2, 3), 3, multiplier=2),
    transpose("valid", (2, 5, 3), (3,), 4),
    transpose("strided, same", (2, 5, 3), (3,), 4, strides=2, padding="same"),
    transpose("dilation shares a factor with strides", (2, 5, 3), (3,), 4, strides=4, dilation_rate=6),
    transpose("valid smoke", (2, 4, 5, 3), (3, 2), 4),
    transpose("same", (2, 4, 5, 3), (3, 4), 4, padding="same"),
    transpose("valid, strided smoke", (2, 4, 3, 3), (3, 4), 4, strides=(2, 3)),
    transpose("same, strided", (2, 4, 3, 3), (4, 3), 4, strides=(2, 3), padding="same"),
    transpose("strides beyond the kernel", (2, 3, 4, 2), (2, 1), 3, strides=(3, 4)),
    transpose("strides beyond the kernel, same", (2, 3, 4, 2), (2, 1), 3, strides=(5, 4), padding="same"),
    transpose("dilated", (2, 4, 5, 2), (3, 2), 3, dilation_rate=(2, 3)),
    transpose("strided and dilated", (2, 5, 4, 2), (3, 4), 3, strides=(3, 2), dilation_rate=(2, 3)),
    row(
        "conv_transpose",
        "strided and dilated, same",
        (2, 5, 4, 2),
        (3, 4),
        3,
        strides=4,
        dilation_rate=2,
        padding="same",
    ),
    *(
        transpose(
            f"{padding}, output_padding {p}", (2, 4, 3, 2), (4, 3), 3, strides=3, padding=padding, output_padding=p
        )
        for padding in ("valid", "same")
        for p in (0, 1, 2, (2, 0))
    ),
    row(
        "conv_transpose",
        "output_padding with dilation",
        (1, 4, 3, 2),
        (3, 2),
        2,
        strides=2,
        dilation_rate=3,
        output_padding=1,
    ),
    transpose("one position", (2, 1, 1, 3), (3, 3), 2, strides=2),
    transpose("one by one", (2, 3, 4, 5), (1, 1), 6),
    transpose("kernel beyond the input", (1, 2, 3, 2), (5, 7), 3, strides=2, padding="same"),
    transpose("one position to a filter", (3, 1, 1, 20), (5, 7), 1),
    transpose("one column to three filters smoke", (2, 4, 1, 20), (3, 13), 3, strides=(2, 1)),
    transpose("few filters, rows of some tiles", (2, 5, 33, 20), (3, 4), 3, strides=(1, 2), padding="same"),
    transpose("few filters, long rows", (1, 150, 18), (40,), 2, strides=8, padding="same"),
    transpose("patches", (2, 3, 4, 30), (4, 4), 3, strides=4),
    transpose("many channels", (2, 4, 5, 45), (3, 3), 77, strides=2, padding="same"),
    transpose("empty batch", (0, 4, 5, 3), (3, 3), 2, strides=2),
    transpose("blocks of rows", (1, 40, 40, 16), (4, 4), 20, strides=2, padding="same"),
    transpose("one position", (3, 1, 1, 1, 40), (3, 4, 3), 1),
    transpose("strided", (2, 3, 4, 2, 2), (2, 3, 3), 3, strides=(2, 1, 3), padding="same"),
    transpose("valid, output_padding", (1, 3, 2, 4, 2), (3, 2, 1), 3, strides=2, output_padding=(1, 0, 1)),
    crop("front only", (2, 7, 3), cropping=(3, 0)),
    crop("nothing", (2, 5, 3), cropping=0),
    crop("each side smoke", (2, 7, 8, 3), cropping=((1, 2), (3, 0))),
    crop("all but one position", (2, 4, 5, 3), cropping=((3, 0), (2, 2))),
    crop("empty batch", (0, 4, 5, 3), cropping=1),
    crop("each side", (2, 5, 4, 6, 3), cropping=((0, 2), (1, 1), (3, 0))),
    crop("rows of many values", (2, 6, 40, 17), cropping=((1, 2), (3, 0))),
    crop("many short rows", (2, 60, 9, 1), cropping=((1, 2), (2, 3))),
    zero_pad("front only", (2, 4, 3), padding=(2, 0)),
    zero_pad("nothing", (2, 4, 3), padding=0),
    zero_pad("each side smoke", (2, 3, 4, 3), padding=((1, 2), (3, 0))),
    zero_pad("one position", (2, 1, 1, 3), padding=(4, 5)),
    zero_pad("empty batch", (0, 3, 4, 3), padding=2),
    zero_pad("each side", (2, 3, 2, 4, 3), padding=((0, 2), (1, 1), (3, 0))),
    zero_pad("rows of many values", (2, 3, 40, 17), padding=((1, 2), (3, 0))),
    zero_pad("runs of some lines", (2, 3, 40, 1), padding=((1, 2), (3, 1))),
    zero_pad("many images of few values", (90, 2, 3, 1), padding=((2, 0), (5, 7))),
    upsample("by three", (2, 4, 3), size=3),
    upsample("nearest smoke", (2, 3, 4, 3), size=(2, 3)),
    upsample("by one", (2, 3, 4, 3), size=1),
    upsample("bilinear smoke", (2, 3, 4, 3), size=(2, 3), interpolation="bilinear"),
    upsample("bilinear by four and one", (2, 5, 3, 2), size=(4, 1), interpolation="bilinear"),
    upsample("bilinear, one row", (2, 1, 4, 3), size=(3, 2), interpolation="bilinear"),
    upsample("bilinear, one position", (2, 1, 1, 3), size=5, interpolation="bilinear"),
    upsample("bicubic smoke", (2, 3, 4, 3), size=(2, 3), interpolation="bicubic"),
    upsample("bicubic by seven and one", (2, 9, 5, 2), size=(7, 1), interpolation="bicubic"),
    upsample("bicubic, one position", (2, 1, 1, 3), size=5, interpolation="bicubic"),
    upsample("lanczos3", (2, 7, 5, 3), size=(3, 2), interpolation="lanczos3"),
    upsample("lanczos5", (1, 6, 13, 2), size=(2, 3), interpolation="lanczos5"),
    upsample("empty batch", (0, 3, 4, 3), size=2),
    upsample("short rows joined", (1, 509, 1), size=3),
    upsample("bilinear, short rows and many planes", (2, 4, 5, 40), size=(2, 3), interpolation="bilinear"),
    upsample("bilinear, many columns", (1, 2, 700, 3), size=(1, 3), interpolation="bilinear"),
    upsample("nearest", (2, 2, 3, 4, 3), size=(3, 1, 2)),
]
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
