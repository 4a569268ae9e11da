"""Steps of a network by themselves, for the sake of their kernels: no step needs what the one before gives."""

import time
from contextlib import suppress
from math import inf
from typing import Any

import numpy as np

from ...calls.bands import BandsCall
from ...calls.separable import SeparableCall
from ...machine import compiling, sharing
from ...machine.aligned import aligned_empty, noted
from ...machine.compiler import recorded
from .arena import Arena


def run_apart(runner: Any, order: int, most: float = inf) -> None:
    """Run each step of a network by itself, with its kernels only if no other process compiles them.

    From the first to the last if the order is 1, but first those whose kernel takes longest to compile, which nobody is
    to begin late; from the last to the first if it is -1; no more of them after the ``most`` seconds, without those of
    compiling.
    """
    laid = Arena().laid(runner)
    found = laid.begun()
    for slot, shape in runner.shapes.items():
        found[slot] = np.zeros(shape, runner.dtype)
    for turn, out, _ in laid.steps:
        if turn.stage.kind == "view":
            found[turn.outputs[0]] = turn.run(out, *(found[slot] for slot in turn.inputs))
        elif out is not None:
            found[turn.outputs[0]] = out
    begun = time.perf_counter() - compiling.seconds
    steps = laid.steps[::order]
    if order > 0:
        steps = sorted(steps, key=lambda step: not isinstance(step[0].call, BandsCall | SeparableCall))
    for turn, out, _ in steps:
        # Whoever notes what a call does wants nothing of this.
        with suppress(Exception), noted(), recorded():
            to = aligned_empty(turn.shape, runner.dtype) if turn.place == -1 else out
            turn.run(to, *(found[slot] for slot in turn.inputs))
        sharing.release()
        if time.perf_counter() - compiling.seconds - begun > most:
            break
