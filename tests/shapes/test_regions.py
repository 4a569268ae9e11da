"""Regions: what is computed from the inputs that they name, and zeros, is that part of the whole."""

import numpy as np
import pytest
from cases import CASES, assert_close, each, expected, layer_class, make_layer, operands
from hypothesis import given, settings
from pooling_cases import CASES as POOLING
from pooling_cases import KINDS
from pooling_cases import expected as pooled
from pooling_cases import operands as pooling_operands
from random_cases import random_cases

from numbaconv import functional, layers, shapes
from numbaconv.calls.pooling import pool_window
from numbaconv.selfcheck import textbook

REGIONS = 2


def regions_of(case, lengths):
    """Some regions of an output: its two corners, and others."""
    rng = np.random.default_rng(list(case.name.encode()))
    drawn = [[sorted(rng.choice(n + 1, 2, replace=False).tolist()) for n in lengths] for _ in range(REGIONS)]
    return [[(0, 1) for _ in lengths], [(n - 1, n) for n in lengths], *drawn]


def axis_region(case, axis, start, stop):
    n = case.shape[1 + axis]
    if case.operation in ("crop", "zero_pad"):
        name = "cropping" if case.operation == "crop" else "padding"
        before, _ = shapes.normalize_pairs(case.settings[name], case.rank, name)[axis]
        return shapes.zero_pad_region(start, stop, n, -before if name == "cropping" else before)
    if case.operation == "upsample":
        size = shapes.normalize_tuple(case.settings["size"], case.rank, "size")[axis]
        return shapes.upsample_region(start, stop, n, size, case.settings.get("interpolation", "nearest"))
    k, s, d = case.kernel_size[axis], case.setting("strides")[axis], case.setting("dilation_rate")[axis]
    padding = case.settings.get("padding", "valid")
    if case.operation == "conv_transpose":
        added = case.settings.get("output_padding")
        added = None if added is None else shapes.normalize_tuple(added, case.rank, "output_padding", True)[axis]
        return shapes.deconv_region(start, stop, n, s, k, padding, added, d)
    return shapes.conv_region(start, stop, n, k, padding, s, d)


def part(array, region):
    return array[(slice(None), *(slice(*ends) for ends in region))]


def with_ends(array, found):
    """Zeros added at the ends of the spatial axes, or positions cut off where there are less than none."""
    ends = [(one.before, one.after) for one in found]
    wide = np.pad(array, [(0, 0), *((max(0, a), max(0, b)) for a, b in ends), (0, 0)])
    return part(wide, [(max(0, -a), n + min(0, b)) for n, (a, b) in zip(wide.shape[1:-1], ends, strict=True)])


def from_region(case, arrays, found, compute):
    """The result for the inputs of regions, by the operation without padding of its own."""
    x = part(arrays[0], [(one.start, one.stop) for one in found])
    if case.operation in ("crop", "zero_pad"):
        return with_ends(x, found)
    own = {k: v for k, v in case.settings.items() if k not in ("padding", "output_padding")}
    if case.operation == "upsample":
        return with_ends(compute("upsample", [x], **own), found)
    if case.operation == "conv_transpose":
        *kernels, bias = arrays[1:]
        spread = compute("conv_transpose", [x, *kernels, np.zeros_like(bias)], output_padding=0, **own)
        return with_ends(spread, found) + bias
    return compute(case.operation, [with_ends(x, found), *arrays[1:]], **own)


def check(case, whole, compute, dtype="float64"):
    arrays = operands(case, dtype)
    for region in regions_of(case, whole.shape[1:-1]):
        found = [axis_region(case, axis, *ends) for axis, ends in enumerate(region)]
        assert all(0 <= one.start < one.stop <= n for one, n in zip(found, case.shape[1:-1], strict=True))
        assert_close(from_region(case, arrays, found, compute), part(whole, region), scale=np.abs(whole).max(initial=1))


def by_function(operation, arrays, **own):
    return getattr(functional, operation)(*arrays, **own)


@each(CASES)
def test_a_region_is_computed_from_the_inputs_that_it_names(case):
    check(case, expected(case), by_function, "float32")


@given(random_cases())
@settings(deadline=None)
def test_random_regions(case):
    check(case, textbook.result(case.operation, operands(case), **case.settings), textbook.result)


@pytest.mark.parametrize("kind", KINDS)
@each(POOLING)
def test_regions_of_pooling(case, kind):
    x, _ = pooling_operands(case, "float32")
    whole = pooled(kind, case, x)
    size, strides = case.settings["pool_size"], case.settings["strides"]
    window = pool_window(size, strides, case.settings["padding"], None, case.rank)
    for region in regions_of(case, whole.shape[1:-1]):
        axes = zip(region, case.shape[1:-1], window.kernel_size, window.strides, strict=True)
        found = [shapes.conv_region(*ends, n, k, window.padding, s) for ends, n, k, s in axes]
        inside = part(x, [(one.start, one.stop) for one in found])
        if kind == "max":
            ends = [(0, 0), *((one.before, one.after) for one in found), (0, 0)]
            out = functional.max_pool(np.pad(inside, ends, constant_values=-np.inf), size, strides)
        else:
            sums, counts = (
                functional.average_pool(with_ends(one, found), size, strides) for one in (inside, np.ones_like(inside))
            )
            out = sums / counts
        assert_close(out, part(whole, region))


LAYERS = [case for case in CASES if layer_class(case) and len(case.shape) < 5 and case.filters < 20]


@each(LAYERS)
def test_layers_tell_the_same(case):
    layer = make_layer(case)
    lengths = shapes.kinds.spatial(layer.compute_output_shape(case.shape), "channels_last")
    for region in regions_of(case, lengths):
        found = tuple(axis_region(case, axis, *ends) for axis, ends in enumerate(region))
        assert shapes.input_region(layer, case.shape, region) == found


def test_in_words():
    said = shapes.explain(layers.Conv2D(4, 3, strides=(1, 2), padding="same"), (None, 9, 9, 3), [(0, 9), (2, 3)])
    assert said.splitlines()[-2:] == [
        "height: outputs 0 to 8 read inputs 0 to 8, with 1 zero in front and 1 behind.",
        "width: output 2 reads inputs 3 to 5.",
    ]


def test_layers_tell_it_themselves():
    pool = layers.MaxPooling2D(3, 2, padding="same")
    shape, region = (None, 9, 8, 3), [(0, 5), (1, 3)]
    assert pool.explain(shape, region) == shapes.explain(pool, shape, region)
    assert pool.explain(shape, region).startswith(pool.explain(shape))
    # Those without windows read what lies at the same place.
    for layer in (layers.Activation("relu"), layers.Dense(2), layers.BatchNormalization()):
        assert layer.explain(shape, [(3, 5), (7, 8)]).splitlines()[-2:] == [
            "height: outputs 3 to 4 read inputs 3 to 4.",
            "width: output 7 reads input 7.",
        ]


@pytest.mark.parametrize(
    ("layer", "shape", "region", "told"),
    [
        (layers.Flatten(name="flat"), (None, 4, 4, 2), [(0, 1)] * 2, "Flatten 'flat': Flatten has no regions"),
        (layers.Softmax(axis=2, name="rows"), (None, 4, 4, 2), [(0, 1)] * 2, "Softmax 'rows': Softmax has no regions"),
        (layers.GlobalMaxPooling2D(name="all"), (None, 4, 4, 2), [(0, 1)] * 2, "'all': GlobalMaxPooling2D has no reg"),
        (layers.Add(name="sum"), [(None, 4, 2)] * 2, [(0, 1)], "Add 'sum': Add has several inputs: a model"),
        (layers.Activation("relu", name="relu"), (None, 4, 2), [(0, 5)], "Activation 'relu': region must be 1 pairs"),
        (layers.Conv1D(1, 3, name="conv"), (None, None, 2), [(0, 5)], "Conv1D 'conv': input_shape must have known"),
    ],
)
def test_layers_refuse_what_has_none(layer, shape, region, told):
    with pytest.raises(ValueError, match=told):
        layer.explain(shape, region)


@pytest.mark.parametrize(
    ("layer", "region", "sentence"),
    [
        (layers.Conv1D(1, 3, padding="causal"), (0, 4), "outputs 0 to 3 read inputs 0 to 3, with 2 zeros in front"),
        (
            layers.MaxPooling1D(4, 2, padding="same"),
            (4, 5),
            "output 4 reads inputs 7 to 9, with 1 empty position behind",
        ),
        (
            layers.Conv1DTranspose(1, 3, strides=2, padding="same"),
            (4, 8),
            "outputs 4 to 7 read inputs 1 to 3, of whose results 2 positions in front and 1 behind are cut off",
        ),
        (
            layers.Conv1DTranspose(1, 1, strides=3),
            (27, 30),
            "outputs 27 to 29 read input 9, with 2 zeros behind",
        ),
        (layers.UpSampling1D(3), (3, 6), "outputs 3 to 5 read input 1"),
        (
            layers.UpSampling1D(3),
            (4, 6),
            "outputs 4 to 5 read input 1, of whose results 1 position in front is cut off",
        ),
        (layers.ZeroPadding1D((3, 2)), (1, 5), "outputs 1 to 4 read inputs 0 to 1, with 2 zeros in front"),
        (layers.ZeroPadding1D((3, 2)), (1, 2), "output 1 is 0"),
        (layers.Cropping1D((3, 2)), (0, 5), "outputs 0 to 4 read inputs 3 to 7"),
    ],
)
def test_sentences(layer, region, sentence):
    assert shapes.explain(layer, (None, 10, 1), [region]).splitlines()[-1] == f"steps: {sentence}."


def test_what_is_refused():
    layer = layers.Conv1D(1, 3)
    for region in [(0, 4), [(0, 9)], [(3, 3)], [(-1, 2)], [(0, 1), (0, 1)], [(0, 1.5)], None, [(0, 1, 2)]]:
        with pytest.raises(ValueError, match=r"region must be 1 pairs .* within outputs of \(8,\), got"):
            shapes.input_region(layer, (None, 10, 1), region)
    with pytest.raises(ValueError, match="known lengths"):
        shapes.input_region(layer, (None, None, 1), [(0, 1)])
    with pytest.raises(ValueError, match="GlobalMaxPooling1D has no regions"):
        shapes.input_region(layers.GlobalMaxPooling1D(), (None, 10, 1), [])
    with pytest.raises(TypeError, match="layer must be a conv"):
        shapes.input_region(layers.Flatten(), (None, 10, 1), [(0, 1)])
