"""Arbitrary arguments, as in `test_fuzz`, for what networks are made of besides layers, and for networks."""

import json

import numpy as np
from fuzzing import (
    FLOATS,
    MARKS,
    ODD,
    ODD_JSON,
    attempt,
    needed,
    parameters,
    same,
    spoiled,
    spoiled_json,
    spoiled_shape,
)
from hypothesis import given
from hypothesis import strategies as st

from numbaconv import (
    activations,
    callbacks,
    config,
    constraints,
    initializers,
    layers,
    losses,
    metrics,
    optimizers,
    regularizers,
    schedules,
)
from numbaconv.history import History
from numbaconv.models import Sequential

pytestmark = MARKS

REQUIRED = {
    "initial_learning_rate": 0.1,
    "decay_steps": 10,
    "decay_rate": 0.5,
    "boundaries": [2, 4],
    "values": [0.1, 0.2, 0.3],
    "schedule": lambda epoch, rate: rate,
    "filepath": "checkpoint-{epoch}",
    "filename": "log.csv",
    "family": "activation",
    "shape": (2, 3),
}
MODULES = [
    activations,
    callbacks,
    constraints,
    initializers,
    losses,
    metrics,
    optimizers,
    regularizers,
    schedules,
]
PUBLIC = [
    (module, name)
    for module in MODULES
    for name, thing in sorted(vars(module).items())
    if not name.startswith("_") and callable(thing) and getattr(thing, "__module__", "") == module.__name__
]
ARRAY = np.arange(6, dtype=np.float32).reshape(2, 3) - 2
# How instances are used: the arguments of calling them by position, and of some methods.
USES = {
    activations: [("__call__", [ARRAY])],
    constraints: [("__call__", [ARRAY])],
    initializers: [("__call__", [(2, 3), "float32"])],
    regularizers: [("__call__", [ARRAY]), ("gradient", [ARRAY])],
    losses: [("__call__", [ARRAY, ARRAY, [1, 2]]), ("value_and_gradient", [[0, 1], ARRAY, None])],
    metrics: [("update_state", [ARRAY, ARRAY]), ("__call__", [[0, 1], ARRAY, [1, 2]])],
    optimizers: [("step", [[ARRAY], [ARRAY]]), ("set_state", [{"iterations": 0}])],
    schedules: [("__call__", [3])],
    callbacks: [("set_params", [{}]), ("set_model", [None])],
}


@given(st.data())
def test_components(data):
    module, name = data.draw(st.sampled_from(PUBLIC))
    thing = getattr(module, name)
    a = {p: REQUIRED.get(p, ARRAY) for p in needed(thing)}
    others = [p for p in parameters(thing) if p not in a]
    a |= (
        {p: data.draw(ODD) for p in data.draw(st.lists(st.sampled_from(others), max_size=2, unique=True))}
        if others
        else {}
    )
    made = attempt(thing, **data.draw(spoiled(a)))
    if made is None:
        return
    for method, given_ in USES[module]:
        use = getattr(made, method, None)
        if use is not None and callable(use):
            swapped = data.draw(spoiled(dict(enumerate(given_)), 1))
            # The bases of initializers and so on cannot do more than say so.
            attempt(use, *swapped.values(), also=[NotImplementedError])
    if hasattr(made, "get_config") and isinstance(thing, type):
        settings = attempt(made.get_config)
        if settings is not None:
            attempt(thing.from_config, data.draw(spoiled(settings, 1, ODD_JSON)))
    if hasattr(module, "get"):
        attempt(module.get, data.draw(st.one_of(ODD, ODD_JSON, st.just({"class_name": name, "config": {}}))))
    if hasattr(module, "serialize"):
        attempt(module.serialize, made)


@given(st.sampled_from(["floatx", "epsilon", "image_data_format"]), ODD)
def test_config(name, value):
    before = getattr(config, name)()
    try:
        attempt(getattr(config, f"set_{name}"), value)
    finally:
        getattr(config, f"set_{name}")(before)


# -- models ------------------------------------------------------------------------------------------------------------


def stack(draw):
    """Layers of a small network for inputs (N, 4, 2)."""
    choices = [
        lambda: layers.Conv1D(2, 2, padding="same", activation="relu", kernel_regularizer="l2"),
        lambda: layers.SeparableConv1D(2, 2, padding="same"),
        lambda: layers.BatchNormalization(),
        lambda: layers.Dropout(0.5, seed=0),
        lambda: layers.MaxPooling1D(2, 1),
        lambda: layers.Activation("tanh"),
    ]
    chosen = draw(st.lists(st.sampled_from(choices), max_size=2))
    return [*(make() for make in chosen), layers.Flatten(), layers.Dense(2, activation="softmax")]


FIT = {
    "x": np.ones((5, 4, 2), np.float32),
    "y": np.array([0, 1, 1, 0, 1]),
    "batch_size": 2,
    "epochs": 2,
    "verbose": 0,
    "callbacks": None,
    "validation_split": 0.0,
    "validation_data": None,
    "shuffle": True,
    "class_weight": {0: 1.0, 1: 2.0},
    "sample_weight": None,
    "initial_epoch": 0,
    "validation_freq": 1,
    "seed": 0,
}
X, Y = FIT["x"], FIT["y"]


@given(st.data())
def test_models(data):
    made = data.draw(ODD) if data.draw(st.integers(0, 9)) == 9 else stack(data.draw)
    model = attempt(Sequential, made)
    if model is None:
        return
    if data.draw(st.booleans()):
        attempt(model.build, data.draw(spoiled_shape((None, 4, 2))))
    loss = "sparse_categorical_crossentropy"
    attempt(model.compile, **data.draw(spoiled({"optimizer": "sgd", "loss": loss, "metrics": ["accuracy"]}, 1)))
    before = X.copy()
    for step in data.draw(st.lists(st.sampled_from(range(8)), min_size=1, max_size=3)):
        if step == 0:
            # As many epochs as asked for would take their time.
            a = data.draw(spoiled(FIT, 2, keep=["epochs"]))
            history = attempt(model.fit, **a, also=[FloatingPointError])
            assert history is None or isinstance(history, History)
        elif step == 1:
            attempt(model.predict, **data.draw(spoiled({"x": X, "batch_size": 2, "verbose": 0}, 1)))
        elif step == 2:
            attempt(model.evaluate, **data.draw(spoiled({k: FIT[k] for k in ("x", "y", "batch_size", "verbose")}, 1)))
            attempt(model.train_on_batch, **data.draw(spoiled({"x": X, "y": Y}, 1)), also=[FloatingPointError])
            attempt(model.test_on_batch, **data.draw(spoiled({"x": X, "y": Y}, 1)))
        elif step == 3:
            attempt(model.set_weights, data.draw(st.one_of(st.just(model.weights), ODD)))
        elif step == 4:
            settings = attempt(model.get_config)
            if settings is not None:
                attempt(Sequential.from_config, data.draw(spoiled_json(json.loads(json.dumps(settings)))))
        elif step == 5:
            attempt(model.explain, data.draw(spoiled_shape((None, 4, 2))))
            attempt(model.compute_output_shape, data.draw(st.one_of(ODD, spoiled_shape((None, 4, 2)))))
            attempt(model.summary, lambda text: None)
            repr(model)
        elif step == 6:
            attempt(model.add, data.draw(st.one_of(st.just(layers.Dense(2)), ODD)))
        elif step == 7 and attempt(model.save, "model") is None and model.built:
            again = attempt(Sequential.load, "model", also=[OSError])
            assert again is None or again.get_config() == model.get_config()
    assert same([before], [X])


@given(st.data())
def test_callbacks_in_fit(data):
    cls = getattr(callbacks, data.draw(st.sampled_from(callbacks.__all__)))
    a = {p: REQUIRED[p] for p in needed(cls)}
    others = [p for p in parameters(cls) if p not in a]
    if "monitor" in others:
        a["monitor"] = "loss"
    if others:
        a |= {p: data.draw(st.one_of(ODD, FLOATS)) for p in data.draw(st.lists(st.sampled_from(others), max_size=2))}
    callback = attempt(cls, **data.draw(spoiled(a, 1)))
    if callback is None:
        return
    model = Sequential([layers.Flatten(), layers.Dense(2, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    attempt(model.fit, X, Y, epochs=2, verbose=0, callbacks=callback, also=[FloatingPointError, OSError])
