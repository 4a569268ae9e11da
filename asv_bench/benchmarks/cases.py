"""What is measured: cases of each operation with shapes from networks, as calls that have been compiled.

A case is named kernel, input shape without batch, and channels out; the batch is 1 unless the name says otherwise.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

from numbaconv import functional, shapes

from . import random


class Case(NamedTuple):
    """Shapes of the input and of the kernels, and the other arguments of an operation of `numbaconv.functional`."""

    shape: tuple[int, ...]
    kernels: tuple[tuple[int, ...], ...]
    settings: dict[str, Any]


def _row(shape: tuple[int, ...], *kernels: tuple[int, ...], **settings: Any) -> Case:
    return Case(shape, kernels, settings)


_same = partial(_row, padding="same")
IMAGES = {
    "1D 16000x64": (1, 16000, 64),
    "2D 224x224x3": (1, 224, 224, 3),
    "2D 56x56x64": (1, 56, 56, 64),
    "3D 16x28x28x16": (1, 16, 28, 28, 16),
}


def _images(**settings: Any) -> dict[str, Case]:
    return {name: _row(shape, **settings) for name, shape in IMAGES.items()}


_POOL = {
    "1D 2/2, 16000x64": _row((1, 16000, 64), pool_size=2),
    "2D 2x2/2, batch 8 of 112x112x64": _row((8, 112, 112, 64), pool_size=2),
    "2D 3x3/2, 56x56x64": _same((1, 56, 56, 64), pool_size=3, strides=2),
    "2D 3x3/1, 28x28x256": _same((1, 28, 28, 256), pool_size=3, strides=1),
    "2D 2x2/2, batch 32 of 28x28x16": _row((32, 28, 28, 16), pool_size=2),
    "2D global, batch 8 of 7x7x512": _row((8, 7, 7, 512), pool_size=7),
    "3D 2x2x2/2, 16x28x28x16": _row((1, 16, 28, 28, 16), pool_size=2),
}
CASES = {
    "conv": {
        "1D 80/4, 16000x1 -> 64": _row((1, 16000, 1), (80, 1, 64), strides=4),
        "1D 3 causal, dilated 8, 2000x64 -> 64": _row((1, 2000, 64), (3, 64, 64), padding="causal", dilation_rate=8),
        "1D 5, 1000x256 -> 256": _same((1, 1000, 256), (5, 256, 256)),
        "2D 7x7/2, 224x224x3 -> 64": _same((1, 224, 224, 3), (7, 7, 3, 64), strides=2),
        "2D 1x1, 56x56x64 -> 256": _row((1, 56, 56, 64), (1, 1, 64, 256)),
        "2D 1x1, 14x14x1024 -> 256": _row((1, 14, 14, 1024), (1, 1, 1024, 256)),
        "2D 1x1/2, 56x56x256 -> 512": _row((1, 56, 56, 256), (1, 1, 256, 512), strides=2),
        "2D 3x3, 224x224x3 -> 32": _same((1, 224, 224, 3), (3, 3, 3, 32)),
        "2D 3x3, 56x56x64 -> 64": _same((1, 56, 56, 64), (3, 3, 64, 64)),
        "2D 3x3, 56x56x64 -> 64, direct": _same((1, 56, 56, 64), (3, 3, 64, 64), algorithm="direct"),
        "2D 3x3, batch 8 of 56x56x64 -> 64": _same((8, 56, 56, 64), (3, 3, 64, 64)),
        "2D 3x3, 28x28x128 -> 128": _same((1, 28, 28, 128), (3, 3, 128, 128)),
        "2D 3x3, 14x14x256 -> 256": _same((1, 14, 14, 256), (3, 3, 256, 256)),
        "2D 3x3, 7x7x512 -> 512": _same((1, 7, 7, 512), (3, 3, 512, 512)),
        "2D 3x3, batch 32 of 32x32x32 -> 32": _same((32, 32, 32, 32), (3, 3, 32, 32)),
        "2D 3x3, 31x37x45 -> 77": _same((1, 31, 37, 45), (3, 3, 45, 77)),
        "2D 3x3/2, 56x56x64 -> 128": _same((1, 56, 56, 64), (3, 3, 64, 128), strides=2),
        "2D 5x5, 28x28x64 -> 64": _same((1, 28, 28, 64), (5, 5, 64, 64)),
        "2D 3x3 dilated 2, 28x28x128 -> 128": _same((1, 28, 28, 128), (3, 3, 128, 128), dilation_rate=2),
        "2D 3x3, batch 32 of 28x28x1 -> 32": _row((32, 28, 28, 1), (3, 3, 1, 32)),
        "2D 3x3, 8x8x8 -> 8": _same((1, 8, 8, 8), (3, 3, 8, 8)),
        "2D 3x3 in 32 groups, 56x56x128 -> 128": _same((1, 56, 56, 128), (3, 3, 4, 128)),
        "2D 3x3 in 32 groups, 14x14x512 -> 512": _same((1, 14, 14, 512), (3, 3, 16, 512)),
        "2D 1x1 in 3 groups, 28x28x240 -> 240": _row((1, 28, 28, 240), (1, 1, 80, 240)),
        "3D 3x3x3, 16x112x112x3 -> 32": _same((1, 16, 112, 112, 3), (3, 3, 3, 3, 32)),
        "3D 3x3x3, 8x28x28x32 -> 64": _same((1, 8, 28, 28, 32), (3, 3, 3, 32, 64)),
    },
    "depthwise_conv": {
        "1D 9, 2000x64": _same((1, 2000, 64), (9, 64, 1)),
        "3x3, 112x112x32": _same((1, 112, 112, 32), (3, 3, 32, 1)),
        "3x3/2, 56x56x128": _same((1, 56, 56, 128), (3, 3, 128, 1), strides=2),
        "5x5, 14x14x512": _same((1, 14, 14, 512), (5, 5, 512, 1)),
        "3x3, 56x56x16, multiplier 4": _same((1, 56, 56, 16), (3, 3, 16, 4)),
    },
    "separable_conv": {
        "1D 9, 2000x64 -> 64": _same((1, 2000, 64), (9, 64, 1), (1, 64, 64)),
        "2D 3x3, 56x56x128 -> 128": _same((1, 56, 56, 128), (3, 3, 128, 1), (1, 1, 128, 128)),
    },
    "conv_transpose": {
        "1D 4*2, 2000x64 -> 32": _same((1, 2000, 64), (4, 32, 64), strides=2),
        "2D 4x4*2, 28x28x64 -> 32": _same((1, 28, 28, 64), (4, 4, 32, 64), strides=2),
        "2D 2x2*2, 56x56x128 -> 64": _same((1, 56, 56, 128), (2, 2, 64, 128), strides=2),
        "2D 3x3, 56x56x64 -> 64": _same((1, 56, 56, 64), (3, 3, 64, 64)),
        "3D 3x3x3*2, 8x14x14x32 -> 16": _same((1, 8, 14, 14, 32), (3, 3, 3, 16, 32), strides=2),
    },
    "crop": _images(cropping=2),
    "zero_pad": _images(padding=2),
    "upsample": {
        **{f"nearest, {name}": case for name, case in _images(size=2).items()},
        **{
            f"bilinear, {name}": case
            for name, case in _images(size=2, interpolation="bilinear").items()
            if name.startswith("2D")
        },
    },
    "max_pool": _POOL,
    "average_pool": _POOL,
}


@cache
def forward(operation: str, name: str, dtype: str = "float32", data_format: str = "channels_last") -> Callable:
    """A call of an operation, its weights packed as the layers do.

    Cached, because asv calls ``setup`` before every single sample.
    """
    case = CASES[operation][name]
    shape = case.shape if data_format == "channels_last" else (case.shape[0], case.shape[-1], *case.shape[1:-1])
    kernels = [random(*kernel, dtype=dtype) for kernel in case.kernels]
    if operation == "separable_conv":
        kernels = [functional.pack_depthwise_conv(kernels[0]), functional.pack_conv(kernels[1])]
    elif operation == "conv_transpose":
        kernels = [functional.pack_conv_transpose(*kernels, case.settings.get("strides", 1))]
    elif kernels:
        kernels = [getattr(functional, f"pack_{operation}")(*kernels, **_groups(operation, case))]
    return _compiled(operation, random(*shape, dtype=dtype), *kernels, data_format=data_format, **case.settings)


@cache
def backward(operation: str, name: str, of: str = "input") -> Callable:
    """A call of the gradient of an operation ``of`` its input, its weights or both."""
    case = CASES[operation][name]
    x, *kernels = (random(*shape) for shape in (case.shape, *case.kernels))
    grad_out = random(*_output_shape(operation, case))
    stem, arguments = {
        "input": (f"{operation}_input_grad", (grad_out, *kernels, x.shape)),
        "weights": (f"{operation}_weight_grad", (x, grad_out, *(kernel.shape[:-2] for kernel in kernels))),
        "both": (f"{operation}_grad", (x, *kernels, grad_out)),
    }[of]
    if operation == "max_pool":
        stem, arguments = "max_pool_grad", (x, grad_out)
    elif operation == "average_pool":
        stem, arguments = "average_pool_grad", (grad_out, x.shape)
    elif not kernels:
        stem, arguments = f"{operation}_grad", (grad_out,)
    settings = dict(case.settings)
    if of == "weights":
        settings.pop("algorithm", None)
        settings |= _groups(operation, case)
    return _compiled(stem, *arguments, data_format="channels_last", **settings)


def _groups(operation: str, case: Case) -> dict[str, int]:
    """Those of a convolution, for functions that cannot infer them; older versions know no such argument."""
    groups = case.shape[-1] // case.kernels[0][-2] if operation == "conv" else 1
    return {"groups": groups} if groups > 1 else {}


def _compiled(function: str, *arguments: Any, **settings: Any) -> Callable:
    call = partial(getattr(functional, function), *arguments, **settings)
    call()
    return call


def _output_shape(operation: str, case: Case) -> tuple[int, ...]:
    settings = {k: v for k, v in case.settings.items() if k not in ("algorithm", "interpolation")}
    stem, sizes = operation.removeprefix("max_").removeprefix("average_"), ()
    if case.kernels:
        stem = "conv_transpose" if operation == "conv_transpose" else "conv"
        *kernel_size, rows, columns = case.kernels[0]
        filters = {"conv": columns, "conv_transpose": rows, "depthwise_conv": rows * columns}
        sizes = filters.get(operation, case.kernels[-1][-1]), tuple(kernel_size)
    return getattr(shapes, f"{stem}_output_shape")(case.shape, *sizes, **settings)
