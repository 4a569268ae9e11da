"""Where the weights of a network lie in the HDF5 files of Keras: the map between layers and paths, for both ways.

Keras 3 has a path for each weight, ``layers/conv2d_1/vars/0``: not by the layer's name, but by its class and a number
that counts the layers of this class in their model. Older files list the layers, and of each layer its weights, in an
order.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from ...objects.naming import snake_case
from ...objects.tuples import NamedTuple

# Layers that keep their weights in parts of themselves: of each path the weights that lie there.
_CELLS = ("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "GRU", "LSTM", "SimpleRNN")
_ATTENTION = ("query", "key", "value", "gate", "output")

Listed = Callable[[Any], list[Any]]


class Listing:
    """The layers of models in the order of a file, and its classes of layers that are of other ones here.

    Both are by the identity of a model or a layer. What is not listed is as the model or the layer itself says.
    """

    def __init__(self, layers: dict[int, list[Any]] | None = None, classes: dict[int, str] | None = None) -> None:
        self._layers, self._classes = layers or {}, classes or {}

    def __call__(self, model: Any) -> list[Any]:
        return self._layers.get(id(model)) or layers_of(model)

    def class_name(self, layer: Any) -> str:
        """What a layer's group is called, but for its number."""
        name = self._classes.get(id(layer), type(layer).__name__)
        return "functional" if name == "Model" else snake_case(name)


class Variable(NamedTuple):
    """One weight: the layer that it belongs to, its name there, and its path in a file of Keras 3."""

    layer: Any
    name: str
    path: str

    @property
    def shape(self) -> tuple[int, ...]:
        shape: tuple[int, ...] = self.layer._weights[self.name].shape
        return shape


def layers_of(model: Any) -> list[Any]:
    """The layers of a model, as it lists them itself."""
    layers: list[Any] = model.layers
    return layers


def is_model(layer: Any) -> bool:
    """Whether a layer is a network of its own."""
    return hasattr(layer, "layers")


def variables(model: Any, listing: Listing | None = None) -> list[Variable]:
    """All weights of a built model, with their paths in a file of Keras 3.

    ``listing`` gives the layers of a model in the order of the file; by default in its own.
    """
    return list(_of_model(model, "", listing or Listing()))


def _of_model(model: Any, prefix: str, listing: Listing) -> Iterator[Variable]:
    counts: Counter[str] = Counter()
    for layer in listing(model):
        kind = listing.class_name(layer)
        number = counts[kind]
        counts[kind] += 1
        path = f"{prefix}layers/{kind}_{number}" if number else f"{prefix}layers/{kind}"
        yield from _of_layer(layer, path, listing)


def _of_layer(layer: Any, path: str, listing: Listing) -> Iterator[Variable]:
    if is_model(layer):
        yield from _of_model(layer, f"{path}/", listing)
        return
    for part in wrapped_in(layer):
        yield from _of_layer(getattr(layer, part), f"{path}/{part}", listing)
    for place, names in places_of(layer).items():
        for i, name in enumerate(names):
            yield Variable(layer, name, f"{path}/{place}/{i}")


def wrapped_in(layer: Any) -> list[str]:
    """The attributes of a layer that hold layers with weights of their own, in Keras's order of weights."""
    name = type(layer).__name__
    if name == "Bidirectional":
        return ["forward_layer", "backward_layer"]
    return ["layer"] if name == "TimeDistributed" else []


def places_of(layer: Any) -> dict[str, list[str]]:
    """The groups below a layer's own in which its weights lie, and the names of those in each."""
    if wrapped_in(layer):
        return {}
    names, kind = list(layer._weights), type(layer).__name__
    if kind in _CELLS:
        return {"cell/vars": names}
    if kind == "MultiHeadAttention":
        parts = {f"{part}_dense/vars": [n for n in names if n.startswith(f"{part}_")] for part in _ATTENTION}
        return {place: found for place, found in parts.items() if found}
    return {"vars": names}


def leaves_of(layer: Any, listed: Listed = layers_of) -> list[Any]:
    """The layers with weights of their own in a layer or a model, in order."""
    if is_model(layer):
        return [leaf for one in listed(layer) for leaf in leaves_of(one, listed)]
    parts = wrapped_in(layer)
    return [leaf for part in parts for leaf in leaves_of(getattr(layer, part), listed)] if parts else [layer]


def legacy_order(layer: Any, listed: Listed = layers_of) -> list[tuple[Any, str]]:
    """The weights of a layer or a model in the order of older files: first those that are trained, then the others.

    With each the layer that it belongs to. Where training is switched off for a layer, all of its weights are others.
    """
    pairs = [(leaf, name) for leaf in leaves_of(layer, listed) for name in leaf._weights]
    frozen = _frozen(layer, False, listed)
    trained = [(leaf, name) for leaf, name in pairs if id(leaf) not in frozen and name not in leaf.statistics]
    chosen = {(id(leaf), name) for leaf, name in trained}
    return trained + [(leaf, name) for leaf, name in pairs if (id(leaf), name) not in chosen]


def _frozen(layer: Any, above: bool, listed: Listed) -> set[int]:
    """The identities of the leaves that are not trained, because they or something around them is not."""
    frozen = above or not layer.trainable
    if is_model(layer):
        return {one for part in listed(layer) for one in _frozen(part, frozen, listed)}
    return {id(leaf) for leaf in leaves_of(layer, listed)} if frozen else set()
