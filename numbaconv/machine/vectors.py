"""The host's vector width and the tile shape that fills its registers, chosen here and nowhere else.

Any choice computes correct results on any CPU; a wrong one is merely slow. ``NUMBACONV_VECTOR_BYTES`` (16, 32 or 64)
overrides it.
"""

import functools
import os
import platform

from .words import setting

# Bytes of a cache line, and of the stretch after which addresses share a set of the L1 cache.
CACHE_LINE, CACHE_WAY = 64, 4096

# Bytes per vector register -> (rows, vectors) of the tile. Its rows * vectors accumulators, one row of weights and one
# broadcast value must fit the register file: 32 registers of AVX-512 or NEON, 16 of AVX2.
_TILES = {64: (14, 2), 32: (6, 2), 16: (6, 4)}

_X86 = "x86_64", "amd64"


def _host_vector_bytes():
    if platform.machine().lower() not in _X86:
        return 16
    return 64 if _has("avx512f") else 32


def _has(feature):
    """Whether code is made for a processor that has it, of those with x86-64."""
    features = setting("CPU_FEATURES")
    if features is not None:
        return f"+{feature}" in features
    # A CPU asked for by name may lack what the host has.
    if platform.machine().lower() not in _X86 or setting("CPU_NAME") not in (None, "host"):
        return False
    # Linux tells what LLVM would be imported for.
    described = processor()
    if described:
        return f" {feature} ".encode() in described
    from llvmlite import binding

    return bool(binding.get_host_cpu_features().get(feature))


@functools.cache
def processor():
    """What Linux says the first processor is and can do; nothing on other systems."""
    try:
        with open("/proc/cpuinfo", "rb") as file:
            lines = file.read(8192).partition(b"\n\n")[0].splitlines()
    except OSError:
        return b""
    kept = b"vendor_id", b"cpu family", b"model", b"stepping", b"flags"
    return b"\n".join(line + b" " for line in lines if line.startswith(kept))


_chosen = os.environ.get("NUMBACONV_VECTOR_BYTES") or str(_host_vector_bytes())
if _chosen not in map(str, _TILES):
    raise ValueError(f"NUMBACONV_VECTOR_BYTES must be one of {sorted(_TILES)}, got {_chosen}")
VECTOR_BYTES = int(_chosen)
TILE_ROWS, TILE_VECS = _TILES[VECTOR_BYTES]
# Whether lanes of one vector can be taken from any of another, in one instruction.
PERMUTES = VECTOR_BYTES > 16 and _has({32: "avx2", 64: "avx512f"}[VECTOR_BYTES])
# A tuple as long as a tile of two rows has vectors.
WIDE = (0,) * min(8, TILE_ROWS * TILE_VECS // 3)
# Rows of a tile of one vector, where they have to be few.
SLIM_ROWS = min(16, TILE_ROWS * TILE_VECS)
# Rows of a tile of one vector that slides over neighbours: registers hold its weights, too, and few rows pay badly for
# beginning it.
SLIDE_ROWS = 14 if VECTOR_BYTES == 64 else 8
# Taps of a row that it takes at once.
SLIDE = 3
# Rows of a lower tile, for what whole tiles leave over.
LOW_ROWS = TILE_ROWS // 2
# Lines at either end of those that a tile slides over which may lie outside of the image.
EDGE = 3
# Elements of a line that is as long for every dtype.
LINE = VECTOR_BYTES // 4


def conv_tile(itemsize, filters):
    """Rows and vectors of the tile for so many filters: those that fit one vector leave the registers to more rows."""
    return (TILE_ROWS * TILE_VECS, 1) if filters * itemsize <= VECTOR_BYTES else (TILE_ROWS, TILE_VECS)


def most_low(height):
    """Rows that a tile of that height leaves over, up to which lower ones take less time than one more of it."""
    return min(height // 2, 2 * LOW_ROWS)


def panel_width(itemsize, vecs=TILE_VECS):
    """Output channels of one tile: its vectors times the elements of ``itemsize`` bytes in each."""
    return vecs * VECTOR_BYTES // itemsize


def few_filters(filters, itemsize):
    """Filters of a panel of `kernels.few`: one, or as many as keep the loads of a window's inputs few."""
    return 1 if filters == 1 else min(4, panel_width(itemsize, 1))


def position_tile(filters):
    """Rows and vectors of a tile whose vectors are positions: a row for each filter, and registers for the input."""
    rows = 1 if filters <= 2 else 4
    return rows, min(8, (TILE_ROWS * TILE_VECS + 4) // (rows + 1))


def conv_vecs(filters, itemsize):
    """Vectors of a convolution's tile, as a tuple of that length: Numba knows lengths of tuples when it compiles."""
    return (0,) * conv_tile(itemsize, filters)[1]


def conv_width(filters, itemsize):
    """Output channels of a convolution's tile."""
    return panel_width(itemsize, conv_tile(itemsize, filters)[1])
