"""Pictures of networks: every layer in a box, below what feeds it, and no box on another one."""

import re
import xml.etree.ElementTree as ET
from itertools import combinations

import pytest

from numbaconv.layers import Add, Concatenate, Conv2D, Dense, Flatten, Input
from numbaconv.models import Model, Sequential
from numbaconv.models.drawing import picture_of
from numbaconv.utils import plot_model

SVG = "{http://www.w3.org/2000/svg}"


def network():
    x = y = Input((8, 8, 3), name="x")
    for i in range(4):
        y = Add(name=f"add{i}")([y, Conv2D(3, 3, padding="same", name=f"conv{i}")(y)])
    inner = Sequential([Dense(2), Dense(3)], name="<inner>")
    flat = Flatten(name="flat")(Concatenate(name="all")([x, y]))
    return Model(x, [inner(flat), Dense(1, name="one")(flat)])


def test_boxes_stand_below_what_feeds_them_and_apart():
    picture = picture_of(network())
    shown = [box for box in picture.boxes if box.text]
    assert [box.text[0] for box in shown] == [layer.name for layer in network().layers]
    for start, end in picture.lines:
        assert picture.boxes[start].row + 1 == picture.boxes[end].row
        assert picture.boxes[start].top + picture.boxes[start].height < picture.boxes[end].top
    for a, b in combinations(picture.boxes, 2):
        assert a.row != b.row or a.left + a.width < b.left or b.left + b.width < a.left
    assert all(box.left >= 0 and box.left + box.width <= picture.width for box in picture.boxes)
    assert max(box.top + box.height for box in picture.boxes) < picture.height
    # Two ways from x: one box further, and one past all of the others.
    assert picture.boxes[0].text[2] == "(None, 8, 8, 3)"


def test_svg(tmp_path):
    plot_model(network(), tmp_path / "m.svg", show_shapes=False)
    root = ET.parse(tmp_path / "m.svg").getroot()
    texts = [one.text for one in root.iter(f"{SVG}text")]
    assert texts[:2] == ["x", "InputLayer"]
    assert "<inner>" in texts
    assert not any(re.search(r"\(None", text) for text in texts)
    line = Sequential([Dense(2, name="a"), Dense(2, name="b")])
    plot_model(line, tmp_path / "line.svg")
    assert len(list(ET.parse(tmp_path / "line.svg").getroot().iter(f"{SVG}path"))) == 1


def test_png(tmp_path):
    pytest.importorskip("matplotlib")
    plot_model(network(), tmp_path / "m.png")
    assert (tmp_path / "m.png").read_bytes()[:4] == b"\x89PNG"


def test_what_is_refused(tmp_path):
    with pytest.raises(TypeError, match="model must be"):
        plot_model(Dense(1), tmp_path / "m.svg")
    with pytest.raises(ValueError, match="no layers to draw"):
        plot_model(Sequential(), tmp_path / "m.svg")


def test_names_are_no_formulas(tmp_path):
    pytest.importorskip("matplotlib")
    model = Sequential([Input((2,)), Dense(2, name=r"$\frac$"), Dense(2, name="a$b_{$")])
    for suffix in ("svg", "png"):
        plot_model(model, tmp_path / f"m.{suffix}")
        assert (tmp_path / f"m.{suffix}").stat().st_size > 500
