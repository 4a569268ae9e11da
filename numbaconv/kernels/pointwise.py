"""Activations of large arrays, and their gradients: lines of values through a formula, on all cores.

The formulas are those of `numbaconv.activations`, whose functions say what each is; here they are in terms of lines.
exp and what is made of it are within two units of rounding of the exact value, gelu as its docstring says.
"""

import math

import numpy as np

from ..machine.aligned import aligned_empty
from ..machine.compiler import compiled
from ..machine.lanes import (
    FAR_DOWN,
    FAR_UP,
    line_equal,
    line_exp,
    line_keep,
    line_less,
    line_log1p,
    line_most,
    line_series,
    line_sign,
)
from ..machine.line import line_read, line_write
from ..machine.tile import lanes_of
from ..machine.words import overloaded, prange, setting
from . import rules
from .rules import FAR

# Values that one task computes, and that one core computes before another has woken up.
TASK_VALUES, SERIAL_VALUES = 8192, 16_384
COMPILED = not setting("DISABLE_JIT", 0)
LOG2, ROOT, SMALL = math.log(2), math.sqrt(2 * math.pi), 0.5**FAR_DOWN
# Of a standard normal distribution, the share below -a is its density there times ``t * polynomial(t)`` with
# ``t = 1 / (1 + a / 5)``, but for a factor. The polynomial meets it at as many Chebyshev nodes as it has numbers, for a
# up to 14.5 in float32 and to 39 in float64, and is off by 1.4e-8 and 1.2e-17 of it at most.
TAIL = {
    32: (
        *(-0.03986243404, 0.1279935061, -0.07715320127, 0.06004941562, 0.08516509335, 0.02444785257),
        *(0.08682749906, 0.07242546157, 0.08035005938, 0.07975674462),
    ),
    64: (
        *(-0.0001331898620258937, 0.0007298066900628153, 0.0016358069216465521, -0.028057274351460146),
        *(0.12494838409570352, -0.3226840611876317, 0.5634985185885694, -0.7162589504312419, 0.6976893791038659),
        *(-0.5359910994996293, 0.3257635825862208, -0.16364119233282948, 0.06680261868895047, -0.01447030880916737),
        *(0.02078257677886977, 0.024422616078110835, 0.03778980511567705, 0.04976049681453217, 0.06102501317378617),
        *(0.07021363129193739, 0.07659692872832397, 0.07978845573229165, 0.0797884560854374),
    ),
}
_VALUES, _SLOPES = {}, {}


def value(rule, x):
    """What the activation makes of a line."""
    raise NotImplementedError


def slope(rule, grad, kept):
    """A line of its gradient, from that of its output and what it kept: its output or its input."""
    raise NotImplementedError


@overloaded(value)
def _value(rule, x):
    return _VALUES[rule.instance_class]


@overloaded(slope)
def _slope(rule, grad, kept):
    return _SLOPES[rule.instance_class]


@compiled(parallel=True)
def apply(rule, x, out, task_values):
    """``out[i] = value(rule, x[i])`` for arrays (V,), so many values at a time."""
    lanes = lanes_of(x)
    for task in prange(-(-x.size // task_values)):
        start = np.int64(task) * task_values
        for at in range(start, min(start + task_values, x.size), lanes):
            line_write(value(rule, line_read(1, x, at, x.size - at)), out, at, x.size - at)


@compiled(parallel=True)
def apply_back(rule, grads, kept, out, task_values):
    """``out[i] = slope(rule, grads[i], kept[i])`` likewise; two arrays of gradients are added up."""
    lanes = lanes_of(out)
    for task in prange(-(-out.size // task_values)):
        start = np.int64(task) * task_values
        for at in range(start, min(start + task_values, out.size), lanes):
            grad, count = line_read(1, grads[0], at, out.size - at), out.size - at
            if len(grads) == 2:
                grad = grad + line_read(1, grads[1], at, count)
            line_write(slope(rule, grad, line_read(1, kept, at, count)), out, at, count)


def applied(rule, x, out=None):
    """The activation of an array of float32 or float64, as a new array or in ``out``, which may be x."""
    out = aligned_empty(x.shape, x.dtype) if out is None else out
    apply(rule, flattened(x), out.reshape(-1), TASK_VALUES, serial=out.size <= SERIAL_VALUES)
    return out


def applied_back(rule, kept, *grads):
    """Its gradient with respect to its input, from that of its output or two that add up to it, all of one dtype."""
    out = aligned_empty(kept.shape, kept.dtype)
    arrays = tuple(map(flattened, grads)), flattened(kept), out.reshape(-1)
    apply_back(rule, *arrays, TASK_VALUES, serial=out.size <= SERIAL_VALUES)
    return out


def flattened(x):
    """View an array as (V,); copy it where Numba would compile anew for it."""
    return (x if x.flags.carray else np.array(x, order="C")).reshape(-1)


@compiled
def exp(x):
    """``exp(x)`` for x up to 40."""
    q, a = line_exp(x, FAR_DOWN)
    return (a + a * q) * SMALL


@compiled
def exp_anywhere(x):
    """``exp(x)``."""
    q, a = line_exp(x, line_less(x, 0.0, FAR_DOWN, FAR_UP))
    return (a + a * q) * line_less(x, 0.0, SMALL, 1.0 / SMALL)


@compiled
def below_one(x):
    """``exp(x) - 1`` for x up to 0, with all digits where it is small."""
    q, a = line_exp(x, FAR_DOWN)
    return (a * q + (a - 1.0 / SMALL)) * SMALL


@compiled
def log1p_share(e):
    """``log(1 + e)`` for e from 0 to 1."""
    half = line_less(0.41, e, 0.5 * (e - 1.0), e)
    return line_less(0.41, e, LOG2, 0.0) + line_log1p(half)


@compiled
def gates(x):
    """``sigmoid(x)`` and ``sigmoid(-x)``."""
    decay = exp(-abs(x))
    whole = 1.0 + decay
    return line_less(x, 0.0, decay, 1.0) / whole, line_less(x, 0.0, 1.0, decay) / whole


@compiled
def tangent(x):
    """``tanh(x)``."""
    less = below_one(-2.0 * abs(x))
    return line_sign(less / (less + 2.0), x)


@compiled
def bounded(x):
    """The line without infinities, whose product with 0 would be NaN."""
    return line_less(x, -FAR, -FAR, line_less(FAR, x, FAR, x))


def _tail(t):
    raise NotImplementedError


@overloaded(_tail)
def _normal_tail(t):
    numbers = TAIL[t.dtype.bitwidth]
    return lambda t: line_series(t, numbers)


@compiled
def normal(x):
    """The share of a standard normal distribution below x, and its density there times `ROOT`."""
    a = line_less(40.0, abs(x), 40.0, abs(x))
    bell = exp(-0.5 * (a * a))
    t = 1.0 / (1.0 + 0.2 * a)
    tail = bell * (t * _tail(t))
    return line_less(x, 0.0, tail, 1.0 - tail), bell


def _formulas(rule, value, slope):
    """Have `value` and `slope` take a rule; each is a function of the rule and lines."""
    if value:
        _VALUES[rule] = value
    if slope:
        _SLOPES[rule] = slope


def _silu_slope(rule, grad, kept):
    gate, other = gates(kept)
    return grad * (gate * (1.0 + bounded(kept) * other))


def _softplus(rule, x):
    return line_less(0.0, x, x, 0.0) + log1p_share(exp(-abs(x)))


def _log_sigmoid(rule, x):
    return line_less(x, 0.0, x, 0.0) - log1p_share(exp(-abs(x)))


def _softsign(rule, x):
    return bounded(x) / (1.0 + abs(bounded(x)))


def _softsign_slope(rule, grad, kept):
    rest = 1.0 - abs(kept)
    return grad * (rest * rest)


def _mish(rule, x):
    # From 30 on the gate is 1 in float64 too.
    power = exp(line_less(30.0, x, 30.0, x))
    doubled = power * (power + 2.0)
    return line_less(x, -FAR, -FAR, x) * (doubled / (doubled + 2.0))


def _mish_slope(rule, grad, kept):
    near = line_less(30.0, kept, 30.0, kept)
    power = exp(near)
    doubled = power * (power + 2.0)
    share = 1.0 / (doubled + 2.0)
    return grad * (doubled * share + bounded(near) * (4.0 * power * (1.0 + power) * share) * share)


def _tanh_shrink_slope(rule, grad, kept):
    less = tangent(kept)
    return grad * (less * less)


def _gelu_slope(rule, grad, kept):
    gate, bell = normal(kept)
    return grad * (gate + bounded(kept) * (bell / ROOT))


def _hard_gate(rule, x):
    gate = x / rule.divisor + 0.5
    return line_less(gate, 0.0, 0.0, line_less(1.0, gate, 1.0, gate))


_hard_gate_line = compiled(_hard_gate)


def _hard_sigmoid_slope(rule, grad, kept):
    return line_less(0.0, kept, line_less(kept, 1.0, grad / rule.divisor, 0.0), 0.0)


def _hard_silu(rule, x):
    return line_less(x, -FAR, -FAR, x) * _hard_gate_line(rule, x)


def _hard_silu_slope(rule, grad, kept):
    return grad * line_less(abs(kept), 3.0, (2.0 * kept + 3.0) / 6.0, line_less(0.0, kept, 1.0, 0.0))


def _elu(rule, x):
    return line_less(0.0, x, rule.scale * x, rule.low * below_one(x / rule.width))


def _elu_slope(rule, grad, kept):
    return grad * line_less(0.0, kept, rule.scale, line_equal(kept, 0.0, rule.at_zero, (kept + rule.low) / rule.width))


def _pieces(rule, x):
    under = rule.below * line_less(x, rule.lowest, rule.lowest, x) + rule.below_shift
    over = rule.above * line_less(rule.highest, x, rule.highest, x) + rule.above_shift
    return line_less(x, rule.low, under, line_less(rule.high, x, over, rule.inside * x))


def _band_slope(rule, grad, kept):
    inside = rule.inside * grad
    # Infinity times 0 would be NaN.
    outside = rule.outside * grad if rule.outside != 0.0 else line_keep(grad, 0, 0.0)
    return line_less(rule.low, kept, line_most(rule.high, kept, outside, inside), outside)


def _sum(rule, grad, kept):
    total = grad + kept
    return line_less(total, rule.low, rule.low, total)


_formulas(rules.Sigmoid, lambda rule, x: gates(x)[0], lambda rule, grad, kept: grad * (kept * (1.0 - kept)))
_formulas(rules.Tanh, lambda rule, x: tangent(x), lambda rule, grad, kept: grad * ((1.0 - kept) * (1.0 + kept)))
_formulas(rules.Exponential, lambda rule, x: exp_anywhere(x), lambda rule, grad, kept: grad * kept)
_formulas(rules.Softplus, _softplus, lambda rule, grad, kept: -(grad * below_one(-kept)))
_formulas(rules.LogSigmoid, _log_sigmoid, lambda rule, grad, kept: -(grad * below_one(kept)))
_formulas(rules.Softsign, _softsign, _softsign_slope)
_formulas(rules.Silu, lambda rule, x: line_less(x, -FAR, -FAR, x) * gates(x)[0], _silu_slope)
_formulas(rules.Mish, _mish, _mish_slope)
_formulas(rules.TanhShrink, lambda rule, x: x - tangent(x), _tanh_shrink_slope)
_formulas(rules.Gelu, lambda rule, x: line_less(x, -FAR, -FAR, x) * normal(x)[0], _gelu_slope)
_formulas(rules.HardSigmoid, _hard_gate, _hard_sigmoid_slope)
_formulas(rules.HardSilu, _hard_silu, _hard_silu_slope)
_formulas(rules.Elu, _elu, _elu_slope)
_formulas(rules.Pieces, _pieces, None)
_formulas(rules.Band, None, _band_slope)
_formulas(rules.Sum, None, _sum)
_formulas(rules.Moved, None, lambda rule, grad, kept: line_equal(kept, 0.0, 0.0, grad))
_formulas(rules.Clipped, None, lambda rule, grad, kept: line_most(abs(kept), 1.0, grad, 0.0))
