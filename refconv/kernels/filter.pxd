"""The rounding test: when is a computed sum good enough to know the correctly rounded one?

Notation. y is the exact sum of one output element, m its number of terms (the bias included), u = 2^-53, B an upper
bound of the sum of the terms' absolute values. B is a product  weight measure * input measure  (Cauchy-Schwarz: the
square roots of the sums of squares; or Hoelder: the sum of absolute values times the maximum).

THE TEST. If |s - y| <= e and both s - e and s + e round to the same number of the output format, with the same sign
bit, then y rounds to it too, since rounding is monotone. "Same" is asked of the encodings, which tells -0 from +0; and
e must be finite, which rules out NaN (a NaN or an infinity among the operands makes their measure, and so e, infinite
or NaN). The subtraction and the addition round as well: SLACK covers that.

BOUND 1, plain float64 sums of float16/bfloat16/float32 operands. The products are exact in float64 (24 + 24 <= 53 bits,
exponents within [2^-298, 2^256)), no sum over- or underflows, and a sum in any order, with or without fused
multiply-add, through at most h roundings on the way of any term, errs by at most

    ((1 + u)^h - 1) B <= SLACK * h u B          (h < 2^40)

(Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed., section 3.1; Jeannerod & Rump, SIAM J. Matrix Anal.
Appl. 34 (2013) 338-344). Short blocks of taps make h small: block length + number of blocks + 1 for the bias.

BOUND 1', the grid. If every operand is a multiple of a power of two, g_w and g_x, then all products and sums are
multiples of g = g_w g_x; and if SLACK * B <= 2^53 g, each of them is a float64, nothing was rounded, and e = 0. This is
what decides exact ties, which no error bound can.

BOUND 2, sums of slices. Numbers are cut exactly into a high and a low slice, the high one a multiple of a chosen grid;
workspace.pxd names the ways. The sum of the products of high slices, `first`, is exact by the grid argument with
SLACK * B <= 2^53 g for the chosen grids, and what is left,

    second = sum of w_low x_high + w x_low                                            CUT_HIGH
    second = sum of w_low x_high + w_high x_low, third = sum of w_low x_low           CUT_ALL

errs by SLACK * h u B2, B2 = bound of its terms: smaller than bound 1 by the ratio of the slices. If the grids are
coarse enough for these sums too, they are exact and e = 0. Products that underflow add up to 2^-1074 for each
operation.

BOUND 3, a float64 sum and a sum modulo 2^52. Operands are cut as for bound 2, more finely: high slices are the integers
X and W times the grids, with g = g_w g_x. Their sum of products is g S, S = sum of W X. Known are T, the number from
-2^51 to 2^51 - 1 that is S modulo 2^52 (modular.pxd finds it with half the multiplications), and s, a plain float64 sum
of all w x, which is e1 (bound 1, with the blocks of that loop) away from the sum of all w x, and that is at most B2
(bound 2) away from g S. If

    SLACK (e1 + B2) <= 2^50 g

then s / g is less than 2^51 away from S, also as computed: S - T is the one multiple of 2^52 that is nearest to
s / g - T. (This difference is rounded by u |s| / g <= e1 / g / 8, as h in e1 is at least 8, and by 2^-2.) So g S is
known exactly, as the sum of two float64. The products with a lower slice, as many as there are, err by SLACK * h u B2.
Without any, and without a bias to join, e = 0, whatever cancels.

SLACK = 1.0625 covers (1 + u)^h, the rounding of B itself (measures are sums of at most 2^40 terms), of e, and of
s - e and s + e, each of which moves them by less than u |s| <= u (B + e) when 8 is added to h.
"""
from libc.math cimport INFINITY, fabs
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy

from refconv.kernels.exact cimport FLOAT32, FLOAT64, FloatFormat, encode, shape_of
from refconv.kernels.vector cimport (
    CHANNELS, LANES, VECTORS, vector_load, vector_test_float32, vector_test_float64,
)

cdef extern from *:
    """
    #define SLACK 1.0625
    #define UNIT_ROUNDOFF 0x1p-53
    #define UNDERFLOW_STEP 0x1p-1074
    #define TWO_TO_50 0x1p50
    #define TWO_TO_53 0x1p53
    """
    const double SLACK
    const double UNIT_ROUNDOFF
    const double UNDERFLOW_STEP
    const double TWO_TO_50
    const double TWO_TO_53

cdef enum:
    NO_BITS = 4000               # lowest_bit of zero: a multiple of every power of two
    LOWEST_GRID = -1074          # below this float64 has no multiples of the grid, and products underflow


cdef inline uint64_t bits_of(double x) noexcept nogil:
    cdef uint64_t bits
    memcpy(&bits, &x, 8)
    return bits


cdef inline double from_bits(uint64_t bits) noexcept nogil:
    cdef double x
    memcpy(&x, &bits, 8)
    return x


cdef inline bint is_finite(double x) noexcept nogil:
    return (bits_of(x) >> 52) & 0x7FF != 0x7FF


cdef inline double power_of_two(int exponent) noexcept nogil:
    """2^exponent, or a smaller number where float64 has none that large; 0 where it has none that small."""
    if exponent > 1023:
        exponent = 1023
    if exponent < -1022:
        return 0.0
    return from_bits(<uint64_t>(exponent + 1023) << 52)


cdef inline int exponent_above(double x) noexcept nogil:
    """The least k with x <= 2^k, for a normal x > 0; at most one more than that otherwise."""
    cdef uint64_t bits = bits_of(x)
    cdef int exponent = <int>((bits >> 52) & 0x7FF) - 1023
    return exponent + ((bits << 12) != 0 or exponent == -1023)


cdef inline int lowest_bit(double x) noexcept nogil:
    """The exponent of the largest power of two that x is a multiple of; NO_BITS for zero, -NO_BITS for inf and NaN."""
    cdef uint64_t bits = bits_of(x)
    cdef int field = (bits >> 52) & 0x7FF
    cdef uint64_t significand = bits & ((<uint64_t>1 << 52) - 1)
    cdef int exponent
    if field == 0x7FF:
        return -NO_BITS
    if field == 0:
        if significand == 0:
            return NO_BITS
        field = 1
    else:
        significand |= <uint64_t>1 << 52
    exponent = field - 1075
    # Isolate the lowest set bit; as a float64 its exponent field says where it is.
    significand &= ~significand + 1
    return exponent + <int>(bits_of(<double>significand) >> 52) - 1023


cdef inline void two_sum(double a, double b, double* total, double* error) noexcept nogil:
    """a + b = total + error exactly (Knuth; no condition on the sizes, barring overflow)."""
    cdef double s = a + b
    cdef double b_part = s - a
    error[0] = (a - (s - b_part)) + (b - b_part)
    total[0] = s


cdef inline double to_odd(double high, double low) noexcept nogil:
    """high + low rounded to odd: exact, or else the neighbouring float64 with an odd significand.

    Rounding that once more, to a format with at least two bits less, is the same as rounding high + low itself
    (Boldo & Melquiond, IEEE Trans. Computers 57 (2008) 462-471).
    """
    cdef double total, error
    two_sum(high, low, &total, &error)
    cdef uint64_t bits = bits_of(total)
    if error != 0 and bits & 1 == 0:
        # One step towards the error: away from zero if it has the sign of the total, else towards zero.
        bits = bits + 1 if (error > 0) == (total > 0) else bits - 1
    return from_bits(bits)


cdef inline uint64_t narrow(double x, FloatFormat target) noexcept nogil:
    """The encoding of the number of the target format that is nearest to the finite float64 x."""
    cdef uint64_t bits
    cdef uint32_t bits32
    cdef float single
    cdef int field
    if target == FLOAT32:
        single = <float>x
        memcpy(&bits32, &single, 4)
        return bits32
    bits = bits_of(x)
    if target == FLOAT64:
        return bits
    field = (bits >> 52) & 0x7FF
    if field == 0:
        return bits >> 63 << 15                    # zero, or below half of the 16-bit formats' smallest subnormal
    return encode(bits >> 63, (bits | <uint64_t>1 << 52) << 11, field - 1023, shape_of(target))


cdef inline uint64_t narrow_pair(double high, double low, FloatFormat target) noexcept nogil:
    """The encoding of the number that is nearest to high + low (finite), in one rounding."""
    if target == FLOAT64:
        return bits_of(high + low)
    return narrow(to_odd(high, low), target)


cdef inline int accept(const double* s, const double* e, FloatFormat target, uint64_t* encodings) noexcept nogil:
    """THE TEST for CHANNELS sums; bit j of the answer is set where it proves nothing."""
    cdef float rounded[CHANNELS]
    cdef uint32_t bits[CHANNELS]
    cdef int j, v, mask = 0
    if target == FLOAT32:
        for v in range(VECTORS):
            mask |= vector_test_float32(
                vector_load(s + LANES * v), vector_load(e + LANES * v), rounded + LANES * v) << (LANES * v)
        memcpy(bits, rounded, sizeof(bits))
        for j in range(CHANNELS):
            encodings[j] = bits[j]
        return mask
    for j in range(CHANNELS):
        if is_finite(e[j]):
            encodings[j] = narrow(s[j] - e[j], target)
            if encodings[j] == narrow(s[j] + e[j], target):
                continue
        mask |= 1 << j
    return mask


cdef inline int accept_pair(
    const double* high, const double* low, const double* e, FloatFormat target, uint64_t* encodings,
) noexcept nogil:
    """THE TEST for CHANNELS unevaluated sums high + low, |low| <= u |high|."""
    cdef double rounded[CHANNELS]
    cdef double wider[CHANNELS]
    cdef int j, v, mask = 0
    if target == FLOAT64:
        for v in range(VECTORS):
            mask |= vector_test_float64(
                vector_load(high + LANES * v), vector_load(low + LANES * v), vector_load(e + LANES * v),
                rounded + LANES * v) << (LANES * v)
        memcpy(encodings, rounded, sizeof(rounded))
        return mask
    # Nearly always high alone decides, with low counted as an error; 4 u |high| outweighs what high - wider rounds off.
    for j in range(CHANNELS):
        wider[j] = SLACK * (fabs(low[j]) + e[j]) + 4 * UNIT_ROUNDOFF * fabs(high[j])
        if not is_finite(high[j]):
            wider[j] = INFINITY
    mask = accept(high, wider, target, encodings)
    for j in range(CHANNELS):
        if mask >> j & 1 and is_finite(high[j]) and is_finite(e[j]):
            encodings[j] = narrow_pair(high[j], low[j] - e[j], target)
            if encodings[j] == narrow_pair(high[j], low[j] + e[j], target):
                mask &= ~(1 << j)
    return mask
