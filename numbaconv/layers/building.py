"""How a layer gets its weights: drawn when it is built, or added one by one in a layer of the user's."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any

import numpy as np

from .. import constraints, initializers, regularizers, shapes
from ..common.arguments import check_bool, check_dtype
from ..common.structures import mapped
from ..graph.operation import is_shape
from ..machine.threads import held_at_fork
from .arguments import dtype_of
from .learning import Learner
from .weights import frozen

# Whether this thread builds layers whose weights a file will give.
_unfilled: ContextVar[bool] = ContextVar("unfilled", default=False)


@contextmanager
def unfilled() -> Iterator[None]:
    """Context in which weights take no memory and have no values, only shapes; `set_weights` gives them values."""
    token = _unfilled.set(True)
    try:
        yield
    finally:
        _unfilled.reset(token)


# A number of any dtype.
_NOTHING = bytes(8)

# Held while a layer is built, so that threads that share an unbuilt layer get the same weights.
_building = held_at_fork(threading.RLock())


class Weighted(Learner):
    """The part of `Layer` that makes and keeps weights."""

    built: bool
    input_shape: tuple[int | None, ...] | None
    _channels: int | None
    _initial_weights: Sequence[Any] | None
    # Names of attributes of a user's layer, and of the weights that they stand for.
    _attributes: dict[str, str]
    # The thread that builds the layer at this moment.
    _builder: int | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "build" in vars(cls) and not cls._own:
            cls.build = _as_hook(cls.build)  # type: ignore[method-assign]

    # -- what a kind of layer defines ------------------------------------------------------------------------------

    def _weight_shapes(self, channels: int | None) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the weights for inputs of this number of channels."""
        return {}

    def _checked_shape(self, input_shape: Any) -> Any:
        raise NotImplementedError

    def _channels_of(self, shape: tuple[int | None, ...]) -> int | None:
        raise NotImplementedError

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Create the weights for inputs of this shape, batch axis included; only the channel count must be known.

        A layer of your own that has weights defines it, and calls `add_weight` there.

        Raises
        ------
        ValueError
            Where the layer cannot take such inputs, or is built already for another number of channels.
        """
        if self._builder == threading.get_ident():
            self._make_weights(input_shape)
            return
        with self._named():
            if self.built:
                self.compute_output_shape(input_shape)
            else:
                self._build(input_shape)

    def add_weight(
        self,
        shape: Sequence[int] | int = (),
        initializer: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        *,
        regularizer: Any = None,
        constraint: Any = None,
        name: str | None = None,
    ) -> np.ndarray:
        """Give a layer of your own a weight; to be called in its `build`, or in its constructor.

        Parameters
        ----------
        shape : tuple of int or int
        initializer, regularizer, constraint : str, class, dict or callable, optional
            See `numbaconv.initializers` (None is glorot_uniform), `numbaconv.regularizers`, `numbaconv.constraints`.
        dtype : optional
            That of the layer, which all of its weights have.
        trainable : bool
            Whether an optimizer changes it; otherwise the layer's own code may, by assignment.
        name : str, optional
            By default weight_0, weight_1, ...

        Returns
        -------
        ndarray
            The weight, read-only. The attribute that it is assigned to, ``self.scale = self.add_weight(...)``, always
            gives the weight as it is then, and sets it where an array is assigned.

        Raises
        ------
        ValueError, TypeError
            If the layer is built, the name is taken, or an argument is wrong.
        """
        with self._named():
            if self.built:
                raise ValueError("add_weight must be called in build, or before the layer is built")
            if dtype is not None and check_dtype(dtype_of(dtype)) != self._dtype:
                raise ValueError(f"dtype must be that of the layer, {self.dtype}, got {dtype!r}")
            key = f"weight_{len(self._weights)}" if name is None else name
            if not isinstance(key, str) or not key or key in self._weights:
                raise ValueError(f"name must be a string that no other weight has, got {key!r}")
            size = shape if isinstance(shape, tuple | list) else (shape,)
            size = shapes.normalize_tuple(tuple(size), len(size), "shape", allow_zero=True)
            stem = key.removesuffix("_kernel")
            vars(self).update(
                {
                    f"{stem}_initializer": initializers.get("glorot_uniform" if initializer is None else initializer),
                    f"{stem}_regularizer": regularizers.get(regularizer),
                    f"{stem}_constraint": constraints.get(constraint),
                }
            )
            if not check_bool(trainable, "trainable"):
                vars(self)["statistics"] = (*self.statistics, key)
            self._weights = {**self._weights, key: self._drawn_weight(key, size)}
        return self._weights[key]

    # -- weights ---------------------------------------------------------------------------------------------------

    @property
    def weights(self) -> list[np.ndarray]:
        """The weight arrays, read-only, in Keras's order."""
        return list(self._weights.values())

    @property
    def named_weights(self) -> dict[str, np.ndarray]:
        """The weight arrays by name, read-only, in Keras's order."""
        return dict(self._weights)

    def get_weights(self) -> list[np.ndarray]:
        """Copies of the weight arrays in Keras's order, free to be changed."""
        return [w.copy() for w in self._weights.values()]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Replace all weights by arrays of the same shapes, in the order of `get_weights`.

        Raises
        ------
        ValueError
            For a wrong number of arrays or a wrong shape, or any at all before the layer is built; nothing is changed
            then.
        """
        with self._named():
            if not self.built:
                if isinstance(weights, list | tuple) and not weights:
                    return
                raise ValueError("set_weights needs a built layer: call it, or build(input_shape), first")
            self._weights = self._matched(weights, {name: w.shape for name, w in self._weights.items()})

    def count_params(self) -> int:
        """Number of values in the weights.

        Raises
        ------
        ValueError
            If the layer is not built.
        """
        if not self.built:
            raise ValueError(f"{self._label}: count_params needs a built layer: call it, or build(input_shape), first")
        return sum(w.size for w in self._weights.values())

    # -- for the layers themselves ---------------------------------------------------------------------------------

    def _build(self, input_shape: Any) -> None:
        with _building:
            if not self.built:
                self._build_once(input_shape)

    def _build_once(self, input_shape: Any) -> None:
        shape = self._checked_shape(input_shape)
        self.compute_output_shape(shape)
        before = self._weights
        self._builder = threading.get_ident()
        try:
            self.build(shape)
            if self._initial_weights is not None:
                self._weights = self._matched(self._initial_weights, {n: w.shape for n, w in self._weights.items()})
        except BaseException:
            self._weights, self._channels = before, None
            raise
        finally:
            self._builder = None
        self._initial_weights = None
        # Any batch will do from now on.
        any_batch = mapped(lambda one: (None, *one[1:]), shape, is_shape)
        object.__setattr__(self, "input_shape", any_batch)
        object.__setattr__(self, "built", True)

    def _make_weights(self, shape: Any) -> None:
        """Create the weights of a layer of the library."""
        channels = self._channels_of(shape)
        wanted = self._weight_shapes(channels)
        self._channels = channels if wanted else None
        self._weights = self._weights | {name: self._drawn_weight(name, size) for name, size in wanted.items()}

    def _drawn_weight(self, name: str, size: tuple[int, ...]) -> np.ndarray:
        if self._initial_weights is not None or _unfilled.get():
            # Takes no memory, and only its shape matters.
            return np.ndarray(size, self._dtype, _NOTHING, strides=(0,) * len(size))
        return frozen(self._component(name, "initializer")(size, self.dtype), size, self.dtype, f"initial {name}")

    def _matched(self, weights: Sequence[Any], wanted: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
        """A list of arrays as weights of these names and shapes."""
        if not isinstance(weights, list | tuple):
            raise TypeError(f"weights must be a list of {len(wanted)} arrays {wanted}, got {weights!r}")
        if len(weights) != len(wanted):
            raise ValueError(f"weights must be a list of {len(wanted)} arrays {wanted}, got {len(weights)}")
        pairs = zip(wanted.items(), weights, strict=True)
        return {name: frozen(value, shape, self.dtype, name) for (name, shape), value in pairs}


def _as_hook(method: Callable[..., None]) -> Callable[..., None]:
    """A user's ``build`` with all that belongs to building, except where building itself calls it."""

    @wraps(method)
    def build(self: Weighted, input_shape: Sequence[int | None]) -> None:
        (method if self._builder == threading.get_ident() else Weighted.build)(self, input_shape)

    return build
