"""What every layer has for training: a forward pass that remembers, a backward pass, penalties and constraints."""

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, ClassVar

import numpy as np

from .. import regularizers
from ..common.arguments import as_numbers, cast
from ..common.structures import leaves
from ..graph.operation import Gradients, Operation
from ..objects.docstrings import parameter_names
from .weights import frozen

# Gradients of the input (or of several in a list; None, if not wanted), and of the weights by name.
Grads = tuple[Any, dict[str, np.ndarray]]
NO_FORWARD = "backward needs a forward(x, training=True) before it, one for each backward"
# What a layer keeps of a call that the one before it has computed.
_JOINED = object()
# What a call may replace that is none of what a user's layer remembers of it.
_NOT_REMEMBERED = frozenset({"_weights", "_calls", "_activity_loss", "gradients"})


class Learner(Operation):
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
    _calls: dict[tuple[Any, ...], Any]
    # Of `Layer`: its call, the input as it takes it, and `_forward` or `_forward_still`, with a mask if it takes one.
    __call__: Any
    _ready: Any
    _forward_with: Any
    # Of `Repeating`: what the two return by a step that is written down, or None where there is none, and its making.
    _forward_again: Any
    _backward_again: Any
    _write_step: Any
    # Whether a user's class has a ``forward`` or a whole ``backward`` of its own.
    _replaced: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # One that takes input_grad too replaces the whole method.
        if "backward" in vars(cls) and "input_grad" not in parameter_names(cls.backward):
            cls.backward = _as_hook(cls.backward)  # type: ignore[method-assign]
        whole = cls.backward is not Learner.backward and not hasattr(cls.backward, "is_hook")
        cls._replaced = whole or cls.forward is not Learner.forward

    def __init__(self, name: str | None) -> None:
        super().__init__(name)
        self._nodes = []
        self.gradients: list[np.ndarray | None] = []

    def _forward(self, x: Any) -> tuple[np.ndarray, Any]:
        """Compute the layer as in training; return the result and what `_backward` needs besides its gradient."""
        raise NotImplementedError(f"{self._label} must define call(x)")

    def _forward_still(self, x: Any) -> tuple[np.ndarray, Any]:
        """What `_forward` does, but with the values of a call outside training, for a layer with a difference."""
        return self._forward(x)

    def _backward(self, kept: Any, grad_out: np.ndarray, input_grad: bool) -> Grads:
        """The gradients of the input (or None, if not wanted) and of the weights by name (needed if trainable)."""
        return self._input_grad(kept, grad_out) if input_grad else None, {}

    def _input_grad(self, kept: Any, grad_out: np.ndarray) -> Any:
        """All of `_backward` for a layer without weights."""
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
        again = self._forward_again(x)
        if again is not None:
            return again
        # Whoever replaces one of the two methods may call this one by super().
        out, self._kept = self._traced(x, True) if self._replaced else self._trace(x)
        return out

    def _trace(self, *inputs: Any, training: bool | None = True, **keywords: Any) -> tuple[Any, Any]:
        if self._replaced:
            return self.forward(*inputs), None
        (x,) = inputs
        return self._traced(x, training is not False, **keywords)

    def _traced(self, x: Any, training: bool, **keywords: Any) -> tuple[Any, Any]:
        try:
            x = self._ready(x)
            before = None if self._own else dict(vars(self))
            out, kept = self._forward_with(x, training, **keywords)
        except (ValueError, TypeError) as error:
            raise self._labelled(error) from None
        self._after_call(out)
        activity = None if self.activity_regularizer is None else out
        # A setting that is changed replaces the calls.
        noted = before and self._remembered(before)
        return out, (shapes_of(out), kept, activity, shapes_of(x), (self._calls, self._weights), noted)

    def _computed(self, out: np.ndarray) -> Any:
        """What `_trace` keeps where the layer before it has computed this result of both, and their way back."""
        return out.shape, _JOINED, None, out.shape, (self._calls, self._weights), None

    def _passes(self, kept: Any) -> bool:
        return kept is not None and kept[1] is _JOINED

    def _remembered(self, before: dict[str, Any]) -> dict[str, Any]:
        """What a user's layer has noted of a call, which may be not its last one before the way back."""
        now = vars(self).items()
        return {n: v for n, v in now if n not in _NOT_REMEMBERED and (n not in before or before[n] is not v)}

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
                raise ValueError(NO_FORWARD)
            again = self._backward_again(grad_out, input_grad)
            if again is not None:
                return again[0]
            gradients, x_shape = Gradients(), self._kept[3]
            if self._replaced:
                grad_x = self._taken_back(self._kept, grad_out, input_grad, gradients)
                self._settled(gradients)
            else:
                grad_x = self._take_back(self._kept, grad_out, input_grad, gradients)
                self._settle(gradients)
                self._write_step(x_shape, input_grad)
            return grad_x

    def _take_back(self, kept: Any, grad_out: Any, input_grad: bool, gradients: Gradients) -> Any:
        if self._replaced:
            return self.backward(grad_out, input_grad)
        return self._taken_back(kept, grad_out, input_grad, gradients)

    def _taken_back(self, kept: Any, grad_out: Any, input_grad: bool, gradients: Gradients) -> Any:
        shape, kept, activity, x_shape, (calls, weights), remembered = kept
        with self._named():
            if calls is not self._calls:
                raise ValueError(NO_FORWARD)
            changed = weights is not self._weights and self._changed_since(weights)
            if changed:
                raise ValueError(
                    f"weights must not change between forward and backward, but {', '.join(changed)} did: call forward"
                    " again"
                )
            vars(self).update(remembered or {})
            grad_out = self._matching(grad_out, shape)
            if kept is _JOINED:
                return grad_out
            if activity is not None:
                grad_out = self._with_penalty(grad_out, activity)
            if hasattr(type(self).backward, "is_hook"):
                grad_x, found = self._asked(kept, grad_out, x_shape)
            else:
                grad_x, found = self._backward(kept, grad_out, input_grad)
            if self._weights:
                trained = self._trained
                if not set(trained) <= set(found):
                    raise ValueError(f"backward must return gradients of {trained}, got those of {list(found)}")
                gradients.add(self, {name: found[name] for name in trained})
            return grad_x

    def _matching(self, grad_out: Any, shape: Any) -> Any:
        """The gradient as an array of this shape; a list for a list of shapes, with 0 for what nobody has read."""
        if isinstance(shape, list):
            if not isinstance(grad_out, list | tuple) or len(grad_out) != len(shape):
                raise ValueError(
                    f"grad_out must be a list of {len(shape)} arrays, as forward's result, got {grad_out!r}"
                )
            pairs = zip(grad_out, shape, strict=True)
            return [np.zeros(one, self._dtype) if grad is None else self._matching(grad, one) for grad, one in pairs]
        grad_out = cast(as_numbers(grad_out, "grad_out"), self._dtype)
        if grad_out.shape != shape:
            raise ValueError(f"grad_out must have shape {shape}, that of forward's result, got {grad_out.shape}")
        return grad_out

    def _with_penalty(self, grad_out: Any, out: Any) -> Any:
        """The gradient and that of the activity penalty, of one result or of each in a list."""
        if isinstance(out, list):
            return [self._with_penalty(*pair) for pair in zip(grad_out, out, strict=True)]
        return grad_out + regularizers.gradient(self.activity_regularizer)(out) / max(len(out), 1)

    def _changed_since(self, weights: dict[str, np.ndarray]) -> list[str]:
        """Names of weights, but for those that forward itself may change, that were others then."""
        return [name for name, w in self._weights.items() if w is not weights.get(name) and name not in self.statistics]

    def _settle(self, gradients: Gradients) -> None:
        """Set ``gradients`` to what the calls gave, and the penalties; 0 for weights that no call has led to."""
        if not self._replaced:
            self._settled(gradients)
        vars(self)["_kept"] = None

    def _settled(self, gradients: Gradients) -> None:
        vars(self)["_kept"] = None
        if not self._weights:
            vars(self)["gradients"] = []
            return
        found, trained = gradients.of(self), self._trained
        for name in trained:
            penalty = self._component(name, "regularizer")
            if name not in found:
                found[name] = np.zeros_like(self._weights[name])
            if penalty is not None:
                found[name] = found[name] + regularizers.gradient(penalty)(self._weights[name])
        vars(self)["gradients"] = [found[name] if name in trained else None for name in self._weights]

    def _asked(self, kept: Any, grad_out: np.ndarray, x_shape: Any) -> tuple[Any, dict[str, np.ndarray]]:
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
        if isinstance(x_shape, list):
            if not isinstance(grad_x, list | tuple) or len(grad_x) != len(x_shape):
                raise ValueError(
                    f"backward must return a list of {len(x_shape)} gradients of the inputs, got {grad_x!r}"
                )
            pairs = zip(grad_x, x_shape, strict=True)
            grad_x = [self._gradient(f"input {i}", one, shape) for i, (one, shape) in enumerate(pairs)]
        elif grad_x is not None:
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
        # Interned, since Python keeps every new name that it looked up for a while.
        return getattr(self, sys.intern(f"{weight.removesuffix('_kernel')}_{kind}"), None)

    def _assign(self, values: dict[str, Any]) -> None:
        # A new dict every time: whatever is derived from the weights is kept with the dict it was made from.
        new = {n: frozen(v, self._weights[n].shape, self._dtype, n) for n, v in values.items()}
        self._weights = {**self._weights, **new}

    def _after_call(self, out: Any) -> None:
        if self.activity_regularizer is not None:
            penalties = (float(self.activity_regularizer(one)) / max(len(one), 1) for one in leaves(out))
            self._activity_loss = sum(penalties)


def _as_hook(method: Callable[..., Any]) -> Callable[..., Any]:
    """A user's ``backward`` with all that belongs to it, except where `Learner.backward` itself calls it."""

    @wraps(method)
    def backward(self: Learner, grad_out: Any, input_grad: bool = True) -> Any:
        return Learner.backward(self, grad_out, input_grad) if self._returning is None else method(self, grad_out)

    backward.is_hook = True  # type: ignore[attr-defined]
    return backward


def shapes_of(x: Any) -> Any:
    """The shape of an array, or the list of those of several."""
    return [one.shape for one in x] if isinstance(x, list) else x.shape
