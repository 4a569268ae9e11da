"""What is done in the course of a training besides training, by Keras's names.

`Sequential.fit`, ``evaluate`` and ``predict`` call the methods of every callback that they are given. ``logs`` holds
the running means by name, or the results of the epoch; what a callback adds to those in ``on_epoch_end`` gets into the
history. How far a callback has counted is not saved with a model.

A callback that waits for a quantity which can never come is refused before the first step.
"""

from ..objects.public import publish
from .base import Callback
from .checkpoint import ModelCheckpoint
from .early_stopping import EarlyStopping
from .history import History
from .rates import LearningRateScheduler, ReduceLROnPlateau
from .records import CSVLogger, LambdaCallback

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
publish(__name__)
