# cython: language_level=3
# cython: wraparound=False
# cython: initializedcheck=False
# cython: cdivision=True
# wraparound, initializedcheck: no index is negative, and memory is taken before it is used.
# cdivision: every divisor here is a stride, a group count or a size that the layout has made positive.
"""The fast convolution: the same bits as ``direct.pyx``, most of them proved by a float64 sum and a bound.

    rung 1   float64 sums of a tile of outputs; a bound proves what they round to, or not
    rung 2   what is left: sums of exact slices if much is left, else a pair of float64 words for each element
    rung 3   the exact accumulator

The sum, the index legend and the semantics are those of direct.pyx. The parts, in the order of the work:

    layout.pxd   bands, chunks, blocks: what is computed together
    weights.pxd, band.pxd    operands to float64, in the order in which they are read, and measured
    tile.pxd     the innermost loops
    prove.pxd    sums to results, by the bounds of bounds.pxd and grids.pxd, whose proofs are in filter.pxd
    registers.pxd    both at once, where the sums need not leave the registers
    ladder.pxd   rung 2 for one element

All of it is compiled once for each instruction set (setup.py, isa.py). Start reading at `run_unit`.
"""
from cpython.buffer cimport PyBUF_STRIDES, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.math cimport fabs
from libc.stdint cimport uint64_t
from libc.string cimport memset

from refconv.kernels.band cimport cut_band, measure_band, pack_band
from refconv.kernels.claim cimport claim_next
from refconv.kernels.exact cimport Accumulator, FloatFormat, add_product, add_value, clear, round_to
from refconv.kernels.filter cimport is_finite
from refconv.kernels.fpenv cimport FE_DFL_ENV, fegetenv, fenv_t, fesetenv
from refconv.kernels.handoff cimport begin
from refconv.kernels.interrupt cimport PollClock, poll
from refconv.kernels.ladder cimport Window, pair_sum
from refconv.kernels.layout cimport (
    Layout, Unit, inside, locate, plan, set_taps, tile_channels,
)
from refconv.kernels.modular cimport error_of_join, exact_join, has_modular_tiles, set_pairs, sum_modular
from refconv.kernels.operands cimport set_axes, set_tensor
from refconv.kernels.prove cimport output_place, prove_tile, write
from refconv.kernels.registers cimport in_registers, sum_and_prove
from refconv.kernels.scratch cimport Region, borrow, give_back
from refconv.kernels.tile cimport channel_tile, row_of_tiles
from refconv.kernels.vector cimport (
    CHANNELS, LANES, PIXELS, VECTORS, vector, vector_add, vector_load, vector_store,
)
from refconv.kernels.weights cimport cut_weights, pack_weights, weight_place
from refconv.kernels.workspace cimport (
    CUT_ALL, CUT_HIGH, MODULAR, WHOLE, Call, Cut, Workspace, arrange, arrange_tables,
)

cdef enum:
    GRID_SHARE = 64                  # ask for the grids when more than a 64th of a tile is in doubt
    HARD_SHARE = 16                  # cut the operands (more) when more than a 16th of it still is,
    HARD_RUN = 16                    # and do the next tiles likewise without trying less; twice as many each time that
    LONGEST_HARD_RUN = 256           # trying fails


# ---------------------------------------------------------------------------------------------------------------------
# One unit of work
# ---------------------------------------------------------------------------------------------------------------------

cdef int run_unit(const Call* call, Workspace* s, Py_ssize_t u, PollClock* clock, const int* stop) except -1 nogil:
    """Compute the outputs of unit u: pack, then go through the channels, a tile of them at a time."""
    cdef const Layout* f = &call.layout
    cdef Unit unit
    cdef Py_ssize_t oc = 0
    locate(f, u, &unit)
    if s.packed != unit.g * f.chunks + unit.chunk:
        pack_weights(call, s, &unit)
    # Units follow each other with the same band if there is only one, for several chunks of channels.
    if s.band != unit.g * f.items + u % f.items:
        pack_band(call, s, &unit)
        measure_band(call, s, &unit)
        s.band = unit.g * f.items + u % f.items
    while oc < unit.channels:
        run_tile(call, s, &unit, oc, clock, stop)
        oc += tile_channels(f, &unit, oc)
    s.elements += unit.count * unit.channels
    return 0


cdef int run_tile(
    const Call* call, Workspace* s, const Unit* unit, Py_ssize_t oc, PollClock* clock, const int* stop,
) except -1 nogil:
    """Sum and prove one tile of outputs, by stronger means the more of it is in doubt; settle the rest one by one."""
    cdef const Layout* f = &call.layout
    cdef Py_ssize_t i, elements = unit.count * tile_channels(f, unit, oc)
    cdef Cut cut = s.cut if s.hard > 0 else CUT_HIGH if f.sliced else WHOLE
    cdef bint grids = s.hard > 0 and s.hard_grids
    if s.hard > 0:
        s.hard -= 1
    while True:
        if cut == WHOLE and in_registers(f):
            poll(clock, unit.count * f.terms // 4, stop)
            sum_and_prove(call, s, unit, oc)
        else:
            sum_tile(call, s, unit, oc, cut, clock, stop)
            prove_tile(call, s, unit, oc, cut, grids)
        if not grids and s.n_doubts * GRID_SHARE > elements:
            grids = True
            if cut == WHOLE and in_registers(f):
                sum_tile(call, s, unit, oc, cut, clock, stop)        # this time to memory
            prove_tile(call, s, unit, oc, cut, True)
        if cut == CUT_ALL or s.n_doubts * HARD_SHARE <= elements:
            break
        cut = CUT_ALL if cut != WHOLE else MODULAR if call.modular else CUT_HIGH
        s.cut = cut
        grids = False
        s.hard_run = min(max(2 * s.hard_run, HARD_RUN), LONGEST_HARD_RUN)
        s.hard = s.hard_run
    s.hard_grids = grids
    if s.hard == 0:
        s.hard_run = 0
    if cut != WHOLE:
        s.sliced += elements
    for i in range(s.n_doubts):
        settle(call, s, unit, s.doubts[2 * i], s.doubts[2 * i + 1], cut, clock, stop)
    return 0


cdef int sum_tile(
    const Call* call, Workspace* s, const Unit* unit, Py_ssize_t oc, Cut cut, PollClock* clock, const int* stop,
) except -1 nogil:
    """first, second, third = the sums that the bounds of filter.pxd are about."""
    cdef const Layout* f = &call.layout
    if cut == WHOLE:
        sum_products(f, s, unit, oc, s.w, s.x, s.first, False, clock, stop)
        return 0
    if cut == MODULAR:
        sum_modular(call, s, unit, oc, clock, stop)
        return 0
    cut_band(f, s, unit)
    if not f.sliced:                 # else the whole chunk is cut when it is packed
        cut_weights(f, s, unit, oc)
    sum_products(f, s, unit, oc, s.w_high, s.x_high, s.first, False, clock, stop)
    sum_products(f, s, unit, oc, s.w_low, s.x_high, s.second, False, clock, stop)
    if cut == CUT_ALL:
        sum_products(f, s, unit, oc, s.w_high, s.x_low, s.second, True, clock, stop)
        sum_products(f, s, unit, oc, s.w_low, s.x_low, s.third, False, clock, stop)
    else:
        sum_products(f, s, unit, oc, s.w, s.x_low, s.second, True, clock, stop)
    return 0


cdef int sum_products(
    const Layout* f, Workspace* s, const Unit* unit, Py_ssize_t oc, const double* w, const double* x, double* sums,
    bint add, PollClock* clock, const int* stop,
) except -1 nogil:
    """sums (+)= sum over taps of w * x for every position of the unit, block by block."""
    cdef Py_ssize_t t = 0, n, p, length = (unit.rows - 1) * f.w.extent + unit.columns
    cdef Py_ssize_t channels = tile_channels(f, unit, oc)
    cdef vector tile[PIXELS * VECTORS]
    cdef int i
    if f.terms == 0:
        memset(sums, 0, f.sums * 8)
    w += oc * f.terms
    while t < f.terms:
        n = min(f.block, f.terms - t)
        poll(clock, unit.count * n // 4, stop)
        if f.by_rows:
            if channels == 2:
                row_of_tiles(2, w + t, f.terms, x, s.taps + t, n, length, sums, f.sums_step, add or t > 0)
            else:
                row_of_tiles(1, w + t, f.terms, x, s.taps + t, n, length, sums, f.sums_step, add or t > 0)
        else:
            p = 0
            while p < unit.count:
                channel_tile(w + t * CHANNELS, x, s.taps + t, n, s.positions + p, unit.count - p, tile)
                for i in range(PIXELS * VECTORS):
                    vector_store(
                        sums + p * CHANNELS + i * LANES,
                        vector_add(tile[i], vector_load(sums + p * CHANNELS + i * LANES)) if add or t > 0 else tile[i])
                p += PIXELS
        t += n
    return 0


# ---------------------------------------------------------------------------------------------------------------------
# The lower rungs
# ---------------------------------------------------------------------------------------------------------------------

cdef int settle(
    const Call* call, Workspace* s, const Unit* unit, Py_ssize_t p, Py_ssize_t oc, Cut cut, PollClock* clock,
    const int* stop,
) except -1 nogil:
    """One element of a tile, last summed like this: by what is known of it, by rung 2, or else by rung 3."""
    cdef const Layout* f = &call.layout
    cdef uint64_t encoding
    cdef Window window
    if cut == MODULAR and is_finite(error_of_join(f, s, oc, s.x_measure[p], s.x_low_at[p])):
        s.rung3 += 1
        encoding = exact_join(call, s, oc, p)
        write(output_place(call, unit, oc, p), 0, f.target, &encoding, 1)
        return 0
    window.w = s.w + weight_place(f, oc, 0)
    window.w_step = 1 if f.by_rows else CHANNELS
    window.x = s.x + s.positions[p]
    window.taps = call.taps
    window.n_taps = f.terms
    window.bias = s.bias[oc]
    window.bound = s.w_measure[oc] * s.x_measure[p] + fabs(s.bias[oc])
    s.rung2 += 1
    poll(clock, f.terms, stop)
    if not pair_sum(&window, f.target, &encoding):
        s.rung3 += 1
        exact_sum(call, unit, &window, p, &encoding, clock, stop)
    write(output_place(call, unit, oc, p), 0, f.target, &encoding, 1)
    return 0


cdef int exact_sum(
    const Call* call, const Unit* unit, const Window* window, Py_ssize_t p, uint64_t* encoding, PollClock* clock,
    const int* stop,
) except -1 nogil:
    """Rung 3: the nest of direct.pyx for one element. Taps in the padding are no terms, not even infinity * 0."""
    cdef const Layout* f = &call.layout
    cdef Accumulator total
    cdef Py_ssize_t oh = unit.oh + p // unit.columns, ow = unit.ow + p % unit.columns
    cdef Py_ssize_t _ic, kd, kh, kw, t = 0
    clear(&total)
    for _ic in range(f.C):
        for kd in range(f.d.kernel):
            for kh in range(f.h.kernel):
                poll(clock, f.w.kernel, stop)
                for kw in range(f.w.kernel):
                    if inside(&f.d, unit.od, kd) and inside(&f.h, oh, kh) and inside(&f.w, ow, kw):
                        add_product(&total, window.w[t * window.w_step], window.x[window.taps[t]])
                    t += 1
    if call.b != NULL:
        add_value(&total, window.bias)
    encoding[0] = round_to(&total, f.target)
    return 0


# ---------------------------------------------------------------------------------------------------------------------
# A call, as Python sees it
# ---------------------------------------------------------------------------------------------------------------------

def has_modular_sums():
    """Whether this build and this processor can sum modulo 2^52 (modular.pxd)."""
    return bool(has_modular_tiles())


cdef class Convolution:
    """One call: its layout and operands. Threads share it and call `run`; each takes buffers of its own.

    Parameters
    ----------
    input, weight, bias, output : ndarray of encodings
        Arrays whose items are as wide as the format; input (N, C_in, ...) and output (N, C_out, ...) of any aligned
        strides, weight (C_out, C_in/groups, ...) and bias (C_out,) or None C-contiguous; 1 to 3 spatial axes.
    stride, padding, dilation : tuple of int
        One for each spatial axis. Padding is that at the beginning; the end follows from the output's size.
        Negative padding crops.
    groups : int
    source, target : int
        FloatFormat of the operands and of the output.
    threads : int
        How many will call `run`.
    """
    cdef Call call
    cdef Py_buffer input, weight, bias, output
    cdef Region region                   # the call's tables
    cdef Py_ssize_t next_unit            # the first that no thread has claimed
    cdef list idle                       # buffers that no thread uses now

    def __cinit__(self, input, weight, bias, output, stride, padding, dilation, Py_ssize_t groups,
                  int source, int target, int threads):
        cdef Call* call = &self.call
        cdef Layout* f = &call.layout
        self.idle = []
        PyObject_GetBuffer(input, &self.input, PyBUF_STRIDES)
        PyObject_GetBuffer(weight, &self.weight, PyBUF_STRIDES)
        PyObject_GetBuffer(output, &self.output, PyBUF_STRIDES | PyBUF_WRITABLE)
        call.w = <const char*>self.weight.buf
        call.itemsize = self.weight.itemsize
        if bias is not None:
            PyObject_GetBuffer(bias, &self.bias, PyBUF_STRIDES)
            call.b = <const char*>self.bias.buf
        set_tensor(&call.x, &self.input)
        set_tensor(&call.y, &self.output)

        f.N = self.input.shape[0]
        f.groups = groups
        f.C = self.weight.shape[1]
        f.K = self.weight.shape[0] // groups
        f.source = <FloatFormat>source
        f.target = <FloatFormat>target
        set_axes(&f.d, &f.h, &f.w, &self.input, &self.weight, &self.output, stride, padding, dilation)
        plan(f, threads)
        if f.oversized:
            return
        call.modular = has_modular_tiles() and not f.by_rows and not f.sliced
        arrange_tables(call, &self.region)
        borrow(&self.region)
        arrange_tables(call, &self.region)
        set_taps(f, call.window, call.taps)
        set_pairs(call)

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

    def run(self, const int[::1] stop):
        """Compute units for as long as there are any that no other thread has claimed."""
        cdef Buffers buffers
        try:
            buffers = self.idle.pop()
        except IndexError:
            buffers = Buffers(self)
        cdef PollClock clock = PollClock(0)
        cdef fenv_t callers
        cdef Py_ssize_t u
        fegetenv(&callers)
        fesetenv(FE_DFL_ENV)
        try:
            with nogil:
                begin()
                u = claim_next(&self.next_unit)
                while u < self.call.layout.units:
                    run_unit(&self.call, &buffers.space, u, &clock, &stop[0])
                    u = claim_next(&self.next_unit)
        finally:
            fesetenv(&callers)
            self.idle.append(buffers)

    def tally(self):
        """How many elements were computed, and how many of them in slices, in pairs (rung 2) and exactly (rung 3)."""
        cdef Buffers buffers
        elements = sliced = rung2 = rung3 = 0
        for buffers in self.idle:
            elements += buffers.space.elements
            sliced += buffers.space.sliced
            rung2 += buffers.space.rung2
            rung3 += buffers.space.rung3
        return elements, sliced, rung2, rung3


cdef class Buffers:
    """Owner of one thread's workspace."""
    cdef Workspace space
    cdef Region region

    def __cinit__(self, Convolution owner):
        arrange(&self.space, &owner.call, &self.region)
        borrow(&self.region)
        arrange(&self.space, &owner.call, &self.region)

    def __dealloc__(self):
        give_back(&self.region)
