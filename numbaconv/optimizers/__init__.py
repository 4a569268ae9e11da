"""Rules by which gradients change weights, by Keras's names and with Keras's formulas.

An optimizer's `step` is given all weights and their gradients and returns the new weights. What it remembers of earlier
steps, such as momentum, is kept in slots that belong to positions in these lists. Rates are computed in float64; arrays
in float64 if one of the weights is float64, and in float32 otherwise.
"""

from collections.abc import Mapping
from typing import Any

from .. import schedules
from ..objects.public import publish
from ..objects.registry import Registry
from .base import Optimizer
from .moments import Adam, Adamax, AdamW, Lion, Nadam
from .scaled import SGD, Adadelta, Adagrad, RMSprop

__all__ = [
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Lion",
    "Nadam",
    "Optimizer",
    "RMSprop",
    "get",
    "schedules",
    "serialize",
]
publish(__name__)

_REGISTRY = Registry("optimizer", globals(), Optimizer, "an optimizer, returned as it is", adamw=AdamW)


@_REGISTRY.documented
def get(identifier: Any) -> Optimizer | None:
    """Return the optimizer that `identifier` means.

    Returns
    -------
    Optimizer or None
        None for None.
    """
    made = identifier() if isinstance(identifier, type) else identifier
    if isinstance(made, (str, Mapping)):
        made = _REGISTRY.get(made)
    if made is not None and not isinstance(made, Optimizer):
        raise TypeError(f"optimizer must be a name, a class, a config or an optimizer, got {identifier!r}")
    return made


@_REGISTRY.documented
def serialize(optimizer: Optimizer) -> dict[str, Any]:
    """Return the config from which `get` makes an optimizer of the same settings, without the state.

    Raises
    ------
    TypeError
        If it is not of this module, or its learning rate is a function of the user's.
    """
    return _REGISTRY.serialize(optimizer)
