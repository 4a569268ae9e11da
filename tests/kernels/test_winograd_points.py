"""The matrices of Winograd's algorithm are right, and the transforms in the kernel are these matrices."""

import doctest
from fractions import Fraction

import numba
import numpy as np
import pytest

from numbaconv.kernels.winograd import points
from numbaconv.kernels.winograd.points import INPUTS, SCHEMES, input_matrix, output_matrix, weights_matrix
from numbaconv.kernels.winograd.transform import Grid, along_h, along_w, transform_input, transform_output
from numbaconv.kernels.winograd.weights import pack_winograd
from numbaconv.machine.vectors import VECTOR_BYTES

by_scheme = pytest.mark.parametrize("scheme", SCHEMES.values(), ids=lambda scheme: f"F{scheme.outputs, scheme.taps}")
by_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def fractions(rng, *shape):
    return np.array([Fraction(int(n), 7) for n in rng.integers(-50, 50, np.prod(shape))]).reshape(shape)


def correlation(inputs, taps):
    """Each output, along every axis that both have."""
    lengths = [n - k + 1 for n, k in zip(inputs.shape, taps.shape, strict=True)]
    windows = np.lib.stride_tricks.sliding_window_view(inputs, taps.shape)
    assert windows.shape[: inputs.ndim] == tuple(lengths)
    return (windows * taps).sum(tuple(range(inputs.ndim, 2 * inputs.ndim)))


def test_the_matrices_are_those_that_are_printed():
    tried = doctest.testmod(points)
    assert tried.attempted
    assert not tried.failed


@by_scheme
def test_the_matrices_correlate_exactly(scheme):
    rng = np.random.default_rng(0)
    output, weights, inputs = output_matrix(scheme), weights_matrix(scheme), input_matrix(scheme)
    for _ in range(5):
        taps, values = fractions(rng, scheme.taps), fractions(rng, scheme.inputs)
        assert (output @ ((weights @ taps) * (inputs @ values)) == correlation(values, taps)).all()
        taps, values = fractions(rng, *[scheme.taps] * 2), fractions(rng, *[scheme.inputs] * 2)
        products = (weights @ taps @ weights.T) * (inputs @ values @ inputs.T)
        assert (output @ products @ output.T == correlation(values, taps)).all()


@by_scheme
def test_each_tap_takes_each_input_to_its_output_alone(scheme):
    output, weights, inputs = output_matrix(scheme), weights_matrix(scheme), input_matrix(scheme)
    for tap in range(scheme.taps):
        # Column i is what input i alone becomes.
        map_of_tap = output @ (weights[:, [tap]] * inputs)
        assert (map_of_tap == np.eye(scheme.outputs, scheme.inputs, tap)).all()


@numba.njit
def _along(transform_outputs, axis, outputs, values, result):
    """Each line of a grid of vectors along an axis, transformed into the lines of another grid."""
    lines, lanes = values.shape[1 - axis], values.shape[2]
    source = Grid(values, 0, values.shape[1] * lanes, lanes)
    to = Grid(result, 0, result.shape[1] * lanes, lanes)
    for line in range(lines):
        if axis == 0:
            before, after = along_h(source, line), along_h(to, line)
        else:
            before, after = along_w(source, line), along_w(to, line)
        if transform_outputs:
            transform_output(before, outputs, after)
        else:
            transform_input(before, after)


def transformed(values, axis, outputs=None):
    """A grid of vectors, (rows, columns, lanes), after one of the kernel's transforms along an axis."""
    shape = list(values.shape)
    # The transform of outputs writes four of them, however many there are.
    shape[axis] = INPUTS if outputs is None else 4
    result = np.full(shape, np.nan, values.dtype)
    _along(outputs is not None, axis, outputs or 0, values, result)
    return result


@pytest.mark.parametrize("axis", [0, 1])
@by_dtype
@by_scheme
def test_transforms_along_an_axis_are_those_of_the_matrices(scheme, dtype, axis):
    lanes, rng = VECTOR_BYTES // np.dtype(dtype).itemsize, np.random.default_rng(1)
    shape = (INPUTS, 3) if axis == 0 else (3, INPUTS)
    # Small integers and the points' powers have few bits: there is nothing to round.
    noise = rng.integers(-9, 10, (*shape, lanes))
    # The unit vectors, a lane each, in turn.
    units = np.eye(INPUTS, lanes * -(-INPUTS // lanes)).reshape(INPUTS, -1, lanes).swapaxes(0, 1)
    units = [np.repeat(np.expand_dims(some, 1 - axis), 3, 1 - axis) for some in units]
    for values in (noise, *units):
        given = np.ascontiguousarray(values, dtype)
        for outputs, matrix in ((None, input_matrix(scheme)), (scheme.outputs, output_matrix(scheme))):
            wanted = np.moveaxis(np.tensordot(matrix.astype(float), values, (1, axis)), 0, axis)
            found = transformed(given, axis, outputs)
            assert (np.take(found, range(len(matrix)), axis) == wanted).all()


@pytest.mark.parametrize("backwards", [False, True])
@by_dtype
@by_scheme
def test_weights_are_transformed_by_the_matrix_along_both_axes(scheme, dtype, backwards):
    rng = np.random.default_rng(2)
    channels, filters = 5, 7
    weights = rng.standard_normal((scheme.taps, scheme.taps, channels, filters)).astype(dtype)
    panels = pack_winograd(weights[None], backwards).panels
    matrix = weights_matrix(scheme).astype(float)
    turned = weights[::-1, ::-1] if backwards else weights
    wanted = np.einsum("iy,jx,yxcf->ijcf", matrix, matrix, turned.astype(float)).reshape(-1, channels, filters)
    np.testing.assert_allclose(panels[0, :, 0, :, :filters], wanted, atol=10 * np.finfo(dtype).eps)
