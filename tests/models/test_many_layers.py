"""Networks of many layers, and networks that threads share while they are built: each step is taken once."""

import threading
import time

import numpy as np
import pytest

from numbaconv.layers import Add, Concatenate, Dense, Input, InputLayer, Layer, ReLU
from numbaconv.models import Model, Sequential
from numbaconv.models.connections import connected


def test_the_order_in_which_a_configuration_lists_layers_takes_no_time():
    count, asked = 300, 0
    names = [f"l{i}" for i in range(count)]

    def place_of(value):
        nonlocal asked
        asked += 1
        return [value, 0, 0] if isinstance(value, str) else None

    layers = [InputLayer((2,), name=names[0]), *(ReLU(name=name) for name in names[1:])]
    calls = [[], *([((before,), {})] for before in names[:-1])]
    join, join_call = Concatenate(name="join"), [((names,), {})]
    found = connected([join, *layers[::-1]], [join_call, *calls[::-1]], place_of)
    assert found(["join", 0, 0]).shape == (None, 2 * count)
    assert asked < 20 * count


def test_layers_called_in_turns():
    x = Input((3,), name="x")
    a, b = Dense(3, name="a"), Dense(3, name="b")
    model = Model(x, Add(name="sum")([a(b(a(x))), b(x), x]), name="turns")
    config = model.get_config()
    for order in (slice(None), slice(None, None, -1)):
        other = Model.from_config({**config, "layers": config["layers"][order]})
        other.set_weights(model.get_weights()) if order.step is None else [
            other.get_layer(name).set_weights(model.get_layer(name).get_weights()) for name in "ab"
        ]
        np.testing.assert_array_equal(other(np.ones((2, 3))), model(np.ones((2, 3))))


class Counted(Layer):
    """A layer that counts how often it is asked for its shape."""

    asked = 0

    def compute_output_shape(self, input_shape):
        Counted.asked += 1
        return tuple(input_shape)

    def call(self, x):
        return x


def test_a_line_asks_each_layer_a_few_times():
    Counted.asked = 0
    model = Sequential([Input((2,)), *(Counted() for _ in range(50))])
    assert len(model.layers) == 50
    assert Counted.asked < 50 * 10


class Slow(Layer):
    """A layer that lets other threads come in between."""

    def compute_output_shape(self, input_shape):
        time.sleep(0.02)
        return tuple(input_shape)

    def call(self, x):
        return x


def test_threads_that_share_an_unbuilt_line_connect_it_once():
    model, x, found = Sequential([Slow(), Dense(2)]), np.ones((1, 3)), []
    threads = [threading.Thread(target=lambda: found.append(model(x))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(*found)
    assert [len(layer._nodes) for layer in model.layers] == [1, 1]
    assert model.output is model.layers[-1].output


def test_names_are_their_own():
    x = Input((2,))
    with pytest.raises(ValueError, match="several 'd'"):
        Model(x, Dense(2, name="d")(Dense(2, name="d")(x)))
    many = Model(x, [ReLU(name=f"r{i}")(x) for i in range(3)] + [x, x])
    assert many.output_names == ["r0", "r1", "r2", x.name, f"{x.name}_1"]
