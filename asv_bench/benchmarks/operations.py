"""Forward pass of each operation of `numbaconv.functional`, weights packed beforehand as the layers do."""

from functools import cache

from numbaconv import functional

from . import random
from .burst import Burst
from .cases import CASES, forward


class _Forward(Burst):
    operation: str
    param_names = ("case",)

    def setup(self, case: str) -> None:
        self.take(forward(self.operation, case))

    def time_forward(self, case: str) -> None:
        self.run()


class Conv(_Forward):
    operation, params = "conv", list(CASES["conv"])


class DepthwiseConv(_Forward):
    operation, params = "depthwise_conv", list(CASES["depthwise_conv"])


class SeparableConv(_Forward):
    operation, params = "separable_conv", list(CASES["separable_conv"])


class ConvTranspose(_Forward):
    operation, params = "conv_transpose", list(CASES["conv_transpose"])


class Crop(_Forward):
    operation, params = "crop", list(CASES["crop"])


class ZeroPad(_Forward):
    operation, params = "zero_pad", list(CASES["zero_pad"])


class Upsample(_Forward):
    operation, params = "upsample", list(CASES["upsample"])


class MaxPool(_Forward):
    operation, params = "max_pool", list(CASES["max_pool"])


class AveragePool(_Forward):
    operation, params = "average_pool", list(CASES["average_pool"])


class ConvFloat64(_Forward):
    params = ("1D 5, 1000x256 -> 256", "2D 3x3, 56x56x64 -> 64", "3D 3x3x3, 8x28x28x32 -> 64")

    def setup(self, case: str) -> None:
        self.take(forward("conv", case, dtype="float64"))


class ConvChannelsFirst(_Forward):
    """What the other data format costs on top of `Conv`."""

    params = ("1D 5, 1000x256 -> 256", "2D 3x3, 56x56x64 -> 64", "3D 3x3x3, 8x28x28x32 -> 64")

    def setup(self, case: str) -> None:
        self.take(forward("conv", case, data_format="channels_first"))


class PackConv:
    """Preparing weights, which a layer does once after every change of them."""

    repeat = (5, 50, 0.5)

    def setup(self) -> None:
        self.weights = _weights()

    def time_pack_conv(self) -> None:
        packed = functional.pack_conv(self.weights)
        # Made at first need; older versions say blocks.
        _ = packed.panels if hasattr(packed, "panels") else packed.blocks, packed.winograd


@cache
def _weights():
    return random(3, 3, 256, 256)
