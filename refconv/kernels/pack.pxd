"""Operands to float64, once, in the order in which the tiles read them; and what the bounds need to know of them."""
from libc.math cimport INFINITY, fabs, sqrt
from libc.stdint cimport INT64_MAX, int64_t, uint16_t
from libc.string cimport memset

from refconv.kernels.exact cimport FLOAT16, FLOAT32, FLOAT64, FloatFormat
from refconv.kernels.filter cimport (
    NO_BITS, SLACK, TWO_TO_53, UNDERFLOW_STEP, bits_of, exponent_above, from_bits, is_finite, lowest_bit, power_of_two,
)
from refconv.kernels.layout cimport Layout, Unit, ceil_div, residue
from refconv.kernels.vector cimport CHANNELS, PIXELS
from refconv.kernels.widen cimport widen_bfloat16, widen_float16
from refconv.kernels.workspace cimport Call, Workspace

cdef enum:
    UNKNOWN = 1 << 20                # w_bits that nobody has asked for yet
    SLICED_X_BITS = 26               # bits of the upper slice of x, relative to the largest measure in a band
    SLICED_W_BITS = 27               # of w; together 53
    # Grids 2^-480 .. 2^480 leave room for the product of two, and for 2^53 times it, among the normal numbers.
    LARGEST_GRID = 480
    LARGEST_SLICED_WINDOW = 1 << 22  # terms; the rounding of more of them could add up to a share of the bound


cdef inline void widen_run(
    const char* source, FloatFormat source_format, Py_ssize_t step, double* target, Py_ssize_t count,
) noexcept nogil:
    """target[i] = the number at source + i * step bytes."""
    cdef Py_ssize_t i
    if source_format == FLOAT32:
        if step == 4:                # the form that compilers turn into vector instructions
            for i in range(count):
                target[i] = (<const float*>source)[i]
        else:
            for i in range(count):
                target[i] = (<const float*>(source + i * step))[0]
    elif source_format == FLOAT64:
        for i in range(count):
            target[i] = (<const double*>(source + i * step))[0]
    elif source_format == FLOAT16:
        for i in range(count):
            target[i] = widen_float16((<const uint16_t*>(source + i * step))[0])
    else:
        for i in range(count):
            target[i] = widen_bfloat16((<const uint16_t*>(source + i * step))[0])


# ---------------------------------------------------------------------------------------------------------------------
# Weights
# ---------------------------------------------------------------------------------------------------------------------

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
        slice_weights(f, s)
    s.packed = unit.g * f.chunks + unit.chunk
    s.hard = 0


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
    """Interleave CHANNELS channels, a few taps at a time; and add up their squares."""
    cdef const Layout* f = &call.layout
    cdef double taps[CHANNELS][CHANNELS]                 # [channel][tap]
    cdef double squares[CHANNELS]
    cdef double* tile = s.w + oc * f.terms
    cdef Py_ssize_t t, n, j, i
    memset(taps, 0, sizeof(taps))
    memset(squares, 0, sizeof(squares))
    t = 0
    while t < f.terms:
        n = min(CHANNELS, f.terms - t)
        for j in range(min(CHANNELS, unit.channels - oc)):
            if n == CHANNELS:                            # a constant count compiles to a few vector instructions
                widen_run(call.w + ((unit.oc + oc + j) * f.terms + t) * call.itemsize, f.source, call.itemsize,
                          taps[j], CHANNELS)
            else:
                widen_run(call.w + ((unit.oc + oc + j) * f.terms + t) * call.itemsize, f.source, call.itemsize,
                          taps[j], n)
        for i in range(n):
            for j in range(CHANNELS):
                tile[(t + i) * CHANNELS + j] = taps[j][i]
        for i in range(n):
            for j in range(CHANNELS):
                squares[j] += tile[(t + i) * CHANNELS + j] * tile[(t + i) * CHANNELS + j]
        t += n
    for j in range(CHANNELS):
        s.w_measure[oc + j] = squares[j]


cdef inline double underflow_of_squares(const Layout* f) noexcept nogil:
    """What a sum of squares may have lost: 2^-1074 a term. Squares of narrower operands do not underflow."""
    return UNDERFLOW_STEP * f.terms if f.source == FLOAT64 else 0.0


cdef inline void slice_weights(const Layout* f, Workspace* s) noexcept nogil:
    """w = w_high + w_low exactly, w_high a multiple of the channel's grid, SLICED_W_BITS below its measure."""
    cdef double shifters[CHANNELS]
    cdef double* w
    cdef double* high
    cdef double* low
    cdef Py_ssize_t oc = 0, t, j
    while oc < f.chunk:
        for j in range(CHANNELS):
            shifters[j] = weight_shifter(f, s, oc + j)
        if f.by_rows:
            for j in range(CHANNELS):
                w = s.w + (oc + j) * f.terms
                high = s.w_high + (oc + j) * f.terms
                low = s.w_low + (oc + j) * f.terms
                for t in range(f.terms):
                    high[t] = (w[t] + shifters[j]) - shifters[j]
                    low[t] = w[t] - high[t]
        else:
            for t in range(f.terms):
                w = s.w + oc * f.terms + t * CHANNELS
                high = s.w_high + oc * f.terms + t * CHANNELS
                low = s.w_low + oc * f.terms + t * CHANNELS
                for j in range(CHANNELS):
                    high[j] = (w[j] + shifters[j]) - shifters[j]
                    low[j] = w[j] - high[j]
        oc += CHANNELS


cdef inline double weight_shifter(const Layout* f, Workspace* s, Py_ssize_t oc) noexcept nogil:
    """1.5 * 2^52 times the channel's grid: adding and subtracting it rounds to a multiple of the grid."""
    cdef int grid
    s.w_low_measure[oc] = 0.0
    if not s.w_measure[oc] > 0:                      # zero: nothing to slice; NaN: the bound is NaN already
        return 0.0
    grid = exponent_above(SLACK * s.w_measure[oc]) - SLICED_W_BITS
    if not -LARGEST_GRID < grid < LARGEST_GRID:
        s.w_low_measure[oc] = INFINITY               # no slices, no proof
        return 0.0
    s.w_low_measure[oc] = power_of_two(grid - 1) * (sqrt(<double>f.terms) if f.euclidean else f.terms)
    return 1.5 * power_of_two(grid + 52)


cdef inline int weight_bits(const Layout* f, Workspace* s, Py_ssize_t oc) noexcept nogil:
    """Every weight of the channel is a multiple of 2^ this. Found when first asked for."""
    cdef Py_ssize_t t
    if s.w_bits[oc] == UNKNOWN:
        s.w_bits[oc] = NO_BITS
        for t in range(f.terms):
            s.w_bits[oc] = min(s.w_bits[oc], lowest_bit(s.w[weight_place(f, oc, t)]))
    return s.w_bits[oc]


# ---------------------------------------------------------------------------------------------------------------------
# Input
# ---------------------------------------------------------------------------------------------------------------------

cdef inline void pack_band(const Call* call, Workspace* s, const Unit* unit) noexcept nogil:
    """Widen the input under the unit's outputs; what lies outside the image is zero."""
    cdef const Layout* f = &call.layout
    cdef const Py_ssize_t* strides = &call.x.strides[0]
    cdef Py_ssize_t ic, kd, d, phase_h, phase_w, row, ih, iw, first, last
    cdef Py_ssize_t place
    cdef const char* source
    cdef double* target
    memset(s.plane, 0, f.plane * 8)
    for ic in range(f.C):
        for kd in range(f.d.kernel):
            d = unit.od * f.d.stride - f.d.pad + kd * f.d.dilation
            for phase_h in range(f.h.phases):
                for phase_w in range(f.w.phases):
                    # Columns first .. last - 1 of the phase are in the image, column 0 being at iw.
                    iw = unit.ow * f.w.stride - f.w.pad + residue(&f.w, phase_w)
                    first = ceil_div(-iw, f.w.stride) if iw < 0 else 0
                    last = ceil_div(f.w.size - iw, f.w.stride) if f.w.size > iw else 0
                    last = min(last, unit.columns + f.w.reach)
                    for row in range(unit.rows + f.h.reach):
                        place = ((phase_h * f.w.phases + phase_w) * f.h.extent + row) * f.w.extent
                        target = s.x + (ic * f.d.kernel + kd) * f.plane + place
                        ih = (unit.oh + row) * f.h.stride + residue(&f.h, phase_h) - f.h.pad
                        if d < 0 or d >= f.d.size or ih < 0 or ih >= f.h.size or first >= last:
                            memset(target, 0, f.w.extent * 8)
                            continue
                        source = (call.x.data + unit.n * strides[0] + (unit.g * f.C + ic) * strides[1]
                                  + d * strides[2] + ih * strides[3] + (iw + first * f.w.stride) * strides[4])
                        memset(target, 0, first * 8)
                        widen_run(source, f.source, strides[4] * f.w.stride, target + first, last - first)
                        memset(target + last, 0, (f.w.extent - last) * 8)
                        # Measured now, while it is in the first-level cache.
                        if f.euclidean:
                            add_squares(target + first, s.plane + place + first, last - first)
                        else:
                            raise_maximum(target + first, &s.plane[place // f.w.extent], last - first)
    set_positions(f, s, unit)
    s.x_bits_known = False
    s.x_sliced = False


cdef inline void set_positions(const Layout* f, Workspace* s, const Unit* unit) noexcept nogil:
    """positions[p] = where position p is in the band; the same for all bands of one shape."""
    cdef Py_ssize_t row, column, p = 0
    if s.rows == unit.rows and s.columns == unit.columns:
        return
    s.rows, s.columns = unit.rows, unit.columns
    for row in range(unit.rows):
        for column in range(unit.columns):
            s.positions[p] = row * f.w.extent + column
            p += 1
    for column in range(PIXELS):                # the last tile computes the last position more than once
        s.positions[p + column] = s.positions[p - 1]


cdef inline void measure_band(const Call* call, Workspace* s, const Unit* unit) noexcept nogil:
    """x_measure[position], after pack_band: root of the sum of squares in its window, or a bound of the maximum."""
    if call.layout.euclidean:
        measure_squares(call, s, unit)
    else:
        measure_maxima(call, s, unit)


cdef inline double largest_finite(const double* measures, Py_ssize_t count) noexcept nogil:
    cdef Py_ssize_t i
    cdef double largest = 0.0
    for i in range(count):
        if measures[i] > largest and is_finite(measures[i]):
            largest = measures[i]
    return largest


cdef inline void measure_squares(const Call* call, Workspace* s, const Unit* unit) noexcept nogil:
    """Sum over the window what pack_band has summed over the planes: far fewer additions than terms."""
    cdef const Layout* f = &call.layout
    cdef Py_ssize_t i, row, column, k
    cdef double* sums
    cdef const double* plane
    memset(s.x_measure, 0, unit.count * 8)
    for row in range(unit.rows):
        sums = s.x_measure + row * unit.columns
        for k in range(f.h.kernel * f.w.kernel):
            plane = s.plane + row * f.w.extent + call.window[k]
            for column in range(unit.columns):
                sums[column] += plane[column]
    for i in range(unit.count):
        s.x_measure[i] = sqrt(s.x_measure[i] + underflow_of_squares(f))


cdef inline void measure_maxima(const Call* call, Workspace* s, const Unit* unit) noexcept nogil:
    """The maximum of all input rows that a window touches: one number for a row of outputs."""
    cdef const Layout* f = &call.layout
    cdef Py_ssize_t row, i, phase_w, kh
    cdef int64_t largest, bits
    for row in range(unit.rows):
        largest = 0
        for kh in range(f.h.kernel):
            for phase_w in range(f.w.phases):
                i = (kh % f.h.phases * f.w.phases + phase_w) * f.h.extent + row + kh * f.h.dilation // f.h.stride
                bits = bits_of(s.plane[i])
                largest = bits if bits > largest else largest
        for i in range(unit.columns):
            s.x_measure[row * unit.columns + i] = from_bits(largest)


cdef inline void add_squares(const double* x, double* sums, Py_ssize_t count) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(count):
        sums[i] += x[i] * x[i]


cdef inline void raise_maximum(const double* x, double* maximum, Py_ssize_t count) noexcept nogil:
    """maximum = max(maximum, |x|). Positive float64 numbers are in the order of their bits; a NaN comes out on top."""
    cdef Py_ssize_t i
    cdef int64_t bits, largest = bits_of(maximum[0])
    for i in range(count):
        bits = bits_of(x[i]) & INT64_MAX
        largest = bits if bits > largest else largest
    maximum[0] = from_bits(largest)


cdef inline void slice_band(const Layout* f, Workspace* s, int grid) noexcept nogil:
    """x = x_high + x_low exactly, with x_high the nearest multiple of 2^grid."""
    cdef Py_ssize_t i
    cdef double shifter = 1.5 * power_of_two(grid + 52)
    cdef double* high = s.x_high
    cdef double* low = s.x_low
    cdef const double* x = s.x
    s.x_sliced = True
    s.x_grid = grid
    s.sliceable = -LARGEST_GRID < grid < LARGEST_GRID and f.terms < LARGEST_SLICED_WINDOW
    s.x_low_measure = power_of_two(grid - 1) * (sqrt(<double>f.terms) if f.euclidean else 1.0)
    for i in range(f.planes * f.plane):
        high[i] = (x[i] + shifter) - shifter
        low[i] = x[i] - high[i]


cdef inline void slice_band_in_half(const Layout* f, Workspace* s, const Unit* unit) noexcept nogil:
    """Slices of x for weights that are sliced too."""
    cdef double largest_x = largest_finite(s.x_measure, unit.count)
    slice_band(f, s, exponent_above(largest_x) - SLICED_X_BITS if largest_x > 0 else 0)


cdef inline bint slice_band_for_chunk(const Layout* f, Workspace* s, const Unit* unit) noexcept nogil:
    """Slices of x for the uncut weights of this chunk, which have few bits; whether that is possible.

    The grid of x is as fine as SLACK * B <= 2^53 * 2^grid * (grid of the weights) allows for all channels.
    """
    cdef Py_ssize_t oc
    cdef int grid, w_grid = NO_BITS
    cdef double largest_x, largest_w
    if s.x_sliced:
        return s.sliceable
    s.x_sliced = True
    s.sliceable = False
    for oc in range(unit.channels):
        w_grid = min(w_grid, weight_bits(f, s, oc))
    largest_w = largest_finite(s.w_measure, unit.channels)
    largest_x = largest_finite(s.x_measure, unit.count)
    if w_grid == NO_BITS or w_grid == -NO_BITS or largest_x == 0:
        return False
    grid = exponent_above(SLACK * largest_w * largest_x) + 1 - 53 - w_grid
    slice_band(f, s, max(grid, exponent_above(largest_x) - 50))
    # Rounding to the grid can make x_high larger than x, by x_low at most.
    if SLACK * largest_w * (largest_x + s.x_low_measure) > TWO_TO_53 * power_of_two(s.x_grid + w_grid):
        s.sliceable = False
    return s.sliceable


cdef inline void know_input_bits(const Call* call, Workspace* s, const Unit* unit) noexcept nogil:
    """x_bits[position]: every operand in its window is a multiple of 2^ this. Found when first asked for."""
    cdef const Layout* f = &call.layout
    cdef Py_ssize_t p, i, row, column, k
    cdef int bits
    if s.x_bits_known:
        return
    s.x_bits_known = True
    for i in range(f.plane):
        s.plane_bits[i] = NO_BITS
    for p in range(f.planes):
        for i in range(f.plane):
            s.plane_bits[i] = min(s.plane_bits[i], lowest_bit(s.x[p * f.plane + i]))
    for row in range(unit.rows):
        for column in range(unit.columns):
            bits = NO_BITS
            for k in range(f.h.kernel * f.w.kernel):
                bits = min(bits, s.plane_bits[row * f.w.extent + column + call.window[k]])
            s.x_bits[row * unit.columns + column] = bits
