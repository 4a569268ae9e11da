"""A network as a list of steps: which operation reads which values and gives which, in which order.

A value is an array that a step gives and others read. Its number is its slot.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise, repeat
from operator import is_
from typing import Any

import numpy as np

from ..calls.layouts import Pair, added, paired
from ..common.structures import leaves, mapped
from ..graph.operation import Gradients, is_shape
from ..layers import Lambda
from ..objects.tuples import NamedTuple


class Slot(NamedTuple):
    """The place of a value among the arguments of a step."""

    number: int


class Step(NamedTuple):
    """One call of an operation."""

    operation: Any
    # Positional and keyword arguments, with slots in place of values.
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    # Slots in the form in which the operation returns its values.
    structure: Any

    @property
    def is_plain(self) -> bool:
        """Whether the only argument is a value, and so is the result."""
        single = len(self.inputs) == 1 and not self.keywords and isinstance(self.structure, Slot)
        return single and self.arguments == (Slot(self.inputs[0]),)


class Partner(NamedTuple):
    """A sum of two that follows on a step: the slot of what is added, its operation, and what alone reads it."""

    other: int
    adding: Any
    follower: Any


class Program:
    """Steps from inputs to outputs, which are slots; each after those whose values it reads."""

    def __init__(self, steps: Iterable[Step], inputs: Sequence[int], outputs: Sequence[int]) -> None:
        self.steps, self.inputs, self.outputs = list(steps), tuple(inputs), tuple(outputs)
        # What `predict` runs in its place, which `fused.running` makes.
        self.fused: Any = None
        # Steps of training as calls, which `written` makes.
        self.written: Any = None
        # Where it is kept on disk, if it is out of a file.
        self.kept: Any = None
        # What `shapes` was asked last, the calls of the layers that answer the same again, and what it found.
        self._shapes: tuple[list[Any], list[Any], dict[int, Any]] = ([], [], {})
        self._done = _last_read(self.steps, self.outputs)
        # One value in and one out, as nearly all are.
        self._plain = [step.is_plain for step in self.steps]
        self._followers = self._only_readers()
        self._partners = self._summed_next()
        # What alone follows on a sum, as relu may: its two gradients go to both at once.
        pairs = zip(self.steps, self._followers, strict=True)
        alone = {id(reader): step for step, reader in pairs if reader is not None and step.operation._adds}
        self._summed = {
            step.outputs[0]
            for step, plain in zip(self.steps, self._plain, strict=True)
            if plain and id(step.operation) in alone and step.inputs == alone[id(step.operation)].outputs
        }
        counts = Counter(id(step.operation) for step in self.steps)
        self._repeated = {one for one, count in counts.items() if count > 1}
        # The loop of nearly all calls: no masks, no layer twice, no tape.
        self._calls = [
            (step.operation, step.inputs[0], step.outputs[0], done)
            for step, plain, done in zip(self.steps, self._plain, self._done, strict=True)
            if plain
        ]
        self._simple = all(self._plain) and not self._repeated

    def __getstate__(self) -> dict[str, Any]:
        return {"steps": self.steps, "inputs": self.inputs, "outputs": self.outputs}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # The rest is found anew: the operations of a copy are others, and so are their ids.
        Program.__init__(self, state["steps"], state["inputs"], state["outputs"])

    def run(
        self,
        values: Sequence[Any],
        training: bool | None = None,
        masks: Sequence[Any] = (),
        tape: list[Any] | None = None,
    ) -> tuple[list[Any], list[Any]]:
        """The outputs for these inputs, and their masks.

        A tape gets what each step keeps for `take_back`.
        """
        found = dict(zip(self.inputs, values, strict=True))
        if self._simple and tape is None and not masks and not any(step.operation._makes_masks for step in self.steps):
            for operation, start, end, done in self._calls:
                found[end] = operation(found[start], training)
                for slot in done:
                    del found[slot]
            return [found[slot] for slot in self.outputs], [None] * len(self.outputs)
        known = {slot: mask for slot, mask in zip(self.inputs, masks, strict=False) if mask is not None}
        # Values whose masks only operations see whose calls take one.
        gone: set[int] = set()
        penalties: dict[int, float] = {}
        # Values that a step has computed together with the one that reads them.
        joined: set[int] = set()
        loop = zip(self.steps, self._plain, self._done, self._followers, self._partners, strict=True)
        for step, plain, done, follower, partner in loop:
            operation, masked = step.operation, bool(known) or step.operation._makes_masks
            if tape is not None and not joined.isdisjoint(step.inputs):
                (given,) = joined.intersection(step.inputs)
                found[step.outputs[0]] = found[given]
                tape.append(operation._computed(found[given]))
                if not plain:
                    # Of a sum relu is computed, too.
                    joined.update(step.outputs)
            elif tape is None and plain and not masked:
                found[step.outputs[0]] = operation(found[step.inputs[0]], training)
            else:
                may = tape is not None and not masked and training is True
                keywords: dict[str, Any] = {}
                if may and follower is not None and operation._takes_in(follower):
                    keywords["joined"] = True
                    joined.update(step.outputs)
                elif may and partner is not None and self._takes_sum(operation, partner, found, step.inputs[0]):
                    keywords["onto"] = found[partner.other]
                    joined.update(step.outputs)
                if masked or not plain:
                    _visit(step, found, (known, gone), training, tape, keywords)
                elif tape is not None:
                    out, kept = operation._trace(found[step.inputs[0]], training=training, **keywords)
                    found[step.outputs[0]] = out
                    tape.append(kept)
            if id(operation) in self._repeated and getattr(operation, "_activity_loss", None) is not None:
                # What a layer has is the penalty of its last call.
                penalties[id(operation)] = operation._activity_loss = (
                    penalties.get(id(operation), 0.0) + operation._activity_loss
                )
            for slot in done:
                del found[slot]
        masks = [None if slot in gone else known.get(slot) for slot in self.outputs]
        return [found[slot] for slot in self.outputs], masks

    def take_back(
        self, tape: Sequence[Any], grads_out: Sequence[Any], input_grad: bool, gradients: Gradients
    ) -> list[Any]:
        """Take the gradients of the outputs back to the inputs and to the weights.

        None stands for the gradient of what nothing depends on.
        """
        trained = [step.operation._learns for step in self.steps]
        wanted = self._wanted(trained, input_grad)
        grads: dict[int, Any] = {}
        for slot, grad in zip(self.outputs, grads_out, strict=True):
            _add(grads, slot, grad)
        backwards = zip(reversed(self.steps), reversed(self._plain), reversed(trained), reversed(tape), strict=True)
        for step, plain, learns, kept in backwards:
            if plain and (grad := grads.pop(step.outputs[0], None)) is not None:
                needs, start = step.inputs[0] in wanted, step.inputs[0]
                if isinstance(grad, Pair) and step.operation._passes(kept):
                    # Of two gradients there is one look.
                    grads[start] = grad._replace(a=step.operation._take_back(kept, grad.a, needs, gradients))
                elif needs or learns:
                    whole = added(*grad) if isinstance(grad, Pair) else grad
                    grad = step.operation._take_back(kept, whole, needs, gradients)
                    if needs:
                        _add(grads, start, grad, start in self._summed)
                continue
            given = {slot: grads.pop(slot, None) for slot in step.outputs}
            needs = any(slot in wanted for slot in step.inputs)
            unread = all(grad is None for grad in given.values())
            if not (needs or learns) or (unread and not _penalized(step.operation)):
                continue
            grad_out = mapped(lambda slot: given[slot.number], step.structure, is_slot)  # noqa: B023
            found = step.operation._take_back(kept, grad_out, needs, gradients)
            if needs:
                for slot, grad in zip(_passable(step), leaves(found), strict=True):
                    _add(grads, slot, grad, slot in self._summed)
        return [grads.get(slot) for slot in self.inputs]

    def shapes(self, given: Sequence[Any]) -> dict[int, Any]:
        """The shapes of all values, by slot, for inputs of these shapes."""
        # To ask all layers takes as long as a small network itself. A setting that is changed replaces the calls.
        calls = [step.operation._calls for step in self.steps if _is_settled(step.operation)]
        asked, known, shapes = self._shapes
        if asked == given and len(known) == len(self.steps) and all(map(is_, calls, known)):
            return shapes.copy()
        found = dict(zip(self.inputs, given, strict=True))
        for step in self.steps:
            shape = step.operation._called_shape(_filled(step.arguments, found), step.keywords)
            found.update(zip(step.outputs, leaves(shape, is_shape), strict=True))
        self._shapes = list(given), calls, found.copy()
        return found

    def _only_readers(self) -> list[Any]:
        """For each step the operation that alone reads its value, and no other; None where there is no such."""
        read = Counter(self.outputs) + Counter(slot for step in self.steps for slot in step.inputs)
        plain = (step for step, is_plain in zip(self.steps, self._plain, strict=True) if is_plain)
        readers = {step.inputs[0]: step.operation for step in plain}
        single = (len(step.outputs) == 1 and read[step.outputs[0]] == 1 and not step.keywords for step in self.steps)
        return [readers.get(step.outputs[0]) if one else None for step, one in zip(self.steps, single, strict=True)]

    def _summed_next(self) -> list[Partner | None]:
        """For each step the sum of two that comes next and is the only reader of its value; None where it is not."""
        read = Counter(self.outputs) + Counter(slot for step in self.steps for slot in step.inputs)
        partners: list[Partner | None] = [None] * len(self.steps)
        for i, (step, after) in enumerate(pairwise(self.steps)):
            two = after.operation._adds and len(after.inputs) == 2 and not after.keywords
            if self._plain[i] and two and read[step.outputs[0]] == 1 and step.outputs[0] in after.inputs:
                (other,) = set(after.inputs) - set(step.outputs)
                partners[i] = Partner(other, after.operation, self._followers[i + 1])
        return partners

    @staticmethod
    def _takes_sum(operation: Any, partner: Partner, found: dict[int, Any], start: int) -> bool:
        """Whether an operation on this value may compute the sum as well, and what follows that."""
        built = partner.adding.built and partner.follower is not None
        if not built or not operation._takes_sum(partner.adding, partner.follower):
            return False
        x, other = found[start], found[partner.other]
        alike = isinstance(x, np.ndarray) and isinstance(other, np.ndarray) and x.shape == other.shape
        return alike and other.dtype == operation.dtype and other.size > 0 and other.flags.carray

    def _wanted(self, trained: Sequence[bool], input_grad: bool) -> set[int]:
        """Values whose gradients lead to a weight that is trained, or to an input."""
        wanted = set(self.inputs) if input_grad else set()
        for step, learns in zip(self.steps, trained, strict=True):
            if learns or any(slot in wanted for slot in step.inputs):
                wanted.update(step.outputs)
        return wanted


class Cut:
    """A step's operation that gives a part of an array: these ends for each axis but the batch's, or all of it."""

    name = "part"
    _own = True
    _adds = False
    _makes_masks = _ends_masks = _takes_mask = False
    _activity_loss = None

    def __init__(self, ends: Sequence[tuple[int, int]] = ()) -> None:
        self.ends = tuple(ends)
        self.index = (slice(None), *(slice(*pair) for pair in ends))

    def __call__(self, x: Any, training: bool | None = None) -> Any:
        return x[self.index]

    def _visited(self, arguments: tuple[Any, ...], keywords: dict[str, Any], traced: bool) -> tuple[Any, Any, Any]:
        return arguments[0][self.index], None, None

    def _called_shape(self, shapes: Sequence[Any], keywords: dict[str, Any]) -> Any:
        batch, *sizes = shapes[0]
        return (batch, *(b - a for a, b in self.ends or zip(repeat(0), sizes)))

    def _leaves(self) -> list[Any]:
        return []


def within(operation: Any) -> Program | None:
    """The program of a network that is a step; None of a layer, and where a class of the user's is called otherwise."""
    make = getattr(operation, "_program", None)
    caller: Any = next(cls for cls in type(operation).__mro__ if "__call__" in vars(cls))
    return make() if make is not None and caller._own else None


def line(operations: Iterable[Any]) -> Program:
    """Operations one after the other."""
    listed = list(operations)
    steps = [Step(one, (Slot(i),), {}, (i,), (i + 1,), Slot(i + 1)) for i, one in enumerate(listed)]
    return Program(steps, (0,), (len(listed),))


def _visit(
    step: Step,
    found: dict[int, Any],
    masked: tuple[dict[int, Any], set[int]],
    training: bool | None,
    tape: list[Any] | None,
    further: dict[str, Any],
) -> None:
    """Compute a step of any form, and the masks of its values."""
    arguments, keywords = _filled(step.arguments, found), {**further, **_filled(step.keywords, found)}
    keywords.setdefault("training", training)
    (known, gone), ends = masked, step.operation._ends_masks
    masks = [None if ends and slot in gone else known.get(slot) for slot in step.inputs]
    if any(one is not None for one in masks):
        keywords.setdefault("mask", masks[0] if len(masks) == 1 else masks)
    out, out_mask, kept = step.operation._visited(arguments, keywords, tape is not None)
    if tape is not None:
        tape.append(kept)
    found.update(zip(step.outputs, leaves(out), strict=True))
    if out_mask is not None:
        given = [out_mask] if len(step.outputs) == 1 and not isinstance(out_mask, list) else out_mask
        known.update({slot: one for slot, one in zip(step.outputs, given, strict=False) if one is not None})
    if not (gone.isdisjoint(step.inputs[:1] if ends else step.inputs) or step.operation._takes_mask):
        gone.update(step.outputs)
    if ends:
        first = known.get(step.inputs[0])
        known.update({} if first is None else {step.outputs[0]: first})
        gone.update(step.inputs)


def is_slot(value: Any) -> bool:
    return isinstance(value, Slot)


def _filled(structure: Any, values: dict[int, Any]) -> Any:
    """Arguments with the values in place of the slots."""
    return mapped(lambda one: values[one.number] if is_slot(one) else one, structure, is_slot)


def _last_read(steps: Sequence[Step], outputs: Sequence[int]) -> list[list[int]]:
    """For each step the values that nothing reads after it."""
    done: list[list[int]] = []
    read = set(outputs)
    for step in reversed(steps):
        over = {*step.inputs, *step.outputs} - read
        done.append(sorted(over))
        read |= over
    return done[::-1]


def _passable(step: Step) -> list[int]:
    """The slots of what a step's operation gives a gradient of: of all that it reads but masks."""
    read = {name: one for name, one in step.keywords.items() if not name.endswith("mask")}
    return [slot.number for slot in leaves((step.arguments, read), is_slot) if is_slot(slot)]


def _is_settled(operation: Any) -> bool:
    """Whether it is a layer whose settings alone say what shapes come out: none with code of the user's or layers."""
    return operation._own and not isinstance(operation, Lambda) and operation._leaves() == [operation]


def _penalized(operation: Any) -> bool:
    return any(layer.activity_regularizer is not None for layer in operation._leaves())


def _add(grads: dict[int, Any], slot: int, grad: Any, later: bool = False) -> None:
    if grad is not None:
        before = grads.get(slot)
        if before is None:
            grads[slot] = grad
        elif isinstance(before, Pair):
            grads[slot] = added(added(*before), grad)
        else:
            grads[slot] = (paired if later else added)(before, grad)
