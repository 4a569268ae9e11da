"""Means of rows, which a depthwise convolution writes besides: a rule for squeeze-and-excite blocks.

Before: y = x * depthwise kernel; p = the mean of all of y; z = y * what p decides.
After: behind y the mean of each of its rows, made while these are in the cache; p = the mean of those.
"""

from collections.abc import Sequence
from math import prod

from ...calls.pooling import means_pool_call
from .preparing import call_of, gate_of
from .reading import Read
from .rules import channels_last
from .stage import Stage, readers_of


def averaged(stages: Sequence[Stage], read: Read, itemsize: int) -> list[Stage]:
    """The stages, of which some depthwise convolutions write means of rows, and some poolings read them."""
    readers = readers_of(stages)
    found: set[int] = set()
    for stage in stages:
        if stage.kind == "depthwise" and stage.outputs[0] not in read.outputs and _writes(stage, read, itemsize):
            slot, others = stage.output, readers[stage.output]
            pools = [one for one in others if _is_mean(one)]
            if pools and all(_takes(one, slot, read) for one in others if one not in pools):
                found.update(map(id, (stage, *pools)))
    return [stage._replace(means=True) if id(stage) in found else stage for stage in stages]


def with_means(stages: Sequence[Stage], read: Read) -> dict[int, tuple[int, int]]:
    """Values with means of rows behind them: for each a value of more pixels, of which it is the first."""
    made = [stage.output for stage in stages if stage.means and stage.kind == "depthwise"]
    shapes = {slot: read.shapes[slot] for slot in made}
    return {slot: (read.slot((prod(s[:-1]) + prod(s[:-2]), s[-1])), 0) for slot, s in shapes.items()}


def _writes(stage: Stage, read: Read, itemsize: int) -> bool:
    shape = read.shapes[stage.output]
    if len(shape) != 4 or len(stage.inputs) > 1 or stage.before is not None or not channels_last(stage):
        return False
    if means_pool_call(shape) is None:
        return False
    return call_of(stage._replace(means=True), read.shapes[stage.inputs[0]], itemsize) is not None


def _is_mean(stage: Stage) -> bool:
    if stage.kind != "pool" or stage.zeros:
        return False
    (layer,) = stage.layers
    return layer.whole and layer.kind == "average" and channels_last(stage)


def _takes(stage: Stage, slot: int, read: Read) -> bool:
    """Whether a stage takes a value, its first input or that of a product, with something behind it."""
    if stage.kind == "multiply":
        gate = gate_of(stage, read.shapes)
        return gate is not None and stage.inputs[1 - gate] == slot != stage.inputs[gate]
    return stage.gated and stage.inputs.index(slot) == 0 and stage.inputs.count(slot) == 1
