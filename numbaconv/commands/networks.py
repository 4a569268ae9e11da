"""The commands ``summary``, ``predict`` and ``bench`` of ``python -m numbaconv``."""

import argparse
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .scales import SCALES

# Outputs and examples of which values are printed.
TOP, ROWS = 5, 4


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Let a parser know the commands; `run` takes what it makes of them."""
    commands = parser.add_subparsers(dest="command", metavar="command", title="commands for a network in a file")

    def command(function: Callable[[argparse.Namespace], None], what: str) -> argparse.ArgumentParser:
        found = commands.add_parser(function.__name__, help=what, description=what[0].upper() + what[1:] + ".")
        found.set_defaults(function=function)
        found.add_argument("file", metavar="FILE", help=".keras, .h5 or .hdf5 of Keras, or .npz of numbaconv")
        return found

    command(summary, "print the layers, their output shapes and their numbers of parameters")
    parser = command(predict, "compute what the network says of an input")
    parser.add_argument("input", metavar="INPUT", help=".npy, .npz (one array for each input), or a picture (Pillow)")
    parser.add_argument("output", metavar="OUTPUT", nargs="?", help="where to write the result: .npy, or .npz")
    parser.add_argument(
        "--scale",
        choices=SCALES,
        help="the values of a picture: raw is 0 to 255, unit is 0 to 1, signed is -1 to 1 "
        "(default: raw if the network has a Rescaling or Normalization layer, otherwise unit)",
    )
    parser = command(bench, "time the loading and calls with 1 and with 8 random examples")
    parser.add_argument("--length", type=_natural, default=64, help="of axes that the file leaves open (default: 64)")
    parser.add_argument("--calls", type=_natural, default=20, help="timed calls (default: 20)")


def run(options: argparse.Namespace) -> int:
    """Carry out a command; return 0, or 1 after one line about what is wrong."""
    try:
        options.function(options)
    # Whatever is wrong with a file, its user needs a sentence and no traceback.
    except Exception as error:
        print(f"Error: {_sentence(error)}", file=sys.stderr)
        return 1
    return 0


def summary(options: argparse.Namespace) -> None:
    """Print the table of the layers, and what goes in and comes out."""
    model = _loaded(options.file)
    model.summary()
    if model.built:
        for what, names, tensors in (
            ("Input", model.input_names, model.inputs),
            ("Output", model.output_names, model.outputs),
        ):
            for name, tensor in zip(names, tensors, strict=True):
                print(f"{what}: {name} {tensor.shape} {tensor.dtype}")


def predict(options: argparse.Namespace) -> None:
    """Compute the outputs; write them, or print their shapes and largest values."""
    import numpy as np

    from .inputs import read_input

    model = _loaded(options.file)
    names = list(model.output_names)
    suffix = ".npy" if len(names) == 1 else ".npz"
    if options.output is not None and Path(options.output).suffix.lower() != suffix:
        raise ValueError(f"OUTPUT must end in {suffix} for {len(names)} output(s), got {options.output}")
    x, told = read_input(options.input, model, options.scale)
    print(f"input: {told}")
    found = dict(zip(names, _separate(model.predict(x, verbose=0)), strict=True))
    for name, out in found.items():
        print(f"{name}: {out.shape} {out.dtype}")
        if options.output is None:
            for line in _told(out):
                print(f"  {line}")
    if options.output is not None:
        if suffix == ".npy":
            np.save(options.output, found[names[0]])
        else:
            np.savez(options.output, **found)
        print(f"written: {options.output}")


def bench(options: argparse.Namespace) -> None:
    """Print how long loading, first calls and later calls take."""
    start = time.perf_counter()
    from .. import models  # noqa: F401

    imported = time.perf_counter()
    model = _loaded(options.file)
    print(f"import: {imported - start:.2f} s\nload: {time.perf_counter() - imported:.2f} s")
    import numpy as np

    rng = np.random.default_rng(0)
    print(f"{'batch':>5} {'first call':>12} {'per call':>12} {'per example':>12}")
    shapes = [tuple(options.length if n is None else n for n in tensor.shape[1:]) for tensor in model.inputs]
    fixed = model.inputs[0].shape[0]
    for batch in (1, 8) if fixed is None else (fixed,):
        arrays = [rng.random((batch, *shape), np.float32) for shape in shapes]
        named = dict(zip(model.input_names, arrays, strict=True))
        x = arrays[0] if len(arrays) == 1 else named if isinstance(model.input, dict) else arrays
        # The second call warms up as well: the first one leaves the processor's caches to the compiler.
        first, _, *later = (_milliseconds(model, x) for _ in range(options.calls + 2))
        median = statistics.median(later)
        print(f"{batch:5} {first:9.1f} ms {median:9.2f} ms {median / batch:9.2f} ms", flush=True)
    shown = ", ".join(map(str, shapes))
    print(f"Median of {options.calls} calls; each example has random numbers from 0 to 1, in the shape {shown}")


def _milliseconds(model: Any, x: Any) -> float:
    start = time.perf_counter()
    model(x)
    return 1000 * (time.perf_counter() - start)


def _loaded(path: str) -> Any:
    from ..models import load_model

    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        # How the network was trained makes no difference here.
        model = load_model(path, compile=False)
    for warning in found:
        print(f"Note: {warning.message}", file=sys.stderr)
    return model


def _separate(out: Any) -> list[Any]:
    from ..common.structures import leaves

    return list(leaves(out))


def _told(out: Any) -> Iterator[str]:
    """The largest values of each example, or, where it has more than one axis, their range."""
    for i, example in enumerate(out[:ROWS]):
        if example.ndim == 1:
            top = example.argsort()[::-1][:TOP]
            yield f"{i}: " + ", ".join(f"[{place}] {example[place]:.4g}" for place in top)
        elif example.size:
            yield f"{i}: from {example.min():.4g} to {example.max():.4g}, mean {example.mean():.4g}"
    if len(out) > ROWS:
        yield f"... and {len(out) - ROWS} more"


def _natural(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, got {text}")
    return value


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__
