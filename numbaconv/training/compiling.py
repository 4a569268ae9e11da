"""What a model is trained with: the part of `Sequential` that compiles."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import losses, metrics, optimizers
from ..callbacks.history import History
from ..objects.telling import check_neutral
from .trainee import TrainedWeights, Trainee


class Compiled(Trainee):
    """What `Sequential` has for being compiled.

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
        # As they were given, where a name means different metrics for different models.
        self._metrics: list[Any] = []
        # Names of the weights that the optimizer's state belongs to.
        self._stepped: list[str] | None = None

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        metrics: Any = None,
        *,
        loss_weights: None = None,
        weighted_metrics: None = None,
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
            See `numbaconv.losses.get`.
        metrics : list, optional
            Of what `numbaconv.metrics.get` takes, or a single one. They know no sample weights, as in Keras.
        loss_weights, weighted_metrics : None
            Taken so that Keras's calls work: there is one loss, and metrics know no weights.
        run_eagerly, jit_compile, auto_scale_loss
            Taken as Keras takes them, and without effect: kernels are compiled, and all else is plain Python.
        steps_per_execution : 1
            Taken so that Keras's calls work.

        Raises
        ------
        ValueError, TypeError
            If a name is unknown, an argument is of another kind, or two metrics have the same name.
        """
        with self._named():
            check_neutral("loss_weights", loss_weights, (None,), "there is one loss")
            check_neutral("weighted_metrics", weighted_metrics, (None, [], ()), "metrics know no sample weights")
            check_neutral("steps_per_execution", steps_per_execution, (1, "auto", None), "steps are taken one by one")
            check_neutral("jit_compile", jit_compile, ("auto", True, False, None), "kernels are always compiled")
            check_neutral("run_eagerly", run_eagerly, (False, True, None), "it has no effect")
            check_neutral("auto_scale_loss", auto_scale_loss, (True, False), "it has no effect")
            single = isinstance(metrics, str | type | Mapping) or callable(metrics)
            self._compile(optimizer, loss, [] if metrics is None else [metrics] if single else metrics)

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

    # -- for the model itself --------------------------------------------------------------------------------------

    def _need_compiled(self, use: str) -> None:
        if self.optimizer is None:
            raise ValueError(f"{use} needs a compiled model: call compile(optimizer, loss) first")
        if self.loss is None:
            raise ValueError(f"{use} needs a loss: call compile(optimizer, loss) with one")

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

    def _prepare(self, x: np.ndarray) -> None:
        """Make the model ready for batches like this one."""
        self._ready(x)
        shape = self._shape_for(x)
        self.metrics = [metrics.get(m, self.loss, shape) if isinstance(m, str) else m for m in self._metrics]

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


def _undecided(metric: Any) -> bool:
    return isinstance(metric, str) and metric.lower() in ("accuracy", "acc")
