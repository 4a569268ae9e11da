"""Metrics that count decisions or positions over batches, functions as metrics, and both in training."""

import json
import math
import re

import numpy as np
import pytest
from training_cases import classes

from numbaconv import losses, metrics
from numbaconv.callbacks import CSVLogger, EarlyStopping, ModelCheckpoint, ReduceLROnPlateau
from numbaconv.layers import Dense
from numbaconv.metrics import AUC, F1Score, FBetaScore, IoU, MeanIoU, Metric, Precision, Recall
from numbaconv.models import Sequential

NAN = math.nan
Y, P = [0, 1, 1, 0, 1], [0.2, 0.9, 0.4, 0.6, 0.7]
Y3 = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1]]
P3 = [[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.1, 0.1, 0.8], [0.2, 0.5, 0.3]]
EVERY = [
    lambda **k: Precision(**k),
    lambda **k: Precision([0.25, 0.75], **k),
    lambda **k: Recall(top_k=1, class_id=1, **k),
    lambda **k: AUC(**k),
    lambda **k: AUC(3, "PR", "majoring", **k),
    lambda **k: AUC(thresholds=[0.5, 0.1], multi_label=True, num_labels=3, label_weights=[1, 0, 2], **k),
    lambda **k: FBetaScore("weighted", 2.0, **k),
    lambda **k: F1Score(threshold=0.5, **k),
    lambda **k: IoU(3, [0, 2], sparse_y_true=False, sparse_y_pred=False, **k),
    lambda **k: MeanIoU(3, sparse_y_true=False, sparse_y_pred=False, **k),
]
every_metric = pytest.mark.parametrize("make", EVERY, ids=lambda make: type(make()).__name__)


@pytest.mark.parametrize(
    ("metric", "y_true", "y_pred", "sample_weight", "expected"),
    [
        (Precision(), Y, P, None, 2 / 3),
        (Precision(), Y, P, [1, 1, 1, 4, 1], 1 / 3),
        (Precision(0.9), Y, P, None, 0),
        (Precision(thresholds=[0.5, 0.1, 0.95]), Y, P, None, [2 / 3, 3 / 5, 0]),
        (Precision([0.5]), Y, P, None, 2 / 3),
        (Precision(), [0, 1], [NAN, 0.9], None, 1),
        (Precision(0.1), [0, 1], np.array([0.1, 0.2], "float32"), None, 1),
        (Precision(class_id=1), Y3, P3, None, 0),
        (Precision(top_k=1), Y3, P3, None, 2 / 4),
        (Precision(top_k=2), Y3, P3, None, 4 / 8),
        (Precision(0.4, top_k=2, class_id=2), Y3, P3, None, 1),
        (Recall(), Y, P, None, 2 / 3),
        (Recall(), [[0], [1]], [0.2, 0.9], [3, 2], 1),
        (Recall([0.3, 0.8]), Y, P, [1, 3, 1, 1, 1], [1, 3 / 5]),
        (Recall(top_k=1), Y3, P3, None, 2 / 4),
        (Recall(class_id=2), Y3, P3, [1, 1, 3, 1], 3 / 4),
        (Recall(), [0, 0], [0.2, 0.9], None, 0),
        (AUC(), Y, P, None, 5 / 6),
        (AUC(), Y, P, [1, 1, 0, 1, 1], 1),
        (AUC(num_thresholds=3), [0, 0, 1, 1], [0, 0.5, 0.3, 0.9], None, 0.75),
        (AUC(3, summation_method="minoring"), [0, 0, 1, 1], [0, 0.5, 0.3, 0.9], None, 0.5),
        (AUC(3, summation_method="majoring"), [0, 0, 1, 1], [0, 0.5, 0.3, 0.9], None, 1),
        (AUC(thresholds=[0.5]), [0, 0, 1, 1], [0, 0.5, 0.3, 0.9], None, 0.75),
        (AUC(from_logits=True), Y, np.log(P) - np.log1p(-np.array(P)), None, 5 / 6),
        (AUC(curve="PR", summation_method="minoring"), Y, P, None, 5 / 9),
        (AUC(multi_label=True), [[0, 1], [1, 0]], [[0.2, 0.1], [0.8, 0.9]], None, 0.5),
        (AUC(multi_label=True, label_weights=[3, 1]), [[0, 1], [1, 0]], [[0.2, 0.1], [0.8, 0.9]], None, 0.75),
        (AUC(), [1, 1], [0.2, 0.9], None, 0),
        (F1Score(), Y3, P3, None, [2 / 3, 0, 2 / 3]),
        (F1Score("macro"), Y3, P3, None, 4 / 9),
        (F1Score("micro"), Y3, P3, None, 1 / 2),
        (F1Score("weighted"), Y3, P3, None, (2 / 3 + 2 * 2 / 3) / 4),
        (F1Score("micro", 0.25), Y3, P3, None, 2 * 4 / (6 + 4)),
        (F1Score("micro"), Y3, P3, [1, 0, 1, 0], 1),
        (F1Score("micro"), [[1, 0]], [[0, 0]], None, 0),
        (FBetaScore("micro", 2.0, 0.25), Y3, P3, None, 5 * 4 / (6 + 4 * 4)),
        (MeanIoU(2), [0, 0, 1, 1], [0, 1, 0, 1], None, 1 / 3),
        (MeanIoU(2), [0, 0, 1, 1], [0, 1, 0, 1], [0.3, 0.3, 0.3, 0.1], (3 / 9 + 1 / 7) / 2),
        (MeanIoU(5), [[0, 0], [1, 1]], np.array([[[0], [1]], [[0], [1]]], float), None, 1 / 3),
        (MeanIoU(2, ignore_class=255), [0, 255, 1, 1], [0, 1, 0, 1], None, (1 / 2 + 1 / 2) / 2),
        (MeanIoU(3, sparse_y_true=False, sparse_y_pred=False), Y3, P3, None, (1 / 2 + 0 + 1 / 2) / 3),
        (MeanIoU(3, sparse_y_pred=False), [0, 1, 2, 2], P3, None, (1 / 2 + 0 + 1 / 2) / 3),
        (MeanIoU(3, sparse_y_pred=False, axis=1), [[0, 1, 2, 2]], np.transpose(P3)[None], None, 1 / 3),
        (IoU(3, [0]), [0, 1, 2, 2], [0, 0, 2, 1], None, 1 / 2),
    ],
)
def test_metric_by_hand(metric, y_true, y_pred, sample_weight, expected):
    metric.reset_state()
    y_true, y_pred = np.array(y_true), np.array(y_pred)
    before = y_true.copy(), y_pred.copy()
    metric.update_state(y_true, y_pred, sample_weight)
    assert np.shape(metric.result()) == np.shape(expected)
    assert type(metric.result()) is (float if np.ndim(expected) == 0 else np.ndarray)
    np.testing.assert_allclose(metric.result(), expected, rtol=1e-12)
    np.testing.assert_array_equal(y_true, before[0])
    np.testing.assert_array_equal(y_pred, before[1])


def draw(count, seed):
    rng = np.random.default_rng(seed)
    return np.eye(3)[rng.integers(0, 3, count)], rng.integers(0, 6, (count, 3)) / 5, rng.integers(0, 4, count)


@every_metric
def test_batches_come_to_what_they_are_together(make):
    parts = [draw(count, count) for count in (4, 1, 7)]
    whole = make()
    whole.update_state(*(np.concatenate(part) for part in zip(*parts, strict=True)))
    metric = make()
    for part in parts:
        result = metric(*part)
    np.testing.assert_allclose(result, whole.result(), rtol=1e-12)
    # An empty batch changes nothing, and a refused one neither.
    np.testing.assert_array_equal(metric(np.zeros((0, 3)), np.zeros((0, 3))), result)
    with pytest.raises(ValueError, match="sample_weight must be finite"):
        metric.update_state(Y3, P3, [1, 1, NAN, 1])
    np.testing.assert_array_equal(metric.result(), result)
    metric.reset_state()
    assert np.all(metric.result() == make().result())
    assert np.all(metric.result() == 0)
    np.testing.assert_array_equal(metric(*parts[0]), make()(*parts[0]))


def test_many_thresholds_are_what_one_by_one_gives():
    y_true, y_pred, _ = draw(50, 0)
    thresholds = [0.4, 0.0, 1.0, 0.2, 0.4]
    for cls in (Precision, Recall):
        expected = [cls(threshold)(y_true, y_pred) for threshold in thresholds]
        np.testing.assert_array_equal(cls(thresholds)(y_true, y_pred), expected)


# --- names and configurations


def test_names():
    for cls, stem in ((Precision, "precision"), (Recall, "recall"), (AUC, "auc")):
        assert metrics.get(stem) == cls(name=stem)
        assert metrics.get(cls.__name__) == cls(name=cls.__name__)
        first, second = cls().name, cls().name
        number = 0 if first == stem else int(first.removeprefix(f"{stem}_"))
        assert second == f"{stem}_{number + 1}"
    assert MeanIoU(2).name.startswith("mean_io_u")
    assert metrics.get("f1_score") == F1Score()
    assert metrics.get("f_beta_score") == FBetaScore(name="f_beta_score")
    assert metrics.get({"class_name": "mean_io_u", "config": {"num_classes": 2, "name": "m"}}) == MeanIoU(2, "m")


@every_metric
def test_config_round_trip(make):
    metric = make(name="n")
    serialized = metrics.serialize(metric)
    assert json.loads(json.dumps(serialized)) == serialized
    again = metrics.get(serialized)
    assert again == metric
    assert eval(repr(metric), vars(metrics)) == metric
    y_true, y_pred, weights = draw(9, 3)
    np.testing.assert_array_equal(again(y_true, y_pred, weights), metric(y_true, y_pred, weights))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Precision(1.5), ValueError, "thresholds must be a finite number >= 0 and <= 1, got 1.5"),
        (lambda: Precision([]), ValueError, "thresholds must hold at least one number, got none"),
        (lambda: Precision([0.5, "a"]), TypeError, "thresholds must be a finite number .*, got 'a'"),
        (lambda: Recall(top_k=0), ValueError, "top_k must be at least 1, got 0"),
        (lambda: Recall(class_id=3)(Y3, P3), ValueError, r"class_id must be a class of y_pred, .*\(4, 3\), got 3"),
        (lambda: Recall(class_id=0)(Y, P), ValueError, r"class_id must be a class of y_pred, shape \(5,\), got 0"),
        (lambda: Precision()([0, 1, 2, 2], P3), ValueError, r"y_true must have the shape of y_pred, \(4, 3\)"),
        (lambda: AUC(1), ValueError, "num_thresholds must be at least 2, got 1"),
        (lambda: AUC(curve="prc"), ValueError, "curve must be one of ROC, PR, got 'PRC'"),
        (lambda: AUC(summation_method="sum"), ValueError, "summation_method must be one of interpolation, .*'sum'"),
        (lambda: AUC(num_labels=3), ValueError, "num_labels must come with multi_label=True, got 3 alone"),
        (lambda: AUC(label_weights=[-1]), ValueError, "label_weights must be a finite number >= 0, got -1"),
        (lambda: AUC()(Y, [3, 1, 0, 0, 0]), ValueError, r"from 0 to 1, got 3\.0; AUC\(from_logits=True\) takes logits"),
        (lambda: AUC(multi_label=True)(Y, P), ValueError, r"shape \(batch, labels\) with multi_label, got \(5,\)"),
        (lambda: AUC(multi_label=True, num_labels=2)(Y3, P3), ValueError, r"shape \(batch, 2\) .*, got \(4, 3\)"),
        (lambda: AUC(label_weights=[1])(Y3, P3), ValueError, r"label_weights must be one for each label .*\(4, 3\)"),
        (lambda: F1Score("mean"), ValueError, "average must be None, 'micro', 'macro' or 'weighted', got 'mean'"),
        (lambda: F1Score(threshold=0), ValueError, "threshold must be a finite number > 0 and <= 1|<= 1 and > 0"),
        (lambda: FBetaScore(beta=-1), ValueError, "beta must be a finite number > 0, got -1"),
        (lambda: F1Score()(Y, P), ValueError, r"y_pred must have shape \(batch, classes\), got \(5,\)"),
        (lambda: MeanIoU(0), ValueError, "num_classes must be at least 1, got 0"),
        (lambda: IoU(2, [2]), ValueError, r"target_class_ids must hold classes from 0 to 1, got \[2\]"),
        (lambda: MeanIoU(2)([0, 2], [0, 1]), ValueError, "y_true must hold classes from 0 to 1, got 2; ignore_class"),
        (lambda: MeanIoU(2)([0, 1], [0, -1]), ValueError, "y_pred must hold classes from 0 to 1, got -1"),
        (lambda: MeanIoU(2)([0, 1], [0.2, 1]), ValueError, r"got 0\.2; sparse_y_pred=False takes values for each"),
        (lambda: MeanIoU(2, sparse_y_pred=False)([0], P3), ValueError, r"y_pred must have 2 classes on axis -1, got"),
    ],
)
def test_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("metric", [F1Score(), AUC(multi_label=True)])
def test_another_number_of_classes_is_refused(metric):
    metric.update_state(Y3, P3)
    with pytest.raises(ValueError, match=r"y_pred must have 3 (classes|labels) as before, got 2"):
        metric.update_state([[1, 0]], [[0.5, 0.5]])


# --- functions


def test_functions_are_averaged_by_example_or_by_batch():
    def each(y_true, y_pred):
        return np.abs(y_true - y_pred)

    def worst(y_true, y_pred):
        return np.abs(y_true - y_pred).max()

    first, second = metrics.get(each), metrics.get(worst)
    for metric in (first, second):
        metric.update_state([0, 0, 0], np.array([[1.0], [2.0], [3.0]]))
        metric.update_state([0], np.array([[10.0]]))
    assert (first.name, first.result()) == ("each", 4)
    assert (second.name, second.result()) == ("worst", 6.5)
    metric = metrics.get(losses.Dice(name="overlap"))
    assert (metric.name, metric.direction, first.direction) == ("overlap", "down", None)
    assert metric([1, 0], [1, 0]) == pytest.approx(0, abs=1e-6)
    with pytest.raises(ValueError, match=r"the value of <lambda> must have the first axes of y_pred, \(2,\), got \(3,"):
        metrics.get(lambda y_true, y_pred: np.ones(3))([1, 0], [1, 0])
    with pytest.raises(TypeError, match=r"metric must be one of Accuracy, .* to be put in a config, got .*each"):
        metrics.serialize(first)


# --- in training


class Largest(Metric):
    """The largest prediction of all batches: a metric of one's own, as for Keras."""

    direction = "up"

    def __init__(self, name="largest"):
        super().__init__(name)

    def reset_state(self):
        self.largest = -math.inf

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.largest = max(self.largest, float(np.max(y_pred)))

    def result(self):
        return self.largest


def test_counts_in_fit_evaluate_and_history(capsys, tmp_path):
    x, y = classes(30)
    own = [Precision(class_id=1, thresholds=[0.1, 0.9], name="p"), F1Score(name="f1"), Largest(), "auc"]
    targets = np.eye(2)[y]
    model = Sequential([Dense(2, "softmax", weights=[[[0.0, 2.0], [0.0, 0.5]], [0.0, 0.0]])], name="m")
    model.compile("sgd", "categorical_crossentropy", [*own, lambda y_true, y_pred: y_pred[:, 0]])
    path = tmp_path / "log.csv"
    history = model.fit(
        x, targets, 8, 2, verbose=2, validation_data=(x[:7], targets[:7]), shuffle=False, callbacks=CSVLogger(path)
    ).history
    assert list(history)[:6] == ["loss", "p", "f1", "largest", "auc", "<lambda>"]
    assert [np.shape(history[name]) for name in ("p", "f1", "auc", "val_p")] == [(2, 2), (2, 2), (2,), (2, 2)]
    assert re.search(r" f1: \[0\.\d+, 0\.\d+\], largest: 0\.", capsys.readouterr().out)
    assert path.read_text().count("\n") == 3
    out = model.predict(x[:7], verbose=0)
    results = model.evaluate(x[:7], targets[:7], batch_size=3, verbose=0, return_dict=True)
    for metric in own[:3]:
        metric.reset_state()
        np.testing.assert_allclose(results[metric.name], metric(targets[:7], out))
        np.testing.assert_allclose(history[f"val_{metric.name}"][-1], results[metric.name])
    assert results["auc"] == AUC()(targets[:7], out)
    assert results["<lambda>"] == pytest.approx(out[:, 0].mean())


@pytest.mark.parametrize("metric", ["auc", "precision", Recall(name="r"), F1Score("macro", name="f"), Largest()])
def test_callbacks_know_that_more_is_better(metric, tmp_path):
    name = metric if isinstance(metric, str) else metric.name
    # A metric of the user's cannot be saved.
    own = isinstance(metric, Largest)
    checkpoint = ReduceLROnPlateau(name) if own else ModelCheckpoint(tmp_path / "best.npz", name, save_best_only=True)
    stopping = EarlyStopping(name)
    x, y = classes(8)
    model = Sequential([Dense(2, "softmax")], name="m")
    model.compile("sgd", "categorical_crossentropy", [metric])
    model.fit(x, np.eye(2)[y], epochs=2, verbose=0, callbacks=[checkpoint, stopping])
    assert checkpoint._rises()
    assert stopping._rises()


def test_a_loss_as_a_metric_falls():
    x, y = classes(8)
    model = Sequential([Dense(2, "softmax")], name="m")
    model.compile("sgd", "categorical_crossentropy", [losses.Dice(axis=-1), "mse"])
    for name in ("dice", "mse"):
        stopping = EarlyStopping(name)
        model.fit(x, np.eye(2)[y], verbose=0, callbacks=stopping)
        assert not stopping._rises()
    stopping = EarlyStopping("mine")
    model.compile("sgd", "categorical_crossentropy", [F1Score(name="mine")])
    with pytest.raises(ValueError, match=r"must be a single number, got 'mine', of which F1Score"):
        model.fit(x, np.eye(2)[y], verbose=0, callbacks=stopping)


def test_saved_models_keep_their_metrics(tmp_path):
    model = Sequential([Dense(2, "softmax", input_shape=(3,))], name="m")
    chosen = [Precision(0.25, name="p"), AUC(curve="PR", name="a"), MeanIoU(2, "i", sparse_y_true=False)]
    model.compile("sgd", losses.Huber(2.0), chosen)
    model.build((None, 3))
    model.save(tmp_path / "m.npz")
    again = Sequential.load(tmp_path / "m.npz")
    assert again.loss == model.loss
    assert [one.metric for one in again._asked] == chosen


def test_a_number_of_classes_without_end_takes_no_memory():
    metric = MeanIoU(10**12)
    assert metric.get_config()["num_classes"] == 10**12
