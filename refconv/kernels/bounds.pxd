"""The bounds of filter.pxd put to work: how far the computed sums of a strip can be from the exact ones.

A strip is CHANNELS output elements that are tested together: the channels of one position, or neighbouring positions
of one channel.
"""
from libc.math cimport fabs
from libc.stdint cimport uint64_t

from refconv.kernels.exact cimport FLOAT64
from refconv.kernels.filter cimport SLACK, UNDERFLOW_STEP, UNIT_ROUNDOFF
from refconv.kernels.layout cimport Layout
from refconv.kernels.vector cimport CHANNELS
from refconv.kernels.workspace cimport CUT_ALL, Cut, Workspace

cdef enum:
    # Grids 2^-480 .. 2^480 leave room for the product of two, and for 2^53 times it, among the normal numbers.
    LARGEST_GRID = 480

cdef struct Strip:
    Py_ssize_t lanes             # elements of it that exist
    Py_ssize_t oc, oc_step       # channel of element j: oc + j * oc_step, counted in the chunk
    Py_ssize_t p, p_step         # position of element j: p + j * p_step
    double first[CHANNELS]
    double second[CHANNELS]
    double third[CHANNELS]
    int w_grid[CHANNELS]
    double w_measure[CHANNELS]
    double w_low_measure[CHANNELS]
    double x_measure[CHANNELS]
    double bias[CHANNELS]
    double e[CHANNELS]
    uint64_t encodings[CHANNELS]


cdef inline double plain_factor(const Layout* f) noexcept nogil:
    """e / B of bound 1; h = the roundings in a block, and the additions of the blocks and of the bias."""
    return SLACK * (f.block + f.blocks + 1 + 8) * UNIT_ROUNDOFF


cdef inline double underflow_of_squares(const Layout* f) noexcept nogil:
    """What a sum of squares may have lost: 2^-1074 a term. Squares of narrower operands do not underflow."""
    return UNDERFLOW_STEP * f.terms if f.source == FLOAT64 else 0.0


cdef inline void plain_bound(const Layout* f, Strip* strip) noexcept nogil:
    cdef double factor = plain_factor(f)
    cdef int j
    for j in range(CHANNELS):
        strip.e[j] = factor * (strip.w_measure[j] * strip.x_measure[j] + fabs(strip.bias[j]))


cdef inline void cut_bound(const Layout* f, const Workspace* s, Strip* strip, Cut cut) noexcept nogil:
    """Bound 2. `second` adds up the blocks of two sums; joining bias, `second` and `third` rounds by order u^2 B."""
    cdef double factor = SLACK * (f.block + 2 * f.blocks + 1 + 8) * UNIT_ROUNDOFF
    cdef double second_order = SLACK * 8 * UNIT_ROUNDOFF * UNIT_ROUNDOFF
    cdef double underflow = 4 * UNDERFLOW_STEP * (f.terms + 1) if f.source == FLOAT64 else 0.0
    cdef int j
    for j in range(CHANNELS):
        strip.e[j] = (factor * (second_terms(s, strip, j) + third_terms(s, strip, cut, j)) + underflow
                      + second_order * (strip.w_measure[j] * strip.x_measure[j] + fabs(strip.bias[j])))


cdef inline double second_terms(const Workspace* s, const Strip* strip, int j) noexcept nogil:
    """Bound of the sum of absolute values of the products that `second` adds up."""
    cdef double high_x = strip.x_measure[j] + s.x_low_measure             # x_high = x - x_low
    cdef double high_w = strip.w_measure[j] + strip.w_low_measure[j]
    return strip.w_low_measure[j] * high_x + high_w * s.x_low_measure     # in CUT_HIGH it is w, not w_high


cdef inline double third_terms(const Workspace* s, const Strip* strip, Cut cut, int j) noexcept nogil:
    return strip.w_low_measure[j] * s.x_low_measure if cut == CUT_ALL else 0.0


cdef inline double listed_terms(
    const Workspace* s, Py_ssize_t oc, double x_measure, double x_low,
) noexcept nogil:
    """Bound of the sum of absolute values of the products that `third` adds up."""
    return s.w_low_measure[oc] * (x_measure + x_low) + s.w_measure[oc] * x_low
