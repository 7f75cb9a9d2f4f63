"""conv2d against results worked out by hand, and against the oracle bit for bit."""

import re

import hard_cases
import numpy as np
import oracle
import pytest
from hard_cases import AVAILABLE, PAIRS
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import FORMATS, from_bits, same_bits
from problems import any_bits, problems, seeds

import refconv

every_algorithm = pytest.mark.parametrize("algorithm", ["auto", "direct"])
every_dtype = pytest.mark.parametrize("dtype", [f.dtype for f in FORMATS.values()], ids=FORMATS)


def image(rows, dtype=np.float32):
    """Rows of numbers as an input of one item and one channel, or as a weight of one filter."""
    return np.array(rows, dtype=dtype)[None, None]


def counted(shape, dtype=np.float32):
    """The numbers 1, 2, 3, ... in reading order."""
    return np.arange(1, np.prod(shape) + 1).reshape(shape).astype(dtype)


@every_algorithm
@every_dtype
def test_the_textbook_example_of_a_cross_in_a_five_by_five_image(algorithm, dtype):
    rows = [[1, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 1, 1], [0, 0, 1, 1, 0], [0, 1, 1, 0, 0]]
    cross = [[1, 0, 1], [0, 1, 0], [1, 0, 1]]
    y = refconv.conv2d(image(rows, dtype), image(cross, dtype), algorithm=algorithm)
    assert y.dtype == dtype
    assert y.astype(int).tolist() == [[[[4, 3, 4], [2, 4, 3], [2, 3, 4]]]]


@every_algorithm
def test_the_kernel_is_not_flipped(algorithm):
    """10*1 + 1*2 = 12 and 10*2 + 1*3 = 23; a flipped kernel would give 21 and 32."""
    y = refconv.conv2d(image([[1, 2, 3]]), image([[10, 1]]), algorithm=algorithm)
    assert y.tolist() == [[[[12, 23]]]]


@every_algorithm
def test_an_impulse_in_the_image_leaves_the_kernel_turned_by_half_a_turn(algorithm):
    x = np.zeros((1, 1, 5, 5), np.float32)
    x[0, 0, 2, 2] = 1
    y = refconv.conv2d(x, image([[1, 2, 3], [4, 5, 6], [7, 8, 9]]), algorithm=algorithm)
    assert y.tolist() == [[[[9, 8, 7], [6, 5, 4], [3, 2, 1]]]]


@every_algorithm
@pytest.mark.parametrize(("row", "col"), [(0, 0), (0, 2), (1, 1), (2, 0), (2, 2)])
def test_a_kernel_that_is_one_at_one_place_shifts_the_image(algorithm, row, col):
    x = counted((1, 1, 5, 6))
    w = np.zeros((1, 1, 3, 3), np.float32)
    w[0, 0, row, col] = 1
    assert refconv.conv2d(x, w, algorithm=algorithm).tolist() == x[:, :, row : row + 3, col : col + 4].tolist()


@every_algorithm
def test_padding_only_touches_border_outputs(algorithm):
    """A window of ones counts the image pixels under it."""
    x, w = np.ones((1, 1, 3, 4), np.float32), np.ones((1, 1, 3, 3), np.float32)
    y = refconv.conv2d(x, w, padding=1, algorithm=algorithm)
    assert y.tolist() == [[[[4, 6, 6, 4], [6, 9, 9, 6], [4, 6, 6, 4]]]]


@every_algorithm
def test_padding_pairs_are_top_bottom_then_left_right(algorithm):
    y = refconv.conv2d(image([[1, 2], [3, 4]]), image([[1]]), padding=((1, 0), (0, 2)), algorithm=algorithm)
    assert y.tolist() == [[[[0, 0, 0, 0], [1, 2, 0, 0], [3, 4, 0, 0]]]]


@every_algorithm
def test_stride_skips_windows_and_leaves_the_rest_unread(algorithm):
    x = counted((1, 1, 4, 6))
    x[:, :, 1::2] = np.nan  # rows 1 and 3 are never under a window
    y = refconv.conv2d(x, image([[1, 1]]), stride=(2, 3), algorithm=algorithm)
    assert y.tolist() == [[[[1 + 2, 4 + 5], [13 + 14, 16 + 17]]]]


@every_algorithm
def test_dilation_spreads_the_taps(algorithm):
    y = refconv.conv2d(counted((1, 1, 3, 5)), image([[1, 100], [10, 1000]]), dilation=(2, 3), algorithm=algorithm)
    assert y.tolist() == [[[[1 + 400 + 110 + 14000, 2 + 500 + 120 + 15000]]]]


@every_algorithm
def test_each_group_of_filters_sees_only_its_group_of_channels(algorithm):
    x = np.array([1, 10, 100, 1000], np.float32).reshape(1, 4, 1, 1)
    w = np.array([[1, 2], [3, 4], [5, 6], [7, 8]], np.float32).reshape(4, 2, 1, 1)
    y = refconv.conv2d(x, w, groups=2, algorithm=algorithm)
    assert y.ravel().tolist() == [1 + 20, 3 + 40, 500 + 6000, 700 + 8000]


@every_algorithm
def test_depthwise_filters_with_a_multiplier_stay_with_their_channel(algorithm):
    x = np.array([1, 10], np.float32).reshape(1, 2, 1, 1)
    w = np.array([2, 3, 4, 5, 6, 7], np.float32).reshape(6, 1, 1, 1)
    assert refconv.conv2d(x, w, groups=2, algorithm=algorithm).ravel().tolist() == [2, 3, 4, 50, 60, 70]


@every_algorithm
def test_the_bias_is_added_to_its_own_channel(algorithm):
    b = np.array([0.5, -2], np.float32)
    y = refconv.conv2d(counted((2, 1, 1, 2)), np.array([1, 10], np.float32).reshape(2, 1, 1, 1), b, algorithm=algorithm)
    assert y.tolist() == [[[[1.5, 2.5]], [[8, 18]]], [[[3.5, 4.5]], [[28, 38]]]]


@every_algorithm
def test_without_a_batch_axis_the_result_has_none_either(algorithm):
    y = refconv.conv2d(counted((1, 2, 2)), image([[1, 10]]), algorithm=algorithm)
    assert y.tolist() == [[[21], [43]]]


@every_algorithm
def test_same_padding_puts_an_odd_remainder_at_the_end(algorithm):
    """With two taps, 1 and 10, the last window reaches over the end: 1 + 20, 2 + 30, 3."""
    y = refconv.conv2d(image([[1, 2, 3]]), image([[1, 10]]), padding="same", algorithm=algorithm)
    assert y.tolist() == [[[[21, 32, 3]]]]


@every_algorithm
def test_terms_that_swallow_each_other_in_float_arithmetic_are_all_counted(algorithm):
    x = image([[1e16, 1, -1e16]], np.float64)
    assert refconv.conv2d(x, np.ones_like(x), algorithm=algorithm).tolist() == [[[[1]]]]


@every_algorithm
def test_bfloat16_sums_do_not_stagnate(algorithm):
    """1000 ones; a bfloat16 accumulator would stop at 256."""
    x = np.ones((1, 1000, 1, 1), FORMATS["bfloat16"].dtype)
    assert float(refconv.conv2d(x, x, algorithm=algorithm).item()) == 1000


@every_algorithm
@pytest.mark.parametrize(("out", "ulp"), [("float16", 2.0**-10), ("bfloat16", 2.0**-7), ("float32", 2.0**-23)])
def test_the_sum_is_rounded_once_not_to_the_operands_format_first(algorithm, out, ulp):
    """1 + ulp/2 is a tie and goes to 1; a far smaller third term must lift it to 1 + ulp."""
    x = image([[1, ulp / 2, 2.0**-70]], np.float64)
    w = np.ones_like(x)
    assert float(refconv.conv2d(x, w, dtype=out, algorithm=algorithm).item()) == 1 + ulp
    assert float(refconv.conv2d(x[..., :2], w[..., :2], dtype=out, algorithm=algorithm).item()) == 1


@pytest.mark.parametrize(("stride", "padding", "size"), [(1, 0, 26), (1, 1, 28), (2, 1, 14)])
def test_three_by_three_filters_on_a_28_by_28_image(stride, padding, size):
    x, w = np.ones((1, 1, 28, 28), np.float32), np.ones((3, 1, 3, 3), np.float32)
    y = refconv.conv2d(x, w, stride=stride, padding=padding)
    assert y.shape == (1, 3, size, size)
    assert y[0, :, 1, 1].tolist() == [9, 9, 9]


@pytest.mark.parametrize(("stride", "padding", "size"), [(1, 1, 26), (2, 2, 14)])
def test_five_by_five_filters_on_three_channels_with_a_bias(stride, padding, size):
    x, w = np.ones((1, 3, 28, 28), np.float32), np.ones((16, 3, 5, 5), np.float32)
    y = refconv.conv2d(x, w, np.arange(16, dtype=np.float32), stride=stride, padding=padding)
    assert y.shape == (1, 16, size, size)
    assert y[0, :, 5, 5].tolist() == [75 + k for k in range(16)]


@pytest.mark.parametrize("batch", [0, 1, 4])
def test_padding_one_keeps_the_size_under_three_by_three_filters(batch):
    x, w = np.ones((batch, 3, 28, 28), np.float32), np.ones((16, 3, 3, 3), np.float32)
    y = refconv.conv2d(x, w, padding=1)
    assert y.shape == (batch, 16, 28, 28)
    assert sorted(set(y.ravel().tolist())) == ([12, 18, 27] if batch else [])


def test_a_channel_mismatch_is_reported_in_the_words_of_torch():
    x, w = np.ones((1, 1, 28, 28), np.float32), np.ones((16, 3, 5, 5), np.float32)
    text = (
        "Given groups=1, weight of size [16, 3, 5, 5], expected input[1, 1, 28, 28] to have 3 channels, "
        "but got 1 channels instead"
    )
    with pytest.raises(refconv.ConvError) as caught:
        refconv.conv2d(x, w)
    assert str(caught.value) == text
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, RuntimeError)


def test_operands_of_different_dtypes_are_refused_by_name():
    x, w = np.ones((1, 1, 2, 2), np.float32), np.ones((1, 1, 1, 1), np.float64)
    with pytest.raises(refconv.ConvError, match=r"input float32, weight float64"):
        refconv.conv2d(x, w)


@pytest.mark.parametrize("dtype", ["bool", "datetime64[s]", "U1", "longdouble"])
def test_dtypes_that_are_no_operands_are_refused_by_name(dtype):
    x = np.ones((1, 1, 2, 2)).astype(dtype)
    with pytest.raises(TypeError, match=rf"argument 'input' has dtype {re.escape(str(x.dtype))}, but expected float8"):
        refconv.conv2d(x, x)


@pytest.mark.parametrize("pair", PAIRS, ids=str)
@settings(max_examples=100, deadline=None)
@given(problem=problems(batches=(1, 2)), seed=seeds, rare=st.sampled_from([0, 0.02, 0.3]))
def test_every_geometry_gives_the_bits_of_the_definition(pair, problem, seed, rare):
    x, w, b = problem.arrays(any_bits(seed, pair.operand, rare))
    expected = oracle.conv2d(x, w, b, **problem.arguments, out=pair.result)
    for algorithm in ("auto", "direct"):
        y = refconv.conv2d(x, w, b, **problem.arguments, dtype=pair.result.dtype, algorithm=algorithm)
        assert same_bits(y, expected), algorithm


@pytest.mark.parametrize(("kind", "pair"), [pytest.param(kind, pair, id=f"{kind}-{pair}") for kind, pair in AVAILABLE])
def test_hard_dot_products_stay_correct_as_convolutions(kind, pair):
    """Case i is pixel i under filter i; every other pixel under every other filter is compared between the kernels."""
    cases = hard_cases.cases(kind, pair, 24)
    terms = max(len(case.xs) for case in cases)
    x = from_bits([case.xs + [0] * (terms - len(case.xs)) for case in cases], pair.operand, (len(cases), terms))
    w = from_bits([case.ws + [0] * (terms - len(case.ws)) for case in cases], pair.operand, (len(cases), terms))
    call = {"input": x.T[None, :, None, :], "weight": w[:, :, None, None], "dtype": pair.result.dtype}
    direct = refconv.conv2d(**call, algorithm="direct")
    expected = from_bits([oracle.encode(case.value, pair.result) for case in cases], pair.result)
    assert same_bits(direct[0, :, 0, :].diagonal(), expected)
    assert same_bits(refconv.conv2d(**call, algorithm="auto"), direct)
