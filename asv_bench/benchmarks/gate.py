"""A short choice, a case or two for each kernel: what `asv continuous` judges a change by in a few minutes.

Every case is timed in four processes, so that the way in which memory fell in one of them does not decide.
"""

from collections.abc import Callable
from functools import cache, partial

from .burst import Burst
from .cases import backward, forward
from .training import trained_model


def _fit() -> Callable:
    model, x, y = trained_model((8, 8, 1))
    return partial(model.fit, x, y, seed=0, verbose=0)


GATE = {
    "conv, direct": partial(forward, "conv", "2D 3x3, 56x56x64 -> 64, direct"),
    "conv, Winograd": partial(forward, "conv", "2D 3x3, 56x56x64 -> 64"),
    "conv, 1x1": partial(forward, "conv", "2D 1x1, 56x56x64 -> 256"),
    "conv, 3D": partial(forward, "conv", "3D 3x3x3, 8x28x28x32 -> 64"),
    "conv_weight_grad": partial(backward, "conv", "2D 3x3, 56x56x64 -> 64", "weights"),
    "depthwise_conv": partial(forward, "depthwise_conv", "3x3, 112x112x32"),
    "separable_conv": partial(forward, "separable_conv", "2D 3x3, 56x56x128 -> 128"),
    "conv_transpose": partial(forward, "conv_transpose", "2D 4x4*2, 28x28x64 -> 32"),
    "upsample, bilinear": partial(forward, "upsample", "bilinear, 2D 56x56x64"),
    "max_pool": partial(forward, "max_pool", "2D 3x3/2, 56x56x64"),
    "fit": _fit,
}


@cache
def _call(kernel: str) -> Callable:
    return GATE[kernel]()


class Gate(Burst):
    params = tuple(GATE)
    param_names = ("kernel",)
    rounds = 4
    repeat = (10, 100, 0.2)

    def setup(self, kernel: str) -> None:
        self.take(_call(kernel))

    def time_call(self, kernel: str) -> None:
        self.run()
