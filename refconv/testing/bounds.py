"""How wrong may a convolution be? A bound for every output element, derived from the arithmetic that was claimed.

There is no tolerance to choose here. An implementation states a claim, such as "accumulates in float32, in some order",
and theory says how far from the exact sum each of its results can then be. Inside the bound a result proves nothing;
outside of it the claim is false, whatever the order of summation was.

    y   exact value of an output element: the sum of its terms, that is of its products and the bias
    A   the sum of the absolute values of the same terms
    m   how many of the terms are not zero (adding a zero is exact in any order, so those do not count)
    u   unit roundoff, 2**-precision            eta   least subnormal number
"""

from dataclasses import dataclass

import numpy as np

from refconv.functional import conv2d
from refconv.testing.formats import FORMATS, format_of

__all__ = ["Claim", "ErrorBound", "direct_bound", "ulp_error"]

_FLOAT64 = FORMATS["float64"]

# The bound itself is evaluated with fewer than 16 float64 operations, each with a relative error of at most 2**-53.
_ROUND_UP = 1.0 + 2.0**-48


@dataclass(frozen=True)
class Claim:
    """What an implementation says about its arithmetic.

    Products are summed directly, in any order, each step rounded to nearest. Fused multiply-adds, blocks, SIMD lanes
    and trees of partial sums are all "any order". Not covered are algorithms that form other products (Winograd, FFT)
    and operands that are cast to a narrower format first (TF32).

    Parameters
    ----------
    accumulate : str
        Name of the dtype that products and partial sums are rounded to.
    output : str
        Name of the dtype of the result.
    """

    accumulate: str
    output: str


@dataclass(frozen=True, eq=False)
class ErrorBound:
    """The exact result of a convolution and the error that a claim allows, per output element.

    Parameters
    ----------
    reference : ndarray of float64
        The exact sums, rounded once to float64.
    allowed : ndarray of float64
        Largest permitted distance from `reference`. Zero where every term is zero; infinite where the claimed
        arithmetic may overflow on the way, so that any result is permitted.
    """

    reference: np.ndarray
    allowed: np.ndarray

    def shares(self, result: np.ndarray) -> np.ndarray:
        """Return the error of a result as a share of what is allowed: at most 1 if the claim can be true.

        Parameters
        ----------
        result : ndarray
            In any of the four formats, of the reference's shape.

        Returns
        -------
        ndarray of float64
            Infinite where the result is not even of the right kind: a NaN or an infinity missing or out of place, or
            anything but zero where every term is zero. Zeros of either sign are equal.
        """
        result = np.asarray(result).astype(np.float64)
        if result.shape != self.reference.shape:
            raise ValueError(f"result has shape {result.shape}, but the bound is for shape {self.reference.shape}")
        same = (result == self.reference) | (np.isnan(result) & np.isnan(self.reference))
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            shares = np.abs(result - self.reference) / self.allowed
        shares = np.where(np.isnan(shares), np.inf, shares)
        return np.where(same | np.isinf(self.allowed), 0.0, shares)


def direct_bound(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1, *, claim):
    """Bound the error of a direct 2-D convolution (cross-correlation) that keeps to a claim about its arithmetic.

    Parameters
    ----------
    input, weight, bias, stride, padding, dilation, groups
        As for `refconv.conv2d`.
    claim : Claim
        The accumulator must contain the operands' format.

    Returns
    -------
    ErrorBound

    Raises
    ------
    ConvError, TypeError
        As `refconv.conv2d`.
    ValueError
        ``claim: an accumulator of float16 cannot hold float32 operands``

    Notes
    -----
    The allowed error is E_acc + E_underflow + E_out + E_reference:

    E_acc = m u (1 + u) A, u of the accumulator
        Adding m numbers in *any* order, each addition rounded to nearest, is off by at most (m - 1) u times the sum of
        their absolute values, for every m: C.-P. Jeannerod and S. M. Rump, "Improved error bounds for inner products in
        floating-point arithmetic", SIAM J. Matrix Anal. Appl. 34 (2013) 338-344, doi:10.1137/120894488. Each number is
        a product that has been rounded, by at most u of itself, or that has not, in a fused multiply-add and for the
        bias. The classical form has gamma_m = m u / (1 - m u) instead of m u (1 + u): N. J. Higham, "Accuracy and
        Stability of Numerical Algorithms", 2nd ed., section 3.1.
    E_underflow = (1 + m u) m eta / 2, u and eta of the accumulator
        A product in the subnormal range is off by at most eta / 2 besides, and so is a fused multiply-add; a sum there
        is exact. Higham, section 2.3. Subnormal numbers must not be flushed to zero.
    E_out = u (\\|y\\| + E_acc + E_underflow) + eta / 2, u and eta of the output
        One rounding of the finished sum, if the output's format does not contain the accumulator's; otherwise 0. P.
        Blanchard, N. J. Higham, F. Lopez, T. Mary and S. Pranesh, "Mixed precision block fused multiply-add", SIAM J.
        Sci. Comput. 42 (2020) C124-C141, doi:10.1137/19M1289546.
    E_reference = u \\|y\\| + eta / 2, u and eta of float64
        The reference is the exact sum rounded to float64. This matters for float64 results only.

    y, A and m come from `refconv.conv2d`, correctly rounded; the rest is rounded upwards. Four rules complete the
    bound:

    - m = 0: the result must be zero.
    - A + E reaches the largest number of the accumulator or the output: a partial sum may overflow, so anything goes.
    - Otherwise, y is NaN or infinite because an operand is: the result must be the same.
    - Zeros of either sign are equal.

    The bound is nearly attained: adding m - 1 terms of size u to 1, one after the other, loses all of them, (m - 1) / m
    of it.

    Examples
    --------
    >>> import numpy as np
    >>> from refconv.testing import Claim, direct_bound
    >>> x = np.array([[[[1.0, 2.0**-24]]]], np.float32)
    >>> w = np.ones((1, 1, 1, 2), np.float32)
    >>> bound = direct_bound(x, w, claim=Claim(accumulate="float32", output="float32"))
    >>> bound.shares(np.array([[[[1.0]]]], np.float32)).round(2)     # 1 + u gave 1: u of 2 u allowed
    array([[[[0.5]]]])
    """
    operands = [None if a is None else np.asarray(a) for a in (input, weight, bias)]
    accumulator, output = format_of(claim.accumulate), format_of(claim.output)
    for operand in operands:
        if operand is not None and not accumulator.contains(format_of(operand.dtype)):
            raise ValueError(f"claim: an accumulator of {claim.accumulate} cannot hold {operand.dtype} operands")

    def exact(*arrays):
        return conv2d(*arrays, stride, padding, dilation, groups, dtype=np.float64)

    y = exact(*operands)
    finite = [None if a is None else np.where(np.isfinite(a), a, a.dtype.type(0)) for a in operands]
    A = np.nextafter(exact(*(None if a is None else np.abs(a) for a in finite)), np.inf)
    m = exact(*(None if a is None else (a != 0).astype(np.float32) for a in finite))

    # Where an operand is infinite or NaN, the finite terms alone decide whether a partial sum may overflow.
    size_of_y = np.where(np.isfinite(y), np.abs(y), 0.0)
    u = accumulator.unit_roundoff
    with np.errstate(over="ignore"):
        E_acc = m * u * (1.0 + u) * A
        # eta / 2 of float64 does not exist as a number, hence halves of m, rounded up.
        E_underflow = (1.0 + m * u) * np.ceil(m / 2) * accumulator.least
        E_out = 0.0
        if not output.contains(accumulator):
            E_out = output.unit_roundoff * (size_of_y + E_acc + E_underflow) + output.least / 2
        # The operations here are rounded too. Those with subnormal results, at most eight, by eta / 2 each.
        E_reference = _FLOAT64.unit_roundoff * size_of_y + 8 * _FLOAT64.least
        E = (E_acc + E_underflow + E_out + E_reference) * _ROUND_UP
        may_overflow = np.greater_equal(A + E, min(accumulator.largest, output.largest))
    return ErrorBound(reference=y, allowed=np.select([may_overflow, m == 0], [np.inf, 0.0], E))


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
