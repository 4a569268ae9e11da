"""Vectors of every width, and processors that lack what this one has."""

import platform
import re
import shlex
import subprocess
import sys

import pytest
from situations import ROOT, environment, run

X86 = platform.machine() in ("x86_64", "AMD64")
on_x86 = pytest.mark.skipif(not X86, reason="asks for features of x86")
GENERIC = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": None}
AVX2 = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx2,+fma"}

FEW_CASES = """
from cases import CASES, assert_close, expected, operands, reference_result, run
from numbaconv.machine import vectors
from winograd_cases import TOLERANCE, make_case, winograd
dilated = make_case((7, 9), 19, 35, taps=5, dilation_rate=(2, 3))
arrays = operands(dilated)
assert_close(winograd(dilated, arrays), reference_result(dilated, arrays), TOLERANCE["float64"])
for case in CASES:
    if case.name in (
        "conv2d same, strided smoke", "conv2d 45 channels to 77 filters", "depthwise_conv2d 19 channels by 7",
        "conv_transpose2d same, strided",
    ):
        assert_close(run(case, operands(case, "float32")), expected(case))
    if case.name == "conv2d 45 channels to 77 filters":
        assert_close(run(case, operands(case), algorithm="winograd"), expected(case), 1e-11)
print(vectors.VECTOR_BYTES)
"""


# A minute of compiling. Continuous integration runs most tests with two of these.
@pytest.mark.nightly
@pytest.mark.parametrize(
    ("variables", "width"),
    [
        ({"NUMBACONV_VECTOR_BYTES": "16"}, 16),
        ({"NUMBACONV_VECTOR_BYTES": "64"}, 64),
        pytest.param({**AVX2, "NUMBACONV_VECTOR_BYTES": None}, 32, marks=on_x86),
        ({"NUMBA_BOUNDSCHECK": "1", "NUMBACONV_VECTOR_BYTES": "64"}, 64),
    ],
    ids=["16 bytes", "64 bytes", "AVX2", "every access checked"],
)
def test_other_vector_widths(variables, width):
    out, _ = run(FEW_CASES, PYTHONWARNINGS="error", **variables)
    assert int(out) == width


def test_impossible_vector_width_is_refused():
    done = subprocess.run(
        [sys.executable, "-c", "import numbaconv.machine.vectors"],
        env=environment(NUMBACONV_VECTOR_BYTES="24"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "NUMBACONV_VECTOR_BYTES must be one of [16, 32, 64], got 24" in done.stderr


ASSEMBLY = """
import numpy as np
from numbaconv.machine import peak
peak.peak_flops(np.float32, 0)
(assembly,) = peak.update_tiles.dispatcher.inspect_asm().values()
print(assembly)
"""


def assembly_for(**variables):
    """The machine code of the multiply-add loop, without what is kept on disk."""
    return run(ASSEMBLY, NUMBACONV_CACHE="0", NUMBACONV_VECTOR_BYTES=None, **variables)[0]


def fused(assembly):
    """Whether products are added in one instruction; a function of the C library takes many times as long."""
    assert not re.search(r"\bfmaf?\b", assembly)
    instruction = r"\b(vfn?madd\d+ps|fmla)\b"
    assert re.search(rf"{instruction}|\bv?mulps\b", assembly)
    return bool(re.search(instruction, assembly))


@pytest.mark.slow
@pytest.mark.parametrize("variables", [GENERIC, pytest.param(AVX2, marks=on_x86)], ids=["generic", "AVX2"])
def test_restricted_processor_gets_no_more_than_it_has(variables):
    assembly = assembly_for(**variables)
    assert "zmm" not in assembly
    assert ("ymm" in assembly) == (variables is AVX2)
    # ARM's plainest processors multiply and add at once.
    assert fused(assembly) == (variables is AVX2 or not X86)


def test_continuous_integration_restricts_like_that():
    lines = re.findall(r"^ *(NUMBA\S+ .*)python -m pytest", (ROOT / ".ci" / "run").read_text(), re.M)
    asked = [dict(word.split("=") for word in shlex.split(line)) for line in lines]
    named = [{name: words.get(name) for name in GENERIC} for words in asked]
    assert named == [GENERIC, AVX2]
