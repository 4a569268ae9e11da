"""Begins a benchmark anew with fewer threads, or as on a processor without AVX-512: both have to be told beforehand."""

import argparse
import os
import re
import sys

import llvmlite.binding as llvm

_THREADS = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def without_avx512() -> dict[str, str]:
    """Settings that restrict Numba, oneDNN and PyTorch to AVX2; what else this processor has stays."""
    features = llvm.get_host_cpu_features().flatten()
    return {
        "NUMBA_CPU_NAME": "haswell",
        "NUMBA_CPU_FEATURES": re.sub(r"\+(avx512|avx10|amx)", r"-\1", features),
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "ATEN_CPU_CAPABILITY": "avx2",
    }


def add_option(parser: argparse.ArgumentParser) -> None:
    """Give a script the option ``--avx2``."""
    parser.add_argument("--avx2", action="store_true", help="restrict both sides to AVX2, as most processors have it")


def restart(avx2: bool, one_thread: bool = False) -> None:
    """Begin the script anew if these settings are not in force yet."""
    settings = (without_avx512() if avx2 else {}) | (dict.fromkeys(_THREADS, "1") if one_thread else {})
    if any(os.environ.get(name) != value for name, value in settings.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | settings)
