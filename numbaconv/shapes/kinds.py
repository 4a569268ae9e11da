"""What a layer computes, told by the attributes it has.

They stand under Keras's argument names and are already normalised, so this package needs none of the layers' classes.
"""

from typing import Any

from .outputs import Shape

UNKNOWN = "layer must be a convolutional, pooling, cropping, padding or upsampling layer, got {!r}"
# How far interpolations reach.
RADIUS = {"nearest": 0, "bilinear": 1, "bicubic": 2, "lanczos3": 3, "lanczos5": 5}
# Attributes that one kind of layer alone has.
_TOLD_BY = {
    **{"pool_size": "pool", "keepdims": "global", "cropping": "crop", "size": "upsample", "height": "resize"},
    "output_padding": "transpose",
}
AXIS_NAMES = {1: ("steps",), 2: ("height", "width"), 3: ("depth", "height", "width")}


def layer_kind(layer: Any) -> str:
    """What a layer computes.

    That is "conv", "depthwise", "separable", "transpose", "pool", "global", "crop", "pad", "upsample" or "resize".
    Raises TypeError if the layer has none of the attributes of a layer that this library knows.
    """
    if not isinstance(getattr(layer, "rank", None), int):
        raise TypeError(UNKNOWN.format(layer))
    for attribute, kind in _TOLD_BY.items():
        if hasattr(layer, attribute):
            return kind
    if not hasattr(layer, "kernel_size"):
        if hasattr(layer, "padding"):
            return "pad"
        raise TypeError(UNKNOWN.format(layer))
    if not hasattr(layer, "depth_multiplier"):
        return "conv"
    return "depthwise" if getattr(layer, "filters", None) is None else "separable"


def window_along(layer: Any, axis: int) -> tuple[int, int, int]:
    """Kernel or pool size, stride and dilation along one axis."""
    size = layer.pool_size if hasattr(layer, "pool_size") else layer.kernel_size
    dilation_rate = getattr(layer, "dilation_rate", (1,) * layer.rank)
    return size[axis], layer.strides[axis], dilation_rate[axis]


def spatial(shape: Shape, data_format: str) -> Shape:
    return shape[2:] if data_format == "channels_first" else shape[1:-1]
