"""The functions of `numbaconv.functional` against the reference, on the shared table and on random configurations."""

from dataclasses import replace

import numpy as np
import pytest
from cases import (
    CASES,
    FORMATS,
    WEIGHTED,
    Case,
    assert_close,
    each,
    expected,
    operands,
    output_shape,
    pack,
    reference_result,
    run,
    to_format,
)
from cuts import FITTING_BLOCKS, LARGE_BLOCKS, SMALL_BLOCKS, THREADS
from hypothesis import given, settings
from hypothesis import strategies as st
from input_forms import INPUT_FORMS, misaligned, read_only
from random_cases import random_cases

from numbaconv import functional
from numbaconv.kernels import blend, planes, shift
from numbaconv.kernels import conv as conv_kernel
from numbaconv.kernels import depthwise as depthwise_kernel
from numbaconv.kernels.plan.axes import BLOCK, Axis, H
from numbaconv.kernels.plan.host import HOST
from numbaconv.kernels.plan.plans import make_plan

# One case for each kernel and each way through it; the forms of an input are the same for all others.
FORMS_OF = [
    case
    for case in CASES
    if case.name
    in (
        "conv2d same, strided smoke",
        "depthwise_conv2d multiplier, strided smoke",
        "separable_conv2d strided smoke",
        "conv_transpose2d valid, strided smoke",
        "crop2d each side smoke",
        "zero_pad2d each side smoke",
        "upsample2d nearest smoke",
        "upsample2d bilinear smoke",
    )
]
UNIT = Axis(1, 1, 1, 1, 0, 0)
by_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])
by_format = pytest.mark.parametrize("data_format", FORMATS)


@each(CASES)
@by_dtype
@by_format
def test_matches_the_reference(case, dtype, data_format, poisoned):
    arrays = operands(case, dtype)
    arrays[0] = to_format(arrays[0], data_format)
    before = [array.copy() for array in arrays]
    out = run(case, arrays, data_format)
    assert out.dtype == dtype
    assert out.flags.c_contiguous
    assert out.flags.writeable
    assert out.shape == output_shape(case, data_format)
    assert_close(out, to_format(expected(case), data_format))
    for array, copy in zip(arrays, before, strict=True):
        assert not np.shares_memory(out, array)
        np.testing.assert_array_equal(array, copy)


@each(WEIGHTED)
@by_dtype
def test_packed_weights_give_the_same_bits(case, dtype):
    x, *kernels, bias = operands(case, dtype)
    packed = pack(case, kernels)
    plain = run(case, [x, *kernels, bias])
    for _ in range(2):
        assert run(case, [x, *packed, bias]).tobytes() == plain.tobytes()


@each(WEIGHTED)
@by_dtype
def test_no_bias_is_a_bias_of_zeros(case, dtype):
    x, *kernels, bias = operands(case, dtype)
    assert run(case, [x, *kernels]).tobytes() == run(case, [x, *kernels, np.zeros_like(bias)]).tobytes()


@each(WEIGHTED)
@by_dtype
def test_blocks_and_threads_do_not_change_a_bit(case, dtype, recut, each_thread_count):
    if max(case.shape[1:-1]) > 1000:
        case = replace(case, shape=(2, 400, *case.shape[2:]), settings={})
    arrays = operands(case, dtype)
    usual = run(case, arrays)
    for knobs in (SMALL_BLOCKS, FITTING_BLOCKS, LARGE_BLOCKS):
        recut(knobs)
        for _ in each_thread_count():
            assert run(case, arrays).tobytes() == usual.tobytes()
    for knobs in THREADS:
        recut(knobs)
        assert run(case, arrays).tobytes() == usual.tobytes()


def test_the_knobs_cut_as_they_say():
    axes = (Axis(2, 1, 1, 1, 0, 0), UNIT, Axis(20, 3, 1, 1, 0, 0), Axis(60, 3, 1, 1, 0, 0))
    hosts = [HOST._replace(**knobs) for knobs in (SMALL_BLOCKS, FITTING_BLOCKS, LARGE_BLOCKS)]
    made = [make_plan(axes, 2, 500, 4, host=host) for host in hosts]
    small, fitting, large = ((*m.axes[H:, BLOCK].tolist(), m.group) for m in made)
    assert small[:2] < (20, 60) and small[2] == 1
    assert 1 < fitting[0] * fitting[1] < 1200
    assert large[:2] == (20, 60)
    assert made[2].tasks == 1
    assert not any(m.serial for m in made)


@each(FORMS_OF)
@pytest.mark.parametrize("form", INPUT_FORMS.values(), ids=INPUT_FORMS)
@by_format
@by_dtype
def test_input_forms(case, form, data_format, dtype):
    """Every form gives what the contiguous array of the same values gives, in float64 where it holds float64."""
    _, *weights = operands(case, "float32")
    x = form(to_format(np.random.default_rng(0).integers(-3, 4, case.shape).astype(dtype), data_format))
    plain = np.array(x, order="C", subok=False)
    wanted = np.float64 if plain.dtype.kind == "f" and plain.dtype.itemsize == 8 else np.float32
    if wanted != dtype:
        pytest.skip("it holds the other precision, whatever it was made of")
    out = run(case, [x, *weights], data_format)
    assert type(out) is np.ndarray
    assert out.dtype == wanted
    assert out.tobytes() == run(case, [plain.astype(wanted), *weights], data_format).tobytes()


@each(FORMS_OF)
def test_memory_mapped_input(case, tmp_path):
    x, *weights = operands(case, "float32")
    np.save(tmp_path / "x.npy", x)
    out = run(case, [np.load(tmp_path / "x.npy", mmap_mode="r"), *weights])
    assert type(out) is np.ndarray
    assert out.tobytes() == run(case, [x, *weights]).tobytes()


@each([case for case in FORMS_OF if case.has_weights])
def test_forms_of_weights_and_bias(case):
    x, *weights = operands(case, "float32")
    plain = run(case, [x, *weights])
    for form in (np.asfortranarray, read_only, misaligned, lambda w: w.astype(">f4"), lambda w: w[::-1].copy()[::-1]):
        assert run(case, [x, *map(form, weights)]).tobytes() == plain.tobytes()


@pytest.mark.double
@each([case for case in FORMS_OF if case.has_weights])
def test_lists_of_weights_and_bias(case):
    x, *weights = operands(case, "float32")
    lists = run(case, [x, *(w.tolist() for w in weights)])
    assert_close(lists, run(case, [a.astype(np.float64) for a in (x, *weights)]))


@pytest.mark.double
@each([case for case in FORMS_OF if case.has_weights])
def test_one_float64_operand_makes_the_result_float64(case):
    arrays = operands(case, "float32")
    for i in range(len(arrays)):
        mixed = [a.astype(np.float64) if i == j else a for j, a in enumerate(arrays)]
        out = run(case, mixed)
        assert out.dtype == np.float64
        assert_close(out, expected(case))


@pytest.mark.parametrize("dtype", ["complex64", "object", "U3", "S3", "datetime64[s]"])
@each(FORMS_OF)
def test_other_kinds_of_input_are_refused(case, dtype):
    x, *weights = operands(case)
    with pytest.raises(TypeError, match="x must hold real numbers"):
        run(case, [np.zeros(x.shape, dtype), *weights])
    for i in range(len(weights)):
        wrong = [np.zeros(w.shape, dtype) if i == j else w for j, w in enumerate(weights)]
        with pytest.raises(TypeError, match=r"(weights|bias) must hold real numbers"):
            run(case, [x, *wrong])


@pytest.mark.situation("NaN, Inf, denormals, -0.0")
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@each([case for case in CASES if case.shape[0] and np.prod(case.shape) < 2000])
@by_dtype
def test_infinities_and_nan_stay_within_their_windows(case, value, dtype):
    """One such value in each corner and in the middle; padding beside it must not turn it into anything else."""
    for where in (0, -1, None):
        arrays = operands(case)
        arrays[0][tuple(n // 2 if where is None else where for n in case.shape)] = value
        wanted = reference_result(case, arrays)
        out = run(case, [a.astype(dtype) for a in arrays])
        np.testing.assert_array_equal(np.isnan(out), np.isnan(wanted))
        np.testing.assert_array_equal(out[np.isinf(wanted)], wanted[np.isinf(wanted)])
        assert_close(np.where(np.isfinite(wanted), out, 0).astype(dtype), np.where(np.isfinite(wanted), wanted, 0))


@by_dtype
@settings(max_examples=200)
@given(case=random_cases(), data_format=st.sampled_from(FORMATS))
def test_random_configurations(case, data_format, dtype):
    arrays = operands(case)
    wanted = to_format(reference_result(case, arrays), data_format)
    arrays[0] = to_format(arrays[0], data_format)
    assert_close(run(case, [a.astype(dtype) for a in arrays], data_format), wanted)


@st.composite
def cases_of_neighbours(draw):
    """Depthwise steps whose windows overlap in a tile, of channels that fill vectors, near and beyond the edges."""
    operation, rank = draw(st.sampled_from(["depthwise_conv", "separable_conv"])), draw(st.integers(1, 3))
    lengths = (*(draw(st.integers(1, 5)) for _ in range(rank - 1)), draw(st.integers(6, 70)))
    kernel_size = (*(draw(st.integers(1, 3)) for _ in range(rank - 1)), draw(st.integers(3, 20)))
    step = draw(st.integers(1, 2))
    arguments = {
        "padding": draw(st.sampled_from(["same", *(["causal"] if rank == 1 else [])])),
        "strides": (*(draw(st.integers(1, 2)) for _ in range(rank - 1)), step),
        "dilation_rate": (*(1 for _ in range(rank - 1)), step),
    }
    shape = (draw(st.integers(1, 3)), *lengths, draw(st.sampled_from([8, 16, 32, 48])))
    return Case("neighbours", operation, shape, kernel_size, draw(st.sampled_from([3, 20])), 1, arguments)


@by_dtype
@settings(max_examples=100)
@given(case=cases_of_neighbours(), data_format=st.sampled_from(FORMATS))
def test_random_neighbours(case, data_format, dtype):
    arrays = operands(case)
    wanted = to_format(reference_result(case, arrays), data_format)
    arrays[0] = to_format(arrays[0], data_format)
    assert_close(run(case, [a.astype(dtype) for a in arrays], data_format), wanted)


@by_dtype
@pytest.mark.parametrize("data_format", FORMATS)
def test_short_rows_are_moved_line_by_line(data_format, dtype):
    """Rows around the length of a line, with and without zeros between them, and arrays that end within a task."""
    rng = np.random.default_rng(0)
    for width in (*range(1, 19), *range(30, 35), 47, 126, 129):
        batch, height, (a, b), (top, bottom) = rng.integers(1, 60), rng.integers(3, 7), *rng.integers(0, 3, (2, 2))
        shape = (batch, 3, height, width) if data_format == "channels_first" else (batch, height, width, 3)
        x = rng.standard_normal(shape).astype(dtype)
        axis = 2 if data_format == "channels_first" else 1
        pads = [(0, 0)] * 4
        pads[axis : axis + 2] = (top, bottom), (a, b)
        padded = functional.zero_pad(x, pads[axis : axis + 2], data_format=data_format)
        np.testing.assert_array_equal(padded, np.pad(x, pads))
        cropped = functional.crop(padded, pads[axis : axis + 2], data_format=data_format)
        np.testing.assert_array_equal(cropped, x)


@by_dtype
def test_boxes_are_moved_by_tasks_that_begin_within_rows(recut, monkeypatch, dtype):
    monkeypatch.setattr(shift, "TASK_VALUES", 50)
    recut({})
    for shape, pads in (
        ((2, 3, 5, 7, 40), ((1, 2), (3, 0), (2, 1))),
        ((2, 3, 5, 70, 4), ((1, 2), (0, 0), (1, 70))),
        ((1, 3, 1, 7, 170), ((3, 0), (0, 0), (0, 0))),
    ):
        x = np.arange(np.prod(shape), dtype=dtype).reshape(shape)
        padded = functional.zero_pad(x, pads)
        np.testing.assert_array_equal(padded, np.pad(x, ((0, 0), *pads, (0, 0))))
        np.testing.assert_array_equal(functional.crop(padded, pads), x)


def test_each_kernel_is_compiled_for_two_dtypes_only():
    """After all of the above: odd arrays are converted before a kernel sees them, not compiled for."""
    formats = 2
    for kernel, kinds in (
        (conv_kernel.conv, 2 * formats),
        (depthwise_kernel.depthwise_conv, formats),
        (planes.transpose, 1),
        (blend.blend, 2),
        (shift.shift, 1),
    ):
        assert len(kernel.dispatcher.signatures) <= 2 * kinds, kernel.dispatcher.signatures
