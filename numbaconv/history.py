"""The record of a training, where `numbaconv.callbacks` has it, too."""

from .callbacks.history import History
from .objects.public import publish

__all__ = ["History"]
publish(__name__)
