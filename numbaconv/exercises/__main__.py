"""The course at the command line.

    python -m numbaconv.exercises start FOLDER    # copies the exercises; what is there already stays as it is
    python -m numbaconv.exercises check FOLDER    # checks them in order, up to the first that is not right
    python -m numbaconv.exercises check FILE      # checks one
    python -m numbaconv.exercises solution NAME   # prints a solution, for teachers

The exit status is 0 if all that was checked is right, and 1 otherwise.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from .checking import check, check_folder
from .copying import copy_course, solution
from .course import EXERCISES


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m numbaconv.exercises", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    commands.add_parser("start", help="copy the exercises to a folder").add_argument("path", metavar="FOLDER")
    commands.add_parser("check", help="check a folder or one file").add_argument("path", metavar="FOLDER|FILE")
    commands.add_parser("solution", help="print a solution").add_argument("name", choices=sorted(EXERCISES))
    options = parser.parse_args(arguments)
    try:
        if options.command == "start":
            new = copy_course(options.path)
            print(f"{len(new)} new files in {options.path}. Begin with its README.md.")
            return 0
        if options.command == "solution":
            print(solution(options.name), end="")
            return 0
        path = Path(options.path)
        return 0 if (check_folder(path) if path.is_dir() else check(path)) else 1
    except (OSError, ValueError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
