"""Each operation of `numbaconv.functional`, weights packed beforehand as the layers do; of pooling the gradients too.

A case is named kernel, input shape without batch, and channels out; the batch is 1 unless the name says otherwise.
"""

from numbaconv import functional, shapes

from . import random

# Name: (input shape, weights shape, settings).
CONV = {
    "1D 80/4, 16000x1 -> 64": ((1, 16000, 1), (80, 1, 64), {"strides": 4}),
    "1D 3 causal, dilated 8, 2000x64 -> 64": ((1, 2000, 64), (3, 64, 64), {"padding": "causal", "dilation_rate": 8}),
    "1D 5, 1000x256 -> 256": ((1, 1000, 256), (5, 256, 256), {"padding": "same"}),
    "2D 7x7/2, 224x224x3 -> 64": ((1, 224, 224, 3), (7, 7, 3, 64), {"strides": 2, "padding": "same"}),
    "2D 1x1, 56x56x64 -> 256": ((1, 56, 56, 64), (1, 1, 64, 256), {}),
    "2D 1x1, 14x14x1024 -> 256": ((1, 14, 14, 1024), (1, 1, 1024, 256), {}),
    "2D 1x1/2, 56x56x256 -> 512": ((1, 56, 56, 256), (1, 1, 256, 512), {"strides": 2}),
    "2D 3x3, 224x224x3 -> 32": ((1, 224, 224, 3), (3, 3, 3, 32), {"padding": "same"}),
    "2D 3x3, 56x56x64 -> 64": ((1, 56, 56, 64), (3, 3, 64, 64), {"padding": "same"}),
    "2D 3x3, batch 8 of 56x56x64 -> 64": ((8, 56, 56, 64), (3, 3, 64, 64), {"padding": "same"}),
    "2D 3x3, 28x28x128 -> 128": ((1, 28, 28, 128), (3, 3, 128, 128), {"padding": "same"}),
    "2D 3x3, 14x14x256 -> 256": ((1, 14, 14, 256), (3, 3, 256, 256), {"padding": "same"}),
    "2D 3x3, 7x7x512 -> 512": ((1, 7, 7, 512), (3, 3, 512, 512), {"padding": "same"}),
    "2D 3x3, batch 32 of 32x32x32 -> 32": ((32, 32, 32, 32), (3, 3, 32, 32), {"padding": "same"}),
    "2D 3x3, 31x37x45 -> 77": ((1, 31, 37, 45), (3, 3, 45, 77), {"padding": "same"}),
    "2D 3x3/2, 56x56x64 -> 128": ((1, 56, 56, 64), (3, 3, 64, 128), {"strides": 2, "padding": "same"}),
    "2D 5x5, 28x28x64 -> 64": ((1, 28, 28, 64), (5, 5, 64, 64), {"padding": "same"}),
    "2D 3x3 dilated 2, 28x28x128 -> 128": (
        (1, 28, 28, 128),
        (3, 3, 128, 128),
        {"dilation_rate": 2, "padding": "same"},
    ),
    "2D 3x3, batch 32 of 28x28x1 -> 32": ((32, 28, 28, 1), (3, 3, 1, 32), {}),
    "3D 3x3x3, 16x112x112x3 -> 32": ((1, 16, 112, 112, 3), (3, 3, 3, 3, 32), {"padding": "same"}),
    "3D 3x3x3, 8x28x28x32 -> 64": ((1, 8, 28, 28, 32), (3, 3, 3, 32, 64), {"padding": "same"}),
}
DEPTHWISE = {
    "3x3, 112x112x32": ((1, 112, 112, 32), (3, 3, 32, 1), {"padding": "same"}),
    "3x3/2, 56x56x128": ((1, 56, 56, 128), (3, 3, 128, 1), {"strides": 2, "padding": "same"}),
    "5x5, 14x14x512": ((1, 14, 14, 512), (5, 5, 512, 1), {"padding": "same"}),
    "3x3, 56x56x16, multiplier 4": ((1, 56, 56, 16), (3, 3, 16, 4), {"padding": "same"}),
}
SEPARABLE = {
    "1D 9, 2000x64 -> 64": ((1, 2000, 64), (9, 64, 1), (1, 64, 64)),
    "2D 3x3, 56x56x128 -> 128": ((1, 56, 56, 128), (3, 3, 128, 1), (1, 1, 128, 128)),
}
TRANSPOSED = {
    "2D 4x4*2, 28x28x64 -> 32": ((1, 28, 28, 64), (4, 4, 32, 64), 2),
    "2D 2x2*2, 56x56x128 -> 64": ((1, 56, 56, 128), (2, 2, 64, 128), 2),
    "2D 3x3, 56x56x64 -> 64": ((1, 56, 56, 64), (3, 3, 64, 64), 1),
    "3D 3x3x3*2, 8x14x14x32 -> 16": ((1, 8, 14, 14, 32), (3, 3, 3, 16, 32), 2),
}
IMAGES = {
    "1D 16000x64": (1, 16000, 64),
    "2D 224x224x3": (1, 224, 224, 3),
    "2D 56x56x64": (1, 56, 56, 64),
    "3D 16x28x28x16": (1, 16, 28, 28, 16),
}
# Name: (input shape, pool_size, strides, padding).
POOL = {
    "1D 2/2, 16000x64": ((1, 16000, 64), 2, 2, "valid"),
    "2D 2x2/2, batch 8 of 112x112x64": ((8, 112, 112, 64), 2, 2, "valid"),
    "2D 3x3/2, 56x56x64": ((1, 56, 56, 64), 3, 2, "same"),
    "2D 3x3/1, 28x28x256": ((1, 28, 28, 256), 3, 1, "same"),
    "2D 2x2/2, batch 32 of 28x28x16": ((32, 28, 28, 16), 2, 2, "valid"),
    "2D global, batch 8 of 7x7x512": ((8, 7, 7, 512), 7, 7, "valid"),
    "3D 2x2x2/2, 16x28x28x16": ((1, 16, 28, 28, 16), 2, 2, "valid"),
}


class Conv:
    params = (list(CONV), ["float32", "float64"])
    param_names = ("case", "dtype")

    def setup(self, case: str, dtype: str) -> None:
        shape, weights_shape, self.settings = CONV[case]
        self.x = random(*shape, dtype=dtype)
        self.weights = functional.pack_conv(random(*weights_shape, dtype=dtype))
        self.time_conv(case, dtype)  # compiles

    def time_conv(self, case: str, dtype: str) -> None:
        functional.conv(self.x, self.weights, data_format="channels_last", **self.settings)


class ConvChannelsFirst:
    """What the other data format costs on top of `Conv`."""

    def setup(self) -> None:
        self.x = random(1, 64, 56, 56)
        self.weights = functional.pack_conv(random(3, 3, 64, 64))
        self.time_conv()

    def time_conv(self) -> None:
        functional.conv(self.x, self.weights, padding="same", data_format="channels_first")


class PackConv:
    """Preparing weights, which a layer does once after every change of them."""

    def setup(self) -> None:
        self.weights = random(3, 3, 256, 256)
        self.time_pack_conv()

    def time_pack_conv(self) -> None:
        packed = functional.pack_conv(self.weights)
        # Made at first need.
        _ = packed.blocks, packed.winograd


class DepthwiseConv:
    params = tuple(DEPTHWISE)
    param_names = ("case",)

    def setup(self, case: str) -> None:
        shape, weights_shape, self.settings = DEPTHWISE[case]
        self.x = random(*shape)
        self.weights = functional.pack_depthwise_conv(random(*weights_shape))
        self.time_depthwise_conv(case)

    def time_depthwise_conv(self, case: str) -> None:
        functional.depthwise_conv(self.x, self.weights, data_format="channels_last", **self.settings)


class SeparableConv:
    params = tuple(SEPARABLE)
    param_names = ("case",)

    def setup(self, case: str) -> None:
        shape, depthwise_shape, pointwise_shape = SEPARABLE[case]
        self.x = random(*shape)
        self.depthwise = functional.pack_depthwise_conv(random(*depthwise_shape))
        self.pointwise = functional.pack_conv(random(*pointwise_shape))
        self.time_separable_conv(case)

    def time_separable_conv(self, case: str) -> None:
        functional.separable_conv(self.x, self.depthwise, self.pointwise, padding="same", data_format="channels_last")


class ConvTranspose:
    params = tuple(TRANSPOSED)
    param_names = ("case",)

    def setup(self, case: str) -> None:
        shape, weights_shape, self.strides = TRANSPOSED[case]
        self.x = random(*shape)
        self.weights = functional.pack_conv_transpose(random(*weights_shape), self.strides)
        self.time_conv_transpose(case)

    def time_conv_transpose(self, case: str) -> None:
        functional.conv_transpose(self.x, self.weights, None, self.strides, "same", data_format="channels_last")


class Move:
    """Operations without arithmetic: the speed of memory."""

    params = tuple(IMAGES)
    param_names = ("image",)

    def setup(self, image: str) -> None:
        self.x = random(*IMAGES[image])
        self.time_crop(image)
        self.time_zero_pad(image)
        self.time_upsample_nearest(image)

    def time_crop(self, image: str) -> None:
        functional.crop(self.x, 2, "channels_last")

    def time_zero_pad(self, image: str) -> None:
        functional.zero_pad(self.x, 2, "channels_last")

    def time_upsample_nearest(self, image: str) -> None:
        functional.upsample(self.x, 2, data_format="channels_last")


class UpsampleBilinear:
    params = tuple(name for name in IMAGES if name.startswith("2D"))
    param_names = ("image",)

    def setup(self, image: str) -> None:
        self.x = random(*IMAGES[image])
        self.time_upsample_bilinear(image)

    def time_upsample_bilinear(self, image: str) -> None:
        functional.upsample(self.x, 2, "bilinear", "channels_last")


class Pool:
    params = tuple(POOL)
    param_names = ("case",)

    def setup(self, case: str) -> None:
        shape, *self.settings = POOL[case]
        self.x = random(*shape)
        self.grad_out = random(*shapes.pool_output_shape(shape, *self.settings))
        self.time_max_pool(case)
        self.time_max_pool_grad(case)
        self.time_average_pool(case)
        self.time_average_pool_grad(case)

    def time_max_pool(self, case: str) -> None:
        functional.max_pool(self.x, *self.settings, "channels_last")

    def time_max_pool_grad(self, case: str) -> None:
        functional.max_pool_grad(self.x, self.grad_out, *self.settings, "channels_last")

    def time_average_pool(self, case: str) -> None:
        functional.average_pool(self.x, *self.settings, "channels_last")

    def time_average_pool_grad(self, case: str) -> None:
        functional.average_pool_grad(self.grad_out, self.x.shape, *self.settings, "channels_last")
