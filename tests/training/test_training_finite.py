"""No step of training leaves anything infinite or NaN behind, and one that would is taken back as a whole."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from training_cases import Linear, one_weight, same

from numbaconv import optimizers
from numbaconv.callbacks import LambdaCallback, ModelCheckpoint
from numbaconv.layers import BatchNormalization, Dense
from numbaconv.models import Sequential
from numbaconv.optimizers import SGD, Adadelta, Adagrad, Adam, Adamax, AdamW, Lion, Nadam, Optimizer, RMSprop

OPTIMIZERS = {
    "plain": lambda: SGD(0.1),
    "momentum": lambda: SGD(0.5, momentum=0.9),
    "nesterov": lambda: SGD(0.5, momentum=0.9, nesterov=True, weight_decay=1.5),
    "rmsprop": lambda: RMSprop(0.1),
    "centered": lambda: RMSprop(1e3, momentum=0.9, centered=True),
    "adam": lambda: Adam(0.1),
    "amsgrad": lambda: Adam(1e30, amsgrad=True),
    "adamw": lambda: AdamW(0.1),
    "nadam": lambda: Nadam(0.1),
    "adamax": lambda: Adamax(0.1),
    "adagrad": lambda: Adagrad(0.1),
    "adadelta": lambda: Adadelta(1.0),
    "lion": lambda: Lion(0.1),
    "clipnorm": lambda: SGD(0.1, clipnorm=1.0),
    "clipvalue": lambda: Adam(0.1, clipvalue=1.0),
    "global_clipnorm": lambda: RMSprop(0.1, global_clipnorm=1.0),
}
SIZES = st.sampled_from([1.0, 1e4, 1e10, 1e15, 1e19, 1e22, 1e30, 1e38])
QUIET = {"verbose": 0, "shuffle": False}


def test_every_optimizer_is_held_to_it():
    classes = [vars(optimizers).get(name) for name in optimizers.__all__]
    kinds = {cls for cls in classes if isinstance(cls, type) and issubclass(cls, Optimizer)}
    assert {type(make()) for make in OPTIMIZERS.values()} == kinds - {Optimizer}


def state_of(model):
    """The weights, and all that the optimizer remembers."""
    return [*model.get_weights(), *model.optimizer.get_state().values()]


def finite(model):
    return all(np.isfinite(array).all() for array in state_of(model))


def network(optimizer, dtypes=("float32", "float32"), constraint=None):
    layers = [
        BatchNormalization(dtype=dtypes[0]),
        Linear(2, dtype=dtypes[0], kernel_constraint=constraint, weights=[np.eye(2)], name="a"),
        Linear(1, dtype=dtypes[1], weights=[np.ones((2, 1))], name="b"),
    ]
    model = Sequential(layers, name="m")
    model.compile(optimizer, "mse")
    model.build((None, 2))
    return model


@pytest.mark.parametrize(
    "dtypes",
    [
        ("float32", "float32"),
        *(pytest.param((dtype, "float64"), marks=pytest.mark.double) for dtype in ("float32", "float64")),
    ],
    ids="-".join,
)
@given(
    optimizer=st.sampled_from(sorted(OPTIMIZERS)),
    constraint=st.sampled_from([None, "unit_norm", "non_neg"]),
    scales=st.lists(st.tuples(SIZES, SIZES), min_size=1, max_size=4),
    by_hand=st.booleans(),
    seed=st.integers(0, 99),
)
@settings(max_examples=100, deadline=None)
def test_no_step_spoils_anything(optimizer, dtypes, constraint, scales, by_hand, seed):
    rng = np.random.default_rng(seed)
    model = network(OPTIMIZERS[optimizer](), dtypes, constraint)
    x = np.concatenate([rng.normal(size=(4, 2)) * size for size, _ in scales])
    y = np.concatenate([rng.normal(size=(4, 1)) * size for _, size in scales])
    good, batches = [state_of(model)], 0

    def after(batch=0, logs=None):
        assert finite(model)
        good.append(state_of(model))

    with np.errstate(all="ignore"):
        try:
            if by_hand:
                for batches in range(len(scales)):
                    part = slice(4 * batches, 4 * batches + 4)
                    model.train_on_batch(x[part], y[part])
                    after()
            else:
                model.fit(x, y, batch_size=4, callbacks=LambdaCallback(on_train_batch_end=after), **QUIET)
        except FloatingPointError as error:
            place = "train_on_batch" if by_hand else f"batch {len(good)} of epoch 1"
            assert f" {place}; " in str(error)
            assert "not be finite" in str(error) or "the loss is" in str(error)
        else:
            assert len(good) == 1 + len(scales)
    assert same(state_of(model), good[-1])
    assert model.optimizer.iterations == len(good) - 1


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_step_that_was_taken_back_leaves_no_trace(optimizer):
    spoiling = []

    def constraint(weight):
        return weight * (np.nan if spoiling else 0.5)

    models = [network(OPTIMIZERS[optimizer](), constraint=constraint) for _ in range(2)]
    for model in models:
        model.optimizer.learning_rate = 1e-3
    rng = np.random.default_rng(0)
    for i in range(5):
        x, y = rng.normal(size=(4, 2)), rng.normal(size=(4, 1))
        if i in (0, 2, 3):
            spoiling.append(True)
            # The optimizer has taken its step when the constraint spoils it.
            with pytest.raises(FloatingPointError, match="a/kernel would not be finite"):
                models[0].train_on_batch(y * [[1, 2]], x[:, :1])
            spoiling.clear()
        for model in models:
            model.train_on_batch(x, y)
    assert same(*map(state_of, models))


@pytest.mark.parametrize(
    ("optimizer", "x", "said"),
    [
        (SGD(1e-30), 1e22, "linear/kernel"),
        (SGD(1e-30, momentum=0.5), 1e22, "linear/kernel and momentum of linear/kernel"),
        (Adam(1e-30), 1e15, "velocity of linear/kernel"),
        (SGD(1e30, clipnorm=1e30), 1e15, "linear/kernel"),
    ],
)
def test_what_would_not_be_finite_is_named(optimizer, x, said):
    model = Sequential([Linear(1, weights=[[[1.0]]], name="linear")], name="m")
    model.compile(optimizer, "mse")
    message = rf"^Sequential 'm': {said} would not be finite after train_on_batch; all that came in is finite\."
    with pytest.raises(FloatingPointError, match=message), np.errstate(over="ignore"):
        model.train_on_batch([[x]], [[0.0]])
    assert model.weights[0] == 1
    assert model.optimizer.iterations == 0


def test_statistics_stay_finite():
    model = network(SGD(1e-30))
    before = state_of(model)
    with pytest.raises(FloatingPointError, match=r"batch_normalization\w*/moving_variance would not be finite"):
        model.train_on_batch([[1e21, 1.0], [-1e21, 0.0]], [[0.0], [0.0]])
    assert same(state_of(model), before)


def test_statistics_of_a_layer_without_weights_to_train():
    model = Sequential([BatchNormalization(center=False, scale=False, name="n"), Linear(1)])
    model.compile("sgd", "mse")
    with pytest.raises(FloatingPointError, match="n/moving_variance would not be finite"):
        model.train_on_batch([[1e21], [-1e21]], [[0.0], [0.0]])
    assert model.layers[0].moving_variance == 1


def test_constraints_spoil_nothing():
    model = one_weight(kernel_constraint=lambda weight: weight * np.nan)
    model.compile(SGD(0.5, momentum=0.5), "mse")
    with pytest.raises(FloatingPointError, match=r"linear\w*/kernel would not be finite after batch 1 of epoch 1"):
        model.fit([[1.0]], [[0.0]], **QUIET)
    assert model.get_weights() == [[[1.0]]]
    assert list(model.optimizer.get_state()) == ["iterations"]


def test_errors_after_the_step_of_the_optimizer_take_it_back():
    def failing(weight):
        raise ArithmeticError("no")

    model = one_weight(kernel_constraint=failing)
    model.compile(Adam(), "mse")
    with pytest.raises(ArithmeticError, match="no"):
        model.train_on_batch([[1.0]], [[0.0]])
    assert list(model.optimizer.get_state()) == ["iterations"]
    assert model.optimizer.iterations == 0


def test_an_interrupted_step_of_the_optimizer_is_taken_back(monkeypatch):
    model = one_weight()
    model.compile(SGD(0.1, momentum=0.5), "mse")
    model.train_on_batch([[1.0]], [[0.0]])
    before, update = state_of(model), SGD._update

    def interrupted(*arguments):
        update(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(SGD, "_update", interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.train_on_batch([[1.0]], [[0.0]])
    assert same(state_of(model), before)


def test_no_spoilt_model_is_saved_as_the_best(tmp_path):
    model = Sequential([Dense(1)])
    model.compile(SGD(1e-30), "mse")
    best = ModelCheckpoint(tmp_path / "{epoch}", "loss", save_best_only=True)
    every = ModelCheckpoint(tmp_path / "{epoch}-{batch}", save_freq=1)
    with pytest.raises(FloatingPointError), np.errstate(over="ignore"):
        model.fit([[1e22]], [[0.0]], callbacks=[every, best], epochs=2, **QUIET)
    assert list(tmp_path.iterdir()) == []
