"""Whole output shapes, from checked arguments and never empty."""

from collections.abc import Sequence
from typing import Any

from ..objects.docstrings import as_in
from .checks import (
    MOST,
    along_axes,
    as_integers,
    check_size,
    normalize_data_format,
    normalize_pairs,
    normalize_shape,
    normalize_tuple,
    positive_integer,
)
from .lengths import conv_output_length, deconv_length, dilated_kernel_size

Shape = tuple[int | None, ...]


def _split(input_shape: Sequence[int | None], data_format: str) -> tuple[int | None, Shape, int | None]:
    """Batch, spatial lengths and channels of a shape."""
    sizes: Shape = tuple(input_shape) if isinstance(input_shape, tuple | list) else ()
    if len(sizes) not in (3, 4, 5) or as_integers([size for size in sizes if size is not None], 0) is None:
        raise ValueError(
            "input_shape must be a tuple of a batch size, 1 to 3 spatial lengths and a channel count, each None or a "
            f"non-negative integer, got {input_shape!r}"
        )
    sizes = normalize_shape(sizes, "input_shape")
    if normalize_data_format(data_format) == "channels_first":
        return sizes[0], sizes[2:], sizes[1]
    return sizes[0], sizes[1:-1], sizes[-1]


def _join(batch: int | None, lengths: Shape, channels: int | None, data_format: str) -> Shape:
    first = normalize_data_format(data_format) == "channels_first"
    shape = (batch, channels, *lengths) if first else (batch, *lengths, channels)
    check_size(shape, "output_shape")
    return shape


def _check_windows(kernel: tuple[int, ...], strides: tuple[int, ...], dilation: tuple[int, ...]) -> None:
    """Raise ValueError for windows that reach or step beyond any array."""
    reach = (dilated_kernel_size(k, d) for k, d in zip(kernel, dilation, strict=True))
    if max(*reach, *strides, *dilation) > MOST:
        raise ValueError(
            f"windows must reach and step at most 2**57 positions, got size {kernel}, dilation {dilation}, "
            f"strides {strides}"
        )


def _not_empty(output_lengths: Shape, input_lengths: Shape, **settings: Any) -> Shape:
    if any(length is not None and length <= 0 for length in output_lengths):
        given = ", ".join(f"{name} {value!r}" for name, value in settings.items())
        raise ValueError(
            f"output lengths must be positive, got {output_lengths} from input lengths {input_lengths}, {given}"
        )
    return output_lengths


def _conv_lengths(
    lengths: Shape, kernel_size: Any, strides: Any, padding: Any, dilation_rate: Any, allowed: Sequence[str]
) -> Shape:
    rank = len(lengths)
    kernel = normalize_tuple(kernel_size, rank, "kernel_size")
    steps = normalize_tuple(strides, rank, "strides")
    dilation = normalize_tuple(dilation_rate, rank, "dilation_rate")
    names = along_axes(padding, rank, allowed)
    _check_windows(kernel, steps, dilation)
    axes = zip(lengths, kernel, names, steps, dilation, strict=True)
    output = tuple(conv_output_length(*axis) for axis in axes)
    return _not_empty(output, lengths, kernel_size=kernel, strides=steps, dilation_rate=dilation, padding=padding)


def conv_output_shape(
    input_shape: Sequence[int | None],
    filters: int,
    kernel_size: int | Sequence[int],
    strides: int | Sequence[int] = 1,
    padding: str = "valid",
    dilation_rate: int | Sequence[int] = 1,
    data_format: str = "channels_last",
) -> Shape:
    """Output shape of a convolution of rank 1, 2 or 3.

    Parameters
    ----------
    input_shape : tuple of int or None
        Batch, spatial lengths and channels in the order of `data_format`.
    filters : int
        Output channels.
    kernel_size, strides, dilation_rate : int or tuple of int
        One for each spatial axis. Strides and dilation may both differ from 1.
    padding : {"valid", "same", "causal"}
        "causal" for rank 1 only.
    data_format : {"channels_last", "channels_first"}
        Where the channels stand.

    Returns
    -------
    tuple of int or None
        The full output shape.

    Raises
    ------
    ValueError
        If an argument is invalid or an output length is not positive.

    Examples
    --------
    >>> conv_output_shape((None, 224, 224, 3), filters=64, kernel_size=7, strides=2, padding="same")
    (None, 112, 112, 64)
    """
    batch, lengths, _ = _split(input_shape, data_format)
    allowed = ("valid", "same", "causal") if len(lengths) == 1 else ("valid", "same")
    output = _conv_lengths(lengths, kernel_size, strides, padding, dilation_rate, allowed)
    return _join(batch, output, positive_integer(filters, "filters"), data_format)


@as_in(conv_output_shape)
def depthwise_conv_output_shape(
    input_shape: Sequence[int | None],
    kernel_size: int | Sequence[int],
    strides: int | Sequence[int] = 1,
    padding: str = "valid",
    depth_multiplier: int = 1,
    dilation_rate: int | Sequence[int] = 1,
    data_format: str = "channels_last",
) -> Shape:
    """Output shape of a depthwise convolution: channels C become C*depth_multiplier, None stays None.

    Parameters
    ----------
    padding : {"valid", "same"}
    depth_multiplier : int
        Outputs of each channel.
    """
    batch, lengths, channels = _split(input_shape, data_format)
    output = _conv_lengths(lengths, kernel_size, strides, padding, dilation_rate, ("valid", "same"))
    multiplier = positive_integer(depth_multiplier, "depth_multiplier")
    return _join(batch, output, None if channels is None else channels * multiplier, data_format)


@as_in(conv_output_shape)
def separable_conv_output_shape(
    input_shape: Sequence[int | None],
    filters: int,
    kernel_size: int | Sequence[int],
    strides: int | Sequence[int] = 1,
    padding: str = "valid",
    dilation_rate: int | Sequence[int] = 1,
    data_format: str = "channels_last",
) -> Shape:
    """Output shape of a separable convolution: lengths of its depthwise step, channels of its pointwise step.

    Parameters
    ----------
    padding : {"valid", "same"}
    """
    batch, lengths, _ = _split(input_shape, data_format)
    output = _conv_lengths(lengths, kernel_size, strides, padding, dilation_rate, ("valid", "same"))
    return _join(batch, output, positive_integer(filters, "filters"), data_format)


@as_in(conv_output_shape)
def conv_transpose_output_shape(
    input_shape: Sequence[int | None],
    filters: int,
    kernel_size: int | Sequence[int],
    strides: int | Sequence[int] = 1,
    padding: str = "valid",
    output_padding: int | Sequence[int] | None = None,
    dilation_rate: int | Sequence[int] = 1,
    data_format: str = "channels_last",
) -> Shape:
    """Output shape of a transposed convolution of rank 1, 2 or 3; each length is `deconv_length`.

    Parameters
    ----------
    padding : {"valid", "same"}
    output_padding : int, tuple of int, or None
        Positions added to the end of each axis, at least 0 and below the stride; None lets the padding decide.

    Examples
    --------
    >>> conv_transpose_output_shape((None, 28, 28, 64), filters=32, kernel_size=4, strides=2, padding="same")
    (None, 56, 56, 32)
    """
    batch, lengths, _ = _split(input_shape, data_format)
    rank = len(lengths)
    kernel = normalize_tuple(kernel_size, rank, "kernel_size")
    steps = normalize_tuple(strides, rank, "strides")
    dilation = normalize_tuple(dilation_rate, rank, "dilation_rate")
    names = along_axes(padding, rank, ("valid", "same"))
    _check_windows(kernel, steps, dilation)
    added: Shape = (None,) * rank
    if output_padding is not None:
        amounts = normalize_tuple(output_padding, rank, "output_padding", allow_zero=True)
        if any(amount >= step for amount, step in zip(amounts, steps, strict=True)):
            raise ValueError(f"output_padding must be less than strides {steps} along every axis, got {amounts}")
        added = amounts
    axes = zip(lengths, steps, kernel, names, added, dilation, strict=True)
    output = _not_empty(
        tuple(deconv_length(*axis) for axis in axes),
        lengths,
        kernel_size=kernel,
        strides=steps,
        dilation_rate=dilation,
        padding=padding,
        output_padding=None if output_padding is None else added,
    )
    return _join(batch, output, positive_integer(filters, "filters"), data_format)


@as_in(conv_output_shape)
def crop_output_shape(input_shape: Sequence[int | None], cropping: Any, data_format: str = "channels_last") -> Shape:
    """Output shape of cropping: n - before - after along each axis.

    Parameters
    ----------
    cropping : int or tuple
        Positions to cut, in a form `normalize_pairs` takes.

    Raises
    ------
    ValueError
        If an argument is invalid or nothing is left along an axis.

    Examples
    --------
    >>> crop_output_shape((None, 28, 28, 3), ((2, 2), (4, 4)))
    (None, 24, 20, 3)
    """
    batch, lengths, channels = _split(input_shape, data_format)
    pairs = normalize_pairs(cropping, len(lengths), "cropping")
    output = tuple(None if n is None else n - sum(pair) for n, pair in zip(lengths, pairs, strict=True))
    return _join(batch, _not_empty(output, lengths, cropping=pairs), channels, data_format)


@as_in(conv_output_shape)
def zero_pad_output_shape(input_shape: Sequence[int | None], padding: Any, data_format: str = "channels_last") -> Shape:
    """Output shape of zero padding: n + before + after along each axis.

    Parameters
    ----------
    padding : int or tuple
        Zeros to add, in a form `normalize_pairs` takes.
    """
    batch, lengths, channels = _split(input_shape, data_format)
    pairs = normalize_pairs(padding, len(lengths), "padding")
    output = tuple(None if n is None else n + sum(pair) for n, pair in zip(lengths, pairs, strict=True))
    return _join(batch, _not_empty(output, lengths, padding=pairs), channels, data_format)


@as_in(conv_output_shape)
def upsample_output_shape(
    input_shape: Sequence[int | None], size: int | Sequence[int], data_format: str = "channels_last"
) -> Shape:
    """Output shape of upsampling: n*size along each axis.

    Parameters
    ----------
    size : int or tuple of int
        One positive factor for each axis.
    """
    batch, lengths, channels = _split(input_shape, data_format)
    factors = normalize_tuple(size, len(lengths), "size")
    output = tuple(None if n is None else n * factor for n, factor in zip(lengths, factors, strict=True))
    return _join(batch, _not_empty(output, lengths, size=factors), channels, data_format)


@as_in(conv_output_shape)
def resize_output_shape(
    input_shape: Sequence[int | None], size: int | Sequence[int], data_format: str = "channels_last"
) -> Shape:
    """Output shape of resizing: the lengths are those of `size`, whatever they were but for 0.

    Parameters
    ----------
    size : int or tuple of int
        One positive length for each axis.

    Examples
    --------
    >>> resize_output_shape((None, None, 28, 3), (14, 7))
    (None, 14, 7, 3)
    """
    batch, lengths, channels = _split(input_shape, data_format)
    if 0 in lengths:
        raise ValueError(f"input lengths must be positive, got {lengths}")
    output = normalize_tuple(size, len(lengths), "size")
    return _join(batch, _not_empty(output, lengths, size=output), channels, data_format)


@as_in(conv_output_shape)
def pool_output_shape(
    input_shape: Sequence[int | None],
    pool_size: int | Sequence[int] = 2,
    strides: int | Sequence[int] | None = None,
    padding: str = "valid",
    data_format: str = "channels_last",
) -> Shape:
    """Output shape of pooling: lengths as of a convolution with windows of `pool_size`, channels as they were.

    Parameters
    ----------
    pool_size : int or tuple of int
        One for each spatial axis.
    strides : int or tuple of int, optional
        None takes `pool_size`.
    padding : {"valid", "same"}

    Examples
    --------
    >>> pool_output_shape((None, 7, 7, 64), pool_size=2, padding="same")
    (None, 4, 4, 64)
    """
    batch, lengths, channels = _split(input_shape, data_format)
    size = normalize_tuple(pool_size, len(lengths), "pool_size")
    steps = size if strides is None else normalize_tuple(strides, len(lengths), "strides")
    names = along_axes(padding, len(lengths), ("valid", "same"))
    _check_windows(size, steps, (1,) * len(size))
    output = tuple(conv_output_length(*axis) for axis in zip(lengths, size, names, steps, strict=True))
    return _join(
        batch, _not_empty(output, lengths, pool_size=size, strides=steps, padding=padding), channels, data_format
    )


@as_in(conv_output_shape)
def global_pool_output_shape(
    input_shape: Sequence[int | None], keepdims: bool = False, data_format: str = "channels_last"
) -> Shape:
    """Output shape of pooling over all positions.

    Parameters
    ----------
    keepdims : bool
        Whether (batch, channels) has a length of 1 for each spatial axis, too.

    Raises
    ------
    ValueError
        If an argument is invalid or an input length is 0.
    """
    batch, lengths, channels = _split(input_shape, data_format)
    if 0 in lengths:
        raise ValueError(f"input lengths must be positive, got {lengths}")
    return _join(batch, (1,) * len(lengths), channels, data_format) if keepdims else (batch, channels)
