"""`kernels.positions` computes what the kernels do in whose place it may be chosen, for all of their shapes."""

import numpy as np
import pytest
from cases import FORMATS, WEIGHTED, assert_close, each, expected, operands, run, to_format
from cuts import FITTING_BLOCKS, SMALL_BLOCKS

from numbaconv.calls.conv import conv_call, depthwise_call
from numbaconv.calls.window import window_of
from numbaconv.kernels.conv import conv
from numbaconv.kernels.depthwise import depthwise_conv, group_conv
from numbaconv.kernels.positions import conv_positions
from numbaconv.machine.vectors import VECTOR_BYTES

ALWAYS = {"positions_share": 1e12}
# Elements of an image that is large.
LARGE = 50_000
BRANCHES = [case for case in WEIGHTED if case.groups > 1 or case.operation == "depthwise_conv"]


@each(BRANCHES)
@pytest.mark.parametrize("data_format", FORMATS)
def test_a_convolution_in_branches(case, data_format, recut, poisoned):
    x, *rest = operands(case, np.float32)
    # Blocks of single windows take seconds on large images, whose windows are those of small ones.
    for knobs in ({}, FITTING_BLOCKS) if x.size > LARGE else ({}, SMALL_BLOCKS, FITTING_BLOCKS):
        recut({**knobs, **ALWAYS})
        found = run(case, [to_format(x, data_format), *rest], data_format)
        assert_close(np.moveaxis(found, 1, -1) if data_format == "channels_first" else found, expected(case))


def test_it_is_chosen_for_few_channels_only():
    def kernel(channels, groups, data_format="channels_last"):
        image = (56, 56, channels) if data_format == "channels_last" else (channels, 56, 56)
        window = window_of((3, 3), padding="same", data_format=data_format)
        return conv_call((1, *image), (3, 3, channels // groups, channels), 4, window).kernel

    lanes = VECTOR_BYTES // 4
    assert kernel(16 * lanes, 32) is conv_positions
    assert kernel(128, 32, "channels_first") is conv_positions
    assert kernel(3, 3) is conv_positions
    assert kernel(4, 4, "channels_first") is conv_positions
    assert kernel(256, 4) is not conv_positions
    assert kernel(128, 128) is not conv_positions


def test_strips_of_long_kernels_with_a_step_are_not_forgotten():
    # Each tap has rows of its own in the strip: it took 30 times as long as other kernels.
    window = window_of((90, 1), strides=2, padding="same", data_format="channels_first")
    assert conv_call((10, 22, 123, 8), (90, 1, 2, 33), 4, window).kernel is not conv_positions


@pytest.mark.skipif(VECTOR_BYTES < 64, reason="shorter vectors change what is faster")
def test_the_kernel_for_a_depth_multiplier():
    def kernel(image, channels, multiplier, data_format="channels_last"):
        shape = (1, image, image, channels) if data_format == "channels_last" else (1, channels, image, image)
        window = window_of((3, 3), padding="same", data_format=data_format)
        return depthwise_call(shape, (3, 3, channels, multiplier), 4, window).kernel

    assert kernel(3, 256, 10) is depthwise_conv
    assert kernel(40, 2, 64) is conv
    assert kernel(40, 64, 4, "channels_first") is conv_positions
    assert kernel(4, 3, 4, "channels_first") is conv_positions


@pytest.mark.parametrize("data_format", FORMATS)
def test_groups_that_share_a_vector(data_format):
    lanes = VECTOR_BYTES // 4

    def kernel(size, stride):
        window = window_of((3, 3), strides=stride, padding="same", data_format=data_format)
        image = (30, 30, 4 * lanes) if data_format == "channels_last" else (4 * lanes, 30, 30)
        return conv_call((1, *image), (3, 3, size, 4 * lanes), 4, window).kernel

    last = data_format == "channels_last"
    for stride in (1, 2):
        assert (kernel(lanes // 4, stride) is group_conv) == (last and lanes > 4)
        assert kernel(lanes // 2, stride) is not group_conv
