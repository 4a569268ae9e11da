"""The nodes that lead from some tensors to others, in the order in which Keras lists them."""

from collections.abc import Sequence
from typing import Any

from .tensor import KerasTensor, Node


def ordered(inputs: Sequence[KerasTensor], outputs: Sequence[KerasTensor]) -> tuple[list[Node], list[Any]]:
    """The nodes between inputs and outputs, each after those it needs, and their operations.

    Both are sorted by depth, the longest way to an output; operations of the same depth in the order in which a walk
    from the outputs meets them. That is Keras's order of ``model.layers``, and so that of the weights.

    Raises ValueError if a tensor that is needed does not come from the inputs.
    """
    ends = {id(tensor) for tensor in inputs}
    starts = {id(tensor._node): tensor._node for tensor in inputs}
    finished, met = _walked(ends, outputs)
    depths: dict[int, int] = {}
    deepest: dict[int, int] = {}
    for node in reversed(finished):
        depth = max(depths.get(id(node), 0), deepest.get(id(node.operation), 0))
        depths[id(node)] = deepest[id(node.operation)] = depth
        for tensor in () if id(node) in starts else node.inputs:
            before = id(tensor._node)
            depths[before] = max(depths.get(before, 0), depth + 1)
    # Of the same depth as depths were found: on that depend the statistics of a layer that is called twice.
    places = {one: i for i, one in enumerate(depths)}
    nodes = sorted(finished, key=lambda node: (-depths[id(node)], places[id(node)]))
    operations = {id(node.operation): node.operation for node in (*starts.values(), *finished)}
    first = {id(operation): i for i, operation in enumerate(met)}
    listed = sorted(operations.values(), key=lambda one: (-deepest.get(id(one), 0), first.get(id(one), -1)))
    return [node for node in nodes if id(node) not in starts], listed


def _walked(ends: set[int], outputs: Sequence[KerasTensor]) -> tuple[list[Node], list[Any]]:
    """Nodes, each after those it needs, and operations as they are met; no recursion, so that networks may be deep."""
    finished: dict[int, Node] = {}
    met: dict[int, Any] = {}
    for output in outputs:
        stack: list[tuple[KerasTensor, bool]] = [(output, False)]
        while stack:
            tensor, done = stack.pop()
            node = tensor._node
            if done:
                finished.setdefault(id(node), node)
            elif id(node) not in finished:
                met.setdefault(id(node.operation), node.operation)
                stack.append((tensor, True))
                if id(tensor) not in ends:
                    if not node.inputs:
                        raise ValueError(f"inputs must lead to all outputs, but {tensor!r} comes from none of them")
                    stack.extend((one, False) for one in reversed(node.inputs))
    return list(finished.values()), list(met.values())
