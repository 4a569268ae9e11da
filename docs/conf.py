"""How Sphinx builds these pages: from this repository alone, without a network connection."""

import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from extensions import api, gallery, languages  # noqa: E402

import numbaconv  # noqa: E402

project = "numbaconv"
author = "The numbaconv developers"
project_copyright = author
version = release = numbaconv.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "sphinx_gallery.gen_gallery",
    "extensions.api",
    "extensions.drawn",
    "extensions.mathml",
    "extensions.stages",
    "extensions.rungs",
    "extensions.searching",
    "extensions.sliding",
    "extensions.languages",
]
exclude_patterns = ["_build", "_drawn", "locale", "**/GALLERY_HEADER.rst"]
nitpicky = True
# A parameter that is called as a module is, and what has no page here.
nitpick_ignore_regex = [("py:obj", r"config|numba\.\w+|numbaconv\.(kernels|machine)\.[\w.]+")]
default_role = "autolink"
# The context of autosummary holds functions, which Sphinx does not keep from build to build.
suppress_warnings = ["config.cache"]
templates_path = ["_templates"]

myst_enable_extensions = ["dollarmath", "substitution"]
# The figures of the landing page are those of the page on benchmarks.
_PEERS = re.search(
    r"<!-- peers: begin -->.*?<!-- peers: end -->", (HERE / "benchmarks.md").read_text("utf-8"), re.DOTALL
)[0]
myst_substitutions = {
    "ratio": re.search(r"\*\*geometric mean of all\*\* \| \*\*([\d.]+)\*\*", _PEERS)[1],
    "cases": len(re.findall(r"^\| [^*|]+ \| [\d.]+ \|", _PEERS, re.MULTILINE)),
}
myst_heading_anchors = 3
html_math_renderer = "mathml"

html_theme = "pydata_sphinx_theme"
html_title = "numbaconv"
html_static_path = ["_static"]
html_css_files = ["numbaconv.css"]
html_js_files = ["scrolled.js"]
html_copy_source = False
# Only the reference has so many pages that it needs a list of them at their side; elsewhere code gets the room.
html_sidebars = {"*": [], "kernels/*": [], "gallery/*": []}
html_theme_options = {
    "navbar_align": "left",
    "navbar_persistent": ["search-button", "languages"],
    "navbar_end": ["theme-switcher"],
    "navigation_with_keys": False,
    "show_prev_next": True,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
}

autosummary_generate = True
# The public names of a package are its __all__, wherever they come from.
autosummary_ignore_module_all = False
autodoc_typehints = "none"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
# Sections must be well formed. Which of them a docstring needs, its author knows.
numpydoc_validation_checks = {"all", "ES01", "EX01", "GL08", "SA01", "SS05"} | {
    *(f"PR0{i}" for i in (1, 2, 3, 4, 7, 8)),
    *(f"RT0{i}" for i in (1, 3)),
}

# Sphinx-Gallery runs the programs that take seconds, as anybody would, but for where they put their pictures.
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"/(photo|digits)\.py",
    "within_subsection_order": "FileNameSortKey",
    "reset_argv": gallery.Arguments(),
    "download_all_examples": False,
    "notebook_extensions": set(),
    "remove_config_comments": True,
    "show_signature": False,
    "write_computation_times": False,
    # They have compiling in them: programs print times without it.
    "min_reported_time": float("inf"),
}

autosummary_context = {"public_base": api.public_base, "own_members": api.own_members}

if tags.has(languages.LANGUAGE):  # noqa: F821
    languages.translate(globals())
