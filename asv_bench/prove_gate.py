"""Prove that `asv continuous` stops a slowdown and lets all else pass.

    python -m pip install -e ".[bench]"
    python asv_bench/prove_gate.py                  # all of gate.py, see README.md for how long
    python asv_bench/prove_gate.py --quick          # two cases in two rounds, for a machine that does other work too

In a clone of the last commit, `asv continuous HEAD~1 HEAD` has to exit with 0 after a commit that changes a comment of
a kernel, and with 1 after one that has the kernel of convolutions do its work several times: naming each case that
runs through that kernel, and none of the others. Ends with an AssertionError where it does not.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
KERNEL = Path("numbaconv", "kernels", "conv.py")
WORK = re.compile(r"^        _conv_task\(np\.int64\(task\).*\)\n", re.MULTILINE)
# Cases of gate.py that run through the kernel, and those that do for a part of their time.
SLOWED = {"conv, direct", "conv, 1x1"}
DOUBTFUL = {"conv_transpose", "fit"}
# On a machine that is shared, a comparison may call slower what is not.
TRIES = 3


def run(*command: str, cwd: Path) -> tuple[int, str]:
    """Exit code and output of a command, which is shown as it comes."""
    print("$", *command, flush=True)
    lines = []
    with subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for line in process.stdout:
            print("   ", line, end="", flush=True)
            lines.append(line)
    return process.returncode, "".join(lines)


def git(clone: Path, *arguments: str) -> None:
    command = ["git", "-c", "user.name=proof", "-c", "user.email=proof@localhost", *arguments]
    subprocess.run(command, cwd=clone, check=True)


def commit(clone: Path, text: str, message: str) -> None:
    (clone / KERNEL).write_text(text, encoding="utf-8")
    git(clone, "commit", "--quiet", "--all", f"--message={message}")


def worsened(output: str) -> set[str]:
    """The cases that asv's table marks as slower."""
    return set(re.findall(r"^\| \+ .*time_call\('(.*?)'\)", output, re.MULTILINE))


def continuous(clone: Path, factor: float, bench: str, *more: str) -> tuple[int, set[str]]:
    """Exit code of the gate between the last two commits, and what it calls slower."""
    start = time.perf_counter()
    arguments = ("continuous", "--factor", str(factor), "--bench", bench, "--show-stderr", *more, "HEAD~1", "HEAD")
    code, output = run(sys.executable, "-m", "asv", *arguments, cwd=clone / "asv_bench")
    print(f"exit code {code} after {time.perf_counter() - start:.0f} s; slower: {worsened(output) or 'none'}\n")
    return code, worsened(output)


def prove(clone: Path, factor: float, quick: bool, times: int) -> None:
    """The two commits and what the gate says of them; AssertionError where it is wrong."""
    source = (clone / KERNEL).read_text(encoding="utf-8")
    assert len(WORK.findall(source)) == 1, f"{KERNEL} no longer holds the line that is to be slowed down"
    bench = (r"^gate.*'(conv, direct|depthwise_conv)'", "--attribute", "rounds=2") if quick else ("^gate",)
    run(sys.executable, "-m", "asv", "machine", "--yes", cwd=clone / "asv_bench")

    commit(clone, f"{source}# Nothing has changed.\n", "A comment")
    found = [continuous(clone, factor, *bench)]
    while found[-1] != (0, set()):
        assert len(found) < TRIES, f"a comment passed for a slowdown: {found}"
        found.append(continuous(clone, factor, *bench))

    commit(clone, WORK.sub(lambda line: line[0] * times, source), f"Every convolution {times} times")
    wanted = SLOWED & {"conv, direct"} if quick else SLOWED
    for left in reversed(range(TRIES)):
        code, slower = continuous(clone, factor, *bench)
        assert code == 1 and wanted <= slower, f"the gate let a slowdown pass: {wanted}, found: {slower}"
        if slower <= wanted | DOUBTFUL:
            break
        assert left, f"slowed down: {wanted}, found: {slower}"
    print("proved: a comment passes, and a slowdown is found where it is and nowhere else")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--factor", type=float, default=1.3, help="ratio from which a change counts")
    parser.add_argument("--times", type=int, default=2, help="how often the slowed kernel does its work")
    parser.add_argument(
        "--quick", action="store_true", help="two cases, two rounds; the slowdown is large, and so is the factor"
    )
    options = parser.parse_args()
    factor, times = (2.0, 8) if options.quick else (options.factor, options.times)
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder, "numbaconv")
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        git(clone, "checkout", "--quiet", "-B", "main")
        prove(clone, factor, options.quick, times)


if __name__ == "__main__":
    main()
