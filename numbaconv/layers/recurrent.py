"""What recurrent layers share: the loop over the steps of a sequence and its way back, masks, states and dropout."""

from collections.abc import Callable
from operator import itemgetter
from typing import Any, ClassVar

import numpy as np

from .. import shapes
from ..common.arguments import as_numbers, cast, check_bool, check_mask
from ..common.words import Penalized, Unpack
from ..graph.tensor import KerasTensor, tensors_in
from ..objects.registry import number
from ..objects.tuples import NamedTuple
from .activation import activated, kept_of, unshared
from .any_rank import AnyRank, Shape
from .drawing import Seeded
from .learning import Grads
from .weights import Weight

# What a step of a cell keeps.
Inner = tuple[Any, ...]
# What dropout multiplies rows with, the same for all gates or for each its own: (1 or gates, N, ..., C).
Scales = np.ndarray | None


class _Sequence(NamedTuple):
    """What a layer goes through: rows (steps, N, ..., C), which of them count, and dropout's factors."""

    rows: np.ndarray
    counts: np.ndarray | None
    of_input: Scales = None
    of_state: Scales = None


class Taken(NamedTuple):
    """A step, the state before it, and what its way back needs."""

    step: int
    state: list[np.ndarray]
    inner: Inner


class WithState(AnyRank):
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
            With True, there is dropout.
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
            out = self._forward_with(x, True, **given)[0] if trained else self.call(x, **given)
        self._after_call(out)
        return out

    def _visited(self, arguments: tuple[Any, ...], keywords: dict[str, Any], traced: bool) -> tuple[Any, Any, Any]:
        mask = keywords.get("mask")
        if not isinstance(mask, list):
            return super()._visited(arguments, keywords, traced)
        # The first mask is that of the sequence, the others are those of the state. As in Keras 3, a sequence beside
        # a state keeps its mask without being read by it.
        read = None if keywords.get("initial_state") is not None else mask[0]
        out, _, kept = super()._visited(arguments, {**keywords, "mask": read}, traced)
        return out, self.compute_mask(arguments[0], mask[0]), kept


class Recurrent(WithState, Seeded):
    """A layer that goes through a sequence step by step, with a state that follows; see `LSTM`.

    Parameters
    ----------
    units : int
        Length of the state ``h``, and of the result.
    dropout, recurrent_dropout : float
        Shares, from 0 to 1, of the input and of the state ``h`` that are set to 0 in training, the same in every step;
        the others are enlarged. With ``recurrent_dropout`` each gate has others.
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
    # Whether dropout of the input always differs between gates.
    _apart: ClassVar[bool] = False
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
            self._begin(arguments["seed"])
            self._set_components(arguments)

    # -- what a kind of cell defines -------------------------------------------------------------------------------

    def _step(self, given: np.ndarray, state: list[np.ndarray], scales: Scales) -> tuple[list[np.ndarray], Inner]:
        """The next state, from the kernel's products with a step and the state before, and what the way back needs."""
        raise NotImplementedError

    def _step_back(
        self, grads: list[np.ndarray], inner: Inner, state: list[np.ndarray], scales: Scales
    ) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
        """Gradients of the kernel's products, of the recurrent kernel's and of the state before, from the next's."""
        raise NotImplementedError

    def _recurrent_grad(self, tape: list[Taken], grad: np.ndarray, scales: Scales) -> np.ndarray:
        """The recurrent kernel's gradient, from all steps in their order and the gradients of its products."""
        return self._kernel_grad(np.stack([one.state[0] for one in tape]), grad, scales)

    def _bias_grad(self, of_kernel: np.ndarray, of_recurrent: np.ndarray) -> np.ndarray:
        """The bias's gradient, from the sums of those of both products."""
        return of_kernel

    def _state_shape(self, shape: Any) -> Any:
        """Shape of a state for steps of this shape, (N, ..., C)."""
        return shape[0], self.units

    def _inside(self, x: np.ndarray) -> np.ndarray:
        """An array as it is computed with: channels last."""
        return x

    def _outside(self, x: np.ndarray) -> np.ndarray:
        """The other way round."""
        return x

    def _plain_product(self, x: np.ndarray, kernel: np.ndarray, of_state: bool) -> np.ndarray:
        """What a kernel makes of rows (N, ..., C), be they of the input or ``of_state``."""
        return x @ kernel

    def _plain_product_back(self, grad: np.ndarray, kernel: np.ndarray, shape: Any, of_state: bool) -> np.ndarray:
        """The gradient of such rows."""
        return grad @ kernel.T

    def _plain_kernel_grad(self, x: np.ndarray, grad: np.ndarray, of_state: bool) -> np.ndarray:
        """The gradient of the kernel."""
        return x.T @ grad

    def _product(self, x: np.ndarray, kernel: np.ndarray, scales: Scales, of_state: bool = True) -> np.ndarray:
        """The same of rows (..., N, ..., C), each part of the kernel with rows of its own scales."""
        if scales is None:
            out = self._plain_product(self._batch(x), kernel, of_state)
            return out.reshape(*x.shape[: x.ndim - out.ndim + 1], *out.shape[1:])
        parts = zip(scales, np.split(kernel, len(scales), axis=-1), strict=True)
        return np.concatenate([self._product(x * scale, part, None, of_state) for scale, part in parts], axis=-1)

    def _product_back(
        self, grad: np.ndarray, kernel: np.ndarray, scales: Scales, shape: Any, of_state: bool = True
    ) -> np.ndarray:
        """The gradient of rows of this shape."""
        if scales is None:
            one = (-1, *shape[len(shape) - self.rank :])
            return self._plain_product_back(self._batch(grad), kernel, one, of_state).reshape(shape)
        parts = zip(scales, *(np.split(one, len(scales), axis=-1) for one in (grad, kernel)), strict=True)
        return np.sum([by * self._product_back(one, part, None, shape, of_state) for by, one, part in parts], axis=0)

    def _kernel_grad(self, x: np.ndarray, grad: np.ndarray, scales: Scales, of_state: bool = True) -> np.ndarray:
        """The gradient of the kernel of such rows."""
        if scales is None:
            return self._plain_kernel_grad(self._batch(x), self._batch(grad), of_state)
        parts = zip(scales, np.split(grad, len(scales), axis=-1), strict=True)
        return np.concatenate([self._kernel_grad(x * by, one, None, of_state) for by, one in parts], axis=-1)

    def _batch(self, x: np.ndarray) -> np.ndarray:
        """All steps of all examples as one batch."""
        return np.ascontiguousarray(x).reshape(-1, *x.shape[x.ndim - self.rank :])

    def _bent(self, activation: Any, before: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """What an activation makes of sums, and what the way back needs."""
        out = activated(activation, unshared(activation, before), self.dtype)
        return out, kept_of(activation, before, out)

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

    def call(self, x: np.ndarray, mask: Any = None, *, initial_state: Any = None) -> Any:
        """Compute a built layer on an array of its dtype; see ``__call__``."""
        self._must_fit(x)
        return self._run(self._begun(x, mask), initial_state)

    def _forward(self, x: np.ndarray, mask: Any = None, *, initial_state: Any = None) -> tuple[Any, Any]:
        # So many draws as Keras has.
        count = self.gates if self.recurrent_dropout or self._apart else 1
        begun = self._begun(x, mask)
        one = begun.rows.shape[1:]
        of_input = self._scales(self.dropout, count, *one)
        of_state = self._scales(self.recurrent_dropout, count, *self._state_shape(one))
        return self._traced_run(begun._replace(of_input=of_input, of_state=of_state), initial_state)

    def _forward_still(self, x: np.ndarray, mask: Any = None, *, initial_state: Any = None) -> tuple[Any, Any]:
        return self._traced_run(self._begun(x, mask), initial_state)

    def _traced_run(self, begun: _Sequence, initial_state: Any) -> tuple[Any, Any]:
        tape: list[Taken] = []
        out = self._run(begun, initial_state, tape)
        return out, (begun, tape, initial_state is not None)

    def _begun(self, x: np.ndarray, mask: Any) -> _Sequence:
        rows = np.ascontiguousarray(self._inside(x).swapaxes(0, 1))
        counts = None if mask is None else check_mask(mask, x.shape[:2]).T
        if counts is not None:
            counts = counts.reshape(*counts.shape, *(1,) * (rows.ndim - 2))
        return _Sequence(rows, counts)

    @np.errstate(all="ignore")
    def _run(self, sequence: _Sequence, initial_state: Any, tape: list[Taken] | None = None) -> Any:
        rows, counts, of_input, of_state = sequence
        state = self._checked_state(initial_state, self._state_shape(rows.shape[1:]))
        given = self._product(rows, self._weights["kernel"], of_input, of_state=False)
        if self.use_bias:
            # The second line of two belongs to the recurrent kernel.
            given += self._weights["bias"].reshape(-1, given.shape[-1])[0]
        out = np.zeros(self._state_shape(rows.shape[1:]), self._dtype)
        kept = np.empty((len(given), *out.shape), self._dtype) if self.return_sequences else None
        steps = range(len(given))
        for place, step in enumerate(reversed(steps) if self.go_backwards else steps):
            after, inner = self._step(given[step], state, of_state)
            if tape is not None:
                tape.append(Taken(step, state, inner))
            if counts is None:
                state, out = after, after[0]
            else:
                here = counts[step]
                state = [np.where(here, *pair) for pair in zip(after, state, strict=True)]
                out = np.where(here, after[0], np.zeros_like(out) if self.zero_output_for_mask else out)
            if kept is not None:
                kept[place] = out
        result = self._outside(out if kept is None else np.ascontiguousarray(kept.swapaxes(0, 1)))
        return [result, *(self._outside(array.copy()) for array in state)] if self.return_state else result

    @np.errstate(all="ignore")
    def _backward(self, kept: Any, grad_out: Any, input_grad: bool) -> Grads:
        (rows, counts, of_input, of_state), tape, with_state = kept
        of_result, *grads = map(self._inside, grad_out if self.return_state else [grad_out])
        none = np.zeros(self._state_shape(rows.shape[1:]), self._dtype)
        grads = grads or [none] * self.states
        # That of what the steps so far have given.
        grad = none if self.return_sequences else of_result
        of_kernel, of_recurrent = np.empty((2, len(rows), *none.shape[:-1], self.gates * self.units), self._dtype)
        for place, (step, state, inner) in reversed([*enumerate(tape)]):
            if self.return_sequences:
                grad = grad + of_result[:, place]
            of_after = [grads[0] + grad, *grads[1:]]
            if counts is not None:
                of_after = [np.where(counts[step], one, none) for one in of_after]
            of_kernel[step], of_recurrent[step], of_before = self._step_back(of_after, inner, state, of_state)
            if counts is None:
                grads, grad = of_before, none
            else:
                grads = [np.where(counts[step], *pair) for pair in zip(of_before, grads, strict=True)]
                grad = none if self.zero_output_for_mask else np.where(counts[step], none, grad)
        ordered = sorted(tape, key=itemgetter(0))
        found = {
            "kernel": self._kernel_grad(rows, of_kernel, of_input, of_state=False),
            "recurrent_kernel": self._recurrent_grad(ordered, of_recurrent, of_state),
        }
        if self.use_bias:
            inner_axes = tuple(range(of_kernel.ndim - 1))
            found["bias"] = self._bias_grad(of_kernel.sum(inner_axes), of_recurrent.sum(inner_axes))
        if not input_grad:
            return None, found
        grad_x = self._product_back(of_kernel, self._weights["kernel"], of_input, rows.shape, of_state=False)
        grad_x = self._outside(np.ascontiguousarray(grad_x.swapaxes(0, 1)))
        return [grad_x, *map(self._outside, grads)] if with_state else grad_x, found

    def _checked_state(self, given: Any, size: Any) -> list[np.ndarray]:
        none = np.zeros(size, self._dtype)
        if given is None:
            return [none] * self.states
        arrays = given if isinstance(given, list | tuple) else [given]
        state = [cast(as_numbers(one, "initial_state"), self._dtype) for one in arrays]
        wanted = self._outside(none).shape
        if [one.shape for one in state] != [wanted] * self.states:
            raise ValueError(
                f"initial_state must be {self.states} of arrays of shape {wanted}, got shapes "
                f"{[one.shape for one in state]}"
            )
        return [self._inside(one) for one in state]


def check_use_cudnn(value: Any) -> bool | str:
    """Whether Keras would leave a layer to cuDNN, which changes nothing here."""
    return "auto" if value == "auto" else check_bool(value, "use_cudnn")
