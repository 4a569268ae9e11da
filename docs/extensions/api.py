"""What the API reference says of a class: its own methods, and whose methods it has besides."""

import importlib
import re

import numbaconv


def _resolve(fullname):
    module, name = fullname.rsplit(".", 1)
    module = importlib.import_module(module)
    return module, getattr(module, name)


def _public_ancestor(fullname):
    """The first ancestor that has a page of its own beside that of the class."""
    module, cls = _resolve(fullname)
    names = getattr(module, "__all__", None)
    for base in cls.__mro__[1:]:
        known = base.__module__ == module.__name__ if names is None else base.__name__ in names
        if known and not base.__name__.startswith("_"):
            return base
    return None


def public_base(fullname):
    """Name of the class in the same module whose methods and attributes a class has besides its own, or None."""
    base, alias = _public_ancestor(fullname), _resolve(fullname)[1].__name__ != fullname.rpartition(".")[2]
    return None if base is None or alias else base.__name__


def own_members(fullname):
    """Documented public methods and attributes of a class that its `public_base` does not have like that."""
    cls, base = _resolve(fullname)[1], _public_ancestor(fullname)
    known = () if base is None else base.__mro__
    members = {}
    for ancestor in cls.__mro__:
        if ancestor in known or ancestor.__module__ == "builtins":
            continue
        for name, value in vars(ancestor).items():
            if (
                not name.startswith("_")
                and callable(getattr(cls, name)) | isinstance(value, property)
                and value.__doc__
            ):
                members.setdefault(name)
    return list(members)


def _as_restructured_text(app, what, name, obj, options, lines):
    """Docstrings say `config.floatx` and (N, *lengths, C); Sphinx wants the package's name, and the star escaped."""
    modules = "|".join(name for name in numbaconv.__all__ if name.islower())
    for i, line in enumerate(lines):
        parts = re.split(r"(``.*?``)", line)
        for k, part in enumerate(parts[::2]):
            part = re.sub(r"(?<=[( ])\*(?=\w[\w ]*[,)])", r"\\*", part)
            parts[2 * k] = re.sub(rf"`(?=({modules})\.\w)", "`~numbaconv.", part)
        lines[i] = "".join(parts)


def setup(app):
    # After numpydoc, which reads the star of *args itself.
    app.connect("autodoc-process-docstring", _as_restructured_text, priority=900)
    return {"parallel_read_safe": True}
