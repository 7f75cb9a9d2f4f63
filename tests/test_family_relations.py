"""What the members of the family have to do with each other; no other implementation takes part."""

import numpy as np
import pytest
from family import OPERATIONS, arguments, arrays, compute, left_over, problems
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import FORMATS, same_bits
from problems import any_bits, integers, seeds

import refconv
from refconv.problem import ConvProblem

every_operation = pytest.mark.parametrize("operation", OPERATIONS)
every_format = pytest.mark.parametrize("fmt", FORMATS.values(), ids=FORMATS)


def forward(problem, x, w):
    return getattr(refconv, f"conv{problem.spatial_ndim}d")(x, w, **arguments(problem))


def transposed(problem, y, w):
    function = getattr(refconv, f"conv_transpose{problem.spatial_ndim}d")
    return function(y, w, **arguments(problem), output_padding=left_over(problem))


def inner(a, b):
    return np.vdot(a, b)


@settings(max_examples=200, deadline=None)
@given(problem=problems(channels=4, groups=3, kernel=4, stride=4, spare=6), seed=seeds)
def test_the_gradients_are_the_adjoints(problem, seed):
    """<conv(x, w), y>  =  <x, conv_transpose(y, w)>  =  <w, conv_weight(x, y)>, exactly: the data are integers."""
    tensors = arrays(problem, integers(seed, np.float64))
    x, w, y = (tensors[name] for name in "xwy")
    expected = inner(forward(problem, x, w), y)
    assert inner(x, transposed(problem, y, w)) == expected
    assert inner(x, compute("input", problem, **tensors)) == expected
    assert inner(w, compute("weight", problem, **tensors)) == expected


@settings(max_examples=100, deadline=None)
@given(problem=problems(), seed=seeds)
def test_the_bias_gradient_is_the_adjoint_of_spreading_the_bias_out(problem, seed):
    tensors = arrays(problem, integers(seed, np.float64))
    spread = forward(problem, tensors["x"] * 0, tensors["w"])
    spread = spread + tensors["b"].reshape(-1, *(1,) * problem.spatial_ndim)
    assert inner(tensors["b"], compute("bias", problem, **tensors)) == inner(spread, tensors["y"])


@every_format
@settings(max_examples=50, deadline=None)
@given(problem=problems(channels=4, stride=4), seed=seeds)
def test_the_transposed_convolution_is_the_gradient_by_the_input(fmt, problem, seed):
    tensors = arrays(problem, any_bits(seed, fmt))
    assert same_bits(transposed(problem, tensors["y"], tensors["w"]), compute("input", problem, **tensors))


def as_deep_as(problem, depth, tensors):
    """The same problem and tensors with an axis more: images of height or depth 1 and kernels alike."""
    n = problem.spatial_ndim
    deeper = ConvProblem.from_shapes(
        (*problem.input_shape[:2], 1, *problem.input_size),
        (*problem.weight_shape[:2], 1, *problem.kernel_size),
        problem.bias_shape,
        (depth, *problem.stride),
        ((0, 0), *problem.padding),
        (1, *problem.dilation),
        problem.groups,
        spatial_ndim=n + 1,
    )
    return deeper, {name: a[:, :, np.newaxis] if a.ndim > 1 else a for name, a in tensors.items()}


@every_operation
@every_format
@settings(max_examples=20, deadline=None)
@given(data=st.data(), seed=seeds, stride=st.integers(1, 3))
def test_an_axis_of_size_one_more_does_not_change_a_bit(operation, fmt, data, seed, stride):
    """conv1d is conv2d of height 1, and conv2d is conv3d of depth 1; the stride along such an axis does not matter."""
    problem = data.draw(problems(data.draw(st.integers(1, 2))))
    tensors = arrays(problem, any_bits(seed, fmt))
    if operation == "conv_transpose":
        stride = 1  # of the deeper problem the transposed one would need an output_padding below it
    deeper, deeper_tensors = as_deep_as(problem, stride, tensors)
    flat, deep = compute(operation, problem, **tensors), compute(operation, deeper, **deeper_tensors)
    assert same_bits(flat, deep.reshape(flat.shape))


@every_operation
@settings(max_examples=30, deadline=None)
@given(problem=problems(n=3), seed=seeds, order=st.permutations([0, 1, 2]))
def test_the_three_axes_are_alike(operation, problem, seed, order):
    tensors = arrays(problem, any_bits(seed, FORMATS["float32"]))
    axes = (0, 1, *(axis + 2 for axis in order))

    def reordered(values):
        return tuple(values[axis] for axis in order)

    turned = ConvProblem.from_shapes(
        (*problem.input_shape[:2], *reordered(problem.input_size)),
        (*problem.weight_shape[:2], *reordered(problem.kernel_size)),
        problem.bias_shape,
        *map(reordered, (problem.stride, problem.padding, problem.dilation)),
        problem.groups,
        spatial_ndim=3,
    )
    turned_tensors = {name: a.transpose(axes) if a.ndim > 1 else a for name, a in tensors.items()}
    expected = compute(operation, problem, **tensors)
    expected = np.ascontiguousarray(expected.transpose(axes)) if expected.ndim > 1 else expected
    assert same_bits(compute(operation, turned, **turned_tensors), expected)


@every_operation
@settings(max_examples=30, deadline=None)
@given(problem=problems(groups=3, channels=3), seed=seeds)
def test_groups_are_convolutions_of_their_own(operation, problem, seed):
    tensors = arrays(problem, any_bits(seed, FORMATS["float32"]))
    G = problem.groups
    single = ConvProblem.from_shapes(
        (problem.N, problem.C_in // G, *problem.input_size),
        (problem.C_out // G, *problem.weight_shape[1:]),
        (problem.C_out // G,),
        problem.stride,
        problem.padding,
        problem.dilation,
        spatial_ndim=problem.spatial_ndim,
    )
    channel_axis = {"x": 1, "w": 0, "y": 1, "b": 0, "b_transposed": 0}
    parts = []
    for g in range(G):
        of_group = {name: np.split(a, G, channel_axis[name])[g] for name, a in tensors.items()}
        parts.append(compute(operation, single, **of_group))
    axis = 1 if operation in ("conv", "conv_transpose", "input") else 0
    assert same_bits(compute(operation, problem, **tensors), np.concatenate(parts, axis))


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("name", ["conv", "conv_transpose"])
def test_without_a_batch_axis_the_result_has_none_either(name, n):
    fill = integers(1, np.float32)
    x, w, b = fill((4, *(6, 5, 4)[:n])), fill((4, 4, *(3, 2, 2)[:n])), fill((4,))
    function = getattr(refconv, f"{name}{n}d")
    alone = function(x, w, b, stride=2)
    assert same_bits(alone, function(x[np.newaxis], w, b, stride=2)[0])
    assert type(alone) is np.ndarray
    assert alone.flags.c_contiguous
    assert alone.flags.writeable
