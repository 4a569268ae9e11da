"""Models out of files and texts, this library's own and Keras's."""

import os
from collections.abc import Mapping
from typing import Any

from ..objects.collecting import uncollected
from . import kept
from .network import Network


def load_model(
    path: str | os.PathLike[str], custom_objects: Mapping[str, Any] | None = None, compile: bool = True
) -> Network:
    """Open a file with a model in it, of Keras's or of this library's (Keras's ``models.load_model``).

    What is in the file counts, and not its name: a ``.keras`` archive of Keras 2.13 to 3, an HDF5 file of Keras 1 to 3,
    an architecture in JSON or HDF5, or what ``model.save`` of this library wrote. An architecture without weights gets
    fresh ones.

    Parameters
    ----------
    path : path-like
    custom_objects : dict, optional
        What the file names and does not hold: a layer's class by its name, an activation by its name, and the function
        of a Lambda by the name of that layer.
    compile : bool
        Whether the model is compiled as it was when it was saved, its optimizer going on from its last step. Where that
        cannot be done here, a warning says why, and the model is not compiled.

    Returns
    -------
    Model or Sequential

    Raises
    ------
    ValueError
        If the file is damaged or holds no model, has a layer or a setting that is not here, or weights that are
        missing, surplus or of another shape; the message names the file and the layer.
    OSError
        If there is no such file.

    Notes
    -----
    Nothing in the file is executed, whoever made it: no pickle is read, nothing imported, and no function out of it
    called. Memory is taken only for what the file accounts for. HDF5 is read by this library itself.
    """
    with uncollected():
        model = None if custom_objects else kept.found(path, compile)
        if model is not None:
            return model
        # Most processes do without.
        from ..files.keras_file import opened
        from .keras.layouts import leaves_of
        from .keras.loading import listed_by, loaded

        with opened(path) as file:
            if not file.own:
                model, maker, stored = loaded(file, custom_objects)
                if not (custom_objects or maker.reading.warned):
                    kept.keep(file, model, stored, leaves_of(model, listed_by(maker)))
                if compile:
                    # With all optimizers.
                    from .keras.compiled import compiled

                    compiled(model, file, listed_by(maker))
                return model
        model = Network.load(path)
        if not compile:
            model.optimizer = model.loss = None
        return model


def model_from_json(json_string: str, custom_objects: Mapping[str, Any] | None = None) -> Network:
    """Make a model from what ``to_json`` returned, here or in Keras, with fresh weights.

    Parameters
    ----------
    json_string : str
    custom_objects : dict, optional
        As for `load_model`.

    Raises
    ------
    ValueError
        If it is no JSON, or not that of a model.
    """
    from ..files.saving import parsed
    from .keras.loading import drawn

    entry = parsed(json_string, "json_string")
    told = entry.get("keras_version") if isinstance(entry, dict) else None
    try:
        return drawn(entry, told if isinstance(told, str) else "3", custom_objects)
    except MemoryError:
        raise
    # As for files: what a stranger's text says can be wrong in a dozen ways.
    except Exception as error:
        raise ValueError(f"json_string describes no model: {str(error) or type(error).__name__}") from error
