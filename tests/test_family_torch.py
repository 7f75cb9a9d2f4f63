"""The family against torch, on data for which both must give the same numbers: integers, as in test_conv2d_torch.py.

Forward and transposed convolutions are called with torch's own argument order; gradients are compared with torch's
autograd, which has no code in common with the formulas here, and with ``torch.nn.grad``, whose arguments they take.
"""

import conv_problems
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from family import arguments, arrays, compute, problems
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from problems import integers, seeds

import refconv

both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])
SUFFICIENT = 1_000_000  # multiply-adds; larger problems only take longer


def assert_equal(found, expected):
    expected = expected.detach().numpy()
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    assert np.array_equal(found, expected)


@both_dtypes
@settings(max_examples=150, deadline=None)
@given(problem=conv_problems.problems(), seed=seeds)
def test_every_geometry_of_every_function_agrees_with_torch(dtype, problem, seed):
    """Batched or not, with a bias or not, any padding and, transposed, any output_padding."""
    assume(problem.macs <= SUFFICIENT)
    fill = integers(seed, dtype)
    x, w = fill(problem.input_shape), fill(problem.weight_shape)
    b = fill(problem.bias_shape) if problem.bias else None
    keywords = arguments(problem)
    if problem.transposed:
        keywords["output_padding"] = problem.output_padding
    expected = conv_problems.torch_result(problem, torch.from_numpy(x), torch.from_numpy(w))
    if b is not None:
        expected = expected + torch.from_numpy(b).reshape(-1, *(1,) * problem.spatial_ndim)
    assert_equal(getattr(refconv, problem.name)(x, w, b, **keywords), expected)


@both_dtypes
@pytest.mark.parametrize("n", [1, 2, 3])
def test_positional_arguments_come_in_torchs_order(dtype, n):
    fill = integers(1, dtype)
    x, w, b = fill((2, 4, *(9, 8, 7)[:n])), fill((6, 2, *(2, 3, 2)[:n])), fill((6,))
    tensors = [torch.from_numpy(a) for a in (x, w, b)]
    forward = (2, 3, 1, 2)  # stride, padding, dilation, groups
    expected = getattr(F, f"conv{n}d")(*tensors, *forward)
    assert_equal(getattr(refconv, f"conv{n}d")(x, w, b, *forward), expected)

    w, transposed = fill((4, 3, *(2, 3, 2)[:n])), (3, 1, 2, 2, 2)  # stride, padding, output_padding, groups, dilation
    expected = getattr(F, f"conv_transpose{n}d")(tensors[0], torch.from_numpy(w), tensors[2], *transposed)
    assert_equal(getattr(refconv, f"conv_transpose{n}d")(x, w, b, *transposed), expected)


@both_dtypes
@settings(max_examples=150, deadline=None)
@given(problem=problems(channels=3, groups=3, kernel=4, stride=4, batches=(1, 0, 3)), seed=seeds)
def test_gradients_are_those_of_autograd(dtype, problem, seed):
    """Through torch's padding, so that it may be uneven."""
    assume(problem.macs <= SUFFICIENT)
    tensors = arrays(problem, integers(seed, dtype))
    x, w, b = (torch.from_numpy(tensors[name]).requires_grad_() for name in "xwb")
    output = conv_problems.torch_result(problem, x, w) + b.reshape(-1, *(1,) * problem.spatial_ndim)
    expected = torch.autograd.grad(output, (x, w, b), torch.from_numpy(tensors["y"]))
    for operation, gradient in zip(("input", "weight", "bias"), expected, strict=True):
        assert_equal(compute(operation, problem, **tensors), gradient)


@both_dtypes
@settings(max_examples=100, deadline=None)
@given(
    problem=problems(channels=3, groups=3, kernel=4, stride=4, symmetric=True),
    seed=seeds,
    as_type=st.sampled_from([tuple, list, torch.Size]),
)
def test_gradients_take_the_arguments_of_torch_nn_grad(dtype, problem, seed, as_type):
    assume(problem.macs <= SUFFICIENT)
    n, tensors = problem.spatial_ndim, arrays(problem, integers(seed, dtype))
    x, w, y = (torch.from_numpy(tensors[name]) for name in "xwy")
    padding = tuple(begin for begin, _ in problem.padding)
    positional = (problem.stride, padding, problem.dilation, problem.groups)

    operands = (as_type(x.shape), w, y)
    expected = getattr(torch.nn.grad, f"conv{n}d_input")(*operands, *positional)
    assert_equal(getattr(refconv.grad, f"conv{n}d_input")(*operands, *positional), expected)

    operands = (x, as_type(w.shape), y)
    expected = getattr(torch.nn.grad, f"conv{n}d_weight")(*operands, *positional)
    assert_equal(getattr(refconv.grad, f"conv{n}d_weight")(*operands, *positional), expected)


@pytest.mark.parametrize("size", [7, 8])
def test_an_input_size_that_the_stride_does_not_tell_from_another_is_taken_as_given(size):
    """Inputs of 7 and of 8 have outputs of 3; the last of the 8 is in no window."""
    y, w = np.ones((1, 1, 3)), np.ones((1, 1, 3))
    gradient = refconv.grad.conv1d_input((1, 1, size), w, y, stride=2)
    assert gradient.tolist() == [[[1, 1, 2, 1, 2, 1, 1, 0][:size]]]
    assert_equal(gradient, torch.nn.grad.conv1d_input((1, 1, size), torch.from_numpy(w), torch.from_numpy(y), stride=2))


def test_output_padding_brings_back_what_padding_cuts_off():
    """Of the two elements that output_padding adds, one was cut off by padding; beyond it there is only the bias."""
    x, w, b = [[[1.0, 2.0]]], [[[1.0, 10.0, 100.0]]], [0.5]
    geometry = {"stride": 3, "padding": 1}
    assert refconv.conv_transpose1d(x, w, b, **geometry).tolist() == [[[10.5, 100.5, 2.5, 20.5]]]
    assert refconv.conv_transpose1d(x, w, b, **geometry, output_padding=2).tolist() == [
        [[10.5, 100.5, 2.5, 20.5, 200.5, 0.5]]
    ]


@pytest.mark.parametrize("n", [1, 2, 3])
def test_bfloat16_tensors_are_read_and_give_bfloat16_gradients(n):
    """Integers that bfloat16 holds, so that torch's result is exact as well."""
    fill = integers(1, np.float32, limit=2)
    shapes = (1, 2, *(4, 3, 3)[:n]), (2, 2, *(2, 1, 2)[:n])
    x, w = (torch.from_numpy(fill(shape)).to(torch.bfloat16).requires_grad_() for shape in shapes)
    output = getattr(F, f"conv{n}d")(x, w)
    y = torch.from_numpy(fill(tuple(output.shape))).to(torch.bfloat16)
    for name, operands in (("input", (x.shape, w, y)), ("weight", (x, w.shape, y))):
        gradient = getattr(refconv.grad, f"conv{n}d_{name}")(*operands)
        expected = getattr(torch.nn.grad, f"conv{n}d_{name}")(*operands)
        assert gradient.dtype.name == "bfloat16"
        assert np.array_equal(gradient.astype(np.float32), expected.float().detach().numpy())
