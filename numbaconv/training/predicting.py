"""Prediction: the part of `Sequential` that computes many examples."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..callbacks.base import Audience, Callback, check_callbacks
from ..common.arguments import as_numbers
from .batches import Batches, batches_of, check_no_size, unpacked, yields_batches
from .fitting import check_size, check_steps
from .progress import check_verbose, examples_bar, watched
from .trainee import Trainee


class Predictor(Trainee):
    """What `Sequential` has for predicting.

    Attributes
    ----------
    stop_predicting : bool
        A callback sets it to end `predict`.
    """

    def __init__(self, name: str | None) -> None:
        super().__init__(name)
        self.stop_predicting = False

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        steps: int | None = None,
        callbacks: Sequence[Callback] | Callback | None = None,
    ) -> np.ndarray:
        """Compute all layers on ``x``, a few examples at a time, which bounds the memory for results between layers.

        Parameters
        ----------
        x : array_like
            As for ``model(x)``; a ``numpy.memmap`` is read batch by batch. Or what yields batches, as for `fit`; the
            first part of tuples is taken.
        batch_size : int, optional
            Examples at a time, 32 by default.
        verbose : {"auto", 0, 1, 2}
            Whether a progress bar is shown on standard error; "auto" shows one after two seconds.
        steps : int, optional
            Batches to take; all by default.
        callbacks : Callback or list of Callback, optional
            See `numbaconv.callbacks`.

        Returns
        -------
        ndarray
            What ``model(x)`` returns.

        Raises
        ------
        ValueError, TypeError
            As from ``model(x)``, and for other arguments out of their range.
        """
        with self._named():
            size, count = check_size(batch_size), check_steps(steps, "steps")
            verbose, listed = check_verbose(verbose), check_callbacks(callbacks)
            if yields_batches(x):
                check_no_size(batch_size)
                batches, out = batches_of(x, count, None, self._input, "x"), None
            else:
                x = self._ready(x)
                batches = Batches(lambda epoch: _parts(x, size), -(-len(x) // size), count)
                shape: Any = self._shape_for(x)
                rows = len(x) if count is None else min(len(x), count * size)
                out = np.empty((rows, *shape[1:]), self._result_dtype)
        audience = Audience(listed, self, {"verbose": verbose, "epochs": 1, "steps": batches.steps})
        with examples_bar(None if out is None else len(out), self.name, verbose) as bar:
            found = self._predicted(watched(batches.epoch(), bar), audience)
            if out is None:
                return self._joined(list(found))
            done = 0
            for result in found:
                out[done : done + len(result)] = result
                done += len(result)
        return out[:done]

    def predict_on_batch(self, x: ArrayLike) -> np.ndarray:
        """Compute all layers on ``x`` at once, without progress bar and callbacks: ``model(x)`` by Keras's name."""
        return self(x)

    def _predicted(self, batches: Iterator[np.ndarray], audience: Audience) -> Iterator[np.ndarray]:
        self.stop_predicting = False
        audience.tell("on_predict_begin", {})
        for i, batch in enumerate(batches):
            audience.tell("on_predict_batch_begin", i, {})
            result = self(batch)
            audience.tell("on_predict_batch_end", i, {"outputs": result})
            yield result
            if self.stop_predicting:
                break
        audience.tell("on_predict_end", {})

    def _input(self, batch: Any, number: int) -> np.ndarray:
        """The inputs of a batch that was yielded."""
        with self._named():
            return as_numbers(unpacked(batch, number)[0], f"x of batch {number}")

    def _joined(self, results: list[np.ndarray]) -> np.ndarray:
        with self._named():
            if not results:
                raise ValueError("x must yield at least one batch, got none")
            shapes = {result.shape[1:] for result in results}
            if len(shapes) > 1:
                raise ValueError(f"the batches of x must give results of one shape, got {sorted(shapes)}")
            return np.concatenate(results)


def _parts(x: np.ndarray, size: int) -> Iterator[np.ndarray]:
    return (x[start : start + size] for start in range(0, len(x), size))
