"""MultiHeadAttention."""

from math import sqrt
from typing import Any

import numpy as np

from .. import activations, shapes
from ..common.arguments import as_numbers, cast, check_bool
from ..common.words import Common, Unpack
from ..graph.tensor import tensors_in
from ..objects.registry import integer, number
from .any_rank import AnyRank, Shape
from .drawing import Seeded
from .heads import folded, projected, readable, unfolded
from .learning import Grads
from .weights import Weight


class MultiHeadAttention(AnyRank, Seeded):
    """Let every position of one sequence read from all of another (Keras's ``MultiHeadAttention``).

    For each head ``scores = softmax(query @ key.T / sqrt(key_dim))`` and ``out = scores @ value``, where query, key and
    value are what their kernels make of the inputs. One more kernel joins the heads.

    Parameters
    ----------
    num_heads : int
    key_dim : int
        Length of a head's queries and keys.
    value_dim : int, optional
        Length of a head's values; None takes ``key_dim``.
    dropout : float
        Share of the scores, from 0 to 1, that are set to 0 in training; the others are enlarged.
    output_shape : int or tuple of int, optional
        Axes of the result in place of the query's last one; None takes the length of that.
    attention_axes : int or tuple of int, optional
        Axes over which positions read; None takes all between the batch and the last one.
    sliding_window : int, optional
        Positions read only those that are less than this many places away.
    flash_attention : bool, optional
        Changes nothing.
    use_gate : bool
        Whether what the heads have read is multiplied with a sigmoid of the query's.
    seed : int, optional
        Of the dropout.

    Notes
    -----
    Query (N, T, C), value (N, S, D) and key (N, S, E), output (N, T, C); more axes between are allowed. Weights:
    query_kernel (C, num_heads, key_dim), query_bias (num_heads, key_dim), those of key, gate and value, and
    output_kernel (num_heads, value_dim, C), output_bias (C,). A position of the query that may read nothing gets the
    average of all values; with dropout, scores asked for or more than one axis between it gets 0, as in Keras.
    Keeps for backward: its inputs, what their kernels make of them, and the scores. Products run in NumPy's BLAS.

    Vaswani et al., "Attention Is All You Need", 2017.
    """

    supports_masking = True
    # As in Keras: the sum of its input and its result has no mask.
    _ends_masks = True
    query_kernel, query_bias, key_kernel, key_bias = Weight(), Weight(), Weight(), Weight()
    gate_kernel, gate_bias, value_kernel, value_bias = Weight(), Weight(), Weight(), Weight()
    output_kernel, output_bias = Weight(), Weight()

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        output_shape: Any = None,
        attention_axes: Any = None,
        sliding_window: int | None = None,
        flash_attention: bool | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        use_gate: bool = False,
        seed: int | None = None,
        **kwargs: "Unpack[Common]",
    ) -> None:
        super().__init__(**kwargs)
        with self._named():
            (self.num_heads,) = shapes.normalize_tuple(num_heads, 1, "num_heads")
            (self.key_dim,) = shapes.normalize_tuple(key_dim, 1, "key_dim")
            (self.value_dim,) = shapes.normalize_tuple(key_dim if value_dim is None else value_dim, 1, "value_dim")
            self.dropout = number(dropout, "dropout", minimum=0, maximum=1)
            self.use_bias, self.use_gate = check_bool(use_bias, "use_bias"), check_bool(use_gate, "use_gate")
            self._sizes = None if output_shape is None else _several(output_shape, "output_shape")
            self.attention_axes = None if attention_axes is None else _checked_axes(attention_axes)
            window = sliding_window
            self.sliding_window = None if window is None else shapes.normalize_tuple(window, 1, "sliding_window")[0]
            self.flash_attention = None if flash_attention is None else check_bool(flash_attention, "flash_attention")
            self._begin(seed)
            self._set_components(locals())

    # -- shapes and weights ----------------------------------------------------------------------------------------

    def build(self, query_shape: Any, value_shape: Any = None, key_shape: Any = None) -> None:
        """Create the weights for inputs of these shapes, batch axis included; the key's is by default the value's."""
        super().build(query_shape if value_shape is None else _together(query_shape, value_shape, key_shape))

    def compute_output_shape(self, query_shape: Any, value_shape: Any = None, key_shape: Any = None) -> Any:
        """Shape of the result for inputs of these shapes.

        Raises
        ------
        ValueError
            Where they do not fit each other.
        """
        return super().compute_output_shape(
            query_shape if value_shape is None else _together(query_shape, value_shape, key_shape)
        )

    def _called_shape(self, shapes: Any, keywords: dict[str, Any]) -> Any:
        out = self.compute_output_shape(*shapes)
        if not keywords.get("return_attention_scores"):
            return out
        query, _, key = self._checked_shape(_together(*shapes))
        return [out, self._scores_shape(query, key)]

    def _checked_shape(self, input_shape: Any) -> Any:
        given = input_shape if isinstance(input_shape, list | tuple) else ()
        if len(given) not in (2, 3) or not all(isinstance(one, list | tuple) for one in given):
            raise ValueError(f"the shapes of query and value, and of key, must be given, got {input_shape!r}")
        names = ("query", "value", "key")
        found = [shapes.normalize_shape(one, f"{name}_shape") for name, one in zip(names, given, strict=False)]
        query, value, key = (*found, found[1])[:3]
        fit = all(a is None or b is None or a == b for a, b in zip(value[:-1], key[:-1], strict=False))
        if not 2 < len(query) == len(value) == len(key) or not fit:
            raise ValueError(
                f"query, value and key must have as many axes, at least 3, and value and key the same positions, got "
                f"shapes {query}, {value} and {key}"
            )
        self._axes(len(query))
        return [query, value, key]

    def _output_shape(self, input_shape: Any) -> Any:
        query = input_shape[0]
        return query if self._sizes is None else (*query[:-1], *self._sizes)

    def _channels_of(self, shape: Any) -> Any:
        return [one[-1] for one in shape]

    def _make_weights(self, shape: Any) -> None:
        self._channels = self._channels_of(shape)
        wanted = self._weight_shapes(self._channels)
        self._weights = self._weights | {name: self._drawn_weight(name, size) for name, size in wanted.items()}

    def _weight_shapes(self, channels: Any) -> dict[str, tuple[int, ...]]:
        if not all(channels):
            raise ValueError(f"the last axes of query, value and key must be known and positive, got {channels}")
        query, value, key = channels
        gate = {"gate": (query, self.value_dim)} if self.use_gate else {}
        inner = {"query": (query, self.key_dim), "key": (key, self.key_dim), **gate, "value": (value, self.value_dim)}
        found: dict[str, tuple[int, ...]] = {}
        for name, (size, width) in inner.items():
            found[f"{name}_kernel"], found[f"{name}_bias"] = (size, self.num_heads, width), (self.num_heads, width)
        sizes = (query,) if self._sizes is None else self._sizes
        found["output_kernel"], found["output_bias"] = (self.num_heads, self.value_dim, *sizes), sizes
        return {name: size for name, size in found.items() if self.use_bias or not name.endswith("_bias")}

    def _component(self, weight: str, kind: str) -> Any:
        return super()._component(weight.rpartition("_")[2], kind)

    def _argument(self, name: str) -> Any:
        return self._sizes if name == "output_shape" else super()._argument(name)

    def _axes(self, rank: int) -> tuple[int, ...]:
        """The axes over which positions of an input of this many axes read."""
        inner = range(1, rank - 1)
        if self.attention_axes is None:
            return tuple(inner)
        axes = tuple(axis + rank * (axis < 0) for axis in self.attention_axes)
        if not set(axes) <= set(inner) or len(set(axes)) < len(axes):
            raise ValueError(
                f"attention_axes must be different ones between the batch and the last axis of {rank}, got "
                f"{self.attention_axes}"
            )
        return axes

    def _why(self, before: Any, after: Shape) -> str:
        return f"{self.num_heads} heads read for each position of the query"

    def explain(self, query_shape: Any, value_shape: Any = None, key_shape: Any = None) -> str:
        """Say in plain sentences how the output shape comes from those of the inputs, batch axis included."""
        given = query_shape if value_shape is None else _together(query_shape, value_shape, key_shape)
        after = self.compute_output_shape(given)
        query, value, _ = self._checked_shape(given)
        return (
            f"{type(self).__name__} turns a query of {query} and a value of {value} into {after}.\n"
            f"{self._why(given, after)}."
        )

    # -- calls -----------------------------------------------------------------------------------------------------

    def __call__(  # type: ignore[override]
        self,
        query: Any,
        value: Any,
        key: Any = None,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        return_attention_scores: bool = False,
        training: bool | None = None,
        use_causal_mask: bool = False,
    ) -> Any:
        """Compute the layer, building it first if need be.

        Parameters
        ----------
        query : array_like or KerasTensor, shape (N, T, C)
        value, key : array_like or KerasTensor, shapes (N, S, D) and (N, S, E)
            The key is by default the value.
        query_mask, value_mask, key_mask : array_like of bool, shapes (N, T), (N, S) and (N, S), optional
            Which positions count.
        attention_mask : array_like of bool, shape (N, T, S), optional
            Which positions of the value each position of the query may read.
        return_attention_scores : bool
            Whether the scores are returned too.
        training : bool, optional
            With True, there is dropout.
        use_causal_mask : bool
            Whether positions of the query read only those of the value that do not come later.

        Returns
        -------
        ndarray or KerasTensor, or a list of two
            The result, and the scores (N, num_heads, T, S).

        Raises
        ------
        ValueError, TypeError
            Where the inputs do not fit each other or the layer.
        """
        inputs = (query, value) if key is None else (query, value, key)
        keywords = {
            "query_mask": query_mask,
            "value_mask": value_mask,
            "key_mask": key_mask,
            "attention_mask": attention_mask,
            "return_attention_scores": return_attention_scores or None,
            "use_causal_mask": use_causal_mask or None,
        }
        given = {name: one for name, one in keywords.items() if one is not None}
        if tensors_in((inputs, given)):
            return self._connect(inputs, given)
        with self._named():
            arrays = self._ready(inputs)
            trained = training and check_bool(training, "training")
            out = self._forward_with(arrays, True, **given)[0] if trained else self.call(arrays, **given)
        self._after_call(out)
        return out

    def _visited(self, arguments: tuple[Any, ...], keywords: dict[str, Any], traced: bool) -> tuple[Any, Any, Any]:
        masks = keywords.pop("mask", None)
        masks = masks if isinstance(masks, list) else [masks]
        names = ("query_mask", "value_mask", "key_mask")[: len(arguments)]
        given = {name: one for name, one in zip(names, masks, strict=False) if one is not None}
        out, _, kept = super()._visited(arguments, {**given, **keywords}, traced)
        return out, [masks[0], None] if isinstance(out, list) else masks[0], kept

    def _ready(self, x: Any) -> list[np.ndarray]:
        names = ("query", "value", "key")
        arrays = [as_numbers(one, name) for name, one in zip(names, x, strict=False)]
        given = [one.shape for one in arrays]
        if self.built:
            self.compute_output_shape(given)
        else:
            self.build(given)
        found = [cast(one, self._dtype) for one in arrays]
        for name, one in zip(names, (*found, found[1]), strict=False):
            wanted = self._weights[f"{name}_kernel"].shape[0]
            if one.shape[-1] != wanted:
                raise ValueError(f"{name} must have {wanted} channels to fit the layer's weights, got {one.shape}")
        query, value = found[:2]
        if not len(query) == len(value):
            raise ValueError(f"query and value must be of as many examples, got {len(query)} and {len(value)}")
        return found

    def _trace(self, *inputs: Any, training: bool | None = True, **keywords: Any) -> tuple[Any, Any]:
        # As a list from `forward`, which takes one argument.
        given = inputs[0] if len(inputs) == 1 else inputs
        return self._traced(given, training is not False, **keywords)

    def call(  # type: ignore[override]
        self, x: list[np.ndarray], return_attention_scores: bool = False, **masks: Any
    ) -> Any:
        """Compute a built layer on query, value and key of its dtype; see ``__call__``."""
        return self._attend(x, 0.0, return_attention_scores, **masks)[0]

    def _forward(self, x: list[np.ndarray], **keywords: Any) -> tuple[Any, Any]:
        return self._attend(x, self.dropout, **keywords)

    def _forward_still(self, x: list[np.ndarray], **keywords: Any) -> tuple[Any, Any]:
        return self._attend(x, 0.0, **keywords)

    @np.errstate(all="ignore")
    def _attend(
        self, x: list[np.ndarray], dropout: float, return_attention_scores: bool = False, **masks: Any
    ) -> tuple[Any, Any]:
        query, value, key = (*x, x[1])[:3]
        weights, given = self._weights, {"query": query, "key": key, "value": value}
        allowed = readable(query.shape, value.shape, self.sliding_window, **masks)
        axes = self._axes(query.ndim)
        sides = [folded(projected(one, weights, name), axes) for name, one in given.items()]
        # As in Keras, who has two ways to compute it.
        nothing_is_zero = bool(self.dropout or return_attention_scores or query.ndim > 3)
        scores = sides[0] / self._dtype.type(sqrt(self.key_dim)) @ sides[1].swapaxes(-1, -2)
        shape = self._scores_shape(query.shape, key.shape)
        if allowed is not None:
            while allowed.ndim < len(shape):
                allowed = np.expand_dims(allowed, -2 * len(axes) - 1)
            allowed = np.broadcast_to(allowed, shape).reshape(scores.shape)
            scores = np.where(allowed, scores, self._dtype.type(-1e9 if nothing_is_zero else -2e38))
        scores = activations.softmax(scores)
        if allowed is not None and nothing_is_zero:
            scores = np.where(allowed, scores, 0)
        scales = self._scales(dropout, *scores.shape)
        left = scores if scales is None else scores * scales
        read = unfolded(left @ sides[2], (*query.shape[:-1], self.num_heads, self.value_dim), axes)
        gate = activations.sigmoid(projected(query, weights, "gate")) if self.use_gate else None
        gated = read if gate is None else read * gate
        out = np.ascontiguousarray(np.tensordot(gated, weights["output_kernel"], axes=2))
        if self.use_bias:
            out += weights["output_bias"]
        kept = given, len(x), sides, allowed, scores, scales, read, gate
        return [out, scores.reshape(shape)] if return_attention_scores else out, kept

    @np.errstate(all="ignore")
    def _backward(self, kept: Any, grad_out: Any, input_grad: bool) -> Grads:
        given, count, (query, key, value), allowed, scores, scales, read, gate = kept
        grad_out, *more = grad_out if isinstance(grad_out, list) else [grad_out]
        of_scores = more[0].reshape(scores.shape) if more else 0
        kernel, outer = self._weights["output_kernel"], tuple(range(read.ndim - 2))
        axes = self._axes(read.ndim - 1)
        found = {"output_kernel": np.tensordot(read if gate is None else read * gate, grad_out, (outer, outer))}
        found["output_bias"] = grad_out.sum(outer)
        grad = np.tensordot(grad_out, kernel, (range(len(outer), grad_out.ndim), range(2, kernel.ndim)))
        grads = {}
        if gate is not None:
            grads["gate"] = grad * read * gate * (1 - gate)
            grad = grad * gate
        grad = folded(grad, axes)
        of_left = grad @ value.swapaxes(-1, -2)
        of_scores = (of_left if scales is None else of_left * scales) + of_scores
        of_products = scores * (of_scores - (of_scores * scores).sum(-1, keepdims=True))
        if allowed is not None:
            of_products = np.where(allowed, of_products, 0)
        of_products /= self._dtype.type(sqrt(self.key_dim))
        left = scores if scales is None else scores * scales
        of_heads = of_products @ key, of_products.swapaxes(-1, -2) @ query, left.swapaxes(-1, -2) @ grad
        for (name, x), one in zip(given.items(), of_heads, strict=True):
            grads[name] = unfolded(one, (*x.shape[:-1], self.num_heads, one.shape[-1]), axes)
        for name, one in grads.items():
            found[f"{name}_kernel"] = np.tensordot(given.get(name, given["query"]), one, (outer, outer))
            found[f"{name}_bias"] = one.sum(outer)
        found = {name: found[name] for name in self._weights}
        if not input_grad:
            return None, found
        back = {
            name: np.tensordot(one, self._weights[f"{name}_kernel"], ((-2, -1), (1, 2))) for name, one in grads.items()
        }
        of_query = back["query"] + back["gate"] if gate is not None else back["query"]
        return [of_query, back["value"], back["key"]] if count == 3 else [of_query, back["value"] + back["key"]], found

    def _scores_shape(self, query: Shape, key: Shape) -> tuple[Any, ...]:
        """The shape of the scores for inputs of these."""
        axes = self._axes(len(query))
        others = (n for i, n in enumerate(query[:-1]) if i not in axes)
        return *others, self.num_heads, *(shape[axis] for shape in (query, key) for axis in axes)


def _together(query_shape: Any, value_shape: Any, key_shape: Any = None) -> list[Any]:
    return [query_shape, value_shape, *([] if key_shape is None else [key_shape])]


def _several(value: Any, name: str) -> tuple[int, ...]:
    given = tuple(value) if isinstance(value, tuple | list) else (value,)
    return shapes.normalize_tuple(given, len(given), name)


def _checked_axes(value: Any) -> tuple[int, ...]:
    return tuple(integer(axis, "attention_axes") for axis in (value if isinstance(value, tuple | list) else (value,)))
