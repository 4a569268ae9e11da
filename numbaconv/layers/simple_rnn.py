"""SimpleRNN."""

from typing import Any

import numpy as np

from .activation import activated
from .recurrent import Recurrent


class SimpleRNN(Recurrent):
    """Fully connected recurrent layer (Keras's ``SimpleRNN``).

    For each step in turn ``h = activation(x[:, step] @ kernel + h @ recurrent_kernel + bias)``.

    Parameters
    ----------
    units : int
        Length of the state ``h``, and of the result.
    activation : str or callable, optional
        See `numbaconv.activations`.
    use_bias : bool
    kernel_initializer, recurrent_initializer, bias_initializer : str, class, dict or callable
        See `numbaconv.initializers`.
    kernel_regularizer, ..., activity_regularizer : str, class, dict or callable, optional
        Penalties reported by `Layer.losses`; see `numbaconv.regularizers`.
    kernel_constraint, recurrent_constraint, bias_constraint : str, class, dict or callable, optional
        Applied by `Layer.apply_constraints`; see `numbaconv.constraints`.
    dropout, recurrent_dropout : float
        From 0 to 1. They act in training alone, so in prediction they change nothing.
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
    seed : int, optional
        Of the dropout.

    Raises
    ------
    ValueError, TypeError
        For arguments out of their range or of the wrong kind.

    Notes
    -----
    Input (N, steps, C), output (N, units), or (N, steps, units) with ``return_sequences``. Weights: kernel (C, units),
    recurrent_kernel (units, units), bias (units,). Steps that a mask says do not count leave the state alone and give
    what the step before gave. For prediction only: it is not trained. Products run in NumPy's BLAS.
    """

    gates = 1

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
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
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._set(locals())

    def _step(self, given: np.ndarray, state: list[np.ndarray], weights: dict[str, np.ndarray]) -> list[np.ndarray]:
        return [activated(self.activation, given + state[0] @ weights["recurrent_kernel"], self.dtype)]
