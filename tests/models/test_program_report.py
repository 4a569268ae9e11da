"""What a program tells of itself: its table, and its picture, a bar a stage."""

from xml.etree import ElementTree

import pytest
from test_fused_rules import SHAPE, block

from numbaconv import layers
from numbaconv.models import Sequential
from numbaconv.models.fused import bars

SVG = "{http://www.w3.org/2000/svg}"


def report(measure=False, name="first & <only> $convolution$"):
    model = Sequential(
        [
            layers.Input((32, 32, 8)),
            layers.Conv2D(8, 3, name=name),
            layers.BatchNormalization(name="a_normalization_of_a_name_that_is_too_long"),
            layers.MaxPooling2D(2, name="pool"),
            layers.Conv2D(4, 1, name="last"),
        ]
    )
    return model.explain_program(measure=measure)


@pytest.mark.parametrize("measure", [False, True])
def test_bars_are_as_long_as_what_they_show(measure):
    told = report(measure)
    picture = bars.bars_of(told)
    values = [row.seconds if measure else row.multiplications for row in told]
    for bar, value in zip(picture.rows, values, strict=True):
        assert bar.length / max(one.length for one in picture.rows) == pytest.approx(value / max(values))
    assert picture.rows[0].label == "first & <only> $convolution$ + 1 more" and picture.rows[1].label == "pool"
    assert len({bar.colour for bar in picture.rows}) == len(picture.legend) >= 2
    assert ("microseconds" in picture.title) == measure


def test_svg_has_all_of_it(tmp_path):
    told = report()
    told.plot(tmp_path / "program.svg")
    picture = bars.bars_of(told)
    root = ElementTree.parse(tmp_path / "program.svg").getroot()
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert {bar.label for bar in picture.rows} | {bar.number for bar in picture.rows} | {picture.title} <= set(texts)
    boxes = list(root.iter(f"{SVG}rect"))[1:]
    assert len(boxes) == len(picture.rows) + len(picture.legend)
    width, height = (float(root.get(side)) for side in ("width", "height"))
    for box in boxes:
        assert 0 < float(box.get("x")) + float(box.get("width")) < width
        assert 0 < float(box.get("y")) + float(box.get("height")) < height


def test_names_are_cut_to_fit():
    (bar, *_) = bars.bars_of(report(name="n" * 100)).rows
    assert len(bar.label) == 44 and bar.label.endswith("… + 1 more")


@pytest.mark.slow
def test_png_needs_matplotlib_alone(tmp_path):
    pytest.importorskip("matplotlib")
    report().plot(tmp_path / "program.png")
    assert (tmp_path / "program.png").read_bytes().startswith(b"\x89PNG")


def test_the_program_explains_itself():
    model = block()
    report = model.explain_program((2, *SHAPE))
    layers_of = [stage.layers for stage in report]
    assert any(len(names) == 4 and names[-2].startswith("add") for names in layers_of)
    first = next(stage for stage in report if stage.output_shape[-1] == 5)
    assert first.multiplications == 2 * 56 * 57 * 32 * 5 and first.kernel in ("conv", "conv_few")
    assert first.bytes == 4 * (2 * 56 * 57 * (32 + 5) + 32 * 5 + 5) and first.seconds is None
    assert {stage.algorithm for stage in report} >= {"Winograd", "direct"}
    lines = str(report).splitlines()
    assert lines[0].split()[:3] == ["Layers", "Kernel", "Algorithm"] and "Microseconds" not in lines[0]
    assert len(lines) == len(report) + 4 and lines[-1].startswith("Total")
    measured = model.explain_program(measure=True)
    assert all(stage.seconds > 0 for stage in measured) and measured[0].output_shape[0] == 1
    assert "Microseconds" in str(measured).splitlines()[0]


def test_what_cannot_be_explained():
    with pytest.raises(ValueError, match="needs a built model"):
        Sequential([layers.Conv2D(3, 1)]).explain_program((1, 4, 4, 3))
    model = Sequential([layers.Input((None, None, 3)), layers.Conv2D(3, 1)])
    with pytest.raises(ValueError, match="1 shapes of known sizes"):
        model.explain_program()
    with pytest.raises(ValueError, match="layers are joined"):
        model.explain_program((1, 4, 4, 2))
    penalized = Sequential([layers.Input((3,)), layers.Dense(2, activity_regularizer="l2")])
    with pytest.raises(ValueError, match="layers are joined"):
        penalized.explain_program()
