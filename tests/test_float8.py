"""Operands of 8 bits, which are widened exactly, and mixes of float dtypes, which are combined exactly."""

from fractions import Fraction

import ml_dtypes
import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import FORMATS, same_bits
from problems import any_bits, problems, seeds

import refconv
import refconv.grad

ALGORITHMS = ["auto", "direct"]
FLOAT8 = {name: np.dtype(getattr(ml_dtypes, name)) for name in ("float8_e4m3fn", "float8_e5m2")}
every_algorithm = pytest.mark.parametrize("algorithm", ALGORITHMS)
every_float8 = pytest.mark.parametrize("dtype", FLOAT8.values(), ids=FLOAT8)


def value(encoding, dtype):
    """What a float8 stands for, from the text of the OCP specification; infinities and NaN as float."""
    exponent_bits, fraction_bits, bias = (4, 3, 7) if dtype == FLOAT8["float8_e4m3fn"] else (5, 2, 15)
    sign = -1 if encoding >> 7 else 1
    exponent, fraction = encoding >> fraction_bits & (2**exponent_bits - 1), encoding & (2**fraction_bits - 1)
    if dtype == FLOAT8["float8_e4m3fn"] and encoding & 0x7F == 0x7F:
        return float("nan")
    if dtype == FLOAT8["float8_e5m2"] and exponent == 31:
        return float("nan") if fraction else sign * float("inf")
    significand = fraction + (2**fraction_bits if exponent else 0)
    return sign * Fraction(significand) * Fraction(2) ** (max(exponent, 1) - bias - fraction_bits)


def float8_fill(seed, dtype):
    rng = np.random.default_rng(seed)
    return lambda shape: rng.integers(0, 256, shape, np.uint8).view(dtype)


def widened(array):
    encodings = np.ascontiguousarray(array).view(np.uint8).ravel().tolist()
    return np.array([float(value(e, array.dtype)) for e in encodings]).reshape(array.shape)


@every_algorithm
@every_float8
def test_every_number_is_read_for_what_it_is(dtype, algorithm):
    x = np.arange(256, dtype=np.uint8).view(dtype).reshape(1, 1, 16, 16)
    y = refconv.conv2d(x, np.ones((1, 1, 1, 1), dtype), algorithm=algorithm)
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y, widened(x))


@every_float8
@pytest.mark.parametrize("result", FORMATS)
@settings(max_examples=40, deadline=None)
@given(problem=problems(), seed=seeds, algorithm=st.sampled_from(ALGORITHMS))
def test_every_geometry_gives_the_bits_of_the_definition(dtype, result, problem, seed, algorithm):
    x, w, b = problem.arrays(float8_fill(seed, dtype))
    expected = oracle.conv2d(
        widened(x), widened(w), None if b is None else widened(b), **problem.arguments, out=FORMATS[result]
    )
    found = refconv.conv2d(x, w, b, **problem.arguments, dtype=FORMATS[result].dtype, algorithm=algorithm)
    assert same_bits(found, expected)


@every_float8
def test_the_layout_of_operands_does_not_matter(dtype):
    fill = float8_fill(1, dtype)
    x, w = fill((2, 3, 5, 4)), fill((4, 3, 2, 2))
    expected = refconv.conv2d(x, w)
    assert same_bits(refconv.conv2d(x.T.copy().T, np.flip(np.flip(w).copy())), expected)
    assert same_bits(refconv.conv2d(x[1], w), expected[1])


@every_float8
def test_the_whole_family_takes_them(dtype):
    fill = float8_fill(2, dtype)
    x, w, g = fill((2, 3, 5)), fill((4, 3, 2)), fill((2, 4, 4))
    wide_x, wide_w, wide_g = (a.astype(np.float32) for a in (x, w, g))
    grad = refconv.grad
    assert same_bits(refconv.conv1d(x, w), refconv.conv1d(wide_x, wide_w))
    assert same_bits(refconv.conv_transpose1d(g, w), refconv.conv_transpose1d(wide_g, wide_w))
    assert same_bits(grad.conv1d_input(x.shape, w, g), grad.conv1d_input(x.shape, wide_w, wide_g))
    assert same_bits(grad.conv1d_weight(x, w.shape, g), grad.conv1d_weight(wide_x, w.shape, wide_g))
    assert same_bits(grad.conv1d_bias(g), grad.conv1d_bias(wide_g))
    assert refconv.exact_dot(np.ones(3, dtype), np.ones(3, dtype)) == 3


# ---------------------------------------------------------------------------------------------------------------------
# Mixes
# ---------------------------------------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(
    problem=problems(),
    names=st.tuples(*[st.sampled_from([*FLOAT8, *FORMATS])] * 3),
    result=st.sampled_from(list(FORMATS)),
    seed=seeds,
    algorithm=st.sampled_from(ALGORITHMS),
)
def test_float_operands_of_several_dtypes_are_combined_exactly(problem, names, result, seed, algorithm):
    shapes = problem.input_shape, problem.weight_shape, problem.bias_shape
    operands, exact = [], []
    for i, (name, shape) in enumerate(zip(names, shapes, strict=True)):
        if name in FLOAT8:
            operands.append(float8_fill(seed + i, FLOAT8[name])(shape))
            exact.append(widened(operands[-1]))
        else:
            operands.append(any_bits(seed + i, FORMATS[name], 0.1)(shape))
            with np.errstate(invalid="ignore"):  # a signalling NaN among the random bits
                exact.append(operands[-1].astype(np.float64))
    if not problem.bias:
        operands[2] = exact[2] = None
    expected = oracle.conv2d(*exact, **problem.arguments, out=FORMATS[result])
    found = refconv.conv2d(*operands, **problem.arguments, dtype=FORMATS[result].dtype, algorithm=algorithm)
    assert same_bits(found, expected)


def test_a_mix_needs_a_dtype_for_the_result():
    x, w = np.ones((1, 1, 1, 1), np.float16), np.ones((1, 1, 1, 1), FLOAT8["float8_e5m2"])
    with pytest.raises(refconv.ConvError, match=r"input float16, weight float8_e5m2 \(with dtype= for the result they"):
        refconv.conv2d(x, w)


@pytest.mark.parametrize("name", ["float8_e4m3fn", "float8_e4m3b11fnuz", "int8"])
def test_results_are_not_rounded_to_every_dtype(name):
    dtype = getattr(ml_dtypes, name, name)
    x = np.ones((1, 1, 1, 1), FLOAT8["float8_e4m3fn"])
    with pytest.raises(TypeError, match=r"'dtype' must be .*float16, bfloat16, float32 or float64 for float operands"):
        refconv.conv2d(x, x, dtype=dtype)


def test_other_float8_dtypes_are_refused_by_name():
    x = np.ones((1, 1, 1, 1), ml_dtypes.float8_e4m3fnuz)
    with pytest.raises(TypeError, match="argument 'input' has dtype float8_e4m3fnuz, but expected float8_e4m3fn, "):
        refconv.conv2d(x, x)
