# cython: language_level=3
# cython: wraparound=False
# cython: initializedcheck=False
# cython: cdivision=True
# The directives are those of blocked.pyx, for the same reasons.
"""The gradient by the weight where it has few elements and each is a long sum: the bits of ``direct_grad.pyx``, fast.

    grad_weight[oc, ic, kd, kh, kw] = sum over n, od, oh, ow of
                                      grad_output[n, oc, od, oh, ow] * input[n, first_ic + ic, id, ih, iw]

As a plain correlation (``adjoint.py``) the windows of this sum are few and its kernel is huge: tiles are half empty,
and the packed kernel does not fit into any cache. Here the registers lie *along* the sum: for a tile of output channels
and taps kw, a register holds LANES partial sums, each over every LANES-th ow,

    total[oc][kw][lane] += grad_output[oc][row][ow + lane] * input[ic][row * stride_h + kh * dilation_h][ow + lane + kw]

and only after a band of rows are the lanes added up. Rows are widened to float64 once for each band, those of the input
sorted by residues modulo the stride, with padding as zeros, as in layout.pxd.

The bound is number 1 of filter.pxd. Chains of roundings are short: a band's numbers over LANES, the bands of a slice,
and the slices. The measures are the root sums of squares of a channel of grad_output, and of all input rows that a
channel and a tap kd meet. What the bound does not prove is summed again (rows.pxd), if there is little of it. Else
`finish` says so, and the general kernel, which knows cuts and grids, has to do it all.

Operands are float16, bfloat16 or float32, whose products are exact in float64.
"""
from cpython.buffer cimport PyBUF_STRIDES, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint64_t

import numpy as np

from refconv.kernels.claim cimport claim_next
from refconv.kernels.exact cimport FloatFormat
from refconv.kernels.filter cimport SLACK, UNIT_ROUNDOFF, is_finite, narrow
from refconv.kernels.fpenv cimport FE_DFL_ENV, fegetenv, fenv_t, fesetenv
from refconv.kernels.handoff cimport begin
from refconv.kernels.interrupt cimport PollClock, poll
from refconv.kernels.layout cimport ceil_div
from refconv.kernels.operands cimport set_axes, set_tensor
from refconv.kernels.prove cimport write
from refconv.kernels.row_bands cimport Band, locate_band, pack_grad_output, pack_input, to_cache_line
from refconv.kernels.rows cimport Rows, exact_sum, pair_sum
from refconv.kernels.vector cimport LANES, vector, vector_fma, vector_load, vector_set, vector_store

cdef enum:
    BAND = 512               # numbers of a channel of grad_output in a band: those of four stay in a first-level cache
    CHANNELS_OF_TILE = 4     # twelve sums, three inputs and one number of grad_output fill the registers
    TAPS_OF_TILE = 3
    SLICES = 16              # units of work, if there are not more groups
    CACHE_LINE = 8           # in doubles
    # One element of so many may be summed again, which takes as long as 10 others in pairs, and as 100 exactly.
    FEW_PAIRS = 4
    FEW_EXACT = 16


# ---------------------------------------------------------------------------------------------------------------------
# A band's part of every sum
# ---------------------------------------------------------------------------------------------------------------------

cdef int add_band(
    const Rows* f, const Band* band, Py_ssize_t g, Py_ssize_t kd, const double* y, const double* x, double* sums,
    PollClock* clock, const int* stop,
) except -1 nogil:
    """sums[oc, ic, kd, kh, kw] += this band's products."""
    cdef Py_ssize_t oc = 0, ic, kh, kw, channels, taps
    cdef double* target
    while oc < f.K:
        channels = 4 if f.K - oc >= 4 else 2 if f.K - oc >= 2 else 1
        for ic in range(f.C):
            poll(clock, band.rows * band.width * channels * f.h.kernel * f.w.kernel // 4, stop)
            for kh in range(f.h.kernel):
                kw = 0
                while kw < f.w.kernel:
                    taps = f.w.kernel - kw
                    taps = 2 if taps == 4 else min(taps, TAPS_OF_TILE)
                    target = sums + (((g * f.K + oc) * f.C + ic) * f.d.kernel + kd) * f.h.kernel * f.w.kernel
                    target += kh * f.w.kernel + kw
                    add_tile(<int>channels, <int>taps, f, band, y + oc * f.h.band * f.w.band, x + ic * f.rows * f.row,
                             kh, kw, target)
                    kw += taps
        oc += channels
    return 0


cdef inline void add_tile(
    int channels, int taps, const Rows* f, const Band* band, const double* y, const double* x, Py_ssize_t kh,
    Py_ssize_t kw, double* target,
) noexcept nogil:
    # Constant numbers of channels and taps, so that all sums get a register of their own.
    if channels == 4:
        if taps == 3:
            tile_of(4, 3, f, band, y, x, kh, kw, target)
        elif taps == 2:
            tile_of(4, 2, f, band, y, x, kh, kw, target)
        else:
            tile_of(4, 1, f, band, y, x, kh, kw, target)
    elif channels == 2:
        if taps == 3:
            tile_of(2, 3, f, band, y, x, kh, kw, target)
        elif taps == 2:
            tile_of(2, 2, f, band, y, x, kh, kw, target)
        else:
            tile_of(2, 1, f, band, y, x, kh, kw, target)
    elif taps == 3:
        tile_of(1, 3, f, band, y, x, kh, kw, target)
    elif taps == 2:
        tile_of(1, 2, f, band, y, x, kh, kw, target)
    else:
        tile_of(1, 1, f, band, y, x, kh, kw, target)


cdef inline void tile_of(
    int channels, int taps, const Rows* f, const Band* band, const double* y, const double* x, Py_ssize_t kh,
    Py_ssize_t kw, double* target,
) noexcept nogil:
    """target[oc][kw] += the products of a few channels and neighbouring taps in all rows of a band."""
    cdef vector total[CHANNELS_OF_TILE][TAPS_OF_TILE]
    cdef vector operand[TAPS_OF_TILE]
    cdef vector factor
    cdef Py_ssize_t offsets[TAPS_OF_TILE]
    cdef const double* columns[TAPS_OF_TILE]
    cdef const double* row
    cdef double lanes[LANES]
    cdef double lane_sum
    cdef Py_ssize_t r, slot, ih, j, k
    cdef Py_ssize_t channel_step = f.h.band * f.w.band, sums_step = f.C * f.d.kernel * f.h.kernel * f.w.kernel
    cdef int c, t, lane
    for c in range(channels):
        for t in range(taps):
            total[c][t] = vector_set(0.0)
    for t in range(taps):
        k = kw + t
        offsets[t] = k % f.w.phases * f.w.extent + k * f.w.dilation // f.w.stride
    for r in range(band.rows):
        slot = r * f.h.stride + kh * f.h.dilation
        ih = band.oh * f.h.stride - f.h.pad + slot
        if ih < 0 or ih >= f.h.size:
            continue
        for t in range(taps):
            columns[t] = x + slot * f.row + offsets[t]
        row = y + r * f.w.band
        j = 0
        while j < band.width:
            for t in range(taps):
                operand[t] = vector_load(columns[t] + j)
            for c in range(channels):
                factor = vector_load(row + c * channel_step + j)
                for t in range(taps):
                    total[c][t] = vector_fma(factor, operand[t], total[c][t])
            j += LANES
    for c in range(channels):
        for t in range(taps):
            vector_store(lanes, total[c][t])
            lane_sum = lanes[0]
            for lane in range(1, LANES):
                lane_sum += lanes[lane]
            target[c * sums_step + t] += lane_sum


# ---------------------------------------------------------------------------------------------------------------------
# A call, as Python sees it
# ---------------------------------------------------------------------------------------------------------------------

cdef class WeightGradient:
    """One call. Threads share it and call `run` for different units; `finish` comes last, in one thread.

    Parameters
    ----------
    input, grad_output, grad_weight : ndarray of encodings
        Arrays of 2- and 4-byte items, of any aligned strides: (N, C_in, ...), (N, C_out, ...), (C_out, C_in/groups,
        ...), over one to three spatial axes, none of them empty.
    stride, padding, dilation : tuple of int
        One for each spatial axis. Padding is that at the beginning.
    groups : int
    source, target : int
        FloatFormat of the operands and of the result; not FLOAT64.

    Strides and dilations have to be small: all rows of input from a band's first to its last are packed.
    """
    cdef Rows rows
    cdef Py_buffer input, grad_output, grad_weight
    cdef Py_ssize_t next_unit
    cdef double[:, ::1] sums             # of each slice: the elements of grad_weight, in C order
    cdef double[:, ::1] x_squares        # of each slice, by [first_ic + ic, kd]
    cdef double[:, ::1] y_squares        # of each slice, by [oc]

    def __cinit__(self, input, grad_output, grad_weight, stride, padding, dilation, Py_ssize_t groups,
                  int source, int target):
        cdef Rows* f = &self.rows
        PyObject_GetBuffer(input, &self.input, PyBUF_STRIDES)
        PyObject_GetBuffer(grad_output, &self.grad_output, PyBUF_STRIDES)
        PyObject_GetBuffer(grad_weight, &self.grad_weight, PyBUF_STRIDES | PyBUF_WRITABLE)
        set_tensor(&f.x, &self.input)
        set_tensor(&f.y, &self.grad_output)
        f.N = self.input.shape[0]
        f.groups = groups
        f.C = self.grad_weight.shape[1]
        f.K = self.grad_weight.shape[0] // groups
        f.source = <FloatFormat>source
        f.target = <FloatFormat>target
        set_axes(&f.d, &f.h, &f.w, &self.input, &self.grad_weight, &self.grad_output, stride, padding, dilation)
        f.w.bands = ceil_div(f.w.output, BAND)
        f.w.band = ceil_div(ceil_div(f.w.output, f.w.bands), LANES) * LANES      # bands of nearly equal width
        f.w.bands = ceil_div(f.w.output, f.w.band)
        f.w.extent = ceil_div(f.w.band + f.w.reach, LANES) * LANES
        f.h.band = min(max(BAND // f.w.band, 1), f.h.output)
        f.h.bands = ceil_div(f.h.output, f.h.band)
        f.rows = (f.h.band - 1) * f.h.stride + (f.h.kernel - 1) * f.h.dilation + 1
        f.row = f.w.phases * f.w.extent
        f.bands = f.N * f.d.output * f.h.bands * f.w.bands
        f.slices = min(max(SLICES // groups, 1), f.bands)
        self.sums = np.zeros((f.slices, grad_weight.size))
        self.x_squares = np.zeros((f.slices, groups * f.C * f.d.kernel))
        self.y_squares = np.zeros((f.slices, groups * f.K))

    def __dealloc__(self):
        PyBuffer_Release(&self.input)
        PyBuffer_Release(&self.grad_output)
        PyBuffer_Release(&self.grad_weight)

    @property
    def units(self):
        """How many units of work there are."""
        return self.rows.groups * self.rows.slices

    def run(self, const int[::1] stop):
        """Add up units for as long as there are any that no other thread has claimed; unit = g * slices + slice."""
        cdef const Rows* f = &self.rows
        cdef double[::1] y_memory = np.empty(f.K * f.h.band * f.w.band + CACHE_LINE)
        cdef double[::1] x_memory = np.empty(f.C * f.rows * f.row + CACHE_LINE)
        cdef double* y = to_cache_line(&y_memory[0])
        cdef double* x = to_cache_line(&x_memory[0])
        cdef Band band
        cdef PollClock clock = PollClock(0)
        cdef fenv_t callers
        cdef Py_ssize_t u, g, s, b, kd, id
        fegetenv(&callers)
        fesetenv(FE_DFL_ENV)
        try:
            with nogil:
                begin()
                u = claim_next(&self.next_unit)
                while u < f.groups * f.slices:
                    g = u // f.slices
                    s = u % f.slices
                    for b in range(f.bands * s // f.slices, f.bands * (s + 1) // f.slices):
                        locate_band(f, b, &band)
                        poll(&clock, f.K * band.rows * band.width, &stop[0])
                        pack_grad_output(f, &band, g, y, &self.y_squares[s, 0])
                        for kd in range(f.d.kernel):
                            id = band.od * f.d.stride - f.d.pad + kd * f.d.dilation
                            if id < 0 or id >= f.d.size:
                                continue
                            poll(&clock, f.C * f.rows * f.row, &stop[0])
                            pack_input(f, &band, g, kd, id, x, &self.x_squares[s, 0])
                            add_band(f, &band, g, kd, y, x, &self.sums[s, 0], &clock, &stop[0])
                    u = claim_next(&self.next_unit)
        finally:
            fesetenv(&callers)

    def finish(self, const int[::1] stop):
        """Write grad_weight; return how many elements took rung 2 and rung 3, or None if those would be too many."""
        cdef const Rows* f = &self.rows
        cdef Py_ssize_t per_channel = f.C * f.d.kernel * f.h.kernel * f.w.kernel
        cdef Py_ssize_t elements = f.groups * f.K * per_channel
        cdef Py_ssize_t i, oc, ic, kd, s, n_doubts = 0, n_exact = 0
        cdef double total, factor, e
        cdef double[::1] bounds = np.empty(elements)
        cdef uint64_t[::1] encodings = np.empty(elements, np.uint64)
        cdef double[::1] x_measure = np.sqrt(np.sum(self.x_squares, axis=0))
        cdef double[::1] y_measure = np.sqrt(np.sum(self.y_squares, axis=0))
        cdef Py_ssize_t[::1] doubts = np.empty(elements, np.intp)
        cdef PollClock clock = PollClock(0)
        cdef fenv_t callers
        # Roundings on the way of a term: in a register, over its lanes, over the bands of a slice, over the slices.
        factor = f.h.band * f.w.band // LANES + LANES + ceil_div(f.bands, f.slices) + f.slices + 8
        factor = SLACK * factor * UNIT_ROUNDOFF
        fegetenv(&callers)
        fesetenv(FE_DFL_ENV)
        try:
            with nogil:
                for i in range(elements):
                    oc = i // per_channel
                    kd = i // (f.h.kernel * f.w.kernel)                         # [oc, ic, kd], for the time being
                    ic = kd // f.d.kernel % f.C
                    kd = kd % f.d.kernel
                    total = self.sums[0, i]
                    for s in range(1, f.slices):
                        total += self.sums[s, i]
                    bounds[i] = y_measure[oc] * x_measure[(oc // f.K * f.C + ic) * f.d.kernel + kd]
                    e = factor * bounds[i]
                    if is_finite(e):
                        encodings[i] = narrow(total - e, f.target)
                        if encodings[i] == narrow(total + e, f.target):
                            continue
                    doubts[n_doubts] = i
                    n_doubts += 1
                if n_doubts * FEW_PAIRS > elements and n_doubts > 1:
                    with gil:
                        return None
                for s in range(n_doubts):
                    i = doubts[s]
                    if not self.sum_again(i, True, bounds[i], &encodings[i], &clock, &stop[0]):
                        doubts[n_exact] = i
                        n_exact += 1
                if n_exact * FEW_EXACT > elements and n_exact > 1:
                    with gil:
                        return None
                for s in range(n_exact):
                    i = doubts[s]
                    self.sum_again(i, False, bounds[i], &encodings[i], &clock, &stop[0])
                self.store(&encodings[0])
        finally:
            fesetenv(&callers)
        return n_doubts - n_exact, n_exact

    cdef int sum_again(
        self, Py_ssize_t i, bint in_pairs, double bound, uint64_t* encoding, PollClock* clock, const int* stop,
    ) except -1 nogil:
        """Element i by rung 2 or 3; return whether it is proved."""
        cdef const Rows* f = &self.rows
        cdef Py_ssize_t kw = i % f.w.kernel
        cdef Py_ssize_t kh = i // f.w.kernel % f.h.kernel
        cdef Py_ssize_t kd = i // (f.h.kernel * f.w.kernel) % f.d.kernel
        cdef Py_ssize_t ic = i // (f.d.kernel * f.h.kernel * f.w.kernel) % f.C
        cdef Py_ssize_t oc = i // (f.C * f.d.kernel * f.h.kernel * f.w.kernel)
        if in_pairs:
            return pair_sum(f, oc, ic, kd, kh, kw, bound, encoding, clock, stop)
        encoding[0] = exact_sum(f, oc, ic, kd, kh, kw, clock, stop)
        return True

    cdef void store(self, const uint64_t* encodings) noexcept nogil:
        """Copy the encodings to grad_weight, whatever its strides."""
        cdef Py_ssize_t i, rest, offset, elements = self.rows.groups * self.rows.K
        cdef int axis
        for axis in range(1, self.grad_weight.ndim):
            elements *= self.grad_weight.shape[axis]
        for i in range(elements):
            rest = i
            offset = 0
            for axis in range(self.grad_weight.ndim - 1, -1, -1):
                offset += rest % self.grad_weight.shape[axis] * self.grad_weight.strides[axis]
                rest = rest // self.grad_weight.shape[axis]
            write(<char*>self.grad_weight.buf + offset, 0, self.rows.target, encodings + i, 1)
