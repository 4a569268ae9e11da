"""Lambda: a function of the user's as a layer."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .. import shapes
from ..common.arguments import cast
from ..common.arrays import as_numbers
from ..common.words import Penalized, Unpack
from ..graph.operation import is_shape
from .any_rank import AnyRank, Shape
from .learning import shapes_of


class Lambda(AnyRank):
    """Apply a function of your own (Keras's ``Lambda``): ``out = function(x, **arguments)``.

    Parameters
    ----------
    function : callable
        Takes an array, or a list of arrays where the layer is called on one, which it must not change; returns an
        array. Where it has a parameter ``training`` or ``mask``, it gets that too.
    output_shape : tuple of int or None, or callable, optional
        Shape of one result without the batch axis; or a function of the input's shape that returns the result's, both
        with the batch axis. Otherwise the function is tried on zeros.
    mask : optional
        Handed on: a mask, or a function (inputs, mask) that returns one.
    arguments : dict, optional
        Keyword arguments for ``function``.
    gradient : callable, optional
        For training through the layer: ``gradient(grad_out, x, **arguments)`` returns the gradient of a loss with
        respect to ``x``, given that with respect to the result; a list of them for a list. Keras has no such argument.

    Raises
    ------
    ValueError, TypeError
        For arguments of the wrong kind, and where the function fails or returns something else than its array.

    Notes
    -----
    Input of any shape, or several of them. What the function returns is brought to the layer's dtype. A configuration,
    and so a file, holds no functions: `get_config` raises. Keeps for backward: its input.

    Examples
    --------
    >>> import numpy as np
    >>> layer = Lambda(np.abs, gradient=lambda grad_out, x: grad_out * np.sign(x))
    >>> layer.forward([[-2.0, 3.0]])
    array([[2., 3.]], dtype=float32)
    >>> layer.backward([[1.0, 1.0]])
    array([[-1.,  1.]], dtype=float32)
    """

    _takes_lists = True
    _states = frozenset({"_shape"})

    def __init__(
        self,
        function: Callable[..., Any],
        output_shape: Any = None,
        mask: Any = None,
        arguments: Mapping[str, Any] | None = None,
        *,
        gradient: Callable[..., Any] | None = None,
        **kwargs: "Unpack[Penalized]",
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

    def _explained(self, input_shape: Any) -> str:
        after = self.compute_output_shape(input_shape)
        name = getattr(self.function, "__name__", "the function")
        return f"{type(self).__name__} turns {input_shape} into {after}.\nit is what {name} returns."

    def call(self, x: Any, mask: Any = None) -> np.ndarray:
        for one in x if isinstance(x, list) else [x]:
            self._must_fit(one)
        return self._result(x, mask=mask, training=False)

    def _forward(self, x: Any, mask: Any = None) -> tuple[np.ndarray, Any]:
        return self._result(x, mask=mask, training=True), x

    def _forward_still(self, x: Any, mask: Any = None) -> tuple[np.ndarray, Any]:
        return self._result(x, mask=mask, training=False), x

    def _input_grad(self, kept: Any, grad_out: np.ndarray) -> Any:
        if self.gradient is None:
            raise ValueError(
                "gradient must be given to train through a Lambda whose input has a gradient: a function (grad_out, x) "
                f"that returns the gradient with respect to x, got none for {self.function!r}"
            )
        found = self.gradient(grad_out, _read_only(kept), **self.arguments)
        several = isinstance(kept, list)
        if several and not (isinstance(found, list | tuple) and len(found) == len(kept)):
            raise ValueError(f"gradient must return a list of {len(kept)} arrays, as many as inputs, got {found!r}")
        pairs = zip(found, kept, strict=True) if several else [(found, kept)]
        grads = [self._checked_gradient(grad, x.shape) for grad, x in pairs]
        return grads if several else grads[0]

    def _checked_gradient(self, grad: Any, shape: Shape) -> np.ndarray:
        grad = as_numbers(grad, "what gradient returns")
        if grad.shape != shape:
            raise ValueError(f"gradient must return the shape of the input, {shape}, got {grad.shape}")
        return np.ascontiguousarray(cast(grad, self._dtype))

    def _result(self, x: Any, **situation: Any) -> np.ndarray:
        """What the function makes of an array, or of several."""
        told = {name: value for name, value in situation.items() if name in self._takes and name not in self.arguments}
        out = as_numbers(self.function(_read_only(x), **told, **self.arguments), "what function returns")
        declared = None if self._shape is None else self._declared(shapes_of(x))
        if out.ndim == 0 or (declared is not None and not _agree(out.shape, declared)):
            wanted = "with a batch axis" if declared is None else f"{declared}, as output_shape says"
            raise ValueError(f"function must return an array of shape {wanted}, got {out.shape}")
        out = cast(out, self._dtype)
        # A view of the input could not be written to.
        shared = any(np.may_share_memory(out, one) for one in (x if isinstance(x, list) else [x]))
        return np.array(out, order="C") if shared else np.ascontiguousarray(out)

    def _declared(self, input_shape: Any) -> Shape:
        if callable(self._shape):
            return shapes.normalize_shape(tuple(self._shape(input_shape)), "what output_shape returns")
        return (input_shape if is_shape(input_shape) else input_shape[0])[0], *self._shape

    def _output_shape(self, input_shape: Any) -> Shape:
        if self._shape is not None:
            return self._declared(input_shape)
        # Sizes of the result that follow from unknown ones differ when those do.
        first, second = self._tried(input_shape, 32), self._tried(input_shape, 64)
        if len(first) != len(second):
            raise ValueError(
                f"output_shape must be given, as the function's axes depend on unknown sizes of {input_shape}"
            )
        return tuple(n if n == m else None for n, m in zip(first, second, strict=True))

    def _tried(self, input_shape: Any, unknown: int) -> tuple[int, ...]:
        """Shape of what the function makes of zeros, with this size in the place of unknown ones but the batch's."""
        several = not is_shape(input_shape)
        sizes = [
            tuple(n if n is not None else unknown if i else unknown // 16 for i, n in enumerate(shape))
            for shape in (input_shape if several else [input_shape])
        ]
        zeros = [np.zeros(shape, self._dtype) for shape in sizes]
        try:
            with np.errstate(all="ignore"):
                return self._result(zeros if several else zeros[0], mask=None, training=False).shape
        # It is the user's, and may raise anything.
        except Exception as error:
            raise ValueError(
                f"output_shape must be given, as the function fails on zeros of shape "
                f"{sizes if several else sizes[0]}: {type(error).__name__}: {error}"
            ) from error


def _parameters(function: Callable[..., Any]) -> frozenset[str]:
    try:
        return frozenset(inspect.signature(function).parameters)
    except (ValueError, TypeError):
        # Some functions written in C do not say what they take.
        return frozenset()


def _read_only(x: Any) -> Any:
    """A view of an array that belongs to somebody else; a list of them for a list."""
    if isinstance(x, list):
        return [_read_only(one) for one in x]
    view = x.view()
    view.flags.writeable = False
    return view


def _agree(found: tuple[int, ...], declared: Shape) -> bool:
    return len(found) == len(declared) and all(n in (None, m) for n, m in zip(declared, found, strict=True))
