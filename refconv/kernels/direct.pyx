# cython: language_level=3
# cython: wraparound=False
# cython: initializedcheck=False
# wraparound: range tests precede every read, so an index is never negative and need not be tested for it.
# initializedcheck: every array is an argument, so it exists.
# boundscheck is left to setup.py: off in a release, on in a debug build.
"""Convolution by its definition: one exact sum per output element, rounded once.

    output[n, oc, oh, ow] = round( bias[oc] + sum over ic, kh, kw of  input[n, first_ic + ic, ih, iw] * weight[oc, ic, kh, kw] )

        ih = oh * stride_h - pad_top  + kh * dilation_h
        iw = ow * stride_w - pad_left + kw * dilation_w

This is cross-correlation, which deep learning calls convolution: the kernel is not flipped.
A tap that falls outside the input is not a term of the sum, whatever its weight; nothing is stored around the image.

array                indexed by              sizes
input                [n, g*ic + ic, ih, iw]  N, C_in, H, W
weight               [oc, ic, kh, kw]        C_out, C_in/groups, kH, kW
bias                 [oc]                    C_out
output               [n, oc, oh, ow]         N, C_out, oH, oW

What this file refuses to do: check its arguments (``problem.py`` has done it), block, vectorise, or save time.
``blocked.pyx`` does all three and must return the same bits. Operands arrive as float64, which holds every float16,
bfloat16, float32 and float64 exactly; results leave as encodings, the integer reading of the output format's bits.
"""
from libc.stdint cimport uint16_t, uint32_t, uint64_t

from refconv.kernels.exact cimport Accumulator, FloatFormat, add_product, add_value, clear, round_to
from refconv.kernels.interrupt cimport PollClock, poll

# The integer that holds an encoding of the output format: 16, 32 or 64 bits.
ctypedef fused encoding_t:
    uint16_t
    uint32_t
    uint64_t


def conv2d(
    const double[:, :, :, ::1] input,
    const double[:, :, :, ::1] weight,
    const double[::1] bias,                  # may be None
    encoding_t[:, :, :, ::1] output,
    FloatFormat target,
    (Py_ssize_t, Py_ssize_t) stride,
    (Py_ssize_t, Py_ssize_t) padding,        # (pad_top, pad_left); the ends only shape the output
    (Py_ssize_t, Py_ssize_t) dilation,
    Py_ssize_t groups,
    (Py_ssize_t, Py_ssize_t) items,          # the batch items to compute: first, one past the last
    (Py_ssize_t, Py_ssize_t) rows,           # the output rows to compute
    const int[::1] stop,                     # set by another thread to abandon the work
):
    """Write the encodings of output[n, :, oh, :] for n in `items` and oh in `rows`."""
    cdef Py_ssize_t H = input.shape[2], W = input.shape[3]
    cdef Py_ssize_t kH = weight.shape[2], kW = weight.shape[3]
    cdef Py_ssize_t oW = output.shape[3]
    cdef Py_ssize_t C_in_per_group = weight.shape[1]
    cdef Py_ssize_t C_out_per_group = weight.shape[0] // groups
    cdef Py_ssize_t stride_h = stride[0], stride_w = stride[1]
    cdef Py_ssize_t pad_top = padding[0], pad_left = padding[1]
    cdef Py_ssize_t dilation_h = dilation[0], dilation_w = dilation[1]
    cdef Py_ssize_t n, g, oc, oh, ow, ic, kh, kw, ih, iw, first_ic
    cdef bint has_bias = bias is not None
    cdef Accumulator total
    cdef PollClock clock = PollClock(0)

    # [loop-nest]
    with nogil:
        for n in range(items[0], items[1]):
            for g in range(groups):
                first_ic = g * C_in_per_group
                for oc in range(g * C_out_per_group, (g + 1) * C_out_per_group):
                    for oh in range(rows[0], rows[1]):
                        for ow in range(oW):
                            clear(&total)
                            for ic in range(C_in_per_group):
                                for kh in range(kH):
                                    ih = oh * stride_h - pad_top + kh * dilation_h
                                    if ih < 0 or ih >= H:
                                        continue                # the tap lies above or below the image
                                    poll(&clock, kW, &stop[0])  # Ctrl-C
                                    for kw in range(kW):
                                        iw = ow * stride_w - pad_left + kw * dilation_w
                                        if iw < 0 or iw >= W:
                                            continue            # left or right of the image
                                        add_product(&total, weight[oc, ic, kh, kw], input[n, first_ic + ic, ih, iw])
                            if has_bias:
                                add_value(&total, bias[oc])
                            output[n, oc, oh, ow] = <encoding_t>round_to(&total, target)
    # [/loop-nest]
