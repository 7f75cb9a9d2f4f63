"""What the parts of the fast integer kernel share: one call's operands, and one thread's buffers."""
from libc.stdint cimport int64_t

from refconv.kernels.integer cimport Arithmetic, IntegerFormat
from refconv.kernels.layout cimport Layout
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
