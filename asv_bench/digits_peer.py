"""Train the network of `examples/digits.py` beside the same one in PyTorch: first the losses, then the time.

    python -m pip install -e ".[peers,examples]"
    python asv_bench/digits_peer.py               # prints both
    python asv_bench/digits_peer.py --publish     # and writes them into docs/benchmarks.md

Both start from the same weights and take the same batches. With SGD and without dropout their first losses must agree
within 1e-12 in float64; that is checked before anything is timed. In float32 maxima of values that are nearly equal
fall here and there, and the losses drift apart.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numba
import numpy as np
import torch
from paste import publish

from numbaconv import config, losses, optimizers
from numbaconv import layers as nl
from numbaconv.models import Sequential

sys.path.insert(0, str(Path(__file__).parent.parent / "examples"))
import digits

STEPS = 20
RATE = 0.01


def batches(x: np.ndarray, y: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for start in range(0, len(x), digits.BATCH):
        yield x[start : start + digits.BATCH], y[start : start + digits.BATCH]


def in_torch(model: Sequential, memory_format: torch.memory_format, dropout: bool) -> torch.nn.Module:
    """The same network with the same weights."""
    modules: list[torch.nn.Module] = []
    for layer in model.layers:
        if isinstance(layer, nl.Conv2D):
            conv = torch.nn.Conv2d(layer.kernel.shape[2], layer.filters, 3, padding=1)
            conv.weight.data = torch.tensor(np.moveaxis(layer.kernel, (-1, -2), (0, 1)).copy())
            conv.bias.data = torch.tensor(layer.bias.copy())
            modules += [conv, torch.nn.ReLU()]
        elif isinstance(layer, nl.MaxPooling2D):
            modules.append(torch.nn.MaxPool2d(2))
        elif isinstance(layer, nl.Flatten):
            modules.append(torch.nn.Flatten())
        elif isinstance(layer, nl.Dropout) and dropout:
            modules.append(torch.nn.Dropout(layer.rate))
        elif isinstance(layer, nl.Dense):
            dense = torch.nn.Linear(layer.kernel.shape[0], layer.units)
            # PyTorch flattens channels first, Keras channels last.
            kernel = layer.kernel.reshape(4, 4, -1, layer.units).transpose(3, 2, 0, 1)
            dense.weight.data = torch.tensor(kernel.reshape(layer.units, -1).copy())
            dense.bias.data = torch.tensor(layer.bias.copy())
            modules.append(dense)
    return torch.nn.Sequential(*modules).to(memory_format=memory_format)


def torch_trainer(
    network: torch.nn.Module, optimizer: Any, x: np.ndarray, y: np.ndarray, memory_format: torch.memory_format
) -> Callable[[int], list[float]]:
    """A function that trains on so many batches, in order, and returns their losses."""
    images = torch.tensor(np.moveaxis(x, -1, 1).copy()).contiguous(memory_format=memory_format)
    labels = torch.tensor(y)
    network.train()

    def train(steps: int) -> list[float]:
        found = []
        for start in range(0, len(images), digits.BATCH)[:steps]:
            optimizer.zero_grad(set_to_none=True)
            part = slice(start, start + digits.BATCH)
            loss = torch.nn.functional.cross_entropy(network(images[part]), labels[part])
            loss.backward()
            optimizer.step()
            found.append(loss.item())
        return found

    return train


def same_losses(x: np.ndarray, y: np.ndarray) -> float:
    """The largest difference of the first losses in float64, with SGD and without dropout."""
    default = config.floatx()
    config.set_floatx("float64")
    try:
        model = Sequential([layer for layer in digits.network().layers if not isinstance(layer, nl.Dropout)])
    finally:
        config.set_floatx(default)
    x = x.astype(np.float64)
    model.build((None, *x.shape[1:]))
    form = torch.contiguous_format
    network = in_torch(model, form, dropout=False)
    theirs = torch_trainer(network, torch.optim.SGD(network.parameters(), RATE), x, y, form)(STEPS)
    model.compile(optimizers.SGD(RATE), losses.SparseCategoricalCrossentropy(from_logits=True))
    ours = [model.train_on_batch(*batch) for _, batch in zip(range(STEPS), batches(x, y), strict=False)]
    print("step  numbaconv  PyTorch")
    for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        print(f"{i:4}  {a:9.6f}  {b:9.6f}")
    worst = max(abs(a - b) for a, b in zip(ours, theirs, strict=True))
    if not worst < 1e-12:
        raise AssertionError(f"losses differ by {worst:.1e}")
    return worst


def epochs(x: np.ndarray, y: np.ndarray, rounds: int) -> dict[str, float]:
    """Median seconds of an epoch with Adam and dropout, the contestants in turn."""
    model = digits.network()
    model.build((None, *x.shape[1:]))
    model.compile(optimizers.Adam(), losses.SparseCategoricalCrossentropy(from_logits=True))
    calls: dict[str, Callable] = {"numbaconv": lambda: model.fit(x, y, digits.BATCH, shuffle=False, verbose=0)}
    for name, form in (("contiguous", torch.contiguous_format), ("channels last", torch.channels_last)):
        network = in_torch(model, form, dropout=True)
        train = torch_trainer(network, torch.optim.Adam(network.parameters()), x, y, form)
        calls[name] = lambda train=train: train(len(x))
    times: dict[str, list[float]] = {name: [] for name in calls}
    for i in range(rounds + 1):
        for name, call in calls.items():
            time.sleep(0.1)
            start = time.perf_counter()
            call()
            if i:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--publish", action="store_true", help="write the result into docs/benchmarks.md")
    parser.add_argument("--rounds", type=int, default=5, help="epochs of each")
    options = parser.parse_args()
    torch.set_num_threads(numba.get_num_threads())
    x, y = digits.shifted(*digits.digits()[:2])
    worst = same_losses(x, y)
    times = epochs(x, y, options.rounds)
    peer = min(times["contiguous"], times["channels last"])
    text = (
        f"The network of `examples/digits.py`, batches of {digits.BATCH}: an epoch takes "
        f"{times['numbaconv'] / peer:.2f} of PyTorch's time ({times['numbaconv']:.2f} s and {peer:.2f} s, "
        f"{torch.__version__}, {numba.get_num_threads()} cores). From the same weights, with SGD, the first {STEPS} "
        f"losses differ by {worst:.0e} at most in float64."
    )
    print(f"\n{times}\n{text}")
    if options.publish:
        publish(text, "digits")


if __name__ == "__main__":
    main()
