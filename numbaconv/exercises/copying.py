"""A learner's copy of the course: the solutions with holes in place of what is to be written."""

import re
from os import PathLike
from pathlib import Path

from .course import EXERCISES

SOLUTIONS = Path(__file__).with_name("solutions")
MARKS = ["# Yours from here.", "# To here."]
EMPTY = 'raise NotImplementedError("nothing written yet")'


def copy_course(folder: str | PathLike[str]) -> list[Path]:
    """Copy the exercises to a folder, which is made if there is none.

    A file that is there already is a learner's work, and stays.

    Parameters
    ----------
    folder : path
        Where the files go.

    Returns
    -------
    list of pathlib.Path
        The new files.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    readme = (SOLUTIONS / "README.md").read_text("utf-8")
    texts = {"README.md": readme, **{f"{name}.py": with_hole(solution(name)) for name in EXERCISES}}
    new = [folder / name for name in texts if not (folder / name).exists()]
    for path in new:
        path.write_text(texts[path.name], "utf-8")
    return new


def solution(name: str) -> str:
    """Give the text of an exercise with its solution, for teachers.

    Parameters
    ----------
    name : str
        The exercise's, one of ``EXERCISES``.

    Returns
    -------
    str

    Raises
    ------
    KeyError
        If there is no exercise of this name; ``EXERCISES`` has them all.
    """
    return (SOLUTIONS / f"{EXERCISES[name].name}.py").read_text("utf-8")


def with_hole(text: str) -> str:
    """The text of an exercise without what the learner is to write."""
    marked = r"(?<=# Yours from here\.\n)( +).*?\n(?= *# To here\.\n)"
    return re.sub(marked, lambda found: f"{found[1]}{EMPTY}\n", text, flags=re.DOTALL)
