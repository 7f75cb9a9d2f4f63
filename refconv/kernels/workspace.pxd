"""What the parts of the fast kernel share: one call's operands, and one thread's buffers."""
from libc.stdint cimport int64_t, uint64_t

from refconv.kernels.layout cimport READABLE_AFTER, Layout, ceil_div
from refconv.kernels.scratch cimport Region, take
from refconv.kernels.vector cimport CHANNELS, PIXELS

cdef struct Tensor:
    char* data
    Py_ssize_t strides[5]        # in bytes

cdef struct Call:
    Layout layout
    Tensor x                     # [n, ic, id, ih, iw], encodings of the source format
    Tensor y                     # [n, oc, od, oh, ow], encodings of the target format
    const char* w                # [oc, ic, kd, kh, kw], C-contiguous
    const char* b                # [oc], or NULL
    Py_ssize_t itemsize          # bytes of an operand
    Py_ssize_t* taps             # [ic, kd, kh, kw] -> distance in the band
    Py_ssize_t* pairs            # the first tap of each pair (modular.pxd), in order,
    Py_ssize_t* places           # and its distance in the band
    Py_ssize_t* window           # [kh, kw] -> distance in a plane of the band
    bint modular                 # whether MODULAR is possible: narrow formats, by channels, on a processor that can

# How a tile's operands are cut into slices before they are multiplied; filter.pxd, bounds 1 and 2.
cdef enum Cut:
    WHOLE                        # not at all: one product
    MODULAR                      # into integers and, rarely, a rest: one product, and one modulo 2^52 (modular.pxd)
    CUT_HIGH                     # what is not high times high is summed with a small error: three products
    CUT_ALL                      # all four products of slices; of narrow operands they are exact

cdef enum:
    LOW_TERMS = 4096             # more of them would take too long

cdef struct LowTerm:
    Py_ssize_t position, tap
    double low                   # of x

cdef struct Workspace:
    # The weights of one chunk.
    Py_ssize_t packed            # which: group * chunks + chunk, or -1
    double* w                    # [tile][tap][CHANNELS], or [oc][tap] by rows
    double* w_high               # their slices
    double* w_low
    double* w_pairs              # [pair][4][CHANNELS], of a tile cut to integers (modular.pxd)
    uint64_t* w_products         # [channel of the tile], sums of products of pairs (modular.pxd)
    double* w_measure            # [oc]
    double* w_low_measure
    int* w_grid                  # [oc], w_high is a multiple of 2^w_grid
    int* w_bits                  # lowest bit of the channel's weights, or UNKNOWN
    double* bias                 # zeros if there is none
    # The input of one band.
    Py_ssize_t band              # which: group * items + item, or -1
    double* x
    double* x_high               # its slices
    double* x_low
    double* x_integers           # ROUNDER + the high slices as multiples of the grid, where those are
    uint64_t* plane_products     # sums over pairs of planes of their products, modulo 2^64
    uint64_t* x_products         # [position], the same over its window
    Cut x_cut                    # how it is cut now
    LowTerm* low_terms           # if cut to integers: the terms in which x has a lower slice that is not zero
    Py_ssize_t n_low_terms
    double* x_low_at             # [position], root of the sum of their squares
    Py_ssize_t* low_taps         # those at which weights of the tile have one
    Py_ssize_t n_low_taps
    double x_low_measure         # INFINITY if slicing was not possible
    int x_grid                   # x_high is a multiple of 2^x_grid
    double* plane                # sums of squares over the planes, or maxima of rows
    double* x_measure            # [position]
    double* x_measure_of_eight   # the largest of CHANNELS neighbouring positions
    bint x_finite                # whether all of them are
    double* plane_powers         # lowest bits over the planes, as powers of two
    int* x_bits                  # [position]
    bint x_bits_known
    Py_ssize_t* positions        # [position] -> place in the band, for a band of this many
    Py_ssize_t rows, columns
    double paired_factor         # e / B of a sum by pairs (modular.pxd)
    # The sums of one tile.
    double* first                # [position][CHANNELS], or [place in the band] by rows
    double* second               # of products with a lower slice
    double* third                # of products of two lower slices
    Py_ssize_t* doubts           # (position, channel) of what no proof was found for
    Py_ssize_t n_doubts
    Cut cut                      # what was needed lately,
    bint hard_grids              # and whether the grids were,
    int hard                     # and for how many more tiles to start with them,
    int hard_run                 # of how many
    const Py_ssize_t* taps       # the call's
    # How many elements were computed, summed in slices, in pairs (rung 2) and exactly (rung 3).
    int64_t elements, sliced, rung2, rung3


cdef inline void arrange_tables(Call* call, Region* region) noexcept nogil:
    """Take memory for what all threads of a call read."""
    cdef const Layout* f = &call.layout
    call.window = <Py_ssize_t*>take(region, f.h.kernel * f.w.kernel * sizeof(Py_ssize_t))
    call.taps = <Py_ssize_t*>take(region, f.terms * sizeof(Py_ssize_t))
    call.pairs = <Py_ssize_t*>take(region, ceil_div(f.planes, 2) * f.h.kernel * f.w.kernel * sizeof(Py_ssize_t))
    call.places = <Py_ssize_t*>take(region, ceil_div(f.planes, 2) * f.h.kernel * f.w.kernel * sizeof(Py_ssize_t))


cdef inline void arrange(Workspace* s, const Call* call, Region* region) noexcept nogil:
    """Take memory for one thread. What only hard data need comes last, so that other calls never touch its pages."""
    cdef const Layout* f = &call.layout
    cdef Py_ssize_t weights = f.chunk * f.terms * 8
    cdef Py_ssize_t band = (f.planes * f.plane + READABLE_AFTER) * 8
    cdef Py_ssize_t positions = f.positions + PIXELS
    s.packed = -1
    s.band = -1
    s.taps = call.taps
    s.w = <double*>take(region, weights)
    s.w_measure = <double*>take(region, f.chunk * 8)
    s.w_low_measure = <double*>take(region, f.chunk * 8)
    s.w_grid = <int*>take(region, f.chunk * sizeof(int))
    s.w_bits = <int*>take(region, f.chunk * sizeof(int))
    s.bias = <double*>take(region, f.chunk * 8)
    s.x = <double*>take(region, band)
    s.plane = <double*>take(region, f.plane * 8)
    s.plane_powers = <double*>take(region, f.plane * 8)
    s.x_measure = <double*>take(region, positions * 8)
    s.x_measure_of_eight = <double*>take(region, (positions // CHANNELS + 1) * 8)
    s.x_bits = <int*>take(region, positions * sizeof(int))
    s.positions = <Py_ssize_t*>take(region, positions * sizeof(Py_ssize_t))
    s.doubts = <Py_ssize_t*>take(region, 2 * CHANNELS * f.positions * sizeof(Py_ssize_t))
    s.first = <double*>take(region, f.sums * 8)
    s.second = <double*>take(region, f.sums * 8)
    s.third = <double*>take(region, f.sums * 8)
    s.low_terms = <LowTerm*>take(region, LOW_TERMS * sizeof(LowTerm))
    s.x_low_at = <double*>take(region, positions * 8)
    s.low_taps = <Py_ssize_t*>take(region, f.terms * sizeof(Py_ssize_t))
    s.w_pairs = <double*>take(region, ceil_div(f.planes, 2) * f.h.kernel * f.w.kernel * 4 * CHANNELS * 8)
    s.w_products = <uint64_t*>take(region, CHANNELS * 8)
    s.plane_products = <uint64_t*>take(region, f.plane * 8)
    s.x_products = <uint64_t*>take(region, positions * 8)
    s.w_high = <double*>take(region, weights)
    s.w_low = <double*>take(region, weights)
    s.x_high = <double*>take(region, band)
    s.x_low = <double*>take(region, band)
    s.x_integers = s.x_high
