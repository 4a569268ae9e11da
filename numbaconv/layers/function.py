"""Lambda: a function of the user's as a layer."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .. import shapes
from ..common.arguments import cast
from ..common.arrays import as_numbers
from .any_rank import AnyRank, Shape


class Lambda(AnyRank):
    """Apply a function of your own (Keras's ``Lambda``): ``out = function(x, **arguments)``.

    Parameters
    ----------
    function : callable
        Takes an array, which it must not change, and returns one. Where it has a parameter ``training`` or ``mask``, it
        gets that too.
    output_shape : tuple of int or None, or callable, optional
        Shape of one result without the batch axis; or a function of the input's shape that returns the result's, both
        with the batch axis. Otherwise the function is tried on zeros.
    mask : optional
        Handed on: a mask, or a function (inputs, mask) that returns one.
    arguments : dict, optional
        Keyword arguments for ``function``.
    gradient : callable, optional
        For training through the layer: ``gradient(grad_out, x, **arguments)`` returns the gradient of a loss with
        respect to ``x``, given that with respect to the result. Keras has no such argument.

    Raises
    ------
    ValueError, TypeError
        For arguments of the wrong kind, and where the function fails or returns something else than its array.

    Notes
    -----
    Input of any shape. What the function returns is brought to the layer's dtype. A configuration, and so a file, holds
    no functions: `get_config` raises. Keeps for backward: its input.

    Examples
    --------
    >>> import numpy as np
    >>> layer = Lambda(np.abs, gradient=lambda grad_out, x: grad_out * np.sign(x))
    >>> layer.forward([[-2.0, 3.0]])
    array([[2., 3.]], dtype=float32)
    >>> layer.backward([[1.0, 1.0]])
    array([[-1.,  1.]], dtype=float32)
    """

    _states = frozenset({"_shape"})

    def __init__(
        self,
        function: Callable[..., Any],
        output_shape: Any = None,
        mask: Any = None,
        arguments: Mapping[str, Any] | None = None,
        *,
        gradient: Callable[..., Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        with self._named():
            for name, value in (("function", function), ("gradient", gradient)):
                if not callable(value) and (value is not None or name == "function"):
                    raise TypeError(f"{name} must be a function, got {value!r}")
            if not isinstance(arguments, Mapping | None):
                raise TypeError(f"arguments must be a dict of keyword arguments, got {arguments!r}")
            if output_shape is not None and not callable(output_shape):
                if not isinstance(output_shape, tuple | list):
                    raise TypeError(f"output_shape must be a tuple of sizes or a function, got {output_shape!r}")
                output_shape = shapes.normalize_shape(tuple(output_shape), "output_shape")
        self.function, self.mask, self.gradient = function, mask, gradient
        self.arguments = dict(arguments or {})
        self._shape = output_shape
        self._takes = _parameters(function)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return self.mask(inputs, mask) if callable(self.mask) else self.mask

    def get_config(self) -> dict[str, Any]:
        """Raise TypeError: a configuration is plain data, from which no function can be made."""
        raise TypeError(
            f"{self._label}: no configuration and no file can hold a function, which would have to be run when it is "
            "read; make the layer anew in your program, or write a layer class of your own"
        )

    def call(self, x: np.ndarray, mask: Any = None) -> np.ndarray:
        self._must_fit(x)
        return self._result(x, mask=mask, training=False)

    def _forward(self, x: np.ndarray, mask: Any = None) -> tuple[np.ndarray, Any]:
        return self._result(x, mask=mask, training=True), x

    def _forward_still(self, x: np.ndarray, mask: Any = None) -> tuple[np.ndarray, Any]:
        return self._result(x, mask=mask, training=False), x

    def _input_grad(self, kept: Any, grad_out: np.ndarray) -> np.ndarray:
        if self.gradient is None:
            raise ValueError(
                "gradient must be given to train through a Lambda whose input has a gradient: a function (grad_out, x) "
                f"that returns the gradient with respect to x, got none for {self.function!r}"
            )
        grad = as_numbers(self.gradient(grad_out, _read_only(kept), **self.arguments), "what gradient returns")
        if grad.shape != kept.shape:
            raise ValueError(f"gradient must return the shape of the input, {kept.shape}, got {grad.shape}")
        return np.ascontiguousarray(cast(grad, self._dtype))

    def _result(self, x: np.ndarray, **situation: Any) -> np.ndarray:
        """What the function makes of an array."""
        told = {name: value for name, value in situation.items() if name in self._takes and name not in self.arguments}
        out = as_numbers(self.function(_read_only(x), **told, **self.arguments), "what function returns")
        if out.ndim == 0 or (self._shape is not None and not _agree(out.shape, self._declared(x.shape))):
            wanted = "with a batch axis" if self._shape is None else f"{self._declared(x.shape)}, as output_shape says"
            raise ValueError(f"function must return an array of shape {wanted}, got {out.shape}")
        out = cast(out, self._dtype)
        # A view of the input could not be written to.
        return np.array(out, order="C") if np.may_share_memory(out, x) else np.ascontiguousarray(out)

    def _declared(self, input_shape: Shape) -> Shape:
        if callable(self._shape):
            return shapes.normalize_shape(tuple(self._shape(input_shape)), "what output_shape returns")
        return input_shape[0], *self._shape

    def _output_shape(self, input_shape: Shape) -> Shape:
        if self._shape is not None:
            return self._declared(input_shape)
        # Sizes of the result that follow from unknown ones differ when those do.
        first, second = (
            self._tried(tuple(n if n is not None else size if i else size // 16 for i, n in enumerate(input_shape)))
            for size in (32, 64)
        )
        if len(first) != len(second):
            raise ValueError(
                f"output_shape must be given, as the function's axes depend on unknown sizes of {input_shape}"
            )
        return tuple(n if n == m else None for n, m in zip(first, second, strict=True))

    def _tried(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of what the function makes of zeros."""
        try:
            with np.errstate(all="ignore"):
                return self._result(np.zeros(shape, self._dtype), mask=None, training=False).shape
        # It is the user's, and may raise anything.
        except Exception as error:
            raise ValueError(
                f"output_shape must be given, as the function fails on zeros of shape {shape}: "
                f"{type(error).__name__}: {error}"
            ) from error

    def _why(self, before: Shape, after: Shape) -> str:
        return f"it is what {getattr(self.function, '__name__', 'the function')} returns"


def _parameters(function: Callable[..., Any]) -> frozenset[str]:
    try:
        return frozenset(inspect.signature(function).parameters)
    except (ValueError, TypeError):
        # Some functions written in C do not say what they take.
        return frozenset()


def _read_only(x: np.ndarray) -> np.ndarray:
    """A view of an array that belongs to somebody else."""
    view = x.view()
    view.flags.writeable = False
    return view


def _agree(found: tuple[int, ...], declared: Shape) -> bool:
    return len(found) == len(declared) and all(n in (None, m) for n, m in zip(declared, found, strict=True))
