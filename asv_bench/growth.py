"""How the time of a 3x3 convolution grows with batch, image and channels, beside PyTorch: draws docs/growth.png.

python -m pip install -e ".[peers,examples]"
python asv_bench/growth.py
"""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numba
import numpy as np
import torch
from peer_cases import in_torch
from peers import ROOT, interleaved

from numbaconv import layers as nl

SWEEPS = {
    "batch, 28x28, 64 to 64 channels": [((n, 28, 28, 64), n) for n in (1, 2, 4, 8, 16, 32, 64)],
    "pixels of a square image, 64 to 64 channels": [((1, n, n, 64), n * n) for n in (7, 14, 28, 56, 112, 224)],
    "channels in and out, 28x28": [((1, 28, 28, n), n) for n in (8, 16, 32, 64, 128, 256, 512)],
}


def times(shape: tuple[int, ...]) -> tuple[float, float]:
    """Seconds of our layer and of PyTorch in the faster of its two memory formats."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape, dtype=np.float32)
    layer = nl.Conv2D(shape[-1], 3, padding="same")
    layer.build(shape)
    calls = {"ours": lambda: layer(x), "first": in_torch(layer, x, False), "last": in_torch(layer, x, True)}
    measured = interleaved(calls, 11)
    return measured["ours"], min(measured["first"], measured["last"])


def main() -> None:
    torch.set_num_threads(numba.get_num_threads())
    figure, panels = plt.subplots(1, 3, figsize=(12, 4), layout="constrained", sharey=True)
    with torch.inference_mode():
        for axes, (title, sweep) in zip(panels, SWEEPS.items(), strict=True):
            sizes = [size for _, size in sweep]
            ours, peer = zip(*(times(shape) for shape, _ in sweep), strict=True)
            print(title, *(f"{size}: {a / b:.2f}" for size, a, b in zip(sizes, ours, peer, strict=True)), sep="  ")
            axes.loglog(sizes, np.multiply(ours, 1e3), "o-", label="numbaconv")
            axes.loglog(sizes, np.multiply(peer, 1e3), "s--", label="PyTorch")
            axes.set_title(title, fontsize=10)
            axes.set_xticks(sizes, [str(size) for size in sizes], fontsize=9)
            axes.minorticks_off()
            axes.grid(alpha=0.3)
            axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("milliseconds per call")
    panels[0].legend(frameon=False)
    figure.suptitle(f"A 3x3 convolution, float32, {numba.get_num_threads()} cores", fontweight="bold")
    (ROOT / "docs").mkdir(exist_ok=True)
    figure.savefig(ROOT / "docs" / "growth.png", dpi=130)


if __name__ == "__main__":
    main()
