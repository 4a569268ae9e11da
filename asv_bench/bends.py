"""What bending Numba pays when a kernel is compiled: seconds of a core for a first convolution, without each bend.

    python asv_bench/bends.py

Each number comes from a process of its own that reads no machine code from disk. Other work on the machine matters
little, as only this process's time counts.
"""

import os
import subprocess
import sys

PROGRAM = """
import contextlib, time
import numpy as np
from numbaconv import functional
from numbaconv.machine import parts
{without}
x = np.ones((1, 10, 10, 12), np.float32)
for filters, algorithm in ((24, "direct"), (64, "winograd")):
    start = time.process_time()
    functional.conv(x, np.ones((3, 3, 12, filters), np.float32), algorithm=algorithm)
    print(f"{{time.process_time() - start:8.2f}}", end="")
"""
IMPORT = """
import time
import numpy
start = time.process_time()
import numba
print(f"{time.process_time() - start:8.2f}")
"""
# Name -> what takes the bend away.
BENDS = {
    "as it is": "",
    "collecting garbage": "parts.uncollected = contextlib.nullcontext",
    "optimization level 3": "parts.LEVEL = 3",
    "passes for each function": "parts._PASSES_ONCE = False",
    "all parts of references": "parts._References.get_meminfos = parts.NRTContext.get_meminfos",
    "each function for itself": "parts._HelperCompiler.in_parts = False",
}


def main() -> None:
    print(f"{'':26}{'direct':>8}{'Winograd':>10}")
    variables = os.environ | {"NUMBACONV_CACHE": "0", "NUMBACONV_NOTICE": "0", "NUMBA_NUM_THREADS": "1"}
    for name, without in BENDS.items():
        print(f"{name:26}{_printed(PROGRAM.format(without=without), variables)}", flush=True)
    print(f"{'importing Numba':26}{_printed(IMPORT, variables)}", end="")


def _printed(code: str, variables: dict[str, str]) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=True
    ).stdout


if __name__ == "__main__":
    main()
