"""GRU."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..common.arguments import check_bool
from ..common.words import Activation, Common, Unpack
from .activation import activation_grad
from .recurrent import Inner, Recurrent, Scales, Taken, check_use_cudnn


class GRU(Recurrent):
    """Gated recurrent unit (Keras's ``GRU``).

    For each step in turn, with ``xz, xr, xn = split(x[:, step] @ kernel + bias[0], 3)`` and
    ``hz, hr, hn = split(h @ recurrent_kernel + bias[1], 3)``, ``z = rec(xz + hz)``, ``r = rec(xr + hr)`` and
    ``h = z * h + (1 - z) * activation(xn + r * hn)``, where ``rec`` is ``recurrent_activation``. Without
    ``reset_after`` there is one bias, and ``hn`` is the product with ``r * h`` in place of ``r * hn``.

    Parameters
    ----------
    reset_after : bool
        Whether ``r`` acts on the product with the recurrent kernel, or on the state before it.

    Notes
    -----
    Input (N, steps, C), output (N, units), or (N, steps, units) with ``return_sequences``. Weights: kernel
    (C, 3 * units), recurrent_kernel (units, 3 * units), bias (2, 3 * units), or (3 * units,) without ``reset_after``,
    in the order z, r, n. Steps that a mask says do not count leave the state alone and give what the step before gave.
    Keeps for backward: its input, and the states and gates of all steps. Products run in NumPy's BLAS.

    Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine Translation", 2014.
    """

    gates = 3
    recurrent_activation: Callable[[np.ndarray], np.ndarray]

    def __init__(
        self,
        units: int,
        activation: Activation = "tanh",
        recurrent_activation: Activation = "sigmoid",
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
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        reset_after: bool = True,
        use_cudnn: Any = "auto",
        **kwargs: "Unpack[Common]",
    ) -> None:
        super().__init__(**kwargs)
        self._set(locals())
        with self._named():
            self.reset_after = check_bool(reset_after, "reset_after")
            self.use_cudnn = check_use_cudnn(use_cudnn)

    def _bias_shape(self) -> tuple[int, ...]:
        return (2, 3 * self.units) if self.reset_after else (3 * self.units,)

    def _step(self, given: np.ndarray, state: list[np.ndarray], scales: Scales) -> tuple[list[np.ndarray], Inner]:
        (h,), matrix, gates = state, self._weights["recurrent_kernel"], 2 * self.units
        if self.reset_after:
            products = self._product(h, matrix, scales)
            if self.use_bias:
                products += self._weights["bias"][1]
        else:
            # Only as much as does not wait for r.
            products = self._product(h, matrix[:, :gates], _first(scales))
        z, r = np.split(given[:, :gates] + products[:, :gates], 2, axis=1)
        (z, of_z), (r, of_r) = self._bent(self.recurrent_activation, z), self._bent(self.recurrent_activation, r)
        read = products[:, gates:] if self.reset_after else h if scales is None else h * scales[-1]
        reset = r * read
        reset = reset if self.reset_after else reset @ matrix[:, gates:]
        n, of_n = self._bent(self.activation, given[:, gates:] + reset)
        return [z * h + (1 - z) * n], (z, r, n, read, of_z, of_r, of_n)

    def _step_back(
        self, grads: list[np.ndarray], inner: Inner, state: list[np.ndarray], scales: Scales
    ) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
        (z, r, n, read, of_z, of_r, of_n), (of_h,), (h,) = inner, grads, state
        matrix, gates = self._weights["recurrent_kernel"], 2 * self.units
        grad_n = activation_grad(self.activation, of_h * (1 - z), of_n, self.dtype)
        # Of r times what it acts on.
        reset = grad_n if self.reset_after else grad_n @ matrix[:, gates:].T
        grad_z = activation_grad(self.recurrent_activation, of_h * (h - n), of_z, self.dtype)
        grad_r = activation_grad(self.recurrent_activation, reset * read, of_r, self.dtype)
        given = np.concatenate([grad_z, grad_r, grad_n], axis=1)
        before = of_h * z
        if self.reset_after:
            through = np.concatenate([grad_z, grad_r, reset * r], axis=1)
            return given, through, [before + self._product_back(through, matrix, scales, h.shape)]
        before += reset * r if scales is None else reset * r * scales[-1]
        return given, given, [before + self._product_back(given[:, :gates], matrix[:, :gates], _first(scales), h.shape)]

    def _recurrent_grad(self, tape: list[Taken], grad: np.ndarray, scales: Scales) -> np.ndarray:
        if self.reset_after:
            return super()._recurrent_grad(tape, grad, scales)
        gates = 2 * self.units
        reset = np.stack([r * read for _, r, _, read, *_ in (one.inner for one in tape)])
        first = super()._recurrent_grad(tape, grad[..., :gates], _first(scales))
        return np.concatenate([first, self._kernel_grad(reset, grad[..., gates:], None)], axis=1)

    def _bias_grad(self, of_kernel: np.ndarray, of_recurrent: np.ndarray) -> np.ndarray:
        return np.stack([of_kernel, of_recurrent]) if self.reset_after else of_kernel


def _first(scales: Scales) -> Scales:
    """Those of z and r."""
    return None if scales is None else scales[:2]
