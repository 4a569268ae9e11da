"""BatchNormalization."""

from math import prod
from typing import Any

import numpy as np

from ..calls.epilogue import NO_MINIMUM
from ..calls.layouts import contiguous
from ..calls.normalizing import Factors, filled, gradients_of, normalized, quick_tables, scaled, tables_of
from ..common.again import again, at_end, fill
from ..common.arrays import cast
from ..common.words import Penalized, Unpack
from ..machine.aligned import aligned_empty
from ..objects.registry import number
from .activation import joins_relu
from .along_axes import Affine, one_axis
from .learning import Grads
from .weights import Weight, frozen_parts


class BatchNormalization(Affine):
    """Bring every channel to mean beta and standard deviation gamma (Keras's ``BatchNormalization``).

    ``out = gamma * (x - mean) / sqrt(variance + epsilon) + beta`` with one of each for every channel. In training, mean
    and variance are those of the batch, the variance without Bessel's correction, and the moving ones follow them:
    ``moving = momentum * moving + (1 - momentum) * batch``. Otherwise, and always with ``trainable`` False, the moving
    ones are used.

    Parameters
    ----------
    axis : int or list of one int
        Of the channels: -1 for channels last, 1 for channels first, or any other but that of the batch.
    momentum : float
        Share of the moving mean and variance that a batch leaves, from 0 to 1.

    Notes
    -----
    Input (N, ..., C), or with C at ``axis``, output the same. Weights: gamma, beta, moving_mean,
    moving_variance, each (C,). An empty batch leaves the moving ones alone. Keeps for backward: its input, and the mean
    and deviation of each channel.

    Ioffe and Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate Shift",
    2015.
    """

    supports_masking = True
    moving_mean, moving_variance = Weight(), Weight()
    statistics = ("moving_mean", "moving_variance")
    _neutral = dict.fromkeys(("renorm", "synchronized"), ((False,), "mean and variance are those of one batch"))
    _neutral |= {"renorm_clipping": ((None,), "there is no renorm"), "renorm_momentum": ((0.99,), "there is no renorm")}
    # Files of Keras 1 and 2.
    _neutral |= {
        "fused": ((None, True, False), "it chooses between ways to the same result"),
        "virtual_batch_size": ((None,), "mean and variance are those of the whole batch"),
        "adjustment": ((None,), "mean and variance are used as they are"),
    }

    def __init__(
        self,
        axis: Any = -1,
        momentum: float = 0.99,
        epsilon: float = 0.001,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: "Unpack[Penalized]",
    ) -> None:
        super().__init__(**kwargs)
        with self._named():
            self.axis = one_axis(axis)
            self.momentum = number(momentum, "momentum", minimum=0, maximum=1)
            self._set_affine(epsilon, center, scale)
            self._set_components(locals())
        # What the factors of inference were made from, weights and a shape, and those factors.
        self._factors: tuple[Any, Any, Any] = (None, None, None)

    _repeats = True

    @np.errstate(all="ignore")
    def call(self, x: np.ndarray) -> np.ndarray:
        self._must_fit(x)
        planes = self._planes(x)
        weights, shape, tables = self._factors
        if weights is not self._weights or shape != planes.shape:
            weights = self._weights
            tables = quick_tables(planes, self._moving_factors(weights))
            self._factors = weights, planes.shape, tables
        return filled(planes, tables).reshape(x.shape)

    def _takes_in(self, follower: Any) -> bool:
        # The moving mean and variance leave infinities alone, which do not pass the multiply-adds of the way back.
        return self.trainable and joins_relu(self, follower)

    def _takes_sum(self, adding: Any, follower: Any) -> bool:
        return adding._adds and adding._takes_in(follower) and self._takes_in(follower)

    def _forward(self, x: np.ndarray, joined: bool = False, onto: np.ndarray | None = None) -> tuple[np.ndarray, Any]:
        return self._normalized(x, self.trainable and x.size > 0, joined, onto)

    def _forward_still(self, x: np.ndarray) -> tuple[np.ndarray, Any]:
        return self._normalized(x, False)

    def _normalized(
        self, x: np.ndarray, by_batch: bool, joined: bool = False, onto: np.ndarray | None = None
    ) -> tuple[np.ndarray, Any]:
        """The result, relu of it, or relu of its sum with another array, and what the way back of the first needs."""
        planes, low = self._planes(x), NO_MINIMUM if onto is None and not joined else 0.0
        if by_batch:
            given, defaults = self._weights, (("gamma", 1), ("beta", 0), *((name, 0) for name in self.statistics))
            weights = aligned_empty((4, planes.shape[1]), np.float64)
            again(_fill_rows, weights, [given.get(name, default) for name, default in defaults])
            out, factors = normalized(planes, weights, self.epsilon, self.momentum, low, onto)
            at_end(self._follow, factors.found)
        else:
            found = self._moving_factors(self._weights)
            factors = Factors(found, tables_of(planes, found[0], *found[2:]))
            out = scaled(planes, found[2], found[3], low)
        return out.reshape(x.shape), (planes, factors, by_batch, joined)

    def _backward(self, kept: Any, grad_out: np.ndarray, input_grad: bool) -> Grads:
        planes, factors, by_batch, joined = kept
        grad, gradients, grad_x = self._planes(grad_out), {}, None
        if self.trainable or by_batch:
            found, grad_x = gradients_of(grad, planes, factors, joined, input_grad and by_batch)
            both = aligned_empty(found.shape, self._dtype)
            again(fill, both, found)
            gradients = dict(zip(("gamma", "beta"), both, strict=True))
        if input_grad and not by_batch:
            scale = factors.found[2]
            grad_x = scaled(grad, scale, np.zeros_like(scale))
        return None if grad_x is None else grad_x.reshape(grad_out.shape), gradients

    def _follow(self, found: np.ndarray) -> None:
        """Take over what the moving mean and variance become."""
        parts = frozen_parts(cast(found[4:], self._dtype))
        self._weights = {**self._weights, **dict(zip(self.statistics, parts, strict=True))}

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_factors": (None, None, None)}

    @np.errstate(all="ignore")
    def _moving_factors(self, weights: dict[str, np.ndarray]) -> np.ndarray:
        """With these weights outside training: mean, deviation, and scale and shift of ``out = x * scale + shift``."""
        mean, variance = (weights[name].astype(np.float64) for name in self.statistics)
        deviation = np.sqrt(variance + self.epsilon)
        scale = weights.get("gamma", 1) / deviation
        return np.array([mean, deviation, scale, weights.get("beta", 0) - mean * scale])

    def _factors_of(self, weights: dict[str, np.ndarray]) -> np.ndarray:
        """The last two."""
        return self._moving_factors(weights)[2:]

    def _planes(self, x: np.ndarray) -> np.ndarray:
        """View an array as (A, C, B), the channels in the middle; copy it where it is not contiguous."""
        (axis,) = self._axes(x.ndim)
        return contiguous(x).reshape(prod(x.shape[:axis]), x.shape[axis], prod(x.shape[axis + 1 :]))


def _fill_rows(table: np.ndarray, rows: list[Any]) -> None:
    for i, row in enumerate(rows):
        table[i] = row
