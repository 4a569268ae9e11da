"""The rules by which stages are joined: a table, each rule with its before and after; more in `moving` and beside it.

A rule joins a stage to the one that reads its result, where nothing else does. The stage after it has the same output
and computes the same but for rounding, which `Stage.plain` goes back to where numbers are infinite or NaN.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from math import inf
from typing import Any

from ...calls.bands import BandsCall, bands_call
from ...calls.separable import separable_call
from ...layers.pointwise import Rescaling
from ...objects.tuples import NamedTuple
from .stage import NO_ENDING, Stage

# Stages that multiply by a kernel.
KERNELS = ("conv", "depthwise", "separable", "pair", "transposed", "dense")


class Known(NamedTuple):
    """What is known of values, by slot: their shapes, and what none of them is below."""

    shapes: dict[int, Any]
    least: dict[int, float]


class Rule(NamedTuple):
    """How two stages become one: kinds of both, what the two compute, what the one computes, and who joins them.

    ``join`` takes the first stage, the second and what is known of values. It returns the joint stage, or None.
    """

    first: tuple[str, ...]
    second: tuple[str, ...]
    before: str
    after: str
    join: Callable[[Stage, Stage, Known], Stage | None]


def _nothing(first: Stage, second: Stage, known: Known) -> Stage | None:
    if second.layers or len(first.outputs) > 1:
        return None
    return first._replace(parts=first.parts + second.parts, outputs=second.outputs)


def _fold(first: Stage, second: Stage, known: Known) -> Stage | None:
    (norm, *more), ending = second.layers, first.ending
    rank = len(known.shapes[first.output])
    channels = rank - 1 if channels_last(first) else 1
    if more or len(first.inputs) > 1 or not (hasattr(norm, "_factors_of") and _along(norm, rank, channels)):
        return None
    if ending != NO_ENDING:
        # Limits grow with what lies between them, and slopes stay.
        factor = float(norm._factor) if isinstance(norm, Rescaling) and not norm._factor.ndim else 0.0
        if not factor > 0 or norm._shift.any() or ending.function:
            return None
        ending = ending._replace(minimum=ending.minimum * factor, maximum=ending.maximum * factor)
    return _both(first, second)._replace(layers=(*first.layers, norm), ending=ending)


def _factors(first: Stage, second: Stage, known: Known) -> Stage | None:
    if first.ending != NO_ENDING or not all(scales_channels(one, known.shapes) for one in (first, second)):
        return None
    return _both(first, second)._replace(layers=first.layers + second.layers)


def _sum(first: Stage, second: Stage, known: Known) -> Stage | None:
    if (
        not adds_two(second, known.shapes)
        or first.ending != NO_ENDING
        or len(first.inputs) > 1
        or not channels_last(first)
    ):
        return None
    return _both(first, second)


def _end(first: Stage, second: Stage, known: Known) -> Stage | None:
    function, slope = second.ending.function, second.ending.slope
    if first.ending != NO_ENDING or not (channels_last(first) or (slope == 1 and not function)):
        return None
    # What lies under no window has an end of its own.
    if function and first.kind == "transposed":
        return None
    if (first.kind == "scale" and not scales_channels(first, known.shapes)) or (
        first.kind == "add" and not adds_two(first, known.shapes)
    ):
        return None
    return _both(first, second)._replace(ending=second.ending)


def _pad(first: Stage, second: Stage, known: Known) -> Stage | None:
    (pad,), layer = first.layers, second.layers[0]
    if second.zeros or getattr(layer, "padding", "") != "valid" or pad.data_format != layer.data_format:
        return None
    if second.kind == "pool":
        # Zeros are none of its values: each window has some, and they are no less.
        within = all(max(ends) < size for ends, size in zip(pad.padding, layer.pool_size, strict=True))
        if layer.kind != "max" or not within or known.least.get(first.inputs[0], -inf) < 0:
            return None
    return _both(first, second)._replace(zeros=pad.padding)


def _pair(first: Stage, second: Stage, known: Known) -> Stage | None:
    (one, *_), (other, *_) = first.layers, second.layers
    point = {*other.kernel_size, *other.strides, other.groups} == {1} and not second.zeros
    if not (point and channels_last(first) and channels_last(second)) or len(first.inputs) > 1:
        return None
    window = one._window._replace(padding=first.zeros) if first.zeros else one._window
    kernels = one.depthwise_kernel.shape, other.kernel.shape
    if separable_call(known.shapes[first.inputs[0]], *kernels, one._dtype.itemsize, window).arguments is None:
        return None
    return _both(first, second)._replace(kind="pair", before=first, zeros=first.zeros)


def _bands(first: Stage, second: Stage, known: Known) -> Stage | None:
    layer, shape = first.layers[0], known.shapes[first.inputs[0]]
    point = {*layer.kernel_size, *layer.strides, layer.groups} == {1} and not first.zeros and len(first.inputs) == 1
    if second.widening or first.late or not (point and channels_last(first)) or len(shape) != 4:
        return None
    both = _both(first, second)._replace(widening=first)
    return both if banded(both.joined, shape).arguments else None


def banded(stages: Sequence[Stage], x_shape: tuple[int, ...], pitch: int = 0) -> BandsCall:
    """The call that computes a convolution, a depthwise one and another one in one pass."""
    first, (depthwise, *_), last = (stage.layers for stage in stages)
    zeros, window = stages[1].zeros, depthwise._window
    kernels = first[0].kernel.shape, depthwise.depthwise_kernel.shape, last[0].kernel.shape
    window = window._replace(padding=zeros) if zeros else window
    return bands_call(x_shape, kernels, depthwise._dtype.itemsize, window, pitch)


RULES = (
    Rule((*KERNELS, "scale", "layer"), ("view",), "y = f(x); z = y", "z = f(x)", _nothing),
    Rule(
        ("pad",),
        ("conv", "depthwise", "separable", "pool"),
        "y = x with zeros around it; z = windows of y",
        "z = windows of x that begin in front of it and end behind it; for a maximum where no x is below 0",
        _pad,
    ),
    Rule(
        ("depthwise",),
        ("conv",),
        "y = x * depthwise kernel + bias, bounded; z = y * kernel of one tap",
        "both in one pass, while what lies between them is in the cache",
        _pair,
    ),
    Rule(
        ("conv",),
        ("pair",),
        "x' = x * kernel of one tap + bias, bounded; z = both of the rule before of x'",
        "some rows of x', what they give, and then the next ones in the same memory, where all of x' fills the cache",
        _bands,
    ),
    Rule(
        KERNELS,
        ("scale",),
        "y = x * kernel + bias; z = y * scale + shift, with what batch normalization has of each channel",
        "z = x * (kernel * scale) + (bias * scale + shift); a positive number also behind a minimum and a maximum",
        _fold,
    ),
    Rule(
        ("scale",),
        ("scale",),
        "y = x * scale + shift; z = y * scale + shift",
        "one scale and one shift for both",
        _factors,
    ),
    Rule(
        KERNELS,
        ("add",),
        "y = x * kernel + bias; z = y + other",
        "the other is added while the sum is in a register",
        _sum,
    ),
    Rule(
        ("scale", "add"),
        ("clip",),
        "y = x * scale + shift, or x + other; z = min(max(y, minimum), maximum)",
        "both in one pass over memory",
        _end,
    ),
    Rule(
        KERNELS,
        ("clip",),
        "y = x * kernel + bias; z = min(max(y, minimum), maximum), negative ones times a slope before; or z = silu(y)",
        "the kernel's last step does it, while the sum is in a register",
        _end,
    ),
)


def joined(stages: Iterable[Stage], outputs: Iterable[int], shapes: dict[int, Any]) -> list[Stage]:
    """The stages, joined by all rules that apply; each still after those that it reads."""
    left = _without_idle(list(stages), set(outputs))
    reads = Counter(slot for stage in left for slot in stage.inputs) + Counter(outputs)
    known = Known(shapes, {})
    found: dict[int, Stage] = {}
    by_output: dict[int, int] = {}
    for number, stage in enumerate(left):
        while True:
            pairs = [(slot, by_output[slot]) for slot in stage.inputs if reads[slot] == 1 and slot in by_output]
            joints = ((slot, i, _joint(found[i], stage, known)) for slot, i in pairs)
            slot, i, joint = next((one for one in joints if one[2] is not None), (0, 0, None))
            if joint is None:
                break
            del found[i], by_output[slot]
            stage = joint
        found[number] = stage
        by_output.update(dict.fromkeys(stage.outputs, number))
        known.least[stage.outputs[0]] = stage.ending.minimum
    return list(found.values())


def _joint(first: Stage, second: Stage, known: Known) -> Stage | None:
    rules = (rule for rule in RULES if first.kind in rule.first and second.kind in rule.second)
    return next((one for rule in rules if (one := rule.join(first, second, known)) is not None), None)


def _both(first: Stage, second: Stage) -> Stage:
    """A stage for both, which is like the one that has a kernel, the second where both have one."""
    keeps = first.kind in KERNELS or second.kind == "clip"
    like = first if keeps and second.kind not in KERNELS else second
    others = tuple(slot for slot in second.inputs if slot not in first.outputs)
    return like._replace(parts=first.parts + second.parts, inputs=(*first.inputs, *others), outputs=second.outputs)


def scales_channels(stage: Stage, shapes: dict[int, Any]) -> bool:
    """Whether all normalizations of a stage have factors along the last axis."""
    rank = len(shapes[stage.output])
    return all(_along(layer, rank, rank - 1) for layer in stage.layers)


def _along(layer: Any, rank: int, axis: int) -> bool:
    """Whether a normalization has factors along one axis of so many, or the same for all."""
    if isinstance(layer, Rescaling):
        axes = max(layer._factor.ndim, layer._shift.ndim)
        return axes == 0 or (axes == 1 and axis == rank - 1)
    return bool(layer._axes(rank) == (axis,))


def adds_two(stage: Stage, shapes: dict[int, Any]) -> bool:
    """Whether a sum is of two arrays of one shape."""
    return len(stage.inputs) == 2 and len({shapes[slot] for slot in stage.inputs}) == 1


def channels_last(stage: Stage) -> bool:
    """Whether the layer of a stage has its channels last."""
    return getattr(stage.layers[0], "data_format", "channels_last") == "channels_last"


def _without_idle(stages: list[Stage], outputs: set[int]) -> list[Stage]:
    """Stages without those that give what they are given; others read that where it comes from."""
    stands: dict[int, int] = {}
    kept = []
    for stage in stages:
        inputs = tuple(stands.get(slot, slot) for slot in stage.inputs)
        if stage.kind == "view" and not stage.layers and stage.output not in outputs:
            stands[stage.output] = inputs[0]
        else:
            kept.append(renamed(stage, inputs))
    return kept


def renamed(stage: Stage, inputs: tuple[int, ...]) -> Stage:
    """A stage that reads other slots."""
    if inputs == stage.inputs:
        return stage
    names = dict(zip(stage.inputs, inputs, strict=True))
    parts = tuple(part._replace(inputs=tuple(names.get(slot, slot) for slot in part.inputs)) for part in stage.parts)
    return stage._replace(parts=parts, inputs=inputs)
