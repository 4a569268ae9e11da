"""Normalization: the data's mean and variance, found once and then held."""

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np

from .. import config, initializers
from ..calls.layouts import contiguous
from ..calls.normalizing import scaled
from ..common.arguments import check_bool
from ..common.arrays import as_numbers
from ..common.words import Penalized, Unpack
from .along_axes import AlongAxes, axes_of, some_axes
from .any_rank import Shape
from .weights import Weight

# Values that `Normalization.adapt` takes to float64 at a time.
BLOCK_VALUES = 2**18


class Normalization(AlongAxes):
    """Bring the data to mean 0 and standard deviation 1 (Keras's ``Normalization``).

    ``out = (x - mean) / max(sqrt(variance), epsilon)`` with the mean and the variance that are given, or that `adapt`
    has found; with ``invert``, ``out = x * max(sqrt(variance), epsilon) + mean``. Epsilon is `config.epsilon()`.

    Parameters
    ----------
    axis : int, list of int or None
        Along which every position has a mean and a variance of its own, not the batch; None has one of each for all.
    mean, variance : float or array_like, optional
        Both or neither; broadcast to the sizes along ``axis``. Without them, `adapt` finds them.
    invert : bool
        Whether to go the other way, from normalized data to data.

    Attributes
    ----------
    adapt_mean, adapt_variance : ndarray or None
        What `adapt` has found, 0 and 1 before. None where mean and variance are given.

    Notes
    -----
    Input of any shape, output the same; the sizes along ``axis`` must be known. Weights: adapt_mean and adapt_variance,
    of the sizes along ``axis`` from the first axis to the last, and count, a number that Keras's files hold and nothing
    uses. None where mean and variance are given. Training leaves them alone. Keeps for backward: the factors.
    """

    adapt_mean, adapt_variance, count = Weight(), Weight(), Weight()
    statistics = ("adapt_mean", "adapt_variance", "count")
    adapt_mean_initializer = count_initializer = initializers.get("zeros")
    adapt_variance_initializer = initializers.get("ones")

    def __init__(
        self,
        axis: Any = -1,
        mean: Any = None,
        variance: Any = None,
        invert: bool = False,
        **kwargs: "Unpack[Penalized]",
    ) -> None:
        super().__init__(**kwargs)
        with self._named():
            none = axis is None or (isinstance(axis, list | tuple) and not axis)
            given = () if none else some_axes(axis)
            self.axis = given if isinstance(given, tuple) else (given,)
            if (mean is None) != (variance is None):
                raise ValueError(f"mean and variance must be given together, got {mean!r} and {variance!r}")
            self.mean, self.variance = _as_tuples(mean, "mean"), _as_tuples(variance, "variance")
            self.invert = check_bool(invert, "invert")
        # The weights and the shape that the last factors were made for, and these.
        self._factors: tuple[Any, Any, Any] = (None, None, None)

    def _axes(self, rank: int) -> tuple[int, ...]:
        return tuple(sorted(axes_of(self.axis, rank)))

    def _weight_shapes(self, channels: Any) -> dict[str, tuple[int, ...]]:
        sizes = self._known_sizes(channels)
        return {} if self.mean is not None else {"adapt_mean": sizes, "adapt_variance": sizes, "count": ()}

    def _output_shape(self, input_shape: Shape) -> Shape:
        sizes = self._channels_of(input_shape)
        if self.mean is not None and sizes is not None:
            _spread(self.mean, sizes, "mean")
            _spread(self.variance, sizes, "variance")
        return input_shape

    def adapt(self, data: Any) -> None:
        """Find mean and variance of the data, in place of those before; builds the layer if need be.

        Parameters
        ----------
        data : array_like or iterable of array_like
            Examples, the batch axis first, or batches of them: a list of arrays, a generator. Of batches that are
            tuples, (x, y), the first part. One axis will do where ``axis`` is None.

        Raises
        ------
        ValueError, TypeError
            If mean and variance were given, and for data that hold no numbers or do not fit the layer; nothing is
            changed then.

        Notes
        -----
        Sums are float64, block by block; variances are added up as in Chan, Golub and LeVeque, "Updating Formulae and
        a Pairwise Algorithm for Computing Sample Variances", 1979.
        """
        with self._named():
            if self.mean is not None:
                raise ValueError("adapt must not be called where mean and variance are given")
            count, mean, squares = 0, np.float64(0), np.float64(0)
            for block in self._blocks(data):
                kept = self._axes(block.ndim)
                others = tuple(i for i in range(block.ndim) if i not in kept)
                values = block.astype(np.float64)
                more = prod(block.shape[i] for i in others)
                with np.errstate(all="ignore"):
                    found = values.mean(others)
                    away = found - mean
                    mean = mean + away * (more / (count + more))
                    squares = squares + values.var(others) * more + away**2 * (count * more / (count + more))
                count += more
            if not count:
                raise ValueError("data must hold at least one example, got none")
            self._assign({"adapt_mean": mean, "adapt_variance": squares / count})

    def _blocks(self, data: Any) -> Iterator[np.ndarray]:
        """Runs of examples, checked; the layer is built for the first."""
        for batch in _batches(data):
            x = as_numbers(batch, "data")
            if x.ndim == 1 and self.axis == ():
                x = x[:, None]
            if x.ndim < 2:
                raise ValueError(f"data must have at least 2 axes, batch first, got shape {x.shape}")
            if self.built:
                self._check_sizes("data", x.shape, self._channels_of(x.shape))
            else:
                self.build((None, *x.shape[1:]))
            if x.size:
                step = max(1, BLOCK_VALUES // prod(x.shape[1:]))
                yield from (x[start : start + step] for start in range(0, len(x), step))

    @np.errstate(all="ignore")
    def _forward(self, x: np.ndarray) -> tuple[np.ndarray, Any]:
        view, scale, shift = self._factors_for(x.shape)
        return scaled(contiguous(x).reshape(view), scale, shift).reshape(x.shape), (view, scale)

    @np.errstate(all="ignore")
    def _input_grad(self, kept: Any, grad_out: np.ndarray) -> np.ndarray:
        view, scale = kept
        return scaled(contiguous(grad_out).reshape(view), scale, np.zeros_like(scale)).reshape(grad_out.shape)

    def _factors_for(self, shape: tuple[int, ...]) -> tuple[tuple[int, ...], np.ndarray, np.ndarray]:
        """How an input of this shape is seen, as (A, C, B), and the factors (C,) of ``out = x * scale + shift``."""
        weights = self._weights
        made_of, known, factors = self._factors
        if made_of is not weights or known != shape:
            factors = self._new_factors(shape)
            self._factors = weights, shape, factors
        return factors

    def _new_factors(self, shape: tuple[int, ...]) -> tuple[tuple[int, ...], np.ndarray, np.ndarray]:
        kept = self._axes(len(shape))
        # Between the first and the last of the kept axes, each position has factors, be they the same.
        first, end = (kept[0], kept[-1] + 1) if kept else (len(shape), len(shape))
        along = [shape[i] if i in kept else 1 for i in range(first, end)]
        sizes = tuple(shape[i] for i in kept)
        if self.mean is None:
            mean, variance = (self._weights[name].astype(np.float64) for name in self.statistics[:2])
        else:
            mean, variance = _spread(self.mean, sizes, "mean"), _spread(self.variance, sizes, "variance")
        mean, variance = (np.broadcast_to(f.reshape(along), shape[first:end]).ravel() for f in (mean, variance))
        deviation = np.maximum(np.sqrt(variance), config.epsilon())
        scale, shift = (deviation, mean) if self.invert else (1 / deviation, -mean / deviation)
        return (prod(shape[:first]), prod(shape[first:end]), prod(shape[end:])), scale, shift

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_factors": (None, None, None)}


def _batches(data: Any) -> Iterator[Any]:
    """The arrays of what `Normalization.adapt` is given."""
    of_numbers = isinstance(data, list | tuple) and not any(
        hasattr(part, "shape") or isinstance(part, tuple) for part in data
    )
    if of_numbers or hasattr(data, "shape") or not hasattr(data, "__iter__"):
        yield data
    else:
        yield from (batch[0] if isinstance(batch, tuple) else batch for batch in data)


def _as_tuples(value: Any, name: str) -> Any:
    """Numbers as a float or as tuples of them, which are compared and serialized as settings are."""

    def fixed(part: Any) -> Any:
        return tuple(fixed(one) for one in part) if isinstance(part, list) else part

    return None if value is None else fixed(as_numbers(value, name).astype(np.float64).tolist())


def _spread(value: Any, sizes: tuple[int, ...], name: str) -> np.ndarray:
    """A given mean or variance for every position of the kept axes."""
    array = np.array(value, np.float64)
    try:
        return np.broadcast_to(array, sizes)
    except ValueError:
        raise ValueError(
            f"{name} must have a shape that is broadcast to the sizes along axis, {sizes}, got {array.shape}"
        ) from None
