"""What a report about this package should say of the machine and of what is installed on it."""

import os
import platform
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

# Variables that change what is computed, how fast, or where it is kept.
PREFIXES = ("NUMBA_", "NUMBACONV_", "OMP_", "GOMP_", "KMP_", "KERAS_HOME")


def version(package: str) -> str:
    """The installed version, which can be told even where the package can't be imported."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def python() -> str:
    return f"{platform.python_version()} ({platform.python_implementation()}, {platform.python_compiler()})"


def processor() -> str:
    """The model's name as the operating system gives it."""
    if sys.platform == "darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        try:
            name = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
        except OSError:
            # Not on the path, or not for everybody.
            name = platform.processor()
    else:
        name = next((value for key, value in _cpuinfo() if key == "model name"), platform.processor())
    return name or f"unknown ({platform.machine()})"


def cores() -> str:
    """Physical and logical ones, and those that the process may run on."""
    parts = [f"{os.cpu_count()} logical"]
    rows = _cpuinfo()
    sockets = [value for key, value in rows if key == "physical id"]
    ids = [value for key, value in rows if key == "core id"]
    if ids:
        parts.insert(0, f"{len(set(zip(sockets, ids, strict=False)))} physical")
    if hasattr(os, "sched_getaffinity"):
        parts.append(f"{len(os.sched_getaffinity(0))} for this process")
    return ", ".join(parts)


def _cpuinfo() -> list[tuple[str, str]]:
    """Linux's table of processors; empty elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    pairs = (line.partition(":") for line in lines)
    return [(key.strip(), value.strip()) for key, _, value in pairs]


def variables() -> list[str]:
    """The environment variables that matter, in alphabetical order."""
    return [f"{name}={value}" for name, value in sorted(os.environ.items()) if name.startswith(PREFIXES)]


def is_writable(folder: Path) -> bool:
    """Whether files can be made in a folder, which is made if need be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def contents(folder: Path) -> str:
    """Number and size of the files in a folder."""
    sizes = [path.stat().st_size for path in folder.glob("*") if path.is_file()]
    return f"{len(sizes)} files, {sum(sizes) / 1e6:.1f} MB"
