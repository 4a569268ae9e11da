"""One axis of a layer: its input above, its output below, and which of them meet."""

from typing import NamedTuple

import numpy as np

from numbaconv import reference
from numbaconv.shapes import conv_padding, deconv_crop, dilated_kernel_size
from numbaconv.shapes.kinds import layer_kind

from .svg import BLUE, CELL, GREEN, INK, MUTED, ORANGE, PALE, Picture, number

DIGITS = np.array([3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8], float)
LEFT, TOP, GAP = 76, 28, 76


class Axis(NamedTuple):
    """What is drawn of one axis; each row lies beside the other on one ruler, in cells.

    Attributes
    ----------
    inputs, outputs : dict of int to (place, number, part of the array or not)
        By position; what is not part of the array is padding, or has been cut off.
    links : list of (input position, output position, weight or None)
    words : str
        What the numbers are multiplied by, for the description.
    """

    inputs: dict
    outputs: dict
    links: list
    words: str


def axis_of(layer, n):
    """The last spatial axis of a layer for n inputs of one channel, computed by `numbaconv.reference`."""
    return _AXES[layer_kind(layer)](layer, DIGITS[:n])


def draw_axis(layer, n, mark=0):
    """Picture of the last spatial axis of a layer, with one position and all that it meets brought out.

    That position is an output, which gathers; for a transposed convolution it is an input, which scatters.
    """
    axis = axis_of(layer, n)
    scatters = layer_kind(layer) == "transpose"
    picture = Picture(_describe(layer, axis))
    places = [place for row in (axis.inputs, axis.outputs) for place, _, _ in row.values()]
    x_of = {place: LEFT + (place - min(places)) * CELL for place in places}
    bottom = TOP + CELL + GAP
    marked = [link for link in axis.links if link[0 if scatters else 1] == mark]
    for links, colour, width in ((axis.links, "#cbd2d9", 1), (marked, ORANGE, 2.5)):
        for i, o, _ in links:
            (top_x, *_), (bottom_x, *_) = axis.inputs[i], axis.outputs[o]
            picture.line(x_of[top_x] + CELL / 2, TOP + CELL, x_of[bottom_x] + CELL / 2, bottom, colour, width)
    for label, row, y, colour in (("input", axis.inputs, TOP, BLUE), ("output", axis.outputs, bottom, GREEN)):
        picture.text(LEFT - 10, y + CELL / 2, label, 15, colour, "end")
        for position, (place, value, inside) in row.items():
            picture.cell(x_of[place], y, value, colour if inside else PALE, not inside)
            if inside:
                label_y = TOP - 12 if row is axis.inputs else bottom + CELL + 12
                picture.text(x_of[place] + CELL / 2, label_y, position, 12, MUTED)
    for i, o, _ in marked:
        picture.frame(x_of[axis.inputs[i][0]], TOP, 1, 1)
        picture.frame(x_of[axis.outputs[o][0]], bottom, 1, 1)
    for i, o, weight in marked:
        if weight is not None:
            start, end = x_of[axis.inputs[i][0]] + CELL / 2, x_of[axis.outputs[o][0]] + CELL / 2
            # Where the lines lie well apart: near the end at which they fan out.
            part = 0.68 if scatters else 0.32
            picture.badge(start + part * (end - start), TOP + CELL + part * GAP, weight)
    return picture


def _describe(layer, axis):
    rows = []
    for name, row in (("input", axis.inputs), ("output", axis.outputs)):
        rows.append(f"{name} {', '.join(number(v) for _, v, inside in row.values() if inside)}")
    outside = sum(not inside for _, _, inside in axis.inputs.values())
    return f"{type(layer).__name__}: {rows[0]}; {axis.words}; {rows[1]}; {outside} positions of padding or cut off."


def _line(values):
    return np.asarray(values, float).reshape(1, 1, 1, -1, 1)


def _ones(n):
    return 1, 1, n


def _window(layer):
    """Kernel size, stride and dilation along the last axis."""
    size = layer.pool_size if hasattr(layer, "pool_size") else layer.kernel_size
    return size[-1], layer.strides[-1], getattr(layer, "dilation_rate", (1,))[-1]


def _slide(layer, x):
    k, s, d = _window(layer)
    before, after = conv_padding(len(x), k, layer.padding, s, d)
    pads = (0, 0, before), (0, 0, after)
    weights = None
    if layer_kind(layer) == "pool":
        pool = reference.max_pool if type(layer).__name__.startswith("Max") else reference.average_pool
        out = pool(_line(x), _ones(k), _ones(s), *pads).ravel()
        filler, words = "", f"windows of {k}"
    else:
        weights = np.arange(1.0, k + 1)
        kernel = weights.reshape(1, 1, k, 1, 1)
        out = reference.conv(_line(x), kernel, np.zeros(1), _ones(s), _ones(d), *pads).ravel()
        filler, words = 0, f"kernel {', '.join(map(number, weights))}"
    inputs = {i: (i, x[i] if 0 <= i < len(x) else filler, 0 <= i < len(x)) for i in range(-before, len(x) + after)}
    # An output stands under the middle of its window; of a causal one under its last input, the present.
    span = dilated_kernel_size(k, d)
    middle = span - 1 if layer.padding == "causal" else (span - 1) / 2
    outputs = {q: (q * s - before + middle, value, True) for q, value in enumerate(out)}
    links = [
        (q * s - before + t * d, q, None if weights is None else weights[t]) for q in range(len(out)) for t in range(k)
    ]
    return Axis(inputs, outputs, links, words)


def _scatter(layer, x):
    k, s, d = _window(layer)
    added = None if layer.output_padding is None else layer.output_padding[-1]
    crop = deconv_crop(len(x), s, k, layer.padding, added, d)
    length = layer.compute_output_shape((1, *(len(x),) * layer.rank, 1))[-2]
    covered = (len(x) - 1) * s + dilated_kernel_size(k, d)
    shown = max(covered, length + crop)
    weights = np.arange(1.0, k + 1)
    scatter = reference.conv_transpose(
        _line(x), weights.reshape(1, 1, k, 1, 1), np.zeros(1), _ones(s), _ones(d), (0, 0, 0), _ones(shown)
    ).ravel()
    middle = (dilated_kernel_size(k, d) - 1) / 2
    inputs = {i: (i * s - crop + middle, value, True) for i, value in enumerate(x)}
    outputs = {p - crop: (p - crop, scatter[p], 0 <= p - crop < length) for p in range(shown)}
    links = [(i, i * s + t * d - crop, weights[t]) for i in range(len(x)) for t in range(k)]
    return Axis(inputs, outputs, links, f"kernel {', '.join(map(number, weights))}")


def _pool_all(layer, x):
    pool = reference.max_pool if type(layer).__name__.startswith("GlobalMax") else reference.average_pool
    value = pool(_line(x), _ones(len(x)), _ones(1), (0, 0, 0), (0, 0, 0)).item()
    inputs = {i: (i, v, True) for i, v in enumerate(x)}
    outputs = {0: ((len(x) - 1) / 2, value, True)}
    return Axis(inputs, outputs, [(i, 0, None) for i in inputs], "one window over all")


def _crop(layer, x):
    before, after = layer.cropping[-1]
    out = reference.crop(_line(x), (0, 0, before), (0, 0, after)).ravel()
    inputs = {i: (i, v, before <= i < len(x) - after) for i, v in enumerate(x)}
    outputs = {o: (o + before, v, True) for o, v in enumerate(out)}
    return Axis(inputs, outputs, [(o + before, o, None) for o in outputs], "cut")


def _pad(layer, x):
    before, after = layer.padding[-1]
    out = reference.zero_pad(_line(x), (0, 0, before), (0, 0, after)).ravel()
    inputs = {i: (i, v, True) for i, v in enumerate(x)}
    outputs = {o: (o - before, v, True) for o, v in enumerate(out)}
    return Axis(inputs, outputs, [(i, i + before, None) for i in inputs], "zeros added")


def _upsample(layer, x):
    size = layer.size[-1]
    if getattr(layer, "interpolation", "nearest") == "nearest":
        out = reference.upsample_nearest(_line(x), _ones(size)).ravel()
        links = [(o // size, o, None) for o in range(len(out))]
    else:
        out = reference.upsample_bilinear(_line(x), _ones(size)).ravel()
        impulses = [reference.upsample_bilinear(_line(row), _ones(size)).ravel() for row in np.eye(len(x))]
        links = [(i, o, None) for i, row in enumerate(impulses) for o in np.flatnonzero(row)]
    inputs = {i: (i * size + (size - 1) / 2, v, True) for i, v in enumerate(x)}
    outputs = {o: (o, v, True) for o, v in enumerate(out)}
    return Axis(inputs, outputs, links, f"size {size}")


_AXES = {
    "conv": _slide,
    "depthwise": _slide,
    "pool": _slide,
    "transpose": _scatter,
    "global": _pool_all,
    "crop": _crop,
    "pad": _pad,
    "upsample": _upsample,
}


def draw_stack(layers, n):
    """Picture of convolutions one after the other, with all that the last output reads brought out."""
    picture = Picture(f"{len(layers)} convolutions one after the other: what the last output reads of {n} inputs.")
    high = 62
    axes = [axis_of(layer, n) for layer in layers]
    reached, levels = {n - 1}, []
    for axis in reversed(axes):
        levels.insert(0, reached)
        reached = {i for i, o, _ in axis.links if o in reached}
    levels.insert(0, reached)

    def x_of(place):
        return LEFT + 40 + place * 34

    y_of = [TOP + level * high for level in range(len(levels))]
    for level, axis in enumerate(axes):
        for i, o, _ in sorted(axis.links, key=lambda link: link[1] in levels[level + 1]):
            if i < 0:
                continue
            lit = o in levels[level + 1]
            ends = x_of(i), y_of[level], x_of(axis.outputs[o][0]), y_of[level + 1]
            picture.line(*ends, ORANGE if lit else "#dde2e7", 2.5 if lit else 1)
        text = f"dilation {layers[level].dilation_rate[-1]}"
        picture.text(LEFT + 20, (y_of[level] + y_of[level + 1]) / 2, text, 14, INK, "end")
    for level, lit in enumerate(levels):
        if level in (0, len(layers)):
            words, colour = ("output", GREEN) if level else ("input", BLUE)
            picture.text(LEFT + 20, y_of[level], words, 15, colour, "end")
        for place in range(n):
            picture.dot(x_of(place), y_of[level], GREEN if level else BLUE, place in lit)
    return picture
