"""What ``x + 2`` and its like make of tensors, and layers of several inputs as functions."""

import subprocess
import sys

import numpy as np
import pytest

from numbaconv import layers
from numbaconv.layers import Input
from numbaconv.models import Model, model_from_json

X = np.random.default_rng(0).normal(size=(3, 4))

NUMBERS = [
    (lambda x: x + 2, 1),
    (lambda x: 2 + x, 1),
    (lambda x: x - 2, 1),
    (lambda x: 2 - x, -1),
    (lambda x: x * 2, 2),
    (lambda x: np.float32(2) * x, 2),
    (lambda x: x / 2, 0.5),
    (lambda x: -x, -1),
]


def test_operators_of_a_process_that_has_used_nothing_else():
    code = """
from numbaconv.layers import Input
x, y = Input((4,)), Input((4,))
for found in (x + 2, 2 + x, x - 2, 2 - x, 2 * x, x / 2, -x, x + y, x - y, x * y):
    assert found.shape == (None, 4)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(("compute", "slope"), NUMBERS)
def test_operators_with_numbers(compute, slope):
    x = Input((4,))
    model = Model(x, compute(x))
    for one in (model, model_from_json(model.to_json())):
        np.testing.assert_allclose(one.forward(X), compute(X), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(one.backward(np.ones_like(X)), np.full_like(X, slope))


def test_operators_that_are_no_layers():
    x = Input((4,))
    for compute in (lambda: x**2, lambda: 2**x, lambda: 2 / x, lambda: abs(x), lambda: x[0], lambda: x @ x):
        with pytest.raises(TypeError, match=r"layers\.Lambda computes anything else"):
            compute()
    for other in ("a", np.ones(4), True):
        with pytest.raises(TypeError, match=r"unsupported operand|does not support"):
            x + other


FUNCTIONS = {
    name: name.capitalize()
    for name in ("add", "subtract", "multiply", "average", "maximum", "minimum", "concatenate", "dot")
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_layers_of_several_inputs_as_functions(name):
    function, cls = getattr(layers, name), getattr(layers, FUNCTIONS[name])
    wanted = (cls(axes=-1) if name == "dot" else cls())([X, 2 * X])
    np.testing.assert_array_equal(function([X, 2 * X]), wanted)
    a, b = Input((4,)), Input((4,))
    model = Model([a, b], function([a, b], name="joined"))
    np.testing.assert_array_equal(model([X, 2 * X]), wanted)
    assert model.layers[-1].name == "joined"
