"""Settings of a layer: looked up among the constructor's arguments, changed afterwards, and kept in copies."""

from typing import Any

import numpy as np

from .arguments import changed, family_of, settings_of
from .building import Weighted
from .weights import frozen, give_attribute


class Changes:
    """What tells a network of many layers at once that nothing of any layer has changed since it looked.

    Attributes
    ----------
    count : int
        How often a setting has changed.
    weights : object
        Another one since weights were replaced the last time.
    """

    count = 0
    weights = object()


class Settled(Weighted):
    """The part of `Layer` that has settings."""

    # Names of attributes that have a value. To look into __dict__ would make all of them slower to read.
    _given: frozenset[str] = frozenset()
    # Whether the user has chosen the dtype; layers that were pickled before it was noted keep theirs.
    _dtype_given = True

    def _set_components(self, arguments: dict[str, Any]) -> None:
        """Look up the activation, initializers and their like among a constructor's ``locals()``, and keep them."""
        read = {argument: family for argument in arguments if (family := family_of(argument)) is not None}
        for argument, family in read.items():
            object.__setattr__(self, argument, family.get(arguments[argument]))
        self._given |= read.keys()

    def _argument(self, name: str) -> Any:
        """The value of an argument of the constructor, which is the attribute of that name."""
        return getattr(self, name)

    def _is_setting(self, name: str) -> bool:
        """Whether an attribute is one of the library's settings; raise if it is one that only the library sets."""
        cls: Any = type(self)
        if name in settings_of(cls):
            return True
        # Weights and methods are descriptors of the class.
        if self._own and name != "gradients" and not hasattr(getattr(cls, name, None), "__get__"):
            raise AttributeError(f"{self._label}: {name} cannot be set, it follows from other things")
        return False

    def _change(self, name: str, value: Any) -> None:
        """Give a setting another value."""
        vars(self).update(changed(self, name, value))
        if name not in ("name", "trainable"):
            vars(self)["_described"] = None
        Changes.count += 1

    @property
    def _only_moves(self) -> bool:
        """Whether the layer has no weights and no dtype of its own."""
        cls: Any = type(self)
        makes_weights = cls._weight_shapes is not Weighted._weight_shapes or cls.build is not Weighted.build
        return not (self._dtype_given or self._weights or makes_weights)

    def _widen(self, dtype: np.dtype) -> None:
        """Take a dtype that is wider than the layer's, unless the user has chosen that.

        Raises ValueError if the layer has its weights already.
        """
        if dtype.itemsize > self._dtype.itemsize and not self._dtype_given:
            if self._weights:
                raise ValueError(
                    f"{self._label}: dtype must be chosen, dtype={dtype.name!r} or {self.dtype!r}, where weights of "
                    f"{self.dtype} are multiplied with what comes in as {dtype.name}"
                )
            vars(self).update(dtype=dtype.name, _dtype=dtype, _calls={}, _kept=None)
            Changes.count += 1

    def __getstate__(self) -> dict[str, Any]:
        # Compiled kernels cannot be pickled, and copies make their own calls.
        kept = {name: value for name, value in self.__dict__.items() if name not in ("_written", "_steps")}
        empty: dict[str, Any] = {"_calls": {}, "_kept": None, "gradients": [], "_nodes": []}
        return {**kept, **empty, "_attributes": {**self._attributes}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # NumPy makes copied and unpickled arrays writable.
        self.__dict__.update({"_attributes": {}, "_nodes": [], "_given": frozenset(state), **state})
        for name in self._attributes:
            give_attribute(type(self), name)
        self._weights = {name: frozen(w, w.shape, self.dtype, name) for name, w in self._weights.items()}
