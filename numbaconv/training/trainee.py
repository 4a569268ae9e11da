"""All that training needs of a model: what defines the methods of these two classes can be trained.

`numbaconv.models.layered` defines most of them for a model of any layers. The rest depends on how the layers are
connected: ``forward``, ``backward`` and the result's shape and dtype.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..common.structures import leaves, mapped
from ..graph.operation import is_shape
from ..objects.naming import Named


class Trainee(Named):
    """A model as training sees it.

    As it stands it has one input and one output. A model of several takes a list of arrays and defines `input_names`,
    `output_names`, `_form` and `_inputs_of`.
    """

    # -- inputs and outputs ----------------------------------------------------------------------------------------

    @property
    def input_names(self) -> list[str]:
        """The names of the inputs, by which a dict of arrays gives them."""
        return ["input"]

    @property
    def output_names(self) -> list[str]:
        """The names of the outputs, by which a dict gives what belongs to them: targets, losses, metrics."""
        return ["output"]

    # What the model returns: 0 in place of each array.
    _form: Any = 0

    def _inputs_of(self, x: Any) -> list[Any]:
        """What was given for each input, in order."""
        return [x]

    def _separate(self, out: Any) -> list[Any]:
        """The outputs in order, from the model's result."""
        return [out] if self._form == 0 else list(leaves(out))

    def _joint(self, outputs: Sequence[Any]) -> Any:
        """Outputs, or what belongs to them, in the form of the model's result."""
        if self._form == 0:
            return outputs[0]
        found = iter(outputs)
        return mapped(lambda _: next(found), self._form)

    # -- computing -------------------------------------------------------------------------------------------------

    def __call__(self, x: Any, training: bool | None = None) -> Any:
        """Compute the model on ``x``, building it first if need be."""
        raise NotImplementedError

    def forward(self, x: Any, training: bool = True) -> Any:
        """Compute the model as in training, and keep what `backward` needs."""
        raise NotImplementedError

    def backward(self, grad_out: Any, input_grad: bool = True) -> Any:
        """Take the gradient of a loss from the result of the last `forward` back to its input and to the weights.

        That of an output without a loss is None.

        Without ``input_grad`` the way back ends where nothing before is trained.
        """
        raise NotImplementedError

    # Of the outputs of the last `forward`, which of their steps count: None where all do, for an output or for all.
    _masks: Any = None

    def _masked_call(self, x: Any) -> tuple[Any, Any]:
        """The result for ``x``, and the same of its outputs."""
        return self(x), None

    def _forward_of_step(self, x: Any) -> Any:
        """`forward`, which `_backward_of_step` follows."""
        return self.forward(x)

    def _backward_of_step(self, grad_out: Any) -> None:
        """`backward` to the weights alone."""
        self.backward(grad_out, input_grad=False)

    @property
    def weights(self) -> list[np.ndarray]:
        """All weight arrays, trained or not."""
        raise NotImplementedError

    @property
    def losses(self) -> list[float]:
        """The penalties on the weights and on what the last call gave, to be added to the loss."""
        raise NotImplementedError

    # -- before the first batch ------------------------------------------------------------------------------------

    def _ready(self, x: Any) -> Any:
        """The input, or a list of several, as arrays that fit the model, which is built for them."""
        raise NotImplementedError

    def _shape_for(self, x: Any) -> Any:
        """Shape of the result for such arrays, of which alone an error speaks."""
        raise NotImplementedError

    def _shapes_for(self, x: Any) -> list[Any]:
        """That of each output."""
        return list(leaves(self._shape_for(x), is_shape))

    @property
    def _result_dtype(self) -> Any:
        """The dtype of the result."""
        raise NotImplementedError

    def _trained_weights(self) -> "TrainedWeights":
        """The weights of a built model for the steps that follow, as ``trainable`` is now."""
        raise NotImplementedError


class TrainedWeights:
    """The weights of a model in the course of training: found once, and good for the steps of an epoch.

    A step takes a `snapshot`, runs ``forward`` and ``backward`` of the model, hands the `values` and `gradients` to the
    optimizer and what that returns to `assign`. If anything goes wrong on the way, `restore` takes all of it back. Its
    ``names`` are those of the weights that the optimizer changes, "layer/weight", in the order of the values.
    """

    names: list[str]

    def values(self) -> list[np.ndarray]:
        """The weights that the optimizer changes, as they are."""
        raise NotImplementedError

    def gradients(self) -> list[np.ndarray]:
        """Their gradients, which the last ``backward`` has computed.

        Raises
        ------
        ValueError
            If there is none, or one of another shape than its weight.
        """
        raise NotImplementedError

    def assign(self, values: Sequence[np.ndarray]) -> None:
        """Give these weights other values."""
        raise NotImplementedError

    def constrain(self) -> None:
        """Put those through their constraints that have any."""
        raise NotImplementedError

    def penalty(self) -> float:
        """The sum of the model's ``losses``."""
        raise NotImplementedError

    def snapshot(self) -> Any:
        """All weights of the model, for `restore` and `spoilt`."""
        raise NotImplementedError

    def restore(self, snapshot: Any) -> None:
        """Put all weights back to what they were; it never fails."""
        raise NotImplementedError

    def spoilt(self, snapshot: Any) -> list[str]:
        """Names of weights that have become infinite or NaN since: moving statistics, or what constraints have made.

        Those of the first layer that has any are enough: what comes after it follows from them.
        """
        raise NotImplementedError

    def let_go(self) -> None:
        """Forget what ``forward`` has kept for a ``backward`` that did not come."""
        raise NotImplementedError
