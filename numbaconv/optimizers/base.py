"""What all optimizers share: learning rate, clipping, weight decay, state, and the way through the weights.

A step strings all weights together, so that a network of many small arrays costs no more calls of NumPy than one large
array, and goes through them block by block, so that a large array stays in the cache from one operation to the next.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .. import schedules
from ..common.arguments import as_numbers, cast, check_dtype, common_dtype
from ..machine.aligned import aligned_empty
from ..objects.registry import Configurable, number
from ..objects.telling import Neutral
from ..objects.tuples import NamedTuple

Array = NDArray[np.floating[Any]]
Shape = tuple[int, ...]
Rate = float | Callable[[int], float]
Slots = dict[str, Array]
# What the weights are computed in, and their shapes.
Layout = tuple[np.dtype, list[Shape]]

# Values updated at a time.
BLOCK = 16384


class State(NamedTuple):
    """All that a step changes, replaced as a whole, so that whoever keeps the old one can take the step back."""

    iterations: int
    # Of the arrays that the slots belong to; None before the first step.
    layout: Layout | None
    slots: dict[str, Array]
    # Whether the step left the weights and the slots finite.
    finite: bool = True


class Optimizer(Configurable):
    """Base of all optimizers here: learning rate, clipping, weight decay and state.

    Parameters
    ----------
    learning_rate : float, callable or dict
        Not negative; or a function of the number of steps taken so far, such as those of `numbaconv.schedules`; or
        such a schedule's config.
    weight_decay : float, optional
        Not negative. Before the update every weight loses ``weight_decay * learning_rate`` of itself.
    clipnorm : float, optional
        Positive. A gradient whose Euclidean norm is larger is scaled down to this norm.
    clipvalue : float, optional
        Positive. Gradients are cut off at this value and its negative.
    global_clipnorm : float, optional
        Positive. If the norm of all gradients together is larger, all are scaled down so that it is this.

    Raises
    ------
    TypeError
        If a number is no real number.
    ValueError
        If it is not finite or out of its bounds, or if more than one kind of clipping is asked for.
    """

    _neutral: ClassVar[Neutral] = {
        "use_ema": ((False, None), "weights are not averaged over steps"),
        "ema_momentum": ((0.99,), "weights are not averaged over steps"),
        "ema_overwrite_frequency": ((None,), "weights are not averaged over steps"),
        "loss_scale_factor": ((None,), "float32 and float64 need no scaling"),
        "gradient_accumulation_steps": ((None,), "every batch is a step"),
        "name": ((None, str), "it is a name"),
    }

    def __init__(
        self,
        learning_rate: Rate,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
    ) -> None:
        self._state = State(0, None, {})
        # Memory that is new at every step would cost more than the whole update: for the gradients, and twice for the
        # slots, which are written where the last ones are not.
        self._buffer: Array | None = None
        self._places: list[dict[str, Array]] = []
        self.learning_rate = learning_rate
        self.weight_decay = None if weight_decay is None else number(weight_decay, "weight_decay", minimum=0)
        self.clipnorm = None if clipnorm is None else number(clipnorm, "clipnorm", above=0)
        self.clipvalue = None if clipvalue is None else number(clipvalue, "clipvalue", above=0)
        self.global_clipnorm = None if global_clipnorm is None else number(global_clipnorm, "global_clipnorm", above=0)
        if [clipnorm, clipvalue, global_clipnorm].count(None) < 2:
            raise ValueError(
                "only one of clipnorm, clipvalue and global_clipnorm may be given, "
                f"got {clipnorm!r}, {clipvalue!r} and {global_clipnorm!r}"
            )

    # -- what a kind of optimizer defines --------------------------------------------------------------------------

    def _slot_names(self) -> tuple[str, ...]:
        """Names of the arrays kept for each weight."""
        return ()

    def _first(self) -> float:
        """What these arrays are filled with before the first step."""
        return 0.0

    def _update(self, rate: float, value: Array, gradient: Array, slots: dict[str, Array]) -> None:
        """Change some weights and their slots in place; all arrays have one axis, and the gradient is free for use."""
        raise NotImplementedError(f"{type(self).__name__} must define _update(rate, value, gradient, slots)")

    def _update_all(self, rate: float, value: Array, gradient: Array, before: Slots, after: Slots) -> bool:
        """Change all weights in place, and write what becomes of their slots; return whether all of it is finite."""
        finite = True
        for start in range(0, value.size, BLOCK):
            block = slice(start, start + BLOCK)
            slots = {name: slot[block] for name, slot in after.items()}
            for name, slot in slots.items():
                slot[:] = before[name][block]
            if self.weight_decay:
                value[block] -= (self.weight_decay * rate) * value[block]
            self._update(rate, value[block], gradient[block], slots)
            # While they are in the cache.
            finite = finite and all(np.isfinite(part).all() for part in (value[block], *slots.values()))
        return finite

    # -- use -------------------------------------------------------------------------------------------------------

    @property
    def learning_rate(self) -> float:
        """Rate of the next step; a number, a schedule or a schedule's config may be assigned at any time."""
        rate = self._learning_rate
        return number(rate(self.iterations), "learning_rate", minimum=0) if callable(rate) else rate

    @learning_rate.setter
    def learning_rate(self, value: Rate | Mapping[str, Any]) -> None:
        self._learning_rate: Rate
        if isinstance(value, Mapping) or callable(value):
            self._learning_rate = schedules.get(value)
        else:
            self._learning_rate = number(value, "learning_rate", minimum=0)

    @property
    def iterations(self) -> int:
        """Number of steps taken."""
        return self._state.iterations

    def step(self, values: Sequence[Array], gradients: Sequence[Any]) -> list[Array]:
        """Compute new weights.

        Parameters
        ----------
        values : list of ndarray
            The weights, float32 or float64; never changed. Number and shapes are the same at every step.
        gradients : list of ndarray
            Derivatives of the loss by them, in the same order and shapes; never changed.

        Returns
        -------
        list of ndarray
            Of the shapes and dtypes of `values`, all parts of one new array. Gradients that are not finite give weights
            that are not. Without any weights nothing happens, and no step is counted.

        Raises
        ------
        TypeError
            If something in the lists is no array of these dtypes.
        ValueError
            If shapes do not fit each other or those of earlier steps. Nothing is changed then.
        """
        values, gradients = list(values), list(gradients)
        layout = _layout_of(values, gradients)
        before = self._state
        if before.layout not in (None, layout):
            raise ValueError(f"values must have dtype and shapes as before, {before.layout}, got {layout}")
        rate = self.learning_rate
        if not values:
            return []
        dtype, shapes = layout
        with np.errstate(all="ignore"):
            value: Array = aligned_empty((sum(map(math.prod, shapes)),), dtype)
            np.concatenate(values, axis=None, out=value)
            gradient: Array = np.concatenate(gradients, axis=None, out=self._room(value), casting="unsafe")
            self._clip(gradient, shapes)
            new = self._places[before.slots is self._places[0]]
            if not before.slots:
                for slot in new.values():
                    slot.fill(self._first())
            finite = self._update_all(rate, value, gradient, before.slots or new, new)
        results = [cast(new, old.dtype) for new, old in zip(_split(value, shapes), values, strict=True)]
        if any(old.dtype != dtype for old in values):
            finite = finite and all(np.isfinite(result).all() for result in results)
        self._state = State(before.iterations + 1, layout, new, finite)
        return results

    def _room(self, value: Array) -> Array:
        """Memory for gradients."""
        if self._buffer is None:
            self._buffer = np.empty_like(value)
            self._places = [{name: np.empty_like(value) for name in self._slot_names()} for _ in range(2)]
        return self._buffer

    def _not_finite(self, values: Sequence[Array], names: Sequence[str]) -> list[str]:
        """Of weights with these names and of their slots after the last step, those that are infinite or NaN."""
        shapes = [value.shape for value in values]
        arrays = {"": values, **{f"{slot} of ": _split(flat, shapes) for slot, flat in self._state.slots.items()}}
        pairs = ((kind + name, part) for kind, parts in arrays.items() for name, part in zip(names, parts, strict=True))
        return [name for name, part in pairs if not np.isfinite(part).all()]

    def _clip(self, gradient: Array, shapes: list[Shape]) -> None:
        if self.clipvalue is not None:
            np.clip(gradient, -self.clipvalue, self.clipvalue, out=gradient)
        if self.clipnorm is not None:
            for part in _split(gradient, shapes):
                part *= self.clipnorm / max(_norm(part), self.clipnorm)
        if self.global_clipnorm is not None:
            norm = _norm(gradient)
            # As in Keras, one infinity makes everything NaN: the direction is lost.
            gradient *= self.global_clipnorm / max(norm, self.global_clipnorm) + (norm - norm)

    # -- state and configuration -----------------------------------------------------------------------------------

    def get_state(self) -> dict[str, NDArray[Any]]:
        """Return copies of all that changes from step to step, apart from the learning rate, which is in the config.

        Returns
        -------
        dict
            "iterations", and from the first step on the slots by name and position, such as "momentum/0".
        """
        iterations, layout, slots, _ = self._state
        state: dict[str, NDArray[Any]] = {"iterations": np.array(iterations)}
        for name, slot in slots.items():
            shapes = layout[1] if layout else []
            state.update({f"{name}/{i}": part.copy() for i, part in enumerate(_split(slot, shapes))})
        return state

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `get_state` returned, here or in an equal optimizer, to the last bit.

        Parameters
        ----------
        state : dict
            Arrays by name; they are copied.

        Raises
        ------
        TypeError
            If `state` is no dict, or an entry is not made of numbers.
        ValueError
            If the entries are not those of this kind of optimizer, have other shapes or another dtype than the slots
            have or than each other, or are not finite. Nothing is changed then.
        """
        if not isinstance(state, Mapping):
            raise TypeError(f"state must be a dict of arrays, got {state!r}")
        layout, slots = _slots_of(state, self._slot_names(), self._state.layout)
        iterations = as_numbers(state["iterations"], "state['iterations']")
        if iterations.shape != () or iterations.dtype.kind not in "iu" or iterations < 0:
            raise ValueError(f"state['iterations'] must be an integer >= 0, got {state['iterations']!r}")
        if self._slot_names() and (iterations == 0) != (not slots):
            raise ValueError(f"state must have slots from the first step on, got {iterations} and {', '.join(state)}")
        self._state, self._buffer = State(int(iterations), layout, slots), None

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, with the learning rate as it is now, as plain JSON types.

        Raises
        ------
        TypeError
            If the learning rate is a function of the user's, which no plain configuration can hold.
        """
        rate = self._learning_rate
        values = {name: getattr(self, name) for name in self._arguments() if name != "learning_rate"}
        return {"learning_rate": schedules.serialize(rate) if callable(rate) else rate, **values}

    def __getstate__(self) -> dict[str, Any]:
        # A copy that shared memory with this one would be written over by its steps.
        state = self._state
        own = state._replace(slots={name: slot.copy() for name, slot in state.slots.items()})
        return {**vars(self), "_state": own, "_buffer": None, "_places": []}

    def _check_change(self, name: str, made: Any) -> None:
        if self.iterations and made._slot_names() != self._slot_names():
            raise ValueError(
                f"{name} of {type(self).__name__} cannot be set to {getattr(made, name)!r} after the first step, "
                "because the optimizer keeps other arrays then: compile with a new one"
            )

    # Two optimizers of the same settings have each their own state.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"<{type(self).__name__}, learning_rate={self._learning_rate!r}, iterations={self.iterations}>"


def _layout_of(values: list[Any], gradients: list[Any]) -> Layout:
    """The layout of weights, once they and their gradients are checked."""
    if len(values) != len(gradients):
        raise ValueError(f"gradients must be {len(values)} arrays, as many as values, got {len(gradients)}")
    for i, (value, gradient) in enumerate(zip(values, gradients, strict=True)):
        if not isinstance(value, np.ndarray) or value.dtype.type not in (np.float32, np.float64):
            raise TypeError(f"values[{i}] must be an ndarray of float32 or float64, got {value!r}")
        if not isinstance(gradient, np.ndarray) or gradient.dtype.kind not in "biuf":
            raise TypeError(f"gradients[{i}] must be an ndarray of real numbers, got {gradient!r}")
        if value.shape != gradient.shape:
            raise ValueError(f"gradients[{i}] must have shape {value.shape}, that of its value, got {gradient.shape}")
    return common_dtype(*values), [value.shape for value in values]


def _slots_of(
    state: Mapping[str, Any], names: tuple[str, ...], layout: Layout | None
) -> tuple[Layout | None, dict[str, Array]]:
    """The slots of these names in a state, and their layout, which must be the given one unless that is None."""
    count = math.ceil((len(state) - 1) / len(names)) if names else 0
    if count > 0 and layout is not None:
        count = len(layout[1])
    keys = {name: [f"{name}/{i}" for i in range(count)] for name in names}
    expected = ["iterations", *(key for name in names for key in keys[name])]
    if set(state) != set(expected):
        raise ValueError(f"state must have the entries {', '.join(expected)}, got {', '.join(map(str, state))}")
    if count == 0:
        return None, {}
    slots = {name: [as_numbers(state[key], f"state[{key!r}]") for key in keys[name]] for name in names}
    if layout is None:
        first = slots[names[0]]
        layout = check_dtype(first[0].dtype.newbyteorder("="), "dtype of state"), [array.shape for array in first]
    dtype, shapes = layout
    for name in names:
        for key, array, shape in zip(keys[name], slots[name], shapes, strict=True):
            # Either byte order will do, as in a file from another machine.
            if array.dtype.newbyteorder("=") != dtype or array.shape != shape:
                raise ValueError(f"state[{key!r}] must be {dtype} of shape {shape}, got {array.dtype} of {array.shape}")
            if not np.isfinite(array).all():
                raise ValueError(f"state[{key!r}] must be finite, got infinite or NaN values")
    return layout, {name: np.concatenate(slot, axis=None, dtype=dtype) for name, slot in slots.items()}


def _split(flat: Array, shapes: list[Shape]) -> list[Array]:
    """Views of consecutive parts in these shapes."""
    parts, start = [], 0
    for shape in shapes:
        stop = start + math.prod(shape)
        parts.append(flat[start:stop].reshape(shape))
        start = stop
    return parts


# In float64, where the square of any float32 is finite.
def _norm(array: Array) -> float:
    return math.sqrt(np.sum(np.square(array, dtype=np.float64)))
