"""Winograd's convolution: 36 multiplications where the direct sum takes 144 for a 3x3 kernel, or 100 for 5x5.

Four by four outputs Y of a 3x3 kernel g read six by six inputs d; so do two by two outputs of a 5x5 kernel. With three
fixed matrices,

    Y = A^T [ (G g G^T) * (B^T d B) ] A        (* elementwise)

The transforms need additions and a few small factors only, and they are shared: a kernel is transformed once for all
images, an input once for all filters, and the sum over channels happens in between. What remains are 36 products of
matrices, (patches x channels) times (channels x filters), for the same tile as everywhere. A patch is such a Y and
the d that it is made from.

Source: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016.

`points` has the schemes and their matrices, `transform` what the kernel makes of them, along one axis at a time;
`weights` transforms the kernels, `products` does everything else. Where rounding errors would be large, `trust` says
so. `table` is what the plan adds to that of other kernels.
"""
