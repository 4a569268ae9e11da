"""The seven operations, forward."""

from typing import Any

import numpy as np

from .. import shapes
from ..calls.conv import conv_call, depthwise_call
from ..calls.epilogue import plain_epilogue
from ..calls.moving import crop_call, upsample_call, zero_pad_call
from ..calls.packed import Packed, check_packed, check_packed_groups, check_packed_steps, operand_dtype
from ..calls.separable import separable_call
from ..calls.transposed import transposed_call
from ..calls.window import window_of
from ..common.arguments import (
    as_numbers,
    branches_of,
    cast,
    check_algorithm,
    check_data_format,
    check_groups,
    check_interpolation,
    check_weights,
    common_dtype,
    spatial_rank,
)
from ..objects.docstrings import as_in

Ints = int | tuple[int, ...] | list[int]


def pack_conv(weights: Any, dtype: Any = None, groups: int = 1) -> Packed:
    """Copy the weights of `conv`, shape (*kernel_size, C // groups, F); the first call that needs it orders them.

    ``dtype`` is float32 or float64; None keeps float64 and takes float32 for all else. ``groups`` divides F.
    """
    weights = check_weights(weights, "weights", dtype)
    return Packed("conv", weights, branches=check_groups(groups, filters=weights.shape[-1]))


def pack_depthwise_conv(weights: Any, dtype: Any = None) -> Packed:
    """`pack_conv` for the weights of `depthwise_conv`, shape (*kernel_size, C, depth_multiplier)."""
    return Packed("depthwise_conv", check_weights(weights, "weights", dtype))


def pack_conv_transpose(weights: Any, strides: Ints = 1, dilation_rate: Ints = 1, dtype: Any = None) -> Packed:
    """`pack_conv` for the weights of `conv_transpose`, shape (*kernel_size, F, C), with these strides and dilation."""
    weights = check_weights(weights, "weights", dtype)
    settings = ((strides, "strides"), (dilation_rate, "dilation_rate"))
    rank = weights.ndim - 2
    return Packed("conv_transpose", weights, tuple(shapes.normalize_tuple(v, rank, name) for v, name in settings))


def conv(
    x: Any,
    weights: Any,
    bias: Any = None,
    strides: Ints = 1,
    padding: str = "valid",
    dilation_rate: Ints = 1,
    data_format: str | None = None,
    algorithm: str = "auto",
) -> np.ndarray:
    """Convolve: slide a window over the spatial axes and sum over its taps and all channels (``keras.ops.conv``).

    ``out[n, q, f] = bias[f] + sum over k, c of x[n, q*stride + k*dilation - before, c] * weights[k, c, f]``, x being 0
    outside. As in every deep-learning library this is a cross-correlation: the kernel is not flipped.

    Where x has G times as many channels as the weights, channels and filters fall into G groups, as in
    ``keras.ops.conv``: each filter sums over the channels of its own group.

    Parameters
    ----------
    x : array_like, shape (N, *lengths, C), or (N, C, *lengths) for channels_first
    weights : array_like, shape (*kernel_size, C // G, F), or Packed
        In both data formats alike; `pack_conv` prepares them once for many calls. G divides C and F.
    bias : array_like, shape (F,), optional
    strides, dilation_rate : int or tuple of int
        Steps of the window, and distance of its taps; both may differ from 1 at once.
    padding : {"valid", "same", "causal"}
        "causal" for one spatial axis only.
    data_format : {"channels_last", "channels_first"}, optional
        None takes `config.image_data_format`.
    algorithm : {"auto", "direct", "winograd"}
        "winograd" computes kernels of 3x3 or 5x5 along the last two axes with a quarter to a third of the
        multiplications, those of 3 or 5 taps along the last and one along that before it with half or more, and larger
        rounding errors; an infinity or NaN in the input then turns outputs up to five steps of the dilation away into
        NaN.
        "direct" is the formula as it stands. "auto" takes Winograd's for float32 where it is faster, and the formula
        for all outputs that it would spoil: next to values far above the others, on nearly empty ground, and where
        there are infinities or NaN. The error of an output is then at most 1e-4 of the sum of absolute inputs over its
        own window times the largest absolute weight of its filter, and usually far less; more only where the formula
        itself rounds worse in float32, as sums of over 1,600 products may (3x3 kernels and 187 channels). Sums of whole
        numbers are exact by "direct" alone. Groups are always computed by the formula.

    Returns
    -------
    ndarray, shape (N, *output lengths, F), or (N, F, *output lengths)
        Output lengths as in `shapes.conv_output_shape`.
    """
    x = as_numbers(x, "x")
    rank = spatial_rank(x)
    packed = weights
    if not isinstance(weights, Packed):
        weights = check_weights(weights, "weights", operand_dtype(x, weights=weights, bias=bias))
        packed = Packed("conv", weights, branches=branches_to_pack(x.shape, weights, data_format))
    check_packed(packed, "conv", rank)
    window = window_of(packed.shape[:-2], strides, padding, dilation_rate, data_format)
    algorithm = check_algorithm(algorithm, window.kernel_size, window.strides)
    call = conv_call(x.shape, packed.shape, packed.dtype.itemsize, window, algorithm)
    check_packed_groups(packed, x.shape, window.data_format)
    return call(cast(x, packed.dtype), packed, plain_epilogue(bias, packed.shape[-1], packed.dtype))


@as_in(conv)
def depthwise_conv(
    x: Any,
    weights: Any,
    bias: Any = None,
    strides: Ints = 1,
    padding: str = "valid",
    dilation_rate: Ints = 1,
    data_format: str | None = None,
) -> np.ndarray:
    """Filter every channel by itself with ``depth_multiplier`` kernels of its own (``keras.ops.depthwise_conv``).

    ``out[n, q, c*M + m] = bias[c*M + m] + sum over k of x[n, q*stride + k*dilation - before, c] * weights[k, c, m]``

    Parameters
    ----------
    weights : array_like, shape (*kernel_size, C, M), or Packed
        M is the depth multiplier; `pack_depthwise_conv` prepares them once for many calls.
    bias : array_like, shape (C*M,), optional

    Returns
    -------
    ndarray, shape (N, *output lengths, C*M), or (N, C*M, *output lengths)
    """
    x = as_numbers(x, "x")
    rank = spatial_rank(x)
    packed = weights
    if not isinstance(weights, Packed):
        packed = pack_depthwise_conv(weights, operand_dtype(x, weights=weights, bias=bias))
    check_packed(packed, "depthwise_conv", rank)
    window = window_of(packed.shape[:-2], strides, padding, dilation_rate, data_format)
    call = depthwise_call(x.shape, packed.shape, packed.dtype.itemsize, window)
    channels = packed.shape[-2] * packed.shape[-1]
    return call(cast(x, packed.dtype), packed, plain_epilogue(bias, channels, packed.dtype))


@as_in(conv)
def separable_conv(
    x: Any,
    depthwise_weights: Any,
    pointwise_weights: Any,
    bias: Any = None,
    strides: Ints = 1,
    padding: str = "valid",
    dilation_rate: Ints = 1,
    data_format: str | None = None,
) -> np.ndarray:
    """Filter every channel by itself, then mix the channels point by point (``keras.ops.separable_conv``).

    ``conv(depthwise_conv(x, depthwise_weights), pointwise_weights, bias)`` with strides, padding and dilation in the
    depthwise step; no bias stands between the steps.

    Parameters
    ----------
    depthwise_weights : array_like, shape (*kernel_size, C, M), or Packed
    pointwise_weights : array_like, shape (1, ..., C*M, F), or Packed
    bias : array_like, shape (F,), optional

    Returns
    -------
    ndarray, shape (N, *output lengths, F), or (N, F, *output lengths)
    """
    x = as_numbers(x, "x")
    rank = spatial_rank(x)
    dtype = operand_dtype(x, depthwise_weights=depthwise_weights, pointwise_weights=pointwise_weights, bias=bias)
    depthwise, pointwise = depthwise_weights, pointwise_weights
    if not isinstance(depthwise, Packed):
        depthwise = Packed("depthwise_conv", check_weights(depthwise, "depthwise_weights", dtype))
    if not isinstance(pointwise, Packed):
        pointwise = Packed("conv", check_weights(pointwise, "pointwise_weights", dtype))
    check_packed(depthwise, "depthwise_conv", rank, "depthwise_weights")
    check_packed(pointwise, "conv", rank, "pointwise_weights")
    if depthwise.dtype != pointwise.dtype:
        raise ValueError(f"the weights must be packed with one dtype, got {depthwise.dtype} and {pointwise.dtype}")
    window = window_of(depthwise.shape[:-2], strides, padding, dilation_rate, data_format)
    call = separable_call(x.shape, depthwise.shape, pointwise.shape, depthwise.dtype.itemsize, window)
    epilogue = plain_epilogue(bias, pointwise.shape[-1], pointwise.dtype)
    return call(cast(x, depthwise.dtype), depthwise, pointwise, epilogue)


@as_in(conv)
def conv_transpose(
    x: Any,
    weights: Any,
    bias: Any = None,
    strides: Ints = 1,
    padding: str = "valid",
    output_padding: Ints | None = None,
    dilation_rate: Ints = 1,
    data_format: str | None = None,
    algorithm: str = "auto",
) -> np.ndarray:
    """Spread every input value through the kernel and add up (``keras.ops.conv_transpose``).

    ``out[n, o, f] = bias[f] + sum of x[n, i, c] * weights[k, f, c]`` over c and all i, k with
    ``i*stride + k*dilation - crop == o``. It is the gradient of `conv` with respect to its input.

    Parameters
    ----------
    weights : array_like, shape (*kernel_size, F, C), or Packed
        `pack_conv_transpose` prepares them once for many calls with the same strides and dilation.
    bias : array_like, shape (F,), optional
    padding : {"valid", "same"}
    output_padding : int or tuple of int, optional
        Below the strides; None lets the output length follow from the input's.

    Returns
    -------
    ndarray, shape (N, *output lengths, F), or (N, F, *output lengths)
        Output lengths as in `shapes.conv_transpose_output_shape`.
    """
    x = as_numbers(x, "x")
    rank = spatial_rank(x)
    packed = weights
    if not isinstance(weights, Packed):
        packed = pack_conv_transpose(weights, strides, dilation_rate, operand_dtype(x, weights=weights, bias=bias))
    check_packed(packed, "conv_transpose", rank)
    window = window_of(packed.shape[:-2], strides, padding, dilation_rate, data_format, ("valid", "same"))
    check_packed_steps(packed, window.strides, window.dilation_rate)
    output_padding = check_output_padding(output_padding, rank)
    algorithm = check_algorithm(algorithm, window.kernel_size, window.strides)
    call = transposed_call(x.shape, packed.shape, packed.dtype.itemsize, window, output_padding, algorithm)
    return call(cast(x, packed.dtype), packed, plain_epilogue(bias, packed.shape[-2], packed.dtype))


@as_in(conv)
def crop(x: Any, cropping: Any, data_format: str | None = None) -> np.ndarray:
    """Cut positions off the ends of the spatial axes (Keras's ``Cropping1D`` to ``Cropping3D``).

    Parameters
    ----------
    cropping : int, tuple of int or tuple of (before, after)
        One amount for all axes, one per axis, or one pair per axis; for one spatial axis a pair is enough.

    Returns
    -------
    ndarray
        Lengths n - before - after.

    Raises
    ------
    ValueError
        Where nothing would be left.
    """
    x, data_format = as_numbers(x, "x"), check_data_format(data_format)
    pairs = shapes.normalize_pairs(cropping, spatial_rank(x), "cropping")
    x = cast(x, common_dtype(x))
    return crop_call(x.shape, pairs, data_format, x.itemsize)(x)


@as_in(conv)
def zero_pad(x: Any, padding: Any, data_format: str | None = None) -> np.ndarray:
    """Add zeros at the ends of the spatial axes (Keras's ``ZeroPadding1D`` to ``ZeroPadding3D``).

    Parameters
    ----------
    padding : int, tuple of int or tuple of (before, after)
        One amount for all axes, one per axis, or one pair per axis; for one spatial axis a pair is enough.

    Returns
    -------
    ndarray
        Lengths n + before + after.
    """
    x, data_format = as_numbers(x, "x"), check_data_format(data_format)
    pairs = shapes.normalize_pairs(padding, spatial_rank(x), "padding")
    x = cast(x, common_dtype(x))
    return zero_pad_call(x.shape, pairs, data_format, x.itemsize)(x)


@as_in(conv)
def upsample(x: Any, size: Ints, interpolation: str = "nearest", data_format: str | None = None) -> np.ndarray:
    """Enlarge the spatial axes by whole factors (Keras's ``UpSampling1D`` to ``UpSampling3D``).

    Parameters
    ----------
    size : int or tuple of int
    interpolation : {"nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"}
        "nearest" repeats: ``out[o] = x[o // size]``. The others are for two spatial axes and read x at
        ``(o + 0.5) / size - 0.5`` (half-pixel centres): "bilinear" between the two nearest positions, the ends being
        held; "bicubic" with Keys's cubic (a = -0.5) from four, at a place rounded to 1/1024, as TensorFlow does;
        "lanczos3" and "lanczos5" with Lanczos's kernel from six and ten. Shares of what lies outside fall to the rest.

    Returns
    -------
    ndarray
        Lengths n * size.
    """
    x, data_format = as_numbers(x, "x"), check_data_format(data_format)
    rank = spatial_rank(x)
    interpolation = check_interpolation(interpolation, rank)
    size = shapes.normalize_tuple(size, rank, "size")
    dtype = common_dtype(x)
    return upsample_call(x.shape, size, interpolation, data_format, dtype.itemsize)(cast(x, dtype))


def check_output_padding(value: Any, rank: int) -> tuple[int, ...] | None:
    """An output_padding for ``rank`` spatial axes; None stays None."""
    return None if value is None else shapes.normalize_tuple(value, rank, "output_padding", allow_zero=True)


def branches_to_pack(x_shape: tuple[int, ...], weights: np.ndarray, data_format: Any) -> int:
    """For how many branches to pack the weights of `conv`: where they do not fit, the prepared call says so."""
    return branches_of(x_shape, weights.shape, check_data_format(data_format)) or 1
