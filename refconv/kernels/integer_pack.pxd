"""Integer operands to cells (cells.h), once, in the order in which the tiles read them."""
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from refconv.kernels.cells cimport BLOCK_SIDE, CELL_CHANNELS, cell_t, gather_quads, transpose
from refconv.kernels.integer cimport INT8, INT16, INT32, INT64, UINT8, UINT16, UINT32, IntegerFormat
from refconv.kernels.integer_workspace cimport PACKED_TAPS, IntegerCall, IntegerSpace
from refconv.kernels.layout cimport Layout, Part, Unit, locate_part

cdef enum:
    FLIP = 0x80                  # in a signed byte it adds 128, and takes the sign away

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

cdef struct Run:
    # Cells made of numbers at equal distances.
    const char* source           # the first number
    IntegerFormat format
    Py_ssize_t step              # bytes from a number to that of the next cell
    Py_ssize_t partner           # bytes from a number to the next one of the same cell
    int numbers                  # in each cell; the rest of a pair or quad is zero
    bint bytewise                # whether cells are quads: whatever the format, their numbers are bytes
    uint32_t flip                # bits of quads that are flipped afterwards
    Py_ssize_t count             # cells


cdef inline void fill(const Run* run, cell_t* cells) noexcept nogil:
    if cell_t is int32_t:
        if run.bytewise:
            fill_quads(run, cells)
            return
    if run.format == INT8:
        fill_from(run, <const int8_t*>run.source, cells)
    elif run.format == INT16:
        fill_from(run, <const int16_t*>run.source, cells)
    elif run.format == INT32:
        fill_from(run, <const int32_t*>run.source, cells)
    elif run.format == INT64:
        fill_from(run, <const int64_t*>run.source, cells)
    elif run.format == UINT8:
        fill_from(run, <const uint8_t*>run.source, cells)
    elif run.format == UINT16:
        fill_from(run, <const uint16_t*>run.source, cells)
    elif run.format == UINT32:
        fill_from(run, <const uint32_t*>run.source, cells)
    else:
        fill_from(run, <const uint64_t*>run.source, cells)


cdef inline void fill_from(const Run* run, const integer_t* source, cell_t* cells) noexcept nogil:
    # Steps that the compiler knows give it a loop of vector instructions.
    if run.step == sizeof(integer_t):
        fill_steps(run, source, sizeof(integer_t), cells)
    elif run.step == 2 * sizeof(integer_t):
        fill_steps(run, source, 2 * sizeof(integer_t), cells)
    else:
        fill_steps(run, source, run.step, cells)


cdef inline void fill_steps(
    const Run* run, const integer_t* source, Py_ssize_t step, cell_t* cells,
) noexcept nogil:
    cdef const char* lower = <const char*>source
    cdef const char* upper = lower + (run.partner if run.numbers == 2 else 0)
    cdef uint32_t keep = bits_of_numbers(16, run.numbers)
    cdef Py_ssize_t i
    for i in range(run.count):
        if cell_t is int32_t:
            cells[i] = <int32_t>(keep & (
                <uint16_t>(<const integer_t*>(lower + i * step))[0]
                | <uint32_t>(<const integer_t*>(upper + i * step))[0] << 16))
        else:
            # This extends the sign, if there is one.
            cells[i] = <int64_t>(<const integer_t*>(lower + i * step))[0]


cdef inline void fill_quads(const Run* run, int32_t* cells) noexcept nogil:
    cdef const uint8_t* rows[4]
    cdef uint32_t keep = bits_of_numbers(8, run.numbers), flip = run.flip
    cdef Py_ssize_t i = 0
    cdef int j
    if run.numbers == 4 and run.partner == 1 and run.step == 4 and flip == 0:
        memcpy(cells, run.source, run.count * 4)
        return
    for j in range(4):
        rows[j] = <const uint8_t*>run.source + (j * run.partner if j < run.numbers else 0)
    if run.step == 1:
        while i + BLOCK_SIDE <= run.count:
            gather_quads(rows, keep, flip, cells + i)
            for j in range(4):
                rows[j] += BLOCK_SIDE
            i += BLOCK_SIDE
    elif run.numbers == 1 and run.step == 2:
        fill_from_every_second(rows[0], flip, cells, run.count)
        return
    while i < run.count:
        cells[i] = <int32_t>(flip ^ keep & (
            rows[0][0] | <uint32_t>rows[1][0] << 8 | <uint32_t>rows[2][0] << 16 | <uint32_t>rows[3][0] << 24))
        for j in range(4):
            rows[j] += run.step
        i += 1


cdef inline void fill_from_every_second(
    const uint8_t* source, uint32_t flip, int32_t* cells, Py_ssize_t count,
) noexcept nogil:
    """Quads of one byte each, for strided depthwise layers."""
    cdef Py_ssize_t i
    for i in range(count):
        cells[i] = <int32_t>(source[2 * i] ^ flip)


cdef inline uint32_t bits_of_numbers(int bits, int numbers) noexcept nogil:
    """A cell in which `numbers` of so many bits each are all ones."""
    return <uint32_t>0xFFFFFFFF >> (32 - bits * numbers)


cdef inline int numbers_from(const IntegerCall* call, Py_ssize_t ic) noexcept nogil:
    """How many numbers a cell holds whose first channel is ic."""
    return <int>min(call.numbers, call.C - ic)


# ---------------------------------------------------------------------------------------------------------------------
# Weights
# ---------------------------------------------------------------------------------------------------------------------

cdef inline void fill_weights(
    const IntegerCall* call, Py_ssize_t oc, Py_ssize_t t, Py_ssize_t count, cell_t* cells,
) noexcept nogil:
    """cells[i] = the weights of channel `oc` at tap t + i."""
    cdef Py_ssize_t kernel = call.layout.d.kernel * call.layout.h.kernel * call.layout.w.kernel
    cdef Py_ssize_t ic = t // kernel * call.numbers, k = t % kernel
    cdef Run run
    run.format, run.step, run.partner = call.w_source, call.w_size, kernel * call.w_size
    run.bytewise, run.flip = call.numbers == 4, 0
    while count > 0:
        run.source = call.w + ((oc * call.C + ic) * kernel + k) * call.w_size
        run.numbers = numbers_from(call, ic)
        if call.numbers == 1:                    # all of the channel's weights, as they are
            run.count = count
        elif kernel == 1 and run.numbers == call.numbers:
            run.step = call.numbers * call.w_size
            run.count = min(count, (call.C - ic) // call.numbers)
            ic += (run.count - 1) * call.numbers
        else:
            run.count = min(count, kernel - k)
        fill(&run, cells)
        cells += run.count
        count -= run.count
        ic += call.numbers
        k = 0


cdef inline void pack_weights(const IntegerCall* call, IntegerSpace* s, const Unit* unit, cell_t* w) noexcept nogil:
    """[tile][tap][CELL_CHANNELS], or [oc][tap] by rows. Channels that only fill up the last tile hold anything."""
    cdef const Layout* f = &call.layout
    cdef Py_ssize_t oc = 0
    if f.by_rows:
        for oc in range(unit.channels):
            fill_weights(call, unit.oc + oc, 0, f.terms, w + oc * f.terms)
    else:
        while oc < unit.channels:
            pack_channel_tile(call, unit.oc + oc, unit.channels - oc, <cell_t*>s.turned, w + oc * f.terms)
            oc += CELL_CHANNELS
    set_bias(call, s, unit)
    s.packed = unit.g * f.chunks + unit.chunk


cdef inline void pack_channel_tile(
    const IntegerCall* call, Py_ssize_t oc, Py_ssize_t channels, cell_t* turned, cell_t* w,
) noexcept nogil:
    """Interleave CELL_CHANNELS channels, PACKED_TAPS of each at a time."""
    cdef const Layout* f = &call.layout
    cdef Py_ssize_t t = 0, n, c, i
    while t < f.terms:
        n = min(PACKED_TAPS, f.terms - t)
        for c in range(min(CELL_CHANNELS, channels)):
            fill_weights(call, oc + c, t, n, turned + c * PACKED_TAPS)
        i = 0
        while i + BLOCK_SIDE <= n:
            c = 0
            while c < CELL_CHANNELS:
                transpose(turned + c * PACKED_TAPS + i, PACKED_TAPS, w + (t + i) * CELL_CHANNELS + c, CELL_CHANNELS)
                c += BLOCK_SIDE
            i += BLOCK_SIDE
        while i < n:
            for c in range(CELL_CHANNELS):
                w[(t + i) * CELL_CHANNELS + c] = turned[c * PACKED_TAPS + i]
            i += 1
        t += n


cdef inline void set_bias(const IntegerCall* call, IntegerSpace* s, const Unit* unit) noexcept nogil:
    """The chunk's bias; if the input has 128 too much in every byte, less 128 times the sum of a channel's weights."""
    cdef const Layout* f = &call.layout
    cdef Py_ssize_t oc, i, weights = call.C * f.d.kernel * f.h.kernel * f.w.kernel
    cdef const int8_t* w
    cdef int64_t total
    cdef Run run = Run(call.b + unit.oc * call.b_size, call.b_source, call.b_size, 0, 1, False, 0, unit.channels)
    memset(s.bias, 0, f.chunk * 8)
    if call.b != NULL:
        fill(&run, s.bias)
    if call.x_flip:
        for oc in range(unit.channels):
            w = <const int8_t*>call.w + (unit.oc + oc) * weights
            total = 0
            for i in range(weights):
                total += w[i]
            s.bias[oc] -= FLIP * total


# ---------------------------------------------------------------------------------------------------------------------
# Input
# ---------------------------------------------------------------------------------------------------------------------

cdef inline void pack_band(const IntegerCall* call, const Unit* unit, cell_t* x) noexcept nogil:
    """The input under the unit's outputs (layout.pxd has the order); what lies outside the image is zero."""
    cdef const Layout* f = &call.layout
    cdef Py_ssize_t plane, ic, d, phase_h, phase_w
    cdef Run run
    run.format = call.x_source
    run.step = call.x.strides[4] * f.w.stride
    run.partner = call.x.strides[1]
    run.bytewise, run.flip = call.numbers == 4, call.x_flip
    for plane in range(f.planes):
        ic = plane // f.d.kernel * call.numbers
        d = unit.od * f.d.stride - f.d.pad + plane % f.d.kernel * f.d.dilation
        if d < 0 or d >= f.d.size:
            put_zeros(call, x + plane * f.plane, f.plane)
            continue
        run.source = (call.x.data + unit.n * call.x.strides[0] + (unit.g * call.C + ic) * call.x.strides[1]
                      + d * call.x.strides[2])
        run.numbers = numbers_from(call, ic)
        for phase_h in range(f.h.phases):
            for phase_w in range(f.w.phases):
                pack_phase(call, unit, run, phase_h, phase_w, x + plane * f.plane)


cdef inline void pack_phase(
    const IntegerCall* call, const Unit* unit, Run run, Py_ssize_t phase_h, Py_ssize_t phase_w, cell_t* plane,
) noexcept nogil:
    """One phase of one plane of the band. run.source is where the plane of the input begins, the first of a cell's."""
    cdef const Layout* f = &call.layout
    cdef Py_ssize_t step_h = call.x.strides[3] * f.h.stride, extent = f.w.extent, rows, _row
    cdef Part part
    cdef cell_t* target
    locate_part(f, unit, phase_h, phase_w, &part)
    rows = part.bottom - part.top
    target = plane + part.place
    put_zeros(call, target, part.top * extent)
    put_zeros(call, target + part.bottom * extent, (f.h.extent - part.bottom) * extent)
    target += part.top * extent
    if part.left == part.right:
        put_zeros(call, target, rows * extent)
        return
    run.source += part.ih * call.x.strides[3] + part.iw * call.x.strides[4]
    run.count = part.right - part.left
    if run.count == extent and step_h == extent * run.step:
        # Nothing between the rows, here or there: they are one long row.
        run.count *= rows
        fill(&run, target)
        return
    for _row in range(rows):
        put_zeros(call, target, part.left)
        fill(&run, target + part.left)
        put_zeros(call, target + part.right, extent - part.right)
        run.source += step_h
        target += extent


cdef inline void put_zeros(const IntegerCall* call, cell_t* cells, Py_ssize_t count) noexcept nogil:
    if count > 0:
        memset(cells, FLIP if call.x_flip else 0, count * sizeof(cell_t))
