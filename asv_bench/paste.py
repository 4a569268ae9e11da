"""Put measured figures where readers find them: whole in docs/benchmarks.md, and from there in short in the README.

python asv_bench/paste.py    # makes the README's figures anew from those of docs/benchmarks.md
"""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
BENCHMARKS = ROOT / "docs" / "benchmarks.md"
README = ROOT / "README.md"


def publish(text: str, mark: str, page: Path = BENCHMARKS) -> None:
    """Put a text between its marks in a page; figures that the README has in short follow."""
    _put(text, mark, page)
    if page == BENCHMARKS and mark in SHORT:
        shorten()


def shorten(page: Path = BENCHMARKS, readme: Path = README) -> None:
    """Make the README's figures from those of the page on benchmarks."""
    whole = page.read_text(encoding="utf-8")
    for mark, short in SHORT.items():
        _put(short(_marked(mark, whole)[2]), mark, readme)


def layers_in_short(text: str) -> str:
    """One row for each kind of layer: the mean of its cases, the best and the worst."""
    intro, _, _ = text.partition(" The share of peak")
    groups: dict[str, tuple[str, list[float]]] = {}
    everything: list[float] = []
    cases = everything
    for name, ratio in _rows(text):
        if name.startswith("**"):
            # The last one stands below its cases, which are all.
            cases = everything if "mean of all" in name else []
            groups[name.strip("*").removeprefix("geometric mean of ")] = ratio.strip("*"), cases
        else:
            cases.append(float(ratio))
            everything.append(float(ratio))
    rows = [f"| {name} | {mean} | {min(cases):.2f} | {max(cases):.2f} |" for name, (mean, cases) in groups.items()]
    head = [f"{intro} The mean is geometric.", "", "| | mean | best | worst |", "| --- | ---: | ---: | ---: |"]
    return "\n".join([*head, *rows])


def training_in_short(text: str) -> str:
    whose = "PyTorch's time"
    return f"Training one layer, forward and backward, takes {_spread(text, whose)}."


def networks_in_short(text: str) -> str:
    short, _, _ = text.partition("All that was measured")
    others = "the time of the fastest of ONNX Runtime, OpenVINO, Keras on TensorFlow and torchvision"
    return f"A whole network, one example at a time, takes {_spread(short, others)}."


SHORT = {"peers": layers_in_short, "training": training_in_short, "networks": networks_in_short}


def _spread(text: str, whose: str) -> str:
    *cases, (_, mean) = _rows(text)
    (low, best), (high, worst) = (pick((float(ratio), name) for name, ratio in cases) for pick in (min, max))
    found = f"{low:.2f} ({best}) to {high:.2f} ({worst})"
    return f"{mean.strip('*')} of {whose}, the geometric mean of {len(cases)}, which range from {found}"


def _rows(text: str) -> list[tuple[str, str]]:
    """The first two cells of each row of the first table."""
    return re.findall(r"^\| ([^|]+?) \| (\**[\d.]+\**) \|", text, flags=re.MULTILINE)


def _marked(mark: str, page: str) -> re.Match[str]:
    found = list(re.finditer(rf"(<!-- {mark}: begin -->\n)(.*?)(\n?<!-- {mark}: end -->)", page, flags=re.DOTALL))
    if len(found) != 1:
        raise ValueError(f"the marks of {mark} must be there once")
    return found[0]


def _put(text: str, mark: str, page: Path) -> None:
    whole = page.read_text(encoding="utf-8")
    found = _marked(mark, whole)
    end = found[3].lstrip("\n")
    page.write_text(f"{whole[: found.start()]}{found[1]}{text}\n{end}{whole[found.end() :]}", encoding="utf-8")


if __name__ == "__main__":
    shorten()
