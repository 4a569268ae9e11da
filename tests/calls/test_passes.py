"""Passes over an image, as separate operations do them."""

import numpy as np
import pytest
from test_epilogues import ENDINGS, separately

from numbaconv.calls.epilogue import epilogue_of
from numbaconv.calls.scaling import scale_call

SHAPES = [(2, 1, 5, 7, 3), (1, 1, 1, 1, 1), (3, 2, 4, 5, 33), (0, 1, 4, 5, 3), (1, 1, 60, 70, 24), (2, 1, 3, 3, 2050)]
by_shape = pytest.mark.parametrize("shape", SHAPES)
by_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


def drawn(dtype, *shapes):
    rng = np.random.default_rng(3)
    return [rng.standard_normal(shape, np.float32).astype(dtype) for shape in shapes]


@by_shape
@by_dtype
def test_scale_bias_and_ending(shape, dtype, each_thread_count):
    x, residual, scale, bias = drawn(dtype, shape, shape, shape[-1:], shape[-1:])
    call = scale_call(shape)
    for with_scale, with_bias in ((True, True), (False, True), (True, False), (False, False)):
        factors = call.factors(scale if with_scale else None, x.dtype)
        shift = call.factors(bias if with_bias else None, x.dtype)
        plain = call.run(x, factors, epilogue_of(shift))
        exact = x.astype(np.float64) * (scale if with_scale else 1) + (bias if with_bias else 0)
        np.testing.assert_allclose(plain, exact, rtol=1e-6, atol=1e-6)
        for minimum, maximum, slope, adds in ENDINGS:
            added = residual if adds else None
            wanted = separately(plain, minimum, maximum, slope, added)
            for _ in each_thread_count():
                out = np.full_like(x, np.nan)
                epilogue = epilogue_of(shift, minimum, maximum, slope, residual=added)
                assert call.run(x, factors, epilogue, out) is out
                np.testing.assert_array_equal(out, wanted)


@by_shape
def test_gates_and_pixels_that_lie_apart(shape):
    x, gates = drawn("float32", shape, (shape[0], 1, 1, 1, shape[-1]))
    none = epilogue_of(np.empty(0, np.float32))
    np.testing.assert_array_equal(scale_call(shape, True).run(x, gates, none), x * gates)
    pitch, x_pitch = shape[-1] + 4, shape[-1] + 3
    wide, image = np.full((*shape[:-1], pitch), np.nan, np.float32), np.full((*shape[:-1], x_pitch), 9, np.float32)
    image[..., 1:-2] = x
    arrays = image.reshape(-1)[1:], gates, none, wide.reshape(-1)[3:]
    scale_call(shape, True, pitch, x_pitch).run(*arrays)
    np.testing.assert_array_equal(wide[..., 3:-1], x * gates)
    assert np.isnan(wide[..., :3]).all() and np.isnan(wide[..., -1:]).all()


def test_special_values_and_the_sum_of_two_images():
    special = np.array([np.nan, np.inf, -np.inf, 1, -1, 0], np.float32)
    x, other = (a.reshape(1, 1, 6, 6, 1) for a in np.meshgrid(special, special))
    call = scale_call(x.shape)
    out = other.copy()
    none = call.factors(None, x.dtype)
    call.run(np.ascontiguousarray(x), none, epilogue_of(none, 0.0, residual=out), out)
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(out, np.maximum(x + other, 0))
