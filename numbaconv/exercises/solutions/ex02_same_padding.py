"""2. Padding "same".

With padding, zeros are imagined before and after the input. Keras's padding "same" wants one output for every
``stride`` inputs, and one more for those that remain: ceil(n / stride) in all. It takes just as many zeros as that
needs. Half of them go to each end; if their number is odd, the end gets one more than the beginning.

With n = 5, taps = 4 and stride = 2 there are 3 outputs. The last window begins 4 inputs after the first, so the windows
span 4 + 4 = 8 places, of which 5 are inputs: 3 zeros, 1 before and 2 after.

    . 0 1 2 3 4 . .
    -------
        -------
            -------

Return both numbers, (before, after). A stride longer than the kernel may need no zeros at all: with n = 8, taps = 1 and
stride = 3 the windows end before the input does, and the answer is (0, 0).
"""


def same_padding(n, taps, stride):
    # Yours from here.
    outputs = -(-n // stride)
    zeros = max(0, (outputs - 1) * stride + taps - n)
    return zeros // 2, zeros - zeros // 2
    # To here.
