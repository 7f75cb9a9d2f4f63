"""Sums built so that the fast kernel's float64 sum errs by nearly what its bound allows, next to a rounding boundary.

Each is one output element whose terms are added in the order given; the right answer is known by hand. A bound or a
test that is a little too generous accepts the wrong neighbour.
"""

import numpy as np
import pytest

import refconv
from refconv import kernels
from refconv.kernels import isa

U = 2.0**-53
NEXT_ABOVE_ONE = np.float32(1 + 2.0**-23)


def fast(x, w, bias=None, outputs=(1, 1), dtype=np.float32):
    """The sum of x[i] * w[i], by the fast kernel, as every one of `outputs` (channels, positions[, "neighbours"])."""
    channels, positions, *neighbours = outputs
    x, w = np.array(x, np.float32), np.array(w, np.float32)
    if neighbours:  # the terms are input channels, and positions are columns
        x, w = np.tile(x.reshape(1, -1, 1, 1), (1, 1, 1, positions)), w.reshape(1, -1, 1, 1)
    else:  # the terms are columns, and positions are rows
        x, w = np.tile(x, (1, 1, positions, 1)), w.reshape(1, 1, 1, -1)
    w = np.tile(w, (channels, 1, 1, 1))
    b = None if bias is None else np.full(channels, bias, np.float32)
    y = refconv.conv2d(x, w, b, dtype=dtype, algorithm="blocked").ravel()
    assert (y.view(f"u{y.itemsize}") == y.view(f"u{y.itemsize}")[0]).all()
    return y[0]


# 1 or 2 channels go by rows, 8 by channels, and 8 of them for 8 positions are tested together: as a block if they lie
# anywhere, in another way if they are neighbours.
every_way = pytest.mark.parametrize(
    "outputs", [(1, 1), (8, 1), (8, 8), (8, 8, "neighbours")], ids=["row", "channels", "block", "neighbours"]
)


@every_way
def test_half_of_the_bound_would_not_do(outputs):
    # 1 + 2^-24 is the midpoint; 2^-46 = 128 u below it lies the sum when each of 157 terms, each nearly u, is lost.
    # They add up to more than 128 u: the exact sum is above the midpoint. The bound is 180 u, and half of it 90 u.
    lost = 1 - 2.0**-10
    x = [1, 2.0**-12, -(2.0**-23)] + [2.0**-26] * 157
    w = [1, 2.0**-12, 2.0**-23] + [2.0**-27 * lost] * 157
    assert 157 * lost > 128
    assert fast(x, w, outputs=outputs) == NEXT_ABOVE_ONE
    assert fast(x, [-v for v in w], outputs=outputs) == -NEXT_ABOVE_ONE


@pytest.mark.parametrize("place", range(8))
def test_a_block_is_proved_by_the_largest_of_its_bounds(place):
    # The sum above at one of 8 positions, next to others that have hardly any bound.
    x = np.zeros((1, 1, 8, 160), np.float32)
    x[0, 0, place] = [1, 2.0**-12, -(2.0**-23)] + [2.0**-26] * 157
    w = np.array([1, 2.0**-12, 2.0**-23] + [2.0**-27 * (1 - 2.0**-10)] * 157, np.float32)
    y = refconv.conv2d(x, np.tile(w, (8, 1, 1, 1)), algorithm="blocked")
    expected = np.zeros(8, np.float32)
    expected[place] = NEXT_ABOVE_ONE
    assert (y[0, :, :, 0] == expected).all()


@pytest.mark.parametrize("place", [0, 9, 58, 59, 63, 64, 66])
def test_neighbours_are_proved_by_a_bound_for_all_that_are_written(place):
    # 67 positions are 64 that share a bound, and 3 that are computed together with the last ones of those.
    terms, w = np.array(
        [[1, 2.0**-12, -(2.0**-23)] + [2.0**-26] * 157, [1, 2.0**-12, 2.0**-23] + [2.0**-27 * (1 - 2.0**-10)] * 157],
        np.float32,
    )
    x = np.zeros((1, 160, 1, 67), np.float32)
    x[0, :, 0, place] = terms
    y = refconv.conv2d(x, np.tile(w.reshape(1, 160, 1, 1), (8, 1, 1, 1)), algorithm="blocked")
    expected = np.zeros(67, np.float32)
    expected[place] = NEXT_ABOVE_ONE
    assert (y[0, :, 0] == expected).all()


@pytest.mark.parametrize("place", [0, 134, 140])
def test_neighbours_in_doubt_are_settled_once(place):
    # 141 positions are 18 times 8, and 3 of them are computed twice. 1 + 2^-24 + 2^-60 takes a second word to decide.
    x = np.zeros((1, 3, 1, 141), np.float32)
    x[0, :, 0, place] = [1, 2.0**-12, 2.0**-30]
    w = np.tile(np.array([1, 2.0**-12, 2.0**-30], np.float32).reshape(1, 3, 1, 1), (8, 1, 1, 1))
    kernels.reset_counters()
    y = refconv.conv2d(x, w, algorithm="blocked")
    expected = np.zeros(141, np.float32)
    expected[place] = NEXT_ABOVE_ONE
    assert (y[0, :, 0] == expected).all()
    assert kernels.counters()["rung2"] == 8


@every_way
def test_a_sum_of_negative_zeros_is_positive(outputs):
    result = fast([0.0, 0.0], [-1.0, -1.0], bias=-0.0, outputs=outputs)
    assert result == 0
    assert not np.signbit(result)


@every_way
def test_the_grid_has_53_bits_and_not_54(outputs):
    # 2^53 + 1 is not a float64. The sum is 1 above the midpoint of two float32; without the 1 the lower one is even.
    x = [2.0**27, 1, 3 * 2.0**14]
    w = [2.0**26, 1, -(2.0**14)]
    assert fast(x, w, outputs=outputs) == np.float32(2.0**53 - 2.0**29)
    # The same with a 1 that is the lowest bit of a number, and not the smallest number.
    x[1] = 2.0**20 + 1
    assert fast([*x, 2.0**20], [*w, -1], outputs=outputs) == np.float32(2.0**53 - 2.0**29)


@every_way
def test_a_tie_of_few_bits_is_decided_by_the_grid_alone(outputs):
    kernels.reset_counters()
    assert fast([1, 2.0**-12], [1, 2.0**-12], outputs=outputs) == np.float32(1)
    assert fast([1, 2.0**-12, 2.0**-12], [1, 2.0**-12, 2.0**-11], outputs=outputs) == np.float32(1 + 2.0**-22)
    counts = kernels.counters()
    assert counts["elements"] == 2 * outputs[0] * outputs[1]
    assert counts["rung2"] == 0


@every_way
def test_the_bias_is_part_of_the_bound(outputs):
    # 1 + 2^-24 + 2^-60: adding the bias loses the last term, which decides.
    assert fast([2.0**-12, 2.0**-30], [2.0**-12, 2.0**-30], bias=1, outputs=outputs) == NEXT_ABOVE_ONE


@every_way
def test_the_sign_of_a_result_that_underflows_is_the_exact_one(outputs):
    x = [2.0**-80, 2.0**-110, -(2.0**-80)]
    w = [2.0**-80, 2.0**-105, 2.0**-80]
    result = fast(x, w, outputs=outputs)
    assert result == 0
    assert not np.signbit(result)
    assert np.signbit(fast(x, [-v for v in w], outputs=outputs))


@every_way
def test_the_sum_of_slices_does_not_lose_its_last_bits(outputs):
    # float64 results: 1 + 2^-53 is a tie; a product a million times smaller decides it.
    tie, above = [1, 2.0**-30], [1, 2.0**-23]
    assert fast(tie, above, outputs=outputs, dtype=np.float64) == 1
    assert fast([*tie, 2.0**-40], [*above, 2.0**-40], outputs=outputs, dtype=np.float64) == 1 + 2.0**-52


@pytest.mark.parametrize("K", [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17])
@pytest.mark.parametrize("oW", [1, 2, 3, 5, 6, 7, 8, 9, 13])
def test_no_lane_of_the_last_tile_is_left_out(K, oW):
    x = np.arange(2 * oW, dtype=np.float32).reshape(1, 2, 1, oW)
    w = np.arange(1, 2 * K + 1, dtype=np.float32).reshape(K, 2, 1, 1)
    expected = np.einsum("kc,cw->kw", w[..., 0, 0], x[0, :, 0])
    assert (refconv.conv2d(x, w, algorithm="blocked")[0, :, 0] == expected).all()


def test_every_group_and_chunk_uses_its_own_weights():
    # Big enough for several chunks of weights in each of several groups, which share one buffer.
    groups, K, C = 3, 300, 400
    x = np.ones((1, groups * C, 2, 2), np.float32)
    w = np.zeros((groups * K, C, 2, 2), np.float32)
    w[:, 0, 0, 0] = np.arange(groups * K)
    assert (refconv.conv2d(x, w, groups=groups, threads=1, algorithm="blocked").ravel() == np.arange(groups * K)).all()


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("operand", ["input", "inputs", "weight", "bias"])
@pytest.mark.parametrize("way", ["block", "neighbours"])
def test_what_is_not_finite_is_not_proved_by_comparing_nans(way, operand, special):
    # 8 positions by 8 channels. One number of one operand is special, or one at each position, and meets a zero.
    x = np.tile(np.array([0, 1, 3], np.float32), (1, 1, 8, 1))
    w = np.tile(np.array([1, 2, 0], np.float32), (8, 1, 1, 1))
    b = np.zeros(8, np.float32)
    expected = np.full((8, 8), 2, np.float32)
    if operand == "input":
        x[0, 0, 3, 2] = special
        expected[:, 3] = np.nan
    elif operand == "inputs":
        x[..., 2] = special
        expected[:] = np.nan
    elif operand == "weight":
        w[5, 0, 0, 0] = special
        expected[5] = np.nan
    else:
        b[6] = expected[6] = special
    if way == "neighbours":  # terms become input channels, and rows columns
        x, w = x.transpose(0, 3, 1, 2), w.transpose(0, 3, 1, 2)
    result = refconv.conv2d(x, w, b, algorithm="blocked")
    np.testing.assert_array_equal(result.reshape(8, 8), expected)
    # All NaNs have the same bits, whatever the processor makes of infinity - infinity.
    assert (result.view(np.uint32) == refconv.conv2d(x, w, b, algorithm="direct").view(np.uint32)).all()


@pytest.mark.parametrize("images", [1, 2])
def test_every_group_and_chunk_uses_its_own_input(images):
    # The input of a band is kept from one chunk to the next, but not to the next group or image.
    groups, K, C = 3, 300, 400
    x = np.zeros((images, groups * C, 2, 2), np.float32)
    x[:, ::C, 0, 0] = np.arange(1, 1 + images * groups).reshape(images, groups)
    w = np.ones((groups * K, C, 2, 2), np.float32)
    y = refconv.conv2d(x, w, groups=groups, threads=1, algorithm="blocked").reshape(images, groups, K)
    assert (y == np.arange(1, 1 + images * groups).reshape(images, groups, 1)).all()


def test_hard_data_use_every_rung():
    rng = np.random.default_rng(0)
    kernels.reset_counters()
    x = rng.standard_normal((1, 64, 12, 12), np.float32)
    w = rng.standard_normal((16, 64, 3, 3), np.float32)
    refconv.conv2d(x, w, algorithm="blocked")
    rung1 = kernels.counters()
    assert rung1["sliced"] == 0
    assert rung1["rung2"] < rung1["elements"] / 100

    # Channels that cancel in pairs: every sum is exactly zero, and only exact slices can say so.
    x[:, 32:] = x[:, :32]
    w[:, 32:] = -w[:, :32]
    kernels.reset_counters()
    assert (refconv.conv2d(x, w, algorithm="blocked") == 0).all()
    assert kernels.counters()["sliced"] == kernels.counters()["elements"]

    # Products too far apart for two words.
    kernels.reset_counters()
    assert fast([2.0**80, 2.0**-70, -(2.0**80)], [2.0**40, 2.0**-70, 2.0**40]) == np.float32(2.0**-140)
    assert kernels.counters()["rung3"] == 1


def test_the_counters_belong_to_the_instruction_set_in_use():
    assert isa.blocked.__name__ == f"refconv.kernels.blocked_{isa.level}"
