"""What a bug report should contain, and whether this machine computes as it should; and what is in a network's file.

    python -m numbaconv            # ten seconds; a minute or two the first time, when all kernels are compiled
    python -m numbaconv --quick    # without measuring the peak
    python -m numbaconv --compile  # compiles all kernels ahead, for containers and CI; minutes the first time
    python -m numbaconv --version

The exit status is 0 if all layers agree with the reference and 1 otherwise; the last line says it in words.

    python -m numbaconv summary FILE                  # layers, shapes and parameters of a .keras, .h5 or .npz file
    python -m numbaconv predict FILE INPUT [OUTPUT]   # INPUT: .npy, .npz or a picture; OUTPUT: .npy
    python -m numbaconv bench FILE                    # milliseconds to load it and to call it

The exit status is 0, or 1 after a line that says what is wrong.
"""

import argparse
import faulthandler
import sys
from collections.abc import Sequence

from .commands import networks
from .objects.version import __version__
from .selfcheck import report


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the report, or carry out a command; return 0 if all is well, otherwise 1."""
    parser = argparse.ArgumentParser(prog="python -m numbaconv", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="do not measure the peak")
    parser.add_argument("--compile", action="store_true", help="compile all kernels ahead and keep them on disk")
    parser.add_argument("--version", action="version", version=f"numbaconv {__version__}")
    networks.add_commands(parser)
    options = parser.parse_args(arguments)
    if options.command is None:
        return report.run(options.quick, options.compile)
    if options.quick or options.compile:
        parser.error(f"--quick and --compile do not go with {options.command}")
    return networks.run(options)


if __name__ == "__main__":
    # A crash in compiled code says where, too.
    faulthandler.enable()
    sys.exit(main())
