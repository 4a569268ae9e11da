"""What `peers.py` compares: layers with shapes from networks, and the same computation in PyTorch."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as tf

from numbaconv import activations, shapes
from numbaconv import layers as nl


class Case(NamedTuple):
    """A layer and the shape of its input, without reference to any values."""

    group: str
    name: str
    layer: nl.Layer
    shape: tuple[int, ...]


def cases() -> list[Case]:
    """All cases, in the order of the table; layers are made anew at every call."""
    same: dict[str, Any] = {"padding": "same"}
    table: dict[str, list[tuple[str, nl.Layer, tuple[int, ...]]]] = {
        "3x3, stride 1": [
            ("56²·64→64", nl.Conv2D(64, 3, **same), (1, 56, 56, 64)),
            ("56²·64→64, batch 8", nl.Conv2D(64, 3, **same), (8, 56, 56, 64)),
            ("28²·128→128", nl.Conv2D(128, 3, **same), (1, 28, 28, 128)),
            ("14²·256→256", nl.Conv2D(256, 3, **same), (1, 14, 14, 256)),
            ("32²·32→32, batch 32", nl.Conv2D(32, 3, **same), (32, 32, 32, 32)),
            ("31x37·45→77", nl.Conv2D(77, 3, **same), (1, 31, 37, 45)),
            ("56²·64→64, channels first", nl.Conv2D(64, 3, data_format="channels_first", **same), (1, 64, 56, 56)),
        ],
        "other dense": [
            ("3x3, 7²·512→512", nl.Conv2D(512, 3, **same), (1, 7, 7, 512)),
            ("7x7/2, 224²·3→64", nl.Conv2D(64, 7, 2, **same), (1, 224, 224, 3)),
            ("3x3, 224²·3→32", nl.Conv2D(32, 3, **same), (1, 224, 224, 3)),
            ("3x3/2, 56²·64→128", nl.Conv2D(128, 3, 2, **same), (1, 56, 56, 64)),
            ("3x3 dilated 2, 28²·128→128", nl.Conv2D(128, 3, dilation_rate=2, **same), (1, 28, 28, 128)),
            ("5x5, 28²·64→64", nl.Conv2D(64, 5, **same), (1, 28, 28, 64)),
            ("1x1, 56²·64→256", nl.Conv2D(256, 1), (1, 56, 56, 64)),
            ("1x1, 14²·1024→256", nl.Conv2D(256, 1), (1, 14, 14, 1024)),
            ("1x1/2, 56²·256→512", nl.Conv2D(512, 1, 2), (1, 56, 56, 256)),
        ],
        "with relu": [
            ("3x3, 56²·64→64", nl.Conv2D(64, 3, activation="relu", **same), (1, 56, 56, 64)),
            ("3x3, 224²·3→32", nl.Conv2D(32, 3, activation="relu", **same), (1, 224, 224, 3)),
            ("1x1, 56²·64→256", nl.Conv2D(256, 1, activation="relu"), (1, 56, 56, 64)),
        ],
        "1D and 3D": [
            ("1D 80/4, 16000·1→64", nl.Conv1D(64, 80, 4), (1, 16000, 1)),
            ("1D causal dilated 8, 2000·64→64", nl.Conv1D(64, 3, padding="causal", dilation_rate=8), (1, 2000, 64)),
            ("1D 5, 1000·256→256", nl.Conv1D(256, 5, **same), (1, 1000, 256)),
            ("3D 3³, 16·112²·3→32", nl.Conv3D(32, 3, **same), (1, 16, 112, 112, 3)),
            ("3D 3³, 8·28²·32→64", nl.Conv3D(64, 3, **same), (1, 8, 28, 28, 32)),
        ],
        "depthwise": [
            ("3x3, 112²·32", nl.DepthwiseConv2D(3, **same), (1, 112, 112, 32)),
            ("3x3/2, 56²·128", nl.DepthwiseConv2D(3, 2, **same), (1, 56, 56, 128)),
            ("5x5, 14²·512", nl.DepthwiseConv2D(5, **same), (1, 14, 14, 512)),
            ("1D 9, 2000·64", nl.DepthwiseConv1D(9, **same), (1, 2000, 64)),
            ("separable 1D 9, 2000·64→64", nl.SeparableConv1D(64, 9, **same), (1, 2000, 64)),
            ("separable 3x3, 56²·128→128", nl.SeparableConv2D(128, 3, **same), (1, 56, 56, 128)),
        ],
        "transposed": [
            ("1D 4·2, 2000·64→32", nl.Conv1DTranspose(32, 4, 2, **same), (1, 2000, 64)),
            ("4x4·2, 28²·64→32", nl.Conv2DTranspose(32, 4, 2, **same), (1, 28, 28, 64)),
            ("2x2·2, 56²·128→64", nl.Conv2DTranspose(64, 2, 2, **same), (1, 56, 56, 128)),
            ("3x3, 56²·64→64", nl.Conv2DTranspose(64, 3, **same), (1, 56, 56, 64)),
            ("3D 3³·2, 8·14²·32→16", nl.Conv3DTranspose(16, 3, 2, **same), (1, 8, 14, 14, 32)),
        ],
        "in groups": [
            ("3x3, 32 groups, 56²·128→128", nl.Conv2D(128, 3, groups=32, **same), (1, 56, 56, 128)),
            ("3x3, 32 groups, 28²·256→256", nl.Conv2D(256, 3, groups=32, **same), (1, 28, 28, 256)),
            ("3x3, 32 groups, 14²·512→512", nl.Conv2D(512, 3, groups=32, **same), (1, 14, 14, 512)),
            ("3x3, 32 groups, 7²·1024→1024", nl.Conv2D(1024, 3, groups=32, **same), (1, 7, 7, 1024)),
            ("1x1, 3 groups, 28²·240→240", nl.Conv2D(240, 1, groups=3), (1, 28, 28, 240)),
        ],
        "moving values": [
            ("nearest ·2, 56²·64", nl.UpSampling2D(2), (1, 56, 56, 64)),
            ("bilinear ·2, 56²·64", nl.UpSampling2D(2, interpolation="bilinear"), (1, 56, 56, 64)),
            ("zero padding 1, 112²·64", nl.ZeroPadding2D(1), (1, 112, 112, 64)),
            ("cropping 8, 112²·64", nl.Cropping2D(8), (1, 112, 112, 64)),
        ],
        "smallest": [("3x3, 8²·8→8", nl.Conv2D(8, 3, **same), (1, 8, 8, 8))],
    }
    return [Case(group, *row) for group, rows in table.items() for row in rows]


def training_cases() -> list[Case]:
    """Layers and batches for forward and backward together."""
    same: dict[str, Any] = {"padding": "same"}
    table = [
        ("3x3, 56²·64→64, batch 8", nl.Conv2D(64, 3, **same), (8, 56, 56, 64)),
        ("3x3, 28²·128→128, batch 16", nl.Conv2D(128, 3, **same), (16, 28, 28, 128)),
        ("3x3, 14²·256→256, batch 32", nl.Conv2D(256, 3, **same), (32, 14, 14, 256)),
        ("3x3, 7²·512→512, batch 32", nl.Conv2D(512, 3, **same), (32, 7, 7, 512)),
        ("3x3, 32²·32→32, batch 32", nl.Conv2D(32, 3, **same), (32, 32, 32, 32)),
        ("3x3/2, 56²·64→128, batch 8", nl.Conv2D(128, 3, 2, **same), (8, 56, 56, 64)),
        ("1x1, 56²·64→256, batch 8", nl.Conv2D(256, 1), (8, 56, 56, 64)),
        ("7x7/2, 112²·3→64, batch 8", nl.Conv2D(64, 7, 2, **same), (8, 112, 112, 3)),
        ("3x3 dilated 2, 28²·128→128, batch 8", nl.Conv2D(128, 3, dilation_rate=2, **same), (8, 28, 28, 128)),
        ("5x5, 28²·64→64, batch 16", nl.Conv2D(64, 5, **same), (16, 28, 28, 64)),
        ("3x3, 32 groups, 56²·128→128, batch 8", nl.Conv2D(128, 3, groups=32, **same), (8, 56, 56, 128)),
        ("depthwise 3x3, 56²·64, batch 8", nl.DepthwiseConv2D(3, **same), (8, 56, 56, 64)),
        (
            "1D causal dilated 8, 2000·64→64, batch 8",
            nl.Conv1D(64, 3, dilation_rate=8, padding="causal"),
            (8, 2000, 64),
        ),
        ("3D 3³, 8·28²·32→64, batch 8", nl.Conv3D(64, 3, **same), (8, 8, 28, 28, 32)),
        ("transposed 4x4·2, 28²·64→32, batch 8", nl.Conv2DTranspose(32, 4, 2, **same), (8, 28, 28, 64)),
    ]
    return [Case("forward and backward", *row) for row in table]


def dense_flops(case: Case) -> int | None:
    """Additions and multiplications of the direct sum of a dense convolution; None for all else."""
    if not isinstance(case.layer, nl.Conv1D | nl.Conv2D | nl.Conv3D):
        return None
    *taps, channels, _ = case.layer.kernel.shape
    return 2 * int(np.prod(case.layer.compute_output_shape(case.shape))) * int(np.prod(taps)) * channels


def in_torch(layer: nl.Layer, x: np.ndarray, channels_last: bool) -> Callable[[], torch.Tensor]:
    """The layer on ``x`` as a call of PyTorch, its operands laid out beforehand."""
    image, laid_out, layout = _layout(layer, x, channels_last)
    call = _call(layer, image, laid_out, layout)
    return (lambda: call().relu_()) if getattr(layer, "activation", None) is activations.relu else call


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

    call = _call(layer, image, leaf, layout)

    def step() -> list[torch.Tensor]:
        return torch.autograd.grad(call(), leaves, grad)

    return step


def in_torch_order(layer: nl.Layer, arrays: list[np.ndarray]) -> list[np.ndarray]:
    """Arrays like the input and the weights of a layer, as `trained_in_torch` gives them."""
    x, *kernels, bias = arrays
    image = np.moveaxis(x, -1, 1) if layer.data_format == "channels_last" else x
    if isinstance(layer, nl.DepthwiseConv1D | nl.DepthwiseConv2D):
        kernels = [kernels[0].reshape(*kernels[0].shape[:-2], 1, -1)]
    return [image, bias, *(np.moveaxis(kernel, (-1, -2), (0, 1)) for kernel in kernels)]


def _layout(layer: nl.Layer, x: np.ndarray, channels_last: bool) -> tuple[torch.Tensor, Callable, Any]:
    """The input as a tensor, how to make one of an array, and the memory format."""
    if layer.data_format == "channels_last":
        x = np.moveaxis(x, -1, 1)
    rank = layer.rank
    layout = {1: None, 2: torch.channels_last, 3: torch.channels_last_3d}[rank] if channels_last else None

    def laid_out(array: np.ndarray) -> torch.Tensor:
        tensor = torch.from_numpy(np.array(array, order="C"))
        return tensor if layout is None or tensor.ndim < 4 else tensor.contiguous(memory_format=layout)

    image = laid_out(x)
    if rank == 1 and channels_last:
        # PyTorch has no such format in 1D, but takes the strides.
        image = torch.from_numpy(np.ascontiguousarray(np.moveaxis(x, 1, -1))).permute(0, 2, 1)
    return image, laid_out, layout


def _call(layer: Any, image: torch.Tensor, laid_out: Callable, layout: Any) -> Callable[[], torch.Tensor]:
    rank, lengths = layer.rank, tuple(image.shape[2:])
    if isinstance(layer, nl.Cropping1D | nl.Cropping2D | nl.Cropping3D):
        index = (..., *(slice(a, n - b) for (a, b), n in zip(layer.cropping, lengths, strict=True)))
        return lambda: image[index].contiguous(memory_format=layout or torch.contiguous_format)
    if isinstance(layer, nl.ZeroPadding1D | nl.ZeroPadding2D | nl.ZeroPadding3D):
        pads = [n for pair in reversed(layer.padding) for n in pair]
        return lambda: tf.pad(image, pads)
    if isinstance(layer, nl.UpSampling1D | nl.UpSampling2D | nl.UpSampling3D):
        return lambda: tf.interpolate(image, scale_factor=layer.size, mode=layer.interpolation)
    bias = laid_out(layer.bias)
    window = {"stride": layer.strides, "dilation": layer.dilation_rate}
    if isinstance(layer, nl.Conv1DTranspose | nl.Conv2DTranspose | nl.Conv3DTranspose):
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
