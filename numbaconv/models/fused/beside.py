"""What a process does that compiles for another one, from the last step of a network to the first."""

from typing import Any

from ...machine import sharing
from ..loading import model_from_json
from .apart import run_apart
from .running import fused


def compile_from_the_end(told: dict[str, Any]) -> None:
    """Run the steps of a network on whatever is in memory, the last one first, and with weights of its own.

    ``told`` has the ``model`` in JSON, and the ``shapes`` of its inputs.
    """
    sharing.help_from_now_on()
    model = model_from_json(told["model"])
    runner = fused(model._program()).runner([tuple(shape) for shape in told["shapes"]])
    if runner is not None:
        run_apart(runner, -1)
