"""Prediction tile by tile, for images that no memory holds: the tiles together are the whole result."""

import os
from collections.abc import Iterator, Sequence
from itertools import islice, product
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import config
from ..common.arguments import as_numbers
from ..machine.recycling import at_most
from ..shapes.checks import as_integer, as_integers, positive_integer
from ..training.progress import Interruption, check_verbose, examples_bar, watched
from .layered import Layered

if TYPE_CHECKING:
    from .regions import Ends, PartProgram

# Bytes that the values of one tile may take, where the caller says nothing.
MEMORY = 2**29


class TilesInterrupted(KeyboardInterrupt):
    """Ctrl-C between two tiles of `predict_tiled`.

    Attributes
    ----------
    done : int
        Tiles that are whole in ``out``: what ``resume`` takes.
    tile : tuple of int
        The sizes of the tiles.
    out : object
        What they are written to.
    """

    def __init__(self, message: str, done: int, tile: tuple[int, ...], out: Any) -> None:
        super().__init__(message)
        self.done, self.tile, self.out = done, tile, out


class Tiled(Layered):
    """What a network has for images larger than memory."""

    def predict_tiled(
        self,
        x: Any,
        tile: Any = None,
        out: Any = None,
        *,
        memory: int = MEMORY,
        resume: int = 0,
        verbose: int | str = "auto",
    ) -> Any:
        """Compute all layers on images tile by tile; the tiles together are what ``model(x)`` would be.

        Each tile of the output is computed from the inputs that it depends on, see `shapes.input_region`, with zeros
        where the image ends and only there. So there are no seams, and nothing is an approximation.

        Parameters
        ----------
        x : array_like, or list or dict of these
            Images, or one image without the batch axis: whatever has a shape and can be sliced, such as an array, a
            ``numpy.memmap``, or an array of Zarr's or HDF5's. No more of it is read at a time than a tile needs. Images
            may be of other sizes than those that the model was made for.
        tile : int or tuple of int or None, optional
            Outputs of a tile along each spatial axis; None is the whole axis. By default as large as ``memory`` allows.
        out : array_like, optional
            Where the result is written: what has the shape of the result and can be assigned to by slices. By default a
            new array.
        memory : int
            Bytes that a tile may take: its inputs as they are read, all values between layers, and its result. Weights
            and what a kernel needs besides, a few megabytes for each thread, are left out.
        resume : int
            Tiles that are in ``out`` already, from an earlier call with the same arguments.
        verbose : {"auto", 0, 1, 2}
            Whether a progress bar is shown on standard error; "auto" shows one after two seconds.

        Returns
        -------
        ndarray, or ``out``

        Raises
        ------
        ValueError, TypeError
            If an argument is wrong, or a layer cannot be computed in parts: global pooling, `Flatten`, a softmax over
            positions; the message names it. None of these is refused along an axis that is not cut.
        OSError
            If ``x`` cannot be read or ``out`` cannot be written; the message says how many tiles are whole.
        KeyboardInterrupt
            After Ctrl-C, with the tile at work finished; it says how many tiles are whole, and has this number as
            ``done``, the size of tiles as ``tile``, and ``out``.

        Notes
        -----
        Results are those of ``model(x)`` within 1e-5 of the largest, and to the last bit where convolutions have
        ``algorithm="direct"``. Otherwise sums are added up in an order that depends on where an image begins:
        Winograd's, those of interpolation, and float64 averages. Layers are joined as by ``model(x)``. For a single
        layer, make a model of it: ``Sequential([layer])``.

        Examples
        --------
        >>> import numpy as np
        >>> from numbaconv.layers import Conv2D
        >>> from numbaconv.models import Sequential
        >>> model = Sequential([Conv2D(4, 3, padding="same"), Conv2D(1, 3, strides=2, padding="same")])
        >>> image = np.random.default_rng(0).random((100, 90, 3), np.float32)
        >>> result = model.predict_tiled(image, tile=32)
        >>> np.allclose(result, model(image[None])[0], atol=1e-5)
        True
        """
        with self._named():
            verbose = check_verbose(verbose)
            images = _Images(self, x)
            tiles = _tiles_of(images, tile, memory)
            out = _checked_out(out, images, resume)
            if as_integers((resume,), 0) is None or resume > len(tiles):
                raise ValueError(f"resume must be the number of tiles that are done, 0 to {len(tiles)}, got {resume!r}")
        with examples_bar(len(tiles), self.name, verbose, "tile") as bar:
            bar.update(resume)
            _compute(images, tiles, out, resume, bar)
        return out


def _compute(images: "_Images", tiles: "Tiles", out: Any, done: int, bar: Any) -> None:
    """Write all tiles behind the first ones."""
    with Interruption() as ctrl_c, at_most(tiles.memory):
        try:
            for ((rows, ends),) in watched(([one] for one in tiles.after(done)), bar):
                images.write(out, rows, ends, images.compute(rows, ends))
                done += 1
                if ctrl_c.asked and done < len(tiles):
                    raise KeyboardInterrupt
        except KeyboardInterrupt:
            raise TilesInterrupted(tiles.told(done), done, tiles.sizes, out) from None
        except OSError as error:
            told = f"{error.strerror or error}; {tiles.told(done)}"
            # Not all libraries say which error of the system's it is.
            raise (OSError(told) if error.errno is None else OSError(error.errno, told)) from error


class _Images:
    """What comes in, ready to be computed in parts.

    Attributes
    ----------
    parts : PartProgram
    alone : bool
        Whether it is one image without the batch axis.
    """

    def __init__(self, model: Any, x: Any) -> None:
        model._need_layers()
        self.x = [one if hasattr(one, "shape") else np.asarray(one) for one in model._inputs_of(x)]
        if not model.built:
            shape, rank = self.x[0].shape, getattr(model.layers[0], "rank", None)
            model.build((None, *(shape if rank is not None and len(shape) == rank + 1 else shape[1:])))
        if len(model.outputs) != 1:
            raise ValueError(f"one output is computed: take Model(model.input, output), got {len(model.outputs)}")
        for i, one in enumerate(self.x):
            if as_integers(tuple(one.shape), 0) is None or not hasattr(one, "__getitem__"):
                raise ValueError(f"{_name(i)} must have known lengths and take slices, got {_told(one)}")
        wanted = [len(tensor.shape) for tensor in model.inputs]
        counts = [len(one.shape) for one in self.x]
        self.alone = counts == [n - 1 for n in wanted]
        if counts != wanted and not self.alone:
            raise ValueError(f"x must have {wanted} axes, or one less without that of the batch, got {counts}")
        shapes = [(1, *one.shape) if self.alone else tuple(one.shape) for one in self.x]
        if len({shape[0] for shape in shapes}) > 1:
            raise ValueError(f"the arrays of x must have as many examples, got {shapes}")
        (self.dtype,) = np.atleast_1d(np.array(model._result_dtype, dtype=object)).ravel()
        self.dtype = np.dtype(self.dtype)
        self.itemsize = max(self.dtype.itemsize, 4)
        # Predicting whole images does without.
        from .regions import PartProgram

        self.parts = PartProgram(model._program(), shapes, model._fuse and config.fuse())
        self.out_shape = (shapes[0][0], *self.parts.out_shape[1:])

    def compute(self, rows: tuple[int, int], ends: "Ends") -> np.ndarray:
        """A part of some examples."""
        values = []
        for i, (one, read) in enumerate(zip(self.x, self.parts.reads(ends), strict=True)):
            value = as_numbers(np.asarray(one[self._index(rows, read)]), _name(i))
            asked = tuple(b - a for a, b in (read if self.alone else (rows, *read)))
            if value.shape != asked:
                raise ValueError(f"{_name(i)} must give what is asked for, {asked}, got {value.shape}")
            values.append(value[None] if self.alone else value)
        return self.parts.run(ends, values)

    def memory(self, ends: "Ends", laid_out: bool = False) -> int:
        """Bytes that a part of one example takes at most at a time; for sure only once memory has been laid out."""
        reads = zip(self.x, self.parts.reads(ends), strict=True)
        raw = sum(
            prod(b - a for a, b in read) * getattr(getattr(one, "dtype", None), "itemsize", 8) for one, read in reads
        )
        runner = self.parts.prepared(ends) if laid_out else None
        return raw + max(self.parts.memory(ends, self.itemsize), 0 if runner is None else runner.bytes)

    def write(self, out: Any, rows: tuple[int, int], ends: "Ends", part: np.ndarray) -> None:
        """Put a part of the result into its place."""
        out[self._index(rows, ends)] = part[0] if self.alone else part

    def _index(self, rows: tuple[int, int], ends: "Ends") -> tuple[slice, ...]:
        return tuple(slice(*pair) for pair in (ends if self.alone else (rows, *ends)))


class Tiles:
    """The tiles of a result in their order: example by example, along the last axes first.

    ``sizes`` are outputs of a tile along the spatial axes of the result, ``rows`` examples that are computed together,
    and ``memory`` bytes that each of them takes at most.
    """

    def __init__(
        self, out_shape: tuple[int, ...], axes: tuple[int, ...], sizes: tuple[int, ...], rows: int = 1, memory: int = 0
    ) -> None:
        self.sizes, self.memory = sizes, memory
        steps = dict(zip(axes, sizes, strict=True)) | {0: rows}
        self._cuts = [
            [(start, min(start + step, n)) for start in range(0, n, step)]
            for n, step in ((n, steps.get(axis, max(n, 1))) for axis, n in enumerate(out_shape))
        ]

    def __len__(self) -> int:
        return prod(map(len, self._cuts))

    def after(self, done: int) -> "Iterator[tuple[tuple[int, int], Ends]]":
        """Examples and ends of the tiles behind the first ones."""
        for rows, *ends in islice(product(*self._cuts), done, None):
            yield rows, tuple(ends)

    def told(self, done: int) -> str:
        """What there is of the result."""
        sizes = " x ".join(map(str, self.sizes))
        return (
            f"{done} of {len(self)} tiles are done, of {sizes} outputs each: the same call with resume={done}, "
            f"tile={self.sizes} and what they are in as out goes on"
        )


def _tiles_of(images: _Images, tile: Any, memory: Any) -> Tiles:
    """Tiles of the sizes that the caller says, or as large as fits."""
    parts, shape = images.parts, images.out_shape
    room = positive_integer(memory, "memory")
    axes = parts.spatial_axes()
    lengths = [shape[axis] for axis in axes]
    if tile is None:
        sizes = _largest(images, axes, lengths, room)
    else:
        given = tile if isinstance(tile, tuple | list) else (tile,) * len(axes)
        known = as_integers([n for n in given if n is not None], 1)
        if known is None or len(given) != len(axes):
            raise ValueError(f"tile must be a positive integer, or {len(axes)} of them or None, got {tile!r}")
        sizes = tuple(n if size is None else min(as_integer(size), n) for size, n in zip(given, lengths, strict=True))
    # Refusals come before anything is computed.
    middle = _middle(parts, axes, sizes)
    each, whole = images.memory(middle, True), all(size == n for size, n in zip(sizes, lengths, strict=True))
    rows = max(1, min(shape[0], room // max(each, 1))) if whole else 1
    return Tiles(shape, axes, sizes, rows, rows * each)


def _middle(parts: "PartProgram", axes: tuple[int, ...], sizes: Sequence[int]) -> "Ends":
    """The ends of a tile of these sizes in the middle."""
    ends = [(0, n) for n in parts.out_shape[1:]]
    for axis, size in zip(axes, sizes, strict=True):
        start = (parts.out_shape[axis] - size) // 2
        ends[axis - 1] = start, start + size
    return tuple(ends)


def _largest(images: _Images, axes: tuple[int, ...], lengths: Sequence[int], room: int) -> tuple[int, ...]:
    """The sizes of the largest tiles that take no more memory: the larger, the less is computed twice."""
    parts = images.parts

    def taken(size: int, laid_out: bool = False) -> int:
        return images.memory(_middle(parts, axes, [min(size, n) for n in lengths]), laid_out)

    low, high = 0, max(lengths)
    if taken(high) <= room:
        low = high
    while high - low > 1:
        size = (low + high) // 2
        low, high = (size, high) if taken(size) <= room else (low, size)
    while low and taken(low, True) > room:
        low -= max(1, low // 8)
    if not low:
        raise ValueError(f"memory must be at least {taken(1)} bytes, for a single output, got {room}")
    sizes = []
    for i, n in enumerate(lengths):
        if low >= n:
            sizes.append(n)
            continue
        # Tiles of about one size, which begin where those before them did: they share what is prepared.
        period, even = parts.period(i), -(-n // -(-n // min(low, n)))
        up = -(-even // period) * period
        sizes.append(up if up <= low else low // period * period or even)
    return tuple(min(size, n) for size, n in zip(sizes, lengths, strict=True))


def _checked_out(out: Any, images: _Images, resume: Any) -> Any:
    """Where the result goes; ValueError where it cannot."""
    shape = images.out_shape[images.alone :]
    if out is None:
        if resume:
            raise ValueError("resume needs the out that the tiles before are in")
        return np.empty(shape, images.dtype)
    if not hasattr(out, "__setitem__") or tuple(getattr(out, "shape", ())) != shape:
        raise ValueError(f"out must have shape {shape} and take slices, got {_told(out)}")
    kind = getattr(out, "dtype", images.dtype)
    if not np.can_cast(images.dtype, kind, "same_kind"):
        raise ValueError(f"out must hold {images.dtype} or other floats, got {kind}")
    if isinstance(out, np.ndarray):
        if not out.flags.writeable:
            raise ValueError("out must be writable, got a read-only array")
        if any(isinstance(one, np.ndarray) and np.may_share_memory(one, out) for one in images.x):
            raise ValueError("out must not share memory with x, which later tiles read")
    if getattr(out, "read_only", False) or getattr(getattr(out, "file", None), "mode", "") == "r":
        raise ValueError(f"out must be writable, got a read-only {type(out).__name__}")
    if isinstance(out, np.memmap) and out.mode != "c" and out.filename and hasattr(os, "posix_fallocate"):
        # The file may have holes, and a disk that is full where one is filled ends the process.
        with open(out.filename, "r+b") as file:
            size = os.fstat(file.fileno()).st_size
            try:
                os.posix_fallocate(file.fileno(), 0, size)
            except OSError as error:
                told = f"{error.strerror}: out takes {size:,} bytes, and none of its tiles are done"
                raise OSError(error.errno, told, str(out.filename)) from error
    return out


def _name(i: int) -> str:
    return f"x[{i}]" if i else "x"


def _told(array: Any) -> str:
    return f"{type(array).__name__} of shape {getattr(array, 'shape', None)}"
