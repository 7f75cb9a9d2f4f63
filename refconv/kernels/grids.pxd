"""Bound 1' of filter.pxd put to work: e = 0 where the grids of the operands prove that nothing was rounded.

It is what decides ties, and costs a look at every bit of the operands, so it is asked last.
"""
from libc.math cimport INFINITY, fabs

from refconv.kernels.bounds cimport Strip, listed_terms, second_terms, third_terms
from refconv.kernels.filter cimport (
    LOWEST_GRID, NO_BITS, SLACK, TWO_TO_53, UNIT_ROUNDOFF, is_finite, lowest_bit, power_of_two,
)
from refconv.kernels.layout cimport Layout, Unit
from refconv.kernels.vector cimport CHANNELS, lower_powers
from refconv.kernels.weights cimport UNKNOWN
from refconv.kernels.workspace cimport CUT_ALL, MODULAR, WHOLE, Call, Cut, Workspace


cdef inline int bits_of_power(double power) noexcept nogil:
    """The exponent of what lower_powers finds; NO_BITS and -NO_BITS as in lowest_bit."""
    return NO_BITS if power == INFINITY else -NO_BITS if power == 0 else lowest_bit(power)


cdef inline void know_input_bits(const Call* call, Workspace* s, const Unit* unit) noexcept nogil:
    """x_bits[position]: every operand in its window is a multiple of 2^ this. Found when first asked for."""
    cdef const Layout* f = &call.layout
    cdef Py_ssize_t p, i, row, column, k
    cdef double power
    if s.x_bits_known:
        return
    s.x_bits_known = True
    for i in range(f.cells):
        s.plane_powers[i] = INFINITY
    for p in range(f.planes):
        lower_powers(s.x + p * f.plane, s.plane_powers, f.cells)
    for row in range(unit.rows):
        for column in range(unit.columns):
            power = INFINITY
            for k in range(f.h.kernel * f.w.kernel):
                power = min(power, s.plane_powers[row * f.w.extent + column + call.window[k]])
            s.x_bits[row * unit.columns + column] = bits_of_power(power)


cdef inline int weight_bits(const Layout* f, Workspace* s, Py_ssize_t oc) noexcept nogil:
    """Every weight of the channel is a multiple of 2^ this. Found when first asked for, for a whole tile."""
    cdef double powers[CHANNELS]
    cdef Py_ssize_t t, j, channels = 1 if f.by_rows else CHANNELS
    cdef Py_ssize_t first = oc // channels * channels
    if s.w_bits[oc] == UNKNOWN:
        for j in range(channels):
            powers[j] = INFINITY
        for t in range(f.terms):
            lower_powers(s.w + first * f.terms + t * channels, powers, channels)
        for j in range(channels):
            s.w_bits[first + j] = bits_of_power(powers[j])
    return s.w_bits[oc]


cdef inline bint nothing_rounded(int grid, double last) noexcept nogil:
    """Whether multiples of 2^grid whose absolute values add up to `last` add up in float64."""
    return grid >= LOWEST_GRID and SLACK * last <= TWO_TO_53 * power_of_two(grid)


cdef inline void apply_grids(const Layout* f, Workspace* s, Strip* strip, Cut cut) noexcept nogil:
    """To the errors of one strip; know_input_bits comes before."""
    cdef Py_ssize_t j
    cdef int w_bits, x_bits
    cdef double terms, last
    for j in range(strip.lanes):
        w_bits = weight_bits(f, s, strip.oc + j * strip.oc_step)
        x_bits = s.x_bits[strip.p + j * strip.p_step]
        if not is_finite(strip.e[j]):
            continue
        terms = strip.w_measure[j] * strip.x_measure[j] + fabs(strip.bias[j])
        if cut == WHOLE:
            last = terms
        else:
            # The words after the first: what joining them rounds off, and the last sum itself.
            last = 4 * UNIT_ROUNDOFF * terms
            if cut == CUT_ALL:
                if SLACK * second_terms(s, strip, <int>j) > TWO_TO_53 * power_of_two(
                        min(w_bits + s.x_grid, strip.w_grid[j] + x_bits)):
                    continue
                last += third_terms(s, strip, cut, <int>j)
            elif cut == MODULAR:
                last += listed_terms(s, strip.oc + j, s.x_measure[strip.p], s.x_low_at[strip.p])
            else:
                last += second_terms(s, strip, <int>j)
        if nothing_rounded(min(w_bits + x_bits, lowest_bit(strip.bias[j])), last):
            strip.e[j] = 0.0


cdef inline void apply_grids_to_joins(
    const Call* call, Workspace* s, const Unit* unit, Py_ssize_t oc, double x_measure, double x_low, double* errors,
) noexcept nogil:
    """To errors[channel], which hold for all positions with these largest measures, after a sum modulo 2^52."""
    cdef Py_ssize_t p, j
    cdef int x_bits = NO_BITS
    cdef double last
    know_input_bits(call, s, unit)
    for p in range(unit.count):
        x_bits = min(x_bits, s.x_bits[p])
    for j in range(min(CHANNELS, unit.channels - oc)):
        last = 4 * UNIT_ROUNDOFF * (s.w_measure[oc + j] * x_measure + fabs(s.bias[oc + j]))
        last += listed_terms(s, oc + j, x_measure, x_low)
        if is_finite(errors[j]) and nothing_rounded(
                min(weight_bits(&call.layout, s, oc + j) + x_bits, lowest_bit(s.bias[oc + j])), last):
            errors[j] = 0.0
