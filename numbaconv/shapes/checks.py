"""Arguments as integers, tuples and names, with an error that says what would be right."""

import operator
from collections.abc import Sequence
from math import prod
from typing import Any

# Values of the largest array: an exbibyte of float64. Whatever is computed from such sizes fits 64 bits.
MOST = 2**57


def as_integer(value: Any) -> int:
    """The value as an int, a NumPy integer included; TypeError if it is anything else, a bool included."""
    # By name, so that NumPy's bool is recognised (operator.index of older NumPy accepts it) without importing NumPy.
    if type(value).__name__ in {"bool", "bool_"}:
        raise TypeError(f"a bool is not an integer, got {value!r}")
    return operator.index(value)


def as_integers(values: Sequence[Any], minimum: int) -> tuple[int, ...] | None:
    """The values as ints, or None if one of them is not an integer or lies below the minimum."""
    try:
        # Nearly all are, and loading a network asks for thousands.
        integers = tuple(values if {*map(type, values)} <= {int} else map(as_integer, values))
    except TypeError:
        return None
    return integers if min(integers, default=minimum) >= minimum else None


def positive_integer(value: Any, name: str) -> int:
    """The value as an int; ValueError if it is not an integer or lies below 1."""
    integers = as_integers((value,), 1)
    if integers is None:
        raise ValueError(f"{name} must be a positive integer, got {value!r}")
    return integers[0]


def _axes(n: int) -> int:
    if n not in range(65):
        raise ValueError(f"n must be a number of axes, got {n!r}")
    return n


def normalize_shape(value: Any, name: str) -> tuple[int | None, ...]:
    """A shape, sizes as ints or None where unknown; ValueError if it is anything else or beyond any memory."""
    sizes = value if isinstance(value, tuple | list) else (value,)
    known = as_integers([size for size in sizes if size is not None], 0)
    if known is None or sizes is not value:
        raise ValueError(f"{name} must be a tuple of sizes, None or non-negative integers, got {value!r}")
    shape = tuple(None if size is None else as_integer(size) for size in sizes)
    check_size(shape, name)
    return shape


def check_size(shape: Sequence[int | None], name: str) -> None:
    """Raise ValueError for shapes beyond any memory, empty axes and unknown ones taken as 1."""
    if prod(size or 1 for size in shape) > MOST:
        raise ValueError(f"{name} must have at most 2**57 values, got shape {tuple(shape)}")


def normalize_tuple(value: Any, n: int, name: str, allow_zero: bool = False) -> tuple[int, ...]:
    """Spread an integer over `n` axes, or check a tuple of `n` integers.

    Parameters
    ----------
    value : int or tuple or list of int
        NumPy integers count as integers; bool and float do not.
    n : int
        Number of axes.
    name : str
        Argument name for the error message.
    allow_zero : bool
        Whether 0 is accepted.

    Returns
    -------
    tuple of int
        `n` Python integers.

    Raises
    ------
    ValueError
        If `value` is anything else.

    Examples
    --------
    >>> normalize_tuple(3, 2, "kernel_size")
    (3, 3)
    """
    values = value if isinstance(value, tuple | list) else (value,) * _axes(n)
    integers = as_integers(values, 0 if allow_zero else 1)
    if integers is None or len(integers) != n:
        sign = "non-negative" if allow_zero else "positive"
        raise ValueError(f"{name} must be a {sign} integer or a tuple of {n} of them, got {value!r}")
    return integers


def normalize_pairs(value: Any, n: int, name: str) -> tuple[tuple[int, int], ...]:
    """Turn a cropping or zero-padding amount into one (before, after) pair for each of `n` axes.

    Parameters
    ----------
    value : int or tuple or list
        One int for every side, or for each axis an int (both sides) or a pair; for one axis the pair may stand alone.
    n : int
        Number of axes.
    name : str
        Argument name for the error message.

    Returns
    -------
    tuple of (int, int)
        `n` pairs.

    Raises
    ------
    ValueError
        If `value` has another form, an amount is negative, or it is a dictionary.

    Examples
    --------
    >>> normalize_pairs(((1, 2), 3), 2, "cropping")
    ((1, 2), (3, 3))
    """
    if not isinstance(value, tuple | list):
        entries: Sequence[Any] = (value,) * _axes(n)
    elif n == 1 and not (len(value) == 1 and isinstance(value[0], tuple | list)):
        entries = (value,)
    else:
        entries = value
    pairs = []
    for entry in entries:
        pair = as_integers(entry if isinstance(entry, tuple | list) else (entry, entry), 0)
        if pair is not None and len(pair) == 2:
            pairs.append((pair[0], pair[1]))
    if not len(pairs) == len(entries) == n:
        several = f"a tuple of {n} of them, or a tuple of {n} (before, after) pairs"
        form = "or a (before, after) pair of them" if n == 1 else several
        raise ValueError(f"{name} must be a non-negative integer, {form}, got {value!r}")
    return tuple(pairs)


def one_of(value: Any, name: str, allowed: Sequence[str]) -> str:
    """One of the allowed names, in lower case."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string, one of {', '.join(map(repr, allowed))}, got {value!r}")
    if value.lower() not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}")
    return value.lower()


def normalize_padding(value: Any, allowed: Sequence[str] = ("valid", "same", "causal")) -> str:
    """Check a padding name, in any case, and return it in lower case.

    Raises
    ------
    ValueError
        If the name is not in `allowed`.
    TypeError
        If `value` is not a string.
    """
    return one_of(value, "padding", allowed)


def explicit(padding: Any) -> tuple[int, int] | None:
    """Zeros before and after one axis, where a pair says them; None for a name, or anything else."""
    pair = as_integers(padding, -MOST) if isinstance(padding, tuple) and len(padding) == 2 else None
    return None if pair is None else (pair[0], pair[1])


def along_axes(padding: Any, n: int, allowed: Sequence[str] = ("valid", "same", "causal")) -> tuple[Any, ...]:
    """The padding of each axis: one name for all of them, or a pair for each, as in a `regions.Region`."""
    if isinstance(padding, tuple) and len(padding) == n and all(map(explicit, padding)):
        return padding
    return (normalize_padding(padding, allowed),) * n


def normalize_data_format(value: Any) -> str:
    """Check a data format, in any case: "channels_last" for (batch, ..., C), "channels_first" for (batch, C, ...).

    Raises
    ------
    ValueError
        If it is another string.
    TypeError
        If `value` is not a string.
    """
    return one_of(value, "data_format", ("channels_last", "channels_first"))
