"""What layers share that are computed for prediction alone."""

from typing import Any

from ..common.structures import leaves
from .any_rank import AnyRank


class PredictOnly(AnyRank):
    """A layer that has no way back: it is computed in a network that is trained, but no gradient passes it.

    With ``trainable=False`` it may stand before layers that are trained; after them it may not.
    """

    def _forward(self, x: Any, **keywords: Any) -> tuple[Any, Any]:
        self._check_no_dropout()
        return self.call(x, **keywords), None

    def _in_training(self, x: Any, **keywords: Any) -> Any:
        return self._forward(x, **keywords)[0]

    def _trace(self, *inputs: Any, training: bool | None = True, **keywords: Any) -> tuple[Any, Any]:
        keywords["training"] = training is not False
        return self(*inputs, **keywords), ()

    def _take_back(self, kept: Any, grad_out: Any, input_grad: bool, gradients: Any) -> None:
        with self._named():
            self._check_not_trained(input_grad)

    def _after_call(self, out: Any) -> None:
        if self.activity_regularizer is not None:
            penalties = (self.activity_regularizer(one) / max(len(one), 1) for one in leaves(out))
            self._activity_loss = float(sum(penalties))

    def _check_no_dropout(self) -> None:
        for name in ("dropout", "recurrent_dropout"):
            if getattr(self, name, 0):
                raise ValueError(
                    f"{name} must be 0 in training, because numbaconv computes this layer for prediction only, got "
                    f"{getattr(self, name)}"
                )

    def _check_not_trained(self, input_grad: bool) -> None:
        """Raise if a gradient is asked for."""
        if self._trained:
            raise ValueError(
                "trainable must be False in training, because numbaconv computes this layer for prediction only, got "
                "True"
            )
        if input_grad:
            raise ValueError(
                "no layer before it can be trained, because numbaconv computes this layer for prediction only: set "
                "trainable=False for all of them"
            )
