"""Layers over the steps of sequences: copies, files, settings and mistakes."""

import copy
import pickle

import numpy as np
import pytest

from numbaconv import layers
from numbaconv.layers import GRU, LSTM, Embedding, Masking, MultiHeadAttention, SimpleRNN
from numbaconv.models import Sequential

# -- what all of them have ---------------------------------------------------------------------------------------------

MADE = {
    "simple": (lambda **k: SimpleRNN(3, return_sequences=True, **k), (2, 4, 3)),
    "lstm": (lambda **k: LSTM(3, kernel_regularizer="l2", **k), (2, 4, 3)),
    "gru": (lambda **k: GRU(3, return_state=True, **k), (2, 4, 3)),
    "bidirectional": (lambda **k: layers.Bidirectional(LSTM(3), "sum", **k), (2, 4, 3)),
    "embedding": (lambda **k: Embedding(5, 3, **k), (2, 4)),
    "masking": (lambda **k: Masking(3.0, **k), (2, 4, 3)),
}


@pytest.mark.parametrize(("make", "shape"), MADE.values(), ids=MADE)
def test_copies_files_and_settings(make, shape, tmp_path):
    x = np.random.default_rng(1).integers(0, 5, shape)
    layer = make(name="mine", trainable=False)
    first = layer(x)
    wanted = [one.tobytes() for one in (first if isinstance(first, list) else [first])]

    def found(other):
        out = other(x)
        return [one.tobytes() for one in (out if isinstance(out, list) else [out])]

    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert found(twin) == wanted
    twin = type(layer).from_config(layer.get_config())
    assert twin.get_config() == layer.get_config()
    twin.build(x.shape)
    twin.set_weights(layer.get_weights())
    assert found(twin) == wanted
    assert found(make(weights=layer.get_weights() or None)) == wanted
    assert [w.shape for w in layer.get_weights()] == [w.shape for w in layer.named_weights.values()]
    assert layer.count_params() == sum(w.size for w in layer.weights)
    assert layer.trainable_weights == []
    layer.trainable = True
    assert len(layer.trainable_weights) == len(layer.weights)
    if len(wanted) == 1:
        model = Sequential([layer, layers.Flatten()])
        model.build(x.shape)
        model.save(tmp_path / "model.npz")
        assert Sequential.load(tmp_path / "model.npz")(x).tobytes() == model(x).tobytes()


CHANGES = [
    *(("LSTM", name, True) for name in ("return_sequences", "return_state", "go_backwards", "unroll", "use_cudnn")),
    *(("GRU", name, "relu") for name in ("activation", "recurrent_activation")),
    ("SimpleRNN", "zero_output_for_mask", True),
    ("SimpleRNN", "dropout", 0.5),
    ("Embedding", "mask_zero", True),
    ("Masking", "mask_value", 1.0),
    ("MultiHeadAttention", "sliding_window", 1),
    ("MultiHeadAttention", "attention_axes", 1),
    ("LSTM", "units", None),
    ("LSTM", "use_bias", None),
    ("GRU", "reset_after", None),
    ("GRU", "kernel_initializer", None),
    ("Embedding", "output_dim", None),
    ("MultiHeadAttention", "use_gate", None),
    ("MultiHeadAttention", "key_dim", None),
]
OTHERS = {"use_bias": False, "reset_after": False, "use_gate": True, "kernel_initializer": "ones"}
OTHERS |= dict.fromkeys(("units", "output_dim", "key_dim"), 5)
REQUIRED = {"Embedding": (4, 3), "Masking": (), "MultiHeadAttention": (2, 3)}


@pytest.mark.parametrize(("cls", "name", "value"), CHANGES)
def test_a_setting_acts_as_in_the_constructor_or_is_refused(cls, name, value):
    def made(**settings):
        return getattr(layers, cls)(*REQUIRED.get(cls, (3,)), name="mine", **settings)

    x = np.random.default_rng(1).integers(0, 4, (2, 5) if cls == "Embedding" else (2, 5, 3))
    inputs = (x, x[:, ::-1]) if cls == "MultiHeadAttention" else (x,)

    def bits(layer):
        mask = {} if cls in ("Embedding", "MultiHeadAttention", "Masking") else {"mask": x[..., 0] > 1}
        out = layer(*inputs, **mask)
        told = layer.get_config(), layer.compute_output_shape(*(one.shape for one in inputs)), layer.compute_mask(x)
        return *map(str, told), [one.tobytes() for one in (out if isinstance(out, list) else [out])]

    layer = made()
    before = bits(layer)
    if value is None:
        with pytest.raises(ValueError, match=rf"{cls} 'mine': {name} cannot be set to .*: make a new layer"):
            setattr(layer, name, OTHERS[name])
        assert bits(layer) == before
    else:
        setattr(layer, name, value)
        assert bits(layer) == bits(made(weights=layer.get_weights() or None, **{name: value})) != before


REFUSED = {
    "units": (lambda: LSTM(0), ValueError, ("LSTM", "units", "got 0")),
    "stateful": (lambda: GRU(2, stateful=True), ValueError, ("stateful must be False", "initial_state")),
    "time_major": (lambda: LSTM(2, time_major=True), TypeError, ("time_major must be False", "True")),
    "dropout": (lambda: LSTM(2, dropout=2), ValueError, ("dropout", "<= 1", "2")),
    "use_cudnn": (lambda: LSTM(2, use_cudnn="no"), TypeError, ("use_cudnn", "'no'")),
    "axes": (lambda: LSTM(2)(np.ones((2, 3))), ValueError, ("3 axes", "steps", "(2, 3)")),
    "features": (lambda: built(LSTM(2))(np.ones((2, 3, 5))), ValueError, ("4 channels", "(2, 3, 5)")),
    "mask": (lambda: LSTM(2)(np.ones((2, 3, 4)), mask=np.ones((3, 2))), ValueError, ("mask", "(2, 3)", "(3, 2)")),
    "state": (
        lambda: LSTM(2)(np.ones((2, 3, 4)), initial_state=np.ones((2, 2))),
        ValueError,
        ("initial_state must be 2", "(2, 2)"),
    ),
    "shape of a state": (
        lambda: GRU(2)(np.ones((2, 3, 4)), initial_state=np.ones((2, 3))),
        ValueError,
        ("initial_state", "(2, 2)", "(2, 3)"),
    ),
    "id too large": (lambda: Embedding(3, 2)([[0, 3]]), ValueError, ("whole numbers from 0 to 2", "got 3 at (0, 1)")),
    "negative id": (lambda: Embedding(3, 2)([[-1, 0]]), ValueError, ("from 0 to 2", "got -1 at (0, 0)")),
    "id between": (lambda: Embedding(3, 2)([[0.5]]), ValueError, ("whole numbers", "got 0.5")),
    "no id": (lambda: Embedding(3, 2)([[np.nan]]), ValueError, ("whole numbers", "got nan")),
    "large id": (lambda: Embedding(3, 2)(np.array([[2**63]], np.uint64)), ValueError, (f"got {2**63}",)),
    "input_dim": (lambda: Embedding(0, 2), ValueError, ("input_dim", "got 0")),
    "input_length": (lambda: Embedding(3, 2, input_length="all"), TypeError, ("None or an integer", "'all'")),
    "mask_value": (lambda: Masking("no"), TypeError, ("mask_value", "'no'")),
    "heads": (lambda: MultiHeadAttention(0, 2), ValueError, ("num_heads", "got 0")),
    "attention_axes": (
        lambda: MultiHeadAttention(1, 2, attention_axes=3)(np.ones((2, 3, 4)), np.ones((2, 3, 4))),
        ValueError,
        ("attention_axes", "(3,)"),
    ),
    "value and key": (
        lambda: MultiHeadAttention(1, 2)(np.ones((2, 3, 4)), np.ones((2, 3, 4)), np.ones((2, 5, 4))),
        ValueError,
        ("value and key the same positions", "(2, 5, 4)"),
    ),
    "attention_mask": (
        lambda: MultiHeadAttention(1, 2)(
            np.ones((2, 3, 4)), np.ones((2, 3, 4)), attention_mask=np.ones((2, 4, 3)), use_causal_mask=True
        ),
        ValueError,
        ("masks must fit", "(2, 4, 3)"),
    ),
    "examples": (
        lambda: MultiHeadAttention(1, 2)(np.ones((2, 3, 4)), np.ones((3, 3, 4))),
        ValueError,
        ("as many examples", "2 and 3"),
    ),
}


def built(layer):
    layer.build((None, None, 4))
    return layer


@pytest.mark.parametrize(("call", "error", "said"), REFUSED.values(), ids=REFUSED)
def test_mistakes_are_named(call, error, said):
    with pytest.raises(error) as raised:
        call()
    message = str(raised.value)
    assert message.split()[0].strip(":") in ("SimpleRNN", "LSTM", "GRU", "Embedding", "Masking", "MultiHeadAttention")
    assert all(part in message for part in said), message
