"""Tables of what a user can get wrong: the error, and a message that says where, what came and what is right."""

import pytest


def table(cases):
    """Run a test on each entry by name: what is called, the error, and what its message must hold."""
    return pytest.mark.parametrize(("call", "error", "fragments"), cases.values(), ids=cases)


def assert_refused(call, error, fragments):
    """The call raises the error, whose message holds all fragments."""
    with pytest.raises(error) as raised:
        call()
    # Neither a subclass, such as NumPy's own errors, nor a message that leaves a reader to guess.
    assert type(raised.value) is error
    assert [fragment for fragment in fragments if fragment not in str(raised.value)] == []
