"""A save that is interrupted, killed or refused at any moment: the old file is whole, and nothing else is left."""

import errno
import io
import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from numbaconv.files import saving
from numbaconv.layers import Dense
from numbaconv.models import Sequential

pytestmark = pytest.mark.situation("save interrupted")


def model(value, units=3):
    made = Sequential([Dense(units, input_shape=(2,), name="d")], name="m")
    made.compile("adam", "mse")
    made.set_weights([np.full(w.shape, value) for w in made.weights])
    return made


@pytest.fixture
def path(tmp_path):
    model(1).save(tmp_path / "model")
    return tmp_path / "model"


def holds(path):
    """The weight in a file, all its weights being the same."""
    (value,) = {x for w in Sequential.load(path).weights for x in w.ravel()}
    return value


class Failing(io.FileIO):
    """A file that raises at one of its writes and, once full, at all that follow."""

    error, at, writes = None, 0, 0

    def write(self, data):
        type(self).writes += 1
        if self.writes == self.at or (self.writes > self.at > 0 and isinstance(self.error, OSError)):
            # A part gets written before the disk is full.
            super().write(bytes(data)[: len(data) // 2])
            raise self.error
        return super().write(data)


@pytest.fixture
def failing(monkeypatch):
    def install(error, at):
        kind = type("Failing", (Failing,), {"error": error, "at": at})
        monkeypatch.setattr(saving, "open", lambda name, mode: kind(name, mode.replace("b", "")), raising=False)
        return kind

    yield install


def writes_of_a_save(path, failing):
    kind = failing(None, 0)
    model(1).save(path)
    return kind.writes


ERRORS = {
    "interrupted": KeyboardInterrupt(),
    "disk full": OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
    "no memory": MemoryError(),
    "exit": SystemExit(),
}


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
def test_every_write_may_fail(path, failing, error):
    before = path.read_bytes()
    count = writes_of_a_save(path, failing)
    assert count > 10
    for at in range(1, count + 1):
        failing(error, at)
        with pytest.raises(type(error)):
            model(2).save(path)
        assert path.read_bytes() == before
        assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("function", ["fsync", "replace"])
@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
def test_the_last_steps_may_fail(path, monkeypatch, function, error):
    def fail(*_):
        raise error

    before = path.read_bytes()
    monkeypatch.setattr(os, function, fail)
    with pytest.raises(type(error)):
        model(2).save(path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


# zipfile cannot close an archive that was interrupted in the middle of closing an entry.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("where", "step", "least"), [(("saving.py", "parts.py"), 1, 30), ("", 10, 200)], ids=["saving", "all"]
)
def test_an_interruption_between_any_two_lines(path, where, step, least):
    """As by Ctrl-C, also within NumPy and zipfile."""
    new, saved, interrupted = model(2), 0, 0
    for at in range(1, 100_000, step):
        lines = 0

        def trace(frame, event, _):
            nonlocal lines
            if event == "line" and frame.f_code.co_filename.endswith(where):
                lines += 1
                if lines == at:  # noqa: B023
                    raise KeyboardInterrupt
            return trace

        old = sys.gettrace()
        sys.settrace(trace)
        try:
            new.save(path)
        except KeyboardInterrupt:
            interrupted += 1
        finally:
            sys.settrace(old)
        assert list(path.parent.iterdir()) == [path]
        if holds(path) == 2:
            saved += 1
            model(1).save(path)
        if lines < at:
            break
    assert saved >= 1
    assert interrupted > least


CHILD = """
import os, resource, signal, sys
sys.path[:0] = [{tests!r}]
import test_interrupted_saves as t
from numbaconv.files import saving

path, = sys.argv[1:]
new = t.model(2)

def attempt(prepare):
    child = os.fork()
    if child == 0:
        prepare()
        try:
            new.save(path)
        except OSError:
            os._exit(3)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
"""


def run(path, code):
    """Run a program that saves a model of weights 2 in forks of itself."""
    text = textwrap.dedent(CHILD.format(tests=os.path.dirname(__file__))) + textwrap.dedent(code)
    done = subprocess.run([sys.executable, "-c", text, str(path)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return [int(line) for line in done.stdout.split()]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_killed_at_every_write(path):
    code = """
    class Killing(t.io.FileIO):
        writes = 0
        def write(self, data):
            self.writes += 1
            if self.writes == at:
                super().write(bytes(data)[: len(data) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            return super().write(data)

    def prepare():
        saving.open = lambda name, mode: Killing(name, mode.replace("b", ""))

    def last():
        saving.os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)

    before = open(path, "rb").read()
    at = 1
    while True:
        print(attempt(prepare))
        if open(path, "rb").read() != before:
            break
        at += 1
    open(path, "wb").write(before)
    print(attempt(last))
    assert open(path, "rb").read() == before
    """
    *killed, finished, last = run(path, code)
    assert set(killed) == {last} == {-signal.SIGKILL}
    assert finished == 0
    assert len(killed) > 10
    # One may be left of every kill, and none of a save.
    left = [p for p in path.parent.iterdir() if p != path]
    assert len(left) == len(killed) + 1
    assert all(p.name.startswith(".numbaconv-") for p in left)
    assert holds(path) == 1


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_no_room(path):
    code = """
    def prepare():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    before = open(path, "rb").read()
    for limit in range(0, len(before), 97):
        print(attempt(prepare))
        assert open(path, "rb").read() == before
        assert os.listdir(os.path.dirname(path)) == [os.path.basename(path)]
    limit = 10 * len(before)
    print(attempt(prepare))
    """
    *refused, done = run(path, code)
    assert set(refused) == {3}
    assert done == 0
    assert holds(path) == 2


def test_the_new_file_has_the_old_ones_permissions(path):
    path.chmod(0o640)
    model(2).save(path)
    assert path.stat().st_mode & 0o777 == 0o640
    assert holds(path) == 2


def test_a_write_protected_file_stays(path, monkeypatch):
    # For root every file can be written.
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(PermissionError, match="write-protected"):
        model(2).save(path)
    assert holds(path) == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in the file system")
def test_pipes_and_devices_stay(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, "/dev/null"):
        with pytest.raises(ValueError, match="no regular file"):
            model(1).save(path)
    assert list(tmp_path.iterdir()) == [pipe]


def test_a_folder_that_is_none(path):
    for folder in (path / "model", path.parent / "none" / "model"):
        with pytest.raises(OSError, match=str(path.parent)):
            model(2).save(folder)
    assert list(path.parent.iterdir()) == [path]
    assert holds(path) == 1
