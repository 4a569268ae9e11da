"""Random calls from threads and processes, each compared with the reference; some are repeated, bit for bit.

    python tests/support/soak.py --seconds 3600     # new calls every time
    python tests/support/soak.py --replay SEED      # the call of a failure, in this process alone

Rounds of some seconds follow each other: the main process, a forked one and a spawned one, with threads in each, that
work at the same time. It ends at the first failure, which is printed with its seed.
"""

import argparse
import functools
import hashlib
import multiprocessing
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import backward
import cases
import numpy as np
import pooling_cases

from numbaconv import functional

Arrays = dict[str, np.ndarray]

# Of the largest |output|, with Winograd's convolution among them.
TOLERANCE = {"float32": 2e-5, "float64": 1e-11}
# Of so few outputs the terms may all but cancel: errors are then compared with the sums of |terms|, which are rounded.
FEW = 100
# Every second call is one of so many that all threads and processes come back to.
COMMON = 500
ROUND_SECONDS = 20
# What a process may take, beyond its time, to finish the calls that it is in: they may have to be compiled.
GRACE_SECONDS = 300


class Example(NamedTuple):
    """A call: what, in which precision and format, and by which way."""

    case: cases.Case
    dtype: str
    data_format: str
    by_layer: bool
    with_gradients: bool


def draw(seed: int) -> Example:
    """The example of a seed."""
    rng = np.random.default_rng(seed)
    while True:
        case = _draw_case(rng, f"soak {seed}")
        try:
            (_pool_shape if case.operation == "pool" else cases.output_shape)(case)
        except ValueError:
            continue
        dtype, data_format = str(rng.choice(["float32", "float64"])), str(rng.choice(cases.FORMATS))
        return Example(case, dtype, data_format, _has_layer(case, data_format), rng.random() < 0.25)


def _has_layer(case: cases.Case, data_format: str) -> bool:
    if case.operation == "pool" or cases.layer_class(case) is None:
        return False
    if case.operation == "conv_transpose" and case.rank == 3:
        return "dilation_rate" not in case.settings
    return case.has_weights or case.rank > 1 or data_format == "channels_last"


def _draw_case(rng: np.random.Generator, name: str) -> cases.Case:
    def sizes(low: int, high: int) -> tuple[int, ...]:
        return tuple(int(n) for n in rng.integers(low, high, rank, endpoint=True))

    operations = ["conv"] * 4 + ["depthwise_conv", "separable_conv", "conv_transpose", "conv_transpose", "pool"]
    operation = str(rng.choice([*operations, "crop", "zero_pad", "upsample"]))
    rank = int(rng.integers(1, 4))
    # Mostly small, but now and then with work for all cores and enough of it for Winograd's.
    large = rng.random() < 0.25
    lengths = sizes(1, {1: 500, 2: 24, 3: 9}[rank] if large else 9)
    channels = int(rng.integers(1, 40 if large else 6))
    shape = (int(rng.integers(0, 4)), *lengths, channels)
    settings: dict[str, Any] = {}
    if operation == "crop":
        settings["cropping"] = tuple((int(a), int(b)) for a, b in rng.integers(0, 3, (rank, 2)))
    elif operation == "zero_pad":
        settings["padding"] = tuple((int(a), int(b)) for a, b in rng.integers(0, 4, (rank, 2)))
    elif operation == "upsample":
        settings["size"] = sizes(1, 3)
        if rank == 2:
            settings["interpolation"] = str(rng.choice(["nearest", "bilinear", "bicubic", "lanczos3"]))
    elif operation == "pool":
        settings = {"pool_size": sizes(1, 4), "strides": sizes(1, 3), "padding": str(rng.choice(["valid", "same"]))}
    else:
        settings["padding"] = str(rng.choice(["valid", "same"]))
        # Strides or dilation, mostly neither: Winograd's kernels of 3 and 5 taps want none.
        if rng.random() < 0.5:
            settings[str(rng.choice(["strides", "dilation_rate"]))] = sizes(1, 3)
        taps = (int(rng.choice([1, 3, 5])),) * rank if rng.random() < 0.5 else sizes(1, 4)
        filters, multiplier = int(rng.integers(1, 40 if large else 6)), int(rng.integers(1, 4))
        return cases.Case(name, operation, shape, taps, filters, multiplier, settings)
    return cases.Case(name, operation, shape, settings=settings)


def _pool_shape(case: cases.Case) -> Any:
    return pooling_cases.operands(case)[1].shape


@functools.lru_cache(maxsize=64)
def _shared_layer(seed: int) -> Any:
    """One layer for all threads that come to this seed at about the same time, built by the first call."""
    case, dtype, data_format, *_ = draw(seed)
    return cases.make_layer(case, data_format, dtype=dtype)


def results(seed: int) -> list[np.ndarray]:
    """The results of a seed's call, after they have been compared with the reference."""
    example = draw(seed)
    pooled = example.case.operation == "pool"
    found = _pooled(example) if pooled else _computed(example, seed)
    wanted = _wanted(example)
    for out in found.values():
        if out.dtype != example.dtype:
            raise AssertionError(f"{out.dtype} instead of {example.dtype}")
    for name, out in found.items():
        _compare(example, name, out, wanted[name])
    return list(found.values())


def _compare(example: Example, name: str, out: np.ndarray, wanted: np.ndarray) -> None:
    try:
        cases.assert_close(out, wanted, TOLERANCE[example.dtype])
    except AssertionError:
        if out.size >= FEW:
            raise
        cases.assert_close(out, wanted, TOLERANCE[example.dtype], _wanted(example, np.abs)[name].max())


def _operands(example: Example) -> tuple[list[np.ndarray], np.ndarray]:
    """Input and weights of a call in float64, channels last, and a gradient of its result."""
    shape = cases.output_shape(example.case)
    return cases.operands(example.case), np.random.default_rng(1).standard_normal(shape, np.float32).astype(float)


def _wanted(example: Example, change: Callable = np.asarray) -> Arrays:
    """What the reference makes of the operands, or of what ``change`` makes of them."""
    case, _, data_format, _, with_gradients = example
    if case.operation == "pool":
        x, grad = map(change, pooling_cases.operands(case, example.dtype))
        operands = {"out": (x,), "x": (x, grad)} if with_gradients else {"out": (x,)}
        return {
            name: cases.to_format(pooling_cases.expected(_kind(case), case, *arrays), data_format)
            for name, arrays in operands.items()
        }
    arrays, grad = _operands(example)
    arrays, grad = [change(a) for a in arrays], change(grad)
    wanted = {"out": cases.to_format(cases.reference_result(case, arrays), data_format)}
    if with_gradients:
        grads = cases.reference_gradients(case, arrays, grad)
        grads["x"] = cases.to_format(grads["x"], data_format)
        wanted |= grads
    return wanted


def _computed(example: Example, seed: int) -> Arrays:
    case, dtype, data_format, by_layer, with_gradients = example
    plain, grad = _operands(example)
    arrays = [a.astype(dtype) for a in plain]
    arrays[0] = cases.to_format(arrays[0], data_format)
    found = {"out": _shared_layer(seed)(arrays[0]) if by_layer else cases.run(case, arrays, data_format)}
    if with_gradients:
        given = cases.to_format(grad.astype(dtype), data_format)
        found |= backward.gradients(case, arrays, given, data_format)
    return found


def _kind(case: cases.Case) -> str:
    return "max" if len(case.name) % 2 else "average"


def _pooled(example: Example) -> Arrays:
    case, dtype, data_format, _, with_gradients = example
    x, grad = (cases.to_format(a, data_format) for a in pooling_cases.operands(case, dtype))
    found = {"out": pooling_cases.run(_kind(case), case, x, data_format)}
    if with_gradients:
        found["x"] = pooling_cases.run_grad(_kind(case), case, x, grad, data_format)
    return found


class Outcome(NamedTuple):
    """What one process came to: calls, digests of the common ones, and its failures."""

    calls: int
    digests: dict[int, str]
    failures: list[str]


def work(base: int, stream: int, until: float, threads: int) -> Outcome:
    """Make calls from so many threads until a time."""
    digests: dict[int, str] = {}
    failures: list[str] = []
    counts = [0] * threads

    def run(thread: int) -> None:
        rng = np.random.default_rng([base, stream, thread])
        # Each thread begins the common calls together with the others, at another place in another round.
        common = stream // 3 * 37
        while time.time() < until and not failures:
            if counts[thread] % 2:
                seed = base + COMMON + int(rng.integers(2**40))
            else:
                seed, common = base + common % COMMON, common + 1
            try:
                digest = hashlib.sha256(b"".join(a.tobytes() for a in results(seed))).hexdigest()
                if seed < base + COMMON and digests.setdefault(seed, digest) != digest:
                    raise AssertionError("other bits than before")
            except Exception as error:
                failures.append(f"seed {seed}: {type(error).__name__}: {error}")
            counts[thread] += 1

    workers = [threading.Thread(target=run, args=(i,)) for i in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return Outcome(sum(counts), digests, failures)


def _work_elsewhere(connection: Any, *arguments: Any) -> None:
    connection.send(work(*arguments))
    connection.close()


def play_round(base: int, number: int, seconds: float, threads: int, starts: list[str]) -> list[Outcome]:
    """The main process and others at the same time."""
    # No thread of Python runs here yet: those would make any fork a gamble, whatever the package does.
    stream, children = 3 * number, []
    until = time.time() + seconds
    for i, start in enumerate(starts, 1):
        context: Any = multiprocessing.get_context(start)
        ours, theirs = context.Pipe(duplex=False)
        child = context.Process(target=_work_elsewhere, args=(theirs, base, stream + i, until, threads), daemon=True)
        child.start()
        theirs.close()
        children.append((start, child, ours))
    return [work(base, stream, until, threads), *(_outcome(*child) for child in children)]


def _outcome(start: str, child: Any, connection: Any) -> Outcome:
    """What a process sends, once it has ended."""
    try:
        if connection.poll(GRACE_SECONDS):
            return connection.recv()
        child.kill()
        return Outcome(0, {}, [f"a process started by {start} hangs"])
    except EOFError:
        child.join(GRACE_SECONDS)
        return Outcome(0, {}, [f"a process started by {start} died with {child.exitcode}"])
    finally:
        child.join(GRACE_SECONDS)


def soak(seconds: float, base: int, threads: int, starts: list[str]) -> tuple[int, list[str]]:
    """Rounds for so long: the number of calls, and the failures that ended them."""
    until, number, calls = time.time() + seconds, 0, 0
    known: dict[int, str] = {}
    # Forks shall come after a kernel ran on all cores.
    functional.conv(np.ones((2, 64, 64, 32), np.float32), np.ones((5, 3, 32, 32), np.float32))
    while (left := until - time.time()) > 0:
        outcomes = play_round(base, number, min(left, ROUND_SECONDS), threads, starts)
        calls += sum(outcome.calls for outcome in outcomes)
        failures = [failure for outcome in outcomes for failure in outcome.failures]
        for outcome in outcomes:
            for seed, digest in outcome.digests.items():
                if known.setdefault(seed, digest) != digest:
                    failures.append(f"seed {seed}: other bits than in another process")
        if failures:
            return calls, failures
        number += 1
    return calls, []


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--base", type=int, help="first seed; by default another one in every run")
    parser.add_argument("--threads", type=int, default=3, help="threads of each process")
    parser.add_argument("--start", nargs="*", default=["fork", "spawn"], help="how the other processes start")
    parser.add_argument("--replay", type=int, metavar="SEED", help="make the call of this seed alone")
    options = parser.parse_args()
    if options.replay is not None:
        print(draw(options.replay))
        results(options.replay)
        return 0
    base = time.time_ns() // 2**20 * 2**10 if options.base is None else options.base
    calls, failures = soak(options.seconds, base, options.threads, options.start)
    for failure in failures:
        print(failure)
    print(f"{calls} calls from base {base}, {len(failures)} failures")
    return bool(failures)


if __name__ == "__main__":
    raise SystemExit(main())
