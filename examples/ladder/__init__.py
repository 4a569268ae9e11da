"""One convolution seven times, each time faster; see `__main__` for the order."""

import sys
from pathlib import Path

# A rung imports the others by their plain names, whether it is run as a file or as a module.
sys.path.insert(0, str(Path(__file__).parent))
