"""A network on a part of its image: which part each layer needs and gives, and the program that computes only these.

Parts have ends, (first, the one behind the last), for each axis but the batch's. Going from the outputs back to the
inputs gives each layer what it must give; layers with windows get zeros in place of their own padding, where the image
ends and only there.
"""

from collections.abc import Iterator, Sequence
from itertools import count
from math import lcm, prod
from typing import Any

import numpy as np

from ..activations.settings import meeting_axes
from ..calls.conv import way_of
from ..common.structures import mapped
from ..layers import Concatenate, Permute
from ..layers.conv import WindowLayer
from ..layers.merging import Merge
from ..layers.moving import Cropping, UpSampling, ZeroPadding
from ..layers.pooling import Pooling
from ..objects.tuples import NamedTuple
from ..shapes.explanations import step_of
from ..shapes.regions import Region, axis_region
from .copies import is_slot
from .fused.running import Fused
from .program import Cut, Program, Slot, Step, within

Ends = tuple[tuple[int, int], ...]
SLIDING = WindowLayer, Pooling, Cropping, ZeroPadding, UpSampling
# Forms of parts that are remembered; a network with odd strides may have no two parts alike.
MOST_FORMS = 256


class Part(NamedTuple):
    """A step on its part."""

    step: Step
    # What it takes of each of its inputs.
    takes: list[Ends]
    # What it gives of its output, at least what is asked for; nothing if it may read whole images.
    gives: Ends
    # Zeros at the ends of each spatial axis, of a layer with windows.
    zeros: tuple[tuple[int, int], ...] | None = None


def flattened(program: Program) -> Program:
    """The same program with the steps of the networks within in place of these."""
    steps: list[Step] = []
    numbers = count()
    slots = {slot: next(numbers) for slot in program.inputs}
    _flatten(program, slots, steps, numbers)
    return Program(steps, [slots[slot] for slot in program.inputs], [slots[slot] for slot in program.outputs])


def _flatten(program: Program, slots: dict[int, int], steps: list[Step], numbers: Iterator[int]) -> None:
    for step in program.steps:
        inner = within(step.operation)
        if inner is not None and not any(step.keywords.values()):
            known = {slot: slots[one] for slot, one in zip(inner.inputs, step.inputs, strict=True)}
            _flatten(inner, known, steps, numbers)
            slots |= {slot: known[one] for slot, one in zip(step.outputs, inner.outputs, strict=True)}
            continue
        slots |= {slot: next(numbers) for slot in step.outputs}
        steps.append(_moved(step, [slots[slot] for slot in step.inputs], [slots[slot] for slot in step.outputs]))


def _moved(step: Step, reads: Sequence[int], gives: Sequence[int], operation: Any = None) -> Step:
    """The step with other slots."""
    places, results = iter(reads), iter(gives)
    arguments, keywords = mapped(
        lambda one: Slot(next(places)) if is_slot(one) else one, (step.arguments, step.keywords), is_slot
    )
    structure = mapped(lambda _: Slot(next(results)), step.structure, is_slot)
    return Step(operation or step.operation, arguments, keywords, tuple(reads), tuple(gives), structure)


def parts_for(program: Program, shapes: dict[int, Any], asked: Sequence[Ends]) -> tuple[list[Part], dict[int, Ends]]:
    """What each step of a `flattened` program has to do for parts of the outputs, and what is needed of each value.

    Shapes are by slot, those of all values. Raises ValueError if a layer needs all of an axis of which only a part is
    asked for.
    """
    needs: dict[int, Ends] = {}
    for slot, ends in zip(program.outputs, asked, strict=True):
        needs[slot] = _joined(needs.get(slot), ends)
    parts = []
    cut = any(ends != _whole(shapes[slot][1:]) for slot, ends in needs.items())
    for step in reversed(program.steps):
        if not any(slot in needs for slot in step.outputs):
            continue
        part = _part_of(step, shapes, needs)
        if cut and not part.gives:
            raise ValueError(f"{step.operation._label} cannot be computed in parts: it may read the whole image")
        for slot, ends in zip(step.inputs, part.takes, strict=True):
            full = shapes[slot][1:]
            # Nothing may be empty: where a step takes nothing, a first or last position is computed all the same.
            some = tuple((min(a, n - 1), max(b, min(a, n - 1) + 1)) for (a, b), n in zip(ends, full, strict=True))
            needs[slot] = _joined(needs.get(slot), some)
        parts.append(part)
    return parts[::-1], needs


def _joined(one: Ends | None, other: Ends) -> Ends:
    if one is None:
        return other
    return tuple((min(a, c), max(b, d)) for (a, b), (c, d) in zip(one, other, strict=True))


def _part_of(step: Step, shapes: dict[int, Any], needs: dict[int, Ends]) -> Part:
    operation, given = step.operation, [shapes[slot][1:] for slot in step.inputs]
    known = getattr(operation, "_own", False) and not any(step.keywords.values())
    if not known or len(step.outputs) > 1:
        for slot in step.outputs:
            _need_whole(operation, shapes[slot], needs.get(slot), range(1, len(shapes[slot])))
        return Part(step, [_whole(shape) for shape in given], ())
    (slot,) = step.outputs
    asked, shape = needs[slot], shapes[slot]
    if isinstance(operation, SLIDING):
        return _sliding(step, given[0], shape, asked)
    if isinstance(operation, Permute):
        return Part(step, [tuple(asked[operation.dims.index(axis)] for axis in range(1, len(shape)))], asked)
    if isinstance(operation, Concatenate):
        return Part(step, _side_by_side(operation.axis % len(shape), given, asked), asked)
    axes = operation._whole_axes(len(given[0]) + 1)
    if isinstance(operation, Merge) and not axes:
        return Part(step, [_repeated(one, asked) for one in given], asked)
    first, *others = given
    if len(first) + 1 != len(shape):
        axes = range(1, max(len(first) + 1, len(shape)))
    _need_whole(operation, shape, asked, axes)
    if len(first) > 1 and len(set(axes) - {0}) >= len(first):
        return Part(step, [_whole(one) for one in given], ())
    takes = tuple((0, n) if axis in axes else asked[axis - 1] for axis, n in enumerate(first, 1))
    return Part(step, [takes, *map(_whole, others)], asked)


def _whole(sizes: Sequence[int]) -> Ends:
    return tuple((0, n) for n in sizes)


def _need_whole(operation: Any, shape: Any, asked: Ends | None, axes: Any) -> None:
    """Raise ValueError if only a part of one of these axes is asked for."""
    for axis in sorted(axes):
        part = asked is not None and 0 < axis < len(shape) and asked[axis - 1] != (0, shape[axis])
        if part or (axis == 0 and shape[0] > 1):
            raise ValueError(
                f"{operation._label} cannot be computed in parts along axis {axis} of its output, {tuple(shape)}: each "
                "value there depends on the whole axis"
            )


def _sliding(step: Step, given: Sequence[int], shape: Any, asked: Ends) -> Part:
    """A layer whose windows slide along the spatial axes."""
    layer = step.operation
    first = layer.data_format == "channels_first"
    channels, offset = (1, 1) if first else (layer.rank + 1, 0)
    whole = {channels, *meeting_axes(getattr(layer, "activation", None), len(shape))}
    if getattr(layer, "interpolation", None) == "bicubic":
        # As in TensorFlow, its places are rounded in float32, each by where it lies in the whole.
        whole |= set(range(1, len(shape)))
    _need_whole(layer, shape, asked, whole)
    takes, gives, zeros = [*_whole(given)], [*asked], []
    for axis in range(layer.rank):
        place = axis + offset
        start, stop = asked[place]
        region = axis_region(layer, axis, given[place], start, stop)
        takes[place] = region.start, region.stop
        if not isinstance(layer, WindowLayer):
            # What they give beyond that is cut off by whoever takes it.
            gives[place] = start + min(0, region.before), stop - min(0, region.after)
            region = Region(*takes[place], max(0, region.before), max(0, region.after))
        zeros.append((region.before, region.after))
    return Part(step, [tuple(takes)], tuple(gives), tuple(zeros))


def _side_by_side(axis: int, given: Sequence[Any], asked: Ends) -> list[Ends]:
    takes, start = [], 0
    for sizes in given:
        (first, end), n = asked[axis - 1], sizes[axis - 1]
        first = min(max(first - start, 0), n)
        own = first, max(first, min(end - start, n))
        takes.append(tuple(own if i + 1 == axis else pair for i, pair in enumerate(asked)))
        start += n
    return takes


def _repeated(sizes: Sequence[int], asked: Ends) -> Ends:
    """Of what is merged with others: sizes of 1 are repeated, and so are axes that it lacks behind the batch's."""
    pairs = asked[len(asked) - len(sizes) :]
    return tuple((0, 1) if n == 1 else pair for n, pair in zip(sizes, pairs, strict=True))


class PartProgram:
    """A network of one output ready for the parts of one image, or of images of one shape.

    Shapes are those of its inputs, with the batch axis; ``fuse`` says whether layers are joined, as in a prediction of
    the whole.
    """

    def __init__(self, program: Program, shapes: Sequence[tuple[int, ...]], fuse: bool = True) -> None:
        self.program = flattened(program)
        self.shapes = self.program.shapes(shapes)
        (self._end,) = self.program.outputs
        self.out_shape: tuple[int, ...] = tuple(self.shapes[self._end])
        self.fuse, self._fused = fuse, Fused(self.program)
        self._made: dict[Any, Fused] = {}
        self._ways: dict[Any, str | None] = {}

    def parts(self, asked: Ends) -> tuple[list[Part], dict[int, Ends]]:
        """As `parts_for`; of inputs that nothing reads, first positions."""
        parts, needs = parts_for(self.program, self.shapes, [asked])
        return parts, {slot: ((0, 1),) * (len(self.shapes[slot]) - 1) for slot in self.program.inputs} | needs

    def reads(self, asked: Ends) -> list[Ends]:
        """What a part of the output needs of each input."""
        _, needs = self.parts(asked)
        return [needs[slot] for slot in self.program.inputs]

    def run(self, asked: Ends, values: Sequence[np.ndarray]) -> np.ndarray:
        """A part of the output, from what `reads` says of the inputs."""
        made = self._form(asked)
        outputs = made.run(values) if self.fuse else None
        (out,) = outputs or made.program.run(values)[0]
        return np.asarray(out)

    def _form(self, asked: Ends) -> Fused:
        """The program for a part; parts of one form share one, and what is prepared for their shapes."""
        parts, needs = self.parts(asked)
        given = self._given(parts, needs)
        rows = [([_within(e, given[s]) for s, e in zip(p.step.inputs, p.takes, strict=True)], p.zeros) for p in parts]
        last = _within(asked, given[self._end])
        key = repr((rows, last))
        made = self._made.get(key)
        if made is None:
            if len(self._made) >= MOST_FORMS:
                self._made.clear()
            program = self._program(parts, [cuts for cuts, _ in rows], last)
            made = self._made[key] = Fused(program, self._fused)
        return made

    def _given(self, parts: list[Part], needs: dict[int, Ends]) -> dict[int, Ends]:
        """What there is of each value."""
        given = {slot: needs[slot] for slot in self.program.inputs}
        for part in parts:
            given |= {slot: part.gives or _whole(self.shapes[slot][1:]) for slot in part.step.outputs}
        return given

    def _program(self, parts: list[Part], cuts: list[list[Ends | None]], last: Ends | None) -> Program:
        """Each step on its part, behind steps that cut it out."""
        steps: list[Step] = []
        numbers = count(len(self.shapes))

        def taken(slot: int, ends: Ends | None) -> int:
            if ends is None:
                return slot
            place = next(numbers)
            steps.append(Step(Cut(ends), (Slot(slot),), {}, (slot,), (place,), Slot(place)))
            return place

        for part, ends in zip(parts, cuts, strict=True):
            reads = [taken(*one) for one in zip(part.step.inputs, ends, strict=True)]
            layer = on_part(part, self._way(part.step))
            steps.append(_moved(part.step, reads, part.step.outputs, layer))
        return Program(steps, self.program.inputs, [taken(self._end, last)])

    def _way(self, step: Step) -> str | None:
        """How the whole would be computed, by a layer that knows several ways."""
        layer, shape = step.operation, self.shapes[step.inputs[0]]
        key = id(layer), tuple(shape)
        if key not in self._ways:
            try:
                self._ways[key] = way_of(layer._prepare(shape)) if hasattr(layer, "algorithm") else None
            except MemoryError:
                # Nothing computes the whole.
                self._ways[key] = None
        return self._ways[key]

    def memory(self, asked: Ends, itemsize: int) -> int:
        """Bytes that the values of a part take at most at a time, for one example."""
        parts, needs = self.parts(asked)
        sizes = {slot: _size(ends) for slot, ends in self._given(parts, needs).items()}
        last = {slot: i for i, part in enumerate(parts) for slot in part.step.inputs}
        live = {slot: sizes[slot] for slot in self.program.inputs}
        most = sum(live.values())
        for i, part in enumerate(parts):
            live |= {slot: sizes[slot] for slot in part.step.outputs}
            given = zip(part.step.inputs, part.takes, strict=True)
            copies = sum(_size(ends) for slot, ends in given if _size(ends) != sizes[slot])
            most = max(most, sum(live.values()) + copies)
            live = {slot: size for slot, size in live.items() if last.get(slot, -1) > i or slot == self._end}
        return most * itemsize

    def prepared(self, asked: Ends) -> Any:
        """What joins the layers for a part of one example; None if they run one by one."""
        shapes = [(1, *(b - a for a, b in ends)) for ends in self.reads(asked)]
        return self._form(asked).runner(shapes) if self.fuse else None

    def spatial_axes(self) -> tuple[int, ...]:
        """Axes of the output that can be cut; ValueError, naming the layer, where positions are lost on the way."""
        for step in self.program.steps:
            before, after = len(self.shapes[step.inputs[0]]), len(self.shapes[step.outputs[0]])
            if after < 3 <= before:
                raise ValueError(f"{step.operation._label} cannot be computed in parts: it keeps no positions")
        formats = [step.operation.data_format for step in self.program.steps if isinstance(step.operation, SLIDING)]
        count = len(self.out_shape)
        return tuple(range(2, count) if formats[-1:] == ["channels_first"] else range(1, count - 1))

    def period(self, axis: int) -> int:
        """Outputs along a spatial axis after which parts have the same form again."""
        from fractions import Fraction

        steps = {self._end: Fraction(1)}
        for step in reversed(self.program.steps):
            own = next((steps[slot] for slot in step.outputs if slot in steps), Fraction(1))
            factor = step_of(step.operation, axis) if isinstance(step.operation, SLIDING) else 1
            for slot in step.inputs:
                steps.setdefault(slot, own * factor)
        return lcm(*(one.denominator for one in steps.values()))


def on_part(part: Part, way: str | None = None) -> Any:
    """The operation for the part: a layer like it, of the same weights, with zeros in place of its own padding.

    Sums are added up as by the whole layer, whose `calls.conv.way_of` is ``way``.
    """
    layer = part.step.operation
    if part.zeros is None or isinstance(layer, UpSampling):
        return layer
    if isinstance(layer, Cropping | ZeroPadding) and not np.any(part.zeros):
        return Cut()
    if isinstance(layer, WindowLayer):
        # Packed once, for all that are made of it.
        layer._packed()
    like = object.__new__(type(layer))
    vars(like).update(vars(layer), padding=part.zeros, _calls={}, _whole=layer)
    if hasattr(layer, "output_padding"):
        vars(like)["output_padding"] = None
    elif not np.any(part.zeros):
        vars(like)["padding"] = "valid"
    if way:
        vars(like)["algorithm"] = way
    return like


def _within(ends: Ends, given: Ends) -> Ends | None:
    """Where a part lies in what there is; None if it is all of that."""
    if ends == given:
        return None
    return tuple((a - start, b - start) for (a, b), (start, _) in zip(ends, given, strict=True))


def _size(ends: Ends) -> int:
    return prod(b - a for a, b in ends)
