"""Cases of pooling, how to run them, and what the reference gives."""

import numpy as np
from case import row

from numbaconv import functional, shapes
from numbaconv.selfcheck import textbook

KINDS = ("max", "average")


def window(name, shape, size, strides=None, padding="valid"):
    return row("pool", name, shape, pool_size=size, strides=strides, padding=padding)


CASES = [
    window("valid", (2, 9, 3), 2),
    window("same", (2, 9, 3), 4, 2, "same"),
    window("strides beyond the window", (2, 13, 3), 2, 5),
    window("one position, same", (2, 1, 3), 5, 1, "same"),
    window("empty batch", (0, 6, 3), 2),
    window("valid smoke", (2, 8, 7, 5), (2, 3)),
    window("same, overlapping smoke", (2, 8, 7, 3), (3, 4), (2, 1), "same"),
    window("one by one", (2, 4, 5, 3), 1),
    window("one by one, strided", (2, 5, 6, 3), 1, 2, "same"),
    window("unequal, strided", (1, 11, 9, 2), (1, 4), (3, 2), "same"),
    window("one channel", (2, 6, 5, 1), 3, 2, "same"),
    window("one column", (2, 7, 1, 3), (3, 1), (2, 1)),
    window("window as large as the input", (2, 5, 4, 3), (5, 4)),
    window("window beyond the input, same", (2, 2, 3, 2), (7, 9), 1, "same"),
    window("empty batch", (0, 6, 5, 3), 2),
    window("a vector and a rest", (2, 6, 5, 19), 3, 2, "same"),
    window("several vectors and a rest smoke", (2, 6, 5, 77), 3, 2, "same"),
    window("short rows of many channels", (2, 5, 6, 9), (2, 3), 2),
    window("rows of many windows, strided", (1, 2, 200, 3), (2, 3), 2, "same"),
    window("many windows side by side", (2, 150, 2), 5, 1, "same"),
    window("whole images of one channel", (3, 7, 9, 1), (7, 9)),
    window("long windows smoke", (2, 1301, 3), 600, 650),
    window("whole images, of which one line is not full", (3, 13, 11, 1), (13, 11)),
    window("many positions of few channels", (2, 95, 3), 45),
    window("many rows of many channels smoke", (2, 80, 40), 40, 20),
    window("many rows, two lines side by side, one more and a rest smoke", (2, 45, 53), 45),
    window("many rows of many channels, same", (1, 9, 150), 5, 2, "same"),
    window("long windows that overlap", (1, 700, 5), 520, 60),
    window("blocks of fewer channels than a wide line has", (1, 1100, 65), 1100),
    window("images side by side", (37, 7, 6, 2), 3, 2, "same"),
    window("small whole images side by side smoke", (41, 3, 4, 1), (3, 4)),
    window("rows of windows that are images", (90, 6, 5, 1), 2),
    window("rows of windows side by side", (64, 30, 1), 3),
    window("planes of few windows, some values of which none has", (9, 11, 10, 3), (5, 7), (4, 3)),
    window("short whole planes", (3, 5, 7), 5),
    window("windows side by side", (2, 19, 3), 4, 2),
    window("valid", (2, 4, 5, 6, 2), (2, 3, 2)),
    window("same, overlapping smoke", (2, 5, 6, 4, 3), (3, 2, 3), (2, 1, 3), "same"),
]

# Large enough for several cores.
LARGE = [
    window("many steps", (1, 9000, 6), 3, 2),
    window("overlapping", (1, 60, 50, 16), 3, 2, "same"),
    window("overlapping by far", (1, 120, 50, 7), 5, 1, "same"),
    window("disjoint", (3, 61, 50, 4), 2),
    window("volumes", (2, 18, 12, 12, 8), 2, 1),
]


def operands(case, dtype="float64"):
    """Few different values, so that windows have several largest; and a gradient of the result's shape."""
    rng = np.random.default_rng(list(case.name.encode()))
    out_shape = shapes.pool_output_shape(case.shape, **case.settings)
    return rng.integers(-4, 5, case.shape).astype(dtype), rng.standard_normal(out_shape, np.float32).astype(dtype)


def expected(kind, case, x, grad_out=None):
    """The reference's result, or its gradient."""
    arrays = [np.asarray(x, np.float64)]
    if grad_out is None:
        return textbook.result(f"{kind}_pool", arrays, **case.settings)
    return textbook.gradients(f"{kind}_pool", arrays, np.asarray(grad_out, np.float64), **case.settings)[0]


def run(kind, case, x, data_format="channels_last"):
    return getattr(functional, f"{kind}_pool")(x, **case.settings, data_format=data_format)


def run_grad(kind, case, x, grad_out, data_format="channels_last"):
    if kind == "max":
        return functional.max_pool_grad(x, grad_out, **case.settings, data_format=data_format)
    return functional.average_pool_grad(grad_out, x.shape, **case.settings, data_format=data_format)
