"""What editors and type checkers know of the layers' arguments is what the layers take."""

import subprocess
import sys
from inspect import Parameter, signature
from pathlib import Path
from typing import get_args

import pytest

from numbaconv import activations, layers
from numbaconv.common import words
from numbaconv.layers import Layer
from numbaconv.shapes.kinds import RADIUS

PROGRAM = """
import numpy as np
from numbaconv import layers
from numbaconv.models import load_model

layers.Conv2D(1, 3, padding="same", data_format="channels_first", activation="relu", name="a", trainable=False)
layers.Conv1D(1, 3, padding="causal", groups=1, kernel_regularizer="l2", dtype="float64")
layers.Conv1DTranspose(1, 3, 2, "same", None, "channels_last", 1, np.tanh, bias_initializer="ones")
layers.DepthwiseConv1D(3, 1, "same", 2, None, 2, "relu", False)
layers.Dropout(0.5, name="c")
load_model("model.keras").fit(np.ones((2, 3)), np.ones(2))
layers.SeparableConv1D(1, 3, depth_multiplier=2, input_shape=(None, 3))
layers.MaxPooling2D(padding="same", name="b")
layers.Dense(3, activation={"class_name": "LeakyReLU", "config": {}}, activity_regularizer="l2")
layers.UpSampling2D(interpolation="bilinear")
layers.ReLU(6.0, dtype="float32", activity_regularizer="l2", autocast=True)
"""
WRONG = """
layers.Conv2D(1, 3, padding="smae")
layers.Conv2D(1, 3, data_format="channels_lats")
layers.Conv1D(1, 3, kernel_initialiser="ones")
layers.Conv3DTranspose(1, 3, algorithm="fast")
layers.SeparableConv1D(1, 3, activation="rleu")
layers.MaxPooling2D(nmae="b")
layers.Dense(3, trainable="no")
layers.Dropout(0.5, nmae="c")
load_model("model.keras").fti(np.ones((2, 3)), np.ones(2))
layers.UpSampling2D(interpolation="linear")
"""


def test_words_are_those_that_are_taken():
    assert set(get_args(words.ActivationName)) == set(activations._NAMES)
    assert set(get_args(words.Interpolation)) == set(RADIUS)


def test_every_layer_takes_the_common_arguments():
    own = {name for name, parameter in signature(Layer).parameters.items() if parameter.kind is parameter.KEYWORD_ONLY}
    assert words.Penalized.__annotations__.keys() == own | Layer._neutral.keys()


def test_every_constructor_tells_its_arguments_one_by_one():
    for name in layers.__all__:
        kinds = {parameter.kind for parameter in signature(getattr(layers, name)).parameters.values()}
        assert Parameter.VAR_POSITIONAL not in kinds, name


@pytest.mark.slow
def test_a_type_checker_finds_what_is_misspelt(tmp_path):
    pytest.importorskip("mypy")
    program = tmp_path / "program.py"
    program.write_text(PROGRAM + WRONG, encoding="utf-8")
    root = Path(__file__).parents[2]
    # What mypy found in the package before it knows still.
    command = [sys.executable, "-m", "mypy", "--no-error-summary", program]
    done = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, text=True, check=False)
    lines = program.read_text(encoding="utf-8").splitlines()
    found = {lines[int(line.split(":")[1]) - 1] for line in done.stdout.splitlines() if ": error: " in line}
    assert found == set(WRONG.split("\n")) - {""}, done.stdout
