"""What a configuration says of an operation of Keras's: its entry in a file, and what it is called with."""

from typing import Any

from ...common.structures import mapped
from .architecture import Call, Constant, Part, Place, places, told

# What a description has of the entry.
ENTRY = "class_name", "config", "registered_name", "module"


def description_of(part: Part, call: Call, called: Any) -> dict[str, Any]:
    """What stands in a configuration for an operation, with its tensors as numbers among those that it is called on."""
    order: list[Any] = list(places(called))

    def numbered(one: Any) -> Any:
        if not isinstance(one, Place):
            return one
        number = order.index(one)
        # What is called on the same tensor twice may be called on two.
        order[number] = None
        return Place(str(number), 0, 0)

    form = [list(call.arguments), call.keywords]
    args, kwargs = told(mapped(numbered, form, lambda one: isinstance(one, Place | Constant)))
    config = {key: value for key, value in part.config.items() if key != "name"}
    entry = dict(zip(ENTRY, (part.class_name, config, part.registered_name, part.module), strict=True))
    return {**entry, "args": args, "kwargs": kwargs}
