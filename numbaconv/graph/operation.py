"""What can be called on tensors without numbers: layers and models."""

from collections.abc import Sequence
from itertools import cycle, islice
from typing import Any, ClassVar

import numpy as np

from ..common.structures import leaves, mapped
from ..objects.naming import Named
from .tensor import KerasTensor, Node


class Operation(Named):
    """A layer or a model as a network sees it."""

    # Calls on tensors, in order.
    _nodes: list[Node]
    # Whether results have masks where inputs have none.
    _makes_masks: Any = False
    # Whether ``call`` takes a mask.
    _takes_mask: ClassVar[bool] = False
    # Whether what it has read has none any more, but for layers whose calls take one.
    _ends_masks: ClassVar[bool] = False
    # Whether it has no weights and no dtype of its own.
    _only_moves: Any = False
    # Keras's description of it, if it was no layer there but an operation: then its results have no masks.
    _described: Any = None

    # -- what a layer or a model defines ---------------------------------------------------------------------------

    def build(self, input_shape: Any) -> None:
        """Create the weights for inputs of this shape, batch axis included."""
        raise NotImplementedError

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Shape of the result, both with the batch axis; lists of shapes where there are several arrays."""
        raise NotImplementedError

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Which steps of the result count, a bool for each or None for all."""
        raise NotImplementedError

    def _called_shape(self, shapes: Sequence[Any], keywords: dict[str, Any]) -> Any:
        """Shape of what a call with these keywords returns for inputs of these shapes."""
        return self.compute_output_shape(*shapes)

    def _leaves(self) -> list[Any]:
        """The layers that weights belong to, each once."""
        raise NotImplementedError

    def _trace(self, *inputs: Any, training: bool | None = True, **keywords: Any) -> tuple[Any, Any]:
        """Compute the result, as in training or not, and what `_take_back` needs of the call."""
        raise NotImplementedError

    # Whether it is a sum of its inputs and nothing else.
    _adds: ClassVar[bool] = False

    def _takes_in(self, follower: Any) -> bool:
        """Whether `_trace`, told ``joined=True``, computes this other operation on its result too, and the way back."""
        return False

    def _takes_sum(self, adding: Any, follower: Any) -> bool:
        """Whether `_trace` computes two more on its result: the sum with an array ``onto`` it, and this follower."""
        return False

    def _passes(self, kept: Any) -> bool:
        """Whether `_take_back` returns the gradient as it came, since the operation before does all."""
        return False

    def _visited(self, arguments: tuple[Any, ...], keywords: dict[str, Any], traced: bool) -> tuple[Any, Any, Any]:
        """A call in a network: the result, its masks and, if traced, what `_take_back` needs."""
        raise NotImplementedError

    @property
    def _learns(self) -> bool:
        """Whether any weight of it is trained."""
        return any(layer._trained for layer in self._leaves())

    def _take_back(self, kept: Any, grad_out: Any, input_grad: bool, gradients: "Gradients") -> Any:
        """The gradient of the inputs (or None, if not wanted); those of weights go to ``gradients``."""
        raise NotImplementedError

    @property
    def _result_dtype(self) -> Any:
        """The dtype of the result, or a structure of them."""
        raise NotImplementedError

    def _widen(self, dtype: np.dtype) -> None:
        """Take a dtype that is wider than the own one, unless the user has chosen that."""

    # -- tensors ---------------------------------------------------------------------------------------------------

    @property
    def input(self) -> Any:
        """The tensor, or the list of tensors, of the first call on tensors.

        Raises
        ------
        AttributeError
            If there was none.
        """
        return one_or_list(self._first_node("input").inputs)

    @property
    def output(self) -> Any:
        """The tensor, or the structure of tensors, that the first call on tensors gave."""
        return self._first_node("output").structure

    def _first_node(self, name: str) -> Node:
        if not self._nodes:
            raise AttributeError(
                f"{self._label} has no {name} yet: call it on a tensor of layers.Input, or in a Sequential build that"
            )
        return self._nodes[0]

    def _connect(self, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """Call the operation on tensors: build it, and return the tensors of its result."""
        values = list(leaves((arguments, keywords)))
        given = [one for one in values if isinstance(one, KerasTensor)]
        with self._named():
            array = next((one for one in values if isinstance(one, np.ndarray)), None)
            if array is not None:
                raise TypeError(
                    f"an array must not stand among tensors, got one of shape {array.shape}: in a network numbers come "
                    "in through an Input, or are weights or settings of a layer"
                )
            # What an Input says is a wish of whoever calls the model; layers cast it.
            before = [np.dtype(t.dtype) for t in given if t._node.inputs and t.dtype in ("float32", "float64")]
            if before:
                self._widen(max(before, key=lambda dtype: dtype.itemsize))
            shapes = mapped(shape_of, arguments)
            self.build(*shapes)
            found = self._called_shape(shapes, keywords)
        count = len(self._nodes)
        name = self.name if not count else f"{self.name}_{count}"
        # Of a layer with several results all have its dtype.
        dtypes = cycle(leaves(self._result_dtype))
        tensors = mapped(lambda shape: KerasTensor(tuple(shape), next(dtypes), name), found, is_shape)
        node = Node(self, (arguments, keywords), tensors)
        self._nodes.append(node)
        return node.structure


class OfLeaves(Operation):
    """An operation whose weights are those of layers within, its leaves."""

    @property
    def weights(self) -> list[np.ndarray]:
        """The weight arrays of all layers, read-only, in order."""
        return [w for leaf in self._leaves() for w in leaf.weights]

    @property
    def trainable_weights(self) -> list[np.ndarray]:
        """The weights of the layers that are trainable."""
        return [w for leaf in self._leaves() for w in leaf.trainable_weights]

    @property
    def non_trainable_weights(self) -> list[np.ndarray]:
        """The weights of the layers that are not trainable."""
        return [w for leaf in self._leaves() for w in leaf.non_trainable_weights]

    @property
    def losses(self) -> list[float]:
        """The penalties of all layers in order."""
        return [penalty for leaf in self._leaves() for penalty in leaf.losses]

    def get_weights(self) -> list[np.ndarray]:
        """Copies of the weight arrays of all layers in order, free to be changed."""
        return [w.copy() for w in self.weights]

    def _hand_out(self, weights: Sequence[Any]) -> None:
        """Give each leaf its part of the arrays, all or none."""
        old = self.weights
        if not isinstance(weights, list | tuple) or len(weights) != len(old):
            got = len(weights) if isinstance(weights, list | tuple) else repr(weights)
            raise ValueError(f"weights must be a list of {len(old)} arrays, got {got}")
        try:
            self._set_all(weights)
        except (ValueError, TypeError):
            self._set_all(old)
            raise

    def _set_all(self, weights: Sequence[Any]) -> None:
        arrays = iter(weights)
        for leaf in self._leaves():
            leaf.set_weights(list(islice(arrays, len(leaf.weights))))


class Gradients:
    """Gradients of weights, summed over the calls of a layer."""

    def __init__(self) -> None:
        self._found: dict[int, dict[str, np.ndarray]] = {}

    def add(self, layer: Any, gradients: dict[str, np.ndarray]) -> None:
        """Add those of one call."""
        before = self._found.get(id(layer))
        self._found[id(layer)] = (
            gradients if before is None else {name: before[name] + one for name, one in gradients.items()}
        )

    def of(self, layer: Any) -> dict[str, np.ndarray]:
        """The sums of a layer, by the names of its weights; none if there was no call."""
        return self._found.get(id(layer), {})


def is_shape(value: Any) -> bool:
    """Whether something is one shape, and no structure of several."""
    return isinstance(value, list | tuple) and all(n is None or isinstance(n, int | np.integer) for n in value)


def shape_of(value: Any) -> Any:
    """The shape of a tensor or an array; anything else as it is."""
    return tuple(value.shape) if hasattr(value, "shape") else value


def one_or_list(values: Sequence[Any]) -> Any:
    """The value, or a list of several."""
    return values[0] if len(values) == 1 else list(values)
