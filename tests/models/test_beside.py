"""Another process helps to compile what a network lacks."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter

import numpy as np
import pytest
from situations import environment, run

from numbaconv.layers import Activation, Concatenate, Conv2D, Input, MaxPooling2D
from numbaconv.machine import sharing
from numbaconv.models import Model, Sequential
from numbaconv.models.fused.apart import run_apart
from numbaconv.models.fused.running import fused

SHAPE = (1, 64, 64, 4)
NETWORK = """
import os
import numpy as np
from numbaconv.layers import Activation, Input
from numbaconv.machine import sharing
from numbaconv.models import Sequential
model = Sequential([Input((64, 64, 4)), Activation("softsign"), Activation("mish")])
print(round(float(model.predict_on_batch(np.ones((1, 64, 64, 4), np.float32)).mean()), 4), sharing._helper)
try:
    print(os.waitpid(-1, os.WNOHANG))
except ChildProcessError:
    print("no children")
"""
# mish(1 / 2)
LINES = ["0.3752 None", "no children"]


@pytest.fixture
def told():
    """What a helper is told of the `NETWORK`."""
    model = Sequential([Input(SHAPE[1:]), Activation("softsign"), Activation("mish")])
    return json.dumps({"model": model.to_json(), "shapes": [SHAPE], "path": sys.path}).encode() + b"\n"


def helper(folder):
    """The process that helps, before it is told anything."""
    command, env = [sys.executable, "-c", sharing._PROGRAM], environment(NUMBA_CACHE_DIR=folder)
    return subprocess.Popen(command, env=env, stdin=subprocess.PIPE)


def kinds(folder):
    """Files with kernels, by suffix; a process may also note what the sources are."""
    return Counter(file.suffix for file in folder.glob("kernels_*/*") if file.suffix != ".nbs")


def test_it_compiles_all_that_the_network_needs(told, tmp_path):
    with helper(tmp_path) as process:
        process.stdin.write(told)
        process.stdin.flush()
        assert process.wait(timeout=300) == 0
    assert kinds(tmp_path)[".nbc"] == 2
    assert kinds(tmp_path)[".lock"] == 0
    before = kinds(tmp_path)
    assert run(NETWORK, NUMBA_CACHE_DIR=tmp_path)[0].splitlines() == LINES
    assert kinds(tmp_path) == before


def test_it_ends_with_the_one_it_helps(told, tmp_path):
    """Whatever became of that, and in the middle of compiling."""
    with helper(tmp_path) as process:
        process.stdin.write(told)
        process.stdin.close()
        assert process.wait(timeout=60) == 0
    assert kinds(tmp_path)[".nbc"] < 2


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["kept", "/dev/null/below"])
def test_results_are_the_same_and_nothing_is_left_behind(folder, tmp_path):
    """Where nothing can be kept on disk, too."""
    out, err = run(NETWORK, NUMBA_CACHE_DIR=tmp_path / folder, NUMBACONV_COMPILERS=2)
    assert out.splitlines() == LINES
    assert ("cannot keep compiled code" in err) == (folder != "kept")
    assert kinds(tmp_path / "kept")[".nbc"] == (2 if folder == "kept" else 0)
    assert not list(tmp_path.rglob("*.lock"))


@pytest.fixture
def held(tmp_path):
    """A kernel that another process is compiling: where, and what ends that."""
    with (tmp_path / "kernel.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file
    sharing.release()


class _Alive:
    returncode = None

    def poll(self):
        return self.returncode


def test_a_helper_leaves_alone_what_is_begun(held, tmp_path, monkeypatch):
    monkeypatch.setattr(sharing, "_helping", True)
    with pytest.raises(sharing.ElsewhereError):
        sharing.claim(tmp_path, "kernel")
    sharing.claim(tmp_path, "another")
    assert (tmp_path / "another.lock").exists()
    sharing.release()
    assert not (tmp_path / "another.lock").exists()


def test_who_looks_ahead_leaves_alone_what_the_helper_compiles(held, tmp_path, monkeypatch):
    """In the thread that does; others wait."""
    monkeypatch.setattr(sharing, "_helper", _Alive())
    monkeypatch.setattr(sharing._waiting, "usual", False)
    with pytest.raises(sharing.ElsewhereError):
        sharing.claim(tmp_path, "kernel")
    found = []
    other = threading.Thread(target=lambda: found.append(sharing._waiting.usual))
    other.start()
    other.join()
    assert found == [True]


def test_the_other_one_waits_for_the_helper_as_long_as_it_lives(held, tmp_path, monkeypatch):
    monkeypatch.setattr(sharing, "_helper", process := _Alive())
    timer = threading.Timer(0.1, fcntl.flock, (held, fcntl.LOCK_UN))
    timer.start()
    sharing.claim(tmp_path, "kernel")
    timer.join()
    assert len(sharing._claims) == 1
    sharing.release()
    fcntl.flock(held, fcntl.LOCK_EX)
    process.returncode = -9
    start = time.perf_counter()
    (tmp_path / "kernel.lock").touch()
    sharing.claim(tmp_path, "kernel")
    assert time.perf_counter() - start < sharing.PATIENCE / 2


def test_alone_nobody_waits_and_no_file_is_made(tmp_path):
    sharing.claim(tmp_path, "kernel")
    sharing.claim(tmp_path / "file" / "below", "kernel")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("change", ["one process", "frozen", "no interpreter", "one core", "Numba is there"])
def test_who_does_without(change, monkeypatch):
    monkeypatch.setenv("NUMBACONV_COMPILERS", "2")
    monkeypatch.setattr(sharing.start, "usable", lambda: True)
    monkeypatch.setattr(sharing.threads, "alone", False)
    monkeypatch.setattr(sharing.os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    monkeypatch.setattr(sys, "executable", "/usr/bin/python3")
    assert sharing.wanted()
    if change == "one process":
        monkeypatch.setenv("NUMBACONV_COMPILERS", "1")
    elif change == "frozen":
        monkeypatch.setattr(sys, "frozen", True, raising=False)
    elif change == "no interpreter":
        monkeypatch.setattr(sys, "executable", "/opt/program")
    elif change == "one core":
        monkeypatch.setattr(sharing.os, "sched_getaffinity", lambda _: {0}, raising=False)
    else:
        monkeypatch.setattr(sharing.start, "usable", lambda: False)
    assert not sharing.wanted()


def test_a_network_within_another_one_leaves_the_helper_alone(monkeypatch):
    outer, inner = ((dict, lambda: None) for _ in range(2))
    with sharing.offered(*outer):
        with sharing.offered(*inner):
            assert sharing._offered == outer
        assert sharing._offered == outer
        process = _Alive()
        process.kill = process.communicate = lambda: None
        monkeypatch.setattr(sharing, "_helper", process)
        sharing._offered = None
        with sharing.offered(*inner):
            assert sharing._offered is None
        assert sharing._helper is process
    assert sharing._helper is sharing._offered is None


@pytest.mark.parametrize("order", [1, -1])
def test_steps_run_from_the_last_to_the_first_and_ahead(order, monkeypatch):
    """On arrays of the sizes that they have in the network, with values side by side and views among them."""
    x = Input((8, 8, 3))
    y = Concatenate()([Conv2D(4, 3, padding="same")(x), MaxPooling2D(3, 1, "same")(x)])
    model = Model(x, Conv2D(5, 1, activation="relu")(y))
    runner = fused(model._program()).runner([(2, 8, 8, 3)])
    done, turns = [], []
    for i, turn in enumerate(runner.turns):
        run_turn = turn.run
        turns.append(turn._replace(run=lambda *a, i=i, run_turn=run_turn: (done.append(i), run_turn(*a))[1]))
    monkeypatch.setattr(runner, "turns", turns)
    run_apart(runner, order)
    kernels = [i for i, turn in enumerate(turns) if turn.stage.kind != "view"]
    assert [i for i in done if i in kernels] == kernels[::order]
    given = np.random.default_rng(0).random((2, 8, 8, 3), np.float32)
    assert model.predict(given).shape == (2, 8, 8, 5)


def test_little_is_run_twice():
    model, done = Sequential([Input(SHAPE[1:]), Activation("softsign"), Activation("mish")]), []
    runner = fused(model._program()).runner([SHAPE])
    runner.turns = [turn._replace(run=lambda *_: done.append(0)) for turn in runner.turns]
    run_apart(runner, 1, -1.0)
    assert len(done) == 1 < len(runner.turns)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
def test_a_forked_process_leaves_the_helper_to_its_parent(monkeypatch):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        monkeypatch.setattr(sharing, "_helper", process)
        child = os.fork()
        if not child:
            os._exit(0 if sharing._helper is None else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert process.poll() is None
        sharing._end()
        assert process.returncode == -signal.SIGKILL
        assert sharing._helper is None
