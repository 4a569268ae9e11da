"""What layers share that hold another layer, and TimeDistributed."""

import functools
import sys
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from .. import shapes
from ..common.arguments import as_numbers, check_mask
from ..common.words import Common, Unpack
from ..graph.operation import Gradients, OfLeaves, Operation
from .any_rank import AnyRank, Shape
from .base import Layer

# What `kinds` gives; `numbaconv.models` adds models.
KINDS: dict[str, Any] = {}
_WANTED = {"Operation": "a layer or a model", "Recurrent": "a recurrent layer: SimpleRNN, LSTM or GRU"}


@functools.cache
def kinds() -> dict[str, Any]:
    """Classes of what may be held, by the names that stand in configurations."""
    # Some of its layers load when they are asked for.
    layers: Any = sys.modules[__package__]
    found = {name: getattr(layers, name) for name in layers.__all__ if name != "Layer"}
    KINDS.update({name: one for name, one in found.items() if isinstance(one, type) and one.__name__ == name})
    return KINDS


class Wrapper(OfLeaves, AnyRank):
    """A layer that holds others, to which all of its weights belong."""

    supports_masking = True
    # Arguments that are layers.
    _inner: ClassVar[tuple[str, ...]] = ("layer",)

    def __init__(self, layer: Operation, **kwargs: Any) -> None:
        given = kwargs.pop("dtype", None)
        super().__init__(dtype=_dtype_of(layer) if given is None else given, **kwargs)
        self._dtype_given = given is not None
        with self._named():
            if self.activity_regularizer is not None:
                raise ValueError("activity_regularizer must be one of the layer inside")

    # -- what a kind of wrapper defines ----------------------------------------------------------------------------

    def _held(self) -> list[Any]:
        """The layers that it holds."""
        raise NotImplementedError

    def _held_shape(self, input_shape: Shape) -> Shape:
        """What they get for an input of this shape."""
        return input_shape

    # -- weights ---------------------------------------------------------------------------------------------------

    def _leaves(self) -> list[Any]:
        return list({id(leaf): leaf for one in self._held() for leaf in one._leaves()}.values())

    @property
    def named_weights(self) -> dict[str, np.ndarray]:
        return {f"{leaf.name}/{name}": w for leaf in self._leaves() for name, w in leaf.named_weights.items()}

    def set_weights(self, weights: Sequence[Any]) -> None:
        with self._named():
            if not (self.built or (isinstance(weights, list | tuple) and not weights)):
                raise ValueError("set_weights needs a built layer: call it, or build(input_shape), first")
            self._hand_out(weights)

    def count_params(self) -> int:
        with self._named():
            return sum(one.count_params() for one in self._held())

    def apply_constraints(self) -> None:
        for leaf in self._leaves():
            leaf.apply_constraints()

    def _make_weights(self, shape: Any) -> None:
        for one in self._held():
            one.build(self._held_shape(shape))
        if self._initial_weights is not None:
            self._hand_out(self._initial_weights)
            self._initial_weights = None

    @property
    def _trained(self) -> list[str]:
        return [f"{leaf.name}/{name}" for leaf in self._leaves() for name in leaf._trained]

    @property
    def _learns(self) -> bool:
        return bool(self._trained)

    # -- settings --------------------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        return {**config, **{name: config_of(config[name]) for name in self._inner if config[name] is not None}}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        inner = {name: held_from(config[name]) for name in cls._inner if config.get(name) is not None}
        return cls(**{**config, **inner})

    def _change(self, name: str, value: Any) -> None:
        if name in ("dtype", *self._inner):
            raise ValueError(f"{name} cannot be set to {value!r}: make a new layer")
        super()._change(name, value)
        if name == "trainable":
            self._freeze()

    def _freeze(self) -> None:
        """Let what is held be trained, or not, as the layer itself."""
        for one in self._held():
            one.trainable = self.trainable

    def _widen(self, dtype: np.dtype) -> None:
        for one in self._held():
            one._widen(dtype)
        wider = _dtype_of(self._held()[0]) or self.dtype
        vars(self).update(dtype=wider, _dtype=np.dtype(wider))

    @property
    def _only_moves(self) -> bool:
        return all(one._only_moves for one in self._held())

    # -- calls -----------------------------------------------------------------------------------------------------

    def _ready(self, x: Any) -> np.ndarray:
        # What is held casts to its own dtype.
        x = as_numbers(x, "x")
        if self.built:
            self.compute_output_shape(x.shape)
        else:
            self.build(x.shape)
        return x

    def _channels_of(self, shape: Shape) -> int | None:
        return None

    def _settle(self, gradients: Gradients) -> None:
        for leaf in self._leaves():
            leaf._settle(gradients)
        self._kept, self.gradients = None, [one for leaf in self._leaves() for one in leaf.gradients]


class TimeDistributed(Wrapper):
    """Apply a layer to every step of a sequence (Keras's ``TimeDistributed``): ``out[:, step] = layer(x[:, step])``.

    Parameters
    ----------
    layer : Layer or model
        It gets all steps of all examples at once, as examples of one batch: `BatchNormalization` inside takes the mean
        of all of them in training.

    Notes
    -----
    Input (N, steps, ...), output (N, steps, ...). Weights: those of the layer. Keeps for backward: what the layer
    keeps. A mask of more than two axes is handed to the layer, step by step.
    """

    _states = frozenset({"layer"})

    def __init__(self, layer: Any, **kwargs: "Unpack[Common]") -> None:
        super().__init__(check_held(layer, "layer", Operation), **kwargs)
        self.layer = layer
        if not self.trainable:
            self._freeze()

    def _held(self) -> list[Any]:
        return [self.layer]

    def _held_shape(self, input_shape: Shape) -> Shape:
        return (None, *input_shape[2:])

    def _checked_shape(self, input_shape: Any) -> Shape:
        if not isinstance(input_shape, tuple | list) or len(input_shape) < 3:
            raise ValueError(
                f"input_shape must be a tuple of at least 3 sizes, batch and steps first, got {input_shape!r}"
            )
        return shapes.normalize_shape(input_shape, "input_shape")

    def _output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:2], *self.layer.compute_output_shape(self._held_shape(input_shape))[1:])

    def _why(self, before: Shape, after: Shape) -> str:
        return f"each step: {type(self.layer).__name__} turns {tuple(before[2:])} into {tuple(after[2:])}"

    @property
    def _result_dtype(self) -> Any:
        return self.layer._result_dtype

    def call(self, x: np.ndarray, mask: Any = None) -> np.ndarray:
        return _unfolded(self.layer(_folded(x), **self._passed_on(mask, x)), x)

    def _forward(self, x: np.ndarray, mask: Any = None, training: bool = True) -> tuple[np.ndarray, Any]:
        out, kept = self.layer._trace(_folded(x), training=training, **self._passed_on(mask, x))
        return _unfolded(out, x), (x.shape, kept)

    def _forward_still(self, x: np.ndarray, mask: Any = None) -> tuple[np.ndarray, Any]:
        return self._forward(x, mask, training=False)

    def _take_back(self, kept: Any, grad_out: Any, input_grad: bool, gradients: Gradients) -> Any:
        with self._named():
            shape, (x_shape, inner), *_ = kept
            grad_out = as_numbers(grad_out, "grad_out")
            if grad_out.shape != shape:
                raise ValueError(f"grad_out must have shape {shape}, that of forward's result, got {grad_out.shape}")
            grad = self.layer._take_back(inner, _folded(grad_out), input_grad, gradients)
            return None if grad is None else grad.reshape(x_shape)

    def _passed_on(self, mask: Any, x: np.ndarray) -> dict[str, Any]:
        """The mask of each step, if there is one."""
        if mask is None:
            return {}
        checked = check_mask(mask, x.shape)
        return {"mask": _folded(checked)} if checked.ndim > 2 else {}


def check_held(layer: Any, name: str, kind: type) -> Any:
    """The layer itself; TypeError if it is none of this kind."""
    if not isinstance(layer, kind):
        raise TypeError(f"{name} must be {_WANTED.get(kind.__name__, kind.__name__)}, got {layer!r}")
    return layer


def config_of(layer: Any) -> dict[str, Any]:
    """The class and the settings of a layer that is held, as plain JSON types."""
    name = next((kind for kind, cls in kinds().items() if cls is type(layer)), None)
    if name is None:
        raise TypeError(f"only layers of numbaconv.layers can be put in a config, got {layer!r}")
    # Keras looks up the class of a layer inside by its module.
    module = "keras.layers" if isinstance(layer, Layer) else "keras.models"
    return {"module": module, "class_name": name, "config": layer.get_config(), "registered_name": None}


def held_from(entry: Any) -> Any:
    """The layer that `config_of` described, with fresh weights; a layer as it is."""
    if isinstance(entry, Operation):
        return entry
    if not isinstance(entry, dict) or not isinstance(entry.get("config"), dict):
        raise TypeError(f"layer in config must be a dict with a class_name and a config, got {entry!r}")
    name = entry.get("class_name")
    if not isinstance(name, str) or name not in kinds():
        raise ValueError(f"class_name of layer must be one of {', '.join(sorted(kinds()))}, got {name!r}")
    return kinds()[name].from_config(entry["config"])


def _dtype_of(layer: Any) -> Any:
    """The dtype of a layer; None for a model, which has those of its layers."""
    return getattr(layer, "dtype", None)


def _folded(x: np.ndarray) -> np.ndarray:
    """The steps of all examples as examples."""
    return x.reshape(x.shape[0] * x.shape[1], *x.shape[2:])


def _unfolded(out: np.ndarray, x: np.ndarray) -> np.ndarray:
    return out.reshape(*x.shape[:2], *out.shape[1:])
