# cython: language_level=3
# cython: wraparound=False
# cython: initializedcheck=False
# cython: cdivision=True
# wraparound, initializedcheck: no index is negative, and memory is taken before it is used.
# cdivision: every divisor here is a stride, a group count or a size that the layout has made positive.
"""The fast convolution: the same bits as ``direct.pyx``, most of them proved by a float64 sum and a bound.

    rung 1   vectorised float64 sums of a tile of outputs; filter.pxd proves what they round to, or not
    rung 2   what is left: sums of exact slices if much is left, else a pair of float64 words for each element
    rung 3   the exact accumulator

The sum, the index legend and the semantics are those of direct.pyx. This file is compiled once for each instruction
set (setup.py); the layout of the data is described in layout.pxd, the proofs are in filter.pxd and ladder.pxd, and the
innermost loops in tile.pxd. It starts reading at `Convolution.run`.
"""
from cpython.buffer cimport PyBUF_STRIDES, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.math cimport INFINITY, fabs, sqrt
from libc.stdint cimport INT64_MAX, int64_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memset

from refconv.kernels.exact cimport (
    BFLOAT16, FLOAT16, FLOAT32, FLOAT64, Accumulator, FloatFormat, add_product, add_value, clear, round_to,
)
from refconv.kernels.filter cimport (
    LOWEST_GRID, NO_BITS, SLACK, TWO_TO_53, UNDERFLOW_STEP, UNIT_ROUNDOFF, accept, accept_pair, bits_of, exponent_above, from_bits,
    is_finite, lowest_bit, power_of_two, two_sum,
)
from refconv.kernels.fpenv cimport FE_DFL_ENV, fegetenv, fenv_t, fesetenv
from refconv.kernels.interrupt cimport PollClock, poll
from refconv.kernels.ladder cimport Window, pair_sum
from refconv.kernels.layout cimport Axis, Layout
from refconv.kernels.tile cimport ROW_VECTORS, channel_tile, narrow_row_tile, wide_row_tile
from refconv.kernels.vector cimport CHANNELS, LANES, PIXELS, vector, vector_fma, vector_set, vector_store
from refconv.kernels.widen cimport widen_bfloat16, widen_float16

cdef enum:
    BAND_BYTES = 384 * 1024          # widened input of a band: stays in a second-level cache
    BAND_POSITIONS = 1024            # outputs of a band: their sums stay in a first-level cache, nearly
    CHUNK_BYTES = 1536 * 1024        # packed weights of a chunk
    BLOCK = 256                      # taps in a block, at most
    FEW_CHANNELS = 4                 # below this many output channels in a group, vectorise over positions
    MANY_PLANES = 8                  # from here on, sums of squares cost nothing beside the convolution
    BUFFER_BYTES = 1 << 29           # most memory for one thread's buffers
    SLACK_DOUBLES = 128              # readable zeros after a band: row tiles read whole registers
    SLICED_X_BITS = 26               # bits of the upper slice of x, relative to the largest measure in a band
    SLICED_W_BITS = 27               # of w; together 53
    HARD_SHARE = 16                  # slice a tile when more than a 16th of it is in doubt
    HARD_RUN = 8                     # and the next tiles too, without trying rung 1

# Grids 2^-480 .. 2^480 leave room for the product of two, and for 2^53 times it, among float64's normal numbers.
cdef enum:
    LARGEST_GRID = 480
    LARGEST_SLICED_WINDOW = 1 << 22    # terms; slices of that many absolute values may exceed what the grid allows


cdef struct Workspace:
    # One thread's buffers.
    double* w                # [tile][tap][CHANNELS], or [oc][tap] by rows
    double* w_high           # slices of w, the same layout
    double* w_low
    double* w_measure        # [oc of the chunk, to a multiple of CHANNELS]
    double* w_low_measure
    int* w_bits              # lowest bit of each channel's weights; found when first needed
    double* bias             # zeros if there is none
    double* x                # the band
    double* x_high           # its slices
    double* x_low
    double* plane            # sums of squares over the planes, or row maxima
    int* plane_bits          # lowest bits over the planes
    double* x_measure        # [position]
    int* x_bits              # [position]
    Py_ssize_t* positions    # [position] -> place in the band
    double* first            # sums
    double* second           # sums of lower slices
    Py_ssize_t* doubts       # pairs (position, channel)
    Py_ssize_t* taps         # [tap] -> distance in the band
    Py_ssize_t packed        # which chunk `w` holds (group * chunks + chunk), or -1
    bint w_bits_known
    bint x_bits_known
    bint x_sliced
    int x_grid               # exponent of the grid of x_high
    bint sliceable           # exponents leave room for slices
    double x_low_measure
    double largest_x         # of x_measure, finite ones only
    int hard                 # tiles to slice without trying rung 1
    Py_ssize_t n_doubts
    int64_t elements, sliced, rung2, rung3


cdef struct Unit:
    # Where a unit of work is.
    Py_ssize_t g, chunk, n, od
    Py_ssize_t oh, rows      # first output row and their number
    Py_ssize_t ow, columns
    Py_ssize_t oc, channels  # first output channel (in the whole output) and their number
    Py_ssize_t count         # rows * columns


cdef class Convolution:
    """One call: its layout and operands. Threads share it and call `run`; each takes a workspace.

    Parameters
    ----------
    input, weight, bias, output : ndarray of encodings
        Unsigned integers of the format's width; input (N, C_in, D, H, W) and output (N, C_out, oD, oH, oW) of any
        strides, weight (C_out, C_in/groups, kD, kH, kW) and bias (C_out,) or None C-contiguous.
    stride, padding, dilation : (int, int, int)
        Padding at the beginning of each axis; the end follows from the output's size. Negative padding crops.
    """
    cdef Layout layout
    cdef Py_buffer x, w, b, y
    cdef bint has_bias
    cdef list workspaces
    cdef Py_ssize_t* taps            # [tap] -> distance in the band
    cdef Py_ssize_t* window          # [kh * kW + kw] -> distance in a plane
    cdef object held                 # the arrays, which the buffers point into
    cdef public object counts        # elements, and how many needed which rung

    def __cinit__(self, input, weight, bias, output, stride, padding, dilation, Py_ssize_t groups,
                  int source, int target, int threads):
        self.workspaces = []
        self.held = (input, weight, bias, output)
        self.has_bias = bias is not None
        PyObject_GetBuffer(input, &self.x, PyBUF_STRIDES)
        PyObject_GetBuffer(weight, &self.w, PyBUF_STRIDES)
        PyObject_GetBuffer(output, &self.y, PyBUF_STRIDES | PyBUF_WRITABLE)
        if self.has_bias:
            PyObject_GetBuffer(bias, &self.b, PyBUF_STRIDES)
        cdef Layout* f = &self.layout
        f.N = self.x.shape[0]
        f.groups = groups
        f.C = self.w.shape[1]
        f.K = self.w.shape[0] // groups
        f.source = <FloatFormat>source
        f.target = <FloatFormat>target
        set_axis(&f.d, self.x.shape[2], self.w.shape[2], stride[0], padding[0], dilation[0], self.y.shape[2])
        set_axis(&f.h, self.x.shape[3], self.w.shape[3], stride[1], padding[1], dilation[1], self.y.shape[3])
        set_axis(&f.w, self.x.shape[4], self.w.shape[4], stride[2], padding[2], dilation[2], self.y.shape[4])
        plan(f, threads)
        if f.oversized:
            return
        self.window = <Py_ssize_t*>take(f.h.kernel * f.w.kernel * sizeof(Py_ssize_t))
        self.taps = <Py_ssize_t*>take(f.terms * sizeof(Py_ssize_t))
        set_taps(f, self.window, self.taps)

    def __dealloc__(self):
        free(self.taps)
        free(self.window)
        PyBuffer_Release(&self.x)
        PyBuffer_Release(&self.w)
        PyBuffer_Release(&self.y)
        if self.has_bias:
            PyBuffer_Release(&self.b)

    @property
    def oversized(self):
        """Whether the layout asks for too much memory; then there is nothing to run."""
        return self.layout.oversized

    @property
    def units(self):
        """How many units of work there are."""
        return self.layout.units

    def run(self, Py_ssize_t first, Py_ssize_t last, const int[::1] stop):
        """Compute the units first, first + 1, ..., last - 1."""
        cdef Buffers buffers
        try:
            buffers = self.workspaces.pop()
        except IndexError:
            buffers = Buffers(self)
        cdef Workspace* space = &buffers.space
        cdef PollClock clock = PollClock(0)
        cdef fenv_t callers
        cdef Py_ssize_t u
        fegetenv(&callers)
        fesetenv(FE_DFL_ENV)
        try:
            with nogil:
                for u in range(first, last):
                    run_unit(self, space, u, &clock, &stop[0])
        finally:
            fesetenv(&callers)
            self.workspaces.append(buffers)

    def tally(self):
        """How many elements were computed, how many of them by slices, by pairs (rung 2) and exactly (rung 3)."""
        cdef Buffers buffers
        counts = [0, 0, 0, 0]
        for buffers in self.workspaces:
            counts[0] += buffers.space.elements
            counts[1] += buffers.space.sliced
            counts[2] += buffers.space.rung2
            counts[3] += buffers.space.rung3
        return counts


cdef class Buffers:
    """Owner of one workspace."""
    cdef Workspace space

    def __cinit__(self, Convolution call):
        cdef Layout* f = &call.layout
        cdef Workspace* s = &self.space
        cdef Py_ssize_t weights = f.chunk * f.terms
        cdef Py_ssize_t band = f.planes * f.plane + SLACK_DOUBLES
        cdef Py_ssize_t positions = f.positions + PIXELS
        s.w = <double*>take(weights * 8)
        s.w_measure = <double*>take(f.chunk * 8)
        s.w_low_measure = <double*>take(f.chunk * 8)
        s.w_bits = <int*>take(f.chunk * sizeof(int))
        s.bias = <double*>take(f.chunk * 8)
        s.x = <double*>take(band * 8)
        s.plane = <double*>take(f.plane * 8)
        s.x_measure = <double*>take(positions * 8)
        s.x_bits = <int*>take(positions * sizeof(int))
        s.positions = <Py_ssize_t*>take(positions * sizeof(Py_ssize_t))
        s.first = <double*>take(f.sums * 8)
        s.doubts = <Py_ssize_t*>take(2 * CHANNELS * positions * sizeof(Py_ssize_t))
        s.taps = call.taps
        s.packed = -1
        # The system backs memory with pages when it is first written to: slices that are never made cost nothing.
        s.plane_bits = <int*>take(f.plane * sizeof(int))
        s.x_high = <double*>take(band * 8)
        s.x_low = <double*>take(band * 8)
        s.second = <double*>take(f.sums * 8)
        if f.sliced:
            s.w_high = <double*>take(weights * 8)
            s.w_low = <double*>take(weights * 8)

    def __dealloc__(self):
        cdef Workspace* s = &self.space
        free(s.w)
        free(s.w_high)
        free(s.w_low)
        free(s.w_measure)
        free(s.w_low_measure)
        free(s.w_bits)
        free(s.bias)
        free(s.x)
        free(s.x_high)
        free(s.x_low)
        free(s.plane)
        free(s.plane_bits)
        free(s.x_measure)
        free(s.x_bits)
        free(s.positions)
        free(s.first)
        free(s.second)
        free(s.doubts)


cdef void* take(Py_ssize_t size) except NULL:
    """Zeroed memory, or a MemoryError."""
    cdef void* memory = calloc(max(size, 1), 1)
    if memory == NULL:
        raise MemoryError(f"cannot allocate {size} bytes of workspace")
    return memory


# ---------------------------------------------------------------------------------------------------------------------
# The layout of a problem
# ---------------------------------------------------------------------------------------------------------------------

cdef void set_axis(
    Axis* a, Py_ssize_t size, Py_ssize_t kernel, Py_ssize_t stride, Py_ssize_t pad, Py_ssize_t dilation,
    Py_ssize_t output,
) noexcept:
    a.size, a.kernel, a.stride, a.pad, a.dilation, a.output = size, kernel, stride, pad, dilation, output
    a.reach = (kernel - 1) * dilation // stride
    # The residues (k * dilation) % stride repeat with this period, and differ within it.
    a.phases = min(kernel, stride // gcd(stride, dilation))


cdef Py_ssize_t gcd(Py_ssize_t a, Py_ssize_t b) noexcept:
    while b:
        a, b = b, a % b
    return a


cdef inline Py_ssize_t residue(const Axis* a, Py_ssize_t phase) noexcept nogil:
    return phase * a.dilation % a.stride


cdef inline Py_ssize_t ceil_div(Py_ssize_t a, Py_ssize_t b) noexcept nogil:
    """a / b rounded up, for a >= 0."""
    return (a + b - 1) // b


cdef void plan(Layout* f, int threads) noexcept:
    """Choose kernels, bands, chunks and blocks."""
    f.planes = f.C * f.d.kernel
    f.terms = f.planes * f.h.kernel * f.w.kernel
    f.sliced = f.source == FLOAT64 or f.target == FLOAT64
    f.by_rows = f.K < FEW_CHANNELS
    f.euclidean = not f.by_rows or f.planes >= MANY_PLANES
    f.blocks = max(ceil_div(f.terms, BLOCK), 1)
    f.block = max(ceil_div(f.terms, f.blocks), 1)

    # A band: as many whole rows as the budgets allow, at least one; of a very wide image a part of a row.
    cdef Py_ssize_t doubles = BAND_BYTES // 8
    cdef Py_ssize_t per_cell = max(f.planes * f.h.phases * f.w.phases, 1)
    f.w.band = min(f.w.output, BAND_POSITIONS)
    f.w.band = max(min(f.w.band, doubles // (per_cell * (1 + f.h.reach)) - f.w.reach), min(f.w.output, PIXELS))
    f.w.extent = f.w.band + f.w.reach
    f.h.band = max(min(doubles // (per_cell * f.w.extent) - f.h.reach, BAND_POSITIONS // f.w.band, f.h.output), 1)
    # Bands of nearly equal height.
    f.h.band = ceil_div(f.h.output, ceil_div(f.h.output, f.h.band))
    f.h.extent = f.h.band + f.h.reach
    f.d.band = 1
    f.d.bands = f.d.output
    f.h.bands = ceil_div(f.h.output, f.h.band)
    f.w.bands = ceil_div(f.w.output, f.w.band)
    f.plane = f.h.phases * f.w.phases * f.h.extent * f.w.extent
    if f.plane % 64 == 0:
        f.plane += 8                     # planes a multiple of 512 bytes apart would share the same few cache lines
    f.positions = f.h.band * f.w.band
    f.items = f.N * f.d.bands * f.h.bands * f.w.bands
    if f.by_rows:
        f.sums = f.h.band * f.w.extent + SLACK_DOUBLES
    else:
        f.sums = (f.positions + PIXELS) * CHANNELS

    # A chunk: the weights of some channels, few enough for the cache, and for every thread to get a chunk if there
    # are not enough bands to go round.
    cdef Py_ssize_t tiles = ceil_div(f.K, CHANNELS)
    cdef Py_ssize_t chunk_tiles = max(min(CHUNK_BYTES // (max(f.terms, 1) * CHANNELS * 8), tiles), 1)
    cdef Py_ssize_t wanted
    if threads > 1 and f.items * f.groups < 2 * threads:
        wanted = ceil_div(2 * threads, f.items * f.groups)
        chunk_tiles = min(chunk_tiles, max(tiles // wanted, 1))
    f.chunks = ceil_div(tiles, chunk_tiles)
    f.chunk = chunk_tiles * CHANNELS
    f.units = f.items * f.chunks * f.groups

    # In float64, whose range the product of any sizes fits into.
    cdef double band_bytes = 24.0 * f.planes * f.h.phases * f.w.phases * f.h.extent * f.w.extent
    cdef double chunk_bytes = 24.0 * f.chunk * f.terms
    f.oversized = band_bytes + chunk_bytes > BUFFER_BYTES


cdef void set_taps(const Layout* f, Py_ssize_t* window, Py_ssize_t* taps) noexcept:
    """Fill window[kh, kw] and taps[plane, kh, kw], the distances from a position to its operands."""
    cdef Py_ssize_t kh, kw, p, row, column
    cdef Py_ssize_t kernel = f.h.kernel * f.w.kernel
    for kh in range(f.h.kernel):
        row = kh % f.h.phases * f.w.phases * f.h.extent + kh * f.h.dilation // f.h.stride
        for kw in range(f.w.kernel):
            column = kw % f.w.phases * f.h.extent * f.w.extent + kw * f.w.dilation // f.w.stride
            window[kh * f.w.kernel + kw] = row * f.w.extent + column
    for p in range(f.planes):
        for kh in range(kernel):
            taps[p * kernel + kh] = p * f.plane + window[kh]


# ---------------------------------------------------------------------------------------------------------------------
# One unit of work
# ---------------------------------------------------------------------------------------------------------------------

cdef int run_unit(Convolution call, Workspace* s, Py_ssize_t u, PollClock* clock, const int* stop) except -1 nogil:
    """Compute the outputs of unit u: pack, then go through the chunk in tiles of CHANNELS, or by rows."""
    cdef Layout* f = &call.layout
    cdef Unit unit
    cdef Py_ssize_t oc, step = 1 if f.by_rows else CHANNELS
    locate(f, u, &unit)
    if s.packed != unit.g * f.chunks + unit.chunk:
        pack_weights(call, s, &unit)
    pack_band(call, s, &unit)
    measure_band(call, s, &unit)
    if f.sliced:
        slice_band(f, s, grid_for_slices(s))
    oc = 0
    while oc < unit.channels:
        run_tile(call, s, &unit, oc, clock, stop)
        oc += step
    s.elements += unit.count * unit.channels
    return 0


cdef void locate(const Layout* f, Py_ssize_t u, Unit* unit) noexcept nogil:
    """Unit u = ((g * chunks + chunk) * items + item): threads that work on one chunk share its packed weights' order."""
    cdef Py_ssize_t item = u % f.items
    cdef Py_ssize_t band_h, band_w
    unit.chunk = u // f.items % f.chunks
    unit.g = u // f.items // f.chunks
    band_w = item % f.w.bands
    band_h = item // f.w.bands % f.h.bands
    unit.od = item // f.w.bands // f.h.bands % f.d.bands
    unit.n = item // f.w.bands // f.h.bands // f.d.bands
    unit.oh = band_h * f.h.band
    unit.ow = band_w * f.w.band
    unit.rows = min(f.h.band, f.h.output - unit.oh)
    unit.columns = min(f.w.band, f.w.output - unit.ow)
    unit.oc = unit.g * f.K + unit.chunk * f.chunk
    unit.channels = min(f.chunk, f.K - unit.chunk * f.chunk)
    unit.count = unit.rows * unit.columns


cdef int run_tile(
    Convolution call, Workspace* s, const Unit* unit, Py_ssize_t oc, PollClock* clock, const int* stop,
) except -1 nogil:
    """The outputs of one channel tile, or of one channel by rows: sum, prove, and settle what is in doubt."""
    cdef Layout* f = &call.layout
    cdef Py_ssize_t i
    cdef bint sliced = f.sliced
    s.n_doubts = 0
    if not f.sliced and s.hard > 0:
        s.hard -= 1
        sliced = slice_for_chunk(call, s, unit)
    sum_tile(f, s, unit, oc, sliced, clock, stop)
    prove_tile(call, s, unit, oc, sliced)
    if not sliced and s.n_doubts * HARD_SHARE > unit.count * (1 if f.by_rows else CHANNELS) and unit.count > 8:
        if slice_for_chunk(call, s, unit):
            s.hard = HARD_RUN
            s.n_doubts = 0
            sum_tile(f, s, unit, oc, True, clock, stop)
            prove_tile(call, s, unit, oc, True)
    for i in range(s.n_doubts):
        poll(clock, 16 * f.terms, stop)
        settle(call, s, unit, s.doubts[2 * i], s.doubts[2 * i + 1], clock, stop)
    return 0


cdef int sum_tile(
    const Layout* f, Workspace* s, const Unit* unit, Py_ssize_t oc, bint sliced, PollClock* clock, const int* stop,
) except -1 nogil:
    """first (and second) = the sums of filter.pxd's bound 1, or of bound 2 if sliced."""
    if not sliced:
        sum_products(f, s, unit, oc, s.w, s.x, s.first, False, clock, stop)
    elif not f.sliced:
        # Narrow operands: w is its own upper slice, so there are two sums of products instead of three.
        sum_products(f, s, unit, oc, s.w, s.x_high, s.first, False, clock, stop)
        sum_products(f, s, unit, oc, s.w, s.x_low, s.second, False, clock, stop)
    else:
        sum_products(f, s, unit, oc, s.w_high, s.x_high, s.first, False, clock, stop)
        sum_products(f, s, unit, oc, s.w_low, s.x_high, s.second, False, clock, stop)
        sum_products(f, s, unit, oc, s.w, s.x_low, s.second, True, clock, stop)
    return 0


cdef int sum_products(
    const Layout* f, Workspace* s, const Unit* unit, Py_ssize_t oc, const double* w, const double* x, double* sums,
    bint add, PollClock* clock, const int* stop,
) except -1 nogil:
    """sums (+)= sum over taps of w * x, for every position of the unit, block by block."""
    cdef Py_ssize_t t, n, p, q, length
    if f.terms == 0:
        memset(sums, 0, f.sums * 8)
    t = 0
    while t < f.terms:
        n = min(f.block, f.terms - t)
        poll(clock, unit.count * n // 4, stop)
        if f.by_rows:
            length = (unit.rows - 1) * f.w.extent + unit.columns
            q = 0
            while q + ROW_VECTORS * LANES <= length:
                wide_row_tile(w + oc * f.terms + t, x + q, s.taps + t, n, sums + q, add or t > 0)
                q += ROW_VECTORS * LANES
            while q < length:
                narrow_row_tile(w + oc * f.terms + t, x + q, s.taps + t, n, sums + q, add or t > 0)
                q += LANES
        else:
            p = 0
            while p < unit.count:
                channel_tile(w + oc * f.terms + t * CHANNELS, x, s.taps + t, n, s.positions + p, sums + p * CHANNELS,
                             add or t > 0)
                p += PIXELS
        t += n
    return 0


# ---------------------------------------------------------------------------------------------------------------------
# Packing: operands to float64, in the order in which they are used
# ---------------------------------------------------------------------------------------------------------------------

cdef inline void widen_steps(
    const void* source, FloatFormat source_format, Py_ssize_t step, double* target, Py_ssize_t target_step,
    Py_ssize_t count,
) noexcept nogil:
    """target[i * target_step] = source[i * step] as float64."""
    cdef Py_ssize_t i
    if source_format == FLOAT32:
        if step == 1 and target_step == 1:
            for i in range(count):
                target[i] = (<const float*>source)[i]
        else:
            for i in range(count):
                target[i * target_step] = (<const float*>source)[i * step]
    elif source_format == FLOAT64:
        for i in range(count):
            target[i * target_step] = (<const double*>source)[i * step]
    elif source_format == FLOAT16:
        for i in range(count):
            target[i * target_step] = widen_float16((<const uint16_t*>source)[i * step])
    else:
        for i in range(count):
            target[i * target_step] = widen_bfloat16((<const uint16_t*>source)[i * step])


cdef void pack_weights(Convolution call, Workspace* s, const Unit* unit) noexcept nogil:
    """Widen the chunk's weights and measure each channel's; channels that fill up the last tile are zeros."""
    cdef Layout* f = &call.layout
    cdef const char* source = <const char*>call.w.buf
    cdef Py_ssize_t item = call.w.itemsize
    cdef Py_ssize_t oc, t, j, tile
    cdef double measure
    cdef double* row
    for oc in range(f.chunk):
        s.bias[oc] = 0.0
        s.w_measure[oc] = 0.0
        if oc < unit.channels and call.has_bias:
            widen_steps(<const char*>call.b.buf + (unit.oc + oc) * item, f.source, 1, &s.bias[oc], 1, 1)
    if f.by_rows:
        for oc in range(unit.channels):
            row = s.w + oc * f.terms
            widen_steps(source + (unit.oc + oc) * f.terms * item, f.source, 1, row, 1, f.terms)
            measure = 0.0
            for t in range(f.terms):
                measure += row[t] * row[t] if f.euclidean else fabs(row[t])
            s.w_measure[oc] = measure
    else:
        memset(s.w, 0, f.chunk * f.terms * 8)
        for oc in range(unit.channels):
            tile = oc // CHANNELS
            widen_steps(source + (unit.oc + oc) * f.terms * item, f.source, 1,
                        s.w + tile * CHANNELS * f.terms + oc % CHANNELS, CHANNELS, f.terms)
        for tile in range(f.chunk // CHANNELS):
            row = s.w + tile * CHANNELS * f.terms
            for t in range(f.terms):
                for j in range(CHANNELS):
                    s.w_measure[tile * CHANNELS + j] += row[t * CHANNELS + j] * row[t * CHANNELS + j]
    if f.euclidean:
        for oc in range(f.chunk):
            s.w_measure[oc] = sqrt(s.w_measure[oc] + underflow_of_squares(f))
    if f.sliced:
        slice_weights(f, s)
    s.packed = unit.g * f.chunks + unit.chunk
    s.w_bits_known = False
    s.hard = 0


cdef inline double underflow_of_squares(const Layout* f) noexcept nogil:
    """What a sum of squares may have lost: 2^-1074 a term. Squares of narrower operands do not underflow."""
    return UNDERFLOW_STEP * f.terms if f.source == FLOAT64 else 0.0


cdef void slice_weights(const Layout* f, Workspace* s) noexcept nogil:
    """w = w_high + w_low with w_high a multiple of the channel's grid, SLICED_W_BITS below its measure."""
    cdef Py_ssize_t oc, t, i
    cdef int grid
    cdef double shifter
    for oc in range(f.chunk):
        s.w_low_measure[oc] = 0.0
        shifter = 0.0
        if s.w_measure[oc] > 0:
            grid = exponent_above(SLACK * s.w_measure[oc]) - SLICED_W_BITS
            if -LARGEST_GRID < grid < LARGEST_GRID:
                # Adding and subtracting 1.5 * 2^52 grids rounds to a multiple of the grid.
                shifter = 1.5 * power_of_two(grid + 52)
                s.w_low_measure[oc] = power_of_two(grid - 1) * (sqrt(<double>f.terms) if f.euclidean else f.terms)
            else:
                s.w_low_measure[oc] = INFINITY                       # no slices, no proof
        for t in range(f.terms):
            i = oc * f.terms + t if f.by_rows else (oc // CHANNELS * f.terms + t) * CHANNELS + oc % CHANNELS
            s.w_high[i] = (s.w[i] + shifter) - shifter
            s.w_low[i] = s.w[i] - s.w_high[i]


cdef void pack_band(Convolution call, Workspace* s, const Unit* unit) noexcept nogil:
    """Widen the input under the unit's outputs; what lies outside the image is zero."""
    cdef Layout* f = &call.layout
    cdef Py_ssize_t item = call.x.itemsize
    cdef Py_ssize_t* strides = call.x.strides          # in bytes: n, ic, id, ih, iw
    cdef Py_ssize_t ic, kd, d, phase_h, phase_w, row, ih, iw, first, last
    cdef const char* source
    cdef double* target
    for ic in range(f.C):
        for kd in range(f.d.kernel):
            d = unit.od * f.d.stride - f.d.pad + kd * f.d.dilation
            for phase_h in range(f.h.phases):
                for phase_w in range(f.w.phases):
                    # Columns first..last of the phase are in the image: iw = column * stride_w + iw(0).
                    iw = unit.ow * f.w.stride - f.w.pad + residue(&f.w, phase_w)
                    first = ceil_div(-iw, f.w.stride) if iw < 0 else 0
                    last = ceil_div(f.w.size - iw, f.w.stride) if f.w.size > iw else 0
                    last = min(last, unit.columns + f.w.reach)
                    for row in range(unit.rows + f.h.reach):
                        target = s.x + ((ic * f.d.kernel + kd) * f.plane
                                        + ((phase_h * f.w.phases + phase_w) * f.h.extent + row) * f.w.extent)
                        ih = (unit.oh + row) * f.h.stride + residue(&f.h, phase_h) - f.h.pad
                        if d < 0 or d >= f.d.size or ih < 0 or ih >= f.h.size or first >= last:
                            memset(target, 0, f.w.extent * 8)
                            continue
                        source = (<const char*>call.x.buf + unit.n * strides[0] + (unit.g * f.C + ic) * strides[1]
                                  + d * strides[2] + ih * strides[3] + (iw + first * f.w.stride) * strides[4])
                        memset(target, 0, first * 8)
                        widen_steps(source, f.source, strides[4] // item * f.w.stride, target + first, 1, last - first)
                        memset(target + last, 0, (f.w.extent - last) * 8)
    cdef Py_ssize_t a, b, p = 0
    for a in range(unit.rows):
        for b in range(unit.columns):
            s.positions[p] = a * f.w.extent + b
            p += 1
    for a in range(PIXELS):                 # the last tile computes the last position more than once
        s.positions[p + a] = s.positions[p - 1]
    s.x_bits_known = False
    s.x_sliced = False


cdef void measure_band(Convolution call, Workspace* s, const Unit* unit) noexcept nogil:
    """x_measure[position]: root of the sum of squares in the position's window, or an upper bound of the maximum."""
    cdef Layout* f = &call.layout
    cdef Py_ssize_t p, i, a, b, k, kernel = f.h.kernel * f.w.kernel
    cdef double* measure
    cdef const double* plane
    memset(s.plane, 0, f.plane * 8)
    if f.euclidean:
        for p in range(f.planes):
            plane = s.x + p * f.plane
            for i in range(f.plane):
                s.plane[i] += plane[i] * plane[i]
        memset(s.x_measure, 0, unit.count * 8)
        for a in range(unit.rows):
            measure = s.x_measure + a * unit.columns
            for k in range(kernel):
                plane = s.plane + a * f.w.extent + call.window[k]
                for b in range(unit.columns):
                    measure[b] += plane[b]
        for i in range(unit.count):
            s.x_measure[i] = sqrt(s.x_measure[i] + underflow_of_squares(f))
    else:
        measure_rows(call, s, unit)
    s.largest_x = 0.0
    for i in range(unit.count):
        if s.x_measure[i] > s.largest_x and is_finite(s.x_measure[i]):
            s.largest_x = s.x_measure[i]


cdef void measure_rows(Convolution call, Workspace* s, const Unit* unit) noexcept nogil:
    """The maximum over all rows that a window touches: one number for a row of outputs, found once for each input row."""
    cdef Layout* f = &call.layout
    cdef Py_ssize_t p, row, i, a, b, kh
    cdef Py_ssize_t rows = f.h.phases * f.w.phases * f.h.extent
    cdef int64_t largest, bits
    cdef const double* line
    for p in range(f.planes):
        for row in range(rows):
            # Positive float64 numbers are in the order of their bits, and a NaN comes out on top.
            line = s.x + p * f.plane + row * f.w.extent
            largest = bits_of(s.plane[row])
            for i in range(f.w.extent):
                bits = bits_of(line[i]) & INT64_MAX
                largest = bits if bits > largest else largest
            s.plane[row] = from_bits(largest)
    for a in range(unit.rows):
        largest = 0
        for kh in range(f.h.kernel):
            for b in range(f.w.phases):
                row = (kh % f.h.phases * f.w.phases + b) * f.h.extent + a + kh * f.h.dilation // f.h.stride
                bits = bits_of(s.plane[row])
                largest = bits if bits > largest else largest
        for b in range(unit.columns):
            s.x_measure[a * unit.columns + b] = from_bits(largest)


cdef int grid_for_slices(const Workspace* s) noexcept nogil:
    return exponent_above(s.largest_x) - SLICED_X_BITS if s.largest_x > 0 else 0


cdef void slice_band(const Layout* f, Workspace* s, int grid) noexcept nogil:
    """x = x_high + x_low exactly, with x_high the nearest multiple of 2^grid."""
    cdef Py_ssize_t i
    cdef double shifter
    s.x_sliced = True
    s.x_grid = grid
    s.sliceable = -LARGEST_GRID < grid < LARGEST_GRID and f.terms < LARGEST_SLICED_WINDOW
    s.x_low_measure = power_of_two(grid - 1) * (sqrt(<double>f.terms) if f.euclidean else 1.0)
    shifter = 1.5 * power_of_two(grid + 52)
    for i in range(f.planes * f.plane):
        s.x_high[i] = (s.x[i] + shifter) - shifter
        s.x_low[i] = s.x[i] - s.x_high[i]


cdef bint slice_for_chunk(Convolution call, Workspace* s, const Unit* unit) noexcept nogil:
    """Slice the band of narrow operands for the weights of this chunk, uncut; whether that is possible.

    The grid of x is as fine as SLACK * B <= 2^53 * 2^grid * (grid of the weights) allows for all channels.
    """
    cdef Layout* f = &call.layout
    cdef Py_ssize_t oc
    cdef int grid, w_grid = NO_BITS
    cdef double largest_w = 0.0
    if s.x_sliced:
        return s.sliceable
    know_weight_bits(f, s)
    for oc in range(f.chunk):
        w_grid = min(w_grid, s.w_bits[oc])
        if s.w_measure[oc] > largest_w:
            largest_w = s.w_measure[oc]
    s.x_sliced = True
    s.sliceable = False
    if w_grid == NO_BITS or w_grid == -NO_BITS or s.largest_x == 0 or not is_finite(SLACK * largest_w * s.largest_x):
        return False
    grid = exponent_above(SLACK * largest_w * s.largest_x) - 53 - w_grid + 1
    slice_band(f, s, max(grid, exponent_above(s.largest_x) - 50))
    # Rounding to the grid can make x_high larger than x, by x_low at most.
    if SLACK * largest_w * (s.largest_x + s.x_low_measure) > TWO_TO_53 * power_of_two(s.x_grid + w_grid):
        s.sliceable = False
    return s.sliceable


cdef void know_weight_bits(const Layout* f, Workspace* s) noexcept nogil:
    """w_bits[oc]: every weight of the channel is a multiple of 2^w_bits. Found once for a chunk, when needed."""
    cdef Py_ssize_t oc, t, i
    if s.w_bits_known:
        return
    s.w_bits_known = True
    for oc in range(f.chunk):
        s.w_bits[oc] = NO_BITS
        for t in range(f.terms):
            i = oc * f.terms + t if f.by_rows else (oc // CHANNELS * f.terms + t) * CHANNELS + oc % CHANNELS
            s.w_bits[oc] = min(s.w_bits[oc], lowest_bit(s.w[i]))


cdef void know_input_bits(Convolution call, Workspace* s, const Unit* unit) noexcept nogil:
    """x_bits[position]: every operand in the position's window is a multiple of 2^x_bits."""
    cdef Layout* f = &call.layout
    cdef Py_ssize_t p, i, a, b, k, kernel = f.h.kernel * f.w.kernel
    cdef int bits
    if s.x_bits_known:
        return
    s.x_bits_known = True
    for i in range(f.plane):
        s.plane_bits[i] = NO_BITS
    for p in range(f.planes):
        for i in range(f.plane):
            s.plane_bits[i] = min(s.plane_bits[i], lowest_bit(s.x[p * f.plane + i]))
    for a in range(unit.rows):
        for b in range(unit.columns):
            bits = NO_BITS
            for k in range(kernel):
                bits = min(bits, s.plane_bits[a * f.w.extent + b + call.window[k]])
            s.x_bits[a * unit.columns + b] = bits


# ---------------------------------------------------------------------------------------------------------------------
# Proving
# ---------------------------------------------------------------------------------------------------------------------

cdef struct Strip:
    # CHANNELS output elements that are tested together: channels of one position, or positions of one channel.
    double first[CHANNELS]
    double second[CHANNELS]
    double w_measure[CHANNELS]
    double w_low_measure[CHANNELS]
    double x_measure[CHANNELS]
    double bias[CHANNELS]
    int w_bits[CHANNELS]
    int x_bits[CHANNELS]
    double e[CHANNELS]
    uint64_t encodings[CHANNELS]


cdef void prove_tile(Convolution call, Workspace* s, const Unit* unit, Py_ssize_t oc, bint sliced) noexcept nogil:
    """Test the sums of a tile, write what is proved, list what is in doubt."""
    cdef Layout* f = &call.layout
    cdef Strip strip
    cdef Py_ssize_t a, b, p, n, j, length, lanes
    cdef char* target
    cdef int doubtful
    cdef Py_ssize_t* strides = call.y.strides          # in bytes: n, oc, od, oh, ow
    if f.by_rows:
        for a in range(unit.rows):
            b = 0
            while b < unit.columns:
                lanes = min(CHANNELS, unit.columns - b)
                p = a * unit.columns + b
                for j in range(lanes):
                    strip.first[j] = s.first[a * f.w.extent + b + j]
                    strip.second[j] = s.second[a * f.w.extent + b + j] if sliced else 0.0
                    strip.x_measure[j] = s.x_measure[p + j]
                for j in range(lanes, CHANNELS):
                    strip.first[j] = strip.second[j] = strip.x_measure[j] = 0.0
                for j in range(CHANNELS):
                    strip.w_measure[j] = s.w_measure[oc]
                    strip.w_low_measure[j] = s.w_low_measure[oc]
                    strip.bias[j] = s.bias[oc]
                doubtful = prove_strip(call, s, unit, &strip, oc, 0, p, 1, lanes, sliced)
                target = output_place(call, unit, oc, p)
                write(target, strides[4], f.target, strip.encodings, lanes)
                note_doubts(s, doubtful & ((1 << lanes) - 1), oc, 0, p, 1)
                b += lanes
        return
    lanes = min(CHANNELS, unit.channels - oc)
    for j in range(CHANNELS):
        strip.w_measure[j] = s.w_measure[oc + j]
        strip.w_low_measure[j] = s.w_low_measure[oc + j]
        strip.bias[j] = s.bias[oc + j]
    for p in range(unit.count):
        for j in range(CHANNELS):
            strip.first[j] = s.first[p * CHANNELS + j]
            strip.second[j] = s.second[p * CHANNELS + j]
            strip.x_measure[j] = s.x_measure[p]
        doubtful = prove_strip(call, s, unit, &strip, oc, 1, p, 0, lanes, sliced)
        write(output_place(call, unit, oc, p), strides[1], f.target, strip.encodings, lanes)
        note_doubts(s, doubtful & ((1 << lanes) - 1), oc, 1, p, 0)


cdef inline void note_doubts(
    Workspace* s, int doubtful, Py_ssize_t oc, Py_ssize_t oc_step, Py_ssize_t p, Py_ssize_t p_step,
) noexcept nogil:
    cdef int j
    if doubtful:
        for j in range(CHANNELS):
            if doubtful >> j & 1:
                s.doubts[2 * s.n_doubts] = p + j * p_step
                s.doubts[2 * s.n_doubts + 1] = oc + j * oc_step
                s.n_doubts += 1


cdef inline int prove_strip(
    Convolution call, Workspace* s, const Unit* unit, Strip* strip, Py_ssize_t oc, Py_ssize_t oc_step, Py_ssize_t p,
    Py_ssize_t p_step, Py_ssize_t lanes, bint sliced,
) noexcept nogil:
    """The rounding test with the bound, and for a strip that fails it once more with the grids. Bits: in doubt."""
    cdef Layout* f = &call.layout
    cdef int doubtful, j
    cdef double high[CHANNELS]
    cdef double low[CHANNELS]
    cdef double error
    if sliced:
        s.sliced += lanes
        for j in range(CHANNELS):
            two_sum(strip.first[j], strip.bias[j], &high[j], &error)
            two_sum(high[j], strip.second[j] + error, &high[j], &low[j])
        sliced_bound(f, s, strip)
        doubtful = accept_pair(high, low, strip.e, f.target, strip.encodings)
    else:
        for j in range(CHANNELS):
            high[j] = strip.first[j] + strip.bias[j]
        plain_bound(f, strip)
        doubtful = accept(high, strip.e, f.target, strip.encodings)
    if doubtful & ((1 << lanes) - 1) == 0:
        return 0

    know_weight_bits(f, s)
    know_input_bits(call, s, unit)
    for j in range(CHANNELS):
        strip.w_bits[j] = s.w_bits[oc + j * oc_step] if j < lanes else NO_BITS
        strip.x_bits[j] = s.x_bits[p + j * p_step] if j < lanes else NO_BITS
    apply_grids(f, s, strip, sliced)
    if sliced:
        return accept_pair(high, low, strip.e, f.target, strip.encodings)
    return accept(high, strip.e, f.target, strip.encodings)


cdef inline void plain_bound(const Layout* f, Strip* strip) noexcept nogil:
    """Bound 1 of filter.pxd, h = roundings within a block + additions of blocks and bias."""
    cdef double factor = SLACK * (f.block + f.blocks + 1 + 8) * UNIT_ROUNDOFF
    cdef int j
    for j in range(CHANNELS):
        strip.e[j] = factor * (strip.w_measure[j] * strip.x_measure[j] + fabs(strip.bias[j]))


cdef inline void sliced_bound(const Layout* f, const Workspace* s, Strip* strip) noexcept nogil:
    """Bound 2 of filter.pxd. `second` has two sums of blocks; it takes up what adding the bias to `first` rounded off."""
    cdef double factor = SLACK * (f.block + 2 * f.blocks + 1 + 8) * UNIT_ROUNDOFF
    cdef double second_order = SLACK * 8 * UNIT_ROUNDOFF * UNIT_ROUNDOFF
    cdef double underflow = 4 * UNDERFLOW_STEP * (f.terms + 1) if f.source == FLOAT64 else 0.0
    cdef int j
    for j in range(CHANNELS):
        strip.e[j] = (factor * second_terms(f, s, strip, j) + underflow
                      + second_order * (strip.w_measure[j] * strip.x_measure[j] + fabs(strip.bias[j])))
        if not s.sliceable:
            strip.e[j] = INFINITY


cdef inline double second_terms(const Layout* f, const Workspace* s, const Strip* strip, int j) noexcept nogil:
    """B2: bound of the sum of absolute values of the terms x_high w_low and x_low w."""
    cdef double bound = strip.w_measure[j] * s.x_low_measure
    if f.sliced:
        bound += strip.w_low_measure[j] * (strip.x_measure[j] + s.x_low_measure)
    return bound


cdef inline void apply_grids(const Layout* f, const Workspace* s, Strip* strip, bint sliced) noexcept nogil:
    """e = 0 where the grid of the operands proves that nothing was rounded (bound 1' of filter.pxd)."""
    cdef int j, bits
    cdef double terms
    for j in range(CHANNELS):
        bits = min(strip.w_bits[j] + strip.x_bits[j], lowest_bit(strip.bias[j]))
        if bits < LOWEST_GRID or not is_finite(strip.e[j]):
            continue
        terms = strip.w_measure[j] * strip.x_measure[j] + fabs(strip.bias[j])
        if sliced:
            terms = second_terms(f, s, strip, j) + 4 * UNIT_ROUNDOFF * terms
        if SLACK * terms <= TWO_TO_53 * power_of_two(bits):
            strip.e[j] = 0.0


cdef inline char* output_place(Convolution call, const Unit* unit, Py_ssize_t oc, Py_ssize_t p) noexcept nogil:
    cdef Py_ssize_t* strides = call.y.strides
    return (<char*>call.y.buf + unit.n * strides[0] + (unit.oc + oc) * strides[1] + unit.od * strides[2]
            + (unit.oh + p // unit.columns) * strides[3] + (unit.ow + p % unit.columns) * strides[4])


cdef inline void write(
    char* target, Py_ssize_t step, FloatFormat target_format, const uint64_t* encodings, Py_ssize_t count,
) noexcept nogil:
    """Store encodings `step` bytes apart."""
    cdef Py_ssize_t j
    if target_format == FLOAT32:
        for j in range(count):
            (<uint32_t*>(target + j * step))[0] = <uint32_t>encodings[j]
    elif target_format == FLOAT64:
        for j in range(count):
            (<uint64_t*>(target + j * step))[0] = encodings[j]
    else:
        for j in range(count):
            (<uint16_t*>(target + j * step))[0] = <uint16_t>encodings[j]


# ---------------------------------------------------------------------------------------------------------------------
# The lower rungs
# ---------------------------------------------------------------------------------------------------------------------

cdef int settle(
    Convolution call, Workspace* s, const Unit* unit, Py_ssize_t p, Py_ssize_t oc, PollClock* clock, const int* stop,
) except -1 nogil:
    """One element by rung 2, or else by rung 3."""
    cdef Layout* f = &call.layout
    cdef uint64_t encoding
    cdef Window window
    if f.by_rows:
        window.w = s.w + oc * f.terms
        window.w_step = 1
    else:
        window.w = s.w + oc // CHANNELS * CHANNELS * f.terms + oc % CHANNELS
        window.w_step = CHANNELS
    window.x = s.x + s.positions[p]
    window.taps = s.taps
    window.n_taps = f.terms
    window.bias = s.bias[oc]
    window.bound = s.w_measure[oc] * s.x_measure[p] + fabs(s.bias[oc])
    s.rung2 += 1
    if not pair_sum(&window, f.target, &encoding):
        s.rung3 += 1
        exact_sum(call, unit, &window, p, &encoding, clock, stop)
    write(output_place(call, unit, oc, p), 0, f.target, &encoding, 1)
    return 0


cdef int exact_sum(
    Convolution call, const Unit* unit, const Window* window, Py_ssize_t p, uint64_t* encoding, PollClock* clock,
    const int* stop,
) except -1 nogil:
    """Rung 3: the nest of direct.pyx for one element. Taps in the padding are no terms, not even infinity * 0."""
    cdef Layout* f = &call.layout
    cdef Accumulator total
    cdef Py_ssize_t oh = unit.oh + p // unit.columns, ow = unit.ow + p % unit.columns
    cdef Py_ssize_t ic, kd, kh, kw, t = 0
    clear(&total)
    for ic in range(f.C):
        for kd in range(f.d.kernel):
            for kh in range(f.h.kernel):
                poll(clock, f.w.kernel, stop)
                for kw in range(f.w.kernel):
                    if inside(&f.d, unit.od, kd) and inside(&f.h, oh, kh) and inside(&f.w, ow, kw):
                        add_product(&total, window.w[t * window.w_step], window.x[window.taps[t]])
                    t += 1
    if call.has_bias:
        add_value(&total, window.bias)
    encoding[0] = round_to(&total, f.target)
    return 0


cdef inline bint inside(const Axis* a, Py_ssize_t output, Py_ssize_t k) noexcept nogil:
    """Whether tap k of this output position falls inside the input."""
    cdef Py_ssize_t i = output * a.stride - a.pad + k * a.dilation
    return 0 <= i < a.size
