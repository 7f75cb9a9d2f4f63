"""Sums that float64 cannot tell from zero or from a tie: the part of the fast kernel that computes modulo 2^52.

Only processors with AVX-512 IFMA have it; on others the same data go through slices, and have to be right as well.
"""

import numpy as np
import pytest

import refconv
from refconv import kernels

CHANNELS = 96


def assert_right(x, w, b=None):
    """The fast kernel has the bits of the definition; return how it settled the elements."""
    kernels.reset_counters()
    fast, direct = (refconv.conv2d(x, w, b, padding=1, algorithm=algorithm) for algorithm in ("blocked", "direct"))
    differ = fast.view(np.uint32) != direct.view(np.uint32)
    assert not differ.any(), f"{differ.sum()} of {differ.size} differ: {fast[differ][0]!r}, not {direct[differ][0]!r}"
    return kernels.counters()


def cancelling(rng, filters=11):
    """Two halves of channels with the same numbers and opposite weights: every sum is zero."""
    x = rng.standard_normal((1, CHANNELS, 5, 9), np.float32)
    w = rng.standard_normal((filters, CHANNELS, 3, 3), np.float32)
    half = CHANNELS // 2
    x[:, half:] = x[:, :half]
    w[:, half:] = -w[:, :half]
    return x, w


@pytest.mark.parametrize("gap", range(16, 72, 8))
@pytest.mark.parametrize("small", ["input", "weight", "both"])
def test_what_is_left_when_large_terms_cancel(gap, small):
    # The first pair does not cancel, but is small: in the grid of the others it has lower slices, or nothing else.
    rng = np.random.default_rng(gap)
    x, w = cancelling(rng)
    left = [0, CHANNELS // 2]
    if small != "weight":
        x[:, left] = rng.standard_normal(x[:, left].shape, np.float32) * np.float32(2.0**-gap)
    if small != "input":
        w[:, left] = rng.standard_normal(w[:, left].shape, np.float32) * np.float32(2.0**-gap)
    else:
        w[:, left] = rng.standard_normal(w[:, left].shape, np.float32)
    counts = assert_right(x, w)
    assert counts["sliced"] > 0.9 * counts["elements"] or gap < 20


@pytest.mark.parametrize("kernel", [(1, 1), (3, 3), (2, 13)])
@pytest.mark.parametrize("channels", [1, 2, 3, 97])
def test_pairs_of_planes_and_an_odd_last_one(channels, kernel):
    # Channels i and half + i cancel; the one that is left over, if there is one, is small and decides.
    rng = np.random.default_rng(channels)
    half = channels // 2
    x = rng.standard_normal((2, channels, 6, 19), np.float32)
    w = rng.standard_normal((13, channels, *kernel), np.float32)
    x[:, half : 2 * half], w[:, half : 2 * half] = x[:, :half], -w[:, :half]
    w[:, 2 * half :] *= np.float32(2.0**-30)
    assert_right(x, w)


def test_sums_without_terms_next_to_biases_that_are_no_numbers():
    # The memory of the sums holds what the call before it left there.
    assert_right(*cancelling(np.random.default_rng(2)))
    b = np.array([np.nan, 1.5, np.inf, -2.5, np.nan, 0.0, np.nan, 3.25], np.float32)
    assert_right(np.zeros((1, 0, 5, 9), np.float32), np.zeros((8, 0, 3, 3), np.float32), b)


@pytest.mark.parametrize("bias", [0.0, -0.0, 1.0, 2.0**-40, 2.0**-149])
def test_a_sum_of_zero_leaves_the_bias(bias):
    x, w = cancelling(np.random.default_rng(1))
    assert_right(x, w, np.full(len(w), bias, np.float32))
    assert (refconv.conv2d(x, w, np.full(len(w), bias, np.float32), algorithm="blocked") == bias).all()


def tied():
    """2^24 + 1, the midpoint of two float32, next to terms that cancel above it; channels 2 to 4 are free."""
    x, w = cancelling(np.random.default_rng(2))
    free = [*range(5), *range(CHANNELS // 2, CHANNELS // 2 + 5)]
    w = np.rint(4 * w)
    x[:, free], w[:, free] = 0, 0
    x[:, 0], x[:, 1] = 2.0**12, 1
    w[:, :2, 1, 1] = 2.0**12, 1
    return x, w


@pytest.mark.parametrize("below", [0, 1, -1])
@pytest.mark.parametrize("exponent", [-40, -79])
def test_a_tie_that_only_the_last_bits_of_products_decide(exponent, below):
    # A very small product decides, or there is none. The bound of the joined sum is 1.06 * 2^-79: the grids have to say
    # that all of it is exact, and then it has to be rounded once.
    x, w = tied()
    x[:, 2], w[:, 2, 1, 1] = 2.0**exponent, below
    assert_right(x, w)
    y = refconv.conv2d(x, w, algorithm="blocked")
    assert (y == np.float32(2.0**24 + (2 if below > 0 else 0))).all()


def test_a_tie_that_lower_slices_decide_whose_sum_is_rounded():
    # 2^-60 + 2^-120 - 2^-60, all of it below the grid: float64 loses what decides, and the grids must not deny it.
    x, w = tied()
    x[:, 2], x[:, 3], x[:, 4] = 2.0**-60, 2.0**-120, 2.0**-60
    w[:, 2:5, 1, 1] = 1, 1, -1
    assert_right(x, w)
    assert (refconv.conv2d(x, w, algorithm="blocked") == np.float32(2.0**24 + 2)).all()


def test_every_band_is_cut_for_itself():
    # Four bands of about 400 positions, each of other numbers.
    rng = np.random.default_rng(6)
    x = rng.standard_normal((1, 8, 40, 40), np.float32)
    w = rng.standard_normal((9, 8, 3, 3), np.float32)
    x[:, 4:], w[:, 4:] = x[:, :4], -w[:, :4]
    w[:, 0] *= np.float32(1 + 2.0**-20)  # what is left is small, and not zero
    counts = assert_right(x, w)
    assert counts["sliced"] == counts["elements"]


def test_specials_among_terms_that_cancel():
    x, w = cancelling(np.random.default_rng(3))
    x[0, 7, 2, 3], x[0, 9, 4, 8] = np.nan, np.inf
    w[4, 3, 1, 1], w[6, 2, 0, 0] = -np.inf, np.nan
    assert_right(x, w)


def test_subnormals_among_terms_that_cancel():
    rng = np.random.default_rng(4)
    x, w = cancelling(rng)
    x[:, 3] *= np.float32(2.0**-140)
    w[:, 3] *= np.float32(2.0**-120)
    assert_right(x, w)


def test_lower_slices_that_add_up_to_more_than_the_modulus():
    # 1 - 1, and thousands of numbers just below half of the grid: the sum of integers is 0, and what is left, 2^51.8
    # times the unit of the products, is not less than half of the modulus.
    n = 3600
    x = np.full((1, n, 1, 1), 2.0**-47 * (1 - 2.0**-20), np.float32)
    w = np.ones((8, n, 1, 1), np.float32)
    x[0, :2, 0, 0] = 1, -1
    fast = refconv.conv2d(x, w, algorithm="blocked")
    assert (fast == np.float32((n - 2) * 2.0**-47 * (1 - 2.0**-20))).all()


def test_numbers_of_every_size_beside_a_large_one():
    # So many lower slices that there is no list of them.
    rng = np.random.default_rng(5)
    x, w = cancelling(rng)
    x[:, :10] *= np.exp2(rng.integers(-90, 0, x[:, :10].shape)).astype(np.float32)
    w[:, :10] *= np.exp2(rng.integers(-90, 0, w[:, :10].shape)).astype(np.float32)
    assert_right(x, w)
