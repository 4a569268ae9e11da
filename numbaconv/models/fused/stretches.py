"""Stretches of a program: stages that run for a few images of a batch before they run for the next few.

What lies between them is as large as these images make it, and stays in the cache. Where memory is reckoned, a stretch
is a list of stages once; where stages run, it is repeated, and only what it shares with the rest moves on.
"""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np

from ...activations.settings import WithSettings
from ...calls.pooling import means_pool_call
from ...kernels.plan.host import HOST
from ...objects.tuples import NamedTuple
from .parts import part_of
from .preparing import call_of
from .reading import Read
from .rules import KERNELS, banded, renamed
from .stage import Stage

# Kinds of stages that treat each image by itself.
_KINDS = {
    *KERNELS,
    "add",
    "clip",
    "concatenate",
    "copy",
    "cut",
    "function",
    "multiply",
    "pad",
    "pool",
    "scale",
    "thin",
    "view",
}


class Stretch(NamedTuple):
    """Stages ``first`` to ``last``, whose last one is what puts the images together."""

    first: int
    last: int
    images: int
    times: int
    # Slots of some images, and of all: what is read, and what is written.
    reads: dict[int, int]
    writes: dict[int, int]


def stretched(
    stages: Sequence[Stage], read: Read, itemsize: int, bound: set[int], entries: Sequence[int]
) -> tuple[list[Stage], list[Stretch]]:
    """The stages, with those of stretches for some images only, and the stretches.

    None begins or ends where a value passes whose place is ``bound``: beside another, or in memory that is given away.
    """
    found: list[Stage] = []
    stretches = []
    if len({read.shapes[slot][:1] for slot in read.inputs}) != 1 or not read.shapes[read.inputs[0]]:
        return [*stages], []
    for first, last, images in _chosen(stages, read, itemsize, bound, entries):
        part, before = stages[first:last], len(found)
        if images == read.shapes[read.inputs[0]][0]:
            found += part
            continue
        made = {slot for stage in part for slot in stage.outputs}
        later = {slot for stage in stages[last:] for slot in stage.inputs}
        names = {
            slot: read.slot((images, *read.shapes[slot][1:]))
            for slot in dict.fromkeys(slot for stage in part for slot in (*stage.inputs, *stage.outputs))
        }
        reads = {names[slot]: slot for slot in names if slot not in made}
        writes = {names[slot]: slot for slot in made & later}
        found += [Stage("view", (), (slot,), (name,)) for name, slot in reads.items() if slot not in entries]
        found += [_named(stage, names) for stage in part]
        found += [Stage("together", (), tuple(writes), tuple(writes.values()))]
        count = read.shapes[read.inputs[0]][0] // images
        stretches.append(Stretch(before, len(found) - 1, images, count, reads, writes))
    return found, stretches


def _named(stage: Stage, names: dict[int, int]) -> Stage:
    """A stage that reads and writes other slots, and so do those that it computes before."""
    stage = renamed(stage, tuple(names[slot] for slot in stage.inputs))
    outputs = tuple(names[slot] for slot in stage.outputs)
    parts = tuple(part._replace(outputs=tuple(names.get(slot, slot) for slot in part.outputs)) for part in stage.parts)
    return stage._replace(parts=parts, outputs=outputs)


def _chosen(
    stages: Sequence[Stage], read: Read, itemsize: int, bound: set[int], entries: Sequence[int]
) -> list[tuple[int, int, int]]:
    """Runs of stages, from the first to before the last, and how many images at once each is computed for."""
    images, near = read.shapes[read.inputs[0]][0], HOST.near_bytes
    runs: list[tuple[int, int, int]] = []
    for first, last in _pieces(stages, read, bound, entries) if images > 1 else ():
        piece = stages[first:last]
        held = [itemsize * sum(prod(read.shapes[slot]) // images for slot in _slots(one)) for one in piece]
        layers = (layer for one in piece for part in one.joined for layer in part.layers if hasattr(layer, "_weights"))
        weights = itemsize * sum(w.size for layer in layers for w in layer._weights.values())
        few = max((m for m in range(1, images) if images % m == 0 and m * max(held) <= near), default=1)
        able = max(held) * images > near and weights <= few * sum(held)
        able = able and all(_is_apart(one, read, images) for one in piece)
        few = few if able else images
        *before, (begin, _, known) = runs or [(first, 0, images)]
        least, most = sorted((few, known))
        # A stretch for twice as many images may be one with this.
        if runs and (least == most or (most <= 2 * least and most < images)):
            runs = [*before, (begin, last, least)]
        else:
            runs.append((first, last, few))
    return [
        (first, last, m if last - first > 1 and _is_able(stages[first:last], read, m, itemsize) else images)
        for first, last, m in runs
    ] or [(0, len(stages), images)]


def _is_able(stages: Sequence[Stage], read: Read, images: int, itemsize: int) -> bool:
    """Whether there are kernels for so many images, and no stage is a view of what lies elsewhere each time."""

    def some(slot: int) -> tuple[int, ...]:
        return (images, *read.shapes[slot][1:])

    made = {slot for stage in stages for slot in stage.outputs}
    for stage in stages:
        begin = some(stage.inputs[0])
        if stage.kind == "view" and stage.inputs[0] not in made:
            return False
        if stage.widening is not None and banded(stage.joined, begin).arguments is None:
            return False
        if stage.means and stage.kind == "depthwise":
            # Of both the sums of rows and those of whole images.
            if call_of(stage, begin, itemsize) is None or means_pool_call(some(stage.output)) is None:
                return False
        elif stage.means and means_pool_call(begin) is None:
            return False
    return True


def _pieces(stages: Sequence[Stage], read: Read, bound: set[int], entries: Sequence[int]) -> list[tuple[int, int]]:
    """Runs of stages between which a single value passes."""
    final = {slot: i for i, stage in enumerate(stages) for slot in stage.inputs} | dict.fromkeys(
        read.outputs, len(stages)
    )
    alive, ends = {*entries}, [0]
    for i, stage in enumerate(stages):
        alive = {slot for slot in alive | {*stage.outputs} if final.get(slot, -1) > i}
        if len(alive) == 1 and not alive & bound and stage.kind != "view":
            ends.append(i + 1)
    if ends[-1] < len(stages):
        ends.append(len(stages))
    return [*pairwise(ends)]


def _slots(stage: Stage) -> tuple[int, ...]:
    return (*dict.fromkeys(stage.inputs), *stage.outputs)


def _is_apart(stage: Stage, read: Read, images: int) -> bool:
    """Whether a stage computes each image by itself."""
    alike = all(read.shapes[slot][:1] == (images,) for slot in _slots(stage))
    if not alike or stage.foreign or stage.kind not in _KINDS or not {*read.outputs}.isdisjoint(stage.outputs):
        return False
    layers = [layer for one in stage.joined for layer in one.layers]
    numbers = (getattr(layer, name, 0) for layer in layers for name in ("_factor", "_shift"))
    if any(np.ndim(number) >= len(read.shapes[stage.inputs[0]]) for number in numbers):
        return False
    # An activation with settings may have an axis.
    return not (stage.kind == "function" and isinstance(stage.layers[0], WithSettings))


def repeated(
    turns: list[Any],
    stretches: Sequence[Stretch],
    read: Read,
    beside: dict[int, tuple[int, int]],
    memory: tuple[set[int], int],
) -> tuple[list[Any], list[tuple[int, int, int, int]]]:
    """The turns as they run, those of stretches again and again, and which values are which images of an input.

    ``memory`` has the slots of inputs, and the bytes of a number.
    """
    entries, itemsize = memory
    done: list[Any] = []
    cuts: list[tuple[int, int, int, int]] = []
    at = 0
    for first, last, images, times, reads, writes in stretches:
        # Between its turns nothing is forgotten: a turn that is repeated may find it where it was.
        body, end = [turn._replace(done=()) for turn in turns[first:last]], turns[last]
        homes = {slot: slot for slot in writes} | {slot: one for slot, (one, _) in beside.items() if one in writes}
        step = {slot: prod(read.shapes[home]) * itemsize for slot, home in homes.items()}
        done += turns[at:first]
        gathered: list[int] = []
        for i in range(times):
            begin, stop = i * images, (i + 1) * images
            names = {slot: read.slot(read.shapes[slot]) for slot in (*reads, *homes)} if i else {}
            for slot, whole in reads.items():
                if whole in entries:
                    cuts.append((names.get(slot, slot), whole, begin, stop))
            done += [_moved(turn, names, i * step.get(turn.outputs[0], 0), (begin, stop)) for turn in body]
            gathered += [names.get(slot, slot) for slot in writes]
        over = {slot for turn in turns[first : last + 1] for slot in turn.done}
        done.append(end._replace(inputs=tuple(gathered), done=tuple(over | {*gathered})))
        at = last + 1
    return done + turns[at:], cuts


def _moved(turn: Any, names: dict[int, int], ahead: int, ends: tuple[int, int]) -> Any:
    """A turn for other images, whose result is so many bytes farther on."""
    if turn.stage.kind == "view" and not turn.stage.parts:
        turn = turn._replace(run=partial(part_of, *ends))
    if names.keys().isdisjoint((*turn.inputs, *turn.outputs)):
        return turn
    inputs, outputs = (tuple(names.get(slot, slot) for slot in slots) for slots in (turn.inputs, turn.outputs))
    place = turn.place + ahead if ahead and turn.place is not None and turn.place >= 0 else turn.place
    return turn._replace(inputs=inputs, outputs=outputs, place=place)
