"""The operands of a band of weight_rows.pyx: widened to float64 once, row by row, and measured."""
from libc.string cimport memset

from refconv.kernels.layout cimport ceil_div, residue
from refconv.kernels.rows cimport Rows, place
from refconv.kernels.vector cimport LANES
from refconv.kernels.widen cimport widen_run

cdef struct Band:
    Py_ssize_t n, od
    Py_ssize_t oh, rows          # first row of grad_output and their number
    Py_ssize_t ow, columns
    Py_ssize_t width             # columns, and zeros up to whole registers


cdef inline void locate_band(const Rows* f, Py_ssize_t b, Band* band) noexcept nogil:
    band.ow = b % f.w.bands * f.w.band
    band.oh = b // f.w.bands % f.h.bands * f.h.band
    band.od = b // f.w.bands // f.h.bands % f.d.output
    band.n = b // f.w.bands // f.h.bands // f.d.output
    band.rows = min(f.h.band, f.h.output - band.oh)
    band.columns = min(f.w.band, f.w.output - band.ow)
    band.width = ceil_div(band.columns, LANES) * LANES


cdef inline double* to_cache_line(double* memory) noexcept nogil:
    """The next address that is a multiple of 64: a register across two cache lines takes twice as long to load."""
    return <double*>((<size_t>memory + 63) // 64 * 64)


cdef inline double squares_of(const double* x, Py_ssize_t count) noexcept nogil:
    cdef double total[4]
    cdef Py_ssize_t i = 0
    memset(total, 0, sizeof(total))
    while i + 4 <= count:            # four sums at a time: a single one would wait for every addition
        total[0] += x[i] * x[i]
        total[1] += x[i + 1] * x[i + 1]
        total[2] += x[i + 2] * x[i + 2]
        total[3] += x[i + 3] * x[i + 3]
        i += 4
    while i < count:
        total[0] += x[i] * x[i]
        i += 1
    return (total[0] + total[1]) + (total[2] + total[3])


cdef inline void pack_grad_output(
    const Rows* f, const Band* band, Py_ssize_t g, double* target, double* squares,
) noexcept nogil:
    """target[oc][row][ow], and their squares added to those of each channel."""
    cdef Py_ssize_t oc, r
    cdef double* row
    for oc in range(f.K):
        for r in range(band.rows):
            row = target + (oc * f.h.band + r) * f.w.band
            widen_run(place(&f.y, band.n, g * f.K + oc, band.od, band.oh + r) + band.ow * f.y.strides[4], f.source,
                      f.y.strides[4], row, band.columns)
            memset(row + band.columns, 0, (band.width - band.columns) * 8)
            squares[g * f.K + oc] += squares_of(row, band.columns)


cdef inline void pack_input(
    const Rows* f, const Band* band, Py_ssize_t g, Py_ssize_t kd, Py_ssize_t id, double* target, double* squares,
) noexcept nogil:
    """target[ic][row][residue][column] = input[n, first_ic + ic, id, ih, iw], and their squares; zeros in the padding.

    ih = oh * stride_h - pad_top + row, of which those outside of the image are left out, and
    iw = (ow + column) * stride_w - pad_left + residue.
    """
    cdef Py_ssize_t ic, r, ih, phase, start, before, inside, extent = band.width + f.w.reach
    cdef double* row
    cdef const char* first
    for ic in range(f.C):
        for r in range((band.rows - 1) * f.h.stride + (f.h.kernel - 1) * f.h.dilation + 1):
            ih = band.oh * f.h.stride - f.h.pad + r
            if ih < 0 or ih >= f.h.size:
                continue
            for phase in range(f.w.phases):
                row = target + (ic * f.rows + r) * f.row + phase * f.w.extent
                start = band.ow * f.w.stride - f.w.pad + residue(&f.w, phase)         # iw of column 0
                before = min(max(ceil_div(-start, f.w.stride), 0), extent) if start < 0 else 0
                inside = 0
                if start + before * f.w.stride < f.w.size:
                    inside = min((f.w.size - 1 - start) // f.w.stride + 1, extent) - before
                memset(row, 0, before * 8)
                if inside > 0:
                    first = place(&f.x, band.n, g * f.C + ic, id, ih) + (start + before * f.w.stride) * f.x.strides[4]
                    widen_run(first, f.source, f.w.stride * f.x.strides[4], row + before, inside)
                memset(row + before + inside, 0, (extent - before - inside) * 8)
                squares[(g * f.C + ic) * f.d.kernel + kd] += squares_of(row + before, inside)
