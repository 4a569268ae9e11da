"""Programs in processes of their own, and results of layers that are compared bit by bit."""

import functools
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
SUPPORT = ROOT / "tests" / "support"


def environment(**changes):
    """This process's environment with some variables set or, by None, removed, where programs find the package."""
    variables = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(SUPPORT)])} | changes
    return {name: str(value) for name, value in variables.items() if value is not None}


def run(code, *arguments, timeout=120, **variables):
    """Run ``code`` in a fresh interpreter, which must end well, and return its output."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=environment(**variables),
        # Python looks for packages in the working folder first.
        cwd=SUPPORT,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout, done.stderr


THREADING_LAYERS = ("omp", "tbb", "workqueue")


@functools.cache
def _available(threading_layer):
    launch = "import numba\ntry: numba.get_num_threads()\nexcept ValueError: print('none')"
    return not run(launch, NUMBA_THREADING_LAYER=threading_layer)[0]


def run_over(threading_layer, code, *arguments):
    """Run a program over one of Numba's threading layers, if this machine has what it needs."""
    if not _available(threading_layer):
        # Programs that run by themselves import this module, too, and most without Numba.
        import pytest

        pytest.skip(f"Numba finds no {threading_layer} here")
    run(code, *arguments, NUMBA_THREADING_LAYER=threading_layer, NUMBA_NUM_THREADS=2)


def layer_with_weights(make, shape, seed=0):
    """A layer built for inputs of ``shape``, with the same weights every time, and an input."""
    rng = np.random.default_rng(seed)
    layer = make()
    layer.build(shape)
    layer.set_weights([rng.standard_normal(w.shape) * 0.1 for w in layer.weights])
    return layer, rng.standard_normal(shape).astype("float32")


def gradients(make, shape):
    """All gradients of a layer."""
    layer, x = layer_with_weights(make, shape)
    grad_x = layer.backward(layer.forward(x))
    return [grad_x, *layer.gradients]


def _makers():
    from numbaconv import layers

    return {
        "direct": (lambda: layers.Conv2D(24, 3, algorithm="direct"), (2, 30, 30, 12)),
        "Winograd": (lambda: layers.Conv2D(72, 3, algorithm="winograd"), (2, 30, 30, 32)),
        "depthwise": (lambda: layers.DepthwiseConv2D(3), (2, 40, 40, 32)),
        "separable": (lambda: layers.SeparableConv2D(24, 3), (2, 40, 40, 32)),
        "transposed": (lambda: layers.Conv2DTranspose(16, 4, strides=2), (2, 20, 20, 16)),
        "pooling": (lambda: layers.MaxPooling2D(3, 2), (2, 80, 80, 32)),
        "padding": (lambda: layers.ZeroPadding2D(2), (2, 80, 80, 32)),
    }


KINDS = ("direct", "Winograd", "depthwise", "separable", "transposed", "pooling", "padding", "gradients")


def digest(kind):
    """Digest of the results of one kind of layer, large enough to be spread over the cores."""
    make, shape = _makers()["direct" if kind == "gradients" else kind]
    if kind == "gradients":
        arrays = gradients(make, shape)
    else:
        layer, x = layer_with_weights(make, shape)
        arrays = [layer(x)]
    return hashlib.sha256(b"".join(a.tobytes() for a in arrays)).hexdigest()


def digests(kinds=KINDS):
    """Digests by kind of layer."""
    return {kind: digest(kind) for kind in kinds}


def signatures():
    """For each kernel the sets of argument types that this process has called it with since `ahead.call_by_numba`."""
    from numbaconv.selfcheck import ahead

    return {name: set(kernel.dispatcher.signatures) for name, kernel in ahead.kernels().items()}
