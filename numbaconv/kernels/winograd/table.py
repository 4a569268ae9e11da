"""What a plan of Winograd's convolution has beside `kernels.table`: more columns of its row WORK.

================ ===========================================================================================
SHARES           runs of tasks, one for each thread that the plan was made for
HEIGHT, WIDTH    outputs along H and W; WINDOWS are patches
OUTPUTS, TAPS    those of the scheme along H and W
================ ===========================================================================================
"""

from ...machine.compiler import compiled
from ..table import GROUP, WORK, flat_plan
from .points import Scheme

SHARES, HEIGHT, WIDTH, OUTPUTS, TAPS = range(GROUP + 1, GROUP + 6)


def winograd_table(plan, shares, lengths, scheme, panels):
    """`flat_plan` for a plan whose windows are patches, of ``lengths`` outputs along H and W."""
    table = flat_plan(plan, panels)
    table[WORK, SHARES : TAPS + 1] = shares, *lengths, *scheme
    return table


@compiled
def scheme_of(plan):
    """The scheme along H and W."""
    return Scheme(plan[WORK, OUTPUTS], plan[WORK, TAPS])
