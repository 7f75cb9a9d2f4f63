"""How the fast kernel lays out a problem: sizes, phases, bands, blocks. Plain numbers, shared by all threads of a call.

A unit of work is a band (some output rows and columns of one output plane of one batch item) for a chunk of the output
channels of one group. For it the input under the band is widened to float64, once, with its padding as zeros:

    band[plane][phase_h][phase_w][row][column]          plane = ic * kD + kd

holds input[n, ic, id(kd), ih, iw] with  ih = (first_oh + row) * stride_h + residue_h[phase_h] - pad_top,  iw alike,
and residue_h[phase] = phase * dilation_h % stride_h.
Sorting rows and columns by their residue modulo the stride (a polyphase split) makes neighbouring outputs neighbours
in memory: the operand of output position (row, column) under tap (ic, kd, kh, kw) is at

    row * pitch + column  +  tap_offset[ic, kd, kh, kw]

for every stride and dilation. Only residues that some tap uses are stored.
"""
from refconv.kernels.exact cimport FloatFormat

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
    bint oversized               # the buffers would be unreasonably large (a huge dilation, say): use another kernel
    Py_ssize_t N, groups
    Py_ssize_t C                 # input channels in a group
    Py_ssize_t K                 # output channels in a group
    FloatFormat source, target
    bint sliced                  # sum slices from the start: float64 operands or results
    bint by_rows                 # few output channels in a group: vectorise over positions instead
    bint euclidean               # measures are root sums of squares, else maximum and absolute sum
    Py_ssize_t terms             # C * kD * kH * kW
    Py_ssize_t planes            # C * kD
    Py_ssize_t plane             # doubles in one plane of the band
    Py_ssize_t block             # taps summed in registers before they are added up
    Py_ssize_t blocks
    Py_ssize_t chunk             # output channels whose weights are packed at a time
    Py_ssize_t chunks
    Py_ssize_t positions         # outputs in a full band
    Py_ssize_t sums              # doubles in the buffer of sums
    Py_ssize_t items             # bands of all batch items
    Py_ssize_t units             # items * chunks * groups
