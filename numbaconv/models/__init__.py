"""Sequential, Keras's linear stack of layers."""

from ..objects.public import publish
from .sequential import Sequential

__all__ = ["Sequential"]
publish(__name__)
