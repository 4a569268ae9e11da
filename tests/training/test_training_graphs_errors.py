"""What training of models with several inputs and outputs refuses."""

import numpy as np
import pytest
from graph_training_cases import KIND, LEFT, QUIET, RIGHT, SIDE, SPARSE, WEIGHTS, XS, YS, model_of
from training_cases import same

from numbaconv.metrics import MeanAbsoluteError, Precision


@pytest.mark.parametrize(
    ("arguments", "kind", "said"),
    [
        ({"loss": ["mse"]}, ValueError, "loss must have 2 parts, one for each of side, kind, got 1"),
        (
            {"loss": {"size": "mse"}},
            ValueError,
            "loss must have names of outputs as keys, side, kind, got size",
        ),
        ({"loss": ["mse", "least"]}, ValueError, "loss must be one of .*, got 'least'"),
        ({"loss_weights": [1.0]}, ValueError, "loss_weights must have 2 parts, .*, got 1"),
        ({"loss_weights": {"kin": 1.0}}, ValueError, "loss_weights must have names of outputs as keys, .*, got kin"),
        ({"loss_weights": 2.0}, TypeError, r"loss_weights must be a list of 2 numbers, or a dict .*, got 2\.0"),
        ({"loss_weights": [1, "a"]}, TypeError, "loss_weights of kind must be a finite number, got 'a'"),
        ({"metrics": ["mae"]}, ValueError, "metrics must have 2 parts, one for each of side, kind, got 1"),
        ({"metrics": "mae"}, TypeError, "metrics must be a list with metrics for each of side, kind, or a dict"),
        ({"metrics": 3}, TypeError, "metrics must be a list of metrics, got 3"),
        ({"metrics": {"kid": "mae"}}, ValueError, "metrics must have names of outputs as keys, .*, got kid"),
        ({"metrics": [["mae", "mae"], None]}, ValueError, "metrics must have names of their own, none of them 'loss'"),
        ({"metrics": [[None], None]}, ValueError, "metrics must have names of their own"),
        (
            {"metrics": [MeanAbsoluteError(name="loss"), None]},
            ValueError,
            "metrics must .* none of them 'loss' or 'side_loss' or 'kind_loss'",
        ),
        ({"weighted_metrics": "mae"}, TypeError, "weighted_metrics must be a list with metrics for each"),
    ],
)
def test_compile_refuses(arguments, kind, said):
    model = model_of()
    before = model.loss, model.get_compile_config()
    with pytest.raises(kind, match=rf"^Model 'm': {said}"):
        model.compile(**{"loss": ["mse", SPARSE], **arguments})
    assert (model.loss, model.get_compile_config()) == before


def test_a_metric_belongs_to_one_output():
    model, metric = model_of(), Precision()
    with pytest.raises(ValueError, match=r"^Model 'm': metrics must be objects of their own, .* given twice"):
        model.compile("sgd", "mse", {"side": [metric], "kind": metric})


@pytest.mark.parametrize(
    ("arguments", "kind", "said"),
    [
        ({"x": LEFT}, ValueError, "inputs must be 2 arrays, for left, right, got 1"),
        ({"x": [LEFT, RIGHT, LEFT]}, ValueError, "inputs must be 2 arrays, .*, got 3"),
        ({"x": {"left": LEFT}}, ValueError, "inputs must be a dict with the keys left, right, got left"),
        ({"x": [LEFT, RIGHT[:5]]}, ValueError, r"x\['left'\], x\['right'\], y.* same length, got 14, 5, 14, 14"),
        ({"x": [LEFT, None]}, TypeError, r"x\['right'\] must be an array of numbers, got None"),
        ({"x": [LEFT, "photos"]}, TypeError, r"x\['right'\] must hold real numbers"),
        ({"x": [LEFT[:0], RIGHT[:0]], "y": [[], []]}, ValueError, r"x\['left'\] must hold at least one example"),
        ({"x": [RIGHT, LEFT]}, ValueError, r"left must have shape \(None, 3\), got \(14, 2\)"),
        ({"y": None}, (ValueError, TypeError), "y must be (2 arrays, for side, kind|an array of numbers), got None"),
        ({"y": SIDE}, ValueError, "y must be 2 arrays, for side, kind, got 1"),
        ({"y": [SIDE]}, ValueError, "y must be 2 arrays, for side, kind, got 1"),
        ({"y": [SIDE, None]}, TypeError, r"y\['kind'\] must be an array of numbers, got None"),
        ({"y": {"side": SIDE}}, ValueError, "y must be a dict with the keys side, kind, kind is missing"),
        ({"y": {"side": SIDE, "kind": KIND, "size": 3}}, ValueError, "y must be a dict with .*, got size"),
        ({"y": [SIDE, KIND + 1]}, ValueError, "output 'kind': y_true must hold integers from 0 to 2, got 3"),
        ({"y": [KIND, SIDE]}, ValueError, "output 'kind': y_true must hold integers"),
        ({"y": [np.ones((14, 5)), KIND]}, ValueError, r"output 'side': .*\(14, 5\)"),
        ({"sample_weight": [WEIGHTS]}, ValueError, "sample_weight must be 2 arrays, for side, kind, or a single one"),
        ({"sample_weight": {"size": WEIGHTS}}, ValueError, "sample_weight must be a dict with .*, got size"),
        ({"sample_weight": WEIGHTS[:3]}, ValueError, r"x\['left'\], .*, sample_weight must be .*, got 14, .*, 3"),
        ({"sample_weight": [None, WEIGHTS[:3]]}, ValueError, r"x.*, sample_weight\['kind'\] must be of the same"),
    ],
)
@pytest.mark.parametrize("use", ["fit", "evaluate", "train_on_batch", "test_on_batch"])
def test_examples_refused(use, arguments, kind, said):
    model = model_of()
    before = model.get_weights()
    wanted = QUIET if use in ("fit", "evaluate") else {}
    with pytest.raises(kind, match=rf"^Model 'm': {said}"):
        getattr(model, use)(**{"x": XS, "y": YS, **wanted, **arguments})
    assert same(model.weights, before)


def test_fit_and_predict_refuse():
    model = model_of()
    for x, said in (
        ([LEFT, RIGHT[:2]], r"x\['left'\], x\['right'\] must be of the same length, got 14, 2"),
        (LEFT, "inputs must be 2 arrays"),
        (iter([[LEFT], [RIGHT]]), "inputs must be 2 arrays, for left, right, got 1"),
        (iter([([LEFT, RIGHT[:2]],)]), r"x\['left'\] of batch 1, x\['right'\] of batch 1 must be of the same length"),
    ):
        with pytest.raises(ValueError, match=rf"^Model 'm': {said}"):
            model.predict(x, **QUIET)
    with pytest.raises(ValueError, match=r"^Model 'm': class_weight must be None for several outputs.* side, kind"):
        model.fit(XS, YS, class_weight={0: 2.0}, **QUIET)
    with pytest.raises(ValueError, match=r"^Model 'm': y of validation_data must be 2 arrays, for side, kind, got 1"):
        model.fit(XS, YS, validation_data=(XS, SIDE), **QUIET)
    with pytest.raises(ValueError, match=r"^Model 'm': y of batch 2 must be 2 arrays, for side, kind, got 1"):
        model.fit(iter([(XS, YS), (XS, SIDE)]), **QUIET)
    model.compile("sgd", [None, None])
    with pytest.raises(ValueError, match=r"^Model 'm': fit needs a loss"):
        model.fit(XS, YS, **QUIET)
