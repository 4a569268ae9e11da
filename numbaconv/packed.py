"""Weights prepared for the kernels, made once and used for many calls."""

from functools import cached_property
from typing import Any

import numpy as np

from .kernels.pack import pack_blocks, pack_depthwise, pack_phases
from .kernels.winograd import pack_winograd
from .layouts import canonical_kernel, three


class Packed:
    """Weights in the kernels' own order; each order is made when a call first needs it.

    Attributes
    ----------
    operation : str
        The function of `numbaconv.functional` that takes them.
    shape : tuple of int
        Shape of the weights as the user knows them.
    dtype : numpy.dtype
    settings : tuple
        What else they are prepared for: strides and dilation of a transposed convolution.
    """

    def __init__(self, operation: str, weights: np.ndarray, settings: tuple = ()) -> None:
        self.operation, self.shape, self.dtype, self.settings = operation, weights.shape, weights.dtype, settings
        self._weights = canonical_kernel(weights)

    @cached_property
    def blocks(self) -> Any:
        """What the direct kernel of the operation reads."""
        if self.operation == "conv_transpose":
            return pack_phases(self._weights, *(three(setting, 1) for setting in self.settings))
        return {"conv": pack_blocks, "depthwise_conv": pack_depthwise}[self.operation](self._weights)

    @cached_property
    def winograd(self) -> np.ndarray:
        """What Winograd's convolution reads."""
        return pack_winograd(self._weights)
