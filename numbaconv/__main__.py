"""What a bug report should contain, and whether this machine computes as it should.

    python -m numbaconv            # ten seconds; a minute or two the first time, when all kernels are compiled
    python -m numbaconv --quick    # without measuring the peak
    python -m numbaconv --compile  # compiles all kernels ahead, for containers and CI; minutes the first time

The exit status is 0 if all layers agree with the reference and 1 otherwise; the last line says it in words.
"""

import faulthandler
import sys
from collections.abc import Sequence

from .selfcheck.report import run


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the report; return 0 if all layers agree with the reference, otherwise 1."""
    return run(__doc__.splitlines()[0], arguments)


if __name__ == "__main__":
    # A crash in compiled code says where, too.
    faulthandler.enable()
    sys.exit(main())
