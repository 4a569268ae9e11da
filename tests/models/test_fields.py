"""Receptive fields of networks: what they say is what an input's gradient shows."""

import numpy as np
import pytest

from numbaconv.layers import (
    Activation,
    Add,
    AveragePooling1D,
    BatchNormalization,
    Concatenate,
    Conv1D,
    Conv2D,
    Conv2DTranspose,
    Dense,
    Flatten,
    GlobalAveragePooling1D,
    Input,
    MaxPooling2D,
    Multiply,
    UpSampling1D,
)
from numbaconv.models import Model, Sequential

ONES = {"kernel_initializer": "ones"}


def unet():
    x = Input((16, 24, 1))
    skip = Conv2D(1, 3, padding="same", **ONES)(x)
    low = Conv2D(1, 3, padding="same", **ONES)(MaxPooling2D(2)(skip))
    up = Conv2DTranspose(1, 3, strides=2, padding="same", **ONES)(low)
    return Model(x, Conv2D(1, (1, 3), padding="same", **ONES)(Concatenate()([skip, up])))


def nested():
    x = Input((12, 2))
    block = Sequential([Conv1D(2, 3, padding="same", **ONES), Activation("linear")])
    y = Add()([x, block(block(x))])
    return Model(x, UpSampling1D(2)(AveragePooling1D(3)(y)))


def squeezed():
    x = Input((6, 2))
    weights = Dense(2, **ONES)(GlobalAveragePooling1D(keepdims=True)(x))
    return Model(x, Multiply()([BatchNormalization()(x), weights]))


@pytest.mark.parametrize("made", [unet, nested, squeezed])
def test_they_are_what_the_gradient_shows(made):
    model = made()
    # Increasing values: of each window of a maximum the last one is read; the field counts all of it.
    x = np.zeros((1, *model.input_shape[1:]))
    out = model.forward(x)
    for axis, field in enumerate(model.receptive_field()):
        reach = []
        for position in range(out.shape[1 + axis]):
            grad_out = np.zeros_like(out)
            grad_out[(slice(None),) + (slice(None),) * axis + (position,)] = 1
            model.forward(x + np.random.default_rng(position).uniform(1, 2, x.shape))
            read = model.backward(grad_out).any(axis=tuple(i for i in range(x.ndim) if i != 1 + axis)).nonzero()[0]
            reach.append((read.min(), read.max()))
        middle = max(last - first + 1 for first, last in reach)
        slack = 1 if made is unet else 0
        assert field.size - slack <= middle <= field.size


def test_by_hand():
    x = Input((9, 9, 1))
    model = Model(x, Add()([Conv2D(1, 3, padding="same")(x), Conv2D(1, 5, padding="same", dilation_rate=2)(x)]))
    field = model.receptive_field()[0]
    assert (field.size, field.stride, field.start) == (9, 1, -4)
    two = Model([x, Input((9, 9, 1), name="other")], model.output)
    assert two.receptive_field()[1] is None
    assert Sequential([Conv2D(1, 3), MaxPooling2D(2)]).receptive_field((1, 9, 9, 1))[1].size == 4


def test_what_is_refused():
    x = Input((9, 1))
    with pytest.raises(ValueError, match="of one output"):
        Model(x, [x, x]).receptive_field()
    with pytest.raises(TypeError, match="layer must be"):
        Model(x, Flatten()(x)).receptive_field()
    with pytest.raises(ValueError, match="not built"):
        Sequential([Conv1D(1, 3)]).receptive_field()
