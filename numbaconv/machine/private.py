"""What is lost where Numba or llvmlite no longer has a name that it never promised to keep.

All such names that this package uses stand in this folder, in modules that take them within ``lost_without``. Without
them everything still computes the same, with what Numba documents alone.
"""

import contextlib
import warnings
from collections.abc import Iterator

# What this process does without, in the order in which it was missed.
losses: list[str] = []


def lose(loss: str, error: Exception) -> None:
    """Go on without what `error` tells is missing, and warn of the first loss in this process."""
    if loss in losses:
        return
    losses.append(loss)
    if len(losses) == 1:
        import llvmlite
        import numba

        warnings.warn(
            f"This numbaconv does not know Numba {numba.__version__} with llvmlite {llvmlite.__version__} yet "
            f"({type(error).__name__}: {error}). Results are right, but {loss}. A newer numbaconv or an older Numba "
            "helps; python -m numbaconv lists all that is lost.",
            RuntimeWarning,
            stacklevel=2,
        )


@contextlib.contextmanager
def lost_without(loss: str) -> Iterator[None]:
    """Context in which private names are looked up or used; any error means that they are not what they were."""
    try:
        yield
    except Exception as error:
        lose(loss, error)
