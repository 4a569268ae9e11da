"""Strips and packed weights: everything the tile reads lies side by side, and close.

This is the library's own kernel, `numbaconv.kernels.conv`. The output is cut into tasks: some rows of it times some
panels of filters, as many as keep every core busy and no more than the cache holds (`numbaconv.kernels.plan`). A task
first copies the input that it needs into a strip with zeros around it (`numbaconv.kernels.strip`), so that no tile has
to care for the edge, and tiles may go from the end of one row to the beginning of the next, which leaves hardly a
register without use. The copy costs a few per cent of the time. The weights are packed once per layer: a panel of
filters is one long stream, in the order in which the tile reads it.

What limits it: arithmetic. Most cycles start as many multiply-adds as the processor can; only fewer of them would take
much less time.

Any shapes will do, and other kernels, strides, dilations and numbers of axes as well.
"""

from numbaconv.calls.conv import conv_call
from numbaconv.calls.epilogue import plain_epilogue
from numbaconv.calls.packed import Packed
from numbaconv.calls.window import window_of

WINDOW = window_of((3, 3), padding="same")


def pack(weights):
    return Packed("conv", weights), plain_epilogue(None, weights.shape[-1], weights.dtype)


def conv(x, packed, out):
    weights, epilogue = packed
    call = conv_call((1, *x.shape), weights.shape, x.itemsize, WINDOW, "direct")
    # What follows the arrays comes from the plan: how the work is cut.
    call.kernel(x[None, None], weights.lines(False), epilogue, out.reshape(-1), *call.arguments, serial=call.serial)


if __name__ == "__main__":
    from measure import report

    report(conv, pack)
