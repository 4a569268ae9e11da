"""Which compiled functions the cache keeps on disk."""

import numpy as np
import pytest

from numbaconv import functional
from numbaconv.kernels import pool
from numbaconv.machine import cache as _cache
from numbaconv.machine import compiler


@pytest.mark.parametrize("name", ["max", "average"])
def test_kernels_that_hand_helpers_on_are_kept(name):
    kernel = getattr(pool, f"{name}_pool")
    getattr(functional, f"{name}_pool")(np.ones((1, 4, 4, 1), "float32"), 2)
    (one, *_) = [*kernel.serial.overloads.values(), *kernel.parallel.overloads.values()]
    # An address of this process keeps code from the disk.
    assert not one.library.has_dynamic_globals


def test_functions_from_elsewhere_are_not_kept():
    """Only this package's own sources are watched, so that only its functions are kept."""

    @compiler.compiled(parallel=True)
    def twice(a, out):
        out[0] = 2 * a

    out = np.zeros(1)
    twice(21, out, serial=True)
    assert out == 42
    assert _cache.folders(twice.serial) is None
