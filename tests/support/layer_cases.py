"""Every layer of the Keras page with its signature there, and small examples."""

import ast

import numpy as np
import pytest
from cases import to_format

from numbaconv import layers

# The signatures as Keras's pages print them, and Keras 3's groups; averages have the default size that maxima have.
PAGE = """
Conv1D(filters, kernel_size, strides=1, padding='valid', data_format='channels_last', dilation_rate=1, groups=1,
  activation=None, use_bias=True, kernel_initializer='glorot_uniform', bias_initializer='zeros',
  kernel_regularizer=None, bias_regularizer=None, activity_regularizer=None, kernel_constraint=None,
  bias_constraint=None)
Conv2D(filters, kernel_size, strides=(1, 1), padding='valid', data_format=None, dilation_rate=(1, 1), groups=1,
  activation=None, use_bias=True, kernel_initializer='glorot_uniform', bias_initializer='zeros',
  kernel_regularizer=None, bias_regularizer=None, activity_regularizer=None, kernel_constraint=None,
  bias_constraint=None)
SeparableConv1D(filters, kernel_size, strides=1, padding='valid', data_format='channels_last', dilation_rate=1,
  depth_multiplier=1, activation=None, use_bias=True, depthwise_initializer='glorot_uniform',
  pointwise_initializer='glorot_uniform', bias_initializer='zeros', depthwise_regularizer=None,
  pointwise_regularizer=None, bias_regularizer=None, activity_regularizer=None, depthwise_constraint=None,
  pointwise_constraint=None, bias_constraint=None)
SeparableConv2D(filters, kernel_size, strides=(1, 1), padding='valid', data_format=None, dilation_rate=(1, 1),
  depth_multiplier=1, activation=None, use_bias=True, depthwise_initializer='glorot_uniform',
  pointwise_initializer='glorot_uniform', bias_initializer='zeros', depthwise_regularizer=None,
  pointwise_regularizer=None, bias_regularizer=None, activity_regularizer=None, depthwise_constraint=None,
  pointwise_constraint=None, bias_constraint=None)
DepthwiseConv2D(kernel_size, strides=(1, 1), padding='valid', depth_multiplier=1, data_format=None, activation=None,
  use_bias=True, depthwise_initializer='glorot_uniform', bias_initializer='zeros', depthwise_regularizer=None,
  bias_regularizer=None, activity_regularizer=None, depthwise_constraint=None, bias_constraint=None)
Conv2DTranspose(filters, kernel_size, strides=(1, 1), padding='valid', output_padding=None, data_format=None,
  dilation_rate=(1, 1), activation=None, use_bias=True, kernel_initializer='glorot_uniform', bias_initializer='zeros',
  kernel_regularizer=None, bias_regularizer=None, activity_regularizer=None, kernel_constraint=None,
  bias_constraint=None)
Conv3D(filters, kernel_size, strides=(1, 1, 1), padding='valid', data_format=None, dilation_rate=(1, 1, 1),
  groups=1, activation=None, use_bias=True, kernel_initializer='glorot_uniform', bias_initializer='zeros',
  kernel_regularizer=None, bias_regularizer=None, activity_regularizer=None, kernel_constraint=None,
  bias_constraint=None)
Conv3DTranspose(filters, kernel_size, strides=(1, 1, 1), padding='valid', output_padding=None, data_format=None,
  activation=None, use_bias=True, kernel_initializer='glorot_uniform', bias_initializer='zeros',
  kernel_regularizer=None, bias_regularizer=None, activity_regularizer=None, kernel_constraint=None,
  bias_constraint=None)
Conv1DTranspose(filters, kernel_size, strides=1, padding='valid', output_padding=None, data_format=None,
  dilation_rate=1, activation=None, use_bias=True, kernel_initializer='glorot_uniform', bias_initializer='zeros',
  kernel_regularizer=None, bias_regularizer=None, activity_regularizer=None, kernel_constraint=None,
  bias_constraint=None)
DepthwiseConv1D(kernel_size, strides=1, padding='valid', depth_multiplier=1, data_format=None, dilation_rate=1,
  activation=None, use_bias=True, depthwise_initializer='glorot_uniform', bias_initializer='zeros',
  depthwise_regularizer=None, bias_regularizer=None, activity_regularizer=None, depthwise_constraint=None,
  bias_constraint=None)
Cropping1D(cropping=(1, 1))
Cropping2D(cropping=((0, 0), (0, 0)), data_format=None)
Cropping3D(cropping=((1, 1), (1, 1), (1, 1)), data_format=None)
UpSampling1D(size=2)
UpSampling2D(size=(2, 2), data_format=None, interpolation='nearest')
UpSampling3D(size=(2, 2, 2), data_format=None)
ZeroPadding1D(padding=1)
ZeroPadding2D(padding=(1, 1), data_format=None)
ZeroPadding3D(padding=(1, 1, 1), data_format=None)
MaxPooling1D(pool_size=2, strides=None, padding='valid', data_format=None)
MaxPooling2D(pool_size=(2, 2), strides=None, padding='valid', data_format=None)
MaxPooling3D(pool_size=(2, 2, 2), strides=None, padding='valid', data_format=None)
AveragePooling1D(pool_size=2, strides=None, padding='valid', data_format=None)
AveragePooling2D(pool_size=(2, 2), strides=None, padding='valid', data_format=None)
AveragePooling3D(pool_size=(2, 2, 2), strides=None, padding='valid', data_format=None)
GlobalMaxPooling1D(data_format=None, keepdims=False)
GlobalMaxPooling2D(data_format=None, keepdims=False)
GlobalMaxPooling3D(data_format=None, keepdims=False)
GlobalAveragePooling1D(data_format=None, keepdims=False)
GlobalAveragePooling2D(data_format=None, keepdims=False)
GlobalAveragePooling3D(data_format=None, keepdims=False)
"""

SIGNATURES = {
    call.value.func.id: (
        [name.id for name in call.value.args],
        {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.value.keywords},
    )
    for call in ast.parse(PAGE).body
}

every_class = pytest.mark.parametrize("name", SIGNATURES)

every_weighted = pytest.mark.parametrize("name", [name for name, (required, _) in SIGNATURES.items() if required])


def make(name, /, **arguments):
    """A layer with small required arguments."""
    required = {"filters": 4, "kernel_size": 2}
    return getattr(layers, name)(**{k: required[k] for k in SIGNATURES[name][0]}, **arguments)


def example(layer, channels=3, batch=2):
    """An input for a layer, in its data format."""
    shape = (batch, *(6, 7, 5)[: layer.rank], channels)
    return to_format(np.random.default_rng(3).standard_normal(shape).astype(layer.dtype), layer.data_format)
