"""The examples in docstrings give what they say."""

import doctest
import importlib

import pytest

import numbaconv

MODULES = [importlib.import_module(f"numbaconv.{name}") for name in numbaconv.__all__ if name[0].islower()]


def examples():
    """Examples in docstrings of what the public modules list, by name; aliases once."""
    finder, found = doctest.DocTestFinder(), {}
    for module in MODULES:
        for name in module.__all__:
            tests = finder.find(getattr(module, name), name, module=False, extraglobs=vars(module).copy())
            found.update({test.docstring: test for test in tests if test.examples})
    return {test.name: test for test in found.values()}


@pytest.mark.parametrize("test", examples().values(), ids=examples())
def test_example(test):
    assert doctest.DocTestRunner().run(test).failed == 0


def test_there_are_examples():
    assert len(examples()) >= 12
