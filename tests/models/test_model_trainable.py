"""Freezing whole models, and what of them is trained."""

import copy

import pytest
from small_models import SHAPE, built, small

from numbaconv.layers import Conv2D
from numbaconv.models import Sequential


def test_trainable_weights():
    model = Sequential([Conv2D(1, 1, input_shape=(3, 3, 1)), Conv2D(1, 1, trainable=False, use_bias=False)])
    assert len(model.trainable_weights) == 2
    assert len(model.non_trainable_weights) == 1
    lines = []
    model.summary(lines.append)
    assert lines[0].endswith("Total: 3 parameters, 2 trainable, 1 not trainable")


def test_trainable_of_the_model_is_that_of_all_layers():
    model = built()
    model.layers[0].trainable = False
    model.trainable = False
    assert not any(layer.trainable for layer in model.layers)
    assert model.trainable_weights == []
    assert len(model.non_trainable_weights) == 4
    said = []
    model.summary(said.append)
    assert f" 0 trainable, {model.count_params()} not trainable" in said[0]
    model.layers[2].trainable = True
    assert [w.shape for w in model.trainable_weights] == [(1, 1, 3, 2), (2,)]
    model.trainable = True
    assert len(model.trainable_weights) == 4
    for wrong in (1, None, "yes"):
        with pytest.raises(TypeError, match=rf"{model.name}.*trainable must be True or False"):
            model.trainable = wrong
    assert model.trainable


def test_a_frozen_model_freezes_what_is_added():
    model = small(input_shape=SHAPE[1:])
    model.trainable = False
    model.add(Conv2D(4, 1, name="d"))
    assert model.trainable_weights == []
    assert Sequential([Conv2D(1, 1, input_shape=SHAPE[1:])], trainable=False).trainable_weights == []
    model.layers[-1].trainable = True
    assert len(model.trainable_weights) == 2


def test_what_is_frozen_is_saved(tmp_path):
    model = built()
    model.trainable = False
    model.layers[2].trainable = True
    model.save(tmp_path / "m.npz")
    for twin in (Sequential.load(tmp_path / "m.npz"), Sequential.from_config(model.get_config()), copy.deepcopy(model)):
        assert [layer.trainable for layer in twin.layers] == [False, False, True]
        assert not twin.trainable
        twin.add(Conv2D(1, 1, name="d"))
        assert len(twin.trainable_weights) == 2
