"""Flatten."""

from math import prod
from typing import Any

import numpy as np

from ..calls.layouts import contiguous, swapped
from ..common.arguments import check_data_format
from .any_rank import AnyRank, Shape


class Flatten(AnyRank):
    """Put all axes but the batch into one (Keras's ``Flatten``).

    Parameters
    ----------
    data_format : {"channels_last", "channels_first"}, optional
        channels_first moves the channels last before, so that both formats give the same. None takes
        `config.image_data_format`.

    Notes
    -----
    Input (N, ...), output (N, product of the others). Keeps for backward: the shape of its input.
    """

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        with self._named():
            self.data_format = check_data_format(data_format)

    def _output_shape(self, input_shape: Shape) -> Shape:
        batch, *others = input_shape
        known = [n for n in others if n is not None]
        return batch, prod(known) if len(known) == len(others) else None

    def _why(self, before: Shape, after: Shape) -> str:
        first = ", channels last" if self.data_format == "channels_first" else ""
        size = "unknown" if after[1] is None else after[1]
        return f"values of an example: {' * '.join(str(n or 'unknown') for n in before[1:])} = {size}{first}"

    def _forward(self, x: np.ndarray) -> tuple[np.ndarray, Any]:
        batch, *others = x.shape
        if self.data_format == "channels_first":
            x = swapped(contiguous(x).reshape(batch, others[0], prod(others[1:])))
        return np.ascontiguousarray(x).reshape(batch, prod(others)), (batch, *others)

    def _input_grad(self, kept: Any, grad_out: np.ndarray) -> np.ndarray:
        batch, channels, *lengths = kept
        if self.data_format == "channels_first":
            grad_out = swapped(contiguous(grad_out).reshape(batch, prod(lengths), channels))
        return grad_out.reshape(kept)
