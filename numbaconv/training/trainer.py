"""Training: the part of `Sequential` that fits weights to examples."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..callbacks.base import Audience, Callback, check_callbacks
from ..callbacks.history import History
from ..common.arguments import check_bool
from ..objects.registry import number
from .batches import Batches, batches_of, batches_of_arrays, check_no_size, goes_once, unpacked, yields_batches
from .compiling import Compiled
from .examples import Examples, check_validation, with_class_weight
from .fitting import Course, Fit, check_course, check_size, check_steps, test
from .predicting import Predictor
from .progress import check_verbose, examples_bar, watched
from .steps import Tally, test_step, train_step

Results = float | list[float] | dict[str, float]

# Examples whose classes are looked at together.
_CHECKED = 4096


class Trainer(Compiled, Predictor):
    """What `Sequential` has for training."""

    def fit(
        self,
        x: Any,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Sequence[Callback] | Callback | None = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: dict[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Sequence[int] = 1,
        *,
        seed: "int | np.random.Generator | None" = None,
    ) -> History:
        """Change the weights so that the loss gets smaller: one step of the optimizer for every batch of examples.

        Parameters
        ----------
        x, y : array_like, or list or dict of these
            Inputs, batch axis first, and a target for each, in the shape that the loss wants. Never changed. A
            ``numpy.memmap`` is read batch by batch. Several inputs or outputs come in a list in their order, or in a
            dict by their names; an output without a loss and metrics needs no targets. Instead of both, `x` may yield
            batches ``(x, y)`` or ``(x, y, sample_weight)``: a generator, another iterable that is no sequence, such as
            a PyTorch ``DataLoader``, or an object with a length and indices, such as Keras's ``PyDataset``, whose
            ``on_epoch_begin`` and ``on_epoch_end`` are called.
        batch_size : int, optional
            Examples for one step, 32 by default; the last batch may have fewer.
        epochs : int
            Passes through the examples, those before `initial_epoch` included.
        verbose : {"auto", 1, 2, 0}
            A progress bar on standard error for each epoch ("auto" and 1), a line on standard output, or nothing.
        callbacks : Callback or list of Callback, optional
            See `numbaconv.callbacks`.
        validation_split : float
            Share of the examples, from the end, that are not trained on but evaluated after each epoch.
        validation_data : tuple or iterable, optional
            ``(x, y)`` or ``(x, y, sample_weight)`` to evaluate instead, or what yields batches of them.
        shuffle : bool
            Whether the examples, or the batches that have indices, are put in another order for each epoch.
        class_weight : dict, optional
            Weights of classes by number, 1 for those left out. They multiply those of `sample_weight`. For a single
            output.
        sample_weight : array_like, or list or dict of these, optional
            Weights in the loss, one for each example or each position, see `numbaconv.losses.Loss`. Of several outputs
            each has its own, or all have a single array's.
        initial_epoch : int
            Where to begin counting, in order to go on with a training.
        steps_per_epoch : int, optional
            Batches of an epoch; without it, an epoch ends with the data. The next epoch goes on in the data where this
            one ended. Data that end within an epoch end it with a warning, and training too if they cannot begin anew.
        validation_steps : int, optional
            Batches of a validation; a generator goes on where the last validation ended, all else begins anew.
        validation_batch_size : int, optional
            Examples of a batch of the validation; by default `batch_size`.
        validation_freq : int or list of int
            Evaluate after every epoch that it divides, or after these, counted from 1.
        seed : int or Generator, optional
            A number and the epoch determine the order of the examples: a training that goes on takes the same way as
            one that never stopped. A Generator is asked for a number; None draws a fresh one. With `steps_per_epoch` a
            training that goes on begins a new pass through arrays.

        Returns
        -------
        History
            With the mean loss, penalties included, and metrics of every epoch, over the batches as they were trained.

        Raises
        ------
        ValueError, TypeError
            If the model is not compiled, an argument is out of its range, a callback waits for a quantity that cannot
            come, or a layer or the loss cannot take what it gets. Weights are those before the batch that failed.
        FloatingPointError
            If the loss, a weight, a moving statistic or the optimizer's state would become infinite or NaN. All of them
            are those before that batch.

        Notes
        -----
        Layers are trained if they are ``trainable`` when an epoch begins. A callback that changes that must call
        `compile`, too, because other weights need a new optimizer.

        Ctrl-C ends training after the batch and sets ``interrupted`` in the history. A second one raises
        KeyboardInterrupt at once; the weights are those before the batch. In another thread, or under a handler that is
        not Python's, Ctrl-C does what it does there.
        """
        with self._named():
            self._need_compiled("fit")
            course = check_course(epochs, verbose, callbacks, shuffle, initial_epoch, validation_freq, seed)
            size, steps = check_size(batch_size), check_steps(steps_per_epoch, "steps_per_epoch")
            share = number(validation_split, "validation_split", minimum=0, below=1)
            source, held = self._source(x, y, sample_weight), validation_data
            if held is None and share:
                source, held = _split(source, share)
            batches = self._batches(source, size, steps, course.seed, class_weight)
            validation = None
            if held is not None:
                own = size if validation_batch_size is None else check_size(validation_batch_size)
                count = check_steps(validation_steps, "validation_steps")
                validation = self._validation(held, own, count, course)
            if not isinstance(source, Examples) and (validation is None or yields_batches(validation_data)):
                check_no_size(batch_size)
        first = self._first(batches, course.epochs.start)
        with self._named():
            self._prepare(first)
            if class_weight is not None and isinstance(source, Examples):
                for part in source.batches(_CHECKED):
                    self._weighted(part, class_weight)
            self._weights_to_train()
        return Fit(self, course, batches, validation).run()

    def evaluate(
        self,
        x: Any,
        y: Any = None,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Sequence[Callback] | Callback | None = None,
        return_dict: bool = False,
    ) -> Results:
        """Compute the loss, penalties included, and the metrics, a few examples at a time.

        Parameters
        ----------
        x, y, batch_size, sample_weight, callbacks
            As for `fit`.
        verbose : {"auto", 0, 1, 2}
            As for `predict`.
        steps : int, optional
            Batches to take; all by default.
        return_dict : bool
            Whether to return the results by name.

        Returns
        -------
        float, list of float or dict
            The loss; followed by the metrics if there are any.

        Raises
        ------
        ValueError, TypeError
            As from `fit`.
        """
        with self._named():
            self._need_compiled("evaluate")
            verbose, listed = check_verbose(verbose), check_callbacks(callbacks)
            check_bool(return_dict, "return_dict")
            size = check_size(batch_size)
            source = self._source(x, y, sample_weight)
            batches = self._batches(source, size, check_steps(steps, "steps"), None, None)
            if not isinstance(source, Examples):
                check_no_size(batch_size)
        first = self._first(batches)
        with self._named():
            self._prepare(first)
        audience = Audience(listed, self, {"verbose": verbose, "epochs": 1, "steps": batches.steps})
        with examples_bar(batches.examples, self.name, verbose) as bar:
            results = test(self, watched(batches.epoch(), bar), audience)
        return _returned(results, return_dict)

    def train_on_batch(
        self,
        x: Any,
        y: Any,
        sample_weight: Any = None,
        class_weight: dict[int, float] | None = None,
        return_dict: bool = False,
    ) -> Results:
        """Take one step with all of these examples.

        Parameters
        ----------
        x, y, sample_weight, class_weight
            As for `fit`, in arrays.
        return_dict : bool
            As for `evaluate`.

        Returns
        -------
        float, list of float or dict
            As from `evaluate`, for this batch before the step.

        Raises
        ------
        ValueError, TypeError, FloatingPointError
            As from `fit`.
        """
        with self._named():
            self._need_compiled("train_on_batch")
            check_bool(return_dict, "return_dict")
            batch = self._examples(x, y, sample_weight)
            self._prepare(batch)
            batch = self._weighted(batch, class_weight)
            weights = self._weights_to_train()
        tally = Tally(self)
        train_step(self, weights, batch, tally, "train_on_batch")
        return _returned(tally.results(), return_dict)

    def test_on_batch(self, x: Any, y: Any, sample_weight: Any = None, return_dict: bool = False) -> Results:
        """Compute the loss and the metrics of these examples at once; see `evaluate`."""
        with self._named():
            self._need_compiled("test_on_batch")
            check_bool(return_dict, "return_dict")
            batch = self._examples(x, y, sample_weight)
            self._prepare(batch)
        tally = Tally(self)
        test_step(self, batch, tally)
        return _returned(tally.results(), return_dict)

    # -- for the trainer itself ------------------------------------------------------------------------------------

    def _source(self, x: Any, y: Any, sample_weight: Any) -> Any:
        """The examples in arrays, or what yields batches of them."""
        if not yields_batches(x):
            if y is None and isinstance(x, list | tuple):
                raise TypeError("y must be an array of numbers, got None; a list of batches is given as iter(x)")
            return self._examples(x, y, sample_weight)
        for name, given in (("y", y), ("sample_weight", sample_weight)):
            if given is not None:
                raise ValueError(f"{name} must be None where x yields batches: {name} belongs into the batches")
        return x

    def _batches(self, source: Any, size: int, steps: int | None, seed: int | None, class_weight: Any) -> Batches:
        """The batches of examples, or those that ``source`` yields, weighted by class."""
        if isinstance(source, Examples):
            return batches_of_arrays(source, size, steps, seed, lambda part: self._weighted(part, class_weight))
        return batches_of(source, steps, seed, self._converter(class_weight), "x")

    def _validation(self, data: Any, size: int, steps: int | None, course: Course) -> Batches:
        if not isinstance(data, Examples):
            if not isinstance(data, tuple | list) and yields_batches(data, "validation_data"):
                return self._yielded_validation(data, steps, course)
            data = self._examples(*check_validation(data), " of validation_data")
        return batches_of_arrays(data, size, steps, None, lambda part: part)

    def _yielded_validation(self, data: Any, steps: int | None, course: Course) -> Batches:
        if goes_once(data) and steps is None and len(course.epochs) > 1:
            raise ValueError(
                "validation_data can be gone through once and there are several epochs: give validation_steps, or what "
                f"can begin anew, got {data!r}"
            )
        return batches_of(data, steps, None, self._converter(None), "validation_data")

    def _converter(self, class_weight: Any) -> Callable[[Any, int], Examples]:
        """What makes examples of a batch that was yielded."""

        def convert(batch: Any, number: int) -> Examples:
            with self._named():
                examples = self._examples(*unpacked(batch, number), f" of batch {number}")
                return self._weighted(examples, class_weight)

        return convert

    def _first(self, batches: Batches, epoch: int = 0) -> Examples:
        first: Examples | None = batches.first(epoch)
        if first is None:
            raise ValueError(f"{self._label}: {batches.name} must yield at least one batch, got none")
        return first

    def _weighted(self, examples: Examples, class_weight: Any) -> Examples:
        if class_weight is None:
            return examples
        with self._named():
            shapes = self._shapes_for(examples.x)
            if len(shapes) > 1:
                names = ", ".join(self.output_names)
                raise ValueError(
                    "class_weight must be None for several outputs, of which it cannot say whose classes it means: "
                    f"sample_weight takes weights for each of {names}, got {class_weight!r}"
                )
            return with_class_weight(examples, class_weight, self._objective.losses[0], shapes[0])


def _split(source: Any, share: float) -> tuple[Examples, Examples]:
    """The examples to train on, and those from the end for the validation."""
    if not isinstance(source, Examples):
        raise ValueError(
            "validation_split must be 0 where x yields batches, whose number is not known; give validation_data, "
            f"got {share}"
        )
    return source.split(share)


def _returned(results: dict[str, float], return_dict: bool) -> Results:
    if return_dict:
        return results
    return list(results.values()) if len(results) > 1 else results["loss"]
