"""Keras's seventeen convolutional layers, and those that go with them, with its names, arguments and weights."""

from .base import Layer
from .convolutional import Conv1D, Conv2D, Conv3D
from .core import Activation, Dense, Dropout, Flatten
from .normalization import BatchNormalization
from .resizing import (
    Cropping1D,
    Cropping2D,
    Cropping3D,
    UpSampling1D,
    UpSampling2D,
    UpSampling3D,
    ZeroPadding1D,
    ZeroPadding2D,
    ZeroPadding3D,
)
from .separable import DepthwiseConv2D, SeparableConv1D, SeparableConv2D
from .transposed import Conv2DTranspose, Conv3DTranspose

__all__ = [
    "Activation",
    "BatchNormalization",
    "Conv1D",
    "Conv2D",
    "Conv2DTranspose",
    "Conv3D",
    "Conv3DTranspose",
    "Cropping1D",
    "Cropping2D",
    "Cropping3D",
    "Dense",
    "DepthwiseConv2D",
    "Dropout",
    "Flatten",
    "Layer",
    "SeparableConv1D",
    "SeparableConv2D",
    "UpSampling1D",
    "UpSampling2D",
    "UpSampling3D",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "ZeroPadding3D",
]
