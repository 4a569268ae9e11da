"""What layers do to positions: in numbers the receptive field of a stack, in words where an output shape comes from."""

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

from ..objects.tuples import NamedTuple
from .checks import normalize_shape
from .kinds import AXIS_NAMES, UNKNOWN, layer_kind, spatial, window_along
from .lengths import conv_input_length, conv_padding, deconv_crop, deconv_length, dilated_kernel_size
from .outputs import Shape
from .regions import region_sentences, upsample_reads

if TYPE_CHECKING:
    from fractions import Fraction

# What a receptive field may be worked out from, position by position.
MOST_POSITIONS = 2**20


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
    stride: "Fraction"
    start: int | None


def receptive_field(
    layers: Sequence[Any], input_shape: Sequence[int | None] | None = None
) -> tuple[ReceptiveField, ...]:
    """Receptive field of a stack of layers, for each spatial axis.

    Without upsampling, from first layer to last, with size = stride = 1 at the input: ``size += (ke - 1)*stride``, then
    ``stride *= s``. Upsampling and transposed strides divide the stride, and outputs then differ in how much they read:
    the positions are followed back from output to input for one whole period of outputs. Output j reads from
    ``start + j*stride`` on, exactly if that period (the product of the factors) divides j. Borders are not cut off:
    positions before 0 and past the end are zeros.

    Parameters
    ----------
    layers : sequence of layers
        In the order of a call; all of one rank.
    input_shape : tuple of int or None, optional
        Input shape of the first layer with its batch axis. Only "same" padding with strides needs it: there the
        window's place depends on the length, and unknown lengths are taken to be multiples of the stride; and global
        pooling, whose one output reads the whole length.

    Returns
    -------
    tuple of ReceptiveField
        One for each spatial axis.

    Raises
    ------
    ValueError
        If there is no layer, the ranks differ, or the length that a layer pools globally is unknown.
    TypeError
        If a layer is not convolutional, pooling, cropping, padding or upsampling.

    Notes
    -----
    The recurrence is that of Araujo, Norris and Sim, "Computing Receptive Fields of Convolutional Neural Networks",
    Distill, 2019.

    Examples
    --------
    >>> from numbaconv.layers import Conv1D
    >>> layers = [Conv1D(1, 2, padding="causal", dilation_rate=d) for d in (1, 2, 4)]
    >>> receptive_field(layers)[0].size
    8
    """
    if not isinstance(layers, tuple | list):
        raise TypeError(f"layers must be a list of layers, got {layers!r}")
    kinds = [layer_kind(layer) for layer in layers]
    ranks = sorted({layer.rank for layer in layers})
    if len(ranks) != 1:
        raise ValueError(f"layers must be one or more layers of the same rank, got {kinds} of ranks {ranks}")
    lengths: list[Shape] = [(None,) * ranks[0]] * len(layers)
    if input_shape is not None:
        shape = normalize_shape(input_shape, "input_shape")
        for i, layer in enumerate(layers):
            lengths[i] = spatial(shape, layer.data_format)
            shape = layer.compute_output_shape(shape)
    return tuple(_axis_field(layers, axis, [n[axis] for n in lengths]) for axis in range(ranks[0]))


def _axis_field(layers: Sequence[Any], axis: int, lengths: Sequence[int | None]) -> ReceptiveField:
    steps = [step_of(layer, axis) for layer in layers]
    period = prod(step.denominator for step in steps)
    check_count(period)
    reads = []
    for position in range(period):
        positions = {position}
        for layer, length in zip(reversed(layers), reversed(lengths), strict=True):
            positions = positions_read(layer, axis, length, positions)
        reads.append(positions)
    size = max(max(positions) - min(positions) + 1 if positions else 0 for positions in reads)
    return ReceptiveField(size, prod(steps[1:], start=steps[0]), min(reads[0], default=None))


def check_count(positions: int) -> None:
    if positions > MOST_POSITIONS:
        raise ValueError(f"layers must have receptive fields of at most {MOST_POSITIONS} positions, got {positions}")


def step_of(layer: Any, axis: int) -> "Fraction":
    """Input positions from one output position of a layer to the next."""
    from fractions import Fraction

    kind = layer_kind(layer)
    if kind in ("crop", "pad", "global"):
        return Fraction(1)
    if kind == "upsample":
        return Fraction(1, layer.size[axis])
    if kind == "resize":
        # Its steps depend on the length, and need not be equal.
        raise TypeError(UNKNOWN.format(layer))
    stride = layer.strides[axis]
    return Fraction(1, stride) if kind == "transpose" else Fraction(stride)


def positions_read(layer: Any, axis: int, length: int | None, positions: set[int]) -> set[int]:
    """Input positions that the given output positions of one layer read along one axis."""
    kind = layer_kind(layer)
    if kind == "global":
        if length is None:
            raise ValueError(f"input_shape must tell the lengths that {type(layer).__name__} pools over")
        check_count(length)
        return set(range(length))
    if kind == "crop":
        return {p + layer.cropping[axis][0] for p in positions}
    if kind == "pad":
        return {p - layer.padding[axis][0] for p in positions}
    if kind == "upsample":
        reads = (upsample_reads(p, layer.size[axis], getattr(layer, "interpolation", "nearest")) for p in positions)
        return {source for ends in reads for source in range(*ends)}
    kernel, stride, dilation = window_along(layer, axis)
    n = stride if length is None else length
    check_count(kernel * len(positions))
    taps = range(0, dilated_kernel_size(kernel, dilation), dilation)
    if kind == "transpose":
        added = None if layer.output_padding is None else layer.output_padding[axis]
        crop = deconv_crop(n, stride, kernel, layer.padding, added, dilation)
        sources = [p + crop - tap for p in positions for tap in taps]
        return {source // stride for source in sources if source % stride == 0}
    before, _ = conv_padding(n, kernel, layer.padding, stride, dilation)
    return {p * stride - before + tap for p in positions for tap in taps}


def explain(layer: Any, input_shape: Sequence[int | None], region: Sequence[Sequence[int]] | None = None) -> str:
    """Say in plain sentences how a layer's output shape comes from `input_shape` (with its batch axis).

    Parameters
    ----------
    layer : layer
    input_shape : tuple of int or None
    region : sequence of pairs of int, optional
        For each spatial axis the first output and the one behind the last: what they need is said besides, see
        `input_region`.

    Returns
    -------
    str
        One line for the shapes, one for each spatial axis, and one for channels and batch; for a region one more for
        each spatial axis.

    Raises
    ------
    ValueError
        If the shape does not fit the layer, the output would be empty, or the layer has no such region.
    """
    kind = layer_kind(layer)
    before = normalize_shape(input_shape, "input_shape")
    if len(before) != layer.rank + 2:
        raise ValueError(f"input_shape must have {layer.rank + 2} entries for {type(layer).__name__}, got {before}")
    after = layer.compute_output_shape(before)
    lines = [f"{type(layer).__name__} turns {before} into {after}."]
    lengths = (1,) * layer.rank if kind == "global" else spatial(after, layer.data_format)
    pairs = zip(spatial(before, layer.data_format), lengths, strict=True)
    for axis, (n, out) in enumerate(pairs):
        lines.append(f"{AXIS_NAMES[layer.rank][axis]}: {SENTENCES[kind](layer, axis, n, out)}.")
    channels = -1 if layer.data_format == "channels_last" else 1
    lines.append(_channels(kind, layer, before[channels], after[channels], before[0]))
    if region is not None:
        lines += region_sentences(layer, before, region)
    return "\n".join(lines)


def _conv(layer: Any, axis: int, n: int | None, out: int | None) -> str:
    kernel, _, dilation = window_along(layer, axis)
    return _slide(layer, axis, n, out, _window_text(kernel, dilation), "zero")


def _pool(layer: Any, axis: int, n: int | None, out: int | None) -> str:
    return _slide(layer, axis, n, out, f"a window of {layer.pool_size[axis]}", "empty position")


def _slide(layer: Any, axis: int, n: int | None, out: int | None, window: str, added: str) -> str:
    """How often a window fits; ``added`` is what padding consists of."""
    kernel, stride, dilation = window_along(layer, axis)
    if n is None or out is None:
        # One output position needs one window: its input length tells how much of the length the window takes up.
        taken = conv_input_length(1, dilated_kernel_size(kernel, dilation), layer.padding, stride) - 1
        length = f"(n - {taken})" if taken else "n"
        return (
            f"n, unknown; {window} stepping by {stride} with {layer.padding!r} fits at {length} / {stride}, rounded up"
        )
    before, after = conv_padding(n, kernel, layer.padding, stride, dilation)
    padded = f"{n} + {_count(before, added)} before + {after} after = {n + before + after}"
    start = padded if before + after else f"{n}, no {added}s added"
    return f"{start}; {window} fits at {_count(out, 'position')} stepping by {stride}, so {out}"


def _transpose(layer: Any, axis: int, n: int | None, out: int | None) -> str:
    kernel, stride, dilation = window_along(layer, axis)
    added = None if layer.output_padding is None else layer.output_padding[axis]
    spread = f"{stride} apart, each spread over {_window_text(kernel, dilation)}"
    if n is None or out is None:
        extra = deconv_length(0, stride, kernel, layer.padding, added, dilation)
        rule = (
            f"{layer.padding!r} with output_padding {added} gives n * {stride} {'-' if extra < 0 else '+'} {abs(extra)}"
        )
        return f"n, unknown; values {spread}; {rule}"
    covered = deconv_length(n, stride, kernel, "valid", 0, dilation)
    front = deconv_crop(n, stride, kernel, layer.padding, added, dilation)
    rule = f"{layer.padding!r} makes it {out}"
    if added is not None:
        rule = f"{covered} - {covered + added - out} for {layer.padding!r} + output_padding {added} = {out}"
    end = out - (covered - front)
    ends = f"{front} cut in front, " + (f"{_count(end, 'zero')} added at the end" if end > 0 else f"{-end} at the end")
    return f"{_count(n, 'value')}, {spread}, cover {covered}; {rule}: {ends}"


def _global(layer: Any, axis: int, n: int | None, out: int | None) -> str:
    return f"{_known(n)}, pooled into {out}" + ("" if layer.keepdims else ", and the axis dropped")


def _crop(layer: Any, axis: int, n: int | None, out: int | None) -> str:
    before, after = layer.cropping[axis]
    return f"{_known(n)} - {before} cut before - {after} after = {_known(out)}"


def _pad(layer: Any, axis: int, n: int | None, out: int | None) -> str:
    before, after = layer.padding[axis]
    return f"{_known(n)} + {_count(before, 'zero')} before + {after} after = {_known(out)}"


def _upsample(layer: Any, axis: int, n: int | None, out: int | None) -> str:
    interpolation = getattr(layer, "interpolation", "nearest")
    return f"{_known(n)} * size {layer.size[axis]} ({interpolation} interpolation) = {_known(out)}"


def _resize(layer: Any, axis: int, n: int | None, out: int | None) -> str:
    return f"{_known(n)}, {layer.what_it_does()}, so {out}"


SENTENCES = {
    **dict.fromkeys(("conv", "depthwise", "separable"), _conv),
    "transpose": _transpose,
    "pool": _pool,
    "global": _global,
    "crop": _crop,
    "pad": _pad,
    "upsample": _upsample,
    "resize": _resize,
}


def _channels(kind: str, layer: Any, channels: int | None, out: int | None, batch: int | None) -> str:
    if kind in ("pool", "global", "crop", "pad", "upsample", "resize"):
        how = f"{_known(channels)}, unchanged"
    elif kind == "depthwise":
        how = f"{_known(channels)} * depth_multiplier {layer.depth_multiplier} = {_known(out)}"
    elif kind == "separable":
        multiplied = f"{_known(channels)} * depth_multiplier {layer.depth_multiplier}"
        how = (
            f"{multiplied} after the depthwise step, mixed by the pointwise step into {_count(layer.filters, 'filter')}"
        )
    else:
        how = f"{_known(channels)} in, {_count(layer.filters, 'filter')}, so {out} out"
    return f"channels: {how}; batch: {_known(batch)}, unchanged."


def _window_text(kernel: int, dilation: int) -> str:
    return f"a window of {dilated_kernel_size(kernel, dilation)} (kernel {kernel}, dilation {dilation})"


def _known(number: int | None) -> str:
    return "unknown" if number is None else str(number)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
