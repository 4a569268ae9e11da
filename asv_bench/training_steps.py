"""Compare whole steps of training with PyTorch: two networks, the first losses checked, then timed side by side.

    python -m pip install -e ".[peers]"
    python asv_bench/training_steps.py               # prints the table
    python asv_bench/training_steps.py --publish     # and writes it into docs/benchmarks.md

A step is a forward pass, its loss, all gradients and Adam. Each side has a process of its own, since thread pools that
spin disturb each other, and works only when the other does not. Both start from the same weights and take the same
batch. Where windows are two positions apart, PyTorch puts the zeros in front and Keras at the end, so that PyTorch gets
images and kernels turned round.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

BATCH, CLASSES, FIRST_STEPS = 32, 10, 4
SIDES = ("ours", "contiguous", "channels last")
Step = Callable[[], float]


def two_blocks(net: Any, x: Any) -> Any:
    """Two blocks of two convolutions with batch normalization, and pooling."""
    for filters in (32, 64):
        for _ in range(2):
            x = net.relu(net.normalized(net.conv(x, filters)))
        x = net.pooled(x)
    return net.dense(net.averaged(x))


def small_resnet(net: Any, x: Any) -> Any:
    """A residual network for images of 32x32, whose shortcuts take the mean of four positions before a convolution."""
    x = net.relu(net.normalized(net.conv(x, 16)))
    for filters, first in ((16, 1), (32, 2), (64, 2)):
        for stride in (first, 1):
            y = net.relu(net.normalized(net.conv(x, filters, stride)))
            y = net.normalized(net.conv(y, filters))
            if stride > 1:
                x = net.normalized(net.conv(net.halved(x), filters, size=1))
            x = net.relu(net.added(y, x))
    return net.dense(net.averaged(x))


NETWORKS: dict[str, tuple[Callable[[Any, Any], Any], int]] = {
    "two blocks of two 3x3, 64²·3": (two_blocks, 64),
    "residual, 8 layers, 32²·3": (small_resnet, 32),
}


def drawn(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Weights of a layer, of which all networks have as many draws in the same order."""
    return rng.standard_normal(shape, dtype=np.float32) * np.float32(np.sqrt(2 / np.prod(shape[:-1])))


class Ours:
    """The parts of a network as layers."""

    def __init__(self, side: str) -> None:
        from numbaconv import layers

        self.layers, self.weighted = layers, []

    def conv(self, x: Any, filters: int, stride: int = 1, size: int = 3) -> Any:
        self.weighted.append(self.layers.Conv2D(filters, size, stride, padding="same", use_bias=False))
        return self.weighted[-1](x)

    def normalized(self, x: Any) -> Any:
        return self.layers.BatchNormalization()(x)

    def relu(self, x: Any) -> Any:
        return self.layers.ReLU()(x)

    def added(self, x: Any, y: Any) -> Any:
        return self.layers.Add()([x, y])

    def pooled(self, x: Any) -> Any:
        return self.layers.MaxPooling2D(2)(x)

    def halved(self, x: Any) -> Any:
        return self.layers.AveragePooling2D(2)(x)

    def averaged(self, x: Any) -> Any:
        return self.layers.GlobalAveragePooling2D()(x)

    def dense(self, x: Any) -> Any:
        self.weighted.append(self.layers.Dense(CLASSES, use_bias=False))
        return self.weighted[-1](x)

    def step(self, network: Callable, x: np.ndarray, y: np.ndarray) -> Step:
        from numbaconv import Input, losses, optimizers
        from numbaconv.models import Model

        image = Input(x.shape[1:])
        model = Model(image, network(self, image))
        rng = np.random.default_rng(1)
        for layer in self.weighted:
            layer.set_weights([drawn(rng, layer.kernel.shape)])
        model.compile(optimizers.Adam(), losses.SparseCategoricalCrossentropy(from_logits=True))
        return lambda: float(model.train_on_batch(x, y))


class Torch:
    """The same in PyTorch: a first pass makes the modules, the others take them in turn."""

    def __init__(self, side: str) -> None:
        import torch

        self.torch, self.modules, self.place = torch, torch.nn.ModuleList(), 0
        self.rng, self.made = np.random.default_rng(1), False
        self.format = torch.channels_last if side == "channels last" else torch.contiguous_format

    def _module(self, x: Any, make: Callable[[], Any]) -> Any:
        if not self.made:
            self.modules.append(make())
        self.place += 1
        return self.modules[self.place - 1](x)

    def conv(self, x: Any, filters: int, stride: int = 1, size: int = 3) -> Any:
        def make() -> Any:
            conv = self.torch.nn.Conv2d(x.shape[1], filters, size, stride, size // 2, bias=False)
            kernel = drawn(self.rng, (size, size, x.shape[1], filters))[::-1, ::-1].transpose(3, 2, 0, 1)
            conv.weight.data = self.torch.tensor(kernel.copy()).contiguous(memory_format=self.format)
            return conv

        return self._module(x, make)

    def normalized(self, x: Any) -> Any:
        return self._module(x, lambda: self.torch.nn.BatchNorm2d(x.shape[1], eps=1e-3, momentum=0.01))

    def relu(self, x: Any) -> Any:
        return self.torch.relu_(x)

    def added(self, x: Any, y: Any) -> Any:
        return x + y

    def pooled(self, x: Any) -> Any:
        return self.torch.nn.functional.max_pool2d(x, 2)

    def halved(self, x: Any) -> Any:
        return self.torch.nn.functional.avg_pool2d(x, 2)

    def averaged(self, x: Any) -> Any:
        return x.mean((2, 3))

    def dense(self, x: Any) -> Any:
        def make() -> Any:
            dense = self.torch.nn.Linear(x.shape[1], CLASSES, bias=False)
            dense.weight.data = self.torch.tensor(drawn(self.rng, (x.shape[1], CLASSES)).T.copy())
            return dense

        return self._module(x, make)

    def step(self, network: Callable, x: np.ndarray, y: np.ndarray) -> Step:
        torch = self.torch
        image = torch.tensor(x[:, ::-1, ::-1].transpose(0, 3, 1, 2).copy()).contiguous(memory_format=self.format)
        labels = torch.tensor(y)
        network(self, image)
        self.made = True
        optimizer = torch.optim.Adam(self.modules.parameters(), eps=1e-7)

        def step() -> float:
            self.place = 0
            optimizer.zero_grad(set_to_none=True)
            loss = torch.nn.functional.cross_entropy(network(self, image), labels)
            loss.backward()
            optimizer.step()
            return loss.item()

        return step


def work(side: str, name: str, threads: int) -> None:
    """A side's process: writes the first losses, then the seconds of a step for each line with a number of steps."""
    network, size = NETWORKS[name]
    if side != "ours":
        import torch

        torch.set_num_threads(threads)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((BATCH, size, size, 3), dtype=np.float32)
    y = rng.integers(0, CLASSES, BATCH)
    step = (Ours if side == "ours" else Torch)(side).step(network, x, y)
    print(json.dumps([step() for _ in range(FIRST_STEPS)]), flush=True)
    # Of one thread, the time that others take from it does not count.
    clock = time.process_time if threads == 1 else time.perf_counter
    for line in sys.stdin:
        start = clock()
        for _ in range(int(line)):
            step()
        print((clock() - start) / int(line), flush=True)


def measure(name: str, threads: int, rounds: int, steps: int) -> dict[str, float]:
    """Seconds of a step on each side, the median of rounds taken in turn, after a check of the first losses."""
    # The side that has PyTorch alone would import Numba, too.
    from own_cores import cores

    with _processes(name, threads) as sides:
        losses = {side: json.loads(process.stdout.readline()) for side, process in sides.items()}
        for side, found in losses.items():
            if not np.allclose(found, losses["ours"], rtol=2e-3):
                raise AssertionError(f"{name}: losses {losses['ours']}, but those of PyTorch, {side}, {found}")

        def turn() -> dict[str, float]:
            times = {}
            for side, process in sides.items():
                process.stdin.write(f"{steps}\n")
                process.stdin.flush()
                times[side] = float(process.stdout.readline())
                # Its idle threads still spin for a while.
                time.sleep(0.05)
            return times

        turns = [turn() if threads == 1 else cores().measure(turn) for _ in range(rounds + 1)][1:]
    return {side: statistics.median(times[side] for times in turns) for side in SIDES}


def table(results: dict[str, dict[str, float]], threads: int) -> str:
    """The results as Markdown."""
    cores = "one core" if threads == 1 else f"{threads} cores"
    lines = [
        f"Time of a whole step of training, batches of {BATCH}, Adam, divided by PyTorch's (faster of its two memory "
        f"formats), float32, {cores}.",
        "",
        "| | time / PyTorch's | ms |",
        "| --- | ---: | ---: |",
        *(f"| {name} | {ratio(t):.2f} | {t['ours'] * 1e3:.1f} |" for name, t in results.items()),
    ]
    return "\n".join(lines)


def ratio(times: dict[str, float]) -> float:
    """Our time divided by that of PyTorch's faster format."""
    return times["ours"] / min(t for side, t in times.items() if side != "ours")


@contextmanager
def _processes(name: str, threads: int) -> Iterator[dict[str, Any]]:
    command = [sys.executable, __file__, "--network", name, "--threads", str(threads), "--side"]
    settings = {**os.environ, "NUMBA_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": settings}
    sides = {side: subprocess.Popen([*command, side], **pipes) for side in SIDES}  # type: ignore[call-overload]
    try:
        yield sides
    finally:
        for process in sides.values():
            process.stdin.close()
            process.kill()
            process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--publish", action="store_true", help="write the table into docs/benchmarks.md")
    parser.add_argument("--rounds", type=int, default=11, help="measurements of each side")
    parser.add_argument("--steps", type=int, default=3, help="steps of one measurement")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="with 1, processor time is measured")
    parser.add_argument("--network", default="", help="networks whose name contains this")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        work(options.side, options.network, options.threads)
        return
    results = {}
    for name in NETWORKS:
        if options.network in name:
            results[name] = measure(name, options.threads, options.rounds, options.steps)
            times = ", ".join(f"{side} {t * 1e3:.1f} ms" for side, t in results[name].items())
            print(f"{name:32} {ratio(results[name]):5.2f}  {times}", flush=True)
    if options.publish:
        from paste import publish

        publish(table(results, options.threads), "steps")


if __name__ == "__main__":
    main()
