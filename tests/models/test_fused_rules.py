"""The program of `predict`: each rule by itself, what it does with special values, and when it is made anew."""

import threading

import numba
import numpy as np
import pytest
from test_fused_networks import filled, layer_by_layer

from numbaconv import config, layers
from numbaconv.machine import threads
from numbaconv.models import Model, Sequential
from numbaconv.models.fused.rules import RULES
from numbaconv.models.fused.running import fused

SHAPE = (56, 57, 32)
# What stands behind each other, and the kinds of the stages that are left; for each rule one at least.
LINES = {
    "nothing": ([layers.Conv2D(8, 3), layers.Dropout(0.5), layers.Identity()], ["conv"]),
    "pad": ([layers.ZeroPadding2D(((0, 1), (2, 1))), layers.Conv2D(8, 3, strides=2)], ["conv"]),
    "pad depthwise": ([layers.ZeroPadding2D(1), layers.DepthwiseConv2D(3)], ["depthwise"]),
    "pad pooling": (
        [layers.Conv2D(8, 1, activation="relu"), layers.ZeroPadding2D(1), layers.MaxPooling2D(3, 2)],
        ["conv", "pool"],
    ),
    "pad pooling of what may be negative": ([layers.ZeroPadding2D(1), layers.MaxPooling2D(3, 2)], ["pad", "pool"]),
    "pad pooling with windows of zeros": (
        [layers.ReLU(), layers.Conv2D(8, 1, activation="relu"), layers.ZeroPadding2D(3), layers.MaxPooling2D(3)],
        ["clip", "conv", "pad", "pool"],
    ),
    "fold": ([layers.Conv2D(8, 3), layers.BatchNormalization(), layers.BatchNormalization()], ["conv"]),
    "fold depthwise": ([layers.DepthwiseConv2D(3, depth_multiplier=2), layers.BatchNormalization()], ["depthwise"]),
    "fold separable": ([layers.SeparableConv2D(8, 3), layers.BatchNormalization()], ["separable"]),
    "fold transposed": ([layers.Conv2DTranspose(8, 3, strides=2), layers.BatchNormalization()], ["transposed"]),
    "fold dense": ([layers.Dense(8), layers.BatchNormalization()], ["dense"]),
    "no fold behind relu": ([layers.Conv2D(8, 3, activation="relu"), layers.BatchNormalization()], ["conv", "scale"]),
    "no fold of another axis": ([layers.Conv2D(8, 3), layers.BatchNormalization(axis=1)], ["conv", "scale"]),
    "hard sigmoid of three layers": (
        [layers.Conv2D(8, 1), layers.Rescaling(1.0, 3.0), layers.ReLU(6.0), layers.Rescaling(1 / 6)],
        ["conv"],
    ),
    "no fold of a negative factor behind relu": (
        [layers.Conv2D(8, 1, activation="relu"), layers.Rescaling(-2.0), layers.ReLU()],
        ["conv", "scale"],
    ),
    "no fold of a shift behind relu": (
        [layers.Conv2D(8, 1, activation="relu"), layers.Rescaling(2.0, 1.0)],
        ["conv", "scale"],
    ),
    "several scales": (
        [
            *(layers.Rescaling(0.5), layers.Normalization(mean=[0.25] * 32, variance=[0.5] * 32)),
            *(layers.Rescaling([2.0] * 32, 1.0), layers.BatchNormalization(), layers.ReLU()),
        ],
        ["scale"],
    ),
    "a scale of positions": ([layers.Conv2D(8, 1), layers.Rescaling([[[2.0]]] * 56)], ["conv", "scale"]),
    "relu": ([layers.Conv2D(8, 3), layers.BatchNormalization(), layers.Activation("relu")], ["conv"]),
    "relu6": ([layers.Conv2D(8, 3), layers.ReLU(6.0)], ["conv"]),
    "slope": ([layers.Conv2D(8, 3), layers.LeakyReLU(0.2)], ["conv"]),
    "slope and maximum": ([layers.Conv2D(8, 3), layers.ReLU(1.0, negative_slope=0.1)], ["conv"]),
    "scale and end": ([layers.BatchNormalization(), layers.ReLU(6.0)], ["scale"]),
    "sigmoid": ([layers.Conv2D(1, 3, activation="sigmoid")], ["conv"]),
    "swish": ([layers.DepthwiseConv2D(3), layers.BatchNormalization(), layers.Activation("swish")], ["depthwise"]),
    "hard swish": ([layers.Dense(9, activation="hard_swish")], ["dense"]),
    "hard sigmoid": ([layers.BatchNormalization(), layers.Activation("hard_sigmoid")], ["scale"]),
    "swish of a transposed convolution": (
        [layers.Conv2DTranspose(8, 3, strides=4, activation="swish")],
        ["transposed", "clip"],
    ),
    "no end": ([layers.Conv2D(8, 3, activation="tanh")], ["conv", "function"]),
    "pair": (
        [
            *(layers.ZeroPadding2D(((0, 1), (0, 1))), layers.DepthwiseConv2D(3, strides=2)),
            *(layers.BatchNormalization(), layers.ReLU(6.0), layers.Conv2D(64, 1, use_bias=False)),
            *(layers.BatchNormalization(), layers.Activation("relu6")),
        ],
        ["pair"],
    ),
}


def line(name):
    listed, kinds = LINES[name]
    model = Sequential([type(one).from_config(one.get_config()) for one in listed])
    model.build((None, *SHAPE))
    return filled(model, np.random.default_rng(0), "float32"), kinds


def image(batch=2):
    return np.random.default_rng(1).standard_normal((batch, *SHAPE)).astype("f4")


def kinds_of(model, x):
    return [turn.stage.kind for turn in fused(model._program()).runner([x.shape]).turns]


def close(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


def block(shape=SHAPE):
    """A residual block, a branch beside it, and both side by side."""
    x = layers.Input(shape)
    y = layers.BatchNormalization()(layers.Conv2D(shape[-1], 3, padding="same")(x))
    y = layers.Activation("relu")(layers.Add()([x, y]))
    z = layers.Conv2D(5, 1, activation="relu")(x)
    both = layers.Concatenate()([layers.Conv2D(3, 1)(y), z, layers.DepthwiseConv2D(3, padding="same")(y)])
    return filled(Model(x, layers.AveragePooling2D(2)(both)), np.random.default_rng(0), "float32")


@pytest.mark.parametrize("name", LINES)
def test_a_rule(name, monkeypatch):
    model, kinds = line(name)
    assert kinds_of(model, image()) == kinds
    close(model(image()), layer_by_layer(monkeypatch, model, image()))


@pytest.mark.parametrize("training, kinds", [(False, ["conv"]), (None, ["conv"]), (True, ["conv", "layer", "scale"])])
def test_layers_that_are_told_not_to_train(training, kinds):
    given = layers.Input(SHAPE)
    dropped = layers.Dropout(0.5)(layers.Conv2D(8, 3)(given), training=training)
    model = Model(given, layers.BatchNormalization()(dropped, training=False))
    assert kinds_of(model, image()) == kinds


def test_predictions_ask_layers_for_shapes_only_once(monkeypatch):
    model, _ = line("pair")
    wanted, asked = model.predict(image()), []
    method = layers.Conv2D.compute_output_shape
    monkeypatch.setattr(
        layers.Conv2D, "compute_output_shape", lambda self, shape: asked.append(0) or method(self, shape)
    )
    np.testing.assert_array_equal(model.predict(image()), wanted)
    assert not asked
    assert model.predict(image()[:1, :20]).shape == (1, 10, 28, 64) and asked


def test_each_rule_says_what_it_does():
    assert all(rule.before and rule.after for rule in RULES)
    assert len({rule.before for rule in RULES}) == len(RULES)


def test_sums_and_what_stands_side_by_side(monkeypatch):
    model = block()
    assert kinds_of(model, image()).count("conv") == 3 and "add" not in kinds_of(model, image())
    close(model(image()), layer_by_layer(monkeypatch, model, image()))
    (whole,) = (t for t in fused(model._program()).runner([image().shape]).turns if t.stage.kind == "concatenate")
    parts = [t for t in fused(model._program()).runner([image().shape]).turns if t.outputs[0] in whole.inputs]
    assert len({part.place for part in parts}) == 3
    assert all(whole.place <= part.place < whole.place + 64 for part in parts)


def dense_block(shape=(12, 13, 8)):
    """Each part is put beside all before it, which are normalized as they lie there."""
    x = given = layers.Input(shape)
    for _ in range(3):
        y = layers.Activation("relu")(layers.BatchNormalization()(x))
        y = layers.Conv2D(5, 3, padding="same")(layers.Activation("relu")(layers.Conv2D(16, 1)(y)))
        x = layers.Concatenate()([x, y])
    return filled(Model(given, layers.ReLU()(layers.BatchNormalization()(x))), np.random.default_rng(0), "float32")


@pytest.mark.parametrize("value", [1, np.nan, np.inf])
def test_wholes_lie_in_larger_wholes(value, monkeypatch):
    model = dense_block()
    x = image()[:, :12, :13, :8]
    turns = fused(model._program()).runner([x.shape]).turns
    wholes = [turn for turn in turns if turn.stage.kind == "concatenate"]
    assert len({turn.place for turn in wholes}) == 1 and len(turns) == 3 * 4 + 1
    same_kinds(model(x), layer_by_layer(monkeypatch, model, x))
    # One of the parts, then factors that are used by themselves.
    for layer in (model.layers[5], model.layers[-2]):
        changed = layer.get_weights()
        changed[0].flat[1] = value
        layer.set_weights(changed)
        same_kinds(model(x), layer_by_layer(monkeypatch, model, x))


def test_a_mean_far_from_zero_keeps_its_digits(monkeypatch):
    model = Sequential([layers.BatchNormalization(), layers.ReLU()])
    model.build((None, 4))
    model.layers[0].moving_mean = [1e4, -1e4, 1e3, 0]
    x = (np.array([1e4, -1e4, 1e3, 0]) + np.random.default_rng(0).standard_normal((50, 4))).astype("f4")
    np.testing.assert_array_equal(model(x), layer_by_layer(monkeypatch, model, x))


@pytest.mark.parametrize("keepdims", [False, True])
def test_gates(keepdims, monkeypatch):
    given = layers.Input((24, 24, 8))
    y = layers.Conv2D(16, 3, activation="swish")(given)
    gates = layers.Dense(16, activation="sigmoid")(layers.GlobalAveragePooling2D(keepdims=keepdims)(y))
    both = layers.Multiply()([gates if keepdims else layers.Reshape((1, 1, 16))(gates), y])
    model = filled(Model(given, layers.Conv2D(3, 1)(both)), np.random.default_rng(0), "float32")
    x = image()[:, :24, :24, :8]
    assert next(t for t in fused(model._program()).runner([x.shape]).turns if t.stage.kind == "multiply").place >= 0
    close(model(x), layer_by_layer(monkeypatch, model, x))


@pytest.mark.parametrize("count", [1, 2])
def test_threads_are_kept_awake_between_large_stages(count, monkeypatch):
    given = layers.Input((40, 40, 32))
    gates = layers.Dense(32)(layers.GlobalAveragePooling2D(keepdims=True)(layers.Conv2D(32, 1)(given)))
    gates = layers.Conv2DTranspose(32, 1)(gates)
    both = layers.Multiply()([gates, given])
    model = filled(Model(given, layers.Dense(8)(layers.GlobalAveragePooling2D()(both))), np.random.default_rng(0), "f4")
    monkeypatch.setattr(threads, "count", lambda: count)
    x = image()[:, :40, :40]
    turns = fused(model._program()).runner([x.shape]).turns
    # The last one has nothing behind it.
    assert [turn.call.serial for turn in turns if turn.stage.kind == "dense"] == [count == 1, True]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    "name", ["pad", "fold", "relu6", "slope", "pair", "fold dense", "fold depthwise", "scale and end"]
)
def test_special_values_are_those_of_the_plain_network(name, value, monkeypatch):
    model, _ = line(name)
    x = image()
    x[0, 0, 5, 3] = x[1, 55, 20, 7] = value
    same_kinds(model(x), layer_by_layer(monkeypatch, model, x))
    # A weight, of each layer in turn, and a factor of 0.
    for layer in model.layers:
        before = layer.get_weights()
        for place in range(len(before)):
            for special in (value, 0):
                changed = [w.copy() for w in before]
                changed[place].flat[1] = special
                layer.set_weights(changed)
                same_kinds(model(x), layer_by_layer(monkeypatch, model, x))
        layer.set_weights(before)


@pytest.mark.parametrize("dilation", [1, 2])
def test_what_winograd_cannot_be_trusted_with_gets_its_own_part_of_a_sum(dilation, monkeypatch):
    given = layers.Input((32, 32, 64))
    conv = layers.Conv2D(64, 3, padding="same", dilation_rate=dilation)
    model = filled(Model(given, layers.Add()([conv(given), given])), np.random.default_rng(0), "float32")
    x = np.random.default_rng(1).standard_normal((2, 32, 32, 64), "float32")
    x[0, 5, 6, 3] = x[1, 8, 9, 3] = np.inf
    same_kinds(model(x), layer_by_layer(monkeypatch, model, x))


def same_kinds(found, wanted):
    np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted))
    infinite = np.isinf(wanted)
    np.testing.assert_array_equal(found[infinite], wanted[infinite])
    finite = np.isfinite(wanted)
    if finite.any():
        close(found[finite], wanted[finite])


def test_changes_act_at_once(monkeypatch):
    model, _ = line("relu")
    x = image()
    first = model(x)
    model.layers[1].gamma = 2 * model.layers[1].gamma
    close(second := model(x), layer_by_layer(monkeypatch, model, x))
    assert np.abs(second - first).max() > 0.1
    model.layers[0].padding = "same"
    assert model(x).shape == (2, 56, 57, 8)
    model.layers[2].activation = "sigmoid"
    close(model(x), layer_by_layer(monkeypatch, model, x))
    model.add(layers.GlobalAveragePooling2D())
    assert model(x).shape == (2, 8)
    model.pop()
    model.compile("sgd", "mse")
    model.train_on_batch(x, np.zeros((2, 56, 57, 8), "f4"))
    close(model.predict(x, verbose=0), layer_by_layer(monkeypatch, model, x))


def test_results_are_their_own(monkeypatch):
    x = image()
    given = layers.Input(SHAPE)
    y = layers.Conv2D(4, 1)(given)
    ends = [layers.Dropout(0.5)(given), y, layers.Flatten()(y), layers.Reshape((-1,))(y), layers.Identity()(y)]
    model = filled(Model(given, ends), np.random.default_rng(0), "float32")
    found = model(x)
    kept = [one.copy() for one in found]
    for i, one in enumerate(found):
        assert not any(np.may_share_memory(one, other) for other in (x, *found[:i], *found[i + 1 :]))
    model(2 * x)
    for one, before in zip(found, kept, strict=True):
        np.testing.assert_array_equal(one, before)
    for one, plain in zip(found, layer_by_layer(monkeypatch, model, x), strict=True):
        close(one, plain)


def test_threads_share_a_network():
    model = block((12, 13, 32))
    xs = [np.random.default_rng(i).standard_normal((1 + i % 2, 12, 13, 32)).astype("f4") for i in range(6)]
    wanted, found = [model(x) for x in xs], [None] * len(xs)

    def work(i):
        for _ in range(20):
            found[i] = model(xs[i])

    workers = [threading.Thread(target=work, args=(i,)) for i in range(len(xs))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_number_of_threads_changes_no_bit():
    model, x = block(), image()
    wanted, before = model(x), numba.get_num_threads()
    for count in range(1, numba.config.NUMBA_NUM_THREADS + 1):
        numba.set_num_threads(count)
        np.testing.assert_array_equal(model(x), wanted)
    numba.set_num_threads(before)


def test_it_can_be_switched_off(monkeypatch):
    model, _ = line("fold")
    layer_by_layer(monkeypatch, model, image())
    assert model._program().fused is None
    model.fuse = False
    np.testing.assert_array_equal(model(image()), layer_by_layer(monkeypatch, model, image()))
    assert model._program().fused is None and not model.fuse
    with pytest.raises(TypeError, match="fuse must be"):
        model.fuse = "no"
    with pytest.raises(TypeError, match="True or False"):
        config.set_fuse(1)
    before = config.fuse()
    config.set_fuse(not before)
    assert config.fuse() is not before
    config.set_fuse(before)


def test_a_sum_takes_the_memory_of_what_is_added(monkeypatch):
    given = layers.Input((12, 12, 32))
    x = layers.Conv2D(32, 3, padding="same")(given)
    y = layers.ReLU()(layers.Add()([layers.Conv2D(32, 1)(layers.Conv2D(16, 1)(x)), x]))
    # The first is read once more, the second is what the kernel reads, too.
    z = layers.Add()([layers.Conv2D(32, 1)(layers.Conv2D(16, 1)(y)), y])
    z = layers.Add()([layers.Conv2D(32, 1)(z), z])
    model = filled(Model(given, layers.Conv2D(3, 1)(layers.Concatenate()([z, y]))), np.random.default_rng(0), "float32")
    x = image()[:, :12, :12]
    turns = [t for t in fused(model._program()).runner([x.shape]).turns if t.stage.kind == "conv"]
    first, second, *others = (turn.place for turn in turns if len(turn.shape) == 4 and turn.shape[-1] == 32)
    assert first == second and len({second, *others}) == 3
    close(model(x), layer_by_layer(monkeypatch, model, x))
