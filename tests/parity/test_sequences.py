"""Layers over the steps of sequences beside Keras's: values, masks, shapes and configurations."""

from __future__ import annotations

import inspect
import itertools
from typing import Any

import numpy as np
import pytest

from numbaconv import layers
from numbaconv.models import Model, Sequential, load_model

from .keras_oracle import keras, quiet
from .test_small_layers import simplified

NAMES = ["Embedding", "Masking", "SimpleRNN", "LSTM", "GRU", "Bidirectional", "MultiHeadAttention", "TimeDistributed"]
# Arguments of Keras 3's that ask for nothing here.
NOT_OURS = {"lora_rank", "lora_alpha", "quantization_config"}
# In the middle, at the end and at the beginning of a sequence, and none at all.
MASK = np.array([[1, 1, 1, 0, 0], [1, 0, 1, 1, 0], [0, 0, 1, 1, 1], [0, 0, 0, 0, 0]], bool)
FLAGS = ("return_sequences", "return_state", "go_backwards")
# Settings that are not the default, by layer.
CELLS: dict[str, list[dict[str, Any]]] = {
    "SimpleRNN": [{}, {"activation": "relu", "use_bias": False}],
    "LSTM": [{}, {"recurrent_activation": "hard_sigmoid"}, {"unit_forget_bias": False, "use_bias": False}],
    "GRU": [
        {},
        {"reset_after": False},
        {"activation": "softsign", "recurrent_activation": "hard_sigmoid"},
        {"use_bias": False},
        {"use_bias": False, "reset_after": False},
    ],
}


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype("float32")


def alike(ours: Any, theirs: Any, *shapes: Any) -> None:
    """Build both for these shapes, and give them the same weights."""
    theirs.build(*shapes)
    ours.build(*shapes)
    rng = np.random.default_rng(5)
    weights = [rng.standard_normal(w.shape).astype("float32") for w in theirs.get_weights()]
    assert [w.shape for w in ours.get_weights()] == [w.shape for w in weights]
    theirs.set_weights(weights)
    ours.set_weights(weights)


def assert_alike(found: Any, expected: Any, tolerance: float = 2e-5) -> None:
    """Compare what two layers return, be it one array or several."""
    several = isinstance(expected, tuple | list)
    assert isinstance(found, list) == several
    for one, other in zip(found if several else [found], expected if several else [expected], strict=True):
        assert one.dtype == np.float32
        np.testing.assert_allclose(one, np.asarray(other), rtol=tolerance, atol=tolerance)


def shapes_alike(found: Any, expected: Any) -> bool:
    return (list(found) if isinstance(found, list) else [found]) == (
        list(expected) if isinstance(expected[0], tuple) else [tuple(expected)]
    )


def choices(count: int) -> list[tuple[bool, ...]]:
    """Half of all choices of so many flags: every choice of any but one of them is there once."""
    return [(*flags, sum(flags) % 2 == 1) for flags in itertools.product([False, True], repeat=count - 1)]


@pytest.mark.parametrize("name", NAMES)
def test_arguments_and_defaults(name: str) -> None:
    ours, theirs = (
        {p.name: p.default for p in inspect.signature(getattr(module, name)).parameters.values() if p.name != "kwargs"}
        for module in (layers, keras.layers)
    )
    known = {p for owner in (layers.Layer,) for p in inspect.signature(owner).parameters}
    extra = {"zero_output_for_mask"} | known
    assert [(k, v) for k, v in ours.items() if k not in extra or k in theirs] == [
        (k, v) for k, v in theirs.items() if k not in NOT_OURS
    ]


@pytest.mark.parametrize(("name", "settings"), [(name, one) for name in CELLS for one in CELLS[name]])
def test_recurrent_layers(name: str, settings: dict[str, Any]) -> None:
    x = normal(4, 5, 2)
    for *flags, masked, begun in choices(5):
        arguments = {**settings, **dict(zip(FLAGS, flags, strict=True))}
        with quiet():
            ours, theirs = (getattr(module, name)(3, **arguments) for module in (layers, keras.layers))
            alike(ours, theirs, x.shape)
            mask = MASK if masked else None
            state = [normal(4, 3) * i for i in range(1, ours.states + 1)] if begun else None
            assert_alike(
                ours(x, mask=mask, initial_state=state), theirs(x, mask=mask, initial_state=state, training=False)
            )
            assert shapes_alike(ours.compute_output_shape(x.shape), theirs.compute_output_shape(x.shape))
            unknown = (None, None, 2)
            assert shapes_alike(ours.compute_output_shape(unknown), theirs.compute_output_shape(unknown))


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("zero", [False, True])
def test_what_masked_steps_give(name: str, zero: bool) -> None:
    x = normal(4, 5, 2)
    with quiet():
        ours, theirs = (
            getattr(module, name)(3, return_sequences=True, zero_output_for_mask=zero)
            for module in (layers, keras.layers)
        )
        alike(ours, theirs, x.shape)
        assert_alike(ours(x, mask=MASK), theirs(x, mask=MASK))


# What is merged does not depend on the layer.
@pytest.mark.parametrize(
    ("name", "merge_mode"),
    [*(("GRU", mode) for mode in ("concat", "sum", "mul", "ave", None)), ("SimpleRNN", "concat"), ("LSTM", None)],
)
def test_bidirectional(name: str, merge_mode: str | None) -> None:
    x = normal(4, 5, 2)
    # Nor on these, which all meet one way.
    for sequences, state, masked, begun, own in choices(5)[:: 1 if (name, merge_mode) == ("GRU", "concat") else 3]:

        def make(module: Any, sequences: bool = sequences, state: bool = state, own: bool = own) -> Any:
            cell, flags = getattr(module, name), {"return_sequences": sequences, "return_state": state}
            other = cell(3, go_backwards=True, activation="relu", **flags) if own else None
            return module.Bidirectional(cell(3, **flags), merge_mode, backward_layer=other)

        with quiet():
            ours, theirs = make(layers), make(keras.layers)
            alike(ours, theirs, x.shape)
            begin = [normal(4, 3) * i for i in range(1, 2 * ours.layer.states + 1)] if begun else None
            mask = MASK if masked else None
            assert_alike(ours(x, mask=mask, initial_state=begin), theirs(x, mask=mask, initial_state=begin))


HEADS: list[dict[str, Any]] = [
    {"num_heads": 2, "key_dim": 3},
    {"num_heads": 3, "key_dim": 2, "value_dim": 4, "use_bias": False},
    {"num_heads": 2, "key_dim": 3, "output_shape": 5, "sliding_window": 2},
    {"num_heads": 1, "key_dim": 3, "output_shape": (2, 3), "use_gate": True},
    {"num_heads": 2, "key_dim": 3, "dropout": 0.5},
]
READS: dict[str, dict[str, Any]] = {
    "all": {},
    "mask": {"attention_mask": np.arange(24).reshape(2, 4, 3) % 5 < 3},
    "causal": {"use_causal_mask": True},
    "value mask": {"value_mask": np.array([[1, 0, 1], [0, 0, 0]], bool)},
    "all of them": {
        "attention_mask": np.arange(12).reshape(1, 4, 3) % 5 < 4,
        "use_causal_mask": True,
        "value_mask": np.array([[1, 1, 1], [0, 1, 0]], bool),
        "key_mask": np.array([[1, 1, 0], [1, 1, 1]], bool),
    },
}


@pytest.mark.parametrize("settings", HEADS, ids=str)
@pytest.mark.parametrize("reads", READS.values(), ids=READS)
def test_attention(settings: dict[str, Any], reads: dict[str, Any]) -> None:
    query, value, key = normal(2, 4, 5), normal(2, 3, 6), normal(2, 3, 7)
    for scores, with_key in itertools.product([False, True], repeat=2):
        inputs = (query, value, key) if with_key else (query, value)
        shapes = [one.shape for one in inputs]
        with quiet():
            ours, theirs = (module.MultiHeadAttention(**settings) for module in (layers, keras.layers))
            alike(ours, theirs, *shapes)
            calls = {**reads, "return_attention_scores": scores}
            assert_alike(ours(*inputs, **calls), theirs(*inputs, **calls))
        assert ours.compute_output_shape(*shapes) == tuple(theirs.compute_output_shape(*shapes))


@pytest.mark.parametrize("axes", [None, 1, 2, (1, 2), (2, 1), -2])
def test_attention_over_some_axes(axes: Any) -> None:
    x = normal(2, 3, 4, 5)
    with quiet():
        ours, theirs = (module.MultiHeadAttention(2, 3, attention_axes=axes) for module in (layers, keras.layers))
        alike(ours, theirs, x.shape, x.shape)
        found, expected = (layer(x, x, return_attention_scores=True) for layer in (ours, theirs))
    assert_alike(found, expected)
    tensors = (layers.Input(x.shape[1:]) for _ in range(2))
    out = ours(*tensors, return_attention_scores=True)
    assert [t.shape[1:] for t in out] == [one.shape[1:] for one in found]


MADE: dict[str, Any] = {
    "embedding": lambda module: module.Embedding(5, 3, "ones", "l2", mask_zero=True),
    "masking": lambda module: module.Masking(2),
    "simple": lambda module: module.SimpleRNN(3, "relu", dropout=0.5, return_sequences=True, seed=3),
    "lstm": lambda module: module.LSTM(3, recurrent_activation="tanh", unit_forget_bias=False, go_backwards=True),
    "gru": lambda module: module.GRU(3, use_bias=False, reset_after=False, recurrent_dropout=0.2, return_state=True),
    "bidirectional": lambda module: module.Bidirectional(module.LSTM(3), merge_mode="ave"),
    "attention": lambda module: module.MultiHeadAttention(2, 3, output_shape=4, attention_axes=1, use_gate=True),
    "time": lambda module: module.TimeDistributed(module.Conv2D(2, 3, activation="relu")),
}


@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
def test_each_reads_the_configuration_of_the_other(make: Any) -> None:
    with quiet():
        ours, theirs = make(layers), make(keras.layers)
        config = ours.get_config()
        twin = type(theirs).from_config(dict(config)).get_config()
        known = {k: v for k, v in config.items() if k in twin and k not in ("layer", "backward_layer")}
        assert {k: simplified(twin[k]) for k in known} == {k: simplified(v) for k, v in known.items()}
        read = type(ours).from_config(plain(theirs.get_config())).get_config()
        # Keras's SimpleRNN does not tell its seed.
        names = ("name", "layer", "backward_layer", "seed")
        assert {k: v for k, v in read.items() if k not in names} == {k: v for k, v in config.items() if k not in names}


def plain(value: Any) -> Any:
    """A configuration of Keras's with its dtypes as names, and without what only some layers of Keras's say."""
    if isinstance(value, dict):
        if value.get("class_name") == "DTypePolicy":
            return value["config"]["name"]
        return {k: plain(v) for k, v in value.items() if k not in NOT_OURS}
    return value


def text(module: Any) -> Any:
    x = module.Input((5,), dtype="int32")
    y = module.Dropout(0.2)(module.Embedding(9, 4, mask_zero=True)(x))
    y = module.Bidirectional(module.GRU(2, return_sequences=True))(module.LSTM(3, return_sequences=True)(y))
    return x, module.Dense(2)(module.LSTM(3)(y))


def masked_mean(module: Any) -> Any:
    x = module.Input((5, 3))
    y = module.Dense(4, "tanh")(module.Masking()(x))
    y = module.TimeDistributed(module.Dense(4))(module.SimpleRNN(3, return_sequences=True)(y))
    return x, module.GlobalAveragePooling1D()(module.BatchNormalization()(y))


def dropped(module: Any) -> Any:
    """A convolution does not hand the mask on."""
    x = module.Input((5, 3))
    return x, module.LSTM(2)(module.Conv1D(3, 2, padding="same")(module.Masking()(x)))


def merged(module: Any) -> Any:
    x = module.Input((5, 3))
    y = module.Masking()(x)
    both = [module.SimpleRNN(3, return_sequences=True)(y), y]
    parts = [module.Concatenate()(both), module.Add()([module.Concatenate()([y, x]), module.Concatenate()([x, y])])]
    return x, [module.LSTM(2)(one) for one in parts]


def translated(module: Any) -> Any:
    x, y = module.Input((5, 3)), module.Input((None, 2))
    out, h, c = module.LSTM(4, return_state=True)(module.Masking()(x))
    return [x, y], [module.LSTM(4, return_sequences=True)(y, initial_state=[h, c]), out]


def attended(module: Any) -> Any:
    x = module.Input((5,), dtype="int32")
    y = module.Embedding(9, 4, mask_zero=True)(x)
    z, scores = module.MultiHeadAttention(2, 3)(y, y, return_attention_scores=True, use_causal_mask=True)
    return x, [module.GlobalAveragePooling1D()(module.LayerNormalization()(module.Add()([y, z]))), scores]


def frames(module: Any) -> Any:
    x = module.Input((3, 6, 6, 2))
    y = module.TimeDistributed(module.Flatten())(module.TimeDistributed(module.Conv2D(3, 3))(x))
    return x, module.Concatenate()(module.Bidirectional(module.GRU(2), merge_mode=None)(y))


WORDS = np.array([[3, 1, 2, 0, 0], [4, 0, 8, 5, 0], [0, 0, 1, 2, 3], [7, 7, 7, 7, 7]])
STEPS = normal(4, 5, 3) * MASK[..., None]
STEPS[3] = 1
NETWORKS: dict[str, tuple[Any, list[np.ndarray]]] = {
    "text": (text, [WORDS]),
    "masked mean": (masked_mean, [STEPS]),
    "mask dropped": (dropped, [STEPS]),
    "masks merged": (merged, [STEPS]),
    "translation": (translated, [STEPS, normal(4, 6, 2)]),
    "attention": (attended, [WORDS]),
    "frames": (frames, [normal(2, 3, 6, 6, 2)]),
}


@pytest.mark.parametrize(("make", "inputs"), NETWORKS.values(), ids=NETWORKS)
def test_networks(make: Any, inputs: list[np.ndarray]) -> None:
    with quiet():
        ours, theirs = Model(*make(layers)), keras.Model(*make(keras.layers))
        rng = np.random.default_rng(2)
        weights = [rng.uniform(0.2, 1, w.shape) * rng.choice([-1, 1], w.shape[-1:]) for w in theirs.get_weights()]
        if make is masked_mean:
            weights[-1] = np.abs(weights[-1])
        weights = [np.abs(w) if "variance" in v.path else w for w, v in zip(weights, theirs.weights, strict=True)]
        for model in (ours, theirs):
            model.set_weights(weights)
        assert ours.count_params() == theirs.count_params()
        given: Any = inputs if len(inputs) > 1 else inputs[0]
        assert_alike(ours(given), theirs(given))
        twin = Model.from_config(ours.get_config())
        twin.set_weights(weights)
        assert_alike(twin(given), theirs(given))


@pytest.mark.parametrize("suffix", ["keras", "h5"])
@pytest.mark.parametrize(("make", "inputs"), NETWORKS.values(), ids=NETWORKS)
def test_files_of_keras_s(make: Any, inputs: list[np.ndarray], suffix: str, tmp_path: Any) -> None:
    given: Any = inputs if len(inputs) > 1 else inputs[0]
    with quiet():
        theirs = keras.Model(*make(keras.layers))
        theirs.save(tmp_path / f"model.{suffix}")
        assert_alike(load_model(tmp_path / f"model.{suffix}")(given), theirs(given))


def test_a_sequential_carries_masks() -> None:
    parts = [
        ("Masking", (), {}),
        ("LSTM", (4,), {"return_sequences": True}),
        ("Dropout", (0.5,), {}),
        ("GRU", (3,), {}),
    ]
    with quiet():
        ours, theirs = (
            kind([getattr(module, name)(*positional, **named) for name, positional, named in parts])
            for kind, module in ((Sequential, layers), (keras.Sequential, keras.layers))
        )
        alike(ours, theirs, STEPS.shape)
        assert_alike(ours(STEPS), theirs(STEPS))
        assert_alike(ours.predict(STEPS, verbose=0), theirs.predict(STEPS, verbose=0))


def test_every_layer_hands_masks_on_as_keras_s_does() -> None:
    arguments = {
        **{"units": 2, "filters": 2, "kernel_size": 1, "rate": 0.5, "activation": "relu", "input_dim": 3, "n": 2},
        **{"output_dim": 2, "num_heads": 2, "key_dim": 2, "dims": (1,), "axes": -1, "target_shape": (4,)},
        **{"stddev": 1.0, "function": lambda x: x, "height": 1, "width": 1, "scale": 1.0, "pool_size": 2},
    }
    checked = 0
    classes = {name for name in layers.__all__ if isinstance(getattr(layers, name), type)}
    for name in sorted(classes - {"InputLayer", "Layer"}):
        signatures = (inspect.signature(getattr(module, name)) for module in (layers, keras.layers))
        required = [p.name for one in signatures for p in one.parameters.values() if p.default is p.empty]
        pair = []
        with quiet():
            for module in (layers, keras.layers):
                given = {k: arguments[k] for k in required if k in arguments}
                inner = {"layer": module.LSTM(2)} if "layer" in required else {}
                pair.append(getattr(module, name)(**given, **inner))
        assert pair[0].supports_masking == pair[1].supports_masking, name
        checked += 1
    assert checked > 60
