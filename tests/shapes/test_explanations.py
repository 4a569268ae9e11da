"""Receptive fields against index sets carried through the layers, and explanations word for word."""

import itertools
from fractions import Fraction
from math import prod

import pytest
from brute_force import scattered, window_starts
from hypothesis import given
from hypothesis import strategies as st

from numbaconv import shapes

# Stand-ins for layers: the attributes of the real ones, nothing else


class Conv:
    function = staticmethod(shapes.conv_output_shape)
    data_format = "channels_last"

    def __init__(self, rank, **attributes):
        self.rank = rank
        vars(self).update(attributes)

    def compute_output_shape(self, input_shape):
        return self.function(input_shape, **{k: v for k, v in vars(self).items() if k not in ("rank", "interpolation")})


class Depthwise(Conv):
    function = staticmethod(shapes.depthwise_conv_output_shape)


class Separable(Conv):
    function = staticmethod(shapes.separable_conv_output_shape)

    def compute_output_shape(self, input_shape):
        settings = {k: v for k, v in vars(self).items() if k not in ("rank", "depth_multiplier")}
        return self.function(input_shape, **settings)


class Transpose(Conv):
    function = staticmethod(shapes.conv_transpose_output_shape)


class Crop(Conv):
    function = staticmethod(shapes.crop_output_shape)


class Pad(Conv):
    function = staticmethod(shapes.zero_pad_output_shape)


class Upsample(Conv):
    function = staticmethod(shapes.upsample_output_shape)


class Pool(Conv):
    function = staticmethod(shapes.pool_output_shape)


class Global(Conv):
    function = staticmethod(shapes.global_pool_output_shape)


def conv(k, s=1, d=1, padding="valid"):
    return Conv(1, filters=1, kernel_size=(k,), strides=(s,), padding=padding, dilation_rate=(d,))


def transpose(k, s=1, d=1, padding="valid", output_padding=None):
    added = None if output_padding is None else (output_padding,)
    settings = {"filters": 1, "kernel_size": (k,), "strides": (s,), "padding": padding, "dilation_rate": (d,)}
    return Transpose(1, output_padding=added, **settings)


def crop(before, after):
    return Crop(1, cropping=((before, after),))


def pad(before, after):
    return Pad(1, padding=((before, after),))


def pool(k, s, padding="valid"):
    return Pool(1, pool_size=(k,), strides=(s,), padding=padding)


def upsample(factor, interpolation="nearest"):
    return Upsample(1, size=(factor,), interpolation=interpolation)


# Receptive fields


def reaches(distance, interpolation):
    """Whether a kernel has a share that far away; Lanczos's and the cubic one have none at whole distances but 0."""
    radius = {"bilinear": 1, "bicubic": 2, "lanczos3": 3, "lanczos5": 5}[interpolation]
    whole = abs(distance - round(distance)) < 1e-9
    return round(distance) == 0 if whole else abs(distance) < radius


def forward(layer, inputs):
    """Index sets of the stack's input, carried through one layer from each of its inputs to each of its outputs."""
    n = len(inputs)
    if isinstance(layer, Crop):
        (before, after) = layer.cropping[0]
        return inputs[before : n - after]
    if isinstance(layer, Pad):
        (before, after) = layer.padding[0]
        return [set()] * before + inputs + [set()] * after
    if isinstance(layer, Upsample):
        factor = layer.size[0]
        if layer.interpolation == "nearest":
            return [indices for indices in inputs for _ in range(factor)]
        centres = [(j + 0.5) / factor - 0.5 for j in range(n * factor)]
        return [
            set().union(*(indices for i, indices in enumerate(inputs) if reaches(i - centre, layer.interpolation)))
            for centre in centres
        ]
    if isinstance(layer, Pool):
        layer = conv(layer.pool_size[0], layer.strides[0], padding=layer.padding)
    k, s, d = layer.kernel_size[0], layer.strides[0], layer.dilation_rate[0]
    if isinstance(layer, Transpose):
        extra = None if layer.output_padding is None else layer.output_padding[0]
        length = shapes.deconv_length(n, s, k, layer.padding, extra, d)
        front = max(scattered(n, k, s, d) - length, 0) // 2 if layer.padding == "same" else 0
        outputs = [set() for _ in range(length)]
        for i, t in itertools.product(range(n), range(k)):
            if 0 <= i * s + t * d - front < length:
                outputs[i * s + t * d - front] |= inputs[i]
        return outputs
    starts = window_starts(n, k, layer.padding, s, d)
    return [set().union(*(inputs[p + t * d] for t in range(k) if 0 <= p + t * d < n)) for p in starts]


STACKS = [
    [conv(1)],
    [conv(3), conv(3)],
    [conv(3, padding="same"), conv(2, 2, padding="same"), conv(4, 3, padding="same")],
    [conv(3, d=2, padding="causal"), conv(2, d=4, padding="causal")],
    [conv(5, 2), pad(3, 1), conv(3, 2, 2), crop(1, 2), conv(2)],
    [upsample(2), conv(2)],
    [upsample(2), conv(3, padding="same"), conv(2, 2)],
    [conv(3, 2, padding="same"), upsample(3), conv(2, 2)],
    [upsample(2, "bilinear"), conv(3)],
    [upsample(3, "bilinear")],
    [upsample(4, "bilinear"), upsample(2, "bilinear")],
    [upsample(2, "bicubic"), conv(3)],
    [upsample(3, "lanczos3"), upsample(2)],
    [upsample(1, "lanczos5"), upsample(2, "lanczos5")],
    [transpose(3, 2)],
    [transpose(2, 2), conv(2)],
    [transpose(1, 3), conv(2)],
    [transpose(4, 2, padding="same"), conv(3, padding="same")],
    [transpose(3, 3, padding="same", output_padding=1), transpose(3, 2, d=2, padding="same", output_padding=0)],
    [conv(4, 2, padding="same"), transpose(2, 2, d=3), conv(2, d=3)],
    [transpose(1, 2), crop(1, 0), conv(1, 2)],
    [conv(3, padding="same"), pool(2, 2), conv(3, padding="same"), pool(3, 2, "same")],
    [pool(2, 3), upsample(2), pool(3, 1, "same")],
]


@pytest.mark.parametrize("layers", STACKS)
@pytest.mark.parametrize("n", [120, 125])
def test_receptive_field_is_what_reaches_the_outputs(layers, n):
    reached = [{i} for i in range(n)]
    for layer in layers:
        reached = forward(layer, reached)
    (field,) = shapes.receptive_field(layers, (None, n, 1))
    middle = range(len(reached) // 3, 2 * len(reached) // 3)
    assert field.size == max(max(reached[j]) - min(reached[j]) + 1 if reached[j] else 0 for j in middle)
    period = prod(layer.size[0] for layer in layers if isinstance(layer, Upsample))
    period *= prod(layer.strides[0] for layer in layers if isinstance(layer, Transpose))
    whole = [j for j in middle if j % period == 0]
    expected = [field.start + j * field.stride if field.start is not None else None for j in whole]
    assert [min(reached[j], default=None) for j in whole] == expected


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 3), st.integers(1, 3)), min_size=1, max_size=6))
def test_receptive_field_of_convolutions_is_the_closed_form(stack):
    size = stride = 1
    for k, s, d in stack:
        size += (k - 1) * d * stride
        stride *= s
    assert shapes.receptive_field([conv(*layer) for layer in stack]) == ((size, stride, 0),)


def test_receptive_field_has_one_entry_for_each_axis():
    settings = {"strides": (1, 2), "padding": "same", "dilation_rate": (1, 1)}
    layers = [
        Conv(2, filters=4, kernel_size=(3, 5), data_format="channels_first", **settings),
        Depthwise(2, kernel_size=(3, 3), depth_multiplier=1, data_format="channels_first", **settings),
        Separable(2, filters=4, kernel_size=(1, 3), depth_multiplier=1, data_format="channels_first", **settings),
    ]
    height, width = shapes.receptive_field(layers, (None, 1, 9, 64))
    assert height == (5, 1, -2)
    assert width == (17, 8, -1)
    assert isinstance(width.stride, Fraction)


def test_receptive_field_of_unknown_lengths_takes_multiples_of_the_stride():
    layers = [conv(3, 2, padding="same")]
    assert shapes.receptive_field(layers) == shapes.receptive_field(layers, (None, 8, 1)) == ((3, 2, 0),)
    assert shapes.receptive_field(layers, (None, 9, 1)) == ((3, 2, -1),)


def test_receptive_field_of_global_pooling_is_the_whole_length():
    layers = [conv(3, 2), Global(1, keepdims=True)]
    assert shapes.receptive_field(layers, (None, 9, 1)) == ((9, 2, 0),)
    for input_shape in (None, (None, None, 1)):
        with pytest.raises(ValueError, match="input_shape must tell the lengths that Global pools over"):
            shapes.receptive_field(layers, input_shape)


def test_receptive_field_refuses():
    with pytest.raises(ValueError, match=r"layers must be one or more layers of the same rank"):
        shapes.receptive_field([])
    with pytest.raises(ValueError, match=r"same rank, got .* of ranks \[1, 2\]"):
        shapes.receptive_field([crop(1, 1), Crop(2, cropping=((1, 1), (1, 1)))])
    with pytest.raises(TypeError, match=r"layer must be a convolutional, pooling, cropping, .* layer, got <"):
        shapes.receptive_field([object()])


# Explanations

SAME = {"kernel_size": (3, 3), "strides": (1, 2), "padding": "same", "dilation_rate": (1, 1)}
VALID = {"kernel_size": (3, 3), "strides": (2, 2), "padding": "valid", "dilation_rate": (2, 1)}


@pytest.mark.parametrize(
    ("layer", "input_shape", "lines"),
    [
        (
            Conv(2, filters=32, **SAME),
            (8, 28, 1, 3),
            [
                "Conv turns (8, 28, 1, 3) into (8, 28, 1, 32).",
                "height: 28 + 1 zero before + 1 after = 30; a window of 3 (kernel 3, dilation 1) fits at 28 positions"
                " stepping by 1, so 28.",
                "width: 1 + 1 zero before + 1 after = 3; a window of 3 (kernel 3, dilation 1) fits at 1 position"
                " stepping by 2, so 1.",
                "channels: 3 in, 32 filters, so 32 out; batch: 8, unchanged.",
            ],
        ),
        (
            conv(2, 1, 3, "causal"),
            (None, 10, None),
            [
                "Conv turns (None, 10, None) into (None, 10, 1).",
                "steps: 10 + 3 zeros before + 0 after = 13; a window of 4 (kernel 2, dilation 3) fits at 10 positions"
                " stepping by 1, so 10.",
                "channels: unknown in, 1 filter, so 1 out; batch: unknown, unchanged.",
            ],
        ),
        (
            Depthwise(2, depth_multiplier=2, data_format="channels_first", **VALID),
            (8, 3, 28, None),
            [
                "Depthwise turns (8, 3, 28, None) into (8, 6, 12, None).",
                "height: 28, no zeros added; a window of 5 (kernel 3, dilation 2) fits at 12 positions stepping by 2,"
                " so 12.",
                "width: n, unknown; a window of 3 (kernel 3, dilation 1) stepping by 2 with 'valid' fits at"
                " (n - 2) / 2, rounded up.",
                "channels: 3 * depth_multiplier 2 = 6; batch: 8, unchanged.",
            ],
        ),
        (
            Separable(2, filters=5, depth_multiplier=2, **SAME),
            (8, None, None, 3),
            [
                "Separable turns (8, None, None, 3) into (8, None, None, 5).",
                "height: n, unknown; a window of 3 (kernel 3, dilation 1) stepping by 1 with 'same' fits at n / 1,"
                " rounded up.",
                "width: n, unknown; a window of 3 (kernel 3, dilation 1) stepping by 2 with 'same' fits at n / 2,"
                " rounded up.",
                "channels: 3 * depth_multiplier 2 after the depthwise step, mixed by the pointwise step into 5 filters;"
                " batch: 8, unchanged.",
            ],
        ),
        (
            Transpose(3, filters=5, kernel_size=(3, 3, 1), strides=(2, 1, 3), padding="same", output_padding=None),
            (1, 14, None, 4, 2),
            [
                "Transpose turns (1, 14, None, 4, 2) into (1, 28, None, 12, 5).",
                "depth: 14 values, 2 apart, each spread over a window of 3 (kernel 3, dilation 1), cover 29;"
                " 'same' makes it 28: 0 cut in front, 1 at the end.",
                "height: n, unknown; values 1 apart, each spread over a window of 3 (kernel 3, dilation 1);"
                " 'same' with output_padding None gives n * 1 + 0.",
                "width: 4 values, 3 apart, each spread over a window of 1 (kernel 1, dilation 1), cover 10;"
                " 'same' makes it 12: 0 cut in front, 2 zeros added at the end.",
                "channels: 2 in, 5 filters, so 5 out; batch: 1, unchanged.",
            ],
        ),
        (
            transpose(5, 2, 1, "same", 1),
            (1, 4, 2),
            [
                "Transpose turns (1, 4, 2) into (1, 8, 1).",
                "steps: 4 values, 2 apart, each spread over a window of 5 (kernel 5, dilation 1), cover 11; 11 - 4 for"
                " 'same' + output_padding 1 = 8: 1 cut in front, 2 at the end.",
                "channels: 2 in, 1 filter, so 1 out; batch: 1, unchanged.",
            ],
        ),
        (
            transpose(1, 2, 1, "valid", 0),
            (1, None, 2),
            [
                "Transpose turns (1, None, 2) into (1, None, 1).",
                "steps: n, unknown; values 2 apart, each spread over a window of 1 (kernel 1, dilation 1); 'valid' with"
                " output_padding 0 gives n * 2 - 1.",
                "channels: 2 in, 1 filter, so 1 out; batch: 1, unchanged.",
            ],
        ),
        (
            Crop(2, cropping=((1, 2), (3, 0))),
            (0, 28, None, 3),
            [
                "Crop turns (0, 28, None, 3) into (0, 25, None, 3).",
                "height: 28 - 1 cut before - 2 after = 25.",
                "width: unknown - 3 cut before - 0 after = unknown.",
                "channels: 3, unchanged; batch: 0, unchanged.",
            ],
        ),
        (
            pad(1, 2),
            (None, 4, 3),
            [
                "Pad turns (None, 4, 3) into (None, 7, 3).",
                "steps: 4 + 1 zero before + 2 after = 7.",
                "channels: 3, unchanged; batch: unknown, unchanged.",
            ],
        ),
        (
            Upsample(2, size=(2, 3), interpolation="bilinear"),
            (2, 4, None, 3),
            [
                "Upsample turns (2, 4, None, 3) into (2, 8, None, 3).",
                "height: 4 * size 2 (bilinear interpolation) = 8.",
                "width: unknown * size 3 (bilinear interpolation) = unknown.",
                "channels: 3, unchanged; batch: 2, unchanged.",
            ],
        ),
        (
            Pool(3, pool_size=(2, 3, 3), strides=(2, 2, 1), padding="same"),
            (2, 8, 5, None, 3),
            [
                "Pool turns (2, 8, 5, None, 3) into (2, 4, 3, None, 3).",
                "depth: 8, no empty positions added; a window of 2 fits at 4 positions stepping by 2, so 4.",
                "height: 5 + 1 empty position before + 1 after = 7; a window of 3 fits at 3 positions stepping by 2, so"
                " 3.",
                "width: n, unknown; a window of 3 stepping by 1 with 'same' fits at n / 1, rounded up.",
                "channels: 3, unchanged; batch: 2, unchanged.",
            ],
        ),
        (
            pool(3, 2),
            (2, 8, 3),
            [
                "Pool turns (2, 8, 3) into (2, 3, 3).",
                "steps: 8, no empty positions added; a window of 3 fits at 3 positions stepping by 2, so 3.",
                "channels: 3, unchanged; batch: 2, unchanged.",
            ],
        ),
        (
            Global(2, keepdims=False, data_format="channels_first"),
            (2, 3, 8, None),
            [
                "Global turns (2, 3, 8, None) into (2, 3).",
                "height: 8, pooled into 1, and the axis dropped.",
                "width: unknown, pooled into 1, and the axis dropped.",
                "channels: 3, unchanged; batch: 2, unchanged.",
            ],
        ),
        (
            Global(1, keepdims=True),
            (None, 8, 3),
            [
                "Global turns (None, 8, 3) into (None, 1, 3).",
                "steps: 8, pooled into 1.",
                "channels: 3, unchanged; batch: unknown, unchanged.",
            ],
        ),
    ],
)
def test_explain(layer, input_shape, lines):
    assert shapes.explain(layer, input_shape).split("\n") == lines


def test_explain_refuses():
    with pytest.raises(ValueError, match=r"input_shape must have 3 entries for Crop, got \(1, 5, 5, 3\)"):
        shapes.explain(crop(1, 1), (1, 5, 5, 3))
    with pytest.raises(ValueError, match="output lengths must be positive"):
        shapes.explain(crop(1, 1), (1, 2, 3))
    with pytest.raises(TypeError, match="layer must be a convolutional"):
        shapes.explain(object(), (1, 2, 3))
