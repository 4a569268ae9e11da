"""Resizing as textbook loops: shares worked out by hand, and the gradient as the transposed map."""

import numpy as np
import pytest
from reference_cases import whole_numbers

from numbaconv import reference


def test_nearest_shares():
    # The centres of five cells made two lie at 1.25 and 3.75.
    np.testing.assert_array_equal(reference.nearest_shares(5, 2), [[0, 1, 0, 0, 0], [0, 0, 0, 1, 0]])
    np.testing.assert_array_equal(reference.nearest_shares(2, 3), [[1, 0], [0, 1], [0, 1]])


def test_area_shares():
    np.testing.assert_allclose(reference.area_shares(3, 2), np.array([[2, 1, 0], [0, 1, 2]]) / 3)
    np.testing.assert_allclose(reference.area_shares(2, 3), [[1, 0], [0.5, 0.5], [0, 1]])


def test_bilinear_shares():
    np.testing.assert_allclose(reference.kernel_shares(2, 4, 1, False), [[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])
    # Stretched by two, the tent reaches 1/4, 1/4 and 3/4 from its centre.
    np.testing.assert_allclose(reference.kernel_shares(4, 2, 1, True)[0], np.array([3, 3, 1, 0]) / 7)
    np.testing.assert_allclose(reference.kernel_shares(4, 2, 1, False)[0], [0.5, 0.5, 0, 0])


def test_bicubic_shares():
    # At -1/4: weights 111/128 and -9/128, and what lies outside has none.
    np.testing.assert_allclose(reference.kernel_shares(2, 4, 2, False)[0], np.array([111, -9]) / 102)
    # At 1/2: 9/16 for both neighbours, -1/16 for the next.
    np.testing.assert_allclose(reference.kernel_shares(4, 2, 2, False)[0], np.array([9, 9, -1, 0]) / 17)
    # At 2/3, to the nearest step of the table.
    d = np.round(1024 * 2 / 3) / 1024
    near = [1.5 * e**3 - 2.5 * e**2 + 1 for e in (d, 1 - d)]
    far = [-0.5 * e**3 + 2.5 * e**2 - 4 * e + 2 for e in (1 + d, 2 - d)]
    np.testing.assert_allclose(reference.kernel_shares(4, 12, 2, False)[6], [far[0], *near, far[1]], rtol=1e-12)


def test_lanczos_shares():
    # At 1/2, in units of 1 / pi^2: 6 half a position away, -4/3 one and a half, 0.24 two and a half.
    weights = np.array([6, 6, -4 / 3, 0.24])
    np.testing.assert_allclose(reference.kernel_shares(4, 2, 3, False)[0], weights / weights.sum())
    np.testing.assert_array_equal(reference.kernel_shares(7, 7, 5, False), np.eye(7))


@pytest.mark.parametrize("lengths", [(5, 7), (7, 5), (1, 6), (6, 1), (9, 3)])
def test_rows_add_up_to_one_and_mirror_each_other(lengths):
    kinds = [reference.area_shares(*lengths)]
    kinds += [
        reference.kernel_shares(*lengths, radius, antialias) for radius in (1, 2, 3, 5) for antialias in (False, True)
    ]
    for shares in kinds:
        assert shares.shape == lengths[::-1]
        np.testing.assert_allclose(shares.sum(1), 1, rtol=1e-14)
        np.testing.assert_allclose(shares[::-1, ::-1], shares, rtol=1e-6, atol=1e-6)


def test_resize_by_hand():
    x = np.arange(6.0).reshape(1, 1, 2, 3, 1)
    one, down, across = np.ones((1, 1)), np.array([[0.5, 0.5]]), np.array([[1.0, 0, 0], [0, 0.25, 0.75]])
    np.testing.assert_array_equal(reference.resize(x, one, down, across).ravel(), [1.5, 3.25])


def test_an_input_without_a_share_is_not_read():
    x = np.array([1, np.inf]).reshape(1, 1, 1, 2, 1)
    shares = np.array([[1.0, 0.0]])
    np.testing.assert_array_equal(reference.resize(x, np.ones((1, 1)), np.ones((1, 1)), shares).ravel(), [1])


def test_resize_grad_is_adjoint():
    shares = whole_numbers((3, 2), 1), whole_numbers((2, 4), 2), whole_numbers((5, 3), 3)
    x, g = whole_numbers((2, 2, 4, 3, 2), 4), whole_numbers((2, 3, 2, 5, 2), 5)
    grad = reference.resize_grad(g, *shares)
    assert grad.shape == x.shape
    assert (reference.resize(x, *shares) * g).sum() == (x * grad).sum()
