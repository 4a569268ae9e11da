"""Publish the history as web pages that need no network and no server: a click on index.html opens them.

    npm ci --ignore-scripts --prefix asv_bench/pages      # once
    python asv_bench/publish.py                           # writes asv_bench/.asv/html/

`asv publish` makes pages that load their scripts from other hosts, and their data by requests that a browser refuses
to make for files. Here the scripts are put beside the pages, and the data into one script more. Charts begin with a
logarithmic scale and all cases, named beside them; benchmarks without a measurement are left out.
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
# In asv's files, what is there and what takes its place.
CHANGES = {
    "graphdisplay.js": [
        ("{'y-axis-scale': log_scale ? ['log']: []}", "{'y-axis-scale': [log_scale ? 'log' : 'linear']}"),
        ("        if (params['y-axis-scale']) {", "        log_scale = zoom_y_axis = false;\n        "
         "$('#log-scale, #zoom-y-axis').removeClass('active');\n        "
         "params['y-axis-scale'] = params['y-axis-scale'] || ['log'];\n        if (params['y-axis-scale']) {"),
        ("max_curves = 8", "max_curves = 100"),
        ("show: show_legend,", "show: show_legend, container: $('#cases'),"),
        ("if (previous_hash !== commit_hash) {", "if (previous_hash !== commit_hash && commitUrl(commit_hash)) {"),
    ],
    "index.html": [
        ('<div style="position: absolute; top: 48px; left: 0; right: 0; bottom: 100px;">',
         '<div id="cases" style="position: absolute; top: 48px; width: 200px; right: 0; bottom: 0; overflow: auto">'
         '</div>\n<div style="position: absolute; top: 48px; left: 0; right: 210px; bottom: 100px;">'),
        ('<div style="position: absolute; height: 100px; left: 0; right: 0; bottom: 0; padding-top: 24px">',
         '<div style="position: absolute; height: 100px; left: 0; right: 210px; bottom: 0; padding-top: 24px">'),
    ],
}  # fmt: skip
COMMIT = re.compile(r"\$\.asv\.main_json\.show_commit_url \+ (\w+)")
# Answers jQuery's requests for JSON from `files`, later, as a server would.
TRANSPORT = """
function commitUrl(hash) {
  const base = files["index.json"].show_commit_url;
  return base === "#" ? null : base + hash;
}
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

    change(html)
    page = (html / "index.html").read_text(encoding="utf-8")
    page, count = REMOTE.subn(local, page)
    if count != len(LIBRARIES):
        raise ValueError(f"asv's page loads {count} files from elsewhere, {len(LIBRARIES)} were expected")
    shutil.copytree(packages / "bootstrap/dist/fonts", html / "fonts")
    page = page.replace("</head>", '<script src="data.js"></script>\n  </head>', 1)
    (html / "index.html").write_text(page, encoding="utf-8")
    leave_out_unmeasured(html)
    files = {path.relative_to(html).as_posix(): json.loads(path.read_bytes()) for path in html.rglob("*.json")}
    (html / "data.js").write_text(f"const files = {json.dumps(files)};\n{TRANSPORT}", encoding="utf-8")


def change(html: Path) -> None:
    """Change how charts begin, and let commits be links only where asv knows their address."""
    for name, changes in CHANGES.items():
        text = (html / name).read_text(encoding="utf-8")
        for old, new in changes:
            if text.count(old) != 1:
                raise ValueError(f"asv's {name} has {text.count(old)} times, not once: {old}")
            text = text.replace(old, new)
        (html / name).write_text(text, encoding="utf-8")
    for script in html.glob("*.js"):
        script.write_text(COMMIT.sub(r"commitUrl(\1)", script.read_text(encoding="utf-8")), encoding="utf-8")


def leave_out_unmeasured(html: Path) -> None:
    def measured(name: str) -> bool:
        path = html / "graphs" / "summary" / f"{name}.json"
        return path.exists() and any(value is not None for _, value in json.loads(path.read_bytes()))

    index = json.loads((html / "index.json").read_bytes())
    index["benchmarks"] = {name: one for name, one in index["benchmarks"].items() if measured(name)}
    (html / "index.json").write_text(json.dumps(index), encoding="utf-8")


def main() -> None:
    if not PACKAGES.is_dir():
        raise SystemExit(f"first: npm ci --ignore-scripts --prefix {PACKAGES.parent}")
    # asv empties the folder first.
    subprocess.run([sys.executable, "-m", "asv", "publish"], cwd=BENCH, check=True)
    localize(HTML, PACKAGES)
    print(f"open {HTML / 'index.html'}")


if __name__ == "__main__":
    main()
