"""Tiles together are the whole: of a model of one layer, for every case of every operation."""

from dataclasses import replace

import numpy as np
import pytest
from cases import (
    CASES,
    FORMATS,
    assert_close,
    each,
    expected,
    interpolates,
    layer_class,
    make_layer,
    to_format,
)
from cases import operands as operands_of
from pooling_cases import CASES as POOLING
from pooling_cases import KINDS
from pooling_cases import expected as pooled
from pooling_cases import operands as pooling_operands

from numbaconv import layers
from numbaconv.models import Sequential

# Where there are no more outputs, each is a tile.
MOST = 60


def layer_of(case, data_format, **arguments):
    """A layer, also with what Keras's take in no combination; None where it has none at all."""
    causal = case.settings.get("padding") == "causal" and case.operation != "conv"
    plain = {k: v for k, v in case.settings.items() if k not in ("dilation_rate", "padding")}
    like = case if layer_class(case) else replace(case, settings=plain)
    if causal or not layer_class(like):
        return None
    layer = make_layer(like, data_format, **arguments)
    if like is not case:
        vars(layer)["dilation_rate"] = case.setting("dilation_rate")
        vars(layer)["padding"] = case.settings.get("padding", "valid")
    return layer


# Layers of one axis that only move values know but one format.
SETTLED = {"crop", "zero_pad", "upsample"}
# Double precision in one format: what they share is tested elsewhere.
WAYS = [*(("float32", data_format) for data_format in FORMATS), ("float64", "channels_first")]
LAYERS = [case for case in CASES if layer_of(case, "channels_last")]


def in_ways(cases):
    """Each case in one way, which is the next one's other; in all of them at night."""
    return [
        pytest.param(case, *way, id="-".join((case.name, *way)), marks=[pytest.mark.nightly] * ((place + turn) % 3 > 0))
        for place, case in enumerate(cases)
        for turn, way in enumerate(WAYS)
    ]


def tiles(lengths):
    """Sizes of tiles for outputs of these lengths: that divide nothing, narrow ones, single ones, larger ones."""
    yield tuple(n // 3 + 1 for n in lengths)
    yield (None, *(1 + n // 7 for n in lengths[1:])) if len(lengths) > 1 else 1 + lengths[0] // 11
    if np.prod(lengths) <= MOST:
        yield 1
    yield tuple(n + 2 for n in lengths)


def check(model, x, whole, slack=0.0):
    """Tiles of all sizes, of a batch and of one image."""
    first = getattr(model.layers[0], "data_format", "channels_last") == "channels_first"
    for tile in tiles(whole.shape[2:] if first else whole.shape[1:-1]):
        found = model.predict_tiled(x, tile, verbose=0)
        assert found.dtype == whole.dtype
        np.testing.assert_allclose(found, whole, slack, slack, err_msg=f"tiles of {tile}")
    for alone, one in zip(x[-1:], whole[-1:], strict=True):
        np.testing.assert_allclose(model.predict_tiled(alone, verbose=0), one, slack, slack)


def compare(case, dtype, data_format):
    if case.operation in SETTLED and case.rank == 1:
        data_format = "channels_last"
    ways = {"algorithm": "direct"} if case.operation in ("conv", "conv_transpose") else {}
    model = Sequential([layer_of(case, data_format, dtype=dtype, **ways)])
    x = to_format(operands_of(case, dtype)[0], data_format)
    whole = model(x)
    assert_close(whole, to_format(expected(case), data_format))
    if case.settings.get("interpolation") == "bicubic":
        with pytest.raises(ValueError, match=r"UpSampling2D '.*' cannot be computed in parts along axis"):
            model.predict_tiled(x, 1)
        return
    # Of float64, shares are added up in an order that depends on where an image begins, and so do their roundings.
    check(model, x, whole, 1e-12 if interpolates(case) and dtype == "float64" else 0.0)


@pytest.mark.parametrize(("dtype", "data_format"), WAYS[::2])
@each([case for case in LAYERS if "smoke" in case.name])
def test_a_layer(case, dtype, data_format):
    compare(case, dtype, data_format)


def test_the_other_cases_are_those_that_keras_has_no_layer_for():
    for case in CASES:
        causal = case.settings.get("padding") == "causal" and case.operation != "conv"
        volumes = case.rank == 3 and case.operation in ("depthwise_conv", "separable_conv")
        assert (case in LAYERS) != (causal or volumes)


@pytest.mark.slow
@pytest.mark.parametrize(("case", "dtype", "data_format"), in_ways(LAYERS))
def test_every_layer(case, dtype, data_format):
    compare(case, dtype, data_format)


@pytest.mark.slow
@pytest.mark.parametrize(("case", "dtype", "data_format"), in_ways(POOLING))
@pytest.mark.parametrize("kind", KINDS)
def test_every_pooling(case, kind, dtype, data_format):
    make = getattr(layers, f"{kind.capitalize()}Pooling{case.rank}D")
    model = Sequential([make(**case.settings, data_format=data_format, dtype=dtype)])
    x = pooling_operands(case, dtype)[0]
    wanted, x = to_format(pooled(kind, case, x), data_format), to_format(x, data_format)
    whole = model(x)
    assert_close(whole, wanted)
    check(model, x, whole, 1e-13 if kind == "average" and dtype == "float64" else 0.0)
