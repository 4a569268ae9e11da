"""Connections without the tensors between them, which copies and other networks make anew."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

from ..common.structures import mapped
from ..graph.tensor import KerasTensor, Node
from ..layers import InputLayer
from .program import Program, Slot, Step, is_slot


def placed(
    inputs: Sequence[KerasTensor], outputs: Sequence[KerasTensor], nodes: Sequence[Node]
) -> tuple[Program, list]:
    """The program of nodes, and their tensors by slot."""
    tensors = {id(one): one for one in (*inputs, *(one for node in nodes for one in node.outputs))}
    slots = {one: i for i, one in enumerate(tensors)}

    def place(value: Any) -> Any:
        return Slot(slots[id(value)]) if isinstance(value, KerasTensor) else value

    steps = []
    for node in nodes:
        positional, keywords = mapped(place, node.arguments)
        reads, gives = (tuple(slots[id(one)] for one in listed) for listed in (node.inputs, node.outputs))
        steps.append(Step(node.operation, positional, keywords, reads, gives, mapped(place, node.structure)))
    ends = ([slots[id(one)] for one in listed] for listed in (inputs, outputs))
    return Program(steps, *ends), list(tensors.values())


def begun(tensor: KerasTensor) -> KerasTensor:
    """The tensor itself if arrays come in there, otherwise an input of its shape and name."""
    if isinstance(tensor._node.operation, InputLayer):
        return tensor
    begin: KerasTensor = InputLayer(batch_shape=tensor.shape, dtype=tensor.dtype, name=tensor.name).output
    return begin


def connected_anew(
    program: Program, tensors: list[Any], of: Callable[[Any], Any] = lambda operation: operation
) -> list[Node]:
    """Nodes for the steps of a program, in whose order their operations get to know them.

    Tensors, by slot, that are no inputs are replaced by new ones; ``of`` gives the operation to connect for one.
    """
    nodes = []
    for step in program.steps:

        def tensor(value: Any) -> Any:
            return tensors[value.number] if isinstance(value, Slot) else value

        for slot in step.outputs:
            tensors[slot] = KerasTensor(tensors[slot].shape, tensors[slot].dtype, tensors[slot].name)
        if step.is_plain:
            # Nearly all are, and to go through any structure takes three times as long.
            arguments: Any = ((tensors[step.inputs[0]],), {})
            structure = tensors[step.outputs[0]]
        else:
            arguments = mapped(tensor, (step.arguments, step.keywords), is_slot)
            structure = mapped(tensor, step.structure, is_slot)
        node = Node(of(step.operation), arguments, structure)
        node.operation._nodes.append(node)
        nodes.append(node)
    return nodes


def walked(model: Any) -> list[Any]:
    """The layers that weights belong to, in order: those that several models within share, as often as they stand."""
    models = [(one, hasattr(one, "layers")) for one in model.layers]
    return [leaf for one, is_model in models for leaf in (walked(one) if is_model else one._leaves())]


def shared_places(model: Any) -> list[list[int]]:
    """For each place of `walked` where a layer stands again: that place, and its first."""
    ids = [id(leaf) for leaf in walked(model)]
    firsts = {one: i for i, one in reversed(list(enumerate(ids)))}
    return [[i, firsts[one]] for i, one in enumerate(ids) if firsts[one] < i]


def sharing(model: Any, places: Sequence[Sequence[int]]) -> Any:
    """The model with one layer where there are two alike, as `shared_places` tells.

    Raises ValueError if two of them have weights of different shapes.
    """
    leaves = walked(model)
    kept = {id(leaf): leaf for leaf in leaves}
    for again, first in places:
        one, other = leaves[again], leaves[first]
        shapes = [[(name, w.shape, w.dtype) for name, w in leaf._weights.items()] for leaf in (one, other)]
        if type(one) is not type(other) or shapes[0] != shapes[1]:
            raise ValueError(f"{one!r} must be of the same class and shapes as {other!r}, to be the same layer")
        kept[id(one)] = other
    for leaf in kept.values():
        leaf._nodes = []
    # All but the layers themselves is made anew around them.
    return copy.deepcopy(model, dict(kept))
