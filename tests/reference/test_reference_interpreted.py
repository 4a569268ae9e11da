"""The reference operations compiled against the same operations interpreted, bit for bit."""

import os
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np

from numbaconv import reference


def every_operation():
    """Compute one result per operation, from inputs whose sums do round."""
    rng = np.random.default_rng(0)
    x, bias = rng.standard_normal((2, 3, 4, 5, 2)), rng.standard_normal(6)
    weights = rng.standard_normal((2, 3, 2, 2, 3))
    strides, dilation, before, after = (1, 2, 2), (2, 1, 3), (0, 1, 2), (1, 1, 1)
    pointwise = rng.standard_normal((1, 1, 1, 6, 4))
    transposed = np.ascontiguousarray(weights.swapaxes(3, 4))
    windows, lengths, kernel_size = (strides, dilation, before), x.shape[1:4], weights.shape[:3]
    grad_out = reference.depthwise_conv(x, weights, bias, *windows, after)
    g = np.ascontiguousarray(grad_out[..., :3])
    shares = [rng.standard_normal(shape) for shape in ((2, 3), (5, 4), (3, 5))]
    separable = reference.separable_conv_grad(x, weights, pointwise, np.ascontiguousarray(grad_out[..., :4]), *windows)
    return {
        "conv": reference.conv(x, weights, bias[:3], strides, dilation, before, after),
        "depthwise_conv": reference.depthwise_conv(x, weights, bias, strides, dilation, before, after),
        "separable_conv": reference.separable_conv(x, weights, pointwise, bias[:4], strides, dilation, before, after),
        "conv_transpose": reference.conv_transpose(x, transposed, bias[:3], strides, dilation, before, (6, 7, 12)),
        "max_pool": reference.max_pool(x, (2, 2, 3), strides, before, after),
        "max_pool_grad": reference.max_pool_grad(x, np.ones((2, 3, 3, 3, 2)), (2, 2, 3), strides, before),
        "average_pool": reference.average_pool(x, (2, 2, 3), strides, before, after),
        "average_pool_grad": reference.average_pool_grad(x, (3, 7, 9), (2, 2, 3), strides, before),
        "crop": reference.crop(x, before, after),
        "zero_pad": reference.zero_pad(x, before, after),
        "upsample_nearest": reference.upsample_nearest(x, (2, 1, 3)),
        "upsample_bilinear": reference.upsample_bilinear(x, (2, 1, 3)),
        "nearest_shares": reference.nearest_shares(9, 5),
        "area_shares": reference.area_shares(5, 9),
        "kernel_shares": np.stack([reference.kernel_shares(7, 4, radius, True) for radius in (1, 2, 3, 5)]),
        "kernel_shares, bicubic": reference.kernel_shares(3, 7, 2, False),
        "resize": reference.resize(x, *shares),
        "resize_grad": reference.resize_grad(x, *(s.T.copy() for s in shares)),
        "bias_grad": reference.bias_grad(grad_out),
        "conv_input_grad": reference.conv_input_grad(g, weights, lengths, *windows),
        "conv_weight_grad": reference.conv_weight_grad(x, g, kernel_size, *windows),
        "depthwise_conv_input_grad": reference.depthwise_conv_input_grad(grad_out, weights, lengths, *windows),
        "depthwise_conv_weight_grad": reference.depthwise_conv_weight_grad(x, grad_out, kernel_size, *windows),
        "separable_conv_grad to x": separable[0],
        "separable_conv_grad to depthwise": separable[1],
        "separable_conv_grad to pointwise": separable[2],
        "conv_transpose_input_grad": reference.conv_transpose_input_grad(x, weights, g.shape[1:4], *windows),
        "conv_transpose_weight_grad": reference.conv_transpose_weight_grad(g, x, kernel_size, *windows),
        "crop_grad": reference.crop_grad(x, before, after),
        "zero_pad_grad": reference.zero_pad_grad(x, before, after),
        "upsample_nearest_grad": reference.upsample_nearest_grad(x, (3, 2, 1)),
        "upsample_bilinear_grad": reference.upsample_bilinear_grad(x, (3, 2, 1)),
        "interpreted": np.array(bool(numba.config.DISABLE_JIT)),
    }


def test_compiled_and_interpreted_results_are_identical(tmp_path):
    here = every_operation()
    environment = os.environ | {
        "NUMBA_DISABLE_JIT": "0" if here["interpreted"] else "1",
        "PYTHONPATH": os.pathsep.join([str(Path(reference.__file__).parents[2]), *filter(None, sys.path)]),
    }
    path = tmp_path / "results.npz"
    subprocess.run([sys.executable, __file__, str(path)], env=environment, check=True)
    with np.load(path) as there:
        assert bool(there["interpreted"]) != bool(here.pop("interpreted"))
        for name, result in here.items():
            np.testing.assert_array_equal(there[name], result, err_msg=name)


if __name__ == "__main__":
    np.savez(sys.argv[1], **every_operation())
