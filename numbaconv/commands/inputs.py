"""Arrays and pictures out of files, in the form that a network takes."""

from pathlib import Path
from typing import Any

import numpy as np

from ..shapes import Shape
from .scales import SCALES

# Pillow's names of pictures with so many channels.
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
# Pillow's names that only those who know Pillow understand.
_CALLED = {"L": "grey"}


def read_input(path: str, model: Any, scale: str | None) -> tuple[Any, str]:
    """What a file holds, ready for ``model(x)``, and in a line what was done to it.

    It is a .npy or .npz file, or a picture; one example may lack the batch axis. The scale is one of `SCALES`, for
    pictures, and follows from the model where it is None. Raises ValueError or OSError if the file holds nothing that
    fits the model's inputs, ModuleNotFoundError if a picture needs Pillow, and it is not installed.
    """
    tensors = model.inputs
    if Path(path).suffix.lower() not in (".npy", ".npz"):
        if len(tensors) > 1:
            raise ValueError(f"INPUT must be a .npz file: the network has {len(tensors)} inputs")
        return _picture(path, tensors[0].shape, scale or _usual_scale(model))
    if scale is not None:
        raise ValueError("--scale is for pictures; numbers from a .npy or .npz file are taken as they are")
    arrays = _arrays(path)
    if len(arrays) != len(tensors):
        raise ValueError(f"INPUT must hold one array for each of {len(tensors)} inputs, got {len(arrays)} in {path}")
    names = list(model.input_names)
    # In the order of the inputs where the file does not know their names.
    given = [arrays[name] for name in names] if set(names) == set(arrays) else list(arrays.values())
    x = [array[None] if array.ndim == tensor.ndim - 1 else array for array, tensor in zip(given, tensors, strict=True)]
    for array, tensor in zip(x, tensors, strict=True):
        if array.ndim != tensor.ndim or any(n not in (None, m) for n, m in zip(tensor.shape, array.shape, strict=True)):
            raise ValueError(
                f"INPUT must have the shape {tensor.shape} for {tensor.name!r}, got {array.shape} in {path}"
            )
    told = ", ".join(f"{array.shape} {array.dtype}" for array in x)
    return x[0] if len(x) == 1 else dict(zip(names, x, strict=True)) if isinstance(model.input, dict) else x, told


def _arrays(path: str) -> dict[str, np.ndarray]:
    try:
        with open(path, "rb") as file:
            found = np.load(file, allow_pickle=False)
            return {"": found} if isinstance(found, np.ndarray) else dict(found.items())
    except OSError:
        raise
    # NumPy and zipfile have many of their own for damaged files.
    except Exception as error:
        raise ValueError(f"{path} cannot be read as arrays: {error}") from error


def _usual_scale(model: Any) -> str:
    scaled = {"Rescaling", "Normalization"} & {type(layer).__name__ for layer in model._leaves()}
    return "raw" if scaled else "unit"


def _picture(path: str, shape: Shape, scale: str) -> tuple[np.ndarray, str]:
    """A picture, resized to the input of a network with the batch axis."""
    height, width, channels, axis = _layout(shape)
    # A file that is not there is told of first.
    with open(path, "rb") as picture:
        try:
            from PIL import Image, ImageOps
        except ModuleNotFoundError:
            raise ModuleNotFoundError("pictures are read by Pillow: python -m pip install pillow") from None
        file = Image.open(picture)
        if file.mode.startswith(("I", "F")):
            raise ValueError(f"{path} has more than 8 bits to a value: give its numbers as a .npy file")
        image = ImageOps.exif_transpose(file).convert(_MODES[channels])
    size = (width or image.width, height or image.height)
    modes = " as ".join(dict.fromkeys(_CALLED.get(mode, mode) for mode in (file.mode, image.mode)))
    told = f"{path}, {modes} of {image.height} x {image.width}"
    if size != image.size:
        image = image.resize(size, Image.Resampling.BILINEAR)
        told += f", resized to {image.height} x {image.width}"
    low, high = SCALES[scale]
    x = low + np.asarray(image, np.float32) * np.float32((high - low) / 255)
    if axis is not None:
        x = np.expand_dims(x, axis) if channels == 1 else np.moveaxis(x, -1, axis)
    return np.ascontiguousarray(x[None]), f"{told}, values from {low} to {high} (--scale {scale})"


def _layout(shape: Shape) -> tuple[int | None, int | None, int, int | None]:
    """Height, width, channels and their axis in one example; without such an axis, None: pictures are grey."""
    example = shape[1:]
    if len(example) == 2:
        return *example, 1, None
    if len(example) == 3:
        # Channels that a picture can have, at the end if both ends could be meant.
        for axis, (height, width) in ((2, example[:2]), (0, example[1:])):
            channels = example[axis]
            if channels is not None and channels in _MODES:
                return height, width, channels, axis
    raise ValueError(
        f"INPUT must be a .npy file: a picture has 1, 3 or 4 channels, and the network's input has the shape {shape}"
    )
