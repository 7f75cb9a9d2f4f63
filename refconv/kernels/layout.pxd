"""How the fast kernel lays out a problem: sizes, phases, bands, chunks, blocks. Plain numbers, one set for all threads.

A unit of work is a band (some output rows and columns of one output plane of one batch item) for a chunk of the output
channels of one group. For it the input under the band is widened to float64, once, with its padding as zeros:

    band[plane][phase_h][phase_w][row][column]          plane = ic * kD + kd

holds input[n, ic, id(kd), ih, iw] with  ih = (first_oh + row) * stride_h + residue_h[phase_h] - pad_top,  iw alike,
and residue_h[phase] = phase * dilation_h % stride_h. Sorting rows and columns by their residue modulo the stride (a
polyphase split) makes neighbouring outputs neighbours in memory: the operand of the output at (row, column) of the
band under tap (ic, kd, kh, kw) is at

    row * w.extent + column  +  taps[ic, kd, kh, kw]

for every stride and dilation. Only residues that some tap uses are stored.
"""
from refconv.kernels.exact cimport FLOAT64, FloatFormat
from refconv.kernels.vector cimport CHANNELS, PIXELS

cdef enum:
    BAND_BYTES = 1024 * 1024         # widened input of a band; a block of its planes stays in a second-level cache
    MOST_BAND_BYTES = 64 * 1024 * 1024   # where the window reaches so far that smaller bands overlap too much:
    MOST_OVERLAP = 4                 # cells of a phase that are stored for one output
    BAND_POSITIONS = 480            # outputs of a band: the sums of CHANNELS times as many stay close, too
    CHUNK_BYTES = 2560 * 1024        # packed weights of a chunk
    FRESH_CHUNK_BYTES = 256 * 1024   # of one that only one band needs: still in a second-level cache when it is used
    BUFFER_BYTES = 1 << 29           # most memory for one thread's buffers
    BLOCK = 160                      # taps in a block, at most: 10 KiB of weights, and short chains of roundings
    EVEN_SHARES = 8                  # bands for each thread below which one band more or less makes a difference
    FEW_CHANNELS = 5                 # below this many output channels in a group, vectorise over positions
    MANY_PLANES = 8                  # from here on, sums of squares cost nothing beside the convolution
    READABLE_AFTER = 128             # doubles of slack after a band: row tiles read whole registers

cdef struct Axis:
    Py_ssize_t size              # of the input
    Py_ssize_t kernel
    Py_ssize_t stride
    Py_ssize_t pad               # at the beginning; negative crops
    Py_ssize_t dilation
    Py_ssize_t output
    Py_ssize_t phases            # residues (k * dilation) % stride that occur; tap k has phase k % phases
    Py_ssize_t reach             # the largest (k * dilation) // stride
    Py_ssize_t band              # outputs in a band
    Py_ssize_t bands
    Py_ssize_t extent            # band + reach: rows (columns) stored for each phase

cdef struct Layout:
    Axis d, h, w
    Py_ssize_t N, groups
    Py_ssize_t C                 # input channels in a group
    Py_ssize_t K                 # output channels in a group
    FloatFormat source, target
    bint sliced                  # sum slices from the start: float64 operands or results
    bint by_rows                 # few output channels in a group: vectorise over positions instead
    bint euclidean               # measures are root sums of squares; else maximum and absolute sum
    bint oversized               # the buffers would be unreasonably large (a huge dilation, say): use another kernel
    Py_ssize_t terms             # C * kD * kH * kW
    Py_ssize_t planes            # C * kD
    Py_ssize_t cells             # numbers in one plane of the band
    Py_ssize_t plane             # doubles from one plane to the next
    Py_ssize_t block             # taps summed in registers before they are added up
    Py_ssize_t blocks
    Py_ssize_t chunk             # output channels whose weights are packed at a time
    Py_ssize_t chunks
    Py_ssize_t positions         # outputs in a full band
    Py_ssize_t sums              # doubles in the buffer of sums
    Py_ssize_t sums_step         # by rows: from the sums of one channel to those of the next
    Py_ssize_t items             # bands of all batch items
    Py_ssize_t units             # items * chunks * groups

cdef struct Unit:
    # Where a unit of work is.
    Py_ssize_t g, chunk, n, od
    Py_ssize_t oh, rows          # first output row and their number
    Py_ssize_t ow, columns
    Py_ssize_t oc, channels      # first output channel (in the whole output) and their number
    Py_ssize_t count             # rows * columns

cdef struct Part:
    # The part of one phase of a band that lies in the image.
    Py_ssize_t place             # of the phase in its plane
    Py_ssize_t top, bottom       # rows top .. bottom - 1, and none if they are equal
    Py_ssize_t left, right       # columns
    Py_ssize_t ih, iw            # what the first of them is in the input


cdef inline Py_ssize_t ceil_div(Py_ssize_t a, Py_ssize_t b) noexcept nogil:
    """a / b rounded up, for a >= 0; without a sum that a huge stride could make overflow, nor a slow division by 1."""
    return a if b == 1 else a // b + (a % b != 0)


cdef inline Py_ssize_t gcd(Py_ssize_t a, Py_ssize_t b) noexcept nogil:
    while b:
        a, b = b, a % b
    return a


cdef inline Py_ssize_t residue(const Axis* a, Py_ssize_t phase) noexcept nogil:
    return 0 if phase == 0 else phase * a.dilation % a.stride


cdef inline bint inside(const Axis* a, Py_ssize_t output, Py_ssize_t k) noexcept nogil:
    """Whether tap k of this output position falls inside the input."""
    cdef Py_ssize_t i = output * a.stride - a.pad + k * a.dilation
    return 0 <= i < a.size


cdef inline void set_axis(
    Axis* a, Py_ssize_t size, Py_ssize_t kernel, Py_ssize_t stride, Py_ssize_t pad, Py_ssize_t dilation,
    Py_ssize_t output,
) noexcept nogil:
    a.size, a.kernel, a.stride, a.pad, a.dilation, a.output = size, kernel, stride, pad, dilation, output
    a.reach = (kernel - 1) * dilation // stride
    # The residues (k * dilation) % stride repeat with this period, and differ within it.
    a.phases = min(kernel, stride // gcd(stride, dilation))


cdef inline void set_band(Layout* f, Py_ssize_t doubles, int threads) noexcept nogil:
    """A band of as many whole rows as the budgets allow, at least one; of a very wide image a part of a row."""
    cdef Py_ssize_t most = BAND_POSITIONS * CHANNELS if f.by_rows else BAND_POSITIONS
    cdef Py_ssize_t per_cell = max(f.planes * f.h.phases * f.w.phases, 1)
    f.w.band = min(f.w.output, most, doubles // (per_cell * (1 + f.h.reach)) - f.w.reach)
    f.w.band = max(f.w.band, min(f.w.output, PIXELS))
    f.w.extent = f.w.band + f.w.reach
    f.h.band = min(doubles // (per_cell * f.w.extent) - f.h.reach, most // f.w.band, f.h.output)
    f.h.band = max(f.h.band, 1)
    f.h.bands = even_out(ceil_div(f.h.output, f.h.band), f.h.output, f.N * f.d.output * f.groups, threads)
    f.h.band = ceil_div(f.h.output, f.h.bands)                             # bands of nearly equal height
    f.h.extent = f.h.band + f.h.reach


cdef inline Py_ssize_t even_out(Py_ssize_t bands, Py_ssize_t most, Py_ssize_t planes, int threads) noexcept nogil:
    """So many bands, or a few more, that each thread gets as many of all planes if it gets only a few."""
    cdef Py_ssize_t more = bands
    if bands > 1 and bands * planes < EVEN_SHARES * threads:
        while more * planes % threads and more < min(2 * bands, most):
            more += 1
    return more if more * planes % threads == 0 else bands


cdef inline void plan(Layout* f, int threads) noexcept nogil:
    """Choose kernels, bands, chunks and blocks, from the axes, N, groups, C, K and the formats."""
    f.planes = f.C * f.d.kernel
    f.terms = f.planes * f.h.kernel * f.w.kernel
    f.sliced = f.source == FLOAT64 or f.target == FLOAT64
    f.by_rows = f.K < FEW_CHANNELS
    f.euclidean = not f.by_rows or f.planes >= MANY_PLANES
    f.blocks = max(ceil_div(f.terms, BLOCK), 1)
    f.block = max(ceil_div(f.terms, f.blocks), 1)

    # A single output already needs reach + 1 rows and columns. In float64, whose range any product of sizes fits into.
    cdef double least = 24.0 * max(f.planes, 1) * f.h.phases * f.w.phases * (f.h.reach + 1.0) * (f.w.reach + 1.0)
    f.oversized = least > BUFFER_BYTES
    if f.oversized:
        return

    cdef Py_ssize_t doubles = BAND_BYTES // 8
    set_band(f, doubles, threads)
    while f.h.extent * f.w.extent > MOST_OVERLAP * f.h.band * f.w.band and doubles < MOST_BAND_BYTES // 8:
        doubles *= 2
        set_band(f, doubles, threads)
    f.d.band = 1
    f.d.bands = f.d.output
    f.h.bands = ceil_div(f.h.output, f.h.band)
    f.w.bands = ceil_div(f.w.output, f.w.band)
    f.cells = f.h.phases * f.w.phases * f.h.extent * f.w.extent
    f.plane = ceil_div(f.cells, 8) * 8   # planes begin on cache lines
    if f.plane % 64 == 0:
        f.plane += 8                     # planes a multiple of 512 bytes apart would share the same few cache lines
    f.positions = f.h.band * f.w.band
    f.items = f.N * f.d.bands * f.h.bands * f.w.bands
    if f.by_rows:
        f.sums_step = f.h.band * f.w.extent + READABLE_AFTER
        f.sums = 2 * f.sums_step
    else:
        f.sums = (f.positions + PIXELS) * CHANNELS

    # A chunk: the weights of some channels, few enough for the cache, and for every thread to get some chunks if there
    # are not enough bands to go round. (With a single band that costs nothing: threads keep it.)
    cdef Py_ssize_t tiles = ceil_div(f.K, CHANNELS)
    cdef Py_ssize_t chunk_bytes = FRESH_CHUNK_BYTES if f.items == 1 else CHUNK_BYTES
    cdef Py_ssize_t chunk_tiles = max(min(chunk_bytes // (max(f.terms, 1) * CHANNELS * 8), tiles), 1)
    cdef Py_ssize_t wanted = (8 if f.items == 1 else 2) * threads
    if threads > 1 and f.items * f.groups < wanted:
        chunk_tiles = min(chunk_tiles, max(tiles // ceil_div(wanted, f.items * f.groups), 1))
    f.chunks = ceil_div(tiles, chunk_tiles)
    f.chunk = ceil_div(tiles, f.chunks) * CHANNELS                         # chunks of nearly equal size
    f.chunks = ceil_div(f.K, f.chunk)
    f.units = f.items * f.chunks * f.groups

    cdef double band_bytes = 24.0 * f.planes * f.h.phases * f.w.phases * f.h.extent * f.w.extent
    cdef double weight_bytes = 24.0 * f.chunk * f.terms
    f.oversized = band_bytes + weight_bytes > BUFFER_BYTES


cdef inline void set_taps(const Layout* f, Py_ssize_t* window, Py_ssize_t* taps) noexcept nogil:
    """Fill window[kh, kw] and taps[plane, kh, kw], the distances from a position to its operands."""
    cdef Py_ssize_t kh, kw, k, p, row, column
    cdef Py_ssize_t kernel = f.h.kernel * f.w.kernel
    for kh in range(f.h.kernel):
        row = kh % f.h.phases * f.w.phases * f.h.extent + kh * f.h.dilation // f.h.stride
        for kw in range(f.w.kernel):
            column = kw % f.w.phases * f.h.extent * f.w.extent + kw * f.w.dilation // f.w.stride
            window[kh * f.w.kernel + kw] = row * f.w.extent + column
    for p in range(f.planes):
        for k in range(kernel):
            taps[p * kernel + k] = p * f.plane + window[k]


cdef inline void locate(const Layout* f, Py_ssize_t u, Unit* unit) noexcept nogil:
    """Unit u = (g * chunks + chunk) * items + item: neighbouring units share their packed weights."""
    cdef Py_ssize_t item = u % f.items
    unit.chunk = u // f.items % f.chunks
    unit.g = u // f.items // f.chunks
    unit.ow = item % f.w.bands * f.w.band
    unit.oh = item // f.w.bands % f.h.bands * f.h.band
    unit.od = item // f.w.bands // f.h.bands % f.d.bands
    unit.n = item // f.w.bands // f.h.bands // f.d.bands
    unit.rows = min(f.h.band, f.h.output - unit.oh)
    unit.columns = min(f.w.band, f.w.output - unit.ow)
    unit.count = unit.rows * unit.columns
    unit.oc = unit.g * f.K + unit.chunk * f.chunk
    unit.channels = min(f.chunk, f.K - unit.chunk * f.chunk)


cdef inline void place_positions(
    const Layout* f, const Unit* unit, Py_ssize_t overhang, Py_ssize_t* positions,
) noexcept nogil:
    """positions[p] = where position p is in the band; the same for all bands of one shape.

    The last one is repeated `overhang` times: the last tile computes it more than once.
    """
    cdef Py_ssize_t row, column, p = 0
    for row in range(unit.rows):
        for column in range(unit.columns):
            positions[p] = row * f.w.extent + column
            p += 1
    for column in range(overhang):
        positions[p + column] = positions[p - 1]


cdef inline void locate_part(
    const Layout* f, const Unit* unit, Py_ssize_t phase_h, Py_ssize_t phase_w, Part* part,
) noexcept nogil:
    part.place = (phase_h * f.w.phases + phase_w) * f.h.extent * f.w.extent
    part.ih = unit.oh * f.h.stride + residue(&f.h, phase_h) - f.h.pad
    part.iw = unit.ow * f.w.stride + residue(&f.w, phase_w) - f.w.pad
    set_bounds_inside(&f.h, unit.rows + f.h.reach, &part.ih, &part.top, &part.bottom)
    set_bounds_inside(&f.w, unit.columns + f.w.reach, &part.iw, &part.left, &part.right)


cdef inline void set_bounds_inside(
    const Axis* a, Py_ssize_t count, Py_ssize_t* i, Py_ssize_t* begin, Py_ssize_t* end,
) noexcept nogil:
    """Of `count` indices from i on, stride apart, those from begin to end - 1 are in the image; i becomes the first."""
    begin[0] = min(ceil_div(-i[0], a.stride), count) if i[0] < 0 else 0
    end[0] = max(min(ceil_div(a.size - i[0], a.stride), count) if a.size > i[0] else 0, begin[0])
    i[0] += begin[0] * a.stride


cdef inline Py_ssize_t tile_channels(const Layout* f, const Unit* unit, Py_ssize_t oc) noexcept nogil:
    """How many channels, from `oc` of the chunk on, are computed together."""
    return min(2 if f.by_rows else CHANNELS, unit.channels - oc)
