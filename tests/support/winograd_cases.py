"""Cases of Winograd's convolution and how to run them, for the tests of its results and of its choice."""

from typing import Any

import numpy as np
import pytest
from cases import Case, run

from numbaconv.calls.conv import conv_call
from numbaconv.calls.transposed import transposed_call
from numbaconv.calls.window import window_of
from numbaconv.calls.winograd import WinogradCall

# Of the largest |output|.
TOLERANCE = {"float32": 2e-5, "float64": 1e-11}
# Knobs of `numbaconv.kernels.plan`, for the fixture `recut`.
SMALL_BLOCKS = {"task_cost": 0, "threads": 10**6}
LARGE_BLOCKS = {"task_cost": 10**12, "threads": 1, "spread_bytes": 2**40}
# The input is transformed beforehand, in tasks of their own.
SPREAD = {"threads": 3, "region_cost": -(10**15)}
by_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


def make_case(
    lengths: tuple[int, int],
    channels: int,
    filters: int,
    padding: str = "same",
    batch: int = 2,
    taps: int = 3,
    operation: str = "conv",
    **settings: Any,
) -> Case:
    """A convolution, or a transposed one with strides 1, with so many output positions where the padding has none."""
    case = Case("", operation, (batch, *lengths, channels), (taps, taps), filters, 1, {"padding": padding, **settings})
    if padding == "valid" and operation == "conv":
        reach = [(taps - 1) * d for d in case.setting("dilation_rate")]
        case = Case("", operation, (batch, *map(sum, zip(lengths, reach, strict=True)), channels), *_rest(case))
    name = f"{operation} {case.shape} {taps} {filters} {' '.join(map(str, case.settings.values()))}"
    return Case(name, operation, case.shape, *_rest(case))


def _rest(case: Case) -> tuple:
    return case.kernel_size, case.filters, 1, case.settings


def call_of(case: Case, dtype: str = "float32", algorithm: str = "auto") -> Any:
    """The prepared call of a convolution, or of a transposed one, which has no choice of algorithm."""
    itemsize, window = np.dtype(dtype).itemsize, window_of(case.kernel_size, **case.settings)
    if case.operation == "conv_transpose":
        weights = (*case.kernel_size, case.filters, case.channels)
        return transposed_call(case.shape, weights, itemsize, window)
    weights = (*case.kernel_size, case.channels, case.filters)
    return conv_call(case.shape, weights, itemsize, window, algorithm)


def is_winograd(call: Any) -> bool:
    return isinstance(call, WinogradCall)


def winograd(case: Case, arrays: list[Any], data_format: str = "channels_last") -> np.ndarray:
    return run(case, arrays, data_format, algorithm="winograd")
