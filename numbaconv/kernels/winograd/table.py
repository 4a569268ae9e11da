"""What a plan of Winograd's convolution has beside `kernels.table`: more columns of its row WORK.

================ ===========================================================================================
SHARES           runs of tasks, one for each thread that the plan was made for
HEIGHT, WIDTH    outputs along H and W; WINDOWS are patches
SCHEME           outputs and taps of the schemes along H and W
ORIGIN, PATCH    flat index of the first output, and number of the first patch
================ ===========================================================================================

There is a plan for each phase of a dilation, one behind the other; a task's number counts those of the phases before.
"""

from ...machine.compiler import compiled
from ..table import GROUP, TASKS, WORK, flat_plan
from .points import Scheme

SHARES, HEIGHT, WIDTH, SCHEME, _, _, _, ORIGIN, PATCH = range(GROUP + 1, GROUP + 10)


def winograd_table(plan, shares, lengths, schemes, places, panels):
    """`flat_plan` for a plan whose windows are patches, of ``lengths`` outputs along H and W.

    ``places`` are the ORIGIN and the PATCH.
    """
    table = flat_plan(plan, panels)
    table[WORK, SHARES : PATCH + 1] = shares, *lengths, *schemes[0], *schemes[1], *places
    return table


@compiled
def schemes_of(plan):
    """The schemes along H and W."""
    numbers = plan[WORK]
    return Scheme(numbers[SCHEME], numbers[SCHEME + 1]), Scheme(numbers[SCHEME + 2], numbers[SCHEME + 3])


@compiled
def lines_of(plan):
    """Lines of points of a patch along H."""
    return plan[WORK, SCHEME] + plan[WORK, SCHEME + 1] - 1


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
