# cython: language_level=3
"""The exact sum of products, and the one place where refconv rounds.

    y = round( w[0]*x[0] + w[1]*x[1] + ... )        the sum is exact; `round` happens once

The sum is kept as a very wide fixed-point number (Kulisch's idea), cut into 136 words:

    word   135      134     ...      70       69     ...       1         0
         +--------+--------+------+--------+--------+------+--------+--------+
         | sign,  | 32-bit |      | 32-bit | 32-bit |      | 32-bit | 32-bit |
         | carries| digit  |      | digit  | digit  |      | digit  | digit  |
         +--------+--------+------+--------+--------+------+--------+--------+
    the lowest bit of a digit:  2^0 ----^  2^-32 ---^        2^-2208 ^ 2^-2240 ^

    value = sum over i of  word[i] * 2^(32*i - 2240)

Every word is a signed 64-bit integer that holds a 32-bit digit. The 32 spare bits take the carries, which are not
passed on while summing; `settle` does that, once per 2^29 terms at the latest and before rounding.
The smallest product of two float64 numbers is 2^-1074 * 2^-1074 = 2^-2148, the largest is below 2^2048: both ends fit,
with 64 bits and more to spare below and above, so nothing is ever lost, and no order of summation matters. Narrower
formats use the middle words only.

What this file refuses to do: round twice, use floating-point arithmetic (so neither the rounding mode nor
flush-to-zero of the machine can change a bit), or be fast. Sources: U. Kulisch, *Computer Arithmetic and Validity*
(2013); R. M. Neal, arXiv:1505.05571 (the spare bits for carries).
"""
from cpython.exc cimport PyErr_CheckSignals
from libc.string cimport memcpy, memset

from refconv.kernels.exact cimport WORDS, Accumulator, FloatFormat, Shape, encode, infinity_of, shape_of

# A word grows by less than 2^33 per term (two pieces below 2^32 each), so 2^29 terms stay below 2^62.
cdef enum:
    TERMS_BEFORE_SETTLING = 1 << 29

# The place of 2^0: bit 0 of the whole number is worth 2^-2240.
cdef enum:
    ORIGIN = 2240

# C constants, so that the compiler sees their values.
cdef extern from *:
    """
    #define DIGIT UINT64_C(0xFFFFFFFF)             /* the low 32 bits of a word */
    #define FRACTION ((UINT64_C(1) << 52) - 1)     /* the significand bits that a float64 stores */
    #define HIDDEN (UINT64_C(1) << 52)             /* the leading bit that a normal float64 does not store */
    """
    const uint64_t DIGIT
    const uint64_t FRACTION
    const uint64_t HIDDEN


cdef void clear(Accumulator* acc) noexcept nogil:
    """Make the sum zero."""
    memset(acc, 0, sizeof(Accumulator))


cdef void add_value(Accumulator* acc, double x) noexcept nogil:
    """Add one number (a bias, say): the product 1 * x."""
    add_product(acc, 1.0, x)


cdef void add_product(Accumulator* acc, double w, double x) noexcept nogil:
    """Add the exact product w * x.

    A finite float64 is  +-M * 2^(e - 1075)  with an integer M below 2^53 and its exponent field e (1 for subnormals).
    So the product is M_w*M_x, an integer below 2^106, placed at bit  (e_w - 1075) + (e_x - 1075) + ORIGIN.
    """
    cdef uint64_t w_bits, x_bits
    memcpy(&w_bits, &w, 8)
    memcpy(&x_bits, &x, 8)
    cdef int w_exponent = (w_bits >> 52) & 0x7FF
    cdef int x_exponent = (x_bits >> 52) & 0x7FF
    if w_exponent == 0x7FF or x_exponent == 0x7FF:
        add_special(acc, w, x)
        return

    cdef uint64_t w_significand = w_bits & FRACTION
    cdef uint64_t x_significand = x_bits & FRACTION
    if w_exponent == 0:
        w_exponent = 1
    else:
        w_significand |= HIDDEN
    if x_exponent == 0:
        x_exponent = 1
    else:
        x_significand |= HIDDEN

    cdef uint64_t high, low
    multiply(w_significand, x_significand, &high, &low)
    cdef int position = w_exponent + x_exponent - 2 * 1075 + ORIGIN
    cdef bint negative = (w_bits ^ x_bits) >> 63
    add_shifted(&acc.word[position >> 5], low, position & 31, negative)
    add_shifted(&acc.word[(position >> 5) + 2], high, position & 31, negative)   # 64 bits further up

    acc.terms += 1
    if acc.terms == TERMS_BEFORE_SETTLING:
        settle(acc)


cdef inline void multiply(uint64_t a, uint64_t b, uint64_t* high, uint64_t* low) noexcept nogil:
    """high * 2^64 + low = a * b for a, b < 2^53: long multiplication with 32-bit digits (C has no 128-bit type)."""
    cdef uint64_t a0 = a & DIGIT, a1 = a >> 32
    cdef uint64_t b0 = b & DIGIT, b1 = b >> 32
    cdef uint64_t middle = a1 * b0 + ((a0 * b0) >> 32)    # < 2^21 * 2^32 + 2^32: no overflow
    middle += a0 * b1                                     # < 2^55
    high[0] = a1 * b1 + (middle >> 32)
    low[0] = (middle << 32) | ((a0 * b0) & DIGIT)


cdef inline void add_shifted(int64_t* word, uint64_t value, int shift, bint negative) noexcept nogil:
    """Add +-value * 2^shift (0 <= shift < 32) to the three words that it touches; no carry is passed on."""
    cdef int64_t digit0 = (value << shift) & DIGIT
    cdef int64_t digit1 = (value >> (32 - shift)) & DIGIT
    cdef int64_t digit2 = (value >> 32) >> (32 - shift)   # in two steps: shifting 64 bits by 64 is undefined in C
    cdef int64_t flip = -<int64_t>negative                # 0, or all ones: (d ^ flip) - flip is d, or -d
    word[0] += (digit0 ^ flip) - flip
    word[1] += (digit1 ^ flip) - flip
    word[2] += (digit2 ^ flip) - flip


cdef void add_special(Accumulator* acc, double w, double x) noexcept nogil:
    """Note a product with an infinity or a NaN in it: such a sum is decided by which kinds occurred, not by words."""
    cdef uint64_t w_bits, x_bits
    memcpy(&w_bits, &w, 8)
    memcpy(&x_bits, &x, 8)
    cdef bint negative = (w_bits ^ x_bits) >> 63
    cdef uint64_t infinity = <uint64_t>0x7FF << 52
    w_bits &= ~(<uint64_t>1 << 63)
    x_bits &= ~(<uint64_t>1 << 63)
    if w_bits > infinity or x_bits > infinity:   # a NaN has fraction bits above the infinity's
        acc.nan = True
    elif w_bits == 0 or x_bits == 0:             # infinity * 0
        acc.nan = True
    elif negative:
        acc.negative_infinity = True
    else:
        acc.positive_infinity = True


cdef void settle(Accumulator* acc) noexcept nogil:
    """Pass the carries on: then all words but the last are digits in [0, 2^32); the last has the sign of the sum."""
    cdef int64_t carry
    cdef int i
    for i in range(WORDS - 1):
        carry = acc.word[i] >> 32                # floor division, also of a negative word
        acc.word[i] &= <int64_t>DIGIT
        acc.word[i + 1] += carry
    acc.terms = 0


cdef uint64_t round_to(const Accumulator* acc, FloatFormat target) noexcept nogil:
    """The encoding of the number of the target format that is nearest to the sum; ties go to the even one.

    The sum stays as it is, so that it can be rounded to other formats too, or go on.
    """
    cdef Shape f = shape_of(target)
    cdef uint64_t sign = <uint64_t>1 << f.sign_position
    if acc.nan or (acc.positive_infinity and acc.negative_infinity):
        return infinity_of(f) | (<uint64_t>1 << (f.precision - 2))    # the positive quiet NaN on every machine
    if acc.positive_infinity:
        return infinity_of(f)
    if acc.negative_infinity:
        return infinity_of(f) | sign

    cdef Accumulator size = acc[0]
    cdef bint negative = make_positive(&size)
    cdef int top = highest_bit(&size)
    if top < 0:
        return 0                                                      # an exact zero is +0
    cdef uint64_t significand = bits_from(&size, top - 63)
    if any_bit_below(&size, top - 63):
        significand |= 1
    return encode(negative, significand, top - ORIGIN, f)


cdef bint make_positive(Accumulator* acc) noexcept nogil:
    """Settle the words and make the sum its absolute value; return whether it was negative."""
    cdef int i
    settle(acc)
    if acc.word[WORDS - 1] >= 0:
        return False
    for i in range(WORDS):
        acc.word[i] = -acc.word[i]
    settle(acc)
    return True


cdef int highest_bit(const Accumulator* acc) noexcept nogil:
    """Position of the leading one of a settled, nonnegative sum; -1 if the sum is zero."""
    cdef int i = WORDS - 1
    cdef int length = 0
    while i >= 0 and acc.word[i] == 0:
        i -= 1
    if i < 0:
        return -1
    while acc.word[i] >> length:
        length += 1
    return 32 * i + length - 1


cdef uint64_t bits_from(const Accumulator* acc, int position) noexcept nogil:
    """The 64 bits at `position` and above, as an integer. Three digits cover them."""
    cdef int i = position >> 5
    cdef int shift = position & 31
    cdef uint64_t value = <uint64_t>acc.word[i] >> shift | <uint64_t>acc.word[i + 1] << (32 - shift)
    if shift > 0:
        value |= <uint64_t>acc.word[i + 2] << (64 - shift)
    return value


cdef bint any_bit_below(const Accumulator* acc, int position) noexcept nogil:
    """Whether any bit under `position` is one (the "sticky bit")."""
    cdef int i
    for i in range(position >> 5):
        if acc.word[i] != 0:
            return True
    return (acc.word[position >> 5] & ((<int64_t>1 << (position & 31)) - 1)) != 0


def dot(const double[::1] x, const double[::1] w, FloatFormat target):
    """Encoding of the correctly rounded sum of x[i] * w[i]."""
    cdef Accumulator acc
    cdef Py_ssize_t i
    clear(&acc)
    with nogil:
        for i in range(x.shape[0]):
            add_product(&acc, w[i], x[i])
            if i & 0xFFFFF == 0xFFFFF:           # about every 10 ms: let Ctrl-C through
                with gil:
                    PyErr_CheckSignals()
    return round_to(&acc, target)
