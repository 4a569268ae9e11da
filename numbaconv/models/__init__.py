"""Networks of layers: Sequential, where each feeds the next, and Model, where they are connected in any way."""

from typing import TYPE_CHECKING

from ..objects.collecting import uncollected
from ..objects.public import publish

# With Numba and all layers.
with uncollected():
    from ..layers.wrapping import KINDS
    from .configs import MODELS
    from .loading import load_model, model_from_json
    from .model import Model
    from .sequential import Sequential

if TYPE_CHECKING:
    from .cloning import clone_model
    from .keras.memory import from_keras

MODELS.update(Functional=Model, Sequential=Sequential)
KINDS.update(MODELS)

__all__ = ["Model", "Sequential", "clone_model", "from_keras", "load_model", "model_from_json"]
publish(
    __name__, {"clone_model": f"{__name__}.cloning:clone_model", "from_keras": f"{__name__}.keras.memory:from_keras"}
)
