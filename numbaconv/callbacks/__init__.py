"""Callbacks: what happens in a training besides the steps, by Keras's names.

`Sequential.fit`, ``evaluate`` and ``predict`` call the methods of every callback that they are given. ``logs`` holds
the running means by name, or the results of the epoch. What a callback adds to them in ``on_epoch_end`` gets into the
history. A callback's own counts are not saved with a model.

A callback that waits for a quantity which can never come is refused before the first step.
"""

from typing import TYPE_CHECKING

from ..objects.public import publish
from .base import Callback
from .history import History

# The others load on first use, some of them with all optimizers.
if TYPE_CHECKING:
    from .checkpoint import ModelCheckpoint
    from .early_stopping import EarlyStopping
    from .rates import LearningRateScheduler, ReduceLROnPlateau
    from .records import CSVLogger, LambdaCallback

_MODULES = {
    "CSVLogger": "records",
    "EarlyStopping": "early_stopping",
    "LambdaCallback": "records",
    "LearningRateScheduler": "rates",
    "ModelCheckpoint": "checkpoint",
    "ReduceLROnPlateau": "rates",
}

__all__ = [
    "CSVLogger",
    "Callback",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ReduceLROnPlateau",
]
publish(__name__, {name: f"{__name__}.{module}:{name}" for name, module in _MODULES.items()})
