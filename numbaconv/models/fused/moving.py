"""Strides that move back: a rule for all readers of a value together, where `rules` has those for pairs of stages.

Before: y = x * kernel + other, bounded; all that reads y are windows of one tap, which take each s-th pixel.
After: y = each s-th pixel of x * kernel + each s-th of other, bounded; the windows take all pixels.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np

from ...shapes import conv_padding
from .reading import Read
from .rules import channels_last, renamed
from .stage import Part, Stage, readers_of

Steps = tuple[int, ...]


def moved_back(stages: Sequence[Stage], read: Read) -> list[Stage]:
    """The stages, the strides of some moved to those before them, and the shapes of what has fewer pixels changed."""
    readers = readers_of(stages)
    steps: dict[int, Steps] = {}
    # The last first, for what computes fewer pixels may read fewer.
    for stage in reversed(stages):
        if stage.kind == "conv" and _is_able(stage) and stage.output not in read.outputs:
            found = {_step(reader, stage.output, steps) for reader in readers[stage.output]}
            step = found.pop() if len(found) == 1 else None
            if step is not None and max(step) > 1:
                steps[stage.output] = step
    moved = [new for stage in stages for new in _moved(stage, steps, read)]
    read.shapes.update({slot: _thin_shape(read.shapes[slot], step) for slot, step in steps.items()})
    return moved


def _is_able(stage: Stage) -> bool:
    layer = stage.layers[0]
    return channels_last(stage) and layer.padding in ("valid", "same") and layer.algorithm != "winograd"


def _step(reader: Stage, slot: int, steps: dict[int, Steps]) -> Steps | None:
    """How far apart the pixels are that a stage reads of a value, along each axis; None where it reads all of them."""
    own = steps.get(reader.outputs[0])
    if slot in reader.inputs[1:]:
        return own if reader.inputs.count(slot) == 1 else None
    if reader.kind not in ("conv", "pool") or reader.zeros or not channels_last(reader):
        return None
    layer = reader.layers[0]
    size = getattr(layer, "kernel_size" if reader.kind == "conv" else "pool_size", (0,))
    if {*size} != {1}:
        return None
    return layer.strides if own is None else tuple(a * b for a, b in zip(layer.strides, own, strict=True))


def _moved(stage: Stage, steps: dict[int, Steps], read: Read) -> list[Stage]:
    """A stage, of which the input or the output has fewer pixels now, and what thins what is added to it."""
    own, given = steps.get(stage.outputs[0]), steps.get(stage.inputs[0])
    if own is None and given is None:
        return [stage]
    layer, parts = stage.layers[0], list(stage.parts)
    # The plain network's convolution stands behind its padding; it still has its own strides.
    at = 1 if stage.zeros else 0
    if given is not None:
        whole = read.slot()
        spread = Part(partial(_spread, steps=given), stage.inputs[:1], (whole,), "")
        parts[at:at] = [spread, parts[at]._replace(inputs=(whole,))]
        del parts[at + 2]
        at += 1
    if own is not None:
        whole = read.slot()
        parts.insert(at + 1, Part(partial(_thin, steps=own), (whole,), parts[at].outputs, ""))
        parts[at] = parts[at]._replace(outputs=(whole,))
    if stage.kind == "pool":
        return [stage._replace(kind="view", parts=tuple(parts), layers=())]
    ones, zeros = (1,) * len(layer.strides), stage.zeros
    strides = (s * a // b for s, a, b in zip(layer.strides, own or ones, given or ones, strict=True))
    if layer.padding == "same" and given is None:
        lengths = read.shapes[stage.inputs[0]][1:-1]
        axes = zip(lengths, layer.kernel_size, ("same",) * len(ones), layer.strides, layer.dilation_rate, strict=True)
        zeros = tuple(conv_padding(*axis) for axis in axes)
    new = stage._replace(parts=tuple(parts), zeros=zeros, strides=tuple(strides))
    if own is None or len(stage.inputs) == 1 or steps.get(stage.inputs[1]) == own:
        return [new]
    added = stage.inputs[1]
    slot = read.slot(_thin_shape(read.shapes[added], own))
    thin = Part(partial(_thin, steps=own), (added,), (slot,), f"{parts[-1].name}'s strides")
    return [Stage("thin", (thin,), (added,), (slot,), strides=own), renamed(new, (stage.inputs[0], slot))]


def _thin(x: np.ndarray, steps: Steps) -> np.ndarray:
    return np.ascontiguousarray(x[_each(steps)])


def _spread(x: np.ndarray, steps: Steps) -> np.ndarray:
    """Pixels where they were before others between them were left out, which nothing reads."""
    lengths = (1 + (n - 1) * step for n, step in zip(x.shape[1:-1], steps, strict=True))
    out = np.zeros((x.shape[0], *lengths, x.shape[-1]), x.dtype)
    out[_each(steps)] = x
    return out


def _each(steps: Steps) -> tuple[slice, ...]:
    return (slice(None), *(slice(None, None, step) for step in steps))


def _thin_shape(shape: tuple[int, ...], steps: Steps) -> tuple[int, ...]:
    return (shape[0], *(-(-n // step) for n, step in zip(shape[1:-1], steps, strict=True)), shape[-1])
