"""Where the time of a network goes, here and in OpenVINO: by kind of layer, and by shape of convolution.

    python asv_bench/networks.py --profile ResNet50

What was fused with a convolution counts to it. The fastest of several calls counts, layer by layer, because
other programs only add to the time.
"""

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

CALLS = 15
KINDS = {
    "Conv2D": "convolution",
    "Convolution": "convolution",
    "DepthwiseConv2D": "depthwise",
    "GroupConvolution": "depthwise",
    "SeparableConv2D": "separable",
    "Conv2DTranspose": "transposed",
    "ConvolutionBackpropData": "transposed",
    "Dense": "dense",
    "FullyConnected": "dense",
    "MatMul": "dense",
    "MaxPooling2D": "pooling",
    "AveragePooling2D": "pooling",
    "GlobalAveragePooling2D": "pooling",
    "MaxPool": "pooling",
    "AvgPool": "pooling",
    "ReduceMean": "pooling",
    "Reduce": "pooling",
}


class Part(NamedTuple):
    """What a layer takes: its kind, the shape of its convolution, and seconds."""

    kind: str
    shape: str
    seconds: float


def told(size: Iterable[int], strides: Iterable[int], out: Iterable[int], channels: int, filters: int) -> str:
    """A convolution in words."""
    kernel, steps, end = ("x".join(map(str, numbers)) for numbers in (size, strides, out))
    return f"{kernel}/{steps} to {end}, {channels} to {filters}"


def ours(folder: Path, x: np.ndarray) -> list[Part]:
    """The stages of the program here, each called what the first convolution in it is."""
    from numbaconv.models import load_model

    model = load_model(folder / "model.keras", compile=False)
    named, parts = {layer.name: layer for layer in model.layers}, []
    for stage in model.explain_program(x.shape, measure=True):
        # The activation of a layer can be a stage of its own, by a name that no layer has.
        layers = [named[name] for name in stage.layers if name in named]
        convolutions = [one for one in layers if one.weights and one.weights[0].ndim == 4]
        layer = next(iter(convolutions or layers), None)
        kind, shape = kind_of(type(layer).__name__) if layer else "Activation", ""
        if len(convolutions) > 1:
            kind = "depthwise + 1x1"
        if convolutions:
            *size, channels, filters = layer.weights[0].shape
            if kind == "transposed":
                channels, filters = filters, channels
            shape = told(size, layer.strides, layer.output.shape[1:3], channels, filters)
        parts.append(Part(kind, shape, stage.seconds))
    return parts


def openvinos(folder: Path, x: np.ndarray, threads: int) -> list[Part]:
    """The nodes of OpenVINO's network, by its own counters."""
    import openvino as ov
    from networks_runtimes import openvino_compiled, openvino_model

    model = openvino_model(ov, folder, x.shape)
    # By the place of a node, because names change whenever a network is compiled. Its counters are means since then, in
    # whole microseconds.
    seconds: dict[int, list[float]] = {}
    for _ in range(CALLS // 3):
        compiled = openvino_compiled(ov, model, threads, PERF_COUNT=True)
        request = compiled.create_infer_request()
        before: dict[int, float] = {}
        for count in range(1, 5):
            request.infer([x])
            for place, node in enumerate(nodes := request.profiling_info):
                if node.status == ov.ProfilingInfo.Status.EXECUTED:
                    total = count * node.real_time.total_seconds()
                    seconds.setdefault(place, []).append(max(0.0, total - before.get(place, 0.0)))
                    before[place] = total
    shapes = {op.get_friendly_name(): convolved(op) for op in compiled.get_runtime_model().get_ops()}
    parts = ((nodes[place], min(found)) for place, found in seconds.items())
    return [Part(kind_of(node.node_type), shapes[node.node_name], best) for node, best in parts]


def convolved(op: Any) -> str:
    """The shape of a convolution among OpenVINO's nodes; nothing for all else."""
    if op.get_rt_info()["layerType"].astype(str) not in ("Convolution", "Deconvolution"):
        return ""
    x, weight, out = (tuple(one.get_shape()) for one in (op.input(0), op.input(1), op.output(0)))
    numbers = (weight[0], 1) if len(weight) == 5 else (x[1], out[1])
    # Its nodes do not keep their strides.
    strides = (max(round(n / m), round(m / n)) for n, m in zip(x[2:], out[2:], strict=True))
    return told(weight[-2:], strides, out[2:], *numbers)


def kind_of(name: str) -> str:
    return KINDS.get(name, name)


def summed(parts: list[Part], of: str) -> dict[str, tuple[float, int]]:
    """Seconds and number of the parts that have the same kind, or the same kind and shape."""
    found: dict[str, tuple[float, int]] = {}
    for part in parts:
        key = part.kind if of == "kind" else f"{part.kind} {part.shape}" if part.shape else ""
        seconds, count = found.get(key, (0.0, 0))
        found[key] = seconds + part.seconds, count + 1
    found.pop("", None)
    return found


def report(mine: list[Part], theirs: list[Part]) -> str:
    lines = []
    for of in ("kind", "shape"):
        sides = [summed(parts, of) for parts in (mine, theirs)]
        lines.append(f"\n{'':50} {'numbaconv':>14} {'OpenVINO':>14} {'ratio':>6}   by {of}")
        keys = sorted({*sides[0], *sides[1]}, key=lambda key: -sum(side.get(key, (0, 0))[0] for side in sides))
        for key in keys:
            cells = [f"{s * 1e3:8.2f} ms {n:2}" if n else "" for s, n in (side.get(key, (0, 0)) for side in sides)]
            both = all(key in side for side in sides)
            ratio = f"{sides[0][key][0] / sides[1][key][0]:6.2f}" if both and sides[1][key][0] else ""
            lines.append(f"{key:50} {cells[0]:>14} {cells[1]:>14} {ratio}")
        totals = [sum(seconds for seconds, _ in side.values()) for side in sides]
        share = f"{totals[0] / totals[1]:.2f}" if totals[1] else ""
        lines.append(f"{'all':50} {totals[0] * 1e3:8.2f} ms    {totals[1] * 1e3:8.2f} ms    {share}")
    return "\n".join(lines)


def main() -> None:
    side, folder, batch, threads = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    x = np.ascontiguousarray(np.load(folder / "x.npy")[:batch])
    if side == "ours":
        print(json.dumps(ours(folder, x)))
    elif side == "openvino":
        print(json.dumps(openvinos(folder, x, threads)))
    else:
        sides = []
        for one in ("ours", "openvino"):
            command = [sys.executable, __file__, one, *sys.argv[2:]]
            answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            sides.append([Part(*part) for part in json.loads(answer.splitlines()[-1])])
        print(report(*sides))


if __name__ == "__main__":
    main()
