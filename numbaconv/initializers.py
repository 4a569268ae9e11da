"""Initial values of weights, by Keras's names.

An initializer is called with a shape and a dtype and returns a new C-contiguous array. The random ones take a seed:
with one, every call returns the same values for the same shape; without one, every call draws afresh, repeatably after
`utils.set_random_seed`. Draws are made in float64 and then rounded, so that a seed gives float32 and float64 layers the
same weights. The streams are NumPy's, not Keras's: the distributions are the same, the numbers are not.
"""

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from numbaconv import _random, config
from numbaconv._registry import Configurable, Registry, integer, number
from numbaconv.shapes.checks import check_size

from ._public import publish

__all__ = [
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "IdentityInitializer",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "OrthogonalInitializer",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "constant",
    "get",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "identity",
    "lecun_normal",
    "lecun_uniform",
    "ones",
    "orthogonal",
    "random_normal",
    "random_uniform",
    "serialize",
    "truncated_normal",
    "variance_scaling",
    "zeros",
]
publish(__name__)

Array = NDArray[np.floating[Any]]
Shape = tuple[int, ...]

# Standard deviation of a standard normal variable cut off at -2 and 2.
_TRUNCATED_STDDEV = 0.87962566103423978


class Initializer(Configurable):
    """Base of all initializers here."""

    def __call__(self, shape: Sequence[int], dtype: DTypeLike | None = None) -> Array:
        """Return a new array of initial values.

        Parameters
        ----------
        shape : sequence of int
            Shape of the weights.
        dtype : dtype, optional
            A float dtype; `numbaconv.config.floatx` by default.

        Returns
        -------
        ndarray
            C-contiguous, of this shape and dtype.

        Raises
        ------
        TypeError
            If `dtype` is no float dtype, or `shape` is not made of integers.
        ValueError
            If an entry of `shape` is negative, or the initializer cannot fill this shape.
        """
        float_dtype = _dtype(config.floatx() if dtype is None else dtype)
        if float_dtype is None or float_dtype.kind != "f":
            raise TypeError(f"dtype must be a float dtype such as 'float32', got {dtype!r}")
        sizes = tuple(operator.index(size) for size in shape)
        if any(size < 0 for size in sizes):
            raise ValueError(f"shape must be a tuple of integers >= 0, got {shape!r}")
        check_size(sizes, "shape")
        with np.errstate(all="ignore"):
            return np.asarray(self._values(sizes), dtype=float_dtype, order="C")

    def _values(self, shape: Shape) -> Array:
        raise NotImplementedError(f"{type(self).__name__} must define __call__(shape, dtype=None)")


def _dtype(value: Any) -> np.dtype | None:
    try:
        return np.dtype(value)
    # NumPy has errors and warnings of many kinds for what is no dtype.
    except Exception:
        return None


class Zeros(Initializer):
    """All 0."""

    def _values(self, shape: Shape) -> Array:
        return np.zeros(shape)


class Ones(Initializer):
    """All 1."""

    def _values(self, shape: Shape) -> Array:
        return np.ones(shape)


class Constant(Initializer):
    """All the same value.

    Parameters
    ----------
    value : float
        A finite number.
    """

    def __init__(self, value: float = 0.0) -> None:
        self.value = number(value, "value")

    def _values(self, shape: Shape) -> Array:
        return np.full(shape, self.value)


class Identity(Initializer):
    """Identity matrix times `gain`, for shapes of two axes only.

    Parameters
    ----------
    gain : float
        Value on the diagonal.
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = number(gain, "gain")

    def _values(self, shape: Shape) -> Array:
        if len(shape) != 2:
            raise ValueError(f"shape must have 2 axes to hold an identity matrix, got {shape!r}")
        return self.gain * np.eye(*shape)


class _RandomInitializer(Initializer):
    def __init__(self, seed: int | None = None) -> None:
        self.seed = None if seed is None else integer(seed, "seed")

    def _generator(self) -> np.random.Generator:
        return _random.generator(self.seed)


class RandomNormal(_RandomInitializer):
    """Normal distribution.

    Parameters
    ----------
    mean : float
        Mean.
    stddev : float
        Standard deviation, not negative.
    seed : int, optional
        Makes the values reproducible.
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.mean = number(mean, "mean")
        self.stddev = number(stddev, "stddev", minimum=0)

    def _values(self, shape: Shape) -> Array:
        return self._generator().normal(self.mean, self.stddev, shape)


class TruncatedNormal(RandomNormal):
    """Normal distribution in which values beyond two standard deviations from the mean are drawn again.

    The arguments are those of `RandomNormal`; `stddev` is the deviation before the cut, and that of the values is
    0.8796 of it.
    """

    def _values(self, shape: Shape) -> Array:
        return self.mean + self.stddev * _truncated_normal(self._generator(), shape)


class RandomUniform(_RandomInitializer):
    """Uniform distribution from `minval` to `maxval`.

    Parameters
    ----------
    minval, maxval : float
        Ends of the interval, ``minval <= maxval``.
    seed : int, optional
        Makes the values reproducible.
    """

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.minval = number(minval, "minval")
        self.maxval = number(maxval, "maxval", minimum=self.minval)

    def _values(self, shape: Shape) -> Array:
        return self._generator().uniform(self.minval, self.maxval, shape)


class VarianceScaling(_RandomInitializer):
    """Values of mean 0 and variance ``scale / fan``, so that signals keep their size from layer to layer.

    For weights of shape ``(*kernel_size, C, F)``, ``fan_in`` is C and ``fan_out`` is F, each times the number of taps.

    Parameters
    ----------
    scale : float
        Above 0.
    mode : {"fan_in", "fan_out", "fan_avg"}
        What ``fan`` is; "fan_avg" is the mean of the two.
    distribution : {"truncated_normal", "untruncated_normal", "uniform"}
        Normal cut off at two standard deviations and widened to make up for the cut; normal; or uniform within
        ``sqrt(3 * scale / fan)``. "normal" means "truncated_normal".
    seed : int, optional
        Makes the values reproducible.
    input_axes, output_axes : sequence of int, optional
        Given together: the axes whose sizes are multiplied to ``fan_in`` and ``fan_out``.
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | None = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        super().__init__(seed)
        self.scale = number(scale, "scale", above=0)
        if mode not in ("fan_in", "fan_out", "fan_avg"):
            raise ValueError(f"mode must be 'fan_in', 'fan_out' or 'fan_avg', got {mode!r}")
        self.mode = mode
        lower = str(distribution).lower()
        self.distribution = "truncated_normal" if lower == "normal" else lower
        if self.distribution not in ("truncated_normal", "untruncated_normal", "uniform"):
            raise ValueError(
                f"distribution must be 'truncated_normal', 'untruncated_normal' or 'uniform', got {distribution!r}"
            )
        if (input_axes is None) != (output_axes is None):
            raise ValueError(
                f"input_axes and output_axes must be given together, got {input_axes!r} and {output_axes!r}"
            )
        self.input_axes = None if input_axes is None else tuple(integer(axis, "input_axes") for axis in input_axes)
        self.output_axes = None if output_axes is None else tuple(integer(axis, "output_axes") for axis in output_axes)

    def _values(self, shape: Shape) -> Array:
        fan_in, fan_out = self._fans(shape)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        stddev = math.sqrt(self.scale / max(1, fan))
        generator = self._generator()
        if self.distribution == "truncated_normal":
            return stddev / _TRUNCATED_STDDEV * _truncated_normal(generator, shape)
        if self.distribution == "untruncated_normal":
            return generator.normal(0, stddev, shape)
        limit = math.sqrt(3) * stddev
        return generator.uniform(-limit, limit, shape)

    def _fans(self, shape: Shape) -> tuple[int, int]:
        if self.input_axes is not None and self.output_axes is not None:
            axes = *self.input_axes, *self.output_axes
            if not all(-len(shape) <= axis < len(shape) for axis in axes):
                raise ValueError(f"input_axes and output_axes must be axes of the shape {shape}, got {axes}")
            return math.prod(shape[i] for i in self.input_axes), math.prod(shape[i] for i in self.output_axes)
        if len(shape) < 2:
            return math.prod(shape), math.prod(shape)
        *kernel_size, channels, filters = shape
        taps = math.prod(kernel_size)
        return taps * channels, taps * filters


class _FixedScaling(VarianceScaling):
    _scale_mode_distribution: tuple[float, str, str]

    def __init__(
        self, seed: int | None = None, input_axes: Sequence[int] | None = None, output_axes: Sequence[int] | None = None
    ) -> None:
        super().__init__(*self._scale_mode_distribution, seed, input_axes, output_axes)


class GlorotNormal(_FixedScaling):
    """`VarianceScaling` by ``1 / fan_avg``, normal. Glorot and Bengio, 2010."""

    _scale_mode_distribution = (1.0, "fan_avg", "truncated_normal")


class GlorotUniform(_FixedScaling):
    """`VarianceScaling` by ``1 / fan_avg``, uniform: the default of every kernel. Glorot and Bengio, 2010."""

    _scale_mode_distribution = (1.0, "fan_avg", "uniform")


class HeNormal(_FixedScaling):
    """`VarianceScaling` by ``2 / fan_in``, normal. He et al., 2015."""

    _scale_mode_distribution = (2.0, "fan_in", "truncated_normal")


class HeUniform(_FixedScaling):
    """`VarianceScaling` by ``2 / fan_in``, uniform. He et al., 2015."""

    _scale_mode_distribution = (2.0, "fan_in", "uniform")


class LecunNormal(_FixedScaling):
    """`VarianceScaling` by ``1 / fan_in``, normal. LeCun et al., 1998."""

    _scale_mode_distribution = (1.0, "fan_in", "truncated_normal")


class LecunUniform(_FixedScaling):
    """`VarianceScaling` by ``1 / fan_in``, uniform. LeCun et al., 1998."""

    _scale_mode_distribution = (1.0, "fan_in", "uniform")


class Orthogonal(_RandomInitializer):
    """Random matrix with orthonormal columns, or orthonormal rows if it has fewer rows than columns.

    A shape of more than two axes is filled as a matrix of ``shape[-1]`` columns. Saxe et al., 2014.

    Parameters
    ----------
    gain : float
        Length of the columns or rows.
    seed : int, optional
        Makes the values reproducible.
    """

    def __init__(self, gain: float = 1.0, seed: int | None = None) -> None:
        super().__init__(seed)
        self.gain = number(gain, "gain")

    def _values(self, shape: Shape) -> Array:
        if len(shape) < 2:
            raise ValueError(f"shape must have 2 axes or more to hold an orthogonal matrix, got {shape!r}")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        q, r = np.linalg.qr(self._generator().standard_normal((max(rows, columns), min(rows, columns))))
        # The factorization leaves the signs open; those of r's diagonal make the distribution uniform.
        q *= np.where(np.diagonal(r) < 0, -1, 1)
        return self.gain * (q if rows >= columns else q.T).reshape(shape)


def _truncated_normal(generator: np.random.Generator, shape: Shape) -> Array:
    values = generator.standard_normal(shape)
    outside = np.abs(values) > 2
    while outside.any():
        values[outside] = generator.standard_normal(np.count_nonzero(outside))
        outside = np.abs(values) > 2
    return values


constant = Constant
glorot_normal = GlorotNormal
glorot_uniform = GlorotUniform
he_normal = HeNormal
he_uniform = HeUniform
IdentityInitializer = identity = Identity
lecun_normal = LecunNormal
lecun_uniform = LecunUniform
ones = Ones
OrthogonalInitializer = orthogonal = Orthogonal
random_normal = RandomNormal
random_uniform = RandomUniform
truncated_normal = TruncatedNormal
variance_scaling = VarianceScaling
zeros = Zeros

_CONSTANT = (Zeros, Ones, Constant, Identity)
_RANDOM = (RandomNormal, RandomUniform, TruncatedNormal, VarianceScaling)
_FIXED_SCALING = (GlorotNormal, GlorotUniform, HeNormal, HeUniform, LecunNormal, LecunUniform)
_REGISTRY = Registry(
    "initializer",
    (*_CONSTANT, *_RANDOM, *_FIXED_SCALING, Orthogonal),
    {"zero": Zeros, "one": Ones, "normal": RandomNormal, "uniform": RandomUniform},
)


def get(identifier: Any) -> Callable[..., Array]:
    """Return the initializer that `identifier` means.

    Parameters
    ----------
    identifier : str, class, dict, callable or None
        A name in either spelling, "GlorotUniform" or "glorot_uniform"; a class, which is called without arguments; a
        dict with "class_name" and "config"; or any function of a shape and a dtype, returned as it is. None means
        `GlorotUniform`, which is what a Keras layer falls back on.

    Returns
    -------
    callable
        Takes a shape and a dtype and returns an array.

    Raises
    ------
    ValueError
        If no initializer has this name.
    TypeError
        If `identifier` is none of these, or its config has unknown arguments.
    """
    if identifier is None:
        return GlorotUniform()
    initializer: Callable[..., Array] = _REGISTRY.get(identifier)
    return initializer


def serialize(initializer: Callable[..., Array]) -> dict[str, Any]:
    """Return the config from which `get` makes an equal initializer.

    Parameters
    ----------
    initializer : Initializer
        An instance of one of this module's classes.

    Returns
    -------
    dict
        "class_name" and "config", as plain JSON types.

    Raises
    ------
    TypeError
        If it is any other callable, which no plain configuration can hold.
    """
    return _REGISTRY.serialize(initializer)
