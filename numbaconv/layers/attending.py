"""Attention and AdditiveAttention: one sequence reads from another, without heads and kernels."""

from collections.abc import Collection
from functools import reduce
from typing import Any

import numpy as np

from .. import activations, initializers
from ..common.arguments import check_bool, check_mask
from ..common.words import Penalized, Unpack
from ..graph.tensor import tensors_in
from ..objects.registry import number
from .any_rank import Shape
from .drawing import Seeded
from .learning import Grads
from .merging import Merge
from .weights import Weight


class _Attending(Merge, Seeded):
    """What both have in common."""

    _least, _most = 2, 3
    score_mode = "concat"
    scale, concat_score_weight = Weight(), Weight()
    scale_initializer: Any = initializers.Ones()
    concat_score_weight_initializer = initializers.Ones()

    def __init__(self, use_scale: bool, dropout: float, seed: int | None, **kwargs: "Unpack[Penalized]") -> None:
        super().__init__(**kwargs)
        with self._named():
            self.use_scale = check_bool(use_scale, "use_scale")
            self.dropout = number(dropout, "dropout", minimum=0, maximum=1)
            self._begin(seed)

    # -- shapes and weights ----------------------------------------------------------------------------------------

    @property
    def _mixes_positions(self) -> bool:
        return True

    def _whole_axes(self, count: int) -> Collection[int]:
        return range(1, count)

    def _channels_of(self, shape: Any) -> int | None:
        size: int | None = shape[0][-1]
        return size

    def _weight_shapes(self, channels: Any) -> dict[str, tuple[int, ...]]:
        wanted = {"scale": self.use_scale, "concat_score_weight": self.score_mode == "concat"}
        return {name: () for name, there in wanted.items() if there}

    def _merged_shape(self, given: list[Shape]) -> Shape:
        query, value, key = (*given, given[1])[:3]
        alike = (value[:-1], key[:-1]), (query[:-2], key[:-2]), (query[-1:], key[-1:])
        pairs = [pair for a, b in alike for pair in zip(a, b, strict=False)]
        if not 2 < len(query) == len(value) == len(key) or any(None not in (n, m) and n != m for n, m in pairs):
            raise ValueError(
                f"query and key must have vectors of one length, value and key the same positions, got shapes {given}"
            )
        return (*query[:-1], value[-1])

    def _why(self) -> str:
        return "each position of the query reads from all of the value"

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return mask[0] if mask else None

    def _called_shape(self, shapes: Any, keywords: dict[str, Any]) -> Any:
        out = self.compute_output_shape(*shapes)
        query, value = shapes[0][:2]
        return [out, (*query[:-1], value[-2])] if keywords.get("return_attention_scores") else out

    # -- calls -----------------------------------------------------------------------------------------------------

    def __call__(
        self,
        x: Any,
        training: bool | None = None,
        mask: Any = None,
        *,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        """Compute the layer on a list of arrays, building it first if need be.

        Parameters
        ----------
        x : list of array_like or KerasTensor
            A query (N, T, C), a value (N, S, D) and, if it is another one, a key (N, S, C).
        training : bool, optional
            With True, there is dropout.
        mask : list of array_like of bool, optional
            Which positions of query and value count, (N, T) and (N, S), or None.
        return_attention_scores : bool
            Whether the scores are returned too, as dropout leaves them.
        use_causal_mask : bool
            Whether positions of the query read only those of the value that do not come later.

        Returns
        -------
        ndarray or KerasTensor, or a list of two
            The result (N, T, D), and the scores (N, T, S).

        Raises
        ------
        ValueError, TypeError
            Where ``x`` or the masks do not fit the layer.
        """
        flags = {"return_attention_scores": return_attention_scores, "use_causal_mask": use_causal_mask}
        given = {"mask": mask, **{name: True for name, one in flags.items() if check_bool(one, name)}}
        if len(given) == 1:
            return super().__call__(x, training, mask)
        if tensors_in(x):
            return self._connect((x,), {name: one for name, one in given.items() if one is not None})
        with self._named():
            x = self._ready(x)
            trained = training and check_bool(training, "training")
            out = self._forward_with(x, True, **given)[0] if trained else self.call(x, **given)
        self._after_call(out)
        return out

    def _visited(self, arguments: tuple[Any, ...], keywords: dict[str, Any], traced: bool) -> tuple[Any, Any, Any]:
        out, mask, kept = super()._visited(arguments, keywords, traced)
        return out, [mask, None] if isinstance(out, list) else mask, kept

    def call(self, x: list[np.ndarray], mask: Any = None, **flags: bool) -> Any:  # type: ignore[override]
        return self._read(x, 0.0, mask, **flags)[0]

    def _forward(self, x: list[np.ndarray], mask: Any = None, **flags: bool) -> tuple[Any, Any]:
        return self._read(x, self.dropout, mask, **flags)

    def _forward_still(self, x: list[np.ndarray], mask: Any = None, **flags: bool) -> tuple[Any, Any]:
        return self._read(x, 0.0, mask, **flags)

    @np.errstate(all="ignore")
    def _read(
        self,
        x: list[np.ndarray],
        dropout: float,
        mask: Any,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> tuple[Any, Any]:
        query, value, key = (*x, x[1])[:3]
        scores, inner = self._scores(query, key)
        of_query, of_value = (*mask, None)[:2] if mask else (None, None)
        counts = [check_mask(of_value, value.shape)[..., None, :]] if of_value is not None else []
        if use_causal_mask:
            counts.append(np.tri(*scores.shape[-2:]) == 1)
        if counts:
            scores = np.where(reduce(np.logical_and, counts), scores, scores - self._dtype.type(1e9))
        weights = activations.softmax(scores)
        scales = self._scales(dropout, *weights.shape)
        left = weights if scales is None else weights * scales
        out = left @ value
        if of_query is not None:
            of_query = check_mask(of_query, query.shape)[..., None]
            out = np.where(of_query, out, self._dtype.type(0))
        return [out, left] if return_attention_scores else out, (x, weights, scales, inner, of_query)

    @np.errstate(all="ignore")
    def _backward(self, kept: Any, grad_out: Any, input_grad: bool) -> Grads:
        x, weights, scales, inner, of_query = kept
        query, value, key = (*x, x[1])[:3]
        grad_out, of_left = grad_out if isinstance(grad_out, list) else (grad_out, self._dtype.type(0))
        grad = grad_out if of_query is None else np.where(of_query, grad_out, self._dtype.type(0))
        left, grad_weights = weights, grad @ value.swapaxes(-1, -2) + of_left
        if scales is not None:
            left, grad_weights = weights * scales, grad_weights * scales
        grad_scores = weights * (grad_weights - (grad_weights * weights).sum(-1, keepdims=True))
        grad_query, grad_key, gradients = self._scores_grad(query, key, inner, grad_scores)
        grad_value = left.swapaxes(-1, -2) @ grad
        found = [grad_query, grad_value, grad_key] if len(x) == 3 else [grad_query, grad_value + grad_key]
        return found, {name: np.asarray(one, self._dtype) for name, one in gradients.items() if name in self._weights}

    def _factors(self) -> tuple[Any, Any, Any]:
        """By what sums of query and key are multiplied, then their tanh, then the scores."""
        one = self._dtype.type(1)
        return self._weights.get("scale", one), one, self._weights.get("concat_score_weight", one)

    def _scores(self, query: np.ndarray, key: np.ndarray) -> tuple[np.ndarray, Any]:
        if self.score_mode == "dot":
            products = query @ key.swapaxes(-1, -2)
            return products * self._factors()[0], products
        within, along, whole = self._factors()
        bent = np.tanh(within * (query[..., :, None, :] + key[..., None, :, :]))
        return whole * (along * bent).sum(-1), bent

    def _scores_grad(self, query: np.ndarray, key: np.ndarray, inner: np.ndarray, grad: np.ndarray) -> tuple[Any, ...]:
        within, along, whole = self._factors()
        if self.score_mode == "dot":
            grad_products = grad * within
            return grad_products @ key, grad_products.swapaxes(-1, -2) @ query, {"scale": (grad * inner).sum()}
        slope = grad[..., None] * whole * along * (1 - inner * inner)
        grads = (slope.sum(-2) * within, slope.sum(-3) * within)
        both = query[..., :, None, :] + key[..., None, :, :]
        return *grads, {"scale": (slope * both).sum(), "concat_score_weight": (grad * (along * inner).sum(-1)).sum()}


class Attention(_Attending):
    """Let every position of one sequence read from all of another (Keras's ``Attention``).

    ``out = softmax(scores) @ value`` with ``scores = scale * (query @ key.T)``, or, in mode ``"concat"``,
    ``weight * sum(tanh(scale * (query + key)))``.

    Parameters
    ----------
    use_scale : bool
        Whether there is a scale; otherwise it is 1.
    score_mode : {"dot", "concat"}
    dropout : float
        Share of the scores, from 0 to 1, that are set to 0 in training; the others are enlarged.
    seed : int, optional
        Of the dropout.

    Notes
    -----
    Input a list of a query (N, T, C), a value (N, S, D) and, if it is another one, a key (N, S, C); output (N, T, D).
    Masks of query and value come in a list: what is masked of the value is not read, and of the result it is 0.
    Weights: scale, (), and concat_score_weight, (), where they are asked for. Keeps for backward: its input and scores.
    Products run in NumPy's BLAS.

    Luong, Pham and Manning, "Effective Approaches to Attention-based Neural Machine Translation", 2015.
    """

    def __init__(
        self,
        use_scale: bool = False,
        score_mode: str = "dot",
        dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: "Unpack[Penalized]",
    ) -> None:
        super().__init__(use_scale, dropout, seed, **kwargs)
        with self._named():
            if score_mode not in ("dot", "concat"):
                raise ValueError(f"score_mode must be 'dot' or 'concat', got {score_mode!r}")
            self.score_mode = score_mode


class AdditiveAttention(_Attending):
    """Let every position of one sequence read from all of another (Keras's ``AdditiveAttention``).

    ``out = softmax(scores) @ value`` with ``scores = sum(scale * tanh(query + key))``.

    Parameters
    ----------
    use_scale : bool
        Whether there is a scale; otherwise it is 1.
    dropout : float
        Share of the scores, from 0 to 1, that are set to 0 in training; the others are enlarged.
    seed : int, optional
        Of the dropout.

    Notes
    -----
    Input, output and masks as of `Attention`. Weight: scale, (C,), if it is asked for. Keeps for backward: its input,
    scores and N T S C values.

    Bahdanau, Cho and Bengio, "Neural Machine Translation by Jointly Learning to Align and Translate", 2015.
    """

    scale_initializer = initializers.GlorotUniform()

    def __init__(
        self, use_scale: bool = True, dropout: float = 0.0, seed: int | None = None, **kwargs: "Unpack[Penalized]"
    ) -> None:
        super().__init__(use_scale, dropout, seed, **kwargs)

    def _weight_shapes(self, channels: Any) -> dict[str, tuple[int, ...]]:
        if self.use_scale and not channels:
            raise ValueError(f"the last axis of the query must be known and positive, got {channels}")
        return {"scale": (channels,)} if self.use_scale else {}

    def _factors(self) -> tuple[Any, Any, Any]:
        one = self._dtype.type(1)
        return one, self._weights.get("scale", one), one

    def _scores_grad(self, query: np.ndarray, key: np.ndarray, inner: np.ndarray, grad: np.ndarray) -> tuple[Any, ...]:
        *grads, _ = super()._scores_grad(query, key, inner, grad)
        return *grads, {"scale": (grad[..., None] * inner).sum(tuple(range(grad.ndim)))}
