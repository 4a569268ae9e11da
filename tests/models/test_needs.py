"""What a part of a network's output needs, as numbers and in words."""

import numpy as np
import pytest

from numbaconv.layers import (
    Add,
    AveragePooling2D,
    Concatenate,
    Conv2D,
    Conv2DTranspose,
    GlobalAveragePooling2D,
    Input,
    MaxPooling2D,
    UpSampling2D,
)
from numbaconv.models import Model, Sequential


def network(data_format="channels_last"):
    settings = {"padding": "same", "data_format": data_format}
    last = data_format == "channels_last"
    x = Input((None, None, 3) if last else (3, None, None))
    y = Conv2D(4, 3, algorithm="direct", **settings)(x)
    low = AveragePooling2D(3, 2, **settings)(y)
    up = Conv2DTranspose(4, 3, strides=2, **settings)(low)
    return Model(x, Conv2D(2, 3, algorithm="direct", **settings)(Add()([y, up])))


def test_what_a_region_needs_is_told():
    x = Input((40, 60, 3))
    y = Conv2D(4, 3, padding="same", name="first")(x)
    low = UpSampling2D(2, name="up")(MaxPooling2D(2, name="pool")(y))
    model = Model(x, Conv2D(2, 3, name="last")(Concatenate(name="both")([y, low])))
    assert model.input_region([(0, 3), (10, 11)]) == ((0, 7), (9, 15))
    told = model.explain(region=[(0, 3), (10, 11)])
    assert told.startswith(model.explain())
    assert told.removeprefix(model.explain()).split("\n\n")[1:] == [
        "What height 0 to 2, width 10 of the output needs, from the last layer back:",
        "last: height: outputs 0 to 2 read inputs 0 to 4. width: output 10 reads inputs 10 to 12.",
        "both: height 0 to 4, width 10 to 12, position by position.",
        "up: height: outputs 0 to 4 read inputs 0 to 2, of whose results 1 position behind is cut off. "
        "width: outputs 10 to 12 read inputs 5 to 6, of whose results 1 position behind is cut off.",
        "pool: height: outputs 0 to 2 read inputs 0 to 5. width: outputs 5 to 6 read inputs 10 to 13.",
        "first: height: outputs 0 to 5 read inputs 0 to 6, with 1 zero in front. "
        "width: outputs 10 to 13 read inputs 9 to 14.",
        "Of the input: height 0 to 6, width 9 to 14.",
    ]


def test_nothing_else_has_any_influence():
    for data_format in ("channels_last", "channels_first"):
        model, shape = network(data_format), (1, 24, 32, 3)
        x = np.random.default_rng(0).standard_normal(shape).astype("float32")
        spatial = (slice(None), slice(None)) if data_format == "channels_first" else (slice(None),)
        x = x.transpose(0, 3, 1, 2).copy() if data_format == "channels_first" else x
        region = [(3, 5), (20, 23)]
        needed = (*spatial, *(slice(*ends) for ends in model.input_region(region, x.shape)))
        other = np.random.default_rng(1).standard_normal(x.shape).astype("float32")
        other[needed] = x[needed]
        asked = (*spatial, *(slice(*ends) for ends in region))
        np.testing.assert_array_equal(model(other)[asked], model(x)[asked])


def test_regions_that_are_refused():
    model = Sequential([Conv2D(4, 3), GlobalAveragePooling2D(keepdims=True, name="all"), UpSampling2D(5)])
    with pytest.raises(ValueError, match="GlobalAveragePooling2D 'all' cannot be computed in parts"):
        model.explain((None, 9, 9, 3), [(0, 2), (0, 5)])
    x = Input((8, 8, 3))
    two = Model(x, [Conv2D(1, 1)(x), Conv2D(2, 1)(x)])
    for asked, shape, region, told in [
        (
            network(),
            (None, None, 8, 3),
            [(0, 1), (0, 1)],
            r"input_shape must have known lengths .* \(None, None, 8, 3\)",
        ),
        (network(), (None, 8, 8, 3), [(0, 1)], "region must be 2 pairs"),
        (network(), (None, 8, 8, 3), [(0, 1), (0, 9)], "region must be 2 pairs"),
        (two, None, [(0, 1), (0, 1)], "a region is one of a single output"),
    ]:
        with pytest.raises(ValueError, match=told):
            asked.input_region(region, shape)
