"""Metrics beside Keras 3, and the signatures, configurations and names of metrics and losses."""

import inspect
import re

import numpy as np
import pytest
from loss_cases import draw

import numbaconv
from numbaconv import losses, metrics


def batches(sparse, shape, weights_rank):
    """Three batches of different sizes, with ties among the predictions."""
    rng = np.random.default_rng(4)
    for count in (3, 1, 5):
        y_pred = (rng.integers(0, 5, (count, *shape)) / 4).astype("float32")
        if sparse:
            y_true = rng.integers(0, shape[-1], y_pred.shape[:-1]).astype("int32")
        else:
            y_true = rng.integers(0, 2, y_pred.shape).astype("float32")
        weights = rng.uniform(0, 2, y_pred.shape[:weights_rank]).astype("float32") if weights_rank else None
        yield y_true, y_pred, weights


METRICS = [
    ("Accuracy", {}),
    ("BinaryAccuracy", {}),
    ("BinaryAccuracy", {"threshold": 0.25}),
    ("CategoricalAccuracy", {}),
    ("SparseCategoricalAccuracy", {}),
    ("TopKCategoricalAccuracy", {}),
    ("TopKCategoricalAccuracy", {"k": 2}),
    ("SparseTopKCategoricalAccuracy", {"k": 1}),
    ("SparseTopKCategoricalAccuracy", {"k": 3}),
    ("MeanSquaredError", {}),
    ("MeanAbsoluteError", {}),
    ("RootMeanSquaredError", {}),
    ("Precision", {}),
    ("Precision", {"thresholds": 0.25}),
    ("Precision", {"thresholds": [0.1, 0.5, 0.9]}),
    ("Precision", {"thresholds": [0.0, 0.25, 0.5, 0.75, 1.0]}),
    ("Precision", {"top_k": 2, "class_id": 1}),
    ("Recall", {}),
    ("Recall", {"thresholds": [0.6, 0.2]}),
    ("Recall", {"top_k": 1}),
    ("Recall", {"class_id": 2}),
    ("AUC", {}),
    ("AUC", {"num_thresholds": 7}),
    ("AUC", {"curve": "PR"}),
    ("AUC", {"curve": "PR", "num_thresholds": 7}),
    *(("AUC", {"curve": c, "summation_method": m}) for c in ("ROC", "PR") for m in ("minoring", "majoring")),
    ("AUC", {"thresholds": [0.3, 0.1, 0.8], "from_logits": True}),
]


@pytest.mark.parametrize(("shape", "weights_rank"), [((6,), 0), ((6,), 1), ((3, 4), 0), ((3, 4), 1), ((3, 4), 2)])
@pytest.mark.parametrize(("name", "arguments"), METRICS)
def test_metric(keras, name, arguments, shape, weights_rank):
    ours, theirs = getattr(metrics, name)(**arguments), getattr(keras.metrics, name)(**arguments)
    for batch in batches(name.startswith("Sparse"), shape, weights_rank):
        ours.update_state(*batch)
        if name in ("Precision", "Recall", "AUC") and len(shape) > weights_rank > 0:
            # Keras would take the weights of the batch for those of another axis.
            y_true, y_pred, weights = batch
            batch = y_true, y_pred, np.broadcast_to(weights[:, None], y_pred.shape[:2])
        theirs.update_state(*batch)
        np.testing.assert_allclose(ours.result(), np.asarray(theirs.result()), rtol=1e-5, atol=1e-6)
    ours.reset_state()
    theirs.reset_state()
    assert np.all(ours.result() == np.asarray(theirs.result()))
    assert np.all(ours.result() == 0)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("F1Score", {}),
        *(("F1Score", {"average": average}) for average in ("micro", "macro", "weighted")),
        ("F1Score", {"average": "macro", "threshold": 0.5}),
        ("FBetaScore", {"beta": 2.0}),
        ("FBetaScore", {"beta": 0.5, "average": "weighted", "threshold": 0.25}),
        ("AUC", {"multi_label": True}),
        ("AUC", {"multi_label": True, "num_labels": 6, "curve": "PR", "label_weights": [1, 0, 2, 3, 1, 1]}),
        ("AUC", {"label_weights": [1, 0, 2, 3, 1, 1]}),
        ("MeanIoU", {"num_classes": 6, "sparse_y_true": False, "sparse_y_pred": False}),
        ("IoU", {"num_classes": 6, "target_class_ids": [0, 4], "sparse_y_true": False, "sparse_y_pred": False}),
    ],
)
def test_metric_by_class(keras, name, arguments, weighted):
    ours, theirs = getattr(metrics, name)(**arguments), getattr(keras.metrics, name)(**arguments)
    for y_true, y_pred, weights in batches(False, (6,), 1):
        # Keras counts areas in integers.
        weights = np.floor(4 * weights).astype("int32" if name.endswith("IoU") else "float32") if weighted else None
        ours.update_state(y_true, y_pred, weights)
        theirs.update_state(y_true, y_pred, weights)
        np.testing.assert_allclose(ours.result(), np.asarray(theirs.result()), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [(), (5,), (4, 3)])
@pytest.mark.parametrize("ignored", [None, 2, 255])
def test_mean_iou_of_labels(keras, shape, ignored):
    ours, theirs = (module.metrics.MeanIoU(4, ignore_class=ignored) for module in (numbaconv, keras))
    rng = np.random.default_rng(8)
    for count in (6, 1, 9):
        y_true, y_pred = rng.integers(0, 3, (2, count, *shape))
        if ignored == 255:
            y_true[0] = 255
        ours.update_state(y_true, y_pred)
        theirs.update_state(y_true, y_pred)
        assert ours.result() == pytest.approx(float(theirs.result()), rel=1e-5)


@pytest.mark.parametrize("shape", [(6,), (3, 4)])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("BinaryCrossentropy", {}),
        ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.25}),
        ("CategoricalCrossentropy", {"from_logits": True}),
        ("KLDivergence", {}),
        ("LogCoshError", {}),
        ("Hinge", {}),
        ("SquaredHinge", {}),
        ("CategoricalHinge", {}),
        ("CosineSimilarity", {}),
    ],
)
def test_losses_as_metrics(keras, name, arguments, shape, weighted):
    ours, theirs = getattr(metrics, name)(**arguments), getattr(keras.metrics, name)(**arguments)
    for seed, count in ((0, 3), (1, 1), (2, 5)):
        kind = "LogCosh" if name == "LogCoshError" else name
        y_true, y_pred = draw(kind, arguments.get("from_logits", False), (count, *shape), "float32", seed)
        weights = np.random.default_rng(seed).uniform(0, 2, count).astype("float32") if weighted else None
        ours.update_state(y_true, y_pred, weights)
        # Keras weighs the last of the axes by what is meant for the first.
        several = weights is not None and len(shape) > 1
        theirs.update_state(y_true, y_pred, weights[:, None] * np.ones(shape[0]) if several else weights)
        assert ours.result() == pytest.approx(float(theirs.result()), rel=1e-5)


@pytest.mark.parametrize("reduced", [0, 1])
def test_metric_functions(keras, reduced):
    def function(y_true, y_pred):
        values = abs(y_true - y_pred)
        return keras.ops.max(values) if reduced else values

    ours = metrics.get(lambda y_true, y_pred: np.asarray(function(y_true, y_pred)))
    theirs = keras.metrics.MeanMetricWrapper(function)
    for y_true, y_pred, _ in batches(False, (1,), 0):
        # Keras itself would take (batch,) beside (batch, 1) for a table.
        ours.update_state(y_true[:, 0], y_pred)
        theirs.update_state(y_true, y_pred)
        assert ours.result() == pytest.approx(float(theirs.result()), rel=1e-5)


@pytest.mark.parametrize(
    ("true_shape", "pred_shape", "weights_shape"),
    [
        ((4,), (4, 1), (4,)),
        ((4, 1), (4, 1), (4,)),
        ((4, 1), (4, 1), (4, 1)),
        ((4, 1), (4,), (4,)),
        ((4, 3), (4, 3), (4, 1)),
        ((4, 3), (4, 3), (4, 3)),
    ],
)
@pytest.mark.parametrize("name", ["Accuracy", "BinaryAccuracy", "RootMeanSquaredError"])
def test_shapes_of_metrics(keras, name, true_shape, pred_shape, weights_shape):
    rng = np.random.default_rng(5)
    y_true = rng.integers(0, 2, true_shape).astype("float32")
    y_pred, weights = rng.integers(0, 2, pred_shape).astype("float32"), rng.uniform(size=weights_shape)
    theirs = getattr(keras.metrics, name)()(y_true, y_pred, weights)
    assert getattr(metrics, name)()(y_true, y_pred, weights) == pytest.approx(float(theirs), rel=1e-6)


@pytest.mark.parametrize(("true_shape", "pred_shape"), [((4,), (4, 3)), ((4, 1), (4, 3)), ((4, 2, 1), (4, 2, 3))])
@pytest.mark.parametrize("name", ["SparseCategoricalAccuracy", "SparseTopKCategoricalAccuracy"])
def test_shapes_of_labels(keras, name, true_shape, pred_shape):
    rng = np.random.default_rng(6)
    y_true, y_pred = rng.integers(0, 3, true_shape), rng.normal(size=pred_shape).astype("float32")
    weights = rng.uniform(size=4)
    arguments = {"k": 2} if "TopK" in name else {}
    theirs = getattr(keras.metrics, name)(**arguments)(y_true, y_pred, weights)
    assert getattr(metrics, name)(**arguments)(y_true, y_pred, weights) == pytest.approx(float(theirs), rel=1e-6)


@pytest.mark.parametrize("identifier", ["accuracy", "acc", "mse", "MSE", "binary_accuracy", "RootMeanSquaredError"])
@pytest.mark.parametrize(
    ("loss", "true_shape", "pred_shape"),
    [
        ("binary_crossentropy", (4, 1), (4, 1)),
        ("binary_crossentropy", (4,), (4, 1)),
        ("binary_crossentropy", (4, 3), (4, 3)),
        ("categorical_crossentropy", (4, 3), (4, 3)),
        ("categorical_crossentropy", (4, 2, 3), (4, 2, 3)),
        ("sparse_categorical_crossentropy", (4,), (4, 3)),
        ("sparse_categorical_crossentropy", (4, 1), (4, 3)),
        ("sparse_categorical_crossentropy", (4, 2), (4, 2, 3)),
        ("mse", (4, 3), (4, 3)),
        ("mse", (4,), (4, 1)),
    ],
)
def test_names_in_compile(keras, identifier, loss, true_shape, pred_shape):
    from keras.src.trainers.compile_utils import get_metric

    theirs = get_metric(identifier, np.zeros(true_shape), np.zeros(pred_shape))
    ours = metrics.get(identifier, loss, (None, *pred_shape[1:]))
    assert (type(ours).__name__, ours.name) == (type(theirs).__name__, theirs.name)


# --- signatures and configs

CLASSES = [(losses, name) for name in losses._REGISTRY.classes] + [
    (metrics, name) for name in metrics._REGISTRY.classes
]


@pytest.mark.parametrize(("module", "name"), CLASSES)
def test_arguments_and_defaults(keras, module, name):
    def arguments(cls):
        # All is computed in float64 or in the dtype of the predictions; sorted labels are no predictions.
        left_out = ("dtype", "from_sorted_ids")
        return [(p.name, p.default) for p in inspect.signature(cls).parameters.values() if p.name not in left_out]

    theirs = getattr(getattr(keras, module.__name__.rpartition(".")[2]), name)
    assert arguments(getattr(module, name)) == arguments(theirs)


@pytest.mark.parametrize(("module", "name"), CLASSES)
def test_configs_cross_over(keras, module, name):
    family = getattr(keras, module.__name__.rpartition(".")[2])
    needed = {"num_classes": 3} if name.endswith("IoU") else {}
    needed |= {"target_class_ids": [0, 2]} if name == "IoU" else {}
    theirs, ours = getattr(family, name)(name="other", **needed), getattr(module, name)(name="other", **needed)
    assert module.get(family.serialize(theirs)) == ours
    again = family.get(module.serialize(ours))
    assert (type(again), again.name) == (type(theirs), "other")


@pytest.mark.parametrize("module", [losses, metrics])
def test_names_cross_over(keras, module):
    family = getattr(keras, module.__name__.rpartition(".")[2])
    for name, cls in module._REGISTRY.names.items():
        if cls in (metrics.IoU, metrics.MeanIoU) or name == "fbeta_score":
            # Keras makes no areas by name either, for want of the classes; it writes f_beta_score.
            continue
        if name in ("kullback_leibler_divergence", "logcosh", "kldivergence"):
            # The first two are of Keras 2, and asked for still; the third is the class's name like any other's.
            continue
        found = family.get(name)
        kind = found.__name__ if inspect.isfunction(found) else found.name
        # The function is called huber, its class's objects huber_loss.
        own = re.sub(r"_\d+$", "", cls().name)
        assert re.sub(r"_\d+$", "", kind) in (own, own.removesuffix("_loss"))
