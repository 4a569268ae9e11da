"""What a network tells of itself: a summary, what its outputs read, and what computes them."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..common.arguments import check_bool
from ..common.structures import mapped
from ..graph.operation import is_shape
from ..shapes import normalize_shape
from .fused.running import Fused
from .layered import Layered
from .program import Program, is_slot

if TYPE_CHECKING:
    from .fused.explaining import ProgramReport


class Told(Layered):
    """The part of a network that tells of it."""

    input_shape: Any
    # Whether `explain` has to say which layer it speaks of, as of those that are not in a line.
    _tells_names = True

    def _program(self) -> Program:
        """The steps from the inputs to the outputs of a built model."""
        raise NotImplementedError

    def _known_shapes(self, input_shape: Any) -> dict[int, Any]:
        """The shapes of all values, by slot; None takes the model's own input."""
        raise NotImplementedError

    def explain(self, input_shape: Any = None, region: Any = None) -> str:
        """Say in plain sentences, one paragraph for each call of a layer, how its output shape comes about.

        Parameters
        ----------
        input_shape : tuple of int or None, or list or dict of these, optional
            Of the inputs, batch axis included; None takes the model's own.
        region : sequence of pairs of int, optional
            For each spatial axis of the output the first one and the one behind the last: what they need of each layer
            is said besides, with the zeros where the image ends; see `input_region`.

        Raises
        ------
        ValueError
            If no input shape is known, one of the layers cannot take what it would get, or one has no regions.
        """
        with self._named():
            known, paragraphs = self._known_shapes(input_shape), []
            for step in self._program().steps:
                told = step.operation.explain(*mapped(lambda slot: known[slot.number], step.arguments, is_slot))
                paragraphs.append(f"{step.operation.name}: {told}" if self._tells_names else told)
            if region is not None:
                from .needs import Needs

                paragraphs += Needs(self, region, input_shape).sentences()
            return "\n\n".join(paragraphs)

    def receptive_field(self, input_shape: Any = None) -> Any:
        """What of the input one output position reads along each spatial axis, by all ways that lead there.

        Parameters
        ----------
        input_shape : tuple of int or None, or list of these, optional
            Of the inputs, batch axis included; None takes the model's own.

        Returns
        -------
        tuple of ReceptiveField
            As from `numbaconv.shapes.receptive_field`; for several inputs a list, with None for one that is not read.

        Raises
        ------
        ValueError
            If the model has several outputs, or a length is unknown that a layer pools globally.
        TypeError
            If a layer works neither at each position by itself nor with windows.
        """
        from .fields import field_of

        with self._named():
            return field_of(self, input_shape)

    def input_region(self, region: Any, input_shape: Any = None) -> Any:
        """Which part of the input a part of the output depends on: no other position has any influence on it.

        Parameters
        ----------
        region : sequence of pairs of int
            For each spatial axis of the output the first one and the one behind the last.
        input_shape : tuple of int or None, or list of these, optional
            Of the inputs, batch axis included; None takes the model's own. Lengths must be known.

        Returns
        -------
        tuple of pairs of int
            For each spatial axis of the input the first position and the one behind the last; for several inputs a
            list, with None for one that has other axes.

        Raises
        ------
        ValueError
            If a length is unknown, the region lies not within the output, there are several outputs, or a layer has no
            regions, such as global pooling; the message names it.

        See Also
        --------
        numbaconv.shapes.input_region : The same for one layer, with the zeros that stand for what lies outside.

        Examples
        --------
        >>> from numbaconv.layers import Conv2D, MaxPooling2D
        >>> from numbaconv.models import Sequential
        >>> model = Sequential([Conv2D(4, 3, padding="same"), MaxPooling2D(2), Conv2D(4, 3, padding="same")])
        >>> model.input_region([(0, 8), (8, 16)], (None, 64, 64, 3))
        ((0, 19), (13, 35))
        """
        from .needs import Needs

        with self._named():
            found = Needs(self, region, input_shape).inputs()
            return found[0] if len(found) == 1 else found

    def explain_program(self, x_shape: Any = None, measure: bool = False) -> "ProgramReport":
        """Say what computes ``model(x)``: which layers are joined to one stage, and what each stage does.

        Parameters
        ----------
        x_shape : tuple of int, or list of these, optional
            Of the inputs, batch axis included; None takes the model's own, and one example.
        measure : bool
            Whether each stage is timed, on random numbers. The shortest time of several runs is taken.

        Returns
        -------
        ProgramReport
            A tuple with a record for each stage: the names of its ``layers``, ``kernel``, ``algorithm``,
            ``output_shape``, ``multiplications``, ``bytes`` and ``seconds``. As a string it is a table.

        Raises
        ------
        ValueError
            If the model is not built, a size is not known, or layers run one by one: where layers make masks, have
            penalties on their results or are of several dtypes.

        See Also
        --------
        numbaconv.config.set_fuse : Whether layers are joined.
        """
        from .fused.explaining import explained

        with self._named():
            check_bool(measure, "measure")
            if not self.built:
                raise ValueError("explain_program needs a built model: call it, or build(input_shape), first")
            shape = self.input_shape if x_shape is None else x_shape
            listed = [shape] if is_shape(shape) else list(shape)
            given = [normalize_shape(one, "x_shape") for one in listed]
            shapes: Any = [(1 if one[0] is None else one[0], *one[1:]) for one in given]
            if len(shapes) != len(self.inputs) or any(None in one for one in shapes):
                raise ValueError(f"x_shape must have {len(self.inputs)} shapes of known sizes, got {shape}")
            # Of its own, as that of `predict` may be for what a layer of the user's was before.
            runner = Fused(self._program()).runner(shapes)
            if runner is None:
                raise ValueError(f"x_shape must be one for which layers are joined, not run one by one, got {shape}")
            rng = np.random.default_rng(0)
            return explained(runner, [rng.standard_normal(one).astype(runner.dtype) for one in shapes], measure)

    def summary(self, print_fn: Callable[[str], Any] = print) -> None:
        """Hand ``print_fn`` one string: a table of the layers, their output shapes and numbers of parameters."""
        from .summary import summary_of

        print_fn(summary_of(self))

    def _repr_html_(self) -> str:
        from .summary import html_of

        return html_of(self)
