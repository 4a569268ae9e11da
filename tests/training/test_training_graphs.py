"""Training of models with several inputs and outputs: what is added up, what it is called, and what is refused."""

import tracemalloc

import numpy as np
import pytest
from graph_training_cases import (
    KIND,
    LAYERS,
    LEFT,
    QUIET,
    RIGHT,
    SIDE,
    SPARSE,
    WEIGHTS,
    XS,
    YS,
    factor,
    model_of,
    two_factors,
)
from training_cases import Counted, same

from numbaconv.callbacks import EarlyStopping, ModelCheckpoint
from numbaconv.layers import Dense, Input
from numbaconv.losses import MeanSquaredError
from numbaconv.metrics import Precision
from numbaconv.models import Model, Sequential
from numbaconv.optimizers import SGD, Adam

# -- sums --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["mse", ["mse", "mse"], {"b": "mse", "a": MeanSquaredError()}, MeanSquaredError])
@pytest.mark.parametrize("weights", [None, [2.0, 0.5], {"b": 0.5, "a": 2}])
def test_losses_and_gradients_add_up(loss, weights):
    model = two_factors()
    model.compile(SGD(0.01), loss, loss_weights=weights)
    # Outputs are 6 and -2, 12 and -4; the targets are 0 and 1.
    x, y = [[1.0], [2.0]], [np.zeros((2, 1)), np.ones((2, 1))]
    a, b = (36 + 144) / 2, (9 + 25) / 2
    first, second = (1.0, 1.0) if weights is None else (2.0, 0.5)
    total = first * a + second * b
    assert model.test_on_batch(x, y) == [total, a, b]
    assert model.train_on_batch(x, y, return_dict=True) == {"loss": total, "a_loss": a, "b_loss": b}
    # Derivatives by the outputs, (6, 12) and (-3, -5), come through 2 * x to a and b, through 3 * x or -x to shared.
    shared, to_a, to_b = (w.item() for w in model.weights)
    assert to_a == pytest.approx(3 - 0.01 * first * (6 * 2 + 12 * 4))
    assert to_b == pytest.approx(-1 - 0.01 * second * (-3 * 2 - 5 * 4))
    assert shared == pytest.approx(2 - 0.01 * (first * (6 * 3 + 12 * 6) + second * (3 + 10)))


def test_a_shared_layer_learns_from_all_its_calls_and_is_penalized_once():
    left, right, layer = Input((1,), name="left"), Input((1,), name="right"), factor(2.0, "f", kernel_regularizer="l2")
    model = Model([left, right], [layer(left), layer(right)])
    model.compile(SGD(0.1), "mse")
    # Outputs are 2 and 6, and the targets 1 and 1.
    x, y = {"left": np.ones((1, 1)), "right": np.full((1, 1), 3.0)}, [np.ones((1, 1)), np.ones((1, 1))]
    assert model.output_names == ["f", "f_1"]
    found = model.train_on_batch(x, y, return_dict=True)
    assert found == {"loss": pytest.approx(1 + 25 + 0.01 * 4), "f_loss": 1.0, "f_1_loss": 25.0}
    assert model.weights[0].item() == pytest.approx(2 - 0.1 * (2 * 1 * 1 + 2 * 5 * 3 + 2 * 0.01 * 2))


def test_means_over_an_epoch_count_examples():
    model = two_factors(1.0, 2.0, 1.0)
    model.compile(SGD(0.0), "mse", [["mae"], None])
    x = np.array([[1.0], [1], [4]])
    found = model.fit(x, [x * 0, x * 0], 2, epochs=2, shuffle=False, **QUIET).history
    assert found == {"loss": [30.0] * 2, "a_loss": [6.0] * 2, "b_loss": [24.0] * 2, "a_mae": [2.0] * 2}
    assert model.evaluate(x, [x * 0, x * 0], 2, **QUIET) == [30.0, 6.0, 24.0, 2.0]


def test_weights_of_examples():
    model = two_factors(1.0, 2.0, 1.0)
    model.compile(SGD(0.0), "mse", ["mae", None], weighted_metrics=["mae", ["mse"]])
    x = np.array([[1.0], [3]])
    y = [x * 0, x * 0]
    names = ["loss", "a_loss", "b_loss", "a_mae", "a_weighted_mae", "b_mse"]
    for weights, wanted in [
        (None, [25, 5, 20, 2, 2, 20]),
        ([2.0, 1.0], [27.5, 5.5, 22, 2, 5 / 3, 44 / 3]),
        ([[2.0, 1.0], None], [25.5, 5.5, 20, 2, 5 / 3, 20]),
        ({"b": [0.0, 1.0]}, [23, 5, 18, 2, 2, 36]),
    ]:
        found = model.evaluate(x, y, sample_weight=weights, return_dict=True, **QUIET)
        assert list(found) == names
        assert list(found.values()) == pytest.approx(wanted)
        assert model.test_on_batch(x, y, weights, return_dict=True) == pytest.approx(found)
        assert model.train_on_batch(x, y, weights, return_dict=True) == pytest.approx(found)


def test_weighted_metrics_of_a_single_output():
    x = Input((1,))
    model = Model(x, factor(1.0, "a")(x))
    model.compile("sgd", "mse", ["mae"], weighted_metrics=["mae", "mse"])
    found = model.test_on_batch([[1.0], [3]], [[0.0], [0]], [3.0, 1], return_dict=True)
    assert found == {"loss": 6.0, "mae": 2.0, "weighted_mae": 1.5, "mse": 3.0}
    config = model.get_compile_config()
    assert (config["metrics"], len(config["weighted_metrics"])) == ([config["weighted_metrics"][0]], 2)
    model.compile_from_config(config)
    assert model.test_on_batch([[1.0], [3]], [[0.0], [0]], [3.0, 1], return_dict=True) == found


def test_a_frozen_branch_stays_and_is_passed_through():
    model, free = two_factors(), two_factors()
    for one in (model, free):
        one.get_layer("a").trainable = one is free
        one.compile(SGD(0.01), "mse")
        one.fit(np.ones((4, 1)), [np.zeros((4, 1)), np.ones((4, 1))], **QUIET)
    assert model.get_layer("a").kernel.item() == 3
    assert same(model.get_layer("shared").weights, free.get_layer("shared").weights)
    assert same(model.get_layer("b").weights, free.get_layer("b").weights)


@pytest.mark.parametrize("loss", [[None, "mse"], {"b": "mse"}, {"a": None, "b": "mse"}])
@pytest.mark.parametrize("y", [[None, 1], [1], 1, {"b": 1}, {"a": None, "b": 1}, ["ignored", 1]])
def test_an_output_without_a_loss(loss, y):
    target = np.ones((2, 1))
    parts = {key: target if one == 1 else one for key, one in (y.items() if isinstance(y, dict) else ())}
    y = parts or (target if y == 1 else [target if one == 1 else one for one in y])
    model = two_factors()
    model.compile(SGD(0.01), loss, {"b": "mae"})
    # Outputs are -2 and -2.
    assert model.train_on_batch(np.ones((2, 1)), y, return_dict=True) == {"loss": 9.0, "b_mae": 3.0}
    shared, a, b = (w.item() for w in model.weights)
    assert (shared, a, b) == pytest.approx((2 - 0.01 * -6 * -1, 3, -1 - 0.01 * -6 * 2))


def test_a_metric_of_an_output_without_a_loss_needs_targets():
    model = model_of(loss=["mse", None], metrics={"kind": "accuracy"})
    found = model.test_on_batch(XS, YS, return_dict=True)
    assert found["kind_accuracy"] == pytest.approx((model(XS)[1].argmax(-1) == KIND).mean())
    with pytest.raises(ValueError, match=r"^Model 'm': y must be 2 arrays, for side, kind, got 1"):
        model.test_on_batch(XS, SIDE)


# -- structures --------------------------------------------------------------------------------------------------------

FORMS = {
    "lists": (XS, YS),
    "inputs by name": ({"right": RIGHT, "left": LEFT}, tuple(YS)),
    "targets by name": (XS, {"kind": KIND, "side": SIDE}),
    "lists of numbers": ([LEFT.tolist(), RIGHT], [SIDE.tolist(), KIND.tolist()]),
}


def batches(xs, ys, *more):
    """What an epoch of batches of 4 yields, in the same forms."""

    def part(value, begin):
        if isinstance(value, dict):
            return {name: one[begin : begin + 4] for name, one in value.items()}
        return type(value)(one[begin : begin + 4] for one in value)

    return [(part(xs, i), part(ys, i), *(one[i : i + 4] for one in more)) for i in range(0, 14, 4)]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("outputs", [list, dict])
def test_all_forms_are_the_same(form, outputs):
    x, y = FORMS[form]
    fit = {"batch_size": 4, "epochs": 2, "shuffle": False, **QUIET}
    expected, model, fed = (model_of(one, "adam") for one in (list, outputs, outputs))
    wanted = expected.fit(XS, YS, **fit, validation_data=(XS, YS))
    if outputs is dict and isinstance(y, list | tuple):
        # In the order of the names, as in Keras.
        y = y[::-1]
    found = model.fit(x, y, **fit, validation_data=(x, y))
    assert found.history == wanted.history
    assert set(found.history) == {
        *("loss", "side_loss", "kind_loss", "side_mae", "kind_accuracy"),
        *("val_loss", "val_side_loss", "val_kind_loss", "val_side_mae", "val_kind_accuracy"),
    }
    del fit["batch_size"]
    yielded = fed.fit(iter(2 * batches(x, y)), **fit, steps_per_epoch=4, validation_data=(x, y))
    assert yielded.history["loss"] == wanted.history["loss"]
    for name in LAYERS:
        assert same(model.get_layer(name).weights, expected.get_layer(name).weights)
        assert same(fed.get_layer(name).weights, expected.get_layer(name).weights)
    for use in ("train_on_batch", "test_on_batch"):
        assert getattr(model, use)(x, y, return_dict=True) == getattr(expected, use)(XS, YS, return_dict=True)
    results = model.evaluate(x, y, 4, return_dict=True, **QUIET)
    assert results == expected.evaluate(XS, YS, 4, return_dict=True, **QUIET)
    assert results == model.evaluate(iter(batches(x, y)), return_dict=True, **QUIET)
    whole = expected.predict(XS, 4, **QUIET)
    made = [
        *(model.predict(x, 4, **QUIET), model.predict(iter([(b[0],) for b in batches(x, y)]), **QUIET)),
        *(model.predict_on_batch(x), model(x)),
    ]
    for i, one in enumerate(made):
        assert type(one) is outputs
        parts = [one["side"], one["kind"]] if outputs is dict else one
        assert same(parts, whole) or i > 1
        assert np.allclose(np.hstack(parts), np.hstack(whole), rtol=1e-5, atol=1e-6)
    assert len(model.predict(x, 4, steps=2, **QUIET)["side" if outputs is dict else 0]) == 8


def test_weights_and_splits_go_with_their_examples():
    shuffled = {"batch_size": 4, "epochs": 2, "seed": 3, **QUIET}
    model, expected, fed = model_of(), model_of(), model_of()
    history = model.fit(XS, YS, sample_weight=[WEIGHTS, 2 - WEIGHTS], validation_split=0.3, **shuffled).history
    first, last = ([[one[part] for one in listed] for listed in (XS, YS, [WEIGHTS, 2 - WEIGHTS])] for part in SPLIT)
    wanted = expected.fit(*first[:2], sample_weight=first[2], validation_data=last, **shuffled).history
    assert history == wanted
    assert same(model.weights, expected.weights)
    found = fed.evaluate(iter(batches(XS, YS, WEIGHTS)), **QUIET)
    assert found == fed.evaluate(XS, YS, 4, sample_weight=WEIGHTS, **QUIET)


SPLIT = slice(0, 9), slice(9, 14)


def test_a_model_of_one_output_in_a_list_or_a_dict():
    x = Input((1,), name="x")
    for outputs in ([factor(2.0, "a")(x)], {"out": factor(2.0, "b")(x)}):
        name = "out" if isinstance(outputs, dict) else "a"
        model = Model({"x": x}, outputs)
        model.compile(SGD(0.1), {name: "mse"}, {name: ["mae"]})
        for y in (np.ones((2, 1)), {name: np.ones((2, 1))}):
            found = model.evaluate({"x": np.ones((2, 1))}, y, return_dict=True, **QUIET)
            assert found == {"loss": 1.0, "mae": 1.0}
        model.train_on_batch(np.ones((2, 1)), np.ones((2, 1)), class_weight={1: 2.0})
        assert model.weights[0].item() == pytest.approx(2 - 0.1 * 4)
        predicted = model.predict({"x": np.ones((3, 1))}, 2, **QUIET)
        # A list of one is returned as the array itself.
        assert (predicted["out"] if name == "out" else predicted).shape == (3, 1)


def test_the_batch_size_of_an_input_binds_no_batch():
    x = Input((1,), batch_size=4, name="x")
    model = Model(x, factor(2.0, "a")(x), name="m")
    model.compile(SGD(0.0), "mse")
    ones = np.ones((7, 1))
    assert model.fit(ones, ones, batch_size=3, **QUIET).history == {"loss": [1.0]}
    assert model.predict(ones, 2, **QUIET).tolist() == model(ones).tolist() == [[2.0]] * 7
    with pytest.raises(ValueError, match=r"^Model 'm': x must have shape \(None, 1\), got \(7, 2\)"):
        model.predict(np.ones((7, 2)), **QUIET)


@pytest.mark.slow
def test_memory_maps_of_several_inputs_stay_maps(tmp_path, all_memory_is_traced):
    left, right = (np.memmap(tmp_path / name, np.float32, "w+", shape=(2500, 500)) for name in ("left", "right"))
    inputs = [Input((500,), name="left"), Input((500,), name="right")]
    outputs = [Dense(1, name=name)(one) for name, one in zip("ab", inputs, strict=True)]
    model = Model(inputs, outputs)
    model.compile("sgd", "mse")
    y = {"a": np.zeros((2500, 1)), "b": np.zeros((2500, 1))}
    model.fit([left[:8], right[:8]], {name: one[:8] for name, one in y.items()}, **QUIET)
    tracemalloc.start()
    try:
        model.fit({"left": left, "right": right}, y, 16, validation_split=0.5, **QUIET)
        model.evaluate([left, right], y, 16, **QUIET)
        model.predict([left, right], 16, **QUIET)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < left.nbytes / 10


# -- steps, callbacks, files -------------------------------------------------------------------------------------------


class FailsError(Exception):
    pass


@pytest.mark.parametrize("fault", ["targets", "metric", "constraint"])
def test_a_step_is_all_or_none(fault):
    def constraint(weight):
        return weight * (np.nan if fault == "constraint" and broken else 1)

    def metric(y_true, y_pred):
        if fault == "metric" and broken:
            raise FailsError("no")
        return np.zeros(len(y_true))

    broken = []
    x = Input((1,), name="x")
    middle = Counted(name="c")(x)
    outputs = [factor(1.0, "a")(middle), Dense(1, kernel_constraint=constraint, name="b")(middle)]
    model = Model(x, outputs, name="m")
    model.compile(Adam(0.1), "mse", [None, metric])
    ones = np.ones((4, 1))
    model.train_on_batch(ones, [ones, ones])
    before = [*model.get_weights(), *model.optimizer.get_state().values()]
    broken.append(True)
    wrong = np.where(np.arange(4)[:, None] == 2, np.nan, 1.0)
    kind, said = {
        "targets": (FloatingPointError, r"the loss is nan in train_on_batch; NaN or infinities are in y\['b'\]\. A"),
        "metric": (FailsError, "no"),
        "constraint": (FloatingPointError, "b/kernel would not be finite after train_on_batch; all that came in"),
    }[fault]
    with pytest.raises(kind, match=said):
        model.train_on_batch(ones, [ones, wrong if fault == "targets" else ones])
    assert same([*model.get_weights(), *model.optimizer.get_state().values()], before)
    assert all(layer._kept is None for layer in model.layers)


def test_callbacks_know_the_results_of_outputs(tmp_path):
    model = model_of()
    stop = EarlyStopping("val_side_loss", min_delta=1e9, patience=1)
    save = ModelCheckpoint(tmp_path / "{epoch}-{val_kind_loss:.1f}.npz", "val_kind_accuracy", save_best_only=True)
    history = model.fit(XS, YS, epochs=9, validation_split=0.3, callbacks=[stop, save], **QUIET)
    assert len(history.epoch) == 2
    assert not stop._rises()
    assert save._rises()
    assert history.params["metrics"][:5] == ["loss", "side_loss", "kind_loss", "kind_accuracy", "side_mae"]
    (first, *_) = sorted(tmp_path.iterdir())
    assert first.name == f"1-{history.history['val_kind_loss'][0]:.1f}.npz"
    with pytest.raises(ValueError, match=r"monitor of EarlyStopping must be one of .*side_loss.*'side_los'; did you"):
        model.fit(XS, YS, callbacks=EarlyStopping("side_los"), **QUIET)


@pytest.mark.parametrize("outputs", [list, dict])
def test_training_goes_on_from_a_file(tmp_path, outputs):
    settings = {"loss_weights": {"kind": 0.3}, "weighted_metrics": {"side": ["mae", Precision(name="p")]}}
    loss = {"kind": SPARSE, "side": MeanSquaredError()}
    fit = {"batch_size": 4, "seed": 1, "sample_weight": WEIGHTS, **QUIET}
    y = {"side": SIDE > 0, "kind": KIND}
    straight = model_of(outputs, Adam(0.01), loss, {"kind": ["accuracy"]}, **settings)
    expected = straight.fit(XS, y, epochs=3, **fit).history
    model = model_of(outputs, Adam(0.01), loss, {"kind": ["accuracy"]}, **settings)
    model.fit(XS, y, epochs=1, **fit)
    model.save(tmp_path / "m.npz")
    again = Model.load(tmp_path / "m.npz")
    assert again.get_compile_config() == model.get_compile_config()
    found = again.fit(XS, y, epochs=3, initial_epoch=1, **fit).history
    assert set(found) == {"loss", "side_loss", "kind_loss", "kind_accuracy", "side_mae", "side_p"}
    assert found == {name: values[1:] for name, values in expected.items()}
    assert same(again.weights, straight.weights)
    assert same(list(again.optimizer.get_state().values()), list(straight.optimizer.get_state().values()))


def test_what_compile_was_given_can_be_given_again():
    for loss in ({"kind": SPARSE, "side": "mse"}, ["mse", SPARSE], [None, SPARSE], "mse"):
        model = model_of(loss=loss, metrics=None)
        config = model.get_compile_config()
        assert len(config["loss"]) == 2
        model.compile("sgd", model.loss)
        assert model.get_compile_config() == config
        model.compile_from_config(config)
        assert model.get_compile_config() == config


@pytest.mark.parametrize("weights", [0.5, [0.5], {"one": 0.5}])
def test_a_weight_of_the_only_loss(weights):
    model = Sequential([Input((3,)), Dense(2, name="one")])
    x, y = np.ones((4, 3)), np.ones((4, 2))
    model.compile("sgd", "mse")
    whole = model.evaluate(x, y, verbose=0)
    model.compile("sgd", "mse", loss_weights=weights)
    assert model.evaluate(x, y, verbose=0) == pytest.approx(whole / 2)
    other = Sequential.from_config(model.get_config())
    other.set_weights(model.get_weights())
    other.compile_from_config(model.get_compile_config())
    assert other.train_on_batch(x, y) == model.train_on_batch(x, y) == pytest.approx(whole / 2)
    np.testing.assert_array_equal(other.get_weights()[0], model.get_weights()[0])
