"""The report of ``python -m numbaconv``."""

import os
import platform
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from ..objects.version import __version__
from . import environment

# Seconds after which a layer is worth a line on how the check is getting on.
SLOW = 2.0


class Report:
    """Lines of a table, and what there is to say in the end."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.remarks: list[str] = []

    def line(self, name: str, value: Any) -> None:
        # At once, so that a crash leaves what was known before.
        print(f"{name:18}{value}", flush=True)

    def verdict(self) -> str:
        """One line."""
        if self.faults:
            more = f" (and {len(self.faults) - 1} more, above)" if len(self.faults) > 1 else ""
            return " ".join(f"Something is wrong: {self.faults[0]}{more}".split())
        but = f" But {'; '.join(self.remarks)}." if self.remarks else ""
        return f"This machine is fine: all layers agree with the reference.{but}"


def _describe_installation(report: Report) -> None:
    report.line("numbaconv", f"{__version__} in {Path(__file__).parents[1]}")
    report.line("Python", environment.python())
    for name, package in (("NumPy", "numpy"), ("Numba", "numba"), ("llvmlite", "llvmlite")):
        report.line(name, environment.version(package))
    report.line("system", platform.platform())
    report.line("processor", environment.processor())
    report.line("cores", environment.cores())
    report.line("environment", ", ".join(environment.variables()) or "nothing set that matters")


def _describe_config(report: Report) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        from .. import config
    for name in ("floatx", "epsilon", "image_data_format"):
        report.line(name, getattr(config, name)())
    for warning in caught:
        report.line("warning", warning.message)


def _folders() -> list[Path] | None:
    """Where kernels may be kept; None where the cache is switched off."""
    from ..kernels import conv
    from ..machine import cache

    return cache.folders(conv.conv.dispatcher)


def _kept_in() -> Path | None:
    return next(filter(environment.is_writable, _folders() or []), None)


def _describe_kernels(report: Report) -> None:
    import numba
    from llvmlite import binding

    from ..machine import vectors
    from ..machine.private import losses

    report.remarks += losses
    report.line("LLVM's processor", _numba_config().CPU_NAME or binding.get_host_cpu_name())
    report.line("vectors", f"{vectors.VECTOR_BYTES} bytes, tile of {vectors.TILE_ROWS} x {vectors.TILE_VECS}")
    threads = numba.get_num_threads()
    layer = numba.threading_layer()
    report.line("threads", f"{threads} of {layer}")
    if threads == 1:
        report.remarks.append("only one thread is used")
    if layer == "workqueue":
        report.remarks.append(
            "Numba's threading layer is workqueue, not OpenMP or tbb: calls that come while another one runs compute "
            "in one thread"
        )
    folders, folder = _folders(), _kept_in()
    if folders is None:
        report.line("kernel cache", "switched off")
    elif folder is None:
        report.line("kernel cache", f"{folders[0]}, not writable")
        report.remarks.append("every process compiles the kernels anew, as no folder to keep them in is writable")
    else:
        report.line("kernel cache", f"{folder}, writable, {environment.contents(folder)}")


def _measure_peak(report: Report) -> None:
    from ..machine.peak import peak_flops

    report.line("peak", f"{peak_flops() / 1e9:.0f} GFLOP/s in float32")


def _check_layers(report: Report) -> None:
    from .layers import check_layers

    note = "Checking all layers. Kernels that the cache lacks are compiled: all of them take a minute or two."
    print(note, file=sys.stderr, flush=True)
    start = before = time.perf_counter()
    count = 0
    for name, faults in check_layers():
        count += 1
        for fault in faults:
            report.line("fault", fault)
        report.faults += faults
        now = time.perf_counter()
        if now - before > SLOW:
            print(f"{name}: {now - before:.0f} s, most of them compiling", file=sys.stderr, flush=True)
        before = now
    report.line("self-check", f"{count} layers, float32 and float64, {before - start:.0f} s")


def _compile_kernels(report: Report) -> None:
    from . import ahead
    from .layers import call_rare_kernels

    folder = _kept_in()
    if folder is None:
        raise RuntimeError(
            "compiled kernels cannot be kept: set NUMBA_CACHE_DIR to a folder that can be written, and not "
            "NUMBACONV_CACHE=0"
        )
    os.environ["NUMBACONV_NOTICE"] = "0"
    start = time.perf_counter()
    ahead.call_by_numba()
    # These call every kernel with each set of argument types that layers have for it.
    _check_layers(report)
    call_rare_kernels()
    compiled, found = ahead.counts()
    report.line("compiled", f"{compiled} kernels in {time.perf_counter() - start:.0f} s; {found} were there")
    report.line("kernel cache", f"{folder}, {environment.contents(folder)}")


def _numba_config() -> Any:
    import numba

    return numba.config


def run(quick: bool = False, ahead: bool = False) -> int:
    """Print the report; return 0 if all layers agree with the reference, otherwise 1.

    ``quick`` leaves out the peak, and ``ahead`` compiles all kernels and keeps them on disk.
    """
    report = Report()
    _describe_installation(report)
    if ahead:
        steps = [_compile_kernels]
    else:
        steps = [_describe_config, _describe_kernels, *([] if quick else [_measure_peak]), _check_layers]
    try:
        if _numba_config().DISABLE_JIT:
            raise RuntimeError("NUMBA_DISABLE_JIT is set, and the kernels exist in compiled code only")
        for step in steps:
            step(report)
    # Whatever is broken: this program is there to tell.
    except Exception as error:
        kind = "" if type(error) is RuntimeError else f"{type(error).__name__}: "
        report.faults.append(f"{kind}{error}")
    print(report.verdict())
    return 1 if report.faults else 0
