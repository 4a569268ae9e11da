"""Fixtures: the package in another place."""

import shutil

import pytest
from situations import ROOT


@pytest.fixture
def package(tmp_path):
    """A copy of the package, which `call_kernel` imports."""
    root = tmp_path / "copy"
    shutil.copytree(ROOT / "numbaconv", root / "numbaconv", ignore=shutil.ignore_patterns("__pycache__"))
    return root
