"""The words of Keras 1 and 2 for what Keras 3, and this library, call otherwise."""

from typing import Any

# Classes of other names.
CLASSES = {
    "AtrousConvolution1D": "Conv1D",
    "AtrousConvolution2D": "Conv2D",
    "Deconvolution2D": "Conv2DTranspose",
    "Convolution1D": "Conv1D",
    "Convolution2D": "Conv2D",
    "Convolution3D": "Conv3D",
    "SeparableConvolution2D": "SeparableConv2D",
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "SyncBatchNormalization": "BatchNormalization",
    "DepthwiseConvolution2D": "DepthwiseConv2D",
    "ThresholdedReLU": "ReLU",
    "LSTMV2": "LSTM",
    "GRUV2": "GRU",
    "Swish": "Activation",
}
_MERGES = {
    "ave": "Average",
    "concat": "Concatenate",
    "cos": "Dot",
    "dot": "Dot",
    "max": "Maximum",
    "min": "Minimum",
    "mul": "Multiply",
    "sum": "Add",
}
_RENAMED = {
    "atrous_rate": "dilation_rate",
    "bias": "use_bias",
    "border_mode": "padding",
    "dim_ordering": "data_format",
    "filter_length": "kernel_size",
    "init": "kernel_initializer",
    "inner_activation": "recurrent_activation",
    "inner_init": "recurrent_initializer",
    "nb_filter": "filters",
    "subsample": "strides",
    "subsample_length": "strides",
    "W_constraint": "kernel_constraint",
    "W_regularizer": "kernel_regularizer",
    "U_regularizer": "recurrent_regularizer",
    "b_constraint": "bias_constraint",
    "b_regularizer": "bias_regularizer",
    "dropout_U": "recurrent_dropout",
    "dropout_W": "dropout",
    "gamma_init": "gamma_initializer",
    "beta_init": "beta_initializer",
}
_SPATIAL = ("SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D")
# Words that mean something else in other classes.
_RENAMED_IN: dict[str, dict[str, str]] = {
    **{name: {"output_dim": "units"} for name in ("Dense", "GRU", "LSTM", "SimpleRNN")},
    **{name: {"p": "rate"} for name in ("Dropout", "GaussianDropout", *_SPATIAL)},
    "GaussianNoise": {"sigma": "stddev"},
    "LeakyReLU": {"alpha": "negative_slope"},
    "ReLU": {"theta": "threshold"},
    "MaxPooling1D": {"pool_length": "pool_size", "stride": "strides"},
    "AveragePooling1D": {"pool_length": "pool_size", "stride": "strides"},
    "UpSampling1D": {"length": "size"},
    "Embedding": {"init": "embeddings_initializer", "W_regularizer": "embeddings_regularizer"},
    "MultiHeadAttention": {"attention_axis": "attention_axes"},
}
_DATA_FORMATS = {"th": "channels_first", "tf": "channels_last", "default": None}
# What configurations leave out: versions of GRU that do not speak of it had no other way.
_IMPLIED: dict[str, dict[str, Any]] = {
    "GRU": {"reset_after": False},
    "Swish": {"activation": "silu"},
    "ThresholdedReLU": {"threshold": 1.0},
}
# What follows from everything else, or acts in training alone.
_NEEDLESS = {"Conv2DTranspose": "output_shape", "Embedding": "dropout"}
# Sizes that had an argument for each axis.
_SIZES = (("nb_row", "nb_col"), ("kernel_dim1", "kernel_dim2", "kernel_dim3"))
# What Keras 1 called the sides.
_ENDS = {
    "ZeroPadding1D": ("left_pad", "right_pad"),
    "ZeroPadding2D": ("top_pad", "bottom_pad", "left_pad", "right_pad"),
}


def renamed(class_name: str, config: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The class and the arguments in today's words.

    Raises ValueError for what nothing of today does.
    """
    if class_name == "Merge":
        return _merge(config)
    own = CLASSES.get(class_name, class_name)
    words = {**_RENAMED, **_RENAMED_IN.get(own, {})}
    found = {words.get(key, key): _number(value) for key, value in config.items()}
    for sizes in _SIZES:
        if sizes[0] in found:
            found["kernel_size"] = [found.pop(name, None) for name in sizes]
    if found.get("data_format") in _DATA_FORMATS:
        found["data_format"] = _DATA_FORMATS[found["data_format"]]
    if own in _ENDS and "padding" in found:
        found["padding"] = _pairs(found["padding"], _ENDS[own])
    found.pop(_NEEDLESS.get(own, ""), None)
    if own == "BatchNormalization" and found.pop("mode", 0) not in (0, 2):
        raise ValueError("mode must be 0 or 2, because normalizing each sample is not done here")
    return own, {**_IMPLIED.get(class_name, _IMPLIED.get(own, {})), **found}


def _number(value: Any) -> Any:
    """A value without what TensorFlow 1 made of NumPy's numbers: ``{"type": "ndarray", "value": 6.0}``."""
    return value["value"] if isinstance(value, dict) and {*value} == {"type", "value"} else value


def _pairs(padding: Any, ends: tuple[str, ...]) -> Any:
    """Padding of Keras 1, by sides or in a row, as pairs; any other as it is."""
    if isinstance(padding, dict) and padding and {*padding} <= {*ends}:
        padding = [padding.get(end, 0) for end in ends]
    if isinstance(padding, list) and len(padding) == len(ends) == 4:
        return [padding[:2], padding[2:]]
    return padding


def _merge(config: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The layers that the mode of Keras 1's ``Merge`` has become."""
    mode = config.get("mode")
    if not isinstance(mode, str) or mode not in _MERGES:
        raise ValueError(f"mode must be one of {', '.join(_MERGES)}, got {mode!r}")
    found: dict[str, Any] = {key: config[key] for key in ("name", "trainable") if key in config}
    if mode == "concat":
        found["axis"] = config.get("concat_axis", -1)
    if mode in ("dot", "cos"):
        found |= {"axes": config.get("dot_axes", -1), "normalize": mode == "cos"}
    return _MERGES[mode], found
