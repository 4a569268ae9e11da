"""Losses beside Keras 3, their gradients beside TensorFlow's and PyTorch's."""

import numpy as np
import pytest
from loss_cases import draw

from numbaconv import losses


def keras_loss(keras, name, dtype, y_true, y_pred, sample_weight=None, **arguments):
    """Keras's value, and TensorFlow's gradient by the predictions."""
    import tensorflow as tf

    loss = getattr(keras.losses, name)(dtype=dtype, **arguments)
    y_pred = tf.constant(y_pred)
    with tf.GradientTape() as tape:
        tape.watch(y_pred)
        value = loss(y_true, y_pred, sample_weight=sample_weight)
    return float(value), np.asarray(tape.gradient(value, y_pred))


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
