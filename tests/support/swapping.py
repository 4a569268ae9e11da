"""A small program whose kernels the cache keeps, or not."""

from pathlib import Path

from situations import run

# Prints whether a result is right, the numbers of kernels read from the cache and compiled, one for each dtype that it
# is given, and of warnings. The kernel takes a moment to compile.
SWAPPED = """
import sys, warnings
import numba
import numpy as np
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    from numbaconv.calls.layouts import swapped
    from numbaconv.kernels.transpose import transpose
    for dtype in sys.argv[1:]:
        x = np.arange(1024, dtype=dtype).reshape(1, 32, 32)
        out = swapped(x)
stats = transpose.dispatcher.stats
print(int((out == x.mT).all()), sum(stats.cache_hits.values()), sum(stats.cache_misses.values()), len(caught))
for warning in caught:
    print(warning.category.__name__, warning.message, file=sys.stderr)
"""


def swap(folder, prelude="", dtypes=("float32",), **variables):
    """The numbers that `SWAPPED` prints, and its warnings; with the cache in a folder, or wherever None leads."""
    out, err = run(prelude + SWAPPED, *dtypes, NUMBA_CACHE_DIR=folder, **variables)
    return [int(number) for number in out.split()], err


def files(folder):
    """All files but those that say what the sources are."""
    return sorted(file for file in Path(folder).rglob("*.*") if file.suffix != ".nbs")
