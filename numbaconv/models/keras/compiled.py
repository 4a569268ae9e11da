"""What a model was compiled with when it was saved."""

from typing import Any

from ...files.keras_file import KerasFile
from .making import Maker


def compiled(model: Any, file: KerasFile, maker: Maker) -> None:
    """Compile a model as it was, if that can be done."""
