"""Garbage collection where a model is opened: nothing of it is gone through at once, and what a user froze stays so."""

import gc

import pytest

from numbaconv.objects.collecting import uncollected


@pytest.mark.usefixtures("thawed")
@pytest.mark.parametrize("frozen", [False, True])
def test_what_is_made_counts_as_old_but_where_something_is_frozen(frozen):
    if frozen:
        gc.freeze()
    before = gc.get_freeze_count()
    with uncollected():
        assert not gc.isenabled()
        made = [[] for _ in range(2000)]
    assert gc.isenabled()
    # What was frozen may be gone meanwhile.
    assert (gc.get_freeze_count() > 0) == frozen and gc.get_freeze_count() <= before
    if not frozen:
        assert any(one is made for one in gc.get_objects(generation=2))


def test_a_collection_that_is_switched_off_stays_off():
    gc.disable()
    try:
        with uncollected():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
