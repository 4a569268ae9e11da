"""Names beside Keras 3: what is an alias there is one here, and what is said to be Keras's is."""

from types import ModuleType

import pytest

import numbaconv
from numbaconv import losses, metrics, optimizers
from numbaconv.models import Sequential
from numbaconv.objects import public as _public

# Here a function whose factors are 0.01 by default, as Keras 2 had it.
OTHERWISE = {"l1_l2"}


@pytest.mark.parametrize("name", [name for name in numbaconv.__all__ if name[0].islower()])
def test_aliases(keras, name):
    theirs, ours = getattr(keras, name, None), getattr(numbaconv, name)
    groups = {}
    for key in dir(theirs):
        value = getattr(theirs, key)
        if not key.startswith("_") and not isinstance(value, ModuleType):
            groups.setdefault(id(value), []).append(key)
    checked = 0
    for names in groups.values():
        shared = set(names) - OTHERWISE
        if shared & set(ours.__all__) and len(shared) > 1:
            assert len({id(getattr(ours, key)) for key in shared}) == 1
            assert shared <= set(ours.__all__)
            checked += len(shared) - 1
    assert checked == {"layers": 20, "initializers": 17, "constraints": 4, "regularizers": 2}.get(name, checked)


def test_top_level(keras):
    assert {"Input", "Model", "Sequential"} == {name for name in dir(keras) if name[0].isupper()} & set(
        numbaconv.__all__
    )


def test_what_is_said_to_be_keras_is(keras):
    elsewhere = {"numbaconv": keras, "schedules": keras.optimizers.schedules}
    for module, names in _public._ABSENT.items():
        theirs = elsewhere.get(module) or getattr(keras, module)
        assert not [name for name in names.split() if not hasattr(theirs, name)]


def test_attributes_that_are_said_to_be_keras_s_are(keras):
    model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2)])
    pairs = {
        "Network": (model, Sequential()),
        "Optimizer": (keras.optimizers.SGD(), optimizers.SGD()),
        "Metric": (keras.metrics.AUC(), metrics.AUC()),
        "Loss": (keras.losses.Huber(), losses.Huber()),
    }
    old = {"fit_generator", "evaluate_generator", "predict_generator", "predict_classes", "minimize"}
    assert set(_public._ATTRIBUTES) | set(_public._ABSENT_ATTRIBUTES) == set(pairs)
    for cls, (theirs, ours) in pairs.items():
        names = {*_public._ATTRIBUTES.get(cls, ()), *_public._ABSENT_ATTRIBUTES.get(cls, "").split()}
        # dir, because some of them answer only after a call.
        assert names - old <= set(dir(theirs))
        assert not [name for name in names if hasattr(ours, name)]
