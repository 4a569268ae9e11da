"""What a process does that compiles for another one, from the last step of a network to the first."""

from contextlib import suppress
from typing import Any

import numpy as np

from ...machine import sharing
from ...machine.aligned import aligned_empty
from ..loading import model_from_json
from .arena import Arena
from .running import Runner, fused


def compile_from_the_end(told: dict[str, Any]) -> None:
    """Run the steps of a network on whatever is in memory, the last one first, and with weights of its own.

    ``told`` has the ``model`` in JSON, and the ``shapes`` of its inputs.
    """
    sharing.help_from_now_on()
    model = model_from_json(told["model"])
    runner = fused(model._program()).runner([tuple(shape) for shape in told["shapes"]])
    if runner is not None:
        run_backwards(runner)


def run_backwards(runner: Runner) -> None:
    """Run each step of a network, the last one first, with its kernels only if no other process compiles them."""
    laid = Arena().laid(runner)
    found = laid.begun()
    for slot, shape in runner.shapes.items():
        found[slot] = np.zeros(shape, runner.dtype)
    for turn, out, _ in laid.steps:
        if turn.stage.kind == "view":
            found[turn.outputs[0]] = turn.run(out, *(found[slot] for slot in turn.inputs))
        elif out is not None:
            found[turn.outputs[0]] = out
    for turn, out, _ in reversed(laid.steps):
        with suppress(Exception):
            to = aligned_empty(turn.shape, runner.dtype) if turn.place == -1 else out
            turn.run(to, *(found[slot] for slot in turn.inputs))
        sharing.release()
