"""Reshape, Permute and RepeatVector: values and gradients by hand, unknown sizes, and what they refuse."""

import numpy as np
import pytest
from differences import assert_gradients

from numbaconv.layers import Permute, RepeatVector, Reshape


def test_reshape_by_hand():
    x = np.arange(12.0).reshape(2, 6)
    layer = Reshape((3, -1))
    out = layer.forward(x)
    np.testing.assert_array_equal(out, [[[0, 1], [2, 3], [4, 5]], [[6, 7], [8, 9], [10, 11]]])
    np.testing.assert_array_equal(layer(np.asfortranarray(x)), out)
    np.testing.assert_array_equal(layer.backward(np.asfortranarray(out)), x)


def test_permute_by_hand():
    x = np.arange(6.0).reshape(1, 2, 3)
    layer = Permute((2, 1))
    np.testing.assert_array_equal(layer.forward(x), [[[0, 3], [1, 4], [2, 5]]])
    np.testing.assert_array_equal(layer.backward(np.arange(6).reshape(1, 3, 2)), [[[0, 2, 4], [1, 3, 5]]])
    other = Permute((3, 1, 2))
    assert other.compute_output_shape((None, 4, 5, 6)) == (None, 6, 4, 5)
    assert other.forward(np.ones((2, 4, 5, 6))).shape == (2, 6, 4, 5)
    assert other.backward(np.ones((2, 6, 4, 5))).shape == (2, 4, 5, 6)


def test_repeat_vector_by_hand():
    layer = RepeatVector(3)
    np.testing.assert_array_equal(layer.forward([[1, 2]]), [[[1, 2], [1, 2], [1, 2]]])
    np.testing.assert_array_equal(layer.backward([[[1, 10], [2, 20], [3, 30]]]), [[6, 60]])
    many = RepeatVector(100_000)
    many.forward(np.zeros((1, 1)))
    tenth = np.full((1, 100_000, 1), 0.1, np.float32)
    assert many.backward(tenth).item() == np.float32(100_000 * tenth[0, 0, 0].astype(float))


MADE = {
    "reshape": (lambda **k: Reshape((2, -1, 3), **k), (2, 4, 3, 2)),
    "reshape to one axis": (lambda **k: Reshape([-1], **k), (2, 4, 3)),
    "reshape of one value": (lambda **k: Reshape((), **k), (3, 1)),
    "permute": (lambda **k: Permute([2, 3, 1], **k), (2, 4, 3, 2)),
    "repeat": (lambda **k: RepeatVector(2, **k), (3, 4)),
}
every_layer = pytest.mark.parametrize(("make", "shape"), MADE.values(), ids=MADE)


@every_layer
def test_gradients(make, shape):
    assert_gradients(make(dtype=float), np.random.default_rng(1).standard_normal(shape))


@every_layer
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch", [0, 1, 3])
def test_results_are_new_and_of_the_declared_shape(make, shape, dtype, batch):
    layer, x = make(dtype=dtype), np.random.default_rng(1).standard_normal((batch, *shape[1:])).astype(dtype)
    for given in (x, np.asfortranarray(x)):
        before = given.copy()
        out = layer(given)
        assert (out.shape, out.dtype) == (layer.compute_output_shape(given.shape), np.dtype(dtype))
        assert out.flags.c_contiguous
        assert not np.may_share_memory(out, given)
        np.testing.assert_array_equal(layer.forward(given), out)
        assert layer.backward(out).shape == given.shape
        np.testing.assert_array_equal(given, before)
    assert layer.compute_output_shape((None, *shape[1:])) == (None, *out.shape[1:])


@pytest.mark.parametrize(
    ("layer", "before", "after"),
    [
        (Reshape((3, 4)), (None, None), (None, 3, 4)),
        (Reshape((3, -1)), (None, None, 6), (None, 3, None)),
        (Reshape((3, -1)), (5, 2, 6), (5, 3, 4)),
        (Permute((2, 1)), (None, None, 6), (None, 6, None)),
        (RepeatVector(4), (None, None), (None, 4, None)),
    ],
)
def test_unknown_sizes(layer, before, after):
    assert layer.compute_output_shape(before) == after


def test_explanations():
    said = [
        Reshape((3, -1)).explain((None, 2, 6)),
        Reshape((3, -1)).explain((None, None, 6)),
        Permute((2, 1)).explain((None, 2, 6)),
        RepeatVector(3).explain((None, 2)),
    ]
    assert [text.split("\n")[1] for text in said] == [
        "values of an example, in the same order: 2 * 6 = 3 * 4.",
        "values of an example, in the same order: unknown * 6 = 3 * unknown.",
        "its axes are those of the input in the order (0, 2, 1).",
        "every vector of features is there 3 times.",
    ]


REFUSED = {
    "target_shape": (lambda: Reshape(3), TypeError, "target_shape must be a tuple of sizes, got 3"),
    "float": (lambda: Reshape((3.0,)), TypeError, "sizes in target_shape must be an integer, got 3.0"),
    "zero": (lambda: Reshape((3, 0)), ValueError, r"target_shape must have positive sizes, .* got \(3, 0\)"),
    "two unknown": (lambda: Reshape((-1, -1)), ValueError, "one of them at most -1"),
    "huge": (lambda: Reshape((2**40, 2**40)), ValueError, "target_shape must have at most"),
    "other values": (lambda: Reshape((3, 4))(np.ones((2, 6))), ValueError, "must have 12 values .* got 6 in shape"),
    "no multiple": (lambda: Reshape((4, -1))(np.ones((2, 6))), ValueError, "a multiple of 4 values .* got 6"),
    "dims": (lambda: Permute(1), TypeError, "dims must be a tuple of axes, got 1"),
    "batch": (lambda: Permute((0, 1)), ValueError, "dims must hold the numbers from 1 on"),
    "twice": (lambda: Permute((1, 1)), ValueError, "dims must hold the numbers from 1 on"),
    "none": (lambda: Permute(()), ValueError, "dims must hold the numbers from 1 on"),
    "bool": (lambda: Permute((True, 2)), TypeError, "dims must be an integer"),
    "axes": (lambda: Permute((2, 1))(np.ones((2, 3))), ValueError, r"3 axes for dims \(2, 1\), got \(2, 3\)"),
    "n": (lambda: RepeatVector(0), ValueError, "n must be a positive integer, got 0"),
    "n float": (lambda: RepeatVector(2.5), TypeError, "n must be an integer, got 2.5"),
    "three axes": (lambda: RepeatVector(2)(np.ones((2, 3, 4))), ValueError, r"2 axes \(batch, features\), got shape"),
    "too many": (lambda: RepeatVector(2**50).compute_output_shape((None, 2**10)), ValueError, "output_shape must have"),
}


@pytest.mark.parametrize(("call", "error", "said"), REFUSED.values(), ids=REFUSED)
def test_mistakes_are_named(call, error, said):
    with pytest.raises(error, match=rf"^(Reshape|Permute|RepeatVector) '.*{said}"):
        call()
