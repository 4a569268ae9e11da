"""Memory of results that are gone serves new ones, and never a result that still exists."""

import gc
import mmap
import os
import pickle
import subprocess
import sys
import threading
import weakref

import numpy as np
import pytest

from numbaconv import layers
from numbaconv.machine import recycling
from numbaconv.machine.aligned import aligned_empty

SHAPE = (3, 100, 500)
KEPT = 3 * 100 * 500 * 4
pytestmark = pytest.mark.usefixtures("loaded_is_no_garbage")


@pytest.fixture(autouse=True)
def all_taken_back(monkeypatch):
    gc.collect()
    monkeypatch.setattr(recycling, "limit", 2**24)
    monkeypatch.setattr(recycling, "_lent", {})
    recycling.give_back()
    yield
    recycling.give_back()


def made(value, shape=SHAPE):
    out = aligned_empty(shape, np.float32)
    out.fill(value)
    return out


def address(array):
    return array.ctypes.data


def test_what_was_lent_before_all_was_forgotten_is_left_alone(monkeypatch):
    out = made(1)
    monkeypatch.setattr(recycling, "_lent", {})
    del out
    recycling.give_back()
    assert not recycling._returned


@pytest.mark.parametrize("promised", [True, False])
def test_a_promise_bounds_what_lies_idle(promised):
    before = made(0)
    with recycling.at_most(3 * KEPT if promised else 2**24):
        for width in (500, 700, 900):
            made(1, (3, 100, width))
        recycling._take_back()
        assert (recycling._bytes(recycling._idle) <= 3 * KEPT) is promised
    assert recycling._promises == []
    assert (before == 0).all()


def test_results_are_ordinary_arrays():
    out = made(1)
    assert type(out) is np.ndarray
    assert out.flags.carray
    assert out.dtype == np.float32
    assert out.shape == SHAPE
    assert address(out) % 64 == 0
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(out)), out)
    assert weakref.ref(out)() is out


def test_memory_of_a_result_that_is_gone_serves_the_next():
    first = address(made(1))
    assert address(made(2)) == first
    # Of nearly the same size, and of another type.
    assert address(aligned_empty((KEPT // 8 - 100,), np.float64)) == first


@pytest.mark.parametrize(
    "view",
    [
        lambda a: a[1:],
        lambda a: a.reshape(-1)[5:9],
        lambda a: a.T,
        lambda a: a.view(np.int32),
        np.asarray,
        memoryview,
        lambda a: np.lib.stride_tricks.as_strided(a, (3,), (4,)),
    ],
)
def test_views_keep_it(view):
    kept = view(made(1))
    before = np.array(kept)
    others = [made(2) for _ in range(3)]
    np.testing.assert_array_equal(np.array(kept), before)
    del kept
    freed = made(3)
    assert address(freed) not in map(address, others)


def test_results_that_exist_never_share():
    kept = [made(i) for i in range(20)]
    assert len({address(a) for a in kept}) == 20
    assert [a.min() for a in kept] == [a.max() for a in kept] == list(range(20))


def test_the_limit_holds_for_all_together(monkeypatch):
    monkeypatch.setattr(recycling, "limit", 5 * KEPT)
    kept = [made(i) for i in range(10)]
    lent = sum(ended.memory.nbytes for leases in recycling._lent.values() for ended in leases.values())
    assert 3 * KEPT < lent <= 5 * KEPT
    assert [a.max() for a in kept] == list(range(10))
    kept.clear()
    # Other sizes take the room of the first.
    others = [made(i, (2, 100, 900)) for i in range(10)]
    idle = sum(memory.nbytes for memories in recycling._idle.values() for memory in memories)
    lent = sum(ended.memory.nbytes for leases in recycling._lent.values() for ended in leases.values())
    assert lent > 2 * 2 * 100 * 900 * 4
    assert idle + lent <= 5 * KEPT
    assert [a.max() for a in others] == list(range(10))


def test_no_room_at_all(monkeypatch):
    monkeypatch.setattr(recycling, "limit", 0)
    kept = [made(i) for i in range(3)]
    assert not any(recycling._lent.values())
    assert [a.max() for a in kept] == [0, 1, 2]


def test_the_variable_switches_it_off():
    code = "from numbaconv.machine import recycling; print(recycling.limit)"
    environment = {**os.environ, "NUMBACONV_RECYCLED_BYTES": "0"}
    assert subprocess.check_output([sys.executable, "-c", code], env=environment, text=True) == "0\n"


def test_idle_memory_is_given_back_where_none_is_left(monkeypatch):
    made(1)
    large = recycling.limit // 4 + 1
    asked = []

    def fresh(size):
        asked.append(size)
        # As long as memory lies idle there is none for others.
        if recycling._idle or recycling._returned:
            raise MemoryError
        return np.zeros(size, np.uint8)

    monkeypatch.setattr(recycling, "fresh", fresh)
    assert aligned_empty((large,), np.float32).size == large
    assert len(asked) >= 2
    assert not recycling._idle


def test_threads_get_memory_of_their_own():
    wrong = []

    def use(number):
        for i in range(300):
            out = made(number)
            kept = out[i % 3]
            del out
            if kept.min() != number or kept.max() != number:
                wrong.append(number)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_cycles_and_other_threads_return_it():
    cycle = [made(1)]
    cycle.append(cycle)
    first = address(cycle[0])
    del cycle
    gc.collect()
    held = [made(2)]
    assert address(held[0]) == first
    thread = threading.Thread(target=held.clear)
    thread.start()
    thread.join()
    assert address(made(3)) == first


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")
def test_a_child_has_memory_of_its_own():
    kept = made(1)
    child = os.fork()
    if not child:
        made(2)
        kept.fill(3)
        os._exit(0 if made(4).max() == 4 and kept.max() == 3 else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert kept.max() == 1


def test_layers_take_it_and_keep_what_training_needs():
    layer = layers.Conv2D(8, 3, padding="same", activation="relu")
    x = np.random.default_rng(0).standard_normal((2, 80, 80, 8), np.float32)
    out = layer.forward(x)
    first, kept = address(out), out.copy()
    for _ in range(3):
        assert address(layer(x)) != first
    np.testing.assert_array_equal(out, kept)
    wanted = layer.backward(np.ones_like(out))
    layer.forward(x)
    np.testing.assert_array_equal(layer.backward(np.ones_like(out)), wanted)


@pytest.mark.skipif(not hasattr(mmap, "MADV_HUGEPAGE"), reason="there are no large pages")
@pytest.mark.parametrize("extra, pages", [(0, 3), (5, 3), (recycling.PAGE - 5, 4)])
def test_no_large_page_is_cleared_for_a_few_bytes(extra, pages, monkeypatch):
    asked = []

    class Pages(mmap.mmap):
        def madvise(self, *arguments):
            asked.append(arguments)
            super().madvise(*arguments)

    monkeypatch.setattr(mmap, "mmap", Pages)
    recycling.fresh(3 * recycling.PAGE + extra)[...] = 1
    ((_, _, length),) = asked
    assert length == pages * recycling.PAGE


@pytest.mark.parametrize("size", [1, recycling.PAGE, 3 * recycling.PAGE + 5])
def test_new_memory_begins_with_a_large_page_if_it_fills_one(size, monkeypatch):
    def refuse(*args):
        raise OSError

    memory = recycling.fresh(size)
    memory[...] = 1
    assert (memory.size, memory.sum()) == (size, size)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        assert size < recycling.PAGE or address(memory) % recycling.PAGE == 0
    monkeypatch.setattr(mmap, "mmap", refuse)
    assert recycling.fresh(size).size == size
