"""Model, a network of layers that are connected in any way without a circle."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from ..common.arguments import as_numbers, check_bool
from ..common.structures import leaves, mapped
from ..config import floatx
from ..graph.operation import is_shape, one_or_list
from ..graph.order import ordered
from ..graph.tensor import KerasTensor, Node
from ..objects.naming import default_name
from ..objects.telling import Telling
from ..shapes import normalize_shape
from .configs import check_names
from .connections import config_of, from_config
from .copies import begun, connected_anew, placed
from .network import Network
from .program import Program


class Model(Network, Telling):
    """A network from some tensors to others (Keras's ``Model`` of the functional API).

    Parameters
    ----------
    inputs : KerasTensor, or list or dict of KerasTensor
        Where arrays come in: results of `numbaconv.layers.Input`, or any other tensors of a network.
    outputs : KerasTensor, or list or dict of KerasTensor
        What is computed from them.
    name : str, optional
        By default functional, functional_1, ...
    trainable : bool
        By keyword only: False freezes all layers.

    Raises
    ------
    TypeError, ValueError
        If something else than tensors is given, an output does not come from the inputs, or two layers have the same
        name.

    Notes
    -----
    Layers are built when they are called on tensors. A layer that is called several times has one set of weights; its
    gradients add up. Models can be called on tensors too.

    Examples
    --------
    >>> import numpy as np
    >>> from numbaconv.layers import Add, Conv2D, Dense, GlobalAveragePooling2D, Input
    >>> x = Input((8, 8, 3))
    >>> y = Conv2D(3, 3, padding="same", activation="relu")(x)
    >>> model = Model(x, Dense(2)(GlobalAveragePooling2D()(Add()([x, y]))))
    >>> model(np.ones((1, 8, 8, 3))).shape
    (1, 2)
    >>> model.count_params()
    92
    >>> features = Model(model.input, model.layers[1].output)
    >>> features(np.ones((1, 8, 8, 3))).shape
    (1, 8, 8, 3)
    """

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None, *, trainable: bool = True) -> None:
        super().__init__(default_name("Functional") if name is None else name)
        with self._named():
            for argument, given in (("inputs", inputs), ("outputs", outputs)):
                found = list(leaves(given))
                if not found or not all(isinstance(one, KerasTensor) for one in found):
                    raise TypeError(f"{argument} must be tensors that layers.Input or a layer gave, got {given!r}")
            self._connected(inputs, outputs)
            if not check_bool(trainable, "trainable"):
                self.trainable = False

    # -- tensors ---------------------------------------------------------------------------------------------------

    @property
    def built(self) -> bool:
        """True: layers are built when they are called on tensors."""
        return True

    @property
    def input(self) -> Any:
        """The tensor of the input, or those of several in the form that the model was made with."""
        return self._inputs

    @property
    def output(self) -> Any:
        """The tensor of the output, or those of several in the form that the model was made with."""
        return self._outputs

    @property
    def inputs(self) -> list[KerasTensor]:
        """The tensors of the inputs."""
        return list(leaves(self._inputs))

    @property
    def outputs(self) -> list[KerasTensor]:
        """The tensors of the outputs."""
        return list(leaves(self._outputs))

    @property
    def input_shape(self) -> Any:
        """The shape of the input with the batch axis, or a list of those of several, in the order of `inputs`."""
        return one_or_list([tensor.shape for tensor in self.inputs])

    @property
    def output_shape(self) -> Any:
        """The shape of the output with the batch axis, or a list of those of several, in the order of `outputs`."""
        # Layers can be given other settings, which the tensors know nothing of.
        return one_or_list(list(leaves(self.compute_output_shape(self.input_shape), is_shape)))

    @property
    def input_names(self) -> list[str]:
        """The names of the inputs, by which a dict of arrays gives them: those that a dict of inputs has for them."""
        if isinstance(self._inputs, dict):
            return sorted(self._inputs)
        return [tensor._node.operation.name for tensor in self.inputs]

    @property
    def output_names(self) -> list[str]:
        """The names of the outputs: keys of a dict of outputs, otherwise of the layers that give them."""
        if isinstance(self._outputs, dict):
            return sorted(self._outputs)
        return _distinct([tensor._node.operation.name for tensor in self.outputs])

    def build(self, input_shape: Any) -> None:
        """Check that inputs of this shape can be computed; the weights are there already.

        Raises
        ------
        ValueError
            If a layer cannot take what it would get.
        """
        self.compute_output_shape(input_shape)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Shape of the result for inputs of this shape, both with the batch axis; None stands for unknown.

        Raises
        ------
        ValueError
            If a layer cannot take what it would get.
        """
        with self._named():
            given = [normalize_shape(one, "input_shape") for one in self._in_order(input_shape, is_shape)]
            found = self._steps.shapes(given)
            outputs = iter([found[slot] for slot in self._steps.outputs])
            return mapped(lambda _: next(outputs), self._outputs)

    # -- configuration ---------------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """The name, the layers' settings and their connections as plain JSON types, without the weights.

        Raises
        ------
        TypeError
            If a layer's class is none of `numbaconv.layers`, or one of its settings is a function of the user's.
        ValueError
            If two layers have been given the same name.
        """
        with self._named():
            return config_of(self)

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "Model":
        """Make a model from what `get_config` returned, with fresh weights.

        Raises
        ------
        ValueError, TypeError
            If a key is missing or unknown, if a layer's class is unknown, or if a setting is wrong.
        """
        model: Model = from_config(cls, config, custom_objects)
        return model

    def __repr__(self) -> str:
        return f"<Model {self.name!r}, {len(self._layers)} layers>"

    # -- for the model itself --------------------------------------------------------------------------------------

    def _connected(self, inputs: Any, outputs: Any) -> None:
        given = list(leaves(inputs))
        if len({id(one) for one in given}) < len(given):
            raise ValueError(f"inputs must be different tensors, got {inputs!r}")
        nodes, _ = ordered(given, list(leaves(outputs)))
        self._inputs, self._outputs, self._own_nodes = inputs, outputs, nodes
        self._steps, self._tensors = placed(given, list(leaves(outputs)), nodes)
        begins = [begun(one) for one in given]
        if begins != given:
            # Arrays come in between layers: from there on the network is a copy, of the same layers.
            ends = [self._places(one) for one in (inputs, outputs)]
            self._tensors[: len(given)] = begins
            self._own_nodes = connected_anew(self._steps, self._tensors)
            self._inputs, self._outputs = (mapped(lambda slot: self._tensors[slot], one) for one in ends)
        # Called on arrays, a list of one is the array itself, as in Keras.
        alone = isinstance(self._outputs, list | tuple) and len(self._outputs) == 1
        self._form_made = mapped(lambda _: 0, self._outputs[0] if alone else self._outputs)
        _, self._layers = ordered(self.inputs, self.outputs)
        check_names(self._layers)

    def _places(self, structure: Any) -> Any:
        """Slots in place of tensors."""
        numbers = {id(tensor): slot for slot, tensor in enumerate(self._tensors)}
        return mapped(lambda tensor: numbers[id(tensor)], structure)

    def __getstate__(self) -> dict[str, Any]:
        # Without the tensors, which would lead through the whole network one by one; layers forget theirs too.
        begins = [tensor._node.operation for tensor in self.inputs]
        flat = [(tensor.shape, tensor.dtype, tensor.name) for tensor in self._tensors]
        ends = self._places(self._inputs), self._places(self._outputs)
        left_out = ("_inputs", "_outputs", "_own_nodes", "_tensors")
        kept = {name: value for name, value in super().__getstate__().items() if name not in left_out}
        return {**kept, "_flat": (begins, flat, ends)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        begins, flat, ends = state.pop("_flat")
        super().__setstate__(state)
        self._tensors = [KerasTensor(*one) for one in flat]
        for layer, slot in zip(begins, self._steps.inputs, strict=True):
            layer._nodes.append(Node(layer, ((), {}), self._tensors[slot]))
        self._own_nodes = connected_anew(self._steps, self._tensors)
        self._inputs, self._outputs = (mapped(lambda slot: self._tensors[slot], one) for one in ends)

    def _program(self) -> Program:
        return self._steps

    @property
    def _form(self) -> Any:
        return self._form_made

    @property
    def _takes_lists(self) -> bool:
        return isinstance(self._inputs, list | tuple) or len(self.inputs) > 1

    @property
    def _dtype(self) -> np.dtype:
        dtype: str = self.outputs[0].dtype
        return np.dtype(dtype if dtype in ("float32", "float64") else floatx())

    @property
    def _result_dtype(self) -> Any:
        return mapped(lambda tensor: tensor.dtype, self._outputs)

    def _known_shapes(self, input_shape: Any) -> dict[int, Any]:
        shape = self.input_shape if input_shape is None else input_shape
        return self._steps.shapes([normalize_shape(one, "input_shape") for one in self._in_order(shape, is_shape)])

    def _in_order(self, structure: Any, is_leaf: Callable[[Any], bool]) -> list[Any]:
        """The parts of a structure that belong to the inputs, one for each in order."""
        names = self.input_names
        count = len(names)
        if isinstance(structure, dict):
            if not isinstance(self._inputs, dict) and set(structure) != set(names):
                got = ", ".join(map(str, structure))
                raise ValueError(f"inputs must be a dict with the keys {', '.join(names)}, got {got}")
            missing = [name for name in names if name not in structure]
            if missing:
                raise ValueError(f"inputs must have the keys {', '.join(names)}, {', '.join(missing)} is missing")
            return [structure[name] for name in names]
        if count == 1 and not (isinstance(self._inputs, list | tuple) and _holds_one(structure, is_leaf)):
            return [structure]
        parts = structure if isinstance(structure, list | tuple) and not is_leaf(structure) else [structure]
        if len(parts) != count:
            raise ValueError(f"inputs must be {count} arrays, for {', '.join(names)}, got {len(parts)}")
        return list(parts)

    def _given(self, x: Any) -> list[Any]:
        tensor = self._inputs
        # What most networks take: all the rest would be read from far in each call of a small one.
        if type(x) is np.ndarray and isinstance(tensor, KerasTensor):
            name = tensor._node.operation.name
            return [_fitting(as_numbers(x, name), tensor, name)]
        named = zip(self._inputs_of(x), self.inputs, self.input_names, strict=True)
        return [_fitting(as_numbers(one, name), tensor, name) for one, tensor, name in named]

    def _inputs_of(self, x: Any) -> list[Any]:
        return self._in_order(self._alone(x), lambda one: isinstance(one, np.ndarray))

    def _ready(self, x: Any) -> Any:
        return one_or_list(self._given(x))

    def _rows(self) -> list[tuple[Any, Any, list[str]]]:
        """For the summary: each layer, the shape of its first output and what feeds it."""
        rows = []
        within = {id(node) for node in self._own_nodes}
        for layer in self._layers:
            nodes = [node for node in layer._nodes if id(node) in within] or layer._nodes[:1]
            shapes = [tensor.shape for tensor in nodes[0].outputs]
            sources = [tensor._node.operation.name for node in nodes for tensor in node.inputs if id(node) in within]
            rows.append((layer, one_or_list(shapes), sources))
        return rows


def _fitting(x: np.ndarray, tensor: KerasTensor, name: str) -> np.ndarray:
    """An array of the shape that an input has; a last axis of 1 is added or taken away, as Keras does."""
    wanted = tensor.shape
    if x.ndim and x.shape[1:] == wanted[1:]:
        return x
    if x.ndim == len(wanted) - 1 and wanted[-1] == 1:
        x = x[..., None]
    elif x.ndim == len(wanted) + 1 and x.shape[-1] == 1:
        x = x[..., 0]
    # As in Keras, the size of batches that an Input was made with binds no call.
    if x.ndim != len(wanted) or any(n not in (None, size) for n, size in zip(wanted[1:], x.shape[1:], strict=True)):
        raise ValueError(f"{name} must have shape {(None, *wanted[1:])}, got {x.shape}")
    return x


def _holds_one(structure: Any, is_leaf: Callable[[Any], bool]) -> bool:
    return isinstance(structure, list | tuple) and not is_leaf(structure) and len(structure) == 1


def _distinct(names: list[str]) -> list[str]:
    """The names, with numbers where some are the same."""
    counts: Counter[str] = Counter()
    found = []
    for name in names:
        found.append(f"{name}_{counts[name]}" if counts[name] else name)
        counts[name] += 1
    return found
