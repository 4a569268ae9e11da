"""What is paid besides the arithmetic: small calls, imports, first calls and memory."""

from collections.abc import Callable
from functools import cache, partial

from numbaconv import functional, layers

from . import random
from .burst import Burst
from .cases import backward
from .training import trained_model

SMALL = {
    "Conv1D": (layers.Conv1D, (8, 3), (1, 8, 8)),
    "Conv2D": (layers.Conv2D, (8, 3), (1, 8, 8, 8)),
    "Conv3D": (layers.Conv3D, (8, 3), (1, 8, 8, 8, 8)),
    "Conv2DTranspose": (layers.Conv2DTranspose, (8, 3, 2), (1, 8, 8, 8)),
    "DepthwiseConv2D": (layers.DepthwiseConv2D, (3,), (1, 8, 8, 8)),
    "SeparableConv2D": (layers.SeparableConv2D, (8, 3), (1, 8, 8, 8)),
    "Cropping2D": (layers.Cropping2D, (1,), (1, 8, 8, 8)),
    "ZeroPadding2D": (layers.ZeroPadding2D, (1,), (1, 8, 8, 8)),
    "UpSampling2D": (layers.UpSampling2D, (2,), (1, 8, 8, 8)),
    "MaxPooling2D": (layers.MaxPooling2D, (2,), (1, 8, 8, 8)),
    "GlobalAveragePooling2D": (layers.GlobalAveragePooling2D, (), (1, 8, 8, 8)),
}
FIRST_CALL = """
import numpy as np
from numbaconv.layers import Conv2D
Conv2D(8, 3)(np.zeros((1, 8, 8, 8), "float32"))
"""
EMPTY_CACHE = """
import os, tempfile
folder = tempfile.TemporaryDirectory()
os.environ["NUMBA_CACHE_DIR"] = folder.name
"""


class SmallCall(Burst):
    """A layer on 8 positions per axis and 8 channels, where the checks before the loops weigh most."""

    params = tuple(SMALL)
    param_names = ("layer",)

    def setup(self, layer: str) -> None:
        self.take(_small_call(layer))

    def time_call(self, layer: str) -> None:
        self.run()


class Start:
    """A fresh interpreter: imports, and the first call with the compiled kernel already on disk."""

    repeat = (3, 5, 5.0)

    def setup(self) -> None:
        _fill_disk_cache()

    def timeraw_import_shapes(self) -> str:
        return "import numbaconv.shapes"

    def timeraw_import_layers(self) -> str:
        return "import numbaconv.layers"

    def timeraw_first_call(self) -> str:
        return FIRST_CALL


class ColdStart:
    """A fresh interpreter, and nothing on disk: the first call compiles."""

    rounds, repeat, warmup_time = 1, 3, 0

    def timeraw_first_call(self) -> tuple[str, str]:
        return FIRST_CALL, EMPTY_CACHE


class Memory:
    """Peak memory of a process, its kernels' code included, and of what asv's server had imported what it touches."""

    def setup_cache(self) -> None:
        """Compile in another process, for that takes more memory than what is measured."""
        self.peakmem_conv2d()
        self.peakmem_conv2d_transpose()
        self.peakmem_conv2d_weight_grad()
        self.peakmem_fit()

    def peakmem_import(self, *_: None) -> None:
        """What the others start from."""

    def peakmem_conv2d(self, *_: None) -> None:
        x, weights = random(8, 224, 224, 16), random(3, 3, 16, 16)
        functional.conv(x, weights, padding="same", data_format="channels_last")

    def peakmem_conv2d_transpose(self, *_: None) -> None:
        x, weights = random(8, 112, 112, 16), random(4, 4, 16, 16)
        functional.conv_transpose(x, weights, strides=2, padding="same", data_format="channels_last")

    def peakmem_conv2d_weight_grad(self, *_: None) -> None:
        backward("conv", "2D 3x3, batch 8 of 56x56x64 -> 64", "weights")

    def peakmem_fit(self, *_: None) -> None:
        trained_model((32, 32, 3))


@cache
def _small_call(layer: str) -> Callable:
    kind, arguments, shape = SMALL[layer]
    call = partial(kind(*arguments), random(*shape))
    call()
    return call


@cache
def _fill_disk_cache() -> None:
    exec(FIRST_CALL, {})
