"""How far two measurements of the same code lie apart, and so from which ratio on a change counts.

    python asv_bench/noise.py               # one comparison of gate.py, a minute; best ten times, with pauses
    python asv_bench/noise.py --publish     # all comparisons so far, as a table in asv_bench/README.md

The installed numbaconv is measured twice, as if it were two commits, and `asv compare` judges between them by the rule
of `asv continuous`. Whatever it calls slower or faster is a false alarm. Comparisons gather in .asv/noise.jsonl.
"""

import argparse
import json
import platform
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numba

BENCH = Path(__file__).parent
RECORD = BENCH / ".asv" / "noise.jsonl"
FACTOR = 1.3
ROW = re.compile(r"^\| (.)\s*\|\s*(\S+)\s*\|\s*\S+\s*\|\s*~?([\d.]+)\s*\| \S+\('(.*)'\)", re.MULTILINE)


def asv(*arguments: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "asv", *arguments], cwd=BENCH, check=True, capture_output=True, text=True
    ).stdout


def compare() -> dict[str, tuple[str, str, float]]:
    """For each case asv's mark (blank where nothing has changed), the time, and the ratio of the two."""
    commits = subprocess.run(
        ["git", "rev-parse", "HEAD~1", "HEAD"], cwd=BENCH, check=True, capture_output=True, text=True
    ).stdout.split()
    settings = json.loads((BENCH / "asv.conf.json").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        # What is measured here is nobody's history.
        settings.update(repo=str(BENCH.parent), benchmark_dir=str(BENCH / "benchmarks"), results_dir=folder)
        config = Path(folder, "asv.conf.json")
        config.write_text(json.dumps(settings), encoding="utf-8")
        for commit in commits:
            chosen = ("--python=same", "--set-commit-hash", commit, "--bench", "^gate")
            asv("run", "--config", str(config), *chosen, "--record-samples")
        table = asv("compare", "--config", str(config), "--factor", str(FACTOR), *commits)
    found = {case: (mark, time, float(ratio)) for mark, time, ratio, case in ROW.findall(table)}
    if not found:
        raise ValueError(f"no case was compared:\n{table}")
    return found


def published(comparisons: list[dict[str, tuple[str, str, float]]]) -> str:
    """The table: of each case the time, the extreme ratios and the alarms."""
    marks = [mark for comparison in comparisons for mark, _, _ in comparison.values()]
    ratios = {case: [comparison[case][2] for comparison in comparisons] for case in comparisons[0]}
    extreme = max(max(r, 1 / r) for values in ratios.values() for r in values)
    cpu, threads = platform.machine(), numba.get_num_threads()
    lines = [
        f"The same code measured twice and compared, {len(comparisons)} times ({threads} threads, {cpu}, Python "
        f"{platform.python_version()}): {len(marks) - marks.count(' ')} false alarms in {len(marks)} judgements at a "
        f"factor of {FACTOR}. The two measurements differed by a factor of {extreme:.2f} at most.",
        "",
        "| case | time, first comparison | lowest ratio | median | highest |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for case, values in ratios.items():
        spread = f"{min(values):.2f} | {statistics.median(values):.2f} | {max(values):.2f}"
        lines.append(f"| {case} | {comparisons[0][case][1]} | {spread} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--publish", action="store_true", help="write the table of all comparisons so far")
    if parser.parse_args().publish:
        text = published([json.loads(line) for line in RECORD.read_text(encoding="utf-8").splitlines()])
        readme = BENCH / "README.md"
        begin, end = "<!-- noise: begin -->\n", "<!-- noise: end -->"
        before, rest = readme.read_text(encoding="utf-8").split(begin)
        readme.write_text(f"{before}{begin}{text}\n{end}{rest.split(end)[1]}", encoding="utf-8")
        return
    found = compare()
    RECORD.parent.mkdir(exist_ok=True)
    with RECORD.open("a", encoding="utf-8") as record:
        record.write(json.dumps(found) + "\n")
    for case, (mark, time, ratio) in found.items():
        print(f"{mark} {ratio:5.2f}  {time:>12}  {case}")


if __name__ == "__main__":
    main()
