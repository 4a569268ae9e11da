"""How long small calls take when OpenMP's idle threads spin for so long, on a quiet machine and beside a busy process.

    python asv_bench/spinning.py            # prints a table, in microseconds a call
    python asv_bench/spinning.py --publish  # and writes it into docs/speed.md

Each number comes from a process of its own, since OpenMP reads its setting once, and all take turns. On Linux, root's
quiet processes go before all others, so that work going on elsewhere does not count.
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict

from paste import ROOT, publish

COUNTS = (0, 300, 1000, 2000, 3000, 5000, 30_000, 300_000)
# Seconds that a program does something else between two calls: next to nothing, or a small layer's work.
PAUSES = (0, 50e-6)
CALLS = 1000


def call_times() -> list[float]:
    """The median time of a small convolution in this process, and the mean, after each pause."""
    import numba
    import numpy as np

    from numbaconv import layers

    layer = layers.Conv2D(32, 3, padding="same")
    x = np.ones((1, 28, 28, 16), np.float32)
    layer(x)
    if numba.get_num_threads() == 1:
        raise RuntimeError("a single thread waits for nobody: measure where there are two cores or more")
    found = []
    for pause in PAUSES:
        times = []
        for _ in range(CALLS):
            begin = time.perf_counter()
            while time.perf_counter() - begin < pause:
                pass
            start = time.perf_counter()
            layer(x)
            times.append(time.perf_counter() - start)
        found += [statistics.median(times), statistics.fmean(times)]
    return found


def go_first() -> None:
    """Have this process, and the threads that it will start, run before all others, where that is allowed."""
    if hasattr(os, "sched_setscheduler"):
        with contextlib.suppress(PermissionError):
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


def work_for_ever() -> None:
    while True:
        pass


def measured(count: int, kind: str) -> list[float]:
    """What `call_times` returns in a process with this spin count that is "quiet" or has a "busy" one beside it."""
    other = multiprocessing.get_context("spawn").Process(target=work_for_ever, daemon=True)
    if kind == "busy":
        other.start()
    try:
        command = [sys.executable, __file__, "--one", kind]
        environment = {**os.environ, "GOMP_SPINCOUNT": str(count)}
        done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    finally:
        if kind == "busy":
            other.kill()
            other.join()
    return json.loads(done.stdout)


def table(rounds: dict[tuple[int, str], list[list[float]]]) -> str:
    """A row for each spin count: the median of all processes, and their quartiles."""
    head = [f"{kind}, {pause * 1e6:.0f} us apart" for kind in ("quiet", "busy") for pause in PAUSES]
    lines = [f"| `GOMP_SPINCOUNT` | {' | '.join(head)} |", f"|---{'|---:' * len(head)}|"]
    for count in COUNTS:
        cells = []
        for kind in ("quiet", "busy"):
            for place in range(0, 2 * len(PAUSES), 2):
                medians, means = ([1e6 * found[place + i] for found in rounds[count, kind]] for i in range(2))
                low, middle, high = statistics.quantiles(medians, n=4)
                cells.append(f"{middle:.0f} ({low:.0f} to {high:.0f}), mean\u00a0{statistics.median(means):.0f}")
        lines.append(f"| {count} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--publish", action="store_true", help="write the table into docs/speed.md")
    parser.add_argument("--one", choices=["quiet", "busy"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        if options.one == "quiet":
            go_first()
        print(json.dumps(call_times()))
        return
    rounds = defaultdict(list)
    for _ in range(options.rounds):
        for count in COUNTS:
            for kind in ("quiet", "busy"):
                rounds[count, kind].append(measured(count, kind))
    text = table(rounds)
    print(text)
    if options.publish:
        publish(text, "spinning", ROOT / "docs" / "speed.md")


if __name__ == "__main__":
    main()
