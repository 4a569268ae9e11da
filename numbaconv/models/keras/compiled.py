"""What a model was compiled with when it was saved: its optimizer with the state of that, its loss and its metrics."""

import re
import warnings
from typing import Any

import numpy as np

from ... import optimizers
from ...files.hdf5 import Hdf5File
from ...files.keras_file import KerasFile
from .layouts import Listing, leaves_of, legacy_order, variables
from .weights import names_in

# What wrong types and sizes in a stranger's configuration lead to.
_WRONG = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
# Arguments of older versions.
_RENAMED = {"lr": "learning_rate", "decay": None, "name": None, "is_legacy_optimizer": None, "jit_compile": None}
# Optimizers whose first two arrays Keras has side by side for each weight; all others have a row of their own.
PAIRED = ("Adadelta", "Adam", "AdamW", "Adamax", "Nadam")
_SLOT_WORDS = {"m", "v", "momentum", "velocity", "norm", "u", "accumulated", "grad", "delta", "var"}


def compiled(model: Any, file: KerasFile, listed: Listing) -> None:
    """Compile a model as it was; where that cannot be done here, leave it as it is and warn once."""
    training = file.training
    if not isinstance(training, dict) or not (training.get("optimizer") or training.get("optimizer_config")):
        return
    try:
        model.compile(**_arguments(training))
    except _WRONG as error:
        _warn(f"the model is not compiled, because what it was trained with is not all here: {error}")
        return
    hdf5 = file.weights(0)
    if hdf5 is None:
        return
    try:
        _go_on(model, hdf5, listed)
    except _WRONG as error:
        model.compile(**_arguments(training))
        _warn(f"the optimizer begins anew, because its state cannot be read: {error}")


def _warn(text: str) -> None:
    # The line of the user's that loads the model.
    warnings.warn(text, UserWarning, stacklevel=4)


# -- arguments -----------------------------------------------------------------------------------------------------


def _arguments(training: dict[str, Any]) -> dict[str, Any]:
    """The arguments of `compile`."""
    found = {
        "optimizer": _optimizer(training.get("optimizer") or training["optimizer_config"]),
        "loss": _each(_plain, training.get("loss")),
        "metrics": _metrics(training.get("metrics")),
    }
    for name, read in (("loss_weights", lambda value: value), ("weighted_metrics", _metrics)):
        if training.get(name) not in (None, [], {}):
            found[name] = read(training[name])
    return found


def _optimizer(entry: Any) -> Any:
    if isinstance(entry, str):
        return optimizers.get(entry)
    name, config = entry["class_name"].rpartition(">")[2], dict(entry["config"])
    if config.get("decay"):
        raise ValueError(f"decay must be 0, because rates follow schedules here, got {config['decay']!r}")
    given = {new: value for key, value in config.items() if (new := _RENAMED.get(key, key)) is not None}
    if not given.get("use_ema"):
        # Keras 2's RMSprop tells how often no averages overwrite anything.
        given = {key: value for key, value in given.items() if not key.startswith("ema_")}
    cls: Any = type(optimizers.get(name))
    known = cls._arguments()
    kept = {key: value for key, value in given.items() if key in known or value not in (None, False)}
    if kept.get("epsilon", 0) is None:
        del kept["epsilon"]
    if isinstance(kept.get("learning_rate"), dict):
        kept["learning_rate"] = _plain(kept["learning_rate"])
    return cls.from_config(kept)


def _each(function: Any, value: Any) -> Any:
    """A structure with a function's results in place of names and configurations."""
    if isinstance(value, list):
        return [_each(function, one) for one in value]
    if isinstance(value, dict) and "class_name" not in value:
        return {key: _each(function, one) for key, one in value.items()}
    return function(value)


def _plain(value: Any) -> Any:
    """A name, or a configuration with only what is known here."""
    if not isinstance(value, dict):
        return value
    config = value.get("config")
    if not isinstance(config, dict):
        # A function, as Keras 3 describes it.
        return config
    if "fn" in config:
        # A metric that Keras made of a function.
        fn, name = config["fn"], config.get("name")
        return name if name in ("accuracy", "acc") else _plain(fn) if isinstance(fn, dict) else fn
    return {
        "class_name": value["class_name"].rpartition(">")[2],
        "config": {key: one for key, one in config.items() if key not in ("dtype", "fn") and one is not None},
    }


def _metric(value: Any) -> Any:
    plain = _plain(value)
    if isinstance(plain, dict):
        # Keras tells the reduction of losses in disguise, too.
        plain["config"].pop("reduction", None)
    return plain


def _metrics(value: Any) -> Any:
    found = _each(_metric, value)
    # One list for the only output.
    return found[0] if isinstance(found, list) and len(found) == 1 and isinstance(found[0], list) else found


# -- state ---------------------------------------------------------------------------------------------------------


def _go_on(model: Any, file: Hdf5File, listed: Listing) -> None:
    """Give the optimizer the state that it was saved with."""
    paths = _paths(file, model.optimizer)
    if not paths:
        return
    optimizer, iterations = model.optimizer, int(_single(file, paths[0]))
    model._stepped = _names(model)
    # Before the first step Keras keeps no arrays, and its configuration has the rate.
    if iterations == 0:
        return
    slots = optimizer._slot_names()
    trained = _trained(model, listed, "layers" in file)
    # The number of steps comes first; Keras 3 keeps the rate, too, and Keras 2 what SGD without momentum does not need.
    first = len(paths) - len(slots) * len(trained)
    if not slots and first > 2:
        first = 1
    if first not in (1, 2):
        raise ValueError(
            f"it must have {len(slots)} arrays for each of {len(trained)} weights, got {len(paths)} in all"
        )
    if first == 2 and not callable(optimizer._learning_rate):
        optimizer.learning_rate = float(_single(file, paths[1]))
    arrays = _by_slot(file, paths[first:], slots, trained, 2 * (type(optimizer).__name__ in PAIRED))
    # Layers of networks within may have the same names.
    pairs = ((id(leaf), name) for leaf in leaves_of(model) for name in leaf._trained)
    order = {pair: i for i, pair in enumerate(pairs)}
    state: dict[str, Any] = {"iterations": np.array(iterations)}
    for slot in slots:
        placed = {order[id(leaf), name]: array for (leaf, name), array in zip(trained, arrays[slot], strict=True)}
        state.update({f"{slot}/{i}": placed[i] for i in sorted(placed)})
    optimizer.set_state(state)


def _paths(file: Hdf5File, optimizer: Any) -> list[str]:
    """The paths of the arrays of the optimizer, in Keras's order."""
    found = []
    if "optimizer/vars" in file:
        found = [f"optimizer/vars/{name}" for name in sorted(file.names("optimizer/vars"), key=int)]
    elif "optimizer_weights" in file:
        found = [f"optimizer_weights/{name}" for name in names_in(file, "optimizer_weights", "weight_names") or []]
    if isinstance(optimizer, optimizers.Nadam) and len(found) > 2:
        # A product that follows from the number of steps: at the end in Keras 3, and once the second.
        product = r"/variable(_\d+)?$|momentum_cache(:0)?$"
        found = found[:-1] if found[0].startswith("optimizer/") else [p for p in found if not re.search(product, p)]
    return found


def _trained(model: Any, listed: Listing, by_path: bool) -> list[tuple[Any, str]]:
    """The weights that the optimizer changed, in Keras's order."""
    pairs = [(one.layer, one.name) for one in variables(model, listed)] if by_path else []
    pairs = pairs or [pair for layer in listed(model) for pair in legacy_order(layer, listed)]
    return [(leaf, name) for leaf, name in pairs if name in leaf._trained]


def _names(model: Any) -> list[str]:
    return [f"{leaf.name}/{name}" for leaf in leaves_of(model) for name in leaf._trained]


def _single(file: Hdf5File, path: str) -> Any:
    if file.entry(path).shape != ():
        raise ValueError(f"{path!r} must be a single number")
    return file.read(path)[()]


def _by_slot(
    file: Hdf5File, paths: list[str], slots: tuple[str, ...], trained: list[Any], paired: int
) -> dict[str, list[Any]]:
    """The arrays by slot: some versions have the first of a weight side by side, others all weights of a slot."""
    count = len(trained)
    found = [paths[i * count : (i + 1) * count] for i in range(len(slots))]
    if paired and _side_by_side(paths):
        found[:paired] = [paths[: paired * count][i::paired] for i in range(paired)]
    wanted = [leaf._weights[name].shape for leaf, name in trained]
    for part in found:
        given = [file.entry(path).shape for path in part]
        if given != wanted:
            raise ValueError(f"its arrays must have the shapes of the weights, {wanted}, got {given}")
    return {slot: [file.read(path) for path in part] for slot, part in zip(slots, found, strict=True)}


def _side_by_side(paths: list[str]) -> bool:
    """Whether the first two arrays belong to the same weight, as their names say; Keras 3 has only numbers."""
    if paths[0].startswith("optimizer/") or len(paths) < 2:
        return True
    first, second = (set(re.split("[/_:]", path)) for path in paths[:2])
    return first ^ second <= _SLOT_WORDS
