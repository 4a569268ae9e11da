"""Training: the part of `Sequential` that fits weights to examples."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import ArrayLike

from .. import losses, metrics, optimizers
from .._naming import Named
from .._registry import number
from ..arguments import check_bool
from ..history import History
from ..shapes import normalize_tuple
from .callback import Callback
from .examples import Examples, check_examples, check_validation, with_class_weight
from .fitting import Fit, check_course
from .progress import check_verbose, examples_bar
from .steps import Route, Tally, route_through, test_step, train_step

if TYPE_CHECKING:
    from ..models import Sequential

Results = float | list[float] | dict[str, float]


class Trainer(Named):
    """What `Sequential` has for training.

    Attributes
    ----------
    optimizer, loss
        As `compile` was given them; None before.
    metrics : list of Metric
        What is measured; "accuracy" is decided when examples are first seen.
    history : History or None
        Of the last `fit`.
    stop_training : bool
        A callback sets it to end `fit`.
    """

    def __init__(self, name: str | None) -> None:
        super().__init__(name)
        self.optimizer: Any = None
        self.loss: Any = None
        self.metrics: list[Any] = []
        self.history: History | None = None
        self.stop_training = False
        # As they were given, where a name means different metrics for different models.
        self._metrics: list[Any] = []
        # Names of the weights that the optimizer's state belongs to.
        self._stepped: list[str] | None = None

    def compile(self, optimizer: Any = "rmsprop", loss: Any = None, metrics: Sequence[Any] | None = None) -> None:
        """Choose what training minimizes, how, and what else it measures.

        Parameters
        ----------
        optimizer : str, dict, class or Optimizer
            See `numbaconv.optimizers.get`. One that has taken steps goes on from there.
        loss : str, dict, class or Loss
            See `numbaconv.losses.get`.
        metrics : list, optional
            Of what `numbaconv.metrics.get` takes. They know no sample weights, as in Keras.

        Raises
        ------
        ValueError, TypeError
            If a name is unknown, an argument is of another kind, or two metrics have the same name.
        """
        with self._named():
            self._compile(optimizer, loss, [] if metrics is None else metrics)

    def fit(
        self,
        x: ArrayLike,
        y: ArrayLike,
        batch_size: int = 32,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Sequence[Callback] | Callback | None = None,
        validation_split: float = 0.0,
        validation_data: Sequence[Any] | None = None,
        shuffle: bool = True,
        class_weight: dict[int, float] | None = None,
        sample_weight: ArrayLike | None = None,
        initial_epoch: int = 0,
        *,
        validation_freq: int | Sequence[int] = 1,
        seed: int | np.random.Generator | None = None,
    ) -> History:
        """Change the weights so that the loss gets smaller: one step of the optimizer for every batch of examples.

        Parameters
        ----------
        x, y : array_like
            Inputs, batch axis first, and as many targets, in the shape that the loss wants. Never changed.
        batch_size : int
            Examples for one step; the last batch may have fewer.
        epochs : int
            Passes through the examples, those before `initial_epoch` included.
        verbose : {"auto", 1, 2, 0}
            A progress bar on standard error for each epoch ("auto" and 1), a line on standard output, or nothing.
        callbacks : Callback or list of Callback, optional
            See `numbaconv.callbacks`.
        validation_split : float
            Share of the examples, from the end, that are not trained on but evaluated after each epoch.
        validation_data : tuple, optional
            ``(x, y)`` or ``(x, y, sample_weight)`` to evaluate instead.
        shuffle : bool
            Whether the examples are put in another order for each epoch.
        class_weight : dict, optional
            Weights of classes by number, 1 for those left out. They multiply those of `sample_weight`.
        sample_weight : array_like, optional
            Weights in the loss, one for each example or each position, see `numbaconv.losses.Loss`.
        initial_epoch : int
            Where to begin counting, in order to go on with a training.
        validation_freq : int or list of int
            Evaluate after every so many epochs, or after these, counted from 1.
        seed : int or Generator, optional
            For the order of the examples: a number and the epoch determine it, so that a training that goes on takes
            the same way as one that was never stopped. A Generator is asked for a number; None takes a fresh one.

        Returns
        -------
        History
            With the mean loss, penalties included, and metrics of every epoch, over the batches as they were trained.

        Raises
        ------
        ValueError, TypeError
            If the model is not compiled, an argument is out of its range, or a layer or the loss cannot take what it
            gets. Weights are those before the batch that failed.
        FloatingPointError
            If the loss, a weight, a moving statistic or the optimizer's state would become infinite or NaN. All of them
            are those before that batch.

        Notes
        -----
        Layers are trained if they are ``trainable`` when `fit` is called. Ctrl-C ends training after the batch, with
        ``interrupted`` set in the history, and a second one raises KeyboardInterrupt at once, with the weights as they
        were before the batch; where a handler other than Python's is in place, or in another thread, that is in charge.
        """
        with self._named():
            course = check_course(batch_size, epochs, verbose, callbacks, shuffle, initial_epoch, validation_freq, seed)
            examples = check_examples(x, y, sample_weight)
            share = number(validation_split, "validation_split", minimum=0, below=1)
            validation = None if validation_data is None else check_validation(validation_data)
            if validation is None and share:
                examples, validation = examples.split(share)
            examples = self._prepared("fit", examples, class_weight)
            route = self._route()
        return Fit(cast("Sequential", self), course, route, examples, validation).run()

    def evaluate(
        self,
        x: ArrayLike,
        y: ArrayLike,
        batch_size: int = 32,
        verbose: int | str = "auto",
        sample_weight: ArrayLike | None = None,
        return_dict: bool = False,
    ) -> Results:
        """Compute the loss, penalties included, and the metrics, a few examples at a time.

        Parameters
        ----------
        x, y, batch_size, sample_weight
            As for `fit`.
        verbose : {"auto", 0, 1, 2}
            As for `predict`.
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
            check_verbose(verbose)
            check_bool(return_dict, "return_dict")
            (size,) = normalize_tuple(batch_size, 1, "batch_size")
            examples = self._prepared("evaluate", check_examples(x, y, sample_weight))
        tally = Tally(self.metrics)
        with examples_bar(len(examples), self.name, verbose) as bar:
            for batch in examples.batches(size):
                test_step(cast("Sequential", self), batch, tally)
                bar.update(len(batch))
        return _returned(tally, return_dict)

    def train_on_batch(
        self,
        x: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        class_weight: dict[int, float] | None = None,
        return_dict: bool = False,
    ) -> Results:
        """Take one step with all of these examples.

        Parameters
        ----------
        x, y, sample_weight, class_weight
            As for `fit`.
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
            check_bool(return_dict, "return_dict")
            batch = self._prepared("train_on_batch", check_examples(x, y, sample_weight), class_weight)
            route = self._route()
        tally = Tally(self.metrics)
        train_step(cast("Sequential", self), route, batch, tally, "train_on_batch")
        return _returned(tally, return_dict)

    def test_on_batch(
        self, x: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None, return_dict: bool = False
    ) -> Results:
        """Compute the loss and the metrics of these examples at once; see `evaluate`."""
        with self._named():
            check_bool(return_dict, "return_dict")
            batch = self._prepared("test_on_batch", check_examples(x, y, sample_weight))
        tally = Tally(self.metrics)
        test_step(cast("Sequential", self), batch, tally)
        return _returned(tally, return_dict)

    # -- configuration ---------------------------------------------------------------------------------------------

    def get_compile_config(self) -> dict[str, Any] | None:
        """What `compile` was given, as plain JSON types and with the learning rate as it is now; None before.

        Raises
        ------
        TypeError
            If the loss, a metric or the learning rate is an object or a function of the user's.
        """
        if self.optimizer is None:
            return None
        with self._named():
            return {
                "optimizer": optimizers.serialize(self.optimizer),
                "loss": losses.serialize(self.loss),
                "metrics": [m if isinstance(m, str) else metrics.serialize(m) for m in self._metrics],
            }

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile the model with what `get_compile_config` returned, and an optimizer that begins anew.

        Raises
        ------
        ValueError, TypeError
            As from `compile`, and if a key is missing or unknown.
        """
        with self._named():
            if not isinstance(config, dict) or set(config) != {"optimizer", "loss", "metrics"}:
                raise ValueError(f"config must be a dict with the keys optimizer, loss and metrics, got {config!r}")
            self.compile(**config)

    # -- for the trainer itself ------------------------------------------------------------------------------------

    def _compile(self, optimizer: Any, loss: Any, given: Any) -> None:
        if not isinstance(given, list | tuple):
            raise TypeError(f"metrics must be a list of metrics, got {given!r}")
        made = [metric if _undecided(metric) else metrics.get(metric) for metric in given]
        names = ["loss", *(metric if isinstance(metric, str) else getattr(metric, "name", None) for metric in made)]
        if None in names or len(set(names)) < len(names):
            raise ValueError(f"metrics must have names of their own, none of them 'loss', got {given!r}")
        chosen, loss = optimizers.get(optimizer), losses.get(loss)
        if chosen is None:
            raise TypeError("optimizer must be a name, a class, a config or an optimizer, got None")
        if chosen is not self.optimizer:
            self._stepped = None
        self.optimizer, self.loss, self._metrics, self.metrics = chosen, loss, made, []

    def _prepared(self, use: str, examples: Examples, class_weight: Any = None) -> Examples:
        """The examples, weighted by class, and the model ready for them."""
        if self.optimizer is None:
            raise ValueError(f"{use} needs a compiled model: call compile(optimizer, loss) first")
        if self.loss is None:
            raise ValueError(f"{use} needs a loss: call compile(optimizer, loss) with one")
        model = cast("Sequential", self)
        model._ready(examples.x)
        shape = model.compute_output_shape(examples.x.shape)
        self.metrics = [metrics.get(m, self.loss, shape) if isinstance(m, str) else m for m in self._metrics]
        return examples if class_weight is None else with_class_weight(examples, class_weight, self.loss, shape)

    def _route(self) -> Route:
        """The way back through the layers that are trainable now."""
        route = route_through(cast("Sequential", self).layers)
        if not route.trained:
            raise ValueError("training needs a layer that is trainable and has weights, got none")
        if self.optimizer.iterations and self._stepped not in (None, route.names):
            raise ValueError(
                "the optimizer must go on with the weights that it began with, "
                f"{', '.join(self._stepped or ())}; call compile with a new one to train {', '.join(route.names)}"
            )
        self._stepped = route.names
        return route


def _undecided(metric: Any) -> bool:
    return isinstance(metric, str) and metric.lower() in ("accuracy", "acc")


def _returned(tally: Tally, return_dict: bool) -> Results:
    results = tally.results()
    if return_dict:
        return results
    return list(results.values()) if len(results) > 1 else results["loss"]
