"""10. Separable convolution.

A depthwise convolution looks at the neighbours, but mixes no channels. A pointwise one, with a kernel of 1x1, mixes the
channels of each pixel and looks at no neighbour. One after the other they do both, with far fewer multiplications than
exercise 4: networks for phones are made of them (Howard and others, "MobileNets", 2017).

Use your function of exercise 9. What remains is one product of matrices.
"""

import numpy as np
from ex09_depthwise import depthwise


def separable(x, depthwise_weights, pointwise_weights):
    """Shapes: ``x`` (H, W, C), weights (KH, KW, C) and (C, F), output (H - KH + 1, W - KW + 1, F)."""
    # Yours from here.
    return np.matmul(depthwise(x, depthwise_weights), pointwise_weights)
    # To here.
