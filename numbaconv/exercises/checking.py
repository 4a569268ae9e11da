"""Checks a learner's function: the first input for which it is wrong, where, and what may be the reason."""

import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from os import PathLike
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from . import answers
from .copying import EMPTY, SOLUTIONS
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


def check(what: str | PathLike[str] | Function, name: str | None = None) -> bool:
    """Check one exercise, and print what is found.

    Parameters
    ----------
    what : path or callable
        A learner's file, or the function itself, as in a notebook.
    name : str, optional
        The exercise's, one of `EXERCISES`. A file is called like its exercise, and most functions belong to one alone.

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
    except NotImplementedError:
        fault = "Nothing is written yet."
    # Whatever a learner's code does, it is to be told and not to end the check.
    except Exception as error:
        fault = _raised(error)
    if fault is not None:
        print(f"{exercise.name}: not yet.\n{fault}")
        return False
    print(f"{exercise.name}: right.")
    if exercise.timed:
        solution = _written(SOLUTIONS / f"{exercise.name}.py", exercise)
        for whose, speed in speeds(function, solution).items():
            print(f"  {whose:14} {speed / 1e9:8.1f} GFLOP/s")
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
    if EMPTY in path.read_text("utf-8"):
        raise NotImplementedError
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
        given = [a.copy() if isinstance(a, Array) else a for a in arguments]
        got = function(*given)
        if exercise.timed:
            given, got = given[:-1], given[-1]
        found = difference(got, right, TOLERANCE)
        if found is None and any(
            isinstance(a, Array) and not np.array_equal(a, b) for a, b in zip(arguments, given, strict=False)
        ):
            found = "The result is right, but what was given to it has changed."
        if found is not None:
            call = f"{exercise.function}({_told(exercise.function, arguments)})"
            told = _mistake(function, exercise, cases, number - 1)
            return "\n".join([f"Case {number} of {len(cases)}: {call}", found, *told])
    if exercise.products is not None and (made := products_of(function, *cases[0])) > exercise.products:
        return f"The results are right, with {made} multiplications; {exercise.products} are enough."
    return None


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
        with suppress(Exception):  # An input may be too much for one that is wrong, and so for the other.
            return np.asarray(function(*case), float)
        return "an error"

    def explained(wrong: Function, case: tuple[Any, ...]) -> bool:
        got, expected = result(function, case), result(wrong, case)
        return got is expected if isinstance(expected, str) else difference(got, expected, TOLERANCE) is None

    for what, wrong in MISTAKES.get(exercise.name, {}).items():
        agree = [explained(wrong, case) for case in cases]
        if agree[failed] and np.mean(agree) >= MOST_CASES:
            return [what]
    return []


def _raised(error: Exception) -> str:
    """An error, and the line of the learner's own that it comes from."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).parent != HERE]
    own = [frame for frame in frames if "numba" not in Path(frame.filename).parts] or frames
    lines = [f"Line {own[-1].lineno} of {Path(own[-1].filename).name}: {own[-1].line}"] if own else []
    text = str(error).strip().splitlines()[:MOST_SHOWN]
    return "\n".join([*lines, f"{type(error).__name__}: {text[0] if text else ''}", *text[1:]])


HERE = Path(__file__).parent
