"""How the examples are run for the gallery."""

import tempfile
from pathlib import Path


class Arguments:
    """Command line of an example: its picture goes where nobody looks, since the gallery keeps the figure itself."""

    def __repr__(self):
        # Sphinx builds everything anew when a setting's representation changes.
        return "Arguments()"

    def __call__(self, gallery_conf, script_vars):
        name = Path(script_vars["src_file"]).stem
        return ["--out", str(Path(tempfile.gettempdir()) / f"numbaconv-gallery-{name}.png")]
