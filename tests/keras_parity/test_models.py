"""Sequential beside Keras's."""

from __future__ import annotations

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
