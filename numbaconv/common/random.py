"""Random numbers for whatever is given no seed of its own; `numbaconv.utils.set_random_seed` makes them repeatable."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

# The seed that was set and the numbers of the generators to come. None: they start where the operating system says.
_source: tuple[int, Iterator[int]] | None = None


def restart(seed: int) -> None:
    """Make all generators without a seed follow from this one, beginning anew."""
    global _source
    _source = seed, itertools.count()


# NumPy imports its generators when their name is first read, which takes longer than to load a small network.
class Later:
    """A generator, made when it is first asked for, that starts from where it would start now.

    Copies go on from where it has got to.
    """

    def __init__(self, seed: int | None = None) -> None:
        root, numbers = (None, None) if _source is None or seed is not None else _source
        # NumPy takes no negative seeds and Keras does.
        self._start = root if seed is None else seed % 2**64
        self._key = () if numbers is None else (next(numbers),)

    @property
    def generator(self) -> "np.random.Generator":
        found: np.random.Generator | None = vars(self).get("_made")
        if found is None:
            made = np.random.default_rng(np.random.SeedSequence(self._start, spawn_key=self._key))
            # Of threads that come here at once, none has one of its own.
            found = vars(self).setdefault("_made", made)
        return found

    def __getstate__(self) -> dict[str, Any]:
        return {"_made": self.generator}


def generator(seed: int | None = None) -> "np.random.Generator":
    """A generator that starts from ``seed``; without one, from where no other has started."""
    return Later(seed).generator
