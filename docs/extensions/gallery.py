"""How the examples are run for the gallery."""

import os
from pathlib import Path

# What compiles is told on the page, once.
os.environ.setdefault("NUMBACONV_NOTICE", "0")


class Arguments:
    """Command line of an example: its picture goes where nobody looks, since the gallery keeps the figure itself."""

    def __repr__(self):
        # Sphinx builds everything anew when a setting's representation changes.
        return "Arguments()"

    def __call__(self, gallery_conf, script_vars):
        folder = Path(gallery_conf["src_dir"]) / "_drawn"
        folder.mkdir(exist_ok=True)
        example = Path(script_vars["src_file"])
        # Examples run in their own folder.
        return ["--out", os.path.relpath(folder / f"{example.stem}.png", example.parent)]
