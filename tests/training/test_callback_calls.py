"""When callbacks are called, and with what."""

import pytest
from training_cases import classes, classifier, same

from numbaconv.callbacks import Callback, LambdaCallback

X, Y = classes(6)


class Recorder(Callback):
    """Notes every call."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def __getattribute__(self, name):
        method = super().__getattribute__(name)
        if not name.startswith("on_"):
            return method
        return lambda *arguments: (self.calls.append((name, *arguments)), method(*arguments))[1]


def around(kind, count=2):
    """The calls for so many batches: begin, end, begin, ..."""
    names = [f"on_{kind}_batch_begin", f"on_{kind}_batch_end"]
    if kind == "train":
        # What the methods call by default.
        names = ["on_train_batch_begin", "on_batch_begin", "on_train_batch_end", "on_batch_end"]
    return [(name, i) for i in range(count) for name in names]


def test_the_order_of_calls():
    recorder, model = Recorder(), classifier()
    history = model.fit(X, Y, 4, 2, 0, [recorder], validation_data=(X, Y), seed=0)
    validation = [("on_test_begin",), *around("test"), ("on_test_end",)]
    expected = [("on_train_begin",)]
    for epoch in range(2):
        expected += [("on_epoch_begin", epoch), *around("train"), *validation, ("on_epoch_end", epoch)]
    assert [tuple(call) for *call, _ in recorder.calls] == [*expected, ("on_train_end",)]
    results = {name: values[0] for name, values in history.history.items()}
    logs = dict(zip(expected, (logs for *_, logs in recorder.calls), strict=False))
    for name, *place in expected:
        given = logs[(name, *place)]
        if "begin" in name:
            assert given == {}
        elif name != "on_epoch_end":
            assert list(given) == ["loss", "accuracy"]
    logs = [logs for *_, logs in recorder.calls]
    first = expected.index(("on_epoch_end", 0))
    assert logs[first] == results
    # The mean so far is the mean in the end.
    assert {f"val_{name}": value for name, value in logs[first - 1].items()}.items() <= results.items()
    assert logs[first - 2] == logs[first - 1]
    assert logs[expected.index(("on_test_begin",)) - 1].items() <= results.items()
    assert logs[-1] == logs[-2]
    assert recorder.model is model
    assert recorder.params == history.params
    assert history.params == {
        "verbose": 0,
        "epochs": 2,
        "steps": 2,
        "metrics": ["loss", "accuracy", "val_loss", "val_accuracy"],
    }


def test_calls_of_evaluation_and_prediction():
    recorder, model = Recorder(), classifier()
    results = model.evaluate(X, Y, 4, 0, callbacks=[recorder], return_dict=True)
    calls = [("on_test_begin",), *around("test"), ("on_test_end",)]
    assert [tuple(call) for *call, _ in recorder.calls] == calls
    assert recorder.calls[-1] == ("on_test_end", results) == ("on_test_end", recorder.calls[-2][-1])
    assert recorder.params == {"verbose": 0, "epochs": 1, "steps": 2}
    assert recorder.model is model
    recorder = Recorder()
    out = model.predict(X, 4, 0, callbacks=recorder)
    calls = [("on_predict_begin",), *around("predict"), ("on_predict_end",)]
    assert [tuple(call) for *call, _ in recorder.calls] == calls
    assert same([logs["outputs"] for *_, logs in recorder.calls[2:-1:2]], [out[:4], out[4:]])
    assert [logs for *_, logs in recorder.calls if "outputs" not in logs] == [{}] * 4


@pytest.mark.parametrize("use", ["evaluate", "predict"])
def test_callbacks_end_evaluation_and_prediction(use):
    model, seen = classifier(), []

    def stop(batch, logs):
        seen.append(batch)
        setattr(model, {"evaluate": "stop_evaluating", "predict": "stop_predicting"}[use], batch == 1)

    callback = LambdaCallback(**{f"on_{'test' if use == 'evaluate' else use}_batch_end": stop})
    if use == "predict":
        assert same([model.predict(X, 2, 0, callbacks=callback)], [model(X[:4])])
    else:
        found = model.evaluate(X, Y, 2, 0, callbacks=callback)
        assert found == pytest.approx(model.evaluate(X[:4], Y[:4], verbose=0), rel=1e-6)
    assert seen == [0, 1]
    seen.clear()
    getattr(model, use)(*((X, Y) if use == "evaluate" else (X,)), 1, 0, callbacks=callback)
    assert seen == [0, 1]


def test_old_names_of_training_batches():
    class Old(Callback):
        """Counts, as old programs do."""

        calls = ()

        def on_batch_begin(self, batch, logs=None):
            self.calls += (("begin", batch, logs),)

        def on_batch_end(self, batch, logs=None):
            self.calls += (("end", batch, *logs),)

    old, model = Old(), classifier()
    model.fit(X, Y, 4, callbacks=old, verbose=0, validation_split=0.2)
    model.evaluate(X, Y, callbacks=old, verbose=0)
    assert old.calls == (("begin", 0, {}), ("end", 0, "loss", "accuracy"))


def test_lambda_callbacks_are_called_alike():
    recorder, seen = Recorder(), []

    def note(name):
        return lambda *arguments: seen.append((name, *arguments))

    names = [name for name in vars(Callback) if name.startswith("on_")]
    assert len(names) == 16
    callbacks = [recorder, LambdaCallback(**{name: note(name) for name in names})]
    model = classifier()
    model.fit(X, Y, 4, 2, 0, callbacks, validation_data=(X, Y), seed=0)
    model.evaluate(X, Y, 4, 0, callbacks=callbacks)
    model.predict(X, 4, 0, callbacks=callbacks)
    # In Keras too, whoever replaces on_train_batch_end replaces the call of on_batch_end.
    expected = [call for call in recorder.calls if not call[0].startswith("on_batch")]
    assert [call[0] for call in seen] == [call[0] for call in expected]
    assert [call for call in seen if "predict_batch_end" not in call[0]] == [
        call for call in expected if "predict_batch_end" not in call[0]
    ]
