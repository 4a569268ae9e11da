"""A release can be made: all of it but the upload, from what stands in the working tree."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="releases are made from the repository")
@pytest.mark.skipif(not (find_spec("build") and find_spec("twine")), reason='needs pip install -e ".[release]"')
def test_a_release_is_rehearsed():
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = [ROOT / ".ci" / "release", "--rehearse"]
    done = subprocess.run(command, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "== uninstall" in done.stdout
