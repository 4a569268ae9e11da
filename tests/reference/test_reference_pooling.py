"""The reference's pooling against numbers worked out by hand and against windows cut out by NumPy."""

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from numbaconv import reference

INF, NAN = np.inf, np.nan

# x shape, size, strides, before, after
CASES = {
    "1D": ((2, 1, 1, 9, 2), (1, 1, 2), (1, 1, 2), (0, 0, 0), (0, 0, 0)),
    "1D padded": ((1, 1, 1, 8, 3), (1, 1, 3), (1, 1, 1), (0, 0, 1), (0, 0, 1)),
    "2D": ((2, 1, 6, 5, 3), (1, 3, 2), (1, 2, 3), (0, 0, 0), (0, 0, 0)),
    "2D padded": ((1, 1, 5, 7, 2), (1, 3, 4), (1, 2, 1), (0, 1, 1), (0, 1, 2)),
    "2D strides beyond the window": ((1, 1, 9, 8, 1), (1, 2, 1), (1, 4, 3), (0, 0, 0), (0, 0, 0)),
    "3D": ((2, 4, 3, 5, 2), (2, 3, 2), (1, 1, 2), (0, 1, 0), (1, 1, 1)),
    "whole image": ((2, 3, 4, 5, 2), (3, 4, 5), (3, 4, 5), (0, 0, 0), (0, 0, 0)),
    "empty batch": ((0, 1, 4, 4, 2), (1, 2, 2), (1, 2, 2), (0, 0, 0), (0, 0, 0)),
}
every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def line(values):
    """Make one signal of one channel."""
    return np.array(values, dtype=np.float64).reshape(1, 1, 1, -1, 1)


def pool_line(kind, values, size, stride, before=0, after=0):
    window = (1, 1, size), (1, 1, stride), (0, 0, before), (0, 0, after)
    return getattr(reference, f"{kind}_pool")(line(values), *window).ravel().tolist()


def windows(x, size, strides, before, after):
    """View the input, NaN all around, as (N, OD, OH, OW, C, taps)."""
    amounts = [(0, 0), *zip(before, after, strict=True), (0, 0)]
    view = sliding_window_view(np.pad(x, amounts, constant_values=NAN), size, axis=(1, 2, 3))
    view = view[:, :: strides[0], :: strides[1], :: strides[2]]
    return view.reshape(*view.shape[:5], int(np.prod(size)))


@pytest.mark.parametrize(
    ("kind", "window", "wanted"),
    [
        ("max", (2, 2), [3, 5]),
        ("max", (3, 1), [4, 5, 5]),
        ("max", (3, 2, 1, 1), [3, 5, 5]),
        ("max", (1, 3), [1, 5]),
        ("average", (2, 2), [2, 4.5]),
        ("average", (3, 1), [8 / 3, 4, 3]),
        ("average", (3, 2, 1, 1), [2, 4, 2.5]),
        ("average", (5, 5), [2.6]),
    ],
)
def test_by_hand(kind, window, wanted):
    assert pool_line(kind, [1, 3, 4, 5, 0], *window) == wanted


@every_case
def test_against_windows_of_numpy(case):
    shape, *window = case
    x = np.random.default_rng(1).standard_normal(shape)
    for kind, function in (("max", np.nanmax), ("average", np.nanmean)):
        wanted = function(windows(x, *window), axis=-1)
        np.testing.assert_allclose(getattr(reference, f"{kind}_pool")(x, *window), wanted, rtol=1e-14, atol=1e-15)


def test_nan_is_the_largest_and_padding_is_nothing():
    assert pool_line("max", [-INF, -2, -INF, -INF], 2, 2) == [-2, -INF]
    assert pool_line("max", [-3, -INF, -2], 3, 3, 2, 1) == [-3, -2]
    np.testing.assert_array_equal(pool_line("max", [1, NAN, NAN, INF, 0, 2], 2, 2), [NAN, NAN, 2])
    np.testing.assert_array_equal(pool_line("average", [INF, 1, -INF, INF, 2, 2], 2, 2), [INF, NAN, 2])


@pytest.mark.parametrize(
    ("values", "grad_out", "window", "wanted"),
    [
        ([1, 3, 4, 5, 0], [10, 20], (2, 2, 0), [0, 10, 0, 20, 0]),
        ([2, 2, 1, 2], [1, 2, 4], (2, 1, 0), [1, 2, 0, 4]),
        ([5, 1, 5, 1, 5], [1, 2, 4], (3, 1, 0), [1, 0, 6, 0, 0]),
        ([0, -0.0, 0, -0.0], [1, 2], (2, 2, 0), [1, 0, 2, 0]),
        ([-INF, -INF, NAN, NAN], [1, 2, 4], (2, 1, 0), [1, 0, 6, 0]),
        ([INF, NAN, NAN, 7], [1, 2], (3, 2, 1), [0, 3, 0, 0]),
    ],
)
def test_gradient_of_the_maximum_by_hand(values, grad_out, window, wanted):
    size, stride, before = ((1, 1, n) for n in window)
    grad = reference.max_pool_grad(line(values), line(grad_out), size, stride, (0, 0, before[2]))
    assert grad.ravel().tolist() == wanted


def test_the_first_of_several_largest_is_so_in_row_major_order():
    x = np.array([[0.0, 0, 7], [7, 0, 0], [7, 7, 7]]).reshape(1, 1, 3, 3, 1)
    grad = reference.max_pool_grad(x, np.ones((1, 1, 1, 1, 1)), (1, 3, 3), (1, 3, 3), (0, 0, 0))
    assert np.argwhere(grad.reshape(3, 3)).tolist() == [[0, 2]]


def test_gradient_of_the_average_by_hand():
    grad = reference.average_pool_grad(line([6, 12, 30]), (1, 1, 5), (1, 1, 3), (1, 1, 2), (0, 0, 1))
    # Windows over 0 and 1, over 1 to 3, over 3 and 4.
    assert grad.ravel().tolist() == [3, 7, 4, 19, 15]


@every_case
def test_gradients_are_slopes(case):
    """Averages are linear in x; so is a maximum, as long as the same value stays the largest."""
    shape, *window = case
    rng = np.random.default_rng(2)
    x, step = rng.permutation(np.arange(float(np.prod(shape)))).reshape(shape), rng.random(shape) / 2
    for kind in ("max", "average"):
        pool = getattr(reference, f"{kind}_pool")
        out = pool(x, *window)
        grad_out = rng.integers(-9, 10, out.shape).astype(np.float64)
        source = (x, grad_out) if kind == "max" else (grad_out, shape[1:4])
        grad = getattr(reference, f"{kind}_pool_grad")(*source, *window[:3])
        assert grad.shape == x.shape
        change = ((pool(x + step, *window) - out) * grad_out).sum()
        assert (grad * step).sum() == pytest.approx(change, rel=1e-10, abs=1e-9)
