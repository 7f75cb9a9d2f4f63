"""Exact sums from two arithmetics that know different digits of them; filter.pxd, bound 3.

A float64 sum of products knows the upper digits of the exact sum. The lower ones are those of a sum modulo 2^52, whose
terms are integers: the operands, as multiples of a grid. Modulo 2^52 nothing is ever rounded, overflow does not matter,
and AVX-512 IFMA has one instruction for it.

Nothing is rounded, so terms may be rearranged, and two of them need only one multiplication (S. Winograd, IEEE Trans.
Computers C-17 (1968) 693-694). With w' and x' the operands of a term's partner,

    w x + w' x' = (x + w') (x' + w) - x x' - w w'

and the sums of x x' and of w w' cost nothing beside the convolution: one for a position, one for a channel. Additions
have execution units of their own. So both sums take one and a half times as long as the float64 sum alone. The partner
of a tap is the one at the same place in the next plane; if their number is odd, the last has a partner of zeros.

Integers are held as float64, those of x with ROUNDER added: the significand of 1.5 * 2^52 + n is 2^51 + n, and the
instruction reads significands. Where 2^51 comes in, it comes in on both sides of the equation: the sums of x x' and
w w' are those of significands, too.

Numbers that are not multiples of the grid leave a lower slice. They are rare, so there are lists: of the taps at which
a weight has one, and of the terms in which a number of the input has one.
"""
from libc.math cimport INFINITY, fabs, sqrt
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memset

from refconv.kernels.band cimport set_band_grid
from refconv.kernels.bounds cimport listed_terms
from refconv.kernels.exact cimport Accumulator, add_product, add_value, clear, round_to
from refconv.kernels.filter cimport SLACK, TWO_TO_50, UNIT_ROUNDOFF, bits_of, is_finite, power_of_two
from refconv.kernels.interrupt cimport PollClock, poll
from refconv.kernels.layout cimport Layout, Unit, ceil_div, tile_channels
from refconv.kernels.vector cimport (
    CHANNELS, LANES, PIXELS, VECTORS, vector, vector_fma, vector_load, vector_set, vector_store,
)
from refconv.kernels.weights cimport set_weight_grid, weight_place
from refconv.kernels.workspace cimport LOW_TERMS, MODULAR, Call, LowTerm, Workspace

cdef extern from "modular.h" nogil:
    """
    #define TWO_TO_MINUS_52 0x1p-52
    #define ROUNDER 0x1.8p52
    """
    const double TWO_TO_MINUS_52
    const double ROUNDER             # adding and subtracting it rounds to an integer
    bint has_modular_tiles()
    ctypedef struct Factors:
        const double* w
        const double* x
        const double* x_integers
        const Py_ssize_t* places
        Py_ssize_t partner
    void paired_tile(
        const Factors* f, bint single, Py_ssize_t begin, Py_ssize_t end, const Py_ssize_t* positions, bint add,
        double* sums, int64_t* remainders)
    int cut_pair(
        const double* w, Py_ssize_t partner, bint single, const double* grids, const double* inverses, double* low,
        double* pair, uint64_t* products)
    bint join_proved(
        const double* first, const double* second, const double* third, const vector* biases, const double* errors,
        bint in_one_rounding, float* rounded)

cdef enum:
    # Bits above the grid, relative to the measures. Together they leave a float64 sum of some 50,000 terms good enough.
    MODULAR_X_BITS = 47
    MODULAR_W_BITS = 47


cdef inline Py_ssize_t kernel_size(const Layout* f) noexcept nogil:
    """From a tap to its partner in the next plane."""
    return f.h.kernel * f.w.kernel


cdef inline Py_ssize_t pairs_in_block(const Layout* f) noexcept nogil:
    return max(f.block // 2, 1)


cdef inline Py_ssize_t n_pairs(const Layout* f) noexcept nogil:
    """Of two taps each; singles are the taps of an odd last plane."""
    return f.planes // 2 * kernel_size(f)


cdef inline Py_ssize_t n_singles(const Layout* f) noexcept nogil:
    return f.planes % 2 * kernel_size(f)


cdef inline void set_pairs(Call* call) noexcept nogil:
    """pairs = the taps of every other plane, and places = where they are in the band."""
    cdef const Layout* f = &call.layout
    cdef Py_ssize_t t, p = 0, i = 0
    if not call.modular:
        return
    while p < f.planes:
        for t in range(p * kernel_size(f), (p + 1) * kernel_size(f)):
            call.pairs[i] = t
            call.places[i] = call.taps[t]
            i += 1
        p += 2


cdef inline double paired_factor(const Layout* f) noexcept nogil:
    """As plain_factor: the roundings in a block of pairs, and the additions of the blocks and of the bias."""
    cdef Py_ssize_t blocks = ceil_div(n_pairs(f), pairs_in_block(f)) + ceil_div(n_singles(f), pairs_in_block(f))
    return SLACK * (2 * pairs_in_block(f) + blocks + 1 + 8) * UNIT_ROUNDOFF


cdef inline int sum_modular(
    const Call* call, Workspace* s, const Unit* unit, Py_ssize_t oc, PollClock* clock, const int* stop,
) except -1 nogil:
    """first + second = the sum of products of high slices, third = that of the others."""
    cdef const Layout* f = &call.layout
    cdef Factors factors
    cut_band_to_integers(call, s, unit)
    cut_weights_to_integers(call, s, unit, oc)
    s.paired_factor = paired_factor(f)
    factors.w = s.w_pairs
    factors.x = s.x
    factors.x_integers = s.x_integers
    factors.places = call.places
    factors.partner = f.plane
    if f.terms == 0:
        memset(s.first, 0, f.sums * 8)
        memset(s.second, 0, f.sums * 8)
    sum_paired(f, s, unit, &factors, False, 0, n_pairs(f), clock, stop)
    sum_paired(f, s, unit, &factors, True, n_pairs(f), n_pairs(f) + n_singles(f), clock, stop)
    join(s, unit, oc)
    sum_low_slices(f, s, unit, oc)
    return 0


cdef inline int sum_paired(
    const Layout* f, Workspace* s, const Unit* unit, const Factors* factors, bint single, Py_ssize_t begin,
    Py_ssize_t end, PollClock* clock, const int* stop,
) except -1 nogil:
    """first, a float64 sum, and second, integers modulo 2^52: the sums under these pairs, block by block."""
    cdef Py_ssize_t n, p
    while begin < end:
        n = min(pairs_in_block(f), end - begin)
        poll(clock, unit.count * n, stop)
        p = 0
        while p < unit.count:
            paired_tile(factors, single, begin, begin + n, s.positions + p, begin > 0, s.first + p * CHANNELS,
                        <int64_t*>s.second + p * CHANNELS)
            p += PIXELS
        begin += n
    return 0


cdef inline double square_of_low(double low) noexcept nogil:
    """What a lower slice adds to a sum of squares; nothing if it is a NaN, whose windows have no bound anyway."""
    return low * low if is_finite(low) else 0.0


cdef inline void cut_band_to_integers(const Call* call, Workspace* s, const Unit* unit) noexcept nogil:
    """Also list the lower slices, and measure them window by window."""
    cdef const Layout* f = &call.layout
    cdef Py_ssize_t p, i, start
    cdef uint64_t any_low
    cdef double grid, inverse
    cdef bint listed = True
    if s.x_cut == MODULAR:
        return
    s.x_cut = MODULAR
    s.n_low_terms = 0
    memset(s.x_low_at, 0, unit.count * 8)
    set_band_grid(f, s, unit, MODULAR_X_BITS)
    grid, inverse = power_of_two(s.x_grid), power_of_two(-s.x_grid)
    for p in range(f.planes):
        start = p * f.plane
        any_low = 0
        for i in range(start, start + f.cells):
            s.x_integers[i] = s.x[i] * inverse + ROUNDER
            s.x_low[i] = s.x[i] - (s.x_integers[i] - ROUNDER) * grid
            any_low |= bits_of(s.x_low[i]) << 1
        if any_low != 0:
            for i in range(f.cells):
                if s.x_low[start + i] != 0:
                    listed = listed and list_low_terms(call, s, unit, p, i)
    for i in range(unit.count):
        s.x_low_at[i] = SLACK * sqrt(s.x_low_at[i]) if listed and is_finite(s.x_low_measure) else INFINITY
    multiply_planes(call, s, unit)


cdef inline void multiply_planes(const Call* call, Workspace* s, const Unit* unit) noexcept nogil:
    """x_products[position] = the sum over its window of x x', modulo 2^64."""
    cdef const Layout* f = &call.layout
    cdef Py_ssize_t p = 0, i, row, column, k
    cdef const double* x = s.x_integers
    cdef uint64_t* sums = s.plane_products
    cdef const uint64_t* products
    memset(sums, 0, f.plane * 8)
    while p < f.planes:
        if p + 1 < f.planes:
            for i in range(f.cells):
                sums[i] += bits_of(x[i]) * bits_of(x[i + f.plane])
        else:
            for i in range(f.cells):
                sums[i] += bits_of(x[i]) * bits_of(ROUNDER)
        x += 2 * f.plane
        p += 2
    memset(s.x_products, 0, unit.count * 8)
    for row in range(unit.rows):
        sums = s.x_products + row * unit.columns
        for k in range(kernel_size(f)):
            products = s.plane_products + row * f.w.extent + call.window[k]
            for column in range(unit.columns):
                sums[column] += products[column]


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
    const Call* call, Workspace* s, const Unit* unit, Py_ssize_t oc,
) noexcept nogil:
    """Of one tile. Also list the taps that have lower slices, and measure those; and multiply pairs.

    w_products[channel] = the sum of w w', modulo 2^64.
    """
    cdef const Layout* f = &call.layout
    cdef double grids[CHANNELS]
    cdef double inverses[CHANNELS]
    cdef double squares[CHANNELS]
    cdef Py_ssize_t i, j, t
    cdef int any_low
    for j in range(CHANNELS):
        s.w_products[j] = 0
        squares[j] = 0.0
        grids[j] = inverses[j] = 0.0                 # of channels without weights, or without a finite measure
    for j in range(tile_channels(f, unit, oc)):
        set_weight_grid(f, s, oc + j, MODULAR_W_BITS)
        if is_finite(s.w_low_measure[oc + j]) and s.w_low_measure[oc + j] > 0:
            grids[j], inverses[j] = power_of_two(s.w_grid[oc + j]), power_of_two(-s.w_grid[oc + j])
    s.n_low_taps = 0
    for i in range(n_pairs(f) + n_singles(f)):
        t = call.pairs[i]
        any_low = cut_pair(
            s.w + (oc * f.terms + t * CHANNELS), kernel_size(f) * CHANNELS, i >= n_pairs(f), grids, inverses,
            s.w_low + (oc * f.terms + t * CHANNELS), s.w_pairs + i * 4 * CHANNELS, s.w_products)
        if any_low & 1:
            note_low_tap(f, s, oc, t, squares)
        if any_low & 2:
            note_low_tap(f, s, oc, t + kernel_size(f), squares)
    for j in range(CHANNELS):
        if is_finite(s.w_low_measure[oc + j]):
            s.w_low_measure[oc + j] = SLACK * sqrt(squares[j])


cdef inline void note_low_tap(
    const Layout* f, Workspace* s, Py_ssize_t oc, Py_ssize_t t, double* squares,
) noexcept nogil:
    """List a tap at which weights have lower slices, and add their squares."""
    cdef Py_ssize_t j
    s.low_taps[s.n_low_taps] = t
    s.n_low_taps += 1
    for j in range(CHANNELS):
        squares[j] += square_of_low(s.w_low[oc * f.terms + t * CHANNELS + j])


cdef inline void join(Workspace* s, const Unit* unit, Py_ssize_t oc) noexcept nogil:
    """From first, a float64 sum, and the remainder T modulo 2^52 of the exact sum S: S = first + second."""
    cdef const uint64_t* products = <const uint64_t*>s.second
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
            remainder = <double>(                                # from -2^51 to 2^51 - 1
                <int64_t>(products[i] - s.x_products[p] - s.w_products[j] << 12) >> 12)
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
    if not SLACK * (s.paired_factor * of_products + of_low) <= TWO_TO_50 * power_of_two(s.x_grid + s.w_grid[oc]):
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
