"""Forward and backward of layers: gradients of input, weights and bias, the weights packed anew as training does."""

from numbaconv import layers

from . import random

# Name: (layer, settings, input shape).
LAYERS = {
    "3x3, batch 8 of 56x56x64 -> 64": ("Conv2D", {"filters": 64, "kernel_size": 3, "padding": "same"}, (8, 56, 56, 64)),
    "3x3/2, batch 8 of 56x56x64 -> 128": ("Conv2D", {"filters": 128, "kernel_size": 3, "strides": 2}, (8, 56, 56, 64)),
    "1x1, batch 8 of 56x56x64 -> 256": ("Conv2D", {"filters": 256, "kernel_size": 1}, (8, 56, 56, 64)),
    "7x7/2, batch 8 of 112x112x3 -> 64": ("Conv2D", {"filters": 64, "kernel_size": 7, "strides": 2}, (8, 112, 112, 3)),
    "1D 3 dilated 8, batch 8 of 2000x64 -> 64": (
        "Conv1D",
        {"filters": 64, "kernel_size": 3, "dilation_rate": 8, "padding": "causal"},
        (8, 2000, 64),
    ),
    "3D 3x3x3, 8x28x28x32 -> 64": ("Conv3D", {"filters": 64, "kernel_size": 3, "padding": "same"}, (1, 8, 28, 28, 32)),
    "depthwise 3x3, batch 8 of 56x56x64": ("DepthwiseConv2D", {"kernel_size": 3, "padding": "same"}, (8, 56, 56, 64)),
    "separable 3x3, batch 8 of 28x28x64 -> 64": (
        "SeparableConv2D",
        {"filters": 64, "kernel_size": 3, "padding": "same"},
        (8, 28, 28, 64),
    ),
    "transposed 4x4*2, batch 8 of 28x28x64 -> 32": (
        "Conv2DTranspose",
        {"filters": 32, "kernel_size": 4, "strides": 2, "padding": "same"},
        (8, 28, 28, 64),
    ),
    "batch normalization, batch 8 of 56x56x64": ("BatchNormalization", {}, (8, 56, 56, 64)),
    "nearest *2, batch 8 of 28x28x64": ("UpSampling2D", {"size": 2}, (8, 28, 28, 64)),
}


class Training:
    params = (tuple(LAYERS),)
    param_names = ("layer",)

    def setup(self, name):
        kind, settings, shape = LAYERS[name]
        self.layer, self.x = getattr(layers, kind)(**settings), random(*shape)
        self.grad_out = random(*self.layer(self.x).shape)
        self.weights = self.layer.get_weights()
        self.time_forward_and_backward(name)

    def time_forward_and_backward(self, name):
        self.layer.set_weights(self.weights)
        self.layer.forward(self.x)
        self.layer.backward(self.grad_out)
