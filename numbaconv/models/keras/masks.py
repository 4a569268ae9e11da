"""Masks in configurations of Keras 3: there they are tensors, which operations beside the layers compute.

Here a mask goes from layer to layer by itself, as it does when the network is built. So these operations are left out.
"""

from .architecture import Architecture, Call, Part, places


def used(architecture: Architecture) -> list[Part]:
    """The parts of a network without masks that follow from its layers, and without what only these need.

    Raises ValueError if a mask does not come from a layer that makes one.
    """
    parts = [part._replace(calls=_unmasked(part, architecture)) for part in architecture.parts]
    while True:
        calls = [call for part in parts for call in part.calls]
        read = {place.layer for call in calls for place in places([call.arguments, call.keywords])}
        read |= {place.layer for place in places([architecture.inputs, architecture.outputs])}
        kept = [part for part in parts if part.name in read]
        if len(kept) == len(parts):
            return kept
        parts = kept


def _unmasked(part: Part, architecture: Architecture) -> tuple[Call, ...]:
    calls = []
    for call in part.calls:
        mask = call.keywords.get("mask")
        if any(True for _ in places(mask)):
            if not any(_makes_masks(one) for one in architecture.parts):
                raise ValueError(f"layer {part.name!r} ({part.class_name}): mask must come from a layer that makes one")
            call = call._replace(keywords={key: value for key, value in call.keywords.items() if key != "mask"})
        calls.append(call)
    return tuple(calls)


def _makes_masks(part: Part) -> bool:
    return part.class_name == "Masking" or bool(part.config.get("mask_zero")) or part.inner is not None
