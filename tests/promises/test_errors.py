"""Everything a user can get wrong in a function: the kind of error, and what its message says."""

import numpy as np
from refusals import assert_refused, table

from numbaconv import functional

X1, X2 = np.ones((2, 8, 3)), np.ones((2, 8, 9, 3))
W1, W2 = np.ones((2, 3, 4)), np.ones((2, 2, 3, 4))
DEPTHWISE, POINTWISE = np.ones((2, 2, 3, 2)), np.ones((1, 1, 6, 4))
TRANSPOSED = np.ones((2, 2, 4, 3))
RAGGED = [[[1.0], [1.0, 2.0]]]

conv, depthwise = functional.conv, functional.depthwise_conv
separable, transpose = functional.separable_conv, functional.conv_transpose
crop, pad, upsample = functional.crop, functional.zero_pad, functional.upsample

# The fragments of a message: argument, what came, what would be right.
FUNCTIONS = {
    "rank of x": (lambda: conv(np.ones((2, 3)), W1), ValueError, ("x", "3 to 5 axes", "(2, 3)")),
    "x of six axes": (lambda: crop(np.ones((1,) * 6), 1), ValueError, ("1 to 3 spatial", "(1, 1, 1, 1, 1, 1)")),
    "pad of two axes": (lambda: pad(np.ones((2, 3)), 1), ValueError, ("1 to 3 spatial", "(2, 3)")),
    "ragged x": (lambda: conv(RAGGED, W1), ValueError, ("x must be an array of numbers",)),
    "ragged weights": (lambda: conv(X1, RAGGED), ValueError, ("weights must be an array of numbers",)),
    "ragged bias": (lambda: conv(X1, W1, [[1], [1, 2]]), ValueError, ("bias must be an array of numbers",)),
    "ragged depthwise weights": (
        lambda: separable(X2, RAGGED, POINTWISE),
        ValueError,
        ("depthwise_weights", "numbers"),
    ),
    "ragged pointwise weights": (
        lambda: separable(X2, DEPTHWISE, RAGGED),
        ValueError,
        ("pointwise_weights", "numbers"),
    ),
    "no x": (lambda: conv(None, W1), TypeError, ("x", "object")),
    "strings": (lambda: crop([[["a"]]], 0), TypeError, ("x", "<U1")),
    "complex weights": (lambda: conv(X1, W1 * 1j), TypeError, ("weights", "complex128")),
    "complex bias": (lambda: conv(X1, W1, np.ones(4) * 1j), TypeError, ("bias", "complex128")),
    "channels": (lambda: conv(X2[..., :2], W2), ValueError, ("x", "3 channels", "channels_last", "(2, 8, 9, 2)")),
    "channels of channels_first": (
        lambda: conv(X2, W2, data_format="channels_first"),
        ValueError,
        ("3 channels", "channels_first", "got 8"),
    ),
    "channels, depthwise": (lambda: depthwise(X2[..., :2], DEPTHWISE), ValueError, ("3 channels", "got 2")),
    "channels, transposed": (lambda: transpose(X2[..., :2], TRANSPOSED), ValueError, ("3 channels", "got 2")),
    "channels, separable": (lambda: separable(X2[..., :2], DEPTHWISE, POINTWISE), ValueError, ("3 channels", "got 2")),
    "rank of weights": (lambda: conv(X2, W1), ValueError, ("weights", "2 kernel axes", "(2, 3, 4)")),
    "empty weights": (lambda: conv(X1, np.ones((2, 3, 0))), ValueError, ("weights", "(2, 3, 0)")),
    "shape of pointwise weights": (
        lambda: separable(X2, DEPTHWISE, np.ones((1, 1, 5, 4))),
        ValueError,
        ("pointwise_weights", "(1, 1, 6, 4)", "(1, 1, 5, 4)"),
    ),
    "size of pointwise weights": (
        lambda: separable(X2, DEPTHWISE, np.ones((2, 1, 6, 4))),
        ValueError,
        ("pointwise_weights", "(1, 1, 6, 4)", "(2, 1, 6, 4)"),
    ),
    "shape of bias": (lambda: conv(X2, W2, np.ones(3)), ValueError, ("bias", "(4,)", "(3,)")),
    "bias with axes": (lambda: conv(X2, W2, np.ones((1, 4))), ValueError, ("bias", "(4,)", "(1, 4)")),
    "bias, depthwise": (lambda: depthwise(X2, DEPTHWISE, np.ones(4)), ValueError, ("bias", "(6,)", "(4,)")),
    "padding": (lambda: conv(X2, W2, padding="full"), ValueError, ("padding", "'valid'", "'same'", "'full'")),
    "padding is a number": (lambda: conv(X2, W2, padding=1), TypeError, ("padding", "string", "got 1")),
    "padding is a list": (lambda: conv(X2, W2, padding=[1, 1]), TypeError, ("padding", "string", "got [1, 1]")),
    "causal in 2D": (lambda: conv(X2, W2, padding="causal"), ValueError, ("padding", "'valid', 'same'", "'causal'")),
    "causal, transposed": (lambda: transpose(X2, TRANSPOSED, padding="causal"), ValueError, ("padding", "'causal'")),
    "data format": (lambda: conv(X2, W2, data_format="NHWC"), ValueError, ("data_format", "channels_last", "'NHWC'")),
    "kind of data format": (lambda: crop(X2, 1, 3), TypeError, ("data_format", "channels_last", "got 3")),
    "too many strides": (lambda: conv(X2, W2, strides=(1, 1, 1)), ValueError, ("strides", "tuple of 2", "(1, 1, 1)")),
    "zero strides": (lambda: conv(X2, W2, strides=(1, 0)), ValueError, ("strides", "positive", "(1, 0)")),
    "strides is a bool": (lambda: conv(X2, W2, strides=True), ValueError, ("strides", "positive", "True")),
    "strides is a float": (lambda: depthwise(X2, DEPTHWISE, strides=1.0), ValueError, ("strides", "1.0")),
    "dilation": (lambda: conv(X2, W2, dilation_rate=-1), ValueError, ("dilation_rate", "positive", "-1")),
    "empty output": (
        lambda: conv(X2, np.ones((2, 10, 3, 4)), strides=2),
        ValueError,
        ("(8, 9)", "kernel_size", "(2, 10)", "strides", "(2, 2)", "dilation_rate", "'valid'"),
    ),
    "empty output by dilation": (
        lambda: conv(X1, W1, dilation_rate=8),
        ValueError,
        ("(8,)", "dilation_rate", "'valid'"),
    ),
    "empty output, transposed": (
        lambda: transpose(X2[:, :1, :1], np.ones((2, 2, 4, 3)), padding="same", output_padding=0),
        ValueError,
        ("(1, 1)", "kernel_size", "padding", "output_padding"),
    ),
    "output_padding": (
        lambda: transpose(X2, TRANSPOSED, strides=2, output_padding=2),
        ValueError,
        ("output_padding", "(2, 2)"),
    ),
    "negative output_padding": (
        lambda: transpose(X2, TRANSPOSED, output_padding=-1),
        ValueError,
        ("output_padding", "-1"),
    ),
    "all cropped": (lambda: crop(X2, ((4, 4), (0, 0))), ValueError, ("cropping", "((4, 4), (0, 0))", "(8, 9)")),
    "three crops in 2D": (lambda: crop(X2, (1, 1, 1)), ValueError, ("cropping", "(1, 1, 1)")),
    "negative crop": (lambda: crop(X2, -1), ValueError, ("cropping", "non-negative", "-1")),
    "crop is a float": (lambda: crop(X1, 1.5), ValueError, ("cropping", "1.5")),
    "padding is a dictionary": (
        lambda: pad(X1, {"left_pad": 1}),
        ValueError,
        ("padding", "left_pad", "(before, after)"),
    ),
    "padding is a bool": (lambda: pad(X2, True), ValueError, ("padding", "True")),
    "size": (lambda: upsample(X2, 0), ValueError, ("size", "positive", "got 0")),
    "pool_size": (lambda: functional.max_pool(X2, (2, 2, 2)), ValueError, ("pool_size", "tuple of 2", "(2, 2, 2)")),
    "strides of pooling": (lambda: functional.max_pool(X2, 2, 0), ValueError, ("strides", "positive", "got 0")),
    "causal pooling": (lambda: functional.average_pool(X1, 2, 1, "causal"), ValueError, ("padding", "'causal'")),
    "pool_size beyond x": (lambda: functional.average_pool(X1, 9), ValueError, ("positive", "(0,)", "pool_size (9,)")),
    "grad_out of max_pool": (
        lambda: functional.max_pool_grad(X2, np.ones((2, 4, 5, 3)), 2),
        ValueError,
        ("grad_out", "(2, 4, 4, 3)", "got (2, 4, 5, 3)"),
    ),
    "grad_out of average_pool": (
        lambda: functional.average_pool_grad(np.ones((2, 4, 4)), X2.shape, 2),
        ValueError,
        ("grad_out", "(2, 4, 4, 3)", "got (2, 4, 4)"),
    ),
    "complex grad_out": (lambda: functional.max_pool_grad(X1, X1 * 1j, 1), TypeError, ("grad_out", "complex128")),
    "x_shape": (lambda: functional.average_pool_grad(X1, (2, 3), 1), ValueError, ("x_shape", "3 to 5 sizes", "(2, 3)")),
    "x_shape not known": (
        lambda: functional.average_pool_grad(X1, (None, 8, 3), 1),
        ValueError,
        ("x_shape", "(None, 8, 3)"),
    ),
    "interpolation": (lambda: upsample(X2, 2, "cubic"), ValueError, ("interpolation", "bilinear", "'cubic'")),
    "bilinear in 1D": (lambda: upsample(X1, 2, "bilinear"), ValueError, ("interpolation", "nearest", "'bilinear'")),
    "dtype of packed weights": (lambda: functional.pack_conv(W2, "int32"), ValueError, ("dtype", "float32", "'int32'")),
    "rank of packed weights": (lambda: conv(X2, functional.pack_conv(W1)), ValueError, ("weights", "(2, 3, 4)")),
    "weights packed for something else": (
        lambda: conv(X2, functional.pack_depthwise_conv(W2)),
        ValueError,
        ("weights", "conv"),
    ),
    "packed for other groups": (
        lambda: conv(np.ones((1, 4, 4, 4)), functional.pack_conv(np.ones((2, 2, 2, 6)))),
        ValueError,
        ("weights", "groups=2", "(1, 4, 4, 4)", "groups=1"),
    ),
    "groups that x has not": (
        lambda: conv(X2, functional.pack_conv(W2, groups=2)),
        ValueError,
        ("weights", "groups=1", "groups=2"),
    ),
    "groups of packed weights": (
        lambda: functional.pack_conv(W2, groups=3),
        ValueError,
        ("groups", "4 filters", "got 3"),
    ),
    "channels that are no groups": (
        lambda: conv(np.ones((1, 4, 4, 9)), W2),
        ValueError,
        ("x", "3 channels", "4 filters", "got 9"),
    ),
    "winograd in groups": (
        lambda: conv(np.ones((1, 4, 4, 4)), np.ones((3, 3, 2, 6)), algorithm="winograd"),
        ValueError,
        ("algorithm", "'direct'", "groups"),
    ),
    "groups of a gradient": (
        lambda: functional.conv_weight_grad(X2, np.ones((2, 7, 8, 4)), 2, groups=3),
        ValueError,
        ("groups", "4 channels of grad_out", "got 3"),
    ),
    "packed for other strides": (
        lambda: transpose(X2, functional.pack_conv_transpose(TRANSPOSED, 2), strides=1),
        ValueError,
        ("weights", "strides", "(2, 2)", "(1, 1)"),
    ),
    "packed weights of two dtypes": (
        lambda: separable(X2, functional.pack_depthwise_conv(DEPTHWISE, "float32"), functional.pack_conv(POINTWISE)),
        ValueError,
        ("float32", "float64"),
    ),
}


@table(FUNCTIONS)
def test_functions_refuse(call, error, fragments):
    assert_refused(call, error, fragments)
