"""Layers of several inputs: by hand, by finite differences, with sizes of 1, and what they refuse."""

import numpy as np
import pytest
from cases import MERGES

from numbaconv import layers

A, B = np.array([[1.0, -2.0, 3.0]]), np.array([[4.0, 5.0, 3.0]])
RNG = np.random.default_rng(0)


def made(name, **settings):
    return getattr(layers, name)(**({"axes": 1} if name == "Dot" else {}), **settings)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("Add", [[5, 3, 6]]),
        ("Subtract", [[-3, -7, 0]]),
        ("Multiply", [[4, -10, 9]]),
        ("Average", [[2.5, 1.5, 3]]),
        ("Maximum", [[4, 5, 3]]),
        ("Minimum", [[1, -2, 3]]),
        ("Concatenate", [[1, -2, 3, 4, 5, 3]]),
        ("Dot", [[3]]),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_two_by_hand(name, wanted, dtype):
    layer = made(name, dtype=dtype)
    out = layer([A, B])
    assert out.dtype == dtype
    assert out.tolist() == wanted
    assert layer.forward([A, B]).tolist() == layer([A, B], training=True).tolist() == wanted
    assert layer.compute_output_shape([(None, 3), (None, 3)]) == (None, *out.shape[1:])
    assert type(layer).from_config(layer.get_config()).get_config() == layer.get_config()
    assert layer.input_shape == [(None, 3), (None, 3)]
    assert str(out.shape) in layer.explain([A.shape, B.shape])


def test_three_by_hand():
    xs = [[[2.0, 0.0]], [[0.0, 3.0]], [[5.0, 3.0]]]
    wanted = {"Add": [7, 6], "Multiply": [0, 0], "Maximum": [5, 3], "Minimum": [0, 0], "Average": [7 / 3, 2]}
    for name, values in wanted.items():
        np.testing.assert_allclose(made(name)(xs), [values], rtol=1e-6)
    layer = layers.Multiply()
    layer.forward(xs)
    assert [grad.tolist() for grad in layer.backward([[1, 1]])] == [[[0, 9]], [[10, 0]], [[0, 0]]]


def test_of_equal_values_the_first_gets_the_gradient():
    for name in ("Maximum", "Minimum"):
        layer = made(name)
        layer.forward([[[1.0, 2.0]], [[1.0, 2.0]], [[1.0, 2.0]]])
        assert [grad.tolist() for grad in layer.backward([[3, 4]])] == [[[3, 4]], [[0, 0]], [[0, 0]]]


SHAPES = {
    "plain": [(2, 3, 4), (2, 3, 4)],
    "ones": [(2, 3, 1), (2, 1, 4)],
    "fewer axes": [(2, 4), (2, 3, 4)],
    "three": [(2, 3, 4), (2, 1, 1), (2, 3, 4)],
    "no examples": [(0, 3, 4), (0, 3, 1)],
}
ATTENDED = [({}, [(2, 3, 4), (2, 5, 4)]), ({}, [(2, 3, 4), (2, 5, 3), (2, 5, 4)])]
JOINED = {
    "AdditiveAttention": ATTENDED,
    "Attention": ATTENDED,
    "Concatenate": [({}, [(2, 3, 4), (2, 3, 1)]), ({"axis": 1}, [(2, 3, 4), (2, 5, 4), (2, 1, 4)])],
    "Dot": [
        ({"axes": (2, 1)}, [(2, 3, 4), (2, 4, 5)]),
        ({"axes": -1, "normalize": True}, [(2, 3, 4), (2, 4)]),
        ({"axes": 1, "normalize": True}, [(2, 3, 2), (2, 3, 2, 2)]),
    ],
}
CASES = [(name, {}, shapes) for name in MERGES if name not in JOINED for shapes in SHAPES.values()]
CASES = [case for case in CASES if case[0] != "Subtract" or len(case[2]) == 2]
CASES += [(name, *one) for name, listed in JOINED.items() for one in listed]


@pytest.mark.parametrize(("name", "settings", "shapes"), CASES, ids=str)
def test_gradients_by_differences(name, settings, shapes):
    layer = getattr(layers, name)(dtype="float64", **settings)
    xs = [RNG.normal(size=shape) for shape in shapes]
    out = layer.forward(xs)
    assert out.shape == layer.compute_output_shape(shapes)
    towards = RNG.normal(size=out.shape)
    grads = layer.backward(towards)
    for x, grad in zip(xs, grads, strict=True):
        assert grad.shape == x.shape
        for at in np.ndindex(*x.shape):
            moved = []
            for step in (1e-6, -1e-6):
                x[at] += step
                moved.append((layer(xs) * towards).sum())
                x[at] -= step
            assert grad[at] == pytest.approx((moved[0] - moved[1]) / 2e-6, abs=1e-7)


def test_results_are_new_and_inputs_unchanged():
    for name in MERGES:
        x = RNG.normal(size=(2, 3, 3)).astype(np.float32)
        before = x.copy()
        layer = made(name)
        out = layer([x, x])
        out[...] = np.nan
        assert (x == before).all()
        layer.forward([x, x])
        grads = layer.backward(np.ones_like(out))
        assert [grad.shape for grad in grads] == [x.shape, x.shape]
    alone = layers.Add()
    assert not np.may_share_memory(alone([x]), x)


@pytest.mark.parametrize(
    ("layer", "x", "said"),
    [
        (layers.Add(), A, "x must be a list of arrays, got ndarray"),
        (layers.Add(), [], "at least 1"),
        (layers.Subtract(), [A], "list of 2 arrays, got 1"),
        (layers.Dot(1), [A, B, A], "list of 2 arrays, got 3"),
        (layers.Add(), [A, np.ones((1, 4))], "equal but for sizes of 1"),
        (layers.Concatenate(), [A, np.ones((2, 3))], "equal but for axis -1"),
        (layers.Concatenate(axis=5), [A, B], "axis 5"),
        (layers.Dot((1, 2)), [A, B], "axes must be axes of the inputs"),
        (layers.Dot(1), [A, np.ones((1, 4))], "equal along axes"),
        (layers.Dot(0), [A, B], "not the batch's"),
        (layers.Add(), [A, "text"], r"x\[1\]"),
    ],
)
def test_what_is_refused(layer, x, said):
    with pytest.raises((ValueError, TypeError), match=rf"{layer.name}.*{said}"):
        layer(x)


def test_arguments_that_are_refused():
    for make in (lambda: layers.Dot(1.5), lambda: layers.Dot((1, 2, 3)), lambda: layers.Concatenate(axis="1")):
        with pytest.raises((ValueError, TypeError), match="ax"):
            make()
    with pytest.raises(TypeError, match="normalize must be True or False"):
        layers.Dot(1, normalize=1)
