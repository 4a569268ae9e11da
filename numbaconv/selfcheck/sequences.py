"""What layers over the steps of sequences should give, by plain loops over examples and steps."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import layers
from ..layers.conv_lstm import ConvLSTM
from ..layers.recurrent import Recurrent
from . import textbook

Array = np.ndarray
# Layers that are known here.
KINDS = layers.Embedding, layers.Masking, layers.MultiHeadAttention, layers.Bidirectional, Recurrent
# What a result is, the result, and what it should be.
Compared = tuple[str, Array, Array]


def compared(layer: Any, shape: tuple[int, ...], rng: np.random.Generator) -> Iterator[Compared]:
    """The results of a layer for an input of this shape, with weights that are drawn here."""
    x: Any = rng.standard_normal(shape, np.float32)
    if isinstance(layer, layers.Embedding):
        x = rng.integers(0, layer.input_dim, shape)
    elif isinstance(layer, layers.Masking):
        x[:, ::2] = layer.mask_value
    inputs = (x, np.ascontiguousarray(x[:, ::-1])) if isinstance(layer, layers.MultiHeadAttention) else (x,)
    first = isinstance(layer, ConvLSTM) and layer.data_format == "channels_first"
    if first:
        inputs = (np.moveaxis(x, -1, 2),)
    layer.build(*(one.shape for one in inputs))
    layer.set_weights([rng.uniform(-1, 1, w.shape).astype(np.float32) for w in layer.weights])
    if isinstance(layer, layers.Bidirectional):
        parts = [_recurrent(one, x, None) for one in (layer.forward_layer, layer.backward_layer)]
        # One direction's results are in the order of its steps.
        yield "result", layer(x), np.concatenate([parts[0], parts[1][:, ::-1]], axis=-1)
    elif isinstance(layer, ConvLSTM):
        out = layer(*inputs)
        yield "result", np.moveaxis(out, 2, -1) if first else out, _convolved(layer, x.astype(float))
    elif isinstance(layer, layers.Embedding):
        yield "result", layer(x), layer.embeddings[x.ravel()].reshape(*x.shape, layer.output_dim).astype(float)
    elif isinstance(layer, layers.Masking):
        yield "result", layer(x), np.where((x == layer.mask_value).all(axis=-1, keepdims=True), 0, x).astype(float)
    elif isinstance(layer, layers.MultiHeadAttention):
        yield "result", layer(*inputs), _attention(layer, *(one.astype(float) for one in inputs))
    else:
        for mask in (None, rng.random(shape[:2]) < 0.5):
            yield "result" if mask is None else "masked result", layer(x, mask=mask), _recurrent(layer, x, mask)


def _recurrent(layer: Any, x: Array, mask: Any) -> Array:
    """The results of all steps, in the order in which they are computed."""
    kernel, matrix, bias = (w.astype(float) for w in layer.weights)
    step = {"SimpleRNN": _simple, "LSTM": _lstm, "GRU": _gru}[type(layer).__name__]
    out = np.zeros((*x.shape[:2], layer.units))
    for n, example in enumerate(x.astype(float)):
        state, last = np.zeros((layer.states, layer.units)), np.zeros(layer.units)
        order = range(len(example))[:: -1 if layer.go_backwards else 1]
        for place, i in enumerate(order):
            if mask is None or mask[n, i]:
                state = step(example[i] @ kernel, state, matrix, bias)
                last = state[0]
            out[n, place] = last
    return out


def _convolved(layer: Any, x: Array) -> Array:
    """The states after all steps of a sequence of images."""
    kernel, matrix, bias = (w.astype(float) for w in layer.weights)
    given = [textbook.result("conv", (x[:, step], kernel, bias)) for step in range(x.shape[1])]
    out, c = np.zeros((2, *given[0].shape[:-1], layer.filters))
    outs = []
    for sums in given:
        i, f, g, o = np.split(sums + textbook.result("conv", (out, matrix, 0 * bias), padding="same"), 4, axis=-1)
        c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
        out = _sigmoid(o) * np.tanh(c)
        outs.append(out)
    return np.stack(outs, axis=1)


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def _simple(given: Array, state: Array, matrix: Array, bias: Array) -> Array:
    return np.tanh(given + state @ matrix + bias)


def _lstm(given: Array, state: Array, matrix: Array, bias: Array) -> Array:
    h, c = state
    i, f, g, o = (given + h @ matrix + bias).reshape(4, len(h))
    c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
    return np.stack([_sigmoid(o) * np.tanh(c), c])


def _gru(given: Array, state: Array, matrix: Array, bias: Array) -> Array:
    (h,) = state
    xz, xr, xn = (given + bias[0]).reshape(3, len(h))
    hz, hr, hn = (h @ matrix + bias[1]).reshape(3, len(h))
    z = _sigmoid(xz + hz)
    return (z * h + (1 - z) * np.tanh(xn + _sigmoid(xr + hr) * hn))[None]


def _attention(layer: Any, query: Array, value: Array) -> Array:
    weights = {name: w.astype(float) for name, w in layer.named_weights.items()}
    out = np.zeros((*query.shape[:2], *weights["output_bias"].shape))

    def made(x: Array, name: str, head: int) -> Array:
        result: Array = x @ weights[f"{name}_kernel"][:, head] + weights[f"{name}_bias"][head]
        return result

    for n, (of_query, of_value) in enumerate(zip(query, value, strict=True)):
        for head in range(layer.num_heads):
            keys, values = made(of_value, "key", head), made(of_value, "value", head)
            for i, one in enumerate(made(of_query, "query", head)):
                shares = np.exp(keys @ one / np.sqrt(layer.key_dim))
                out[n, i] += shares / shares.sum() @ values @ weights["output_kernel"][head]
    return out + weights["output_bias"]
