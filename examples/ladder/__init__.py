"""One convolution eight times, each time faster; see `__main__` for the order."""

import os
import sys
from pathlib import Path

# A rung imports the others by their plain names, whether it is run as a file or as a module.
sys.path.insert(0, str(Path(__file__).parent))
# NumPy's library has threads that spin for 2**26 cycles after a product, while the next rung is timed.
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "20")
