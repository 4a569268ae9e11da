"""Winograd's convolution: 36 multiplications where the direct sum takes 144 for a 3x3 kernel, or 100 for 5x5.

Four by four outputs Y of a 3x3 kernel g read six by six inputs d; so do two by two outputs of a 5x5 kernel. With three
fixed matrices,

    Y = A^T [ (G g G^T) * (B^T d B) ] A        (* elementwise)

The transforms need additions and a few small factors only, and they are shared: a kernel is transformed once for all
images, an input once for all filters, and the sum over channels happens in between. What remains are 36 products of
matrices, (blocks of outputs x channels) times (channels x filters), for the same tile as everywhere.

Source: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016. The matrices evaluate
polynomials at 0, +-3/4, +-3/2 and infinity: the usual 0, +-1, +-2 save a few multiplications, but their rounding errors
are four times as large, because the powers of these points stay closer to 1.
"""
