"""Gates that move to weights: a rule for squeeze-and-excite blocks, of single images.

Before: y = x * gates, a number of each channel that all of x decides; z = y * kernel of one tap.
After: w = kernel * gates; z = x * w, where the kernel has fewer numbers than the image.
"""

from collections import Counter
from collections.abc import Sequence
from math import prod

from ...calls.conv import WindowCall
from ...kernels.named import conv
from ...kernels.rules import SILU
from ...machine.vectors import conv_width
from .preparing import call_of
from .reading import Read
from .rules import channels_last
from .stage import Stage


def weighed(stages: Sequence[Stage], read: Read, itemsize: int) -> list[Stage]:
    """The stages, some of whose products of an image and gates have become products of weights and gates."""
    makers = {slot: stage for stage in stages for slot in stage.outputs}
    readers = Counter(slot for stage in stages for slot in stage.inputs) + Counter(read.outputs)
    changed: dict[int, Stage] = {}
    for stage in stages:
        product = makers.get(stage.inputs[0])
        if product is None or product.kind != "multiply" or stage.kind != "conv" or readers[product.output] > 1:
            continue
        x, gates = _operands(product, makers, read)
        if x is None or not _is_able(stage, read.shapes[x], itemsize):
            continue
        *_, channels, filters = stage.layers[0]._weights["kernel"].shape
        width = conv_width(filters, itemsize)
        lines = read.slot((-(-filters // width), channels, width))
        changed[id(product)] = product._replace(kind="weigh", inputs=(gates,), outputs=(lines,), layers=stage.layers)
        parts = (*(part._replace(name="") for part in product.parts), *stage.parts)
        inputs = x, lines, gates, *stage.inputs[1:]
        changed[id(stage)] = stage._replace(parts=parts, inputs=inputs, gated=True)
    return [changed.get(id(stage), stage) for stage in stages]


def _operands(product: Stage, makers: dict[int, Stage], read: Read) -> tuple[int | None, int]:
    """The image and the gates of a product; no image where there are none, or where gates may be large.

    Tiles of an image are computed as the whole is, so its gates have to be made from all of it.
    """
    shape = read.shapes[product.output]
    ordered = sorted(product.inputs, key=lambda slot: prod(read.shapes[slot]))
    gates, x = ordered[0], ordered[-1]
    alike = len(ordered) == 2 and read.shapes[x] == shape and {read.shapes[gates][-1], prod(read.shapes[gates])}
    made = makers.get(gates)
    if shape[0] > 1 or alike != {shape[-1]} or prod(shape) == shape[-1] or made is None:
        return None, gates
    minimum, maximum, _, function = made.ending
    bounded = function % SILU if function else minimum > -2 and maximum < 2
    found, waiting = set(), [gates]
    while waiting:
        slot = waiting.pop()
        if slot not in found and slot in makers and slot != x:
            waiting += makers[slot].inputs
        found.add(slot)
    return (x if bounded and x in found else None), gates


def _is_able(stage: Stage, x_shape: tuple[int, ...], itemsize: int) -> bool:
    """Whether a convolution may take weights that are made for each call."""
    layer = stage.layers[0]
    one = {*layer.kernel_size, *(stage.strides or layer.strides), layer.groups} == {1} and not stage.zeros
    if not (one and channels_last(stage)) or prod(layer._weights["kernel"].shape) >= prod(x_shape):
        return False
    call = call_of(stage, x_shape, itemsize)
    return isinstance(call, WindowCall) and call.kernel is conv and not call.few
