"""GRU."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..common.arguments import check_bool
from ..common.words import Activation, Common, Unpack
from .activation import activated
from .recurrent import Recurrent, check_use_cudnn


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
    For prediction only: it is not trained. Products run in NumPy's BLAS.

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

    def _step(self, given: np.ndarray, state: list[np.ndarray], weights: dict[str, np.ndarray]) -> list[np.ndarray]:
        (h,), matrix = state, weights["recurrent_kernel"]
        # Of the third product only as much as does not wait for r.
        products = h @ (matrix if self.reset_after else matrix[:, : 2 * self.units])
        if self.reset_after and self.use_bias:
            products += weights["bias"][1]
        gates = 2 * self.units
        z, r = (
            activated(self.recurrent_activation, one, self.dtype)
            for one in np.split(given[:, :gates] + products[:, :gates], 2, axis=1)
        )
        reset = r * products[:, gates:] if self.reset_after else (r * h) @ matrix[:, gates:]
        return [z * h + (1 - z) * activated(self.activation, given[:, gates:] + reset, self.dtype)]
