"""A plan as a kernel takes it: one int64 array, since every argument of a kernel costs each call some time.

================ ===========================================================================================
row              columns
================ ===========================================================================================
N, D, H, W       those of an axis, as `kernels.plan.axes` explains
WORK             TASKS, how many there are, GROUP, the panels that each of them takes, and, where a kernel asks for
                 it, CHANNELS, those of a branch, and MEANS, where means of rows begin in the output, 0 for none
PANELS and on    of each panel, FIRST, its first filter, COUNT, its filters, PLACE, where they lie in the output
                 of a window, and CHANNEL, the first channel that they read
================ ===========================================================================================
"""

import numpy as np

from ..machine.compiler import compiled
from .records import Panel, Panels

WORK, PANELS = 4, 5
TASKS, GROUP, CHANNELS, MEANS = range(4)
FIRST, COUNT, PLACE, CHANNEL = range(4)


def flat_plan(plan, *panels):
    """A `Plan`, and one or more tables of panels, as one array."""
    rows = np.vstack([(plan.tasks, plan.group, 0, 0), *panels])
    return np.vstack([plan.axes, np.pad(rows, [(0, 0), (0, plan.axes.shape[1] - rows.shape[1])])])


def panel_table(filters, width, origins=(0,), branches=1, channels=0):
    """FIRST, COUNT, PLACE and CHANNEL of the panels, ``width`` wide, of some filters.

    ``origins`` lists where the outputs of several convolutions begin that are computed together, all with the same
    number of filters, their panels one after the other. Of several branches, each has so many filters and channels;
    the panels of a branch stand together.
    """
    rows = [
        (branch * filters + f, min(width, filters - f), origin + branch * filters + f, branch * channels)
        for branch in range(branches)
        for origin in origins
        for f in range(0, filters, width)
    ]
    return np.array(rows, np.int64).reshape(-1, 4)


@compiled
def panels_of(block, plan, weights):
    """The `Panels` of a block's group."""
    first = block.part * plan[WORK, GROUP]
    return Panels(weights, plan, PANELS, first, min(first + plan[WORK, GROUP], len(plan) - PANELS))


@compiled
def panel_of(panels, number):
    """One of the `Panels`."""
    plan, row = panels.plan, panels.row + number
    return Panel(panels.weights, number, plan[row, FIRST], plan[row, COUNT], plan[row, PLACE], plan[row, CHANNEL])
