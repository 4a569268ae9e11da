"""The examples in docstrings give what they say, and no argument is left out of a description."""

import doctest
import importlib
import re
from inspect import cleandoc, isfunction, signature

import pytest

import numbaconv
from numbaconv import functional, shapes

MODULES = [importlib.import_module(f"numbaconv.{name}") for name in numbaconv.__all__ if name[0].islower()]


def examples():
    """Examples in docstrings of what the public modules list, by name; aliases once."""
    finder, found = doctest.DocTestFinder(), {}
    for module in MODULES:
        # Some names load on first use.
        known = vars(module) | {name: getattr(module, name) for name in module.__all__}
        for name in module.__all__:
            tests = finder.find(known[name], name, module=False, extraglobs=known.copy())
            found.update({test.docstring: test for test in tests if test.examples})
    return {test.name: test for test in found.values()}


@pytest.mark.parametrize("test", examples().values(), ids=examples())
def test_example(test):
    assert doctest.DocTestRunner().run(test).failed == 0


def test_there_are_examples():
    assert len(examples()) >= 12


def test_who_describes_arguments_describes_all_of_them():
    for module in (functional, shapes):
        for function in filter(isfunction, map(vars(module).get, module.__all__)):
            _, _, section = cleandoc(function.__doc__).partition("Parameters\n----------\n")
            described = set(re.findall(r"\w+", " ".join(re.findall(r"^\w.*?(?= : )", section, re.MULTILINE))))
            assert not section or signature(function).parameters.keys() <= described, function.__name__
