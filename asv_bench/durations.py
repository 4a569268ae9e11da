"""How long the commands of asv_bench/README.md take, on a machine that does nothing else.

    python asv_bench/durations.py                  # runs all of them, a quarter of an hour
    python asv_bench/durations.py --only quick     # those with such a word in them
    python asv_bench/durations.py --publish        # and writes the table, if all have been timed

What was found gathers in .asv/durations.json. Environments that are there already are used again: making one takes a
minute more, the first time.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

from paste import publish

BENCH = Path(__file__).parent
RECORD = BENCH / ".asv" / "durations.json"
GATE = '--bench "^gate"'
# What for, the command, the one that is timed for it, and what the time counts for, or is.
ROWS = [
    ("measure one commit", "asv run HEAD^!", "asv run HEAD^!", ""),
    (
        "measure those that have not been, of a range",
        "asv run --skip-existing-commits main~20..main",
        "asv run HEAD^!",
        ", for each",
    ),
    (
        "measure eight spread over the history, less of each",
        f"asv run --steps 8 {GATE} main~80..main",
        f"asv run {GATE} HEAD^!",
        ", for each",
    ),
    (
        "find out whether a branch made something slower",
        f"asv continuous --factor 1.3 {GATE} main HEAD",
        f"asv continuous --factor 1.3 {GATE} HEAD~1 HEAD",
        "",
    ),
    ("the same with every benchmark", "asv continuous --factor 1.3 HEAD~1 HEAD", "", "twice a full run"),
    ("compare two commits that have been measured", "asv compare --factor 1.3 main HEAD", "", ""),
    ("find the commit that made a case slower", 'asv find --bench "^gate.*depthwise" main~20..main', "", ""),
    ("see the history as pages", "python publish.py", "", "then open `.asv/html/index.html`"),
    ("prove that the gate works, see below", "python prove_gate.py", "python prove_gate.py", ""),
    ("prove it beside other work", "python prove_gate.py --quick", "python prove_gate.py --quick", ""),
    (
        "see that the benchmarks work, on what is installed",
        "asv run --quick --python=same --show-stderr",
        "asv run --quick --python=same --show-stderr",
        "",
    ),
]


def timed(command: str) -> float:
    """Seconds that a command takes."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    start = time.perf_counter()
    done = subprocess.run(["bash", "-c", command], cwd=BENCH, env={**os.environ, "PATH": path}, check=False)
    # 1 means that something is slower, for those that compare; for others, that they have not run.
    if done.returncode > command.startswith("asv continuous"):
        raise SystemExit(f"{command} has failed: {done.returncode}")
    return time.perf_counter() - start


def spoken(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} minutes"


def table(found: dict[str, float]) -> str:
    system = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    lines = [f"| to | run in `asv_bench/` | takes ({system}) |", "| --- | --- | --- |"]
    for purpose, command, what, note in ROWS:
        taken = f"{spoken(found[what])}{note}" if what in found else "" if what else note
        lines.append(f"| {purpose} | `{command}` | {taken} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default="", metavar="WORD", help="commands with this word in them")
    parser.add_argument("--publish", action="store_true", help="write the table into asv_bench/README.md")
    options = parser.parse_args()
    found = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}
    commands = [what for what in dict.fromkeys(row[2] for row in ROWS) if what]
    # asv asks for what it knows of a machine, at a terminal, where it knows nothing.
    timed("asv machine --yes")
    for what in commands:
        if options.only in what:
            found[what] = timed(what)
            RECORD.parent.mkdir(exist_ok=True)
            RECORD.write_text(json.dumps(found), encoding="utf-8")
            print(f"{spoken(found[what]):>10}  {what}")
    if options.publish:
        if missing := [what for what in commands if what not in found]:
            raise SystemExit(f"not timed yet, so the table stays as it is: {', '.join(missing)}")
        publish(table(found), "durations", BENCH / "README.md")


if __name__ == "__main__":
    main()
