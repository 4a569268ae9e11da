"""Recipes, as `kernels.blend` takes them: for an axis, what positions each new one is made from, and their shares."""

from math import prod

import numpy as np

from ..objects.tuples import NamedTuple


class Recipe(NamedTuple):
    """What the positions of an axis are made from: position o from ``at[starts[o] : starts[o + 1]]``, with shares.

    A position without any is zero.
    """

    starts: np.ndarray
    at: np.ndarray
    share: np.ndarray


def recipe(count, outputs, at, share):
    """The recipe of so many positions, of which ``outputs`` have these shares of what lies ``at``."""
    outputs, at, share = (np.ravel(a) for a in np.broadcast_arrays(outputs, at, share))
    kept = np.flatnonzero(share)
    kept = kept[np.lexsort((at[kept], outputs[kept]))]
    starts = np.append(0, np.bincount(outputs[kept], minlength=count).cumsum())
    return Recipe(starts, at[kept], share[kept].astype(np.float64))


def unchanged(length):
    """The recipe of an axis that stays as it is."""
    return shifted(length, length, 0)


def shifted(length, count, before):
    """The recipe of an axis with so many zeros in front of its positions, or fewer positions than before."""
    outputs = np.arange(max(0, before), min(count, length + before))
    return recipe(count, outputs, outputs - before, 1.0)


def turned(given, length):
    """The recipe of the gradient, for what was an axis of this length."""
    return recipe(length, given.at, _outputs(given), given.share)


def _outputs(given):
    """The position that each share is of."""
    return np.repeat(np.arange(len(given.starts) - 1), np.diff(given.starts))


def joined(outer, inner, length):
    """The recipe of two axes as one, the inner one of which had this length."""
    count = len(inner.starts) - 1
    outputs = np.add.outer(_outputs(outer) * count, _outputs(inner))
    at, share = np.add.outer(outer.at * length, inner.at), np.multiply.outer(outer.share, inner.share)
    return recipe((len(outer.starts) - 1) * count, outputs, at, share)


def spread(length, size):
    """The recipe of an axis whose positions are repeated."""
    outputs = np.arange(length * size)
    return recipe(length * size, outputs, outputs // size, 1.0)


def between(length, size):
    """The recipe of an axis that becomes so many times as long, linearly: half-pixel centres, the ends held.

    Output o lies at position (o + 0.5) / size - 0.5.
    """
    outputs = np.arange(length * size)
    position = np.clip((outputs + 0.5) / size - 0.5, 0, length - 1)
    below = np.floor(position).astype(np.int64)
    pairs = below[:, None] + [0, 1], np.stack([1 - (position - below), position - below], 1)
    return recipe(length * size, outputs[:, None], *pairs)


def averages(ends):
    """The recipe of an axis of windows, from `kernels.pool.window_ends`."""
    counts = ends[:, 1] - ends[:, 0]
    windows = np.repeat(np.arange(len(ends)), counts)
    taps = np.arange(counts.sum()) - np.repeat(counts.cumsum() - counts, counts)
    return recipe(len(ends), windows, ends[windows, 0] + taps, 1 / counts[windows])


def factored(recipes):
    """A factor and recipes, which are to be multiplied by it: copies, where they have one share for all positions."""
    factors = [next(iter(given.share), 1.0) for given in recipes]
    alike = all(most(r) == 1 and (r.share == factor).all() for r, factor in zip(recipes, factors, strict=True))
    if not alike:
        return 1.0, tuple(recipes)
    return prod(factors), tuple(given._replace(share=np.ones(len(given.share))) for given in recipes)


def stays(given, length):
    """Whether an axis of this length stays as it is."""
    return len(given.starts) - 1 == len(given.at) == length and (given.at == np.arange(length)).all() and selects(given)


def selects(given):
    """Whether each position is one that there was."""
    return most(given) == 1 and (given.share == 1).all()


def size(given):
    """Positions or shares, of which there are more."""
    return max(len(given.starts) - 1, len(given.at))


def most(given):
    """The most shares of a position."""
    return int(np.diff(given.starts).max(initial=1))
