"""What all networks have: the way of arrays through their program, and of gradients back."""

from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np

from .. import config
from ..common.arguments import check_bool
from ..common.structures import matched
from ..graph.operation import Gradients, one_or_list
from ..graph.tensor import KerasTensor, tensors_in
from ..layers.learning import NO_FORWARD
from ..objects.strict import suggestion
from ..training.trainer import Trainer
from .fused.running import fused
from .stepping import Stepping
from .telling import Told
from .tiling import Tiled

# Weights of a network beyond which no other process makes it anew.
MOST_PARAMS = 2**26


class Network(Stepping, Trainer, Told, Tiled):
    """A model whose program says how its layers are connected."""

    # Whether what comes in is a list, also of one.
    _takes_lists: Any = False
    _takes_mask = True
    # Of the last forward in training.
    _tape: list[Any] | None = None
    _fuse = True

    @property
    def fuse(self) -> bool:
        """Whether ``model(x)``, `predict` and `evaluate` join layers: True; see also `numbaconv.config.set_fuse`."""
        return self._fuse

    @fuse.setter
    def fuse(self, value: bool) -> None:
        with self._named():
            self._fuse = check_bool(value, "fuse")

    # -- what a kind of network defines ----------------------------------------------------------------------------

    def _given(self, x: Any) -> list[Any]:
        """The inputs in order, as arrays, and the model built for them."""
        raise NotImplementedError

    @property
    def _form(self) -> Any:
        """Zeros in the form in which the model returns its outputs; a single 0 for one output."""
        return 0

    # -- use -------------------------------------------------------------------------------------------------------

    def __call__(self, x: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Compute all layers on ``x``, building them first if need be.

        Parameters
        ----------
        x : array_like, KerasTensor, or list or dict of these
            Real numbers, batch axis first, in the first layer's data format; never changed. Several inputs come in a
            list, or in a dict by their names. Tensors of `Input` make the model a part of another one.
        training : bool, optional
            True computes every layer as in training: `Dropout` drops, `BatchNormalization` takes the batch's mean and
            variance and lets its moving ones follow.
        mask : ndarray of bool, or list of these, optional
            Which steps of the inputs count, for layers that ask for it.

        Returns
        -------
        ndarray, or list or dict of ndarray
            New, C-contiguous and of the last layer's dtype; several outputs in the form that the model was made with.

        Raises
        ------
        ValueError, TypeError
            If there are no layers, or one of them cannot take what it gets; the message names it.
        """
        if type(x) is not np.ndarray and tensors_in(x):
            keywords = {"training": training, "mask": mask}
            given = {name: value for name, value in keywords.items() if value is not None}
            return self._connect((self._alone(x),), given)
        out, _, _ = self._visited((x,), {"training": training, "mask": mask}, False)
        return out

    def forward(self, x: Any, training: bool = True) -> Any:
        """Compute all layers on ``x`` and, in training, keep what `backward` needs.

        Parameters
        ----------
        x : array_like, or list or dict of these
            As for ``model(x)``. In training it must not be changed before `backward` has run.
        training : bool
            False computes ``model(x)`` and keeps nothing.

        Returns
        -------
        ndarray, or list or dict of ndarray
            As from ``model(x)``; in training it may share memory with ``x`` and must not be changed either.

        Raises
        ------
        ValueError, TypeError
            As from ``model(x)``.
        """
        self._tape = None
        out, self._masks, self._tape = self._visited((x,), {"training": training}, training)
        return out

    def _masked_call(self, x: Any) -> tuple[Any, Any]:
        return self._visited((x,), {}, False)[:2] if self._makes_masks else (self(x), None)

    def backward(self, grad_out: Any, input_grad: bool = True) -> Any:
        """Take the gradient of a loss from the result of the last `forward` back to its input and to all weights.

        Parameters
        ----------
        grad_out : array_like, or list or dict of these
            Gradient of the loss with respect to what `forward` returned, of the same shape; never changed. None in
            place of one of several outputs is a gradient of 0.
        input_grad : bool
            Whether the gradient of the input is wanted. Without it, layers before the first one that is trained are
            left out.

        Returns
        -------
        ndarray, list of ndarray or None
            Gradient of the loss, and of the activity penalties, with respect to the input of `forward`; a list for
            several inputs, with None for one that no output depends on.

        Raises
        ------
        ValueError
            If no `forward` in training came before, or ``grad_out`` has another shape than its result.

        Notes
        -----
        Sets `gradients`, penalties of regularizers included; those of a layer that is called several times add up. What
        `forward` kept is let go.

        Examples
        --------
        >>> from numbaconv.layers import Dense
        >>> from numbaconv.models import Sequential
        >>> model = Sequential([Dense(1, weights=[[[2.0]], [1.0]])])
        >>> model.forward([[3.0]])
        array([[7.]], dtype=float32)
        >>> model.backward([[1.0]])
        array([[2.]], dtype=float32)
        >>> model.gradients
        [array([[3.]], dtype=float32), array([1.], dtype=float32)]
        """
        with self._named():
            self._need_layers()
            if self._tape is None:
                raise ValueError(NO_FORWARD)
            gradients = Gradients()
            found = self._take_back(self._tape, grad_out, input_grad, gradients)
            self._tape = None
            for layer in self._leaves():
                layer._settle(gradients)
            return found if input_grad else None

    def get_layer(self, name: str | None = None, index: int | None = None) -> Any:
        """The layer or model of this name, or at this place of `layers`, which a negative index counts from the end.

        Raises
        ------
        ValueError
            If there is none, or not one of the two is given.
        """
        with self._named():
            if (name is None) == (index is None):
                raise ValueError(f"get_layer takes a name or an index, got name={name!r} and index={index!r}")
            if name is None:
                if isinstance(index, bool) or not isinstance(index, int | np.integer):
                    raise ValueError(f"index must be an integer, got {index!r}")
                if not -len(self._layers) <= index < len(self._layers):
                    raise ValueError(f"index must be below {len(self._layers)}, the number of layers, got {index}")
                return self._layers[index]
            found = next((layer for layer in self._layers if layer.name == name), None)
            if found is None:
                names = [layer.name for layer in self._layers]
                near = suggestion(str(name), names) or f"; there are {', '.join(names)}"
                raise ValueError(f"name must be that of a layer, got {name!r}{near}")
            return found

    def to_json(self, **kwargs: Any) -> str:
        """The class and the configuration of the model as JSON, without the weights; ``json.dumps`` takes ``kwargs``.

        `numbaconv.models.model_from_json` makes the model anew, and so does ``keras.models.model_from_json``. A layer's
        ``algorithm``, which Keras has not, is left out.
        """
        import json

        from .keras import writing

        return json.dumps(writing.model_config(self), **kwargs)

    def _architecture(self) -> str:
        """`to_json` for a process that makes the model anew; empty where its weights would take much memory there."""
        return self.to_json() if self.count_params() <= MOST_PARAMS else ""

    def save(self, path: str | PathLike[str], overwrite: bool = True) -> None:
        """Write the configuration, the weights and the state of training to one file.

        Parameters
        ----------
        path : path-like
            Used as it is: no suffix is added. A name that ends in .keras gets a file of Keras 3's, which needs h5py;
            any other one a file in NumPy's npz format, which keeps every bit of the training. A file of this name is
            replaced once the new one is complete, whatever happens until then, and passes its permissions on.
        overwrite : bool
            False refuses to replace a file.

        Raises
        ------
        ValueError, TypeError, OSError
            If the model is not built, its configuration is not plain JSON, the suffix is one of Keras 2's (.h5,
            .hdf5), or the file cannot be written, is write-protected, or is a pipe or a device.
        ModuleNotFoundError
            If a .keras file needs h5py, and it is not installed.

        See Also
        --------
        numbaconv.models.load_model : Read either file.
        """
        from ..files import saving
        from . import parts
        from .keras import writing

        with self._named():
            saving.check_suffix(path, "path")
            check_bool(overwrite, "overwrite")
            self._need_layers()
            if not self.built:
                raise ValueError("save needs a built model: call it, or build(input_shape), first")
            if Path(path).suffix.lower() == ".keras":
                with saving.replaced(path, overwrite) as file:
                    writing.write(file, self)
            else:
                saving.save(path, *parts.taken_apart(self), overwrite)

    def save_weights(self, path: str | PathLike[str], overwrite: bool = True) -> None:
        """Write the weights, and the optimizer's state, to a file that Keras 3 reads; `load_weights` reads it here.

        Parameters
        ----------
        path : path-like
            A name that ends in .weights.h5.
        overwrite : bool
            False refuses to replace a file.

        Raises
        ------
        ValueError, OSError
            If the model is not built, the name has another end, or the file cannot be written.
        ModuleNotFoundError
            If h5py is not installed.
        """
        from ..files import saving
        from .keras import writing

        with self._named():
            check_bool(overwrite, "overwrite")
            if not fspath(path).endswith(".weights.h5"):
                raise ValueError(f"path must end in .weights.h5, as in Keras, got {fspath(path)!r}")
            self._need_layers()
            if not self.built:
                raise ValueError("save_weights needs a built model: call it, or build(input_shape), first")
            with saving.replaced(path, overwrite) as file:
                writing.write_weights(file, self)

    def load_weights(self, path: str | PathLike[str], by_name: bool = False, skip_mismatch: bool = False) -> None:
        """Read all weights from a file: a ``.weights.h5``, ``.keras`` or older HDF5 file of Keras's, or one of `save`.

        Parameters
        ----------
        path : path-like
        by_name : bool
            Take from an older HDF5 file only layers that have the same name here, in whatever order.
        skip_mismatch : bool
            With ``by_name``, leave out layers whose weights do not fit; a warning names them.

        Raises
        ------
        ValueError
            If the model is not built, the file is damaged, or weights are missing, surplus or of another shape; nothing
            is changed then.
        """
        from .keras.weight_files import load_weights

        with self._named():
            check_bool(by_name, "by_name")
            if check_bool(skip_mismatch, "skip_mismatch") and not by_name:
                raise ValueError("skip_mismatch must come with by_name=True: otherwise all weights must fit")
            if not self.built:
                raise ValueError("load_weights needs a built model: call it, or build(input_shape), first")
        if not load_weights(self, path, by_name, skip_mismatch):
            from ..files import saving
            from . import parts

            with saving.opened(path) as (_, archive):
                parts.read_weights(self, archive)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Any:
        """Read a model that `save` wrote; its outputs are the same to the last bit.

        Nothing in the file is executed, whoever made it, and no more memory is taken than the model that it describes
        and the file's own size account for.

        Raises
        ------
        ValueError
            If the file is damaged, of a newer format or no saved model; the message names it and says what is wrong.
        """
        from ..files import saving
        from . import parts

        with saving.opened(path) as (config, archive):
            return parts.put_together(cls, config, archive)

    # -- a part of another network ---------------------------------------------------------------------------------

    def _visited(self, arguments: tuple[Any, ...], keywords: dict[str, Any], traced: bool) -> tuple[Any, Any, Any]:
        (x,) = arguments
        tape: list[Any] | None = [] if traced else None
        mask = keywords.get("mask")
        with self._named():
            values = self._given(x)
            masks: Any = () if mask is None else mask if isinstance(mask, list) else [mask]
            program = self._program()
            training, outputs = keywords.get("training"), None
            if self._fuse and config.fuse() and not traced and not masks and (training is None or training is False):
                outputs = fused(program).run(values, self._architecture)
                found = [None] * len(program.outputs)
            if outputs is None:
                outputs, found = program.run(values, training, masks, tape)
            for i, slot in enumerate(program.outputs):
                if slot in program.inputs:
                    # What comes out is new, also where nothing was computed.
                    outputs[i] = outputs[i].astype(self.outputs[i].dtype, order="C")
        return self._joint(outputs), found if any(one is not None for one in found) else None, tape

    def _shapes_for(self, x: Any) -> list[Any]:
        # Asked of all layers, this takes as long as a small network itself.
        one = self._program().fused
        known = None if one is None else one.known([one.shape for one in self._given(x)])
        return super()._shapes_for(x) if known is None else known

    def _shape_for(self, x: Any) -> Any:
        shapes = [one.shape for one in self._given(x)]
        try:
            return self.compute_output_shape(one_or_list(shapes))
        except ValueError as error:
            raise ValueError(str(error).replace("input_shape must", "x must")) from None

    def _alone(self, x: Any) -> Any:
        """Of a list of one that one, where the network takes it alone: so does Keras."""
        if not isinstance(x, list | tuple) or len(x) != 1 or self._takes_lists:
            return x
        (one,) = x
        # Rows in a list are an array.
        whole = isinstance(one, np.ndarray) and self.built and one.ndim == len(self.inputs[0].shape)
        return one if whole or isinstance(one, KerasTensor) else x

    def _trace(self, *inputs: Any, training: bool | None = True, **keywords: Any) -> tuple[Any, Any]:
        out, _, kept = self._visited(inputs, {"training": training, **keywords}, True)
        return out, kept

    def _take_back(self, kept: Any, grad_out: Any, input_grad: bool, gradients: Gradients) -> Any:
        form = self._form
        if form == 0 and isinstance(grad_out, list | tuple) and len(grad_out) == 1:
            # Within a network a list of one output is a list.
            (grad_out,) = grad_out
        try:
            grads = [grad_out] if form == 0 else matched(grad_out, form)
        except ValueError as error:
            raise ValueError(f"grad_out must have the form of the outputs: {error}") from None
        found = self._program().take_back(kept, grads, input_grad, gradients)
        return one_or_list(found) if input_grad else None

    @property
    def _makes_masks(self) -> bool:
        return any(step.operation._makes_masks or "mask" in step.keywords for step in self._program().steps)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Which steps of the result count; see `Layer.compute_mask`."""
        _, found, _ = self._visited((inputs,), {"mask": mask}, False)
        return None if found is None else one_or_list(found)
