"""Where batches come from: arrays that are cut up, or anything that yields batches itself."""

import itertools
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from typing import Any

import numpy as np

from .examples import Examples

_ARRAY_LIKE = ("__array__", "__array_interface__", "__dlpack__", "shape")
_NONE: Any = object()


class Batches:
    """Batches for one epoch after the other.

    A pass goes through the data once. An epoch is a pass, or a number of steps: it goes on where the last one ended
    and begins a new pass where that is over.

    ``begin`` begins a pass, in the order of the epoch with this number; ``count`` is batches of a pass, if that is
    known, and ``steps`` those of an epoch, where it is not a pass. The name is for messages, and the source is told, by
    methods ``on_epoch_begin`` and ``on_epoch_end`` if it has them, when epochs begin and end.
    """

    # Examples of an epoch, if that is known.
    examples: int | None = None

    def __init__(
        self,
        begin: Callable[[int], Iterator[Any]],
        count: int | None,
        steps: int | None,
        name: str = "x",
        source: Any = None,
    ) -> None:
        self._begin, self._asked, self._source = begin, steps, source
        self.steps = count if steps is None else steps
        self.name = name
        self._pass: Iterator[Any] | None = None
        # The first batch of an epoch that has not begun.
        self._ahead: Any = _NONE

    def first(self, epoch: int = 0) -> Any:
        """The first batch of an epoch, which is not taken away; None if there is no more."""
        if self._ahead is _NONE:
            self._tell("on_epoch_begin")
            self._ahead = self._next()
            if self._ahead is _NONE:
                self._pass = iter(self._begin(epoch))
                self._ahead = self._next()
        return None if self._ahead is _NONE else self._ahead

    def epoch(self, epoch: int = 0) -> Iterator[Any]:
        """The batches of an epoch, fewer of them and with a warning if they run out before the last step."""
        self.first(epoch)
        for step in itertools.count() if self._asked is None else range(self._asked):
            batch, self._ahead = (self._next() if self._ahead is _NONE else self._ahead), _NONE
            if batch is _NONE:
                if self._asked is not None:
                    warnings.warn(f"{self.name} ran out after {step} of {self._asked} batches asked for", stacklevel=2)
                break
            yield batch
        self._tell("on_epoch_end")

    def restart(self) -> None:
        """Let the next epoch begin a new pass; what can be gone through once goes on instead."""
        if self._ahead is _NONE:
            self._pass = None

    def _next(self) -> Any:
        batch = _NONE if self._pass is None else next(self._pass, _NONE)
        if batch is _NONE:
            self._pass = None
        return batch

    def _tell(self, event: str) -> None:
        method = getattr(self._source, event, None)
        if callable(method):
            method()


def yields_batches(x: Any, name: str = "x") -> bool:
    """Whether something is to be asked for batches, and is no array or what NumPy makes one of.

    Raises TypeError for functions, such as that of a generator which was not called.
    """
    if callable(x) and not isinstance(x, type) and not any(hasattr(x, one) for one in (*_ARRAY_LIKE, "__iter__")):
        raise TypeError(f"{name} must be an array or yield batches, got the function {x!r}; call it for its batches")
    if isinstance(x, Sequence | Mapping | Set | type) or any(hasattr(x, one) for one in _ARRAY_LIKE):
        return False
    return hasattr(x, "__iter__") or (hasattr(x, "__getitem__") and hasattr(x, "__len__"))


def check_no_size(batch_size: Any) -> None:
    """Raise ValueError for a number of examples where the batches are made already."""
    if batch_size is not None:
        raise ValueError(f"batch_size must be None where x yields batches, got {batch_size!r}")


def goes_once(x: Any) -> bool:
    """Whether something that yields batches can be gone through but once."""
    return hasattr(x, "__next__")


def batches_of_arrays(
    examples: Examples, size: int, steps: int | None, seed: int | None, change: Callable[[Examples], Examples]
) -> Batches:
    """Parts of examples; the seed and the number of the epoch in which a pass begins give their order."""

    def begin(epoch: int) -> Iterator[Examples]:
        order = None if seed is None else np.random.default_rng([seed, epoch]).permutation(len(examples))
        return map(change, examples.batches(size, order))

    batches = Batches(begin, -(-len(examples) // size), steps)
    batches.examples = len(examples) if steps is None else min(len(examples), steps * size)
    return batches


def batches_of(x: Any, steps: int | None, seed: int | None, convert: Callable[[Any, int], Any], name: str) -> Batches:
    """What an iterable yields, or an object with a length gives by index, converted with its number in the pass.

    The seed and the number of the epoch give the order in which such an object is asked.
    """
    count = _length(x)
    if count == 0:
        raise ValueError(f"{name} must yield at least one batch, got an empty {type(x).__name__}")
    if count is None and steps is None and hasattr(x, "num_batches"):
        raise ValueError(f"{name} has no length: say how many batches make an epoch, by steps_per_epoch or steps")

    def begin(epoch: int) -> Iterator[Any]:
        if count is None or not hasattr(x, "__getitem__") or goes_once(x):
            found = iter(x)
        else:
            order = range(count) if seed is None else np.random.default_rng([seed, epoch]).permutation(count)
            found = (x[int(i)] for i in order)
        return map(convert, found, itertools.count(1))

    return Batches(begin, count, steps, name, x)


def unpacked(batch: Any, number: int) -> tuple[Any, Any, Any]:
    """Inputs, targets and weights of a batch as it was yielded; None for those that are missing."""
    if not isinstance(batch, tuple | list):
        return batch, None, None
    if len(batch) not in (1, 2, 3):
        raise ValueError(
            f"batch {number} of x must be an array or a tuple (x,), (x, y) or (x, y, sample_weight), "
            f"got a {type(batch).__name__} of {len(batch)}"
        )
    x, y, weight = (*batch, None, None)[:3]
    return x, y, weight


def _length(x: Any) -> int | None:
    """Number of batches, None if there is none."""
    try:
        return len(x)
    # That of a torch DataLoader of unknown length, or of a tf.data.Dataset without end.
    except TypeError:
        count: int | None = getattr(x, "num_batches", None)
        return count
