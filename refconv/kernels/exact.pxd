"""The exact accumulator, for Cython code that wants to sum without rounding.

    from refconv.kernels.exact cimport Accumulator, FLOAT32, clear, add_product, add_value, round_to

    cdef Accumulator acc
    clear(&acc)
    add_product(&acc, w, x)            # as often as you like, any order, any magnitude
    encoding = round_to(&acc, FLOAT32) # the bits of the one nearest float32

What the words mean is drawn at the head of ``exact.pyx``.
"""
from libc.stdint cimport int64_t, uint64_t

cdef enum:
    WORDS = 136

# The four formats a sum can be rounded to.
cpdef enum FloatFormat:
    FLOAT16 = 0
    BFLOAT16 = 1
    FLOAT32 = 2
    FLOAT64 = 3

cdef struct Accumulator:
    int64_t word[WORDS]        # the finite part of the sum
    int64_t terms              # terms added since the words were last settled
    bint nan                   # a NaN operand, or infinity times zero
    bint positive_infinity     # a term was +infinity
    bint negative_infinity     # a term was -infinity

cdef struct Shape:
    int precision              # significand bits, the hidden one included
    int min_exponent           # of the smallest normal number
    int max_exponent           # of the largest number
    int sign_position          # bit of the sign in the encoding

cdef inline Shape shape_of(FloatFormat target) noexcept nogil:
    if target == FLOAT16:
        return Shape(11, -14, 15, 15)
    if target == BFLOAT16:
        return Shape(8, -126, 127, 15)
    if target == FLOAT32:
        return Shape(24, -126, 127, 31)
    return Shape(53, -1022, 1023, 63)

cdef inline uint64_t infinity_of(Shape f) noexcept nogil:
    """The encoding of +infinity: all exponent bits ones, no fraction."""
    return <uint64_t>(f.max_exponent - f.min_exponent + 2) << (f.precision - 1)

cdef inline uint64_t encode(bint negative, uint64_t significand, int exponent, Shape f) noexcept nogil:
    """The nearest number of a format to  +-significand * 2^(exponent - 63),  ties to even. THE rounding of refconv.

    `significand` has its top bit set, so `exponent` is that of the leading bit. If bits were cut off below, the lowest
    one must be set: with 64 bits for at most 53 that are kept it can only mean "and a little more".

    The positive numbers of a format are consecutive when their encodings are read as integers: subnormals, normals,
    infinity. With u the exponent of the last place, the result is R * 2^u, and its encoding is

        (u - lowest u) * 2^(precision - 1) + R

    which needs no special case: a subnormal has the lowest u, and an R that rounding carries up to 2^precision
    becomes the next binade, or infinity after the last one.
    """
    cdef uint64_t sign = <uint64_t>negative << f.sign_position
    cdef int lowest_last_place = f.min_exponent - (f.precision - 1)
    cdef int last_place = max(exponent, f.min_exponent) - (f.precision - 1)
    cdef int cut = last_place - (exponent - 63)                  # bits to cut off, at least 11
    if exponent > f.max_exponent:
        return sign | infinity_of(f)
    if cut > 64:
        return sign                                              # below half of the smallest subnormal
    cdef uint64_t result = significand >> (cut - 1) >> 1         # in two steps: cut may be 64
    cdef bint half = (significand >> (cut - 1)) & 1
    cdef uint64_t rest = significand & ((<uint64_t>1 << (cut - 1)) - 1)
    if half and (rest or result & 1):
        result += 1
    return sign | ((<uint64_t>(last_place - lowest_last_place) << (f.precision - 1)) + result)

cdef void clear(Accumulator* acc) noexcept nogil
cdef void add_product(Accumulator* acc, double w, double x) noexcept nogil
cdef void add_value(Accumulator* acc, double x) noexcept nogil
cdef uint64_t round_to(const Accumulator* acc, FloatFormat target) noexcept nogil
