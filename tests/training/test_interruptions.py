"""Ctrl-C in training: it ends after the batch, and a second one leaves nothing half done."""

import signal
import threading

import numpy as np
import pytest
from training_cases import Counted, Linear, classes, classifier, same

from numbaconv.callbacks import LambdaCallback
from numbaconv.models import Sequential

X, Y = classes(6)


def interrupt(*_):
    signal.raise_signal(signal.SIGINT)


def test_an_interruption_ends_training_after_the_batch(capsys):
    (x, y), seen = classes(20), []
    stop = LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(epoch),
        on_train_batch_begin=lambda batch, logs: len(seen) == 2 and batch == 1 and interrupt(),
        on_train_end=lambda logs: seen.append(logs),
    )
    model, expected = classifier(optimizer="adam"), classifier(optimizer="adam")
    history = model.fit(x, y, batch_size=5, epochs=9, seed=0, callbacks=stop, verbose=2)
    assert history.interrupted
    assert history.epoch == [0, 1]
    assert model.optimizer.iterations == 4 + 4 + 2
    reference = expected.fit(x, y, batch_size=5, epochs=2, seed=0, verbose=0)
    assert reference.history == history.history
    assert not reference.interrupted
    assert seen == [0, 1, {name: values[-1] for name, values in history.history.items()}]
    order = np.random.default_rng([0, 2]).permutation(20)
    for part in (order[:5], order[5:10]):
        expected.train_on_batch(x[part], y[part])
    assert same(model.weights, expected.weights)
    assert capsys.readouterr().err == "Sequential 'm': fit was interrupted after 2 of 9 epochs\n"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interruption_between_epochs_keeps_the_epoch():
    model = classifier()
    history = model.fit(X, Y, epochs=5, verbose=0, callbacks=LambdaCallback(on_epoch_end=interrupt))
    assert history.interrupted
    assert history.epoch == [0]


def test_an_interruption_of_the_validation():
    model, calls = classifier(), []
    layer = model.layers[0]
    call = layer.call
    layer.call = lambda x: (interrupt() if len(calls) == 1 else None, calls.append(len(x)), call(x))[2]
    history = model.fit(X, Y, batch_size=2, epochs=5, validation_data=(X, Y), verbose=0)
    assert history.interrupted
    assert history.epoch == []
    assert calls == [2, 2]
    assert model.optimizer.iterations == 3


def test_a_bar_is_left_as_it_stands(capsys):
    model = classifier()
    model.fit(X, Y, batch_size=2, callbacks=LambdaCallback(on_train_batch_end=interrupt), verbose=1)
    first, last = capsys.readouterr().err.rsplit("\n", 2)[:2]
    assert "1/3" in first
    assert last == "Sequential 'm': fit was interrupted after 0 of 1 epochs"


@pytest.mark.parametrize("place", ["_trace", "_take_back", "apply_constraints"])
def test_a_second_interruption_leaves_the_weights_before_the_batch(monkeypatch, place):
    layers = [Counted(), Linear(2, kernel_constraint="unit_norm"), Linear(2, kernel_constraint="unit_norm")]
    model = Sequential(layers)
    model.compile("sgd", "mse")
    model.fit(X, X, verbose=0)
    before = model.get_weights()
    original, times = getattr(layers[1], place), []

    def pressed(*arguments, **keywords):
        result = original(*arguments, **keywords)
        times.append(0)
        if len(times) == 2:
            interrupt()
            # The first one is only noted.
            times.append(0)
            interrupt()
        return result

    monkeypatch.setattr(layers[1], place, pressed)
    model.fit(X, X, verbose=0)
    middle = model.get_weights()
    assert not same(middle, before)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, X, verbose=0)
    assert len(times) == 3
    assert same(model.weights, middle)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("use", ["evaluate", "predict"])
def test_interruptions_of_other_work_are_passed_on(use, monkeypatch):
    model = classifier()
    monkeypatch.setattr(model.layers[0], "_after_call", interrupt)
    with pytest.raises(KeyboardInterrupt):
        getattr(model, use)(*((X, Y) if use == "evaluate" else (X,)))


def test_another_handler_is_left_alone():
    caught = []
    old = signal.signal(signal.SIGINT, lambda *_: caught.append(0))
    try:
        history = classifier().fit(X, Y, epochs=2, callbacks=LambdaCallback(on_epoch_end=interrupt), verbose=0)
        assert signal.getsignal(signal.SIGINT) not in (old, signal.default_int_handler)
    finally:
        signal.signal(signal.SIGINT, old)
    assert len(caught) == 2
    assert not history.interrupted
    assert history.epoch == [0, 1]


def test_training_in_another_thread():
    model, results = classifier(), []
    thread = threading.Thread(target=lambda: results.append(model.fit(X, Y, verbose=0)))
    thread.start()
    thread.join()
    assert results[0].epoch == [0]
