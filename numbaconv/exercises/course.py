"""The exercises in order: what each is tried on, and what else its check looks at."""

import numpy as np

from ..objects.tuples import NamedTuple
from . import inputs
from .inputs import Inputs, given


class Exercise(NamedTuple):
    """What a check knows of an exercise."""

    name: str
    """Of its file."""
    function: str
    """What the learner writes. `answers` has a function of the same name and arguments."""
    inputs: Inputs
    """What it is tried on."""
    products: int | None = None
    """The number of multiplications that is enough, where they are counted."""
    rung: int | None = None
    """Which of the ladder its solution is. What is one writes into an array that is given, and is to be fast."""


_ANY_SIZE = inputs.written((4, 8, 3, 3, 2, 5), (3, 4, 2, 3, 4, 7))
# In the third the stride leaves an input over at the end, which no output reads.
_BACK = ((6, 3, 1), (9, 3, 2), (9, 2, 3), (5, 5, 1))
_PLACES = [(n, taps, stride, (n - taps) // stride + 1) for n, taps, stride in _BACK]

EXERCISES = {
    exercise.name: exercise
    for exercise in (
        Exercise(
            "ex01_output_length",
            "output_length",
            given((7, 3, 1), (7, 3, 2), (8, 3, 2), (5, 5, 1), (4, 5, 1), (1, 6, 2), (10, 2, 4), (100, 7, 3)),
        ),
        Exercise(
            "ex02_same_padding",
            "same_padding",
            given((5, 3, 1), (5, 4, 2), (6, 4, 1), (7, 5, 3), (8, 1, 3), (9, 1, 1), (8, 2, 3), (1, 4, 2), (224, 7, 2)),
        ),
        Exercise("ex03_convolution", "conv1d", given(([6], [3]), ([5], [5]), ([7], [1]), ([9], [4]))),
        Exercise(
            "ex04_channels",
            "conv2d",
            given(([4, 6, 2], [2, 3, 2, 5], [5]), ([5, 3, 1], [3, 3, 1, 2], [2]), ([3, 6, 4], [1, 2, 4, 1], [1])),
        ),
        Exercise(
            "ex05_strides",
            "conv2d_strided",
            given(([5, 6], [3, 2], (1, 1)), ([7, 9], [3, 2], (2, 3)), ([6, 8], [2, 4], (3, 1))),
        ),
        Exercise("ex06_dilation", "conv1d_dilated", given(([6], [3], 1), ([9], [3], 3), ([8], [2], 5), ([7], [4], 2))),
        Exercise("ex07_causal", "causal", given(([6], [3], 1), ([7], [2], 3), ([5], [4], 2), ([4], [1], 1))),
        Exercise(
            "ex08_transposed", "conv1d_transpose", given(([4], [3], 1), ([4], [3], 2), ([3], [2], 3), ([5], [4], 2))
        ),
        Exercise(
            "ex09_depthwise", "depthwise", given(([4, 6, 3], [2, 3, 3]), ([3, 3, 2], [3, 1, 2]), ([5, 4, 1], [2, 2, 1]))
        ),
        Exercise(
            "ex10_separable",
            "separable",
            given(([4, 6, 3], [2, 3, 3], [3, 3]), ([3, 4, 2], [3, 2, 2], [2, 5]), ([3, 3, 1], [2, 2, 1], [1, 2])),
        ),
        Exercise("ex11_max_pooling", "max_pool", given(([4, 6, 2], 2, 2), ([7, 5, 1], 3, 2), ([5, 6, 3], 2, 1))),
        Exercise(
            "ex12_average_pooling",
            "average_pool",
            given(([5], 2, 2), (np.array([3.0, 0, 0, 2, -1, 4]), 3, 1), ([7], 4, 3)),
        ),
        Exercise("ex13_finite_differences", "slopes", inputs.functions),
        Exercise("ex14_input_gradient", "input_gradient", given(*(([o], [k], n, s) for n, k, s, o in _PLACES))),
        Exercise("ex15_weight_gradient", "weight_gradient", given(*(([n], [o], k, s) for n, k, s, o in _PLACES))),
        Exercise("ex16_im2col", "im2col", given(([4, 6, 2], 2, 3), ([3, 3, 1], 3, 1), ([3, 4, 3], 1, 2))),
        Exercise("ex17_parallel_rows", "conv", _ANY_SIZE, rung=2),
        Exercise("ex18_filters_innermost", "conv", _ANY_SIZE, rung=3),
        Exercise("ex19_unrolled_block", "conv", _ANY_SIZE, rung=4),
        Exercise("ex20_register_tile", "conv", inputs.tiles, rung=6),
        Exercise("ex21_winograd", "two_outputs", given(([4], [3]), ([4], [3]), ([4], [3])), products=4),
        Exercise("ex22_winograd_2d", "four_outputs", given(([4, 4], [3, 3]), ([4, 4], [3, 3])), products=16),
        Exercise(
            "ex23_residual_block",
            "residual_block",
            given(
                ([1, 5, 6, 3], [3, 3, 3, 3], [3], [3, 3, 3, 3], [3], None, 1),
                ([2, 6, 7, 3], [3, 3, 3, 4], [4], [3, 3, 4, 4], [4], [1, 1, 3, 4], 2),
            ),
        ),
    )
}
