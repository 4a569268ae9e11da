"""One piece of memory for all values between stages: those that are never there at once lie in the same place."""

from collections.abc import Iterable
from typing import NamedTuple

from ...machine.vectors import CACHE_LINE


class Lifetime(NamedTuple):
    """Bytes that are needed from one stage to another, both included."""

    size: int
    first: int
    last: int


def laid_out(lifetimes: Iterable[Lifetime]) -> tuple[list[int], int]:
    """Where each begins, in bytes, and how many there are in all; the largest ones choose first."""
    wanted = list(lifetimes)
    places = [0] * len(wanted)
    done: list[int] = []
    for i in sorted(range(len(wanted)), key=lambda i: -wanted[i].size):
        size, first, last = wanted[i]
        beside = (j for j in done if wanted[j].first <= last and first <= wanted[j].last)
        start = 0
        for at, end in sorted((places[j], places[j] + wanted[j].size) for j in beside):
            if start + size <= at:
                break
            start = max(start, -(-end // CACHE_LINE) * CACHE_LINE)
        places[i] = start
        done.append(i)
    return places, max((place + one.size for place, one in zip(places, wanted, strict=True)), default=0)
