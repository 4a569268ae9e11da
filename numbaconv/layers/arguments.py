"""What a layer's constructor arguments mean, and how they become a configuration."""

import inspect
from collections.abc import Mapping
from functools import lru_cache
from types import FunctionType
from typing import Any

from .. import activations, constraints, initializers, regularizers, shapes
from ..objects.docstrings import parameter_names
from ..objects.strict import suggestion
from ..objects.telling import check_neutral

# Argument name (or its ending) -> the module whose get() reads it and whose serialize() writes it.
_FAMILIES = {
    "activation": activations,
    "initializer": initializers,
    "regularizer": regularizers,
    "constraint": constraints,
}


class Arguments:
    """What arguments of many layers mean, where a layer says nothing else.

    Parameters
    ----------
    data_format : {"channels_last", "channels_first"}, optional
        None takes `config.image_data_format`.
    activation, recurrent_activation : str or callable, optional
        See `numbaconv.activations`.
    use_bias : bool
        Whether a bias is added.
    alpha_initializer, embeddings_initializer, kernel_initializer, recurrent_initializer, depthwise_initializer, \
pointwise_initializer, bias_initializer, beta_initializer, gamma_initializer, moving_mean_initializer, \
moving_variance_initializer : str, class, dict or callable
        See `numbaconv.initializers`.
    alpha_regularizer, embeddings_regularizer, kernel_regularizer, recurrent_regularizer, bias_regularizer, \
beta_regularizer, gamma_regularizer : str, class, dict or callable, optional
        Penalties reported by `Layer.losses`; see `numbaconv.regularizers`.
    alpha_constraint, embeddings_constraint, kernel_constraint, recurrent_constraint, bias_constraint, \
beta_constraint, gamma_constraint : str, class, dict or callable, optional
        Applied by `Layer.apply_constraints`; see `numbaconv.constraints`.
    """


@lru_cache(maxsize=1024)
def family_of(argument: str) -> Any:
    """The module that reads an argument; None where it is read as it is."""
    # An activity_regularizer is a regularizer; the activation argument has no prefix.
    return _FAMILIES.get(argument.rpartition("_")[2])


@lru_cache(maxsize=256)
def argument_names(cls: Any, base: Any = object) -> tuple[str, ...]:
    """Names that a layer class takes, its own first, up to those of a base of it."""
    names: tuple[str, ...] = ()
    for owner in cls.__mro__[: cls.__mro__.index(base)]:
        if "__init__" in vars(owner):
            own = parameter_names(vars(owner)["__init__"], several=False)
            names += tuple(name for name in own if name not in ("self", *names))
    return names


def with_defaults(constructor: Any, **defaults: Any) -> Any:
    """The same constructor with other defaults, so that whoever asks for its arguments sees them one by one."""
    made = FunctionType(constructor.__code__, constructor.__globals__, "__init__", None, constructor.__closure__)
    positional = [p for p in inspect.signature(constructor).parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    made.__defaults__ = tuple(defaults.get(p.name, p.default) for p in positional if p.default is not p.empty)
    made.__kwdefaults__, made.__annotations__ = constructor.__kwdefaults__, constructor.__annotations__
    return made


# Arguments that are used up when a layer is made or built, and are not attributes.
USED_UP = frozenset({"input_shape", "batch_input_shape", "batch_size", "weights", "output_shape"})
# What a layer has become by being built and used, as opposed to what it was made of.
_STATE = frozenset(
    {
        *("built", "input_shape", "batch_input_shape", "_nodes", "_weights", "_channels", "_initial_weights"),
        *("_dtype_given", "_given", "_attributes", "_written", "_many", "_steps"),
    }
)


def _made_by(cls: Any) -> type:
    """The class of the library that a layer's class is or comes from."""
    return next(owner for owner in cls.__mro__ if owner._own)


@lru_cache(maxsize=256)
def settings_of(cls: Any) -> frozenset[str]:
    """Names of the library's constructor arguments that are attributes of a layer of this class."""
    return frozenset(argument_names(_made_by(cls))) - USED_UP


def changed(layer: Any, name: str, value: Any) -> dict[str, Any]:
    """The attributes of a layer for which one setting has another value, checked as its constructor checks them.

    Raises ValueError or TypeError if the constructor would refuse the value, or the layer is built and would have to be
    built anew.
    """
    cls: Any = type(layer)
    made = cls.__new__(cls)
    arguments = {argument: layer._argument(argument) for argument in settings_of(cls)}
    _made_by(cls).__init__(made, **{**arguments, name: value})  # type: ignore[misc]
    new = {attribute: v for attribute, v in vars(made).items() if attribute not in _STATE | layer._states}
    new |= {"_kept": None, "_activity_loss": None}
    if name == "dtype":
        new["_dtype_given"] = True
    if layer.built:
        other = cls.__new__(cls)
        vars(other).update({**vars(layer), **new})
        _check_still_built(layer, other, name, value)
    return new


def _check_still_built(layer: Any, other: Any, name: str, value: Any) -> None:
    """Raise unless the weights of a built layer are those of the other, whose setting has another value."""
    if layer._weights:
        sizes, wanted = (one._weight_shapes(layer._channels) for one in (layer, other))
        reasons = {
            "the weights have another shape then": sizes != wanted,
            "the weights have another dtype then": layer.dtype != other.dtype,
            "the weights are drawn already": name.endswith("_initializer"),
        }
        for reason, holds in reasons.items():
            if holds:
                raise ValueError(
                    f"{name} cannot be set to {value!r} once the layer is built, because {reason}: make a new layer"
                )
    try:
        other.compute_output_shape(layer.input_shape)
    except ValueError as error:
        reason = str(error).removeprefix(f"{other._label}: ")
        raise ValueError(
            f"{name} cannot be set to {value!r}, because the layer is built for inputs of shape {layer.input_shape}: "
            f"{reason}"
        ) from None


def check_unknown(cls: Any, arguments: dict[str, Any]) -> None:
    """Raise unless all arguments are ones that Keras has and that ask for nothing, such as ``groups=1``.

    Raises TypeError if Keras's layer has no such argument either, or one asks for something that is not computed here.
    """
    if not arguments:
        return
    neutral = {name: rule for owner in reversed(cls.__mro__) for name, rule in vars(owner).get("_neutral", {}).items()}
    unknown = [name for name in arguments if name not in neutral]
    if unknown:
        known = argument_names(cls)
        near = suggestion(unknown[0], known) or f"; known are {', '.join(known)}"
        raise TypeError(f"{cls.__name__}: unknown argument {', '.join(unknown)}{near}")
    try:
        for name, value in arguments.items():
            check_neutral(name, value, *neutral[name])
    except ValueError as error:
        raise TypeError(f"{cls.__name__}: {error}") from None


def dtype_of(value: Any) -> Any:
    """What a dtype policy of Keras's, or its config, says of the dtype; anything else as it is."""
    if type(value).__name__ == "DTypePolicy":
        return value.name
    if isinstance(value, Mapping) and value.get("class_name") == "DTypePolicy":
        return dict(value.get("config") or {}).get("name", value)
    return value


def as_lists(value: Any) -> Any:
    return [as_lists(v) for v in value] if isinstance(value, tuple) else value


def full_batch_shape(input_shape: Any, batch_input_shape: Any, batch_size: Any, rank: int | None) -> tuple | None:
    """The batch_input_shape that the three arguments mean together; with a rank of None of any number of axes."""
    if batch_input_shape is None and input_shape is None:
        if batch_size is not None:
            raise ValueError(f"batch_size must come with input_shape, got batch_size={batch_size!r} alone")
        return None
    if batch_input_shape is not None and (input_shape is not None or batch_size is not None):
        raise ValueError("batch_input_shape must not come with input_shape or batch_size, got both")
    alone = batch_input_shape is None
    name, given = ("input_shape", input_shape) if alone else ("batch_input_shape", batch_input_shape)
    least = (1 if rank is None else rank + 1) + (not alone)
    if not isinstance(given, tuple | list) or len(given) < least or (rank is not None and len(given) != least):
        count = f"at least {least}" if rank is None else f"{least}"
        raise ValueError(f"{name} must be a tuple of {count} sizes (None where unknown), got {given!r}")
    full = (batch_size, *given) if alone else tuple(given)
    return tuple(
        None if n is None else shapes.normalize_tuple(n, 1, f"sizes in {name}", i == 0)[0] for i, n in enumerate(full)
    )
