"""16. A convolution is a product of matrices.

Write each window of an image as a row: its KH * KW * C values one after the other, in the order of ``weights``, that is
kh, then kw, then c. The matrix of all windows times the weights, as a matrix of KH * KW * C rows and F columns, is the
whole convolution:

    out = im2col(x, kernel_h, kernel_w) @ weights.reshape(-1, filters)

Libraries for matrix products have been tuned for decades, so this is how convolutions were made fast first
(Chellapilla, Puri and Simard, 2006). What does it cost? Count how often each value of the image is written.
"""

import numpy as np


def im2col(x, kernel_h, kernel_w):
    """``x`` has shape (H, W, C); return the windows, row by row of the image, as (OH * OW, KH * KW * C)."""
    # Yours from here.
    height, width = x.shape[0] - kernel_h + 1, x.shape[1] - kernel_w + 1
    rows = [x[h : h + kernel_h, w : w + kernel_w].ravel() for h in range(height) for w in range(width)]
    return np.array(rows)
    # To here.
