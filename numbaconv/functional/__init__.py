"""Operations on NumPy arrays of one, two or three spatial axes: the library without the layers.

The number of spatial axes is read off the array. Arrays are whatever NumPy or DLPack can make an array of real numbers
in the main memory, without masked values, and are never changed; results are float64 where an operand is
float64, otherwise float32 (packed weights decide alone), and always new, C-contiguous arrays. Every function raises
ValueError for arguments that do not fit together (the message names the argument, what came and what would be right)
and TypeError for wrong kinds.
"""

from ..objects.public import publish
from .gradients import (
    conv_input_grad,
    conv_transpose_input_grad,
    conv_transpose_weight_grad,
    conv_weight_grad,
    crop_grad,
    depthwise_conv_input_grad,
    depthwise_conv_weight_grad,
    separable_conv_grad,
    upsample_grad,
    zero_pad_grad,
)
from .operations import (
    conv,
    conv_transpose,
    crop,
    depthwise_conv,
    pack_conv,
    pack_conv_transpose,
    pack_depthwise_conv,
    separable_conv,
    upsample,
    zero_pad,
)
from .pooling import average_pool, average_pool_grad, max_pool, max_pool_grad

__all__ = [
    "average_pool",
    "average_pool_grad",
    "conv",
    "conv_input_grad",
    "conv_transpose",
    "conv_transpose_input_grad",
    "conv_transpose_weight_grad",
    "conv_weight_grad",
    "crop",
    "crop_grad",
    "depthwise_conv",
    "depthwise_conv_input_grad",
    "depthwise_conv_weight_grad",
    "max_pool",
    "max_pool_grad",
    "pack_conv",
    "pack_conv_transpose",
    "pack_depthwise_conv",
    "separable_conv",
    "separable_conv_grad",
    "upsample",
    "upsample_grad",
    "zero_pad",
    "zero_pad_grad",
]
publish(__name__)
