"""The operations of `numbaconv.functional` on Dask arrays: networks of one layer."""

from typing import Any

import numpy as np

from .. import layers, shapes
from ..calls.packed import operand_dtype
from ..common.arguments import (
    check_branches,
    check_data_format,
    check_interpolation,
    check_weights,
    common_dtype,
    spatial_rank,
)
from ..layers.separable import DepthwiseConv
from ..models import Sequential
from ..objects.docstrings import as_in
from .predicting import predict

Ints = int | tuple[int, ...] | list[int]


class DepthwiseConv3D(DepthwiseConv):
    """What Keras has no layer for."""

    rank = 3


# By the number of spatial axes.
CONV: dict[int, Any] = {1: layers.Conv1D, 2: layers.Conv2D, 3: layers.Conv3D}
DEPTHWISE: dict[int, Any] = {1: layers.DepthwiseConv1D, 2: layers.DepthwiseConv2D, 3: DepthwiseConv3D}
TRANSPOSE: dict[int, Any] = {1: layers.Conv1DTranspose, 2: layers.Conv2DTranspose, 3: layers.Conv3DTranspose}
MAX: dict[int, Any] = {1: layers.MaxPooling1D, 2: layers.MaxPooling2D, 3: layers.MaxPooling3D}
AVERAGE: dict[int, Any] = {1: layers.AveragePooling1D, 2: layers.AveragePooling2D, 3: layers.AveragePooling3D}
UPSAMPLE: dict[int, Any] = {1: layers.UpSampling1D, 2: layers.UpSampling2D, 3: layers.UpSampling3D}


def conv(
    x: Any,
    weights: Any,
    bias: Any = None,
    strides: Ints = 1,
    padding: str = "valid",
    dilation_rate: Ints = 1,
    data_format: str | None = None,
    **options: Any,
) -> Any:
    """`numbaconv.functional.conv` on a Dask array, lazily.

    Parameters
    ----------
    x : dask.array.Array, xarray.DataArray or array_like
        Shape (N, *lengths, C), or (N, C, *lengths) for channels_first, in chunks of any sizes.
    weights, bias : array_like
        Arrays in memory, as `numbaconv.functional` takes them; the bias is optional.
    strides, dilation_rate : int or tuple of int
        As there.
    padding, data_format : str
        As there.
    **options : object
        ``algorithm`` as there; ``chunks`` and ``threads`` as for `predict`.

    Returns
    -------
    dask.array.Array, or xarray.DataArray for one
        As from `predict`.

    Raises
    ------
    ValueError, TypeError
        As from there and from `predict`, before anything is computed.
    ModuleNotFoundError
        If Dask is not installed.
    """
    x, weights, data_format = _array(x), check_weights(weights, "weights"), check_data_format(data_format)
    settings = {
        "filters": weights.shape[-1],
        "groups": check_branches(x.shape, weights.shape, data_format),
        "algorithm": options.pop("algorithm", "auto"),
    }
    window = {"strides": strides, "padding": padding, "data_format": data_format}
    return predict(_of_weights(CONV, x, weights, bias, dilation_rate, **settings, **window), x, **options)


@as_in(conv)
def depthwise_conv(
    x: Any,
    weights: Any,
    bias: Any = None,
    strides: Ints = 1,
    padding: str = "valid",
    dilation_rate: Ints = 1,
    data_format: str | None = None,
    **options: Any,
) -> Any:
    """`numbaconv.functional.depthwise_conv` on a Dask array, lazily.

    Parameters
    ----------
    **options : object
        ``chunks`` and ``threads`` as for `predict`.
    """
    x, weights = _array(x), check_weights(weights, "weights")
    settings = {"depth_multiplier": weights.shape[-1], "data_format": check_data_format(data_format)}
    window = {"strides": strides, "padding": padding}
    return predict(_of_weights(DEPTHWISE, x, weights, bias, dilation_rate, **settings, **window), x, **options)


@as_in(conv)
def conv_transpose(
    x: Any,
    weights: Any,
    bias: Any = None,
    strides: Ints = 1,
    padding: str = "valid",
    output_padding: Ints | None = None,
    dilation_rate: Ints = 1,
    **options: Any,
) -> Any:
    """`numbaconv.functional.conv_transpose` on a Dask array, lazily.

    Parameters
    ----------
    output_padding : int or tuple of int, optional
        As there.
    **options : object
        ``data_format`` and ``algorithm`` as there; ``chunks`` and ``threads`` as for `predict`.
    """
    x, weights = _array(x), check_weights(weights, "weights")
    settings = {
        "filters": weights.shape[-2],
        "data_format": check_data_format(options.pop("data_format", None)),
        "algorithm": options.pop("algorithm", "auto"),
        "output_padding": output_padding,
    }
    window = {"strides": strides, "padding": padding}
    return predict(_of_weights(TRANSPOSE, x, weights, bias, dilation_rate, **settings, **window), x, **options)


@as_in(conv)
def max_pool(
    x: Any,
    pool_size: Ints,
    strides: Ints | None = None,
    padding: str = "valid",
    data_format: str | None = None,
    **options: Any,
) -> Any:
    """`numbaconv.functional.max_pool` on a Dask array, lazily.

    Parameters
    ----------
    pool_size : int or tuple of int
        As there.
    strides : int or tuple of int, optional
        As there.
    **options : object
        ``chunks`` and ``threads`` as for `predict`.
    """
    return _pool(MAX, x, (pool_size, strides, padding, data_format), options)


@as_in(max_pool)
def average_pool(
    x: Any,
    pool_size: Ints,
    strides: Ints | None = None,
    padding: str = "valid",
    data_format: str | None = None,
    **options: Any,
) -> Any:
    """`numbaconv.functional.average_pool` on a Dask array, lazily."""
    return _pool(AVERAGE, x, (pool_size, strides, padding, data_format), options)


@as_in(max_pool)
def upsample(x: Any, size: Ints, interpolation: str = "nearest", data_format: str | None = None, **options: Any) -> Any:
    """`numbaconv.functional.upsample` on a Dask array, lazily.

    Parameters
    ----------
    size : int or tuple of int
        As there.
    interpolation : {"nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"}
        As there; "bicubic" for arrays that are cut along no spatial axis.
    """
    x, data_format = _array(x), check_data_format(data_format)
    rank = spatial_rank(x)
    check_interpolation(interpolation, rank)
    settings = {"interpolation": interpolation} if rank == 2 else {}
    layer = UPSAMPLE[rank](size=size, dtype=_dtype(x).name, **settings)
    # That of one axis takes but one format.
    vars(layer)["data_format"] = data_format
    return predict(Sequential([layer]), x, **options)


def _array(x: Any) -> Any:
    """What has a shape and a dtype."""
    return x if hasattr(x, "shape") and hasattr(x, "dtype") else np.asarray(x)


def _dtype(x: Any, **others: Any) -> np.dtype:
    like = np.empty(0, x.dtype)
    return operand_dtype(like, **others) if others else common_dtype(like)


def _of_weights(kinds: Any, x: Any, weights: np.ndarray, bias: Any, dilation_rate: Any, **settings: Any) -> Sequential:
    """A layer with these weights as a network."""
    rank = spatial_rank(x)
    if weights.ndim != rank + 2:
        raise ValueError(
            f"weights must have {rank} kernel axes and two channel axes to fit x, got shape {weights.shape}"
        )
    layer = kinds[rank](
        kernel_size=weights.shape[:-2],
        use_bias=bias is not None,
        weights=[weights] if bias is None else [weights, bias],
        dtype=_dtype(x, weights=weights, bias=bias).name,
        **settings,
    )
    # Keras's layers take no dilation beside strides, and Conv3DTranspose none at all.
    vars(layer)["dilation_rate"] = shapes.normalize_tuple(dilation_rate, rank, "dilation_rate")
    return Sequential([layer])


def _pool(kinds: Any, x: Any, window: tuple[Any, ...], options: dict[str, Any]) -> Any:
    x = _array(x)
    return predict(Sequential([kinds[spatial_rank(x)](*window, dtype=_dtype(x).name)]), x, **options)
