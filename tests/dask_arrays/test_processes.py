"""Processes of Dask's: right numbers whoever comes and goes, and a network that travels once to each."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

import numbaconv.dask
from numbaconv.dask import tasks
from numbaconv.layers import Conv2D
from numbaconv.models import Sequential

da = pytest.importorskip("dask.array")
distributed = pytest.importorskip("distributed")
# On a loaded machine Dask warns of much.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]
# Seconds, where something does not come at all.
WAIT = 300
X = np.random.default_rng(0).standard_normal((1, 80, 60, 3)).astype("float32")


@pytest.fixture(scope="module")
def model():
    settings = {"padding": "same", "algorithm": "direct"}
    return Sequential([Conv2D(3, 3, activation="relu", **settings), Conv2D(2, 5, dilation_rate=2, **settings)])


@pytest.fixture
def start():
    """Function that starts workers of one thread, each a process, and a client."""
    import dask

    started = []

    def workers(count):
        started.append(distributed.LocalCluster(n_workers=count, threads_per_worker=1, dashboard_address=None))
        started.append(distributed.Client(started[0], timeout=WAIT))
        return started

    with dask.config.set({"distributed.comm.timeouts.connect": WAIT}):
        yield workers
        for one in reversed(started):
            one.close()


def gated(leaves):
    """A Dask array in two rows of blocks, of which those below wait for an event of Dask's.

    ``leaves`` says whether they let others have their thread meanwhile.
    """

    def block(block_info=None):
        (place,) = [one for key, one in block_info.items() if key is None]
        if place["chunk-location"][1]:
            if leaves:
                distributed.secede()
            distributed.Event("open").wait(WAIT)
        return X[tuple(slice(*pair) for pair in place["array-location"])]

    chunks = da.core.normalize_chunks((1, 40, 10, 3), X.shape)
    return da.map_blocks(block, chunks=chunks, dtype=X.dtype, meta=np.empty((0,) * 4, X.dtype))


def test_a_worker_is_killed_in_the_middle(model, start):
    _, client = start(2)
    lazy = client.persist(numbaconv.dask.predict(model, gated(leaves=True), (1, 10, 10, 2)))
    chunks = distributed.futures_of(lazy)
    done = next(iter(distributed.as_completed(chunks, timeout=WAIT)))
    (victim, *_) = client.who_has([done])[done.key]
    os.kill(client.run(os.getpid, workers=[victim])[victim], signal.SIGKILL)
    distributed.Event("open", client=client).set()
    np.testing.assert_array_equal(client.compute(lazy).result(WAIT), model(X))


def test_a_worker_joins_late(model, start):
    cluster, client = start(1)
    future = client.compute(numbaconv.dask.predict(model, gated(leaves=False), (1, 10, 10, 2)))
    cluster.scale(2)
    client.wait_for_workers(2, WAIT)
    distributed.Event("open", client=client).set()
    np.testing.assert_array_equal(future.result(WAIT), model(X))
    assert set(client.run(lambda: len(tasks._unpacked)).values()) == {1}


def test_the_network_travels_once(model, start):
    _, client = start(2)
    lazy = numbaconv.dask.predict(model, da.from_array(X, chunks=(1, 10, 10, 3)), (1, 10, 10, 2))
    np.testing.assert_array_equal(lazy.compute(), model(X))

    def received(dask_worker):
        keys = [key for entry in dask_worker.transfer_incoming_log for key in entry["keys"]]
        return len(tasks._unpacked), sum("numbaconv-network" in str(key) for key in keys)

    found = client.run(received)
    # One of the two got it with the graph.
    assert sorted(found.values()) == [(1, 0), (1, 1)]


def test_processes_of_one_machine(model):
    lazy = numbaconv.dask.predict(model, da.from_array(X, chunks=(1, 40, 60, 3)))
    np.testing.assert_array_equal(lazy.compute(scheduler="processes", num_workers=2), model(X))


def test_dask_is_not_loaded_before_it_is_needed():
    program = "import sys, numbaconv, numbaconv.dask, numbaconv.models; print('dask' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
