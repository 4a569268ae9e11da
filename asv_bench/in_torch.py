"""A layer's computation as calls of PyTorch, its operands laid out beforehand in either memory format."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as tf

from numbaconv import activations, shapes
from numbaconv import layers as nl
from numbaconv.layers.pooling import GlobalPooling, Pooling


def in_torch(layer: nl.Layer, x: np.ndarray, channels_last: bool) -> Callable[[], torch.Tensor]:
    """The layer on ``x`` as a call of PyTorch, its operands laid out beforehand."""
    image, laid_out, layout = _layout(layer, x, channels_last)
    return _activated(layer, _call(layer, image, laid_out, layout))


def trained_in_torch(
    layer: nl.Layer, x: np.ndarray, grad_out: np.ndarray, channels_last: bool
) -> Callable[[], list[torch.Tensor]]:
    """The layer on ``x`` forward and backward: a call that gives the gradients of the input and of the weights."""
    image, laid_out, layout = _layout(layer, x, channels_last)
    (grad, *_) = _layout(layer, grad_out, channels_last)
    leaves = [image.requires_grad_()]

    def leaf(array: np.ndarray) -> torch.Tensor:
        leaves.append(laid_out(array).requires_grad_())
        return leaves[-1]

    call = _activated(layer, _call(layer, image, leaf, layout))

    def step() -> list[torch.Tensor]:
        return torch.autograd.grad(call(), leaves, grad)

    return step


def _activated(layer: Any, call: Callable[[], torch.Tensor]) -> Callable[[], torch.Tensor]:
    """The call with the layer's relu, if it has one besides its own computation."""
    fused = not isinstance(layer, nl.Activation) and getattr(layer, "activation", None) is activations.relu
    return (lambda: call().relu_()) if fused else call


def in_torch_order(layer: nl.Layer, arrays: list[np.ndarray]) -> list[np.ndarray]:
    """Arrays like the input and the weights of a layer, as `trained_in_torch` gives them."""
    x, *weights = arrays
    image = np.moveaxis(x, -1, 1) if channels_are_last(layer) else x
    if isinstance(layer, nl.BatchNormalization) or not weights:
        return [image, *weights]
    *kernels, bias = weights
    if isinstance(layer, nl.Dense):
        return [image, bias, kernels[0].T]
    if isinstance(layer, nl.DepthwiseConv1D | nl.DepthwiseConv2D | nl.SeparableConv1D | nl.SeparableConv2D):
        kernels[0] = kernels[0].reshape(*kernels[0].shape[:-2], 1, -1)
    return [image, bias, *(np.moveaxis(kernel, (-1, -2), (0, 1)) for kernel in kernels)]


def channels_are_last(layer: Any) -> bool:
    """Whether PyTorch has the channels of this layer's images at another place."""
    if isinstance(layer, nl.BatchNormalization):
        return layer.axis == -1
    return layer.rank is not None and layer.data_format == "channels_last"


def has_formats(layer: Any) -> bool:
    """Whether PyTorch's memory formats make a difference."""
    return layer.rank is not None or isinstance(layer, nl.BatchNormalization)


def _layout(layer: Any, x: np.ndarray, channels_last: bool) -> tuple[torch.Tensor, Callable, Any]:
    """The input as a tensor, how to make one of an array, and the memory format."""
    if channels_are_last(layer):
        x = np.moveaxis(x, -1, 1)
    layouts = {4: torch.channels_last, 5: torch.channels_last_3d} if channels_last and has_formats(layer) else {}
    layout = layouts.get(x.ndim)

    def laid_out(array: np.ndarray) -> torch.Tensor:
        tensor = torch.from_numpy(np.array(array, order="C"))
        return tensor if layout is None or tensor.ndim < 4 else tensor.contiguous(memory_format=layout)

    image = laid_out(x)
    if x.ndim == 3 and channels_last and has_formats(layer):
        # PyTorch has no such format in 1D, but takes the strides.
        image = torch.from_numpy(np.array(np.moveaxis(x, 1, -1), order="C")).permute(0, 2, 1)
    return image, laid_out, layout


# Activations that PyTorch calls by another name.
_NAMES = {
    "exponential": torch.exp,
    "hard_silu": tf.hardswish,
    "hard_shrink": tf.hardshrink,
    "hard_sigmoid": tf.hardsigmoid,
    "hard_tanh": tf.hardtanh,
    "log_sigmoid": tf.logsigmoid,
    "sigmoid": torch.sigmoid,
    "soft_shrink": tf.softshrink,
    "tanh": torch.tanh,
    "tanh_shrink": tf.tanhshrink,
}


def activation_in_torch(name: str) -> Callable[[torch.Tensor], torch.Tensor]:
    """The activation of this name, over the last axis if it needs one."""
    if name in ("softmax", "log_softmax"):
        return lambda x: getattr(tf, name)(x, -1)
    if name == "leaky_relu":
        return lambda x: tf.leaky_relu(x, 0.2)
    return _NAMES.get(name) or getattr(tf, name)


def _call(layer: Any, image: torch.Tensor, laid_out: Callable, layout: Any) -> Callable[[], torch.Tensor]:
    """The layer without its activation, unless it is one."""
    for kinds, make in _MAKERS:
        if isinstance(layer, kinds):
            return make(layer, image, laid_out, layout)
    raise TypeError(f"PyTorch's equal of {type(layer).__name__} is not known here")


def _crop(layer: Any, image: torch.Tensor, laid_out: Callable, layout: Any) -> Callable[[], torch.Tensor]:
    pairs = zip(layer.cropping, image.shape[2:], strict=True)
    index = (..., *(slice(a, n - b) for (a, b), n in pairs))
    # A copy even where a view would be contiguous: the layer's result is a new array.
    if image.ndim == 3 and not image.is_contiguous():
        return lambda: image[index].transpose(1, 2).clone(memory_format=torch.contiguous_format).transpose(1, 2)
    return lambda: image[index].clone(memory_format=layout or torch.contiguous_format)


def _zero_pad(layer: Any, image: torch.Tensor, laid_out: Callable, layout: Any) -> Callable[[], torch.Tensor]:
    pads = [n for pair in reversed(layer.padding) for n in pair]
    return lambda: tf.pad(image, pads)


def _upsample(layer: Any, image: torch.Tensor, laid_out: Callable, layout: Any) -> Callable[[], torch.Tensor]:
    return lambda: tf.interpolate(image, scale_factor=layer.size, mode=layer.interpolation)


def _activation(layer: Any, image: torch.Tensor, laid_out: Callable, layout: Any) -> Callable[[], torch.Tensor]:
    if isinstance(layer, nl.Softmax):
        return lambda: tf.softmax(image, layer.axis)
    function = activation_in_torch(layer.activation.__name__)
    return lambda: function(image)


def _dense(layer: Any, image: torch.Tensor, laid_out: Callable, layout: Any) -> Callable[[], torch.Tensor]:
    bias, weights = laid_out(layer.bias), laid_out(layer.kernel.T)
    return lambda: tf.linear(image, weights, bias)


def _normalize(layer: Any, image: torch.Tensor, laid_out: Callable, layout: Any) -> Callable[[], torch.Tensor]:
    gamma, beta = laid_out(layer.gamma), laid_out(layer.beta)
    mean, variance = (torch.from_numpy(w.copy()) for w in (layer.moving_mean, layer.moving_variance))
    # Weights that have gradients are in training.
    settings = {"training": gamma.requires_grad, "momentum": 1 - layer.momentum, "eps": layer.epsilon}
    return lambda: tf.batch_norm(image, mean, variance, gamma, beta, **settings)


def _global_pool(layer: Any, image: torch.Tensor, laid_out: Callable, layout: Any) -> Callable[[], torch.Tensor]:
    axes = tuple(range(2, image.ndim))
    return (lambda: image.amax(axes)) if layer.kind == "max" else (lambda: image.mean(axes))


def _pool(layer: Any, image: torch.Tensor, laid_out: Callable, layout: Any) -> Callable[[], torch.Tensor]:
    lengths, settings = tuple(image.shape[2:]), (layer.pool_size, layer.strides)
    pairs = [shapes.conv_padding(n, k, layer.padding, s) for n, k, s in zip(lengths, *settings, strict=True)]
    pool = getattr(tf, f"{layer.kind}_pool{image.ndim - 2}d".replace("average", "avg"))
    if all(a == b for a, b in pairs):
        # What it pads does not count.
        options = {} if layer.kind == "max" else {"count_include_pad": False}
        return lambda: pool(image, *settings, padding=[a for a, _ in pairs], **options)
    pads = [n for pair in reversed(pairs) for n in pair]
    if layer.kind == "max":
        return lambda: pool(tf.pad(image, pads, value=-torch.inf), *settings)
    share = pool(tf.pad(torch.ones((1, 1, *lengths), dtype=image.dtype), pads), *settings)
    return lambda: pool(tf.pad(image, pads), *settings) / share


def _transposed(layer: Any, image: torch.Tensor, laid_out: Callable, layout: Any) -> Callable[[], torch.Tensor]:
    bias = laid_out(layer.bias)
    rank, lengths = layer.rank, tuple(image.shape[2:])
    window = {"stride": layer.strides, "dilation": layer.dilation_rate}
    weights = laid_out(np.moveaxis(layer.kernel, (-1, -2), (0, 1)))
    sizes = list(zip(lengths, layer.strides, layer.kernel_size, layer.dilation_rate, strict=True))
    crops = [shapes.deconv_crop(n, s, k, layer.padding, None, d) for n, s, k, d in sizes]
    wanted = [shapes.deconv_length(n, s, k, layer.padding, None, d) for n, s, k, d in sizes]
    natural = [(n - 1) * s + (k - 1) * d + 1 for n, s, k, d in sizes]
    extra = [max(0, w - full + 2 * c) for w, full, c in zip(wanted, natural, crops, strict=True)]
    # Where the odd position is to be cut off the end alone, PyTorch cannot be told so: a view does it.
    index = (..., *(slice(n) for n in wanted))
    transposed = {1: tf.conv_transpose1d, 2: tf.conv_transpose2d, 3: tf.conv_transpose3d}[rank]
    return lambda: transposed(image, weights, bias, padding=crops, output_padding=extra, **window)[index]


def _conv(layer: Any, image: torch.Tensor, laid_out: Callable, layout: Any) -> Callable[[], torch.Tensor]:
    bias = laid_out(layer.bias)
    rank, lengths = layer.rank, tuple(image.shape[2:])
    window = {"stride": layer.strides, "dilation": layer.dilation_rate}
    conv = {1: tf.conv1d, 2: tf.conv2d, 3: tf.conv3d}[rank]
    settings = (layer.kernel_size, layer.strides, layer.dilation_rate)
    pairs = [shapes.conv_padding(n, k, layer.padding, s, d) for n, k, s, d in zip(lengths, *settings, strict=True)]
    even = all(a == b for a, b in pairs)
    pads = [n for pair in reversed(pairs) for n in pair]

    def padded() -> torch.Tensor:
        return image if even else tf.pad(image, pads)

    window["padding"] = [a for a, _ in pairs] if even else 0
    if isinstance(layer, nl.DepthwiseConv1D | nl.DepthwiseConv2D | nl.SeparableConv1D | nl.SeparableConv2D):
        kernel = layer.depthwise_kernel
        channels = kernel.shape[-2]
        filters = laid_out(np.moveaxis(kernel.reshape(*kernel.shape[:-2], 1, -1), (-1, -2), (0, 1)))
        if isinstance(layer, nl.DepthwiseConv1D | nl.DepthwiseConv2D):
            return lambda: conv(padded(), filters, bias, groups=channels, **window)
        points = laid_out(np.moveaxis(layer.pointwise_kernel, (-1, -2), (0, 1)))
        return lambda: conv(conv(padded(), filters, None, groups=channels, **window), points, bias)
    weights = laid_out(np.moveaxis(layer.kernel, (-1, -2), (0, 1)))
    return lambda: conv(padded(), weights, bias, groups=layer.groups, **window)


_MAKERS: list[tuple[Any, Callable[..., Callable[[], torch.Tensor]]]] = [
    (nl.Cropping1D | nl.Cropping2D | nl.Cropping3D, _crop),
    (nl.ZeroPadding1D | nl.ZeroPadding2D | nl.ZeroPadding3D, _zero_pad),
    (nl.UpSampling1D | nl.UpSampling2D | nl.UpSampling3D, _upsample),
    (nl.Activation | nl.Softmax, _activation),
    (nl.Dense, _dense),
    (nl.BatchNormalization, _normalize),
    (GlobalPooling, _global_pool),
    (Pooling, _pool),
    (nl.Conv1DTranspose | nl.Conv2DTranspose | nl.Conv3DTranspose, _transposed),
    (nl.Layer, _conv),
]
