"""Operations that move values, or take some of them, and the layers that they become."""

from typing import Any

import numpy as np

from ... import layers
from .architecture import Place, places
from .array_operations import along, blocks, indexed, padded, split, stacked, tiled, transposed, unstacked
from .given import Given, Handler, Made, first, integers


def _reshape(plain: str, name: str, given: Given) -> Made:
    x, target = first(given), given.take(1, "newshape", "shape")
    sizes = [-1 if one is None else one for one in target] if isinstance(target, list | tuple) else target
    _, *rest = integers(sizes, "newshape")
    return layers.Reshape(tuple(rest), name=name), x


def _transpose(plain: str, name: str, given: Given) -> Made:
    x, order = first(given), given.take(1, "axes", "perm")
    named = None if order is None else integers(order, "perm")
    return transposed(lambda count: named, name), x


def _squeeze(plain: str, name: str, given: Given) -> Made:
    x, axes = first(given), given.take(1, "axis", "squeeze_dims")
    if axes in (None, []):
        raise ValueError("squeeze must have an axis")
    dropped = integers(axes, "axis")

    def index(count: int) -> list[Any]:
        places = {axis % count for axis in dropped}
        return [0 if axis in places else slice(None) for axis in range(count)]

    return indexed(index, name), x


def _expand(plain: str, name: str, given: Given) -> Made:
    x = first(given)
    new = integers(given.take(1, "axis", "dim"), "axis")

    def index(count: int) -> list[Any]:
        total = count + len(new)
        places = {axis % total for axis in new}
        return [None if axis in places else slice(None) for axis in range(total)]

    return indexed(index, name), x


def _pad(plain: str, name: str, given: Given) -> Made:
    x, widths = first(given), given.take(1, "pad_width", "paddings")
    mode = str(given.take(len(given.arguments), "mode", default="constant")).lower()
    value = given.take(2, "constant_values")
    if mode not in ("constant", "reflect", "symmetric"):
        raise ValueError(f"mode must be 'constant', 'reflect' or 'symmetric', got {mode!r}")
    if not isinstance(widths, list | tuple):
        raise ValueError(f"the padding must be two numbers for each axis, got {widths!r}")
    pairs = [integers(one, "padding") for one in widths]
    return padded(pairs, mode, float(value or 0), name), x


def _concatenate(plain: str, name: str, given: Given) -> Made:
    axis = given.settings.pop("axis", -1)
    *values, last = [*given.all(), given.settings.pop("values", None)]
    if last is not None:
        values = last
    elif isinstance(values[0], list):
        # The list, and maybe the axis.
        values, axis = values[0], (*values[1:], axis)[0]
    elif not isinstance(values[-1], Place):
        # TensorFlow's node has them one after the other.
        *values, axis = values
    (along,) = integers(axis, "axis")
    return layers.Concatenate(axis=along, name=name), values


def _item(plain: str, name: str, given: Given) -> Made:
    x, spec = first(given), given.take(1, "key", "slice_spec")
    parts = [_index(one) for one in (spec if isinstance(spec, list | tuple) else [spec])]

    def index(count: int) -> list[Any]:
        given = sum(1 for one in parts if one is not None and one is not Ellipsis)
        rest = [slice(None)] * (count - given)
        if Ellipsis in parts:
            at = parts.index(Ellipsis)
            return [*parts[:at], *rest, *parts[at + 1 :]]
        return [*parts, *rest]

    return indexed(index, name), x


def _index(one: Any) -> Any:
    if isinstance(one, dict):
        if one.get("class_name") == "__ellipsis__":
            return Ellipsis
        one = slice(one.get("start"), one.get("stop"), one.get("step")) if "start" in one else one.get("value")
    numbers = (one.start, one.stop, one.step) if isinstance(one, slice) else (one,)
    if one is not Ellipsis and not all(n is None or type(n) is int for n in numbers):
        raise ValueError(f"an index must be whole numbers or slices of those, got {one!r}")
    return one


def _stack(plain: str, name: str, given: Given) -> Made:
    return stacked(_axis(given, 1), name), list(places(given.take(0, "x", "values") if given.settings else given.all()))


def _split(plain: str, name: str, given: Given) -> Made:
    if not isinstance(given.arguments[0], Place):
        # TensorFlow's node has the axis first.
        axis, *given.arguments = given.arguments
        given.settings["axis"] = axis
    x, ends = first(given), given.settings.pop("indices_or_sections", None)
    sizes = ends is None
    if sizes:
        ends = given.take(1, "num_or_size_splits", "num_split")
    many, several = integers(ends, "sections"), isinstance(ends, list)
    return split(list(many) if several else many[0], _axis(given, 2), name, sizes and several), x


def _unstack(plain: str, name: str, given: Given) -> Made:
    x, _ = first(given), given.take(1, "num")
    return unstacked(_axis(given, 2), name), x


def _axis(given: Given, place: int) -> int:
    (axis,) = integers(given.take(place, "axis", default=0), "axis")
    return axis


def _flip(plain: str, name: str, given: Given) -> Made:
    x, axes = first(given), integers(given.take(1, "axis"), "axis")
    return along(lambda x: np.flip(x, axes), axes, 1, name), x


def _roll(plain: str, name: str, given: Given) -> Made:
    x, shift = first(given), integers(given.take(1, "shift"), "shift")
    axes = integers(given.take(2, "axis"), "axis")
    return along(lambda x: np.roll(x, shift, axes), axes, 1, name), x


def _repeat(plain: str, name: str, given: Given) -> Made:
    x, (count,), axis = first(given), integers(given.take(1, "repeats"), "repeats"), _axis(given, 2)
    return along(lambda x: np.repeat(x, count, axis), (axis,), count, name), x


def _tile(plain: str, name: str, given: Given) -> Made:
    x = first(given)
    return tiled(integers(given.take(1, "repeats", "multiples"), "repeats"), name), x


def _swap(plain: str, name: str, given: Given) -> Made:
    x = first(given)
    a, b = (integers(given.take(*one), "axis") for one in ((1, "axis1", "source"), (2, "axis2", "destination")))
    move: Any = np.moveaxis if plain == "moveaxis" else lambda x, a, b: np.swapaxes(x, *a, *b)
    # Its sizes are the numbers of its axes.
    return transposed(lambda count: move(np.empty(range(count)), a, b).shape, name), x


def _blocks(plain: str, name: str, given: Given) -> Made:
    x, (size,) = first(given), integers(given.take(1, "block_size"), "block_size")
    data_format = given.take(2, "data_format", default="NHWC")
    if data_format not in ("NHWC", "channels_last"):
        raise ValueError(f"data_format must be 'channels_last', got {data_format!r}")
    return blocks(size, plain == "depth_to_space", name), x


def _resize(plain: str, name: str, given: Given) -> Made:
    x, (height, width) = first(given), integers(given.take(1, "size"), "size")
    kind = given.take(2, "interpolation", "method", default="bilinear")
    keys = "antialias", "crop_to_aspect_ratio", "pad_to_aspect_ratio", "fill_mode", "fill_value", "data_format"
    told = {key: given.settings.pop(key) for key in keys if key in given.settings}
    return layers.Resizing(height, width, kind, **told, name=name), x


HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(("concat", "concatenate"), _concatenate),
    **dict.fromkeys(("getitem", "get_item", "__getitem__"), _item),
    **dict.fromkeys(("depth_to_space", "space_to_depth"), _blocks),
    **dict.fromkeys(("flip", "reverse"), _flip),
    **dict.fromkeys(("moveaxis", "swapaxes"), _swap),
    **dict.fromkeys(("pack", "stack"), _stack),
    **dict.fromkeys(("unpack", "unstack"), _unstack),
    **dict.fromkeys(("mirror_pad", "pad"), _pad),
    "expand_dims": _expand,
    "repeat": _repeat,
    "reshape": _reshape,
    "resize": _resize,
    "roll": _roll,
    "split": _split,
    "squeeze": _squeeze,
    "tile": _tile,
    "transpose": _transpose,
}
