"""Models whose layers have different dtypes: no precision is lost in silence."""

import numpy as np
import pytest

from numbaconv import config
from numbaconv.layers import (
    Activation,
    AveragePooling2D,
    Conv2D,
    Cropping2D,
    Dense,
    Dropout,
    Flatten,
    MaxPooling2D,
    UpSampling2D,
    ZeroPadding2D,
)
from numbaconv.models import Sequential

# Small differences of large numbers, which float32 does not have.
FINE = 1e6 + np.linspace(0, 0.1, 2 * 6 * 6 * 2).reshape(2, 6, 6, 2)
MOVERS = [
    lambda: ZeroPadding2D(1),
    lambda: Cropping2D(1),
    lambda: MaxPooling2D(2),
    lambda: AveragePooling2D(2),
    lambda: UpSampling2D(2, interpolation="bilinear"),
    lambda: Dropout(0.5, seed=1),
    lambda: Activation("linear"),
]


def averaging(**settings):
    return Conv2D(1, 1, weights=[np.full((1, 1, 2, 1), 0.5), np.zeros(1)], **settings)


def in_float64(layers):
    """The model, of which every layer computes in float64."""
    model = Sequential(layers)
    for x in (FINE, FINE[:0]):
        assert model(x).dtype == model.predict(x, verbose=0).dtype == np.float64
    assert [layer.dtype for layer in model.layers] == ["float64"] * len(layers)
    return model


@pytest.mark.double
@pytest.mark.parametrize("make", MOVERS)
def test_layers_that_only_move_values_keep_their_precision(make, tmp_path):
    x, first = FINE, make()
    given = type(first).from_config({**first.get_config(), "dtype": "float64"})
    model = in_float64([first, averaging(dtype="float64"), make()])
    assert np.array_equal(model.layers[0](x), given(x))
    model.save(tmp_path / "m.npz")
    twin = Sequential.load(tmp_path / "m.npz")
    assert twin.predict(x, verbose=0).tobytes() == model(x).tobytes()
    for layer in model.layers:
        x = layer.forward(x)
        assert x.dtype == np.float64
    for layer in reversed(model.layers):
        x = layer.backward(x)
        assert x.dtype == np.float64


def test_the_dtype_of_a_layer_that_was_not_given_one():
    in_float64([Cropping2D(1), ZeroPadding2D(1), averaging(dtype="float64"), Flatten(), Dense(2)])
    in_float64([UpSampling2D(2), averaging(dtype="float64"), averaging_again()])
    # Nothing becomes narrower, and what the user has chosen stays.
    model = Sequential(
        [Cropping2D(1, dtype="float32"), averaging(dtype="float64"), MaxPooling2D(2, dtype="float32"), Flatten()]
    )
    assert [layer.dtype for layer in model.layers] == ["float32", "float64", "float32", "float32"]
    model = Sequential([averaging(), averaging_again(dtype="float64")])
    assert [layer.dtype for layer in model.layers] == ["float32", "float64"]
    assert Sequential([Cropping2D(1), MaxPooling2D(2)])(FINE).dtype == np.float32
    model = Sequential([Conv2D(2, 1), Flatten()])
    model.layers[1].trainable = False
    model.layers[0].dtype = "float64"
    assert model(FINE).dtype == np.float64
    config.set_floatx("float64")
    try:
        wide = Conv2D(2, 1)
    finally:
        config.set_floatx("float32")
    in_float64([ZeroPadding2D(1), wide, Flatten()])


def averaging_again(**settings):
    return Conv2D(1, 1, weights=[np.ones((1, 1, 1, 1)), np.zeros(1)], **settings)


def test_a_built_layer_cannot_follow():
    layer = Dense(2, name="d")
    layer(np.ones((1, 3)))
    model = Sequential([Dense(3, dtype="float64")])
    with pytest.raises(ValueError, match="Dense 'd': dtype must be chosen, dtype='float64' or 'float32'"):
        model.add(layer)
    assert len(model.layers) == 1
    chosen = Dense(2, dtype="float32")
    chosen(np.ones((1, 3)))
    model.add(chosen)
    assert model(np.ones((1, 2))).dtype == np.float32
