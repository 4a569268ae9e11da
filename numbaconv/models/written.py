"""Steps of training that are written down: forwards and back, the calls of kernels that a network's layers lead to.

Of a small network Python takes a third of a step: each layer looks at what it gets and finds memory for what it gives,
and after each kernel Python's own code has left the cache. But for batches of one shape the calls are always the same.
So after a few steps of a shape they are written down, with memory of their own for all arrays, and from then on made
one after the other. Weights and inputs are copied to where kernels read them.

What is written down is tried beside the plain network first, on other values: where a single bit differs, the plain
network goes on. It also takes over where values ask for other kernels, as an infinity among the weights does.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from math import prod
from operator import attrgetter, is_
from typing import Any

import numpy as np

from .. import activations
from ..common.again import Calls, UnlikeError, noted
from ..graph.operation import Gradients
from ..layers import Activation, Add, BatchNormalization, Dense, Flatten, InputLayer, ReLU
from ..layers.conv import Conv
from ..layers.pooling import GlobalPooling, Pooling
from ..layers.settings import Changes
from ..machine import threads
from ..machine.aligned import aligned_empty
from ..machine.compiler import door, recorded
from .program import Program
from .relocating import relocated

# Steps of a shape after which it is worth writing the next one down, which takes as long as three.
AFTER = 4
# Bytes of what is written down of a network, since of a larger one kernels take nearly all of a step; and shapes that
# it remembers.
MOST_BYTES, MOST_SHAPES = 256 * 2**20, 4
# A sum of so few weights below this has no infinity, which kernels would have to know.
LARGEST = 1e30
# Layers that do nothing to arrays but by kernels, and by what is noted; if there is an activation, by these alone.
_KINDS = Conv, Dense, BatchNormalization, ReLU, Activation, Add, Pooling, GlobalPooling, Flatten, InputLayer
_ACTIVATIONS = None, activations.relu, activations.linear
_calls_of = attrgetter("_calls")


class Written:
    """A network's step for inputs of some shapes, as calls."""

    def __init__(self, program: Program, layers: list[Any], values: Sequence[np.ndarray]) -> None:
        self._layers = layers
        size = sum(w.size for layer in layers for w in layer._weights.values())
        self._weights = np.empty(size, values[0].dtype)
        parts = np.split(self._weights, np.cumsum([w.size for one in layers for w in one._weights.values()]))
        flat = iter(parts)
        mine = [{name: next(flat).reshape(w.shape) for name, w in layer._weights.items()} for layer in layers]
        self._inputs = [_copy(x) for x in values]
        # Other values than those that it is tried on.
        self._fill(values)
        self._weights *= 0.75
        for x in self._inputs:
            x *= 0.5
        gradients, tape = Gradients(), list[Any]()
        with _weights_kept(layers):
            for layer, weights in zip(layers, mine, strict=True):
                vars(layer)["_weights"] = weights
            with recorded() as calls, noted(calls) as forth:
                self._outputs, _ = program.run(self._inputs, True, tape=tape)
            self._grads = [np.zeros_like(out) for out in self._outputs]
            with recorded() as calls, noted(calls) as back:
                program.take_back(tape, self._grads, False, gradients)
        found = [(layer, gradients.of(layer)) for layer in layers]
        self._found = [one for _, named in found for one in named.values()]
        kept = [self._weights, *self._inputs, *self._outputs, *self._grads, *self._found, forth.ends]
        calls, self.bytes = relocated([*forth.calls, *back.calls], kept)
        calls, split = [(door(function, arguments), arguments) for function, arguments in calls], len(forth.calls)
        self._forth, self._back, self._ends = calls[:split], calls[split:], forth.ends
        ends = np.cumsum([one.size for one in self._found]).tolist()
        places = iter(zip([0, *ends], ends, strict=False))
        self._places = [
            (layer, [(name, *next(places), one.shape) for name, one in named.items()])
            for layer, named in found
            if named
        ]

    def serve(self, layers: list[Any]) -> None:
        """Take steps of these layers, in place of the copies that all was tried on."""
        served = {id(mine): layer for mine, layer in zip(self._layers, layers, strict=True)}
        self._ends = [(getattr(served[id(one.__self__)], one.__name__), args) for one, args in self._ends]
        self._places = [(served[id(mine)], places) for mine, places in self._places]
        self._layers = layers

    def _fill(self, values: Sequence[np.ndarray]) -> None:
        for mine, x in zip(self._inputs, values, strict=True):
            mine[...] = x
        weights = [w for layer in self._layers for w in layer._weights.values()]
        np.concatenate(weights, axis=None, out=self._weights)

    def forward(self, values: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The outputs for these inputs; statistics follow at the end.

        Raises
        ------
        UnlikeError
            Where the plain network has to do it. Nothing is changed then.
        """
        self._fill(values)
        # Written so that a NaN is refused.
        if not (self._weights.max(initial=0) < LARGEST and self._weights.min(initial=0) > -LARGEST):
            raise UnlikeError
        _make(self._forth)
        _make(self._ends)
        return [out.copy() for out in self._outputs]

    def take_back(self, grads_out: Sequence[Any]) -> list[tuple[Any, dict[str, np.ndarray]]]:
        """The gradients of each layer's weights, given those of the outputs of the last `forward`.

        Raises
        ------
        UnlikeError
            As from `forward`.
        """
        for mine, grad in zip(self._grads, grads_out, strict=True):
            if type(grad) is not np.ndarray or grad.shape != mine.shape or grad.dtype != mine.dtype:
                raise UnlikeError
            mine[...] = grad
        _make(self._back)
        flat: np.ndarray = np.concatenate(self._found, axis=None)
        return [
            (layer, {name: flat[start:end].reshape(shape) for name, start, end, shape in places})
            for layer, places in self._places
        ]

    def agrees(self, program: Program, values: Sequence[np.ndarray]) -> bool:
        """Whether outputs, gradients and statistics for these inputs are those of the plain network, bit for bit."""
        rng = np.random.default_rng(0)
        grads: list[Any] = [rng.standard_normal(one.shape).astype(one.dtype) for one in self._grads]
        tape: list[Any] = []
        plain = Gradients()
        with _weights_kept(self._layers):
            outputs, _ = program.run(values, True, tape=tape)
            program.take_back(tape, grads, False, plain)
            statistics = [dict(layer._weights) for layer in self._layers]
        with _weights_kept(self._layers):
            found = self.forward(values)
            pairs = [(weights, layer._weights) for layer, weights in zip(self._layers, statistics, strict=True)]
            pairs += [(plain.of(layer), named) for layer, named in self.take_back(grads)]
            same = all(list(some) == list(others) for some, others in pairs)
            return same and _alike(outputs, found) and all(_alike(a.values(), b.values()) for a, b in pairs)


class Writings:
    """The written steps of one network.

    Of each shape the number of steps is known, then what is written down; None stands for one that cannot be.
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        found = {id(leaf): leaf for step in program.steps for leaf in step.operation._leaves()}
        self._layers = list(found.values())
        self._changes, self._calls = Changes.count, [*map(_calls_of, self._layers)]
        self._known: OrderedDict[Any, Any] = OrderedDict()
        whole = all(step.operation in self._layers for step in program.steps)
        self._able = whole and not program._repeated and all(map(_is_plain, self._layers))

    def fresh(self) -> bool:
        """Whether all settings are those that this was made for."""
        if self._changes != Changes.count:
            if not all(map(is_, map(_calls_of, self._layers), self._calls)):
                return False
            self._changes = Changes.count
        return True

    def of(self, values: Sequence[Any]) -> Written | None:
        """The step for these inputs; None where the plain network is to take it."""
        if not self._able:
            return None
        key = threads.count(), threads.alone, *((x.shape, x.dtype) for x in values)
        if key not in self._known:
            while len(self._known) >= MOST_SHAPES:
                self._known.popitem(last=False)
            self._known[key] = 0
        known: Written | int | None = self._known[key]
        if isinstance(known, int):
            known = known + 1 if known < AFTER else self._written(values)
            self._known[key] = known
            self._drop()
        return known if isinstance(known, Written) else None

    def _drop(self) -> None:
        """Let those go that were made first, where all take too much memory."""
        made = [(key, one.bytes) for key, one in self._known.items() if isinstance(one, Written)]
        while sum(size for _, size in made) > MOST_BYTES:
            del self._known[made.pop(0)[0]]

    def _written(self, values: Sequence[Any]) -> Written | None:
        dtype = self._layers[-1]._dtype
        if any(type(x) is not np.ndarray or x.dtype != dtype or not x.size for x in values):
            return None
        shapes = self._program.shapes([x.shape for x in values]).values()
        # Each has a gradient.
        if 2 * sum(map(prod, shapes)) * dtype.itemsize > MOST_BYTES:
            return None
        layers = [layer for layer in self._layers if layer._weights]
        # Other threads may call the layers meanwhile.
        program, copies = _copied(self._program)
        try:
            written = Written(program, [copies[id(layer)] for layer in layers], values)
            if written.bytes > MOST_BYTES or not written.agrees(program, values):
                return None
        except (UnlikeError, MemoryError):
            return None
        written.serve(layers)
        return written


def writings(program: Program) -> Writings:
    """The written steps of a network, made anew where settings have changed."""
    known = program.written
    if known is None or not known.fresh():
        known = program.written = Writings(program)
    return known


def _copied(program: Program) -> tuple[Program, dict[int, Any]]:
    """The program with a copy of each layer, which has the same weights, and these copies by the layers' ids."""
    copies = {id(step.operation): copy(step.operation) for step in program.steps}
    steps = [step._replace(operation=copies[id(step.operation)]) for step in program.steps]
    return Program(steps, program.inputs, program.outputs), copies


@contextmanager
def _weights_kept(layers: list[Any]) -> Iterator[None]:
    """Context after which layers have the weights that they had before it."""
    before = [(layer, layer._weights) for layer in layers]
    try:
        yield
    finally:
        for layer, weights in before:
            layer._weights = weights


def _is_plain(layer: Any) -> bool:
    """Whether a layer does no more than its kernels and what is noted."""
    if not (isinstance(layer, _KINDS) and layer._own) or getattr(layer, "_replaced", False):
        return False
    still = not layer._makes_masks and layer.activity_regularizer is None
    return still and getattr(layer, "activation", None) in _ACTIVATIONS


def _make(calls: Calls) -> None:
    with np.errstate(all="ignore"):
        for function, arguments in calls:
            function(*arguments)


def _copy(x: np.ndarray) -> np.ndarray:
    made = aligned_empty(x.shape, x.dtype)
    made[...] = x
    return made


def _alike(some: Iterable[np.ndarray], others: Iterable[np.ndarray]) -> bool:
    return all(a.tobytes() == b.tobytes() for a, b in zip(some, others, strict=True))
