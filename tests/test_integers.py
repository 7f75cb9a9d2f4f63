"""Convolutions of integers: the exact sum, made to fit its dtype once."""

import importlib
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from integer_sums import DTYPES, convolution, fill, first_misfit, fitted, limits
from problems import problems, seeds

import refconv
from refconv.kernels import isa
from refconv.problem import ConvProblem

ALGORITHMS = ["auto", "direct"]
every_algorithm = pytest.mark.parametrize("algorithm", ALGORITHMS)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)

# Numbers of up to so many bits: sums in int32 are possible, only just, and never; then those modulo 2^64.
BITS = [3, 8, 14, 15, 16, 25, 31, 32, 63, 64]


def described(input, weight, bias, arguments):
    return ConvProblem.from_shapes(input.shape, weight.shape, None if bias is None else bias.shape, **arguments)


def dot(x, w, **options):
    """The sum of x[i] * w[i], as a convolution over one pixel with a channel for every i."""
    return refconv.conv2d(np.reshape(x, (1, -1, 1, 1)), np.reshape(w, (1, -1, 1, 1)), **options).reshape(())


def check(input, weight, bias, arguments, dtype, algorithm):
    """All three kinds of overflow against sums in Python integers."""
    sums = convolution(described(input, weight, bias, arguments), input, weight, bias)
    options = {**arguments, "dtype": dtype, "algorithm": algorithm}
    for overflow in ("wrap", "saturate"):
        found = refconv.conv2d(input, weight, bias, **options, overflow=overflow)
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, fitted(sums, dtype, overflow), overflow)
    if (misfit := first_misfit(sums, dtype)) is None:
        np.testing.assert_array_equal(refconv.conv2d(input, weight, bias, **options), sums)
        return
    index, value = misfit
    text = f"the output at index {index} is {value}, which does not fit in {dtype}"
    with pytest.raises(refconv.ConvError, match=f"^{re.escape(text)};"):
        refconv.conv2d(input, weight, bias, **options)


# ---------------------------------------------------------------------------------------------------------------------
# By hand
# ---------------------------------------------------------------------------------------------------------------------


@every_algorithm
@every_dtype
def test_results_are_sums_in_a_wider_dtype(dtype, algorithm):
    x = np.array([[[[1, 2, 3], [4, 5, 6], [7, 8, 9]]]], dtype)
    w = np.array([[[[20, 0], [0, 10]]]], dtype)
    y = refconv.conv2d(x, w, np.array([1], dtype), algorithm=algorithm)
    assert y.tolist() == [[[[71, 101], [161, 191]]]]
    assert y.dtype == ("int32" if np.dtype(dtype).itemsize <= 2 else "int64")


def test_products_of_the_narrowest_dtypes_are_not_narrow():
    assert dot(np.int8([-128] * 3), np.int8([-128] * 3)) == 3 * 128**2
    assert dot(np.uint8([255] * 3), np.uint8([255] * 3)) == 3 * 255**2


# A number of equal operands x and w of a dtype, and the sum that they give: at a limit of some arithmetic, and beyond.
AT_LIMITS = [
    ("int8", -128, -128, 2**17 - 1, "int32"),
    ("int8", -128, -128, 2**17, "int32"),
    ("int8", -128, 127, 2**17, "int32"),
    ("int16", -(2**15), -(2**15), 1, "int32"),
    ("int16", -(2**15), -(2**15), 2, "int32"),
    ("int16", -(2**15), 2**15 - 1, 2, "int32"),
    ("int16", -(2**15), -(2**15), 4, "uint32"),
    ("uint16", 2**16 - 1, 2**16 - 1, 1, "uint32"),
    ("uint16", 2**16 - 1, 2**16 - 1, 2, "uint32"),
    ("int32", -(2**31), -(2**31), 1, "int64"),
    ("int32", -(2**31), -(2**31), 2, "int64"),
    ("int32", -(2**31), 2**31 - 1, 2, "int64"),
    ("int32", -(2**31), -(2**31), 4, "uint64"),
    ("uint32", 2**32 - 1, 2**32 - 1, 1, "int64"),
    ("uint32", 2**32 - 1, 2**32 - 1, 2, "uint64"),
    ("int64", -(2**63), 1, 1, "int64"),
    ("int64", -(2**63), -1, 1, "int64"),
    ("int64", -(2**63), -1, 1, "uint64"),
    ("int64", -(2**63), -(2**63), 5, "int64"),
    ("int64", -(2**63), 2**63 - 1, 3, "int64"),
    ("uint64", 2**64 - 1, 1, 1, "int64"),
    ("uint64", 2**64 - 1, 1, 1, "uint64"),
    ("uint64", 2**32, 2**32, 1, "uint64"),
    ("uint64", 2**64 - 1, 2**64 - 1, 7, "uint64"),
]


@every_algorithm
@pytest.mark.parametrize(("operands", "x", "w", "count", "dtype"), AT_LIMITS)
def test_sums_at_the_limits_of_every_arithmetic(operands, x, w, count, dtype, algorithm):
    xs, ws = np.full((1, count, 1, 1), x, operands), np.full((1, count, 1, 1), w, operands)
    check(xs, ws, None, {}, dtype, algorithm)


@every_algorithm
@every_dtype
@pytest.mark.parametrize("beyond", [-1, 0, 1, 2])
def test_raise_wrap_and_saturate_begin_exactly_at_the_limits(dtype, beyond, algorithm):
    least, greatest = limits(dtype)
    for limit, step in ((greatest, 1), (least, -1)):
        # `limit` is a uint64 if it must be, and the step an operand of its own.
        x = np.array([limit], "uint64" if limit > 0 else "int64").reshape(1, 1, 1, 1)
        w, b = np.ones((1, 1, 1, 1), "int8"), np.array([step * beyond], "int16")
        check(x, w, b, {}, dtype, algorithm)
        if beyond <= 0:
            assert refconv.conv2d(x, w, b, dtype=dtype, algorithm=algorithm).item() == limit + step * beyond
        else:
            other = least if step > 0 else greatest
            wrapped = refconv.conv2d(x, w, b, dtype=dtype, algorithm=algorithm, overflow="wrap")
            saturated = refconv.conv2d(x, w, b, dtype=dtype, algorithm=algorithm, overflow="saturate")
            assert (wrapped.item(), saturated.item()) == (other + step * (beyond - 1), limit)


@every_algorithm
def test_only_the_sum_has_to_fit_and_no_part_of_it(algorithm):
    x, w = np.array([2**62, 2**62, -(2**62), 7]), np.array([4, 4, 8, 1])
    assert dot(x, w, algorithm=algorithm) == 7
    assert dot(x, w, algorithm=algorithm, overflow="saturate") == 7
    assert dot(x.astype(np.uint64)[:2], w[:2].astype(np.int8) * -1, dtype="int64", overflow="wrap") == 0


@every_algorithm
def test_the_bias_is_part_of_the_sum(algorithm):
    x, w = np.full((1, 1, 1, 1), 100, np.int8), np.ones((1, 1, 1, 1), np.int8)
    for bias, result in ((27, 127), (28, None), (-128, -28)):
        b = np.array([bias], np.int8)
        if result is None:
            assert refconv.conv2d(x, w, b, dtype="int8", algorithm=algorithm, overflow="saturate").item() == 127
        else:
            assert refconv.conv2d(x, w, b, dtype="int8", algorithm=algorithm).item() == result


@every_algorithm
def test_without_channels_the_result_is_the_bias(algorithm):
    x, w, b = np.ones((2, 0, 3, 3), np.int8), np.ones((3, 0, 2, 2), np.int8), np.array([5, -6, 127], np.int8)
    y = refconv.conv2d(x, w, b, algorithm=algorithm)
    assert y.dtype == np.int32
    assert (y == b.reshape(3, 1, 1)).all()
    with pytest.raises(refconv.ConvError, match=r"index \(0, 1, 0, 0\) is -6, which does not fit in uint8"):
        refconv.conv2d(x, w, b, dtype="uint8", algorithm=algorithm)


@every_algorithm
def test_an_empty_batch_gives_an_empty_result(algorithm):
    y = refconv.conv2d(np.ones((0, 2, 5, 4), np.uint8), np.ones((3, 2, 2, 2), np.uint8), algorithm=algorithm)
    assert (y.shape, y.dtype) == ((0, 3, 4, 3), np.int32)


def test_without_a_batch_axis_the_index_has_none_either():
    with pytest.raises(refconv.ConvError, match=r"the output at index \(0, 1, 0\) is 200, which"):
        refconv.conv2d(np.array([[[1], [100]]], np.int8), np.full((1, 1, 1, 1), 2, np.int8), dtype="int8")


def test_the_dot_product_of_integers_is_exact_too():
    assert refconv.exact_dot([2**62, 3], [-2, 5]) == -(2**63) + 15
    assert refconv.exact_dot(np.uint8([200]), np.uint8([200]), dtype="uint8", overflow="wrap") == 40000 % 256
    with pytest.raises(refconv.ConvError, match=r"is 9223372036854775808, which does not fit in int64"):
        refconv.exact_dot([2**62], [2])


# ---------------------------------------------------------------------------------------------------------------------
# Against Python's integers
# ---------------------------------------------------------------------------------------------------------------------


@every_dtype
@settings(max_examples=100, deadline=None)
@given(
    problem=problems(),
    seed=seeds,
    bits=st.tuples(*[st.sampled_from(BITS)] * 3),
    result=st.sampled_from(DTYPES),
    algorithm=st.sampled_from(ALGORITHMS),
)
def test_every_geometry_gives_exact_sums(dtype, problem, seed, bits, result, algorithm):
    x, w, b = (
        None if shape is None else fill(seed + i, dtype, bits[i])(shape)
        for i, shape in enumerate(
            (problem.input_shape, problem.weight_shape, problem.bias_shape if problem.bias else None)
        )
    )
    check(x, w, b, problem.arguments, result, algorithm)


@settings(max_examples=300, deadline=None)
@given(
    problem=problems(),
    seed=seeds,
    bits=st.tuples(*[st.sampled_from(BITS)] * 3),
    dtypes=st.tuples(*[st.sampled_from(DTYPES)] * 4),
    algorithm=st.sampled_from(ALGORITHMS),
)
def test_operands_of_several_dtypes_are_combined_exactly(problem, seed, bits, dtypes, algorithm):
    shapes = problem.input_shape, problem.weight_shape, problem.bias_shape
    x, w, b = (fill(seed + i, dtypes[i], bits[i])(shapes[i]) for i in range(3))
    check(x, w, b if problem.bias else None, problem.arguments, dtypes[3], algorithm)


def test_only_input_of_a_byte_is_summed_four_at_a_time():
    x = np.arange(-500, 500, dtype=np.int16).reshape(1, 8, 5, 25)
    w = np.ones((5, 8, 1, 1), np.int8)
    y = refconv.conv2d(x, w, dtype=np.int32, algorithm="blocked")
    assert (y == x.astype(np.int32).sum(1, keepdims=True)).all()


# Channels in and out of a group around those of a tile and of a pair; images wider than what is stored at a time.
LAYERS = [
    pytest.param(C, K, size, kernel, arguments, id=f"{C}-{K}-{size}-{kernel}-{'-'.join(map(str, arguments.values()))}")
    for C, K, size, kernel, arguments in [
        (1, 1, (9, 70), (3, 3), {"padding": 1}),
        (2, 4, (5, 131), (2, 3), {"padding": (1, 0)}),
        (3, 5, (6, 66), (3, 2), {}),
        (5, 15, (7, 65), (1, 1), {}),
        (8, 16, (6, 13), (3, 3), {"stride": 2}),
        (7, 17, (9, 9), (3, 3), {"stride": (1, 3), "padding": 2}),
        (33, 33, (4, 5), (2, 2), {"dilation": (2, 1)}),
        (64, 31, (3, 11), (3, 3), {"padding": 1}),
        (130, 3, (4, 7), (1, 1), {"stride": (1, 2)}),
        (129, 18, (4, 7), (1, 1), {}),
        (6, 48, (4, 7), (2, 2), {}),
        (1, 1, (4, 41), (3, 2), {"stride": 2, "padding": 1}),
        (20, 18, (41, 25), (3, 3), {"padding": 1}),
    ]
]


@pytest.mark.parametrize("level", isa.supported())
@pytest.mark.parametrize("bits", [8, 13, 30, 62])
@pytest.mark.parametrize(("C", "K", "size", "kernel", "arguments"), LAYERS)
def test_layers_of_every_layout_agree_on_every_instruction_set(C, K, size, kernel, arguments, bits, level, monkeypatch):
    kernels = importlib.import_module(f"refconv.kernels.blocked_integer_{level}")
    monkeypatch.setattr(isa, "blocked_integer", kernels)
    x, w, b = (
        fill(seed, "int64", bits)(shape)
        for seed, shape in enumerate([(2, 2 * C, *size), (2 * K, C, *kernel), (2 * K,)])
    )
    options = {**arguments, "groups": 2, "overflow": "wrap"}
    expected = refconv.conv2d(x, w, b, **options, algorithm="direct")
    for threads in (1, 2):
        np.testing.assert_array_equal(refconv.conv2d(x, w, b, **options, threads=threads), expected)
    np.testing.assert_array_equal(refconv.conv2d(x[:1], w, b, **options, threads=1), expected[:1])


@pytest.mark.parametrize("level", isa.supported())
@pytest.mark.parametrize("input_dtype", ["int8", "uint8"])
@pytest.mark.parametrize(("C", "K", "size", "kernel", "arguments"), LAYERS)
def test_four_bytes_at_a_time_give_the_same_sums(C, K, size, kernel, arguments, input_dtype, level, monkeypatch):
    """Also on processors that have no instruction for it, where it is not what is chosen."""
    kernels = importlib.import_module(f"refconv.kernels.blocked_integer_{level}")
    monkeypatch.setattr(isa, "blocked_integer", kernels)
    monkeypatch.setattr(kernels, "has_quads", lambda: True)
    x, w = fill(1, input_dtype, 8)((2, 2 * C, *size)), fill(2, "int8", 8)((2 * K, C, *kernel))
    b = fill(3, "int8", 8)((2 * K,))
    options = {**arguments, "groups": 2, "dtype": "int32"}
    expected = refconv.conv2d(x, w, b, **options, algorithm="direct")
    for threads in (1, 2):
        np.testing.assert_array_equal(refconv.conv2d(x, w, b, **options, threads=threads), expected)


@pytest.mark.parametrize("level", isa.supported())
@pytest.mark.parametrize("quads", [False, True])
@pytest.mark.parametrize("x", [-128, -1, 0, 127, 128, 255])
@pytest.mark.parametrize("w", [-128, -1, 127, 128, 255])
def test_the_extreme_bytes_in_every_place_of_a_cell(x, w, quads, level, monkeypatch):
    """One channel after the other, and all of them; with padding, which is zero whatever the numbers are stored as."""
    kernels = importlib.import_module(f"refconv.kernels.blocked_integer_{level}")
    monkeypatch.setattr(isa, "blocked_integer", kernels)
    monkeypatch.setattr(kernels, "has_quads", lambda: quads)
    dtypes = ["int8" if number < 128 else "uint8" for number in (x, w)]
    for C in range(1, 9):
        xs = np.full((1, C, 1, 3), x, dtypes[0])
        ws = np.zeros((C + 1, C, 1, 3), dtypes[1])
        ws[C] = w
        ws[range(C), range(C)] = w
        y = refconv.conv2d(xs, ws, padding=(0, 1), dtype="int32")
        assert y[0, :C, 0].tolist() == [[2 * x * w, 3 * x * w, 2 * x * w]] * C
        assert y[0, C, 0].tolist() == [2 * C * x * w, 3 * C * x * w, 2 * C * x * w]


def test_the_definition_agrees_with_numpy_on_a_layer():
    """So that the layers above are not compared with a mistake."""
    x, w = fill(1, "int64", 20)((2, 6, 9, 11)), fill(2, "int64", 20)((4, 6, 3, 2))
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 2), axis=(2, 3))
    expected = np.einsum("nchwij,kcij->nkhw", windows, w)
    for algorithm in ALGORITHMS:
        np.testing.assert_array_equal(refconv.conv2d(x, w, algorithm=algorithm), expected)


def test_the_first_misfit_is_named_whatever_the_number_of_threads():
    x, w = fill(3, "int8", 8)((4, 16, 20, 40)), np.ones((20, 16, 3, 3), np.int8)
    sums = refconv.conv2d(x, w)
    index, value = first_misfit(sums, "int8")
    for algorithm in ALGORITHMS:
        for threads in (1, 2, 5):
            with pytest.raises(refconv.ConvError, match=rf"index {re.escape(str(index))} is {value},"):
                refconv.conv2d(x, w, dtype="int8", algorithm=algorithm, threads=threads)


# ---------------------------------------------------------------------------------------------------------------------
# Refusals
# ---------------------------------------------------------------------------------------------------------------------


def test_bool_is_refused_with_advice():
    x = np.ones((1, 1, 2, 2), bool)
    with pytest.raises(TypeError, match=r"argument 'input' has dtype bool, but expected .*; astype\(numpy.uint8\)"):
        refconv.conv2d(x, x)


def test_two_integer_dtypes_need_a_third_for_the_result():
    x, w = np.ones((1, 1, 2, 2), np.uint8), np.ones((1, 1, 1, 1), np.int8)
    with pytest.raises(refconv.ConvError, match=r"got input uint8, weight int8 \(with dtype= for the result they need"):
        refconv.conv2d(x, w)
    assert refconv.conv2d(x, w, dtype="int16").dtype == np.int16


@pytest.mark.parametrize("dtype", [None, "float64", "int64"])
def test_integers_and_floats_do_not_go_together(dtype):
    x, w = np.ones((1, 1, 2, 2), np.uint8), np.ones((1, 1, 1, 1))
    with pytest.raises(refconv.ConvError, match=r"must share one dtype, but got input uint8, weight float64$"):
        refconv.conv2d(x, w, dtype=dtype)


@pytest.mark.parametrize("dtype", ["float32", "complex64", "bool", "int7", object])
def test_results_of_integers_are_integers(dtype):
    x = np.ones((1, 1, 2, 2), np.uint8)
    with pytest.raises(TypeError, match=r"argument 'dtype' must be int8, .* or uint64 for integer operands, not"):
        refconv.conv2d(x, x, dtype=dtype)


@pytest.mark.parametrize("overflow", ["clip", None, True, ""])
def test_other_kinds_of_overflow_are_refused(overflow):
    for dtype in (np.int8, np.float32):
        x = np.ones((1, 1, 2, 2), dtype)
        with pytest.raises(refconv.ConvError, match="'overflow' must be one of raise, wrap, saturate, but got"):
            refconv.conv2d(x, x, overflow=overflow)


def test_huge_dilations_are_left_to_the_definition():
    """The fast kernel would need too large buffers."""
    x = np.ones((1, 3, 1 << 20, 1), np.int8)
    w = np.full((1, 3, 2, 1), 100, np.int8)
    y = refconv.conv2d(x, w, dilation=((1 << 20) - 1, 1))
    assert y.tolist() == [[[[600]]]]
    assert math.prod(y.shape) == 1
