"""Averages that are taken before a convolution of one tap: both are sums, so there are fewer pixels to multiply.

Before: y = x * kernel of one tap; z = averages of windows of y, some pixels apart.
After: p = averages of windows of x; z = p * kernel.
"""

from collections import Counter
from collections.abc import Sequence
from math import prod

import numpy as np

from .preparing import PlainError
from .reading import Read
from .rules import renamed
from .stage import Stage


def averaged_before(stages: Sequence[Stage], read: Read) -> list[Stage]:
    """The stages, of which some poolings have changed places with the convolution that they read."""
    readers = Counter(slot for stage in stages for slot in stage.inputs) + Counter(read.outputs)
    makers = {slot: stage for stage in stages for slot in stage.outputs}
    changed: dict[int, Stage] = {}
    for pool in stages:
        conv = makers.get(pool.inputs[0])
        if pool.kind != "pool" or conv is None or readers[conv.outputs[0]] > 1 or not _may_change(conv, pool):
            continue
        (x,), axis = conv.inputs, 1 if pool.layers[0].data_format == "channels_first" else -1
        shape = [*read.shapes[pool.output]]
        shape[axis] = read.shapes[x][axis]
        averages = read.slot(tuple(shape))
        parts = (part._replace(outputs=(averages,)) for part in renamed(pool, (x,)).parts)
        changed[id(conv)] = pool._replace(parts=tuple(parts), inputs=(x,), outputs=(averages,))
        # Of infinite weights, averages would have other sums.
        parts = (part._replace(function=_need_plain, inputs=(averages,), outputs=pool.outputs) for part in conv.parts)
        changed[id(pool)] = conv._replace(parts=tuple(parts), inputs=(averages,), outputs=pool.outputs, late=True)
    return [changed.get(id(stage), stage) for stage in stages]


def _may_change(conv: Stage, pool: Stage) -> bool:
    """Whether a convolution of one tap, and nothing else, lies before averages of which there are fewer."""
    if conv.kind != "conv":
        return False
    (layer,), (pooling,) = conv.layers, pool.layers
    one = {*layer.kernel_size, *layer.strides} == {1} and layer.data_format == pooling.data_format
    return one and pooling.kind == "average" and not pooling.whole and prod(pooling.strides) > 1


def _need_plain(*values: np.ndarray) -> None:
    raise PlainError("weights that are not finite")
