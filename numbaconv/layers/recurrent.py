"""What recurrent layers share: the loop over the steps of a sequence, masks and states."""

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from .. import shapes
from ..common.arguments import as_numbers, cast, check_bool, check_mask
from ..common.words import Penalized, Unpack
from ..graph.tensor import KerasTensor, tensors_in
from ..objects.registry import integer, number
from .any_rank import Shape
from .predict_only import PredictOnly
from .weights import Weight


class WithState(PredictOnly):
    """A layer over the steps of a sequence, (N, steps, C), that may be given the state to begin with."""

    rank = 1
    supports_masking = True

    def __call__(self, x: Any, training: bool | None = None, mask: Any = None, *, initial_state: Any = None) -> Any:
        """Compute the layer on ``x``, building it first if need be.

        Parameters
        ----------
        x : array_like or KerasTensor, shape (N, steps, C)
            Or a list of arrays or tensors: of this and of the initial state, as Keras 2 has it.
        training : bool, optional
            With True, dropout is refused.
        mask : array_like of bool, shape (N, steps), optional
            False for steps that are passed over.
        initial_state : array_like or KerasTensor of shape (N, units), or list of these, optional
            The state before the first step, by default 0.

        Returns
        -------
        ndarray or KerasTensor, or a list of these
            With ``return_state`` a list: the result, and the arrays of the state.

        Raises
        ------
        ValueError, TypeError
            Where ``x``, the mask or the state do not fit the layer.
        """
        if isinstance(x, list | tuple) and x and all(isinstance(one, np.ndarray | KerasTensor) for one in x):
            x, *rest = x
            initial_state = rest or initial_state
        keywords = {"mask": mask, "initial_state": initial_state}
        given = {name: one for name, one in keywords.items() if one is not None}
        if tensors_in((x, initial_state)):
            return self._connect((x,), given)
        with self._named():
            x = self._ready(x)
            trained = training and check_bool(training, "training")
            out = self._forward(x, **given)[0] if trained else self.call(x, **given)
        self._after_call(out)
        return out

    def _visited(self, arguments: tuple[Any, ...], keywords: dict[str, Any], traced: bool) -> tuple[Any, Any, Any]:
        # The first mask is that of the sequence, the others are those of the state.
        mask = keywords.get("mask")
        return super()._visited(arguments, {**keywords, "mask": mask[0] if isinstance(mask, list) else mask}, traced)


class Recurrent(WithState):
    """A layer that goes through a sequence step by step, with a state that follows; see `LSTM`.

    Parameters
    ----------
    units : int
        Length of the state ``h``, and of the result.
    dropout, recurrent_dropout : float
        From 0 to 1. They act in training alone, so in prediction they change nothing.
    seed : int, optional
        Of the dropout.
    return_sequences : bool
        Whether the result is that of every step, or of the last one.
    return_state : bool
        Whether the call returns a list of the result and the last state.
    go_backwards : bool
        Whether the last step comes first, in the result too.
    stateful : bool
        Must be False; the argument ``initial_state`` of a call takes a state.
    unroll : bool
        Changes nothing.
    use_cudnn : bool or "auto"
        Changes nothing.
    zero_output_for_mask : bool
        Whether steps that do not count give 0 in place of what the step before gave.
    """

    # Matrices side by side in a kernel, and arrays in a state, the first of which is the result.
    gates: ClassVar[int]
    states: ClassVar[int] = 1
    kernel, recurrent_kernel, bias = Weight(), Weight(), Weight()
    _neutral: ClassVar = {
        "time_major": ((False,), "the batch comes first"),
        "implementation": ((0, 1, 2), "there is one way to compute it"),
    }

    activation: Callable[[np.ndarray], np.ndarray]

    def __init__(self, *, zero_output_for_mask: bool = False, **kwargs: "Unpack[Penalized]") -> None:
        super().__init__(**kwargs)
        with self._named():
            self.zero_output_for_mask = check_bool(zero_output_for_mask, "zero_output_for_mask")

    def _set(self, arguments: dict[str, Any]) -> None:
        """Check and keep what is among a constructor's ``locals()``."""
        with self._named():
            (self.units,) = shapes.normalize_tuple(arguments["units"], 1, "units")
            names = ("use_bias", "return_sequences", "return_state", "go_backwards", "unroll")
            flags = (check_bool(arguments[name], name) for name in names)
            self.use_bias, self.return_sequences, self.return_state, self.go_backwards, self.unroll = flags
            shares = (number(arguments[name], name, minimum=0, maximum=1) for name in ("dropout", "recurrent_dropout"))
            self.dropout, self.recurrent_dropout = shares
            if check_bool(arguments["stateful"], "stateful"):
                raise ValueError(
                    "stateful must be False, because a call leaves nothing behind: return_state=True gives the state, "
                    "and the argument initial_state of the next call takes it"
                )
            self.stateful = False
            seed = arguments["seed"]
            self.seed = None if seed is None else integer(seed, "seed")
            self._set_components(arguments)

    # -- what a kind of cell defines -------------------------------------------------------------------------------

    def _step(self, given: np.ndarray, state: list[np.ndarray], weights: dict[str, np.ndarray]) -> list[np.ndarray]:
        """The next state, from the kernel's products with a step and the state before."""
        raise NotImplementedError

    def _bias_shape(self) -> tuple[int, ...]:
        return (self.gates * self.units,)

    # -- shapes ----------------------------------------------------------------------------------------------------

    def _weight_shapes(self, channels: int | None) -> dict[str, tuple[int, ...]]:
        if not channels:
            raise ValueError(f"the number of features, the last axis, must be known and positive, got {channels}")
        width = self.gates * self.units
        bias = {"bias": self._bias_shape()} if self.use_bias else {}
        return {"kernel": (channels, width), "recurrent_kernel": (self.units, width), **bias}

    def _output_shape(self, input_shape: Shape) -> Any:
        batch, steps, _ = input_shape
        out = (batch, steps, self.units) if self.return_sequences else (batch, self.units)
        return [out, *[(batch, self.units)] * self.states] if self.return_state else out

    def _why(self, before: Shape, after: Any) -> str:
        what = "each step" if self.return_sequences else "the last step"
        state = ", and the state after all steps" if self.return_state else ""
        return f"{self.units} units of {what}{state}"

    # -- calls -----------------------------------------------------------------------------------------------------

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask itself where every step has a result, otherwise None; with ``return_state`` a list."""
        of_result = mask if self.return_sequences else None
        return [of_result, *[None] * self.states] if self.return_state else of_result

    @np.errstate(all="ignore")
    def call(self, x: np.ndarray, mask: Any = None, *, initial_state: Any = None) -> Any:
        """Compute a built layer on an array of its dtype; see ``__call__``."""
        self._must_fit(x)
        weights = self._weights
        state = self._checked_state(initial_state, len(x))
        counts = None if mask is None else check_mask(mask, x.shape[:2]).T[..., None]
        given = self._projected(x, weights)
        out = np.zeros((len(x), self.units), self._dtype)
        kept = np.empty((len(given), *out.shape), self._dtype) if self.return_sequences else None
        steps = range(len(given))
        for place, step in enumerate(reversed(steps) if self.go_backwards else steps):
            after = self._step(given[step], state, weights)
            if counts is None:
                state, out = after, after[0]
            else:
                here = counts[step]
                state = [np.where(here, *pair) for pair in zip(after, state, strict=True)]
                out = np.where(here, after[0], np.zeros_like(out) if self.zero_output_for_mask else out)
            if kept is not None:
                kept[place] = out
        result = out if kept is None else np.ascontiguousarray(kept.swapaxes(0, 1))
        return [result, *(array.copy() for array in state)] if self.return_state else result

    def _projected(self, x: np.ndarray, weights: dict[str, np.ndarray]) -> np.ndarray:
        """The kernel's products with all steps, (steps, N, gates * units)."""
        batch, steps, channels = x.shape
        rows = np.ascontiguousarray(x.swapaxes(0, 1)).reshape(steps * batch, channels)
        given: np.ndarray = rows @ weights["kernel"]
        if self.use_bias:
            # The second line of two belongs to the recurrent kernel.
            given += weights["bias"].reshape(-1, self.gates * self.units)[0]
        return given.reshape(steps, batch, given.shape[-1])

    def _checked_state(self, given: Any, batch: int) -> list[np.ndarray]:
        size = (batch, self.units)
        if given is None:
            return [np.zeros(size, self._dtype)] * self.states
        arrays = given if isinstance(given, list | tuple) else [given]
        state = [cast(as_numbers(one, "initial_state"), self._dtype) for one in arrays]
        if [one.shape for one in state] != [size] * self.states:
            raise ValueError(
                f"initial_state must be {self.states} of arrays of shape {size}, got shapes "
                f"{[one.shape for one in state]}"
            )
        return state


def check_use_cudnn(value: Any) -> bool | str:
    """Whether Keras would leave a layer to cuDNN, which changes nothing here."""
    return "auto" if value == "auto" else check_bool(value, "use_cudnn")
