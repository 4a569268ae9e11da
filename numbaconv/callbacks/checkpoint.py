"""The callback that saves models."""

import os
from collections.abc import Collection
from string import Formatter

from ..common.arguments import check_bool
from ..files import saving
from ..objects.registry import number
from ..shapes import normalize_tuple
from .base import Logs, Monitor


class ModelCheckpoint(Monitor):
    """Saves the model in the course of training, with its optimizer, so that training can go on from the file.

    Parameters
    ----------
    filepath : path-like
        May have ``{epoch}``, counted from 1, and names of quantities in it, ``"{epoch:02d}-{val_loss:.2f}.npz"``, and
        ``{batch}`` if `save_freq` counts batches. Folders that do not exist are made. An epoch without one of the
        quantities, because it ends without validation, is not saved.
    verbose : {0, 1}
        Whether to say what is saved.
    save_best_only : bool
        Whether to save only when the quantity is better than ever before.
    save_weights_only : bool
        Must be False: a file holds a whole model.
    save_freq : "epoch" or int
        Save after every epoch, or after this number of batches.
    initial_value_threshold : float, optional
        What the quantity has to be better than at first.

    Raises
    ------
    TypeError, ValueError
        If an argument is none of these, or the file's suffix is one of Keras 2's; before the first step, if there can
        be no such quantity or the model is one that cannot be saved.
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__(monitor, mode)
        self.filepath = os.fspath(filepath)
        if not isinstance(self.filepath, str):
            raise TypeError(f"filepath must be a path, not bytes, got {filepath!r}")
        saving.check_suffix(self.filepath, "filepath")
        self.verbose = verbose
        self.save_best_only = check_bool(save_best_only, "save_best_only")
        if check_bool(save_weights_only, "save_weights_only"):
            raise ValueError("save_weights_only must be False, because a file holds a whole model, got True")
        self.save_freq = save_freq if save_freq == "epoch" else normalize_tuple(save_freq, 1, "save_freq")[0]
        self.best = (
            None if initial_value_threshold is None else number(initial_value_threshold, "initial_value_threshold")
        )
        self._batches = 0

    def check_quantities(self, known: Collection[str], more: bool) -> None:
        """Raise ValueError if what is monitored or in the path can never come."""
        if self.save_freq != "epoch":
            # Between epochs there are the means of the training alone.
            known = [name for name in known if not name.startswith("val_") and name in self.params["metrics"]]
            more = False
        if self.save_best_only:
            super().check_quantities(known, more)
        places = ["epoch"] if self.save_freq == "epoch" else ["epoch", "batch"]
        fields = {field for _, field, _, _ in Formatter().parse(self.filepath) if field is not None}
        if not fields <= {*places, *known} and (not more or "" in fields):
            raise self._unknown_field([*places, *known])

    def on_train_begin(self, logs: Logs = None) -> None:
        # A model that cannot be saved is refused now and not after an epoch.
        self.model.get_config()
        self.model.get_compile_config()
        if self.filepath.lower().endswith(".keras"):
            saving.h5py()

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._batches += 1
        if isinstance(self.save_freq, int) and self._batches % self.save_freq == 0:
            self._save({"epoch": self._epoch + 1, "batch": batch + 1}, logs)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if self.save_freq == "epoch":
            self._save({"epoch": epoch + 1}, logs)

    def _save(self, place: dict[str, int], logs: Logs) -> None:
        names = {**place, **(logs or {})}
        try:
            path = self.filepath.format(**names)
        except (KeyError, IndexError) as error:
            if error.args[0] in self.params["metrics"]:
                return
            raise self._unknown_field(names) from error
        if self.save_best_only:
            current = self._current(logs)
            if current is None or not self._improves(current, self.best):
                return
            self.best = current
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        self.model.save(path)
        if self.verbose:
            print(f"Epoch {place['epoch']}: model saved as {path}")

    def _unknown_field(self, names: Collection[str]) -> ValueError:
        return ValueError(f"filepath must have only {', '.join(names)} in braces, got {self.filepath!r}")
