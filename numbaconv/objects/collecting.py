"""Garbage collection put off while many objects are made that will live on."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Context without garbage collection, which takes up to a fifth of such a time.

    What was made counts as old at its end, or the very next collection would go through all of it.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            # Where something is frozen, it would thaw, too.
            if not gc.get_freeze_count():
                gc.freeze()
                gc.unfreeze()
            gc.enable()
