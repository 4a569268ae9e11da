"""Cases drawn at random."""

from cases import Case, output_shape
from hypothesis import assume
from hypothesis import strategies as st


def lengths_and_windows(draw, rank):
    def sizes(low, high):
        return tuple(draw(st.integers(low, high)) for _ in range(rank))

    return sizes(1, 7), sizes(1, 4), sizes(1, 4), sizes(1, 3)


@st.composite
def random_cases(draw):
    operation = draw(st.sampled_from(["conv", "depthwise_conv", "separable_conv", "conv_transpose"]))
    rank = draw(st.integers(1, 3))
    lengths, kernel_size, strides, dilation_rate = lengths_and_windows(draw, rank)
    causal = ["causal"] if rank == 1 and operation != "conv_transpose" else []
    arguments = {
        "strides": strides,
        "padding": draw(st.sampled_from(["valid", "same", *causal])),
        "dilation_rate": dilation_rate,
    }
    if operation == "conv_transpose" and draw(st.booleans()):
        arguments["output_padding"] = tuple(draw(st.integers(0, s - 1)) for s in strides)
    groups = draw(st.sampled_from([1, 1, 2, 3])) if operation == "conv" else 1
    shape = (draw(st.integers(0, 2)), *lengths, groups * draw(st.integers(1, 4)))
    filters, multiplier = groups * draw(st.integers(1, 5)), draw(st.integers(1, 3))
    case = Case(f"random {operation}", operation, shape, kernel_size, filters, multiplier, arguments, groups)
    try:
        output_shape(case)
    except ValueError:
        assume(False)
    return case
