"""Every operation of the library, and its gradients, as textbook loops: read this package first.

The fast kernels compute the same numbers in an order that suits the machine; here the order suits the reader.
Each function is its formula written down, and the kernels are tested against it. ``operations.py``, ``pooling.py``
and ``resizing.py`` have the operations; ``gradients.py`` says how to go back through them.

How to read it. All arrays are float64, C-contiguous, channels last, with three spatial axes::

    x    (N, D, H, W, C)    batch, depth, height, width, channels

One dimension is the view (N, 1, 1, W, C), two are (N, 1, H, W, C), so every formula is written once for all ranks.
The docstrings give it for one axis; the other two are treated alike. An output position is od, oh, ow, a kernel tap
is kd, kh, kw, an input position is d, h, w. Strides, dilation, sizes and amounts of padding are tuples of three
integers in the order depth, height, width. Nothing is checked: a bad argument is the caller's mistake.

A gradient takes ``grad_out``, which has the shape of the operation's result, and those of the operation's arguments
that it needs, as the operation has them. Where it is not handed the input or the weights, it is told the lengths of
their three axes: ``in_lengths`` or ``lengths``, which those of the output do not tell where strides leave a rest, and
``kernel_size``. What comes back has the shape of what it is the gradient of.

Padding is never stored. A tap that falls outside the input is skipped rather than multiplied by zero, because
``0 * inf`` is NaN and an infinite weight must not spoil an output it does not touch.

To step through a function in a debugger, switch the compiler off; the results are the same, bit for bit::

    NUMBA_DISABLE_JIT=1 python -m pdb script.py
"""

from ..objects.public import publish
from .gradients import (
    bias_grad,
    conv_input_grad,
    conv_transpose_input_grad,
    conv_transpose_weight_grad,
    conv_weight_grad,
    crop_grad,
    depthwise_conv_input_grad,
    depthwise_conv_weight_grad,
    separable_conv_grad,
    upsample_bilinear_grad,
    upsample_nearest_grad,
    zero_pad_grad,
)
from .operations import (
    conv,
    conv_transpose,
    crop,
    depthwise_conv,
    separable_conv,
    upsample_bilinear,
    upsample_nearest,
    zero_pad,
)
from .pooling import average_pool, average_pool_grad, max_pool, max_pool_grad
from .resizing import area_shares, kernel_shares, nearest_shares, resize, resize_grad

__all__ = [
    "area_shares",
    "average_pool",
    "average_pool_grad",
    "bias_grad",
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
    "kernel_shares",
    "max_pool",
    "max_pool_grad",
    "nearest_shares",
    "resize",
    "resize_grad",
    "separable_conv",
    "separable_conv_grad",
    "upsample_bilinear",
    "upsample_bilinear_grad",
    "upsample_nearest",
    "upsample_nearest_grad",
    "zero_pad",
    "zero_pad_grad",
]
publish(__name__)
