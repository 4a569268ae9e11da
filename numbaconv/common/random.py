"""Random numbers for whatever is given no seed of its own; `numbaconv.utils.set_random_seed` makes them repeatable."""

import itertools
from collections.abc import Iterator

import numpy as np

# The seed that was set and the numbers of the generators to come. None: they start where the operating system says.
_source: tuple[int, Iterator[int]] | None = None


def restart(seed: int) -> None:
    """Make all generators without a seed follow from this one, beginning anew."""
    global _source
    _source = seed, itertools.count()


# NumPy imports its generators, which takes a sixth of what predicting has to, when their name is first read.
def generator(seed: int | None = None) -> "np.random.Generator":
    """A generator that starts from ``seed``; without one, from where no other has started."""
    if seed is not None:
        # NumPy takes no negative seeds and Keras does.
        return np.random.default_rng(seed % 2**64)
    if _source is None:
        return np.random.default_rng()
    root, numbers = _source
    return np.random.default_rng(np.random.SeedSequence(root, spawn_key=(next(numbers),)))
