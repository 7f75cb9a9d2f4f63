"""Weights to float64, once, in the order in which the tiles read them; and what the bounds need to know of them."""
from libc.math cimport INFINITY, fabs, sqrt
from libc.string cimport memset

from refconv.kernels.bounds cimport LARGEST_GRID, underflow_of_squares
from refconv.kernels.exact cimport FLOAT32
from refconv.kernels.filter cimport SLACK, exponent_above, is_finite, power_of_two
from refconv.kernels.layout cimport Layout, Unit, tile_channels
from refconv.kernels.vector cimport CHANNELS, widen_transposed
from refconv.kernels.widen cimport widen_run
from refconv.kernels.workspace cimport Call, Workspace

cdef enum:
    UNKNOWN = 1 << 20                # w_bits that nobody has asked for yet
    SLICED_W_BITS = 27               # bits of the upper slice of w, relative to its measure; with those of x 53


cdef inline Py_ssize_t weight_place(const Layout* f, Py_ssize_t oc, Py_ssize_t t) noexcept nogil:
    """Where the packed weight of channel `oc` of the chunk and tap `t` is."""
    if f.by_rows:
        return oc * f.terms + t
    return (oc // CHANNELS * f.terms + t) * CHANNELS + oc % CHANNELS


cdef inline void pack_weights(const Call* call, Workspace* s, const Unit* unit) noexcept nogil:
    """Widen and measure the chunk's weights; channels that only fill up the last tile are zeros."""
    cdef const Layout* f = &call.layout
    cdef Py_ssize_t oc
    for oc in range(f.chunk):
        s.bias[oc] = 0.0
        s.w_measure[oc] = 0.0
        s.w_bits[oc] = UNKNOWN
    if call.b != NULL:
        widen_run(call.b + unit.oc * call.itemsize, f.source, call.itemsize, s.bias, unit.channels)
    if f.by_rows:
        pack_rows(call, s, unit)
    else:
        for oc in range(f.chunk // CHANNELS):
            pack_channel_tile(call, s, unit, oc * CHANNELS)
    if f.euclidean:
        for oc in range(f.chunk):
            s.w_measure[oc] = sqrt(s.w_measure[oc] + underflow_of_squares(f))
    if f.sliced:
        oc = 0
        while oc < unit.channels:
            cut_weights(f, s, unit, oc)
            oc += tile_channels(f, unit, oc)
    s.packed = unit.g * f.chunks + unit.chunk


cdef inline void pack_rows(const Call* call, Workspace* s, const Unit* unit) noexcept nogil:
    cdef const Layout* f = &call.layout
    cdef Py_ssize_t oc, t
    cdef double measure
    cdef double* row
    for oc in range(unit.channels):
        row = s.w + oc * f.terms
        widen_run(call.w + (unit.oc + oc) * f.terms * call.itemsize, f.source, call.itemsize, row, f.terms)
        measure = 0.0
        for t in range(f.terms):
            measure += row[t] * row[t] if f.euclidean else fabs(row[t])
        s.w_measure[oc] = measure


cdef inline void pack_channel_tile(const Call* call, Workspace* s, const Unit* unit, Py_ssize_t oc) noexcept nogil:
    """Interleave CHANNELS channels, and add up their squares."""
    cdef const Layout* f = &call.layout
    cdef const char* source = call.w + (unit.oc + oc) * f.terms * call.itemsize
    cdef Py_ssize_t channels = min(CHANNELS, unit.channels - oc)
    cdef Py_ssize_t t = 0, j
    cdef double* tile = s.w + oc * f.terms
    cdef double* squares = s.w_measure + oc              # zeros until now
    if f.source == FLOAT32 and channels == CHANNELS:
        while t + CHANNELS <= f.terms:
            widen_transposed(source + 4 * t, 4 * f.terms, tile + t * CHANNELS, squares)
            t += CHANNELS
    pack_taps(f, source, call.itemsize, channels, t, tile)
    while t < f.terms:
        for j in range(CHANNELS):
            squares[j] += tile[t * CHANNELS + j] * tile[t * CHANNELS + j]
        t += 1


cdef inline void pack_taps(
    const Layout* f, const char* source, Py_ssize_t itemsize, Py_ssize_t channels, Py_ssize_t t, double* tile,
) noexcept nogil:
    """Interleave the taps from t on, CHANNELS of them at a time."""
    cdef double taps[CHANNELS][CHANNELS]                 # [channel][tap]
    cdef Py_ssize_t n, j, i
    memset(taps, 0, sizeof(taps))
    while t < f.terms:
        n = min(CHANNELS, f.terms - t)
        for j in range(channels):
            widen_run(source + (j * f.terms + t) * itemsize, f.source, itemsize, taps[j], n)
        for i in range(n):
            for j in range(CHANNELS):
                tile[(t + i) * CHANNELS + j] = taps[j][i]
        t += n


cdef inline void cut_weights(const Layout* f, Workspace* s, const Unit* unit, Py_ssize_t oc) noexcept nogil:
    """w = w_high + w_low exactly for the channels of a tile, w_high a multiple of each channel's grid."""
    cdef double shifters[CHANNELS]
    cdef Py_ssize_t t, j, channels = tile_channels(f, unit, oc)
    cdef double* w = s.w + oc * f.terms
    cdef double* high = s.w_high + oc * f.terms
    cdef double* low = s.w_low + oc * f.terms
    for j in range(CHANNELS):
        shifters[j] = 0.0
    for j in range(channels):
        set_weight_grid(f, s, oc + j, SLICED_W_BITS)
        # Adding and subtracting 1.5 * 2^52 grids rounds to a multiple of the grid.
        if is_finite(s.w_low_measure[oc + j]) and s.w_low_measure[oc + j] > 0:
            shifters[j] = 1.5 * power_of_two(s.w_grid[oc + j] + 52)
    if f.by_rows:
        for j in range(channels):
            for t in range(j * f.terms, (j + 1) * f.terms):
                high[t] = (w[t] + shifters[j]) - shifters[j]
                low[t] = w[t] - high[t]
        return
    for t in range(f.terms):
        for j in range(CHANNELS):
            high[t * CHANNELS + j] = (w[t * CHANNELS + j] + shifters[j]) - shifters[j]
            low[t * CHANNELS + j] = w[t * CHANNELS + j] - high[t * CHANNELS + j]


cdef inline void set_weight_grid(const Layout* f, Workspace* s, Py_ssize_t oc, int bits) noexcept nogil:
    """Choose the channel's grid, so many bits below its measure; or note that exponents leave no room for one."""
    cdef double measure = s.w_measure[oc]
    s.w_grid[oc] = 0
    s.w_low_measure[oc] = 0.0
    if not measure > 0:                              # zero: nothing to cut; NaN: the bound is NaN already
        return
    s.w_grid[oc] = exponent_above(SLACK * measure) - bits
    s.w_low_measure[oc] = power_of_two(s.w_grid[oc] - 1) * (sqrt(<double>f.terms) if f.euclidean else f.terms)
    if not -LARGEST_GRID < s.w_grid[oc] < LARGEST_GRID:
        s.w_low_measure[oc] = INFINITY               # no slices, no proof
