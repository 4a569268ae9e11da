"""Whatever a user calls an array, as arrays of real numbers."""

from typing import Any

import numpy as np


def as_numbers(value: Any, name: str) -> np.ndarray:
    """Any array of real numbers as an ndarray, without a copy where possible.

    Raises TypeError for complex numbers, strings and objects, masked values, and arrays that are not in the main
    memory, and ValueError for ragged lists.
    """
    array = value if type(value) is np.ndarray else _as_array(value, name)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold real numbers (bool, integer or float), got dtype {array.dtype}")
    return array


def _as_array(value: Any, name: str) -> np.ndarray:
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise TypeError(f"{name} must have no masked values, got {np.ma.count_masked(value)}; filled() replaces them")
    try:
        if hasattr(value, "__dlpack__") and not hasattr(value, "__array__"):
            return np.from_dlpack(value)
        return np.asarray(value)
    except MemoryError:
        raise
    # NumPy says where a nested list is ragged. Arrays of other libraries refuse with errors of many kinds.
    except Exception as error:
        kind = ValueError if isinstance(error, ValueError) else TypeError
        raise kind(f"{name} must be an array of numbers, got {_shown(value)}: {error}") from None


def _shown(value: Any) -> str:
    """The beginning of a value's representation, if it has one."""
    try:
        text = repr(value)
    except Exception:
        return f"a {type(value).__name__}"
    return text if len(text) <= 200 else f"{text[:200]}..."


def dtype_or_none(value: Any) -> np.dtype | None:
    """The dtype that a value means; None for what is none."""
    try:
        return np.dtype(value)
    # NumPy has errors and warnings of many kinds for that.
    except Exception:
        return None


def common_dtype(*arrays: np.ndarray | None) -> np.dtype:
    """What kernels compute in: float64 where one of the arrays is, in any byte order, or longer; otherwise float32."""
    double = any(a is not None and a.dtype.kind == "f" and a.dtype.itemsize >= 8 for a in arrays)
    return np.dtype(np.float64 if double else np.float32)


def cast(array: np.ndarray, dtype: Any) -> np.ndarray:
    """The array in another dtype; what overflows float32 becomes an infinity, as it does in Keras."""
    if array.dtype == dtype:
        return array
    with np.errstate(all="ignore"):
        return array.astype(dtype)


def as_floats(value: Any, name: str) -> np.ndarray:
    """`as_numbers`, of which bools and integers become float32."""
    array = as_numbers(value, name)
    return array if array.dtype.kind == "f" else array.astype(np.float32)


def masked(keep: np.ndarray, values: np.ndarray) -> np.ndarray:
    """``np.where(keep, values, 0)`` without branches: the bits of values times 0 or 1, which no NaN can spoil."""
    bits = values.view(f"u{values.itemsize}")
    return (bits * keep).view(values.dtype)


def address_of(array: np.ndarray) -> int:
    """Address of its first value."""
    address: int = array.__array_interface__["data"][0]
    return address


def ends_of(array: np.ndarray) -> tuple[int, int]:
    """Addresses of its first byte, and of the one behind its last."""
    address = address_of(array)
    if array.flags.c_contiguous:
        return address, address + array.nbytes
    steps = [(n - 1) * stride for n, stride in zip(array.shape, array.strides, strict=True)] if array.size else []
    return address + sum(min(0, step) for step in steps), address + sum(max(0, step) for step in steps) + array.itemsize
