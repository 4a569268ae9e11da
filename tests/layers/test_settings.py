"""Settings changed after a layer was made: each acts in every place from the next call on, or is refused."""

import copy
import pickle

import numpy as np
import pytest
from setting_cases import CLASSES, example, make

from numbaconv import activations, layers
from numbaconv.layers import conv, dense, separable
from numbaconv.layers.arguments import argument_names
from numbaconv.models import Sequential

# Another value for every argument of every layer: a new argument must get one here.
OTHER = {
    "activation": ["relu", "elu"],
    "activity_regularizer": ["l2"],
    "algorithm": ["direct", "winograd"],
    "alpha": [0.5],
    "antialias": [True],
    "axis": [1],
    "center": [False],
    "crop_to_aspect_ratio": [True],
    "cropping": [2],
    "data_format": ["channels_first"],
    "depth_multiplier": [2],
    "dilation_rate": [2],
    "dims": [(1, 2)],
    "dtype": ["float64"],
    "epsilon": [0.1],
    "fill_mode": ["constant"],
    "fill_value": [1.5],
    "filters": [5],
    "groups": [3],
    "height": [3],
    "interpolation": ["bilinear", "nearest"],
    "invert": [True],
    "keepdims": [True],
    "kernel_size": [2],
    "l1": [0.5],
    "l2": [0.5],
    "max_value": [0.25],
    "mean": [0.25],
    "momentum": [0.5],
    "n": [3],
    "name": ["other"],
    "negative_slope": [0.5],
    "noise_shape": [(None, *(1,) * 2)],
    "offset": [[2, 3, 4, 5, 6, 7]],
    "output_padding": [0],
    "pad_to_aspect_ratio": [True],
    "padding": ["same", "SAME"],
    "pool_size": [3],
    "rate": [0.25],
    "scale": [False],
    "seed": [7],
    "shared_axes": [[1]],
    "size": [3],
    "stddev": [0.25],
    "strides": [2],
    "target_shape": [(9, -1)],
    "threshold": [0.25],
    "trainable": [False],
    "units": [5],
    "use_bias": [False],
    "variance": [3.0],
    "width": [3],
}
BY_ENDING = {"initializer": ["ones"], "regularizer": ["l1"], "constraint": ["non_neg"]}
# What the weights come from, once there are any.
DECIDES_WEIGHTS = {"center", "depth_multiplier", "dtype", "filters", "kernel_size", "scale", "shared_axes", "units"}
DECIDES_WEIGHTS |= {"use_bias"}
# Of these examples, some.
CHANGE_NOTHING = ("algorithm", "fill_mode", "padding", "momentum", "output_padding")
USED_UP = {"input_shape", "batch_input_shape", "batch_size", "weights"}


def settings_of(cls):
    names = [name for name in argument_names(getattr(layers, cls)) if name not in USED_UP]
    return [name for name in names if (cls, name) != ("ActivityRegularization", "activity_regularizer")]


# Of double precision every layer would be compiled once more.
used = [
    pytest.param(cls, name, marks=pytest.mark.double if name == "dtype" else ())
    for cls in CLASSES
    for name in settings_of(cls)
]


def values_for(cls, name):
    if name == "padding" and cls.startswith("ZeroPadding"):
        return [3]
    if name == "algorithm" and "2D" not in cls:
        return ["direct"]
    if name == "groups" and cls.startswith("Conv"):
        return [2]
    if (cls, name) == ("Rescaling", "scale"):
        return [0.25, np.arange(6)]
    return OTHER[name] if name in OTHER else BY_ENDING[name.rpartition("_")[2]]


def places(layer, x):
    """Everything where a setting shows."""
    said = (
        layer.get_config(),
        repr(layer),
        layer.compute_output_shape(x.shape),
        layer.output_shape,
        layer.explain(x.shape),
    )
    out = layer(x)
    trained = layer.forward(x)
    grad_x = layer.backward(np.cos(np.arange(trained.size)).reshape(trained.shape))
    gradients = [None if g is None else g.tobytes() for g in layer.gradients]
    layer.apply_constraints()
    weights = [w.tobytes() for w in layer.weights]
    return said, out.dtype, out.tobytes(), trained.tobytes(), grad_x.tobytes(), gradients, weights, layer.losses


def assert_everywhere_alike(layer, twin, x):
    for one, other in zip(places(layer, x), places(twin, x), strict=True):
        assert one == other


def with_values(layer, x):
    """The layer, built and with weights of its own."""
    layer.build(x.shape)
    rng = np.random.default_rng(3)
    # Variances are positive.
    least = 0.25 if isinstance(layer, layers.BatchNormalization) else -0.25
    layer.set_weights([rng.random(w.shape) + least for w in layer.weights])
    return layer


@pytest.mark.parametrize(("cls", "name"), used)
def test_a_setting_acts_everywhere_or_is_refused(cls, name):
    for value in values_for(cls, name):
        layer = make(cls)
        if name == "interpolation" and value == layer.interpolation:
            continue
        x = example(layer)
        with_values(layer, x)
        # All that is remembered of a call is there, and must not be used again.
        layer(x), layer.forward(x)
        before = places(copy.deepcopy(layer), x)
        decides = name in DECIDES_WEIGHTS or name.endswith("initializer") or (name == "groups" and "Conv" in cls)
        refused = bool(layer.weights) and decides
        if refused:
            with pytest.raises(ValueError, match=rf"{cls} 'mine': {name} cannot be set to .*: make a new layer"):
                setattr(layer, name, value)
            assert places(layer, x) == before
            continue
        setattr(layer, name, value)
        twin = make(cls, weights=layer.get_weights(), **{name: value})
        twin.build(x.shape)
        if hasattr(layer, "get_state") and name != "seed":
            # Random numbers go on from where they were.
            twin._generator.bit_generator.state = layer._generator.bit_generator.state
        with pytest.raises(ValueError, match="backward needs a forward"):
            layer.backward(np.ones(layer.compute_output_shape(x.shape)))
        assert_everywhere_alike(layer, twin, x)
        assert_everywhere_alike(pickle.loads(pickle.dumps(layer)), copy.deepcopy(layer), x)
        assert places(layer, x)[:4] != before[:4] or name in CHANGE_NOTHING or "Spatial" in cls


@pytest.mark.parametrize("cls", CLASSES)
def test_before_a_layer_is_built_every_setting_acts(cls):
    for name in settings_of(cls):
        for value in values_for(cls, name):
            layer = make(cls)
            setattr(layer, name, value)
            assert layer.get_config() == make(cls, **{name: value}).get_config(), name
            assert layer.name == ("other" if name == "name" else "mine")


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("built", [False, True])
def test_what_the_constructor_refuses_is_refused_and_changes_nothing(cls, built):
    for name in settings_of(cls):
        layer, wrong = make(cls), object()
        if built:
            layer(example(layer))
        before = dict(vars(layer))
        with pytest.raises((ValueError, TypeError)) as constructor:
            make(cls, **{name: wrong})
        with pytest.raises(constructor.type) as setting:
            setattr(layer, name, wrong)
        said = [str(error.value).removeprefix(f"{cls} 'mine'").lstrip(": ") for error in (constructor, setting)]
        assert said[0].removeprefix(f"{cls}: ") == said[1].removeprefix(f"{cls}: "), name
        assert vars(layer) == before, name


def test_settings_are_made_of_what_the_constructor_takes():
    layer = layers.Conv2D(2, 3)
    layer.strides, layer.padding, layer.activation = 2, "SAME", "relu"
    assert (layer.strides, layer.padding, layer.activation) == ((2, 2), "same", activations.relu)
    with pytest.raises(ValueError, match="strides and dilation_rate must not both differ"):
        layer.dilation_rate = 2
    layer.strides = 1
    layer.dilation_rate = 2
    layer.kernel_size = 5
    assert layer(np.ones((1, 9, 9, 1))).shape == (1, 9, 9, 2)
    layer = layers.Conv2DTranspose(2, 3, 3, output_padding=2)
    with pytest.raises(ValueError, match=r"output_padding must be below the strides \(2, 2\), got \(2, 2\)"):
        layer.strides = 2
    assert layer.strides == (3, 3)
    layer = layers.MaxPooling2D(3)
    layer.pool_size = 2
    assert layer.strides == (3, 3)
    layer.strides = None
    assert layer.strides == (2, 2)


def test_a_setting_must_fit_what_the_layer_is_built_for():
    layer = layers.MaxPooling2D(2)
    layer(np.ones((1, 4, 4, 3)))
    with pytest.raises(
        ValueError, match=r"pool_size cannot be set to 5, because .* inputs of shape \(None, 4, 4, 3\): "
    ):
        layer.pool_size = 5
    layer = layers.Conv2D(2, 3)
    layer(np.ones((1, 8, 8, 3)))
    with pytest.raises(ValueError, match=r"data_format cannot be set to 'channels_first'.* must have 3 channels"):
        layer.data_format = "channels_first"
    layer = layers.BatchNormalization()
    layer(np.ones((1, 8, 8, 3)))
    with pytest.raises(ValueError, match=r"axis cannot be set to 1, .* must have 3 on axis 1"):
        layer.axis = 1
    layer.axis = 3
    assert layer.data_format == "channels_last"


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: layers.Conv2D(2, 3), "input_shape"),
        (lambda: layers.Conv2D(2, 3), "batch_input_shape"),
        (lambda: layers.Conv2D(2, 3), "built"),
        (lambda: layers.Conv2D(2, 3), "rank"),
        (lambda: layers.Conv1D(2, 3), "paddings"),
        (lambda: layers.Dense(2), "data_format"),
        (lambda: layers.BatchNormalization(), "data_format"),
        (lambda: layers.Cropping1D(), "data_format"),
        (lambda: layers.UpSampling3D(), "interpolation"),
        (lambda: layers.Conv3DTranspose(2, 3), "dilation_rate"),
        (lambda: layers.MaxPooling2D(), "kind"),
        (lambda: layers.Conv2D(2, 3), "weights"),
        (lambda: layers.Conv2D(2, 3), "output_shape"),
    ],
)
def test_what_follows_from_other_things_cannot_be_set(make, name):
    layer = make()
    before = getattr(layer, name)
    with pytest.raises(AttributeError, match=name):
        setattr(layer, name, before)
    assert getattr(layer, name) == before


def test_a_model_follows_its_layers():
    x = np.arange(64.0).reshape(1, 8, 8, 1)
    model = Sequential([layers.AveragePooling2D(2, input_shape=(8, 8, 1)), layers.Flatten()])
    model(x), model.predict(x, verbose=0)
    model.layers[0].pool_size = model.layers[0].strides = 4
    assert model.output_shape == (None, 4)
    wanted = [[13.5, 17.5, 45.5, 49.5]]
    assert model(x).tolist() == model.predict(x, verbose=0).tolist() == wanted
    said = []
    model.summary(said.append)
    assert "(None, 2, 2, 1)" in said[0]
    assert Sequential.from_config(model.get_config())(x).tolist() == wanted
    model.layers[0].name = "pool"
    assert model.get_config()["layers"][0]["config"]["name"] == "pool"


class Widened(layers.Conv2D):
    """A user's layer with a constructor of its own."""

    def __init__(self, width):
        super().__init__(filters=2 * width, kernel_size=3)
        self.width = width


class Scaled(layers.Layer):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def _weight_shapes(self, channels):
        return {"offset": (channels, self.factor)}

    offset_initializer = staticmethod(np.zeros)

    def _output_shape(self, input_shape):
        return input_shape

    def call(self, x):
        return x * self.factor


def test_settings_of_a_users_subclass():
    layer, x = Widened(2), np.ones((1, 5, 5, 1))
    layer(x)
    layer.padding = "SAME"
    assert layer(x).shape == layer.compute_output_shape(x.shape) == (1, 5, 5, 4)
    assert layer.width == 2
    with pytest.raises(ValueError, match="filters cannot be set to 5"):
        layer.filters = 5
    layer.width = 3
    own = Scaled(2)
    own(np.ones((1, 2)))
    own.trainable, own.factor = False, 3
    assert own(np.ones((1, 2))).tolist() == [[3, 3]]
    with pytest.raises(ValueError, match="dtype cannot be set to 'float64'"):
        own.dtype = "float64"


def test_methods_can_be_replaced_again():
    layer, x = layers.Activation("linear"), np.ones((1, 2))
    for factor in (2, 3):
        layer.call = lambda x, factor=factor: x * factor
        assert np.array_equal(layer(x), factor * x)


def test_layers_pickled_before_their_attributes_were_counted():
    layer = layers.Conv2D(2, 3)
    state = {name: value for name, value in layer.__getstate__().items() if name not in ("_given", "_attributes")}
    old = layers.Conv2D.__new__(layers.Conv2D)
    old.__setstate__(state)
    old.strides = 2
    assert old.strides == (2, 2)
    with pytest.raises(ValueError, match="strides must be"):
        old.strides = "no"


@pytest.mark.parametrize(
    "make", [lambda: layers.Conv2D(2, 3), lambda: layers.SeparableConv2D(2, 3), lambda: layers.Dense(2)]
)
def test_a_setting_that_another_thread_changes_acts_from_the_next_call_on(make, monkeypatch):
    x = np.random.default_rng(0).normal(size=(1, 5, 5, 2))
    layer, minimum_of = make(), dense.minimum_of

    def meanwhile(activation):
        layer.activation = "tanh"
        return minimum_of(activation)

    for use in (layer, layer.forward):
        expected = []
        for activation in ("relu", "tanh"):
            layer.activation = activation
            expected.append(use(x))
        layer.activation = "relu"
        with monkeypatch.context() as patch:
            for module in (conv, dense, separable):
                patch.setattr(module, "minimum_of", meanwhile)
            np.testing.assert_array_equal([use(x), use(x)], expected)
