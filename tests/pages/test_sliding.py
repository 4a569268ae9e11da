"""The figures with sliders: their arithmetic is that of `shapes` and `reference`, for all that the sliders can say."""

import json
import shutil
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from numbaconv import reference, shapes
from numbaconv.layers import Conv1D, Conv2DTranspose

DOCS = Path(__file__).parents[2] / "docs"
sys.path.insert(0, str(DOCS))

from drawings.axis import DIGITS, axis_of  # noqa: E402

SCRIPT = DOCS / "_static" / "sliding.js"
NAMES = ("mode", "n", "taps", "stride", "dilation", "padding")
# Keras allows strides or dilation.
STEPS = [(1, 1), (2, 1), (3, 1), (4, 1), (1, 2), (1, 3)]
SETTINGS = [
    dict(zip(NAMES, (mode, n, taps, *steps, padding), strict=True))
    for mode, n, taps, steps, padding in product(
        ("forward", "transposed", "backward"), range(1, 11), range(1, 6), STEPS, ("valid", "same", "causal")
    )
    if mode != "transposed" or padding != "causal"
]


@pytest.fixture(scope="module")
def states():
    """What the script makes of each setting: all of it, and each step."""
    if not (node := shutil.which("node")):
        pytest.skip("needs node")
    program = f"""
        const {{ axis, state }} = require({json.dumps(str(SCRIPT))});
        const plain = (row) => [...row].map(([at, c]) => [at, c.place, c.value ?? null, c.inside]);
        const all = {json.dumps(SETTINGS)}.map((given) => {{
            const {{ from, to, links, steps }} = axis(given);
            const each = [...Array(steps + 1).keys()].map((step) => {{
                const now = state(given, step);
                return {{ to: plain(now.to), lit: now.lit, words: now.words }};
            }});
            return {{ from: plain(from), to: plain(to), links, steps, each }};
        }});
        process.stdout.write(JSON.stringify(all));
    """
    printed = subprocess.run([node, "-"], input=program, capture_output=True, text=True, check=True).stdout
    return json.loads(printed)


def sums(size, links, values, own=None):
    out = np.zeros(size)
    for a, b, k in links:
        if own is None or own(a, b):
            out[b] += (k + 1) * values[a]
    return out


def test_rows_and_links_are_those_of_the_layers(states):
    compared = 0
    for given, found in zip(SETTINGS, states, strict=True):
        mode, n, taps, stride, dilation, padding = given.values()
        span = shapes.dilated_kernel_size(taps, dilation)
        links = [tuple(link) for link in found["links"]]
        rows = {at: (place, value) for at, place, value, inside in found["to"] if inside}
        if mode != "transposed" and padding == "valid" and span > n:
            assert found["steps"] == 0
            continue
        if mode == "transposed":
            layer = Conv2DTranspose(1, taps, strides=stride, dilation_rate=dilation, padding=padding)
        else:
            layer = Conv1D(1, taps, strides=stride, dilation_rate=dilation, padding=padding)
        drawn = axis_of(layer, n)
        if mode == "backward":
            grad = DIGITS[: len(drawn.outputs)].reshape(1, 1, 1, -1, 1)
            before = shapes.conv_padding(n, taps, padding, stride, dilation)[0]
            kernel = np.arange(1.0, taps + 1).reshape(1, 1, -1, 1, 1)
            steps = (1, 1, n), (1, 1, stride), (1, 1, dilation), (0, 0, before)
            wanted = reference.conv_input_grad(grad, kernel, *steps).ravel()
            assert [value for _, value in rows.values()] == wanted.tolist()
            assert links == [(o, i, w - 1) for i, o, w in drawn.links]
        else:
            inside = {at: (place, value) for at, (place, value, shown) in drawn.outputs.items() if shown}
            assert rows == inside
            assert links == [(i, o, w - 1) for i, o, w in drawn.links]
            assert {at: place for at, place, *_ in found["from"]} | {
                at: place for at, (place, *_) in drawn.inputs.items()
            } == {at: place for at, place, *_ in found["from"]}
        compared += 1
    assert compared > 2000


def test_steps_show_what_is_known_so_far(states):
    for given, found in zip(SETTINGS, states, strict=True):
        values = {at: value for at, _, value, _ in found["from"]}
        for step, now in enumerate(found["each"][:-1]):
            shown = {at: value for at, _, value, _ in now["to"]}
            forward = given["mode"] == "forward"
            assert {link[1 if forward else 0] for link in now["lit"]} == {step}
            assert len(now["lit"]) == given["taps"]
            for at, value in shown.items():
                known = [values[a] * (k + 1) for a, b, k in found["links"] if b == at and (b if forward else a) <= step]
                assert value == (None if forward and at > step else sum(known))
            if forward:
                assert now["words"].startswith(f"Output {step} = ")
                assert now["words"].endswith(f" = {shown[step]}")
                products = now["words"].split(" = ")[1].split(" + ")
                assert sum(int(a) * int(b) for a, b in (p.split("·") for p in products)) == shown[step]
        assert found["each"][-1]["to"] == found["to"]
        assert found["each"][-1]["lit"] == []


PAGE = """<!DOCTYPE html><html><head><meta charset="utf-8"><script src="{script}"></script></head><body>
<div class="sliding" data-mode="{mode}" data-n="7" data-taps="3" data-stride="1" data-dilation="1" data-padding="same">
<p>a drawing</p></div>
<script>
addEventListener("load", () => {{
    const [, stride] = [...document.querySelectorAll("input")].slice(1);
    stride.value = 2;
    stride.dispatchEvent(new Event("input"));
    const step = [...document.querySelectorAll("button")][1];
    step.click();
    step.click();
}});
</script></body></html>"""


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("chromium"), reason="needs chromium")
@pytest.mark.parametrize(
    ("mode", "said", "numbers"),
    [
        ("forward", "Output 1 = 1·1 + 4·2 + 1·3 = 12", ["9", "12", "", ""]),
        # To inputs -1 to 7, of which the first and the last are padding.
        (
            "backward",
            "The gradient of output 1 is 1: it adds 1·1 to 1, 1·2 to 2, 1·3 to 3",
            ["3", "6", "10", *"230000"],
        ),
    ],
)
def test_a_browser_shows_the_steps(tmp_path, mode, said, numbers):
    page = tmp_path / "page.html"
    page.write_text(PAGE.format(script=SCRIPT.as_uri(), mode=mode), "utf-8")
    command = ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'user'}"]
    done = subprocess.run(
        [*command, "--dump-dom", page.as_uri()], capture_output=True, text=True, check=True, timeout=90
    )
    dom = done.stdout
    assert "a drawing" not in dom
    assert f'aria-live="polite">{said}</p>' in dom
    assert dom.count('class="lit"') == 3
    cells = [part.split(">", 1)[1].split("<")[0] for part in dom.split('class="value"')[1:]]
    assert cells[-len(numbers) :] == numbers
