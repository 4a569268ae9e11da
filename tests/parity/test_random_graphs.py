"""Random networks built by the same calls in Keras and here: the same shapes, values and gradients, configurations and
files that either library reads of the other.

The environment variable NUMBACONV_PARITY_EXAMPLES asks for more examples.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import graphs
import numpy as np
import pytest

import numbaconv
from numbaconv import models

from .keras_oracle import keras, quiet

EXAMPLES = int(os.environ.get("NUMBACONV_PARITY_EXAMPLES", "15"))
# Relative to the largest of the array, or to this where all of it is small: what is left of a difference of equals.
SMALL = {"float32": 0.1, "float64": 1e-6}
# TensorFlow's gelu has a constant of float32 in float64, too.
TOLERANCE = {"float32": 1e-4, "float64": 1e-6}
GRADIENT_TOLERANCE = {"float32": 1e-3, "float64": 1e-5}

Graph = dict[str, Any]
Arrays = list[np.ndarray]


class Pair:
    """A random graph in both libraries, with the same random weights, and inputs for it."""

    def __init__(self, graph: Graph, seed: int) -> None:
        self.graph, self.rng = graph, np.random.default_rng(seed)
        self.dtype: str = graph["dtype"]
        with quiet():
            self.theirs = graphs.build(graph, keras)
        self.ours = graphs.build(graph, numbaconv)
        self.weights = [self._random(weight) for weight in self.theirs.weights]
        batch = int(self.rng.integers(1, 4))
        self.inputs = [self._normal((batch, *one["actual"])) for one in graph["inputs"]]
        self.reset()

    def _normal(self, shape: tuple[int, ...], scale: float = 1.0) -> np.ndarray:
        return (scale * self.rng.standard_normal(shape)).astype(self.dtype)

    def _random(self, weight: Any) -> np.ndarray:
        """Values that keep what comes out near one, and of a variance positive."""
        shape = tuple(weight.shape)
        if weight.name in ("moving_variance", "gamma"):
            return self.rng.uniform(0.5, 1.5, shape).astype(self.dtype)
        return self._normal(shape, 1 / np.sqrt(max(1, np.prod(shape[:-1]))) if len(shape) > 1 else 0.3)

    def reset(self) -> None:
        self.theirs.set_weights(self.weights)
        self.ours.set_weights(self.weights)

    @property
    def structured(self) -> Any:
        """The inputs as the models take them."""
        return graphs.formed(self.inputs, self.graph["input_form"], self.graph["name"])

    def flat(self, outputs: Any) -> list[Any]:
        """The outputs in the graph's order."""
        return graphs.flat(outputs, self.graph["output_form"])


def close(ours: Any, theirs: Any, dtype: str, tolerance: float, what: str, scale: float = 0.0) -> None:
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape, what
    assert ours.dtype == theirs.dtype == dtype, what
    error = np.abs(ours - theirs).max(initial=0) / max(np.abs(theirs).max(initial=0), SMALL[dtype], scale)
    assert error <= tolerance, f"{what}: relative error {error:.2e}"


def same_outputs(pair: Pair, ours: Any, theirs: Any, what: str) -> None:
    for place, (a, b) in enumerate(zip(pair.flat(ours), pair.flat(theirs), strict=True)):
        close(a, b, pair.dtype, TOLERANCE[pair.dtype], f"output {place} of {what}")


def shape_of(tensors: Any) -> Any:
    """Shapes of tensors in their structure."""
    if isinstance(tensors, dict):
        return {name: shape_of(tensor) for name, tensor in tensors.items()}
    return [shape_of(tensor) for tensor in tensors] if isinstance(tensors, list | tuple) else tuple(tensors.shape)


def same_shapes(ours: Any, theirs: Any) -> None:
    """All layers have the same names and order, shapes and numbers of parameters, models within models too."""
    assert [layer.name for layer in ours.layers] == [layer.name for layer in theirs.layers]
    for own, other in zip(ours.layers, theirs.layers, strict=True):
        assert type(own).__name__.replace("Model", "Functional") == type(other).__name__.replace("Model", "Functional")
        assert own.count_params() == other.count_params(), own.name
        assert shape_of(own.input) == shape_of(other.input), own.name
        assert shape_of(own.output) == shape_of(other.output), own.name
        assert [w.shape for w in own.trainable_weights] == [tuple(w.shape) for w in other.trainable_weights], own.name
        if hasattr(other, "layers"):
            same_shapes(own, other)


def totals(model: Any) -> list[int]:
    """The last three numbers of parameters in a summary: all, trained and not."""
    text: list[str] = []
    model.summary(print_fn=lambda line, *_, **__: text.append(line))
    numbers = re.findall(r"([\d,]+) parameters, ([\d,]+) trainable, ([\d,]+) not trainable", "\n".join(text))
    found = numbers[-1] if numbers else re.findall(r"params: (?:.\[\S+m)?([\d,]+)", "\n".join(text))[-3:]
    return [int(number.replace(",", "")) for number in found]


def keras_gradients(pair: Pair, grads: Arrays) -> tuple[Arrays, list[Any], list[Any]]:
    """Outputs in training, and the gradients of the inputs and of all weights, None for those that are left alone."""
    import tensorflow as tf

    with tf.GradientTape() as tape:
        inputs = [tf.constant(x) for x in pair.inputs]
        for x in inputs:
            tape.watch(x)
        given = graphs.formed(inputs, pair.graph["input_form"], pair.graph["name"])
        outputs = pair.flat(pair.theirs(given, training=True))
        loss = sum(tf.reduce_sum(y * g) for y, g in zip(outputs, grads, strict=True))
    trained = pair.theirs.trainable_weights
    found = tape.gradient(loss, [*inputs, *(weight.value for weight in trained)], unconnected_gradients="zero")
    by_weight = {id(weight): gradient for weight, gradient in zip(trained, found[len(inputs) :], strict=True)}
    return outputs, found[: len(inputs)], [by_weight.get(id(weight)) for weight in pair.theirs.weights]


def same_training(pair: Pair) -> None:
    """Outputs in training, gradients, and the statistics that follow the batch."""
    dtype = pair.dtype
    shapes = [y.shape for y in pair.flat(pair.ours(pair.structured))]
    grads = [pair._normal(shape) for shape in shapes]
    with quiet():
        outputs, of_inputs, of_weights = keras_gradients(pair, grads)
    found = pair.flat(pair.ours.forward(pair.structured))
    for place, (a, b) in enumerate(zip(found, outputs, strict=True)):
        close(a, b, dtype, TOLERANCE[dtype], f"output {place} in training")
    input_grads = pair.ours.backward(graphs.formed(grads, pair.graph["output_form"]))
    # What passes two normalizations of a small batch is left of sums that cancel.
    scale = max(np.abs(b).max(initial=0) for b in (*of_inputs, *of_weights) if b is not None) / 10
    # In the order of the tensors, which for dicts is that of their names.
    own = input_grads if len(of_inputs) > 1 else [input_grads]
    named = dict(zip([tensor.name for tensor in pair.ours.inputs], own, strict=True))
    for name, b in zip(graphs.formed(pair.inputs, "dict", pair.graph["name"]), of_inputs, strict=True):
        # None says that nothing depends on it.
        own = np.zeros_like(b) if named[name] is None else named[name]
        close(own, b, dtype, GRADIENT_TOLERANCE[dtype], f"gradient of {name}", scale)
    for weight, a, b in zip(pair.theirs.weights, pair.ours.gradients, of_weights, strict=True):
        assert (a is None) == (b is None), weight.path
        if a is not None:
            close(a, b, dtype, GRADIENT_TOLERANCE[dtype], f"gradient of {weight.path}", scale)
    for weight, a, b in zip(pair.theirs.weights, pair.ours.get_weights(), pair.theirs.get_weights(), strict=True):
        close(a, b, dtype, TOLERANCE[dtype], f"{weight.path} after training")
    pair.reset()


def same_weights(ours: Any, theirs: Any, what: str) -> None:
    """No bit is different."""
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        assert a.dtype == b.dtype, what
        np.testing.assert_array_equal(a, b, what)


def same_configurations(pair: Pair, expected: Any) -> None:
    """Models made from the configurations of either library, by either, compute the same."""
    told = pair.ours.to_json()
    copies = {
        "get_config": models.Model.from_config(pair.ours.get_config()),
        "clone_model": models.clone_model(pair.ours),
        "to_json": models.model_from_json(told),
        "Keras's to_json": models.model_from_json(pair.theirs.to_json()),
    }
    for what, made in copies.items():
        made.set_weights(pair.weights)
        same_outputs(pair, made(pair.structured), expected, what)
    made = models.from_keras(pair.theirs)
    same_weights(made, pair.theirs, "from_keras")
    same_outputs(pair, made(pair.structured), expected, "from_keras")
    with quiet():
        made = keras.models.model_from_json(told)
        made.set_weights(pair.weights)
        same_outputs(pair, made(pair.structured, training=False), expected, "our to_json in Keras")


def same_files(pair: Pair, expected: Any, folder: Path) -> None:
    """Files of either library are read by the other, and no bit of a weight is changed."""
    for suffix in (".keras", ".h5"):
        path = folder / f"theirs{suffix}"
        with quiet():
            pair.theirs.save(path)
        loaded = models.load_model(path)
        same_weights(loaded, pair.theirs, suffix)
        same_outputs(pair, loaded(pair.structured), expected, f"Keras's {suffix}")
    with quiet():
        pair.theirs.save_weights(folder / "theirs.weights.h5")
    loaded.set_weights([np.zeros_like(w) for w in pair.weights])
    loaded.load_weights(folder / "theirs.weights.h5")
    same_weights(loaded, pair.theirs, "Keras's .weights.h5")
    pair.ours.save(folder / "ours.keras")
    pair.ours.save_weights(folder / "ours.weights.h5")
    with quiet():
        theirs = keras.saving.load_model(folder / "ours.keras")
        same_weights(pair.ours, theirs, "our .keras in Keras")
        same_outputs(pair, theirs(pair.structured, training=False), expected, "our .keras in Keras")
        theirs.set_weights([np.zeros_like(w) for w in pair.weights])
        theirs.load_weights(folder / "ours.weights.h5")
    same_weights(pair.ours, theirs, "our .weights.h5 in Keras")
    pair.ours.save(folder / "ours.npz")
    loaded = models.load_model(folder / "ours.npz")
    for a, b in zip(pair.flat(loaded(pair.structured)), pair.flat(pair.ours(pair.structured)), strict=True):
        np.testing.assert_array_equal(a, b, "our .npz")


def compare(pair: Pair, folder: Path) -> None:
    assert shape_of(pair.flat(pair.ours.output)) == [(None, *shape) for shape in declared(pair.graph)]
    assert shape_of(pair.ours.output) == shape_of(pair.theirs.output)
    assert (pair.ours.input_shape, pair.ours.output_shape) == (pair.theirs.input_shape, pair.theirs.output_shape)
    assert [t.name for t in pair.ours.inputs] == [t.name for t in pair.theirs.inputs]
    same_shapes(pair.ours, pair.theirs)
    assert totals(pair.ours) == totals(pair.theirs)
    with quiet():
        expected = pair.theirs(pair.structured, training=False)
    same_outputs(pair, pair.ours(pair.structured), expected, "a call")
    same_outputs(pair, pair.ours.predict(pair.structured, verbose=0), expected, "predict")
    same_training(pair)
    same_configurations(pair, expected)
    same_files(pair, expected, folder)


def declared(graph: Graph) -> Any:
    return graphs.results({"class": "Model", "graph": graph}, [one["declared"] for one in graph["inputs"]])


def compare_all(seeds: range, folder: Path, gives_back: bool = False) -> None:
    """All of them, whatever fails."""
    failures = []
    for seed in seeds:
        try:
            compare(Pair(graphs.graph_of(seed, gives_back=gives_back), seed), folder)
        except Exception as error:
            # Keras's own: it takes what a model gives back for what the model was given, and may lose the way to it.
            if not (gives_back and "is not connected to `inputs`" in str(error)):
                failures.append(f"seed {seed}: {type(error).__name__}: {str(error)[:500]}")
        if seed % 25 == 24:
            # Keras remembers every model, and takes half a second to forget them.
            keras.backend.clear_session()
    assert not failures, f"{len(failures)} of {len(seeds)} networks disagree:\n" + "\n".join(failures)


def test_random_graphs(tmp_path: Path) -> None:
    compare_all(range(EXAMPLES), tmp_path)


@pytest.mark.slow
def test_more_random_graphs(tmp_path: Path) -> None:
    compare_all(range(EXAMPLES, 25), tmp_path)


@pytest.mark.nightly
@pytest.mark.parametrize("start", range(25, 2000, 25))
def test_very_many_random_graphs(start: int, tmp_path: Path) -> None:
    compare_all(range(start, start + 25), tmp_path)


@pytest.mark.nightly
def test_models_that_give_back_what_they_are_given(tmp_path: Path) -> None:
    compare_all(range(2000, 2200), tmp_path, gives_back=True)
