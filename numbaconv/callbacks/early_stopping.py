"""The callback that ends training."""

from typing import Any

from ..common.arguments import check_bool
from ..objects.registry import number
from ..shapes import normalize_tuple
from .base import Logs, Monitor


class EarlyStopping(Monitor):
    """Ends training when a quantity has not got better for some epochs.

    Parameters
    ----------
    patience : int
        Epochs without getting better, after which training ends; not before the second epoch.
    verbose : {0, 1}
        Whether to say so.
    baseline : float, optional
        Only a quantity that is better than this counts as better.
    restore_best_weights : bool
        Whether the model gets back the weights of its best epoch when training ends.
    start_from_epoch : int
        Epochs at the beginning that do not count.

    Examples
    --------
    >>> import numpy as np
    >>> from numbaconv.layers import Dense
    >>> from numbaconv.models import Sequential
    >>> model = Sequential([Dense(1, kernel_initializer="zeros")])
    >>> model.compile("sgd", "mse")
    >>> stop = EarlyStopping("loss", min_delta=0.01, patience=2)
    >>> history = model.fit(np.ones((4, 1)), np.ones((4, 1)), epochs=1000, callbacks=stop, verbose=0)
    >>> len(history.epoch) < 1000
    True
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        (self.patience,) = normalize_tuple(patience, 1, "patience", allow_zero=True)
        (self.start_from_epoch,) = normalize_tuple(start_from_epoch, 1, "start_from_epoch", allow_zero=True)
        self.verbose = verbose
        self.baseline = None if baseline is None else number(baseline, "baseline")
        self.restore_best_weights = check_bool(restore_best_weights, "restore_best_weights")

    def on_train_begin(self, logs: Logs = None) -> None:
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best = None
        self.best_weights: list[Any] | None = None

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        current = self._current(logs)
        if current is None or epoch < self.start_from_epoch:
            return
        self.wait += 1
        better = self._improves(current, self.best)
        if self.restore_best_weights and (better or self.best_weights is None):
            # Weights are read-only, so that it takes no copy to keep them.
            self.best_weights, self.best_epoch = self.model.weights, epoch
        if better:
            self.best = current
            if self.baseline is None or self._improves(current, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs = None) -> None:
        if self.verbose and self.stopped_epoch:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.best_weights is not None:
            if self.verbose:
                print(f"Weights are those of epoch {self.best_epoch + 1}")
            self.model.set_weights(self.best_weights)
