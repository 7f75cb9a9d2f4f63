"""All operations over all numbers of axes against the oracle, and the kernels against each other, bit for bit."""

import brute_force
import numpy as np
import pytest
from family import OPERATIONS, arrays, compute, problems
from hard_cases import PAIRS
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from oracle import FORMATS, same_bits, to_bits
from problems import any_bits, integers, seeds

import refconv
from refconv import kernels
from refconv.problem import ConvProblem

every_operation = pytest.mark.parametrize("operation", OPERATIONS)
every_pair = pytest.mark.parametrize("pair", PAIRS, ids=str)
every_algorithm = pytest.mark.parametrize("algorithm", ["auto", "direct"])


def assert_same(found, expected):
    differ = np.array(to_bits(found)) != np.array(to_bits(expected))
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    assert not differ.any(), (
        f"{differ.sum()} of {differ.size} differ, the first is "
        f"{found.ravel()[differ.argmax()]} instead of {expected.ravel()[differ.argmax()]}"
    )


@every_operation
@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("fmt", FORMATS.values(), ids=FORMATS)
@settings(max_examples=15, deadline=None)
@given(data=st.data(), seed=seeds, rare=st.sampled_from([0, 0.05]))
def test_every_element_is_the_exact_sum_rounded_once(operation, n, fmt, data, seed, rare):
    problem = data.draw(problems(n, kernel=3 if n < 3 else 2, spare=2 if n < 3 else 1))
    assume(problem.macs <= 3000)
    tensors = arrays(problem, any_bits(seed, fmt, rare))
    expected = brute_force.compute(operation, problem, **tensors)
    for algorithm in ("auto", "direct"):
        assert_same(compute(operation, problem, **tensors, algorithm=algorithm), expected)


@every_operation
@every_pair
@settings(max_examples=5, deadline=None)
@given(problem=problems(n=2, spare=2), seed=seeds)
def test_the_sum_is_rounded_straight_to_the_format_asked_for(operation, pair, problem, seed):
    assume(problem.macs <= 2000)
    tensors = arrays(problem, any_bits(seed, pair.operand, 0))
    expected = brute_force.compute(operation, problem, **tensors, out=pair.result)
    for algorithm in ("auto", "direct"):
        assert_same(
            compute(operation, problem, **tensors, dtype=pair.result.dtype, algorithm=algorithm),
            expected,
        )


@every_operation
@every_pair
@settings(max_examples=10, deadline=None)
@given(
    problem=problems(channels=11, kernel=4, stride=4, spare=9, batches=(1, 2, 3)),
    seed=seeds,
    rare=st.sampled_from([0, 0.002]),
)
def test_the_fast_kernel_returns_the_bits_of_the_definition(operation, pair, problem, seed, rare):
    assume(problem.macs <= 500_000)
    tensors = arrays(problem, any_bits(seed, pair.operand, rare))
    fast, direct = (
        compute(operation, problem, **tensors, dtype=pair.result.dtype, algorithm=algorithm)
        for algorithm in ("blocked", "direct")
    )
    assert_same(fast, direct)


# Channels in and out, groups, size, kernel, stride, padding, dilation.
LAYERS = {
    "stem": (3, 24, 1, (33, 31), (7, 7), 2, 3, 1),
    "ordinary": (24, 20, 1, (14, 15), (3, 3), 1, 1, 1),
    "downsampling": (16, 20, 1, (15, 14), (3, 3), 2, 1, 1),
    "pointwise": (40, 33, 1, (12, 13), (1, 1), 1, 0, 1),
    "pointwise_strided": (30, 20, 1, (13, 12), (1, 1), 2, 0, 1),
    "patches": (3, 20, 1, (24, 16), (8, 8), 8, 0, 1),
    "patches_with_a_remainder": (3, 20, 1, (27, 22), (8, 8), 8, 0, 1),
    "patches_that_overlap": (4, 80, 2, (24, 16), (8, 4), (4, 2), 0, 1),
    "patches_padded": (3, 20, 1, (24, 16), (8, 4), (8, 4), (1, 2), 1),
    "patches_dilated": (3, 20, 1, (24, 16), (2, 4), (2, 4), 0, 3),
    "depthwise": (10, 10, 10, (20, 19), (3, 3), 1, 1, 1),
    "grouped": (24, 30, 6, (9, 10), (3, 3), (2, 1), 1, 1),
    "atrous": (8, 9, 1, (20, 21), (3, 3), 1, (4, 6), (4, 6)),
    "stride_and_dilation_share_a_factor": (6, 8, 2, (31, 32), (3, 4), (4, 6), (3, 2), (6, 4)),
    "stride_beyond_the_kernel": (6, 8, 1, (31, 32), (2, 3), (5, 4), (0, 3), 1),
    "long_signal": (2, 3, 1, (3000,), (9,), 2, 4, 1),
    "many_channels_signal": (40, 24, 1, (50,), (5,), 1, 2, 1),
    "volume": (6, 9, 1, (9, 8, 10), (3, 3, 3), 1, 1, 1),
    "volume_strided": (4, 8, 2, (9, 10, 11), (2, 3, 4), (1, 2, 3), (1, 0, 2), (2, 1, 1)),
}


@every_operation
@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("fmt", FORMATS.values(), ids=FORMATS)
def test_layers_as_they_occur_give_the_same_bits_by_every_kernel_on_any_number_of_threads(operation, layer, fmt):
    C_in, C_out, groups, size, *geometry = LAYERS[layer]
    kernel, stride, padding, dilation = geometry
    problem = ConvProblem.from_shapes(
        (2, C_in, *size),
        (C_out, C_in // groups, *kernel),
        (C_out,),
        stride,
        padding,
        dilation,
        groups,
        spatial_ndim=len(size),
    )
    tensors = arrays(problem, any_bits(1, fmt, rare=0.0005))
    direct = compute(operation, problem, **tensors, algorithm="direct")
    for threads in (1, 3):
        assert_same(compute(operation, problem, **tensors, algorithm="blocked", threads=threads), direct)


@every_algorithm
def test_no_kernel_depends_on_the_number_of_threads(algorithm):
    problem = ConvProblem.from_shapes((3, 12, 40, 30), (16, 6, 3, 3), (16,), 2, 1, groups=2)
    tensors = arrays(problem, integers(1, np.float32))
    for operation in OPERATIONS:
        one, many = (compute(operation, problem, **tensors, algorithm=algorithm, threads=t) for t in (1, 8))
        assert_same(one, many)


# --- no data ---


@every_operation
@every_algorithm
@pytest.mark.parametrize("n", [1, 2, 3])
def test_an_empty_batch(operation, algorithm, n):
    """There is nothing to convolve, and gradients that are summed over the batch are 0."""
    shapes = (0, 4, *(7, 6, 5)[:n]), (6, 2, *(3, 2, 1)[:n]), (6,)
    problem = ConvProblem.from_shapes(*shapes, 2, 1, groups=2, spatial_ndim=n)
    tensors = arrays(problem, integers(1, np.float32))
    result = compute(operation, problem, **tensors, algorithm=algorithm)
    like = {"conv": "y", "conv_transpose": "x", "input": "x", "weight": "w", "bias": "b"}[operation]
    assert same_bits(result, np.zeros_like(tensors[like]))


@every_algorithm
def test_without_input_channels_a_convolution_is_its_bias_and_its_gradients_are_empty(algorithm):
    problem = ConvProblem.from_shapes((2, 0, 5, 5), (3, 0, 3, 3), (3,))
    tensors = arrays(problem, integers(1, np.float64))
    y = compute("conv", problem, **tensors, algorithm=algorithm)
    assert (y == tensors["b"][:, None, None]).all()
    assert compute("input", problem, **tensors, algorithm=algorithm).shape == (2, 0, 5, 5)
    assert compute("weight", problem, **tensors, algorithm=algorithm).shape == (3, 0, 3, 3)


@every_algorithm
def test_a_bias_gradient_of_images_without_pixels_is_zero(algorithm):
    y = np.ones((2, 3, 0, 4), np.float32)
    assert refconv.grad.conv2d_bias(y, algorithm=algorithm).tolist() == [0, 0, 0]


# --- elements that no term reaches ---


@every_algorithm
@pytest.mark.parametrize("fmt", FORMATS.values(), ids=FORMATS)
def test_an_output_that_no_tap_reaches_is_the_bias_or_zero_beside_infinite_weights(algorithm, fmt):
    x, w = np.ones((1, 1, 3), fmt.dtype), np.full((1, 1, 2), np.inf).astype(fmt.dtype)
    b = np.array([-2]).astype(fmt.dtype)
    inf = float("inf")
    assert refconv.conv_transpose1d(x, w, None, 3, algorithm=algorithm).astype(float).tolist() == [
        [[inf, inf, 0, inf, inf, 0, inf, inf]]
    ]
    assert refconv.conv_transpose1d(x, w, b, 3, algorithm=algorithm)[0, 0, 2] == -2
    unreached = refconv.grad.conv1d_input((1, 1, 9), w, x, stride=3, algorithm=algorithm)
    assert to_bits(unreached[0, 0, [2, 5, 8]]) == [0, 0, 0]  # +0


@every_algorithm
def test_padding_is_no_term_of_a_weight_gradient(algorithm):
    """Infinity in grad_output where the tap lies in the padding: infinity times no term, not infinity times 0."""
    x, y = np.ones((1, 1, 2)), np.array([[[np.inf, 1, 1]]])
    assert refconv.grad.conv1d_weight(x, (1, 1, 2), y, padding=1, algorithm=algorithm).tolist() == [[[2, np.inf]]]


# --- steps that nearly overflow ---


@every_algorithm
def test_taps_and_windows_that_are_nearly_2_to_the_62_apart_are_computed(algorithm):
    """Of two taps, or of two windows, only one meets the image, and on the way nothing wraps around."""
    far, x, w, y = 2**61, [[[3.0]]], [[[5.0, 7.0]]], [[[2.0]]]
    for padding, weight_gradient, input_gradient in ((((0, far),), [6, 0], 10), (((far, 0),), [0, 6], 14)):
        geometry = {"padding": padding, "dilation": far, "algorithm": algorithm}
        assert refconv.grad.conv1d_weight(x, (1, 1, 2), y, **geometry).tolist() == [[weight_gradient]]
        assert refconv.grad.conv1d_input((1, 1, 1), w, y, **geometry).tolist() == [[[input_gradient]]]
    geometry = {"stride": far, "padding": ((0, far),), "algorithm": algorithm}
    assert refconv.grad.conv1d_weight(x, (1, 1, 1), [[[2.0, 9.0]]], **geometry).tolist() == [[[6]]]
    assert refconv.grad.conv1d_input((1, 1, 1), [[[5.0]]], [[[2.0, 9.0]]], **geometry).tolist() == [[[10]]]


def test_a_problem_too_large_for_the_fast_kernels_buffers_is_left_to_the_direct_one():
    """Two taps that lie 2**25 elements apart: no band of the input can hold both."""
    x, w = np.zeros((1, 1, 2**25 + 3), np.float16), np.ones((1, 1, 2), np.float16)
    x[0, 0, :3], x[0, 0, -3:] = (1, 2, 3), (10, 20, 30)
    kernels.reset_counters()
    assert refconv.conv1d(x, w, dilation=2**25).tolist() == [[[11, 22, 33]]]
    assert kernels.counters()["elements"] == 0


# --- counters ---


def test_the_fast_kernel_counts_its_elements_in_all_threads():
    x, w = integers(1, np.float32)((2, 8, 33, 32)), integers(2, np.float32)((16, 8, 3, 3))
    kernels.reset_counters()
    elements = refconv.conv2d(x, w, threads=1).size
    once = kernels.counters()
    assert set(once) == {"elements", "sliced", "rung2", "rung3"}
    assert once["elements"] == elements
    refconv.conv2d(x, w, threads=4)
    assert kernels.counters() == {name: 2 * count for name, count in once.items()}
    refconv.conv2d(x[:, :, :5, :5], w, algorithm="direct")
    assert kernels.counters()["elements"] == 2 * elements
    kernels.reset_counters()
    assert set(kernels.counters().values()) == {0}


def test_sums_of_slices_are_counted():
    """A plain float64 sum says too little about a float64 result: slices from the start."""
    x, w = (
        any_bits(1, FORMATS["float64"], rare=0)((1, 16, 20, 20)),
        any_bits(2, FORMATS["float64"], rare=0)((8, 16, 3, 3)),
    )
    kernels.reset_counters()
    elements = refconv.conv2d(x, w).size
    counted = kernels.counters()
    assert counted["sliced"] == elements
    assert counted["rung2"] < elements / 4


def test_hard_sums_are_counted_by_the_rung_that_settled_them():
    kernels.reset_counters()
    refconv.conv1d([[[1e300, 1.0, -1e300]]], [[[1e300, 1.0, 1e300]]])
    counted = kernels.counters()
    assert (counted["elements"], counted["rung2"], counted["rung3"]) == (1, 1, 1)


# --- integers ---


def integer_problems():
    return problems(channels=4, groups=3, kernel=4, stride=4, spare=6)


@every_operation
@every_algorithm
@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int32, np.int64])
@settings(max_examples=20, deadline=None)
@given(problem=integer_problems(), seed=seeds)
def test_integers_are_summed_exactly(operation, algorithm, dtype, problem, seed):
    """Small ones, whose sums float64 holds, so that the float kernels, which are tested above, say what is right."""
    tensors = arrays(problem, integers(seed, np.float64, limit=100))
    expected = compute(operation, problem, **{name: np.abs(a) for name, a in tensors.items()})
    found = compute(
        operation, problem, **{name: np.abs(a).astype(dtype) for name, a in tensors.items()}, algorithm=algorithm
    )
    assert found.dtype == (np.int32 if np.dtype(dtype).itemsize <= 2 else np.int64)
    assert np.array_equal(found, expected)


@every_algorithm
@pytest.mark.parametrize("stride", [1, 2, 3, 5])
def test_an_integer_that_does_not_fit_is_named_by_its_place_in_the_result(algorithm, stride):
    """One input of 2**31 - 1 under a weight of 2 in the middle of threes ones; and the same as a weight gradient."""
    x, w = np.zeros((1, 1, 4), np.int32), np.array([[[1, 2, 1]]], np.int32)
    x[0, 0, 2] = 2**31 - 1
    place = 2 * stride + 1
    with pytest.raises(refconv.ConvError, match=rf"^the output at index \(0, 0, {place}\) is 4294967294, which"):
        refconv.conv_transpose1d(x, w, stride=stride, dtype="int32", algorithm=algorithm)
    length = 3 * stride + 3
    with pytest.raises(refconv.ConvError, match=rf"^the output at index \(0, 0, {place}\) is 4294967294, which"):
        refconv.grad.conv1d_input((1, 1, length), w, x, stride=stride, dtype="int32", algorithm=algorithm)
    signal = np.zeros((1, 2, length), np.int32)
    signal[0, 1, place] = 2
    with pytest.raises(refconv.ConvError, match=r"^the output at index \(0, 1, 1\) is 4294967294, which"):
        refconv.grad.conv1d_weight(signal, (1, 2, 3), x, stride=stride, dtype="int32", algorithm=algorithm)


@every_algorithm
def test_a_bias_that_does_not_fit_is_named_where_it_is_all_there_is(algorithm):
    """With a kernel of 1 and a stride of 2 every other output is the bias; the first is brought back by its term."""
    x, w, b = np.full((1, 1, 3), -1), np.ones((1, 1, 1), int), np.array([2**31])
    options = {"stride": 2, "dtype": "int32", "algorithm": algorithm}
    with pytest.raises(refconv.ConvError, match=r"^the output at index \(0, 0, 1\) is 2147483648, which"):
        refconv.conv_transpose1d(x, w, b, **options)
    saturated = refconv.conv_transpose1d(x, w, b, **options, overflow="saturate")
    assert saturated.tolist() == [[[2**31 - 1] * 5]]
    assert refconv.conv_transpose1d(x[..., :1], w, b, **options).tolist() == [[[2**31 - 1]]]
