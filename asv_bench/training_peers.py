"""Compare training with PyTorch: forward and backward of layers, checked and then timed side by side.

    python -m pip install -e ".[peers,examples]"
    python asv_bench/training_peers.py               # prints the table
    python asv_bench/training_peers.py --publish     # and writes it into docs/benchmarks.md and, in short, the README

Each of our steps packs its weights anew, since training changes them at every step. Ratios as in `peers.py`.
"""

import argparse

import numba
import numpy as np
import torch
from in_torch import in_torch_order, trained_in_torch
from own_cores import cores
from paste import publish
from peer_cases import Case, training_cases
from peers import Result, geometric_mean, interleaved
from processor import add_option, restart


def measure(case: Case, rounds: int) -> Result:
    """Check the gradients of one case against PyTorch's and time both."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal(case.shape, dtype=np.float32)
    layer = case.layer
    layer.build(x.shape)
    weights = [rng.standard_normal(w.shape, dtype=np.float32) for w in layer.weights]
    layer.set_weights(weights)
    grad_out = rng.standard_normal(layer.compute_output_shape(x.shape), dtype=np.float32)

    def ours() -> list[np.ndarray]:
        layer.set_weights(weights)
        layer.forward(x)
        return [layer.backward(grad_out), *layer.gradients]

    peers = {
        name: trained_in_torch(layer, x, grad_out, name == "channels last") for name in ("contiguous", "channels last")
    }
    for found, right in zip(in_torch_order(layer, ours()), peers["contiguous"](), strict=True):
        error = float(np.abs(found - right.numpy()).max() / np.abs(found).max())
        if found.shape != tuple(right.shape) or not error < 5e-5:
            raise AssertionError(f"{case.name}: a gradient is wrong by {error:.1e} of its largest value")
    times = interleaved({"ours": ours, **peers}, rounds)
    layout = min(peers, key=lambda name: times[name])
    return Result(case, times["ours"], times[layout], layout, None)


def table(results: list[Result]) -> str:
    """The results as Markdown."""
    lines = [
        "Time of forward and backward of one layer, gradients of input, weights and bias, divided by PyTorch's "
        f"({torch.__version__}, faster of its two memory formats), float32, {numba.get_num_threads()} cores.",
        "",
        "| | time / PyTorch's | ms |",
        "| --- | ---: | ---: |",
        *(f"| {r.case.name} | {r.ratio:.2f} | {r.ours * 1e3:.1f} |" for r in results),
        f"| **geometric mean** | **{geometric_mean([r.ratio for r in results]):.2f}** | |",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--publish", action="store_true", help="write the table into the pages")
    parser.add_argument("--rounds", type=int, default=11, help="measurements of each call")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    add_option(parser)
    options = parser.parse_args()
    restart(options.avx2)
    torch.set_num_threads(numba.get_num_threads())
    results = []
    for case in training_cases():
        if options.only in case.name:
            results.append(measure(case, options.rounds))
            r = results[-1]
            print(f"{case.name:42} {r.ratio:5.2f}  {r.ours * 1e3:8.2f} ms  {r.layout}", flush=True)
    print(f"\ngeometric mean {geometric_mean([r.ratio for r in results]):.2f}. {cores().told()}")
    if options.publish:
        publish(table(results), "training")


if __name__ == "__main__":
    main()
