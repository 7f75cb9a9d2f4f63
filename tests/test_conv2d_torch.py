"""conv2d against torch on data for which both must give the same numbers.

The data are small integers: every product and partial sum is an integer that float32 holds, so torch's order of
summation cannot matter and the comparison is ``==``.
"""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import example, given, settings
from hypothesis import strategies as st
from problems import Problem, integers, problems, seeds

import refconv

both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def case(**changes):
    """A one-channel 5x5 problem with a 3x3 kernel, changed where it matters."""
    plain = {
        "batch": 1,
        "groups": 1,
        "channels": 1,
        "filters": 1,
        "size": (5, 5),
        "kernel": (3, 3),
        "stride": (1, 1),
        "padding": ((0, 0), (0, 0)),
        "dilation": (1, 1),
        "bias": False,
    }
    return Problem(**plain | changes)


def by_torch(x, w, b, problem):
    """The padding is put around the input first, so that pairs are possible and torch's own padding is not trusted."""
    (top, bottom), (left, right) = problem.padding
    x, w, b = (None if array is None else torch.from_numpy(array) for array in (x, w, b))
    arguments = problem.arguments | {"padding": 0}
    return F.conv2d(F.pad(x, (left, right, top, bottom)), w, b, **arguments).numpy()


@both_dtypes
@settings(max_examples=300, deadline=None)
@given(problem=problems(), seed=seeds)
@example(problem=case(kernel=(2, 4), padding=((1, 1), (2, 2))), seed=1).via("even kernels")
@example(problem=case(size=(1, 2), padding=((1, 1), (2, 2))), seed=1).via("kernel larger than the input")
@example(problem=case(size=(2, 2), padding=((4, 4), (4, 4))), seed=1).via("windows wholly in the padding")
@example(problem=case(kernel=(1, 1), stride=(2, 3)), seed=1).via("1x1 kernel with stride")
@example(problem=case(size=(1, 9), kernel=(1, 3)), seed=1).via("size-1 axes")
@example(problem=case(size=(9, 9), kernel=(2, 2), stride=(3, 4)), seed=1).via("stride larger than the kernel")
@example(problem=case(batch=0, bias=True), seed=1).via("empty batch")
@example(problem=case(groups=4), seed=1).via("as many groups as channels")
@example(problem=case(groups=3, filters=4), seed=1).via("depthwise with a multiplier")
@example(problem=case(size=(9, 8), padding=((0, 3), (2, 1)), dilation=(2, 3)), seed=1).via("asymmetric padding")
def test_every_geometry_agrees_with_torch(dtype, problem, seed):
    x, w, b = problem.arrays(integers(seed, dtype))
    y = refconv.conv2d(x, w, b, **problem.arguments)
    expected = by_torch(x, w, b, problem)
    assert y.dtype == dtype
    assert y.shape == expected.shape
    assert np.array_equal(y, expected)


@both_dtypes
@settings(max_examples=100, deadline=None)
@given(problem=problems(symmetric=True), seed=seeds)
def test_symmetric_padding_means_what_it_means_to_torch(dtype, problem, seed):
    x, w, b = problem.arrays(integers(seed, dtype))
    arguments = problem.arguments | {"padding": tuple(begin for begin, _ in problem.padding)}
    expected = F.conv2d(*(None if array is None else torch.from_numpy(array) for array in (x, w, b)), **arguments)
    assert np.array_equal(refconv.conv2d(x, w, b, **arguments), expected.numpy())


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@both_dtypes
@pytest.mark.parametrize("padding", ["same", "valid"])
@settings(max_examples=100, deadline=None)
@given(
    kernel=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    dilation=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    excess=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    seed=seeds,
)
def test_padding_by_name_agrees_with_torch(dtype, padding, kernel, dilation, excess, seed):
    if padding == "valid":
        size = tuple(d * (k - 1) + 1 + e for k, d, e in zip(kernel, dilation, excess, strict=True))
    else:
        size = tuple(1 + e for e in excess)
    fill = integers(seed, dtype)
    x, w = fill((2, 2, *size)), fill((3, 2, *kernel))
    expected = F.conv2d(torch.from_numpy(x), torch.from_numpy(w), padding=padding, dilation=dilation).numpy()
    assert np.array_equal(refconv.conv2d(x, w, padding=padding, dilation=dilation), expected)


@both_dtypes
@settings(max_examples=50, deadline=None)
@given(problem=problems(batches=(1,)), seed=seeds)
def test_an_unbatched_input_gives_what_a_batch_of_one_gives(dtype, problem, seed):
    x, w, b = problem.arrays(integers(seed, dtype))
    y = refconv.conv2d(x[0], w, b, **problem.arguments)
    assert np.array_equal(y, by_torch(x, w, b, problem)[0])


@both_dtypes
def test_scalars_and_sequences_of_one_mean_the_same_to_both(dtype):
    fill = integers(3, dtype)
    x, w = fill((1, 2, 9, 9)), fill((2, 2, 3, 3))
    for arguments in [
        {"stride": 2, "padding": 1, "dilation": 2},
        {"stride": [2], "padding": (1,), "dilation": [2]},
        {"stride": [2, 2], "padding": [1, 1], "dilation": (2, 2)},
        {"stride": np.int64(2), "padding": np.int32(1), "dilation": np.uint8(2)},
    ]:
        expected = F.conv2d(torch.from_numpy(x), torch.from_numpy(w), stride=2, padding=1, dilation=2).numpy()
        assert np.array_equal(refconv.conv2d(x, w, **arguments), expected), arguments


@both_dtypes
def test_positional_arguments_come_in_the_order_of_torch(dtype):
    fill = integers(4, dtype)
    x, w, b = fill((1, 4, 9, 8)), fill((2, 2, 3, 2)), fill((2,))
    expected = F.conv2d(*map(torch.from_numpy, (x, w, b)), (2, 1), (1, 3), (1, 2), 2).numpy()
    assert np.array_equal(refconv.conv2d(x, w, b, (2, 1), (1, 3), (1, 2), 2), expected)


@both_dtypes
@pytest.mark.parametrize("shape", [(2, 16, 12, 12), (1, 3, 30, 31)])
def test_layers_large_enough_for_blocks_and_threads_agree_with_torch(dtype, shape):
    fill = integers(5, dtype)
    x, w, b = fill(shape), fill((24, shape[1], 3, 3)), fill((24,))
    expected = F.conv2d(*map(torch.from_numpy, (x, w, b)), stride=1, padding=1).numpy()
    assert np.array_equal(refconv.conv2d(x, w, b, padding=1), expected)
