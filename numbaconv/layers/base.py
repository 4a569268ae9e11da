"""What every layer shares: names, dtype, weights that cannot go stale, configurations and the call itself."""

import inspect
from collections.abc import Collection, Sequence
from types import FunctionType
from typing import Any, ClassVar

import numpy as np

from .. import shapes
from ..common.arguments import as_numbers, cast, check_bool, check_channels, check_dtype, check_rank
from ..common.structures import mapped
from ..graph.operation import is_shape
from ..graph.tensor import tensors_in
from ..objects.docstrings import parameter_names
from ..shapes.regions import region_sentences
from .arguments import (
    USED_UP,
    Arguments,
    argument_names,
    as_lists,
    check_unknown,
    dtype_of,
    family_of,
    full_batch_shape,
)
from .learning import shapes_of
from .repeating import Repeating
from .settings import Changes
from .weights import adopted


class Layer(Repeating, Arguments):
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
        Of weights and results; None takes `config.floatx()`, and in a `Sequential` nothing less than what comes in.
    trainable : bool
        Whether training changes the weights.
    weights : list of array_like, optional
        Initial weights in the order of `Layer.get_weights`, in place of what the initializers would draw.
    activity_regularizer : str, class, dict or callable, optional
        A penalty on the result, reported by `Layer.losses`; see `numbaconv.regularizers`.
    **kwargs
        Those of every `Layer`, by keyword: ``input_shape``, ``name``, ``dtype``, ...

    Raises
    ------
    ValueError, TypeError
        For arguments out of their range or of the wrong kind; from calls, for inputs that do not fit them.
    AttributeError
        If an attribute is set that the layer does not have; layers of a class of the user's take any.

    Notes
    -----
    Arguments are attributes that can be changed: ``layer.strides = 2`` is checked as the constructor checks it and acts
    from the next call on, in every place. Once the layer is built, a ValueError refuses what its weights come from
    (``filters``, ``kernel_size``, ``use_bias``, initializers, a dtype, ...) and what does not fit its `input_shape`.
    What `forward` has kept for `backward` is let go.
    """

    # Spatial axes of the input; None where any number of axes will do.
    rank: ClassVar[int | None] = None
    data_format = "channels_last"
    # Whether a mask of the input is one of the result.
    supports_masking = False
    # Attributes that a change of settings leaves alone.
    _states: ClassVar[frozenset[str]] = frozenset()
    # Whether a list of arrays may be several inputs. A layer of the library that always has several has its own checks.
    _takes_lists: ClassVar[bool] = False
    # Further arguments of Keras's, the values that ask for nothing, and why others are refused.
    _neutral: ClassVar[dict[str, tuple[tuple[Any, ...], str]]] = {
        "autocast": ((True,), "what comes in is always cast to the layer's dtype"),
        "dynamic": ((False,), "layers have no other mode"),
    }

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
        activity_regularizer: Any = None,
        **unknown: Any,
    ) -> None:
        check_unknown(type(self), unknown)
        super().__init__(name)
        self._weights: dict[str, np.ndarray] = {}
        self._calls: dict[tuple[Any, ...], Any] = {}
        self._attributes = {}
        self._channels: int | None = None
        self.built = False
        self.input_shape: tuple[int | None, ...] | None = None
        with self._named():
            self._dtype, self._dtype_given = check_dtype(dtype_of(dtype)), dtype is not None
            self.dtype = self._dtype.name
            self.trainable = check_bool(trainable, "trainable")
            self._set_components(locals())
            self.batch_input_shape = full_batch_shape(input_shape, batch_input_shape, batch_size, self.rank)
        self._initial_weights = weights

    def __setattr__(self, name: str, value: Any) -> None:
        if not self._own and isinstance(value, np.ndarray) and adopted(self, name, value):
            return
        if name.startswith("_"):
            object.__setattr__(self, name, value)
            if name == "_weights":
                Changes.weights = object()
                self._forget_written()
        # The constructor gives each setting a value. From then on it acts in every place, or is refused.
        elif name in self._given and self._is_setting(name):
            with self._named():
                self._change(name, value)
        else:
            super().__setattr__(name, value)
            object.__setattr__(self, "_given", self._given | {name})

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._takes_mask = "mask" in parameter_names(cls.call)
        cls._takes_lists = cls._takes_lists or not cls._own

    # -- what a kind of layer defines ------------------------------------------------------------------------------

    def _output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        raise NotImplementedError(f"{self._label} must define compute_output_shape(input_shape)")

    def _prepare(self, x_shape: tuple[int, ...]) -> Any:
        """The call of `numbaconv.calls.conv` for inputs of this shape."""
        raise NotImplementedError(f"{self._label} must define call(x)")

    def _forward(self, x: Any) -> tuple[np.ndarray, Any]:
        return self._called(x, True), None

    def _called(self, x: Any, training: bool, **keywords: Any) -> np.ndarray:
        """What the ``call`` of a user's layer makes of ``x``; it keeps what its ``backward`` needs."""
        if "training" in inspect.signature(self.call).parameters:
            keywords["training"] = training
        return self._checked(self.call(x, **keywords), x)

    def _forward_with(self, x: Any, training: bool, **keywords: Any) -> tuple[np.ndarray, Any]:
        if type(self)._forward is Layer._forward:
            return self._called(x, training, **keywords), None
        return (self._forward if training else self._forward_still)(x, **keywords)

    def call(self, x: np.ndarray) -> np.ndarray:
        """Compute a built layer on an array of its dtype, without the conversions and the bookkeeping of ``layer(x)``.

        A layer of your own defines it, with a second parameter ``training=False`` if that makes a difference.

        Raises
        ------
        ValueError, TypeError
            Where ``layer(x)`` would have to build or to convert something, or would raise one.
        """
        return self._prepared(x)(x)

    # -- use -------------------------------------------------------------------------------------------------------

    def __call__(self, x: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Compute the layer on ``x``, building it first if need be.

        Parameters
        ----------
        x : array_like, KerasTensor, or list of these
            Real numbers in the layer's data format, batch axis first; never changed. Several arrays come in a list.
            Tensors of `Input` make the layer a part of a network, `numbaconv.models.Model`.
        training : bool, optional
            True computes it as in training: `Dropout` drops, `BatchNormalization` takes the batch's mean and variance
            and lets its moving ones follow. Nothing is kept for `backward`; `forward` does that.
        mask : ndarray of bool, optional
            Which steps count, for a layer that asks for it.

        Returns
        -------
        ndarray or KerasTensor
            New, C-contiguous and of the layer's dtype.

        Raises
        ------
        ValueError, TypeError
            Where ``x`` does not fit the layer; the message names the layer and what would fit.
        """
        if type(x) is np.ndarray:
            calls, weights, known = self._written
            if calls is self._calls and weights is self._weights and not training and mask is None:
                call = known.get(x.shape)
                if call.__class__ is FunctionType and x.dtype == self._dtype and x.flags.carray:
                    out = call(x)
                    if out is not None:
                        return out
        elif tensors_in(x):
            keywords = {"training": training, "mask": mask}
            return self._connect((x,), {name: value for name, value in keywords.items() if value is not None})
        try:
            x = self._ready(x)
            if mask is not None and self._takes_mask:
                out = self._in_training(x, mask=mask) if training else self.call(x, mask=mask)  # type: ignore[call-arg]
            elif training and check_bool(training, "training"):
                out = self._in_training(x)
            else:
                out = self.call(x)
                if self._repeats:
                    self._write_down(x)
            if not self._own:
                out = self._checked(out, x)
        except (ValueError, TypeError) as error:
            raise self._labelled(error) from None
        self._after_call(out)
        return out

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """Shape of the result for an input of this shape, both with the batch axis; None stands for unknown.

        Raises
        ------
        ValueError
            Where the result would be empty or the shape does not fit the layer.
        """
        with self._named():
            return self._output_shape(self._checked_shape(input_shape))

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask of the result: which of its steps count.

        Parameters
        ----------
        inputs : array_like
            What the layer gets.
        mask : ndarray of bool, optional
            That of ``inputs``, of its first axes: (N, steps).

        Returns
        -------
        ndarray of bool or None
            None where every step counts, as always if ``supports_masking`` is False.
        """
        return mask if self.supports_masking else None

    def explain(self, input_shape: Sequence[int | None], region: Any = None) -> str:
        """Say in plain sentences how the output shape comes from ``input_shape``, batch axis included.

        Parameters
        ----------
        input_shape : tuple of int or None
        region : sequence of pairs of int, optional
            For each spatial axis of the output the first one and the one behind the last: what they need of the input
            is said besides, with the zeros where the image ends; see `numbaconv.shapes.input_region`.

        Raises
        ------
        ValueError
            If the shape does not fit the layer, or it has no such region, since outputs depend on a whole axis.
        """
        with self._named():
            told = self._explained(input_shape)
            if region is None:
                return told
            return "\n".join([told, *region_sentences(self, self._checked_shape(input_shape), region)])

    def _explained(self, input_shape: Any) -> str:
        if self.rank is not None:
            return shapes.explain(self, input_shape)
        before, after = shapes.normalize_shape(input_shape, "input_shape"), self.compute_output_shape(input_shape)
        return f"{type(self).__name__} turns {before} into {tuple(after)}."

    @property
    def output_shape(self) -> tuple[int | None, ...] | None:
        """Output shape for `input_shape`; None before the layer is built."""
        return None if self.input_shape is None else self.compute_output_shape(self.input_shape)

    # -- configuration ---------------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """The settings as plain JSON types; `from_config` makes the same layer of them, with fresh weights."""
        config: dict[str, Any] = {"name": self.name, "trainable": self.trainable, "dtype": self.dtype}
        if self.batch_input_shape is not None:
            config["batch_input_shape"] = list(self.batch_input_shape)
        cls: Any = type(self)
        arguments, told = [*argument_names(cls, Layer)], {*config, *USED_UP}
        # Layers that do not list it among their own arguments speak of it where there is one, as in Keras.
        if self.activity_regularizer is not None and "activity_regularizer" not in arguments:
            arguments.append("activity_regularizer")
        for argument in arguments:
            if argument not in told:
                value, family = self._argument(argument), family_of(argument)
                config[argument] = as_lists(value) if family is None else family.serialize(value)
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Layer":
        """Make a layer from what `get_config` returned."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}, {'built' if self.built else 'not built'}>"

    # -- for the layers themselves ---------------------------------------------------------------------------------

    def _ready(self, x: Any) -> Any:
        """The input as an array of the layer's dtype, checked, and the layer built for it."""
        several = self._takes_lists and not (self.built and is_shape(self.input_shape))
        if several and isinstance(x, list | tuple) and x and all(isinstance(one, np.ndarray) for one in x):
            x = [cast(as_numbers(one, f"x[{i}]"), self._dtype) for i, one in enumerate(x)]
            if not (self.built and self._own):
                self.build(shapes_of(x))
            return x
        x = as_numbers(x, "x")
        check_rank(x, self.rank, self.data_format)
        if not self.built:
            self.build(x.shape)
        else:
            self._check_channels(x.shape)
        return cast(x, self._dtype)

    def _must_fit(self, x: Any) -> None:
        """Raise unless ``x`` is as `_ready` makes it, which is what kernels rely on."""
        if not isinstance(x, np.ndarray) or x.dtype != self._dtype:
            raise TypeError(f"x must be an ndarray of dtype {self.dtype} for call, got {getattr(x, 'dtype', type(x))}")
        if not self.built:
            raise ValueError("call needs a built layer: layer(x) builds it")
        check_rank(x, self.rank, self.data_format)
        self._check_channels(x.shape)

    def _check_channels(self, x_shape: tuple[int, ...]) -> None:
        """Raise ValueError unless the weights are for as many channels as an input of this shape has."""
        if self._channels is not None:
            check_channels(x_shape, self._channels, self.data_format, "the layer's weights")

    def _prepared(self, x: np.ndarray) -> Any:
        if not (isinstance(x, np.ndarray) and x.dtype == self._dtype and x.shape in self._calls):
            self._must_fit(x)
        return self._call_of(x.shape, self._prepare, x.shape)

    def _leaves(self) -> list[Any]:
        return [self]

    def _whole_axes(self, count: int) -> Collection[int]:
        """Axes of an input of so many that no part of the result can be computed without: from 1 on, behind the batch.

        Values along them meet, or weights lie along them; along all others each value goes its own way.
        """
        return range(1, count)

    @property
    def _learns(self) -> bool:
        return bool(self._weights) and bool(self._trained)

    def _visited(self, arguments: tuple[Any, ...], keywords: dict[str, Any], traced: bool) -> tuple[Any, Any, Any]:
        mask, kept = keywords.get("mask"), None
        if not self._takes_mask:
            keywords = {name: value for name, value in keywords.items() if name != "mask"}
        out, kept = self._trace(*arguments, **keywords) if traced else (self(*arguments, **keywords), None)
        return out, None if self._described else self.compute_mask(arguments[0], mask), kept

    @property
    def _result_dtype(self) -> str:
        return self.dtype

    def _in_training(self, x: Any, **keywords: Any) -> Any:
        def own(out: np.ndarray) -> np.ndarray:
            shared = any(np.may_share_memory(out, one) for one in (x if isinstance(x, list) else [x]))
            return np.array(out, order="C") if shared else np.ascontiguousarray(out)

        return mapped(own, self._forward_with(x, True, **keywords)[0])

    def _checked(self, out: Any, x: Any) -> np.ndarray:
        """What the user's ``call`` has returned, as a new array of the layer's dtype."""
        array = np.array(cast(as_numbers(out, "what call returns"), self._dtype), order="C")
        wanted = tuple(self.compute_output_shape(shapes_of(x)))
        if array.shape != wanted:
            raise ValueError(f"call must return shape {wanted}, as compute_output_shape says, got {array.shape}")
        return array

    def _channels_of(self, shape: tuple[int | None, ...]) -> int | None:
        return shape[1 if self.data_format == "channels_first" else -1]

    def _checked_shape(self, input_shape: Any) -> Any:
        if self._takes_lists and not is_shape(input_shape) and isinstance(input_shape, list | tuple):
            return [shapes.normalize_shape(one, f"input_shape[{i}]") for i, one in enumerate(input_shape)]
        shape: tuple[int | None, ...] = tuple(input_shape) if isinstance(input_shape, tuple | list) else ()
        if self.rank is None:
            if len(shape) < 2:
                raise ValueError(f"input_shape must be a tuple of at least 2 sizes, batch first, got {input_shape!r}")
        elif len(shape) != self.rank + 2:
            raise ValueError(
                f"input_shape must be a tuple of {self.rank + 2} sizes, batch first ({self.data_format}), "
                f"got {input_shape!r}"
            )
        shape = shapes.normalize_shape(shape, "input_shape")
        self._check_shape(shape)
        return shape

    def _check_shape(self, shape: tuple[int | None, ...]) -> None:
        """`_check_channels` for a shape that need not be known."""
        channels = self._channels_of(shape)
        if self._channels is not None and channels is not None and channels != self._channels:
            raise ValueError(f"input_shape must have {self._channels} channels ({self.data_format}), got {shape}")
