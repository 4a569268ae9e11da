"""Activation functions by Keras's names, on NumPy arrays, and their gradients.

Every function maps a float array to an array of the same shape and dtype without changing its input. None of them
warns: what overflows becomes infinite, what has no value becomes NaN, and NaN stays NaN.
"""

import inspect
from collections.abc import Mapping
from functools import partial
from typing import Any

from ..objects.public import publish
from ..objects.strict import suggestion
from .bounded import (
    exponential,
    hard_sigmoid,
    hard_tanh,
    log_sigmoid,
    log_softmax,
    sigmoid,
    softmax,
    softsign,
    sparse_sigmoid,
    sparsemax,
    tanh,
)
from .function import Activation, Gradient
from .gated import gelu, hard_silu, mish, silu
from .rectifiers import (
    celu,
    elu,
    hard_shrink,
    leaky_relu,
    linear,
    relu,
    relu6,
    selu,
    soft_shrink,
    softplus,
    sparse_plus,
    squareplus,
    tanh_shrink,
)
from .settings import LAYERS, WithSettings, from_config, to_config, with_settings

hard_swish, swish = hard_silu, silu

__all__ = [
    "celu",
    "elu",
    "exponential",
    "gelu",
    "get",
    "gradient",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "of_input",
    "relu",
    "relu6",
    "selu",
    "serialize",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softmax",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "sparsemax",
    "squareplus",
    "swish",
    "tanh",
    "tanh_shrink",
]
publish(__name__)

_NAMES: dict[str, Activation] = {name: globals()[name] for name in __all__ if hasattr(globals().get(name), "gradient")}
_FUNCTIONS = {function.__name__: function for function in _NAMES.values()}


def gradient(activation: Any) -> Gradient:
    """Return the function that takes a gradient back through `activation`.

    Parameters
    ----------
    activation : str, callable, dict or None
        What `get` takes. A function of the user's must have an attribute `gradient`, which is returned.

    Returns
    -------
    callable
        ``gradient(activation)(grad_out, y)`` is the gradient with respect to `x`, where ``y = activation(x)`` and
        `grad_out` is the gradient with respect to `y`, both of one shape and dtype, as is the result. Neither is
        changed, and nothing warns; for `linear` the result is `grad_out` itself. It takes `x` in the place of `y` if
        `of_input` says so.

    Raises
    ------
    ValueError
        If no activation has this name, or a function of the user's has no such attribute.
    TypeError
        If `activation` is none of these.

    Notes
    -----
    Mostly the outputs are enough: ``tanh'(x) = 1 - y ** 2``, for example. Where rounding brings a bounded output to its
    limit, the gradient is 0.

    Examples
    --------
    A leaky rectifier with another slope, which trains too:

    >>> import numpy as np
    >>> def leaky(x):
    ...     return np.maximum(x, 0.1 * x)
    >>> leaky.gradient = lambda grad_out, y: np.where(y > 0, grad_out, 0.1 * grad_out)
    >>> gradient(leaky)(np.array([2.0, 2.0]), leaky(np.array([-3.0, 3.0])))
    array([0.2, 2. ])
    """
    function = get(activation)
    own = getattr(function, "gradient", None)
    if not callable(own):
        raise ValueError(
            "activation must have an attribute 'gradient', a function (grad_out, y) that returns the gradient with "
            f"respect to x where y = activation(x), or a function (grad_out, x), got {function!r} without"
        )
    derivative: Gradient = own
    return derivative


def of_input(activation: Activation) -> bool:
    """Return whether the gradient of `activation` is worked out from its input instead of its output.

    Parameters
    ----------
    activation : callable

    Returns
    -------
    bool
        True if it has a gradient whose second parameter is called ``x``.
    """
    function = activation.function if isinstance(activation, WithSettings) else activation
    try:
        return _OF_INPUT[function]
    # Not this library's, or not to be found in any dict.
    except (KeyError, TypeError):
        return _takes_input(activation)


def _takes_input(activation: Activation) -> bool:
    own = getattr(activation, "gradient", None)
    try:
        return callable(own) and list(inspect.signature(own).parameters)[1:2] == ["x"]
    except ValueError:
        # Some functions written in C do not say what they take.
        return False


# Of every call in training it is asked.
_OF_INPUT = {function: _takes_input(function) for function in _FUNCTIONS.values()}


def get(identifier: Any) -> Activation:
    """Return the activation function that `identifier` means.

    Parameters
    ----------
    identifier : str, callable, dict or None
        A name such as "relu"; any function of one array, which is returned as it is; one of this module's with other
        settings, ``functools.partial(activations.elu, alpha=0.5)``; one of the layers ELU, LeakyReLU, ReLU and
        Softmax, or its config, as Keras's files hold it; None means `linear`.

    Returns
    -------
    callable
        Takes one array and returns one. To train through a function of the user's it must have a `gradient`.

    Raises
    ------
    ValueError
        If no activation has this name or these settings.
    TypeError
        If `identifier` is none of these.
    """
    if identifier is None:
        return linear
    if isinstance(identifier, Mapping):
        found = from_config(identifier)
        return get(found) if isinstance(found, str) else found
    if isinstance(identifier, str):
        if identifier not in _NAMES:
            known, near = ", ".join(sorted(_NAMES)), suggestion(identifier, _NAMES)
            raise ValueError(f"activation must be one of {known}, got {identifier!r}{near}")
        return _NAMES[identifier]
    if isinstance(identifier, type) or not callable(identifier):
        raise TypeError(f"activation must be a name, a function of one array or None, got {identifier!r}")
    if isinstance(identifier, partial) and identifier.func in _FUNCTIONS.values() and not identifier.args:
        return with_settings(identifier.func, identifier.keywords)
    name, config = type(identifier).__name__, getattr(identifier, "get_config", None)
    if name in LAYERS and callable(config):
        return get({"class_name": name, "config": config()})
    return identifier


def serialize(activation: Activation) -> str | dict[str, Any]:
    """Return the name or the config from which `get` gives `activation` back.

    Parameters
    ----------
    activation : callable
        One of this module's functions; elu, leaky_relu, relu and softmax with any settings.

    Returns
    -------
    str or dict
        Its name; with other settings than its own, the config of the layer that does the same.

    Raises
    ------
    TypeError
        If it is any other callable, which no plain configuration can hold.
    """
    for name, function in _FUNCTIONS.items():
        if function is activation:
            return name
    config = to_config(activation)
    if config is not None:
        return config
    raise TypeError(f"only the activations {', '.join(sorted(_FUNCTIONS))} can be put in a config, got {activation!r}")
