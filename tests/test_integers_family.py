"""Integers in all six convolutions and in their gradients, against Python's integers and against torch."""

import conv_problems
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from integer_sums import DTYPES, convolution, fill, first_misfit, fitted, gradients

import refconv
import refconv.grad

ALGORITHMS = ["auto", "direct"]
seeds = st.integers(0, 2**32 - 1)
BITS = [4, 8, 15, 16, 30, 63]


def call(problem, input, weight, bias, **options):
    arguments = {name: getattr(problem, name) for name in ("stride", "padding", "dilation", "groups")}
    if problem.transposed:
        arguments["output_padding"] = problem.output_padding
    return getattr(refconv, problem.name)(input, weight, bias, **arguments, **options)


def operands(problem, dtype, seed, bits):
    shapes = problem.input_shape, problem.weight_shape, problem.bias_shape
    return [None if shape is None else fill(seed + i, dtype, bits)(shape) for i, shape in enumerate(shapes)]


@settings(max_examples=250, deadline=None)
@given(
    problem=conv_problems.problems(largest=5),
    dtype=st.sampled_from(DTYPES),
    result=st.sampled_from(DTYPES),
    seed=seeds,
    bits=st.sampled_from(BITS),
    algorithm=st.sampled_from(ALGORITHMS),
)
def test_every_function_gives_exact_sums(problem, dtype, result, seed, bits, algorithm):
    x, w, b = operands(problem, dtype, seed, bits)
    sums = convolution(problem, x, w, b)
    options = {"dtype": result, "algorithm": algorithm}
    for overflow in ("wrap", "saturate"):
        found = call(problem, x, w, b, **options, overflow=overflow)
        np.testing.assert_array_equal(found, fitted(sums, result, overflow), overflow)
    if first_misfit(sums, result) is None:
        np.testing.assert_array_equal(call(problem, x, w, b, **options), sums)
    else:
        with pytest.raises(refconv.ConvError) as caught:
            call(problem, x, w, b, **options)
        named = eval(str(caught.value).partition("index ")[2].partition(" is ")[0])  # a tuple, as Python writes it
        assert f" is {sums[named]}, which does not fit in {result};" in str(caught.value)
        assert not np.iinfo(result).min <= sums[named] <= np.iinfo(result).max


@settings(max_examples=200, deadline=None)
@given(
    problem=conv_problems.problems(largest=5, transposed=False),
    dtype=st.sampled_from(DTYPES),
    seed=seeds,
    bits=st.sampled_from(BITS),
    algorithm=st.sampled_from(ALGORITHMS),
    overflow=st.sampled_from(["wrap", "saturate"]),
)
def test_gradients_are_exact_sums(problem, dtype, seed, bits, algorithm, overflow):
    x, w, _ = operands(problem, dtype, seed, bits)
    g = fill(seed + 5, dtype, bits)(problem.output_shape)
    if not problem.batched:
        x, g = x[np.newaxis], g[np.newaxis]
    by_input, by_weight = gradients(problem, x, w, g)
    arguments = {name: getattr(problem, name) for name in ("stride", "padding", "dilation", "groups")}
    options = {"dtype": dtype, "overflow": overflow, "algorithm": algorithm}
    name = f"{problem.name}_"
    found = getattr(refconv.grad, name + "input")(x.shape, w, g, **arguments, **options)
    np.testing.assert_array_equal(found, fitted(by_input.reshape(x.shape), dtype, overflow))
    found = getattr(refconv.grad, name + "weight")(x, w.shape, g, **arguments, **options)
    np.testing.assert_array_equal(found, fitted(by_weight, dtype, overflow))
    found = getattr(refconv.grad, name + "bias")(g, **options)
    by_bias = g.astype(object).sum(axis=(0, *range(2, g.ndim))) + np.zeros(g.shape[1], object)
    np.testing.assert_array_equal(found, fitted(by_bias, dtype, overflow))


# ---------------------------------------------------------------------------------------------------------------------
# Transposed convolutions are put together from several correlations: an element must be judged by its own sum alone
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_bias_that_fits_only_with_the_rest_of_the_sum_is_no_overflow(algorithm):
    x, w = np.full((1, 1, 2, 2), -10, np.int8), np.full((1, 1, 2, 2), 10, np.int8)
    b = np.array([200], np.int16)
    y = refconv.conv_transpose2d(x, w, b, stride=2, dtype="int8", algorithm=algorithm)
    assert (y == 100).all()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_bias_that_does_not_fit_is_one_where_no_tap_reaches(algorithm):
    x, w = np.full((1, 1, 2, 2), -10, np.int8), np.full((1, 1, 1, 1), 10, np.int8)
    b = np.array([200], np.int16)
    with pytest.raises(refconv.ConvError, match=r"index \(0, 0, (0, 1|1, 0)\) is 200, which does not fit in int8;"):
        refconv.conv_transpose2d(x, w, b, stride=2, dtype="int8", algorithm=algorithm)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_index_is_that_of_the_gradient(algorithm):
    x = np.zeros((2, 4, 5, 5), np.int8)
    g = np.zeros((2, 6, 3, 3), np.int8)
    x[1, 3, 2, 4], g[1, 5, 1, 2] = 100, 100  # group 1, where tap (1, 2) of window (1, 2) lies at (2, 4)
    with pytest.raises(refconv.ConvError, match=r"index \(5, 1, 1, 2\) is 10000, which does not fit in int8;"):
        refconv.grad.conv2d_weight(x, (6, 2, 3, 3), g, groups=2, dtype="int8", algorithm=algorithm)
    with pytest.raises(refconv.ConvError, match=r"index \(5,\) is 200, which does not fit in int8;"):
        refconv.grad.conv2d_bias(2 * g.astype(np.int16), dtype="int8", algorithm=algorithm)


# ---------------------------------------------------------------------------------------------------------------------
# Torch, which wraps around to the dtype of the operands
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "int64"])
@settings(max_examples=60, deadline=None)
@given(problem=conv_problems.problems(), seed=seeds)
def test_torch_agrees_modulo_the_operands_dtype(dtype, problem, seed):
    if dtype != "int64" and (problem.transposed or set(problem.dilation) != {1}):
        return  # torch has no kernel
    x, w, _ = operands(problem, dtype, seed, 64)
    found = call(problem, torch.from_numpy(x), torch.from_numpy(w), None, dtype=dtype, overflow="wrap")
    if 0 in (x.size, found.size):
        return
    expected = conv_problems.torch_result(problem, torch.from_numpy(x), torch.from_numpy(w))
    np.testing.assert_array_equal(found, expected.numpy())
