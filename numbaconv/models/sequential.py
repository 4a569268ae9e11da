"""Sequential, Keras's linear stack of layers."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..common.arguments import as_numbers, check_bool, check_rank
from ..layers import Layer
from ..objects.telling import Telling
from ..shapes import normalize_shape
from .configs import check_model_keys, check_names, layer_config, layer_from_config
from .network import Network
from .program import Program
from .stack import Stack


class Sequential(Network, Stack, Telling):
    """Layers one after the other, each fed with the output of the one before (Keras's ``Sequential``).

    ``model(x) = last(...second(first(x)))``

    Parameters
    ----------
    layers : iterable of Layer or model, optional
        Added in this order; the first may be an `Input`.
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

    _tells_names = False

    def __init__(
        self, layers: Iterable[Any] | None = None, name: str | None = None, *others: Any, trainable: bool = True
    ) -> None:
        if others or isinstance(name, Layer):
            raise TypeError("layers must come in a list, Sequential([first, second, ...]), got several arguments")
        super().__init__(name)
        if not isinstance(layers, Iterable | None):
            raise TypeError(f"{self._label}: layers must be a list of layers, got {layers!r}")
        self.trainable = trainable
        self._extend(layers or ())

    # -- configuration and files -----------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """The name, the input shape and the layers' settings as plain JSON types, without the weights.

        Raises
        ------
        TypeError
            If a layer's class is none of `numbaconv.layers`, or one of its settings is a function of the user's.
        ValueError
            If two layers have been given the same name.
        """
        with self._named():
            check_names(self._layers)
            return {
                "name": self.name,
                # Files that need not know of it can be read by versions that do not.
                **({} if self.trainable else {"trainable": False}),
                "build_input_shape": None if self._input_shape is None else list(self._input_shape),
                "layers": [layer_config(layer) for layer in self._layers],
            }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "Sequential":
        """Make a model from what `get_config` returned, with fresh weights, and built if that one was.

        Raises
        ------
        ValueError, TypeError
            If a key is missing or unknown, if a layer's class is none of `numbaconv.layers`, or if a setting is wrong.
        """
        check_model_keys(config)
        if not isinstance(config["layers"], list):
            raise ValueError(f"layers in config must be a list, got {config['layers']!r}")
        model = cls((layer_from_config(entry, custom_objects) for entry in config["layers"]), config["name"])
        # Each layer has its own, which may have been set since.
        model._trainable = check_bool(config.get("trainable", True), "trainable in config")
        if config["build_input_shape"] is not None:
            model.build(config["build_input_shape"])
        return model

    def __repr__(self) -> str:
        count = f"{len(self._layers)} layer{'' if len(self._layers) == 1 else 's'}"
        return f"<Sequential {self.name!r}, {count}, {'built' if self.built else 'not built'}>"

    # -- for the model itself --------------------------------------------------------------------------------------

    def _program(self) -> Program:
        return self._line

    def _rows(self) -> list[tuple[Any, Any, list[str]]]:
        rows: list[tuple[Any, Any, list[str]]] = []
        shape: Any = self._input_shape
        for layer in self._layers:
            shape = None if shape is None else layer.compute_output_shape(shape)
            rows.append((layer, shape, []))
        return rows

    def _known_shapes(self, input_shape: Any) -> dict[int, Any]:
        shape = self._input_shape if input_shape is None else normalize_shape(input_shape, "input_shape")
        if shape is None:
            raise ValueError("input_shape must be given, because the model is not built")
        return self._line.shapes([shape])

    def _given(self, x: Any) -> list[Any]:
        return [self._ready(x)]

    def _ready(self, x: Any) -> np.ndarray:
        """The input as an array, and the model built for it."""
        self._need_layers()
        x = as_numbers(self._alone(x), "x")
        first: Any = self._layers[0]
        if isinstance(first, Layer):
            with first._named():
                # Before anything speaks of an input_shape that the user has not given.
                check_rank(x, first.rank, first.data_format)
                first._check_channels(x.shape)
        if not self.built:
            # Checked for all layers before any is built, and any batch will do from now on.
            self.build((None, *x.shape[1:]))
        return x
