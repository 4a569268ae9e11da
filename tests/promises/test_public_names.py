"""What the public modules show, and what they say of names that they have not."""

import copy
import doctest
import importlib
import inspect
import pickle
import pkgutil
import re
import rlcompleter
import subprocess
import sys
from pathlib import Path
from types import GenericAlias, ModuleType

import pytest
import stable

import numbaconv
from numbaconv import layers
from numbaconv.models import Sequential
from numbaconv.objects import public as _public

ROOT = Path(__file__).parents[2]
# Floors below the public ones; their names may change.
INNER = {
    "calls",
    "commands",
    "common",
    "files",
    "graph",
    "kernels",
    "machine",
    "objects",
    "selfcheck",
    "training",
}
FOUND = {info.name for info in pkgutil.iter_modules(numbaconv.__path__) if not info.name.startswith("_")}
MODULES = {name: importlib.import_module(f"numbaconv.{name}") for name in sorted(FOUND - INNER)}
every_module = pytest.mark.parametrize("name", ["numbaconv", *(f"numbaconv.{name}" for name in MODULES)])


def in_another_process(program, *arguments):
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def shown_by(module):
    return [name for name in dir(module) if not (name.startswith("__") and name.endswith("__"))]


# -- what there is -----------------------------------------------------------------------------------------------------


def test_every_module_is_public_or_known_to_be_an_inner_one():
    assert set(numbaconv.__all__) - {"Input", "Model", "Sequential", "__version__"} == FOUND - INNER
    assert FOUND >= INNER


def test_what_is_stable_is_listed():
    listed = stable.LIST.read_text(encoding="utf-8").splitlines()
    # From 1.0 on, only what is new may differ: python tests/support/stable.py
    assert listed == list(stable.lines())


def test_the_page_tells_of_every_module_whether_it_is_stable():
    page = (ROOT / "docs/stability.md").read_text(encoding="utf-8")
    row, others = (
        re.findall(r"^\| Names in `__all__` of (.*?) \|", page, re.MULTILINE)[0],
        page.partition("## Not stable")[2],
    )
    assert {*re.findall(r"`(?:numbaconv\.)?(\w+)`", row)} == {name.rpartition(".")[2] for name in stable.modules()}
    assert all(f"`numbaconv.{name}`" in others for name in stable.NEW_MODULES)
    assert all(f"`{name}`" in others for name in stable.NEW_METHODS)


def test_the_reference_has_all_public_modules():
    listed = re.findall(r"^ +numbaconv\.(\w+)$", (ROOT / "docs/reference/index.rst").read_text("utf-8"), re.MULTILINE)
    # callbacks.History is there.
    assert {*listed, "history"} == FOUND - INNER


@every_module
def test_dir_shows_what_there_is_and_nothing_else(name):
    module = sys.modules[name]
    assert shown_by(module) == sorted(set(module.__all__) - {"__version__"})
    assert {"__all__", "__doc__", "__file__", "__name__"} < set(dir(module))
    assert len(set(module.__all__)) == len(module.__all__)
    modules = [shown for shown in shown_by(module) if isinstance(getattr(module, shown), ModuleType)]
    assert name == "numbaconv" or modules in ([], ["schedules"])


@every_module
def test_all_that_a_module_defines_is_shown(name):
    module = sys.modules[name]
    own = [(key, value) for key, value in vars(module).items() if getattr(value, "__module__", None) == name]
    assert {key for key, _ in own if not key.startswith("_")} <= set(module.__all__)


@every_module
def test_star_import(name):
    namespace = {}
    exec(f"from {name} import *", namespace)
    assert set(namespace) - {"__builtins__"} == set(sys.modules[name].__all__)


@every_module
def test_names_are_known_without_the_module(name):
    _public._names.cache_clear()
    names = in_another_process(f"from numbaconv.objects.public import _names; print(*_names({name!r}))")
    assert names.split() == list(sys.modules[name].__all__)


def test_tab_completes():
    completer = rlcompleter.Completer({"numbaconv": numbaconv})
    assert completer.complete("numbaconv.layers.MaxPool2", 0).startswith("numbaconv.layers.MaxPool2D")
    shown = {completer.complete("numbaconv.", i).rstrip("(") for i in range(len(numbaconv.__all__) - 1)}
    assert shown == {f"numbaconv.{name}" for name in numbaconv.__all__ if not name.startswith("_")}


def test_nothing_is_loaded_before_it_is_asked_for():
    program = """
import sys, numbaconv
dir(numbaconv), [hasattr(numbaconv, name) for name in sys.argv[1:]]
print(sorted({"numba", "numpy", "difflib", "ast"} & set(sys.modules)))
"""
    assert in_another_process(program, "__wrapped__", "save_model", "applications") == "[]"
    # To answer, other modules are read and not run.
    assert in_another_process(program, "Conv2D", "laers") == "['ast', 'difflib']"


def test_sequential_is_there():
    assert (
        in_another_process("import numbaconv; print(numbaconv.Sequential.__module__)") == "numbaconv.models.sequential"
    )
    assert numbaconv.Sequential is Sequential


def test_schedules_are_also_where_keras_has_them():
    program = "from numbaconv.optimizers.schedules import CosineDecay; print(CosineDecay.__module__)"
    assert in_another_process(program) == "numbaconv.schedules"
    assert importlib.import_module("numbaconv.optimizers.schedules") is numbaconv.schedules


# -- aliases -----------------------------------------------------------------------------------------------------------


def test_a_layer_by_another_name_is_saved_by_its_own(tmp_path):
    model = Sequential(
        [layers.Convolution2D(2, 3, input_shape=(8, 8, 1)), layers.MaxPool2D(), layers.GlobalAvgPool2D()]
    )
    names = [entry["class_name"] for entry in model.get_config()["layers"]]
    assert names == ["Conv2D", "MaxPooling2D", "GlobalAveragePooling2D"]
    assert [layer.name.rstrip("_0123456789") for layer in model.layers] == [
        "conv2d",
        "max_pooling2d",
        "global_average_pooling2d",
    ]
    model.save(tmp_path / "model.npz")
    loaded = Sequential.load(tmp_path / "model.npz")
    assert [type(layer) for layer in loaded.layers] == [type(layer) for layer in model.layers]


# -- what there is not -------------------------------------------------------------------------------------------------

ABSENT = [
    ("from numbaconv.layers import Conv2d", "did you mean numbaconv.layers.Conv2D?"),
    ("from numbaconv.layers import max_pool_2d", "did you mean numbaconv.layers.MaxPool2D?"),
    ("from numbaconv.layers import Convolution3d, Dense", "did you mean numbaconv.layers.Convolution3D?"),
    ("import numbaconv.layers as L; L.BatchNorm", "did you mean numbaconv.layers.BatchNormalization?"),
    ("import numbaconv.layers as L; getattr(L, 'LSTMCell')", "Keras has it, this library has not"),
    ("from numbaconv.layers import LSTMCell", "Keras has it, this library has not"),
    ("from numbaconv.layers import RandomFlip", "Keras has it, this library has not"),
    ("import numbaconv; numbaconv.GRUCell", "Keras has it, this library has not"),
    ("from numbaconv.layers import Deconvolution2D", "Keras 2 and later call it Conv2DTranspose"),
    ("from numbaconv import Conv2D", "it is numbaconv.layers.Conv2D"),
    ("from numbaconv.layers import Sequential", "it is numbaconv.models.Sequential"),
    ("import numbaconv; numbaconv.Conv2d", "did you mean numbaconv.layers.Conv2D?"),
    ("import numbaconv; numbaconv.laers", "did you mean numbaconv.layers?"),
    ("from numbaconv import layer", "did you mean numbaconv.layers?"),
    ("import numbaconv.layer", "did you mean numbaconv.layers?"),
    ("from numbaconv.layer import Conv2D", "did you mean numbaconv.layers?"),
    ("from numbaconv.preprocessing.image import ImageDataGenerator", "Keras has it, this library has not"),
    ("from numbaconv import backend", "numbaconv.config has floatx, epsilon and image_data_format"),
    ("import numbaconv; numbaconv.MeanSquaredError", "it is numbaconv.losses.MeanSquaredError or numbaconv.metrics"),
    ("from numbaconv.optimizers import Adagrd", "did you mean numbaconv.optimizers.Adagrad"),
    ("from numbaconv.optimizers.schedules import CosineDecy", "did you mean numbaconv.schedules.CosineDecay?"),
    ("from numbaconv.optimizers.schedules import CosineDecayRestarts", "Keras has it, this library has not"),
    ("from numbaconv.metrics import Mean", "Keras has it, this library has not"),
    ("from numbaconv.utils import PyDataset", "fit takes any object of batches that has len"),
    ("from numbaconv.losses import binary_crossentropy", "did you mean numbaconv.losses.BinaryCrossentropy?"),
    ("from numbaconv.metrics import mse", 'it is MeanSquaredError, or "mse" in compile'),
    ("from numbaconv.utils import xyzzy", "dir(numbaconv.utils) lists what there is"),
]


@pytest.mark.parametrize(("statement", "advice"), ABSENT, ids=[statement for statement, _ in ABSENT])
def test_what_is_not_there_is_answered_with_what_is(statement, advice):
    module = "No module named|module 'numbaconv|cannot import name '\\w+' from 'numbaconv"
    with pytest.raises((ImportError, AttributeError), match=f"({module}).*; {re.escape(advice)}") as caught:
        exec(statement, {})
    kind = AttributeError if "from" not in statement and "; " in statement else ImportError
    assert isinstance(caught.value, kind)
    # Python adds no guess of its own to these.
    assert getattr(caught.value, "obj", None) is None
    assert getattr(caught.value, "name_from", None) is None


@every_module
def test_every_public_module_answers(name):
    with pytest.raises(ImportError, match=f"cannot import name 'xyzzy' from '{name}'; dir"):
        exec(f"from {name} import xyzzy", {})
    with pytest.raises(AttributeError, match=f"module '{name}' has no attribute 'xyzzy'; dir"):
        sys.modules[name].xyzzy  # noqa: B018


def test_a_name_far_down_in_a_long_program():
    # Python reaches it by an instruction with a prefix.
    program = "\n".join(f"name_{i} = {i}" for i in range(300)) + "\nfrom numbaconv.layers import Conv2d"
    with pytest.raises(ImportError, match="did you mean numbaconv"):
        exec(program, {})


def test_what_tools_ask_for_is_refused_at_once(monkeypatch):
    monkeypatch.setattr(_public, "_advice", None)
    for module in (numbaconv, *MODULES.values()):
        for name in ("__wrapped__", "__file_at__", "_ipython_display_"):
            with pytest.raises(AttributeError, match=f"^module '{module.__name__}' has no attribute '{name}'$"):
                getattr(module, name)


def test_tools_work_as_with_any_module():
    for module in (numbaconv, *MODULES.values()):
        assert not hasattr(module, "xyzzy")
        assert getattr(module, "xyzzy", 3) == 3
        assert [name for name, _ in inspect.getmembers(module)] == dir(module)
        assert inspect.unwrap(module) is module
        doctest.DocTestFinder().find(module)
    assert pickle.loads(pickle.dumps(numbaconv.functional.conv)) is numbaconv.functional.conv
    assert pickle.loads(pickle.dumps(layers.MaxPool2D)) is layers.MaxPooling2D
    assert copy.deepcopy(numbaconv.config.floatx) is numbaconv.config.floatx
    with pytest.raises(ModuleNotFoundError) as caught:
        importlib.import_module("numbaconv.xyzzy")
    assert caught.value.name == "numbaconv.xyzzy"
    # Of other packages it says nothing.
    assert importlib.util.find_spec("numbaconvolution") is None


def test_classes_show_their_constructors_arguments():
    # Sphinx, among others, takes the arguments of __new__ where there is one.
    for module in MODULES.values():
        for name in module.__all__:
            cls = getattr(module, name)
            # To Python 3.10, `tuple[int, ...]` is a type.
            is_class = isinstance(cls, type) and not isinstance(cls, GenericAlias)
            assert not is_class or issubclass(cls, tuple) or cls.__new__ is object.__new__, name


def test_what_is_said_to_be_missing_is_missing():
    for module, names in _public._ABSENT.items():
        has = dir(numbaconv if module == "numbaconv" else MODULES[module])
        assert not set(names.split()) & set(has)
    everywhere = {name for module in MODULES.values() for name in module.__all__}
    assert not set(_public._INSTEAD) & (everywhere | set(numbaconv.__all__))
