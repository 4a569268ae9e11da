"""How much room numbaconv and Keras take on disk, each with all that it requires, as they are installed here.

    python -m pip install -e ".[peers]"
    python asv_bench/sizes.py             # prints a sentence
    python asv_bench/sizes.py --publish   # and writes it into docs/installing.md and the README

Files that Python compiles do not count.
"""

import argparse
import platform
from collections.abc import Iterable
from importlib.metadata import distribution

from packaging.requirements import Requirement
from paste import README, ROOT, publish


def required(names: Iterable[str]) -> set[str]:
    """These distributions and all that they require here, without extras."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop().lower().replace("_", "-")
        if name not in found:
            found.add(name)
            wanted = map(Requirement, distribution(name).requires or ())
            waiting += [one.name for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]
    return found


def size(name: str) -> int:
    """Bytes of an installed distribution, without what Python compiles of it."""
    files = distribution(name).files or ()
    return sum(path.stat().st_size for file in files if file.suffix != ".pyc" and (path := file.locate()).is_file())


def sentence() -> str:
    sizes = {}
    for names in (("numbaconv",), ("keras", "tensorflow-cpu")):
        sizes[names] = sum(map(size, required(names)))
    ours, theirs = (f"{found / 1e6:,.0f} MB" for found in sizes.values())
    versions = " and ".join(f"{name} {distribution(name).version}" for name in ("keras", "tensorflow-cpu"))
    system = f"{platform.system()}, {platform.machine()}, Python {platform.python_version()}"
    return f"With all that it requires it takes {ours} on disk; {versions} take {theirs} ({system})."


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--publish", action="store_true", help="write the sentence into the pages")
    options = parser.parse_args()
    print(sentence())
    if options.publish:
        for page in (ROOT / "docs" / "installing.md", README):
            publish(sentence(), "sizes", page)


if __name__ == "__main__":
    main()
