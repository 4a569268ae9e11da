"""What every layer shares: names, dtype, weights that cannot go stale, configurations and the call itself."""

import inspect
import threading
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from .. import activations, constraints, initializers, regularizers, shapes
from .._naming import Named
from ..arguments import as_numbers, cast, check_bool, check_channels, check_dtype, check_rank

# Held while a layer is built, so that threads that share an unbuilt layer get the same weights.
_building = threading.RLock()
# Input shapes that a layer remembers; a stream of ever new ones must not fill the memory.
MOST_CALLS = 256
# Argument name (or its ending) -> the module whose get() reads it and whose serialize() writes it.
_FAMILIES = {
    "activation": activations,
    "initializer": initializers,
    "regularizer": regularizers,
    "constraint": constraints,
}


def _family(argument: str) -> Any:
    # An activity_regularizer is a regularizer; the activation argument has no prefix.
    return _FAMILIES.get(argument.rpartition("_")[2])


class Weight:
    """Attribute that holds one weight array of a layer.

    Reading gives a read-only array (None before the layer is built). Assigning checks the shape and takes a copy.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, layer: Any, owner: type) -> Any:
        return self if layer is None else layer._weights.get(self.name)

    def __set__(self, layer: Any, value: Any) -> None:
        if self.name not in layer._weights:
            raise ValueError(f"{layer._label}: {self.name} can be set once the layer is built")
        with layer._named():
            layer._assign({self.name: value})


class Layer(Named):
    """A layer as in Keras: made from settings, built on first use, called on arrays.

    Parameters
    ----------
    input_shape : tuple of int or None, optional
        Shape of one input, without the batch axis.
    batch_input_shape : tuple of int or None, optional
        The same with the batch axis.
    batch_size : int, optional
        Batch axis to go with ``input_shape``.
    dtype : {"float32", "float64"}, optional
        Of weights and results; None takes `config.floatx()`.
    name : str, optional
        As in `Named`.
    trainable : bool
        Whether `trainable_weights` lists the weights.
    weights : list of array_like, optional
        Initial weights in the order of `get_weights`, in place of what the initializers would draw.
    """

    rank: ClassVar[int]
    data_format = "channels_last"
    activity_regularizer: Any = None

    def __init__(
        self,
        *,
        input_shape: Sequence[int | None] | None = None,
        batch_input_shape: Sequence[int | None] | None = None,
        batch_size: int | None = None,
        dtype: Any = None,
        name: str | None = None,
        trainable: bool = True,
        weights: Sequence[Any] | None = None,
        **unknown: Any,
    ) -> None:
        if unknown:
            known = ", ".join(_arguments(type(self)))
            raise TypeError(f"{type(self).__name__}: unknown argument {', '.join(unknown)}; known are {known}")
        super().__init__(name)
        self._weights: dict[str, np.ndarray] = {}
        self._calls: dict[tuple[int, ...], Any] = {}
        self._channels: int | None = None
        self._activity_loss: float | None = None
        self.built = False
        self.input_shape: tuple[int | None, ...] | None = None
        with self._named():
            self._dtype = check_dtype(dtype)
            self.dtype = self._dtype.name
            self.trainable = check_bool(trainable, "trainable")
            self.batch_input_shape = _batch_shape(input_shape, batch_input_shape, batch_size, self.rank)
        self._initial_weights = weights

    # -- what a kind of layer defines ------------------------------------------------------------------------------

    def _weight_shapes(self, channels: int | None) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the weights for inputs of so many channels."""
        return {}

    def _output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        raise NotImplementedError

    def _prepare(self, x_shape: tuple[int, ...]) -> Any:
        """The call of `numbaconv.calls` for inputs of this shape."""
        raise NotImplementedError

    def call(self, x: np.ndarray) -> np.ndarray:
        """Compute the layer on an array of its dtype that fits it, without the bookkeeping of ``layer(x)``."""
        return self._prepared(x.shape)(x)

    # -- use -------------------------------------------------------------------------------------------------------

    def __call__(self, x: Any) -> np.ndarray:
        """Compute the layer on ``x``, building it first if need be.

        Parameters
        ----------
        x : array_like
            Real numbers in the layer's data format, batch axis first; never changed.

        Returns
        -------
        ndarray
            New, C-contiguous and of the layer's dtype.

        Raises
        ------
        ValueError, TypeError
            Where ``x`` does not fit the layer; the message names the layer and what would fit.
        """
        try:
            x = as_numbers(x, "x")
            check_rank(x, self.rank, self.data_format)
            if not self.built:
                self._build(x.shape)
            elif self._channels is not None:
                check_channels(x.shape, self._channels, self.data_format, "the layer's weights")
            out = self.call(cast(x, self._dtype))
        except (ValueError, TypeError) as error:
            raise self._labelled(error) from None
        self._after_call(out)
        return out

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Create the weights for inputs of this shape, batch axis included; only the channel count must be known.

        Raises
        ------
        ValueError
            Where the layer cannot take such inputs, or is built already for another number of channels.
        """
        with self._named():
            if self.built:
                self._output_shape(self._checked_shape(input_shape))
            else:
                self._build(input_shape)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """Shape of the result for an input of this shape, both with the batch axis; None stands for unknown.

        Raises
        ------
        ValueError
            Where the result would be empty or the shape does not fit the layer.
        """
        with self._named():
            return self._output_shape(self._checked_shape(input_shape))

    def explain(self, input_shape: Sequence[int | None]) -> str:
        """Say in plain sentences how the output shape comes from ``input_shape``, batch axis included."""
        return shapes.explain(self, input_shape)

    @property
    def output_shape(self) -> tuple[int | None, ...] | None:
        """Output shape for `input_shape`; None before the layer is built."""
        return None if self.input_shape is None else self.compute_output_shape(self.input_shape)

    # -- weights ---------------------------------------------------------------------------------------------------

    @property
    def weights(self) -> list[np.ndarray]:
        """The weight arrays, read-only, in Keras's order."""
        return list(self._weights.values())

    @property
    def named_weights(self) -> dict[str, np.ndarray]:
        """The weight arrays by name, read-only, in Keras's order."""
        return dict(self._weights)

    @property
    def trainable_weights(self) -> list[np.ndarray]:
        """The weights that training changes: all of them, or none if ``trainable`` is False."""
        return self.weights if self.trainable else []

    @property
    def non_trainable_weights(self) -> list[np.ndarray]:
        """The weights that training leaves alone."""
        return [] if self.trainable else self.weights

    def get_weights(self) -> list[np.ndarray]:
        """Copies of the weight arrays in Keras's order, free to be changed."""
        return [w.copy() for w in self._weights.values()]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Replace all weights by arrays of the same shapes, in the order of `get_weights`.

        Raises
        ------
        ValueError
            For a wrong number of arrays or a wrong shape; nothing is changed then.
        """
        with self._named():
            if not self.built:
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

    def apply_constraints(self) -> None:
        """Put every weight that has a constraint through it, as an optimizer does after an update."""
        with self._named():
            constrained = ((name, self._component(name, "constraint")) for name in self._weights)
            self._assign(
                {name: constrain(self._weights[name]) for name, constrain in constrained if constrain is not None}
            )

    @property
    def losses(self) -> list[float]:
        """Penalties: one per regularized weight, and the activity penalty of the last call per example."""
        regularizers_ = ((w, self._component(name, "regularizer")) for name, w in self._weights.items())
        penalties = [float(penalty(w)) for w, penalty in regularizers_ if penalty is not None]
        return penalties if self._activity_loss is None else [*penalties, self._activity_loss]

    # -- configuration ---------------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """The settings as plain JSON types; `from_config` makes the same layer of them, with fresh weights."""
        config: dict[str, Any] = {"name": self.name, "trainable": self.trainable, "dtype": self.dtype}
        if self.batch_input_shape is not None:
            config["batch_input_shape"] = list(self.batch_input_shape)
        for argument in _arguments(type(self)):
            if argument not in _arguments(Layer):
                value, family = getattr(self, argument), _family(argument)
                config[argument] = _lists(value) if family is None else family.serialize(value)
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Layer":
        """Make a layer from what `get_config` returned."""
        return cls(**config)

    def __getstate__(self) -> dict[str, Any]:
        # Compiled kernels cannot be pickled, and copies make their own calls.
        return {**self.__dict__, "_calls": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # NumPy makes copied and unpickled arrays writable.
        self.__dict__.update(state)
        self._weights = {name: frozen(w, w.shape, self.dtype, name) for name, w in self._weights.items()}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}, {'built' if self.built else 'not built'}>"

    # -- for the layers themselves ---------------------------------------------------------------------------------

    def _prepared(self, x_shape: tuple[int, ...]) -> Any:
        run = self._calls.get(x_shape)
        if run is None:
            if len(self._calls) >= MOST_CALLS:
                self._calls.clear()
            run = self._calls[x_shape] = self._prepare(x_shape)
        return run

    def _set(self, **arguments: Any) -> None:
        """Keep constructor arguments as attributes; initializers and their like are looked up."""
        for argument, value in arguments.items():
            family = _family(argument)
            setattr(self, argument, value if family is None else family.get(value))

    def _channels_of(self, shape: tuple[int | None, ...]) -> int | None:
        return shape[1 if self.data_format == "channels_first" else -1]

    def _checked_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        shape = tuple(input_shape) if isinstance(input_shape, tuple | list) else ()
        if len(shape) != self.rank + 2:
            raise ValueError(
                f"input_shape must be a tuple of {self.rank + 2} sizes, batch first ({self.data_format}), "
                f"got {input_shape!r}"
            )
        channels = self._channels_of(shape)
        if self._channels is not None and channels is not None and channels != self._channels:
            raise ValueError(f"input_shape must have {self._channels} channels ({self.data_format}), got {shape}")
        return shape

    def _build(self, input_shape: Any) -> None:
        with _building:
            if not self.built:
                self._build_once(input_shape)

    def _build_once(self, input_shape: Any) -> None:
        shape = self._checked_shape(input_shape)
        self._output_shape(shape)
        channels = self._channels_of(shape)
        wanted = self._weight_shapes(channels)
        if self._initial_weights is None:
            self._weights = {
                name: frozen(
                    self._component(name, "initializer")(size, self.dtype), size, self.dtype, f"initial {name}"
                )
                for name, size in wanted.items()
            }
        else:
            self._weights = self._matched(self._initial_weights, wanted)
        self._initial_weights = None
        self._channels = channels if wanted else None
        # Any batch will do from now on.
        self.input_shape = (None, *shape[1:])
        self.built = True

    def _component(self, weight: str, kind: str) -> Any:
        """The initializer, regularizer or constraint of a weight: depthwise_kernel has depthwise_initializer."""
        return getattr(self, f"{weight.removesuffix('_kernel')}_{kind}")

    def _matched(self, weights: Sequence[Any], wanted: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
        """A list of arrays as weights of these names and shapes."""
        if not isinstance(weights, list | tuple):
            raise TypeError(f"weights must be a list of {len(wanted)} arrays {wanted}, got {weights!r}")
        if len(weights) != len(wanted):
            raise ValueError(f"weights must be a list of {len(wanted)} arrays {wanted}, got {len(weights)}")
        pairs = zip(wanted.items(), weights, strict=True)
        return {name: frozen(value, shape, self.dtype, name) for (name, shape), value in pairs}

    def _assign(self, values: dict[str, Any]) -> None:
        # A new dict every time: whatever is derived from the weights is kept with the dict it was made from.
        new = {n: frozen(v, self._weights[n].shape, self.dtype, n) for n, v in values.items()}
        self._weights = {**self._weights, **new}

    def _after_call(self, out: np.ndarray) -> None:
        if self.activity_regularizer is not None:
            self._activity_loss = float(self.activity_regularizer(out)) / max(len(out), 1)


def frozen(value: Any, shape: tuple[int, ...], dtype: str, name: str) -> np.ndarray:
    """A copy of ``value`` that nobody can make writable again: its memory is an immutable bytes object."""
    array = as_numbers(value, name)
    if array.shape != tuple(shape):
        raise ValueError(f"{name} must have shape {tuple(shape)}, got {array.shape}")
    return np.frombuffer(cast(array, dtype).tobytes(), dtype).reshape(shape)


def _arguments(cls: type) -> list[str]:
    """Names that a layer class takes, its own first."""
    names: list[str] = []
    for owner in cls.__mro__:
        if "__init__" in vars(owner) and owner is not object:
            kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
            parameters = inspect.signature(vars(owner)["__init__"]).parameters.values()
            names += [p.name for p in parameters if p.kind in kinds and p.name not in ("self", *names)]
    return names


def _lists(value: Any) -> Any:
    return [_lists(v) for v in value] if isinstance(value, tuple) else value


def _batch_shape(input_shape: Any, batch_input_shape: Any, batch_size: Any, rank: int) -> tuple | None:
    """The batch_input_shape that the three arguments mean together."""
    if batch_input_shape is None and input_shape is None:
        if batch_size is not None:
            raise ValueError(f"batch_size must come with input_shape, got batch_size={batch_size!r} alone")
        return None
    if batch_input_shape is not None and (input_shape is not None or batch_size is not None):
        raise ValueError("batch_input_shape must not come with input_shape or batch_size, got both")
    name = "input_shape" if batch_input_shape is None else "batch_input_shape"
    given, count = (input_shape, rank + 1) if batch_input_shape is None else (batch_input_shape, rank + 2)
    if not isinstance(given, tuple | list) or len(given) != count:
        raise ValueError(f"{name} must be a tuple of {count} sizes (None where unknown), got {given!r}")
    full = (batch_size, *given) if batch_input_shape is None else tuple(given)
    return tuple(
        None if n is None else shapes.normalize_tuple(n, 1, f"sizes in {name}", i == 0)[0] for i, n in enumerate(full)
    )
