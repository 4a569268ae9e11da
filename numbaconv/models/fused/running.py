"""The program of `predict` at work: made for each shape, kept until a layer is set otherwise."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from math import prod
from operator import attrgetter, is_
from typing import TYPE_CHECKING, Any

import numpy as np

from ...calls.layouts import contiguous
from ...common.arrays import cast
from ...layers.inputs import InputLayer
from ...layers.settings import Changes
from ...machine import sharing, threads
from ...machine.aligned import aligned_empty
from ...machine.vectors import VECTOR_BYTES
from ...objects.tuples import NamedTuple
from ..program import Program
from .arena import MOST_SHAPES, Arena, Lifetime, laid_out
from .folding import Banded, Folded, Pair
from .pitches import side_by_side, with_room
from .preparing import OtherShapeError, PlainError, Prepared, prepared
from .rules import KERNELS, joined, renamed
from .stage import Stage

if TYPE_CHECKING:
    from .reading import Read

# Bytes of a result that is rather copied out of the arena than written into new memory, for which Python would have to
# call its kernel.
SMALL = 65_536
# Pieces of memory that wait for calls: as many as threads have called a network at once.
MOST_ARENAS = 8
_calls_of = attrgetter("_calls")


class Turn(NamedTuple):
    """A stage in a runner: what it reads, and where its results go.

    ``place`` is where its result begins in the arena, -1 where it is new memory that may leave the network, and None
    where the stage itself finds memory. ``done`` are values that nothing reads after it. ``steady`` as in `Prepared`.
    ``between`` is where in the arena it has room while it runs, and for how many values.
    """

    stage: Stage
    run: Any
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    shape: tuple[int, ...]
    place: int | None
    done: tuple[int, ...]
    call: Any
    steady: bool
    between: tuple[int, int] | None = None


class Runner:
    """A network's stages, prepared for inputs of certain shapes."""

    def __init__(self, read: "Read", dtype: np.dtype, folded: Any) -> None:
        # Who finds a runner on disk does without.
        from .averaging import averaged, with_means
        from .moving import moved_back
        from .pooling_first import averaged_before
        from .stretches import repeated, stretched
        from .weighing import weighed

        self.dtype, self.inputs, self.outputs = dtype, read.inputs, read.outputs
        stages = joined(averaged_before(read.stages, read), read.outputs, read.shapes)
        stages = weighed(moved_back(stages, read), read, dtype.itemsize)
        stages = averaged(stages, read, dtype.itemsize)
        shapes = read.shapes
        # What stages of the library's read is of the network's dtype.
        self.casts = {slot: read.slot(shapes[slot]) for slot in read.inputs}
        stages = [_reading(stage, self.casts) for stage in stages]
        roots = _roots(stages)
        stages = _copying(stages, roots, (*self.inputs, *self.casts.values()), self.outputs)
        roots = _roots(stages)
        given = _given(stages, roots, self.outputs)
        size, lanes = dtype.itemsize, VECTOR_BYTES // dtype.itemsize

        def lying() -> dict[int, tuple[int, int]]:
            found = side_by_side(stages, shapes, given)
            return found | with_room(stages, read, given | found.keys(), lanes) | with_means(stages, read)

        beside = lying()
        bound = {*beside, *(whole for whole, _ in beside.values()), *given}
        stages, stretches = stretched(stages, read, size, bound, tuple(self.casts.values()))
        if stretches:
            roots = _roots(stages)
            given = _given(stages, roots, self.outputs)
            beside = lying()

        def pitch(slot: int) -> int:
            return int(shapes[beside[slot][0]][-1]) if slot in beside else 0

        def ready_for(stage: Stage, awake: bool = False) -> Prepared:
            pitches = pitch(stage.outputs[0]), pitch(stage.inputs[0])
            return prepared(stage, shapes, size, folded(stage), *pitches, awake)

        ready = [ready_for(stage) for stage in stages]
        # A thread that sleeps through small work takes longer to wake than all of that takes.
        spread = [i for i, one in enumerate(ready) if not getattr(one.call, "serial", one.call is None)]
        for i in range(spread[0], spread[-1]) if spread and threads.count() > 1 else ():
            if i not in spread:
                ready[i] = ready_for(stages[i], True)
        kept = _given(stages, roots, ())
        small = {slot for slot in given - kept if slot not in self.inputs and prod(shapes[slot]) * size <= SMALL}
        memory = roots, given - small, beside, stretches
        turns, self.room = _turns(stages, ready, shapes, memory, self.outputs, size)
        self.entries = {*self.inputs, *self.casts.values()}
        self.turns, self._cuts = repeated(turns, stretches, read, beside, (self.entries, size))
        made = {turn.outputs[0] for turn in self.turns if turn.place is not None and turn.place >= 0}
        self._copied = {slot for slot in self.outputs if roots.get(slot, slot) in small & made}
        self.slots, self.shapes = len(shapes), shapes
        self.foreign = any(stage.foreign for stage in stages)
        read_slots = {slot for stage in stages for slot in stage.inputs} | {whole for _, whole, *_ in self._cuts}
        self._cast = [(slot, to) for slot, to in self.casts.items() if to in read_slots]
        # Bytes in all: of the arena, of what comes in as it is read, and of what leaves the network.
        apart = [shapes[to] for _, to in self._cast] + [turn.shape for turn in self.turns if turn.place == -1]
        self.bytes = self.room + size * sum(map(prod, apart))
        # Where turns read what comes in.
        self.entries |= {slot for slot, *_ in self._cuts}
        # Those whose weights decide what kernels take.
        layers = [layer for stage in stages for one in stage.joined for layer in one.layers]
        both = (one for layer in layers for one in (layer, getattr(layer, "_whole", layer)))
        self.layers = list({id(one): one for one in both if hasattr(one, "_weights")}.values())

    def run(self, values: Sequence[Any], arena: Arena, tell: Callable[[], Any] | None = None) -> list[Any]:
        """The outputs for these inputs; each turn that is done is told."""
        laid = arena.laid(self)
        found = laid.begun()
        for slot, value in zip(self.inputs, values, strict=True):
            found[slot] = value
        for slot, to in self._cast:
            found[to] = contiguous(cast(found[slot], self.dtype))
        for slot, whole, begin, end in self._cuts:
            found[slot] = found[whole][begin:end]
        for turn, out, calls in laid.entered(found):
            if calls is None:
                self._take(turn, out, found, laid)
            else:
                for kernel, arguments in calls:
                    kernel(*arguments)
            if tell is not None:
                tell()
        laid.ended()
        return [found[slot].copy() if slot in self._copied else found[slot] for slot in self.outputs]

    def run_ahead(self) -> None:
        """Have kernels compiled that no other process compiles, from the first turn on."""
        from .apart import run_apart

        # Large images are not to be waited for twice.
        run_apart(self, 1, 0.5)

    def _take(self, turn: Turn, out: Any, found: list[Any], laid: Any) -> None:
        """Run a stage, whose results are among what is found then."""
        if turn.place == -1:
            out = aligned_empty(turn.shape, self.dtype)
        result = laid.result(turn, out, [found[slot] for slot in turn.inputs])
        if len(turn.outputs) == 1:
            found[turn.outputs[0]] = result
        else:
            for slot, one in zip(turn.outputs, result, strict=True):
                found[slot] = one
        for slot in turn.done:
            found[slot] = None


class Fused:
    """The program of `predict` of one network, for all shapes.

    ``like`` is that of the same network for other parts: what layers multiply by is folded once for all, and they share
    memory.
    """

    def __init__(self, program: Program, like: "Fused | None" = None) -> None:
        self.program = program
        layers = _watched(program)
        self.usable = layers is not None
        # A setting that is changed replaces the calls. To look at each layer would take longer than a kernel.
        self._changes = Changes.count
        self._settings = layers or [], [*map(_calls_of, layers or [])]
        self._nested: dict[int, tuple[Any, Program, bool]] = {}
        self._runners: OrderedDict[Any, Runner | None] = OrderedDict()
        # One that has not run yet.
        self._new: Runner | None = None
        self._folded: dict[Any, Folded] = {} if like is None else like._folded
        self._arenas: list[Arena] = [] if like is None else like._arenas

    def fresh(self) -> bool:
        """Whether all settings and connections are those that this was made for."""
        count = Changes.count
        if count != self._changes:
            layers, calls = self._settings
            if not all(map(is_, map(_calls_of, layers), calls)):
                return False
            self._changes = count
        return all(one._program() is program and one.fuse is fuse for one, program, fuse in self._nested.values())

    def run(self, values: Sequence[Any], text: Callable[[], str] | None = None) -> list[Any] | None:
        """The outputs for these inputs; None where the plain network is to compute them.

        ``text`` gives the network in JSON, for a process that helps to compile its kernels.
        """
        shapes = [value.shape for value in values]
        runner = self.runner(shapes)
        if runner is None:
            return None
        try:
            arena = self._arenas.pop()
        except IndexError:
            arena = Arena()
        try:
            if runner is self._new and text is not None:
                self._new = None
                with sharing.offered(lambda: {"model": text(), "shapes": shapes}, runner.run_ahead):
                    outputs = runner.run(values, arena)
            else:
                outputs = runner.run(values, arena)
        except PlainError as error:
            if isinstance(error, OtherShapeError):
                self._runners.clear()
            return None
        if len(self._arenas) < MOST_ARENAS:
            self._arenas.append(arena)
        return outputs

    def known(self, shapes: Sequence[tuple[int, ...]]) -> list[Any] | None:
        """Shapes of the outputs, where they have been found before and no code of the user's can make them others."""
        runner = self._runners.get((threads.count(), *shapes)) if self.fresh() else None
        if runner is None or runner.foreign:
            return None
        return [runner.shapes[slot] for slot in runner.outputs]

    def runner(self, shapes: Sequence[tuple[int, ...]]) -> Runner | None:
        """The runner for inputs of these shapes; None where there is none."""
        if not self.usable:
            return None
        key = threads.count(), *shapes
        try:
            return self._runners[key]
        except KeyError:
            runner = self._kept_runner(key) or self._runner(shapes)
        while len(self._runners) >= MOST_SHAPES:
            self._runners.popitem(last=False)
        self._runners[key] = self._new = runner
        return runner

    def _runner(self, shapes: Sequence[tuple[int, ...]]) -> Runner | None:
        from .reading import Read

        if any(0 in shape for shape in shapes):
            return None
        try:
            read = Read(self.program, shapes)
            self._nested.update({id(network): (network, *more) for network, *more in read.nested})
            runner = Runner(read, self._settings[0][0]._dtype, self._kernel_of)
        except (ValueError, TypeError):
            # The plain network says what is wrong.
            return None
        if self.program.kept is not None:
            self.program.kept.keep((threads.count(), *shapes), runner, read.nested)
        return runner

    def _kept_runner(self, key: Any) -> Runner | None:
        """The runner that another process has made."""
        if self.program.kept is None:
            return None
        runner, nested = self.program.kept.runner(key, self._folding) or (None, ())
        self._nested.update({id(network): (network, *more) for network, *more in nested})
        return runner

    def _kernel_of(self, stage: Stage) -> Any:
        """The weights of a stage with a kernel; runners share them."""
        if stage.kind not in (*KERNELS, "weigh"):
            return None
        # What is made for a part of an image has the weights of the layer for all of it.
        layers = [getattr(one, "_whole", one) for one in stage.layers]
        folded = self._folding("conv" if stage.before is not None or stage.kind == "weigh" else stage.kind, layers)
        if stage.before is None:
            return folded
        pair = Pair(self._kernel_of(stage.before), folded)
        return pair if stage.widening is None else Banded(self._kernel_of(stage.widening), pair)

    def _folding(self, kind: str, layers: Sequence[Any]) -> Folded:
        return self._folded.setdefault((kind, *map(id, layers)), Folded(kind, tuple(layers)))


def _reading(stage: Stage, casts: dict[int, int]) -> Stage:
    return stage if stage.kind == "layer" else renamed(stage, tuple(casts.get(slot, slot) for slot in stage.inputs))


def _roots(stages: Sequence[Stage]) -> dict[int, int]:
    """By slot the value whose memory it has, where that is another's."""
    roots: dict[int, int] = {}
    for stage in stages:
        if stage.kind == "view":
            roots[stage.output] = roots.get(stage.inputs[0], stage.inputs[0])
    return roots


def _copying(stages: list[Stage], roots: dict[int, int], inputs: Sequence[int], outputs: Sequence[int]) -> list[Stage]:
    """The stages, of which those copy that would give out another array's memory."""
    ends = [roots.get(slot, slot) for slot in dict.fromkeys(outputs)]
    shared = {root for root in ends if ends.count(root) > 1 or root in inputs}
    own = {slot for slot in outputs if roots.get(slot) in shared}
    return [stage._replace(kind="copy") if stage.kind == "view" and stage.output in own else stage for stage in stages]


def _given(stages: Sequence[Stage], roots: dict[int, int], outputs: Sequence[int]) -> set[int]:
    """Values whose memory may leave the network, or be kept by the user's code."""
    seen = (slot for stage in stages if stage.foreign for slot in stage.inputs)
    return {roots.get(slot, slot) for slot in (*outputs, *seen)}


def _turns(
    stages: Sequence[Stage],
    ready: Sequence[Prepared],
    shapes: dict[int, Any],
    memory: tuple[dict[int, int], set[int], dict[int, tuple[int, int]], list[Any]],
    outputs: Sequence[int],
    itemsize: int,
) -> tuple[list[Turn], int]:
    """The stages in order with their places, and the bytes of the arena."""
    roots, given, beside, stretches = memory
    writes = {slot: whole for one in stretches for slot, whole in one.writes.items()}
    homes = {slot: writes.get(whole, whole) for slot, (whole, _) in beside.items()} | writes
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for i, stage in enumerate(stages):
        for slot in (*stage.inputs, *stage.outputs):
            last[slot] = last[roots.get(slot, slot)] = last[homes.get(slot, slot)] = i
        for slot in stage.outputs:
            first.setdefault(homes.get(slot, slot), i)
    for one in stretches:
        first |= dict.fromkeys(one.writes.values(), one.first)
        read = (roots.get(slot, slot) for slot in one.reads.values())
        last |= {slot: max(last.get(slot, 0), one.last) for slot in (*read, *one.reads.values())}
    last |= {roots.get(slot, slot): len(stages) for slot in outputs}
    # Values of the arena, and the one in whose memory each begins, which nothing reads after it.
    inside: dict[int, int] = {}
    for i, (stage, one) in enumerate(zip(stages, ready, strict=True)):
        slot, under = stage.outputs[0], -1 if one.over is None else stage.inputs[one.over]
        if one.writes and slot not in given | homes.keys():
            reads = [roots.get(read, read) for read in stage.inputs]
            free = under in inside and last[under] == i and reads.count(under) == 1
            inside[slot] = inside[under] if free else slot
    inside |= {whole: whole for whole in homes.values()}
    ends: dict[int, int] = {}
    for slot, home in inside.items():
        ends[home] = max(ends.get(home, 0), last[slot])
    lifetimes = [Lifetime(prod(shapes[home]) * itemsize, first[home], end) for home, end in ends.items()]
    rooms = {i: one.room for i, one in enumerate(ready) if one.room}
    lifetimes += [Lifetime(count * itemsize, i, i) for i, count in rooms.items()]
    places, room = laid_out(lifetimes)
    between = {i: (places.pop(), count) for i, count in reversed(rooms.items())}
    place_of = dict(zip(ends, places, strict=True))
    place_of |= {slot: place_of[home] for slot, home in inside.items()}
    turns = []
    for i, (stage, one) in enumerate(zip(stages, ready, strict=True)):
        ended = (slot for slot in dict.fromkeys((*stage.inputs, *stage.outputs)) if last[slot] == i)
        done = tuple(slot for slot in ended if slot not in outputs)
        slot = stage.outputs[0]
        place, shape = place_of.get(homes.get(slot, slot), -1) if one.writes else None, shapes[slot]
        if slot in beside:
            whole, channel = beside[slot]
            # Flat, from its first channel on.
            place, shape = place_of[homes[slot]] + channel * itemsize, (prod(shapes[whole]) - channel,)
        known = one.call, one.steady, between.get(i)
        turns.append(Turn(stage, one.run, stage.inputs, stage.outputs, shape, place, done, *known))
    return turns, room


def _watched(program: Program) -> list[Any] | None:
    """The layers that a network computes with; None where a plain run does more than compute."""
    found = [leaf for step in program.steps for leaf in step.operation._leaves() if not isinstance(leaf, InputLayer)]
    masked = any(step.operation._makes_masks or "mask" in step.keywords for step in program.steps)
    if masked or len({leaf._dtype for leaf in found}) != 1:
        return None
    return None if any(leaf.activity_regularizer is not None for leaf in found) else found


def fused(program: Program) -> Fused:
    """The program of `predict` of a network, made anew where settings or connections have changed."""
    known = program.fused
    if known is None or not known.fresh():
        known = program.fused = Fused(program)
    return known
