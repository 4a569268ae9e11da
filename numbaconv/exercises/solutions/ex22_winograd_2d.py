"""22. Winograd for images.

Write exercise 21 with matrices: B for the inputs, G for the weights, A for the way back,

    out = A.T @ ((G @ g) * (B.T @ d))

where * multiplies number by number. Row i of G and row i of B.T make the two factors of product i: G has 4 rows and 3
columns, B.T has 4 and 4. Each row of A.T makes one output of the 4 products, with 1, -1 and 0. For an image of 4
by 4 inputs and a kernel of 3 by 3, do it along the rows and along the columns:

    out = A.T @ ((G @ g @ G.T) * (B.T @ d @ B)) @ A

Four outputs with 16 multiplications instead of 36. Write down the three matrices, from the products of exercise 21, and
the formula. (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015. This library takes six points
along each axis: 16 outputs with 36 multiplications instead of 144.)
"""

import numpy as np


def four_outputs(d, g):
    """``d`` has shape (4, 4), ``g`` (3, 3); return an array of shape (2, 2)."""
    # Yours from here.
    inputs = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])
    weights = np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]]) / 2
    back = np.array([[1, 1, 1, 0], [0, 1, -1, -1]])
    return back @ ((weights @ g @ weights.T) * (inputs @ d @ inputs.T)) @ back.T
    # To here.
