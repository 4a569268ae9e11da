"""Look at the published pages with a real browser that has no network: chromium, without a window.

    apt-get install chromium
    python asv_bench/screenshot.py                        # asv_bench/.asv/grid.png and chart.png
    python asv_bench/screenshot.py --out docs/asv         # docs/asv-grid.png, docs/asv-chart.png

Ends with an error where a page has no chart drawn in it.
"""

import argparse
import subprocess
from pathlib import Path

from publish import BENCH, HTML

# Address within index.html, and what the browser's document holds only when the page is drawn.
PAGES = {"grid": ("#/", 'class="flot-base"'), "chart": ("#gate.Gate.time_call", "flot-tick-label")}


def browse(address: str, *options: str) -> str:
    command = ("chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--log-level=3")
    offline = "--host-resolver-rules=MAP * ~NOTFOUND"
    size = ("--window-size=1400,1000", "--virtual-time-budget=10000")
    result = subprocess.run(
        [*command, offline, *size, *options, address], capture_output=True, text=True, timeout=100, check=True
    )
    return result.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--html", type=Path, default=HTML, help="folder of the published pages")
    parser.add_argument("--out", default=f"{BENCH / '.asv'}/", help="begin of the pictures' names")
    options = parser.parse_args()
    for name, (place, drawn) in PAGES.items():
        address = (options.html / "index.html").resolve().as_uri() + place
        picture = Path(f"{options.out}{name}.png").resolve()
        browse(address, f"--screenshot={picture}")
        if drawn not in browse(address, "--dump-dom"):
            raise SystemExit(f"{address} shows no chart")
        print(picture)


if __name__ == "__main__":
    main()
