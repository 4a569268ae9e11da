"""Arrays of every kind that a user may hand over: what must be read, and what must be refused."""

import numpy as np


class Exporter:
    """What has DLPack's protocol and nothing else; by default of an array in the main memory."""

    def __init__(self, array, device=None):
        self.array, self.device = array, device

    def __dlpack__(self, **options):
        if self.device is not None:
            raise BufferError("cannot export to the main memory")
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__() if self.device is None else (self.device, 0)


class Frame:
    """What has ``__array__`` and nothing else, as a pandas DataFrame."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        if isinstance(self.array, Exception):
            raise self.array
        return np.asarray(self.array, dtype)


class Unprintable(Frame):
    def __repr__(self):
        raise RuntimeError("no representation")


class Subclass(np.ndarray):
    pass


def unaligned(a):
    """The array in the middle of bytes, where no processor would have put it."""
    a = np.ascontiguousarray(a, np.float32)
    return np.frombuffer(bytearray(b"." + a.tobytes()), np.float32, offset=1).reshape(a.shape)


def read_only(a):
    a = a.astype(np.float32)
    a.flags.writeable = False
    return a


def broadcast(a):
    """The first of each axis but the last, again and again, with strides of 0."""
    return np.broadcast_to(a[(0,) * (a.ndim - 1)].astype(np.float32), a.shape)


def mapped(a, folder):
    file = np.lib.format.open_memmap(folder / "mapped.npy", "w+", np.float32, a.shape)
    file[...] = a
    file.flush()
    return np.load(folder / "mapped.npy", mmap_mode="r")


def every_other(a):
    wide = np.zeros([2 * n for n in a.shape], np.float32)
    part = wide[tuple(slice(None, None, 2) for _ in a.shape)]
    part[...] = a
    return part


def with_gaps(a):
    """A field of a structured array."""
    table = np.zeros(a.shape, [("gap", "u1"), ("value", "<f4")])
    table["value"] = a
    return table["value"]


# Each makes such an array of one of small natural numbers.
READ = {
    "float32": lambda a: a.astype(np.float32),
    "float64": lambda a: a.copy(),
    "float16": lambda a: a.astype(np.float16),
    "longdouble": lambda a: a.astype(np.longdouble),
    **{f"{sign}{bits}": lambda a, n=f"{sign}{bits}": a.astype(n) for sign in ("int", "uint") for bits in (8, 16, 32)},
    "int64": lambda a: (a + 2**62).astype(np.int64),
    "uint64": lambda a: a.astype(np.uint64) + np.uint64(2**63),
    "bool": lambda a: a % 2 == 1,
    "strided": every_other,
    "negative strides": lambda a: a.astype(np.float32)[(slice(None, None, -1),) * a.ndim],
    "Fortran order": lambda a: np.asfortranarray(a, np.float32),
    "transposed": lambda a: (
        a.astype(np.float32).transpose(*range(1, a.ndim), 0).copy().transpose(-1, *range(a.ndim - 1))
    ),
    "broadcast": broadcast,
    "other byte order": lambda a: a.astype(np.dtype(np.float32).newbyteorder()),
    "other byte order, integers": lambda a: a.astype(np.dtype(np.int16).newbyteorder()),
    "read-only": read_only,
    "unaligned": unaligned,
    "field of a structured array": with_gaps,
    "dtype with metadata": lambda a: a.astype(np.dtype(np.float32, metadata={"unit": "m"})),
    "masked, nothing masked": lambda a: np.ma.masked_array(a.astype(np.float32)),
    "subclass": lambda a: a.astype(np.float32).view(Subclass),
    "nested lists": lambda a: a.tolist(),
    "list of arrays": lambda a: list(a),
    "__array__": lambda a: Frame(a.astype(np.float32)),
    "DLPack": lambda a: Exporter(a.astype(np.float32)),
    "DLPack, strided": lambda a: Exporter(every_other(a)),
    "DLPack, integers": lambda a: Exporter(a.astype(np.int8)),
    "memoryview": lambda a: memoryview(a.astype(np.float32)),
    "huge": lambda a: np.exp2(a.astype(np.longdouble) * 100),
}

# Each makes what is no array of real numbers in the main memory, and says what the error must hold.
REFUSED = {
    "complex": (lambda a: a * 1j, TypeError, "complex128"),
    "object": (lambda a: a.astype(object), TypeError, "object"),
    "text": (lambda a: a.astype(str), TypeError, "dtype <U"),
    "bytes": (lambda a: a.astype("S"), TypeError, r"dtype \|S"),
    "times": (lambda a: a.astype("M8[s]"), TypeError, "datetime64"),
    "durations": (lambda a: a.astype("m8[s]"), TypeError, "timedelta64"),
    "structured": (lambda a: a.astype("f4,f4"), TypeError, "'<f4'"),
    "void": (lambda a: a.astype("f4").view("V4"), TypeError, r"\|V4"),
    "masked": (lambda a: np.ma.masked_array(a, a == a.flat[0]), TypeError, "masked values, got .*filled"),
    "masked everywhere": (lambda a: np.ma.masked_all(a.shape), TypeError, "masked values"),
    "the masked constant": (lambda a: np.ma.masked, TypeError, "masked values"),
    "None": (lambda a: None, TypeError, "object"),
    "integers beyond 64 bits": (lambda a: (a.astype(int).astype(object) + 2**70).tolist(), TypeError, "object"),
    "integers beyond float64": (lambda a: [a.tolist(), 10**400], (ValueError, TypeError), "must"),
    "ragged": (lambda a: [a.tolist(), [1.0]], ValueError, "must be an array of numbers"),
    "an iterator": (lambda a: iter(a), TypeError, "object"),
    "a dictionary": (lambda a: {"array": a}, TypeError, "object"),
    "a string": (lambda a: "1.0", TypeError, "dtype <U"),
    "DLPack on a GPU": (lambda a: Exporter(a, 2), TypeError, "must be an array of numbers, got .*Exporter"),
    "DLPack, complex": (lambda a: Exporter(a * 1j), TypeError, "complex128"),
    "failing __array__": (lambda a: Frame(RuntimeError("gone")), TypeError, "must be an array of numbers, got .*gone"),
    "wrong __array__": (lambda a: Frame(ValueError("gone")), ValueError, "must be an array of numbers, got .*gone"),
    "no representation": (lambda a: Unprintable(RuntimeError("gone")), TypeError, "got a Unprintable: gone"),
    "0-d": (lambda a: np.float32(1), ValueError, "axes|shape|size"),
    "Python number": (lambda a: 1.5, ValueError, "axes|shape|size"),
    "no axes": (lambda a: np.array(2), ValueError, "axes|shape|size"),
    "six axes": (lambda a: np.zeros((1,) * 6), ValueError, "axes|shape|size"),
    "empty list": (lambda a: [], ValueError, "axes|shape|size"),
}
