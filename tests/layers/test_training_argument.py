"""``training=`` in calls of layers and models, and arguments of Keras's that ask for nothing."""

import copy

import numpy as np
import pytest
from setting_cases import CLASSES, example, make

from numbaconv import layers
from numbaconv.models import Sequential

every_class = pytest.mark.parametrize("cls", CLASSES)
# One makes its penalty itself.
PENALIZED = [cls for cls in CLASSES if cls != "ActivityRegularization"]


def bits(layer):
    return [w.tobytes() for w in layer.weights]


@pytest.mark.parametrize("cls", PENALIZED)
def test_a_layer_in_training(cls):
    layer = make(cls, activity_regularizer="l2")
    x = example(layer)
    layer.build(x.shape)
    twin = copy.deepcopy(layer)
    inference = layer(x).tobytes()
    assert layer(x, training=None).tobytes() == layer(x, training=False).tobytes() == inference
    assert bits(layer) == bits(twin)
    before = x.copy()
    out = layer(x, training=True)
    assert out.tobytes() == twin.forward(x).tobytes()
    assert out.flags.c_contiguous and not np.may_share_memory(out, x)
    assert bits(layer) == bits(twin)
    assert layer.losses == twin.losses
    out[...] = 7
    assert np.array_equal(x, before)
    # Nothing is kept for backward, and what forward has kept stays.
    with pytest.raises(ValueError, match="backward needs a forward"):
        layer.backward(out)
    layer.forward(x)
    layer(x, training=True)
    assert layer.backward(out).shape == x.shape
    with pytest.raises(TypeError, match=rf"{cls} 'mine': training must be True or False, got 'yes'"):
        layer(x, training="yes")


def test_monte_carlo_dropout():
    model = Sequential([layers.Dense(3), layers.Dropout(0.5, seed=1), layers.BatchNormalization(momentum=0.5)])
    x = np.ones((40, 2))
    model.build(x.shape)
    wanted = copy.deepcopy(model)
    assert np.array_equal(model(x), model(x, training=False))
    draws = [model(x, training=True) for _ in range(2)]
    assert not np.array_equal(*draws)
    for draw in draws:
        out = x
        for layer in wanted.layers:
            out = layer.forward(out)
        assert draw.tobytes() == out.tobytes()
    assert bits(model) == bits(wanted)
    assert np.ptp(model.layers[1](x)) == np.ptp(model.predict(x, verbose=0)[:, 0]) == 0
    model.trainable = False
    before = bits(model)
    model(x, training=True)
    assert bits(model) == before
    with pytest.raises(TypeError, match="training must be True or False, got 2"):
        model(x, training=2)


@every_class
def test_weights_of_a_layer_that_is_not_built(cls):
    layer = make(cls)
    layer.set_weights(layer.get_weights())
    assert layer.get_weights() == []
    with pytest.raises(ValueError, match="set_weights needs a built layer"):
        layer.set_weights([np.ones(1)])
    model = Sequential([layer])
    model.set_weights(model.get_weights())
    with pytest.raises(ValueError, match="set_weights needs a built model"):
        model.set_weights([np.ones(1)])


@pytest.mark.parametrize("cls", [cls for cls in CLASSES if "Conv" in cls and cls not in ("Conv1D", "Conv2D", "Conv3D")])
def test_layers_that_have_no_groups(cls):
    assert make(cls, groups=1).get_config() == make(cls).get_config()
    with pytest.raises(TypeError, match=rf"{cls}: groups must be 1, because .*, got 2"):
        make(cls, groups=2)


@pytest.mark.parametrize(
    ("cls", "name", "neutral", "other"),
    [
        ("Conv2D", "autocast", True, False),
        ("Flatten", "dynamic", False, True),
        ("BatchNormalization", "renorm", False, True),
        ("BatchNormalization", "renorm_clipping", None, {"rmax": 1}),
        ("BatchNormalization", "renorm_momentum", 0.99, 0.5),
        ("BatchNormalization", "synchronized", False, True),
        ("Dense", "lora_rank", None, 4),
        ("Dense", "lora_alpha", None, 4),
        ("Dense", "quantization_config", None, {}),
    ],
)
def test_neutral_arguments_are_taken_and_others_refused(cls, name, neutral, other):
    layer = make(cls)
    config = {**layer.get_config(), name: neutral}
    assert (
        type(layer).from_config(config).get_config() == make(cls, **{name: neutral}).get_config() == layer.get_config()
    )
    with pytest.raises(TypeError, match=rf"{cls}: {name} must be {neutral}, because "):
        make(cls, **{name: other})
    with pytest.raises(TypeError, match=rf"{cls}: unknown argument {name}s; known are "):
        make(cls, **{f"{name}s": neutral})


@every_class
def test_keras_policies_of_dtypes(cls):
    def policy(name):
        return {"module": "keras", "class_name": "DTypePolicy", "config": {"name": name}, "registered_name": None}

    assert make(cls, dtype=policy("float64")).dtype == "float64"
    for wrong in ("mixed_float16", "float16"):
        with pytest.raises(ValueError, match=r"dtype must be 'float32' or 'float64'"):
            make(cls, dtype=policy(wrong))


@pytest.mark.parametrize("cls", PENALIZED)
def test_every_layer_takes_a_penalty_on_its_result(cls):
    layer = make(cls, activity_regularizer="l2")
    x = example(layer)
    out = layer(x)
    assert layer.losses[-1] == pytest.approx(0.01 * float(np.square(out, dtype=np.float64).sum()) / len(x), rel=1e-5)
    twin = type(layer).from_config(layer.get_config())
    assert twin.activity_regularizer == layer.activity_regularizer
    layer.activity_regularizer = None
    layer(x)
    assert layer.losses == []


def test_messages_speak_of_x():
    model = Sequential([layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(1, name="d")], name="m")
    model.compile("sgd", "mse")
    model(np.ones((1, 5, 5, 1)))
    x, y = np.ones((1, 6, 6, 1)), np.ones((1, 1))
    said = r"Sequential 'm': Dense 'd': x must have 18 channels .*got .*32"
    for use in (model, model.predict, lambda x: model.fit(x, y, verbose=0), lambda x: model.evaluate(x, y, verbose=0)):
        with pytest.raises(ValueError, match=said):
            use(x)
    with pytest.raises(ValueError, match="input_shape must have 18 channels"):
        model.compute_output_shape(x.shape)
