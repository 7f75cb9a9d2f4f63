"""The input of a band to float64, once, as the tiles read it (layout.pxd); and what the bounds need to know of it."""
from libc.math cimport INFINITY, sqrt
from libc.stdint cimport INT64_MAX, int64_t
from libc.string cimport memset

from refconv.kernels.bounds cimport LARGEST_GRID, underflow_of_squares
from refconv.kernels.exact cimport FLOAT32
from refconv.kernels.filter cimport bits_of, exponent_above, from_bits, is_finite, power_of_two
from refconv.kernels.layout cimport Layout, Part, Unit, locate_part, place_positions
from refconv.kernels.vector cimport CHANNELS, PIXELS, prefetch
from refconv.kernels.widen cimport widen_run
from refconv.kernels.workspace cimport CUT_ALL, WHOLE, Call, Workspace

cdef enum:
    PREFETCHED_BYTES = 16384         # at most
    SLICED_X_BITS = 26               # bits of the upper slice of x, relative to the largest measure in a band
    LARGEST_SLICED_WINDOW = 1 << 22  # terms; the rounding of more of them could add up to a share of the bound


cdef inline void pack_band(const Call* call, Workspace* s, const Unit* unit) noexcept nogil:
    """Widen the input under the unit's outputs; what lies outside the image is zero."""
    cdef const Layout* f = &call.layout
    cdef Py_ssize_t ic, kd, d, phase_h, phase_w
    cdef double* target
    cdef const char* source
    memset(s.plane, 0, f.plane * 8)
    for ic in range(f.C):
        for kd in range(f.d.kernel):
            d = unit.od * f.d.stride - f.d.pad + kd * f.d.dilation
            target = s.x + (ic * f.d.kernel + kd) * f.plane
            if d < 0 or d >= f.d.size:
                memset(target, 0, f.plane * 8)
                continue
            source = (call.x.data + unit.n * call.x.strides[0] + (unit.g * f.C + ic) * call.x.strides[1]
                      + d * call.x.strides[2])
            for phase_h in range(f.h.phases):
                for phase_w in range(f.w.phases):
                    pack_phase(call, s, unit, source, target, phase_h, phase_w)
    if s.rows != unit.rows or s.columns != unit.columns:
        s.rows, s.columns = unit.rows, unit.columns
        place_positions(f, unit, PIXELS, s.positions)
    s.x_bits_known = False
    s.x_cut = WHOLE


cdef inline void pack_phase(
    const Call* call, Workspace* s, const Unit* unit, const char* image, double* plane, Py_ssize_t phase_h,
    Py_ssize_t phase_w,
) noexcept nogil:
    """One phase of one plane of the band, from one plane of the input."""
    cdef const Layout* f = &call.layout
    cdef Py_ssize_t step_h = call.x.strides[3] * f.h.stride, step_w = call.x.strides[4] * f.w.stride
    cdef Py_ssize_t row, column, place
    cdef Part part
    cdef double* target
    locate_part(f, unit, phase_h, phase_w, &part)
    for row in range(part.top):
        memset(plane + part.place + row * f.w.extent, 0, f.w.extent * 8)
    for row in range(part.bottom, f.h.extent):           # also those that a last, lower band does not have
        memset(plane + part.place + row * f.w.extent, 0, f.w.extent * 8)
    if part.bottom == part.top:
        return
    image += part.ih * call.x.strides[3] + part.iw * call.x.strides[4]
    place = part.place + part.top * f.w.extent
    if f.euclidean and part.left == 0 and part.right == f.w.extent and step_h == part.right * step_w:
        # Nothing between the rows, here or there: they are one long row.
        prefetch_next_channel(call, image, (part.bottom - part.top) * step_h)
        pack_run(f, s, image, step_w, plane, place, (part.bottom - part.top) * part.right)
        return
    for row in range(part.bottom - part.top):
        target = plane + place + row * f.w.extent
        for column in range(part.left):
            target[column] = 0.0
        for column in range(part.right, f.w.extent):
            target[column] = 0.0
        prefetch_next_channel(call, image + row * step_h, (part.right - part.left) * step_w)
        pack_run(
            f, s, image + row * step_h, step_w, plane, place + row * f.w.extent + part.left, part.right - part.left)


cdef inline void prefetch_next_channel(const Call* call, const char* source, Py_ssize_t size) noexcept nogil:
    """While one channel is packed; not of numbers that lie far apart, of which a large stride reads only a few."""
    if 0 < size <= PREFETCHED_BYTES:
        prefetch(source + call.x.strides[1], size)


cdef inline void pack_run(
    const Layout* f, Workspace* s, const char* source, Py_ssize_t step, double* plane, Py_ssize_t place,
    Py_ssize_t count,
) noexcept nogil:
    """Widen a run, and measure it while it is in the first-level cache."""
    cdef double* target = plane + place
    if count == 0:             # at the very end of the last row the measures have ended, too
        return
    if f.euclidean and f.source == FLOAT32 and step == 4:
        widen_and_add_squares(<const float*>source, target, s.plane + place, count)
        return
    widen_run(source, f.source, step, target, count)
    if f.euclidean:
        add_squares(target, s.plane + place, count)
    else:
        raise_maximum(target, &s.plane[place // f.w.extent], count)


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
    cdef double* measures = s.x_measure
    cdef double underflow = underflow_of_squares(f)
    memset(measures, 0, unit.count * 8)
    for row in range(unit.rows):
        sums = measures + row * unit.columns
        for k in range(f.h.kernel * f.w.kernel):
            plane = s.plane + row * f.w.extent + call.window[k]
            for column in range(unit.columns):
                sums[column] += plane[column]
    for i in range(unit.count):
        measures[i] = sqrt(measures[i] + underflow)
    s.x_finite = True
    i = 0
    while i < unit.count:
        measure_eight(s, i, min(CHANNELS, unit.count - i))
        i += CHANNELS


cdef inline void measure_eight(Workspace* s, Py_ssize_t p, Py_ssize_t count) noexcept nogil:
    """The largest measure from position p on; of no use if one is not finite, which shows in their sum."""
    cdef double largest = 0.0, total = 0.0
    cdef Py_ssize_t i
    cdef const double* measures = s.x_measure + p
    for i in range(count):
        largest = max(largest, measures[i])
        total += measures[i]
    s.x_measure_of_eight[p // CHANNELS] = largest
    s.x_finite = s.x_finite and is_finite(total)


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


cdef inline void widen_and_add_squares(
    const float* source, double* target, double* sums, Py_ssize_t count,
) noexcept nogil:
    """widen_run and add_squares at once, for what nearly every layer consists of."""
    cdef Py_ssize_t i
    cdef double wide
    for i in range(count):
        wide = source[i]
        target[i] = wide
        sums[i] += wide * wide


cdef inline void raise_maximum(const double* x, double* maximum, Py_ssize_t count) noexcept nogil:
    """maximum = max(maximum, |x|). Positive float64 numbers are in the order of their bits; a NaN comes out on top."""
    cdef Py_ssize_t i
    cdef int64_t bits, largest = bits_of(maximum[0])
    for i in range(count):
        bits = bits_of(x[i]) & INT64_MAX
        largest = bits if bits > largest else largest
    maximum[0] = from_bits(largest)


cdef inline void cut_band(const Layout* f, Workspace* s, const Unit* unit) noexcept nogil:
    """x = x_high + x_low exactly; x_high is the nearest multiple of the grid."""
    cdef Py_ssize_t i
    cdef double shifter
    cdef double* high = s.x_high
    cdef double* low = s.x_low
    cdef const double* x = s.x
    if s.x_cut == CUT_ALL:
        return
    s.x_cut = CUT_ALL
    set_band_grid(f, s, unit, SLICED_X_BITS)
    shifter = 1.5 * power_of_two(s.x_grid + 52)
    for i in range(f.planes * f.plane):
        high[i] = (x[i] + shifter) - shifter
        low[i] = x[i] - high[i]


cdef inline void set_band_grid(const Layout* f, Workspace* s, const Unit* unit, int bits) noexcept nogil:
    """Choose the band's grid, so many bits below its largest measure; or note that exponents leave no room for one."""
    cdef double largest = largest_finite(s.x_measure, unit.count)
    s.x_grid = exponent_above(largest) - bits if largest > 0 else 0
    s.x_low_measure = power_of_two(s.x_grid - 1) * (sqrt(<double>f.terms) if f.euclidean else 1.0)
    if not -LARGEST_GRID < s.x_grid < LARGEST_GRID or f.terms >= LARGEST_SLICED_WINDOW:
        s.x_low_measure = INFINITY
