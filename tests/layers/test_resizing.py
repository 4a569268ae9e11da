"""Resizing, CenterCrop and the kernels of UpSampling2D: values, gradients, configurations and what they refuse."""

import json

import numpy as np
import pytest
from differences import assert_gradients

from numbaconv import shapes
from numbaconv.calls import moving
from numbaconv.kernels import recipe, resize
from numbaconv.layers import CenterCrop, Resizing, UpSampling2D
from numbaconv.models import Sequential
from numbaconv.selfcheck import textbook

KINDS = ["nearest", "area", "bilinear", "bicubic", "lanczos3", "lanczos5"]
FORMATS = ["channels_last", "channels_first"]
SIZES = [((5, 7), (8, 3)), ((9, 4), (2, 13)), ((1, 6), (4, 1)), ((3, 3), (3, 3)), ((12, 11), (3, 2))]


@pytest.fixture(autouse=True)
def poisoned_results(monkeypatch):
    """Results begin as NaN everywhere, where usually nobody knows as what."""
    monkeypatch.setattr(moving, "aligned_empty", lambda shape, dtype: np.full(shape, np.nan, dtype))


def image(*shape, dtype=np.float64):
    return np.random.default_rng(1).standard_normal(shape).astype(dtype)


def to(array, data_format):
    return np.ascontiguousarray(np.moveaxis(array, -1, 1)) if data_format == "channels_first" else array


def resized(x, size, interpolation, antialias=False):
    """By matrices, channels last."""
    _, rows, columns = textbook.shares_of(x.shape[1:3], size, interpolation, antialias)
    return np.einsum("oh,pw,nhwc->nopc", rows, columns, x)


def test_by_hand():
    x = np.array([[0, 4], [8, 12]]).reshape(1, 2, 2, 1)
    layer = Resizing(1, 4)
    np.testing.assert_array_equal(layer.forward(x).ravel(), [4, 5, 7, 8])
    np.testing.assert_array_equal(layer.backward(np.reshape([4, 8, 0, 8], (1, 1, 4, 1))).ravel(), [5, 5, 5, 5])
    np.testing.assert_array_equal(Resizing(1, 1, "area")(x).ravel(), [6])
    np.testing.assert_array_equal(Resizing(2, 3, "nearest")(x).ravel(), [0, 4, 4, 8, 12, 12])
    # Weights 111/128 and -9/128, what lies outside left out.
    np.testing.assert_allclose(Resizing(1, 4, "bicubic")(x).ravel()[0], 4 - 4 * 9 / 102, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("interpolation", KINDS)
def test_values_and_gradients_are_those_of_the_matrices(interpolation, antialias, data_format, dtype):
    tolerance = {"rtol": 1e-5, "atol": 2e-6} if dtype == "float32" else {"rtol": 1e-11, "atol": 1e-12}
    for lengths, size in SIZES:
        x = image(2, *lengths, 3)
        layer = Resizing(*size, interpolation, antialias=antialias, data_format=data_format, dtype=dtype)
        wanted = resized(x, size, interpolation, antialias)
        for given in (to(x, data_format), np.asfortranarray(to(x, data_format))):
            out = layer.forward(given)
            assert (out.dtype, out.shape) == (np.dtype(dtype), layer.compute_output_shape(given.shape))
            np.testing.assert_allclose(out, to(wanted, data_format), **tolerance)
        grad = np.sin(np.arange(wanted.size)).reshape(wanted.shape)
        _, rows, columns = textbook.shares_of(lengths, size, interpolation, antialias)
        wanted = np.einsum("oh,pw,nopc->nhwc", rows, columns, grad)
        np.testing.assert_allclose(layer.backward(to(grad, data_format)), to(wanted, data_format), **tolerance)


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("lengths", [(5, 9), (9, 5), (4, 12)])
def test_proportions(lengths, antialias, data_format):
    x = image(2, *lengths, 2)
    size, settings = (6, 7), {"antialias": antialias, "data_format": data_format, "dtype": float}
    (top, height), (left, width) = shapes.crop_to_aspect(lengths, size)
    cut = x[:, top : top + height, left : left + width]
    layer = Resizing(*size, "bicubic", True, **settings)
    wanted = resized(cut, size, "bicubic", antialias)
    np.testing.assert_allclose(layer(to(x, data_format)), to(wanted, data_format), rtol=1e-11)
    assert_gradients(layer, to(x, data_format))
    padding = shapes.pad_to_aspect(lengths, size)
    padded = np.pad(x, ((0, 0), *padding, (0, 0)), constant_values=3)
    layer = Resizing(*size, "lanczos3", False, True, fill_value=3, **settings)
    wanted = resized(padded, size, "lanczos3", antialias)
    np.testing.assert_allclose(layer(to(x, data_format)), to(wanted, data_format), rtol=1e-11)
    assert_gradients(layer, to(x, data_format))


def test_how_proportions_are_rounded():
    assert shapes.crop_to_aspect((5, 9), (2, 3)) == ((0, 5), (1, 7))
    assert shapes.crop_to_aspect((7, 3), (1, 9)) == ((3, 1), (0, 3))
    assert shapes.pad_to_aspect((5, 9), (2, 2)) == ((2, 2), (0, 0))
    assert shapes.pad_to_aspect((5, 2), (2, 3)) == ((0, 0), (2, 2))


@pytest.mark.parametrize("interpolation", KINDS)
def test_an_infinity_stays_where_it_is_read(interpolation):
    for size in ((21, 15), (3, 2)):
        x = np.ones((1, 7, 5, 1))
        x[0, 1, 1] = np.inf
        layer = Resizing(*size, interpolation, dtype=float)
        _, rows, columns = textbook.shares_of((7, 5), size, interpolation)
        reached = (rows[:, 1] != 0)[:, None] & (columns[:, 1] != 0)
        np.testing.assert_array_equal(~np.isfinite(layer.forward(x)[0, ..., 0]), reached)
        grad = np.ones((1, *size, 1))
        grad[0, 1, 1] = np.inf
        reached = (rows[1] != 0)[:, None] & (columns[1] != 0)
        np.testing.assert_array_equal(~np.isfinite(layer.backward(grad)[0, ..., 0]), reached)


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize(("lengths", "size"), [((5, 8), (2, 3)), ((5, 8), (5, 8)), ((6, 6), (1, 1))])
def test_center_crop(lengths, size, data_format):
    x = image(2, *lengths, 3)
    layer = CenterCrop(*size, data_format=data_format, dtype=float)
    top, left = ((n - m) // 2 for n, m in zip(lengths, size, strict=True))
    wanted = x[:, top : top + size[0], left : left + size[1]]
    np.testing.assert_array_equal(layer(to(x, data_format)), to(wanted, data_format))
    assert_gradients(layer, to(x, data_format))


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize(("lengths", "size"), [((3, 4), (6, 6)), ((3, 9), (5, 4)), ((9, 3), (2, 4))])
def test_center_crop_of_small_images_is_resizing(lengths, size, data_format):
    x = to(image(2, *lengths, 3), data_format)
    settings = {"data_format": data_format, "dtype": float}
    layer, like = CenterCrop(*size, **settings), Resizing(*size, crop_to_aspect_ratio=True, **settings)
    np.testing.assert_array_equal(layer(x), like(x))
    assert_gradients(layer, x)


@pytest.mark.parametrize("interpolation", ["bicubic", "lanczos3", "lanczos5"])
def test_upsampling_is_resizing(interpolation):
    x = image(2, 4, 5, 3)
    layer = UpSampling2D((3, 2), interpolation=interpolation, dtype=float)
    like = Resizing(12, 10, interpolation, dtype=float)
    np.testing.assert_array_equal(layer.forward(x), like.forward(x))
    np.testing.assert_array_equal(layer.backward(np.ones((2, 12, 10, 3))), like.backward(np.ones((2, 12, 10, 3))))
    assert_gradients(like, image(1, 4, 5, 1))
    same = UpSampling2D(1, interpolation=interpolation, dtype=float)
    np.testing.assert_array_equal(same(x), x)


@pytest.mark.parametrize("interpolation", KINDS)
@pytest.mark.parametrize(("n", "m"), [(5, 8), (8, 5), (6, 3), (3, 9), (1, 4), (4, 1), (13, 12)])
def test_tables_are_those_of_the_matrices(n, m, interpolation):
    for antialias in (False, True):
        wanted = np.zeros((m, n + 2))
        wanted[:, 2:] = textbook.shares_of((n,), (m,), interpolation, antialias)[-1]
        given = resize.resized(n, m, interpolation, antialias, start=2)
        for (starts, at, share), dense in ((given, wanted), (recipe.turned(given, n + 2), wanted.T)):
            found = np.zeros_like(dense)
            found[np.repeat(np.arange(len(dense)), np.diff(starts)), at] = share
            np.testing.assert_allclose(found, dense, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("make", [lambda: Resizing(4, 5, pad_to_aspect_ratio=True), lambda: CenterCrop(2, 9)])
def test_empty_batches(make):
    layer, empty = make(), np.empty((0, 3, 4, 2))
    out = layer.forward(empty)
    assert out.shape == layer.compute_output_shape(empty.shape)
    assert layer.backward(out).shape == empty.shape


def test_unknown_lengths_and_explanations():
    assert Resizing(4, 5).compute_output_shape((None, None, 7, 3)) == (None, 4, 5, 3)
    assert CenterCrop(4, 5, "channels_first").compute_output_shape((None, 3, None, None)) == (None, 3, 4, 5)
    said = Resizing(4, 5, "area", True).explain((None, 9, 7, 3)).splitlines()
    assert said[0] == "Resizing turns (None, 9, 7, 3) into (None, 4, 5, 3)."
    assert said[1] == "height: 9, cut to the proportions of the result and resized by area interpolation, so 4."
    assert said[3] == "channels: 3, unchanged; batch: unknown, unchanged."
    assert "the middle is cut out" in CenterCrop(4, 5).explain((None, 9, 7, 3))
    with pytest.raises(TypeError, match="Resizing"):
        shapes.receptive_field([Resizing(4, 5)])


def test_configuration_round_trip():
    arguments = {
        "height": 4,
        "width": 5,
        "interpolation": "bicubic",
        "crop_to_aspect_ratio": False,
        "pad_to_aspect_ratio": True,
        "fill_mode": "constant",
        "fill_value": 1.5,
        "antialias": True,
        "data_format": "channels_first",
    }
    for cls, given in (
        (Resizing, arguments),
        (CenterCrop, {n: arguments[n] for n in ("height", "width", "data_format")}),
    ):
        layer = cls(*given.values(), input_shape=(3, 6, 8))
        config = json.loads(json.dumps(layer.get_config()))
        assert {name: config[name] for name in given} == given
        assert cls.from_config(config).get_config() == config
    assert Resizing(4, 5, bounding_box_format=None).antialias is False


def test_a_model_with_them_is_saved(tmp_path):
    model = Sequential([Resizing(6, 8, "lanczos3", input_shape=(None, None, 2)), CenterCrop(4, 4), UpSampling2D()])
    model.save(tmp_path / "model")
    again = Sequential.load(tmp_path / "model")
    for lengths in ((9, 7), (3, 20)):
        x = image(2, *lengths, 2)
        assert again(x).tobytes() == model(x).tobytes()


# What is called, the error, and what its message must hold: argument, what came, what would be right.
REFUSED = {
    "height": (lambda: Resizing(0, 2), ValueError, ("height", "positive", "got 0")),
    "width": (lambda: CenterCrop(2, 2.5), ValueError, ("width", "integer", "got 2.5")),
    "interpolation": (lambda: Resizing(2, 2, "cubic"), ValueError, ("interpolation", "bicubic", "area", "'cubic'")),
    "both": (lambda: Resizing(2, 2, "area", True, True), ValueError, ("pad_to_aspect_ratio", "False", "True")),
    "crop": (lambda: Resizing(2, 2, "area", 1), TypeError, ("crop_to_aspect_ratio", "True or False", "got 1")),
    "fill_mode": (lambda: Resizing(2, 2, fill_mode="wrap"), ValueError, ("fill_mode", "'constant'", "'wrap'")),
    "fill_value": (lambda: Resizing(2, 2, fill_value="0"), TypeError, ("fill_value", "number", "'0'")),
    "antialias": (lambda: Resizing(2, 2, antialias=None), TypeError, ("antialias", "True or False", "None")),
    "boxes": (lambda: CenterCrop(2, 2, bounding_box_format="xyxy"), TypeError, ("bounding_box_format", "None")),
    "no batch": (lambda: Resizing(2, 2)(np.ones((4, 5, 3))), ValueError, ("x must have 4 axes", "(4, 5, 3)")),
    "no rows": (lambda: Resizing(2, 2)(np.ones((1, 0, 5, 3))), ValueError, ("positive", "(0, 5)")),
    "no columns": (lambda: CenterCrop(2, 2)(np.ones((1, 5, 0, 3))), ValueError, ("positive", "(5, 0)")),
    "too large": (lambda: Resizing(2**40, 2**40)(np.ones((1, 5, 5, 3))), ValueError, ("2**57",)),
}


@pytest.mark.parametrize(("call", "error", "said"), REFUSED.values(), ids=REFUSED)
def test_mistakes_are_named(call, error, said):
    with pytest.raises(error) as raised:
        call()
    message = str(raised.value)
    assert message.split()[0].strip(":") in ("Resizing", "CenterCrop")
    assert all(part in message for part in said), message
