"""Random settings of layers without windows beside Keras's: values, gradients, shapes and configurations.

The environment variable NUMBACONV_PARITY_EXAMPLES asks for more examples.
"""

from __future__ import annotations

import os
from math import prod
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numbaconv import layers

from . import test_small_layers as small
from .keras_oracle import keras, quiet

pytestmark = pytest.mark.slow
EXAMPLES = int(os.environ.get("NUMBACONV_PARITY_EXAMPLES", "150"))

# Exact in float32, to which Keras rounds some of them.
AMOUNTS = st.sampled_from([0.0, 0.25, 0.5, 1.0, 1.5])
PENALTIES = st.sampled_from([None, "l1", "l2"])
# What Keras's files hold of an activation that has settings.
LAYERS_AS_ACTIVATIONS = st.one_of(
    st.tuples(st.just("ReLU"), st.fixed_dictionaries({"max_value": st.sampled_from([None, 0.5, 6.0])})),
    st.tuples(st.just("LeakyReLU"), st.fixed_dictionaries({"negative_slope": AMOUNTS})),
    st.tuples(st.just("ELU"), st.fixed_dictionaries({"alpha": AMOUNTS})),
    st.tuples(st.just("Softmax"), st.fixed_dictionaries({"axis": st.sampled_from([-1, 1])})),
)


@st.composite
def reshapings(draw: Any, sizes: tuple[int, ...]) -> dict[str, Any]:
    """Another shape for as many values, maybe with one size left open."""
    left, target = prod(sizes), []
    while left > 1 and len(target) < 4:
        size = draw(st.sampled_from([n for n in range(1, left + 1) if left % n == 0]))
        target.append(size)
        left //= size
    target = draw(st.permutations([*target, left]))
    if draw(st.booleans()):
        target[draw(st.integers(0, len(target) - 1))] = -1
    return {"target_shape": target}


@st.composite
def cases(draw: Any) -> tuple[str, dict[str, Any], tuple[int, ...]]:
    """Name and arguments of a layer, and the shape of an input."""
    sizes = tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=4)))
    axes = list(range(1, len(sizes) + 1))
    some = st.lists(st.sampled_from(axes), min_size=1, unique=True)
    kinds = {
        "Reshape": reshapings(sizes),
        "Permute": st.fixed_dictionaries({"dims": st.permutations(axes)}),
        "RepeatVector": st.fixed_dictionaries({"n": st.integers(1, 4)}),
        "ReLU": st.fixed_dictionaries(
            {"max_value": st.one_of(st.none(), AMOUNTS), "negative_slope": AMOUNTS, "threshold": AMOUNTS}
        ),
        "LeakyReLU": st.fixed_dictionaries({"negative_slope": AMOUNTS}),
        "PReLU": st.fixed_dictionaries(
            {"alpha_initializer": st.just("he_normal"), "alpha_regularizer": PENALTIES, "trainable": st.booleans()},
            optional={"shared_axes": some, "activity_regularizer": PENALTIES},
        ),
        "ELU": st.fixed_dictionaries({"alpha": AMOUNTS}),
        "Softmax": st.fixed_dictionaries({"axis": st.one_of(some, st.sampled_from([-1, *axes]))}),
        "Rescaling": st.fixed_dictionaries(
            {"scale": st.one_of(AMOUNTS, st.lists(AMOUNTS, min_size=sizes[-1], max_size=sizes[-1])), "offset": AMOUNTS}
        ),
        "ActivityRegularization": st.fixed_dictionaries({"l1": AMOUNTS, "l2": AMOUNTS}),
        "Identity": st.just({}),
        "Activation": LAYERS_AS_ACTIVATIONS.map(as_kept),
        "Dense": st.tuples(LAYERS_AS_ACTIVATIONS.map(as_kept), st.integers(1, 4)).map(
            lambda drawn: {**drawn[0], "units": drawn[1]}
        ),
    }
    name = draw(st.sampled_from(sorted(kinds)))
    if name == "RepeatVector":
        sizes = sizes[:1]
    return name, draw(kinds[name]), (draw(st.integers(1, 3)), *sizes)


def as_kept(drawn: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    """The argument that a file of Keras's has for such an activation."""
    name, config = drawn
    return {"activation": {"module": "keras.layers", "class_name": name, "config": config, "registered_name": None}}


@settings(max_examples=EXAMPLES, deadline=None)
@given(cases(), st.sampled_from(["float32", "float64"]))
def test_values_and_gradients(case: Any, dtype: str) -> None:
    # Keras's layers keep their own dtype as activations.
    small.test_values_gradients_and_statistics(*case, "float32" if "activation" in case[1] else dtype)


@settings(max_examples=EXAMPLES, deadline=None)
@given(cases(), st.data())
def test_shapes_and_configurations(case: Any, data: Any) -> None:
    name, arguments, shape = case
    ours, theirs = (getattr(module, name)(**arguments) for module in (layers, keras.layers))
    unknown = tuple(None if data.draw(st.booleans()) else n for n in shape[:-1])
    before = (*unknown, shape[-1])
    with quiet():
        assert ours.compute_output_shape(before) == tuple(theirs.compute_output_shape(before))
        # What Keras writes is read here, and what it makes of what is written here.
        config = ours.get_config()
        back = type(theirs).from_config(config)
        for layer in (theirs, back):
            again = type(ours).from_config(flat(layer.get_config()))
            assert small.simplified(again.get_config()) == small.simplified({**config, "name": again.name})


def flat(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration of Keras's without what these layers do not have."""
    return {key: value for key, value in config.items() if key not in small.NOT_OURS}
