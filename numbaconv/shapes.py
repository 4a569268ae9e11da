"""Shapes of the seventeen layers as integer arithmetic; nothing here touches an array or imports NumPy or Numba.

Notation: n input length, k kernel size, s stride, d dilation, ke = (k - 1)*d + 1 the input positions a dilated kernel
spans. A length of None is unknown and stays unknown. The functions named ``*_length`` and ``conv_padding`` are bare
formulas for one axis; those named ``*_output_shape`` check what they are given and never return an empty shape.
"""

import operator
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple, TypeVar

Shape = tuple[int | None, ...]
Length = TypeVar("Length", int, int | None)  # a known length stays known


def _index(value: Any) -> int:
    # By name, so that NumPy's bool is recognised (operator.index of older NumPy accepts it) without importing NumPy.
    if type(value).__name__ in {"bool", "bool_"}:
        raise TypeError(f"a bool is not an integer, got {value!r}")
    return operator.index(value)


def _ceil_div(a: int, b: int) -> int:
    return -(-a // b)


def _integers(values: Sequence[Any], minimum: int) -> tuple[int, ...] | None:
    """The values as ints, or None if one of them is not an integer or lies below the minimum."""
    try:
        integers = tuple(_index(value) for value in values)
    except TypeError:
        return None
    return integers if all(integer >= minimum for integer in integers) else None


def _positive(value: Any, name: str) -> int:
    integers = _integers((value,), 1)
    if integers is None:
        raise ValueError(f"{name} must be a positive integer, got {value!r}")
    return integers[0]


def normalize_tuple(value: Any, n: int, name: str, allow_zero: bool = False) -> tuple[int, ...]:
    """Spread an integer over `n` axes, or check a tuple of `n` integers.

    Parameters
    ----------
    value : int or tuple or list of int
        NumPy integers count as integers; bool and float do not.
    n : int
        Number of axes.
    name : str
        Argument name for the error message.
    allow_zero : bool
        Whether 0 is accepted.

    Returns
    -------
    tuple of int
        `n` Python integers.

    Raises
    ------
    ValueError
        If `value` is anything else.
    """
    values = value if isinstance(value, tuple | list) else (value,) * n
    integers = _integers(values, 0 if allow_zero else 1)
    if integers is None or len(integers) != n:
        sign = "non-negative" if allow_zero else "positive"
        raise ValueError(f"{name} must be a {sign} integer or a tuple of {n} of them, got {value!r}")
    return integers


def normalize_pairs(value: Any, n: int, name: str) -> tuple[tuple[int, int], ...]:
    """Turn a cropping or zero-padding amount into one (before, after) pair for each of `n` axes.

    Parameters
    ----------
    value : int or tuple or list
        One int for every side, or for each axis an int (both sides) or a pair; for one axis the pair may stand alone.
    n : int
        Number of axes.
    name : str
        Argument name for the error message.

    Returns
    -------
    tuple of (int, int)
        `n` pairs.

    Raises
    ------
    ValueError
        If `value` has another form, an amount is negative, or it is a dictionary.
    """
    if not isinstance(value, tuple | list):
        entries: Sequence[Any] = (value,) * n
    elif n == 1 and not (len(value) == 1 and isinstance(value[0], tuple | list)):
        entries = (value,)
    else:
        entries = value
    pairs = []
    for entry in entries:
        pair = _integers(entry if isinstance(entry, tuple | list) else (entry, entry), 0)
        if pair is not None and len(pair) == 2:
            pairs.append((pair[0], pair[1]))
    if not len(pairs) == len(entries) == n:
        several = f"a tuple of {n} of them, or a tuple of {n} (before, after) pairs"
        form = "or a (before, after) pair of them" if n == 1 else several
        raise ValueError(f"{name} must be a non-negative integer, {form}, got {value!r}")
    return tuple(pairs)


def _one_of(value: Any, name: str, allowed: Sequence[str]) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string, one of {', '.join(map(repr, allowed))}, got {value!r}")
    if value.lower() not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}")
    return value.lower()


def normalize_padding(value: Any, allowed: Sequence[str] = ("valid", "same", "causal")) -> str:
    """Check a padding name, in any case, and return it in lower case.

    Raises
    ------
    ValueError
        If the name is not in `allowed`.
    TypeError
        If `value` is not a string.
    """
    return _one_of(value, "padding", allowed)


def normalize_data_format(value: Any) -> str:
    """Check a data format, in any case: "channels_last" for (batch, ..., C), "channels_first" for (batch, C, ...).

    Raises
    ------
    ValueError
        If it is another string.
    TypeError
        If `value` is not a string.
    """
    return _one_of(value, "data_format", ("channels_last", "channels_first"))


def dilated_kernel_size(kernel_size: int, dilation: int = 1) -> int:
    """Input positions from the first tap of a kernel to its last: ke = (k - 1)*d + 1."""
    return (kernel_size - 1) * dilation + 1


def conv_output_length(input_length: Length, filter_size: int, padding: str, stride: int, dilation: int = 1) -> Length:
    """Output length of a convolution along one axis.

    valid ceil((n - ke + 1) / s); same and causal ceil(n / s); full ceil((n + ke - 1) / s).

    Parameters
    ----------
    input_length : int or None
        Length of the axis, in positions.
    filter_size : int
        Kernel size before dilation.
    padding : {"valid", "same", "causal", "full"}
        "full" adds ke - 1 zeros on both sides; no layer has it.
    stride, dilation : int
        Steps of the window and between its taps.

    Returns
    -------
    int or None
        None for an unknown input length. Zero or negative if the window is longer than the padded input.

    Notes
    -----
    Keras: ``conv_utils.conv_output_length``.
    """
    padding = normalize_padding(padding, ("valid", "same", "causal", "full"))
    if input_length is None:
        return None
    reach = dilated_kernel_size(filter_size, dilation) - 1
    growth = {"valid": -reach, "same": 0, "causal": 0, "full": reach}[padding]
    return _ceil_div(input_length + growth, stride)


def conv_input_length(output_length: Length, filter_size: int, padding: str, stride: int) -> Length:
    """Smallest input length from which a convolution makes `output_length` positions along one axis.

    valid (o - 1)*s + k; same and causal (o - 1)*s + 1; full (o - 1)*s + 2 - k, so that
    ``conv_output_length(conv_input_length(o, k, p, s), k, p, s) == o``.

    Parameters
    ----------
    output_length : int or None
        Length o after the convolution.
    filter_size : int
        Kernel size; of a dilated kernel its `dilated_kernel_size`.
    padding : {"valid", "same", "causal", "full"}
        Padding name.
    stride : int
        Steps of the window.

    Returns
    -------
    int or None
        None for an unknown output length. Zero or negative for "full" if even one input position gives more than o.

    Notes
    -----
    Keras: ``conv_utils.conv_input_length``, whose answer for "same" with an even kernel is one less and gives back
    o - 1; it has no "causal".
    """
    padding = normalize_padding(padding, ("valid", "same", "causal", "full"))
    if output_length is None:
        return None
    last_window = {"valid": filter_size, "same": 1, "causal": 1, "full": 2 - filter_size}[padding]
    return (output_length - 1) * stride + last_window


def conv_padding(input_length: int, filter_size: int, padding: str, stride: int, dilation: int = 1) -> tuple[int, int]:
    """Zeros that a convolution adds before and after one axis; the first window starts at -before.

    valid (0, 0); causal (ke - 1, 0); full (ke - 1, ke - 1); same shares max((ceil(n/s) - 1)*s + ke - n, 0) zeros
    evenly and puts the odd one after, which is TensorFlow's rule.

    Parameters
    ----------
    input_length, filter_size, stride, dilation : int
        n, k, s and d.
    padding : {"valid", "same", "causal", "full"}
        Padding name.

    Returns
    -------
    (int, int)
        Zeros before and after.
    """
    padding = normalize_padding(padding, ("valid", "same", "causal", "full"))
    span = dilated_kernel_size(filter_size, dilation)
    if padding == "same":
        total = max((_ceil_div(input_length, stride) - 1) * stride + span - input_length, 0)
        return total // 2, total - total // 2
    return {"valid": (0, 0), "causal": (span - 1, 0), "full": (span - 1, span - 1)}[padding]


def deconv_length(
    dim_size: Length,
    stride_size: int,
    kernel_size: int,
    padding: str,
    output_padding: int | None,
    dilation: int = 1,
) -> Length:
    """Output length of a transposed convolution along one axis.

    With output_padding None: valid n*s + max(ke - s, 0); same n*s; full n*s - (s + ke - 2).
    Otherwise (n - 1)*s + ke - 2*p + output_padding with p = 0 for valid, ke//2 for same, ke - 1 for full.

    Parameters
    ----------
    dim_size : int or None
        Input length n.
    stride_size, kernel_size, dilation : int
        s, k and d.
    padding : {"valid", "same", "full"}
        Padding name.
    output_padding : int or None
        Positions added to the end; 0 and None are different requests.

    Returns
    -------
    int or None
        None for an unknown input length. Can be zero or negative.

    Notes
    -----
    Keras: ``conv_utils.deconv_length``.
    """
    padding = normalize_padding(padding, ("valid", "same", "full"))
    if dim_size is None:
        return None
    span = dilated_kernel_size(kernel_size, dilation)
    if output_padding is None:
        extra = {"valid": max(span - stride_size, 0), "same": 0, "full": 2 - stride_size - span}[padding]
        return dim_size * stride_size + extra
    cut = {"valid": 0, "same": span // 2, "full": span - 1}[padding]
    return (dim_size - 1) * stride_size + span - 2 * cut + output_padding


def deconv_crop(
    dim_size: int,
    stride_size: int,
    kernel_size: int,
    padding: str,
    output_padding: int | None,
    dilation: int = 1,
) -> int:
    """Positions cut from the front of the full scatter of a transposed convolution.

    Scattering n values through the kernel covers (n - 1)*s + ke positions. "valid" keeps the front; otherwise the
    front loses max((n - 1)*s + ke - O, 0)//2 of them, O being `deconv_length` of the same arguments.

    Returns
    -------
    int
        The scatter position that becomes output position 0.
    """
    if normalize_padding(padding, ("valid", "same", "full")) == "valid":
        return 0
    output_length = deconv_length(dim_size, stride_size, kernel_size, padding, output_padding, dilation)
    covered = (dim_size - 1) * stride_size + dilated_kernel_size(kernel_size, dilation)
    return max(covered - output_length, 0) // 2


def _split(input_shape: Sequence[int | None], data_format: str) -> tuple[int | None, Shape, int | None]:
    """Batch, spatial lengths and channels of a shape."""
    sizes = tuple(input_shape) if isinstance(input_shape, tuple | list) else ()
    if len(sizes) not in (3, 4, 5) or _integers([size for size in sizes if size is not None], 0) is None:
        raise ValueError(
            "input_shape must be a tuple of a batch size, 1 to 3 spatial lengths and a channel count, each None or a "
            f"non-negative integer, got {input_shape!r}"
        )
    sizes = tuple(None if size is None else _index(size) for size in sizes)
    if normalize_data_format(data_format) == "channels_first":
        return sizes[0], sizes[2:], sizes[1]
    return sizes[0], sizes[1:-1], sizes[-1]


def _join(batch: int | None, lengths: Shape, channels: int | None, data_format: str) -> Shape:
    if normalize_data_format(data_format) == "channels_first":
        return (batch, channels, *lengths)
    return (batch, *lengths, channels)


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
    name = normalize_padding(padding, allowed)
    output = tuple(
        conv_output_length(n, k, name, s, d) for n, k, s, d in zip(lengths, kernel, steps, dilation, strict=True)
    )
    return _not_empty(output, lengths, kernel_size=kernel, strides=steps, dilation_rate=dilation, padding=name)


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
    """
    batch, lengths, _ = _split(input_shape, data_format)
    allowed = ("valid", "same", "causal") if len(lengths) == 1 else ("valid", "same")
    output = _conv_lengths(lengths, kernel_size, strides, padding, dilation_rate, allowed)
    return _join(batch, output, _positive(filters, "filters"), data_format)


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

    The other arguments and the errors are those of `conv_output_shape`, without "causal".
    """
    batch, lengths, channels = _split(input_shape, data_format)
    output = _conv_lengths(lengths, kernel_size, strides, padding, dilation_rate, ("valid", "same"))
    multiplier = _positive(depth_multiplier, "depth_multiplier")
    return _join(batch, output, None if channels is None else channels * multiplier, data_format)


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

    The arguments and the errors are those of `conv_output_shape`, without "causal".
    """
    batch, lengths, _ = _split(input_shape, data_format)
    output = _conv_lengths(lengths, kernel_size, strides, padding, dilation_rate, ("valid", "same"))
    return _join(batch, output, _positive(filters, "filters"), data_format)


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
    input_shape, filters, kernel_size, strides, dilation_rate, data_format
        As in `conv_output_shape`.
    padding : {"valid", "same"}
        Padding name.
    output_padding : int, tuple of int, or None
        Positions added to the end of each axis, at least 0 and below the stride; None lets the padding decide.

    Returns
    -------
    tuple of int or None
        The full output shape.

    Raises
    ------
    ValueError
        If an argument is invalid or an output length is not positive.
    """
    batch, lengths, _ = _split(input_shape, data_format)
    rank = len(lengths)
    kernel = normalize_tuple(kernel_size, rank, "kernel_size")
    steps = normalize_tuple(strides, rank, "strides")
    dilation = normalize_tuple(dilation_rate, rank, "dilation_rate")
    name = normalize_padding(padding, ("valid", "same"))
    added: Shape = (None,) * rank
    if output_padding is not None:
        amounts = normalize_tuple(output_padding, rank, "output_padding", allow_zero=True)
        if any(amount >= step for amount, step in zip(amounts, steps, strict=True)):
            raise ValueError(f"output_padding must be less than strides {steps} along every axis, got {amounts}")
        added = amounts
    axes = zip(lengths, steps, kernel, added, dilation, strict=True)
    output = _not_empty(
        tuple(deconv_length(n, s, k, name, extra, d) for n, s, k, extra, d in axes),
        lengths,
        kernel_size=kernel,
        strides=steps,
        dilation_rate=dilation,
        padding=name,
        output_padding=None if output_padding is None else added,
    )
    return _join(batch, output, _positive(filters, "filters"), data_format)


def crop_output_shape(input_shape: Sequence[int | None], cropping: Any, data_format: str = "channels_last") -> Shape:
    """Output shape of cropping: n - before - after along each axis.

    Parameters
    ----------
    input_shape : tuple of int or None
        Batch, spatial lengths and channels in the order of `data_format`.
    cropping : int or tuple
        Positions to cut, in a form `normalize_pairs` takes.
    data_format : {"channels_last", "channels_first"}
        Where the channels stand.

    Raises
    ------
    ValueError
        If an argument is invalid or nothing is left along an axis.
    """
    batch, lengths, channels = _split(input_shape, data_format)
    pairs = normalize_pairs(cropping, len(lengths), "cropping")
    output = tuple(None if n is None else n - sum(pair) for n, pair in zip(lengths, pairs, strict=True))
    return _join(batch, _not_empty(output, lengths, cropping=pairs), channels, data_format)


def zero_pad_output_shape(input_shape: Sequence[int | None], padding: Any, data_format: str = "channels_last") -> Shape:
    """Output shape of zero padding: n + before + after along each axis.

    The arguments and the errors are those of `crop_output_shape`, with `padding` the zeros to add.
    """
    batch, lengths, channels = _split(input_shape, data_format)
    pairs = normalize_pairs(padding, len(lengths), "padding")
    output = tuple(None if n is None else n + sum(pair) for n, pair in zip(lengths, pairs, strict=True))
    return _join(batch, _not_empty(output, lengths, padding=pairs), channels, data_format)


def upsample_output_shape(
    input_shape: Sequence[int | None], size: int | Sequence[int], data_format: str = "channels_last"
) -> Shape:
    """Output shape of upsampling: n*size along each axis.

    The arguments and the errors are those of `crop_output_shape`, with `size` one positive factor for each axis.
    """
    batch, lengths, channels = _split(input_shape, data_format)
    factors = normalize_tuple(size, len(lengths), "size")
    output = tuple(None if n is None else n * factor for n, factor in zip(lengths, factors, strict=True))
    return _join(batch, _not_empty(output, lengths, size=factors), channels, data_format)


class ReceptiveField(NamedTuple):
    """What one output position of a stack of layers reads along one axis of its input.

    Attributes
    ----------
    size : int
        Input positions from the first that is read to the last, for the output position that reads most.
    stride : Fraction
        Input positions the window moves from one output position to the next; below 1 if the stack upsamples.
    start : int or None
        First input position that output position 0 reads, negative in the padding; None if it reads only zeros.
    """

    size: int
    stride: Fraction
    start: int | None


def receptive_field(
    layers: Sequence[Any], input_shape: Sequence[int | None] | None = None
) -> tuple[ReceptiveField, ...]:
    """Receptive field of a stack of layers, for each spatial axis.

    Without upsampling, from first layer to last, with size = stride = 1 at the input: size += (ke - 1)*stride, then
    stride *= s. Upsampling and transposed strides divide the stride, and outputs then differ in how much they read: the
    positions are followed back from output to input for one whole period of outputs. Output j reads from
    start + j*stride on, exactly if that period (the product of the factors) divides j. Borders are not cut off:
    positions before 0 and past the end are zeros.

    Parameters
    ----------
    layers : sequence of layers
        In the order of a call; all of one rank.
    input_shape : tuple of int or None, optional
        Input shape of the first layer with its batch axis. Only "same" padding with strides needs it: there the
        window's place depends on the length, and unknown lengths are taken to be multiples of the stride.

    Returns
    -------
    tuple of ReceptiveField
        One for each spatial axis.

    Raises
    ------
    ValueError
        If there is no layer or the ranks differ.
    TypeError
        If a layer is not convolutional, cropping, padding or upsampling.

    Notes
    -----
    The recurrence is that of Araujo, Norris and Sim, "Computing Receptive Fields of Convolutional Neural Networks",
    Distill, 2019.
    """
    from .explain import stack_receptive_field

    return stack_receptive_field(layers, input_shape)


def explain(layer: Any, input_shape: Sequence[int | None]) -> str:
    """Say in plain sentences how a layer's output shape comes from `input_shape` (with its batch axis).

    Returns
    -------
    str
        One line for the shapes, one for each spatial axis, and one for channels and batch.

    Raises
    ------
    ValueError
        If the shape does not fit the layer or the output would be empty.
    """
    from .explain import explain_layer

    return explain_layer(layer, input_shape)
