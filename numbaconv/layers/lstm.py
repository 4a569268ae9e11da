"""LSTM."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..common.arguments import check_bool
from ..common.words import Activation, Common, Unpack
from .activation import activation_grad
from .recurrent import Inner, Recurrent, Scales, check_use_cudnn
from .weights import frozen


class LongShortTerm(Recurrent):
    """What `LSTM` has in common with those whose products are convolutions."""

    gates, states = 4, 2
    recurrent_activation: Callable[[np.ndarray], np.ndarray]
    unit_forget_bias: bool

    def _drawn_weight(self, name: str, size: tuple[int, ...]) -> np.ndarray:
        drawn = super()._drawn_weight(name, size)
        # Weights that are to come from elsewhere take no memory, and have no strides.
        if name != "bias" or not self.unit_forget_bias or not any(drawn.strides):
            return drawn
        forget = np.repeat([False, True, False, False], self.units)
        return frozen(np.where(forget, 1, drawn), size, self.dtype, "initial bias")

    @property
    def _activations(self) -> list[Callable[[np.ndarray], np.ndarray]]:
        rec = self.recurrent_activation
        return [rec, rec, self.activation, rec]

    def _step(self, given: np.ndarray, state: list[np.ndarray], scales: Scales) -> tuple[list[np.ndarray], Inner]:
        h, c = state
        sums = np.split(given + self._product(h, self._weights["recurrent_kernel"], scales), 4, axis=-1)
        gates, inner = zip(*map(self._bent, self._activations, sums), strict=True)
        i, f, g, o = gates
        c = f * c + i * g
        read, of_read = self._bent(self.activation, c)
        return [o * read, c], (gates, inner, read, of_read)

    def _step_back(
        self, grads: list[np.ndarray], inner: Inner, state: list[np.ndarray], scales: Scales
    ) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
        (i, f, g, o), kept, read, of_read = inner
        of_h, of_c = grads
        of_c = of_c + activation_grad(self.activation, of_h * o, of_read, self.dtype)
        of_gates = of_c * g, of_c * state[1], of_c * i, of_h * read
        ways = zip(self._activations, of_gates, kept, strict=True)
        grad = np.concatenate([activation_grad(*way, self.dtype) for way in ways], axis=-1)
        return (
            grad,
            grad,
            [self._product_back(grad, self._weights["recurrent_kernel"], scales, state[0].shape), of_c * f],
        )


class LSTM(LongShortTerm):
    """Long short-term memory (Keras's ``LSTM``).

    For each step in turn ``i, f, g, o = split(x[:, step] @ kernel + h @ recurrent_kernel + bias, 4)``, then
    ``c = rec(f) * c + rec(i) * activation(g)`` and ``h = rec(o) * activation(c)`` with ``rec`` for
    ``recurrent_activation``.

    Parameters
    ----------
    units : int
        Length of the states ``h`` and ``c``, and of the result ``h``.
    unit_forget_bias : bool
        Whether the bias of ``f`` begins as 1.
    return_state : bool
        Whether the call returns a list of the result, ``h`` and ``c``.

    Notes
    -----
    Input (N, steps, C), output (N, units), or (N, steps, units) with ``return_sequences``. Weights: kernel
    (C, 4 * units), recurrent_kernel (units, 4 * units), bias (4 * units,), in the order i, f, g, o. Steps that a mask
    says do not count leave the state alone and give what the step before gave. Keeps for backward: its input, and the
    states and gates of all steps. Products run in NumPy's BLAS.

    Hochreiter and Schmidhuber, "Long Short-Term Memory", 1997.
    """

    def __init__(
        self,
        units: int,
        activation: Activation = "tanh",
        recurrent_activation: Activation = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        use_cudnn: Any = "auto",
        **kwargs: "Unpack[Common]",
    ) -> None:
        super().__init__(**kwargs)
        self._set(locals())
        with self._named():
            self.unit_forget_bias = check_bool(unit_forget_bias, "unit_forget_bias")
            self.use_cudnn = check_use_cudnn(use_cudnn)
