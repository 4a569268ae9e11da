"""Keras's nineteen convolutional layers, and those that go with them, with its names, arguments and weights."""

from typing import TYPE_CHECKING

from ..graph.tensor import OPERATORS
from ..objects.public import publish
from .activation import Activation
from .base import Layer
from .conv import Conv1D, Conv2D, Conv3D
from .dense import Dense
from .dropout import Dropout, SpatialDropout1D, SpatialDropout2D, SpatialDropout3D
from .function import Lambda
from .inputs import Input, InputLayer
from .joining import Concatenate, Dot
from .merging import Add, Average, Maximum, Minimum, Multiply, Subtract
from .moving import (
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
from .normalization import BatchNormalization
from .operators import METHODS
from .pointwise import ActivityRegularization, Identity, Rescaling
from .pooling import (
    AveragePooling1D,
    AveragePooling2D,
    AveragePooling3D,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalAveragePooling3D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    GlobalMaxPooling3D,
    MaxPooling1D,
    MaxPooling2D,
    MaxPooling3D,
)
from .rectifiers import ELU, LeakyReLU, PReLU, ReLU, Softmax
from .reshaping import Flatten, Permute, RepeatVector, Reshape
from .separable import DepthwiseConv1D, DepthwiseConv2D, SeparableConv1D, SeparableConv2D
from .wrapping import TimeDistributed

# The others load on first use: most networks predict without them.
if TYPE_CHECKING:
    from .arithmetic import add, average, concatenate, dot, maximum, minimum, multiply, subtract
    from .attending import AdditiveAttention, Attention
    from .attention import MultiHeadAttention
    from .bidirectional import Bidirectional
    from .conv_lstm import ConvLSTM1D, ConvLSTM2D, ConvLSTM3D
    from .data_normalization import Normalization
    from .embedding import Embedding, Masking
    from .example_normalization import GroupNormalization, LayerNormalization, RMSNormalization, UnitNormalization
    from .gru import GRU
    from .lstm import LSTM
    from .noise import GaussianDropout, GaussianNoise
    from .resizing import CenterCrop, Resizing
    from .simple_rnn import SimpleRNN
    from .transposed import Conv1DTranspose, Conv2DTranspose, Conv3DTranspose

    Convolution1DTranspose = Conv1DTranspose
    Convolution2DTranspose = Conv2DTranspose
    Convolution3DTranspose = Conv3DTranspose

OPERATORS.update(METHODS)
_LATER = {
    "arithmetic": "add average concatenate dot maximum minimum multiply subtract",
    "attending": "AdditiveAttention Attention",
    "attention": "MultiHeadAttention",
    "bidirectional": "Bidirectional",
    "conv_lstm": "ConvLSTM1D ConvLSTM2D ConvLSTM3D",
    "data_normalization": "Normalization",
    "embedding": "Embedding Masking",
    "example_normalization": "GroupNormalization LayerNormalization RMSNormalization UnitNormalization",
    "gru": "GRU",
    "lstm": "LSTM",
    "noise": "GaussianDropout GaussianNoise",
    "resizing": "CenterCrop Resizing",
    "simple_rnn": "SimpleRNN",
    "transposed": "Conv1DTranspose Conv2DTranspose Conv3DTranspose",
}

# Other names that Keras has for them
AvgPool1D = AveragePooling1D
AvgPool2D = AveragePooling2D
AvgPool3D = AveragePooling3D
Convolution1D = Conv1D
Convolution2D = Conv2D
Convolution3D = Conv3D
GlobalAvgPool1D = GlobalAveragePooling1D
GlobalAvgPool2D = GlobalAveragePooling2D
GlobalAvgPool3D = GlobalAveragePooling3D
GlobalMaxPool1D = GlobalMaxPooling1D
GlobalMaxPool2D = GlobalMaxPooling2D
GlobalMaxPool3D = GlobalMaxPooling3D
MaxPool1D = MaxPooling1D
MaxPool2D = MaxPooling2D
MaxPool3D = MaxPooling3D
SeparableConvolution1D = SeparableConv1D
SeparableConvolution2D = SeparableConv2D

__all__ = [
    "ELU",
    "GRU",
    "LSTM",
    "Activation",
    "ActivityRegularization",
    "Add",
    "AdditiveAttention",
    "Attention",
    "Average",
    "AveragePooling1D",
    "AveragePooling2D",
    "AveragePooling3D",
    "AvgPool1D",
    "AvgPool2D",
    "AvgPool3D",
    "BatchNormalization",
    "Bidirectional",
    "CenterCrop",
    "Concatenate",
    "Conv1D",
    "Conv1DTranspose",
    "Conv2D",
    "Conv2DTranspose",
    "Conv3D",
    "Conv3DTranspose",
    "ConvLSTM1D",
    "ConvLSTM2D",
    "ConvLSTM3D",
    "Convolution1D",
    "Convolution1DTranspose",
    "Convolution2D",
    "Convolution2DTranspose",
    "Convolution3D",
    "Convolution3DTranspose",
    "Cropping1D",
    "Cropping2D",
    "Cropping3D",
    "Dense",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "Dot",
    "Dropout",
    "Embedding",
    "Flatten",
    "GaussianDropout",
    "GaussianNoise",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalAveragePooling3D",
    "GlobalAvgPool1D",
    "GlobalAvgPool2D",
    "GlobalAvgPool3D",
    "GlobalMaxPool1D",
    "GlobalMaxPool2D",
    "GlobalMaxPool3D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "GlobalMaxPooling3D",
    "GroupNormalization",
    "Identity",
    "Input",
    "InputLayer",
    "Lambda",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "Masking",
    "MaxPool1D",
    "MaxPool2D",
    "MaxPool3D",
    "MaxPooling1D",
    "MaxPooling2D",
    "MaxPooling3D",
    "Maximum",
    "Minimum",
    "MultiHeadAttention",
    "Multiply",
    "Normalization",
    "PReLU",
    "Permute",
    "RMSNormalization",
    "ReLU",
    "RepeatVector",
    "Rescaling",
    "Reshape",
    "Resizing",
    "SeparableConv1D",
    "SeparableConv2D",
    "SeparableConvolution1D",
    "SeparableConvolution2D",
    "SimpleRNN",
    "Softmax",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "Subtract",
    "TimeDistributed",
    "UnitNormalization",
    "UpSampling1D",
    "UpSampling2D",
    "UpSampling3D",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "ZeroPadding3D",
    "add",
    "average",
    "concatenate",
    "dot",
    "maximum",
    "minimum",
    "multiply",
    "subtract",
]
_lazy = {name: f"{__name__}.{module}:{name}" for module, names in _LATER.items() for name in names.split()}
_lazy |= {f"Convolution{rank}DTranspose": f"{__name__}.transposed:Conv{rank}DTranspose" for rank in (1, 2, 3)}
publish(__name__, _lazy)
