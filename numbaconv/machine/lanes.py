"""Functions of lines, lane by lane, for formulas that are written as for numbers; the operators are those of tiles.

In Python terms, for lines of one kind, and numbers in the place of some of them::

    -a, abs(a)
    line_less(a, b, x, y)       x where a < b, elsewhere y, where a or b is NaN too
    line_equal(a, b, x, y)      likewise where they are equal, and
    line_most(a, b, x, y)       where a <= b
    line_sign(a, b)             |a| with the sign of b
    line_keep(a, count, n)      a, but n from lane ``count`` on
    line_log(a)                 the logarithm
    line_sum(a), line_top(a)    a number; the largest is NaN where one lane is
    line_exp(x, offset)         q, a:  exp(x) = (1 + q) * a / 2**offset
    line_log1p(f)               log(1 + f) for -0.3 < f < 0.42
    line_gate(x, lowest)        1 / (1 + exp(-x)) from ``lowest`` to ``-lowest``, which those beyond are taken for
    line_series(x, numbers)     a polynomial, the number of the highest power first
    tile_clip(a, low, high)     limits that values of any tile are kept between on their way to memory
    tile_finish(a, low, high)   the same of sums, whose zeros have no sign

All do the same in every lane, whatever the others hold, so that a value's place in an array does not change its digits.
"""

import functools
import math

from .line import _beats
from .tile import _call, _each, _fused, _masks, _splat, _suffix, _unknown, _value, _vectors
from .words import cgutils, intrinsic, ir, tiles, types

# Powers of two that smallest and largest results are away from 1 more than others: see `line_exp`.
FAR_DOWN, FAR_UP = 64, -64
# Digits of the mantissa, bias of the exponent; beyond these arguments exp is 0 or infinite; log(2) in two parts, the
# first with so few digits that its products with exponents are exact; terms of the series of exp and of atanh.
_KINDS = {
    32: (23, 127, (-104.0, 89.0), (0.693359375, math.log(2) - 0.693359375), 7, 6),
    64: (52, 1023, (-746.0, 710.0), (0.693145751953125, 1.42860682030941723212e-6), 13, 11),
}


def _comparison(sign):
    def choose(typingctx, a, b, x, y):
        line = next(kind for kind in (a, b, x, y) if isinstance(kind, tiles.Tile))

        def codegen(context, builder, sig, args):
            sides = [_vectors(context, builder, line, *side) for side in zip(sig.args, args, strict=True)]
            chosen = (builder.select(builder.fcmp_ordered(sign, a, b), x, y) for a, b, x, y in zip(*sides, strict=True))
            return _value(context, builder, line, chosen)

        return line(a, b, x, y), codegen

    return intrinsic(choose)


line_less, line_equal, line_most = map(_comparison, ("<", "==", "<="))


def _function(name, doc):
    def function(typingctx, a):
        def codegen(context, builder, sig, args):
            return _each(context, builder, a, lambda v: _call(builder, f"llvm.{name}.{_suffix(a)}", a.vector, v), *args)

        return a(a), codegen

    function.__doc__ = doc
    return intrinsic(function)


line_sqrt = _function("sqrt", "The roots.")
line_log = _function("log", "The logarithms: one by one, and so for what is seldom.")


@intrinsic
def line_sign(typingctx, a, b):
    """The sizes of one line with the signs of another."""

    def codegen(context, builder, sig, args):
        name = f"llvm.copysign.{_suffix(a)}"
        return _each(context, builder, a, lambda v, w: _call(builder, name, a.vector, v, w), *args)

    return a(a, b), codegen


@intrinsic
def line_keep(typingctx, a, count, number):
    """A line with another number from lane ``count`` on."""

    def codegen(context, builder, sig, args):
        lines = (_vectors(context, builder, a, *side) for side in ((a, args[0]), (number, args[2])))
        choices = zip(_masks(builder, a, args[1]), *lines, strict=True)
        return _value(context, builder, a, (builder.select(*choice) for choice in choices))

    return a(a, count, number), codegen


def _folded(doc, combine):
    def fold(typingctx, a):
        def codegen(context, builder, sig, args):
            vector, part = builder.extract_value(args[0], 0), a.lanes // 2
            for i in range(1, a.vecs):
                vector = combine(builder, vector, builder.extract_value(args[0], i))
            while part:
                # Every lane and the one half as many further on: what comes of lanes further back is not used.
                mask = ir.Constant(ir.VectorType(ir.IntType(32), a.lanes), [i ^ part for i in range(a.lanes)])
                vector = combine(builder, vector, builder.shuffle_vector(vector, vector, mask))
                part //= 2
            return builder.extract_element(vector, ir.IntType(32)(0))

        return a.dtype(a), codegen

    fold.__doc__ = doc
    return intrinsic(fold)


line_sum = _folded("The sum of all lanes.", lambda builder, a, b: builder.fadd(a, b))
line_top = _folded(
    "The largest of all lanes, or NaN.", lambda builder, a, b: builder.select(_beats(builder, b, a), b, a)
)


def _series(builder, line, x, numbers):
    """The polynomial of a vector with these, the highest power's first."""
    return functools.reduce(lambda total, number: _fused(builder, line, total, x, number), numbers)


@intrinsic
def line_series(typingctx, x, numbers):
    """The polynomial of ``x`` with these numbers, a tuple of float64, the highest power's first."""

    def codegen(context, builder, sig, args):
        kind = sig.args[1]
        found = [context.cast(builder, n, kind.dtype, x.dtype) for n in cgutils.unpack_tuple(builder, args[1])]
        lines = [_splat(builder, number, x.lanes) for number in found]
        return _each(context, builder, x, lambda vector: _series(builder, x, vector, lines), args[0])

    return x(x, numbers), codegen


def _constant(line, number):
    return ir.Constant(line.vector, [number] * line.lanes)


@intrinsic
def line_exp(typingctx, x, offset):
    """Lines q and a for which ``exp(x) = (1 + q) * a / 2**offset``.

    a is a power of two, and an offset of `FAR_DOWN` keeps it one for x from where exp becomes 0 up to 40: its exponent
    alone does not reach the smallest numbers. The error of q is below one unit of rounding of 1 + q, and q keeps its
    digits where x is small.
    """
    digits, bias, (lowest, highest), (log2, log2_rest), terms, _ = _KINDS[x.dtype.bitwidth]
    # Added to a number, this shifts the digits of its integer to the end of the mantissa.
    shift = 1.5 * 2.0**digits
    bits = ir.VectorType(ir.IntType(x.dtype.bitwidth), x.lanes)
    coefficients = [_constant(x, 1 / math.factorial(n)) for n in range(terms, 0, -1)]

    def codegen(context, builder, sig, args):
        parts = [ir.Constant(context.get_value_type(x), ir.Undefined)] * 2
        offsets = _vectors(context, builder, x, offset, args[1])
        for i, more in enumerate(offsets):
            value = builder.extract_value(args[0], i)
            for sign, limit in (("<", _constant(x, lowest)), (">", _constant(x, highest))):
                value = builder.select(builder.fcmp_ordered(sign, value, limit), limit, value)
            moved = _fused(builder, x, value, _constant(x, 1 / math.log(2)), _constant(x, shift))
            exponent = builder.fsub(moved, _constant(x, shift))
            for part in (log2, log2_rest):
                value = _fused(builder, x, exponent, _constant(x, -part), value)
            number = builder.fadd(exponent, builder.fadd(more, _constant(x, shift + bias)))
            power = builder.shl(builder.bitcast(number, bits), ir.Constant(bits, [digits] * x.lanes))
            q = builder.fmul(_series(builder, x, value, coefficients), value)
            parts[0] = builder.insert_value(parts[0], q, i)
            parts[1] = builder.insert_value(parts[1], builder.bitcast(power, x.vector), i)
        return context.make_tuple(builder, sig.return_type, parts)

    return types.UniTuple(x, 2)(x, offset), codegen


@intrinsic
def line_gate(typingctx, x, lowest):
    """``1 / (1 + exp(-x))`` within 4 units of rounding, for x from ``lowest``, at least -87, to ``-lowest``.

    Half as long as what `line_exp` would make of it, for the ends of sums.
    """
    digits, bias, _, (log2, log2_rest), terms, _ = _KINDS[x.dtype.bitwidth]
    shift = 1.5 * 2.0**digits + bias
    bits = ir.VectorType(ir.IntType(x.dtype.bitwidth), x.lanes)
    coefficients = [_constant(x, 1 / math.factorial(n)) for n in range(terms, -1, -1)]

    def gate(builder, value, low):
        for sign, limit in (("<", low), (">", builder.fneg(low))):
            value = builder.select(builder.fcmp_ordered(sign, value, limit), limit, value)
        moved = _fused(builder, x, value, _constant(x, -1 / math.log(2)), _constant(x, shift))
        exponent = builder.fsub(moved, _constant(x, shift))
        power = builder.shl(builder.bitcast(moved, bits), ir.Constant(bits, [digits] * x.lanes))
        rest = _fused(builder, x, exponent, _constant(x, -log2), builder.fneg(value))
        rest = _fused(builder, x, exponent, _constant(x, -log2_rest), rest)
        one, series = _constant(x, 1.0), _series(builder, x, rest, coefficients)
        whole = _fused(builder, x, builder.bitcast(power, x.vector), series, one)
        # By an estimate, where the processor has one.
        return builder.fdiv(one, whole, flags=("arcp", "ninf", "contract"))

    def codegen(context, builder, sig, args):
        (low,) = set(_vectors(context, builder, x, sig.args[1], args[1]))
        return _each(context, builder, x, lambda vector: gate(builder, vector, low), args[0])

    return x(x, lowest), codegen


@intrinsic
def line_log1p(typingctx, f):
    """``log(1 + f)`` for f from -0.3 to 0.42, within two units of rounding; it keeps its digits where f is small."""
    coefficients = [_constant(f, 2 / (2 * n + 1)) for n in range(_KINDS[f.dtype.bitwidth][-1] - 1, -1, -1)]

    def log1p(builder, vector):
        # Twice the inverse hyperbolic tangent of s.
        s = builder.fdiv(vector, builder.fadd(vector, _constant(f, 2.0)))
        return builder.fmul(_series(builder, f, builder.fmul(s, s), coefficients), s)

    def codegen(context, builder, sig, args):
        return _each(context, builder, f, lambda vector: log1p(builder, vector), *args)

    return f(f), codegen


@intrinsic
def tile_clip(typingctx, tile, minimum, maximum):
    """Values below ``minimum`` become it, then those above ``maximum`` that; NaN stays NaN."""

    def codegen(context, builder, sig, args):
        tile, *kinds = sig.args
        value = args[0]
        for arg, kind, comparison in zip(args[1:], kinds, "><", strict=True):
            limit = _splat(builder, context.cast(builder, arg, kind, tile.dtype), tile.lanes)
            value = _each(context, builder, tile, functools.partial(_clip, builder, limit, comparison), value)
        return value

    return tile(tile, minimum, maximum), codegen


@intrinsic
def tile_finish(typingctx, tile, minimum, maximum):
    """`tile_clip`, and -0 becomes 0.

    The sign of a zero would tell which taps were left out because all that they read is 0, and so how work is cut.
    """

    def codegen(context, builder, sig, args):
        bits = ir.IntType(tile.dtype.bitwidth)
        # If LLVM knew it, it would compare what was there before, and lose that a maximum is one instruction.
        zero = _splat(builder, builder.bitcast(_unknown(builder, bits(0)), tile.vector.element), tile.lanes)
        vectors = [builder.fadd(builder.extract_value(args[0], i), zero) for i in range(tile.rows * tile.vecs)]
        for arg, kind, comparison, none in zip(args[1:], sig.args[1:], "><", (-math.inf, math.inf), strict=True):
            limit, before = context.cast(builder, arg, kind, tile.dtype), builder.block
            with builder.if_then(builder.fcmp_unordered("!=", limit, limit.type(none))):
                # Unknown before: LLVM would compare with it whether it limits or not, and have no registers left.
                limit = builder.bitcast(_unknown(builder, builder.bitcast(limit, bits)), tile.vector.element)
                limit, within = _splat(builder, limit, tile.lanes), builder.block
                kept = [_clip(builder, limit, comparison, vector) for vector in vectors]
            found = [builder.phi(tile.vector) for _ in vectors]
            for phi, vector, other in zip(found, vectors, kept, strict=True):
                phi.add_incoming(vector, before)
                phi.add_incoming(other, within)
            vectors = found
        return _value(context, builder, tile, vectors)

    return tile(tile, minimum, maximum), codegen


def _clip(builder, limit, comparison, vector):
    """The vector on one side of a limit; NaN stays NaN."""
    return builder.select(builder.fcmp_ordered(comparison, limit, vector), limit, vector)
