"""The fast kernel returns the bits of the direct one, on data made to be hard for a rounding test.

`test_conv2d_values.py` compares both with the oracle on small problems; here the problems are large enough for several
bands, chunks and blocks, and the data aim at each rung of the ladder.
"""

import numpy as np
import pytest
from hard_cases import PAIRS
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import from_bits, to_bits
from problems import any_bits, seeds

import refconv

every_pair = pytest.mark.parametrize("pair", PAIRS, ids=str)

# Channels and filters per group, groups, size, kernel, stride, padding, dilation.
LAYERS = {
    "several_bands": (3, 8, 1, (40, 61), (3, 3), 1, 1, 1),
    "long_rows": (1, 5, 1, (2, 2500), (1, 7), 1, (0, 3), 1),
    "few_filters": (9, 2, 1, (33, 31), (3, 2), 1, 1, 1),
    "one_filter_one_plane": (1, 1, 1, (50, 60), (3, 3), 1, 2, 1),
    "depthwise": (1, 1, 11, (20, 19), (3, 3), 1, 1, 1),
    "depthwise_with_multiplier": (1, 5, 3, (20, 19), (3, 3), (2, 1), 1, 1),
    "strides_and_dilations": (4, 9, 2, (31, 40), (3, 4), (3, 2), (2, 1), (2, 3)),
    "stride_beyond_the_kernel": (5, 6, 1, (29, 30), (2, 2), (4, 5), 0, 1),
    "many_weights": (96, 130, 1, (6, 5), (3, 3), 1, 0, 1),
    "pointwise": (70, 33, 1, (9, 11), (1, 1), 1, 0, 1),
    "mostly_padding": (2, 5, 1, (3, 4), (5, 5), 1, ((9, 1), (0, 12)), 2),
}


# Each makes two fills, for the input and for weight and bias.


def near_one(rng, pair):
    """Random significands: what nearly every element of ordinary data looks like."""
    fill = any_bits(rng.integers(2**32), pair.operand, rare=0)
    return fill, fill


def with_specials(rng, pair):
    fill = any_bits(rng.integers(2**32), pair.operand, rare=0.001)
    return fill, fill


def of_every_exponent(rng, pair):
    """Any finite encoding, so that a few terms dominate, and products over- and underflow."""
    fmt = pair.operand

    def fill(shape):
        return from_bits(rng.integers(0, fmt.inf, shape, dtype=np.uint64) | random_signs(rng, fmt, shape), fmt, shape)

    return fill, fill


def subnormal(rng, pair):
    """Subnormals and the least normal numbers, next to numbers near one."""
    fmt, (ordinary, _) = pair.operand, near_one(rng, pair)

    def fill(shape):
        small = from_bits(rng.integers(0, 2 << fmt.fraction_bits, shape), fmt, shape)
        return np.where(rng.random(shape) < 0.5, small, ordinary(shape))

    return fill, fill


def powers_of_two(rng, pair):
    """Few exponents, a precision of the result apart: sums are ties, or a little beside ties, or cancel."""
    fmt, precision = pair.operand, pair.result.fraction_bits + 1
    steps = [0, 0, 0, precision - 1, precision, precision, 2 * precision, 2 * precision + 3]

    def fill(shape):
        exponents = np.maximum(fmt.bias - rng.choice(steps, shape), 1).astype(np.uint64)
        numbers = from_bits(exponents << np.uint64(fmt.fraction_bits) | random_signs(rng, fmt, shape), fmt, shape)
        return np.where(rng.random(shape) < 0.6, np.zeros_like(numbers), numbers)

    return fill, fill


def cancelling(rng, pair):
    """An image that is constant but for its last bits, under filters whose weights add up to zero.

    The large terms cancel, and what is left is not much more than the rounding error of a float64 sum.
    """
    fmt, (ordinary, _) = pair.operand, near_one(rng, pair)
    constant = rng.integers(fmt.one, fmt.one + (1 << fmt.fraction_bits) - 16)

    def image(shape):
        return from_bits(constant + rng.integers(0, 16, shape), fmt, shape)

    def weights(shape):
        if len(shape) == 1:  # a bias would be all that is left
            return np.zeros(shape, fmt.dtype)
        numbers = ordinary(shape).reshape(shape[0], -1)
        half = numbers.shape[1] // 2
        numbers[:, half : 2 * half] = -numbers[:, :half]
        return numbers.reshape(shape)

    return image, weights


def mostly_zero(rng, pair):
    """Zeros of both signs, and few numbers: whole windows are zero, as after a ReLU."""
    fmt, (ordinary, _) = pair.operand, near_one(rng, pair)

    def fill(shape):
        return np.where(rng.random(shape) < 0.9, from_bits(random_signs(rng, fmt, shape), fmt, shape), ordinary(shape))

    return fill, fill


def random_signs(rng, fmt, shape):
    return rng.integers(0, 2, shape, dtype=np.uint64) << np.uint64(fmt.width - 1)


DATA = [near_one, with_specials, of_every_exponent, subnormal, powers_of_two, cancelling, mostly_zero]


def assert_both_agree(pair, data, seed, x_shape, w_shape, bias, **arguments):
    image, weights = data(np.random.default_rng(seed), pair)
    x, w, b = image(x_shape), weights(w_shape), weights(w_shape[:1]) if bias else None
    fast, direct = (
        refconv.conv2d(x, w, b, **arguments, dtype=pair.result.dtype, algorithm=algorithm)
        for algorithm in ("auto", "direct")
    )
    differ = np.array(to_bits(fast)) != np.array(to_bits(direct))
    assert not differ.any(), (
        f"{differ.sum()} of {differ.size} differ, the first is "
        f"{fast.ravel()[differ.argmax()]} instead of {direct.ravel()[differ.argmax()]}"
    )


@every_pair
@pytest.mark.parametrize("data", DATA, ids=lambda data: data.__name__)
@pytest.mark.parametrize("layer", LAYERS)
def test_layers_of_every_layout_agree(layer, data, pair):
    channels, filters, groups, size, kernel, stride, padding, dilation = LAYERS[layer]
    x_shape, w_shape = (1, channels * groups, *size), (filters * groups, channels, *kernel)
    arguments = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    assert_both_agree(pair, data, 1, x_shape, w_shape, bias=layer != "pointwise", **arguments)


@every_pair
@settings(max_examples=30, deadline=None)
@given(
    seed=seeds,
    data=st.sampled_from(DATA),
    batch=st.integers(1, 2),
    groups=st.integers(1, 2),
    channels=st.integers(1, 20),
    filters=st.integers(1, 20),
    excess=st.tuples(st.integers(0, 25), st.integers(0, 25)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    dilation=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    bias=st.booleans(),
)
def test_random_layers_agree(
    pair, seed, data, batch, groups, channels, filters, excess, kernel, stride, padding, dilation, bias
):
    size = tuple(d * (k - 1) + 1 + e for d, k, e in zip(dilation, kernel, excess, strict=True))
    x_shape, w_shape = (batch, channels * groups, *size), (filters * groups, channels, *kernel)
    arguments = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    assert_both_agree(pair, data, seed, x_shape, w_shape, bias, **arguments)
