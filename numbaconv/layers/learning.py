"""What every layer has for training: a forward pass that remembers, a backward pass, penalties and constraints."""

from typing import Any, ClassVar

import numpy as np

from .. import regularizers
from .._naming import Named
from ..arguments import as_numbers, cast
from .weights import frozen


class Learner(Named):
    """The part of `Layer` that only training needs."""

    # Names of weights that training sets by other means than an optimizer.
    statistics: ClassVar[tuple[str, ...]] = ()
    activity_regularizer: Any = None
    trainable: bool
    dtype: str
    _dtype: np.dtype
    _weights: dict[str, np.ndarray]
    _activity_loss: float | None = None
    # What backward needs of the last forward.
    _kept: tuple[Any, ...] | None = None

    def __init__(self, name: str | None) -> None:
        super().__init__(name)
        self.gradients: list[np.ndarray | None] = []

    def __call__(self, x: Any, training: bool | None = None) -> np.ndarray:
        """See `Layer`."""
        raise NotImplementedError

    def _ready(self, x: Any) -> np.ndarray:
        """See `Layer`."""
        raise NotImplementedError

    def _forward(self, x: np.ndarray) -> tuple[np.ndarray, Any]:
        """Compute the layer as in training; return the result and what `_backward` needs besides its gradient."""
        raise NotImplementedError

    def _backward(
        self, kept: Any, grad_out: np.ndarray, input_grad: bool
    ) -> tuple[np.ndarray | None, dict[str, np.ndarray]]:
        """The gradients of the input (or None, if not wanted) and of the weights by name (needed if trainable)."""
        raise NotImplementedError

    def forward(self, x: Any, training: bool = True) -> np.ndarray:
        """Compute the layer on ``x`` and, in training, keep what `backward` needs.

        Parameters
        ----------
        x : array_like
            As for ``layer(x)``. In training it must not be changed before `backward` has run.
        training : bool
            False computes ``layer(x)`` and keeps nothing.

        Returns
        -------
        ndarray
            As from ``layer(x)``; in training it may share memory with ``x`` and must not be changed either.

        Raises
        ------
        ValueError, TypeError
            As from ``layer(x)``.
        """
        if not training:
            self._kept = None
            return self(x)
        try:
            x = self._ready(x)
            out, kept = self._forward(x)
        except (ValueError, TypeError) as error:
            raise self._labelled(error) from None
        self._after_call(out)
        self._kept = out.shape, kept, None if self.activity_regularizer is None else out
        return out

    def backward(self, grad_out: Any, input_grad: bool = True) -> np.ndarray | None:
        """Take the gradient of a loss from the output of the last `forward` back to its input and to the weights.

        Parameters
        ----------
        grad_out : array_like
            Gradient of the loss with respect to what `forward` returned, of the same shape; never changed.
        input_grad : bool
            Whether the gradient of the input is wanted; a network's first layer can do without.

        Returns
        -------
        ndarray or None
            Gradient of the loss, and of the activity penalty, with respect to the input of `forward`.

        Raises
        ------
        ValueError
            If no `forward` in training came before, or ``grad_out`` has another shape than its result.

        Notes
        -----
        Sets ``gradients``: a list in the order of `get_weights`, each of its weight's shape, penalties of regularizers
        included; None for weights that training leaves alone. What `forward` kept is let go.
        """
        with self._named():
            if self._kept is None:
                raise ValueError("backward needs a forward(x, training=True) before it, one for each backward")
            shape, kept, activity = self._kept
            grad_out = cast(as_numbers(grad_out, "grad_out"), self._dtype)
            if grad_out.shape != shape:
                raise ValueError(f"grad_out must have shape {shape}, that of forward's result, got {grad_out.shape}")
            if activity is not None:
                grad_out = grad_out + regularizers.gradient(self.activity_regularizer)(activity) / max(len(activity), 1)
            grad_x, gradients = self._backward(kept, grad_out, input_grad)
            trained = self._trained
            if not set(trained) <= set(gradients):
                raise ValueError(f"_backward must return gradients of {trained}, got those of {list(gradients)}")
            for name in trained:
                penalty = self._component(name, "regularizer")
                if penalty is not None:
                    gradients[name] = gradients[name] + regularizers.gradient(penalty)(self._weights[name])
            self.gradients = [gradients[name] if name in trained else None for name in self._weights]
            self._kept = None
            return grad_x

    @property
    def trainable_weights(self) -> list[np.ndarray]:
        """The weights that an optimizer changes; none if ``trainable`` is False."""
        return [self._weights[name] for name in self._trained]

    @property
    def non_trainable_weights(self) -> list[np.ndarray]:
        """The weights that an optimizer leaves alone."""
        trained = self._trained
        return [w for name, w in self._weights.items() if name not in trained]

    def apply_constraints(self) -> None:
        """Put every weight that has a constraint through it, as an optimizer does after an update."""
        with self._named():
            constrained = ((name, self._component(name, "constraint")) for name in self._weights)
            self._assign(
                {name: constrain(self._weights[name]) for name, constrain in constrained if constrain is not None}
            )

    @property
    def losses(self) -> list[float]:
        """Penalties: one per regularized weight that is trained, and the last call's activity penalty per example."""
        regularizers_ = ((self._weights[name], self._component(name, "regularizer")) for name in self._trained)
        penalties = [float(penalty(w)) for w, penalty in regularizers_ if penalty is not None]
        return penalties if self._activity_loss is None else [*penalties, self._activity_loss]

    @property
    def _trained(self) -> list[str]:
        """Names of the weights that an optimizer changes."""
        return [name for name in self._weights if name not in self.statistics] if self.trainable else []

    def _component(self, weight: str, kind: str) -> Any:
        """The initializer, regularizer or constraint of a weight or None: depthwise_initializer of depthwise_kernel."""
        return getattr(self, f"{weight.removesuffix('_kernel')}_{kind}", None)

    def _assign(self, values: dict[str, Any]) -> None:
        # A new dict every time: whatever is derived from the weights is kept with the dict it was made from.
        new = {n: frozen(v, self._weights[n].shape, self.dtype, n) for n, v in values.items()}
        self._weights = {**self._weights, **new}

    def _after_call(self, out: np.ndarray) -> None:
        if self.activity_regularizer is not None:
            self._activity_loss = float(self.activity_regularizer(out)) / max(len(out), 1)
