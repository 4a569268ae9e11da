"""Convolutions of single pixels with channels first: products of matrices, for few channels or filters."""

from collections.abc import Callable
from math import ceil, prod
from typing import Any

import numpy as np

from ..kernels.named import outer
from ..kernels.plan.axes import Axis
from ..kernels.plan.host import HOST
from ..machine.vectors import WIDE, panel_width
from ..objects.tuples import NamedTuple
from .epilogue import Epilogue
from .layouts import Ints, empty_planes, planar, planar_result
from .packed import Packed

# Tasks of many such products.
TASKS = 16


class PlanesCall(NamedTuple):
    """A convolution of single pixels with channels first: the weights turned round, times the planes of each image."""

    out_shape: Ints
    rank: int
    shape: Ints
    block: Ints
    serial: bool
    # Of canonical arrays.
    direct: Callable[[], Any]
    # Each of as many planes and filters as the shape says.
    branches: int

    def __call__(self, x: np.ndarray, packed: Packed, epilogue: Epilogue) -> np.ndarray:
        out, (bias, *limits) = empty_planes(self.out_shape, packed.dtype), epilogue[:3]
        # Those of a transposed convolution lie the other way round.
        steps = (self.shape[2], 1) if packed.operation == "conv_transpose" else (1, self.out_shape[-1])
        sizes = *self.shape, *steps, 0, self.branches
        arrays = planar(x).reshape(-1), sizes, bias, tuple(limits), out.reshape(-1)
        outer(packed.plain.reshape(-1), *arrays, WIDE, self.block, serial=self.serial)
        return planar_result(out, self.out_shape, self.rank)

    def run(self, image: np.ndarray, packed: Packed, epilogue: Epilogue, out: Any = None) -> np.ndarray:
        """From canonical array to canonical array; into ``out``, where it is given."""
        return self.direct().run(image, packed, epilogue, out)


def planes_call(
    axes: tuple[Axis, ...], channels: int, filters: int, branches: int, rank: int, direct: Callable[[], Any]
) -> PlanesCall:
    """Prepare that of ``axes`` whose windows are single pixels; ``direct`` prepares that of canonical arrays."""
    out_shape = *(axis.windows for axis in axes), branches * filters
    images, positions = axes[0].windows * branches, prod(out_shape[1:-1])
    serial = images * positions * channels * filters < HOST.serial_work
    columns = max(1, positions if serial else ceil(positions * images / TASKS))
    shape = images, filters, channels, positions
    return PlanesCall(out_shape, rank, shape, (filters, columns), serial, direct, branches)


def multiply_rows(
    x: np.ndarray, weights: np.ndarray, epilogue: Epilogue, out: np.ndarray, sizes: Ints, serial: bool
) -> None:
    """The product of matrices, of few rows with weights as they lie: ``sizes`` are rows, features and units."""
    (rows, features, units), width, (bias, *limits) = sizes, panel_width(x.itemsize, len(WIDE)), epilogue[:3]
    block = rows, max(1, units if serial else ceil(units / width / TASKS) * width)
    arrays = weights.reshape(-1), (1, *sizes, features, 1, 1, 1), bias, tuple(limits), out.reshape(-1)
    outer(x.reshape(-1), *arrays, WIDE, block, serial=serial)
