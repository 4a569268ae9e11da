"""Random layer configurations: plain dictionaries, reproducible from a seed, a share of them deliberately invalid.

A configuration has the keys
    layer   class name;
    kwargs  constructor arguments, all by name;
    by_position  how many of the leading arguments of the layer's signature are passed by position;
    shape   shape of the input in the layer's own data format, batch first;
    dtype   "float32" or "float64";
    strided whether the input is a non-contiguous view;
    invalid None, or what was made wrong on purpose;
    seed    for the input and the weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Config = dict[str, Any]

RANKS = {
    "Conv1D": 1,
    "Conv2D": 2,
    "Conv3D": 3,
    "SeparableConv1D": 1,
    "SeparableConv2D": 2,
    "DepthwiseConv1D": 1,
    "DepthwiseConv2D": 2,
    "Conv1DTranspose": 1,
    "Conv2DTranspose": 2,
    "Conv3DTranspose": 3,
    "Cropping1D": 1,
    "Cropping2D": 2,
    "Cropping3D": 3,
    "UpSampling1D": 1,
    "UpSampling2D": 2,
    "UpSampling3D": 3,
    "ZeroPadding1D": 1,
    "ZeroPadding2D": 2,
    "ZeroPadding3D": 3,
}
WEIGHTED = [name for name in RANKS if "Conv" in name]
RESHAPING = [name for name in RANKS if "Conv" not in name]
# Beside these; their configurations are drawn in `test_pooling`.
POOLING = [f"{kind}Pooling{rank}D" for kind in ("Max", "Average") for rank in (1, 2, 3)]
GLOBAL_POOLING = [f"Global{name}" for name in POOLING]
ACTIVATIONS = [
    *("linear", "relu", "elu", "selu", "softplus", "softsign", "tanh"),
    *("sigmoid", "hard_sigmoid", "exponential", "softmax"),
    "silu",
    "hard_swish",
    "mish",
    "relu6",
    "log_softmax",
]
INVALID_SHARE = 0.15
MAX_SIZE = {1: 20, 2: 14, 3: 8}
MAX_MULTIPLY_ADDS = 8e6


def random_config(seed: int) -> Config:
    """One configuration, a function of the seed alone."""
    rng = np.random.default_rng(seed)
    # The weighted layers have far more to get wrong, so they get four fifths of the draws.
    layer = str(rng.choice(WEIGHTED if rng.random() < 0.8 else RESHAPING))
    config = _weighted(rng, layer) if layer in WEIGHTED else _reshaping(rng, layer)
    config["seed"] = seed
    if rng.random() < INVALID_SHARE:
        _spoil(rng, config)
    return config


def data_format(config: Config) -> str:
    """The layout of the configuration's input; the default is channels last."""
    given = config["kwargs"].get("data_format")
    return "channels_last" if given is None else given.lower()


def _chance(rng: np.random.Generator, probability: float) -> bool:
    return bool(rng.random() < probability)


def _in_some_form(rng: np.random.Generator, values: tuple[int, ...]) -> Any:
    """The same values as an int, a NumPy integer, a tuple or a list."""
    if len(set(values)) == 1 and _chance(rng, 0.5):
        return np.int64(values[0]) if _chance(rng, 0.2) else values[0]
    return list(values) if _chance(rng, 0.3) else values


def _in_some_case(rng: np.random.Generator, name: str) -> str:
    return [name, name, name, name.upper(), name.capitalize()][rng.integers(5)]


def _per_axis(rng: np.random.Generator, rank: int, low: int, high: int) -> tuple[int, ...]:
    if _chance(rng, 0.4):
        return (int(rng.integers(low, high + 1)),) * rank
    return tuple(int(v) for v in rng.integers(low, high + 1, rank))


def _input(rng: np.random.Generator, config: Config, sizes: list[int], channels: int) -> None:
    batch = int(rng.choice([0, 1, 2, 3], p=[0.05, 0.35, 0.4, 0.2]))
    first = data_format(config) == "channels_first"
    config["shape"] = (batch, channels, *sizes) if first else (batch, *sizes, channels)
    config["strided"] = _chance(rng, 0.15)
    config["dtype"] = "float64" if _chance(rng, 0.15) else "float32"
    config["invalid"] = None


def _channels(rng: np.random.Generator) -> int:
    return int(rng.choice([1, 2, 3, int(rng.integers(1, 18)), int(rng.integers(18, 41))]))


def _weighted(rng: np.random.Generator, layer: str) -> Config:
    rank = RANKS[layer]
    transposed = layer.endswith("Transpose")
    kernel = _per_axis(rng, rank, 1, 7 if rank < 3 else 5)
    strides = _per_axis(rng, rank, 1, 4) if _chance(rng, 0.5) else (1,) * rank
    dilation = (1,) * rank
    # The page has no dilation for Conv3DTranspose.
    if max(strides) == 1 and layer != "Conv3DTranspose" and _chance(rng, 0.5):
        dilation = _per_axis(rng, rank, 1, 3)
    padding = str(rng.choice(["valid", "same", "causal"] if layer == "Conv1D" else ["valid", "same"]))

    kwargs: dict[str, Any] = {}
    if not layer.startswith("Depthwise"):
        kwargs["filters"] = _channels(rng)
    kwargs["kernel_size"] = _in_some_form(rng, kernel)
    if max(strides) > 1 or _chance(rng, 0.3):
        kwargs["strides"] = _in_some_form(rng, strides)
    config: Config = {"layer": layer, "kwargs": kwargs, "by_position": int(rng.integers(0, len(kwargs) + 1))}
    if padding != "valid" or _chance(rng, 0.5):
        kwargs["padding"] = _in_some_case(rng, padding)
    if _chance(rng, 0.6):
        kwargs["data_format"] = _in_some_case(rng, str(rng.choice(["channels_last", "channels_first"])))
    if max(dilation) > 1:
        kwargs["dilation_rate"] = _in_some_form(rng, dilation)
    more = tuple(int(rng.integers(0, s)) for s in strides)
    if transposed and _chance(rng, 0.4):
        kwargs["output_padding"] = _in_some_form(rng, more)
    if layer.startswith(("Separable", "Depthwise")) and _chance(rng, 0.6):
        kwargs["depth_multiplier"] = int(rng.integers(1, 4))
    groups = int(rng.choice([2, 3, 8])) if layer in ("Conv1D", "Conv2D", "Conv3D") and _chance(rng, 0.3) else 1
    if groups > 1:
        kwargs["filters"], kwargs["groups"] = groups * int(rng.integers(1, 6)), groups
    if _chance(rng, 0.3):
        kwargs["use_bias"] = _chance(rng, 0.3)
    if _chance(rng, 0.5):
        kwargs["activation"] = str(rng.choice(ACTIVATIONS))

    extents = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    sizes = [_size(rng, rank, extent, padding == "valid" and not transposed) for extent in extents]
    channels = _channels(rng) if groups == 1 else groups * int(rng.integers(1, 6))
    if rank < 3 and groups == 1 and _chance(rng, 0.04):
        channels, kwargs["filters"] = 45, 77
        if layer.startswith("Depthwise"):
            del kwargs["filters"]
    _shrink(kwargs, kernel, sizes, extents)
    _input(rng, config, sizes, channels)
    if padding == "same" and "output_padding" in kwargs:
        lengths = [(n - 1) * s + e % 2 + m for n, s, e, m in zip(sizes, strides, extents, more, strict=True)]
        config["invalid"] = None if min(lengths) > 0 else "empty output"
    return config


def _size(rng: np.random.Generator, rank: int, extent: int, must_fit: bool) -> int:
    """A length, often 1 or exactly the extent of the kernel."""
    size = int(rng.choice([1, extent, *rng.integers(1, MAX_SIZE[rank] + 1, 4)]))
    return size if size >= extent or not must_fit else extent + int(rng.integers(0, 4))


def _shrink(kwargs: dict[str, Any], kernel: tuple[int, ...], sizes: list[int], extents: list[int]) -> None:
    """Bring the lengths towards the kernel's until the work is small, assuming some twenty channels."""
    while np.prod(kernel) * np.prod(sizes) * 20 * kwargs.get("filters", 1) > MAX_MULTIPLY_ADDS:
        axis = int(np.argmax(np.array(sizes) - extents))
        if sizes[axis] <= extents[axis]:
            return
        sizes[axis] -= 1


def _reshaping(rng: np.random.Generator, layer: str) -> Config:
    rank = RANKS[layer]
    config: Config = {"layer": layer, "kwargs": {}, "by_position": 0}
    kwargs = config["kwargs"]
    sizes = [int(v) for v in rng.integers(1, MAX_SIZE[rank] + 1, rank)]
    if layer.startswith("UpSampling"):
        size = _per_axis(rng, rank, 1, 4)
        kwargs["size"] = size[0] if rank == 1 else _in_some_form(rng, size)
        if layer == "UpSampling2D" and _chance(rng, 0.7):
            kwargs["interpolation"] = _in_some_case(
                rng, str(rng.choice(["nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"]))
            )
    else:
        name = "cropping" if layer.startswith("Cropping") else "padding"
        amounts, kwargs[name] = _amounts(rng, rank)
        if name == "cropping":
            sizes = [n + before + after for n, (before, after) in zip(sizes, amounts, strict=True)]
    config["by_position"] = int(rng.integers(0, 2))
    if rank > 1 and _chance(rng, 0.6):
        kwargs["data_format"] = _in_some_case(rng, str(rng.choice(["channels_last", "channels_first"])))
    _input(rng, config, sizes, _channels(rng))
    return config


def _amounts(rng: np.random.Generator, rank: int) -> tuple[list[tuple[int, int]], Any]:
    """(before, after) of every axis, and one of the ways to write them down."""
    form = rng.choice(["one", "symmetric", "pairs", "mixed"]) if rank > 1 else rng.choice(["one", "pairs"])
    if form == "one":
        amount = int(rng.integers(0, 4))
        return [(amount, amount)] * rank, amount
    pairs = [(int(a), int(b)) for a, b in rng.integers(0, 4, (rank, 2))]
    if rank == 1:
        return pairs, pairs[0] if _chance(rng, 0.7) else list(pairs[0])
    if form == "pairs":
        return pairs, tuple(pairs) if _chance(rng, 0.7) else [list(pair) for pair in pairs]
    symmetric = [(before, before) for before, _ in pairs]
    if form == "symmetric":
        return symmetric, tuple(before for before, _ in pairs)
    return [symmetric[0], *pairs[1:]], (pairs[0][0], *pairs[1:])


def _spoil(rng: np.random.Generator, config: Config) -> None:
    """Make one thing wrong, chosen among the things this layer can have wrong."""
    layer, kwargs, shape = config["layer"], config["kwargs"], config["shape"]
    rank = RANKS[layer]
    argument = next((name for name in ("kernel_size", "size", "cropping", "padding") if name in kwargs), "size")
    wrong: dict[str, dict[str, Any]] = {
        "negative": {argument: -1},
        "tuple too long": {argument: (1,) * (rank + 1 + (rank == 1))},
        "fraction": {argument: 2.5},
        "text": {argument: "wide"},
    }
    if not layer.startswith(("Cropping", "ZeroPadding")):
        wrong["zero"] = {argument: 0}
    if layer.startswith("Cropping"):
        wrong["crops everything"] = {"cropping": (max(shape) + 1) // 2 + 1}
    if layer in WEIGHTED:
        wrong["strides zero"] = {"strides": 0}
        wrong["strides negative"] = {"strides": (-2,) * rank}
        wrong["strides too long"] = {"strides": (1,) * (rank + 1)}
        wrong["padding unknown"] = {"padding": "reflect"}
        wrong["activation unknown"] = {"activation": "wavelet"}
        wrong["changed channels"] = {}
        if layer != "Conv3DTranspose":
            wrong["strides with dilation"] = {"strides": 2, "dilation_rate": 2, "output_padding": None}
            wrong["dilation zero"] = {"dilation_rate": 0}
        if layer != "Conv1D":
            wrong["causal"] = {"padding": "causal"}
    if "filters" in kwargs:
        wrong["no filters"] = {"filters": 0}
        wrong["negative filters"] = {"filters": -4}
    if kwargs.get("groups", 1) > 1:
        wrong["groups and filters"] = {"filters": kwargs["filters"] + 1}
        wrong["groups and channels"] = {"groups": max(shape) + 1, "filters": max(shape) + 1}
    if layer in WEIGHTED and not layer.endswith("Transpose"):
        wrong["kernel larger than input"] = {"kernel_size": max(shape) + 1, "padding": "valid"}
    if layer.endswith("Transpose"):
        wrong["output_padding too large"] = {"strides": 2, "output_padding": 2}
        wrong["output_padding negative"] = {"strides": 2, "output_padding": -1}
    if layer == "UpSampling2D":
        wrong["interpolation unknown"] = {"interpolation": "bumpy"}
    if rank > 1:
        wrong["data_format unknown"] = {"data_format": "channels_middle"}
    wrong["unknown argument"] = {"kernel": 3}
    wrong["input rank too low"] = wrong["input rank too high"] = {}

    kind = str(rng.choice(list(wrong)))
    config["invalid"] = kind
    config["by_position"] = 0
    if kind == "input rank too low":
        config["shape"] = shape[:-1]
    elif kind == "input rank too high":
        config["shape"] = (*shape[:-1], 2, shape[-1])
    kwargs.update(wrong[kind])
    if kwargs.get("output_padding", 0) is None:
        del kwargs["output_padding"]
