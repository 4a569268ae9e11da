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

_REGISTRY = Registry(
    "initializer",
    globals(),
    Initializer,
    "any function of a shape and a dtype, returned as it is. None means `GlorotUniform`, as for a Keras layer",
    zero=Zeros,
    one=Ones,
    normal=RandomNormal,
    uniform=RandomUniform,
)


@_REGISTRY.documented
def get(identifier: Any) -> Callable[..., Array]:
    """Return the initializer that `identifier` means.

    Returns
    -------
    callable
        Takes a shape and a dtype and returns an array.
    """
    return GlorotUniform() if identifier is None else _REGISTRY.get(identifier)


@_REGISTRY.documented
def serialize(initializer: Callable[..., Array]) -> dict[str, Any]:
    """Return the config from which `get` makes an equal initializer."""
    return _REGISTRY.serialize(initializer)
