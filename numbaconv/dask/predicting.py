"""The graph of a prediction: which chunk of the result is computed from which pieces of the input's blocks."""

import hashlib
import importlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise, product
from math import isnan
from typing import Any

import numpy as np

from ..layers import Permute
from ..models.regions import Ends
from ..models.tiling import _Images
from ..shapes.checks import positive_integer
from .tasks import Chunk, Network, Piece


def needed(name: str) -> Any:
    """A module of Dask's; ModuleNotFoundError, which says where it comes from, where it is missing."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f'numbaconv.dask needs Dask: python -m pip install "numbaconv[dask]" ({error})', name=error.name
        ) from error


def predict(model: Any, array: Any, chunks: Any = None, *, threads: int = 1) -> Any:
    """Predict lazily: a Dask array whose chunks are computed when they are asked for, without seams.

    Parameters
    ----------
    model : Model or Sequential
        As it is now: later changes of its weights do not matter. It is built for the array if need be.
    array : dask.array.Array, xarray.DataArray or array_like, or list or dict of these
        Images, or one image without the batch axis, in chunks of any sizes. What is no Dask array becomes one, whatever
        can be sliced.
    chunks : int, tuple or dict, optional
        Of the result, as Dask takes them; channels are never cut. By default they follow the array's: as many along
        each axis, fewer where a chunk would read more around it than it is long.
    threads : int
        Cores that a task takes. Dask runs as many tasks at a time as it has threads, which together take all cores.

    Returns
    -------
    dask.array.Array, or xarray.DataArray for one
        With the shape and the dtype of ``model(array)``. A DataArray has the same names of axes, and the coordinates
        along those that are as long as before.

    Raises
    ------
    ValueError, TypeError
        If a length is unknown, numbers are not real, the network cannot take the array, or a layer cannot be computed
        in parts along an axis with several chunks: global pooling, a softmax over positions; the message names it. All
        this is said at once, before anything is computed.
    ModuleNotFoundError
        If Dask is not installed.

    Notes
    -----
    Results are those of ``model.predict_tiled``. The network travels as bytes, without its optimizer, as one key of the
    graph: Dask brings it to each worker once, and each process unpacks it once.

    Examples
    --------
    >>> from numbaconv.layers import Conv2D
    >>> from numbaconv.models import Sequential
    >>> model = Sequential([Conv2D(4, 3, padding="same"), Conv2D(1, 3, strides=2, padding="same")])
    >>> import dask.array  # doctest: +SKIP
    >>> lazy = predict(model, dask.array.zeros((1, 4000, 4000, 3), chunks=1000))  # doctest: +SKIP
    >>> lazy[0, :10, :10].compute().shape  # doctest: +SKIP
    (10, 10, 1)
    """
    da = needed("dask.array")
    threads = positive_integer(threads, "threads")
    with model._named():
        given = model._inputs_of(array)
        arrays = [_dask_array(da, one, f"array[{i}]" if i else "array") for i, one in enumerate(given)]
        named = model._inputs_of(array)[0]
        images = _Images(model, arrays if len(arrays) > 1 else arrays[0])
        found = _lazy(da, images, arrays, chunks, threads)
    return _with_names(found, named) if _is_xarray(named) else found


def _dask_array(da: Any, x: Any, name: str) -> Any:
    """What comes in as a Dask array of known lengths and real numbers."""
    x = x.data if _is_xarray(x) else x
    if not isinstance(x, da.Array):
        x = da.from_array(x if hasattr(x, "shape") and hasattr(x, "dtype") else np.asarray(x))
    if any(isnan(n) for n in x.shape):
        raise ValueError(f"{name} must have known lengths, got {x.shape}: {name}.compute_chunk_sizes() finds them out")
    if x.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold real numbers, got {x.dtype}")
    return x


def _is_xarray(x: Any) -> bool:
    return type(x).__module__.partition(".")[0] == "xarray"


def _with_names(found: Any, given: Any) -> Any:
    """The result as a DataArray like the one that came in."""
    if found.ndim != given.ndim:
        return found
    same = {name for name, n in zip(given.dims, found.shape, strict=True) if given.sizes[name] == n}
    kept = {name: one for name, one in given.coords.items() if same.issuperset(one.dims)}
    return type(given)(found, kept, given.dims, given.name, given.attrs)


def _lazy(da: Any, images: _Images, arrays: list[Any], chunks: Any, threads: int) -> Any:
    tokenize = needed("dask.base").tokenize
    program = needed("cloudpickle").dumps(images.parts.program)
    digest = hashlib.sha256(program).hexdigest()
    shapes = tuple((1, *one.shape) if images.alone else one.shape for one in arrays)
    network = Network(digest, program, shapes, images.alone, images.parts.fuse, threads)
    grid = _chunks(da, images, arrays, chunks)
    token = tokenize(digest, network.fuse, threads, [one.name for one in arrays], grid)
    name, key = f"numbaconv-{token}", f"numbaconv-network-{token}"
    graph: dict[Any, Any] = {key: network}
    blocks = [_Blocks(one, f"numbaconv-piece{i}-{token}", graph) for i, one in enumerate(arrays)]
    for index, ends, reads in _places(images, grid):
        found = [some.covering(read) for some, read in zip(blocks, reads, strict=True)]
        pieces = [piece for _, some in found for piece in some]
        place = name, *index
        graph[place] = Chunk(ends, tuple(counts for counts, _ in found)), key, *pieces
    layers = needed("dask.highlevelgraph").HighLevelGraph.from_collections(name, graph, arrays)
    return da.Array(layers, name, grid, meta=np.empty((0,) * len(grid), images.dtype))


# -- chunks of the result ------------------------------------------------------------------------------------------


def _chunks(da: Any, images: _Images, arrays: list[Any], asked: Any) -> tuple[tuple[int, ...], ...]:
    """The chunks of the result along each axis."""
    shape = images.out_shape[images.alone :]
    try:
        cut = {axis - images.alone for axis in images.parts.spatial_axes()}
    except ValueError:
        # Positions are lost: each example is computed as a whole.
        cut = set()
    cut |= set() if images.alone else {0}
    first = arrays[0]
    before = [first.chunks[axis] if axis in cut and first.ndim == len(shape) else (n,) for axis, n in enumerate(shape)]
    own = [_scaled(sizes, n) for sizes, n in zip(before, shape, strict=True)]
    if not images.alone:
        own[0] = first.chunks[0]
    if asked is None:
        for axis in cut - (set() if images.alone else {0}):
            if len(own[axis]) > 1:
                own[axis] = _long_enough(images, own[axis], first.chunks[axis], axis)
        return tuple(own)
    given = da.core.normalize_chunks(asked, shape, dtype=images.dtype, previous_chunks=tuple(own))
    return tuple(sizes if axis in cut else (n,) for axis, (sizes, n) in enumerate(zip(given, shape, strict=True)))


def _scaled(sizes: Sequence[int], length: int) -> tuple[int, ...]:
    """Sizes that cut another length at the same places."""
    total = max(sum(sizes), 1)
    edges = sorted({0, length, *(round(end * length / total) for end in accumulate(sizes))})
    return tuple(b - a for a, b in pairwise(edges))


def _long_enough(images: _Images, sizes: tuple[int, ...], before: Sequence[int], axis: int) -> tuple[int, ...]:
    """Sizes along an axis, joined where a chunk would read more around it than it is long."""
    place = axis - (not images.alone)
    length = images.out_shape[place + 1]
    ends = [(0, n) for n in images.out_shape[1:]]
    ends[place] = length // 2, length // 2 + 1
    start, stop = images.parts.reads(tuple(ends))[0][place]
    around = (stop - start) * length / sum(before) - 1
    joined: list[int] = []
    for size in sizes:
        if joined and joined[-1] < around:
            joined[-1] += size
        else:
            joined.append(size)
    if len(joined) > 1 and joined[-1] < around:
        last = joined.pop()
        joined[-1] += last
    return tuple(joined)


# -- blocks of the inputs ------------------------------------------------------------------------------------------


def _places(images: _Images, grid: Sequence[Sequence[int]]) -> Iterator[tuple[tuple[int, ...], Ends, list[Ends]]]:
    """Of each chunk its place, its ends, and what it reads of each input along all axes that this has."""
    edges = [[0, *accumulate(sizes)] for sizes in grid]
    reads = _Reads(images)
    for index in product(*(range(len(sizes)) for sizes in grid)):
        pairs = tuple((edge[i], edge[i + 1]) for edge, i in zip(edges, index, strict=True))
        ends = pairs if images.alone else pairs[1:]
        yield index, ends, [one if images.alone else (pairs[0], *one) for one in reads.of(ends)]


class _Reads:
    """What parts of the output read, worked out for each axis by itself where axes keep apart.

    A network is asked as often as there are chunks along its axes, and not for each of their combinations.
    """

    def __init__(self, images: _Images) -> None:
        self.parts = images.parts
        self.apart = not any(isinstance(step.operation, Permute) for step in self.parts.program.steps)
        self._known: dict[Any, list[Ends]] = {}
        self._first: Ends = ()

    def of(self, ends: Ends) -> list[Ends]:
        if not self.apart:
            return self.parts.reads(ends)
        self._first = self._first or ends
        base = self._asked(self._first)
        found = [list(one) for one in base]
        for axis, pair in enumerate(ends):
            alone = self._asked((*self._first[:axis], pair, *self._first[axis + 1 :]))
            for i, (one, other) in enumerate(zip(base, alone, strict=True)):
                found[i] = [new if new != old else kept for old, new, kept in zip(one, other, found[i], strict=True)]
        return [tuple(one) for one in found]

    def _asked(self, ends: Ends) -> list[Ends]:
        if ends not in self._known:
            self._known[ends] = self.parts.reads(ends)
        return self._known[ends]


class _Blocks:
    """The blocks of an input, and the tasks that cut pieces out of them, which go into the graph."""

    def __init__(self, array: Any, name: str, graph: dict[Any, Any]) -> None:
        self.array, self.name, self.graph = array, name, graph
        self.edges = [[0, *accumulate(sizes)] for sizes in array.chunks]
        self.keys: dict[Any, Any] = {}

    def covering(self, read: Ends) -> tuple[tuple[int, ...], list[Any]]:
        """How many pieces lie along each axis of a part, and their keys, the last axes first."""
        rows = [self._along(edge, *pair) for edge, pair in zip(self.edges, read, strict=True)]
        return tuple(map(len, rows)), [self._piece(place) for place in product(*rows)]

    @staticmethod
    def _along(edge: list[int], start: int, stop: int) -> list[tuple[int, int, int]]:
        """Blocks between two positions along an axis, and what lies there of each."""
        numbers = range(bisect_right(edge, start) - 1, bisect_left(edge, stop))
        rows = [(i, max(start - edge[i], 0), min(stop, edge[i + 1]) - edge[i]) for i in numbers]
        return [row for row in rows if row[1] < row[2]]

    def _piece(self, place: tuple[tuple[int, int, int], ...]) -> Any:
        index = tuple(i for i, _, _ in place)
        block = (self.array.name, *index)
        if all(b - a == edge[i + 1] - edge[i] for (i, a, b), edge in zip(place, self.edges, strict=True)):
            return block
        if place not in self.keys:
            key = self.keys[place] = (self.name, len(self.keys))
            self.graph[key] = (Piece(tuple(slice(a, b) for _, a, b in place)), block)
        return self.keys[place]
