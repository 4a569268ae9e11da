"""Publish the history as web pages that need no network and no server: a click on index.html opens them.

    npm ci --ignore-scripts --prefix asv_bench/pages      # once
    python asv_bench/publish.py                           # writes asv_bench/.asv/html/

`asv publish` makes pages that load their scripts from other hosts, and their data by requests that a browser refuses
to make for files. Here the scripts are put beside the pages, and the data into one script more.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).parent
HTML = BENCH / ".asv" / "html"
PACKAGES = BENCH / "pages" / "node_modules"
# Names that asv's page uses, and the same in the packages of pages/package.json.
LIBRARIES = {
    "jquery-3.3.1.min.js": "jquery/dist/jquery.min.js",
    "jquery.flot.min.js": "jquery-flot/jquery.flot.js",
    "jquery.flot.time.min.js": "jquery-flot/jquery.flot.time.js",
    "jquery.flot.selection.min.js": "jquery-flot/jquery.flot.selection.js",
    "jquery.flot.categories.min.js": "jquery-flot/jquery.flot.categories.js",
    "jquery.flot.orderBars.js": "flot-orderbars/js/jquery.flot.orderBars.js",
    "stupidtable.min.js": "stupid-table-plugin/stupidtable.min.js",
    "md5.min.js": "blueimp-md5/js/md5.min.js",
    "bootstrap.min.js": "bootstrap/dist/js/bootstrap.min.js",
    "bootstrap.min.css": "bootstrap/dist/css/bootstrap.min.css",
}
REMOTE = re.compile(r'(<(?:script|link)\b[^>]*?\b(?:src|href)=")https?://[^"]*/([^"/]+)("[^>]*>)')
# Answers jQuery's requests for JSON from `files`, later, as a server would.
TRANSPORT = """
$.ajaxTransport("json", function (options) {
  const name = decodeURIComponent(options.url.split("?")[0]);
  return {
    send: function (headers, complete) {
      setTimeout(function () {
        if (name in files) complete(200, "OK", {json: files[name]});
        else complete(404, "Not Found");
      });
    },
    abort: function () {},
  };
});
"""


def localize(html: Path, packages: Path) -> None:
    """Change asv's pages in ``html`` so that they need nothing from outside.

    Raises
    ------
    ValueError
        If they load something that no package is known for, or were changed before.
    """
    (html / "lib").mkdir()

    def local(match: re.Match[str]) -> str:
        start, name, end = match.groups()
        if name not in LIBRARIES:
            raise ValueError(f"asv's page loads {name}; name its package in publish.py and pages/package.json")
        shutil.copy(packages / LIBRARIES[name], html / "lib" / name)
        # A browser checks hashes of files from its own host alone.
        return f"{start}lib/{name}" + re.sub(r' (integrity|crossorigin|referrerpolicy)="[^"]*"', "", end)

    page = (html / "index.html").read_text(encoding="utf-8")
    page, count = REMOTE.subn(local, page)
    if count != len(LIBRARIES):
        raise ValueError(f"asv's page loads {count} files from elsewhere, {len(LIBRARIES)} were expected")
    shutil.copytree(packages / "bootstrap/dist/fonts", html / "fonts")
    page = page.replace("</head>", '<script src="data.js"></script>\n  </head>', 1)
    (html / "index.html").write_text(page, encoding="utf-8")
    files = {path.relative_to(html).as_posix(): json.loads(path.read_bytes()) for path in html.rglob("*.json")}
    (html / "data.js").write_text(f"const files = {json.dumps(files)};\n{TRANSPORT}", encoding="utf-8")


def main() -> None:
    if not PACKAGES.is_dir():
        raise SystemExit(f"first: npm ci --ignore-scripts --prefix {PACKAGES.parent}")
    # asv empties the folder first.
    subprocess.run([sys.executable, "-m", "asv", "publish"], cwd=BENCH, check=True)
    localize(HTML, PACKAGES)
    print(f"open {HTML / 'index.html'}")


if __name__ == "__main__":
    main()
