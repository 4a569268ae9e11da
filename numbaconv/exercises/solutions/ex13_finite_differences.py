"""13. A gradient without any thought.

Learning asks, of each number in an array, how much a result changes when that number does. Try it: move one number up
by ``step``, then down by ``step``, and divide the difference of the results by 2 * step. Do so for every number.

It is slow, and exact only up to rounding. But it needs no formula: whoever writes one checks it with this.
Moving to one side only would be less exact: its error falls with the step, that of both sides with its square.
"""

import numpy as np


def slopes(f, x, step=1e-4):
    """``f`` makes a number of an array like ``x``; return an array of the shape of ``x``, and leave ``x`` as it is."""
    # Yours from here.
    out = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[place] += step
        down[place] -= step
        out[place] = (f(up) - f(down)) / (2 * step)
    return out
    # To here.
