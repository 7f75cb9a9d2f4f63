"""What the parts of the fast integer kernel share: one call's operands, and one thread's buffers."""
from libc.stdint cimport INT64_MAX, int64_t

from refconv.kernels.integer cimport PAIRS, Arithmetic, IntegerFormat
from refconv.kernels.integer_tile cimport MOST_PIXELS
from refconv.kernels.layout cimport READABLE_AFTER, Layout
from refconv.kernels.scratch cimport Region, take
from refconv.kernels.workspace cimport Tensor

cdef struct IntegerCall:
    Layout layout                # of cells: its C counts pairs of channels, if the cells are pairs
    Arithmetic arithmetic
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
    void* w                      # [tile][tap][CELL_CHANNELS] cells, or [oc][tap] by rows
    int64_t* bias                # [oc]
    void* x                      # the input of one band, as cells
    Py_ssize_t* positions        # [position] -> place in the band, for a band of this many
    Py_ssize_t rows, columns
    void* sums                   # [position][CELL_CHANNELS], or [place in the band] by rows
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
    cdef Py_ssize_t cell = 4 if call.arithmetic == PAIRS else 8
    s.packed = -1
    s.clamped = INT64_MAX
    s.taps = call.taps
    s.w = take(region, f.chunk * f.terms * cell)
    s.bias = <int64_t*>take(region, f.chunk * 8)
    s.x = take(region, (f.planes * f.plane + READABLE_AFTER) * cell)
    s.positions = <Py_ssize_t*>take(region, (f.positions + MOST_PIXELS) * sizeof(Py_ssize_t))
    s.sums = take(region, f.sums * cell)
