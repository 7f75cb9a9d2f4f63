"""What the parts of the fast integer kernel share: one call's operands, and one thread's buffers."""
from libc.stdint cimport INT64_MAX, int64_t, uint32_t

from refconv.kernels.cells cimport CELL_CHANNELS
from refconv.kernels.integer cimport PAIRS, QUADS, Arithmetic, IntegerFormat
from refconv.kernels.integer_tile cimport MOST_PIXELS
from refconv.kernels.layout cimport READABLE_AFTER, Layout
from refconv.kernels.scratch cimport Region, take
from refconv.kernels.workspace cimport Tensor

cdef enum:
    # Positions that are summed and then stored: few enough for the first-level cache, and whole tiles of 3, 6 or 8.
    SUMMED = 96
    PACKED_TAPS = 64             # taps whose weights are packed at a time

cdef struct IntegerCall:
    Layout layout                # of cells: its C counts pairs or quads of channels, if cells are such
    Arithmetic arithmetic
    int numbers                  # in a cell: of so many neighbouring channels
    uint32_t x_flip              # bits that are flipped in cells of the input: the uppermost of signed bytes in quads
    Py_ssize_t C                 # input channels in a group
    Tensor x                     # [n, ic, id, ih, iw]
    Tensor y                     # [n, oc, od, oh, ow]
    const char* w                # [oc, ic, kd, kh, kw], C-contiguous
    const char* b                # [oc], or NULL
    IntegerFormat x_source, w_source, b_source
    Py_ssize_t w_size, b_size, y_size    # bytes of a number
    int64_t lowest, highest      # what results are clamped to
    Py_ssize_t* taps             # [plane, kh, kw] -> distance in the band
    Py_ssize_t* window           # [kh, kw] -> distance in a plane of the band

cdef struct IntegerSpace:
    Py_ssize_t packed            # the chunk whose weights are in w: group * chunks + chunk, or -1
    Py_ssize_t band              # the band that is in x: group * items + item, or -1
    void* w                      # [tile][tap][CELL_CHANNELS] cells, or [oc][tap] by rows
    int64_t* bias                # [oc], and what makes up for flipped bits of the input
    void* x                      # the input of one band, as cells
    Py_ssize_t* positions        # [position] -> place in the band, for a band of this many
    Py_ssize_t rows, columns
    void* sums                   # [position][CELL_CHANNELS] of SUMMED positions, or [place in the band] by rows
    void* turned                 # the same, channels first; or weights of one tile on their way
    const Py_ssize_t* taps       # the call's
    int64_t clamped              # the first clamped element, counted in C order; INT64_MAX if none was


cdef inline void arrange_tables(IntegerCall* call, Region* region) noexcept nogil:
    """Take memory for what all threads of a call read."""
    cdef const Layout* f = &call.layout
    call.window = <Py_ssize_t*>take(region, f.h.kernel * f.w.kernel * sizeof(Py_ssize_t))
    call.taps = <Py_ssize_t*>take(region, f.terms * sizeof(Py_ssize_t))


cdef inline void arrange(IntegerSpace* s, const IntegerCall* call, Region* region) noexcept nogil:
    """Take memory for one thread."""
    cdef const Layout* f = &call.layout
    cdef Py_ssize_t cell = 4 if call.arithmetic == QUADS or call.arithmetic == PAIRS else 8
    s.packed = -1
    s.band = -1
    s.clamped = INT64_MAX
    s.taps = call.taps
    s.w = take(region, f.chunk * f.terms * cell)
    s.bias = <int64_t*>take(region, f.chunk * 8)
    s.x = take(region, (f.planes * f.plane + READABLE_AFTER) * cell)
    s.positions = <Py_ssize_t*>take(region, (f.positions + MOST_PIXELS) * sizeof(Py_ssize_t))
    s.sums = take(region, f.sums * cell)
    s.turned = take(region, CELL_CHANNELS * max(SUMMED, PACKED_TAPS) * cell)
