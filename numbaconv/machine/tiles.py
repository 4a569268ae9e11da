"""What Numba is told of tiles, once it is there: their type, how they lie in registers, and their operators."""

import operator

from llvmlite import ir
from numba import types
from numba.extending import lower_builtin, models, register_model, type_callable

from .tile import _call, _each, _suffix, _value, _vectors
from .vectors import VECTOR_BYTES

INT = ir.IntType(64)


class Tile(types.Type):
    """Numba type of a tile: ``rows`` x ``vecs`` vectors of ``dtype``."""

    def __init__(self, rows, vecs, dtype):
        self.rows, self.vecs, self.dtype = rows, vecs, dtype
        self.lanes = VECTOR_BYTES * 8 // dtype.bitwidth
        super().__init__(name=f"Tile({rows}, {vecs}, {self.lanes} x {dtype})")

    @property
    def vector(self):
        scalars = {types.float32: ir.FloatType(), types.float64: ir.DoubleType()}
        return ir.VectorType(scalars.get(self.dtype, ir.IntType(self.dtype.bitwidth)), self.lanes)


@register_model(Tile)
class _TileModel(models.PrimitiveModel):
    def __init__(self, manager, tile):
        super().__init__(manager, tile, ir.ArrayType(tile.vector, tile.rows * tile.vecs))


def _arithmetic(operation, instruction):
    """Have an operator take tiles of one kind, or a tile and a number."""

    # Numba would compile a function for each kind of operands of an overload.
    @type_callable(operation)
    def result(context):
        def kind(a, b):
            if isinstance(a, Tile) and (a == b or isinstance(b, types.Number)):
                return a
            return b if isinstance(b, Tile) and isinstance(a, types.Number) else None

        return kind

    @lower_builtin(operation, Tile, Tile)
    @lower_builtin(operation, Tile, types.Number)
    @lower_builtin(operation, types.Number, Tile)
    def apply(context, builder, sig, args):
        tile, apply = sig.return_type, getattr(builder, instruction)
        sides = [_vectors(context, builder, tile, *side) for side in zip(sig.args, args, strict=True)]
        return _value(context, builder, tile, (apply(*pair, ("contract",)) for pair in zip(*sides, strict=True)))


def _sign(operation, change):
    @type_callable(operation)
    def result(context):
        return lambda a: a if isinstance(a, Tile) else None

    @lower_builtin(operation, Tile)
    def apply(context, builder, sig, args):
        a = sig.return_type
        return _each(context, builder, a, lambda v: change(builder, a, v), *args)


_sign(operator.neg, lambda builder, a, v: builder.fneg(v))
_sign(abs, lambda builder, a, v: _call(builder, f"llvm.fabs.{_suffix(a)}", a.vector, v))


for _operation, _instruction in (("add", "fadd"), ("sub", "fsub"), ("mul", "fmul"), ("truediv", "fdiv")):
    _arithmetic(getattr(operator, _operation), _instruction)
