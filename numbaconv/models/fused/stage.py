"""What the program of `predict` is made of: stages, which rules join."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from math import inf
from typing import Any

import numpy as np

from ...layers.activation import activated, unshared
from ...objects.tuples import NamedTuple


class Ending(NamedTuple):
    """What happens to each value at the end of a stage: negative ones times a slope, an activation, then two limits."""

    minimum: float = -inf
    maximum: float = inf
    slope: float = 1.0
    # One of `kernels.rules`; 0 for none.
    function: int = 0


NO_ENDING = Ending()


class Part(NamedTuple):
    """One thing that the plain network does: a function of values, by slot, that gives others."""

    function: Callable[..., Any]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    # Layer and what of it, to be shown.
    name: str


class Stage(NamedTuple):
    """One or more parts of a network that are computed in one pass."""

    # A key of `preparing.PREPARE`.
    kind: str
    # What the plain network does in its place, in order.
    parts: tuple[Part, ...]
    # Slots. A second input of a stage with a kernel is added to its sums.
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    # Those that its settings and weights are from: one with a kernel first, then batch normalizations, whose factors
    # the kernel takes over.
    layers: tuple[Any, ...] = ()
    ending: Ending = NO_ENDING
    # Zeros around the input that are not there yet, for each spatial axis.
    zeros: tuple[tuple[int, int], ...] = ()
    # Those of its windows, where they are not the layer's.
    strides: tuple[int, ...] = ()
    # Whether code of the user's sees its input, and may keep it.
    foreign: bool = False
    # A depthwise convolution that is computed in the same pass, before it.
    before: "Stage | None" = None
    # A convolution of one tap before that, in the same pass, too: a band of rows at a time.
    widening: "Stage | None" = None
    # Whether its first input is followed by its weights times gates, and by the gates: see `weighing`.
    gated: bool = False
    # Whether it writes means of rows, too, or reads them: see `averaging`.
    means: bool = False
    # Whether its input was averaged, instead of its output: see `pooling_first`.
    late: bool = False

    @property
    def output(self) -> int:
        """The slot of the only output."""
        (slot,) = self.outputs
        return slot

    @property
    def joined(self) -> tuple["Stage", ...]:
        """The stages that it computes, in order: others before it, and itself."""
        return tuple(one for one in (self.widening, self.before, self) if one is not None)

    def plain(self, *values: np.ndarray) -> Any:
        """What the plain network computes in its place: an array, or several in a list."""
        found = dict(zip(self.inputs, values, strict=True))
        for part in self.parts:
            results = part.function(*(found[slot] for slot in part.inputs))
            found.update(zip(part.outputs, results if len(part.outputs) > 1 else (results,), strict=True))
        return found[self.outputs[0]] if len(self.outputs) == 1 else [found[slot] for slot in self.outputs]


def readers_of(stages: Iterable[Stage]) -> defaultdict[int, list[Stage]]:
    """By slot the stages that read it."""
    readers = defaultdict(list)
    for stage in stages:
        for slot in stage.inputs:
            readers[slot].append(stage)
    return readers


def finished(function: Any, dtype: str, x: np.ndarray) -> np.ndarray:
    """An activation of an array."""
    return activated(function, unshared(function, x), dtype)


def merged(layer: Any, *xs: np.ndarray) -> Any:
    """What a layer makes of several arrays."""
    return layer.call(list(xs))
