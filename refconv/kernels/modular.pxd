"""Exact sums from two arithmetics that know different digits of them; filter.pxd, bound 3.

A float64 sum of products knows the upper digits of the exact sum. The lower ones are those of a sum modulo 2^52, whose
terms are integers: the operands, as multiples of a grid. Modulo 2^52 nothing is ever rounded, overflow does not matter,
and AVX-512 IFMA has one instruction for it. So two passes over the inner loop give what four passes over slices do not.

Numbers that are not multiples of the grid leave a lower slice. They are rare, so there are lists: of the taps at which
a weight has one, and of the terms in which a number of the input has one.
"""
from libc.math cimport INFINITY, fabs, sqrt
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memset

from refconv.kernels.exact cimport Accumulator, add_product, add_value, clear, round_to
from refconv.kernels.filter cimport SLACK, TWO_TO_50, UNIT_ROUNDOFF, bits_of, is_finite, power_of_two
from refconv.kernels.interrupt cimport PollClock, poll
from refconv.kernels.layout cimport Layout, Unit, tile_channels
from refconv.kernels.pack cimport plain_factor, set_band_grid, set_weight_grid, weight_place
from refconv.kernels.vector cimport (
    CHANNELS, LANES, PIXELS, VECTORS, vector, vector_fma, vector_load, vector_set, vector_store,
)
from refconv.kernels.workspace cimport LOW_TERMS, MODULAR, Call, LowTerm, Workspace

cdef extern from "modular.h" nogil:
    """
    #define TWO_TO_MINUS_52 0x1p-52
    #define ROUNDER 0x1.8p52
    """
    const double TWO_TO_MINUS_52
    const double ROUNDER             # adding and subtracting it rounds to an integer
    bint has_modular_tiles()
    void modular_tile(
        const int64_t* w, const int64_t* x, const Py_ssize_t* taps, Py_ssize_t n_taps, const Py_ssize_t* positions,
        bint add, int64_t* sums)
    bint join_proved(
        const double* first, const double* second, const double* third, const vector* biases, const double* errors,
        float* rounded)

cdef enum:
    # Bits above the grid, relative to the measures. Together they leave a float64 sum of some 50,000 terms good enough.
    MODULAR_X_BITS = 47
    MODULAR_W_BITS = 47


cdef inline int sum_modular(
    const Call* call, Workspace* s, const Unit* unit, Py_ssize_t oc, PollClock* clock, const int* stop,
) except -1 nogil:
    """After a plain sum to `first`: first + second = the sum of products of high slices, third = that of the others."""
    cdef const Layout* f = &call.layout
    cdef int64_t* remainders = <int64_t*>s.second
    cdef Py_ssize_t t = 0, n, p
    cut_band_to_integers(call, s, unit)
    cut_weights_to_integers(f, s, unit, oc)
    while t < f.terms:
        n = min(f.block, f.terms - t)
        poll(clock, unit.count * n // 4, stop)
        p = 0
        while p < unit.count:
            modular_tile(s.w_integers + oc * f.terms + t * CHANNELS, s.x_integers, s.taps + t, n, s.positions + p,
                         t > 0, remainders + p * CHANNELS)
            p += PIXELS
        t += n
    join(s, unit, oc, remainders)
    sum_low_slices(f, s, unit, oc)
    return 0


cdef inline int64_t to_integer(double x, double shifter, double* low) noexcept nogil:
    """x = (an integer times the grid) + low, where shifter is 1.5 * 2^52 times the grid.

    x + shifter is rounded to a multiple of the grid, which is its last place: the integer can be read off its bits.
    """
    cdef double shifted = x + shifter
    low[0] = x - (shifted - shifter)
    return <int64_t>(bits_of(shifted) - bits_of(shifter))


cdef inline double square_of_low(double low) noexcept nogil:
    """What a lower slice adds to a sum of squares; nothing if it is a NaN, whose windows have no bound anyway."""
    return low * low if is_finite(low) else 0.0


cdef inline void cut_band_to_integers(const Call* call, Workspace* s, const Unit* unit) noexcept nogil:
    """Also list the lower slices, and measure them window by window."""
    cdef const Layout* f = &call.layout
    cdef Py_ssize_t p, i, start
    cdef uint64_t any_low
    cdef double shifter
    cdef bint listed = True
    if s.x_cut == MODULAR:
        return
    s.x_cut = MODULAR
    s.n_low_terms = 0
    memset(s.x_low_at, 0, unit.count * 8)
    set_band_grid(f, s, unit, MODULAR_X_BITS)
    shifter = 1.5 * power_of_two(s.x_grid + 52)
    for p in range(f.planes):
        start = p * f.plane
        any_low = 0
        for i in range(start, start + f.cells):
            s.x_integers[i] = to_integer(s.x[i], shifter, &s.x_low[i])
            any_low |= bits_of(s.x_low[i]) << 1
        if any_low != 0:
            for i in range(f.cells):
                if s.x_low[start + i] != 0:
                    listed = listed and list_low_terms(call, s, unit, p, i)
    for i in range(unit.count):
        s.x_low_at[i] = SLACK * sqrt(s.x_low_at[i]) if listed and is_finite(s.x_low_measure) else INFINITY


cdef inline bint list_low_terms(
    const Call* call, Workspace* s, const Unit* unit, Py_ssize_t plane, Py_ssize_t cell,
) noexcept nogil:
    """List the terms that this number of the band is part of: under tap k that of the position window[k] before it.

    Returns whether the list is long enough.
    """
    cdef const Layout* f = &call.layout
    cdef Py_ssize_t k, place, kernel = f.h.kernel * f.w.kernel
    cdef LowTerm* term
    for k in range(kernel):
        place = cell - call.window[k]
        # The columns after a row's positions, and the rows after the last one, are there for the reach of windows.
        if place < 0 or place // f.w.extent >= unit.rows or place % f.w.extent >= unit.columns:
            continue
        if s.n_low_terms == LOW_TERMS:
            return False
        term = &s.low_terms[s.n_low_terms]
        term.position = place // f.w.extent * unit.columns + place % f.w.extent
        term.tap = plane * kernel + k
        term.low = s.x_low[plane * f.plane + cell]
        s.x_low_at[term.position] += square_of_low(term.low)
        s.n_low_terms += 1
    return True


cdef inline void cut_weights_to_integers(
    const Layout* f, Workspace* s, const Unit* unit, Py_ssize_t oc,
) noexcept nogil:
    """Also list the taps that have lower slices, and measure those."""
    cdef double shifters[CHANNELS]
    cdef double squares[CHANNELS]
    cdef Py_ssize_t t, j, i
    cdef uint64_t any_low
    for j in range(CHANNELS):
        squares[j] = 0.0
        shifters[j] = 0.0                            # of channels without weights, or without a finite measure
    for j in range(tile_channels(f, unit, oc)):
        set_weight_grid(f, s, oc + j, MODULAR_W_BITS)
        if is_finite(s.w_low_measure[oc + j]) and s.w_low_measure[oc + j] > 0:
            shifters[j] = 1.5 * power_of_two(s.w_grid[oc + j] + 52)
    s.n_low_taps = 0
    for t in range(f.terms):
        any_low = 0
        for j in range(CHANNELS):
            i = oc * f.terms + t * CHANNELS + j
            s.w_integers[i] = to_integer(s.w[i], shifters[j], &s.w_low[i])
            any_low |= bits_of(s.w_low[i]) << 1
        if any_low != 0:
            s.low_taps[s.n_low_taps] = t
            s.n_low_taps += 1
            for j in range(CHANNELS):
                squares[j] += square_of_low(s.w_low[oc * f.terms + t * CHANNELS + j])
    for j in range(CHANNELS):
        if is_finite(s.w_low_measure[oc + j]):
            s.w_low_measure[oc + j] = SLACK * sqrt(squares[j])


cdef inline void join(Workspace* s, const Unit* unit, Py_ssize_t oc, const int64_t* remainders) noexcept nogil:
    """From first, a float64 sum, and the remainder T modulo 2^52 of the exact sum S: S = first + second."""
    cdef double unit_of[CHANNELS]
    cdef double inverse[CHANNELS]
    cdef double remainder, quotient
    cdef Py_ssize_t p, j, i
    for j in range(CHANNELS):
        unit_of[j] = power_of_two(s.x_grid + s.w_grid[oc + j])
        inverse[j] = power_of_two(-s.x_grid - s.w_grid[oc + j])
    for p in range(unit.count):
        for j in range(CHANNELS):
            i = p * CHANNELS + j
            remainder = <double>(<int64_t>(<uint64_t>remainders[i] << 12) >> 12)     # from -2^51 to 2^51 - 1
            quotient = ((s.first[i] * inverse[j] - remainder) * TWO_TO_MINUS_52 + ROUNDER) - ROUNDER
            s.first[i] = quotient * (1 / TWO_TO_MINUS_52) * unit_of[j]
            s.second[i] = remainder * unit_of[j]


cdef inline void sum_low_slices(const Layout* f, Workspace* s, const Unit* unit, Py_ssize_t oc) noexcept nogil:
    """third = sum of  w_low * x_high + w * x_low,  over the lists."""
    cdef const double* w = s.w + oc * f.terms
    cdef const double* w_low = s.w_low + oc * f.terms
    cdef double* third
    cdef vector total[VECTORS]
    cdef Py_ssize_t p, i, j, x
    cdef double x_high
    cdef int v
    for p in range(unit.count):
        for v in range(VECTORS):
            total[v] = vector_set(0.0)
        for i in range(s.n_low_taps):
            x = s.positions[p] + s.taps[s.low_taps[i]]
            x_high = s.x[x] - s.x_low[x]
            for v in range(VECTORS):
                total[v] = vector_fma(
                    vector_load(w_low + s.low_taps[i] * CHANNELS + LANES * v), vector_set(x_high), total[v])
        for v in range(VECTORS):
            vector_store(s.third + p * CHANNELS + LANES * v, total[v])
    for i in range(s.n_low_terms):
        third = s.third + s.low_terms[i].position * CHANNELS
        for j in range(CHANNELS):
            third[j] += w[s.low_terms[i].tap * CHANNELS + j] * s.low_terms[i].low


# ---------------------------------------------------------------------------------------------------------------------
# Its error, and elements in doubt
# ---------------------------------------------------------------------------------------------------------------------

cdef inline double listed_terms(
    const Workspace* s, Py_ssize_t oc, double x_measure, double x_low,
) noexcept nogil:
    """Bound of the sum of absolute values of the products that `third` adds up."""
    return s.w_low_measure[oc] * (x_measure + x_low) + s.w_measure[oc] * x_low


cdef inline double error_of_join(
    const Layout* f, const Workspace* s, Py_ssize_t oc, double x_measure, double x_low,
) noexcept nogil:
    """Bound 3, of first + second + third + bias; INFINITY where the remainder does not decide what the sum is.

    It grows with the measures of the window and of its lower slices. `third` adds up what is listed, each term at most
    twice; joining rounds as in bound 2.
    """
    cdef double of_products = s.w_measure[oc] * x_measure
    cdef double of_low = listed_terms(s, oc, x_measure, x_low)
    cdef double factor = SLACK * (s.n_low_taps + min(s.n_low_terms, f.terms) + 8) * UNIT_ROUNDOFF
    cdef double second_order = SLACK * 8 * UNIT_ROUNDOFF * UNIT_ROUNDOFF
    if not SLACK * (plain_factor(f) * of_products + of_low) <= TWO_TO_50 * power_of_two(s.x_grid + s.w_grid[oc]):
        return INFINITY
    if s.w_low_measure[oc] == 0 and x_low == 0 and s.bias[oc] == 0:
        return 0.0
    return factor * of_low + second_order * (of_products + fabs(s.bias[oc]))


cdef inline uint64_t exact_join(const Call* call, const Workspace* s, Py_ssize_t oc, Py_ssize_t p) noexcept nogil:
    """One element whose error is finite, without any: only what is listed has to be added to first + second."""
    cdef const Layout* f = &call.layout
    cdef Accumulator total
    cdef Py_ssize_t i, t, x
    clear(&total)
    add_value(&total, s.first[p * CHANNELS + oc % CHANNELS])
    add_value(&total, s.second[p * CHANNELS + oc % CHANNELS])
    for i in range(s.n_low_taps):
        t = s.low_taps[i]
        x = s.positions[p] + s.taps[t]
        add_product(&total, s.w_low[weight_place(f, oc, t)], s.x[x] - s.x_low[x])
    for i in range(s.n_low_terms):
        if s.low_terms[i].position == p:
            add_product(&total, s.w[weight_place(f, oc, s.low_terms[i].tap)], s.low_terms[i].low)
    if call.b != NULL:
        add_value(&total, s.bias[oc])
    return round_to(&total, f.target)
