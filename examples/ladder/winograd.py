"""Winograd: fewer multiplications.

Four by four outputs of a 3x3 convolution read six by six inputs and take 144 multiplications per channel and filter.
Seen as products of polynomials, they can be had with 36: transform the patch of inputs, transform the kernel, multiply
the two value by value, and transform back (`numbaconv.kernels.winograd.points` has the matrices). An input is
transformed once for all filters and an output once for all channels, a kernel once for all images. What remains in
between are 36 products of matrices, for which the register tile is used once more. This is the library's own kernel,
and what a layer takes for such shapes by itself.

What limits it: the transforms, which move much and compute little, and take a third of the time and more. Larger
patches would save more multiplications and round worse. Operations are counted as for the other rungs, those of the
direct sum, so that the speed may be above the machine's peak, which no direct sum could reach.

Any shapes will do; few channels or filters are not worth it.
"""

from strips_and_packed_weights import WINDOW, pack

from numbaconv.calls.conv import conv_call


def conv(x, packed, out):
    weights, epilogue = packed
    call = conv_call((1, *x.shape), weights.shape, x.itemsize, WINDOW, "winograd")
    # By `numbaconv.kernels.winograd.products.conv_winograd`, whatever the values.
    call.fill(out.reshape(-1), x[None, None], weights, epilogue)


if __name__ == "__main__":
    from measure import report

    report(conv, pack)
