"""Integer operands to cells (cells.h), once, in the order in which the tiles read them."""
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from refconv.kernels.cells cimport CELL_CHANNELS, cell_t
from refconv.kernels.integer cimport INT8, INT16, INT32, INT64, UINT8, UINT16, UINT32, IntegerFormat
from refconv.kernels.layout cimport Layout, Unit, ceil_div, residue
from refconv.kernels.integer_workspace cimport IntegerCall, IntegerSpace

cdef enum:
    PACKED_TAPS = 64             # taps whose weights are packed for one channel before the next one's turn

ctypedef fused integer_t:
    int8_t
    int16_t
    int32_t
    int64_t
    uint8_t
    uint16_t
    uint32_t
    uint64_t


# ---------------------------------------------------------------------------------------------------------------------
# Cells
# ---------------------------------------------------------------------------------------------------------------------

cdef inline void fill(
    const char* x, const char* upper, IntegerFormat source, Py_ssize_t step, cell_t* cells, Py_ssize_t cell_step,
    Py_ssize_t count,
) noexcept nogil:
    """cells[i * cell_step] = the number at x + i * step bytes.

    Of pairs that is the lower half; the upper one is the number at upper + i * step, or 0 if `upper` is NULL.
    """
    if source == INT8:
        fill_from(<const int8_t*>x, upper, step, cells, cell_step, count)
    elif source == INT16:
        fill_from(<const int16_t*>x, upper, step, cells, cell_step, count)
    elif source == INT32:
        fill_from(<const int32_t*>x, upper, step, cells, cell_step, count)
    elif source == INT64:
        fill_from(<const int64_t*>x, upper, step, cells, cell_step, count)
    elif source == UINT8:
        fill_from(<const uint8_t*>x, upper, step, cells, cell_step, count)
    elif source == UINT16:
        fill_from(<const uint16_t*>x, upper, step, cells, cell_step, count)
    elif source == UINT32:
        fill_from(<const uint32_t*>x, upper, step, cells, cell_step, count)
    else:
        fill_from(<const uint64_t*>x, upper, step, cells, cell_step, count)


cdef inline void fill_from(
    const integer_t* x, const char* upper, Py_ssize_t step, cell_t* cells, Py_ssize_t cell_step, Py_ssize_t count,
) noexcept nogil:
    # Steps that the compiler knows give it a loop of vector instructions.
    if cell_step == 1 and step == sizeof(integer_t):
        fill_steps(x, upper, sizeof(integer_t), cells, 1, count)
    elif cell_step == 1 and step == 2 * sizeof(integer_t):
        fill_steps(x, upper, 2 * sizeof(integer_t), cells, 1, count)
    else:
        fill_steps(x, upper, step, cells, cell_step, count)


cdef inline void fill_steps(
    const integer_t* x, const char* upper, Py_ssize_t step, cell_t* cells, Py_ssize_t cell_step, Py_ssize_t count,
) noexcept nogil:
    cdef const char* lower = <const char*>x
    cdef uint32_t upper_half = 0xFFFF0000
    cdef Py_ssize_t i
    if upper == NULL:
        upper, upper_half = lower, 0
    for i in range(count):
        if cell_t is int32_t:
            cells[i * cell_step] = <int32_t>(
                <uint16_t>(<const integer_t*>(lower + i * step))[0]
                | (<uint32_t>(<const integer_t*>(upper + i * step))[0] << 16 & upper_half))
        else:
            # This extends the sign, if there is one.
            cells[i * cell_step] = <int64_t>(<const integer_t*>(lower + i * step))[0]


# ---------------------------------------------------------------------------------------------------------------------
# Weights
# ---------------------------------------------------------------------------------------------------------------------

cdef struct Run:
    Py_ssize_t place, step       # bytes from the channel's weights to the first number, and between two of them
    Py_ssize_t partner           # bytes from a number to the one for the upper half; 0 if there is none
    Py_ssize_t count             # cells


cdef inline Run run_from(const IntegerCall* call, Py_ssize_t t, const cell_t* cells) noexcept nogil:
    """The longest run of cells that begins with tap t and is made of numbers at equal distances."""
    cdef const Layout* f = &call.layout
    cdef Py_ssize_t kernel = f.d.kernel * f.h.kernel * f.w.kernel
    cdef Py_ssize_t ic = t // kernel * 2, k = t % kernel
    if cell_t is int64_t:
        return Run(t * call.w_size, call.w_size, 0, f.terms - t)
    elif ic + 1 == call.C:
        return Run((ic * kernel + k) * call.w_size, call.w_size, 0, kernel - k)
    elif kernel == 1:                            # all pairs lie side by side
        return Run(ic * call.w_size, 2 * call.w_size, call.w_size, (call.C - ic) // 2)
    else:
        return Run((ic * kernel + k) * call.w_size, call.w_size, kernel * call.w_size, kernel - k)


cdef inline void pack_weights(const IntegerCall* call, IntegerSpace* s, const Unit* unit, cell_t* w) noexcept nogil:
    """[tile][tap][CELL_CHANNELS], or [oc][tap] by rows. Channels that only fill up the last tile hold anything."""
    cdef const Layout* f = &call.layout
    cdef Py_ssize_t width = 1 if f.by_rows else CELL_CHANNELS
    cdef Py_ssize_t channel = call.C * f.d.kernel * f.h.kernel * f.w.kernel * call.w_size
    cdef Py_ssize_t oc = 0, c, t
    cdef Run run
    cdef const char* x
    memset(s.bias, 0, f.chunk * 8)
    if call.b != NULL:
        fill(call.b + unit.oc * call.b_size, NULL, call.b_source, call.b_size, s.bias, 1, unit.channels)
    while oc < unit.channels:
        t = 0
        while t < f.terms:
            run = run_from(call, t, w)
            run.count = min(run.count, PACKED_TAPS)
            for c in range(min(width, unit.channels - oc)):
                x = call.w + (unit.oc + oc + c) * channel + run.place
                fill(x, x + run.partner if run.partner else NULL, call.w_source, run.step,
                     w + oc * f.terms + t * width + c, width, run.count)
            t += run.count
        oc += width
    s.packed = unit.g * f.chunks + unit.chunk


# ---------------------------------------------------------------------------------------------------------------------
# Input
# ---------------------------------------------------------------------------------------------------------------------

cdef inline void pack_band(const IntegerCall* call, const Unit* unit, cell_t* x) noexcept nogil:
    """The input under the unit's outputs (layout.pxd has the order); what lies outside the image is zero."""
    cdef const Layout* f = &call.layout
    cdef const Py_ssize_t* strides = &call.x.strides[0]
    cdef Py_ssize_t plane, ic, kd, d, phase_h, phase_w, row, ih, iw, first, last
    cdef bint paired = False
    cdef const char* source
    cdef cell_t* target
    for plane in range(f.planes):
        ic, kd = plane // f.d.kernel, plane % f.d.kernel
        if cell_t is int32_t:
            ic *= 2
            paired = ic + 1 < call.C
        d = unit.od * f.d.stride - f.d.pad + kd * f.d.dilation
        for phase_h in range(f.h.phases):
            for phase_w in range(f.w.phases):
                # Columns first .. last - 1 of the phase are in the image, column 0 being at iw.
                iw = unit.ow * f.w.stride - f.w.pad + residue(&f.w, phase_w)
                first = ceil_div(-iw, f.w.stride) if iw < 0 else 0
                last = ceil_div(f.w.size - iw, f.w.stride) if f.w.size > iw else 0
                last = min(last, unit.columns + f.w.reach)
                for row in range(unit.rows + f.h.reach):
                    target = x + plane * f.plane
                    target += ((phase_h * f.w.phases + phase_w) * f.h.extent + row) * f.w.extent
                    ih = (unit.oh + row) * f.h.stride + residue(&f.h, phase_h) - f.h.pad
                    if d < 0 or d >= f.d.size or ih < 0 or ih >= f.h.size or first >= last:
                        memset(target, 0, f.w.extent * sizeof(cell_t))
                        continue
                    source = (call.x.data + unit.n * strides[0] + (unit.g * call.C + ic) * strides[1]
                              + d * strides[2] + ih * strides[3] + (iw + first * f.w.stride) * strides[4])
                    memset(target, 0, first * sizeof(cell_t))
                    fill(source, source + strides[1] if paired else NULL, call.x_source, strides[4] * f.w.stride,
                         target + first, 1, last - first)
                    memset(target + last, 0, (f.w.extent - last) * sizeof(cell_t))
