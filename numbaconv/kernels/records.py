"""Records: what the parts of a kernel tell each other, by name.

A kernel takes arrays, numbers and flat tuples, and builds these in the body of its loop, where they cost nothing:
Numba passes their fields in registers. As arguments of a kernel they would cost a microsecond, or not compile.
"""

import numpy as np

from ..objects.tuples import NamedTuple


class Block(NamedTuple):
    """Windows that a task computes: neighbours in one or more images, and the group of panels that it is for."""

    # First window along each axis.
    n: int
    d: int
    h: int
    w: int
    # Windows along N, D, H and W: several images only whole, and so several planes.
    images: int
    planes: int
    rows: int
    columns: int
    # Number of the group of panels.
    part: int


class Channels(NamedTuple):
    """Channels that a block reads: number j of them is channel ``(first + j) // repeat`` of the image."""

    first: int
    # Those past the image's last are zeros.
    count: int
    # More than 1 where a depth multiplier has several filters read each channel.
    repeat: int


class Inside(NamedTuple):
    """Of a block, the input positions that lie inside the image, or the taps that read some of these.

    From ``front``, ``top``, ``left`` to before the others.
    """

    front: int
    back: int
    top: int
    bottom: int
    left: int
    right: int


class Source(NamedTuple):
    """Where a block reads its input: the image itself, or a strip."""

    array: np.ndarray
    # Flat index of the first channel where the first tap of the first window reads; it may lie outside.
    start: int
    # Elements from one image to the next, and from one position to the next along D, H and W.
    image: int
    plane: int
    row: int
    column: int
    # Positions that may be read: of a strip, all that it has.
    inside: Inside
    # Elements from one tap to the next along D, H and W.
    tap_plane: int
    tap_row: int
    tap_column: int
    # Taps that may be read.
    taps: Inside


class Places(NamedTuple):
    """Where a block's windows read and write: those from ``first`` to before ``end``, whole tiles of them."""

    first: int
    end: int
    # Windows of the block; the others are spare, and repeat the last.
    count: int
    # For each window, elements from the start of the source, and flat index of its first output.
    x_at: np.ndarray
    out_at: np.ndarray


class Steps(NamedTuple):
    """What a window sums over: a channel of a tap is a step."""

    # What each adds to the place where a window reads the source, and one entry more.
    shifts: np.ndarray
    # Runs of steps whose weights follow each other: where they begin in those of a panel.
    starts: np.ndarray
    # Steps of each run that are to be taken: from the first to before the second.
    first: int
    end: int


class Line(NamedTuple):
    """Vectors of an array along one axis: the first at flat index ``at``, the others ``step`` elements apart."""

    array: np.ndarray
    at: int
    step: int


class Epilogue(NamedTuple):
    """What happens to a sum on its way to the output."""

    # Added to it: an array with the filters, and room for a panel after the last.
    bias: np.ndarray
    # What smaller and larger sums become: 0 and inf are the activation relu, -inf and inf none.
    minimum: float
    maximum: float
    # What sums below 0 are multiplied by before that: 1 leaves them.
    slope: float
    # Added before that: an array with the elements of the output at the same flat indices, or none. Not for planes.
    residual: np.ndarray
    # Number among `rules` of an activation that takes the place of slope and limits; 0 for none. Not for planes.
    function: int


class Panels(NamedTuple):
    """Panels of packed weights, each as wide as a tile: those from ``first`` to before ``end``."""

    weights: np.ndarray
    # A plan, and its row for the first of all panels.
    plan: np.ndarray
    row: int
    first: int
    end: int


class Panel(NamedTuple):
    """One of `Panels`."""

    weights: np.ndarray
    number: int
    # Its first filter and the number of its filters, and where they lie in the output of a window.
    first: int
    count: int
    place: int
    # The first channel of the image that they read.
    channel: int


class Tiles(NamedTuple):
    """Tiles from ``first`` to before ``end`` of each row of a block."""

    first: int
    end: int
    # Rows of a strip from one window to the next, and columns.
    steps: tuple[int, int]
    # Columns that they may read, from the first to before the second; None for all.
    columns: tuple[int, int] | None


class Share(NamedTuple):
    """What a task sums up for a gradient of weights."""

    # Its blocks of windows.
    first: int
    end: int
    # The branch, panels in the group, and the first filter of the gradient that they read.
    branch: int
    group: int
    filter: int
    # Flat index of its sums, and which of their rows it takes.
    sums_at: int
    first_row: int
    end_row: int


class Limits(NamedTuple):
    """What the inputs of a patch must be, as `winograd.trust.trust_limits` explains."""

    ratio: float
    least: float
    largest: float


# For where nobody asks.
NO_LIMITS = Limits(0.0, 0.0, 0.0)
