"""How networks take steps of training: as calls that are written down, or layer by layer."""

from typing import Any

from ..common.again import UnlikeError
from ..common.structures import matched
from ..graph.operation import Gradients, OfLeaves


class Stepping(OfLeaves):
    """The part of a network that takes steps of training, which are written down where they can be."""

    # Of the last forward of a step, if it is written down: that, its input, and the weights before it.
    _step: Any = None
    _program: Any
    _form: Any
    _given: Any
    _joint: Any
    forward: Any
    backward: Any

    def _forward_of_step(self, x: Any) -> Any:
        self._step = None
        # Who never trains does without.
        from .written import writings

        cls: Any = type(self)
        own = cls.forward.__module__ == cls.backward.__module__ == f"{__package__}.network"
        values = self._given(x)
        written = writings(self._program()).of(values) if own else None
        if written is not None:
            before = [(layer, layer._weights) for layer in self._leaves()]
            try:
                outputs = written.forward(values)
            except UnlikeError:
                return self.forward(x)
            self._step, self._masks = (written, x, before), None
            return self._joint(outputs)
        return self.forward(x)

    def _backward_of_step(self, grad_out: Any) -> None:
        step, self._step = self._step, None
        if step is None:
            self.backward(grad_out, input_grad=False)
            return
        written, x, before = step
        form = self._form
        try:
            found = written.take_back([grad_out] if form == 0 else matched(grad_out, form))
        except UnlikeError:
            for layer, weights in before:
                layer._weights = weights
            self.forward(x)
            self.backward(grad_out, input_grad=False)
            return
        for layer, named in found:
            gradients = Gradients()
            gradients.add(layer, named)
            layer._settle(gradients)
