"""Batches that something else than an array yields."""

import itertools
import signal

import numpy as np
import pytest
from training_cases import classes, classifier, same

from numbaconv.callbacks import LambdaCallback
from numbaconv.optimizers import SGD

X, Y = classes(10)
WEIGHTS = np.arange(10) / 5
QUIET = {"verbose": 0}


def parts(size=3, *arrays):
    """The arrays cut up."""
    return [tuple(array[i : i + size] for array in arrays or (X, Y)) for i in range(0, 10, size)]


class Indexed:
    """Batches by index, with notes of what it is asked."""

    def __init__(self, batches):
        self.batches = batches
        self.asked = []

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        if not 0 <= index < len(self.batches):
            raise IndexError
        self.asked.append(index)
        return self.batches[index]

    def on_epoch_begin(self):
        self.asked.append("begin")

    def on_epoch_end(self):
        self.asked.append("end")


class Iterable:
    """Batches that can be gone through again and again."""

    def __init__(self, batches):
        self.batches = batches

    def __iter__(self):
        return iter(self.batches)


def endless(batches):
    return itertools.cycle(batches)


KINDS = {
    "generator": lambda batches: (batch for batch in batches * 3),
    "endless": endless,
    "iterable": Iterable,
    "indexed": Indexed,
    "lists": lambda batches: Iterable([list(batch) for batch in batches]),
}


# -- the same as with arrays -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("more", [(), (WEIGHTS,)])
def test_batches_are_as_good_as_arrays(kind, more):
    models = [classifier(optimizer="adam") for _ in range(2)]
    weights = dict(zip(["sample_weight"], more, strict=False))
    data = {"class_weight": {1: 2.0}, "epochs": 3, "shuffle": False, **QUIET}
    expected = models[0].fit(X, Y, 3, **data, **weights, validation_data=(X, Y, *more)).history
    batches = parts(3, X, Y, *more)
    steps = {} if kind in ("iterable", "indexed", "lists") else {"steps_per_epoch": 4, "validation_steps": 4}
    validation = KINDS[kind](parts(10, X, Y, *more)) if not steps else endless(batches)
    history = models[1].fit(KINDS[kind](batches), **data, **steps, validation_data=validation)
    assert history.params["steps"] == (None if kind in ("iterable", "lists") else 4)
    assert {n: v for n, v in history.history.items() if "val" not in n} == {
        n: v for n, v in expected.items() if "val" not in n
    }
    for name, values in expected.items():
        assert history.history[name] == pytest.approx(values, rel=1e-6)
    assert same(models[0].weights, models[1].weights)
    states = [list(model.optimizer.get_state().values()) for model in models]
    assert same(*states)


@pytest.mark.parametrize("kind", KINDS)
def test_evaluation_and_prediction_of_batches(kind):
    model = classifier()
    steps = {} if kind in ("iterable", "indexed", "lists") else {"steps": 4}
    found = model.evaluate(KINDS[kind](parts(3, X, Y, WEIGHTS)), **steps, **QUIET)
    assert found == model.evaluate(X, Y, 3, sample_weight=WEIGHTS, **QUIET)
    for batches in (parts(3, X), parts(), parts(3, X, Y, WEIGHTS), [x for (x,) in parts(3, X)]):
        if kind != "lists" or isinstance(batches[0], tuple):
            assert same([model.predict(KINDS[kind](batches), **steps, **QUIET)], [model.predict(X, 3, **QUIET)])


def test_generators_without_steps_are_read_to_their_end():
    model = classifier()
    history = model.fit(zip(np.split(X, 5), np.split(Y, 5), strict=True), validation_data=iter(parts()), **QUIET)
    assert model.optimizer.iterations == 5
    assert history.params["steps"] is None
    assert history.history["val_loss"] == [model.evaluate(X, Y, 3, return_dict=True, **QUIET)["loss"]]
    assert model.evaluate(iter(parts()), **QUIET) == model.evaluate(X, Y, 3, **QUIET)
    assert len(model.predict(iter(parts()), **QUIET)) == 10


def test_no_more_is_taken_than_steps_ask_for():
    data = iter(parts(1))
    model = classifier()
    model.fit(data, epochs=2, steps_per_epoch=3, **QUIET)
    assert same(next(data), parts(1)[6])
    model.evaluate(data, steps=1, **QUIET)
    model.predict(data, steps=1, **QUIET)
    assert same(next(data), parts(1)[9])


# -- epochs and steps --------------------------------------------------------------------------------------------------


def test_batches_by_index_come_in_an_order_of_the_seed():
    data, again = Indexed(parts(1)), Indexed(parts(1))
    classifier().fit(data, epochs=3, seed=1, **QUIET)
    order = [list(group) for key, group in itertools.groupby(data.asked, lambda n: isinstance(n, int)) if key]
    assert [sorted(numbers) for numbers in order] == [list(range(10))] * 3
    assert len(set(map(tuple, [*order, range(10)]))) == 4
    assert [n for n in data.asked if isinstance(n, str)] == ["begin", "end"] * 3
    classifier().fit(again, epochs=3, initial_epoch=1, seed=1, **QUIET)
    assert [n for n in again.asked if isinstance(n, int)] == [*order[1], *order[2]]
    model = classifier()
    model.evaluate(again, **QUIET)
    model.predict(again, **QUIET)
    assert again.asked[-24:] == ["begin", *range(10), "end"] * 2


@pytest.mark.parametrize("make", [lambda: (X, Y), lambda: (Iterable(parts(2)),), lambda: (Indexed(parts(2)),)])
def test_epochs_go_on_where_the_last_one_ended(make):
    seen = []
    note = LambdaCallback(
        on_epoch_begin=lambda epoch, logs: seen.append(0),
        on_train_batch_end=lambda batch, logs: seen.append(seen.pop() + 1),
    )
    size = {"batch_size": 2} if len(make()) == 2 else {}
    with pytest.warns(UserWarning, match="x ran out after 1 of 2 batches asked for"):
        classifier().fit(*make(), **size, epochs=4, steps_per_epoch=2, callbacks=note, **QUIET)
    # As in Keras, see the parity test.
    assert seen == [2, 2, 1, 2]


def test_epochs_that_fit_the_passes_warn_of_nothing():
    model = classifier()
    model.fit(Iterable(parts(1)), epochs=4, steps_per_epoch=5, **QUIET)
    model.fit(X, Y, 1, epochs=4, steps_per_epoch=5, **QUIET)
    assert model.optimizer.iterations == 40


def test_a_generator_that_runs_out_ends_training():
    model = classifier()
    with pytest.warns(UserWarning) as warned:
        history = model.fit(iter(parts(2)), epochs=9, steps_per_epoch=2, **QUIET)
    assert [str(one.message) for one in warned] == [
        "x ran out after 1 of 2 batches asked for",
        "Sequential 'm': x ran out after 3 epochs; fit ends",
    ]
    assert history.epoch == [0, 1, 2]
    assert model.optimizer.iterations == 5
    with pytest.warns(UserWarning, match="x ran out after 1 epochs; fit ends"):
        assert model.fit(iter(parts(2)), epochs=2, **QUIET).epoch == [0]
    with pytest.warns(UserWarning, match="x ran out after 5 of 6 batches asked for"):
        assert model.evaluate(iter(parts(2)), steps=6, **QUIET) == model.evaluate(X, Y, 2, **QUIET)
    with pytest.warns(UserWarning, match="x ran out after 5 of 6 batches asked for"):
        assert len(model.predict(X, 2, steps=6, **QUIET)) == 10


def test_a_validation_that_runs_out():
    model = classifier()
    with pytest.warns(UserWarning, match="validation_data ran out after"):
        history = model.fit(X, Y, epochs=4, validation_data=iter(parts(2)), validation_steps=3, **QUIET).history
    # 3 batches, 2, and then none: such epochs are like those without validation.
    assert len(history["val_loss"]) == 2
    assert len(history["loss"]) == 4


def test_validations_of_arrays_begin_anew():
    model = classifier(optimizer=SGD(0.0))
    history = model.fit(
        X, Y, epochs=2, validation_data=(X, Y), validation_steps=2, validation_batch_size=3, **QUIET
    ).history
    expected = model.evaluate(X[:6], Y[:6], return_dict=True, **QUIET)["loss"]
    assert history["val_loss"] == pytest.approx([expected] * 2, rel=1e-6)
    # Without a size of its own, that of the training.
    history = model.fit(X, Y, 4, validation_data=(X, Y), validation_steps=1, **QUIET).history
    assert history["val_loss"] == [model.evaluate(X[:4], Y[:4], return_dict=True, **QUIET)["loss"]]


def test_steps_of_arrays():
    model = classifier()
    assert same([model.predict(X, 4, steps=2, **QUIET)], [model.predict(X[:8], 4, **QUIET)])
    assert model.evaluate(X, Y, 4, steps=2, **QUIET) == model.evaluate(X[:8], Y[:8], 4, **QUIET)


def test_batches_of_several_sizes():
    model = classifier()
    data = [(X[:1], Y[:1]), (X[1:7], Y[1:7]), (X[7:], Y[7:])]
    assert model.evaluate(Iterable(data), **QUIET) == pytest.approx(model.evaluate(X, Y, **QUIET), rel=1e-6)


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"y": Y}, "y must be None where x yields batches"),
        ({"sample_weight": WEIGHTS}, "sample_weight must be None where x yields batches"),
        ({"validation_split": 0.5}, "validation_split must be 0 where x yields batches, .* got 0.5"),
        ({"batch_size": 4}, "batch_size must be None where x yields batches, got 4"),
        ({"x": parts()}, r"y must be an array of numbers, got None; a list of batches is given as iter\(x\)"),
        ({"x": iter([])}, "x must yield at least one batch, got none"),
        ({"x": Indexed([])}, "x must yield at least one batch, got an empty Indexed"),
        ({"x": iter([X])}, "y of batch 1 must be an array of numbers, got None"),
        ({"x": iter([(X, Y[:3])])}, "x of batch 1, y of batch 1 must be of the same length, got 10, 3"),
        ({"x": iter([(X, Y, WEIGHTS, 0)])}, r"batch 1 of x must be an array or a tuple .*, got a tuple of 4"),
        ({"x": iter([{"x": X}])}, "x of batch 1 must hold real numbers"),
        ({"x": iter([(X[:, :1], Y)])}, ".*x must have 2 channels"),
        ({"steps_per_epoch": 0}, "steps_per_epoch must be .*, got 0"),
        ({"validation_data": (X, Y), "validation_steps": 0.5}, "validation_steps must be .*, got 0.5"),
        ({"validation_data": (X, Y), "validation_batch_size": -1}, "batch_size must be .*, got -1"),
        (
            {"validation_data": iter(parts()), "epochs": 2},
            "validation_data can be gone through once and there are several epochs: give validation_steps",
        ),
    ],
)
def test_fit_refuses(arguments, said):
    model = classifier()
    model.build((None, 2))
    before = model.get_weights()
    with pytest.raises((ValueError, TypeError), match=f"^Sequential 'm': {said}"):
        model.fit(**{"x": endless(parts()), "steps_per_epoch": 2, **QUIET, **arguments})
    assert same(model.weights, before)
    assert model.history is None


def test_evaluation_and_prediction_refuse():
    model = classifier()
    for use in (model.evaluate, model.predict):
        with pytest.raises(ValueError, match=r"^Sequential 'm': batch_size must be None where x yields batches, got 4"):
            use(iter(parts()), batch_size=4)
        with pytest.raises(ValueError, match=r"^Sequential 'm': x must yield at least one batch"):
            use(iter([]), **QUIET)
        with pytest.raises(ValueError, match=r"^Sequential 'm': steps must be .*, got 0"):
            use(iter(parts()), steps=0)
    with pytest.raises(ValueError, match=r"must give results of one shape, got \[\(1, 2\), \(2, 2\)\]"):
        model.predict(iter([np.ones((1, 1, 2)), np.ones((1, 2, 2))]), **QUIET)


class Endless:
    """As Keras's PyDataset without a length."""

    num_batches = None

    def __getitem__(self, index):
        return X[index % 10 :][:1], Y[index % 10 :][:1]

    def __iter__(self):
        return (self[i] for i in itertools.count())


def test_a_length_that_is_needed():
    model = classifier()
    for use in (model.fit, model.evaluate, model.predict):
        with pytest.raises(ValueError, match=r"^Sequential 'm': x has no length: say how many batches make an epoch"):
            use(Endless(), **QUIET)
    model.fit(Endless(), epochs=2, steps_per_epoch=5, **QUIET)
    expected = classifier()
    expected.fit(X, Y, 1, shuffle=False, **QUIET)
    assert same(model.weights, expected.weights)


def test_errors_of_a_generator_are_passed_on_as_they_are():
    class MineError(ValueError):
        """An error of the user's."""

    def failing(count):
        yield from parts()[:count]
        raise MineError("mine")

    for count in (0, 2):
        model, expected = classifier(), classifier()
        with pytest.raises(MineError, match=r"^mine$"):
            model.fit(failing(count), **QUIET)
        if count:
            expected.fit(iter(parts()[:2]), **QUIET)
            assert same(model.weights, expected.weights)


def test_a_batch_that_fails_leaves_the_weights_before_it():
    model, expected = classifier(optimizer="adam"), classifier(optimizer="adam")
    expected.fit(iter(parts()[:2]), **QUIET)
    for bad, error in ((X[:, :1], ValueError), (X * np.inf, FloatingPointError)):
        model = classifier(optimizer="adam")
        with pytest.raises(error, match=r"batch 3|Linear 'a': x must have 2 channels"), np.errstate(invalid="ignore"):
            model.fit(iter([*parts()[:2], (bad, Y)]), **QUIET)
        assert same(model.weights, expected.weights)
        assert model.optimizer.iterations == 2


def test_an_interruption_ends_after_the_batch(capsys):
    def pressed():
        yield from parts()[:2]
        signal.raise_signal(signal.SIGINT)
        yield parts()[2]
        raise AssertionError("nothing more is asked for")

    model, expected = classifier(), classifier()
    history = model.fit(pressed(), epochs=3, steps_per_epoch=4, **QUIET)
    assert history.interrupted
    assert model.optimizer.iterations == 3
    expected.fit(iter(parts()[:3]), **QUIET)
    assert same(model.weights, expected.weights)
    assert capsys.readouterr().err == "Sequential 'm': fit was interrupted after 0 of 3 epochs\n"


def test_bars_of_unknown_length(capsys):
    model = classifier()
    model.fit(iter(parts()), verbose=1)
    model.evaluate(iter(parts()), verbose=1)
    model.predict(iter(parts()), verbose=1)
    err = capsys.readouterr().err
    assert "4batch" in err
    assert err.count(": 10example [") == 2


# -- other libraries ---------------------------------------------------------------------------------------------------


def test_loaders_of_pytorch():
    torch = pytest.importorskip("torch")
    data = torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))
    loader = torch.utils.data.DataLoader(data, batch_size=3)
    models = [classifier() for _ in range(2)]
    expected = models[0].fit(X, Y, 3, 2, shuffle=False, **QUIET).history
    assert models[1].fit(loader, epochs=2, **QUIET).history == expected
    assert same(models[0].weights, models[1].weights)
    assert models[0].evaluate(loader, **QUIET) == models[0].evaluate(X, Y, 3, **QUIET)
    assert same([models[0].predict(loader, **QUIET)], [models[0].predict(X, 3, **QUIET)])
