"""Masks in configurations of Keras 3: there they are tensors, which operations beside the layers compute.

Here a mask goes from layer to layer by itself, as it does when the network is built. So these operations are left out,
but where somebody handed a layer a mask that would not have come there by itself.
"""

from collections.abc import Iterable, Iterator

from .architecture import Architecture, Call, Part, places
from .operations import is_operation


def used(architecture: Architecture) -> list[Part]:
    """The parts of a network without masks that follow from its layers, and without what only these need."""
    masked = _masked(architecture.parts) if any(map(_has_mask, _calls(architecture.parts))) else set()
    given = {part.name for part in architecture.parts if part.class_name == "InputLayer"}
    parts = [
        part._replace(calls=tuple(_unmasked(call, masked, given) for call in part.calls)) for part in architecture.parts
    ]
    while True:
        read = {place.layer for call in _calls(parts) for place in places([call.arguments, call.keywords])}
        read |= {place.layer for place in places([architecture.inputs, architecture.outputs])}
        kept = [part for part in parts if part.name in read]
        if len(kept) == len(parts):
            return kept
        parts = kept


def _masked(parts: tuple[Part, ...]) -> set[str]:
    """The names of parts whose results have masks by themselves: those that make some, and the layers behind them."""
    found = {part.name for part in parts if _makes_masks(part)}
    layers = [part for part in parts if not is_operation(part)]
    count = -1
    while count < len(found):
        count = len(found)
        found |= {part.name for part in layers if any(_reads(call, found) for call in part.calls)}
    return found


def _unmasked(call: Call, masked: set[str], given: set[str]) -> Call:
    # A mask that is an Input somebody has handed over.
    if not (_has_mask(call) and _reads(call, masked)) or any(
        place.layer in given for place in places(call.keywords["mask"])
    ):
        return call
    return call._replace(keywords={key: value for key, value in call.keywords.items() if key != "mask"})


def _reads(call: Call, names: set[str]) -> bool:
    return any(place.layer in names for place in places(call.arguments))


def _has_mask(call: Call) -> bool:
    return any(True for _ in places(call.keywords.get("mask")))


def _calls(parts: Iterable[Part]) -> Iterator[Call]:
    return (call for part in parts for call in part.calls)


def _makes_masks(part: Part) -> bool:
    return part.class_name == "Masking" or bool(part.config.get("mask_zero")) or part.inner is not None
