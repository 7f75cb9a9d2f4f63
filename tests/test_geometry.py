"""The geometry along the axes: sizes and their inverse, and the index map behind `ConvProblem.taps`."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from conv_problems import problems, torch_result
from hypothesis import given, settings
from hypothesis import strategies as st

from refconv import geometry
from refconv.problem import ConvProblem


@settings(deadline=None)
@given(problems(transposed=False))
def test_a_transposed_size_is_the_inverse(problem):
    axes = zip(problem.output_size, problem.kernel_size, problem.stride, problem.padding, problem.dilation, strict=True)
    for oH, kernel, stride, padding, dilation in axes:
        for output_padding in range(stride):
            H = geometry.transposed_output_size(oH, kernel, stride, padding, dilation, output_padding)
            assert geometry.output_size(H, kernel, stride, padding, dilation) == oH


@settings(deadline=None)
@given(kernel=st.integers(1, 9), dilation=st.integers(1, 5), size=st.integers(1, 50))
def test_same_padding_keeps_the_size_with_the_odd_zero_at_the_end(kernel, dilation, size):
    begin, end = geometry.same_padding(kernel, dilation)
    assert geometry.output_size(size, kernel, 1, (begin, end), dilation) == size
    assert end - begin in (0, 1)


@settings(deadline=None)
@given(st.data())
def test_taps_are_all_pairs_of_indices_that_the_index_map_allows(data):
    problem = data.draw(problems(largest=5))
    position = data.draw(st.tuples(*(st.integers(0, size - 1) for size in problem.output_size)), label="position")
    expected = []
    for kernel in itertools.product(*map(range, problem.kernel_size)):
        for input in itertools.product(*map(range, problem.input_size)):
            # Transposed, input and output change places.
            window, tap = (input, position) if problem.transposed else (position, input)
            per_axis = zip(window, tap, kernel, problem.stride, problem.padding, problem.dilation, strict=True)
            if all(t == w * s - begin + k * d for w, t, k, s, (begin, _), d in per_axis):
                expected.append((kernel, input))
    assert problem.taps(*position) == expected


@settings(deadline=None)
@given(problems(largest=5), st.integers(0, 2**32 - 1))
def test_summing_over_the_taps_is_the_convolution(problem, seed):
    rng = np.random.default_rng(seed)
    input = rng.integers(-9, 10, problem.input_shape).astype(float)
    weight = rng.integers(-9, 10, problem.weight_shape).astype(float)
    expected = torch_result(problem, torch.from_numpy(input), torch.from_numpy(weight)).numpy()
    input = input.reshape(problem.N, problem.groups, problem.C_in // problem.groups, *problem.input_size)
    # weight[g, oc, ic, kh, kw], with oc and ic counted within the group
    weight = weight.reshape(problem.groups, -1, *problem.weight_shape[1:])
    if problem.transposed:
        weight = weight.swapaxes(1, 2)
    output = np.zeros((problem.N, problem.groups, problem.C_out // problem.groups, *problem.output_size))
    for position in itertools.product(*map(range, problem.output_size)):
        for kernel, at in problem.taps(*position):
            output[(..., *position)] += np.einsum("ngi,goi->ngo", input[(..., *at)], weight[(..., *kernel)])
    np.testing.assert_array_equal(output.reshape(problem.output_shape), expected)


@settings(deadline=None)
@given(problems(largest=12))
def test_terms_is_the_largest_number_of_taps(problem):
    positions = itertools.product(*map(range, problem.output_size))
    most = max(len(problem.taps(*position)) for position in positions)
    assert most * (problem.C_in // problem.groups) <= problem.terms
    # In an input that is large enough, with nothing cropped, some position has them all.
    large = dataclasses.replace(
        problem, input_size=(20,) * problem.spatial_ndim, padding=((0, 0),) * problem.spatial_ndim
    )
    middle = [range(size // 2 - 4, size // 2 + 4) for size in large.output_size]
    if all(along.start >= 0 and along.stop <= size for along, size in zip(middle, large.output_size, strict=True)):
        most = max(len(large.taps(*position)) for position in itertools.product(*middle))
        assert most * (problem.C_in // problem.groups) == large.terms


@pytest.mark.parametrize("position", [(6, 0), (-1, 0), (0, 6), (0,), (0, 0, 0)])
def test_taps_outside_of_the_output_are_an_index_error(position):
    problem = ConvProblem.from_shapes((1, 1, 8, 8), (1, 1, 3, 3))
    with pytest.raises(IndexError, match=r"^output position \(.*\) is outside of the output size \(6, 6\)$"):
        problem.taps(*position)
