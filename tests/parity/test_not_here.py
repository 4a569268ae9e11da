"""docs/not_here.md lists the layers of Keras that are missing, all of them and no other."""

import re
from importlib import import_module
from inspect import isclass
from pathlib import Path

import pytest

from numbaconv import layers
from numbaconv.objects import public

PAGE = Path(__file__).parents[2] / "docs" / "not_here.md"


def test_missing_layers_are_listed(keras):
    theirs = keras.layers
    text = PAGE.read_text(encoding="utf-8").partition("<!-- layers: begin -->")[2].partition("<!-- layers: end -->")[0]
    listed = re.findall(r"`(\w+)`", text)
    assert len(listed) == len(set(listed))
    missing = {name for name in dir(theirs) if isclass(getattr(theirs, name))} - set(layers.__all__)
    assert missing <= set(listed)
    # Older versions have fewer layers.
    if tuple(map(int, keras.__version__.split(".")[:2])) >= (3, 15):
        assert set(listed) == missing


def test_other_parts_are_those_that_errors_call_missing():
    text = PAGE.read_text(encoding="utf-8").partition("<!-- parts: begin -->")[2].partition("<!-- parts: end -->")[0]
    parts = dict(re.findall(r"^- (\w+): ([^.]*)\.", text, re.MULTILINE))
    found = {kind.lower(): set(re.findall(r"`(\w+)`", names)) for kind, names in parts.items()}
    others = ("layers", "numbaconv", "utils")
    assert found == {kind: set(names.split()) for kind, names in public._ABSENT.items() if kind not in others}


@pytest.mark.parametrize("kind", ["losses", "metrics", "schedules"])
def test_missing_classes_are_known(keras, kind):
    theirs = keras.optimizers.schedules if kind == "schedules" else getattr(keras, kind)
    ours = import_module(f"numbaconv.{kind}").__all__
    assert {name for name in dir(theirs) if isclass(getattr(theirs, name))} <= {*ours, *public._ABSENT[kind].split()}
