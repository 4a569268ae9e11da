"""Checks what a user passed; past this point nothing is a string, None or of the wrong shape."""

from typing import Any

import numpy as np

from .. import config
from ..shapes import normalize_data_format, normalize_tuple
from .arrays import as_numbers, cast, common_dtype, dtype_or_none


def check_data_format(value: str | None) -> str:
    """A data format, or the configured one for None."""
    return config.image_data_format() if value is None else normalize_data_format(value)


def check_dtype(value: Any, name: str = "dtype") -> np.dtype:
    """float32 or float64, or the configured default for None."""
    dtype = dtype_or_none(config.floatx() if value is None else value)
    if dtype is None or dtype not in (np.float32, np.float64):
        raise ValueError(f"{name} must be 'float32' or 'float64', got {value!r}")
    return dtype


def check_bool(value: Any, name: str) -> bool:
    """A bool, and not something that merely has a truth value."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def check_rank(x: np.ndarray, rank: int | None, data_format: str) -> None:
    """Raise ValueError unless ``x`` has a batch, ``rank`` spatial axes (any number for None) and channels."""
    if rank is None:
        if x.ndim < 2:
            raise ValueError(f"x must have at least 2 axes, batch first, got shape {x.shape}")
    elif x.ndim != rank + 2:
        axes = ("depth", "height", "width")[3 - rank :] if rank > 1 else ("steps",)
        order = ("batch", "channels", *axes) if data_format == "channels_first" else ("batch", *axes, "channels")
        raise ValueError(f"x must have {rank + 2} axes ({', '.join(order)}; {data_format}), got shape {x.shape}")


def spatial_rank(x: np.ndarray, name: str = "x") -> int:
    """Number of spatial axes of an array with batch and channels."""
    if x.ndim not in (3, 4, 5):
        raise ValueError(f"{name} must have 3 to 5 axes (batch, 1 to 3 spatial axes, channels), got shape {x.shape}")
    return x.ndim - 2


def check_shape(value: Any, name: str) -> tuple[int, ...]:
    """The shape of an array, all sizes known."""
    if not isinstance(value, tuple | list) or len(value) not in (3, 4, 5):
        raise ValueError(f"{name} must be a tuple of 3 to 5 sizes, batch and channels included, got {value!r}")
    return normalize_tuple(tuple(value), len(value), name, allow_zero=True)


def check_channels(x_shape: tuple, channels: int, data_format: str, owner: str) -> None:
    """Raise ValueError unless an input of ``x_shape`` has as many channels as ``owner`` was made for."""
    given = x_shape[1 if data_format == "channels_first" else -1]
    if given != channels:
        raise ValueError(
            f"x must have {channels} channels ({data_format}) to fit {owner}, got {given} in shape {x_shape}"
        )


def branches_of(x_shape: tuple, weights_shape: tuple, data_format: str) -> int:
    """Branches of a convolution (Keras's ``groups``): how often the channels of weights (..., C, F) are in an input.

    0 where they do not fit.
    """
    channels, filters = weights_shape[-2:]
    count, rest = divmod(x_shape[1 if data_format == "channels_first" else -1], channels or 1)
    return 0 if rest or not count or not channels or filters % count else count


def check_branches(x_shape: tuple, weights_shape: tuple, data_format: str) -> int:
    """`branches_of`, or ValueError."""
    count = branches_of(x_shape, weights_shape, data_format)
    if not count:
        (channels, filters), given = weights_shape[-2:], x_shape[1 if data_format == "channels_first" else -1]
        raise ValueError(
            f"x must have {channels} channels ({data_format}) to fit weights, or, with groups, {channels} times a "
            f"divisor of the {filters} filters, got {given} in shape {x_shape}"
        )
    return count


def check_groups(groups: Any, **divided: int | None) -> int:
    """A number of groups that divides each of the numbers; their names are for the message."""
    (count,) = normalize_tuple(groups, 1, "groups")
    for name, number in divided.items():
        if number is not None and number % count:
            raise ValueError(f"groups must divide the {number} {name}, got {count}")
    return count


def check_bias(bias: Any, filters: int, dtype: np.dtype) -> np.ndarray:
    """A bias of ``filters`` values."""
    bias = as_numbers(bias, "bias")
    if bias.shape != (filters,):
        raise ValueError(f"bias must have shape ({filters},), one value per output channel, got {bias.shape}")
    return cast(bias, dtype)


def check_weights(weights: Any, name: str, dtype: Any = None) -> np.ndarray:
    """A contiguous copy of weights of 1 to 3 spatial axes in ``dtype``, or in `common_dtype` for None."""
    weights = as_numbers(weights, name)
    if weights.ndim not in (3, 4, 5) or 0 in weights.shape:
        raise ValueError(
            f"{name} must have 1 to 3 kernel axes and two channel axes, none empty, got shape {weights.shape}"
        )
    return np.array(cast(weights, common_dtype(weights) if dtype is None else check_dtype(dtype)), order="C")


def check_algorithm(value: Any, kernel_size: tuple[int, ...], strides: tuple[int, ...]) -> str:
    """The name of a way to compute a convolution with this kernel and these strides."""
    if not isinstance(value, str) or value not in ("auto", "direct", "winograd"):
        raise ValueError(f"algorithm must be 'auto', 'direct' or 'winograd', got {value!r}")
    *depth, height, width = (0, *kernel_size) if len(kernel_size) == 1 else kernel_size
    whole = set(depth) <= {1} or strides[0] == 1
    exists = width in (3, 5) and height in (0, 1, width) and whole and set(strides[-2:]) == {1}
    if value == "winograd" and not exists:
        raise ValueError(
            "algorithm must be 'auto' or 'direct', because 'winograd' exists only for strides 1 and kernels of 3 or 5 "
            "taps along the last axis, and as many or one along that before it, got 'winograd' with "
            f"kernel_size={kernel_size} and strides={strides}"
        )
    return value


def check_interpolation(value: Any, rank: int, *more: str) -> str:
    """The name of an interpolation that ``rank`` spatial axes allow, or of one of some others."""
    allowed = ("nearest", *(("bilinear", "bicubic", "lanczos3", "lanczos5") if rank == 2 else ()), *more)
    if not isinstance(value, str) or value.lower() not in allowed:
        raise ValueError(f"interpolation must be one of {allowed} for {rank} spatial axes, got {value!r}")
    return value.lower()


def check_mask(mask: Any, shape: tuple[int, ...]) -> np.ndarray:
    """A mask of the first axes of an array of this shape, as bools."""
    array = np.asarray(mask)
    if array.dtype.kind not in "biuf" or array.shape != shape[: array.ndim] or array.ndim < 2:
        raise ValueError(
            f"mask must be an array of bools of shape {shape[:2]}, one for each step, got {array.dtype} of shape "
            f"{array.shape}"
        )
    return array != 0
