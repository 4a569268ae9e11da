"""The reference's gradients against PyTorch's automatic differentiation, in float64 and on the shared table."""

import numpy as np
import pytest
from cases import CASES, assert_close, each, operands, reference_gradients, reference_result, reference_settings

torch = pytest.importorskip("torch")


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Threads wait for each other longer than arrays this small take."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def pad(x, before, after):
    """Zeros around the spatial axes; fewer than none cut off."""
    pairs = reversed(list(zip(before, after, strict=True)))
    return torch.nn.functional.pad(x, [int(amount) for pair in pairs for amount in pair])


def dense(weights):
    """(*kernel_size, C, F) as (F, C, *kernel_size)."""
    # Over float64 PyTorch refuses gradients of one filter whose channels were last.
    return weights.movedim((-1, -2), (0, 1)).clone(memory_format=torch.contiguous_format)


def grouped(weights):
    """(*kernel_size, C, M) as (C * M, 1, *kernel_size)."""
    return weights.movedim((-2, -1), (0, 1)).flatten(0, 1).unsqueeze(1)


def torch_result(case, x, *weights):
    """PyTorch's result for a case on channels-last tensors."""
    x, functional = x.movedim(-1, 1).contiguous(), torch.nn.functional
    settings = np.array(reference_settings(case))[:, -case.rank :]
    if case.operation == "upsample":
        mode = case.settings.get("interpolation", "nearest")
        return functional.interpolate(x, scale_factor=[float(s) for s in settings[0]], mode=mode).movedim(1, -1)
    if not case.has_weights:
        return pad(x, *(settings if case.operation == "zero_pad" else -settings)).movedim(1, -1)
    *kernels, bias = weights
    strides, dilation, before, last = settings.tolist()
    windows = {"stride": strides, "dilation": dilation}
    conv = getattr(functional, f"conv{case.rank}d")
    if case.operation == "conv_transpose":
        out = getattr(functional, f"conv_transpose{case.rank}d")(x, dense(*kernels), **windows)
        out = pad(out, -settings[2], settings[2] + last - out.shape[2:])
    elif case.operation == "conv":
        out = conv(pad(x, before, last), dense(*kernels), groups=case.groups, **windows)
    else:
        out = conv(pad(x, before, last), grouped(kernels[0]), groups=case.channels, **windows)
        for pointwise in kernels[1:]:
            out = conv(out, dense(pointwise))
    return out.movedim(1, -1) + bias


# PyTorch's bicubic kernel is another one, and it has no Lanczos's.
@each([case for case in CASES if case.settings.get("interpolation", "nearest") in ("nearest", "bilinear")])
def test_gradients_match_torch(case):
    arrays = operands(case)
    g = np.random.default_rng(1).standard_normal(reference_result(case, arrays).shape)
    tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
    wanted = torch.autograd.grad(torch_result(case, *tensors), tensors, torch.tensor(g))
    for gradient, theirs in zip(reference_gradients(case, arrays, g).values(), wanted, strict=True):
        assert_close(gradient, theirs.numpy())
