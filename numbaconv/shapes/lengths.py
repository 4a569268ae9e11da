"""Bare formulas for one axis: output and input lengths, padding, and what a transposed convolution cuts off.

In place of a name, ``padding`` may be a pair of zeros before and after, as a `regions.Region` has them.
"""

from typing import Any, TypeVar

from .checks import as_integer, explicit, normalize_padding, positive_integer

Length = TypeVar("Length", int, int | None)  # a known length stays known


def _ceil_div(a: int, b: int) -> int:
    return -(-a // b)


def known(value: Any, name: str) -> int:
    """A length as an int; it may be negative, as `conv_input_length` is for "full"."""
    try:
        return as_integer(value)
    except TypeError:
        raise ValueError(f"{name} must be an integer, got {value!r}") from None


def _length(value: Any, name: str) -> Any:
    """A length as an int; None stays None."""
    return None if value is None else known(value, name)


def dilated_kernel_size(kernel_size: int, dilation: int = 1) -> int:
    """Input positions from the first tap of a kernel to its last: ke = (k - 1)*d + 1.

    Examples
    --------
    >>> dilated_kernel_size(3, dilation=2)
    5
    """
    return (positive_integer(kernel_size, "kernel_size") - 1) * positive_integer(dilation, "dilation") + 1


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

    Examples
    --------
    >>> conv_output_length(224, filter_size=7, padding="same", stride=2)
    112
    >>> conv_output_length(8, filter_size=3, padding="valid", stride=1, dilation=2)
    4
    """
    given = explicit(padding)
    name = "valid" if given else normalize_padding(padding, ("valid", "same", "causal", "full"))
    input_length, stride = _length(input_length, "input_length"), positive_integer(stride, "stride")
    if input_length is None:
        return None
    reach = dilated_kernel_size(filter_size, dilation) - 1
    growth = sum(given or ()) + {"valid": -reach, "same": 0, "causal": 0, "full": reach}[name]
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

    Examples
    --------
    >>> conv_input_length(112, filter_size=7, padding="valid", stride=2)
    229
    """
    padding = normalize_padding(padding, ("valid", "same", "causal", "full"))
    output_length, stride = _length(output_length, "output_length"), positive_integer(stride, "stride")
    filter_size = positive_integer(filter_size, "filter_size")
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

    Examples
    --------
    >>> conv_padding(8, filter_size=3, padding="same", stride=2)
    (0, 1)
    >>> conv_padding(8, filter_size=3, padding="causal", stride=1, dilation=2)
    (4, 0)
    """
    if given := explicit(padding):
        return given
    padding = normalize_padding(padding, ("valid", "same", "causal", "full"))
    span, stride = dilated_kernel_size(filter_size, dilation), positive_integer(stride, "stride")
    input_length = known(input_length, "input_length")
    if padding == "same":
        total = max((_ceil_div(input_length, stride) - 1) * stride + span - input_length, 0)
        return total // 2, total - total // 2
    return {"valid": (0, 0), "causal": (span - 1, 0), "full": (span - 1, span - 1)}[padding]


def deconv_length(
    dim_size: Length, stride_size: int, kernel_size: int, padding: str, output_padding: int | None, dilation: int = 1
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

    Examples
    --------
    >>> deconv_length(4, stride_size=2, kernel_size=3, padding="valid", output_padding=None)
    9
    >>> deconv_length(4, stride_size=2, kernel_size=3, padding="same", output_padding=1)
    8
    """
    given = explicit(padding)
    name = "valid" if given else normalize_padding(padding, ("valid", "same", "full"))
    dim_size, stride_size = _length(dim_size, "dim_size"), positive_integer(stride_size, "stride_size")
    output_padding = sum(given) if given else _length(output_padding, "output_padding")
    if dim_size is None:
        return None
    span = dilated_kernel_size(kernel_size, dilation)
    if output_padding is None:
        extra = {"valid": max(span - stride_size, 0), "same": 0, "full": 2 - stride_size - span}[name]
        return dim_size * stride_size + extra
    cut = {"valid": 0, "same": span // 2, "full": span - 1}[name]
    return (dim_size - 1) * stride_size + span - 2 * cut + output_padding


def deconv_crop(
    dim_size: int, stride_size: int, kernel_size: int, padding: str, output_padding: int | None, dilation: int = 1
) -> int:
    """Positions cut from the front of the full scatter of a transposed convolution.

    Scattering n values through the kernel covers (n - 1)*s + ke positions. "valid" keeps the front; otherwise the
    front loses max((n - 1)*s + ke - O, 0)//2 of them, O being `deconv_length` of the same arguments.

    Returns
    -------
    int
        The scatter position that becomes output position 0.
    """
    if given := explicit(padding):
        return -given[0]
    dim_size, stride_size = known(dim_size, "dim_size"), positive_integer(stride_size, "stride_size")
    output_length = deconv_length(dim_size, stride_size, kernel_size, padding, output_padding, dilation)
    if normalize_padding(padding, ("valid", "same", "full")) == "valid":
        return 0
    covered = (dim_size - 1) * stride_size + dilated_kernel_size(kernel_size, dilation)
    return max(covered - output_length, 0) // 2


def crop_to_aspect(lengths: tuple[int, int], size: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """The part in the middle of an image of these lengths that has the height and width of `size` in proportion.

    The longer side is cut to ``this * other side of size // that``, at least 1; half of the rest, rounded down, is in
    front.

    Returns
    -------
    tuple of 2 pairs of int
        On each axis, where the part begins, and its length.

    Examples
    --------
    >>> crop_to_aspect((340, 500), (200, 200))
    ((0, 340), (80, 340))
    """
    (height, width), (to_height, to_width) = lengths, size
    cut = max(1, min(height, width * to_height // to_width)), max(1, min(width, height * to_width // to_height))
    return ((height - cut[0]) // 2, cut[0]), ((width - cut[1]) // 2, cut[1])


def pad_to_aspect(lengths: tuple[int, int], size: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """What is to be added around an image of these lengths to give it the height and width of `size` in proportion.

    As many on both sides: half of what is missing, rounded down.

    Returns
    -------
    tuple of 2 pairs of int
        On each axis, how many positions before and after.

    Examples
    --------
    >>> pad_to_aspect((3, 8), (10, 10))
    ((2, 2), (0, 0))
    """
    (height, width), (to_height, to_width) = lengths, size
    whole = max(height, width * to_height // to_width), max(width, height * to_width // to_height)
    each = (whole[0] - height) // 2, (whole[1] - width) // 2
    return (each[0], each[0]), (each[1], each[1])
