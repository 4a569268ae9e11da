"""Sequential, Keras's linear stack of layers."""

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from os import PathLike
from typing import Any

import numpy as np

from . import saving
from .arguments import as_numbers
from .layers import Layer
from .shapes import Shape, normalize_shape, normalize_tuple
from .training.progress import check_verbose, examples_bar
from .training.trainer import Trainer


class Sequential(Trainer):
    """Layers one after the other, each fed with the output of the one before (Keras's ``Sequential``).

    ``model(x) = last(...second(first(x)))``

    Parameters
    ----------
    layers : iterable of Layer, optional
        Added in this order.
    name : str, optional
        By default sequential, sequential_1, ...

    Raises
    ------
    TypeError, ValueError
        As from `add`.

    Notes
    -----
    Layers are built as they are added once the input shape is known: from the first layer's ``input_shape`` or
    ``batch_input_shape``, from `build` or from the first call. Later inputs need the same number of channels; their
    batch and spatial sizes may differ.
    """

    def __init__(self, layers: Iterable[Layer] | None = None, name: str | None = None) -> None:
        super().__init__(name)
        if not isinstance(layers, Iterable | None):
            raise TypeError(f"{self._label}: layers must be a list of layers, got {layers!r}")
        self._layers: list[Layer] = []
        self._input_shape: Shape | None = None
        for layer in layers or ():
            self.add(layer)

    # -- the stack -------------------------------------------------------------------------------------------------

    def add(self, layer: Layer) -> None:
        """Put a layer at the end, and build it if its input shape is known.

        Parameters
        ----------
        layer : Layer
            From `numbaconv.layers`, with a name that no other layer of the model has.

        Raises
        ------
        TypeError
            If it is anything else, such as another model.
        ValueError
            If the name is taken, or the layer cannot take the output of the one before; the model stays as it was.
        """
        with self._named():
            if not isinstance(layer, Layer):
                raise TypeError(f"layer must be a layer of numbaconv.layers, got {layer!r}")
            if any(layer is other for other in self._layers):
                raise ValueError(f"layer must be added once only, got {layer!r} again")
            if any(layer.name == other.name for other in self._layers):
                raise ValueError(f"layer must have a name of its own, got a second {layer.name!r}; pass another name=")
            shape = self.output_shape if self._layers else layer.batch_input_shape
            if shape is not None:
                # build trusts the spatial sizes of a layer that is built already.
                layer.compute_output_shape(shape)
                layer.build(shape)
        if not self._layers:
            self._input_shape = shape
        self._layers.append(layer)

    def pop(self) -> Layer:
        """Take off the last layer and return it; with the only layer, the input shape is forgotten too.

        Raises
        ------
        ValueError
            If there is none.
        """
        with self._named():
            self._need_layers()
        layer = self._layers.pop()
        if not self._layers:
            self._input_shape = None
        return layer

    @property
    def layers(self) -> list[Layer]:
        """The layers in order, as a new list."""
        return list(self._layers)

    # -- shapes ----------------------------------------------------------------------------------------------------

    @property
    def built(self) -> bool:
        """Whether the input shape is known and all layers have their weights."""
        return self._input_shape is not None

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Create the weights of all layers for inputs of this shape, batch axis included.

        Raises
        ------
        ValueError
            If there are no layers, or one of them cannot take what it would get.
        """
        with self._named():
            self.compute_output_shape(input_shape)
            if self.built:
                return
            shape = first = normalize_shape(input_shape, "input_shape")
            for layer in self._layers:
                layer.build(shape)
                shape = layer.compute_output_shape(shape)
            self._input_shape = first

    @property
    def input_shape(self) -> Shape | None:
        """Shape of the inputs with the batch axis; None before it is known."""
        return self._input_shape

    @property
    def output_shape(self) -> Shape | None:
        """Shape of the result for `input_shape`; None before that is known."""
        return None if self._input_shape is None else self.compute_output_shape(self._input_shape)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> Shape:
        """Shape of the result for an input of this shape, both with the batch axis; None stands for unknown.

        Raises
        ------
        ValueError
            If there are no layers, or one of them cannot take what it would get.
        """
        with self._named():
            self._need_layers()
            for layer in self._layers:
                input_shape = layer.compute_output_shape(input_shape)
            return tuple(input_shape)

    def explain(self, input_shape: Sequence[int | None] | None = None) -> str:
        """Say in plain sentences, one paragraph for each layer, how its output shape comes from what it is fed with.

        Parameters
        ----------
        input_shape : tuple of int or None, optional
            Of the model, batch axis included; None takes the model's own.

        Raises
        ------
        ValueError
            If no input shape is known, or one of the layers cannot take what it would get.
        """
        with self._named():
            shape = self._input_shape if input_shape is None else input_shape
            if shape is None:
                raise ValueError("input_shape must be given, because the model is not built")
            paragraphs = []
            for layer in self._layers:
                paragraphs.append(layer.explain(shape))
                shape = layer.compute_output_shape(shape)
            return "\n\n".join(paragraphs)

    # -- use -------------------------------------------------------------------------------------------------------

    def __call__(self, x: Any) -> np.ndarray:
        """Compute all layers on ``x``, building them first if need be.

        Parameters
        ----------
        x : array_like
            Real numbers, batch axis first, in the first layer's data format; never changed.

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
                x = layer(x)
            return x

    def predict(self, x: Any, batch_size: int = 32, verbose: int | str = "auto") -> np.ndarray:
        """Compute all layers on ``x``, a few examples at a time, which bounds the memory for what lies between layers.

        Parameters
        ----------
        x : array_like
            As for ``model(x)``.
        batch_size : int
            Examples at a time.
        verbose : {"auto", 0, 1, 2}
            Whether a progress bar is shown on standard error; "auto" shows one after two seconds.

        Returns
        -------
        ndarray
            What ``model(x)`` returns.

        Raises
        ------
        ValueError, TypeError
            As from ``model(x)``, and for other arguments out of their range.
        """
        with self._named():
            (step,) = normalize_tuple(batch_size, 1, "batch_size")
            check_verbose(verbose)
            x = self._ready(x)
            shape: Any = self.compute_output_shape(x.shape)
        out = np.empty(shape, self._layers[-1].dtype)
        with examples_bar(len(x), self.name, verbose) as bar:
            for start in range(0, len(x), step):
                batch = x[start : start + step]
                out[start : start + step] = self(batch)
                bar.update(len(batch))
        return out

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

    # -- weights ---------------------------------------------------------------------------------------------------

    @property
    def weights(self) -> list[np.ndarray]:
        """The weight arrays of all layers, read-only, in order."""
        return [w for layer in self._layers for w in layer.weights]

    @property
    def trainable_weights(self) -> list[np.ndarray]:
        """The weights of the layers that are trainable."""
        return [w for layer in self._layers for w in layer.trainable_weights]

    @property
    def non_trainable_weights(self) -> list[np.ndarray]:
        """The weights of the layers that are not trainable."""
        return [w for layer in self._layers for w in layer.non_trainable_weights]

    def get_weights(self) -> list[np.ndarray]:
        """Copies of the weight arrays of all layers in order, free to be changed."""
        return [w.copy() for w in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Replace all weights by arrays of the same shapes, in the order of `get_weights`.

        Raises
        ------
        ValueError, TypeError
            If the model is not built, or the number of arrays, a shape or a dtype is wrong; nothing is changed then.
        """
        with self._named():
            new, old = list(weights), self.weights
            if not self.built:
                raise ValueError("set_weights needs a built model: call it, or build(input_shape), first")
            if len(new) != len(old):
                raise ValueError(f"weights must be a list of {len(old)} arrays, got {len(new)}")
            try:
                self._hand_out(new)
            except (ValueError, TypeError):
                self._hand_out(old)
                raise

    def count_params(self) -> int:
        """Number of values in the weights of all layers.

        Raises
        ------
        ValueError
            If a layer is not built.
        """
        with self._named():
            return sum(layer.count_params() for layer in self._layers)

    @property
    def losses(self) -> list[float]:
        """The penalties of all layers in order."""
        return [penalty for layer in self._layers for penalty in layer.losses]

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
                "build_input_shape": None if self._input_shape is None else list(self._input_shape),
                "layers": [saving.layer_config(layer) for layer in self._layers],
            }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Sequential":
        """Make a model from what `get_config` returned, with fresh weights, and built if that one was.

        Raises
        ------
        ValueError, TypeError
            If a key is missing or unknown, if a layer's class is none of `numbaconv.layers`, or if a setting is wrong.
        """
        saving.check_keys(config, "config", "build_input_shape", "layers", "name")
        if not isinstance(config["layers"], list):
            raise ValueError(f"layers in config must be a list, got {config['layers']!r}")
        model = cls((saving.layer_from_config(entry) for entry in config["layers"]), config["name"])
        if config["build_input_shape"] is not None:
            model.build(config["build_input_shape"])
        return model

    def save(self, path: str | PathLike[str]) -> None:
        """Write the configuration and the weights to one file, in NumPy's npz format.

        Parameters
        ----------
        path : path-like
            Used as it is: no suffix is added. A file of this name is replaced once the new one is complete, whatever
            happens until then, and passes its permissions on.

        Raises
        ------
        ValueError, TypeError, OSError
            If the model is not built, its configuration is not plain JSON, or the file cannot be written, is
            write-protected, or is a pipe or a device.
        """
        saving.save(self, path)

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
        return saving.load(path, cls)

    def __repr__(self) -> str:
        count = f"{len(self._layers)} layer{'' if len(self._layers) == 1 else 's'}"
        return f"<Sequential {self.name!r}, {count}, {'built' if self.built else 'not built'}>"

    # -- for the model itself --------------------------------------------------------------------------------------

    def _need_layers(self) -> None:
        if not self._layers:
            raise ValueError("the model has no layers: add one first")

    def _ready(self, x: Any) -> np.ndarray:
        """The input as an array, and the model built for it."""
        self._need_layers()
        x = as_numbers(x, "x")
        if not self.built:
            # Checked for all layers before any is built, and any batch will do from now on.
            self.build((None, *x.shape[1:]))
        return x

    def _hand_out(self, weights: list[Any]) -> None:
        arrays = iter(weights)
        for layer in self._layers:
            layer.set_weights(list(islice(arrays, len(layer.weights))))
