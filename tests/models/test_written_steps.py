"""Steps of training that are written down: the same bits as the plain network's, whatever happens in between."""

import numpy as np
import pytest

from numbaconv import Input, layers, models, optimizers
from numbaconv.common.again import UnlikeError
from numbaconv.models import written
from numbaconv.models.relocating import SMALL, relocated
from numbaconv.models.written import Written


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    """The second step of a shape is written down."""
    monkeypatch.setattr(written, "AFTER", 1)


def residual(dtype):
    """A residual network with all kinds of layers that are written down."""
    image = Input((16, 16, 3), dtype=dtype)

    def conv(x, filters, size=3, strides=1, **keywords):
        return layers.Conv2D(filters, size, strides, padding="same", dtype=dtype, **keywords)(x)

    x = layers.ReLU(dtype=dtype)(layers.BatchNormalization(dtype=dtype)(conv(image, 16, use_bias=False)))
    y = layers.BatchNormalization(dtype=dtype)(conv(x, 16, activation="relu"))
    x = layers.ReLU(dtype=dtype)(layers.Add(dtype=dtype)([layers.BatchNormalization(dtype=dtype)(conv(y, 16)), x]))
    y = conv(x, 32, strides=2)
    x = layers.Add(dtype=dtype)([y, conv(layers.AveragePooling2D(2, dtype=dtype)(x), 32, 1)])
    x = layers.MaxPooling2D(2, dtype=dtype)(x)
    x = layers.Dense(24, "relu", dtype=dtype)(layers.GlobalAveragePooling2D(dtype=dtype)(x))
    return models.Model(image, layers.Dense(4, dtype=dtype)(x))


def plain(dtype):
    """Layers one after the other."""
    return models.Sequential(
        [
            layers.Conv2D(20, 5, activation="relu", input_shape=(16, 16, 3), dtype=dtype),
            layers.MaxPooling2D(dtype=dtype),
            layers.Conv2D(33, 3, dtype=dtype),
            layers.Activation("relu", dtype=dtype),
            layers.Flatten(dtype=dtype),
            layers.Dense(4, dtype=dtype),
        ]
    )


def trained(make, change=lambda model, i: None, spoil=lambda x, i: x, writes=True, dtype="float32"):
    """Losses, weights and gradients of some steps, and the model."""
    rng, found = np.random.default_rng(0), []
    model = make(dtype)
    model.set_weights([rng.standard_normal(w.shape) * 0.1 + (w == 1) for w in model.get_weights()])
    model.compile(optimizers.Adam(0.01), "mse")
    with pytest.MonkeyPatch.context() as patch:
        if not writes:
            patch.setattr(written, "_KINDS", ())
        for i in range(6):
            x, y = rng.standard_normal((8, 16, 16, 3)).astype(dtype), rng.standard_normal((8, 4)).astype(dtype)
            change(model, i)
            found.append((model.train_on_batch(spoil(x, i), y), *model.get_weights(), *map(np.copy, model.gradients)))
    return found, model


def steps_of(model):
    """What is known of the shapes of a model's steps."""
    return list(model._program().written._known.values())


def assert_alike(some, others):
    """Equal in every bit."""
    for a, b in zip(some, others, strict=True):
        for one, other in zip(a, b, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("make", [residual, plain])
@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.double)])
def test_bits_are_those_of_the_plain_network(make, dtype):
    some, model = trained(make, dtype=dtype)
    assert [type(one) for one in steps_of(model)] == [Written]
    assert_alike(some, trained(make, writes=False, dtype=dtype)[0])


def _new_weights(model, i):
    if i == 3:
        model.set_weights([w * 0.5 for w in model.get_weights()])


def _huge_weight(model, i):
    """A weight of which kernels may not know that it is finite, where its channel is 0."""
    if i in (3, 4):
        kernel = model.layers[1].kernel.copy()
        kernel[0, 0, 0, 0] = 1e31 * (i == 3)
        model.layers[1].kernel = kernel


def _other_settings(model, i):
    if i == 3:
        model.layers[1].trainable = False
        model.compile(optimizers.SGD(0.01), "mse")


def _no_first_channel(x, i):
    x[..., 0] = 0
    return x


def _outlier(x, i):
    if i in (3, 4):
        x[0, 5, 5, 1] = 1e7
    return x


@pytest.mark.parametrize(
    ("change", "spoil"),
    [
        (_new_weights, lambda x, i: x),
        (_huge_weight, _no_first_channel),
        (_other_settings, lambda x, i: x),
        (lambda model, i: None, _outlier),
    ],
)
def test_changes_between_steps_act(change, spoil):
    some, model = trained(residual, change, spoil)
    assert [type(one) for one in steps_of(model)] == [Written]
    assert_alike(some, trained(residual, change, spoil, writes=False)[0])


def test_a_way_back_that_is_refused_is_taken_by_the_plain_network(monkeypatch):
    others, _ = trained(residual, writes=False)
    take_back, turns = Written.take_back, []

    def refused(self, *args):
        turns.append(1)
        if len(turns) in (3, 4):
            raise UnlikeError
        return take_back(self, *args)

    monkeypatch.setattr(Written, "take_back", refused)
    some, _ = trained(residual)
    assert len(turns) > 4
    assert_alike(some, others)


def test_what_a_step_gave_stays_as_it_is():
    _, model = trained(residual)
    x, y = np.ones((8, 16, 16, 3), np.float32), np.ones((8, 4), np.float32)
    held = [*filter(lambda one: one is not None, model.gradients), *model.weights]
    before = [one.copy() for one in held]
    model.train_on_batch(x, y)
    assert_alike([held], [before])


def test_others_see_no_values_that_a_step_is_tried_on(monkeypatch):
    seen, recorded, agrees = [], written.recorded, Written.agrees

    def look():
        seen.append([layer._weights for layer in model.layers])

    def looking(*args):
        look()
        return recorded(*args)

    def looks(*args):
        found = agrees(*args)
        look()
        return found

    monkeypatch.setattr(written, "recorded", looking)
    monkeypatch.setattr(Written, "agrees", looks)
    model, rng = residual("float32"), np.random.default_rng(0)
    model.compile(optimizers.SGD(0.0), "mse")
    for _ in range(4):
        before = [layer._weights for layer in model.layers]
        model.train_on_batch(rng.standard_normal((8, 16, 16, 3), np.float32), rng.standard_normal((8, 4), np.float32))
        assert all(one is other for looked in seen for one, other in zip(looked, before, strict=True)), len(seen)
        if seen:
            break
    assert len(seen) == 3
    # And its own layers' statistics follow from then on.
    model.train_on_batch(rng.standard_normal((8, 16, 16, 3), np.float32), rng.standard_normal((8, 4), np.float32))
    moved = [
        name
        for layer, old in zip(model.layers, before, strict=True)
        for name in old
        if name.startswith("moving") and not np.array_equal(old[name], layer._weights[name])
    ]
    assert len(moved) == 6


def test_where_a_bit_differs_the_plain_network_goes_on(monkeypatch):
    """As where a layer does something to arrays that is not noted."""
    before = layers.Dense._backward

    def doubled(self, kept, grad_out, input_grad):
        grad_x, gradients = before(self, kept, grad_out, input_grad)
        return grad_x, {name: one * 2 for name, one in gradients.items()}

    monkeypatch.setattr(layers.Dense, "_backward", doubled)
    some, model = trained(plain)
    assert steps_of(model) == [None]
    assert_alike(some, trained(plain, writes=False)[0])


def test_few_shapes_and_no_large_ones_are_remembered(monkeypatch):
    _, model = trained(plain)
    for n in range(1, 8):
        for _ in range(3):
            model.train_on_batch(np.ones((n, 16, 16, 3), np.float32), np.ones((n, 4), np.float32))
    assert [type(one) for one in steps_of(model)] == [Written] * written.MOST_SHAPES
    monkeypatch.setattr(written, "MOST_BYTES", sum(one.bytes for one in steps_of(model)))
    for n in (9, 1000):
        for _ in range(3):
            model.train_on_batch(np.ones((n, 16, 16, 3), np.float32), np.ones((n, 4), np.float32))
    assert steps_of(model)[-1] is None
    assert sum(one.bytes for one in steps_of(model)[:-1]) <= written.MOST_BYTES


@pytest.mark.parametrize("activation", ["elu", "softmax"])
def test_other_layers_are_not_written_down(activation):
    model = models.Sequential([layers.Conv2D(8, 3, activation=activation, input_shape=(8, 8, 3)), layers.Flatten()])
    model.compile("sgd", "mse")
    for _ in range(3):
        model.train_on_batch(np.ones((2, 8, 8, 3)), np.ones((2, 288)))
    assert steps_of(model) == []


def test_weights_that_winograd_cannot_take_are_for_the_plain_network():
    """Where they come to be of a size that it can take, it would compute what had been written down otherwise."""

    def tiny(model, i):
        kernel = model.layers[4].kernel.copy()
        kernel[..., 0] = 1e-32
        if i < 3:
            model.layers[4].kernel = kernel

    some, model = trained(residual, tiny)
    assert steps_of(model) == [None]
    assert_alike(some, trained(residual, tiny, writes=False)[0])


def test_arrays_share_memory_that_are_never_needed_at_once():
    arrays = [np.full(SMALL, i, np.float32) for i in range(8)]
    held = [arrays[2], 1, arrays[3]]

    def exchanged(arguments, values):
        arguments[1] = values[0]

    # The third sum gets what a list of arguments holds, in which a call before it has put something else.
    twos = np.zeros((SMALL, 2), np.float32)
    before = [(np.add, (arrays[i], 1, arrays[i + 1])) for i in range(2)]
    between = [(twos.fill, (2,)), (exchanged, (held, [twos[::-1, 1]])), (np.add, held)]
    after = [(np.add, (arrays[i], 1, arrays[i + 1])) for i in range(3, 7)]
    moved, size = relocated([*before, *between, *after], [arrays[0], [arrays[7]]])
    assert size <= 2 * arrays[0].nbytes + twos.nbytes
    for function, arguments in moved:
        function(*arguments)
    np.testing.assert_array_equal(arrays[7], 8)
    # It is no longer written.
    np.testing.assert_array_equal(arrays[6], 6)


def drawn(rng):
    """Any network of layers that are written down."""
    x = image = Input((*(2 * rng.integers(6, 20, 1).tolist()), int(rng.integers(1, 20))))
    for kind in rng.integers(6, size=rng.integers(1, 5)):
        if kind < 2:
            size, strides, activation = (rng.choice(some) for some in ([1, 3, 5], [1, 1, 2], ["linear", "relu"]))
            settings = {"activation": str(activation), "use_bias": bool(rng.integers(2)), "padding": "same"}
            x = layers.Conv2D(int(rng.integers(1, 40)), int(size), int(strides), **settings)(x)
        elif kind == 2 and x.shape[1] > 3:
            x = rng.choice([layers.MaxPooling2D, layers.AveragePooling2D])(2)(x)
        elif kind == 3:
            x = layers.Add()([layers.Conv2D(x.shape[-1], 3, padding="same")(x), x])
        else:
            x = layers.BatchNormalization()(x)
        x = layers.ReLU()(x) if rng.integers(2) else x
    x = layers.Flatten()(x) if rng.integers(2) else layers.GlobalAveragePooling2D()(x)
    return models.Model(image, layers.Dense(3)(layers.Dense(int(rng.integers(1, 40)), "relu")(x)))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40))
def test_random_networks_train_alike(monkeypatch, seed):
    found = []
    for kinds in (written._KINDS, ()):
        monkeypatch.setattr(written, "_KINDS", kinds)
        rng = np.random.default_rng(seed)
        model = drawn(rng)
        model.set_weights([rng.standard_normal(w.shape) * 0.1 + (w == 1) for w in model.get_weights()])
        model.compile(optimizers.SGD(1e-4), "mse")
        batch = int(rng.integers(1, 12)), *model.input_shape[1:]
        examples = [(rng.standard_normal(batch, np.float32), rng.standard_normal((batch[0], 3))) for _ in range(4)]
        found.append([[model.train_on_batch(x, y), *model.get_weights()] for x, y in examples])
        assert len(steps_of(model)) == len(kinds[:1])
    assert_alike(*found)
