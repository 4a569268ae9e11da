"""How a layer's time falls with the number of cores, beside PyTorch's, on a machine that has them.

    python asv_bench/cores.py --json cores.json            # 1, 2, 4 and so on to all cores
    python asv_bench/cores.py --json cores.json --publish  # the same, written into docs/benchmarks.md
    python asv_bench/cores.py --json cores.json --kept --publish  # writes what another machine found

`scaling.py` simulates more cores than there are, and leaves out what they share; this measures. All cases of `peers.py`
and `training_peers.py` are checked first. For each number of cores both sides take turns in one process.
"""

import argparse
import json
import platform
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numba
import peers
import torch
import training_peers
from paste import publish
from peer_cases import cases, training_cases
from peers import geometric_mean

Found = dict[str, dict[str, dict[str, tuple[float, float]]]]


def counts() -> list[int]:
    """1, 2, 4 and so on, and all cores."""
    every = numba.config.NUMBA_NUM_THREADS
    return sorted({2**i for i in range(every.bit_length())} | {every})


def processor() -> str:
    """What the processor calls itself."""
    told = Path("/proc/cpuinfo")
    named = re.search(r"model name\s*: (.*)", told.read_text()) if told.exists() else None
    return named[1] if named else platform.processor() or platform.machine()


def measured(rounds: int, only: str) -> Iterator[tuple[str, str, int, tuple[float, float]]]:
    """Of each case on each number of cores: what it is part of, its name, the cores, our seconds and PyTorch's."""
    measure: dict[str, tuple[Callable[..., Any], list[Any]]] = {
        "forward": (lambda case: peers.measure(case, rounds, 1.0), cases()),
        "forward and backward": (lambda case: training_peers.measure(case, rounds), training_cases()),
    }
    for part, (of, those) in measure.items():
        for case in those:
            if only not in f"{case.group} {case.name}":
                continue
            for count in counts():
                numba.set_num_threads(count)
                torch.set_num_threads(count)
                with torch.inference_mode(part == "forward"):
                    found = of(case)
                yield part, case.name, count, (found.ours, found.peer)


def table(found: Found, machine: str) -> str:
    """Ratios and efficiencies as Markdown: a row for each part and number of cores."""
    lines = [
        f"Measured on {machine}, layers of the tables above. Efficiency is the time of one core divided by cores times "
        "the time that they take together, the geometric mean of all layers.",
        "",
        "| | cores | time / PyTorch's | best | worst | efficiency | PyTorch's |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for part, every in found.items():
        numbers = list(next(iter(every.values())))
        # A run that was broken off leaves its last case incomplete.
        those = {name: of for name, of in every.items() if list(of) == numbers}
        for count in numbers:
            ratios = {name: of[count][0] / of[count][1] for name, of in those.items()}
            ours, theirs = (
                geometric_mean([of["1"][side] / (int(count) * of[count][side]) for of in those.values()])
                for side in (0, 1)
            )
            lines.append(
                f"| {part} | {count} | {geometric_mean(list(ratios.values())):.2f} | {min(ratios.values()):.2f} "
                f"| {max(ratios.values()):.2f} ({max(ratios, key=ratios.__getitem__)}) | {ours:.2f} | {theirs:.2f} |"
            )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, required=True, help="where the times are kept")
    parser.add_argument("--kept", action="store_true", help="measure nothing, and tell what the file holds")
    parser.add_argument("--rounds", type=int, default=9, help="measurements of each call")
    parser.add_argument("--only", default="", help="cases whose group or name contains this")
    parser.add_argument("--publish", action="store_true", help="write the table into docs/benchmarks.md")
    options = parser.parse_args()
    if not options.kept:
        found: Found = {}
        machine = f"{processor()}, {numba.config.NUMBA_NUM_THREADS} cores, PyTorch {torch.__version__}"
        for part, name, count, times in measured(options.rounds, options.only):
            found.setdefault(part, {}).setdefault(name, {})[str(count)] = times
            ours, theirs = (1e3 * one for one in times)
            print(f"{name:42} {count:3} cores {ours / theirs:5.2f}  {ours:8.3f} ms", flush=True)
            options.json.write_text(json.dumps({"machine": machine, "times": found}, ensure_ascii=False, indent=1))
    kept = json.loads(options.json.read_text())
    text = table(kept["times"], kept["machine"])
    print(f"\n{text}")
    if options.publish:
        publish(text, "cores")


if __name__ == "__main__":
    main()
