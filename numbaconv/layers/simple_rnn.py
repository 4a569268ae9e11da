"""SimpleRNN."""

from typing import Any

import numpy as np

from ..common.words import Activation, Common, Unpack
from .activation import activation_grad
from .recurrent import Inner, Recurrent, Scales


class SimpleRNN(Recurrent):
    """Fully connected recurrent layer (Keras's ``SimpleRNN``).

    For each step in turn ``h = activation(x[:, step] @ kernel + h @ recurrent_kernel + bias)``.

    Notes
    -----
    Input (N, steps, C), output (N, units), or (N, steps, units) with ``return_sequences``. Weights: kernel (C, units),
    recurrent_kernel (units, units), bias (units,). Steps that a mask says do not count leave the state alone and give
    what the step before gave. Keeps for backward: its input and all states. Products run in NumPy's BLAS.
    """

    gates = 1

    def __init__(
        self,
        units: int,
        activation: Activation = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        seed: int | None = None,
        **kwargs: "Unpack[Common]",
    ) -> None:
        super().__init__(**kwargs)
        self._set(locals())

    def _step(self, given: np.ndarray, state: list[np.ndarray], scales: Scales) -> tuple[list[np.ndarray], Inner]:
        h, inner = self._bent(
            self.activation, given + self._product(state[0], self._weights["recurrent_kernel"], scales)
        )
        return [h], (inner,)

    def _step_back(
        self, grads: list[np.ndarray], inner: Inner, state: list[np.ndarray], scales: Scales
    ) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
        grad = activation_grad(self.activation, grads[0], inner[0], self.dtype)
        return grad, grad, [self._product_back(grad, self._weights["recurrent_kernel"], scales, state[0].shape)]
