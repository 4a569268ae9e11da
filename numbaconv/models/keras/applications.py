"""Layers that `keras.applications` has of its own, for files of its networks."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from ... import initializers
from ...layers.any_rank import AnyRank, Shape
from ...layers.learning import Grads
from ...layers.merging import Merge
from ...layers.weights import Weight
from ...objects.registry import integer, number


class LayerScale(AnyRank):
    """ConvNeXt's factor for each channel: ``out = gamma * x``, channels last."""

    gamma = Weight()

    def __init__(self, init_values: float, projection_dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        with self._named():
            self.init_values = number(init_values, "init_values")
            self.projection_dim = integer(projection_dim, "projection_dim")
            self.gamma_initializer = initializers.Constant(self.init_values)
        self.gamma_regularizer = self.gamma_constraint = None

    def _weight_shapes(self, channels: int | None) -> dict[str, tuple[int, ...]]:
        return {"gamma": (self.projection_dim,)}

    def _output_shape(self, input_shape: Shape) -> Shape:
        if input_shape[-1] not in (None, self.projection_dim):
            raise ValueError(f"input_shape must have {self.projection_dim} channels, got {input_shape}")
        return input_shape

    def _forward(self, x: np.ndarray) -> tuple[np.ndarray, Any]:
        return x * self.gamma, x

    def _backward(self, kept: Any, grad_out: np.ndarray, input_grad: bool) -> Grads:
        sums = (grad_out * kept).sum(tuple(range(kept.ndim - 1)))
        return grad_out * self.gamma if input_grad else None, {"gamma": sums}

    def _whole_axes(self, count: int) -> Collection[int]:
        return (count - 1,)


class StochasticDepth(AnyRank):
    """ConvNeXt's leaving out of whole branches in training, which prediction knows nothing of."""

    def __init__(self, drop_path_rate: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        with self._named():
            self.drop_path_rate = number(drop_path_rate, "drop_path_rate", minimum=0, maximum=1)

    def call(self, x: np.ndarray) -> np.ndarray:
        self._must_fit(x)
        return np.array(x, order="C")

    def _forward(self, x: np.ndarray) -> tuple[np.ndarray, Any]:
        if self.drop_path_rate:
            raise ValueError(f"drop_path_rate must be 0 in training, got {self.drop_path_rate}")
        return x, None

    def _whole_axes(self, count: int) -> Collection[int]:
        return ()

    def _input_grad(self, kept: Any, grad_out: np.ndarray) -> np.ndarray:
        return grad_out


class CustomScaleLayer(Merge):
    """InceptionResNetV2's sum in which the second counts for less: ``out = x[0] + scale * x[1]``."""

    _least, _most = 2, 2

    def __init__(self, scale: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        with self._named():
            self.scale = number(scale, "scale")

    def _merged(self, xs: list[np.ndarray]) -> np.ndarray:
        return xs[0] + xs[1] * self._dtype.type(self.scale)

    def _parts(self, xs: list[np.ndarray], grad_out: np.ndarray) -> list[np.ndarray]:
        return [grad_out, grad_out * self._dtype.type(self.scale)]


_LAYERS: Sequence[Any] = (CustomScaleLayer, LayerScale, StochasticDepth)
APPLICATIONS: dict[str, Any] = {cls.__name__: cls for cls in _LAYERS}
