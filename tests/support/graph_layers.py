"""Layers as plain data, {"class": ..., "arguments": {...}}: those that fit a shape, and the shape that comes out.

Shapes are without the batch axis, and written down here anew: nothing is asked of the package or of Keras. Each tensor
has two, the one that is declared, where None stands for unknown, and the one that its values will have.
"""

from math import prod

SMOOTH = ("linear", "tanh", "sigmoid", "softplus", "elu", "gelu", "swish")
ACTIVATIONS = (*SMOOTH, "relu", "selu", "softsign", "softmax", "mish", "hard_sigmoid", "relu6", "hard_swish")
# More values than this, and a candidate is not taken.
MOST_VALUES = 500
ELEMENTWISE = ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum")
MERGING = (*ELEMENTWISE, "Concatenate", "Dot")
# Of these TensorFlow lacks the form with channels first, and of pooling in three dimensions the one of float64.
CHANNELS_LAST_ONLY = ("Conv1D", "Conv2D", "SeparableConv", "DepthwiseConv", "Transpose")


def after(entry, shapes):
    """The shape that comes out of a layer of these inputs; None where they do not fit."""
    arguments, shape = entry["arguments"], shapes[0]
    kind = entry["class"]
    if kind in ELEMENTWISE:
        return _broadcast(shapes)
    if kind == "Concatenate":
        axis = arguments["axis"] % (len(shape) + 1) - 1
        lengths = [s[axis] for s in shapes]
        return (*shape[:axis], None if None in lengths else sum(lengths), *shape[axis + 1 :])
    if kind == "Dot":
        axis = arguments["axes"] - 1
        return tuple(n for s in shapes for i, n in enumerate(s) if i != axis) or (1,)
    rule = next((rule for words, rule in RULES if any(word in kind for word in words)), None)
    out = shape if rule is None else rule(arguments, shape)
    known = [1 if n is None else n for n in out or ()]
    return out if out is not None and all(n > 0 for n in known) and prod(known) <= MOST_VALUES else None


def _broadcast(shapes):
    out = []
    for lengths in zip(*shapes, strict=True):
        wide = {n for n in lengths if n != 1} or {1}
        if len(wide) > 1:
            return None
        out.append(*wide)
    return tuple(out)


def each(value, rank):
    return tuple(value) if isinstance(value, tuple | list) else (value,) * rank


def _split(arguments, shape):
    first = arguments.get("data_format") == "channels_first"
    return (shape[1:], shape[0]) if first else (shape[:-1], shape[-1])


def _joined(arguments, lengths, channels):
    first = arguments.get("data_format") == "channels_first"
    return (channels, *lengths) if first else (*lengths, channels)


def _window(arguments, shape):
    """Convolutions and pooling."""
    lengths, channels = _split(arguments, shape)
    rank = len(lengths)
    sizes = each(arguments.get("kernel_size", arguments.get("pool_size")), rank)
    strides = each(arguments.get("strides") or arguments.get("pool_size", 1), rank)
    dilations = each(arguments.get("dilation_rate", 1), rank)
    out = []
    for n, k, s, d in zip(lengths, sizes, strides, dilations, strict=True):
        span = 1 if arguments["padding"] in ("same", "causal") else (k - 1) * d + 1
        out.append(None if n is None else (n - span) // s + 1)
    deep = channels * arguments.get("depth_multiplier", 1)
    return _joined(arguments, out, arguments.get("filters", deep))


def _transposed(arguments, shape):
    lengths, _ = _split(arguments, shape)
    sizes, strides = (each(arguments[name], len(lengths)) for name in ("kernel_size", "strides"))
    axes = zip(lengths, sizes, strides, strict=True)
    more = 0 if arguments["padding"] == "same" else 1
    out = [None if n is None else n * s + more * max(k - s, 0) for n, k, s in axes]
    return _joined(arguments, out, arguments["filters"])


def _global(arguments, shape):
    lengths, channels = _split(arguments, shape)
    return _joined(arguments, [1] * len(lengths), channels) if arguments.get("keepdims") else (channels,)


def _longer(arguments, shape):
    """Padding and cropping by the same at both ends or by pairs."""
    lengths, channels = _split(arguments, shape)
    sign, amounts = (1, arguments["padding"]) if "padding" in arguments else (-1, arguments["cropping"])
    pairs = [each(amount, 2) for amount in each(amounts, len(lengths))] if len(lengths) > 1 else [each(amounts, 2)]
    out = [None if n is None else n + sign * sum(pair) for n, pair in zip(lengths, pairs, strict=True)]
    return _joined(arguments, out, channels)


def _upsampled(arguments, shape):
    lengths, channels = _split(arguments, shape)
    axes = zip(lengths, each(arguments["size"], len(lengths)), strict=True)
    return _joined(arguments, [None if n is None else n * size for n, size in axes], channels)


# The first rule holds that has a word of the class's name.
RULES = [
    (("Transpose",), _transposed),
    (("Global",), _global),
    (("Conv", "Pooling"), _window),
    (("ZeroPadding", "Cropping"), _longer),
    (("UpSampling",), _upsampled),
    (("Dense",), lambda arguments, shape: (*shape[:-1], arguments["units"])),
    (("Flatten",), lambda arguments, shape: None if None in shape else (prod(shape),)),
    (("Reshape",), lambda arguments, shape: _reshaped(arguments["target_shape"], shape)),
    (("Permute",), lambda arguments, shape: tuple(shape[axis - 1] for axis in arguments["dims"])),
    (("RepeatVector",), lambda arguments, shape: (arguments["n"], *shape)),
]


def _reshaped(target, shape):
    if None in shape or prod(shape) % -prod(target) or (-1 not in target and prod(shape) != prod(target)):
        return None
    rest = -prod(shape) // prod(target) if -1 in target else 1
    return tuple(rest if n == -1 else n for n in target)


# -- arguments that fit ------------------------------------------------------------------------------------------------


def fitting(declared):
    """Names of the classes that take one tensor of a shape."""
    names = ["Dense", "Activation", "BatchNormalization", "ReLU", "LeakyReLU", "ELU", "Softmax", "Rescaling"]
    # UnitNormalization makes of what rounding leaves of a difference of equals vectors of length 1.
    names += ["LayerNormalization", "GroupNormalization", "PReLU", "Dropout"]
    rank = len(declared) - 1
    if rank == 0:
        return [*names, "RepeatVector", "Reshape"]
    # These are drawn more often.
    names += 8 * [f"Conv{rank}D"] + 2 * [f"AveragePooling{rank}D", f"Conv{rank}DTranspose"]
    if rank < 3:
        # In three dimensions TensorFlow gives the whole gradient to each of several equal maxima.
        names += 2 * [f"MaxPooling{rank}D"]
    names += [f"{kind}{rank}D" for kind in ("ZeroPadding", "Cropping", "UpSampling")]
    names += [f"Global{kind}Pooling{rank}D" for kind in ("Max", "Average")]
    if rank < 3:
        names += 2 * [f"{kind}Conv{rank}D" for kind in ("Separable", "Depthwise")]
    return names if None in declared else [*names, "Flatten", "Reshape", "Permute"]


def arguments_of(kind, choose, declared, dtype):
    """Arguments with which a class takes a tensor of this shape; it may still come out too large or empty."""
    rank = len(declared) - 1
    family = kind.rstrip("123D") if kind[-1] == "D" else kind
    make = ARGUMENTS.get(family) or ARGUMENTS["Pooling" if "Pooling" in kind else "Conv"]
    arguments = make(choose, declared, rank, kind)
    turned = rank and declared[0] is not None and not any(word in kind for word in CHANNELS_LAST_ONLY)
    formatted = kind[-1] == "D" and (rank > 1 or "Pooling" in kind or "Conv" in kind)
    if formatted and turned and choose.chance(6):
        arguments["data_format"] = "channels_first"
    if family == "Conv" and choose.chance(3):
        channels = _split(arguments, declared)[1]
        groups = choose.one(*(n for n in range(1, channels + 1) if channels % n == 0))
        arguments |= {"groups": groups, "filters": groups * arguments["filters"]}
    first = arguments.get("data_format") == "channels_first"
    if kind == "Conv3D" and first and _window(arguments, declared)[-1] in (None, arguments["filters"]):
        # Keras adds a bias along the last axis if that is as long as there are filters.
        arguments["use_bias"] = False
    if "Pooling3D" in kind and "Global" not in kind and dtype == "float64":
        return None
    return arguments


def _conv(choose, declared, rank, kind):
    arguments = {"kernel_size": choose.sizes(rank, 1, 3), "padding": choose.one("valid", "same")}
    if "Depthwise" not in kind:
        arguments["filters"] = choose.integer(1, 4)
    if "Depthwise" in kind or "Separable" in kind:
        arguments["depth_multiplier"] = choose.integer(1, 2)
    if kind == "Conv1D" and choose.chance(4):
        arguments["padding"] = "causal"
    if "Transpose" in kind:
        # TensorFlow cuts "same" of an even kernel short, see the oracle, but not where the strides divide evenly.
        arguments["strides"] = choose.sizes(rank, 1, 2)
    elif choose.chance(3):
        arguments["strides"] = choose.integer(1, 2)
        if "3D" in kind:
            # Where strides leave the end of the input unread, TensorFlow's values are wrong.
            arguments["kernel_size"] = each(max(2, *arguments["kernel_size"]), rank)
    elif choose.chance(3):
        arguments["dilation_rate"] = choose.integer(1, 2)
    return {**arguments, "activation": choose.one(None, *ACTIVATIONS), "use_bias": choose.integer(0, 3) > 0}


def _pooling(choose, declared, rank, kind):
    if "Global" in kind:
        return {"keepdims": choose.chance(2)}
    return {
        "pool_size": choose.sizes(rank, 1, 3),
        "strides": choose.one(None, 1, 2),
        "padding": choose.one("valid", "same"),
    }


def _pairs(choose, rank, low, high):
    pairs = tuple((choose.integer(low, high), choose.integer(low, high)) for _ in range(rank))
    return pairs if rank > 1 else pairs[0]


def _reshape_arguments(choose, declared, rank, kind):
    size = prod(declared)
    front = choose.one(*(n for n in (1, 2, 3, 4) if size % n == 0))
    target = (front, size // front) if choose.chance(2) else (size,)
    return {"target_shape": (*target[:-1], -1) if choose.chance(2) else target}


def _permute_arguments(choose, declared, rank, kind):
    dims = choose.order(range(1, rank + 2))
    return {"dims": tuple(dims)}


def _normalization(choose, declared, rank, kind):
    if kind == "GroupNormalization":
        # A value alone in its group is normalized to what rounding leaves of it.
        most = declared[-1] if rank else max(1, declared[-1] // 2)
        return {"groups": choose.one(*(n for n in (1, 2, 3) if declared[-1] % n == 0 and n <= most))}
    arguments = {"scale": not choose.chance(4), "center": not choose.chance(4)}
    if kind == "BatchNormalization":
        arguments["momentum"] = choose.one(0.5, 0.9)
    return arguments


def _prelu(choose, declared, rank, kind):
    return {"shared_axes": list(range(1, rank + 1))} if rank and (None in declared or choose.chance(2)) else {}


def _units(choose, declared, rank, kind):
    return {
        "units": choose.integer(1, 4),
        "activation": choose.one(None, *ACTIVATIONS),
        "use_bias": choose.integer(0, 3) > 0,
    }


ARGUMENTS = {
    "Conv": _conv,
    "Pooling": _pooling,
    "ZeroPadding": lambda choose, declared, rank, kind: {"padding": _pairs(choose, rank, 0, 2)},
    "Cropping": lambda choose, declared, rank, kind: {"cropping": _pairs(choose, rank, 0, 1)},
    "UpSampling": lambda choose, declared, rank, kind: {
        "size": choose.integer(1, 2) if rank == 1 else choose.sizes(rank, 1, 2)
    },
    "Dense": _units,
    "Activation": lambda choose, declared, rank, kind: {"activation": choose.one(*ACTIVATIONS)},
    "ReLU": lambda choose, declared, rank, kind: choose.one({}, {"max_value": 1.5}, {"negative_slope": 0.25}),
    "LeakyReLU": lambda choose, declared, rank, kind: {"negative_slope": choose.one(0.25, 0.5)},
    "ELU": lambda choose, declared, rank, kind: {"alpha": choose.one(1.0, 0.5)},
    "PReLU": _prelu,
    "Softmax": lambda choose, declared, rank, kind: {"axis": choose.one(-1, *range(1, rank + 2))},
    "Rescaling": lambda choose, declared, rank, kind: {"scale": 0.5, "offset": choose.one(0.0, 1.0)},
    "Dropout": lambda choose, declared, rank, kind: {"rate": 0},
    "BatchNormalization": _normalization,
    "LayerNormalization": _normalization,
    "GroupNormalization": _normalization,
    "Flatten": lambda choose, declared, rank, kind: {},
    "Reshape": _reshape_arguments,
    "Permute": _permute_arguments,
    "RepeatVector": lambda choose, declared, rank, kind: {"n": choose.integer(1, 3)},
}
