"""The gradients of `numbaconv.functional` against the reference's, over the shared table."""

import numpy as np
import pytest
from cases import (
    CASES,
    FORMATS,
    assert_close,
    operands,
    output_shape,
    reference_gradients,
    to_format,
)

from numbaconv import functional

by_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])
by_format = pytest.mark.parametrize("data_format", FORMATS)


def gradients(case, arrays, grad_out, data_format="channels_last"):
    """The gradients of a case's input and weights, by the names that `reference_gradients` gives them."""
    x, *weights = arrays
    window = {**case.settings, "data_format": data_format}
    if not case.has_weights:
        return {"x": getattr(functional, f"{case.operation}_grad")(grad_out, **window)}
    if case.operation == "separable_conv":
        found = functional.separable_conv_grad(x, *weights[:2], grad_out, **window)
        return dict(zip(("x", "depthwise", "pointwise"), found, strict=True))
    name = "depthwise" if case.operation == "depthwise_conv" else "kernel"
    return {
        "x": getattr(functional, f"{case.operation}_input_grad")(grad_out, weights[0], x.shape, **window),
        name: getattr(functional, f"{case.operation}_weight_grad")(x, grad_out, case.kernel_size, **window),
    }


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def drawn(request):
    case = request.param
    grad_out = np.random.default_rng(1).standard_normal(output_shape(case, "channels_last"), dtype=np.float32)
    return case, grad_out


@by_dtype
@by_format
def test_gradients_match_the_reference(drawn, dtype, data_format):
    case, grad_out = drawn
    arrays = operands(case, dtype)
    wanted = reference_gradients(case, operands(case, "float64"), grad_out.astype("float64"))
    arrays[0] = to_format(arrays[0], data_format)
    found = gradients(case, arrays, to_format(grad_out.astype(dtype), data_format), data_format)
    wanted["x"] = to_format(wanted["x"], data_format)
    assert list(found) == [name for name in wanted if name != "bias"]
    for name, gradient in found.items():
        assert gradient.dtype == dtype
        assert gradient.flags.c_contiguous
        assert_close(gradient, wanted[name])
