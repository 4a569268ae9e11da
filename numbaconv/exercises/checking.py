"""Checks a learner's function: the first input for which it is wrong, where, and what may be the reason."""

import importlib.util
import inspect
import io
import sys
import sysconfig
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from os import PathLike
from pathlib import Path
from types import ModuleType
from typing import Any

import numba
import numpy as np

from . import answers
from .copying import EMPTY, MARKS, SOLUTIONS
from .counting import products_of
from .course import EXERCISES, Exercise
from .drawing import difference
from .mistakes import MISTAKES
from .timing import speeds

Array = np.ndarray
Function = Callable[..., Any]
# Sums of float64 in any order, differences with a step, and sums of float32.
TOLERANCE = 1e-6
MOST_SHOWN = 40
# The share of the cases that a known mistake must explain.
MOST_CASES = 0.7
# Half the speed is more than another program on the machine takes at every one of some rounds.
MUCH_SLOWER = 2


class _LeftStandingError(NotImplementedError):
    """Something is written, but beside the line that it should replace."""


def check(what: str | PathLike[str] | Function, name: str | None = None) -> bool:
    """Check one exercise, and print what is found.

    Parameters
    ----------
    what : path or callable
        A learner's file, or the function itself, as in a notebook.
    name : str, optional
        The exercise's, one of ``EXERCISES``. A file is called like its exercise, and most functions belong to one
        alone.

    Returns
    -------
    bool
        Whether it is right.

    Raises
    ------
    ValueError
        If it is not clear which exercise is meant.
    """
    exercise = _exercise(what, name)
    try:
        function = what if callable(what) else _written(Path(what), exercise)
        fault = _fault(function, exercise)
    except NotImplementedError as error:
        fault = _unwritten(error, exercise)
    # Whatever a learner's code does, it is to be told and not to end the check.
    except Exception as error:
        fault = _raised(error)
    if fault is not None:
        print(f"{exercise.name}: not yet.\n{fault}")
        return False
    print(f"{exercise.name}: right.")
    if exercise.rung:
        solution = _written(SOLUTIONS / f"{exercise.name}.py", exercise)
        measured = speeds(function, solution)
        for whose, speed in measured.items():
            called = f"{whose}, rung {exercise.rung}" if whose == "the solution" else whose
            print(f"  {called:20} {speed / 1e9:8.1f} GFLOP/s")
        if (slower := measured.get("the solution", 0) / measured["yours"]) >= MUCH_SLOWER:
            print(f"Yours takes {slower:.1f} times as long as the solution: read again which loop goes where.")
    return True


def check_folder(folder: Path) -> bool:
    """Check the exercises in order, up to the first that is not right; return whether all are."""
    for done, name in enumerate(EXERCISES):
        path = folder / f"{name}.py"
        if not path.exists():
            raise FileNotFoundError(f"{path} is missing; start FOLDER copies what is not there")
        if not check(path):
            print(f"\n{done} of {len(EXERCISES)} are done. Next: {path}")
            return False
    print(f"\nAll {len(EXERCISES)} are done.")
    return True


def _exercise(what: Any, name: str | None) -> Exercise:
    if name is None and callable(what):
        wanted = getattr(what, "__name__", "")
        names = [e.name for e in EXERCISES.values() if e.function == wanted]
        if len(names) != 1:
            which = f"which of {', '.join(names)} is it? Say check(function, name)" if names else "no exercise has it"
            raise ValueError(f"function {wanted!r}: {which}")
        name = names[0]
    name = Path(what).stem if name is None else name
    if name not in EXERCISES:
        raise ValueError(f"there is no exercise {name!r}; there are {', '.join(EXERCISES)}")
    return EXERCISES[name]


def _written(path: Path, exercise: Exercise) -> Function:
    """The function in a file, which may import those of other exercises beside it."""
    lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
    if EMPTY in lines:
        at = lines.index(EMPTY)
        begun = [*lines[at - 1 : at], *lines[at + 1 : at + 2]] != MARKS
        raise _LeftStandingError if begun else NotImplementedError
    with _beside(path):
        module = _loaded(path)
    if not hasattr(module, exercise.function):
        raise AttributeError(f"{path.name} has no function {exercise.function}")
    return getattr(module, exercise.function)


def _loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextmanager
def _beside(path: Path) -> Iterator[None]:
    """Let files of this folder import each other, always as they are now."""
    for name in EXERCISES:
        sys.modules.pop(name, None)
    sys.path.insert(0, str(path.resolve().parent))
    importlib.invalidate_caches()
    kept, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = kept
        sys.path.remove(str(path.resolve().parent))
        for name in EXERCISES:
            sys.modules.pop(name, None)


def _fault(function: Function, exercise: Exercise) -> str | None:
    """What is wrong with the results, for the first input where anything is."""
    cases = list(exercise.inputs())
    for number, arguments in enumerate(cases, 1):
        right = np.asarray(getattr(answers, exercise.function)(*arguments), float)
        given = _copies(arguments)
        call = f"Case {number} of {len(cases)}: {exercise.function}({_told(exercise.function, arguments)})"
        try:
            got, alone = _called(function, given)
        except NotImplementedError:
            raise
        except Exception as error:
            return f"{call}\n{_raised(error)}"
        returned = got
        if exercise.rung:
            given, got = given[:-1], given[-1]
        found = difference(got, right, TOLERANCE)
        told = []
        if found is not None:
            told = [] if got is None else _mistake(function, exercise, cases, number - 1)
            if exercise.rung and returned is not None:
                told.append("It returns something, but the results belong in out, which was given to it.")
        if any(isinstance(a, Array) and not np.array_equal(a, b) for a, b in zip(arguments, given, strict=False)):
            if found is None:
                found = "The result is right, but what was given to it has changed."
            else:
                told.append("What was given to it has changed, too: later sums may have read what was overwritten.")
        if found is not None:
            return "\n".join([call, found, *told])
        if alone:
            return "The results are right, but no loop is shared out among the cores: one has to be over numba.prange."
    if exercise.products is not None:
        made = products_of(function, *cases[0])
        if made > exercise.products:
            return f"The results are right, with {made} multiplications; {exercise.products} are enough."
        if made < exercise.products:
            return (
                "The results are right, but multiplications cannot be counted: take d and g as they are, not as floats."
            )
    return None


def _copies(arguments: tuple[Any, ...]) -> list[Any]:
    return [a.copy() if isinstance(a, Array) else a for a in arguments]


def _called(function: Function, arguments: list[Any]) -> tuple[Any, bool]:
    """What a function returns, and whether Numba found no loop for several cores where it was asked for one."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        got = function(*arguments)
    alone = False
    for warning in caught:
        if warning.category.__name__ == "NumbaPerformanceWarning" and "parallel=True" in str(warning.message):
            alone = True
        else:
            warnings.showwarning(warning.message, warning.category, warning.filename, warning.lineno)
    return got, alone


def _told(function: str, arguments: tuple[Any, ...]) -> str:
    """Arguments with their names; arrays by their numbers if they are few, otherwise by their shapes."""
    names = inspect.signature(getattr(answers, function)).parameters
    parts = []
    for name, value in zip(names, arguments, strict=False):
        if isinstance(value, Array):
            short = value.ndim == 1 and value.size <= 10 and np.isfinite(value).all()
            value = f"[{', '.join(f'{v:g}' for v in value)}]" if short else f"<shape {value.shape}>"
        elif callable(value):
            value = "<function>"
        parts.append(f"{name}={value}")
    return ", ".join(parts)


def _mistake(function: Function, exercise: Exercise, cases: list[tuple[Any, ...]], failed: int) -> list[str]:
    """What is known of an error that explains the result that is wrong, and most of the others."""

    def result(function: Function, case: tuple[Any, ...]) -> Any:
        # What it prints and warns of was seen when it was checked.
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            with suppress(Exception):  # An input may be too much for one that is wrong, and so for the other.
                return np.asarray(function(*_copies(case)), float)
        return "an error"

    def explained(wrong: Function, got: Any, case: tuple[Any, ...]) -> bool:
        expected = result(wrong, case)
        return got is expected if isinstance(expected, str) else difference(got, expected, TOLERANCE) is None

    known = MISTAKES.get(exercise.name, {})
    results = [result(function, case) for case in cases] if known else []
    for what, wrong in known.items():
        agree = [explained(wrong, got, case) for got, case in zip(results, cases, strict=True)]
        if agree[failed] and np.mean(agree) >= MOST_CASES:
            return [what]
    return []


def _raised(error: Exception) -> str:
    """An error, and the line of the learner's own that it comes from."""
    if isinstance(error, SystemError) and isinstance(error.__cause__, Exception):
        # What Numba's dispatcher makes of an error; the cause says what is wrong.
        error = error.__cause__
    message = str(error)
    places = [(frame.filename, frame.lineno, frame.line) for frame in _own_frames(error)]
    if isinstance(error, SyntaxError) and error.filename:
        # Nothing of this file has run: it is no frame.
        places, message = [(error.filename, error.lineno, (error.text or "").strip())], error.msg
    lines = [f"Line {line} of {Path(name).name}: {text}" for name, line, text in places[-1:]]
    text = message.strip().splitlines()[:MOST_SHOWN]
    return "\n".join([*lines, f"{type(error).__name__}: {text[0] if text else ''}", *text[1:]])


def _unwritten(error: NotImplementedError, exercise: Exercise) -> str:
    """That there is a hole, and where: in this exercise, or in one that it takes from the file beside it."""
    if isinstance(error, _LeftStandingError):
        return f"The line {EMPTY} still stands beside yours. Take it out."
    names = [Path(frame.filename).stem for frame in _own_frames(error)]
    if names and names[-1] in EXERCISES and names[-1] != exercise.name:
        return f"It uses {names[-1]}.py, and there nothing is written yet."
    return "Nothing is written yet."


def _own_frames(error: Exception) -> list[traceback.FrameSummary]:
    """The frames of an error in files of the learner's, or in a notebook: not in this library, others, or Python."""
    return [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<frozen ")
        and not any(folder in Path(frame.filename).parents for folder in FOREIGN)
    ]


# Solutions lie in the library, too; an error in one is told without a line.
FOREIGN = {
    Path(__file__).parents[1],
    Path(sysconfig.get_path("stdlib")),
    *(Path(str(found.__file__)).parents[1] for found in (np, numba)),
}
