"""The distance between floating-point numbers, counted in numbers of their format."""

import numpy as np

from refconv.testing.formats import format_of

__all__ = ["ulp_error"]


def ulp_error(result, reference):
    """Distance between two arrays of one format, counted in representable numbers.

    Parameters
    ----------
    result, reference : ndarray
        Of the same dtype, one of the four formats, and the same shape.

    Returns
    -------
    ndarray of float64
        How many steps from a number to its neighbour lead from one to the other. The steps run evenly through subnormal
        numbers and zero; -0 and +0 are the same number; infinity is one step beyond the largest number. Two NaNs are at
        distance 0, whatever their bits; a NaN and a number are infinitely far apart.

    Raises
    ------
    TypeError
        ``ulp_error(): the arrays have different dtypes: float32 and float64``

    Notes
    -----
    A distance to describe an error with, not to judge it by: where terms cancel, a result that is as good as its
    arithmetic can make it is any number of ulps away from the exact one.

    Examples
    --------
    >>> import numpy as np
    >>> from refconv.testing import ulp_error
    >>> ulp_error(np.float32([1.0, 0.0, 1.0]), np.float32([1.0000001, -0.0, np.nan]))
    array([ 1.,  0., inf])
    """
    result, reference = np.asarray(result), np.asarray(reference)
    if result.dtype != reference.dtype:
        raise TypeError(f"ulp_error(): the arrays have different dtypes: {result.dtype} and {reference.dtype}")
    fmt = format_of(result.dtype)
    a, a_negative = _steps_from_zero(result)
    b, b_negative = _steps_from_zero(reference)
    # On different sides of zero the way leads through zero. uint64 holds the sum; int64 would not for float64.
    steps = np.where(a_negative == b_negative, np.maximum(a, b) - np.minimum(a, b), a + b)
    infinity = np.uint64((2 * fmt.emax + 1) << (fmt.precision - 1))
    a_nan, b_nan = a > infinity, b > infinity
    return np.select([a_nan & b_nan, a_nan | b_nan], [0.0, np.inf], steps.astype(np.float64))


def _steps_from_zero(array):
    """Return how many steps each number is away from zero, and whether on the negative side.

    Without the sign bit, the encodings of an IEEE format count its numbers in order from zero to infinity.
    """
    bits = 8 * array.dtype.itemsize
    encodings = array.view(f"u{array.dtype.itemsize}").astype(np.uint64)
    sign = np.uint64(1 << (bits - 1))
    return encodings & (sign - np.uint64(1)), (encodings & sign) != 0
