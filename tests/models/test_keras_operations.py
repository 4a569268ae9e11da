"""Operations that stand in a file of Keras's without a layer, as TensorFlow 2 wrote them: each beside NumPy."""

import json
import pickle

import numpy as np
import pytest

pytest.importorskip("h5py")

from keras_files import functional, input_layer, layer, legacy

from numbaconv.models import load_model
from numbaconv.models.keras.choices import chosen

X = np.random.default_rng(0).uniform(-1, 1, (2, 6, 5, 2)).astype("f4")


def tensorflow_op(name, op, *before, constants=None, **attributes):
    node = {"name": name, "op": op, "input": list(before), "attr": attributes}
    return layer("TensorFlowOpLayer", name, *before, node_def=json.dumps(node), constants=constants or {})


OPERATIONS = {
    "Squeeze": (lambda x: x[:, :, :1], {"squeeze_dims": {"list": {"i": ["2"]}}}, {}, lambda x: x[:, :, 0]),
    "Pad": (None, {}, {"1": [[0, 0], [1, 2], [0, 0], [0, 1]]}, lambda x: np.pad(x, [(0, 0), (1, 2), (0, 0), (0, 1)])),
    "Transpose": (None, {}, {"1": [0, 3, 1, 2]}, lambda x: x.transpose(0, 3, 1, 2)),
    "ExpandDims": (None, {}, {"1": -1}, lambda x: x[..., None]),
    "Mean": (None, {"keep_dims": {"b": True}}, {"1": [1, 2]}, lambda x: x.mean((1, 2), keepdims=True)),
    "Max": (None, {"keep_dims": {"b": False}}, {"1": 3}, lambda x: x.max(3)),
    "AddV2": (None, {"T": {"type": "DT_FLOAT"}}, {"1": 1.5}, lambda x: x + np.float32(1.5)),
    "Sub": (None, {}, {"0": 1.0}, lambda x: 1 - x),
    "Mul": (None, {}, {"1": [2.0, 3.0]}, lambda x: x * np.array([2, 3], "f4")),
    "RealDiv": (None, {}, {"1": 4.0}, lambda x: x / 4),
    "Relu6": (None, {}, {}, lambda x: np.clip(x, 0, 6)),
    "Maximum": (None, {}, {"1": 0.25}, lambda x: np.maximum(x, np.float32(0.25))),
    "LeakyRelu": (None, {"alpha": {"f": 0.3}}, {}, lambda x: np.where(x < 0, np.float32(0.3) * x, x)),
    "Cast": (None, {"DstT": {"type": "DT_FLOAT"}, "Truncate": {"b": False}}, {}, lambda x: x),
    "Reshape": (None, {}, {"1": [-1, 30, 2]}, lambda x: x.reshape(-1, 30, 2)),
    "MirrorPad": (
        None,
        {"mode": {"s": "UkVGTEVDVA=="}},
        {"1": [[0, 0], [2, 1], [3, 0], [0, 0]]},
        lambda x: np.pad(x, [(0, 0), (2, 1), (3, 0), (0, 0)], "reflect"),
    ),
    "DepthToSpace": (
        lambda x: np.repeat(x, 2, -1),
        {"block_size": {"i": "2"}, "data_format": {"s": "TkhXQw=="}},
        {},
        lambda x: x.reshape(2, 6, 5, 2, 2, 1).transpose(0, 1, 3, 2, 4, 5).reshape(2, 12, 10, 1),
    ),
    "BiasAdd": (None, {"data_format": {"s": "TkhXQw=="}}, {"1": [1.0, 2.0]}, lambda x: x + np.array([1, 2], "f4")),
    "Tile": (None, {}, {"1": [1, 1, 2, 3]}, lambda x: np.tile(x, (1, 1, 2, 3))),
    "ReverseV2": (None, {}, {"1": [1, -1]}, lambda x: x[:, ::-1, :, ::-1]),
    "Rsqrt": (np.abs, {}, {}, lambda x: 1 / np.sqrt(x)),
}


@pytest.mark.parametrize("op", OPERATIONS)
def test_operations_of_tensorflow(tmp_path, op):
    prepare, attributes, constants, wanted = OPERATIONS[op]
    x = X if prepare is None else prepare(X)
    parts = [input_layer("x", *x.shape[1:]), tensorflow_op("o", op, "x", constants=constants, **attributes)]
    model = load_model(legacy(tmp_path / "m", functional(parts, ["x"], ["o"]), {}, "2.3.0-tf"))
    found = model(x)
    np.testing.assert_allclose(found, wanted(x), rtol=1e-6, atol=1e-7)
    assert found.shape[1:] == model.output_shape[1:]
    # As other processes get it.
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model))(x), found)


def test_operations_of_two_tensors(tmp_path):
    parts = [
        input_layer("x", 6, 5, 2),
        tensorflow_op("t", "Tanh", "x"),
        tensorflow_op("j", "ConcatV2", "x", "t", constants={"2": -1}),
        tensorflow_op("s", "Add", "x", "t"),
    ]
    model = load_model(legacy(tmp_path / "m", functional(parts, ["x"], ["j", "s"]), {}))
    joined, added = model(X)
    np.testing.assert_allclose(joined, np.concatenate([X, np.tanh(X)], -1), rtol=1e-6)
    np.testing.assert_allclose(added, X + np.tanh(X), rtol=1e-6)


def test_operations_as_keras_2_4_writes_them(tmp_path):
    def op(name, function, node):
        entry = {"class_name": "TFOpLambda", "config": {"name": name, "trainable": True, "function": function}}
        return {**entry, "name": name, "inbound_nodes": [node]}

    span = [{"start": None, "stop": None, "step": None}, {"start": 1, "stop": None, "step": 2}]
    parts = [
        input_layer("x", 6, 5, 2),
        op("a", "math.multiply", ["x", 0, 0, {"y": 2.0, "name": None}]),
        op("b", "__operators__.add", ["a", 0, 0, {"y": ["x", 0, 0], "name": None}]),
        op("c", "__operators__.getitem", ["b", 0, 0, {"slice_spec": span}]),
        op("d", "math.reduce_mean", ["c", 0, 0, {"axis": [1], "keepdims": False}]),
        op("e", "math.subtract", ["_CONSTANT_VALUE", -1, 1.0, {"y": ["d", 0, 0]}]),
    ]
    model = load_model(legacy(tmp_path / "m", functional(parts, ["x"], ["e"], "Functional"), {}, "2.6.0"))
    np.testing.assert_allclose(model(X), 1 - (3 * X)[:, 1::2].mean(1), rtol=1e-5, atol=1e-6)


M = [*range(5, -1, -1), *range(6), *range(5, -1, -1)]
FULL, MORE = {"start": None, "stop": None, "step": None}, {"class_name": "__ellipsis__"}


@pytest.mark.parametrize(
    ("function", "keywords", "wanted"),
    [
        ("__operators__.getitem", {"slice_spec": [MORE, None]}, lambda x: x[..., None]),
        ("__operators__.getitem", {"slice_spec": [MORE, {**FULL, "start": 1}]}, lambda x: x[..., 1:]),
        ("__operators__.getitem", {"slice_spec": [FULL, MORE, 0]}, lambda x: x[:, ..., 0]),
        ("nn.leaky_relu", {"alpha": 0.3}, lambda x: np.where(x < 0, np.float32(0.3) * x, x)),
        ("split", {"num_or_size_splits": [1, 2, 3], "axis": 1}, lambda x: np.split(x, [1, 3], 1)),
        ("split", {"num_or_size_splits": [1, -1, 2], "axis": 1}, lambda x: np.split(x, [1, 4], 1)),
        ("split", {"num_or_size_splits": [-1, 2], "axis": 1}, lambda x: np.split(x, [4], 1)),
        ("unstack", {"axis": -1}, lambda x: [x[..., 0], x[..., 1]]),
        ("pad", {"paddings": [[0, 0], [6, 6], [0, 0], [0, 0]], "mode": "SYMMETRIC"}, lambda x: x[:, M]),
        ("nn.moments", {"axes": [1, 2]}, lambda x: [x.mean((1, 2)), x.var((1, 2))]),
        ("math.l2_normalize", {"axis": -1}, lambda x: x / np.sqrt(np.square(x).sum(-1, keepdims=True))),
        ("image.resize", {"size": [12, 10], "method": "nearest"}, lambda x: x.repeat(2, 1).repeat(2, 2)),
        ("nn.space_to_depth", {"block_size": 1}, lambda x: x),
        ("repeat", {"repeats": 2, "axis": 2}, lambda x: x.repeat(2, 2)),
        ("roll", {"shift": [1, -2], "axis": [1, 2]}, lambda x: np.roll(x, (1, -2), (1, 2))),
        ("math.reduce_std", {"axis": [1], "keepdims": True}, lambda x: x.std(1, keepdims=True)),
        ("compat.v1.transpose", {"perm": [0, -1, 1, 2], "conjugate": False}, lambda x: x.transpose(0, 3, 1, 2)),
    ],
)
def test_keywords_as_keras_2_writes_them(tmp_path, function, keywords, wanted):
    part = {"class_name": "TFOpLambda", "config": {"name": "o", "dtype": "float32", "function": function}, "name": "o"}
    parts = [input_layer("x", 6, 5, 2), {**part, "inbound_nodes": [["x", 0, 0, keywords]]}]
    many = wanted(X) if isinstance(wanted(X), list) else [wanted(X)]
    config = functional(parts, ["x"], ["o"], "Functional")
    config["config"]["output_layers"] = [["o", 0, i] for i in range(len(many))]
    model = load_model(legacy(tmp_path / "m", config, {}, "2.15.0"))
    for found, shape, one in zip(listed(model(X)), listed(model.output), many, strict=True):
        np.testing.assert_allclose(found, one, rtol=1e-5, atol=1e-6)
        assert found.shape[1:] == shape.shape[1:]
    for found, again in zip(listed(model(X)), listed(pickle.loads(pickle.dumps(model))(X)), strict=True):
        np.testing.assert_array_equal(found, again)


def listed(value):
    return value if isinstance(value, list) else [value]


def test_quotients_and_powers_of_two_tensors_are_trained(tmp_path):
    def op(name, function, *before):
        entry = {"class_name": "TFOpLambda", "config": {"name": name, "function": function}, "name": name}
        return {**entry, "inbound_nodes": [[before[0], 0, 0, {"y": [before[1], 0, 0]}]]}

    parts = [input_layer("a", 3), input_layer("b", 1), op("q", "math.truediv", "a", "b"), op("p", "math.pow", "q", "b")]
    model = load_model(legacy(tmp_path / "m", functional(parts, ["a", "b"], ["p"], "Functional"), {}, "2.6.0"))
    a, b = np.array([[1.0, 2.0, 3.0]], "f4"), np.array([[2.0]], "f4")
    np.testing.assert_allclose(model.forward([a, b]), (a / b) ** b, rtol=1e-6)
    for_a, for_b = model.backward(np.ones((1, 3), "f4"))
    np.testing.assert_allclose(for_a, a / 2, rtol=1e-5)
    # By b, the quotient and the exponent.
    wanted = -2 * (a / b) * a / b**2 + (a / b) ** 2 * np.log(a / b)
    np.testing.assert_allclose(for_b, wanted.sum(1, keepdims=True), rtol=1e-5)


def test_means_of_many_values_keep_their_digits(tmp_path):
    x = np.random.default_rng(0).uniform(100, 101, (1, 1024, 1024, 1)).astype("f4")
    found = {}
    for function in ("math.reduce_mean", "math.reduce_variance"):
        part = {"class_name": "TFOpLambda", "config": {"name": "o", "function": function}, "name": "o"}
        parts = [input_layer("x", *x.shape[1:]), {**part, "inbound_nodes": [["x", 0, 0, {"axis": [1, 2]}]]}]
        model = load_model(legacy(tmp_path / "m", functional(parts, ["x"], ["o"], "Functional"), {}, "2.15.0"))
        found[function] = float(model(x)[0, 0])
    exact = x.astype("f8")
    np.testing.assert_allclose(list(found.values()), [exact.mean(), exact.var()], rtol=1e-6)


@pytest.mark.parametrize(
    ("function", "keywords", "reason"),
    [
        ("reverse", {"axis": [0]}, "not the batch's"),
        ("tile", {"multiples": [2, 1, 1, 1]}, "1 for the batch's"),
        ("repeat", {"repeats": 2, "axis": -4}, "not the batch's"),
        ("split", {"num_or_size_splits": 4, "axis": 1}, "a multiple of 4"),
        ("split", {"num_or_size_splits": [1, 2], "axis": 1}, "must add up to the axis's, which is 6"),
        ("split", {"num_or_size_splits": [-1, -1, 2], "axis": 1}, "must add up"),
        ("split", {"num_or_size_splits": [7, -1], "axis": 1}, "must add up"),
        ("pad", {"paddings": [[0, 0], [6, 0], [0, 0], [0, 0]], "mode": "REFLECT"}, "must be longer to be padded"),
        ("nn.depth_to_space", {"block_size": 2}, "no whole blocks"),
        ("nn.depth_to_space", {"block_size": 1, "data_format": "NCHW"}, "data_format must be 'channels_last'"),
        ("nn.bias_add", {"bias": [1.0] * 6, "data_format": "NCHW"}, "channels last"),
        ("image.resize", {"size": [3, 3], "preserve_aspect_ratio": True}, "preserve_aspect_ratio=True"),
    ],
)
def test_what_operations_cannot_do_is_said(tmp_path, function, keywords, reason):
    part = {"class_name": "TFOpLambda", "config": {"name": "o", "function": function}, "name": "o"}
    parts = [input_layer("x", 6, 5, 2), {**part, "inbound_nodes": [["x", 0, 0, keywords]]}]
    with pytest.raises(ValueError, match=rf"'o'.*{reason}"):
        load_model(legacy(tmp_path / "m", functional(parts, ["x"], ["o"], "Functional"), {}, "2.15.0"))


def test_an_empty_batch_has_blocks(tmp_path):
    config = {"name": "o", "function": "nn.depth_to_space"}
    part = {"class_name": "TFOpLambda", "config": config, "name": "o"}
    parts = [input_layer("x", 3, 5, 8), {**part, "inbound_nodes": [["x", 0, 0, {"block_size": 2}]]}]
    model = load_model(legacy(tmp_path / "m", functional(parts, ["x"], ["o"], "Functional"), {}, "2.15.0"))
    assert model(np.ones((0, 3, 5, 8), "f4")).shape == (0, 6, 10, 2)


@pytest.mark.parametrize(
    ("op", "constant"), [("ExpandDims", 0), ("Pad", [[1, 0], [0, 0], [0, 0], [0, 0]]), ("Transpose", [1, 0, 2, 3])]
)
def test_the_batch_is_left_as_it_is(tmp_path, op, constant):
    parts = [input_layer("x", 6, 5, 2), tensorflow_op("o", op, "x", constants={"1": constant})]
    with pytest.raises(ValueError, match="batch"):
        load_model(legacy(tmp_path / "m", functional(parts, ["x"], ["o"]), {}))


def test_numbers_that_are_cut_off_are_refused(tmp_path):
    parts = [input_layer("x", 3), tensorflow_op("o", "Cast", "x", DstT={"type": "DT_INT32"})]
    with pytest.raises(ValueError, match=r"float type.*'int32'"):
        load_model(legacy(tmp_path / "m", functional(parts, ["x"], ["o"]), {}))


def test_other_operations_are_refused_by_name(tmp_path):
    parts = [input_layer("x", 3), tensorflow_op("o", "MatrixInverse", "x")]
    with pytest.raises(ValueError, match=r"layer 'o' \(TensorFlowOpLayer\): the operation MatrixInverse is not done"):
        load_model(legacy(tmp_path / "m", functional(parts, ["x"], ["o"]), {}))


def test_where_takes_as_many_arrays_as_it_was_described_with():
    with pytest.raises(ValueError, match="must be 2 arrays, got 1"):
        chosen([None, 1.0, None], "w").compute_output_shape([(None, 3)])
