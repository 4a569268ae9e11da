"""A gigapixel through the network of `examples/large_image.py`, and what that says of its time and memory.

python asv_bench/gigapixel.py --folder /tmp     # writes 7 GB there, and deletes them; ten minutes on two cores
python asv_bench/gigapixel.py --publish         # puts what it said, and the picture, into docs/large_images.md
python asv_bench/gigapixel.py --publish --kept  # measures nothing: what was said before
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from paste import ROOT, publish

EXAMPLE = Path("examples") / "large_image.py"
KEPT = ROOT / "asv_bench" / ".asv" / "gigapixel.txt"
PAGE = ROOT / "docs" / "large_images.md"
PICTURE = ROOT / "docs" / "large_image.jpg"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=32_768, help="pixels along each side")
    parser.add_argument("--tile", type=int, default=1024, help="outputs of a tile along each side")
    parser.add_argument("--folder", type=Path, help="where images are written; by default a temporary one")
    parser.add_argument("--publish", action="store_true", help="put what was said into the page, with the picture")
    parser.add_argument("--kept", action="store_true", help="measure nothing")
    options = parser.parse_args()
    picture = KEPT.with_suffix(".jpg")
    if not options.kept:
        KEPT.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            given = ["--size", str(options.size), "--tile", str(options.tile), "--folder", folder]
            command = [sys.executable, str(ROOT / EXAMPLE), *given, "--out", str(picture)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        said = done.stdout.rpartition("picture:")[0]
        how = f"{EXAMPLE} --size {options.size} --tile {options.tile}"
        KEPT.write_text(f"```console\n$ python {how}  # {os.cpu_count()} cores\n{said}```", encoding="utf-8")
    print(KEPT.read_text(encoding="utf-8"))
    if options.publish:
        publish(KEPT.read_text(encoding="utf-8"), "gigapixel", PAGE)
        PICTURE.write_bytes(picture.read_bytes())


if __name__ == "__main__":
    main()
