"""A small program whose kernels the cache keeps, or not."""

from pathlib import Path

from situations import run

# Prints whether results are right, the numbers of kernels read from the cache and compiled, one for each dtype that it
# is given, and of warnings.
PROGRAM = """
import sys, warnings
import numba
import numpy as np
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    {imported}
    right = True
    for dtype in sys.argv[1:]:
        x = np.arange(1024, dtype=dtype).reshape(1, 32, 32)
        {call}
        right &= (out == wanted).all()
stats = kernel.dispatcher.stats
print(int(right), sum(stats.cache_hits.values()), sum(stats.cache_misses.values()), len(caught))
for warning in caught:
    print(warning.category.__name__, warning.message, file=sys.stderr)
"""
# No kernel compiles faster: it calls nothing.
SUMS = PROGRAM.format(
    imported="from numbaconv.kernels.sums import sum_runs as kernel",
    call="out, wanted = np.empty(32, dtype), x[0].sum(1); kernel(x[0], out, serial=True)",
)
# A kernel with functions from other files.
SWAPPED = PROGRAM.format(
    imported="from numbaconv.kernels.planes import transpose as kernel",
    call="out, wanted = np.empty_like(x), x.mT; kernel(x, out, serial=True)",
)


def call_kernel(folder, prelude="", dtypes=("float32",), program=SUMS, **variables):
    """The numbers that a program prints, and its warnings; with the cache in a folder, or wherever None leads."""
    out, err = run(prelude + program, *dtypes, NUMBA_CACHE_DIR=folder, **variables)
    return [int(number) for number in out.split()], err


def files(folder):
    """All files but those that say what the sources are."""
    return sorted(file for file in Path(folder).rglob("*.*") if file.suffix != ".nbs")
