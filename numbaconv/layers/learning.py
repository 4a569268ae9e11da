"""What every layer has for training: a forward pass that remembers, a backward pass, penalties and constraints."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, ClassVar

import numpy as np

from .. import regularizers
from ..common.arguments import as_numbers, cast
from ..objects.naming import Named
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

    # The same, while the ``backward`` of a user's class is at work.
    _returning: tuple[Any] | None = None
    _attributes: dict[str, str]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # One that takes input_grad too replaces the whole method.
        if "backward" in vars(cls) and "input_grad" not in inspect.signature(cls.backward).parameters:
            cls.backward = _as_hook(cls.backward)  # type: ignore[method-assign]

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
        raise NotImplementedError(f"{self._label} must define call(x)")

    def _backward(
        self, kept: Any, grad_out: np.ndarray, input_grad: bool
    ) -> tuple[np.ndarray | None, dict[str, np.ndarray]]:
        """The gradients of the input (or None, if not wanted) and of the weights by name (needed if trainable)."""
        raise NotImplementedError(f"{self._label} must define backward(grad_out) to be trained")

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
        self._kept = out.shape, kept, None if self.activity_regularizer is None else out, x.shape
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
        A layer of your own defines ``backward(grad_out)``. It returns the gradient of the input, and with it, if there
        are weights, a dict of their gradients by name.

        Sets ``gradients``: a list in the order of `get_weights`, each of its weight's shape, penalties of regularizers
        included; None for weights that training leaves alone. What `forward` kept is let go.
        """
        if self._returning is not None:
            # super().backward(grad_out) in a user's class: what the hook itself has to return.
            return self._backward(*self._returning, grad_out, True)  # type: ignore[return-value]
        with self._named():
            if self._kept is None:
                raise ValueError("backward needs a forward(x, training=True) before it, one for each backward")
            shape, kept, activity, x_shape = self._kept
            grad_out = cast(as_numbers(grad_out, "grad_out"), self._dtype)
            if grad_out.shape != shape:
                raise ValueError(f"grad_out must have shape {shape}, that of forward's result, got {grad_out.shape}")
            if activity is not None:
                grad_out = grad_out + regularizers.gradient(self.activity_regularizer)(activity) / max(len(activity), 1)
            if hasattr(type(self).backward, "is_hook"):
                grad_x, gradients = self._asked(kept, grad_out, x_shape)
            else:
                grad_x, gradients = self._backward(kept, grad_out, input_grad)
            trained = self._trained
            if not set(trained) <= set(gradients):
                raise ValueError(f"backward must return gradients of {trained}, got those of {list(gradients)}")
            for name in trained:
                penalty = self._component(name, "regularizer")
                if penalty is not None:
                    gradients[name] = gradients[name] + regularizers.gradient(penalty)(self._weights[name])
            self.gradients = [gradients[name] if name in trained else None for name in self._weights]
            self._kept = None
            return grad_x

    def _asked(
        self, kept: Any, grad_out: np.ndarray, x_shape: tuple[int, ...]
    ) -> tuple[np.ndarray | None, dict[str, np.ndarray]]:
        """What the ``backward`` of a user's class returns, in the form that `_backward` has."""
        self._returning = (kept,)
        try:
            result: Any = self.backward(grad_out)
        finally:
            self._returning = None
        grad_x, named = result if isinstance(result, tuple) and len(result) == 2 else (result, {})
        if not isinstance(named, dict):
            raise TypeError(
                "backward must return the gradient of the input, or a tuple of it and a dict of the gradients of the "
                f"weights by name, got {result!r}"
            )
        gradients = {self._attributes.get(name, name): gradient for name, gradient in named.items()}
        wanted = {
            name: (gradient, self._weights[name].shape) for name, gradient in gradients.items() if name in self._weights
        }
        if grad_x is not None:
            grad_x = self._gradient("the input", grad_x, x_shape)
        return grad_x, {name: self._gradient(name, *one) for name, one in wanted.items()}

    def _gradient(self, of: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
        gradient = cast(as_numbers(value, f"the gradient of {of}"), self._dtype)
        if gradient.shape != shape:
            raise ValueError(f"backward must return a gradient of {of} of shape {shape}, got {gradient.shape}")
        return gradient

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


def _as_hook(method: Callable[..., Any]) -> Callable[..., Any]:
    """A user's ``backward`` with all that belongs to it, except where `Learner.backward` itself calls it."""

    @wraps(method)
    def backward(self: Learner, grad_out: Any, input_grad: bool = True) -> Any:
        return Learner.backward(self, grad_out, input_grad) if self._returning is None else method(self, grad_out)

    backward.is_hook = True  # type: ignore[attr-defined]
    return backward
