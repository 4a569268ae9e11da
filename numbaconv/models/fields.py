"""The receptive field of a network: what of its inputs one output position reads, whatever the way."""

from fractions import Fraction
from math import prod
from typing import Any

from ..layers import Concatenate, Dense, Dot
from ..layers.any_rank import AnyRank
from ..layers.merging import Merge
from ..shapes import ReceptiveField
from ..shapes.explanations import check_count, positions_read, step_of
from ..shapes.kinds import layer_kind, spatial


def field_of(model: Any, input_shape: Any) -> Any:
    """For each input its receptive field along each axis, or None if it is not read; without a list for one input."""
    program, known = model._program(), model._known_shapes(input_shape)
    if len(program.outputs) != 1:
        raise ValueError("the receptive field of one output is found: take Model(model.input, output) of this one")
    rank = len(known[program.inputs[0]]) - 2
    fields = [
        tuple(_axis_field(program, known, axis, slot) for axis in range(rank)) if rank > 0 else None
        for slot in program.inputs
    ]
    found = [None if field is None or None in field else field for field in fields]
    return found[0] if len(found) == 1 else found


def _axis_field(program: Any, known: dict[int, Any], axis: int, slot: int) -> ReceptiveField | None:
    steps = _strides(program, axis)
    period = prod(stride.denominator for stride in steps)
    check_count(period)
    reads = [_read(program, known, axis, {position}).get(slot) for position in range(period)]
    if all(positions is None for positions in reads):
        return None
    extents = [max(positions) - min(positions) + 1 for positions in reads if positions]
    return ReceptiveField(max(extents, default=0), _stride(program, axis, slot), min(reads[0] or (), default=None))


def _read(program: Any, known: dict[int, Any], axis: int, positions: set[int]) -> dict[int, set[int]]:
    """The positions of each value that are read for some of the output."""
    found = {program.outputs[0]: positions}
    for step in reversed(program.steps):
        given: set[int] = set().union(*(found.get(slot, set()) for slot in step.outputs))
        if any(slot in found for slot in step.outputs):
            for slot, read in zip(step.inputs, _read_by(step, known, axis, given), strict=True):
                found[slot] = found.get(slot, set()) | read
    return found


def _read_by(step: Any, known: dict[int, Any], axis: int, positions: set[int]) -> list[set[int]]:
    operation, shape = step.operation, known[step.inputs[0]]
    if hasattr(operation, "_program"):
        inner = operation._program()
        within = inner.shapes([known[slot] for slot in step.inputs])
        found = _read(inner, within, axis, positions)
        return [found.get(slot, set()) for slot in inner.inputs]
    if _keeps_positions(operation):
        # What is repeated along the axis has one position.
        out = known[step.outputs[0]]
        shapes = [known[slot] for slot in step.inputs]
        return [positions if len(one) == len(out) and one[1 + axis] == out[1 + axis] else {0} for one in shapes]
    length = spatial(shape, operation.data_format)[axis]
    return [positions_read(operation, axis, length, positions)]


def _strides(program: Any, axis: int) -> list[Fraction]:
    """The strides of all steps, those of networks within among them."""
    found: list[Fraction] = []
    for step in program.steps:
        if hasattr(step.operation, "_program"):
            found += _strides(step.operation._program(), axis)
        elif not _keeps_positions(step.operation):
            found.append(step_of(step.operation, axis))
    return found


def _stride(program: Any, axis: int, slot: int) -> Fraction:
    """The stride from one output position to the next at an input; where ways differ, that of the first one."""
    strides = {program.outputs[0]: Fraction(1)}
    for step in reversed(program.steps):
        own = next((strides[one] for one in step.outputs if one in strides), None)
        if own is None:
            continue
        for number, one in enumerate(step.inputs):
            if hasattr(step.operation, "_program"):
                inner = step.operation._program()
                factor = _stride(inner, axis, inner.inputs[number])
            else:
                factor = Fraction(1) if _keeps_positions(step.operation) else step_of(step.operation, axis)
            strides.setdefault(one, own * factor)
    return strides.get(slot, Fraction(1))


def _keeps_positions(operation: Any) -> bool:
    """Whether an operation works at each position by itself; TypeError if nothing is known of that."""
    joins = isinstance(operation, Dot) or (isinstance(operation, Concatenate) and operation.axis not in (-1, 3))
    if isinstance(operation, Merge | Dense) and not joins:
        return True
    if isinstance(operation, AnyRank) and operation.rank is None and not operation._mixes_positions:
        shape: Any = operation.input_shape
        if operation.compute_output_shape(shape) == shape:
            return True
    layer_kind(operation)
    return False
