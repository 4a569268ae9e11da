"""Random configurations of all layers with a window against Keras.

Either both refuse, or both give the same shapes and the same values. The environment variable NUMBACONV_PARITY_EXAMPLES
asks for more examples; `compare(random_config(seed))` repeats one.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import numpy as np
import pytest

from numbaconv import layers

from .keras_oracle import (
    WE_REFUSE,
    KerasRefusalError,
    declared,
    every_stride_apart,
    keras_layer,
    output,
    padded_beforehand,
    random_arrays,
    scatter_then_cut,
    tolerance,
)
from .random_configurations import RANKS, Config, data_format, random_config

EXAMPLES = int(os.environ.get("NUMBACONV_PARITY_EXAMPLES", "300"))


def make_layer(config: Config) -> Any:
    """Our layer, its leading arguments by position where the configuration says so."""
    arguments = dict(config["kwargs"])
    by_position = [arguments.pop(name) for name in list(arguments)[: config["by_position"]]]
    return getattr(layers, config["layer"])(*by_position, dtype=config["dtype"], **arguments)


def keras_answer(config: Config) -> tuple[np.ndarray, list[np.ndarray], Any, Any, str]:
    """Input, weights, declared output shape, output (None for a refusal), and how the answer came about."""
    x, weights = random_arrays(config, [])
    if any(applies(config) for _, applies in WE_REFUSE):
        return x, weights, None, None, next(reason for reason, applies in WE_REFUSE if applies(config))
    try:
        shape, weight_shapes = declared(config)
        x, weights = random_arrays(config, weight_shapes)
        return x, weights, shape, *output(config, x, weights)
    except KerasRefusalError:
        return x, weights, None, None, "both refuse"


def compare(config: Config) -> str:
    """Assert that both agree on this configuration; return how Keras was asked."""
    x, weights, shape, expected, how = keras_answer(config)
    assert expected is not None or config["invalid"] is not None, "Keras refuses a configuration that should be valid"
    x_before = x.copy()
    if expected is None:
        with pytest.raises((ValueError, TypeError)):
            layer = make_layer(config)
            layer.build(config["shape"])
            layer(x)
        return how

    layer = make_layer(config)
    layer.build(config["shape"])
    assert [w.shape for w in layer.get_weights()] == [w.shape for w in weights]
    layer.set_weights(weights)
    y = layer(x)
    assert layer.compute_output_shape(config["shape"]) == shape
    assert y.shape == shape == expected.shape
    assert y.dtype == config["dtype"]
    assert y.flags.c_contiguous
    assert np.array_equal(x, x_before), "the input was changed"
    # Where all outputs are small they are measured against one: a lone output can be near zero by cancellation.
    error = np.abs(y - expected).max(initial=0.0) / max(1.0, np.abs(expected).max(initial=0.0))
    assert error <= tolerance(config), f"relative error {error:.2e}"
    return how


def test_random_configurations_agree_with_keras(capsys: pytest.CaptureFixture[str]) -> None:
    outcomes: Counter[str] = Counter()
    seen: set[str] = set()
    failures = []
    for seed in range(EXAMPLES):
        config = random_config(seed)
        seen.add(config["layer"])
        try:
            outcomes[compare(config)] += 1
        # A crash is a finding like any other: name its configuration and go on.
        except (Exception, pytest.fail.Exception) as problem:
            first_line = (str(problem) or repr(problem)).splitlines()[0]
            failures.append(f"{config}\n    {type(problem).__name__}: {first_line}")
    with capsys.disabled():
        print(f"\n{EXAMPLES} random configurations, {len(failures)} disagreements")
        for how, count in outcomes.most_common():
            print(f"{count:6}  {how}")
    assert not failures, f"{len(failures)} of {EXAMPLES} configurations disagree:\n" + "\n".join(failures[:20])
    assert seen == set(RANKS) or EXAMPLES < 300
    not_compared = sum(outcomes[reason] for reason, _ in WE_REFUSE)
    assert not_compared < 0.05 * EXAMPLES


def test_other_ways_agree_with_keras_where_keras_can() -> None:
    """The detours around what TensorFlow lacks are right: elsewhere they lead to Keras's own values."""
    detours = {
        **dict.fromkeys(("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"), scatter_then_cut),
        **dict.fromkeys(("DepthwiseConv2D", "SeparableConv2D"), every_stride_apart),
        "Conv3D": padded_beforehand,
    }
    checked: Counter[str] = Counter()
    for seed in range(200):
        config = random_config(seed)
        if config["invalid"] is not None or config["layer"] not in detours or data_format(config) != "channels_last":
            continue
        config["kwargs"].pop("activation", None)
        x, weights = random_arrays(config, declared(config)[1])
        directly, how = output(config, x, weights)
        if how == "asked directly":
            layer = keras_layer(config, weights)
            assert np.abs(detours[config["layer"]](layer, x, weights) - directly).max(initial=0.0) < 1e-4, config
            checked[config["layer"]] += 1
    assert set(checked) == set(detours)
