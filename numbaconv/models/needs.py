"""What a part of a network's output needs: of its inputs as numbers, and of each layer in words."""

from collections.abc import Iterator, Sequence
from typing import Any

from ..shapes.kinds import AXIS_NAMES
from ..shapes.regions import check_region, region_sentences
from .regions import SLIDING, Ends, Part, PartProgram


class Needs:
    """What the outputs of a region need: for each spatial axis from the first to the one behind the last.

    The shape is as for the model's ``explain``. Raises ValueError if a length is unknown, the region lies not within
    the output, or a layer cannot be computed in parts.
    """

    def __init__(self, model: Any, region: Any, input_shape: Any) -> None:
        known, program = model._known_shapes(input_shape), model._program()
        if len(program.outputs) != 1:
            raise ValueError("a region is one of a single output: take Model(model.input, output) of this one")
        given = [(1, *known[slot][1:]) for slot in program.inputs]
        if any(None in shape for shape in given):
            told = " and ".join(str(tuple(known[slot])) for slot in program.inputs)
            raise ValueError(f"input_shape must have known lengths for a region, got {told}")
        self._network = PartProgram(program, given)
        axes, ends = self._network.spatial_axes(), [(0, n) for n in self._network.out_shape[1:]]
        self._names = AXIS_NAMES.get(len(axes), ())
        pairs = check_region(region, [self._network.out_shape[axis] for axis in axes])
        for axis, pair in zip(axes, pairs, strict=True):
            ends[axis - 1] = pair
        self._parts, self._needs = self._network.parts(tuple(ends))
        steps = self._network.program.steps
        formats = [step.operation.data_format for step in steps if isinstance(step.operation, SLIDING)]
        # Those of what comes in; a network may swap its axes.
        self._first = formats[:1] == ["channels_first"]
        self._output = tuple(pairs)

    def inputs(self) -> list[Ends | None]:
        """For each input the positions that are read along each spatial axis; None for one without these axes."""
        return [self._spatial(self._needs[slot]) for slot in self._network.program.inputs]

    def _spatial(self, ends: Ends) -> Ends | None:
        if len(ends) != len(self._names) + 1:
            return None
        return ends[1:] if self._first else ends[:-1]

    def sentences(self) -> Iterator[str]:
        """One paragraph for the region, one for each layer from the last one back, and one for each input."""
        yield f"What {self._ranges(self._output)} of the output needs, from the last layer back:"
        for part in reversed(self._parts):
            yield f"{part.step.operation.name}: {self._told(part)}"
        names = [f"input {i}" for i, _ in enumerate(self.inputs())] if len(self.inputs()) > 1 else ["the input"]
        for name, ends in zip(names, self.inputs(), strict=True):
            yield f"Of {name}: {'all' if ends is None else self._ranges(ends)}."

    def _told(self, part: Part) -> str:
        step, shapes = part.step, self._network.shapes
        asked = [self._needs[slot] for slot in step.outputs if slot in self._needs]
        if isinstance(step.operation, SLIDING):
            spatial = asked[0][1:] if step.operation.data_format == "channels_first" else asked[0][:-1]
            return " ".join(region_sentences(step.operation, shapes[step.inputs[0]], spatial))
        given = [self._spatial(ends) for ends in part.takes]
        if None in given or not given or len(asked) != 1:
            return "reads all of its input."
        if all(ends == self._spatial(asked[0]) for ends in given):
            return f"{self._ranges(given[0])}, position by position."  # type: ignore[arg-type]
        return " and ".join(f"reads {self._ranges(ends)}" for ends in given) + "."  # type: ignore[arg-type]

    def _ranges(self, ends: Sequence[tuple[int, int]]) -> str:
        """As in: height 3 to 9, width 0."""
        pairs = zip(self._names, ends, strict=True)
        return ", ".join(f"{name} {a}" if b - a == 1 else f"{name} {a} to {b - 1}" for name, (a, b) in pairs)
