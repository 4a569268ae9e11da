"""Backward pass of each operation of `numbaconv.functional`, weights packed anew as training does."""

from .burst import Burst
from .cases import CASES, backward


class _Backward(Burst):
    operation: str
    of = "input"
    param_names = ("case",)

    def setup(self, case: str) -> None:
        self.take(backward(self.operation, case, self.of))

    def time_backward(self, case: str) -> None:
        self.run()


class ConvInput(_Backward):
    operation, params = "conv", list(CASES["conv"])


# The sum over all windows knows one algorithm.
class ConvWeights(_Backward):
    operation, of = "conv", "weights"
    params = [name for name, case in CASES["conv"].items() if "algorithm" not in case.settings]  # noqa: RUF012


class DepthwiseConvInput(_Backward):
    operation, params = "depthwise_conv", list(CASES["depthwise_conv"])


class DepthwiseConvWeights(_Backward):
    operation, of, params = "depthwise_conv", "weights", list(CASES["depthwise_conv"])


class SeparableConv(_Backward):
    operation, of, params = "separable_conv", "both", list(CASES["separable_conv"])


class ConvTransposeInput(_Backward):
    operation, params = "conv_transpose", list(CASES["conv_transpose"])


class ConvTransposeWeights(_Backward):
    operation, of, params = "conv_transpose", "weights", list(CASES["conv_transpose"])


class Crop(_Backward):
    operation, params = "crop", list(CASES["crop"])


class ZeroPad(_Backward):
    operation, params = "zero_pad", list(CASES["zero_pad"])


class Upsample(_Backward):
    operation, params = "upsample", list(CASES["upsample"])


class MaxPool(_Backward):
    operation, params = "max_pool", list(CASES["max_pool"])


class AveragePool(_Backward):
    operation, params = "average_pool", list(CASES["average_pool"])
