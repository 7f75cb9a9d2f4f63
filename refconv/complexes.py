"""Correlation of complex arrays: real and imaginary part each correctly rounded.

With x = xr + i*xi and w = wr + i*wi, nothing conjugated, both parts are real correlations of twice as many channels:

    re = sum  wr * xr  +  -wi * xi
    im = sum  wi * xr  +   wr * xi

So each is the exact sum of its terms, rounded once, and NaN and infinities follow the rules of real arithmetic.
Products by three multiplications, or the recovery of infinities that C compilers add, would give other results.
"""

import numpy as np

from refconv import floats

__all__ = ["correlate"]


def correlate(input, weight, bias, output, *, groups, **options):
    """Fill `output` with the correlation of complex arrays; as `refconv.correlate.correlate`, for complex dtypes."""
    parts = _side_by_side(input.real, input.imag, groups)
    real_weight = _side_by_side(weight.real, -weight.imag)
    imaginary_weight = _side_by_side(weight.imag, weight.real)
    real_bias, imaginary_bias = (None, None) if bias is None else (bias.real, bias.imag)
    floats.correlate(parts, real_weight, real_bias, output.real, groups=groups, **options)
    floats.correlate(parts, imaginary_weight, imaginary_bias, output.imag, groups=groups, **options)


def _side_by_side(first, second, groups=1):
    """The channels of two arrays (N, C, ...) in one of (N, 2 * C, ...): in each group those of the first come first."""
    N, C, *size = first.shape
    both = np.empty((N, groups, 2, C // groups, *size), first.dtype)
    both[:, :, 0] = first.reshape(N, groups, C // groups, *size)
    both[:, :, 1] = second.reshape(N, groups, C // groups, *size)
    return both.reshape(N, 2 * C, *size)
