"""Losses and metrics beside Keras 3, gradients beside TensorFlow's and PyTorch's."""

import inspect
import os
import re
import warnings

import numpy as np
import pytest

import numbaconv
from numbaconv import activations, losses, metrics


@pytest.fixture(scope="module")
def keras():
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("tensorflow")
        return pytest.importorskip("keras")


def keras_loss(keras, name, dtype, y_true, y_pred, sample_weight=None, **arguments):
    """Keras's value, and TensorFlow's gradient by the predictions."""
    import tensorflow as tf

    loss = getattr(keras.losses, name)(dtype=dtype, **arguments)
    y_pred = tf.constant(y_pred)
    with tf.GradientTape() as tape:
        tape.watch(y_pred)
        value = loss(y_true, y_pred, sample_weight=sample_weight)
    return float(value), np.asarray(tape.gradient(value, y_pred))


def draw(name, from_logits, shape, dtype, seed=0):
    """Targets and predictions of one kind and shape."""
    rng = np.random.default_rng(seed)
    y_pred = rng.normal(0, 3, shape)
    if name == "BinaryCrossentropy":
        y_true = rng.integers(0, 2, shape)
        y_pred = y_pred if from_logits else activations.sigmoid(y_pred)
    elif name == "CategoricalCrossentropy":
        y_true = np.eye(shape[-1])[rng.integers(0, shape[-1], shape[:-1])]
        y_pred = y_pred if from_logits else activations.softmax(y_pred) * 3
    elif name == "SparseCategoricalCrossentropy":
        y_true = rng.integers(0, shape[-1], shape[:-1])
        y_pred = y_pred if from_logits else activations.softmax(y_pred) * 0.9
    elif name in ("Hinge", "SquaredHinge"):
        # Keras takes zeros for -1 where there is nothing but zeros and ones.
        y_true = rng.integers(0, 2, shape) * (2 - seed % 2) - (1 - seed % 2)
    elif name == "CategoricalHinge":
        y_true = np.eye(shape[-1])[rng.integers(0, shape[-1], shape[:-1])]
    elif name in ("KLDivergence", "Dice"):
        y_true, y_pred = rng.uniform(size=shape), activations.sigmoid(y_pred)
    else:
        y_true = rng.normal(size=shape)
    return y_true.astype("int32" if y_true.dtype.kind == "i" else dtype), y_pred.astype(dtype)


LOSSES = [
    ("MeanSquaredError", {}),
    ("MeanAbsoluteError", {}),
    ("BinaryCrossentropy", {}),
    ("BinaryCrossentropy", {"label_smoothing": 0.3}),
    ("BinaryCrossentropy", {"from_logits": True}),
    ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.3}),
    ("CategoricalCrossentropy", {}),
    ("CategoricalCrossentropy", {"label_smoothing": 0.3}),
    ("CategoricalCrossentropy", {"from_logits": True}),
    ("CategoricalCrossentropy", {"from_logits": True, "label_smoothing": 0.3}),
    ("SparseCategoricalCrossentropy", {}),
    ("SparseCategoricalCrossentropy", {"ignore_class": 1}),
    ("SparseCategoricalCrossentropy", {"from_logits": True}),
    ("SparseCategoricalCrossentropy", {"from_logits": True, "ignore_class": 1}),
    ("Huber", {}),
    ("Huber", {"delta": 2.5}),
    ("LogCosh", {}),
    ("KLDivergence", {}),
    ("CosineSimilarity", {}),
    ("Hinge", {}),
    ("SquaredHinge", {}),
    ("CategoricalHinge", {}),
]


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "mean", "sum", "mean_with_sample_weight"])
@pytest.mark.parametrize("shape", [(6, 4), (3, 2, 5)])
@pytest.mark.parametrize(("name", "arguments"), LOSSES)
def test_loss_and_gradient(keras, name, arguments, shape, reduction):
    # Keras takes log(2) from float32.
    for dtype, rtol in [("float32", 2e-5), ("float64", 1e-8 if name == "LogCosh" else 1e-10)]:
        y_true, y_pred = draw(name, arguments.get("from_logits", False), shape, dtype, seed=len(shape))
        rng = np.random.default_rng(1)
        for sample_weight in (None, rng.uniform(-1, 3, shape[:-1]).astype(dtype)):
            ours = getattr(losses, name)(reduction=reduction, **arguments)
            value, gradient = ours.value_and_gradient(y_true, y_pred, sample_weight)
            expected, slopes = keras_loss(
                keras, name, dtype, y_true, y_pred, sample_weight, reduction=reduction, **arguments
            )
            assert value == pytest.approx(expected, rel=rtol, abs=rtol)
            np.testing.assert_allclose(gradient, slopes, rtol=rtol * 10, atol=rtol * np.abs(slopes).max())


@pytest.mark.parametrize(
    ("name", "y_true", "y_pred"),
    [
        ("MeanAbsoluteError", [[1, 2]], [[1, 3]]),
        ("BinaryCrossentropy", [[0.3] * 6], [[0, 1, 1e-7, 1 - 1e-7, -1, 2]]),
        ("BinaryCrossentropy", [[1, 0, 1, 0]], [[0, 1, 1, 0]]),
        ("CategoricalCrossentropy", [[0, 1, 0], [1, 0, 0]], [[0, 0.3, 0.9], [0, 0.3, 0.9]]),
        ("CategoricalCrossentropy", [[0.2, 0.8], [1, 0]], [[0, 1], [-1, 3]]),
        ("SparseCategoricalCrossentropy", [1, 0], [[0.2, 0.5, 0.5], [0, 0.3, 0.9]]),
        ("SparseCategoricalCrossentropy", [1, 0], [[1, 0], [1.5, -1]]),
        ("Huber", [[0, 0, 0]], [[1, -1, 0]]),
        ("Hinge", [[-1, 1, 1]], [[-1, 1, 0]]),
        ("Hinge", [[0, 1, 1]], [[-1, 1, 0]]),
        ("Hinge", [[0, 1, -1]], [[-1, 0.5, 0]]),
        ("SquaredHinge", [[0, 0, 1]], [[-1, 0.5, 1]]),
        ("CategoricalHinge", [[0, 1, 0]], [[1, 2, 0.5]]),
        ("CategoricalHinge", [[0, 1, 0]], [[-1, -0.5, -2]]),
        ("KLDivergence", [[0, 1, 0.5]], [[0, 0.5, 2]]),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_edges_of_probabilities(keras, name, y_true, y_pred, dtype):
    y_pred = np.array(y_pred, dtype)
    y_true = np.array(y_true, "int32" if name.startswith("Sparse") else dtype)
    value, gradient = getattr(losses, name)().value_and_gradient(y_true, y_pred)
    expected, slopes = keras_loss(keras, name, dtype, y_true, y_pred)
    assert value == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(gradient, slopes, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("true_shape", "pred_shape"), [((4,), (4, 1)), ((4, 1), (4,)), ((4, 1), (4, 1))])
@pytest.mark.parametrize("name", ["MeanSquaredError", "MeanAbsoluteError", "BinaryCrossentropy"])
def test_lenient_shapes(keras, name, true_shape, pred_shape):
    y_true, y_pred = (part.reshape(-1) for part in draw(name, False, (4, 1), "float64"))
    weights = np.array([1, 2, 3, 4.0])
    arguments = y_true.reshape(true_shape), y_pred.reshape(pred_shape), weights
    value, gradient = getattr(losses, name)().value_and_gradient(*arguments)
    expected, slopes = keras_loss(keras, name, "float64", *arguments)
    assert value == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(gradient, slopes, rtol=1e-10)


@pytest.mark.parametrize("smoothing", [0, 0.2])
def test_channels_first(keras, smoothing):
    rng = np.random.default_rng(2)
    y_pred = rng.normal(size=(2, 3, 4, 3))
    y_true = np.moveaxis(np.eye(3)[rng.integers(0, 3, (2, 4, 3))], -1, 1)
    arguments = {"from_logits": True, "axis": 1, "label_smoothing": smoothing}
    for name in ("BinaryCrossentropy", "CategoricalCrossentropy"):
        value, gradient = getattr(losses, name)(**arguments).value_and_gradient(y_true, y_pred)
        expected, slopes = keras_loss(keras, name, "float64", y_true, y_pred, **arguments)
        assert value == pytest.approx(expected, rel=1e-12)
        np.testing.assert_allclose(gradient, slopes, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("axis", [None, 1, (1, 2), (0, 2), (-1,)])
@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum"])
def test_dice(keras, axis, reduction):
    y_true, y_pred = draw("Dice", False, (4, 3, 2), "float64")
    # Keras takes a tuple or None.
    settings = {"reduction": reduction, "axis": (axis,) if axis == 1 else axis}
    for weights in (None, np.arange(4.0)) if axis in (1, (1, 2)) else (None,):
        if weights is not None and axis == 1:
            weights = weights[:, None] * [1, 2]
        value, gradient = losses.Dice(reduction, axis=axis).value_and_gradient(y_true, y_pred, weights)
        expected, slopes = keras_loss(keras, "Dice", "float64", y_true, y_pred, weights, **settings)
        assert value == pytest.approx(expected, rel=1e-10)
        np.testing.assert_allclose(gradient, slopes, rtol=1e-9, atol=1e-12)


def test_cosine_similarity_on_another_axis(keras):
    y_true, y_pred = draw("CosineSimilarity", False, (4, 3, 2), "float64")
    value, gradient = losses.CosineSimilarity(axis=1).value_and_gradient(y_true, y_pred)
    expected, slopes = keras_loss(keras, "CosineSimilarity", "float64", y_true, y_pred, axis=1)
    assert value == pytest.approx(expected, rel=1e-10)
    np.testing.assert_allclose(gradient, slopes, rtol=1e-9)


@pytest.mark.parametrize(("true_shape", "pred_shape"), [((4,), (4, 1)), ((4, 3), (4, 3)), ((4, 3, 1), (4, 3))])
@pytest.mark.parametrize("reduced", [0, 1, 2])
def test_functions(keras, true_shape, pred_shape, reduced):
    def errors(y_true, y_pred):
        values = (y_true - y_pred) ** 2
        return [lambda: values, lambda: keras.ops.mean(values, -1), lambda: keras.ops.mean(values)][reduced]()

    rng = np.random.default_rng(3)
    y_true, y_pred = rng.normal(size=true_shape), rng.normal(size=pred_shape)
    wrapped = keras.src.losses.losses.LossFunctionWrapper(errors, dtype="float64")
    ours = losses.get(lambda y_true, y_pred: np.asarray(errors(y_true, y_pred)))
    assert ours(y_true, y_pred) == pytest.approx(float(wrapped(y_true, y_pred)), rel=1e-12)


@pytest.mark.parametrize("smoothing", [0, 0.2])
def test_targets_of_any_sum_beside_torch(smoothing):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    y_true, y_pred = rng.uniform(0, 2, (5, 4)), rng.normal(size=(5, 4))
    # PyTorch smooths with classes, and so does Keras: 0.2 / 4 for each.
    logits = torch.tensor(y_pred, requires_grad=True)
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor(y_true), label_smoothing=smoothing)
    expected.backward()
    value, gradient = losses.CategoricalCrossentropy(True, smoothing).value_and_gradient(y_true, y_pred)
    assert value == pytest.approx(float(expected.detach()), rel=1e-12)
    np.testing.assert_allclose(gradient, logits.grad.numpy(), rtol=1e-10)


# --- metrics


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
