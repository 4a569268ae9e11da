"""What the docstrings of a family share is written once, with its base, and shown in each of them."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from inspect import CO_VARARGS, CO_VARKEYWORDS, cleandoc, signature, unwrap
from types import FunctionType
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable)

_ORDER = ("", "Parameters", "Attributes", "Returns", "Yields", "Raises", "Notes", "Examples")
# What a docstring takes over from others: parameters one by one, the other sections where it has none of its own.
_SHARED = {"Returns", "Raises"}


def completed(docstring: str, names: Sequence[str], *others: str) -> str:
    """A numpydoc docstring with what other docstrings say of parameters with these names, of results and of errors.

    What it says itself stays; of the others the first one counts. An entry for "..." stands for all that is left.
    """
    sections = dict(_sections(docstring))
    entries = list(_entries(sections.get("Parameters", "")))
    described = {parameter for parameters, _ in entries for parameter in parameters}
    for section in map(_sections, others):
        for parameters, text in _entries(section.get("Parameters", "")):
            new = [parameter for parameter in parameters if parameter in names and parameter not in described]
            if new and "..." not in described:
                entries.append((new, text))
                described.update(new)
        for title in _SHARED & section.keys():
            sections.setdefault(title, section[title])
    if entries:
        place = {name: i for i, name in enumerate(names)}
        entries.sort(key=lambda entry: place.get(entry[0][0], len(place)))
        sections["Parameters"] = "\n".join(f"{', '.join(parameters)}{text}" for parameters, text in entries)
    titles = sorted(sections, key=_ORDER.index)
    text = "\n\n".join(f"{title}\n{'-' * len(title)}\n{sections[title]}".strip() for title in titles)
    return f"{text}\n" if "\n" in text else text


class _Completed:
    """The docstring of a class, with what its bases say. It is put together when it is first read."""

    def __init__(self, docstring: str) -> None:
        self._docstring = docstring

    def __get__(self, instance: Any, cls: Any) -> str:
        others = [base.__doc__ for base in cls.__mro__[1:-1] if base.__doc__]
        cls.__doc__ = completed(self._docstring, _arguments(cls), *others) if others else self._docstring
        return str(cls.__doc__)


def complete_class(cls: Any) -> None:
    """Let a class say what its bases say of its constructor's arguments and errors."""
    # None with Python's option -OO.
    if cls.__doc__:
        cls.__doc__ = _Completed(cls.__doc__)


def as_in(*others: Callable) -> Callable[[Function], Function]:
    """Decorator: a function says what these others say of parameters of the same names, of results and of errors."""

    def complete(function: Function) -> Function:
        # None with Python's option -OO.
        if function.__doc__:
            texts = [other.__doc__ or "" for other in others]
            function.__doc__ = completed(function.__doc__, parameter_names(function), *texts)
        return function

    return complete


def parameter_names(function: Callable, several: bool = True) -> list[str]:
    """Names of a function's parameters, with those that stand for several values or without.

    While modules are imported, `inspect.signature` would take too long.
    """
    plain: Any = unwrap(function)
    if type(plain) is not FunctionType or hasattr(function, "__signature__"):
        found = signature(function).parameters.values()
        return [one.name for one in found if several or one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
    code = plain.__code__
    positional, named = code.co_argcount, code.co_argcount + code.co_kwonlyargcount
    names = list(code.co_varnames)
    if not several:
        return names[:named]
    behind = named + bool(code.co_flags & CO_VARARGS)
    end = behind + bool(code.co_flags & CO_VARKEYWORDS)
    return names[:positional] + names[named:behind] + names[positional:named] + names[behind:end]


def _arguments(cls: Any) -> list[str]:
    """Names of a constructor's arguments; behind ``*args`` those of the next constructor."""
    names: list[str] = []
    for owner in cls.__mro__[:-1]:
        if "__init__" in vars(owner):
            code = unwrap(owner.__init__).__code__
            names += code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]
            if not code.co_flags & CO_VARARGS:
                return [*names, "**kwargs"]
    return names


@lru_cache(maxsize=256)
def _sections(docstring: str) -> dict[str, str]:
    """The sections by title; what stands before the first one has none."""
    lines = cleandoc(docstring).split("\n")
    # Regular expressions would take longer to compile than all that is read with them while modules are imported.
    heads = [
        i for i, line in enumerate(lines) if line[:1] == "-" and not line.strip("-") and lines[i - 1].isidentifier()
    ]
    ends = [*(i - 1 for i in heads), len(lines)]
    sections = {"": lines[: ends[0]]}
    sections |= {lines[i - 1]: lines[i + 1 : end] for i, end in zip(heads, ends[1:], strict=True)}
    return {title: "\n".join(text).strip() for title, text in sections.items()}


@lru_cache(maxsize=256)
def _entries(section: str) -> list[tuple[list[str], str]]:
    """Names of parameters that are described together, and their description with its type."""
    entries: list[str] = []
    for line in section.split("\n"):
        if line and not line[0].isspace():
            entries.append(line)
        elif entries:
            entries[-1] += f"\n{line}"
    heads = (entry.rstrip().partition("\n") for entry in entries)
    parts = ((*head.partition(" :"), below, text) for head, below, text in heads)
    return [(names.split(", "), "".join(others)) for names, *others in parts]
