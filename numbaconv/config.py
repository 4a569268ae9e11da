"""Package-wide defaults: the float type, the fuzz factor and the image data format.

They are read once, at import, from Keras's own configuration file: ``$KERAS_HOME/keras.json`` if that variable is
set, otherwise ``~/.keras/keras.json``. The file is never written. What is missing in it keeps its default; what
cannot be used keeps its default too, with one warning that says what is wrong. The setters change a value for the
running process.
"""

import os
import stat
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numbaconv.objects.registry import number

from .objects.public import publish
from .shapes.checks import one_of

__all__ = [
    "epsilon",
    "floatx",
    "fuse",
    "image_data_format",
    "set_epsilon",
    "set_floatx",
    "set_fuse",
    "set_image_data_format",
]
publish(__name__)

# Keras writes a hundred.
_MOST_BYTES = 2**20

_floatx = "float32"
_epsilon = 1e-7
_image_data_format = "channels_last"
_fuse = os.environ.get("NUMBACONV_FUSE") != "0"


def floatx() -> str:
    """Return the dtype of a layer that names none: "float32" or "float64"."""
    return _floatx


def set_floatx(value: str) -> None:
    """Set the dtype of every layer made from now on that names none.

    Parameters
    ----------
    value : {"float32", "float64"}
        Keras's half-precision types are refused: the kernels compute in single and double precision only.

    Raises
    ------
    TypeError
        If `value` is not a string.
    ValueError
        If it is any other string.
    """
    global _floatx
    _floatx = one_of(value, "floatx", ("float32", "float64"))


def epsilon() -> float:
    """Return the fuzz factor that keeps divisions by a norm away from zero: 1e-7 by default."""
    return _epsilon


def set_epsilon(value: float) -> None:
    """Set the fuzz factor that keeps divisions by a norm away from zero.

    Parameters
    ----------
    value : float
        A positive, finite number.

    Raises
    ------
    TypeError
        If `value` is not a real number.
    ValueError
        If it is zero, negative, infinite or NaN.
    """
    global _epsilon
    _epsilon = number(value, "epsilon", above=0)


def image_data_format() -> str:
    """Return the data format of a layer that is given ``data_format=None``: "channels_last" or "channels_first"."""
    return _image_data_format


def set_image_data_format(data_format: str) -> None:
    """Set the data format of every layer made from now on with ``data_format=None``.

    Parameters
    ----------
    data_format : {"channels_last", "channels_first"}
        In upper or lower case.

    Raises
    ------
    TypeError
        If `data_format` is not a string.
    ValueError
        If it is any other string.
    """
    global _image_data_format
    _image_data_format = one_of(data_format, "image_data_format", ("channels_last", "channels_first"))


def fuse() -> bool:
    """Return whether networks join layers where they predict: True, unless ``NUMBACONV_FUSE`` was 0 at import."""
    return _fuse


def set_fuse(value: bool) -> None:
    """Set whether networks join layers where they predict: one pass over memory for a convolution and what follows it.

    It acts on ``model(x)``, ``predict`` and ``evaluate`` of all models, from the next call on. Training never joins
    layers. Results differ in the last digits.

    Parameters
    ----------
    value : bool

    Raises
    ------
    TypeError
        If `value` is neither True nor False.
    """
    global _fuse
    if not isinstance(value, bool):
        raise TypeError(f"fuse must be True or False, got {value!r}")
    _fuse = value


def _warn_unread(path: Path, error: Exception) -> None:
    warnings.warn(
        f"{path} was not read ({error}); floatx, epsilon and image_data_format keep their defaults", stacklevel=3
    )


def _read_file() -> None:
    asked = os.environ.get("KERAS_HOME")
    path = Path(asked or "~/.keras", "keras.json")
    try:
        path = path.expanduser()
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    # RuntimeError: no home directory is known.
    except (OSError, ValueError, RuntimeError) as error:
        # A user without a home that can be entered, as in many containers, has asked for nothing.
        if asked:
            _warn_unread(path, error)
        return
    try:
        if not stat.S_ISREG(mode):
            # Reading from a pipe or a device could take for ever.
            raise ValueError("it is no regular file")
        with open(path, "rb") as file:
            content = file.read(_MOST_BYTES + 1)
        # Most have no such file.
        import json

        if len(content) > _MOST_BYTES:
            raise ValueError(f"it has more than {_MOST_BYTES} bytes")
        # Some editors put a byte order mark first, which plain "utf-8" would hand on to the JSON parser.
        values = json.loads(content.decode("utf-8-sig"))
        if not isinstance(values, dict):
            raise ValueError("it does not hold a JSON object")
    # RuntimeError: brackets nested too deeply.
    except (OSError, ValueError, RuntimeError) as error:
        _warn_unread(path, error)
        return
    setters: dict[str, Callable[[Any], None]] = {
        "floatx": set_floatx,
        "epsilon": set_epsilon,
        "image_data_format": set_image_data_format,
    }
    problems = []
    for key, setter in setters.items():
        if key in values:
            try:
                setter(values[key])
            except (TypeError, ValueError) as error:
                problems.append(str(error))
    if problems:
        warnings.warn(f"{path}: {'; '.join(problems)}; the default is used instead", stacklevel=2)


_read_file()
