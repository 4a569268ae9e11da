"""Charts with Chinese words: run a script that draws some, and save each of them a second time.

    python docs/drawings/charts.py examples/digits.py --out docs/digits.png
    python docs/drawings/charts.py -m examples.ladder --publish

Sphinx takes ``digits.zh_CN.png`` instead of ``digits.png`` on Chinese pages. The Chinese file names the digest of the
other one, by which a test tells that it is older. Needs the font Noto Sans CJK, fontconfig and, as Matplotlib does,
fontTools.
"""

import hashlib
import re
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib
from matplotlib import font_manager
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.text import Text

sys.path.insert(0, str(Path(__file__).parents[1]))
from drawings.chinese import in_chinese

SIMPLIFIED = "Noto Sans CJK SC"
# Spaces around keep a label away from its line.
LINE = re.compile(r"(?=\S)(?=.*[A-Za-z]{2}).*\S")
# By the end of a file's name, where what Matplotlib saves holds words.
NOTES = {"png": lambda note: {"metadata": {"Comment": note}}, "jpg": lambda note: {"pil_kwargs": {"comment": note}}}
save = Figure.savefig


def chinese_of(path: Path) -> Path:
    return path.with_suffix(f".zh_CN{path.suffix}")


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def know_simplified_characters(folder: str) -> None:
    """Let Matplotlib use them where its own font has none: of a file with several fonts, it reads the first alone."""
    from fontTools.ttLib import TTCollection

    for weight in ("regular", "bold"):
        command = ("fc-match", "--format=%{file}", f"{SIMPLIFIED}:{weight}")
        found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        (font,) = (one for one in TTCollection(found).fonts if one["name"].getDebugName(1) == SIMPLIFIED)
        file = f"{folder}/{weight}.otf"
        font.save(file)
        font_manager.fontManager.addfont(file)
    matplotlib.rcParams["font.family"] = ["DejaVu Sans", SIMPLIFIED]


def translate(figure: Figure) -> None:
    """Put Chinese words for all words of a figure."""
    for axis in figure.findobj(Axis):
        labels = [label.get_text() for label in axis.get_ticklabels()]
        if (chinese := [translated(label) for label in labels]) != labels:
            axis.set_ticklabels(chinese)
    for text in figure.findobj(Text):
        text.set_text(translated(text.get_text()))
        # Lines of Chinese characters are higher.
        text.set_fontsize(0.9 * text.get_fontsize())


def translated(words: str) -> str:
    # Numbers on axes are formulas.
    return words if words.startswith("$") else LINE.sub(lambda line: in_chinese(line[0]), words)


def save_twice(figure: Figure, path: Path, **options: object) -> None:
    save(figure, path, **options)
    translate(figure)
    path = Path(path)
    save(figure, chinese_of(path), **options, **NOTES[path.suffix[1:]](digest(path)))


def main() -> None:
    Figure.savefig = save_twice
    with tempfile.TemporaryDirectory() as folder:
        know_simplified_characters(folder)
        if sys.argv[1] == "-m":
            sys.argv[:2] = []
            runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        else:
            sys.argv[:1] = []
            sys.path.insert(0, str(Path(sys.argv[0]).parent))
            runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
