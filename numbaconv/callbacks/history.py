"""What happened in training: numbers by epoch, and a drawing of them."""

from os import PathLike
from typing import Any

import numpy as np

from .base import Callback, Logs

# From this number of epochs on, a curve is drawn without a mark for each of them.
_MANY = 30
# Of more epochs than twice this, a notebook shows so many at either end.
_SHOWN = 10


class History(Callback):
    """Record of a training, returned by `Sequential.fit` (Keras's ``History``).

    Attributes
    ----------
    history : dict of str to list of float
        "loss", the metrics and what callbacks add, one value for each epoch; and the same of the validation,
        "val_loss" and so on, one value for each epoch that ended with it.
    epoch : list of int
        The epochs, counted from 0.
    params : dict
        "verbose", "epochs", "steps" (batches in an epoch) and "metrics" (the names of all that is measured).
    interrupted : bool
        Whether Ctrl-C ended it. The epoch that was cut short is not in the record.
    """

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []
        self.interrupted = False
        # The epochs of each list in history.
        self._epochs: dict[str, list[int]] = {}

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
            self._epochs.setdefault(name, []).append(epoch)

    def _repr_html_(self) -> str:
        columns = {name: dict(zip(self._epochs[name], values, strict=True)) for name, values in self.history.items()}
        rows = [[str(epoch + 1), *(_shown(by.get(epoch)) for by in columns.values())] for epoch in self.epoch]
        if len(rows) > 2 * _SHOWN:
            rows[_SHOWN:-_SHOWN] = [["..."] * (1 + len(columns))]
        title = "Training, interrupted" if self.interrupted else "Training"
        from ..common.tables import html_table

        return html_table(title, ["epoch", *columns], rows, numbers=range(1 + len(columns)))

    def plot(self, path: str | PathLike[str] | None = None, ax: Any = None) -> Any:
        """Draw the record with Matplotlib: one panel for each quantity, with its curves of training and validation.

        Quantities with several values in an epoch, such as the scores of all classes, are left out.

        Parameters
        ----------
        path : path-like, optional
            File to write the figure to, in the format that its suffix says.
        ax : Axes or sequence of Axes, optional
            Where to draw, one for each quantity; by default in a new figure.

        Returns
        -------
        Figure
            Of Matplotlib.

        Raises
        ------
        ImportError
            If there is no Matplotlib.
        ValueError
            If no epoch is recorded, or `ax` does not hold one Axes for each quantity.
        """
        try:
            from matplotlib import pyplot
        except ImportError as error:
            raise ImportError("History.plot draws with Matplotlib: python -m pip install matplotlib") from error
        single = [name for name, values in self.history.items() if not any(map(np.ndim, values))]
        names = [name for name in single if not (name.startswith("val_") and name[4:] in self.history)]
        if not names:
            raise ValueError("plot needs at least one epoch in the history, got none")
        own = ax is None
        if own:
            size = (4.8 * len(names), 3.6)
            ax = pyplot.subplots(1, len(names), figsize=size, layout="constrained", squeeze=False)[1]
        panels = np.ravel(ax).tolist()
        if len(panels) != len(names):
            raise ValueError(f"ax must hold {len(names)} Axes, for {', '.join(names)}, got {len(panels)}")
        for panel, name in zip(panels, names, strict=True):
            self._draw(panel, name)
        figure = panels[0].figure
        if path is not None:
            try:
                figure.savefig(path, dpi=150)
            finally:
                if own:
                    pyplot.close(figure)
        return figure

    def _draw(self, panel: Any, name: str) -> None:
        """The curves of one quantity, each with its name at its end."""
        from matplotlib.ticker import MaxNLocator

        ends = []
        for key, label, style in ((name, "training", "-"), (f"val_{name}", "validation", "--")):
            if key in self.history:
                epochs, values = np.add(self._epochs[key], 1), np.asarray(self.history[key], float)
                mark = "o" if len(values) < _MANY else None
                (line,) = panel.plot(epochs, values, style, marker=mark, markersize=3.5, label=label)
                finite = np.isfinite(values)
                if finite.any() and f"val_{name}" in self.history:
                    ends.append((values[finite][-1], epochs[finite][-1], label, line.get_color()))
        # Apart from each other, however near the curves end.
        for place, (value, epoch, label, colour) in enumerate(sorted(ends)):
            offset = (6, 7 * (2 * place - 1) if len(ends) > 1 else 0)
            panel.annotate(label, (epoch, value), offset, textcoords="offset points", color=colour, va="center")
        panel.set_title(name.replace("_", " "), loc="left")
        panel.set_xlabel("epoch")
        panel.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
        panel.margins(x=0.02, y=0.1)
        panel.grid(alpha=0.3)
        panel.spines[["top", "right"]].set_visible(False)


def _shown(value: Any) -> str:
    """One number or several, in few digits; nothing for an epoch without one."""
    values = [] if value is None else np.ravel(value).tolist()
    return ", ".join(f"{one:.4g}" if isinstance(one, (int, float)) else str(one) for one in values)
