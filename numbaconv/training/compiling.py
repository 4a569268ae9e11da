"""What a model is trained with: the part of `Sequential` that compiles."""

from typing import Any

from ..callbacks.history import History
from ..objects.telling import check_neutral
from .examples import Examples, check_examples, labels, targets_by_output, weights_by_output
from .objective import Measure, Objective, measures_of, objective_of
from .trainee import TrainedWeights, Trainee


class Compiled(Trainee):
    """What `Sequential` has for being compiled.

    Attributes
    ----------
    optimizer, loss
        As `compile` was given them; None before. Losses of several outputs stand in a list or a dict.
    metrics : list of Metric
        What is measured, of all outputs; "accuracy" is decided when examples are first seen.
    history : History or None
        Of the last `fit`.
    stop_training : bool
        A callback sets it to end `fit`.
    stop_evaluating : bool
        The same for `evaluate`, and for the validation of an epoch.
    """

    def __init__(self, name: str | None) -> None:
        super().__init__(name)
        self.optimizer: Any = None
        self.loss: Any = None
        self.metrics: list[Any] = []
        self.history: History | None = None
        self.stop_training = self.stop_evaluating = False
        self._objective = Objective([None], None, ["output"])
        # As they were given, where a name means different metrics for different models; and once that is decided.
        self._asked: list[Measure] = []
        self._measures: list[Measure] = []
        # Names of the weights that the optimizer's state belongs to.
        self._stepped: list[str] | None = None

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        metrics: Any = None,
        *,
        loss_weights: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: bool | str | None = "auto",
        auto_scale_loss: bool = True,
    ) -> None:
        """Choose what training minimizes, how, and what else it measures.

        Parameters
        ----------
        optimizer : str, dict, class or Optimizer
            See `numbaconv.optimizers.get`. One that has taken steps goes on from there.
        loss : str, dict, class or Loss
            See `numbaconv.losses.get`. A model of several outputs takes a loss for all of them, a list with one for
            each, or a dict by the outputs' names. An output whose loss is None, or left out of the dict, has none.
        metrics : list, optional
            Of what `numbaconv.metrics.get` takes, or a single one. They know no sample weights, as in Keras. For
            several outputs a list with a metric, a list of metrics or None for each, or a dict of these by name.
        loss_weights : float, or list or dict of float, optional
            What the losses of several outputs are multiplied by before they are added up; by default 1. That of a
            single output may be a number alone.
        weighted_metrics : list or dict, optional
            As `metrics`, but these know the sample weights. One that stands in both is called ``weighted_`` here.
        run_eagerly, jit_compile, auto_scale_loss
            Taken as Keras takes them, and without effect: kernels are compiled, and all else is plain Python.
        steps_per_execution : 1
            Taken so that Keras's calls work.

        Raises
        ------
        ValueError, TypeError
            If a name is unknown, an argument is of another kind, or two metrics have the same name.

        Notes
        -----
        The loss is the sum of all losses times their weights, and of the penalties. Where several outputs have losses,
        results have each without its weight, ``<output>_loss``. The metrics of several outputs are called
        ``<output>_<metric>``. All names are Keras's.

        Examples
        --------
        >>> import numpy as np
        >>> from numbaconv.layers import Dense, Input
        >>> from numbaconv.models import Model
        >>> x = Input((3,))
        >>> model = Model(x, [Dense(1, name="size")(x), Dense(2, activation="softmax", name="kind")(x)])
        >>> losses = {"size": "mse", "kind": "sparse_categorical_crossentropy"}
        >>> model.compile("sgd", losses, {"kind": "accuracy"}, loss_weights={"size": 0.5, "kind": 1})
        >>> targets = {"size": np.ones((4, 1)), "kind": [0, 1, 1, 0]}
        >>> history = model.fit(np.ones((4, 3)), targets, verbose=0)
        >>> list(history.history)
        ['loss', 'size_loss', 'kind_loss', 'kind_accuracy']
        """
        with self._named():
            check_neutral("steps_per_execution", steps_per_execution, (1, "auto", None), "steps are taken one by one")
            check_neutral("jit_compile", jit_compile, ("auto", True, False, None), "kernels are always compiled")
            check_neutral("run_eagerly", run_eagerly, (False, True, None), "it has no effect")
            check_neutral("auto_scale_loss", auto_scale_loss, (True, False), "it has no effect")
            self._compile(optimizer, loss, loss_weights, metrics, weighted_metrics)

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
            from .. import losses, optimizers

            asked = self._asked
            config = {
                "optimizer": optimizers.serialize(self.optimizer),
                "loss": self._listed([losses.serialize(loss) for loss in self._objective.losses]),
                "metrics": self._serialized([measure for measure in asked if not measure.weighted]),
            }
            # Versions that know one loss can read what has no more.
            if self._objective.weights is not None:
                config["loss_weights"] = list(self._objective.weights)
            if any(measure.weighted for measure in asked):
                config["weighted_metrics"] = self._serialized([measure for measure in asked if measure.weighted])
            return config

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile the model with what `get_compile_config` returned, and an optimizer that begins anew.

        Raises
        ------
        ValueError, TypeError
            As from `compile`, and if a key is missing or unknown.
        """
        with self._named():
            optional = {"loss_weights", "weighted_metrics"}
            if not isinstance(config, dict) or set(config) - optional != {"optimizer", "loss", "metrics"}:
                raise ValueError(f"config must be a dict with the keys optimizer, loss and metrics, got {config!r}")
            self.compile(**config)

    # -- for the model itself --------------------------------------------------------------------------------------

    def _need_compiled(self, use: str) -> None:
        if self.optimizer is None:
            raise ValueError(f"{use} needs a compiled model: call compile(optimizer, loss) first")
        if self.loss is None:
            raise ValueError(f"{use} needs a loss: call compile(optimizer, loss) with one")

    def _compile(self, optimizer: Any, loss: Any, loss_weights: Any, metrics: Any, weighted_metrics: Any) -> None:
        # Whoever predicts alone does without, here and in `objective`: importing them takes a tenth of a start.
        from .. import optimizers

        outputs = self.output_names
        chosen, (loss, objective) = optimizers.get(optimizer), objective_of(loss, loss_weights, outputs)
        asked = measures_of(metrics, weighted_metrics, outputs, ["loss", *objective.names])
        if chosen is None:
            raise TypeError("optimizer must be a name, a class, a config or an optimizer, got None")
        if chosen is not self.optimizer:
            self._stepped = None
        self.optimizer, self.loss, self._objective, self._asked = chosen, loss, objective, asked
        self.metrics, self._measures = [], []

    def _listed(self, parts: list[Any]) -> Any:
        """What there is for each output; without the list for a single one."""
        return parts[0] if len(parts) == 1 else parts

    def _serialized(self, measures: list[Measure]) -> Any:
        from .. import metrics

        found: list[list[Any]] = [[] for _ in self._objective.outputs]
        for _, metric, output, _ in measures:
            found[output].append(metric if isinstance(metric, str) else metrics.serialize(metric))
        return self._listed(found)

    def _examples(self, x: Any, y: Any, sample_weight: Any, of: str = "") -> Examples:
        """Inputs, targets and weights, as arrays or structures of them; ``of`` tells messages where they belong."""
        outputs, needed = self._objective.outputs, self._needed
        xs = zip(labels("x", self.input_names, of), self._inputs_of(x), strict=True)
        ys = zip(labels("y", outputs, of), targets_by_output(y, outputs, needed, f"y{of}"), strict=True)
        weights, names = weights_by_output(sample_weight, outputs, needed, f"sample_weight{of}")
        return check_examples([list(xs), list(ys), list(zip(names, weights, strict=True))], needed)

    @property
    def _needed(self) -> list[int]:
        """The outputs that have a loss or metrics, which need targets."""
        measured = {measure.output for measure in self._asked}
        return [i for i, loss in enumerate(self._objective.losses) if loss is not None or i in measured]

    def _prepare(self, examples: Examples) -> None:
        """Make the model ready for batches like these."""
        x = examples.x
        self._ready(x)
        shapes = self._shapes_for(x)
        decided = [measure.decided(self._objective, examples, shapes) for measure in self._asked]
        self.metrics = [measure.metric for measure in decided]
        # In the order in which Keras's evaluate has those of several outputs.
        self._measures = decided if len(shapes) == 1 else sorted(decided, key=lambda measure: measure.name)

    @property
    def _directions(self) -> dict[str, str | None]:
        """Which way is better for each result: "up", "down", or None where it is not known."""
        falling: dict[str, str | None] = dict.fromkeys(["loss", *self._objective.names], "down")
        return falling | {one.name: getattr(one.metric, "direction", None) for one in self._measures}

    def _weights_to_train(self) -> TrainedWeights:
        """Those that are trainable now, if the optimizer can go on with them."""
        weights = self._trained_weights()
        if not weights.names:
            raise ValueError("training needs a layer that is trainable and has weights, got none")
        if self.optimizer.iterations and self._stepped not in (None, weights.names):
            raise ValueError(
                "the optimizer must go on with the weights that it began with, "
                f"{', '.join(self._stepped or ())}; call compile with a new one to train {', '.join(weights.names)}"
            )
        self._stepped = weights.names
        return weights
