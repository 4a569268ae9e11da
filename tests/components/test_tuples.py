"""The library's named tuples are those of `typing` in all that anybody does with them."""

import copy
import inspect
import pickle
import typing

import pytest

from numbaconv.objects import tuples


def made(kind):
    class Point(kind):
        """A point."""

        x: int
        y: "tuple[int, ...]"
        far: bool = False

        @property
        def twice(self):
            return 2 * self.x

    return Point


OURS, THEIRS = made(tuples.NamedTuple), made(typing.NamedTuple)
DOINGS = {
    "made": lambda kind: kind(1, (2,), far=True),
    "default": lambda kind: kind(1, y=(2,)).far,
    "shown": lambda kind: repr(kind(1, (2,))),
    "unpacked": lambda kind: [*kind(1, (2,))],
    "replaced": lambda kind: kind(1, (2,))._replace(x=3, far=True),
    "a dict": lambda kind: kind(1, (2,))._asdict(),
    "of a list": lambda kind: kind._make([1, (2,), True]),
    "fields": lambda kind: (kind._fields, kind._field_defaults, kind.__match_args__, kind.__doc__, kind.x.__doc__),
    "annotations": lambda kind: kind.__annotations__.keys(),
    "parameters": lambda kind: [(one.name, one.default) for one in inspect.signature(kind).parameters.values()],
    "own properties": lambda kind: kind(1, (2,)).twice,
    "compared": lambda kind: (kind(1, (2,)) == (1, (2,), False), hash(kind(1, (2,))), kind(1, ()) < kind(2, ())),
    "copied": lambda kind: copy.deepcopy(kind(1, (2,))),
    "no attributes": lambda kind: hasattr(kind(1, (2,)), "__dict__"),
    "derived": lambda kind: type("Derived", (kind,), {})(1, (2,)),
}


@pytest.mark.parametrize("doing", DOINGS)
def test_they_do_the_same(doing):
    ours, theirs = DOINGS[doing](OURS), DOINGS[doing](THEIRS)
    assert ours == theirs
    assert type(ours).__name__ == type(theirs).__name__


@pytest.mark.parametrize("wrong", [lambda kind: kind(1), lambda kind: kind(1, 2, 3, 4), lambda kind: kind(1, z=2)])
def test_they_refuse_the_same(wrong):
    for kind in (OURS, THEIRS):
        with pytest.raises(TypeError):
            wrong(kind)


def test_they_can_be_pickled():
    from numbaconv.calls.window import Window

    window = Window(*range(len(Window._fields)))
    assert pickle.loads(pickle.dumps(window)) == window
    assert type(pickle.loads(pickle.dumps(window))) is Window


@pytest.mark.parametrize("kind", [tuples.NamedTuple, typing.NamedTuple])
def test_fields_without_a_default_come_first(kind):
    with pytest.raises(TypeError):

        class Wrong(kind):
            x: int = 1
            y: int
