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
    WORDS = 134

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

cdef void clear(Accumulator* acc) noexcept nogil
cdef void add_product(Accumulator* acc, double w, double x) noexcept nogil
cdef void add_value(Accumulator* acc, double x) noexcept nogil
cdef uint64_t round_to(Accumulator* acc, FloatFormat target) noexcept nogil
