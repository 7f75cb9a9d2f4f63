"""The lower rungs of the ladder, for one output element that the vectorised test could not prove.

Rung 2 is a sum in two float64 words (a pair), rung 3 the exact accumulator.
"""
from libc.stdint cimport uint64_t

from refconv.kernels.exact cimport FloatFormat
from refconv.kernels.filter cimport (
    LOWEST_GRID, SLACK, TWO_TO_53, UNDERFLOW_STEP, UNIT_ROUNDOFF, is_finite, lowest_bit, narrow_pair, power_of_two,
    two_sum,
)
from refconv.kernels.vector cimport two_product

cdef enum:
    CHAINS = 4               # independent sums, so that the processor need not wait for one addition to end


cdef struct Window:
    # The terms of one output element: w[t * w_step] * x[taps[t]], and the bias.
    const double* w
    Py_ssize_t w_step
    const double* x
    const Py_ssize_t* taps
    Py_ssize_t n_taps
    double bias
    double bound                     # of the sum of the terms' absolute values, the bias included


cdef inline bint pair_sum(const Window* window, FloatFormat target, uint64_t* encoding) noexcept nogil:
    """Rung 2: sum in a pair of float64 (Dot2); whether that proves the encoding.

    With p + r = w x exactly (two_product) and P + q = P' + p exactly (two_sum), y = P + the sum of all q and r. Each
    |r| <= u |w x|, each |q| <= u |P|, so they add up to at most (m + 4) u (1 + u)^m B, and summing them in float64
    errs by another factor (m + 4) u. Hence  |P + S - y| <= SLACK (m + 8)^2 u^2 B,  and 6 times 2^-1074 for each term
    whose product underflows (Ogita, Rump & Oishi, SIAM J. Sci. Comput. 26 (2005) 1955-1988; their bound also has the
    error of adding P and S, which this pair does not).

    The grid: if everything is a multiple of g and (m + 8) u B <= 2^53 g, the q and r were summed exactly, and e = 0.
    """
    cdef double primary[CHAINS]
    cdef double secondary[CHAINS]
    cdef double product, r, q, high, low, e
    cdef double m = window.n_taps + 1
    cdef Py_ssize_t t = 0
    cdef int c
    if not is_finite(window.bound):
        return False
    for c in range(CHAINS):
        primary[c] = 0.0
        secondary[c] = 0.0
    while t + CHAINS <= window.n_taps:
        for c in range(CHAINS):
            two_product(window.w[(t + c) * window.w_step], window.x[window.taps[t + c]], &product, &r)
            two_sum(primary[c], product, &primary[c], &q)
            secondary[c] += q + r
        t += CHAINS
    while t < window.n_taps:
        two_product(window.w[t * window.w_step], window.x[window.taps[t]], &product, &r)
        two_sum(primary[0], product, &primary[0], &q)
        secondary[0] += q + r
        t += 1
    high = window.bias
    low = 0.0
    for c in range(CHAINS):
        two_sum(high, primary[c], &high, &q)
        low += q + secondary[c]
    two_sum(high, low, &high, &low)

    e = SLACK * (m + 8) * (m + 8) * UNIT_ROUNDOFF * UNIT_ROUNDOFF * window.bound + 6 * m * UNDERFLOW_STEP
    if not is_finite(high):
        return False
    if proves(high, low, e, target, encoding):
        return True
    cdef int g = grid(window)
    if g >= LOWEST_GRID and SLACK * (m + 8) * UNIT_ROUNDOFF * window.bound <= TWO_TO_53 * power_of_two(g):
        return proves(high, low, 0.0, target, encoding)
    return False


cdef inline bint proves(double high, double low, double e, FloatFormat target, uint64_t* encoding) noexcept nogil:
    """THE TEST of filter.pxd for one pair."""
    encoding[0] = narrow_pair(high, low - e, target)
    return encoding[0] == narrow_pair(high, low + e, target)


cdef inline int grid(const Window* window) noexcept nogil:
    """The exponent of a power of two that every term is a multiple of."""
    cdef int g = lowest_bit(window.bias)
    cdef int term
    cdef Py_ssize_t t
    for t in range(window.n_taps):
        term = lowest_bit(window.w[t * window.w_step]) + lowest_bit(window.x[window.taps[t]])
        if term < g:
            g = term
    return g
