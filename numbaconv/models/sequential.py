"""Sequential, Keras's linear stack of layers."""

from collections.abc import Callable, Iterable
from os import PathLike
from typing import Any

import numpy as np

from ..common.arguments import as_numbers, check_bool, check_rank
from ..files import saving
from ..layers import Layer
from ..objects.telling import Telling
from ..training.trainer import Trainer
from . import parts
from .configs import check_model_keys, layer_config, layer_from_config
from .stack import Stack


class Sequential(Trainer, Stack, Telling):
    """Layers one after the other, each fed with the output of the one before (Keras's ``Sequential``).

    ``model(x) = last(...second(first(x)))``

    Parameters
    ----------
    layers : iterable of Layer, optional
        Added in this order.
    name : str, optional
        By default sequential, sequential_1, ...
    trainable : bool
        By keyword only: False freezes all layers.

    Raises
    ------
    TypeError, ValueError
        As from `add`.

    Notes
    -----
    Layers are built as they are added once the input shape is known: from the first layer's ``input_shape`` or
    ``batch_input_shape``, from `build` or from the first call. Later inputs need the same number of channels; their
    batch and spatial sizes may differ.

    Examples
    --------
    >>> import numpy as np
    >>> from numbaconv.layers import Conv2D, Dense, GlobalAveragePooling2D
    >>> model = Sequential([Conv2D(4, 3, activation="relu"), GlobalAveragePooling2D(), Dense(2)])
    >>> model(np.ones((1, 8, 8, 3))).shape
    (1, 2)
    >>> model.count_params()
    122
    >>> model.compile("adam", "mse")
    >>> history = model.fit(np.ones((16, 8, 8, 3)), np.ones((16, 2)), epochs=3, verbose=0)
    >>> history.history["loss"][-1] < history.history["loss"][0]
    True
    """

    def __init__(
        self, layers: Iterable[Layer] | None = None, name: str | None = None, *others: Layer, trainable: bool = True
    ) -> None:
        if others or isinstance(name, Layer):
            raise TypeError("layers must come in a list, Sequential([first, second, ...]), got several arguments")
        super().__init__(name)
        if not isinstance(layers, Iterable | None):
            raise TypeError(f"{self._label}: layers must be a list of layers, got {layers!r}")
        self.trainable = trainable
        for layer in layers or ():
            self.add(layer)

    # -- use -------------------------------------------------------------------------------------------------------

    def __call__(self, x: Any, training: bool | None = None) -> np.ndarray:
        """Compute all layers on ``x``, building them first if need be.

        Parameters
        ----------
        x : array_like
            Real numbers, batch axis first, in the first layer's data format; never changed.
        training : bool, optional
            True computes every layer as in training: `Dropout` drops, `BatchNormalization` takes the batch's mean and
            variance and lets its moving ones follow.

        Returns
        -------
        ndarray
            New, C-contiguous and of the last layer's dtype.

        Raises
        ------
        ValueError, TypeError
            If there are no layers, or one of them cannot take what it gets; the message names it.
        """
        with self._named():
            x = self._ready(x)
            for layer in self._layers:
                x = layer(x, training)
            return x

    def forward(self, x: Any, training: bool = True) -> np.ndarray:
        """Compute all layers on ``x`` and, in training, keep what `backward` needs.

        Parameters
        ----------
        x : array_like
            As for ``model(x)``. In training it must not be changed before `backward` has run.
        training : bool
            False computes ``model(x)`` and keeps nothing.

        Returns
        -------
        ndarray
            As from ``model(x)``; in training it may share memory with ``x`` and must not be changed either.

        Raises
        ------
        ValueError, TypeError
            As from ``model(x)``.
        """
        with self._named():
            x = self._ready(x)
            for layer in self._layers:
                x = layer.forward(x, training)
            return x

    def backward(self, grad_out: Any, input_grad: bool = True) -> np.ndarray | None:
        """Take the gradient of a loss from the result of the last `forward` back to its input and to all weights.

        Parameters
        ----------
        grad_out : array_like
            Gradient of the loss with respect to what `forward` returned, of the same shape; never changed.
        input_grad : bool
            Whether the gradient of the input is wanted. Without it, layers before the first one that is trained are
            left out.

        Returns
        -------
        ndarray or None
            Gradient of the loss, and of the activity penalties, with respect to the input of `forward`.

        Raises
        ------
        ValueError
            If no `forward` in training came before, or ``grad_out`` has another shape than its result.

        Notes
        -----
        Sets `gradients`, penalties of regularizers included. What `forward` kept is let go.

        Examples
        --------
        >>> from numbaconv.layers import Dense
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
            rest = list(self._layers)
            while rest and not (input_grad or rest[0]._trained):
                layer = rest.pop(0)
                layer.gradients, layer._kept = [None] * len(layer._weights), None
            for layer in reversed(rest):
                grad_out = layer.backward(grad_out, input_grad or layer is not rest[0])
            return grad_out if input_grad else None

    def summary(self, print_fn: Callable[[str], Any] = print) -> None:
        """Hand ``print_fn`` one string: a table of the layers, their output shapes and numbers of parameters."""
        rows = [("Layer (class)", "Output shape", "Parameters")]
        shape = self._input_shape
        for layer in self._layers:
            shape = None if shape is None else layer.compute_output_shape(shape)
            parameters = f"{layer.count_params():,}" if layer.built else "not built"
            rows.append((f"{layer.name} ({type(layer).__name__})", "?" if shape is None else str(shape), parameters))
        first, second, third = (max(map(len, column)) for column in zip(*rows, strict=True))
        lines = [f"{a:<{first}}  {b:<{second}}  {c:>{third}}" for a, b, c in rows]
        rule = "-" * len(lines[0])
        if self.built:
            total, trainable = self.count_params(), sum(w.size for w in self.trainable_weights)
            totals = f"Total: {total:,} parameters, {trainable:,} trainable, {total - trainable:,} not trainable"
        else:
            totals = "Not built: the first call, or build(input_shape), creates the weights"
        print_fn("\n".join([f"Sequential {self.name!r}", rule, lines[0], rule, *lines[1:], rule, totals]))

    # -- configuration and files -----------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """The name, the input shape and the layers' settings as plain JSON types, without the weights.

        Raises
        ------
        TypeError
            If a layer's class is none of `numbaconv.layers`, or one of its settings is a function of the user's.
        """
        with self._named():
            return {
                "name": self.name,
                # Files that need not know of it can be read by versions that do not.
                **({} if self.trainable else {"trainable": False}),
                "build_input_shape": None if self._input_shape is None else list(self._input_shape),
                "layers": [layer_config(layer) for layer in self._layers],
            }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Sequential":
        """Make a model from what `get_config` returned, with fresh weights, and built if that one was.

        Raises
        ------
        ValueError, TypeError
            If a key is missing or unknown, if a layer's class is none of `numbaconv.layers`, or if a setting is wrong.
        """
        check_model_keys(config)
        if not isinstance(config["layers"], list):
            raise ValueError(f"layers in config must be a list, got {config['layers']!r}")
        model = cls((layer_from_config(entry) for entry in config["layers"]), config["name"])
        # Each layer has its own, which may have been set since.
        model._trainable = check_bool(config.get("trainable", True), "trainable in config")
        if config["build_input_shape"] is not None:
            model.build(config["build_input_shape"])
        return model

    def save(self, path: str | PathLike[str], overwrite: bool = True) -> None:
        """Write the configuration and the weights to one file, in NumPy's npz format.

        Parameters
        ----------
        path : path-like
            Used as it is: no suffix is added. A file of this name is replaced once the new one is complete, whatever
            happens until then, and passes its permissions on.
        overwrite : bool
            False refuses to replace a file.

        Raises
        ------
        ValueError, TypeError, OSError
            If the model is not built, its configuration is not plain JSON, the suffix is one of Keras's (.h5, .hdf5,
            .keras), or the file cannot be written, is write-protected, or is a pipe or a device.
        """
        with self._named():
            saving.check_suffix(path, "path")
            check_bool(overwrite, "overwrite")
            if not self.built:
                raise ValueError("save needs a built model: call it, or build(input_shape), first")
            saving.save(path, *parts.taken_apart(self), overwrite)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> "Sequential":
        """Read a model that `save` wrote; its outputs are the same to the last bit.

        Nothing in the file is executed, whoever made it, and no more memory is taken than the model that it describes
        and the file's own size account for.

        Raises
        ------
        ValueError
            If the file is damaged, of a newer format or no saved model; the message names it and says what is wrong.
        """
        with saving.opened(path) as (config, archive):
            model: Sequential = parts.put_together(cls, config, archive)
        return model

    def __repr__(self) -> str:
        count = f"{len(self._layers)} layer{'' if len(self._layers) == 1 else 's'}"
        return f"<Sequential {self.name!r}, {count}, {'built' if self.built else 'not built'}>"

    # -- for the model itself --------------------------------------------------------------------------------------

    def _ready(self, x: Any) -> np.ndarray:
        """The input as an array, and the model built for it."""
        self._need_layers()
        x = as_numbers(x, "x")
        first = self._layers[0]
        with first._named():
            # Before anything speaks of an input_shape that the user has not given.
            check_rank(x, first.rank, first.data_format)
            first._check_channels(x.shape)
        if not self.built:
            # Checked for all layers before any is built, and any batch will do from now on.
            self.build((None, *x.shape[1:]))
        return x
