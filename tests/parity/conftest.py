"""Keras, for the tests that ask for it. It is imported when the first of them runs, as that takes seconds."""

import os
import warnings
from importlib import import_module
from importlib.util import find_spec

import pytest


def pytest_generate_tests(metafunc):
    """Without Keras skip a whole module at once: its hundreds of tests, one by one, would take seconds."""
    if "keras" in metafunc.fixturenames and not (find_spec("keras") and find_spec("tensorflow")):
        pytest.skip("needs Keras and TensorFlow")


@pytest.fixture(scope="session")
def keras():
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import_module("tensorflow")
        return import_module("keras")


@pytest.fixture
def eager(keras):
    """Keras computes each step of a training as it stands: to trace and compile it takes longer than a few of them."""
    config = import_module("tensorflow").config
    config.run_functions_eagerly(True)
    yield
    config.run_functions_eagerly(False)
