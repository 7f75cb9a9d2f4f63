"""NaN, infinity, zero, subnormals and overflow: every rule of the definition on an example that shows it."""

import numpy as np
import pytest
from oracle import FORMATS, from_bits, to_bits

import refconv

every_format = pytest.mark.parametrize("fmt", FORMATS.values(), ids=FORMATS)
every_algorithm = pytest.mark.parametrize("algorithm", ["auto", "direct"])


def row(encodings, fmt):
    """A row of numbers, given by their encodings, as an input or weight."""
    return from_bits(encodings, fmt, (1, 1, 1, len(encodings)))


def single(xs, ws, fmt, bias=None, algorithm="auto"):
    """Encoding of the one output whose window is the whole row."""
    b = None if bias is None else from_bits([bias], fmt)
    return to_bits(refconv.conv2d(row(xs, fmt), row(ws, fmt), b, algorithm=algorithm))[0]


def negative(encoding, fmt):
    return encoding ^ fmt.sign_bit


def nans_of(fmt):
    """Quiet and signalling, with and without payload, of both signs."""
    positive = [fmt.nan, fmt.nan | 1, fmt.inf | 1]
    return positive + [negative(encoding, fmt) for encoding in positive]


@every_format
@every_algorithm
def test_any_nan_gives_the_positive_quiet_nan_without_payload(fmt, algorithm):
    for nan in nans_of(fmt):
        assert single([nan, fmt.one], [fmt.one, fmt.one], fmt, algorithm=algorithm) == fmt.nan
        assert single([fmt.one, 0], [fmt.one, nan], fmt, algorithm=algorithm) == fmt.nan
        assert single([fmt.one], [fmt.one], fmt, bias=nan, algorithm=algorithm) == fmt.nan


@every_format
@every_algorithm
@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (1, 2)])
def test_a_nan_reaches_the_outputs_whose_window_covers_it_and_no_others(fmt, algorithm, stride, dilation):
    size, kernel = 9, 3
    nan_row, nan_col = 4, 5
    x = np.ones((2, 2, size, size), fmt.dtype)
    x[1, 0, nan_row, nan_col] = np.nan
    w = np.ones((4, 1, kernel, kernel), fmt.dtype)
    y = refconv.conv2d(x, w, stride=stride, dilation=dilation, groups=2, algorithm=algorithm)
    found = {tuple(int(i) for i in index) for index in np.argwhere(np.isnan(y.astype(np.float32)))}
    covered = {
        (1, channel, oh, ow)
        for channel in (0, 1)  # the filters of the first group
        for oh in range(y.shape[2])
        for ow in range(y.shape[3])
        if any(oh * stride + k * dilation == nan_row for k in range(kernel))
        and any(ow * stride + k * dilation == nan_col for k in range(kernel))
    }
    assert covered
    assert found == covered


@every_format
@every_algorithm
def test_a_nan_weight_reaches_every_output_of_its_filter_that_uses_it(fmt, algorithm):
    """With padding 1 the left tap meets no pixel at the left border, and only there the result is a number."""
    w = np.ones((2, 1, 1, 3), fmt.dtype)
    w[1, 0, 0, 0] = np.nan
    y = refconv.conv2d(np.ones((1, 1, 1, 4), fmt.dtype), w, padding=(0, 1), algorithm=algorithm)
    assert np.isnan(y.astype(np.float32)).tolist() == [[[[False] * 4], [[False, True, True, True]]]]


@every_format
@every_algorithm
def test_infinity_times_zero_of_any_sign_is_nan(fmt, algorithm):
    for inf in (fmt.inf, negative(fmt.inf, fmt)):
        for zero in (0, fmt.sign_bit):
            assert single([inf, fmt.one], [zero, fmt.one], fmt, algorithm=algorithm) == fmt.nan
            assert single([zero, fmt.one], [inf, fmt.one], fmt, algorithm=algorithm) == fmt.nan


@every_format
@every_algorithm
def test_infinities_of_one_sign_give_that_infinity(fmt, algorithm):
    plus, minus, one = fmt.inf, negative(fmt.inf, fmt), fmt.one
    huge = negative(fmt.largest, fmt)
    assert single([plus, huge], [one, fmt.largest], fmt, algorithm=algorithm) == plus
    assert single([minus, minus], [one, one], fmt, algorithm=algorithm) == minus
    assert single([minus, plus], [minus, plus], fmt, algorithm=algorithm) == plus
    assert single([plus], [1], fmt, algorithm=algorithm) == plus  # times the least subnormal
    assert single([one], [one], fmt, bias=minus, algorithm=algorithm) == minus


@every_format
@every_algorithm
def test_infinities_of_both_signs_give_nan(fmt, algorithm):
    plus, minus, one = fmt.inf, negative(fmt.inf, fmt), fmt.one
    assert single([plus, minus], [one, one], fmt, algorithm=algorithm) == fmt.nan
    assert single([plus, one, plus], [one, one, negative(one, fmt)], fmt, algorithm=algorithm) == fmt.nan
    assert single([plus], [one], fmt, bias=minus, algorithm=algorithm) == fmt.nan


@every_format
@every_algorithm
@pytest.mark.parametrize("special", [np.inf, -np.inf, np.nan])
def test_taps_in_the_padding_are_no_terms(fmt, algorithm, special):
    """Multiplied by a stored zero, as im2col does it, the corner weight would make a NaN of every border output."""
    w = np.ones((1, 1, 3, 3), fmt.dtype)
    w[0, 0, 0, 0] = special
    y = refconv.conv2d(np.ones((1, 1, 2, 2), fmt.dtype), w, padding=1, algorithm=algorithm).astype(np.float32)
    assert y[0, 0, 0].tolist() == [4, 4]
    assert y[0, 0, 1, 0] == 4
    assert np.array_equal(y[0, 0, 1, 1], special, equal_nan=True)  # here the corner meets a pixel


@every_format
@every_algorithm
def test_a_window_wholly_in_the_padding_gives_positive_zero_or_the_bias(fmt, algorithm):
    x, w = row([fmt.one], fmt), row([negative(fmt.inf, fmt)], fmt)
    y = refconv.conv2d(x, w, padding=(1, 0), algorithm=algorithm)
    assert to_bits(y) == [0, negative(fmt.inf, fmt), 0]
    y = refconv.conv2d(x, w, from_bits([negative(fmt.one, fmt)], fmt), padding=(1, 0), algorithm=algorithm)
    assert to_bits(y) == [negative(fmt.one, fmt), negative(fmt.inf, fmt), negative(fmt.one, fmt)]


@every_format
@every_algorithm
def test_an_exact_zero_is_positive_whatever_its_terms_are(fmt, algorithm):
    minus_one = negative(fmt.one, fmt)
    assert single([fmt.sign_bit], [fmt.one], fmt, algorithm=algorithm) == 0
    assert single([fmt.sign_bit, fmt.sign_bit], [fmt.one, fmt.one], fmt, fmt.sign_bit, algorithm) == 0
    assert single([fmt.one, fmt.one], [minus_one, fmt.one], fmt, algorithm=algorithm) == 0
    assert single([0], [minus_one], fmt, bias=0, algorithm=algorithm) == 0


@every_format
@every_algorithm
def test_a_result_that_underflows_keeps_its_sign(fmt, algorithm):
    """The least subnormal squared is far below anything the format holds."""
    assert single([1], [1], fmt, algorithm=algorithm) == 0
    assert single([1], [negative(1, fmt)], fmt, algorithm=algorithm) == fmt.sign_bit
    assert single([1, fmt.one], [negative(1, fmt), fmt.one], fmt, negative(fmt.one, fmt), algorithm) == fmt.sign_bit


@every_format
@every_algorithm
def test_subnormals_are_neither_read_nor_written_as_zero(fmt, algorithm):
    two = fmt.one + (1 << fmt.fraction_bits)
    half = fmt.one - (1 << fmt.fraction_bits)
    least_normal = 1 << fmt.fraction_bits
    assert single([1], [fmt.one], fmt, algorithm=algorithm) == 1
    assert single([1, 1], [two, negative(fmt.one, fmt)], fmt, algorithm=algorithm) == 1
    assert single([least_normal], [half], fmt, algorithm=algorithm) == least_normal >> 1
    assert single([least_normal - 1], [fmt.one], fmt, bias=1, algorithm=algorithm) == least_normal
    assert single([1, 3], [half, negative(half, fmt)], fmt, algorithm=algorithm) == negative(1, fmt)
    assert single([1], [half], fmt, algorithm=algorithm) == 0  # a tie between 0 and 1
    assert single([3], [half], fmt, algorithm=algorithm) == 2  # a tie between 1 and 2


@every_format
@every_algorithm
def test_overflow_on_the_way_does_not_show(fmt, algorithm):
    largest, one = fmt.largest, fmt.one
    minus = negative(largest, fmt)
    assert single([largest, largest, minus], [one, one, one], fmt, algorithm=algorithm) == largest
    assert single([largest, minus, one], [largest, largest, one], fmt, algorithm=algorithm) == one
    assert single([largest], [one], fmt, bias=minus, algorithm=algorithm) == 0


@every_format
@every_algorithm
def test_a_sum_beyond_the_largest_number_is_infinity(fmt, algorithm):
    largest, one = fmt.largest, fmt.one
    half_ulp = (2 * fmt.bias - fmt.fraction_bits - 1) << fmt.fraction_bits
    below = half_ulp - 1  # the next smaller number than half an ulp of the largest
    assert single([largest, half_ulp], [one, one], fmt, algorithm=algorithm) == fmt.inf
    assert single([largest, below], [one, one], fmt, algorithm=algorithm) == largest
    assert single([largest, largest], [negative(one, fmt)] * 2, fmt, algorithm=algorithm) == negative(fmt.inf, fmt)


@every_format
@every_algorithm
def test_without_input_channels_every_output_is_the_bias(fmt, algorithm):
    """The empty sum plus the bias; torch returns a result of zero channels here."""
    x, w = np.ones((2, 0, 4, 5), fmt.dtype), np.ones((3, 0, 2, 2), fmt.dtype)
    b = np.array([1.5, -2, 0], fmt.dtype)
    y = refconv.conv2d(x, w, b, algorithm=algorithm)
    assert y.shape == (2, 3, 3, 4)
    assert y.astype(np.float32).tolist() == [[[[value] * 4] * 3 for value in (1.5, -2, 0)]] * 2
    assert set(to_bits(refconv.conv2d(x, w, algorithm=algorithm))) == {0}
