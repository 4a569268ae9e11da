"""Shapes of the layers as integer arithmetic; nothing here touches an array or imports NumPy or Numba.

Notation: n input length, k kernel size, s stride, d dilation, ke = (k - 1)*d + 1 the input positions a dilated kernel
spans. A length of None is unknown and stays unknown. The functions named ``*_length`` and ``conv_padding`` are bare
formulas for one axis; those named ``*_output_shape`` check what they are given and never return an empty shape.
"""

from ..objects.public import publish
from .checks import normalize_data_format, normalize_padding, normalize_pairs, normalize_shape, normalize_tuple
from .explanations import ReceptiveField, explain, receptive_field
from .lengths import (
    Length,
    conv_input_length,
    conv_output_length,
    conv_padding,
    crop_to_aspect,
    deconv_crop,
    deconv_length,
    dilated_kernel_size,
    pad_to_aspect,
)
from .outputs import (
    Shape,
    conv_output_shape,
    conv_transpose_output_shape,
    crop_output_shape,
    depthwise_conv_output_shape,
    global_pool_output_shape,
    pool_output_shape,
    resize_output_shape,
    separable_conv_output_shape,
    upsample_output_shape,
    zero_pad_output_shape,
)
from .regions import Region, conv_region, deconv_region, input_region, upsample_region, zero_pad_region

__all__ = [
    "Length",
    "ReceptiveField",
    "Region",
    "Shape",
    "conv_input_length",
    "conv_output_length",
    "conv_output_shape",
    "conv_padding",
    "conv_region",
    "conv_transpose_output_shape",
    "crop_output_shape",
    "crop_to_aspect",
    "deconv_crop",
    "deconv_length",
    "deconv_region",
    "depthwise_conv_output_shape",
    "dilated_kernel_size",
    "explain",
    "global_pool_output_shape",
    "input_region",
    "normalize_data_format",
    "normalize_padding",
    "normalize_pairs",
    "normalize_shape",
    "normalize_tuple",
    "pad_to_aspect",
    "pool_output_shape",
    "receptive_field",
    "resize_output_shape",
    "separable_conv_output_shape",
    "upsample_output_shape",
    "upsample_region",
    "zero_pad_output_shape",
    "zero_pad_region",
]
publish(__name__)
