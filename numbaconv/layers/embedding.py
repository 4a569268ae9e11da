"""Embedding, which turns numbers of words into vectors, and Masking, which says what steps count."""

from typing import Any

import numpy as np

from .. import shapes
from ..common.arguments import as_numbers, check_bool
from ..common.words import Penalized, Unpack
from ..objects.registry import number
from .any_rank import AnyRank, Shape
from .learning import Grads
from .weights import Weight


class Embedding(AnyRank):
    """Give every number a vector (Keras's ``Embedding``): ``out = embeddings[x]``.

    Parameters
    ----------
    input_dim : int
        How many numbers there are: x goes from 0 to ``input_dim - 1``.
    output_dim : int
        Length of a vector.
    mask_zero : bool
        Whether a 0 stands for a step that does not count; `compute_mask` then says so to the layers that follow.
    weights : list of array_like, optional
        The embeddings, in place of what the initializer would draw.

    Notes
    -----
    Input of any shape and any real dtype, output one axis more, of length ``output_dim``. Weights: embeddings
    (input_dim, output_dim). Keeps for backward: its input, which has no gradient.
    """

    embeddings = Weight()
    _neutral = dict.fromkeys(
        ("lora_rank", "lora_alpha", "quantization_config"), ((None,), "weights are neither factorized nor quantized")
    )
    _neutral |= {"input_length": ((None, int), "inputs of any length will do")}

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        weights: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(weights=weights, **kwargs)
        with self._named():
            (self.input_dim,) = shapes.normalize_tuple(input_dim, 1, "input_dim")
            (self.output_dim,) = shapes.normalize_tuple(output_dim, 1, "output_dim")
            self.mask_zero = check_bool(mask_zero, "mask_zero")
            self._set_components(locals())

    @property
    def _makes_masks(self) -> bool:
        return self.mask_zero

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Where ``inputs`` is not 0, with ``mask_zero``; otherwise None."""
        return as_numbers(inputs, "inputs") != 0 if self.mask_zero else None

    def call(self, x: np.ndarray) -> np.ndarray:
        if not self.built:
            raise ValueError("call needs a built layer: layer(x) builds it")
        right = (x >= 0) & (x < self.input_dim) & (x == np.floor(x))
        if not right.all():
            place = tuple(map(int, np.argwhere(~right)[0]))
            raise ValueError(
                f"x must hold whole numbers from 0 to {self.input_dim - 1}, got {x[place].item()!r} at {place}"
            )
        return np.asarray(self._weights["embeddings"][x.astype(np.intp)])

    def _forward(self, x: np.ndarray) -> tuple[np.ndarray, Any]:
        return self.call(x), x

    def _backward(self, kept: Any, grad_out: np.ndarray, input_grad: bool) -> Grads:
        numbers = kept.ravel().astype(np.intp)
        found = np.zeros((self.input_dim, self.output_dim), self._dtype)
        order = np.argsort(numbers, kind="stable")
        each, starts = np.unique(numbers[order], return_index=True)
        if len(each):
            found[each] = np.add.reduceat(grad_out.reshape(len(numbers), -1)[order], starts, axis=0)
        return None, {"embeddings": found}

    def _ready(self, x: Any) -> np.ndarray:
        # No cast: float32 does not hold every number.
        x = as_numbers(x, "x")
        if x.ndim < 1:
            raise ValueError(f"x must have at least 1 axis, the batch, got shape {x.shape}")
        if not self.built:
            self.build(x.shape)
        return x

    def _checked_shape(self, input_shape: Any) -> Shape:
        if not isinstance(input_shape, tuple | list) or not input_shape:
            raise ValueError(f"input_shape must be a tuple of at least 1 size, batch first, got {input_shape!r}")
        return shapes.normalize_shape(input_shape, "input_shape")

    def _channels_of(self, shape: Shape) -> int | None:
        return None

    def _weight_shapes(self, channels: int | None) -> dict[str, tuple[int, ...]]:
        return {"embeddings": (self.input_dim, self.output_dim)}

    def _output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape, self.output_dim)

    def _why(self, before: Shape, after: Shape) -> str:
        return f"every value becomes a vector of {self.output_dim}"


class Masking(AnyRank):
    """Mask the steps all of whose values are ``mask_value`` (Keras's ``Masking``), and set them to 0.

    Parameters
    ----------
    mask_value : float

    Notes
    -----
    Input (N, ..., C), output the same; `compute_mask` gives (N, ...), False where all C values are ``mask_value``.
    Keeps for backward: which steps count.
    """

    supports_masking = True
    _makes_masks = True

    def __init__(self, mask_value: float = 0.0, **kwargs: "Unpack[Penalized]") -> None:
        super().__init__(**kwargs)
        with self._named():
            self.mask_value = number(mask_value, "mask_value")

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Where a value of the last axis is not ``mask_value``."""
        return (as_numbers(inputs, "inputs") != self.mask_value).any(axis=-1)

    def call(self, x: np.ndarray) -> np.ndarray:
        self._must_fit(x)
        return self._forward(x)[0]

    def _forward(self, x: np.ndarray) -> tuple[np.ndarray, Any]:
        counts = self.compute_mask(x)[..., None]
        return np.where(counts, x, 0), counts

    def _input_grad(self, kept: Any, grad_out: np.ndarray) -> np.ndarray:
        return np.where(kept, grad_out, 0)

    def _why(self, before: Shape, after: Shape) -> str:
        return f"steps in which every value is {self.mask_value:g} become 0"
