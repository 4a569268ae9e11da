"""Names as Keras gives them, and errors that begin with the name of what went wrong."""

import itertools
import re
from collections import defaultdict
from typing import Any

from .strict import Strict

_counters: dict[str, itertools.count] = defaultdict(itertools.count)


class Named(Strict):
    """Something with a name of its own, which stands in front of its error messages.

    Parameters
    ----------
    name : str, optional
        By default the class's name in snake case and a number: conv2d, conv2d_1, ...

    Raises
    ------
    TypeError
        If the name is no string, or empty.
    """

    def __init__(self, name: str | None) -> None:
        kind = type(self).__name__
        if name is not None and not (isinstance(name, str) and name):
            raise TypeError(f"{kind}: name must be a non-empty string, got {name!r}")
        self.name = default_name(kind) if name is None else name

    @property
    def _label(self) -> str:
        return f"{type(self).__name__} {self.name!r}"

    def _labelled(self, error: Exception) -> Exception:
        """The same error with the name in front, once."""
        kind = ValueError if isinstance(error, ValueError) else TypeError
        return error if str(error).startswith(self._label) else kind(f"{self._label}: {error}")

    def _named(self) -> "_Naming":
        """Put the name in front of whatever a check says."""
        return _Naming(self)


class _Naming:
    """A context manager by hand: one out of a generator would take a good part of the time in which models load."""

    __slots__ = ("_of",)

    def __init__(self, of: Named) -> None:
        self._of = of

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if isinstance(error, ValueError | TypeError):
            raise self._of._labelled(error) from None


def snake_case(class_name: str) -> str:
    """A class's name as Keras writes it: Conv2DTranspose is conv2d_transpose, PReLU is p_re_lu."""
    return re.sub("(?<=.)(?=[A-Z][a-z])|(?<=[a-z])(?=[A-Z])", "_", class_name).lower()


def default_name(class_name: str) -> str:
    """The class's name in snake case, and a number from the second on."""
    words = snake_case(class_name)
    number = next(_counters[words])
    return f"{words}_{number}" if number else words
