"""Reading HDF5 files of unknown origin, in Python: the HDF5 library itself crashes, or hangs, on some damaged files."""

from .reader import Entry, Hdf5File

__all__ = ["Entry", "Hdf5File"]
