"""Random networks as `predict` runs them, with layers joined, beside the same networks layer by layer."""

import os

import graphs
import numpy as np
import pytest

import numbaconv
from numbaconv import config, layers, models
from numbaconv.models.fused import stretches
from numbaconv.models.fused.running import fused

EXAMPLES = int(os.environ.get("NUMBACONV_PARITY_EXAMPLES", "12"))
# Of these, continuous integration has the first.
OFTEN = 75
# Of the largest output; beside nothing but small ones, of this.
TOLERANCE, SMALL = {"float32": 1e-5, "float64": 1e-13}, 0.1


def filled(model, rng, dtype):
    """The model, with random weights that keep what comes out near one."""
    for layer in model._leaves():
        layer.set_weights([value_of(rng, w, name, dtype) for name, w in layer._weights.items()])
    return model


def value_of(rng, weight, name, dtype):
    if name in ("moving_variance", "gamma"):
        return rng.uniform(0.5, 1.5, weight.shape).astype(dtype)
    scale = 1 / np.sqrt(max(1, np.prod(weight.shape[:-1]))) if weight.ndim > 1 else 0.3
    return (scale * rng.standard_normal(weight.shape)).astype(dtype)


def drawn(seed):
    """A random network of random weights, and inputs for it, twice."""
    graph, rng = graphs.graph_of(seed), np.random.default_rng(seed)
    model = filled(graphs.build(graph, numbaconv), rng, graph["dtype"])
    batch = int(rng.integers(1, 4))
    inputs = [rng.standard_normal((batch, *one["actual"])).astype(graph["dtype"]) for one in graph["inputs"]]
    several = inputs, [-one for one in inputs]
    return graph, model, *(graphs.formed(some, graph["input_form"], graph["name"]) for some in several)


def layer_by_layer(monkeypatch, model, x):
    with monkeypatch.context() as context:
        context.setattr(config, "_fuse", False)
        return model(x)


def seeds(dtype_of):
    def marks(seed):
        if seed >= EXAMPLES:
            return pytest.mark.slow if seed < OFTEN else pytest.mark.nightly
        return pytest.mark.double if dtype_of(seed) == "float64" else ()

    return [pytest.param(seed, marks=marks(seed)) for seed in range(max(EXAMPLES, 300))]


@pytest.mark.parametrize("seed", seeds(lambda seed: graphs.graph_of(seed)["dtype"]))
def test_a_random_network(seed, monkeypatch):
    graph, model, x, other = drawn(seed)
    wanted = graphs.flat(layer_by_layer(monkeypatch, model, x), graph["output_form"])
    # The third and fourth call repeat what the second one has written down.
    found, others, again, others_again = (graphs.flat(model(one), graph["output_form"]) for one in (x, other) * 2)
    for ours, plain in zip(found, wanted, strict=True):
        assert ours.shape == plain.shape and ours.dtype == plain.dtype
        error = np.abs(ours - plain).max(initial=0) / max(np.abs(plain).max(initial=0), SMALL)
        assert error <= TOLERANCE[graph["dtype"]]
    for ours, same in zip([*found, *others], [*again, *others_again], strict=True):
        np.testing.assert_array_equal(ours, same)


ACTIVATIONS = "relu", "relu6", "leaky_relu", "swish", "sigmoid", "linear"


def dtype_from(rng):
    return rng.choice(["float32", "float32", "float64"])


def blocks(seed):
    """A random network of what stands in networks of convolutions, and an input for it."""
    rng = np.random.default_rng(seed)
    dtype, data_format = dtype_from(rng), rng.choice(["channels_last", "channels_first"])
    axis, settings = (
        (-1, {"data_format": data_format}) if data_format == "channels_last" else (1, {"data_format": data_format})
    )
    shape = (int(rng.integers(7, 30)), int(rng.integers(7, 30)))
    channels = int(rng.choice([1, 3, 8, 20]))
    settings["dtype"] = dtype

    def one_of(*choices):
        return choices[rng.integers(len(choices))]

    def block(x):
        count = int(rng.choice([1, 4, 16, 24]))
        if rng.random() < 0.3:
            x = layers.ZeroPadding2D(one_of(1, ((0, 1), (0, 1)), ((2, 1), (0, 3))), **settings)(x)
        more = {"padding": one_of("valid", "same"), "use_bias": bool(rng.random() < 0.5), **settings}
        if min(x.shape[1:3] if axis == -1 else x.shape[2:]) < 5:
            more["padding"] = "same"
        x = one_of(
            lambda: layers.Conv2D(count, one_of(1, 3, (1, 5)), strides=one_of(1, 2), **more),
            lambda: layers.Conv2D(count, 3, activation=one_of("relu", "elu"), **more),
            lambda: layers.DepthwiseConv2D(3, strides=one_of(1, 2), depth_multiplier=one_of(1, 2), **more),
            lambda: layers.SeparableConv2D(count, 3, **more),
            lambda: layers.Conv2DTranspose(count, 3, strides=one_of(1, 2), **more),
        )()(x)
        return after(x)

    def after(x):
        start = x
        if rng.random() < 0.7:
            x = layers.BatchNormalization(axis=axis, dtype=dtype)(x)
        if rng.random() < 0.7:
            x = layers.Activation(one_of(*ACTIVATIONS), dtype=dtype)(x)
        if rng.random() < 0.3:
            x = layers.Dropout(0.5, dtype=dtype)(x)
        if rng.random() < 0.3:
            x = one_of(layers.Add, layers.Multiply)(dtype=dtype)([x, start])
        if rng.random() < 0.3:
            x = layers.Activation(one_of(*ACTIVATIONS), dtype=dtype)(x)
        return x

    x = given = layers.Input((*shape, channels) if axis == -1 else (channels, *shape), dtype=dtype)
    for _ in range(rng.integers(1, 4)):
        x = block(x)
    if rng.random() < 0.5:
        other = after(layers.Conv2D(5, 3, padding="same", **settings)(x))
        x = layers.Concatenate(axis=axis, dtype=dtype)([other, x])
        x = layers.BatchNormalization(axis=axis, dtype=dtype)(x)
        x = after(x)
    x = one_of(layers.GlobalAveragePooling2D, layers.Flatten)(**settings)(x)
    x = after(layers.Dense(7, dtype=dtype)(x))
    model = filled(models.Model(given, x), rng, dtype)
    return model, rng.standard_normal((int(rng.integers(1, 3)), *given.shape[1:])).astype(dtype)


@pytest.mark.parametrize("seed", seeds(lambda seed: dtype_from(np.random.default_rng(seed))))
def test_a_random_network_of_convolutions(seed, monkeypatch):
    model, x = blocks(seed)
    runner = assert_runs_as_its_layers_do(monkeypatch, model, x)
    assert len(runner.turns) < len(model._program().steps) + 3


@pytest.mark.parametrize("seed", seeds(lambda seed: dtype_from(np.random.default_rng(seed))))
def test_a_random_network_of_convolutions_for_a_few_images_at_a_time(seed, monkeypatch):
    model, x = blocks(seed)
    monkeypatch.setattr(stretches, "HOST", stretches.HOST._replace(near_bytes=1 if seed % 2 else 2 * x[:1].nbytes))
    assert_runs_as_its_layers_do(monkeypatch, model, np.concatenate([x, -x, x, x / 2]))


def assert_runs_as_its_layers_do(monkeypatch, model, x):
    """The same values, and in each call the same bits; returns the runner."""
    wanted, found, other = layer_by_layer(monkeypatch, model, x), model(x), model(-x)
    error = np.abs(found - wanted).max() / max(np.abs(wanted).max(), SMALL)
    assert error <= TOLERANCE[x.dtype.name]
    np.testing.assert_array_equal(found, model(x))
    np.testing.assert_array_equal(other, model(-x))
    runner = fused(model._program()).runner([x.shape])
    assert runner is not None
    return runner


# In continuous integration 100 more of either kind, at night all of them.
MORE = [pytest.param(n, marks=pytest.mark.slow if n < 400 else pytest.mark.nightly) for n in range(300, 2000, 100)]


@pytest.mark.parametrize("start", MORE)
def test_many_random_networks(start, monkeypatch):
    for seed in range(start, start + 100):
        test_a_random_network(seed, monkeypatch)
        test_a_random_network_of_convolutions(seed, monkeypatch)


def test_networks_are_joined():
    joined = 0
    for seed in range(10):
        model, x = blocks(seed)
        joined += sum(len(turn.stage.parts) > 1 for turn in fused(model._program()).runner([x.shape]).turns)
    assert joined >= 10


def test_networks_run_for_a_few_images_at_a_time_and_take_less_memory(monkeypatch):
    found, room = 0, []
    for seed in range(10):
        for near in 1, 2**40:
            model, x = blocks(seed)
            monkeypatch.setattr(stretches, "HOST", stretches.HOST._replace(near_bytes=near))
            runner = fused(model._program()).runner([(12, *x.shape[1:])])
            found += any(turn.stage.kind == "together" for turn in runner.turns)
            room.append(runner.room)
    # Not where layers have more weights than values.
    assert 8 <= found <= 10
    assert sum(room[::2]) < sum(room[1::2]) / 2
