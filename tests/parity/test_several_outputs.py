"""Models of several inputs and outputs beside Keras's: what results are called, what they are, and what is learned."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from numbaconv import layers
from numbaconv.models import Model

from .keras_oracle import keras, quiet

RNG = np.random.default_rng(0)
LEFT, RIGHT = (RNG.normal(size=(22, n)).astype(np.float32) for n in (3, 2))
SIDE, KIND = RNG.normal(size=(22, 1)).astype(np.float32), RNG.integers(3, size=22)
SPARSE = "sparse_categorical_crossentropy"
WEIGHTS = [np.linspace(0, 2, 22), np.linspace(1, 0, 22)]
BOTH = {"loss": ["mse", SPARSE]}


def network(toolkit: Any, model: Any, form: str) -> Any:
    """A shared layer on two inputs, and two outputs whose names are not in the order of the alphabet."""
    left, right = toolkit.Input((3,), name="left"), toolkit.Input((2,), name="right")
    shared = toolkit.Dense(4, "tanh", name="shared")
    first, second = shared(toolkit.Dense(2, name="narrow")(left)), shared(right)
    kind = toolkit.Dense(3, "softmax", name="kind")(toolkit.Add(name="add")([first, second]))
    side = toolkit.Dense(1, name="side")(second)
    return model([left, right], [side, kind] if form == "list" else {"side": side, "kind": kind})


def networks(form: str = "list") -> tuple[Any, Any]:
    """Ours and Keras's."""
    ours, theirs = network(layers, Model, form), network(keras.layers, keras.Model, form)
    rng = np.random.default_rng(1)
    weights = [rng.normal(size=w.shape) for w in theirs.get_weights()]
    ours.set_weights(weights)
    theirs.set_weights(weights)
    return ours, theirs


LISTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "losses in a list": (BOTH, {}),
    "losses in a dict": ({"loss": {"kind": SPARSE, "side": "mse"}}, {}),
    "loss weights": ({**BOTH, "loss_weights": [2.0, 0.5]}, {}),
    "loss weights in a dict": (
        {"loss": {"kind": SPARSE, "side": "mae"}, "loss_weights": {"kind": 3.0, "side": 0.25}},
        {},
    ),
    "a metric for each": ({**BOTH, "metrics": ["mae", "accuracy"]}, {}),
    "metrics in lists": ({**BOTH, "metrics": [["mae", "mse"], ["accuracy", "acc"]]}, {}),
    "metrics in a dict": ({**BOTH, "metrics": {"kind": "accuracy"}}, {}),
    "weighted metrics": (
        {**BOTH, "metrics": ["mae", None], "weighted_metrics": [["mae", "mse"], "accuracy"]},
        {"sample_weight": WEIGHTS},
    ),
    "one array of weights": ({**BOTH, "weighted_metrics": ["mae", None]}, {"sample_weight": WEIGHTS[0]}),
    "an output without a loss": ({"loss": [None, SPARSE], "metrics": [None, "accuracy"]}, {}),
    "targets of an output alone": ({"loss": [None, SPARSE]}, {"y": [KIND]}),
    "targets in a dict": (BOTH, {"y": {"kind": KIND, "side": SIDE}}),
    "one loss for all": ({"loss": "mse"}, {"y": [SIDE, np.eye(3)[KIND]]}),
    "Adam": ({**BOTH, "optimizer": "adam"}, {}),
    "inputs in a dict": (BOTH, {"x": {"right": RIGHT, "left": LEFT}}),
}
DICTS = {
    "losses in a dict": ({"loss": {"kind": SPARSE, "side": "mse"}, "metrics": {"side": ["mae"]}}, {}),
    "a loss for one": ({"loss": {"side": "mse"}}, {}),
    "weights in a dict": ({"loss": {"kind": SPARSE, "side": "mse"}}, {"sample_weight": {"kind": WEIGHTS[0]}}),
}
CASES = [("list", name, *case) for name, case in LISTS.items()] + [("dict", name, *c) for name, c in DICTS.items()]


@pytest.mark.parametrize(("form", "name", "compiled", "fitted"), CASES, ids=[f"{one[1]}, {one[0]}" for one in CASES])
def test_trainings_of_several_outputs(form: str, name: str, compiled: dict[str, Any], fitted: dict[str, Any]) -> None:
    ours, theirs = networks(form)
    y: Any = [SIDE, KIND] if form == "list" else {"side": SIDE, "kind": KIND}
    data = {"x": [LEFT, RIGHT], "y": y, **fitted}
    fit = {"batch_size": 8, "epochs": 3, "shuffle": False, "verbose": 0, "validation_split": 0.3, **data}
    ours.compile(**{"optimizer": "sgd", **compiled})
    # Compiled by TensorFlow, the means of several losses count all batches alike, the smaller last one too.
    theirs.compile(**{"optimizer": "sgd", **compiled}, run_eagerly=True)
    if form == "dict" and "sample_weight" in fitted:
        # Keras wants weights for all outputs.
        theirs_fit = {**fit, "sample_weight": {**fitted["sample_weight"], "side": np.ones(22)}}
    else:
        theirs_fit = fit
    history = ours.fit(**fit).history
    with quiet():
        expected = theirs.fit(**theirs_fit).history
        asked = {name: theirs_fit[name] for name in ("x", "y", "sample_weight") if name in theirs_fit}
        results = theirs.evaluate(**asked, verbose=0, return_dict=True)
        listed = theirs.evaluate(**asked, verbose=0)
    assert set(history) == set(expected)
    for quantity, values in expected.items():
        np.testing.assert_allclose(history[quantity], values, rtol=1e-4, atol=1e-6, err_msg=quantity)
    for mine, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-5)
    found = ours.evaluate(**data, verbose=0, return_dict=True)
    assert set(found) == set(results)
    np.testing.assert_allclose(ours.evaluate(**data, verbose=0), listed, rtol=1e-4)


def test_predictions_have_the_form_of_the_outputs() -> None:
    for form in ("list", "dict"):
        ours, theirs = networks(form)
        found = ours.predict([LEFT, RIGHT], batch_size=5, verbose=0)
        with quiet():
            expected = theirs.predict([LEFT, RIGHT], batch_size=5, verbose=0)
        assert type(found) is type(expected)
        keys = range(2) if form == "list" else ("side", "kind")
        for key in keys:
            np.testing.assert_allclose(found[key], expected[key], rtol=1e-4, atol=1e-6)
