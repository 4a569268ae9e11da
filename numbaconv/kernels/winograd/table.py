"""What a plan of Winograd's convolution has beside `kernels.table`: more columns of its row WORK.

================ ===========================================================================================
SHARES           runs of tasks, one for each thread that the plan was made for
HEIGHT, WIDTH    outputs along H and W; WINDOWS are patches
OUTPUTS, TAPS    those of the scheme along H and W
ORIGIN, PATCH    flat index of the first output, and number of the first patch
================ ===========================================================================================

There is a plan for each phase of a dilation, one behind the other; a task's number counts those of the phases before.
"""

from ...machine.compiler import compiled
from ..table import GROUP, TASKS, WORK, flat_plan
from .points import Scheme

SHARES, HEIGHT, WIDTH, OUTPUTS, TAPS, ORIGIN, PATCH = range(GROUP + 1, GROUP + 8)


def winograd_table(plan, shares, lengths, scheme, places, panels):
    """`flat_plan` for a plan whose windows are patches, of ``lengths`` outputs along H and W.

    ``places`` are the ORIGIN and the PATCH.
    """
    table = flat_plan(plan, panels)
    table[WORK, SHARES : PATCH + 1] = shares, *lengths, *scheme, *places
    return table


@compiled
def scheme_of(plan):
    """The scheme along H and W."""
    return Scheme(plan[WORK, OUTPUTS], plan[WORK, TAPS])


@compiled
def count_tasks(plans):
    """Tasks of all phases."""
    count = 0
    for phase in range(len(plans)):
        count += plans[phase, WORK, TASKS]
    return count


@compiled
def tasks_of(run, plan):
    """Of a run of tasks, counted from the first of a phase, those of the phase."""
    return max(run[0], 0), min(run[1], plan[WORK, TASKS])
