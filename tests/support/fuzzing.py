"""What the fuzz tests share.

Arguments: right ones for a function or class, of which one or two are then swapped for odd ones.
"""

import collections
import decimal
import fractions
import inspect
from contextlib import contextmanager, suppress

import numpy as np
import pytest
from array_kinds import READ, REFUSED
from hypothesis import strategies as st

from numbaconv import functional, shapes

# What every fuzz test is, and what it runs in.
MARKS = [pytest.mark.situation("arbitrary arguments"), pytest.mark.usefixtures("bounded", "unchanged_defaults")]

# What a wrong argument may lead to.
ALLOWED = (ValueError, TypeError, MemoryError)

# Between the sizes of small arrays, which are computed, and those that no memory holds.
HUGE = [2**31 - 1, 2**31, 2**32, 2**40, 2**53, 2**62, 2**63 - 1, 2**63, 2**64, 10**30, 10**400]
INTEGERS = st.sampled_from([-(2**63) - 1, -(2**31), -2, -1, 0, 1, 2, 3, 5, *HUGE])
FLOATS = st.sampled_from([np.nan, np.inf, -np.inf, -0.0, 0.5, 1.0, -1.5, 1e-320, 1e39, 1e308])
_MEANT = [
    "same",
    "VALID",
    "causal",
    "full",
    "channels_first",
    "Channels_Last",
    "nearest",
    "bilinear",
    "bicubic",
    "float64",
]
_MEANT += ["relu", "softmax", "zeros", "l2", "max_norm", "adam", "mse", "accuracy", "auto", "loss", "min"]
NAMES = st.sampled_from([*_MEANT, "", "a", ">f4", "f4,f4", "\0", "\ud800", "é"])


class Odd:
    """Has no meaning anywhere."""


def _odd_arrays():
    # Error messages show what they complain about, if it can be shown.
    refused = [make for name, (make, *_) in REFUSED.items() if name != "no representation"]
    # A memoryview of several axes cannot be gone through, which is nobody's business here.
    kinds = [*(make for name, make in READ.items() if name != "memoryview"), *refused]
    shape = st.lists(st.sampled_from([0, 1, 1, 2, 3]), min_size=1, max_size=6).map(tuple)

    def made(kind, shape):
        a = np.arange(max(np.prod(shape, dtype=int), 1))[: np.prod(shape, dtype=int)].reshape(shape) % 6.0
        try:
            return kind(a)
        except IndexError:
            # Not of arrays without values.
            return a

    return st.builds(made, st.sampled_from(kinds), shape)


_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    INTEGERS,
    FLOATS,
    NAMES,
    st.sampled_from([np.int8(3), np.uint64(2), np.int64(-1), np.float32(2), np.float32("nan"), np.bool_(True)]),
    st.sampled_from([b"same", 2j, fractions.Fraction(1, 2), decimal.Decimal(2), decimal.Decimal("nan"), Odd(), Odd]),
    st.sampled_from(
        [len, int, np.float64, np.dtype("f4"), np.dtype("f4,f4"), Ellipsis, range(3), slice(1, 2), object()]
    ),
)
ODD = st.one_of(
    _SCALARS,
    st.recursive(
        _SCALARS,
        lambda inner: st.one_of(
            st.lists(inner, max_size=4),
            st.lists(inner, max_size=4).map(tuple),
            st.dictionaries(st.one_of(NAMES, st.integers(0, 2)), inner, max_size=3),
        ),
        max_leaves=6,
    ),
    _odd_arrays(),
    st.builds(collections.deque, st.lists(_SCALARS, max_size=2)),
)
# What JSON can say.
ODD_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), INTEGERS, FLOATS, NAMES),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=5,
)


@contextmanager
def limited_memory(more):
    """Nothing may take so many bytes more than is taken now, where the system has such limits."""
    try:
        import resource

        with open("/proc/self/statm") as file:
            taken = int(file.read().split()[0]) * resource.getpagesize()
    except (ImportError, OSError):
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (taken + more, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def parameters(function):
    """Names of what a function or class takes, besides ``*args`` and ``**kwargs``."""
    found = inspect.signature(function).parameters.values()
    return [p.name for p in found if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]


def needed(function):
    """Those of them that have no default."""
    found = inspect.signature(function).parameters.values()
    return [p.name for p in found if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]


@st.composite
def spoiled(draw, arguments, most=2, odd=ODD, keep=()):
    """The arguments by name, in every second draw up to ``most`` of them swapped for odd values."""
    names = sorted(set(arguments) - set(keep))
    some = names and draw(st.booleans())
    swapped = draw(st.lists(st.sampled_from(names), min_size=1, max_size=most, unique=True)) if some else []
    return {**arguments, **{name: draw(odd) for name in swapped}}


@st.composite
def spoiled_json(draw, value):
    """The value with some part of it swapped for another or left out."""
    if isinstance(value, dict | list) and value and draw(st.integers(0, 4)):
        keys = sorted(value) if isinstance(value, dict) else range(len(value))
        key = draw(st.sampled_from(list(keys)))
        if draw(st.integers(0, 9)) == 0:
            return {k: v for k, v in value.items() if k != key} if isinstance(value, dict) else value[:key]
        changed = value.copy()
        changed[key] = draw(spoiled_json(value[key]))
        return changed
    if draw(st.booleans()):
        return draw(ODD_JSON)
    alike = {bool: st.booleans(), int: st.integers(1, 4), float: st.floats(0, 1), str: NAMES}
    return draw(alike.get(type(value), st.just(value)))


def per_axis(draw, rank, least, most):
    """One integer, or one for each axis."""
    each = st.integers(least, most)
    return draw(st.one_of(each, st.tuples(*[each] * rank)))


def values(draw, shape):
    """Float values, in an array of some kind."""
    array = np.random.default_rng(draw(st.integers(0, 9))).integers(-4, 5, shape).astype(np.float32)
    return draw(st.sampled_from([array, array, array.astype(np.float64), np.asfortranarray(array), array.astype("i2")]))


@st.composite
def operands(draw, operation):
    """Arguments for ``operation`` of `numbaconv.functional` that fit together, by name."""
    rank = draw(st.integers(1, 3))
    data_format = draw(st.sampled_from(["channels_last", "channels_first"]))
    transposed = "transpose" in operation
    batch, c, f, m = draw(st.tuples(*[st.integers(0, 2)], *[st.integers(1, 3)] * 3))
    lengths = draw(st.tuples(*[st.integers(1, 7)] * rank))
    kernel = draw(st.tuples(*[st.integers(1, 3)] * rank))
    paddings = ["valid", "same"] + ["causal"] * (rank == 1 and not transposed and "pool" not in operation)
    a = {
        "kernel_size": kernel,
        "pool_size": kernel,
        "strides": per_axis(draw, rank, 1, 3),
        "dilation_rate": per_axis(draw, rank, 1, 3),
        "padding": draw(st.sampled_from(paddings)),
        "data_format": data_format,
        "algorithm": draw(st.sampled_from(["auto", "auto", "direct", "winograd"])),
        "output_padding": None,
        "dtype": draw(st.sampled_from([None, "float32", np.float64])),
        "interpolation": draw(
            st.sampled_from(["nearest", *(("bilinear", "bicubic", "lanczos3", "lanczos5") if rank == 2 else ())])
        ),
        "size": per_axis(draw, rank, 1, 3),
        "cropping": per_axis(draw, rank, 0, 1),
    }
    if "pad" in operation:
        a["padding"] = per_axis(draw, rank, 0, 2)
    out = f
    weights = (*kernel, *((f, c) if transposed else (c, f)))
    if "depthwise" in operation:
        out, weights = c * m, (*kernel, c, m)

    def placed(channels, lengths):
        return (batch, channels, *lengths) if data_format == "channels_first" else (batch, *lengths, channels)

    a["x_shape"] = placed(c, lengths)
    a["grad_out"] = a["x"] = values(draw, a["x_shape"])
    a["weights"] = values(draw, weights)
    a["bias"] = draw(st.sampled_from([None, np.ones(out, np.float32)]))
    a["depthwise_weights"], a["pointwise_weights"] = (
        values(draw, (*kernel, c, m)),
        values(draw, (*[1] * rank, c * m, f)),
    )
    if operation in ("conv", "depthwise_conv", "separable_conv", "conv_transpose") and draw(st.integers(0, 3)) == 0:
        settings = (a["strides"], a["dilation_rate"]) if transposed else ()
        a["weights"] = getattr(functional, f"pack_{operation.replace('separable_', '')}")(a["weights"], *settings)
        a["depthwise_weights"] = functional.pack_depthwise_conv(a["depthwise_weights"], "float32")
    if operation.endswith("_grad"):
        a["grad_out"] = _gradient(draw, operation, a, out, kernel)
    return {name: a[name] for name in parameters(getattr(functional, operation)) if name in a}


def _gradient(draw, operation, a, filters, kernel):
    """A gradient of the shape of the operation's result, or the input where there would be none."""
    settings = a["strides"], a["padding"]
    try:
        if "pool" in operation:
            shape = shapes.pool_output_shape(a["x_shape"], kernel, *settings, a["data_format"])
        elif "transpose" in operation:
            shape = shapes.conv_transpose_output_shape(
                a["x_shape"], filters, kernel, *settings, None, a["dilation_rate"], a["data_format"]
            )
        elif "conv" in operation:
            shape = shapes.conv_output_shape(
                a["x_shape"], filters, kernel, *settings, a["dilation_rate"], a["data_format"]
            )
        elif "upsample" in operation:
            shape = shapes.upsample_output_shape(a["x_shape"], a["size"], a["data_format"])
        else:
            shape = a["x_shape"]
    except ValueError:
        shape = a["x_shape"]
    return values(draw, shape)


@st.composite
def spoiled_shape(draw, shape):
    sizes = draw(spoiled(dict(enumerate(shape)), 1, st.one_of(st.none(), INTEGERS, ODD)))
    return draw(st.sampled_from([tuple, list]))(sizes[i] for i in range(len(shape)))


def attempt(function, /, *arguments, also=(), **settings):
    """What a call returns, or None if it raised what it may."""
    with suppress(*ALLOWED, *also):
        return function(*arguments, **settings)
    return None


def snapshot(arguments):
    return [a.copy() for a in arguments.values() if type(a) is np.ndarray]


def same(a, b):
    return all(x.tobytes() == y.tobytes() for x, y in zip(a, b, strict=True))
