"""What Dask's workers run, in whatever process; nothing here needs Dask.

These are no tuples: in the tuples of a graph Dask would look for tasks.
"""

import pickle
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

import numba
import numpy as np

from ..common.arguments import as_numbers
from ..machine import threads
from ..models.regions import Ends, PartProgram

# Networks that a process keeps unpacked.
MOST_NETWORKS = 4
_unpacking = threads.held_at_fork(threading.RLock())
# By digest; for each the network, and what is ready for images of a shape.
_unpacked: OrderedDict[str, tuple[Any, dict[Any, PartProgram]]] = OrderedDict()


@dataclass(frozen=True)
class Network:
    """A network on its way to the workers: one key of the graph, so that each worker gets it once."""

    digest: str
    program: bytes
    # Of its inputs, with the batch axis.
    shapes: tuple[tuple[int, ...], ...]
    # Whether what comes in is one image without the batch axis.
    alone: bool
    # Whether layers are joined, as where the prediction was asked for.
    fuse: bool
    threads: int

    def parts(self) -> PartProgram:
        """It, ready to be computed in parts; unpacked once by each process."""
        with _unpacking:
            if self.digest not in _unpacked:
                if len(_unpacked) >= MOST_NETWORKS:
                    _unpacked.popitem(last=False)
                _unpacked[self.digest] = pickle.loads(self.program), {}
            _unpacked.move_to_end(self.digest)
            program, made = _unpacked[self.digest]
            key = self.shapes, self.fuse
            if key not in made:
                made[key] = PartProgram(program, *key)
            return made[key]


@dataclass(frozen=True)
class Piece:
    """The task that cuts out of a block what one chunk of the result needs: no more of it has to travel."""

    index: tuple[slice, ...]

    def __call__(self, block: Any) -> np.ndarray:
        # A copy does not keep the block alive.
        return np.array(block[self.index])


@dataclass(frozen=True)
class Chunk:
    """The task that computes a chunk of the result from pieces of the inputs."""

    # Those of the chunk along all axes but the batch's.
    ends: Ends
    # For each input how many pieces lie along each of its axes.
    counts: tuple[tuple[int, ...], ...]

    def __call__(self, network: Network, *pieces: Any) -> np.ndarray:
        values, rest = [], list(pieces)
        for i, counts in enumerate(self.counts):
            some, rest = rest[: prod(counts)], rest[prod(counts) :]
            value = as_numbers(_joined(some, counts), f"array[{i}]" if i else "array")
            values.append(value[None] if network.alone else value)
        with spread_over(network.threads):
            out = network.parts().run(self.ends, values)
        return out[0] if network.alone else out


@contextmanager
def spread_over(count: int) -> Iterator[None]:
    """Context in which kernels that this thread calls are spread over so many cores, if Numba has as many."""
    if threads.alone:
        yield
        return
    with threads.asking_lock:
        before = numba.get_num_threads()
        numba.set_num_threads(min(count, numba.config.NUMBA_NUM_THREADS))  # type: ignore[attr-defined]
    try:
        yield
    finally:
        with threads.asking_lock:
            numba.set_num_threads(before)


def _joined(pieces: list[Any], counts: tuple[int, ...]) -> np.ndarray:
    """One array of neighbours, which come with the last axes first."""
    arrays = [np.asarray(piece) for piece in pieces]
    if len(arrays) == 1:
        return arrays[0]
    places = list(product(*map(range, counts)))
    edges = []
    for axis, count in enumerate(counts):
        sizes = [0] * count
        for place, array in zip(places, arrays, strict=True):
            sizes[place[axis]] = array.shape[axis]
        edges.append([sum(sizes[:i]) for i in range(count + 1)])
    out = np.empty([edge[-1] for edge in edges], np.result_type(*arrays))
    for place, array in zip(places, arrays, strict=True):
        out[tuple(slice(edge[i], edge[i + 1]) for edge, i in zip(edges, place, strict=True))] = array
    return out
