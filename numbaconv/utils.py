"""Keras's small helpers: repeatable random numbers, labels as vectors, vectors of length 1."""

import numbers
import random
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .common import random as _random
from .common.arrays import as_numbers
from .common.targets import first_of
from .objects.public import publish
from .objects.registry import integer
from .shapes.checks import check_size

__all__ = ["normalize", "plot_model", "set_random_seed", "to_categorical"]
publish(__name__)

# Of np.random.seed
_MOST = 2**32 - 1


def set_random_seed(seed: int) -> None:
    """Make everything random repeatable (Keras's ``utils.set_random_seed``).

    From now on initializers, layers that draw, such as `numbaconv.layers.Dropout`, and the order of examples in ``fit``
    follow from this number where they are given no seed of their own, in the order in which they are made or called:
    the same program gives the same bits in every process, with any number of threads. They still differ from each
    other. Python's ``random`` and NumPy's global state are seeded, too.

    Parameters
    ----------
    seed : int
        From 0 to 2**32 - 1.

    Raises
    ------
    TypeError
        If it is no integer.
    ValueError
        If it is out of this range; nothing is changed then.

    Notes
    -----
    Layers that exist already keep their random numbers, as in Keras. Layers that several threads build or call take
    their numbers in the order in which the threads come; give those seeds of their own.
    """
    value = integer(seed, "seed")
    if not 0 <= value <= _MOST:
        raise ValueError(f"seed must be from 0 to {_MOST}, got {value}")
    _random.restart(value)
    random.seed(value)
    np.random.seed(value)


def plot_model(model: Any, to_file: str | PathLike[str] = "model.svg", show_shapes: bool = True) -> None:
    """Draw the layers of a model and what feeds them (Keras's ``utils.plot_model``).

    Parameters
    ----------
    model : Model or Sequential
    to_file : path-like
        An .svg file needs nothing else; .png, .pdf and what else Matplotlib writes need that.
    show_shapes : bool
        Whether the boxes show the output shapes.

    Raises
    ------
    TypeError
        If the model is none of this library.
    ValueError
        If it has no layers.
    ModuleNotFoundError
        If a format needs Matplotlib, and it is not installed.
    """
    # Models load Numba, which nothing else here needs.
    from .models import drawing
    from .models.network import Network

    if not isinstance(model, Network):
        raise TypeError(f"model must be a Model or a Sequential, got {model!r}")
    if not model.layers:
        raise ValueError(f"{model!r} has no layers to draw")
    picture = drawing.picture_of(model, show_shapes)
    if Path(to_file).suffix.lower() == ".svg":
        Path(to_file).write_text(drawing.svg(picture), "utf-8")
    else:
        drawing.draw(picture, to_file)


def to_categorical(x: ArrayLike, num_classes: int | None = None) -> NDArray[np.float64]:
    """Write each label as a vector of zeros with a one at the label's place (Keras's ``utils.to_categorical``).

    ``out[..., k] = 1 if x[...] == k else 0``

    Parameters
    ----------
    x : array_like of int
        Labels from 0 on, in any shape; a last axis of size 1 is left out. Floats and bools count where they are whole
        numbers.
    num_classes : int, optional
        Size of the last axis; None takes the largest label plus 1.

    Returns
    -------
    ndarray
        New, of dtype float64 and shape ``(*x.shape, num_classes)``.

    Raises
    ------
    ValueError
        If a label is no whole number, negative or not below `num_classes`, if `num_classes` is not positive, or if it
        is None and there are no labels to tell it.
    TypeError
        If `x` is no array of numbers, or `num_classes` no integer.

    Notes
    -----
    Keras cuts fractions off and counts negative labels from the end, so that a wrong label becomes another class.
    """
    labels = as_numbers(x, "x")
    wrong = (labels != np.floor(labels)) | ~(labels >= 0) | (labels > np.iinfo(np.intp).max)
    if wrong.any():
        raise ValueError(f"x must hold labels, which are whole numbers >= 0, got {first_of(wrong, labels)}")
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    if num_classes is None:
        if not labels.size:
            raise ValueError("num_classes must be given where x has no labels")
        classes = int(labels.max()) + 1
    else:
        classes = integer(num_classes, "num_classes")
        if classes < 1:
            raise ValueError(f"num_classes must be positive, got {classes}")
        wrong = labels >= classes
        if wrong.any():
            raise ValueError(f"x must hold labels below num_classes, {classes}, got {first_of(wrong, labels)}")
    shape = (*labels.shape, classes)
    check_size(shape, "the result")
    out = np.zeros(shape)
    np.put_along_axis(out, labels[..., None].astype(np.intp), 1, axis=-1)
    return out


def normalize(x: ArrayLike, axis: int = -1, order: float = 2) -> NDArray[np.floating[Any]]:
    """Divide vectors by their length (Keras's ``utils.normalize``).

    ``out = x / (sum of |x|**order along axis)**(1 / order)``; what has the length 0 stays as it is.

    Parameters
    ----------
    x : array_like
        Real numbers, in any shape.
    axis : int
        Along which the vectors lie.
    order : float
        2 for Euclid's length, 1 for the sum of amounts, ``np.inf`` for the largest of them; as in ``np.linalg.norm``.

    Returns
    -------
    ndarray
        New, shaped like `x`, of its dtype if that is a float and otherwise of float64.

    Raises
    ------
    TypeError
        If `x` is no array of numbers, `axis` no integer, or `order` no number.
    ValueError
        If `x` has no such axis, or `order` is NaN.

    Notes
    -----
    Keras mixes up axis 0 and the last one, and gives zeros for vectors whose squares overflow.
    """
    array = as_numbers(x, "x")
    if array.dtype.kind != "f":
        array = array.astype(np.float64)
    place = integer(axis, "axis")
    if not -array.ndim <= place < array.ndim:
        raise ValueError(f"axis must be an axis of x, whose shape is {array.shape}, got {place}")
    if not isinstance(order, numbers.Real) or isinstance(order, bool):
        raise TypeError(f"order must be a number, got {order!r}")
    if order != order:
        raise ValueError("order must be a number, got nan")
    if not array.size:
        return array.copy()
    with np.errstate(all="ignore"):
        largest = np.abs(array).max(place, keepdims=True)
        # By a power of two, which changes no digit, so that no square overflows.
        _, exponents = np.frexp(np.where(np.isfinite(largest), largest, 1))
        scaled = np.ldexp(array, -exponents)
        lengths = np.linalg.norm(scaled, float(order), place, keepdims=True)
        # At order 0 the length is the count of what is not 0, whatever the scale.
        out = np.where(lengths == 0, array, (scaled if order else array) / lengths)
    return np.ascontiguousarray(out, array.dtype)
