"""Networks of layers: Sequential, where each feeds the next, and Model, where they are connected in any way."""

from ..objects.collecting import uncollected
from ..objects.public import publish

# With Numba and all layers.
with uncollected():
    from ..layers.wrapping import KINDS
    from .cloning import clone_model
    from .configs import MODELS
    from .keras.memory import from_keras
    from .loading import load_model, model_from_json
    from .model import Model
    from .sequential import Sequential

MODELS.update(Functional=Model, Sequential=Sequential)
KINDS.update(MODELS)

__all__ = ["Model", "Sequential", "clone_model", "from_keras", "load_model", "model_from_json"]
publish(__name__)
