"""Sequential beside Keras's."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

from numbaconv import layers, models

from .keras_oracle import keras


@pytest.mark.parametrize("steps", ["f", "ft", "fa", "fat", "afa", "ff"])
def test_freezing_a_model(steps: str) -> None:
    """f and t set trainable of the model, a adds a layer with weights."""
    found = []
    for library, model in ((layers, models.Sequential()), (keras.layers, keras.Sequential())):
        if library is keras.layers:
            model.add(keras.Input((3,)))
        for layer in (
            library.Dense(2, **({"input_shape": (3,)} if library is layers else {})),
            library.BatchNormalization(),
        ):
            model.add(layer)
        counts = []
        for step in steps:
            if step == "a":
                model.add(library.Dense(2))
            else:
                model.trainable = step == "t"
            counts.append((model.trainable, len(model.trainable_weights), len(model.non_trainable_weights)))
        found.append(counts)
    assert found[0] == found[1]


# Layers that hold others are compared in test_sequences; Keras's Lambda writes bytecode.
NOT_ALONE = ("Bidirectional", "Input", "InputLayer", "Lambda", "Layer", "TimeDistributed")


def both(cls_name: str, **arguments: Any) -> tuple[Any, Any]:
    """A layer of ours and Keras's, with what it must be given."""
    needed = {
        **{"filters": 4, "kernel_size": 3, "units": 4, "rate": 0.5, "activation": "tanh", "pool_size": 2, "n": 2},
        **{"input_dim": 5, "output_dim": 3, "num_heads": 2, "key_dim": 3, "dims": (2, 1), "target_shape": (-1, 2)},
        **{"axes": 1, "stddev": 0.5, "height": 4, "width": 5, "scale": 2.0},
    }
    cls = getattr(keras.layers, cls_name)
    taken = inspect.signature(cls).parameters
    given = {k: v for k, v in needed.items() if k in taken and taken[k].default is inspect.Parameter.empty}
    return getattr(layers, cls_name)(**given, **arguments), cls(**given, **arguments)


@pytest.mark.parametrize("name", [name for name in layers.__all__ if name not in NOT_ALONE and name[0].isupper()])
def test_configurations_of_keras_are_read(name: str) -> None:
    # Keras's SpatialDropout takes no more.
    more = {} if name.startswith("SpatialDropout") else {"trainable": False}
    ours, theirs = both(name, name="n", **more)
    assert type(ours).from_config(theirs.get_config()).get_config() == ours.get_config()
    theirs.set_weights(theirs.get_weights())
    ours.set_weights(ours.get_weights())


@pytest.mark.parametrize("trainable", [True, False])
@pytest.mark.parametrize("training", [True, False, None])
def test_statistics_of_batches(trainable: bool, training: bool | None) -> None:
    x = np.random.default_rng(0).normal(size=(8, 5, 3)).astype(np.float32)
    found = []
    for model, library in ((models.Sequential(), layers), (keras.Sequential(), keras.layers)):
        for _ in range(2):
            model.add(library.BatchNormalization(momentum=0.5))
        model.trainable = trainable
        outputs = [np.asarray(model(x, training=training)) for _ in range(2)]
        found.append([*outputs, *model.get_weights()])
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("trainable", [True, False])
def test_dropout_is_at_work_when_it_is_asked_for(trainable: bool) -> None:
    x = np.ones((200, 50), np.float32)
    for layer in both("Dropout", trainable=trainable):
        assert np.array_equal(np.asarray(layer(x)), x)
        assert np.array_equal(np.asarray(layer(x, training=False)), x)
        out = np.asarray(layer(x, training=True))
        assert set(np.unique(out)) == {0, 2}
        assert abs(out.mean() - 1) < 0.05
