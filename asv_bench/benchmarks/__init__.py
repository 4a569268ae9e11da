"""Benchmarks of numbaconv for airspeed velocity.

asv forks each from a server that has imported them all. Importing them must run no kernel: in a process forked after
one, kernels have a single thread.
"""

import numba
import numpy as np

# Numba sets itself up at its first call: here once, in the server, where each fork would take a third of a second.
numba.njit(lambda: None)()


def random(*shape: int, dtype: str = "float32") -> np.ndarray:
    """The same normal values for the same shape, in every process and for every commit."""
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)
