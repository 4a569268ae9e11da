"""Values whose pixels lie some way apart: parts of a concatenation, and those with room for whole vectors."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .rules import KERNELS, channels_last, scales_channels
from .stage import Stage, readers_of

if TYPE_CHECKING:
    from .reading import Read


def side_by_side(stages: Sequence[Stage], shapes: dict[int, Any], given: set[int]) -> dict[int, tuple[int, int]]:
    """Values that are written where they are put side by side: for each the whole, and its first channel there.

    What reads such a value besides has to know how far its pixels are apart.
    """
    readers = readers_of(stages)
    wholes = [one for one in stages if one.kind == "concatenate" and _along_channels(one, shapes)]
    able = _apart(stages) | {whole.output for whole in wholes}
    found: dict[int, tuple[int, int]] = {}
    # The last ones first: they may hold others.
    for whole in reversed(wholes):
        if whole.output in given:
            continue
        root, start = found.get(whole.output, (whole.output, 0))
        for slot in whole.inputs:
            others = [one for one in readers[slot] if one is not whole]
            apart = all(one.kind == "scale" and scales_channels(one, shapes) for one in others)
            if slot in able - given and whole.inputs.count(slot) == 1 and apart:
                found[slot] = root, start
            start += shapes[slot][-1]
    return found


def _apart(stages: Sequence[Stage]) -> set[int]:
    """Values whose pixels may be written some way apart."""
    kinds = set(KERNELS) - {"transposed"}
    return {one.output for one in stages if one.kind in kinds and len(one.inputs) == 1 and channels_last(one)}


def with_room(stages: Sequence[Stage], read: "Read", others: set[int], lanes: int) -> dict[int, tuple[int, int]]:
    """Values whose pixels get room for whole vectors: for each a wider value, of which it is the first channels.

    There a depthwise convolution may read vectors of channels, which all begin where a cache line does.
    """
    readers, able = Counter(slot for stage in stages for slot in stage.inputs), _apart(stages)
    found = {}
    for stage in stages:
        first, slot = stage.before or stage, stage.inputs[0]
        if first.kind != "depthwise" or stage.widening or slot not in able - others:
            continue
        *pixels, channels = read.shapes[slot]
        # Several filters of a channel take copies of it.
        single = read.shapes[first.output][-1] == channels
        if readers[slot] == 1 and channels > lanes and channels % lanes and single and channels_last(first):
            found[slot] = read.slot((*pixels, -(-channels // lanes) * lanes)), 0
    return found


def _along_channels(stage: Stage, shapes: dict[int, Any]) -> bool:
    rank = len(shapes[stage.output])
    return bool(stage.layers[0].axis % rank == rank - 1)
