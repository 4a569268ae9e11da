"""What `hunt.py` measures: random layers with random inputs, each repeated by its name, and their neighbours."""

import re
from collections.abc import Iterator
from math import prod
from typing import Any, NamedTuple

import numpy as np

from numbaconv import layers as nl

# A case costs between these, in multiplications and additions of float32; a byte that is moved counts as so many.
LEAST, MOST, OF_A_BYTE = 2e6, 500e6, 16
LARGEST = 100e6
# How often a kind of operation is drawn.
KINDS = {
    "Conv1D": 3,
    "Conv2D": 4,
    "Conv3D": 3,
    "Conv1DTranspose": 2,
    "Conv2DTranspose": 2,
    "Conv3DTranspose": 2,
    "DepthwiseConv1D": 2,
    "DepthwiseConv2D": 2,
    "SeparableConv1D": 1,
    "SeparableConv2D": 1,
    "Dense": 3,
    **{f"{kind}Pooling{rank}D": 1 for kind in ("Max", "Average", "GlobalMax", "GlobalAverage") for rank in (1, 2, 3)},
    **{f"{kind}{rank}D": 1 for kind in ("UpSampling", "ZeroPadding", "Cropping") for rank in (1, 2, 3)},
    "Activation": 3,
    "Softmax": 2,
    "BatchNormalization": 2,
}
ACTIVATIONS = (
    *("celu", "elu", "exponential", "gelu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_tanh", "leaky_relu"),
    *("log_sigmoid", "log_softmax", "mish", "relu", "relu6", "selu", "sigmoid", "silu", "soft_shrink", "softmax"),
    *("softplus", "softsign", "tanh", "tanh_shrink"),
)
LONGEST = {1: 65536, 2: 512, 3: 96}
FORMATS, DTYPES = ("channels_last", "channels_first"), ("float32", "float64")
_INPUT, _PAIRS = ("batch", "lengths", "channels"), {"ZeroPadding": "padding", "Cropping": "cropping"}
_ONE = ("filters", "units", "groups", "depth_multiplier", "axis")
_NO_FORMAT = ("UpSampling1D", "ZeroPadding1D", "Cropping1D")


class Draw(NamedTuple):
    """A layer with an input: numbers that a climb doubles and halves, and words that it changes."""

    kind: str
    numbers: dict[str, tuple[int, ...]]
    words: dict[str, str]
    name: str

    @property
    def settings(self) -> dict[str, Any]:
        """Keras's arguments of the layer."""
        numbers = {name: value for name, value in self.numbers.items() if name not in _INPUT}
        pairs = _PAIRS.get(self.kind[:-2])
        settings: dict[str, Any] = {name: value[0] if name in _ONE else value for name, value in numbers.items()}
        if pairs:
            both = tuple(zip(settings.pop("before"), settings.pop("after"), strict=True))
            settings = {pairs: both[0] if len(both) == 1 else both}
        words = dict(self.words)
        if self.kind == "BatchNormalization":
            settings["axis"] = -1 if words.pop("data_format") == FORMATS[0] else 1
        return settings | words

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the input."""
        batch, lengths, channels = (self.numbers[name] for name in _INPUT)
        if self.words.get("data_format") == FORMATS[1]:
            return (*batch, *channels, *lengths)
        return (*batch, *lengths, *channels)

    def layer(self) -> nl.Layer:
        """The layer itself, made anew."""
        return getattr(nl, self.kind)(**self.settings)

    def __str__(self) -> str:
        settings = ", ".join(f"{name}={value!r}" for name, value in self.settings.items())
        return f"{self.kind}({settings}) on {self.shape}"


def fits(draw: Draw) -> bool:
    """Whether there is such a layer, and its work and memory are within the limits."""
    try:
        out = draw.layer().compute_output_shape(draw.shape)
    except ValueError:
        return False
    weights, work = _weights_and_work(draw, out)
    item = 8 if draw.words["dtype"] == "float64" else 4
    sizes = [prod(draw.shape), prod(out), weights]
    cost = (work + OF_A_BYTE * 4 * sum(sizes)) * item / 4
    return max(sizes) * item <= LARGEST and LEAST <= cost <= MOST


def _weights_and_work(draw: Draw, out: tuple[int, ...]) -> tuple[int, float]:
    """Numbers in the weights, and multiplications and additions that the sums have; twelve for an exponential."""
    n = draw.numbers
    channels, taps = n["channels"][0], prod(n.get("kernel_size", n.get("pool_size", (1,))))
    filters = n.get("filters", n.get("units", (channels,)))[0]
    many = n.get("depth_multiplier", (1,))[0]
    if draw.kind.startswith("Conv") or draw.kind == "Dense":
        groups = n.get("groups", (1,))[0]
        windows = prod(draw.shape) * filters if "Transpose" in draw.kind else prod(out) * channels
        return taps * channels * filters // groups, 2 * taps * windows // groups
    if "Conv" in draw.kind:
        windows = prod(out) // out[_channels_axis(draw)]
        # No product over channels: a multiplication waits for memory.
        points = filters * many * channels if draw.kind.startswith("Separable") else 0
        return taps * channels * many + points, windows * (8 * taps * channels * many + 2 * points)
    if draw.kind in ("Activation", "Softmax"):
        return 0, 12 * prod(out)
    return 0, (2 * taps * prod(out) if "pool_size" in n else 0)


def _channels_axis(draw: Draw) -> int:
    return 1 if draw.words.get("data_format") == FORMATS[1] else -1


def of_seed(seed: int) -> Draw:
    """The case that a seed stands for."""
    rng = np.random.default_rng(seed)
    kind = kind_of_seed(seed)
    while True:
        draw = Draw(kind, *_drawn(rng, kind), str(seed))
        if fits(draw):
            return draw


def kind_of_seed(seed: int) -> str:
    """The kind of its operation, at less cost."""
    shares = np.array(list(KINDS.values())) / sum(KINDS.values())
    return str(np.random.default_rng([seed, 1]).choice(list(KINDS), p=shares))


def _size(rng: np.random.Generator, low: int, high: int) -> int:
    """Log-uniform; every other one is a round number, as in most networks."""
    size = int(np.exp(rng.uniform(np.log(low), np.log(high + 1))))
    if rng.random() < 0.5:
        step = 2 ** max(0, size.bit_length() - 2)
        size = size // step * step
    return min(max(size, low), high)


def _drawn(rng: np.random.Generator, kind: str) -> tuple[dict[str, tuple[int, ...]], dict[str, str]]:
    """Numbers and words, whatever they cost."""
    rank = int(re.sub(r"\D", "", kind)) if re.search(r"\d", kind) else int(rng.integers(0, 4))
    if kind == "BatchNormalization":
        rank = max(rank, 1)
    numbers: dict[str, tuple[int, ...]] = {"batch": (1 if rng.random() < 0.3 else _size(rng, 1, 256),)}
    numbers["channels"] = (_size(rng, 1, 2048),)
    numbers["lengths"] = tuple(_size(rng, 1, LONGEST[rank]) for _ in range(rank))
    if rank > 1 and rng.random() < 0.7:
        numbers["lengths"] = (numbers["lengths"][0],) * rank
    words = {"dtype": DTYPES[int(rng.random() < 0.25)]}
    if (rank and kind not in _NO_FORMAT and kind not in ("Activation", "Softmax", "Dense")) or kind.startswith("Batch"):
        words["data_format"] = FORMATS[int(rng.random() < 0.3)]
    if "Conv" in kind:
        _draw_conv(rng, kind, numbers, words)
    elif "Pooling" in kind and "Global" not in kind:
        numbers["pool_size"] = _window(rng, numbers["lengths"])
        numbers["strides"] = numbers["pool_size"] if rng.random() < 0.5 else _steps(rng, rank)
        words["padding"] = "same" if rng.random() < 0.4 else "valid"
    elif kind.startswith("UpSampling"):
        numbers["size"] = tuple(_size(rng, 1, 8) for _ in range(rank))
        if rank == 2:
            words["interpolation"] = ("nearest", "bilinear")[int(rng.integers(2))]
    elif kind.startswith(tuple(_PAIRS)):
        for side in ("before", "after"):
            numbers[side] = tuple(_size(rng, 1, 32) - 1 for _ in range(rank))
    elif kind == "Dense":
        numbers["units"] = (_size(rng, 1, 4096),)
        numbers["lengths"] = numbers["lengths"][:1] if rng.random() < 0.3 else ()
    elif kind == "Activation":
        words["activation"] = str(rng.choice(ACTIVATIONS))
    elif kind == "Softmax":
        numbers["axis"] = (-1 if rank == 0 or rng.random() < 0.7 else int(rng.integers(1, rank + 2)),)
    return numbers, words


def _draw_conv(rng: np.random.Generator, kind: str, numbers: dict[str, Any], words: dict[str, str]) -> None:
    rank = len(numbers["lengths"])
    numbers["kernel_size"] = _window(rng, numbers["lengths"])
    if rng.random() < 0.4:
        numbers["strides"] = _steps(rng, rank)
    elif rng.random() < 0.4 and kind != "Conv3DTranspose":
        numbers["dilation_rate"] = (_size(rng, 1, 2 * max(numbers["lengths"])),) * rank
    words["padding"] = "same" if rng.random() < 0.6 else "valid"
    if kind == "Conv1D" and rng.random() < 0.3:
        words["padding"] = "causal"
    if "Depthwise" not in kind:
        numbers["filters"] = (_size(rng, 1, 2048),)
    if "Depthwise" in kind or "Separable" in kind:
        if kind.endswith("2D") and "strides" in numbers:
            # Keras has one stride for both axes here.
            numbers["strides"] = (numbers["strides"][0],) * 2
        if rng.random() < 0.4:
            numbers["depth_multiplier"] = (_size(rng, 1, 16),)
    elif "Transpose" not in kind and rng.random() < 0.2:
        groups = _size(rng, 1, min(numbers["channels"][0], numbers["filters"][0]))
        numbers["groups"] = (groups,)
        for name in ("channels", "filters"):
            numbers[name] = (max(1, numbers[name][0] // groups) * groups,)
    if rng.random() < 0.25:
        words["activation"] = "relu"


def _window(rng: np.random.Generator, lengths: tuple[int, ...]) -> tuple[int, ...]:
    """Mostly as networks have them; sometimes of any size up to the input's."""
    if rng.random() < 0.3:
        return tuple(length if rng.random() < 0.2 else _size(rng, 1, length) for length in lengths)
    return (int(rng.choice((1, 2, 3, 3, 3, 4, 5, 7))),) * len(lengths)


def _steps(rng: np.random.Generator, rank: int) -> tuple[int, ...]:
    if rng.random() < 0.7:
        return (_size(rng, 2, 4),) * rank
    return tuple(_size(rng, 1, 8) for _ in range(rank))


_CHOICES = {"data_format": FORMATS, "dtype": DTYPES, "padding": ("valid", "same")}
_STEP = re.compile(r"([a-z_]+?)(\d?)(\*2|/2|~)")


def neighbours(draw: Draw) -> Iterator[Draw]:
    """All cases that are one step away: a number doubled or halved, a word changed."""
    steps = [f"{name}~" for name in _CHOICES if name in draw.words]
    for name, values in draw.numbers.items():
        places = [""] if len(set(values)) == 1 else [str(i) for i in range(len(values))]
        steps += [f"{name}{place}{way}" for place in places for way in ("*2", "/2") if name != "axis"]
    for step in steps:
        found = stepped(draw, step)
        if (found.numbers, found.words) != (draw.numbers, draw.words) and fits(found):
            yield found


def stepped(draw: Draw, step: str) -> Draw:
    """The case that one step leads to: ``filters*2``, ``lengths0/2`` along one axis, ``padding~``."""
    match = _STEP.fullmatch(step)
    if match is None or match[1] not in {**draw.numbers, **draw.words}:
        raise ValueError(f"{draw.kind} has no step {step!r}")
    name, place, way = match.groups()
    told = f"{draw.name}+{step}"
    if way == "~":
        here, there = _CHOICES[name]
        return draw._replace(words={**draw.words, name: there if draw.words[name] == here else here}, name=told)
    values = tuple(
        (max(1, 2 * n) if way == "*2" else n // 2) if place in ("", str(i)) else n
        for i, n in enumerate(draw.numbers[name])
    )
    return draw._replace(numbers={**draw.numbers, name: values}, name=told)


def of_name(name: str) -> Draw:
    """The case of this name: a seed, and the steps of a climb."""
    seed, *steps = name.split("+")
    draw = of_seed(int(seed))
    for step in steps:
        draw = stepped(draw, step)
    return draw
