"""Compare whole networks with ONNX Runtime, OpenVINO, Keras on TensorFlow, and torchvision.

    python -m pip install -e ".[peers,examples]"
    python asv_bench/networks.py                 # prints the table
    python asv_bench/networks.py --publish       # and writes it into docs/benchmarks.md and, in short, the README
    python asv_bench/networks.py --profile ResNet50

Each runtime has a process of its own, whose result is compared with that of Keras. Then they take turns, each with a
block of calls. Meanwhile the others are stopped, so that no thread of theirs spins. With one thread the clock is
processor time.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from networks_made import NETWORKS, OWN
from networks_report import Measured, load, report, write
from networks_runtimes import RUNTIMES, TORCHVISION
from own_cores import cores

HERE = Path(__file__).parent
# How far a result may be from that of Keras, in parts of the largest output. InceptionV3 enlarges what is rounded.
LIMIT = 5e-4
PACKAGES = {"ONNX Runtime": "onnxruntime", "OpenVINO": "openvino", "Keras, TensorFlow": "tensorflow"}
CONVERTED = "ONNX Runtime", "OpenVINO"


class Worker:
    """The process of a runtime; stopped but for when it is asked for something."""

    def __init__(self, runtime: str, name: str, folder: Path, batch: int, threads: int) -> None:
        count = str(threads)
        names = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        settings = {"PYTHONWARNINGS": "ignore", "TF_CPP_MIN_LOG_LEVEL": "3", **dict.fromkeys(names, count)}
        # What is installed has its bytecode.
        settings["PYTHONDONTWRITEBYTECODE"] = ""
        command = [sys.executable, HERE / "networks_runtimes.py", runtime, name, folder, str(batch), count]
        start = time.perf_counter()
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | settings, text=True
        )
        self.begun = self._answer()
        # What the interpreter itself takes is part of it.
        self.begun["seconds"]["all"] = time.perf_counter() - start
        result = Path(self.begun["result"])
        self.result = np.load(result)
        result.unlink()
        self.process.send_signal(signal.SIGSTOP)

    def block(self, seconds: float) -> Any:
        """Run the network for so long; the times of its calls and the memory of the process."""
        assert self.process.stdin is not None
        self.process.send_signal(signal.SIGCONT)
        print(seconds, file=self.process.stdin, flush=True)
        found = self._answer()
        self.process.send_signal(signal.SIGSTOP)
        return found

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args} ended with {self.process.wait()}")
        return json.loads(line)


@contextmanager
def started(*arguments: Any) -> Iterator[Worker]:
    worker = Worker(*arguments)
    try:
        yield worker
    finally:
        worker.close()


def has(runtime: str, name: str) -> bool:
    """Whether the runtime is installed and knows the network."""
    if runtime == "torchvision" and name not in TORCHVISION:
        return False
    return find_spec(PACKAGES.get(runtime, runtime)) is not None


def files(name: str, folder: Path) -> tuple[Path, float | None]:
    """The folder of a network, with its files, and how many seconds it took to convert it, imports included."""
    here = folder / name
    here.mkdir(parents=True, exist_ok=True)
    script = [sys.executable, HERE / "networks_made.py"]
    if not (here / "expected.npy").exists():
        subprocess.run([*script, "make", name, here], check=True)
    told = here / "converted.json"
    if not told.exists() and any(has(runtime, name) for runtime in CONVERTED):
        start = time.perf_counter()
        subprocess.run([*script, "convert", here], check=True)
        told.write_text(json.dumps(time.perf_counter() - start))
    return here, json.loads(told.read_text()) if told.exists() else None


def check(worker: Worker, runtime: str, expected: np.ndarray) -> float | None:
    """How far a result is from that of Keras, in parts of the largest; torchvision's weights are others."""
    if runtime == "torchvision":
        return None
    error = float(np.abs(worker.result - expected).max() / np.abs(expected).max())
    if worker.result.shape != expected.shape or not error < LIMIT:
        raise AssertionError(f"{runtime}: {worker.result.shape}, wrong by {error:.1e} of the largest output")
    return error


def measure(name: str, batch: int, runtimes: list[str], options: argparse.Namespace) -> list[Measured]:
    """All runtimes on a network: their results, their beginnings, and their times in turn."""
    folder, converting = files(name, options.folder)
    expected = np.load(folder / "expected.npy")[:batch]
    with ExitStack() as stack:
        workers, errors = {}, {}
        for runtime in runtimes:
            arguments = (runtime, name, folder, batch, options.threads)
            if not options.quick and (batch == options.batch[0] or runtime == "numbaconv"):
                # Kernels are compiled, and files read from the disk, before a beginning is timed.
                with started(*arguments):
                    pass
            workers[runtime] = stack.enter_context(started(*arguments))
            errors[runtime] = check(workers[runtime], runtime, expected)
        blocks: dict[str, list[Any]] = {runtime: [] for runtime in runtimes}
        for turn in range(options.rounds):
            for i in range(len(runtimes)):
                runtime = runtimes[(turn + i) % len(runtimes)]
                block = partial(workers[runtime].block, options.seconds)
                blocks[runtime].append(block() if options.threads == 1 else cores().measure(block))
    return [
        Measured(
            network=name,
            batch=batch,
            runtime=runtime,
            threads=options.threads,
            blocks=[statistics.median(block["times"]) for block in blocks[runtime]],
            error=errors[runtime],
            memory=blocks[runtime][-1]["memory"],
            imported=worker.begun["imported"],
            seconds=worker.begun["seconds"],
            converting=converting if runtime in CONVERTED else 0.0 if runtime != "torchvision" else None,
        )
        for runtime, worker in workers.items()
    ]


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", choices=[*NETWORKS, *OWN], default=list(NETWORKS), metavar="NETWORK")
    parser.add_argument("--batch", nargs="+", type=int, choices=range(1, 9), default=[1, 8], metavar="EXAMPLES")
    parser.add_argument("--runtimes", nargs="+", choices=list(RUNTIMES), default=list(RUNTIMES), metavar="RUNTIME")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="default: all cores")
    parser.add_argument("--rounds", type=int, default=11, help="blocks of each runtime")
    parser.add_argument("--seconds", type=float, default=0.3, help="of a block, at least three calls")
    parser.add_argument("--quick", action="store_true", help="one short block of each")
    parser.add_argument("--folder", type=Path, default=HERE / ".asv" / "networks", help="where networks are kept")
    parser.add_argument("--json", type=Path, help="default: named after the time, in the folder; with --kept the last")
    parser.add_argument("--kept", action="store_true", help="measure nothing, and tell what the file of --json holds")
    parser.add_argument("--publish", action="store_true", help="write the table and the chart into the pages")
    parser.add_argument("--profile", choices=[*NETWORKS, *OWN], metavar="NETWORK", help="tell where its time goes")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 1, 0.01
    options.folder = options.folder.absolute()
    if options.json is None:
        kept = sorted(options.folder.glob("results-*.json"))
        if options.kept and not kept:
            parser.error(f"no results are kept in {options.folder}")
        new = options.folder / f"results-{time.strftime('%Y%m%d-%H%M%S')}.json"
        options.json = kept[-1] if options.kept else new
    return options


def main() -> None:
    options = parsed()
    if options.profile:
        folder, _ = files(options.profile, options.folder)
        command = [
            sys.executable,
            HERE / "networks_profile.py",
            "both",
            folder,
            str(options.batch[0]),
            str(options.threads),
        ]
        raise SystemExit(subprocess.run(command).returncode)
    found: list[Measured] = load(options.json) if options.kept else []
    for name in [] if options.kept else options.networks:
        runtimes = [runtime for runtime in options.runtimes if has(runtime, name)]
        for batch in options.batch:
            found += measure(name, batch, runtimes, options)
            new = found[-len(runtimes) :]
            print(f"{name}, batch {batch}: " + ", ".join(f"{m.runtime} {m.time * 1e3:.1f} ms" for m in new), flush=True)
            options.json.parent.mkdir(parents=True, exist_ok=True)
            options.json.write_text(json.dumps([m._asdict() for m in found], indent=1))
    print(f"\n{report(found)}")
    if not options.kept:
        print(f"\n{cores().told()}")
    if options.publish:
        write(found)


if __name__ == "__main__":
    main()
