"""Stages prepared for arrays of one shape: which kernel runs, and where it reads and writes."""

from collections.abc import Callable
from functools import partial
from itertools import accumulate, pairwise
from math import prod
from typing import Any

import numpy as np

from ...activations.function import LARGE, takes
from ...activations.settings import WithSettings
from ...calls.bands import BandsCall
from ...calls.conv import WindowCall, conv_call, dense_call, depthwise_call, means_call
from ...calls.epilogue import epilogue_of
from ...calls.layouts import canonical_shape, contiguous
from ...calls.moving import crop_call, upsample_call, zero_pad_call
from ...calls.pooling import FEW_PARTS, means_pool_call, pool_call, pool_window
from ...calls.scaling import Lines, LinesCall, scale_call
from ...calls.separable import SeparableCall, separable_call
from ...calls.winograd import WinogradCall
from ...objects.tuples import NamedTuple
from .folding import Banded, Factors, Folded, Pair
from .parts import put_together
from .rules import banded, scales_channels
from .stage import NO_ENDING, Ending, Stage


class PlainError(ValueError):
    """Only the plain network can compute it, as weights are infinite or NaN."""


class OtherShapeError(PlainError):
    """A layer has given another shape than it said when the program was made."""


class Prepared(NamedTuple):
    """A stage that is ready to run."""

    # Takes memory for the result, of its shape, and the inputs; returns the result. It can be pickled: see `kept`.
    run: Callable[..., Any]
    # Whether the result is in that memory; otherwise it has its own, or that of the first input.
    writes: bool = False
    # Of `numbaconv.calls`, to be shown.
    call: Any = None
    # The input whose memory the result may take: each value of it is read before the one in its place is written.
    over: int | None = None
    # Whether the same arrays always lead to the same calls of kernels, and to nothing else that counts.
    steady: bool = False
    # Values for which it is given memory besides, ``between``, while it runs.
    room: int = 0


def prepared(
    stage: Stage,
    shapes: dict[int, Any],
    itemsize: int,
    folded: Any,
    pitch: int = 0,
    x_pitch: int = 0,
    awake: bool = False,
) -> Prepared:
    """A stage for values of these shapes, by slot; pixels of its result, and of its input, are so many values apart.

    ``awake`` has sums run on all threads, however small they are.
    """
    if stage.kind == "together":
        return Prepared(put_together, True, steady=True)
    if stage.kind == "weigh":
        return _weigh(stage, shapes, folded)
    if folded is not None:
        return _with_kernel(stage, shapes, itemsize, folded, (pitch, x_pitch), awake)
    if stage.kind == "scale":
        return _scale(stage, shapes, itemsize, x_pitch)
    make = PREPARE.get(stage.kind)
    return _apart(stage, shapes) if make is None else make(stage, shapes, itemsize, pitch)


def _apart(stage: Stage, shapes: dict[int, Any]) -> Prepared:
    """What the plain network computes; in memory of its own, though a function of the user's gives back what it got."""
    return Prepared(partial(_run_apart, stage, [tuple(shapes[slot]) for slot in stage.outputs]))


def _run_apart(stage: Stage, wanted: list[tuple[int, ...]], out: Any, *values: np.ndarray) -> Any:
    result = stage.plain(*values)
    results = result if len(wanted) > 1 else [result]
    # Nothing tells of a change to what a user's layer has of its own, and kernels check no sizes.
    if [one.shape for one in results] != wanted:
        raise OtherShapeError(f"{stage.parts[-1].name} has changed the shape of its result, which was {wanted}")
    own = [one.copy() if any(np.may_share_memory(one, x) for x in values) else one for one in results]
    return own if len(wanted) > 1 else own[0]


def _with_kernel(
    stage: Stage,
    shapes: dict[int, Any],
    itemsize: int,
    folded: Folded | Pair | Banded,
    pitches: tuple[int, int],
    awake: bool,
) -> Prepared:
    x_shape, layer, (pitch, x_pitch) = shapes[stage.inputs[0]], stage.layers[0], pitches
    if isinstance(folded, Banded):
        bands = banded(stage.joined, x_shape, pitch)
        # Not over what is added: that may be what the next band reads.
        return Prepared(partial(_run_bands, stage, bands, folded), True, bands, steady=True)
    data_format = getattr(layer, "data_format", "channels_last")
    call = call_of(stage, x_shape, itemsize, pitch)
    if isinstance(call, WindowCall):
        call = call.amid_others()
    if awake and isinstance(call, WindowCall | SeparableCall):
        call = call._replace(serial=False)
    image = _pixels(x_shape) if stage.kind == "dense" else canonical_shape(x_shape, data_format)
    gated = stage.gated
    added = len(stage.inputs) - 1 if len(stage.inputs) > 1 + 2 * gated else None
    plain = data_format == "channels_last"
    run = partial(_run_kernel, stage, call, folded, (x_shape, image, x_pitch, plain))
    # Winograd's and phases of a transposed convolution go back to windows that are written.
    once = isinstance(call, WindowCall | SeparableCall)
    # What transforms its input first has memory for that.
    steady = once or (isinstance(call, WinogradCall) and call.work.spreads is None)
    passes = isinstance(call, SeparableCall) and call.arguments is None
    room = prod(call.apart("channels_last")[0].out_shape) if passes and plain else 0
    return Prepared(run, plain, call, added if once else None, steady, room)


def _run_kernel(
    stage: Stage,
    call: Any,
    folded: Folded | Pair,
    place: tuple[Any, tuple[int, ...], int, bool],
    out: np.ndarray,
    x: np.ndarray,
    *more: np.ndarray,
    between: np.ndarray | None = None,
) -> Any:
    """Run a stage on its input, told by its shape, that of the canonical array, and how far pixels are apart.

    Last is told whether the input has its channels last.
    """
    operands, (x_shape, view, x_pitch, plain) = folded.operands(), place
    if x_pitch and x.ndim == 1:
        if operands is None or not operands[0].finite:
            x = _together(x, x_pitch, x_shape)
        else:
            view = *view[:-1], x_pitch
            x = x[: prod(view)]
    # Zeros that are only thought of make no NaN of an infinite weight; kernels for such weights write no means.
    if operands is None or ((stage.zeros or stage.means or stage.late) and not operands[0].finite):
        return stage.plain(x, *more)
    *packed, bias = operands
    if stage.gated:
        packed[0] = Lines(more[0])
    if len(packed) == 3:
        # A depthwise convolution with its bias.
        packed[2] = epilogue_of(packed[2], *(NO_ENDING if stage.before is None else stage.before.ending))
    added = len(stage.inputs) > 1 + 2 * stage.gated
    epilogue = epilogue_of(bias, *stage.ending, residual=more[-1] if added else None)
    if plain:
        call.run(contiguous(x).reshape(view), *packed, epilogue, out, *(() if between is None else (between,)))
        return out
    return call(x, *packed[:2], epilogue)


def _run_bands(stage: Stage, call: BandsCall, folded: Banded, out: np.ndarray, x: np.ndarray, *more: np.ndarray) -> Any:
    """Run a stage whose convolutions take turns."""
    operands = folded.operands()
    if operands is None:
        return stage.plain(x, *more)
    residuals = None, None, more[0] if more else None
    epilogues = tuple(
        epilogue_of(bias, *one.ending, residual=residual)
        for bias, one, residual in zip(operands[3:], stage.joined, residuals, strict=True)
    )
    call.run(contiguous(x)[:, None], operands[:3], epilogues, out)
    return out


def call_of(stage: Stage, x_shape: tuple[int, ...], itemsize: int, pitch: int = 0) -> Any:
    """The prepared call of a stage with a kernel."""
    layer = stage.layers[0]
    weights = layer._weights
    if stage.kind == "dense":
        return dense_call(prod(x_shape[:-1]), *weights["kernel"].shape, itemsize, pitch)
    first = layer if stage.before is None else stage.before.layers[0]
    window = first._window._replace(padding=stage.zeros) if stage.zeros else first._window
    if stage.strides:
        window = window._replace(strides=stage.strides)
    if stage.means:
        return means_call(x_shape, weights["depthwise_kernel"].shape, itemsize, window)
    if stage.kind == "depthwise":
        return depthwise_call(x_shape, weights["depthwise_kernel"].shape, itemsize, window, pitch)
    if stage.kind in ("separable", "pair"):
        last = weights["kernel" if stage.kind == "pair" else "pointwise_kernel"]
        return separable_call(x_shape, first.depthwise_kernel.shape, last.shape, itemsize, window, pitch)
    shape = weights["kernel"].shape
    if stage.kind == "transposed":
        from ...calls.transposed import transposed_call

        return transposed_call(x_shape, shape, itemsize, window, layer.output_padding, layer.algorithm)
    return conv_call(x_shape, shape, itemsize, window, layer.algorithm, pitch)


def _weigh(stage: Stage, shapes: dict[int, Any], folded: Folded) -> Prepared:
    call = LinesCall(shapes[stage.output])
    return Prepared(partial(_run_weigh, call, folded), True, call, steady=True)


def _run_weigh(call: LinesCall, folded: Folded, out: np.ndarray, gates: np.ndarray) -> np.ndarray:
    operands = folded.operands()
    # Without them the plain network multiplies.
    if operands is not None:
        call.run(operands[0], contiguous(gates), out)
    return out


def _scale(stage: Stage, shapes: dict[int, Any], itemsize: int, x_pitch: int) -> Prepared:
    if not scales_channels(stage, shapes):
        return _apart(stage, shapes)
    shape = shapes[stage.output]
    call = scale_call(_pixels(shape), x_pitch=x_pitch)
    factors = Factors(stage.layers, shape, call)
    return Prepared(partial(_run_scale, stage, call, factors, shape, x_pitch), True, call, steady=True)


def _run_scale(
    stage: Stage, call: Any, factors: Factors, shape: tuple[int, ...], x_pitch: int, out: np.ndarray, x: np.ndarray
) -> Any:
    operands = factors.operands()
    # Of a stage that fell back to the plain network the result stands by itself.
    if operands is None or (x_pitch and x.ndim > 1):
        return stage.plain(_together(x, x_pitch, shape) if x_pitch and x.ndim == 1 else x)
    scale, shift = operands
    call.run(contiguous(x), scale, epilogue_of(shift, *stage.ending), out)
    return out


def _together(x: np.ndarray, pitch: int, shape: tuple[int, ...]) -> np.ndarray:
    """What is written pixel by pixel, each so many values from the one before it, as an array of this shape."""
    whole = np.concatenate([x, np.empty(-len(x) % pitch, x.dtype)])
    return np.ascontiguousarray(whole.reshape(-1, pitch)[: prod(shape[:-1]), : shape[-1]]).reshape(shape)


def _add(stage: Stage, shapes: dict[int, Any], itemsize: int, pitch: int) -> Prepared:
    if len({shapes[slot] for slot in stage.inputs}) > 1 or len(stage.inputs) < 2:
        return _apart(stage, shapes)
    call = scale_call(_pixels(shapes[stage.output]))
    return Prepared(partial(_run_add, call, stage.ending, np.empty(0, f"f{itemsize}")), True, call, 0, True)


def _run_add(
    call: Any, ending: Ending, none: np.ndarray, out: np.ndarray, x: np.ndarray, *more: np.ndarray
) -> np.ndarray:
    for one in more[:-1]:
        x = call.run(contiguous(x), none, epilogue_of(none, residual=contiguous(one)), out)
    call.run(contiguous(x), none, epilogue_of(none, *ending, contiguous(more[-1])), out)
    return out


def _clip(stage: Stage, shapes: dict[int, Any], itemsize: int, pitch: int) -> Prepared:
    call, none = scale_call(_pixels(shapes[stage.output])), np.empty(0, f"f{itemsize}")
    return Prepared(partial(_run_clip, call, none, epilogue_of(none, *stage.ending)), True, call, 0, True)


def _run_clip(call: Any, none: np.ndarray, epilogue: Any, out: np.ndarray, x: np.ndarray) -> np.ndarray:
    call.run(contiguous(x), none, epilogue, out)
    return out


def _multiply(stage: Stage, shapes: dict[int, Any], itemsize: int, pitch: int) -> Prepared:
    gate, shape = gate_of(stage, shapes), shapes[stage.output]
    if gate is None:
        return _apart(stage, shapes)
    call = scale_call((shape[0], 1, 1, prod(shape[1:-1]), shape[-1]), gates=True)
    epilogue = epilogue_of(np.empty(0, f"f{itemsize}"))
    return Prepared(partial(_run_multiply, call, gate, epilogue), True, call, 1 - gate, True)


def gate_of(stage: Stage, shapes: dict[int, Any]) -> int | None:
    """Which input of a product has one number for each image and channel of the other; None where that is none."""
    given, shape = [shapes[slot] for slot in stage.inputs], shapes[stage.output]
    ends = shape[0], shape[-1]
    gates = [i for i, one in enumerate(given) if (one[0], one[-1]) == ends and prod(one) == prod(ends)]
    return gates[0] if len(given) == 2 and len(gates) == 1 and given[1 - gates[0]] == shape else None


def _run_multiply(call: Any, gate: int, epilogue: Any, out: np.ndarray, *values: np.ndarray) -> np.ndarray:
    call.run(contiguous(values[1 - gate]), contiguous(values[gate]), epilogue, out)
    return out


def _function(stage: Stage, shapes: dict[int, Any], itemsize: int, pitch: int) -> Prepared:
    (function,), settings = stage.layers, {}
    if isinstance(function, WithSettings):
        function, settings = function.function, dict(function.settings)
    into = getattr(function, "into", None)
    if into is None or prod(shapes[stage.output]) < LARGE:
        return _apart(stage, shapes)
    return Prepared(partial(_run_function, stage, function, settings), True, function)


def _run_function(stage: Stage, function: Any, settings: dict[str, Any], out: np.ndarray, x: np.ndarray) -> Any:
    done = function.into(x, out=out, **settings) if takes(x) else None
    return stage.plain(x) if done is None else out


def _concatenate(stage: Stage, shapes: dict[int, Any], itemsize: int, pitch: int) -> Prepared:
    shape = shapes[stage.output]
    axis, none = stage.layers[0].axis % len(shape), np.empty(0, f"f{itemsize}")
    ends = [0, *accumulate(shapes[slot][axis] for slot in stage.inputs)]
    parts = [(*(slice(None),) * axis, slice(*ends)) for ends in pairwise(ends)]
    epilogue = epilogue_of(none)
    calls = [scale_call(_pixels(shapes[slot]), pitch=pitch or shape[-1]) for slot in stage.inputs]
    last = axis == len(shape) - 1
    return Prepared(partial(_run_concatenate, parts, calls, last, none, epilogue), True, steady=last)


def _run_concatenate(
    parts: list[Any], calls: list[Any], last: bool, none: np.ndarray, epilogue: Any, out: np.ndarray, *values: Any
) -> np.ndarray:
    for part, value, call in zip(parts, values, calls, strict=True):
        # What is flat was written here by the stage that it is from.
        if value.ndim > 1 and last:
            call.run(contiguous(value), none, epilogue, out.reshape(-1)[part[-1].start :])
        elif value.ndim > 1:
            out[part] = value
    return out


def _pixels(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a canonical array of as many pixels in a row."""
    return (1, 1, 1, prod(shape[:-1]), shape[-1])


def _run_into(call: Any, out: np.ndarray, x: np.ndarray) -> np.ndarray:
    """A call that fills an array, which it may see in another shape: another one could not be repeated."""
    call(x, out)
    return out


def _run_moved(call: Any, out: Any, x: np.ndarray) -> Any:
    return call(x)


def _pool(stage: Stage, shapes: dict[int, Any], itemsize: int, pitch: int) -> Prepared:
    (layer,), x_shape = stage.layers, shapes[stage.inputs[0]]
    window = layer._window(x_shape)
    window = window._replace(padding=stage.zeros) if stage.zeros else window
    call = pool_call(layer.kind, x_shape, window, layer.whole, FEW_PARTS)
    if stage.means:
        return Prepared(partial(_run_means, call, means_pool_call(x_shape), prod(x_shape)), True, call, steady=True)
    return Prepared(partial(_run_into, call), True, call, steady=True)


def _run_means(call: Any, of_means: Any, begin: int, out: np.ndarray, x: np.ndarray) -> np.ndarray:
    # Of a stage that fell back to the plain network the result stands by itself.
    of_means(x[begin:], out) if x.ndim == 1 else call(x, out)
    return out


def _thin(stage: Stage, shapes: dict[int, Any], itemsize: int, pitch: int) -> Prepared:
    window = pool_window(1, stage.strides, "valid", "channels_last", len(stage.strides))
    call = pool_call("max", shapes[stage.inputs[0]], window)
    return Prepared(partial(_run_into, call), True, call, steady=True)


def _move(stage: Stage, shapes: dict[int, Any], itemsize: int, pitch: int) -> Prepared:
    (layer,), x_shape = stage.layers, shapes[stage.inputs[0]]
    if stage.kind == "pad":
        call: Any = zero_pad_call(x_shape, layer.padding, layer.data_format, itemsize)
    else:
        call = upsample_call(x_shape, layer.size, layer.interpolation, layer.data_format, itemsize)
        if not hasattr(call, "kernel"):
            return Prepared(partial(_run_moved, call), False, call)
    return Prepared(partial(_run_into, call), True, call, steady=True)


def _cut(stage: Stage, shapes: dict[int, Any], itemsize: int, pitch: int) -> Prepared:
    x_shape, last = shapes[stage.inputs[0]], len(shapes[stage.output]) - 1
    around = [(a, n - b) for (a, b), n in zip(stage.layers[0].ends, x_shape[1:], strict=True)]
    whole = next((i for i in (0, last - 1) if around[i] == (0, 0)), None)
    if whole is None or not 2 <= last <= 4 or 0 in shapes[stage.output]:
        return _copy(stage, shapes, itemsize, pitch)
    del around[whole]
    call = crop_call(x_shape, tuple(around), "channels_last" if whole else "channels_first", itemsize)
    return Prepared(partial(_run_into, call), True, call, steady=True)


def _view(stage: Stage, shapes: dict[int, Any], itemsize: int, pitch: int) -> Prepared:
    return Prepared(partial(_run_view, shapes[stage.output]))


def _run_view(shape: tuple[int, ...], out: Any, x: np.ndarray) -> np.ndarray:
    return x.reshape(shape)


def _copy(stage: Stage, shapes: dict[int, Any], itemsize: int, pitch: int) -> Prepared:
    return Prepared(partial(_run_copy, stage if stage.kind == "cut" else None, shapes[stage.output]), True)


def _run_copy(cut: Stage | None, shape: tuple[int, ...], out: np.ndarray, x: np.ndarray) -> np.ndarray:
    np.copyto(out, x.reshape(shape) if cut is None else cut.plain(x))
    return out


PREPARE: dict[str, Callable[..., Prepared]] = {
    "add": _add,
    "clip": _clip,
    "multiply": _multiply,
    "function": _function,
    "concatenate": _concatenate,
    "pool": _pool,
    "thin": _thin,
    "pad": _move,
    "upsample": _move,
    "view": _view,
    "copy": _copy,
    "cut": _cut,
}
