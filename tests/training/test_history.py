"""The record of a training, and its drawing."""

import re
import sys

import numpy as np
import pytest
from training_cases import classes, classifier, scripted

from numbaconv.history import History


def recorded(epochs=6, frequency=2, extra=()):
    """The history of a classifier with validation after every other epoch."""
    x, y = classes(40)
    return classifier().fit(
        x,
        y,
        epochs=epochs,
        validation_split=0.25,
        validation_freq=frequency,
        callbacks=[scripted(values, name) for name, values in dict(extra).items()],
        verbose=0,
        seed=0,
    )


@pytest.fixture
def pyplot():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    yield pyplot
    pyplot.close("all")


def test_what_is_recorded():
    history = recorded(extra={"q": [1, 2, 3, 4, 5, 6]})
    assert list(history.history) == ["loss", "accuracy", "q", "val_loss", "val_accuracy"]
    assert [len(values) for values in history.history.values()] == [6, 6, 6, 3, 3]
    assert history.epoch == [0, 1, 2, 3, 4, 5]
    assert not history.interrupted
    assert History().history == {}


def test_a_panel_for_each_quantity(pyplot):
    history = recorded(extra={"learning_rate": [1, 1, 1, 0.5, 0.5, 0.5], "val_score": [1, 2, np.nan, 4, 5, np.inf]})
    figure = history.plot()
    assert [panel.get_title(loc="left") for panel in figure.axes] == ["loss", "accuracy", "learning rate", "val score"]
    for panel, name in zip(figure.axes, ("loss", "accuracy", "learning_rate", "val_score"), strict=True):
        training, *validation = panel.lines
        assert training.get_xdata().tolist() == [1, 2, 3, 4, 5, 6]
        np.testing.assert_array_equal(training.get_ydata(), history.history[name])
        assert len(validation) == (name in ("loss", "accuracy"))
        labels = list(panel.texts)
        assert sorted(label.get_text() for label in labels) == ["training", "validation"] * len(validation)
        for line in validation:
            assert line.get_xdata().tolist() == [2, 4, 6]
            np.testing.assert_array_equal(line.get_ydata(), history.history[f"val_{name}"])
            # Each label stands at the end of its line, in its colour.
            named = {label.get_text(): label for label in labels}
            for curve, text in ((training, "training"), (line, "validation")):
                assert named[text].xy == (6, curve.get_ydata()[-1])
                assert named[text].get_color() == curve.get_color()


@pytest.mark.parametrize("swapped", [False, True])
def test_labels_of_curves_that_end_together_stand_apart(pyplot, swapped):
    history = History()
    ends = (0.5, 0.5001) if swapped else (0.5001, 0.5)
    history.on_epoch_end(0, {"loss": 2.0, "val_loss": 3.0})
    history.on_epoch_end(1, {"loss": ends[0], "val_loss": ends[1]})
    figure = history.plot()
    figure.canvas.draw()
    boxes = {text.get_text(): text.get_window_extent() for text in figure.axes[0].texts}
    upper, lower = ("validation", "training") if swapped else ("training", "validation")
    assert boxes[upper].y0 >= boxes[lower].y1
    assert all(box.x1 <= figure.bbox.x1 for box in boxes.values())


def test_a_curve_that_becomes_infinite(pyplot):
    history = History()
    for epoch, loss in enumerate([2.0, 1.0, np.inf, np.nan]):
        history.on_epoch_end(epoch, {"loss": loss, "val_loss": np.nan})
    (panel,) = history.plot().axes
    (label,) = panel.texts
    assert label.xy == (2, 1.0)


def test_a_file(pyplot, tmp_path):
    for suffix in ("png", "svg"):
        path = tmp_path / f"curves.{suffix}"
        recorded().plot(path)
        assert path.read_bytes()[:5] in (b"\x89PNG\r", b"<?xml")
    assert pyplot.get_fignums() == []


def test_axes_of_the_users(pyplot, tmp_path):
    figure, panels = pyplot.subplots(2)
    history = recorded()
    assert history.plot(tmp_path / "curves.png", ax=panels) is figure
    assert [len(panel.lines) for panel in panels] == [2, 2]
    assert pyplot.get_fignums() == [figure.number]
    with pytest.raises(ValueError, match="ax must hold 2 Axes, for loss, accuracy, got 1"):
        history.plot(ax=panels[0])


def test_nothing_to_draw(pyplot):
    with pytest.raises(ValueError, match="plot needs at least one epoch in the history, got none"):
        History().plot()


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match="plot draws with Matplotlib"):
        recorded().plot()


def test_a_notebook_shows_a_table():
    history = History()
    for epoch in range(25):
        validation = {"val_loss": np.float32(1 / 3)} if epoch % 2 else {}
        history.on_epoch_end(epoch, {"loss": 0.125, **validation, "<b>": [1.0, epoch], "note": "<i>"})
    html = history._repr_html_()
    cells = [re.findall(r">([^<>]*)</t[hd]>", row) for row in html.split("<tr>")[1:]]
    assert cells[0] == ["epoch", "loss", "&lt;b&gt;", "note", "val_loss"]
    assert cells[1] == ["1", "0.125", "1, 0", "&lt;i&gt;", ""]
    assert cells[2] == ["2", "0.125", "1, 1", "&lt;i&gt;", "0.3333"]
    assert [row[0] for row in cells[10:13]] == ["10", "...", "16"]
    assert cells[-1][0] == "25"
    history.interrupted = True
    assert "interrupted" in history._repr_html_()
    assert "<tbody>\n</tbody>" in History()._repr_html_()
