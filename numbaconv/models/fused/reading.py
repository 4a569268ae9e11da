"""From the steps of a network to stages: one for each thing that a layer does."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from math import inf
from typing import Any

import numpy as np

from ... import activations, layers
from ...activations.settings import WithSettings
from ...common.structures import leaves, mapped
from ...graph.operation import is_shape
from ...kernels import rules
from ...layers.activation import Activating, is_users
from ...layers.conv import Conv
from ...layers.drawing import Drawing
from ...layers.moving import UpSampling, ZeroPadding
from ...layers.pooling import GlobalPooling, Pooling
from ...layers.separable import DepthwiseConv, SeparableConv
from ...layers.transposed import ConvTranspose
from ...shapes import Shape
from ..copies import is_slot
from ..program import Cut, Program, Slot, Step, within
from .stage import Ending, Part, Stage, finished, merged

# Layers with a kernel, and the kind of their stage.
_KERNELS = (
    (Conv, "conv"),
    (DepthwiseConv, "depthwise"),
    (SeparableConv, "separable"),
    (ConvTranspose, "transposed"),
    (layers.Dense, "dense"),
)
# Activations that are the end of a sum.
_NUMBERS = (
    (activations.sigmoid, rules.SIGMOID),
    (activations.silu, rules.SILU),
    (activations.hard_sigmoid, rules.HARD_SIGMOID),
    (activations.hard_silu, rules.HARD_SILU),
)


class Read:
    """What was read of a network, for inputs of certain shapes: its stages in order, and shapes by slot.

    Raises ValueError if a layer cannot take what it would get.
    """

    def __init__(self, program: Program, shapes: Sequence[Shape]) -> None:
        self.stages: list[Stage] = []
        # Networks within it, their programs, and whether these were read: ``fuse`` of each.
        self.nested: list[tuple[Any, Program, bool]] = []
        self.shapes: dict[int, Any] = {}
        slots = self._slots(program, {})
        self.inputs = tuple(slots[slot] for slot in program.inputs)
        self.shapes.update(zip(self.inputs, shapes, strict=True))
        self._steps(program, slots)
        self.outputs = tuple(slots[slot] for slot in program.outputs)

    def slot(self, shape: Any = ()) -> int:
        """A new slot, for a value of this shape."""
        self.shapes[len(self.shapes)] = shape
        return len(self.shapes) - 1

    def _slots(self, program: Program, known: dict[int, int]) -> dict[int, int]:
        """This program's slots here, which stand for those of a program in its place."""
        given = [*program.inputs, *(slot for step in program.steps for slot in step.outputs)]
        return {slot: known[slot] if slot in known else self.slot() for slot in dict.fromkeys(given)}

    def _steps(self, program: Program, slots: dict[int, int]) -> None:
        for step in program.steps:
            fed = mapped(lambda one: self.shapes[slots[one.number]] if is_slot(one) else one, step.arguments, is_slot)
            shape = step.operation._called_shape(fed, step.keywords)
            self.shapes.update(zip((slots[slot] for slot in step.outputs), leaves(shape, is_shape), strict=True))
            # What a layer of the library does in training is of no concern here.
            still = step.keywords in ({}, {"training": False}, {"training": None})
            alone = step.arguments == (Slot(step.inputs[0]),) and still and is_slot(step.structure)
            inner = _joinable(step, fed[0]) if alone else None
            if inner is not None:
                self.nested.append((step.operation, inner, step.operation.fuse))
            if inner is not None and step.operation.fuse:
                ends = {inner.inputs[0]: slots[step.inputs[0]], inner.outputs[0]: slots[step.outputs[0]]}
                self._steps(inner, self._slots(inner, ends))
            else:
                self.stages += self._stages(step, slots, alone)

    def _stages(self, step: Step, slots: dict[int, int], alone: bool) -> Iterator[Stage]:
        layer = step.operation
        inputs, outputs = (tuple(slots[slot] for slot in listed) for listed in (step.inputs, step.outputs))
        if isinstance(layer, Cut):
            part = Part(layer, inputs, outputs, layer.name)
            yield Stage("cut" if layer.ends else "view", (part,), inputs, outputs, (layer,) if layer.ends else ())
            return
        own = getattr(layer, "_own", False)
        if own and alone:
            parts = _parts_of(layer)
            for i, (kind, function, used, ending) in enumerate(parts):
                end = outputs if i == len(parts) - 1 else (self.slot(self.shapes[outputs[0]]),)
                part = Part(function, inputs, end, layer.name if i == 0 else f"{layer.name}'s activation")
                yield Stage(kind, (part,), inputs, end, used, ending, foreign=kind == "function" and is_users(used[0]))
                inputs = end
            if parts:
                return
        several = step.arguments == ([Slot(slot) for slot in step.inputs],) and not step.keywords
        if own and several and type(layer) in (layers.Add, layers.Concatenate, layers.Multiply):
            part = Part(partial(merged, layer), inputs, outputs, layer.name)
            yield Stage(type(layer).__name__.lower(), (part,), inputs, outputs, (layer,))
            return
        foreign = not own or not all(leaf._own and not isinstance(leaf, layers.Lambda) for leaf in layer._leaves())
        simple = alone and not step.keywords
        part = Part(layer if simple else partial(_called, step), inputs, outputs, layer.name)
        yield Stage("layer", (part,), inputs, outputs, (layer,), foreign=foreign)


def _parts_of(layer: Any) -> list[tuple[str, Callable[..., Any], tuple[Any, ...], Ending]]:
    """Kind, function, layers and ending of each thing that a layer of the library does; none if it stays as it is."""
    plain = Ending()
    kind = next((kind for cls, kind in _KERNELS if isinstance(layer, cls)), None)
    if kind is not None:
        before = partial(layer._before_activation, activations.linear)
        parts: list[Any] = [(kind, before, (layer,), plain)]
        return parts if layer.activation is activations.linear else [*parts, _activation(layer.activation, layer.dtype)]
    if isinstance(layer, Drawing) or type(layer) is layers.Identity:
        return [("view", layer.call, (), plain)]
    if isinstance(layer, Activating) and type(layer) is not layers.Softmax:
        return [_activation(layer._function, layer.dtype)]
    if (type(layer) is layers.Flatten and layer.data_format == "channels_last") or type(layer) is layers.Reshape:
        return [("view", layer.call, (layer,), plain)]
    kind = "scale" if type(layer) in (layers.BatchNormalization, layers.Normalization, layers.Rescaling) else None
    if isinstance(layer, ZeroPadding):
        kind = "pad"
    if isinstance(layer, Pooling | GlobalPooling):
        kind = "pool"
    if isinstance(layer, UpSampling):
        kind = "upsample"
    return [] if kind is None else [(kind, layer.call, (layer,), plain)]


def _activation(function: Any, dtype: str) -> tuple[str, Callable[..., Any], tuple[Any, ...], Ending]:
    ending = ending_of(function)
    kind = "function" if ending is None else "view" if ending == Ending() else "clip"
    used = (function,) if kind == "function" else ()
    return kind, partial(finished, function, dtype), used, ending or Ending()


def ending_of(function: Any) -> Ending | None:
    """An activation as an ending; None if it is none."""
    settings: dict[str, Any] = {}
    if isinstance(function, WithSettings):
        function, settings = function.function, dict(function.settings)
    if function is activations.linear:
        return Ending()
    number = next((number for one, number in _NUMBERS if one is function), 0)
    if number:
        return Ending(function=number)
    if function is activations.relu6:
        return Ending(0.0, 6.0)
    if function is activations.relu:
        if settings.get("threshold"):
            return None
        slope, most = settings.get("negative_slope") or 0.0, settings.get("max_value")
    elif function is activations.leaky_relu:
        slope, most = settings.get("negative_slope", 0.2), None
    else:
        return None
    most = inf if most is None else float(most)
    return Ending(-inf, most, float(slope)) if slope else Ending(0.0, most)


def _called(step: Step, *values: np.ndarray) -> Any:
    """What a step gives for its values: an array, or several in a list."""
    given = dict(zip(step.inputs, values, strict=True))

    def filled(structure: Any) -> Any:
        return mapped(lambda one: given[one.number] if is_slot(one) else one, structure, is_slot)

    out, _, _ = step.operation._visited(filled(step.arguments), {"training": None, **filled(step.keywords)}, False)
    found = list(leaves(out))
    return found[0] if len(found) == 1 else found


def _joinable(step: Step, shape: Shape) -> Program | None:
    """The program of a network within, if its steps can stand in its place."""
    program = within(step.operation)
    if program is None:
        return None
    wanted = step.operation.inputs[0].shape
    # Others are brought to that shape first.
    fits = len(wanted) == len(shape) and all(n in (None, m) for n, m in zip(wanted[1:], shape[1:], strict=True))
    single = len(program.inputs) == len(program.outputs) == 1 and program.inputs != program.outputs
    return program if fits and single else None
