"""What public modules show, and what they answer when they are asked for something that is not there."""

import importlib.util
import sys
from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import FrameType
from typing import Any

_PACKAGE = __name__.partition(".")[0]
NOT_HERE = "Keras has it, this library has not"
# What Keras has, and what does the same here.
_INSTEAD = {
    **dict.fromkeys(("InputSpec",), "give the first layer input_shape=(...), without the batch"),
    "save_model": "model.save(path) writes a model",
    "deserialize": "get(config) makes an object of its configuration",
    **dict.fromkeys(("Deconv2D", "Deconvolution2D"), "Keras 2 and later call it Conv2DTranspose"),
    **dict.fromkeys(("Deconv3D", "Deconvolution3D"), "Keras 2 and later call it Conv3DTranspose"),
    **dict.fromkeys(("mse", "MSE"), 'it is MeanSquaredError, or "mse" in compile'),
    **dict.fromkeys(("mae", "MAE"), 'it is MeanAbsoluteError, or "mae" in compile'),
    **dict.fromkeys(("PyDataset", "Sequence"), "fit takes any object of batches that has len() and [i]"),
    "ProgbarLogger": "fit(..., verbose=1) shows the progress",
    "TerminateOnNaN": "fit ends with FloatingPointError by itself where a loss is NaN",
    "backend": f"{_PACKAGE}.config has floatx, epsilon and image_data_format",
    "ops": f"arrays are NumPy's, and {_PACKAGE}.functional has what the layers compute",
}
# What Keras has and nothing here replaces, by module.
_ABSENT = {
    _PACKAGE: "DTypePolicy Function KerasTensor Operation Quantizer StatelessScope Variable applications datasets "
    "device distillation distribution dtype_policies export mixed_precision name_scope preprocessing quantizers "
    "random tree visualization wrappers",
    "layers": "AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D AdaptiveMaxPooling1D "
    "AdaptiveMaxPooling2D AdaptiveMaxPooling3D AlphaDropout AugMix AutoContrast "
    "CategoryEncoding ContrastLimitedAdaptiveHistogramEqualization CutMix "
    "Discretization EinsumDense Equalization FlaxLayer GRUCell GroupQueryAttention HashedCrossing Hashing "
    "InputSpec IntegerLookup JaxLayer LSTMCell MaxNumBoundingBoxes MelSpectrogram MixUp Pipeline "
    "RNN RandAugment RandomBrightness RandomColorDegeneration RandomColorJitter RandomContrast RandomCrop "
    "RandomElasticTransform RandomErasing RandomFlip RandomGaussianBlur RandomGrayscale RandomHue RandomInvert "
    "RandomPerspective RandomPosterization RandomRotation RandomSaturation RandomSharpness RandomShear "
    "RandomTranslation RandomZoom ReversibleEmbedding STFTSpectrogram SimpleRNNCell Solarization "
    "SpectralNormalization StackedRNNCells StringLookup TFSMLayer TextVectorization TorchModuleWrapper Wrapper",
    "activations": "glu threshold",
    "callbacks": "BackupAndRestore RemoteMonitor SwapEMAWeights TensorBoard",
    "initializers": "STFT stft",
    "losses": "BinaryFocalCrossentropy CTC CategoricalFocalCrossentropy CategoricalGeneralizedCrossEntropy Circle "
    "MeanAbsolutePercentageError MeanSquaredLogarithmicError Poisson Tversky",
    "metrics": "BinaryIoU ConcordanceCorrelation FalseNegatives FalsePositives Mean MeanAbsolutePercentageError "
    "MeanMetricWrapper MeanSquaredLogarithmicError OneHotIoU OneHotMeanIoU PearsonCorrelation Poisson "
    "PrecisionAtRecall R2Score RecallAtPrecision SensitivityAtSpecificity SparseCategoricalCrossentropy "
    "SpecificityAtSensitivity Sum TrueNegatives TruePositives",
    "optimizers": "Adafactor Ftrl Lamb LossScaleOptimizer Muon",
    "schedules": "CosineDecayRestarts InverseTimeDecay PolynomialDecay",
    "regularizers": "OrthogonalRegularizer orthogonal_regularizer",
    "utils": "CustomObjectScope FeatureSpace array_to_img audio_dataset_from_directory clear_session "
    "get_custom_objects get_file image_dataset_from_directory img_to_array load_img model_to_dot pad_sequences "
    "register_keras_serializable save_img split_dataset text_dataset_from_directory timeseries_dataset_from_array",
}

# The same for attributes of instances, by class.
_ATTRIBUTES = {
    "Network": {
        "evaluate_generator": "evaluate takes generators",
        "fit_generator": "fit takes generators",
        "predict_classes": "predict(x).argmax(axis=-1) gives classes",
        "predict_generator": "predict takes generators",
    },
    "Optimizer": {
        **dict.fromkeys(("apply", "apply_gradients", "minimize"), "step(values, gradients) returns the new weights"),
        **dict.fromkeys(("variables", "save_own_variables"), "get_state() returns what it keeps"),
        **dict.fromkeys(("set_weights", "load_own_variables"), "set_state(state) takes what get_state returned"),
    },
    "Metric": dict.fromkeys(("add_variable", "add_weight"), "what is counted is kept in attributes of any name"),
}
_ABSENT_ATTRIBUTES = {
    "Network": "activity_regularizer add_loss add_metric call compute_loss compute_metrics "
    "distribute_strategy dtype dtype_policy export jit_compile make_predict_function make_test_function "
    "make_train_function metrics_variables non_trainable_variables predict_step quantize reset_metrics run_eagerly "
    "stateless_call steps_per_execution test_step train_step trainable_variables variables",
    "Optimizer": "assign build ema_momentum ema_overwrite_frequency exclude_from_weight_decay "
    "finalize_variable_values gradient_accumulation_steps loss_scale_factor name scale_loss stateless_apply "
    "update_step use_ema",
    "Metric": "dtype stateless_result stateless_reset_state stateless_update_state variables",
    "Loss": "call dtype",
}


def attribute_advice(name: str, classes: Iterable[str]) -> str | None:
    """What there is instead of an attribute that Keras's classes of these names have; None if they have none either."""
    for cls in classes:
        if name in _ATTRIBUTES.get(cls, ()):
            return _ATTRIBUTES[cls][name]
        if name in _ABSENT_ATTRIBUTES.get(cls, "").split():
            return NOT_HERE
    return None


def publish(name: str, lazy: Mapping[str, str] | None = None) -> None:
    """Make ``dir`` of a module show its ``__all__``, and whatever it has not be answered with what there is.

    Called by the module itself, at its end. (For a function ``__getattr__`` of the module's own, type checkers would
    believe that it has every name.)

    The name is that of the module in ``sys.modules``. ``lazy`` tells where to find what is loaded when it is first
    asked for: the name of a module, or of one and of what it has, with a colon in between.
    """
    module: Any = sys.modules[name]

    def __getattr__(attribute: str) -> Any:  # noqa: N807
        if lazy and attribute in lazy:
            source, _, what = lazy[attribute].partition(":")
            loaded = importlib.import_module(source)
            return getattr(loaded, what) if what else loaded
        raise _missing(name, attribute, sys._getframe().f_back)

    module.__getattr__ = __getattr__
    # Tools look for Python's own names there, such as __all__ and __file__.
    module.__dir__ = lambda: sorted({*module.__all__, *(own for own in vars(module) if own.startswith("__"))})


def _missing(module: str, name: str, frame: FrameType | None) -> AttributeError | ImportError:
    """The error for an attribute that a module has not, asked for by what the frame is doing."""
    if name.startswith("_"):
        # Asked for by Python and by tools, which go on without.
        return AttributeError(f"module {module!r} has no attribute {name!r}")
    if frame and _instruction(frame) == "IMPORT_FROM":
        # Python would put words of its own in the place of an AttributeError's.
        return ImportError(f"cannot import name {name!r} from {module!r}; {_advice(module, name)}", name=module)
    # Without the module in it, Python does not add a guess of its own.
    return AttributeError(f"module {module!r} has no attribute {name!r}; {_advice(module, name)}", name=name)


def _instruction(frame: FrameType) -> str:
    """The name of what Python is doing there."""
    from opcode import opname

    code, at = frame.f_code.co_code, frame.f_lasti
    # Python 3.10 stays at an instruction's prefix.
    while opname[code[at]] == "EXTENDED_ARG":
        at += 2
    return opname[code[at]]


def _advice(module: str, name: str) -> str:
    """What there is instead."""
    own = module.removeprefix(f"{_PACKAGE}.")
    if name in _INSTEAD:
        return _INSTEAD[name]
    if name in _ABSENT.get(own, "").split():
        return NOT_HERE
    modules = [f"{_PACKAGE}.{m}" for m in _names(_PACKAGE) if m[0].islower()]
    elsewhere = [f"{m}.{name}" for m in modules if name in _names(m)]
    if elsewhere:
        return f"it is {_either(elsewhere)}"
    if any(name in names.split() for names in _ABSENT.values()):
        return NOT_HERE
    for places, cutoff in (([module], 0.8), (modules, 1), ([module], 0.6), (modules, 0.8)):
        near = [f"{m}.{found}" for m in places for found in _nearest(name, _names(m), cutoff)]
        if near:
            return f"did you mean {_either(near[:3])}?"
    return f"dir({module}) lists what there is"


@lru_cache
def _names(module: str) -> tuple[str, ...]:
    """``__all__`` of a module, which need not be loaded for it."""
    loaded = getattr(sys.modules.get(module), "__all__", None)
    if loaded is not None:
        return tuple(loaded)
    import ast

    loader: Any = importlib.util.find_spec(module).loader  # type: ignore[union-attr]
    for statement in ast.parse(loader.get_source(module) or "").body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__":
            return tuple(ast.literal_eval(statement.value))
    return ()


def _nearest(name: str, names: Iterable[str], cutoff: float) -> list[str]:
    """Those of the names that look like another one, the likest first; capitals and underscores count for nothing."""
    from difflib import get_close_matches

    plain: dict[str, list[str]] = {}
    for other in names:
        plain.setdefault(bare(other), []).append(other)
    found = [bare(name)] if bare(name) in plain else get_close_matches(bare(name), plain, 3, cutoff)
    return [other for key in found for other in plain[key]]


def bare(name: str) -> str:
    return name.replace("_", "").lower()


def _either(names: list[str]) -> str:
    return " or ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)


class _MissingModules:
    """The last of Python's finders, which says of modules that this package has not what there is instead."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> None:
        package, _, module = name.rpartition(".")
        if package == _PACKAGE and not module.startswith("_"):
            raise ModuleNotFoundError(f"No module named {name!r}; {_advice(package, module)}", name=name)


sys.meta_path.append(_MissingModules)
