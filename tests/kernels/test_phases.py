"""How a transposed convolution is cut into convolutions, and how their blocks find their weights and outputs."""

import itertools
from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numbaconv.kernels import pack
from numbaconv.kernels.phases import convolutions, phases
from numbaconv.kernels.table import PLACE, panel_table
from numbaconv.machine import aligned, vectors

# Length, output length, taps, stride, dilation, crop of one axis.
AXES = [
    (1, 1, 1, 1, 1, 0),
    (4, 6, 3, 1, 1, 0),
    (4, 4, 3, 1, 2, 2),
    (3, 6, 4, 2, 1, 1),
    (3, 9, 3, 3, 1, 0),
    (3, 10, 2, 3, 1, 0),
    (2, 5, 1, 4, 1, 0),
    (1, 2, 2, 5, 1, 0),
    (2, 13, 3, 4, 6, 2),
    (3, 9, 3, 2, 4, 3),
    (3, 12, 5, 6, 3, 1),
]


@given(
    length=st.integers(0, 6),
    out_length=st.integers(1, 25),
    taps=st.integers(1, 6),
    stride=st.integers(1, 6),
    dilation=st.integers(1, 6),
    crop=st.integers(0, 8),
)
@settings(max_examples=400)
def test_phases_gather_what_a_scatter_would_bring(length, out_length, taps, stride, dilation, crop):
    (step,) = pack.tap_steps((stride,), (dilation,))
    gathered = []
    outputs = []
    for phase in phases(length, out_length, taps, stride, dilation, crop, 7):
        mine = range(phase.offset, out_length, stride)
        outputs += mine
        kernel = list(range(phase.first, taps, step))[::-1]
        axis = phase.axis
        assert (axis.windows, axis.taps, axis.out_stride) == (len(mine), len(kernel), stride * 7)
        for q, j in itertools.product(range(axis.windows), range(axis.taps)):
            i = q * axis.stride + j * axis.dilation - axis.before
            if 0 <= i < length:
                gathered.append((i, kernel[j], mine[q]))
    pairs = itertools.product(range(length), range(taps))
    scattered = [(i, k, i * stride + k * dilation - crop) for i, k in pairs]
    reached = wanted_reach((length, out_length, taps, stride, dilation, crop))
    assert sorted(outputs) == list(np.flatnonzero(reached))
    assert sorted(gathered) == sorted(s for s in scattered if 0 <= s[2] < out_length)


def wanted_reach(axis):
    """Which outputs of one axis some tap of some input meets, counting inputs beyond the edges too."""
    _, out_length, taps, stride, dilation, crop = axis
    reached = [any((o + crop - k * dilation) % stride == 0 for k in range(taps)) for o in range(out_length)]
    return np.array(reached)


@pytest.mark.parametrize("deep", [(1, 1, 1, 1, 1, 0), (2, 5, 2, 3, 1, 1), (2, 3, 1, 2, 1, 0)])
@pytest.mark.parametrize("high", AXES)
def test_convolutions_cover_every_output_once(deep, high):
    for wide in AXES:
        _assert_covered(deep, high, wide)


def _assert_covered(deep, high, wide):
    filters, batch = 3, 2
    lengths, out_lengths, *window = zip(deep, high, wide, strict=True)
    out_shape = (batch, *out_lengths, filters)
    out_steps = tuple(prod(out_shape[i:]) for i in (2, 3, 4))
    groups, complete = convolutions((batch, *lengths, 5), out_shape, out_steps, *window)
    taps, strides, dilation, _ = window
    steps = pack.tap_steps(strides, dilation)
    seen = np.zeros(out_shape, np.int64)
    reached = wanted_reach(deep)[:, None, None] & wanted_reach(high)[:, None] & wanted_reach(wide)
    flat = seen[0].reshape(-1)
    for axes, members in groups.items():
        places = [np.arange(a.windows) * a.out_stride for a in axes]
        index = np.add.outer(np.add.outer(np.add.outer(*places[:2]), places[2]), np.arange(filters))
        for firsts, origin in members:
            # All taps of a group's members are as many, so that their weights fit in one array.
            counts = [len(range(f, t, s)) for f, t, s in zip(firsts, taps, steps, strict=True)]
            assert counts == [axis.taps for axis in axes], wide
            np.add.at(flat, origin + index, 1)
    assert (seen[0] == reached[..., None]).all(), wide
    assert complete == reached.all(), wide


def test_strides_1_are_one_convolution():
    for high, wide in itertools.product((a for a in AXES if a[3] == 1), repeat=2):
        lengths, out_lengths, *window = zip((1, 1, 1, 1, 1, 0), high, wide, strict=True)
        groups, complete = convolutions((1, *lengths, 2), (1, *out_lengths, 2), (0, 2 * out_lengths[2], 2), *window)
        assert list(groups.values()) == [[((0, 0, 0), 0)]]
        assert complete


def test_phases_that_read_the_same_input_run_together():
    # Kernel 2, strides 2: each output meets one tap, and all four phases of a place read the one input there.
    groups, _ = convolutions(
        (1, 1, 5, 5, 3), (1, 1, 10, 10, 4), (400, 40, 4), (1, 2, 2), (1, 2, 2), (1, 1, 1), (0, 0, 0)
    )
    (members,) = groups.values()
    assert members == [((0, 0, 0), 0), ((0, 0, 1), 4), ((0, 1, 0), 40), ((0, 1, 1), 44)]


@pytest.mark.parametrize("itemsize", [4, 8])
@pytest.mark.parametrize("origins", [(0,), (0, 500, 1000), (700, 3)])
@pytest.mark.parametrize("filters", [1, 7, 8, 16, 31, 32, 33, 77])
def test_panels_cover_the_filters_of_every_origin(filters, origins, itemsize):
    width = vectors.conv_width(filters, itemsize)
    table = panel_table(filters, width, origins)
    assert table.dtype == np.int64
    assert table.shape == (len(origins) * -(-filters // width), 4)
    assert table[:, 1].min() >= 1
    assert table[:, 1].max() <= width
    covered = [place for _, count, at, _ in table.tolist() for place in range(at, at + count)]
    assert covered == [origin + f for origin in origins for f in range(filters)]
    numbers = [n for first, count, *_ in table.tolist() for n in range(first, first + count)]
    assert numbers == [*range(filters)] * len(origins)
    # As many panels as the packed weights of one convolution have, in their order.
    panels = len(pack.pack_conv(np.zeros(filters, f"f{itemsize}")))
    np.testing.assert_array_equal(table[::panels, PLACE], origins)


def test_panels_of_branches_stand_together():
    # Two branches of 5 filters and 3 channels, two origins 10 and 30: panels are 4 wide.
    assert panel_table(5, 4, (10, 30), 2, 3).tolist() == [
        [0, 4, 10, 0],
        [4, 1, 14, 0],
        [0, 4, 30, 0],
        [4, 1, 34, 0],
        [5, 4, 15, 3],
        [9, 1, 19, 3],
        [5, 4, 35, 3],
        [9, 1, 39, 3],
    ]


@pytest.mark.parametrize("filters", [2, 40])
def test_packed_branches_stand_one_after_the_other(filters):
    weights = np.random.default_rng(3).standard_normal((1, 3, 4, 5, 3 * filters)).astype("float32")
    firsts, steps = ((0, 0, 1), (0, 1, 0)), (1, 3, 2)
    packed, branches = pack.pack_phases(weights, firsts, steps, 3), np.split(weights, 3, axis=-1)
    np.testing.assert_array_equal(packed, np.concatenate([pack.pack_phases(w, firsts, steps) for w in branches]))
    np.testing.assert_array_equal(pack.pack_conv(weights, 3), np.concatenate([pack.pack_conv(w) for w in branches]))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("filters", [3, 40])
def test_packed_phases_stand_one_after_the_other(filters, dtype):
    weights = np.random.default_rng(3).standard_normal((1, 4, 6, filters, 5)).astype(dtype)
    firsts = ((0, 0, 1), (0, 1, 0), (0, 1, 2))
    packed = pack.pack_phases(weights.swapaxes(3, 4), firsts, (1, 2, 3))
    blocks = len(packed) // 3
    assert packed.dtype == dtype
    assert packed.flags.c_contiguous
    assert packed.ctypes.data % 64 == 0 or packed.size < aligned.SMALL
    for i, (_, y, x) in enumerate(firsts):
        flat = np.concatenate(list(packed[i * blocks : (i + 1) * blocks]), axis=-1)
        wanted = weights[:, y::2, x::3][:, ::-1, ::-1].swapaxes(3, 4)
        np.testing.assert_array_equal(flat[..., :filters], wanted)
        assert (flat[..., filters:] == 0).all()
