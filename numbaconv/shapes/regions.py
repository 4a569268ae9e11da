"""Which inputs an output needs: for outputs [start, stop) along an axis the inputs that are read, and the zeros there.

Where the input ends within reach of a window, zeros stand in its place, there and only there. So a region of the output
can be computed from a region of the input, and is that part of the whole.
"""

from collections.abc import Sequence
from typing import Any

from ..objects.docstrings import as_in
from ..objects.tuples import NamedTuple
from .checks import as_integers, normalize_shape, one_of, positive_integer
from .kinds import AXIS_NAMES, RADIUS, layer_kind, spatial, window_along
from .lengths import conv_padding, deconv_crop, dilated_kernel_size, known


class Region(NamedTuple):
    """What outputs next to each other need along one axis.

    Attributes
    ----------
    start, stop : int
        The inputs that are read: from ``start`` to before ``stop``, at least one.
    before, after : int
        Zeros in front of these inputs and behind them (for pooling, positions that do not count). Transposed
        convolutions and upsampling have them in front of what comes out and behind it; there, a negative number says
        how many positions are cut off.
    """

    start: int
    stop: int
    before: int
    after: int


def conv_region(
    start: int, stop: int, input_length: int, filter_size: int, padding: str, stride: int, dilation: int = 1
) -> Region:
    """What outputs [start, stop) of a convolution or of pooling need along one axis.

    The windows reach from ``start*s - before`` to ``(stop - 1)*s - before + ke``, before being that of `conv_padding`.

    Parameters
    ----------
    start, stop : int
        Outputs, at least one.
    input_length, filter_size, stride, dilation : int
        n, k, s and d.
    padding : {"valid", "same", "causal"}
        Padding name.

    Returns
    -------
    Region

    Examples
    --------
    >>> conv_region(0, 4, input_length=10, filter_size=3, padding="same", stride=1)
    Region(start=0, stop=5, before=1, after=0)
    """
    start, stop, input_length = _checked(start, stop, input_length)
    front, _ = conv_padding(input_length, filter_size, padding, stride, dilation)
    reach = dilated_kernel_size(filter_size, dilation)
    return _within(start * stride - front, (stop - 1) * stride - front + reach, input_length)


@as_in(conv_region)
def deconv_region(
    start: int,
    stop: int,
    dim_size: int,
    stride_size: int,
    kernel_size: int,
    padding: str,
    output_padding: int | None = None,
    dilation: int = 1,
) -> Region:
    """What outputs [start, stop) of a transposed convolution need along one axis.

    Input i reaches outputs from ``i*s - crop`` to ``i*s - crop + ke``, crop being that of `deconv_crop`. What the
    inputs that are read cover begins and ends elsewhere than the outputs: that much is cut off, or zeros are added.

    Parameters
    ----------
    dim_size, stride_size, kernel_size, dilation : int
        n, s, k and d.
    padding : {"valid", "same"}
        Padding name.
    output_padding : int or None
        Positions added to the end.

    Examples
    --------
    >>> deconv_region(4, 8, dim_size=10, stride_size=2, kernel_size=3, padding="same")
    Region(start=1, stop=4, before=-2, after=-1)
    """
    start, stop, dim_size = _checked(start, stop, dim_size)
    span = dilated_kernel_size(kernel_size, dilation)
    crop = deconv_crop(dim_size, stride_size, kernel_size, padding, output_padding, dilation)
    # One that reaches no further than the first output is among them, also where none reaches that.
    first = max(0, min((start + crop - span) // stride_size + 1, (start + crop) // stride_size, dim_size - 1))
    end = min(dim_size, max((stop - 1 + crop) // stride_size, first) + 1)
    front = start + crop - first * stride_size
    return Region(first, end, -front, stop - start + front - (end - 1 - first) * stride_size - span)


@as_in(conv_region)
def upsample_region(start: int, stop: int, input_length: int, size: int, interpolation: str = "nearest") -> Region:
    """What outputs [start, stop) of upsampling need along one axis.

    Every input that is read is enlarged to ``size`` outputs, of which those at the ends are cut off.

    Parameters
    ----------
    input_length, size : int
        Length of the input, and the factor.
    interpolation : {"nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"}
        How far outputs reach: see `numbaconv.layers.UpSampling2D`.

    Examples
    --------
    >>> upsample_region(5, 9, input_length=10, size=2, interpolation="bilinear")
    Region(start=2, stop=5, before=-1, after=-1)
    """
    start, stop, input_length = _checked(start, stop, input_length)
    size, interpolation = positive_integer(size, "size"), one_of(interpolation, "interpolation", tuple(RADIUS))
    # An output on a position reads that alone, its neighbour those around.
    first = min(upsample_reads(p, size, interpolation)[0] for p in (start, min(start + 1, stop - 1)))
    end = max(upsample_reads(p, size, interpolation)[1] for p in (max(stop - 2, start), stop - 1))
    first, end = max(0, first), min(end, input_length)
    return Region(first, end, first * size - start, stop - end * size)


def upsample_reads(position: int, size: int, interpolation: str) -> tuple[int, int]:
    """The first input that an output of upsampling reads, and the one behind the last, borders not cut off."""
    radius = RADIUS[interpolation]
    if not radius:
        return position // size, position // size + 1
    # Half-pixel centres: p lies at (p + 1/2)/size - 1/2 and reads what is less than a radius away, or, where that is a
    # position itself, only this one.
    below, rest = divmod(2 * position + 1 - size, 2 * size)
    return (below - radius + 1, below + radius + 1) if rest else (below, below + 1)


def zero_pad_region(start: int, stop: int, input_length: int, before: int) -> Region:
    """What outputs [start, stop) of padding with ``before`` zeros in front need; negative, as many are cut off.

    Of outputs that lie wholly in the zeros, one input is read none the less, and cut off again.

    Examples
    --------
    >>> zero_pad_region(0, 4, input_length=10, before=2)
    Region(start=0, stop=2, before=2, after=0)
    """
    start, stop, input_length = _checked(start, stop, input_length)
    shift = known(before, "before")
    return _within(start - shift, stop - shift, input_length)


def _checked(start: Any, stop: Any, length: Any) -> tuple[int, int, int]:
    ends = as_integers((start, stop), 0)
    if ends is None or ends[0] >= ends[1]:
        raise ValueError(f"start and stop must be integers, 0 <= start < stop, got {start!r} and {stop!r}")
    return *ends, positive_integer(length, "the length of the input")  # type: ignore[return-value]


def _within(start: int, stop: int, length: int) -> Region:
    """Positions of which those before 0 and from ``length`` on are zeros."""
    first = min(max(start, 0), length - 1)
    end = max(min(stop, length), first + 1)
    return Region(first, end, first - start, stop - end)


def input_region(layer: Any, input_shape: Sequence[int | None], region: Sequence[Sequence[int]]) -> tuple[Region, ...]:
    """The region of a layer's input that a region of its output needs, for each spatial axis.

    Parameters
    ----------
    layer : layer
        Of a convolution, pooling, cropping, padding or upsampling.
    input_shape : tuple of int or None
        With the batch axis; spatial lengths must be known.
    region : sequence of pairs of int
        For each spatial axis the first output and the one behind the last.

    Returns
    -------
    tuple of Region

    Raises
    ------
    ValueError
        If a length is unknown, the region lies not within the output, or the layer reads all positions for each output:
        global pooling, and resizing to a given size.
    TypeError
        If the layer is of another kind.

    Examples
    --------
    >>> from numbaconv.layers import Conv1D
    >>> input_region(Conv1D(8, 5, strides=2), (None, 100, 3), [(10, 20)])
    (Region(start=20, stop=43, before=0, after=0),)
    """
    kind = layer_kind(layer)
    shape = normalize_shape(input_shape, "input_shape")
    after = layer.compute_output_shape(shape)
    if kind in ("global", "resize"):
        raise ValueError(f"{type(layer).__name__} has no regions: each of its outputs depends on the whole length")
    lengths, ends = spatial(shape, layer.data_format), spatial(after, layer.data_format)
    pairs = check_region(region, ends)
    return tuple(axis_region(layer, axis, n, *pair) for axis, (n, pair) in enumerate(zip(lengths, pairs, strict=True)))


def check_region(region: Any, lengths: Sequence[int | None]) -> list[tuple[int, int]]:
    """A pair of ints for each axis; ValueError if they are no region of an output of these lengths."""
    if None in lengths:
        raise ValueError(f"input_shape must have known lengths for a region, got outputs of {tuple(lengths)}")
    rows = list(region) if isinstance(region, list | tuple) else []
    pairs = [as_integers(row, 0) if isinstance(row, list | tuple) else None for row in rows]
    found = [(pair[0], pair[1]) for pair in pairs if pair is not None and len(pair) == 2]
    fits = len(rows) == len(found) == len(lengths)
    if not (fits and all(a < b <= (n or 0) for (a, b), n in zip(found, lengths, strict=True))):
        raise ValueError(
            f"region must be {len(lengths)} pairs (first output, the one behind the last), within outputs of "
            f"{tuple(lengths)}, got {region!r}"
        )
    return found


def axis_region(layer: Any, axis: int, n: Any, start: int, stop: int) -> Region:
    """That of one axis of a layer for an input of length ``n``."""
    kind = layer_kind(layer)
    if kind == "crop":
        return zero_pad_region(start, stop, n, -layer.cropping[axis][0])
    if kind == "pad":
        return zero_pad_region(start, stop, n, layer.padding[axis][0])
    if kind == "upsample":
        return upsample_region(start, stop, n, layer.size[axis], getattr(layer, "interpolation", "nearest"))
    kernel, stride, dilation = window_along(layer, axis)
    if kind == "transpose":
        added = None if layer.output_padding is None else layer.output_padding[axis]
        return deconv_region(start, stop, n, stride, kernel, layer.padding, added, dilation)
    return conv_region(start, stop, n, kernel, layer.padding, stride, dilation)


def region_sentences(layer: Any, input_shape: Any, region: Any) -> list[str]:
    """One line for each axis: what the outputs of a region read."""
    if layer.rank is None:
        return _place_by_place(layer, input_shape, region)
    found = input_region(layer, input_shape, region)
    rows = zip(AXIS_NAMES[layer.rank], region, found, strict=True)
    return [f"{name}: {_sentence(layer_kind(layer), (ends[0], ends[1]), one)}." for name, ends, one in rows]


def _place_by_place(layer: Any, input_shape: Any, region: Any) -> list[str]:
    """Of a layer that takes any number of axes, its channels behind the others."""
    count = len(input_shape)
    if not all(isinstance(n, int | None) for n in input_shape):
        raise ValueError(f"{type(layer).__name__} has several inputs: a model of it tells what a region needs of each")
    if set(layer._whole_axes(count)) & set(range(1, count - 1)) or count - 2 not in AXIS_NAMES:
        raise ValueError(f"{type(layer).__name__} has no regions: each of its outputs depends on a whole axis")
    pairs = check_region(region, input_shape[1:-1])
    return [
        f"{name}: {_sentence('', pair, Region(*pair, 0, 0))}."
        for name, pair in zip(AXIS_NAMES[count - 2], pairs, strict=True)
    ]


def _sentence(kind: str, asked: tuple[int, int], region: Region) -> str:
    start, stop = asked
    outputs, ends = _range("output", start, stop), (region.before, region.after)
    if kind == "pad" and min(ends) < 0:
        return f"{outputs} {'is' if stop - start == 1 else 'are'} 0"
    told = f"{outputs} read{'s' * (stop - start == 1)} {_range('input', region.start, region.stop)}"
    added = _counted("empty position" if kind == "pool" else "zero", *(max(0, count) for count in ends))
    cut = _counted("position", *(max(0, -count) for count in ends))
    told += f", with {added}" * bool(added)
    verb = "is" if abs(sum(min(0, count) for count in ends)) == 1 else "are"
    return told + f", of whose results {cut} {verb} cut off" * bool(cut)


def _range(noun: str, start: int, stop: int) -> str:
    return f"{noun} {start}" if stop - start == 1 else f"{noun}s {start} to {stop - 1}"


def _counted(noun: str, before: int, after: int) -> str:
    """As in: 1 zero in front and 2 behind; nothing where there are none."""
    counts = [(count, where) for count, where in ((before, "in front"), (after, "behind")) if count]
    first = [f"{count} {noun}{'s' * (count > 1)} {where}" for count, where in counts[:1]]
    return " and ".join(first + [f"{count} {where}" for count, where in counts[1:]])
