"""Layers called from many threads, over every threading layer of Numba, and beside a user's own parallel programs."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from situations import KINDS, THREADING_LAYERS, digests, layer_with_weights, run, run_over

from numbaconv import layers

FROM_THE_FIRST_CALL = """
import json, sys, threading
from situations import KINDS, digest

expected, start, wrong = json.loads(sys.argv[1]), threading.Barrier(8), []

def work(i):
    start.wait()
    for _ in range(4):
        for kind in KINDS[i % len(KINDS):] + KINDS[:i % len(KINDS)]:
            if digest(kind) != expected[kind]:
                wrong.append(kind)

threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
[t.start() for t in threads]
[t.join() for t in threads]
assert not wrong, wrong
import numba
assert numba.threading_layer() == sys.argv[2]
"""


@pytest.mark.situation("8 threads at once")
@pytest.mark.parametrize("layer", THREADING_LAYERS)
def test_eight_threads_from_the_very_first_call(layer, expected_digests):
    """Layers may be called from any number of threads, over any threading layer of Numba, at any time."""
    run_over(layer, FROM_THE_FIRST_CALL, expected_digests, layer)


@pytest.mark.situation("one layer shared by 8 threads")
@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.Conv2D(16, 3),
        lambda: layers.Conv2D(32, 3, algorithm="winograd"),
        lambda: layers.DepthwiseConv2D(3),
        lambda: layers.SeparableConv2D(16, 3),
        lambda: layers.Conv2DTranspose(16, 3, strides=2),
        lambda: layers.BatchNormalization(),
        lambda: layers.MaxPooling2D(),
    ],
)
def test_threads_share_an_unbuilt_layer(make):
    """Threads may share a layer that is not built yet: it is built once, for all of them."""
    rng = np.random.default_rng(0)
    inputs = [rng.standard_normal((1 + i % 3, 9 + i, 20 - i, 16)).astype("float32") for i in range(8)]
    for _ in range(10):
        layer, start = make(), threading.Barrier(8)

        def call(x, layer=layer, start=start):
            start.wait()
            return layer(x), layer.get_weights()

        with ThreadPoolExecutor(8) as pool:
            results = list(pool.map(call, inputs))
        alone = make()
        alone.build(inputs[0].shape)
        if alone.weights:
            alone.set_weights(layer.get_weights())
        for x, (out, weights) in zip(inputs, results, strict=True):
            np.testing.assert_array_equal(out, alone(x))
            for a, b in zip(weights, layer.weights, strict=True):
                np.testing.assert_array_equal(a, b)


BESIDE_A_PROGRAM = """
import json, sys, threading
import numba
import numpy as np
from numba import njit, objmode, prange
from situations import KINDS, digest

guarded = sys.argv[2] == "numbaconv first"
if guarded:
    import numbaconv.layers

@njit(parallel=True)
def program(x):
    for _ in range(20):
        for i in prange(x.size):
            x[i] = np.sqrt(x[i] + i)

def check():
    return int(all([digest(kind) == expected[kind] for kind in KINDS]))

@njit(parallel=True)
def nested(n):
    right = np.zeros(n, np.int64)
    for i in prange(n):
        with objmode(ok="int64"):
            ok = check()
        right[i] = ok
    return right.sum()

expected, x, over = json.loads(sys.argv[1]), np.ones(10_000), threading.Event()
program(x)
once = x.copy()
assert all(digest(kind) == expected[kind] for kind in KINDS)
x[:] = 1
program(x)
assert (x == once).all()
assert nested(6) == 6

wrong = []

def beside():
    while not over.is_set():
        x = np.ones(10_000)
        program(x)
        if not (x == once).all():
            wrong.append(x)

threads = [threading.Thread(target=beside) for _ in range(2 if guarded else 1)]
[t.start() for t in threads]
for _ in range(20):
    wrong += [kind for kind in KINDS if digest(kind) != expected[kind]]
# Without numbaconv, Numba would not take these launches either.
assert not guarded or nested(6) == 6
over.set()
[t.join() for t in threads]
assert not wrong, wrong
"""


@pytest.mark.slow
@pytest.mark.situation("spawn, nested, dask, joblib")
@pytest.mark.parametrize(
    ("layer", "order"),
    [
        ("omp", "numbaconv first"),
        pytest.param("tbb", "numbaconv first", marks=pytest.mark.slow),
        pytest.param("workqueue", "numbaconv first", marks=pytest.mark.slow),
        pytest.param("workqueue", "program first", marks=pytest.mark.slow),
    ],
)
def test_beside_and_inside_a_parallel_program(layer, order, expected_digests):
    """Layers work before, after, inside and at the same time as parallel Numba programs of the user's own."""
    run_over(layer, BESIDE_A_PROGRAM, expected_digests, order)


@pytest.mark.situation("spawn, nested, dask, joblib")
def test_dask_threads(expected_digests):
    """Layers work in tasks of dask's threads."""
    dask = pytest.importorskip("dask")
    layer, x = layer_with_weights(lambda: layers.Conv2D(24, 3), (2, 30, 30, 12))
    wanted = layer(x)
    for out in dask.compute(*[dask.delayed(layer)(x) for _ in range(16)], scheduler="threads", num_workers=8):
        np.testing.assert_array_equal(out, wanted)


COUNTS = {
    "one thread": {"NUMBA_NUM_THREADS": 1},
    "64 threads": {"NUMBA_NUM_THREADS": 64},
    "one thread of two": {"NUMBA_NUM_THREADS": 2, "CODE": "numba.set_num_threads(1)"},
    "no libgomp": {"CODE": "for pool in ('omppool', 'tbbpool'): sys.modules['numba.np.ufunc.' + pool] = None"},
    "workqueue": {"NUMBA_THREADING_LAYER": "workqueue", "NUMBA_NUM_THREADS": 5},
    "other schedule": {"CODE": "numba.set_parallel_chunksize(1)"},
}

SAME_BITS = """
import json, sys
import numba
exec(sys.argv[2])
from situations import digests
assert digests() == json.loads(sys.argv[1])
if "omppool" in sys.argv[2]:
    assert numba.threading_layer() == "workqueue"
"""


@pytest.mark.situation("threading layers and thread counts")
@pytest.mark.parametrize("name", COUNTS)
def test_same_bits_for_any_number_of_threads(name, expected_digests):
    """Results are the same to the last bit for any number of threads and any threading layer."""
    variables = dict(COUNTS[name])
    run(SAME_BITS, expected_digests, variables.pop("CODE", ""), **variables)


def test_the_kinds_of_layers_run_in_parallel():
    """The comparisons above are of loops that are spread over the cores."""
    from numbaconv.kernels import conv, pool, shift, weight_grad
    from numbaconv.kernels import depthwise as depthwise_conv
    from numbaconv.kernels import separable as separable_conv
    from numbaconv.kernels.winograd import products as winograd

    kernels = (
        conv.conv,
        depthwise_conv.depthwise_conv,
        pool.max_pool,
        separable_conv.separable_conv,
        shift.shift,
        weight_grad.conv_weight_grad,
        winograd.conv_winograd,
    )
    before = [kernel.dispatcher for kernel in kernels]
    called = set()
    try:
        for kernel in kernels:
            kernel.dispatcher = lambda *a, kernel=kernel, run=kernel.dispatcher: (a[0] or called.add(kernel), run(*a))
        digests(KINDS)
    finally:
        for kernel, dispatcher in zip(kernels, before, strict=True):
            kernel.dispatcher = dispatcher
    assert called == set(kernels)
