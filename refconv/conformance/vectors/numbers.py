"""Numbers for operands, made of drawn integers by exact operations.

A maker of numbers takes (stream, format, shapes, terms): the shapes of the two factors and of the bias or None, and the
most terms that a sum has. It returns arrays of float64 that hold numbers of the format.
"""

import math

import numpy as np

__all__ = [
    "cancelling",
    "few_integers",
    "full_range",
    "integers",
    "non_finite",
    "overflowing",
    "rounded",
    "signed_zeros",
    "subnormals",
    "ties",
    "underflowing",
    "wide_exponents",
]


def _each(make, shapes):
    return tuple(None if shape is None else make(shape) for shape in shapes)


def _significands(stream, fmt, shape):
    """Numbers of all the format's bits, of either sign, from 1 to 2 in magnitude."""
    most = 2 ** (fmt.precision - 1)
    whole = most + stream.integers(0, most - 1, shape)
    return np.ldexp((stream.signs(shape) * whole).astype(np.float64), 1 - fmt.precision)


# ---- Sums that no order of summation rounds ----


def integers(stream, fmt, shapes, terms):
    """Integers so small that every sum of products is a number of the format."""
    bias = 2 ** (fmt.precision - 2)
    limit = math.isqrt((2**fmt.precision - bias) // max(terms, 1))
    limit = max(1, min(limit, 2 ** stream.integer(2, 26)))
    bias = min(bias, limit)
    x, w, b = shapes
    return (
        stream.integers(-limit, limit, x).astype(np.float64),
        stream.integers(-limit, limit, w).astype(np.float64),
        None if b is None else stream.integers(-bias, bias, b).astype(np.float64),
    )


def few_integers(stream, fmt, shapes, terms):
    """-1, 0 and 1: exact in every format that can count the terms."""
    return _each(lambda shape: stream.integers(-1, 1, shape).astype(np.float64), shapes)


def subnormals(stream, fmt, shapes, terms):
    """Small integers, in units of the least subnormal number on one side: exact unless subnormals are flushed."""
    x, w, b = integers(stream, fmt, shapes, terms)
    return np.ldexp(x, fmt.least_exponent), w, None if b is None else np.ldexp(b, fmt.least_exponent)


# ---- Sums that are rounded ----


def rounded(stream, fmt, shapes, terms):
    """All bits of the format, magnitudes from 1/8 to 2."""

    def make(shape):
        return np.ldexp(_significands(stream, fmt, shape), -stream.integers(0, 3, shape))

    return _each(make, shapes)


def wide_exponents(stream, fmt, shapes, terms):
    """Magnitudes so far apart that small terms are lost beside large ones, but no product overflows."""
    reach = fmt.emax // 2 - 4

    def make(shape):
        return np.ldexp(_significands(stream, fmt, shape), stream.integers(-reach, reach, shape))

    return _each(make, shapes)


def cancelling(stream, fmt, shapes, terms):
    """Numbers near 1 on one side and 1 or -1 on the other: what is left of a sum are the last bits of its terms."""
    x, w, b = shapes
    near_one = 1.0 + np.ldexp(stream.integers(0, 15, x).astype(np.float64), 1 - fmt.precision)
    return near_one, stream.signs(w).astype(np.float64), None if b is None else stream.signs(b).astype(np.float64)


def ties(stream, fmt, shapes, terms):
    """Sums of three: a number, half of its last place, and nothing or next to nothing.

    They lie in the middle between two numbers of the format, or so little beside it that a sum formed in a wider format
    and rounded afterwards goes to the wrong one. The other factor is 1. Along the first axis of x as along the second,
    one of which is summed over, each of the three kinds of terms comes once.
    """
    x, w, b = shapes
    whole = _significands(stream, fmt, x)
    half = np.ldexp(stream.signs(x).astype(np.float64), -fmt.precision)
    # As small as float64 could not hold beside the others, as far as the format has such numbers.
    least = max(fmt.least_exponent, -3 * fmt.precision - 20)
    nothing = np.ldexp(stream.integers(-1, 1, x).astype(np.float64), least)
    kind = np.add.outer(np.arange(x[0]), np.arange(x[1])) % 3
    kind = kind.reshape(kind.shape + (1,) * (len(x) - 2))
    return np.select([kind == 0, kind == 1], [whole, half], nothing), np.ones(w), None if b is None else np.zeros(b)


def overflowing(stream, fmt, shapes, terms):
    """Products of the size of the largest number: sums on either side of the end."""
    scales = (fmt.emax // 2, fmt.emax - fmt.emax // 2 - 1 - stream.integer(0, 2), fmt.emax - 1)
    return _scaled(stream, fmt, shapes, scales)


def underflowing(stream, fmt, shapes, terms):
    """Products of the size of the least subnormal number: most are rounded."""
    # Normal numbers on both sides, as a subnormal one has fewer bits.
    half = fmt.least_exponent // 2
    return _scaled(stream, fmt, shapes, (half, fmt.least_exponent - half + stream.integer(0, 2), None))


def _scaled(stream, fmt, shapes, scales):
    """All bits of the format, times powers of two; zeros where there is no power."""

    def make(shape, scale):
        if shape is None or scale is None:
            return None if shape is None else np.zeros(shape)
        return np.ldexp(_significands(stream, fmt, shape), scale)

    return tuple(map(make, shapes, scales))


# ---- Special numbers ----


def non_finite(stream, fmt, shapes, terms):
    """Small integers, one NaN, one infinity of either sign and one negative zero among them."""
    x, w, b = integers(stream, fmt, shapes, terms)
    for value in (np.nan, np.inf, -np.inf, -0.0):
        if x.size:
            x.flat[stream.integer(0, x.size - 1)] = value
    return x, w, b


def signed_zeros(stream, fmt, shapes, terms):
    """Zeros of both signs and a few ones: an exact zero is +0, whatever zeros it is the sum of."""

    def make(shape):
        return np.select([stream.integers(0, 4, shape) == 0], [1.0], np.copysign(0.0, stream.signs(shape)))

    return _each(make, shapes)


def full_range(stream, info, shapes, terms):
    """Integers of an integer dtype, as large as the sum of so many products allows."""
    x, w, b = shapes
    # The result is of 32 bits at least, and has room for the bias besides.
    limit = math.isqrt((2**31 - 1 - info.max) // max(terms, 1))
    low, high = max(info.min, -limit), min(info.max, limit)
    return (
        stream.integers(low, high, x),
        stream.integers(low, high, w),
        None if b is None else stream.integers(info.min, info.max, b),
    )
