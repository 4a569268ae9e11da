"""What setup.cfg cannot say: the description that a package index shows, where no file of the repository is at hand."""

import re
from pathlib import Path

from setuptools import setup

# Where files of the repository can be read, with a slash at the end. Without such a place, links are plain words.
BASE = ""


def description(readme: str, base: str = BASE) -> str:
    """The README without pictures and marks, its links absolute or left out."""
    text = re.sub(r"^!\[[^]]*\]\([^)]*\)\n\n", "", readme, flags=re.MULTILINE)
    text = re.sub(r"^<!-- .*? -->\n", "", text, flags=re.MULTILINE)
    if not base:
        # A way to another language, which leads nowhere.
        text = re.sub(r"^\[[^][]+\]\([^)]*\)\n\n", "", text, flags=re.MULTILINE)
    return re.sub(r"\[([^][]+)\]\((?!https?:)([\w./#-]+)\)", rf"[\1]({base}\2)" if base else r"\1", text)


if __name__ == "__main__":
    readme = Path(__file__).parent / "README.md"
    setup(
        long_description=description(readme.read_text(encoding="utf-8")),
        long_description_content_type="text/markdown",
    )
