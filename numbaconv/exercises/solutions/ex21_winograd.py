"""21. Fewer multiplications.

Two neighbouring outputs of a kernel with three taps need four inputs and, written down, six multiplications:

    out[0] = d[0] * g[0] + d[1] * g[1] + d[2] * g[2]
    out[1] = d[1] * g[0] + d[2] * g[1] + d[3] * g[2]

Winograd found a way with four (1980). Here are three of the products:

    m0 = (d[0] - d[2]) * g[0]
    m1 = (d[1] + d[2]) * (g[0] + g[1] + g[2]) / 2
    m2 = (d[2] - d[1]) * (g[0] - g[1] + g[2]) / 2

Work out what m1 + m2 and m1 - m2 are. What must m3 be, and how are the outputs made of the four?

The check counts the products of something of ``d`` by something of ``g``. Take the numbers as they are, without float()
and without arrays of floats: those do not count. Additions and halves are free here: those of g are made once for a
whole image, and those of d are shared by all filters.
"""


def two_outputs(d, g):
    """``d`` holds four inputs and ``g`` three weights; return the two outputs."""
    # Yours from here.
    m0 = (d[0] - d[2]) * g[0]
    m1 = (d[1] + d[2]) * ((g[0] + g[1] + g[2]) / 2)
    m2 = (d[2] - d[1]) * ((g[0] - g[1] + g[2]) / 2)
    m3 = (d[1] - d[3]) * g[2]
    return m0 + m1 + m2, m1 - m2 - m3
    # To here.
