"""Initial values of weights, by Keras's names.

An initializer is called with a shape and a dtype and returns a new C-contiguous array. The random ones take a seed:
with one, every call returns the same values for the same shape; without one, every call draws afresh, repeatably after
`utils.set_random_seed`. Draws are made in float64 and then rounded, so that a seed gives float32 and float64 layers the
same weights. The streams are NumPy's, not Keras's: the distributions are the same, the numbers are not.
"""

from collections.abc import Callable
from typing import Any

from ..objects.public import publish
from ..objects.registry import Registry
from .base import Array, Initializer
from .constant import Constant, Identity, Ones, Zeros
from .drawn import Orthogonal, RandomNormal, RandomUniform, TruncatedNormal
from .scaling import GlorotNormal, GlorotUniform, HeNormal, HeUniform, LecunNormal, LecunUniform, VarianceScaling

__all__ = [
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "IdentityInitializer",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "OrthogonalInitializer",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "constant",
    "get",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "identity",
    "lecun_normal",
    "lecun_uniform",
    "ones",
    "orthogonal",
    "random_normal",
    "random_uniform",
    "serialize",
    "truncated_normal",
    "variance_scaling",
    "zeros",
]
publish(__name__)

constant = Constant
glorot_normal = GlorotNormal
glorot_uniform = GlorotUniform
he_normal = HeNormal
he_uniform = HeUniform
IdentityInitializer = identity = Identity
lecun_normal = LecunNormal
lecun_uniform = LecunUniform
ones = Ones
OrthogonalInitializer = orthogonal = Orthogonal
random_normal = RandomNormal
random_uniform = RandomUniform
truncated_normal = TruncatedNormal
variance_scaling = VarianceScaling
zeros = Zeros

_CONSTANT = (Zeros, Ones, Constant, Identity)
_RANDOM = (RandomNormal, RandomUniform, TruncatedNormal, VarianceScaling)
_FIXED_SCALING = (GlorotNormal, GlorotUniform, HeNormal, HeUniform, LecunNormal, LecunUniform)
_REGISTRY = Registry(
    "initializer",
    (*_CONSTANT, *_RANDOM, *_FIXED_SCALING, Orthogonal),
    {"zero": Zeros, "one": Ones, "normal": RandomNormal, "uniform": RandomUniform},
)


def get(identifier: Any) -> Callable[..., Array]:
    """Return the initializer that `identifier` means.

    Parameters
    ----------
    identifier : str, class, dict, callable or None
        A name in either spelling, "GlorotUniform" or "glorot_uniform"; a class, which is called without arguments; a
        dict with "class_name" and "config"; or any function of a shape and a dtype, returned as it is. None means
        `GlorotUniform`, which is what a Keras layer falls back on.

    Returns
    -------
    callable
        Takes a shape and a dtype and returns an array.

    Raises
    ------
    ValueError
        If no initializer has this name.
    TypeError
        If `identifier` is none of these, or its config has unknown arguments.
    """
    if identifier is None:
        return GlorotUniform()
    initializer: Callable[..., Array] = _REGISTRY.get(identifier)
    return initializer


def serialize(initializer: Callable[..., Array]) -> dict[str, Any]:
    """Return the config from which `get` makes an equal initializer.

    Parameters
    ----------
    initializer : Initializer
        An instance of one of this module's classes.

    Returns
    -------
    dict
        "class_name" and "config", as plain JSON types.

    Raises
    ------
    TypeError
        If it is any other callable, which no plain configuration can hold.
    """
    return _REGISTRY.serialize(initializer)
