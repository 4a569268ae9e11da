"""Arguments of Keras's that ask for nothing here are taken with the values that ask for nothing."""

import inspect

import pytest
from training_cases import classes, classifier, same

from numbaconv.metrics import MeanSquaredError
from numbaconv.models import Sequential

X, Y = classes(40)
NEUTRAL = {
    "loss_weights": [None],
    "weighted_metrics": [None, []],
    "run_eagerly": [False, True, None],
    "steps_per_execution": [1, "auto", None],
    "jit_compile": ["auto", True, False, None],
    "auto_scale_loss": [True, False],
}


def trained(model, **arguments):
    model.fit(X, Y, seed=0, **{"verbose": 0, **arguments})
    return model.get_weights()


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in NEUTRAL.items() for value in values])
def test_compiling(name, value):
    model, expected = classifier(), classifier()
    model.compile("sgd", model.loss, ["accuracy"], **{name: value})
    assert model.get_compile_config() == expected.get_compile_config()
    assert same(trained(model), trained(expected))


@pytest.mark.parametrize(
    "metric", ["accuracy", MeanSquaredError, MeanSquaredError(), {"class_name": "MeanSquaredError"}]
)
def test_a_single_metric(metric):
    model, expected = classifier(), classifier()
    model.compile("sgd", "mse", metric)
    expected.compile("sgd", "mse", [metric])
    y = X * 0
    assert model.evaluate(X, y, verbose=0, return_dict=True) == expected.evaluate(X, y, verbose=0, return_dict=True)
    assert len(model.metrics) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        {"batch_size": None},
        {"verbose": False},
        {"callbacks": None},
        {"callbacks": []},
        {"steps_per_epoch": None, "validation_steps": None, "validation_batch_size": None},
        {"class_weight": None, "sample_weight": None, "validation_data": None, "validation_split": 0},
    ],
)
def test_fitting(arguments):
    assert same(trained(classifier(), **arguments), trained(classifier(), batch_size=32))


def test_evaluating_and_predicting():
    model = classifier()
    arguments = {"batch_size": None, "verbose": False, "steps": None, "callbacks": None}
    assert model.evaluate(X, Y, sample_weight=None, **arguments) == model.evaluate(X, Y, 32, 0)
    assert same([model.predict(X, **arguments)], [model.predict(X, 32, 0)])
    results = model.test_on_batch(X, Y, sample_weight=None)
    assert same([model.predict_on_batch(X)], [model(X)])
    assert model.train_on_batch(X, Y, sample_weight=None, class_weight=None) == results


@pytest.mark.parametrize("verbose", [True, 1])
def test_true_shows_a_bar(verbose, capsys):
    model = classifier()
    model.fit(X, Y, verbose=verbose)
    model.evaluate(X, Y, verbose=verbose)
    model.predict(X, verbose=verbose)
    assert capsys.readouterr().err.count("100%") >= 3


@pytest.mark.parametrize("use", ["fit", "evaluate", "predict", "train_on_batch", "test_on_batch", "compile"])
def test_arguments_are_those_of_keras(use):
    keras = pytest.importorskip("keras", minversion="3.0")
    theirs, ours = (
        [p for p in inspect.signature(getattr(cls, use)).parameters.values() if p.kind is not p.VAR_KEYWORD]
        for cls in (keras.Sequential, Sequential)
    )
    by_position = [p.name for p in ours if p.kind is p.POSITIONAL_OR_KEYWORD]
    if use == "compile":
        # The one difference, see the README.
        assert {p.name for p in theirs} == {p.name for p in ours}
    else:
        assert by_position == [p.name for p in theirs]
    # In Keras x and y can be left out, and with them nothing works.
    required = {p.name for p in ours if p.default is p.empty}
    assert required <= {"self", "x", "y"}
    for ours_, theirs_ in ((p, q) for p in ours for q in theirs if p.name == q.name and p.name not in required):
        assert ours_.default == theirs_.default
