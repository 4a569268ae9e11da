"""Resizing, CenterCrop and the kernels of UpSampling2D beside Keras's, forwards and backwards."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

from numbaconv import layers

from .keras_oracle import keras, quiet

tf = pytest.importorskip("tensorflow")

KINDS = ["nearest", "area", "bilinear", "bicubic", "lanczos3", "lanczos5"]
SHAPES = [((5, 7), (8, 3)), ((9, 4), (2, 13)), ((1, 6), (4, 1)), ((31, 17), (12, 40)), ((23, 30), (23, 11))]
CASES: list[tuple[str, dict[str, Any], tuple[int, int]]] = []
for lengths, (height, width) in SHAPES:
    size = {"height": height, "width": width}
    each = [{"interpolation": kind, "antialias": antialias} for kind in KINDS for antialias in (False, True)]
    CASES += [("Resizing", {**size, **settings}, lengths) for settings in each]
    CASES.append(("Resizing", {**size, "crop_to_aspect_ratio": True, "data_format": "channels_first"}, lengths))
    CASES.append(("Resizing", {**size, "pad_to_aspect_ratio": True, "fill_value": 2.0}, lengths))
    CASES.append(("CenterCrop", size, lengths))
    CASES.append(("CenterCrop", {"height": 1, "width": 3, "data_format": "channels_first"}, lengths))
for factors in ((2, 3), (5, 1)):
    for kind in ("bicubic", "lanczos3", "lanczos5"):
        for data_format in ("channels_last", "channels_first"):
            arguments = {"size": factors, "interpolation": kind, "data_format": data_format}
            CASES.append(("UpSampling2D", arguments, (7, 9)))


@pytest.mark.parametrize("name", ["Resizing", "CenterCrop"])
def test_arguments_and_defaults(name: str) -> None:
    ours, theirs = (
        {p.name: p.default for p in inspect.signature(getattr(module, name)).parameters.values() if p.name != "kwargs"}
        for module in (layers, keras.layers)
    )
    assert list(ours.items()) == list(theirs.items())


@pytest.mark.parametrize(("name", "arguments", "lengths"), CASES)
def test_values_and_gradients(name: str, arguments: dict[str, Any], lengths: tuple[int, int]) -> None:
    ours, theirs = (getattr(module, name)(**arguments) for module in (layers, keras.layers))
    first = arguments.get("data_format") == "channels_first"
    shape = (2, 3, *lengths) if first else (2, *lengths, 3)
    rng = np.random.default_rng(4)
    x = rng.standard_normal(shape).astype(np.float32)
    assert ours.compute_output_shape(shape) == tuple(theirs.compute_output_shape(shape))
    with quiet():
        given = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(given)
            out = theirs(given)
            grad_out = rng.standard_normal(out.shape).astype(np.float32)
            loss = tf.reduce_sum(out * grad_out)
        np.testing.assert_allclose(ours.forward(x), np.asarray(out), rtol=1e-5, atol=1e-5)
        grad_x = ours.backward(grad_out)
        if arguments.get("interpolation") != "area":
            # TensorFlow has no gradient of that.
            wanted = np.asarray(tape.gradient(loss, given))
            np.testing.assert_allclose(grad_x, wanted, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize(("name", "arguments", "lengths"), CASES[:15])
def test_keras_reads_our_configuration(name: str, arguments: dict[str, Any], lengths: tuple[int, int]) -> None:
    config = getattr(layers, name)(**arguments).get_config()
    with quiet():
        twin = getattr(keras.layers, name).from_config(config).get_config()
    assert {key: twin[key] for key in config if key != "dtype"} == {k: v for k, v in config.items() if k != "dtype"}
