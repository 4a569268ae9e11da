"""What a plan of Winograd's convolution tells beside `kernels.table`: in its row WORK, the columns from SHARES on."""

from ...machine.compiler import compiled
from ..table import GROUP, WORK, flat_plan
from .points import Scheme

# Runs of tasks, one for each thread; rows and columns of all outputs; outputs and taps of the scheme.
SHARES, HEIGHT, WIDTH, OUTPUTS, TAPS = range(GROUP + 1, GROUP + 6)


def winograd_table(plan, lengths, scheme, panels):
    """`flat_plan` for a plan whose windows are patches, of ``lengths`` outputs along H and W. It leaves out SHARES."""
    table = flat_plan(plan, panels)
    table[WORK, HEIGHT : TAPS + 1] = *lengths, *scheme
    return table


@compiled
def scheme_of(plan):
    """The scheme along H and W."""
    return Scheme(plan[WORK, OUTPUTS], plan[WORK, TAPS])
