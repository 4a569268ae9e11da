"""Prediction: the part of `Sequential` that computes many examples."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..callbacks.base import Audience, Callback, check_callbacks
from ..common.arguments import as_numbers
from ..common.structures import leaves
from .batches import Batches, batches_of, check_no_size, unpacked, yields_batches
from .examples import Examples, check_lengths, labels
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
    ) -> Any:
        """Compute all layers on ``x``, a few examples at a time, which bounds the memory for results between layers.

        Parameters
        ----------
        x : array_like, or list or dict of these
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
        ndarray, or list or dict of ndarray
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
                batches, outs = batches_of(x, count, None, self._input, "x"), None
            else:
                examples = self._only_inputs(self._ready(x))
                batches = Batches(lambda epoch: examples.batches(size), -(-len(examples) // size), count)
                rows = len(examples) if count is None else min(len(examples), count * size)
                kinds = zip(self._shapes_for(examples.x), leaves(self._result_dtype), strict=True)
                outs = [np.empty((rows, *shape[1:]), dtype) for shape, dtype in kinds]
        audience = Audience(listed, self, {"verbose": verbose, "epochs": 1, "steps": batches.steps})
        with examples_bar(None if outs is None else rows, self.name, verbose) as bar:
            found = self._predicted(watched(batches.epoch(), bar), audience)
            if outs is None:
                return self._joined(list(found))
            done = 0
            for results in found:
                start, done = done, done + len(results[0])
                for out, result in zip(outs, results, strict=True):
                    out[start:done] = result
        return self._joint([out[:done] for out in outs])

    def predict_on_batch(self, x: Any) -> Any:
        """Compute all layers on ``x`` at once, without progress bar and callbacks: ``model(x)`` by Keras's name."""
        return self(x)

    def _predicted(self, batches: Iterator[Examples], audience: Audience) -> Iterator[list[np.ndarray]]:
        """The outputs for each batch."""
        self.stop_predicting = False
        audience.tell("on_predict_begin", {})
        for i, batch in enumerate(batches):
            audience.tell("on_predict_batch_begin", i, {})
            result = self(batch.x)
            audience.tell("on_predict_batch_end", i, {"outputs": result})
            yield self._separate(result)
            if self.stop_predicting:
                break
        audience.tell("on_predict_end", {})

    def _input(self, batch: Any, number: int) -> Examples:
        """The inputs of a batch that was yielded."""
        with self._named():
            return self._only_inputs(unpacked(batch, number)[0], f" of batch {number}")

    def _only_inputs(self, x: Any, of: str = "") -> Examples:
        named = zip(labels("x", self.input_names, of), self._inputs_of(x), strict=True)
        arrays = {name: as_numbers(one, name) for name, one in named}
        check_lengths(arrays)
        return Examples(list(arrays.values()))

    def _joined(self, batches: list[list[np.ndarray]]) -> Any:
        with self._named():
            if not batches:
                raise ValueError("x must yield at least one batch, got none")
            joined = []
            for results in zip(*batches, strict=True):
                shapes = {result.shape[1:] for result in results}
                if len(shapes) > 1:
                    raise ValueError(f"the batches of x must give results of one shape, got {sorted(shapes)}")
                joined.append(np.concatenate(results))
            return self._joint(joined)
