"""Initializers, regularizers and constraints: definitions, names, configurations and errors."""

import json
import math

import numpy as np
import pytest

from numbaconv import config, constraints, initializers, regularizers

INF, NAN = math.inf, math.nan


# --- regularizers


@pytest.mark.parametrize(
    ("regularizer", "expected"),
    [
        (regularizers.L1(0.5), 0.5 * 6),
        (regularizers.L2(0.5), 0.5 * 14),
        (regularizers.L1L2(0.5, 0.25), 0.5 * 6 + 0.25 * 14),
        (regularizers.L1L2(), 0),
        (regularizers.l1_l2(), 0.01 * 6 + 0.01 * 14),
        (regularizers.get("l1"), 0.01 * 6),
        (regularizers.get("L2"), 0.01 * 14),
        (regularizers.get("l1_l2"), 0.01 * 6 + 0.01 * 14),
        (regularizers.get("L1L2"), 0.01 * 6 + 0.01 * 14),
    ],
)
def test_regularizer_by_hand(regularizer, expected):
    penalty = regularizer(np.array([[1, -2], [-3, 0]], "float32"))
    assert type(penalty) is float
    assert penalty == pytest.approx(expected, rel=1e-15)


def test_a_factor_of_zero_leaves_its_term_out():
    assert regularizers.L1L2(l1=1)(np.array([INF])) == INF
    assert regularizers.L1L2(l2=1)(np.array([-INF])) == INF
    assert regularizers.L1(1)(np.zeros((0, 3))) == 0
    assert regularizers.L1L2(l1=1).gradient(np.array([INF])) == 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("regularizer", "expected"),
    [
        (regularizers.L1(0.5), [[0.5, -0.5], [-0.5, 0]]),
        (regularizers.L2(0.25), [[0.5, -1], [-1.5, 0]]),
        (regularizers.L1L2(0.5, 0.25), [[1, -1.5], [-2, 0]]),
        (regularizers.L1L2(), [[0, 0], [0, 0]]),
        ("l1_l2", [[0.03, -0.05], [-0.07, 0]]),
    ],
)
def test_regularizer_gradient_by_hand(regularizer, expected, dtype):
    x = np.array([[1, -2], [-3, 0]], dtype)
    before = x.copy()
    gradient = regularizers.gradient(regularizer)(x)
    assert gradient.dtype == dtype
    assert not np.shares_memory(gradient, x)
    np.testing.assert_allclose(gradient, expected, rtol=1e-6)
    np.testing.assert_array_equal(x, before)


def test_regularizer_gradient_beside_finite_differences():
    x, step = np.random.default_rng(0).normal(size=(3, 2)), 1e-6
    for regularizer in (regularizers.L1(0.3), regularizers.L2(0.7), regularizers.L1L2(0.3, 0.7)):
        gradient = regularizer.gradient(x)
        for i in np.ndindex(x.shape):
            above, below = x.copy(), x.copy()
            above[i] += step
            below[i] -= step
            assert gradient[i] == pytest.approx((regularizer(above) - regularizer(below)) / (2 * step), rel=1e-6)


def test_regularizer_gradient_of_the_users():
    def penalty(x):
        return float(np.sum(x**4))

    for without in (penalty, None):
        with pytest.raises(ValueError, match=r"regularizer must have an attribute 'gradient', .*, got .* without"):
            regularizers.gradient(without)
    penalty.gradient = lambda x: 4 * x**3
    assert regularizers.gradient(penalty) is penalty.gradient


# --- constraints


@pytest.mark.parametrize(
    ("constraint", "w", "expected"),
    [
        (constraints.MaxNorm(), [[3.0, 0.6], [4.0, 0.8]], [[1.2, 0.6], [1.6, 0.8]]),
        (constraints.MaxNorm(1, axis=1), [[3.0, 4.0], [0.3, 0.4]], [[0.6, 0.8], [0.3, 0.4]]),
        (constraints.NonNeg(), [[-1.0, 2.0], [0.0, NAN]], [[0.0, 2.0], [0.0, NAN]]),
        (constraints.UnitNorm(), [[3.0, 0.0], [4.0, 0.0]], [[0.6, 0.0], [0.8, 0.0]]),
        (constraints.UnitNorm([0, 1]), [[1.0, 1.0], [-1.0, 1.0]], [[0.5, 0.5], [-0.5, 0.5]]),
        (constraints.MinMaxNorm(1, 2), [[3.0, 0.3], [4.0, 0.4]], [[1.2, 0.6], [1.6, 0.8]]),
        (constraints.MinMaxNorm(0, 1, rate=0.5), [[3.0], [4.0]], [[1.8], [2.4]]),
        (constraints.MaxNorm(), [[3e30], [4e30]], [[1.2], [1.6]]),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_constraint_by_hand(constraint, w, expected, dtype):
    w = np.array(w, dtype)
    before = w.copy()
    constrained = constraint(w)
    assert constrained.dtype == dtype
    assert not np.shares_memory(constrained, w)
    np.testing.assert_allclose(constrained, expected, rtol=1e-6)
    np.testing.assert_array_equal(w, before)


def test_constraints_use_the_configured_epsilon():
    config.set_epsilon(3.0)
    try:
        assert constraints.UnitNorm()(np.array([1.0])) == 0.25
    finally:
        config.set_epsilon(1e-7)


# --- initializers

RANDOM = [
    initializers.RandomNormal,
    initializers.RandomUniform,
    initializers.TruncatedNormal,
    initializers.VarianceScaling,
    initializers.GlorotNormal,
    initializers.GlorotUniform,
    initializers.HeNormal,
    initializers.HeUniform,
    initializers.LecunNormal,
    initializers.LecunUniform,
    initializers.Orthogonal,
]


def test_constant_initializers():
    np.testing.assert_array_equal(initializers.Zeros()((2, 3)), np.zeros((2, 3)))
    np.testing.assert_array_equal(initializers.Ones()((2, 3)), np.ones((2, 3)))
    np.testing.assert_array_equal(initializers.Constant(2.5)((2, 3)), np.full((2, 3), 2.5))
    np.testing.assert_array_equal(initializers.Identity(2)((2, 3)), [[2, 0, 0], [0, 2, 0]])


@pytest.mark.parametrize("cls", [initializers.Zeros, initializers.Ones, initializers.Constant, *RANDOM])
@pytest.mark.parametrize("shape", [(3, 3, 4, 5), [5, 2], (2, 5), (0, 3), (np.int64(3), 4)])
def test_initializer_shape_dtype_and_layout(cls, shape):
    for dtype, expected in [(None, "float32"), ("float64", "float64"), (np.float32, "float32")]:
        values = cls()(shape, dtype=dtype)
        assert type(values) is np.ndarray
        assert values.shape == tuple(shape)
        assert values.dtype == expected
        assert values.flags.c_contiguous
        assert values.flags.writeable


@pytest.mark.parametrize("cls", RANDOM)
def test_seeds(cls):
    shape = (3, 4, 5)
    first = cls(seed=7)(shape)
    seeded = cls(seed=7)
    np.testing.assert_array_equal(seeded(shape), first)
    np.testing.assert_array_equal(seeded(shape), first)
    np.testing.assert_array_equal(cls(seed=np.int32(7))(shape, "float64").astype("float32"), first)
    unseeded = cls()
    assert not any(np.array_equal(other(shape), first) for other in (cls(seed=8), cls(seed=-7), unseeded))
    assert not np.array_equal(unseeded(shape), unseeded(shape))


def test_floatx_is_the_default_dtype():
    config.set_floatx("float64")
    try:
        assert initializers.GlorotUniform()((2, 2)).dtype == "float64"
    finally:
        config.set_floatx("float32")


# Kernel (3, 3, 40, 60): fan_in = 9 * 40 = 360, fan_out = 9 * 60 = 540, their mean 450. 21600 values: the standard error
# of the mean is 0.7 % of the deviation, that of the deviation under 0.5 % of it; the tolerances are five times that.
@pytest.mark.parametrize(
    ("initializer", "variance", "bound"),
    [
        (initializers.GlorotUniform(0), 1 / 450, math.sqrt(3 / 450)),
        (initializers.GlorotNormal(0), 1 / 450, 2 / 0.87962566 * math.sqrt(1 / 450)),
        (initializers.HeUniform(0), 2 / 360, math.sqrt(6 / 360)),
        (initializers.HeNormal(0), 2 / 360, 2 / 0.87962566 * math.sqrt(2 / 360)),
        (initializers.LecunUniform(0), 1 / 360, math.sqrt(3 / 360)),
        (initializers.LecunNormal(0), 1 / 360, 2 / 0.87962566 * math.sqrt(1 / 360)),
        (initializers.VarianceScaling(3, "fan_out", "uniform", 0), 3 / 540, math.sqrt(9 / 540)),
        (initializers.VarianceScaling(1, "fan_in", "Normal", 0, [2], [3]), 1 / 40, 2 / 0.87962566 * math.sqrt(1 / 40)),
        (initializers.RandomUniform(seed=0), 0.1**2 / 12, 0.05),
        (initializers.TruncatedNormal(seed=0), (0.05 * 0.87962566) ** 2, 0.1),
    ],
)
def test_distribution_within_bounds(initializer, variance, bound):
    values = initializer((3, 3, 40, 60))
    assert abs(values.mean()) < 0.035 * math.sqrt(variance)
    assert values.std() == pytest.approx(math.sqrt(variance), rel=0.025)
    assert 0.98 * bound < np.abs(values).max() <= bound * (1 + 1e-6)


@pytest.mark.parametrize(
    ("initializer", "mean", "stddev"),
    [
        (initializers.RandomNormal(seed=0), 0, 0.05),
        (initializers.RandomNormal(3, 0.5, seed=0), 3, 0.5),
        (initializers.VarianceScaling(1, "fan_avg", "untruncated_normal", 0), 0, math.sqrt(1 / 450)),
    ],
)
def test_untruncated_normal(initializer, mean, stddev):
    values = initializer((3, 3, 40, 60))
    assert abs(values.mean() - mean) < 0.035 * stddev
    assert values.std() == pytest.approx(stddev, rel=0.025)
    # 0.27 % of a normal distribution lies beyond three standard deviations.
    assert 0.001 < np.mean(np.abs(values - mean) > 3 * stddev) < 0.006


@pytest.mark.parametrize(("shape", "fan_in"), [((), 1), ((7,), 7), ((7, 5), 7), ((2, 7, 5), 14), ((2, 2, 2, 7, 5), 56)])
def test_fan_in_of_every_rank(shape, fan_in):
    # The same seed draws the same numbers, so the scale alone is left.
    values = initializers.LecunUniform(3)(shape, "float64")
    unscaled = initializers.RandomUniform(-math.sqrt(3), math.sqrt(3), seed=3)(shape, "float64")
    np.testing.assert_allclose(values, unscaled / math.sqrt(fan_in), rtol=1e-12)


@pytest.mark.parametrize("shape", [(4, 4), (6, 3), (3, 6), (2, 3, 4, 5), (1, 1, 4, 9)])
def test_orthogonal(shape):
    matrix = initializers.Orthogonal(gain=2, seed=0)(shape, "float64").reshape(-1, shape[-1])
    rows, columns = matrix.shape
    product = matrix.T @ matrix if rows >= columns else matrix @ matrix.T
    np.testing.assert_allclose(product, 4 * np.eye(min(rows, columns)), atol=1e-13)


def test_orthogonal_has_no_preferred_sign():
    corners = [initializers.Orthogonal(seed=seed)((3, 3))[0, 0] > 0 for seed in range(200)]
    assert 70 < sum(corners) < 130


# --- names, configs and errors, for all three families

OBJECTS = [
    (initializers, initializers.Zeros()),
    (initializers, initializers.Constant(3)),
    (initializers, initializers.Identity(gain=0.5)),
    (initializers, initializers.RandomNormal(1, 2, 3)),
    (initializers, initializers.RandomUniform(-1, 2, np.int64(3))),
    (initializers, initializers.TruncatedNormal(np.float32(1), 2, -3)),
    (initializers, initializers.VarianceScaling(2, "fan_out", "uniform", 5, (0, 1), (2,))),
    (initializers, initializers.HeNormal(4)),
    (initializers, initializers.Orthogonal(2, 3)),
    (regularizers, regularizers.L1(0.1)),
    (regularizers, regularizers.L2(np.float64(0.2))),
    (regularizers, regularizers.L1L2(0.1, 0.2)),
    (constraints, constraints.MaxNorm(3, (0, 1))),
    (constraints, constraints.NonNeg()),
    (constraints, constraints.UnitNorm(np.int64(1))),
    (constraints, constraints.MinMaxNorm(0.5, 1.5, 0.5, [0, 1])),
]


@pytest.mark.parametrize(("module", "instance"), OBJECTS)
def test_config_round_trip(module, instance):
    serialized = module.serialize(instance)
    assert json.loads(json.dumps(serialized)) == serialized
    again = module.get(serialized)
    assert type(again) is type(instance)
    assert again == instance
    assert hash(again) == hash(instance)
    assert eval(repr(instance), vars(module)) == instance


def test_equality():
    assert initializers.HeNormal(1) != initializers.HeNormal(2)
    assert initializers.HeNormal(1) != initializers.HeUniform(1)
    assert initializers.Zeros() != "zeros"
    assert repr(initializers.Constant(2)) == "Constant(value=2.0)"


@pytest.mark.parametrize(
    ("module", "names", "cls"),
    [
        (initializers, "zeros Zeros zero", "Zeros"),
        (initializers, "ones Ones one", "Ones"),
        (initializers, "constant Constant", "Constant"),
        (initializers, "identity Identity", "Identity"),
        (initializers, "random_normal RandomNormal normal", "RandomNormal"),
        (initializers, "random_uniform RandomUniform uniform", "RandomUniform"),
        (initializers, "truncated_normal TruncatedNormal", "TruncatedNormal"),
        (initializers, "variance_scaling VarianceScaling", "VarianceScaling"),
        (initializers, "glorot_normal GlorotNormal", "GlorotNormal"),
        (initializers, "glorot_uniform GlorotUniform", "GlorotUniform"),
        (initializers, "he_normal HeNormal", "HeNormal"),
        (initializers, "he_uniform HeUniform", "HeUniform"),
        (initializers, "lecun_normal LecunNormal", "LecunNormal"),
        (initializers, "lecun_uniform LecunUniform", "LecunUniform"),
        (initializers, "orthogonal Orthogonal", "Orthogonal"),
        (regularizers, "l1 L1", "L1"),
        (regularizers, "l2 L2", "L2"),
        (regularizers, "l1_l2 L1L2", "L1L2"),
        (constraints, "max_norm MaxNorm", "MaxNorm"),
        (constraints, "non_neg NonNeg", "NonNeg"),
        (constraints, "unit_norm UnitNorm", "UnitNorm"),
        (constraints, "min_max_norm MinMaxNorm", "MinMaxNorm"),
    ],
)
def test_names(module, names, cls):
    for name in names.split():
        assert type(module.get(name)) is getattr(module, cls)
        assert type(module.get({"class_name": name})) is getattr(module, cls)
    assert type(module.get(getattr(module, cls))) is getattr(module, cls)


@pytest.mark.parametrize("module", [initializers, regularizers, constraints])
def test_identifiers(module):
    def custom(*arguments):
        return 0.0

    assert module.get(custom) is custom
    with pytest.raises(TypeError, match=r"custom"):
        module.serialize(custom)
    with pytest.raises(ValueError, match=r"must be one of .*, got 'glorot'"):
        module.get("glorot")
    with pytest.raises(ValueError, match=r"must be one of .*, got 'Glorot'"):
        module.get({"class_name": "Glorot", "config": {}})
    with pytest.raises(ValueError, match=r"'class_name' and 'config'"):
        module.get({"config": {}})
    for wrong in (3, [], object()):
        with pytest.raises(TypeError, match=r"must be a name, a class, a config or a callable"):
            module.get(wrong)


def test_none():
    assert initializers.get(None) == initializers.GlorotUniform()
    for module in (regularizers, constraints):
        assert module.get(None) is None
        assert module.serialize(None) is None


def test_configs_that_name_what_is_wrong():
    with pytest.raises(TypeError, match=r"Constant takes value, got valu"):
        initializers.get({"class_name": "Constant", "config": {"valu": 1}})
    with pytest.raises(TypeError, match=r"Zeros takes no arguments, got value"):
        initializers.Zeros.from_config({"value": 1})
    with pytest.raises(TypeError, match=r"config of L1 must be a dict, got 0.1"):
        regularizers.get({"class_name": "L1", "config": 0.1})
    with pytest.raises(ValueError, match=r"'conf'"):
        regularizers.get({"class_name": "L1", "conf": {}})


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: initializers.Constant("1"), TypeError, "value must be a finite number, got '1'"),
        (lambda: initializers.Constant(NAN), ValueError, "value must be a finite number, got nan"),
        (lambda: initializers.Constant(10**400), ValueError, "value must be a finite number, got 1000"),
        (lambda: initializers.RandomNormal(stddev=-1), ValueError, "stddev must be a finite number >= 0, got -1"),
        (lambda: initializers.TruncatedNormal(stddev=-1), ValueError, "stddev must be a finite number >= 0, got -1"),
        (lambda: initializers.RandomUniform(1, 0), ValueError, "maxval must be a finite number >= 1, got 0"),
        (lambda: initializers.VarianceScaling(0), ValueError, "scale must be a finite number > 0, got 0"),
        (lambda: initializers.VarianceScaling(mode="fan"), ValueError, "mode must be .*, got 'fan'"),
        (lambda: initializers.VarianceScaling(distribution="beta"), ValueError, "distribution must be .*, got 'beta'"),
        (lambda: initializers.VarianceScaling(input_axes=[0]), ValueError, "must be given together"),
        (
            lambda: initializers.VarianceScaling(input_axes=[0], output_axes=[2])((2, 3)),
            ValueError,
            r"must be axes of the shape \(2, 3\), got \(0, 2\)",
        ),
        (lambda: initializers.GlorotUniform(seed=1.0), TypeError, r"seed must be an integer, got 1\.0"),
        (lambda: initializers.GlorotUniform(seed=True), TypeError, "seed must be an integer, got True"),
        (lambda: initializers.Identity()((2, 2, 2)), ValueError, r"must have 2 axes .*, got \(2, 2, 2\)"),
        (lambda: initializers.Orthogonal()((2,)), ValueError, r"must have 2 axes or more .*, got \(2,\)"),
        (lambda: initializers.Zeros()((2, -1)), ValueError, r"shape must be .*, got \(2, -1\)"),
        (lambda: initializers.Zeros()((2,), "int32"), TypeError, "dtype must be a float dtype .*, got 'int32'"),
        (lambda: initializers.Initializer()((2,)), NotImplementedError, "Initializer must define __call__"),
        (lambda: regularizers.L1(-1), ValueError, "l1 must be a finite number >= 0, got -1"),
        (lambda: regularizers.L2(INF), ValueError, "l2 must be a finite number >= 0, got inf"),
        (lambda: regularizers.L1L2(0, True), TypeError, "l2 must be a finite number >= 0, got True"),
        (lambda: constraints.MaxNorm(-1), ValueError, "max_value must be a finite number >= 0, got -1"),
        (lambda: constraints.MaxNorm(axis=0.5), TypeError, r"axis must be an integer, got 0\.5"),
        (lambda: constraints.MinMaxNorm(2, 1), ValueError, "max_value must be a finite number >= 2, got 1"),
        (lambda: constraints.MinMaxNorm(rate=1.5), ValueError, r"rate must be .* >= 0 and <= 1, got 1\.5"),
    ],
)
def test_arguments_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()
