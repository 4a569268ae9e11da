"""Sequential: the stack, its shapes, weights and predictions, and models as files."""

import numpy as np
import pytest
from small_models import SHAPE, batch, built, small

from numbaconv import config
from numbaconv.layers import Conv1D, Conv2D, Cropping2D
from numbaconv.models import Sequential


def one_by_one(model, x):
    for layer in model.layers:
        x = layer(x)
    return x


# -- the stack ---------------------------------------------------------------------------------------------------------


def test_example_of_the_keras_page():
    # Crop the input 2D images or feature maps
    model = Sequential()
    model.add(Cropping2D(cropping=((2, 2), (4, 4)), input_shape=(28, 28, 3)))
    # now model.output_shape == (None, 24, 20, 3)
    assert model.output_shape == (None, 24, 20, 3)
    model.add(Conv2D(64, (3, 3), padding="same"))
    model.add(Cropping2D(cropping=((2, 2), (2, 2))))
    # now model.output_shape == (None, 20, 16, 64)
    assert model.output_shape == (None, 20, 16, 64)
    assert model.input_shape == (None, 28, 28, 3)
    assert model(np.ones((1, 28, 28, 3))).shape == (1, 20, 16, 64)


def test_default_names_count_up():
    first, second = Sequential(), Sequential()
    stem, number = second.name.rsplit("_", 1)
    assert stem == "sequential"
    assert first.name == (f"sequential_{int(number) - 1}" if int(number) > 1 else "sequential")
    assert Sequential(name="mine").name == "mine"


def test_layers_is_a_copy():
    model = small()
    model.layers.clear()
    assert [layer.name for layer in model.layers] == ["a", "b", "c"]
    assert repr(model) == f"<Sequential {model.name!r}, 3 layers, not built>"


def test_pop():
    model = built()
    assert model.pop().name == "c"
    assert model.output_shape == (None, 4, 3, 3)
    model.pop(), model.pop()
    assert model.input_shape is None
    assert not model.built
    with pytest.raises(ValueError, match=rf"{model.name}.*no layers"):
        model.pop()
    model.add(Conv1D(1, 1, input_shape=(4, 1)))
    assert model.output_shape == (None, 4, 1)


def test_a_layer_added_to_a_built_model_is_built_at_once():
    model = small()
    model(batch())
    model.add(layer := Conv2D(4, 2, name="d"))
    assert layer.built
    assert model.output_shape == (None, 3, 2, 4)


@pytest.mark.parametrize("make", [small, built])
@pytest.mark.parametrize(
    ("layer", "kind", "said"),
    [
        ("conv2d", TypeError, "layer must be a layer of numbaconv.layers or a model, got 'conv2d'"),
        (Conv2D, TypeError, "layer must be a layer"),
        (None, TypeError, "None"),
        (Cropping2D(name="b"), ValueError, "second 'b'"),
    ],
)
def test_what_cannot_be_added(make, layer, kind, said):
    model = make()
    before = model.layers
    with pytest.raises(kind, match=rf"Sequential '{model.name}': .*{said}"):
        model.add(layer)
    assert model.layers == before


def test_a_layer_cannot_be_added_twice():
    model = small()
    with pytest.raises(ValueError, match=r"once only.*'b'"):
        model.add(model.layers[1])
    assert len(model.layers) == 3


def layer_for_five_channels():
    layer = Conv2D(1, 1, name="misfit")
    layer.build((None, 9, 9, 5))
    return layer


def layer_for_large_images():
    layer = Cropping2D(4, name="misfit")
    layer.build((None, 9, 9, 2))
    return layer


@pytest.mark.parametrize(
    "make",
    [
        lambda: Conv1D(1, 1, name="misfit"),
        lambda: Conv2D(1, 9, name="misfit"),
        lambda: Conv2D(1, 1, name="misfit", weights=[np.ones(3)]),
        layer_for_five_channels,
        layer_for_large_images,
    ],
)
def test_a_layer_that_does_not_fit_leaves_the_model_as_it_was(make):
    model, x = built(), batch()
    before = model(x)
    with pytest.raises(ValueError, match=rf"Sequential '{model.name}': (Conv1D|Conv2D|Cropping2D) 'misfit': "):
        model.add(make())
    assert len(model.layers) == 3
    assert model.output_shape == (None, 4, 3, 2)
    assert np.array_equal(model(x), before)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"name": 3}, "name must be a non-empty string, got 3"),
        ({"name": ""}, "name must be"),
        ({"layers": 3}, "layers must be a list of layers, got 3"),
        ({"layers": [3]}, "layer must be a layer"),
    ],
)
def test_bad_arguments(arguments, said):
    with pytest.raises(TypeError, match=said):
        Sequential(**arguments)


def test_an_empty_model_says_so():
    model = Sequential(name="empty")
    for use in (model, model.predict, model.build, model.compute_output_shape):
        with pytest.raises(ValueError, match="Sequential 'empty': the model has no layers"):
            use(np.zeros(SHAPE[1:]))
    assert model.output_shape is None
    assert model.weights == []


# -- shapes ------------------------------------------------------------------------------------------------------------


def test_shapes_are_unknown_until_the_first_call():
    model = small()
    assert (model.built, model.input_shape, model.output_shape) == (False, None, None)
    model(batch())
    assert (model.built, model.input_shape, model.output_shape) == (True, SHAPE, (None, 4, 3, 2))


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        ({"input_shape": (6, 5, 2)}, (None, 6, 5, 2)),
        ({"input_shape": (None, None, 2)}, (None, None, None, 2)),
        ({"input_shape": (6, 5, 2), "batch_size": 4}, (4, 6, 5, 2)),
        ({"batch_input_shape": (4, 6, 5, 2)}, (4, 6, 5, 2)),
    ],
)
def test_the_first_layer_declares_the_input_shape(first, expected):
    model = small(**first)
    assert model.built
    assert model.input_shape == expected
    assert model.output_shape == model.compute_output_shape(expected)
    assert model(batch()).shape == (3, 4, 3, 2)


def test_build():
    model = small()
    model.build([None, 6, 5, 2])
    assert model.input_shape == SHAPE
    weights = model.get_weights()
    model.build((8, 9, 9, 2))
    assert all(map(np.array_equal, model.weights, weights))
    with pytest.raises(ValueError, match=r"'a'.*2 channels"):
        model.build((None, 6, 5, 3))
    with pytest.raises(ValueError, match="number of channels must be known"):
        small().build((None, 6, 5, None))


def test_a_shape_that_a_later_layer_cannot_take_builds_none():
    model = small()
    with pytest.raises(ValueError, match="Cropping2D 'b'"):
        model(np.zeros((1, 2, 2, 7)))
    assert not any(layer.built for layer in model.layers)
    assert model(batch()).shape == (3, 4, 3, 2)


def test_explain_joins_the_layers():
    model = built()
    paragraphs = model.explain().split("\n\n")
    assert paragraphs[0] == model.layers[0].explain(SHAPE)
    assert paragraphs[1] == model.layers[1].explain((None, 5, 4, 3))
    assert len(paragraphs) == 3
    assert "(1, 9, 9, 2)" in model.explain((1, 9, 9, 2))
    with pytest.raises(ValueError, match="input_shape must be given"):
        small().explain()


# -- use ---------------------------------------------------------------------------------------------------------------


def test_a_call_is_the_layers_in_turn():
    model, x = built(), batch()
    before = x.copy()
    out = model(x)
    assert np.array_equal(out, one_by_one(model, x))
    assert np.array_equal(x, before)
    assert model(x.tolist()).dtype == np.float32


def test_other_sizes_but_the_same_channels():
    model = built()
    assert model(batch(2, (9, 8, 2))).shape == (2, 7, 6, 2)
    with pytest.raises(ValueError, match=rf"Sequential '{model.name}': Conv2D 'a': x must have 2 channels"):
        model(batch(2, (6, 5, 3)))
    with pytest.raises(ValueError, match="'a': x must have 4 axes"):
        model(np.zeros(3))
    with pytest.raises(TypeError, match="real numbers"):
        model("picture")


@pytest.mark.parametrize("batch_size", [1, 2, 3, 32, np.int64(2)])
@pytest.mark.parametrize("make", [small, built])
def test_predict_is_the_call(make, batch_size):
    model, x = make(), batch()
    out = model.predict(x, batch_size=batch_size)
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, model(x), rtol=1e-6, atol=1e-6)


def test_predict_takes_so_many_at_a_time(monkeypatch):
    model, seen = built(), []
    monkeypatch.setattr(config, "_fuse", False)
    monkeypatch.setattr(model.layers[0], "_after_call", lambda out: seen.append(len(out)))
    model.predict(batch(5), batch_size=2)
    assert seen == [2, 2, 1]


def test_the_result_has_the_last_layers_dtype():
    model = Sequential([Conv2D(2, 1), Conv2D(2, 1, dtype="float64")])
    assert model.predict(batch()).dtype == model(batch()).dtype == np.float64


@pytest.mark.parametrize("make", [small, built])
def test_an_empty_batch(make):
    model = make()
    assert model.predict(batch(0)).shape == (0, 4, 3, 2)
    assert model(batch(0)).shape == (0, 4, 3, 2)


@pytest.mark.parametrize(
    "arguments", [{"batch_size": 0}, {"batch_size": 2.0}, {"batch_size": True}, {"verbose": 3}, {"verbose": "loud"}]
)
def test_predict_refuses(arguments):
    (name,) = arguments
    model = built()
    with pytest.raises(ValueError, match=f"{name} must be"):
        model.predict(batch(), **arguments)


@pytest.mark.parametrize(("verbose", "shown"), [(0, False), ("auto", False), (1, True)])
def test_the_progress_bar(capsys, verbose, shown):
    model = built()
    model.predict(batch(), batch_size=1, verbose=verbose)
    out, err = capsys.readouterr()
    assert out == ""
    assert ("3/3" in err and model.name in err) is shown


def test_the_progress_bar_appears_when_it_takes_long(capsys, monkeypatch):
    monkeypatch.setattr("numbaconv.training.progress.PATIENCE", 1e-9)
    built().predict(batch(), batch_size=1)
    assert "/3" in capsys.readouterr().err


def test_losses_of_all_layers():
    model = Sequential([Conv2D(1, 1, kernel_regularizer="l2"), Cropping2D(1), Conv2D(1, 1, bias_regularizer="l1")])
    assert model.losses == []
    model.build(SHAPE)
    model.set_weights([np.ones((1, 1, 2, 1)), [0], np.ones((1, 1, 1, 1)), [5]])
    assert model.losses == pytest.approx([0.02, 0.05])


def test_summary():
    lines = []
    model = Sequential([Conv2D(300, 3, name="a", input_shape=(9, 9, 2)), Cropping2D(name="bb")], name="m")
    model.summary(print_fn=lines.append)
    (text,) = lines
    rows = text.split("\n")
    assert rows[0] == "Sequential 'm'"
    assert [rows[2], *rows[4:6]] == [
        "Layer (class)    Output shape       Parameters",
        "a (Conv2D)       (None, 7, 7, 300)       5,700",
        "bb (Cropping2D)  (None, 7, 7, 300)           0",
    ]
    assert len({len(row) for row in rows[1:7]}) == 1
    assert rows[-1] == "Total: 5,700 parameters, 5,700 trainable, 0 not trainable"


def test_summary_of_a_model_that_is_not_built(capsys):
    small().summary()
    text = capsys.readouterr().out
    assert text.count("not built") == 3
    assert text.count(" ? ") == 3
    assert text.rstrip().endswith("Not built: the first call, or build(input_shape), creates the weights")
    Sequential().summary()
    assert "Not built" in capsys.readouterr().out


def test_a_notebook_shows_a_table():
    html = built()._repr_html_()
    assert html.count("<tr>") == 1 + len(built().layers)
    assert "<p>Total: 35 parameters, 35 trainable, 0 not trainable</p>" in html
    named = Sequential([Conv2D(1, 1, name="<script>alert(1)</script>")], name='"<b>&')
    assert "<script>" not in named._repr_html_() and "<b>" not in named._repr_html_()
    assert "&lt;script&gt;alert(1)&lt;/script&gt; (Conv2D)" in named._repr_html_()
    assert "<p>Not built" in named._repr_html_()


# -- weights -----------------------------------------------------------------------------------------------------------


def test_weights_in_order():
    model = built()
    assert [w.shape for w in model.weights] == [(2, 2, 2, 3), (3,), (1, 1, 3, 2), (2,)]
    assert model.count_params() == 24 + 3 + 6 + 2
    assert not any(w.flags.writeable for w in model.weights)
    copies = model.get_weights()
    copies[0][:] = 0
    assert model.weights[0].any()


def test_several_layers_that_are_in_no_list():
    for arguments in ((Conv2D(1, 1), Conv2D(1, 1)), (Conv2D(1, 1), Conv2D(1, 1), Conv2D(1, 1))):
        with pytest.raises(TypeError, match=r"layers must come in a list, Sequential\(\[first, second"):
            Sequential(*arguments)


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        (lambda w: w[:-1], ValueError, "list of 4 arrays, got 3"),
        (lambda w: [*w[:-1], np.zeros(3)], ValueError, r"'c': bias must have shape \(2,\), got \(3,\)"),
        (lambda w: [*w[:-1], ["x", "y"]], TypeError, "'c': bias must hold real numbers"),
    ],
)
def test_set_weights_changes_all_or_none(change, kind, said):
    model, x = built(), batch()
    before, out = model.get_weights(), model(x)
    with pytest.raises(kind, match=said):
        model.set_weights(change([w + 1 for w in before]))
    assert all(map(np.array_equal, model.weights, before))
    assert np.array_equal(model(x), out)


def test_weights_of_a_model_that_is_not_built():
    model = small()
    model.set_weights([])
    with pytest.raises(ValueError, match="needs a built model"):
        model.set_weights([np.ones(1)])
    with pytest.raises(ValueError, match="'a': count_params needs a built layer"):
        model.count_params()
