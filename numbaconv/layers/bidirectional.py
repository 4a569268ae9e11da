"""Bidirectional."""

from typing import Any

import numpy as np

from ..graph.operation import Gradients
from .any_rank import Shape
from .arguments import settings_of
from .recurrent import Recurrent, WithState
from .wrapping import Wrapper, check_held

_MODES = ("sum", "mul", "ave", "concat", None)


class Bidirectional(Wrapper, WithState):
    """Go through a sequence in both directions (Keras's ``Bidirectional``).

    Parameters
    ----------
    layer : SimpleRNN, LSTM or GRU
        What goes forwards; it is copied, with fresh weights.
    merge_mode : {"concat", "sum", "mul", "ave"} or None
        How the results of both directions become one: side by side, their sum, product or mean. None gives a list of
        both.
    weights : list of array_like, optional
        Those of both directions, in place of what initializers would draw.
    backward_layer : SimpleRNN, LSTM or GRU, optional
        What goes backwards, taken as it is; by default one more copy of ``layer``.

    Notes
    -----
    Input (N, steps, C), output (N, 2 * units), or (N, steps, 2 * units) with the layer's ``return_sequences``, for
    merge_mode "concat"; steps of both directions stand in the order of the input. With ``return_state`` a list of the
    result and the states, those of ``forward_layer`` first. Weights: those of ``forward_layer``, then those of
    ``backward_layer``. Steps that a mask says do not count give 0 with ``return_sequences``. Keeps for backward: what
    both directions keep, and their results.
    """

    _inner = ("layer", "backward_layer")
    _states = frozenset({"forward_layer", "backward_layer"})

    def __init__(
        self,
        layer: Any,
        merge_mode: str | None = "concat",
        weights: Any = None,
        backward_layer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(check_held(layer, "layer", Recurrent), weights=weights, **kwargs)
        with self._named():
            if merge_mode not in _MODES:
                raise ValueError(f"merge_mode must be one of {', '.join(map(repr, _MODES))}, got {merge_mode!r}")
            self.merge_mode = merge_mode
            name = layer.name.removeprefix("forward_")
            self.forward_layer = _twin(layer, name=f"forward_{name}")
            if backward_layer is None:
                name = layer.name.removeprefix("backward_")
                other = _twin(layer, name=f"backward_{name}", go_backwards=not layer.go_backwards)
            else:
                other = check_held(backward_layer, "backward_layer", Recurrent)
                if other.zero_output_for_mask != other.return_sequences:
                    other.zero_output_for_mask = other.return_sequences
            self.backward_layer = other
            self._check_pair()
        if not self.trainable:
            self._freeze()

    @property
    def layer(self) -> Any:
        """The layer that goes forwards."""
        return self.forward_layer

    def _check_pair(self) -> None:
        pair = self.forward_layer, self.backward_layer
        if pair[0].go_backwards == pair[1].go_backwards:
            raise ValueError(
                f"one of layer and backward_layer must go backwards, got go_backwards={pair[0].go_backwards} twice"
            )
        for name in ("return_sequences", "return_state"):
            values = [getattr(one, name) for one in pair]
            if values[0] != values[1]:
                raise ValueError(
                    f"{name} of layer and backward_layer must be the same, got {values[0]} and {values[1]}"
                )

    def _held(self) -> list[Any]:
        return [self.forward_layer, self.backward_layer]

    def _output_shape(self, input_shape: Shape) -> Any:
        (out, *states), (other, *more) = (
            found if one.return_state else [found]
            for one, found in ((one, one.compute_output_shape(input_shape)) for one in self._held())
        )
        if self.merge_mode == "concat":
            merged = [(*out[:-1], out[-1] + other[-1])]
        else:
            if out != other:
                raise ValueError(f"units of both directions must be the same for merge_mode {self.merge_mode!r}")
            merged = [out] if self.merge_mode else [out, other]
        found = [*merged, *states, *more]
        return found if len(found) > 1 else found[0]

    def _why(self, before: Shape, after: Any) -> str:
        units = " and ".join(str(one.units) for one in self._held())
        return f"{units} units, forwards and backwards"

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask itself where every step has a result, otherwise None; in a list where the call returns one."""
        of_result = mask if self.forward_layer.return_sequences else None
        results = [of_result] * (1 if self.merge_mode else 2)
        if self.forward_layer.return_state:
            results += [None] * sum(one.states for one in self._held())
        return results if len(results) > 1 else of_result

    def call(self, x: np.ndarray, mask: Any = None, *, initial_state: Any = None) -> Any:
        """Compute a built layer on an array of its dtype; ``initial_state`` is a list of those of both directions."""
        pairs = zip(self._held(), self._halves(initial_state), strict=True)
        return self._joined([one(x, mask=mask, initial_state=state) for one, state in pairs])[0]

    def _forward(
        self, x: np.ndarray, mask: Any = None, *, initial_state: Any = None, training: bool = True
    ) -> tuple[Any, Any]:
        pairs = zip(self._held(), self._halves(initial_state), strict=True)
        ways = [one._trace(x, training=training, mask=mask, initial_state=state) for one, state in pairs]
        found, results = self._joined([out for out, _ in ways])
        return found, (results, [kept for _, kept in ways])

    def _forward_still(self, x: np.ndarray, mask: Any = None, *, initial_state: Any = None) -> tuple[Any, Any]:
        return self._forward(x, mask, initial_state=initial_state, training=False)

    @np.errstate(all="ignore")
    def _take_back(self, kept: Any, grad_out: Any, input_grad: bool, gradients: Gradients) -> Any:
        with self._named():
            shape, (results, ways), *_ = kept
            grads = self._matching(grad_out, shape)
            merged, *states = grads if isinstance(grads, list) else [grads]
            if self.merge_mode is None:
                merged, states = [merged, states[0]], states[1:]
            first, second = self._parted(merged, *results)
            if self.forward_layer.return_sequences:
                second = second[:, ::-1]
            if self.forward_layer.return_state:
                count = self.forward_layer.states
                first, second = [first, *states[:count]], [second, *states[count:]]
            triples = zip(self._held(), ways, (first, second), strict=True)
            found = [half._take_back(way, grad, input_grad, gradients) for half, way, grad in triples]
            if not input_grad:
                return None
            (grad, *rest), (other, *more) = (one if isinstance(one, list) else [one] for one in found)
            found = [grad + other, *rest, *more]
            return found if len(found) > 1 else found[0]

    def _joined(self, found: list[Any]) -> tuple[Any, list[np.ndarray]]:
        """What the call returns, and the results of both directions in the order of the input."""
        (out, *states), (other, *more) = (one if self.forward_layer.return_state else [one] for one in found)
        if self.forward_layer.return_sequences:
            other = np.ascontiguousarray(other[:, ::-1])
        found = [*self._merged(out, other), *states, *more]
        return found if len(found) > 1 else found[0], [out, other]

    @np.errstate(all="ignore")
    def _merged(self, out: np.ndarray, other: np.ndarray) -> list[np.ndarray]:
        if self.merge_mode is None:
            return [out, other]
        if self.merge_mode == "concat":
            return [np.concatenate([out, other], axis=-1)]
        if self.merge_mode == "mul":
            return [out * other]
        return [out + other if self.merge_mode == "sum" else (out + other) / self._dtype.type(2)]

    def _parted(self, grad: Any, out: np.ndarray, other: np.ndarray) -> Any:
        """The gradients of both results from that of what they were merged into."""
        if self.merge_mode == "concat":
            return np.split(grad, [out.shape[-1]], axis=-1)
        if self.merge_mode == "mul":
            return grad * other, grad * out
        if self.merge_mode == "ave":
            grad = grad / self._dtype.type(2)
        return grad if self.merge_mode is None else (grad, grad)

    def _halves(self, state: Any) -> list[Any]:
        if state is None:
            return [None, None]
        count = self.forward_layer.states
        if not isinstance(state, list | tuple) or len(state) != count + self.backward_layer.states:
            raise ValueError(
                f"initial_state must be a list of {count + self.backward_layer.states} arrays, those of both directions"
            )
        return [list(state[:count]), list(state[count:])]


def _twin(layer: Recurrent, **changes: Any) -> Recurrent:
    """A layer of the same settings, with fresh weights."""
    cls: Any = type(layer)
    settings = {name: layer._argument(name) for name in settings_of(cls)}
    if not layer._dtype_given:
        del settings["dtype"]
    made: Recurrent = cls(**{**settings, "zero_output_for_mask": layer.return_sequences, **changes})
    return made
