# cython: language_level=3
# cython: wraparound=False
# cython: initializedcheck=False
# cython: cdivision=True
# wraparound, initializedcheck: no index is negative, and memory is taken before it is used.
# cdivision: every divisor here is a stride, a group count or a size that the layout has made positive.
"""The fast integer convolution: the same results as ``integer.pyx`` wherever its caller has proved that sums fit.

Sums are kept modulo 2^32 or 2^64 (cells.h), in any order, since nothing is rounded. The layout is that of the fast
float kernel: layout.pxd, on cells of 4 or 8 bytes instead of doubles. The parts, in the order of the work:

    integer_pack.pxd   operands to cells, in the order in which they are read
    integer_tile.pxd   the innermost loops

All of it is compiled once for each instruction set (setup.py, isa.py). Start reading at `run_unit`.

What this file refuses to do: find out whether sums fit (``integers.py`` does), or decide what happens to a result that
does not fit its format: it clamps, and says which the first was. For "wrap" the caller asks for limits out of reach.
"""
from cpython.buffer cimport PyBUF_STRIDES, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport INT32_MAX, INT32_MIN, INT64_MAX, int8_t, int16_t, int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memset

from refconv.kernels.cells cimport (
    BLOCK_SIDE, CELL_CHANNELS, PAIR_LANES, PAIR_PIXELS, WORD_LANES, WORD_PIXELS, cell_t, has_fast_quads, lanes_t,
    narrow_words, pairs, quads, register_at, transpose, words,
)
from refconv.kernels.claim cimport claim_next
from refconv.kernels.exact cimport FLOAT32
from refconv.kernels.handoff cimport begin
from refconv.kernels.integer cimport INT8, NARROW_WORDS, PAIRS, QUADS, Arithmetic
from refconv.kernels.integer_pack cimport pack_band, pack_weights
from refconv.kernels.integer_tile cimport MOST_PIXELS, ROW_VECTORS, channel_tile, row_tile
from refconv.kernels.integer_workspace cimport SUMMED, IntegerCall, IntegerSpace, arrange, arrange_tables
from refconv.kernels.interrupt cimport PollClock, poll
from refconv.kernels.layout cimport Layout, Unit, ceil_div, locate, place_positions, plan, set_taps
from refconv.kernels.operands cimport set_axes, set_tensor
from refconv.kernels.scratch cimport Region, borrow, give_back

# A result, by its size: its lowest bytes are the same with and without a sign.
ctypedef fused result_t:
    int8_t
    int16_t
    int32_t
    int64_t


# ---------------------------------------------------------------------------------------------------------------------
# One unit of work
# ---------------------------------------------------------------------------------------------------------------------

cdef int run_unit(
    const IntegerCall* call, IntegerSpace* s, cell_t* w, cell_t* x, cell_t* sums, Py_ssize_t u, PollClock* clock,
    const int* stop,
) except -1 nogil:
    """Compute the outputs of unit u: pack, then go through the channels in tiles of CELL_CHANNELS, or one by one."""
    cdef const Layout* f = &call.layout
    cdef Unit unit
    cdef Py_ssize_t oc = 0, p
    locate(f, u, &unit)
    if s.packed != unit.g * f.chunks + unit.chunk:
        pack_weights(call, s, &unit, w)
    # Units follow each other with the same band if there is only one, for several chunks of channels.
    if s.band != unit.g * f.items + u % f.items:
        pack_band(call, &unit, x)
        s.band = unit.g * f.items + u % f.items
    if s.rows != unit.rows or s.columns != unit.columns:
        s.rows, s.columns = unit.rows, unit.columns
        place_positions(f, &unit, MOST_PIXELS, s.positions)
    while oc < unit.channels:
        if f.by_rows:
            sum_products(call, s, &unit, w + oc * f.terms, x, 0, unit.count, sums, clock, stop)
            store_rows(call, s, &unit, oc, sums)
            oc += 1
            continue
        p = 0
        while p < unit.count:
            sum_products(call, s, &unit, w + oc * f.terms, x, p, min(SUMMED, unit.count - p), sums, clock, stop)
            store_channels(call, s, &unit, oc, p, min(SUMMED, unit.count - p), sums)
            p += SUMMED
        oc += CELL_CHANNELS
    return 0


# ---------------------------------------------------------------------------------------------------------------------
# Sums
# ---------------------------------------------------------------------------------------------------------------------

cdef int sum_products(
    const IntegerCall* call, const IntegerSpace* s, const Unit* unit, const cell_t* w, const cell_t* x, Py_ssize_t p,
    Py_ssize_t count, cell_t* sums, PollClock* clock, const int* stop,
) except -1 nogil:
    """sums = sum over taps of w * x for `count` positions of the unit from p on, block by block."""
    cdef const Layout* f = &call.layout
    cdef Py_ssize_t t = 0, n
    if f.terms == 0:
        memset(sums, 0, f.sums * sizeof(cell_t))
    while t < f.terms:
        n = min(f.block, f.terms - t)
        poll(clock, count * n // 4, stop)
        if cell_t is int32_t:
            if call.arithmetic == QUADS:
                sum_block(call, s, unit, <const quads*>w, <const quads*>x, t, n, p, count, <quads*>sums)
            else:
                sum_block(call, s, unit, <const pairs*>w, <const pairs*>x, t, n, p, count, <pairs*>sums)
        elif call.arithmetic == NARROW_WORDS:
            sum_block(
                call, s, unit, <const narrow_words*>w, <const narrow_words*>x, t, n, p, count, <narrow_words*>sums)
        else:
            sum_block(call, s, unit, <const words*>w, <const words*>x, t, n, p, count, <words*>sums)
        t += n
    return 0


cdef void sum_block(
    const IntegerCall* call, const IntegerSpace* s, const Unit* unit, const lanes_t* w, const lanes_t* x, Py_ssize_t t,
    Py_ssize_t n, Py_ssize_t p, Py_ssize_t count, lanes_t* sums,
) noexcept nogil:
    """sums (+)= sum over the taps t, ..., t + n - 1. The first block finds no sums to add to."""
    cdef const Layout* f = &call.layout
    cdef Py_ssize_t pixels = PAIR_PIXELS if lanes_t is quads or lanes_t is pairs else WORD_PIXELS
    cdef Py_ssize_t lanes = PAIR_LANES if lanes_t is quads or lanes_t is pairs else WORD_LANES
    cdef Py_ssize_t i = 0, length = (unit.rows - 1) * f.w.extent + unit.columns
    if f.by_rows:                                # of a whole unit; positions are places in the band
        while i < length:                        # the last tile goes on into what follows
            row_tile(register_at(w, t), x, s.taps + t, n, i, sums, t > 0)
            i += ROW_VECTORS * lanes
    else:
        w = register_at(w, t * CELL_CHANNELS)
        while i < count:
            channel_tile(w, x, s.taps + t, n, s.positions + p + i, register_at(sums, i * CELL_CHANNELS), t > 0)
            i += pixels


# ---------------------------------------------------------------------------------------------------------------------
# Results
# ---------------------------------------------------------------------------------------------------------------------

cdef void store_rows(
    const IntegerCall* call, IntegerSpace* s, const Unit* unit, Py_ssize_t oc, const cell_t* sums,
) noexcept nogil:
    """Write the results of one channel of a unit."""
    cdef Py_ssize_t row
    for row in range(unit.rows):
        store_run(call, s, unit, oc, row, 0, unit.columns, sums + row * call.layout.w.extent)


cdef void store_channels(
    const IntegerCall* call, IntegerSpace* s, const Unit* unit, Py_ssize_t oc, Py_ssize_t p, Py_ssize_t count,
    const cell_t* sums,
) noexcept nogil:
    """Write the results of `count` positions from p on, for each channel a row, or a part of it, after the other."""
    cdef const Layout* f = &call.layout
    cdef cell_t* turned = <cell_t*>s.turned                # [channel][position]
    cdef Py_ssize_t length = unit.columns, row, column, i = 0, n, c
    cdef bint joined = unit.columns == f.w.output and call.y.strides[3] == f.w.output * call.y.strides[4]
    if joined:                                   # nothing lies between rows: they are one long row
        length = unit.count
    turn(sums, turned, count)
    row, column = p // length, p % length
    while i < count:
        n = min(count - i, length - column)
        for c in range(min(CELL_CHANNELS, unit.channels - oc)):
            store_run(call, s, unit, oc + c, row, column, n, turned + c * SUMMED + i)
        i += n
        row += 1
        column = 0


cdef void turn(const cell_t* sums, cell_t* turned, Py_ssize_t count) noexcept nogil:
    """turned[channel][position] = sums[position][channel], for a whole number of blocks."""
    cdef Py_ssize_t p = 0, c
    while p < count:
        c = 0
        while c < CELL_CHANNELS:
            transpose(sums + p * CELL_CHANNELS + c, CELL_CHANNELS, turned + c * SUMMED + p, SUMMED)
            c += BLOCK_SIDE
        p += BLOCK_SIDE


cdef void store_run(
    const IntegerCall* call, IntegerSpace* s, const Unit* unit, Py_ssize_t oc, Py_ssize_t row, Py_ssize_t column,
    Py_ssize_t count, const cell_t* sums,
) noexcept nogil:
    """Write `count` results that are neighbours in a row of the unit."""
    cdef const Py_ssize_t* strides = &call.y.strides[0]
    cdef char* target = (call.y.data + unit.n * strides[0] + (unit.oc + oc) * strides[1] + unit.od * strides[2]
                         + (unit.oh + row) * strides[3] + (unit.ow + column) * strides[4])
    cdef bint clamped
    if call.y_size == 1:
        clamped = store_run_as(call, sums, s.bias[oc], <int8_t*>target, count)
    elif call.y_size == 2:
        clamped = store_run_as(call, sums, s.bias[oc], <int16_t*>target, count)
    elif call.y_size == 4:
        clamped = store_run_as(call, sums, s.bias[oc], <int32_t*>target, count)
    else:
        clamped = store_run_as(call, sums, s.bias[oc], <int64_t*>target, count)
    if clamped:
        note_clamped(call, s, unit, sums, oc, row, column)


cdef inline bint store_run_as(
    const IntegerCall* call, const cell_t* sums, int64_t bias, result_t* target, Py_ssize_t count,
) noexcept nogil:
    # A step that the compiler knows gives it a loop of vector instructions.
    if call.y.strides[4] == sizeof(result_t):
        return store_steps(call, sums, bias, target, sizeof(result_t), count)
    return store_steps(call, sums, bias, target, call.y.strides[4], count)


cdef inline cell_t plus_bias(cell_t total, int64_t bias) noexcept nogil:
    """In the arithmetic of the sums: modulo 2^32 or 2^64."""
    if cell_t is int32_t:
        return <int32_t>(<uint32_t>total + <uint32_t>bias)
    else:
        return <int64_t>(<uint64_t>total + <uint64_t>bias)


cdef inline bint store_steps(
    const IntegerCall* call, const cell_t* sums, int64_t bias, result_t* target, Py_ssize_t step, Py_ssize_t count,
) noexcept nogil:
    """Add the bias, clamp and write; return whether a result was clamped."""
    cdef cell_t lowest = <cell_t>call.lowest, highest = <cell_t>call.highest, exact, clamped, differences = 0
    cdef Py_ssize_t i
    for i in range(count):
        exact = plus_bias(sums[i], bias)
        clamped = min(max(exact, lowest), highest)
        differences |= exact ^ clamped
        (<result_t*>(<char*>target + i * step))[0] = <result_t>clamped
    return differences != 0


cdef void note_clamped(
    const IntegerCall* call, IntegerSpace* s, const Unit* unit, const cell_t* sums, Py_ssize_t oc, Py_ssize_t row,
    Py_ssize_t column,
) noexcept nogil:
    """Look for the first clamped element of a run; remember the first of all, in the order of [n, oc, od, oh, ow]."""
    cdef const Layout* f = &call.layout
    cdef Py_ssize_t place = unit.n * f.groups * f.K + unit.oc + oc
    while call.lowest <= plus_bias(sums[0], s.bias[oc]) <= call.highest:
        sums += 1
        column += 1
    place = (place * f.d.output + unit.od) * f.h.output + unit.oh + row
    place = place * f.w.output + unit.ow + column
    s.clamped = min(s.clamped, place)


# ---------------------------------------------------------------------------------------------------------------------
# A call, as Python sees it
# ---------------------------------------------------------------------------------------------------------------------

def has_quads():
    """Whether this build and this processor have an instruction for quads (cells.h). Without it pairs are faster."""
    return bool(has_fast_quads())


cdef class Convolution:
    """One call: its layout and operands. Threads share it and call `run`; each takes buffers of its own.

    Parameters
    ----------
    input, weight, bias, output : ndarray of integers
        input (N, C_in, ...) and output (N, C_out, ...) of any aligned strides, weight (C_out, C_in/groups, ...) and
        bias (C_out,) or None C-contiguous; 1 to 3 spatial axes. Each can have a format of its own.
    stride, padding, dilation : tuple of int
        One for each spatial axis. Padding is that at the beginning; the end follows from the output's size.
        Negative padding crops.
    groups : int
    formats : tuple of int
        IntegerFormat of input, weight and bias.
    arithmetic : int
        Arithmetic that the caller has proved to be sufficient.
    limits : (int, int)
        The least and the greatest result; others are clamped.
    threads : int
        How many will call `run`.
    """
    cdef IntegerCall call
    cdef Py_buffer input, weight, bias, output
    cdef Region region                   # the call's tables
    cdef Py_ssize_t next_unit            # the first that no thread has claimed
    cdef list idle                       # buffers that no thread uses now

    def __cinit__(self, input, weight, bias, output, stride, padding, dilation, Py_ssize_t groups, formats,
                  int arithmetic, limits, int threads):
        cdef IntegerCall* call = &self.call
        cdef Layout* f = &call.layout
        self.idle = []
        PyObject_GetBuffer(input, &self.input, PyBUF_STRIDES)
        PyObject_GetBuffer(weight, &self.weight, PyBUF_STRIDES)
        PyObject_GetBuffer(output, &self.output, PyBUF_STRIDES | PyBUF_WRITABLE)
        set_tensor(&call.x, &self.input)
        set_tensor(&call.y, &self.output)
        call.w = <const char*>self.weight.buf
        if bias is not None:
            PyObject_GetBuffer(bias, &self.bias, PyBUF_STRIDES)
            call.b = <const char*>self.bias.buf
        call.x_source, call.w_source, call.b_source = formats
        call.w_size, call.b_size, call.y_size = self.weight.itemsize, self.bias.itemsize, self.output.itemsize
        call.arithmetic = <Arithmetic>arithmetic
        call.lowest, call.highest = limits
        call.numbers = 4 if arithmetic == QUADS else 2 if arithmetic == PAIRS else 1
        call.x_flip = 0x80808080 if arithmetic == QUADS and call.x_source == INT8 else 0
        if call.numbers > 1:                             # sums are int32
            call.lowest, call.highest = max(call.lowest, INT32_MIN), min(call.highest, INT32_MAX)

        call.C = self.weight.shape[1]
        f.N = self.input.shape[0]
        f.groups = groups
        f.C = ceil_div(call.C, call.numbers)
        f.K = self.weight.shape[0] // groups
        f.source = f.target = FLOAT32
        set_axes(&f.d, &f.h, &f.w, &self.input, &self.weight, &self.output, stride, padding, dilation)
        plan(f, threads)
        if f.oversized:
            return
        # The plan was made for narrower tiles.
        f.chunk = ceil_div(f.chunk, CELL_CHANNELS) * CELL_CHANNELS
        f.chunks = ceil_div(f.K, f.chunk)
        f.units = f.items * f.chunks * f.groups
        if not f.by_rows:
            f.sums = SUMMED * CELL_CHANNELS
        arrange_tables(call, &self.region)
        borrow(&self.region)
        arrange_tables(call, &self.region)
        set_taps(f, call.window, call.taps)

    def __dealloc__(self):
        give_back(&self.region)
        PyBuffer_Release(&self.input)
        PyBuffer_Release(&self.weight)
        PyBuffer_Release(&self.bias)
        PyBuffer_Release(&self.output)

    @property
    def oversized(self):
        """Whether the layout asks for too much memory; then there is nothing to run."""
        return self.call.layout.oversized

    @property
    def units(self):
        """How many units of work there are."""
        return self.call.layout.units

    @property
    def first_clamped(self):
        """The place of the first element that was clamped, counted in C order; None if there is none."""
        cdef Buffers buffers
        cdef int64_t first = INT64_MAX
        for buffers in self.idle:
            first = min(first, buffers.space.clamped)
        return None if first == INT64_MAX else first

    def run(self, const int[::1] stop):
        """Compute units for as long as there are any that no other thread has claimed."""
        cdef Buffers buffers
        try:
            buffers = self.idle.pop()
        except IndexError:
            buffers = Buffers(self)
        cdef IntegerSpace* s = &buffers.space
        cdef PollClock clock = PollClock(0)
        cdef Py_ssize_t u
        try:
            with nogil:
                begin()
                u = claim_next(&self.next_unit)
                while u < self.call.layout.units:
                    if self.call.numbers > 1:
                        run_unit(&self.call, s, <int32_t*>s.w, <int32_t*>s.x, <int32_t*>s.sums, u, &clock, &stop[0])
                    else:
                        run_unit(&self.call, s, <int64_t*>s.w, <int64_t*>s.x, <int64_t*>s.sums, u, &clock, &stop[0])
                    u = claim_next(&self.next_unit)
        finally:
            self.idle.append(buffers)


cdef class Buffers:
    """Owner of one thread's workspace."""
    cdef IntegerSpace space
    cdef Region region

    def __cinit__(self, Convolution owner):
        arrange(&self.space, &owner.call, &self.region)
        borrow(&self.region)
        arrange(&self.space, &owner.call, &self.region)

    def __dealloc__(self):
        give_back(&self.region)
