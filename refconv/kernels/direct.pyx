# cython: language_level=3
# cython: wraparound=False
# cython: initializedcheck=False
# wraparound: range tests precede every read, so an index is never negative and need not be tested for it.
# initializedcheck: every array is an argument, so it exists.
# boundscheck is left to setup.py: off in a release, on in a debug build.
"""Convolution by its definition: one exact sum per output element, rounded once.

    output[n, oc, od, oh, ow] = round( bias[oc] + sum over ic, kd, kh, kw of
                                       weight[oc, ic, kd, kh, kw] * input[n, first_ic + ic, id, ih, iw] )

        id = od * stride_d - pad_front + kd * dilation_d
        ih = oh * stride_h - pad_top   + kh * dilation_h
        iw = ow * stride_w - pad_left  + kw * dilation_w

This is cross-correlation, which deep learning calls convolution: the kernel is not flipped.
A tap that falls outside the input is not a term of the sum, whatever its weight; nothing is stored around the image.
The three axes are alike and know nothing of each other. A 2-D convolution is a 3-D one of depth 1: D = kD = oD = 1 with
stride 1 and no padding, so that od, kd and id are always 0. A 1-D convolution has height 1 as well.

array                indexed by                     sizes
input                [n, first_ic + ic, id, ih, iw] N, C_in, D, H, W
weight               [oc, ic, kd, kh, kw]           C_out, C_in/groups, kD, kH, kW
bias                 [oc]                           C_out
output               [n, oc, od, oh, ow]            N, C_out, oD, oH, oW

What this file refuses to do: check its arguments (``problem.py`` has done it), block, vectorise, or save time.
``blocked.pyx`` does all three and must return the same bits. Operands arrive as float64, which holds every float16,
bfloat16, float32 and float64 exactly; results leave as encodings, the integer reading of the output format's bits.
The gradients, and with them the transposed convolution, are in ``direct_grad.pyx``, next to the lines of this file.
"""
from libc.stdint cimport uint16_t, uint32_t, uint64_t

from refconv.kernels.exact cimport Accumulator, FloatFormat, add_product, add_value, clear, round_to
from refconv.kernels.interrupt cimport PollClock, poll

# The integer that holds an encoding of the output format: 16, 32 or 64 bits.
ctypedef fused encoding_t:
    uint16_t
    uint32_t
    uint64_t

cdef enum:
    ROUNDING = 32        # clearing and rounding a sum takes as long as adding this many products


def correlate(
    const double[:, :, :, :, ::1] input,
    const double[:, :, :, :, ::1] weight,
    const double[::1] bias,                              # may be None
    encoding_t[:, :, :, :, :] output,                    # its size says how many windows there are
    FloatFormat target,
    (Py_ssize_t, Py_ssize_t, Py_ssize_t) stride,
    (Py_ssize_t, Py_ssize_t, Py_ssize_t) padding,        # (pad_front, pad_top, pad_left); negative ones crop
    (Py_ssize_t, Py_ssize_t, Py_ssize_t) dilation,
    Py_ssize_t groups,
    (Py_ssize_t, Py_ssize_t) items,                      # the batch items to compute: first, one past the last
    (Py_ssize_t, Py_ssize_t) channels,                   # the output channels to compute
    const int[::1] stop,                                 # set by another thread to abandon the work
):
    """Write the encodings of output[n, oc] for n in `items` and oc in `channels`."""
    cdef Py_ssize_t D = input.shape[2], H = input.shape[3], W = input.shape[4]
    cdef Py_ssize_t kD = weight.shape[2], kH = weight.shape[3], kW = weight.shape[4]
    cdef Py_ssize_t oD = output.shape[2], oH = output.shape[3], oW = output.shape[4]
    cdef Py_ssize_t C_in_per_group = weight.shape[1]
    cdef Py_ssize_t C_out_per_group = weight.shape[0] // groups
    cdef Py_ssize_t stride_d = stride[0], stride_h = stride[1], stride_w = stride[2]
    cdef Py_ssize_t pad_front = padding[0], pad_top = padding[1], pad_left = padding[2]
    cdef Py_ssize_t dilation_d = dilation[0], dilation_h = dilation[1], dilation_w = dilation[2]
    cdef Py_ssize_t n, g, oc, od, oh, ow, ic, kd, kh, kw, id, ih, iw, first_ic
    cdef bint has_bias = bias is not None
    cdef Accumulator total
    cdef PollClock clock = PollClock(0)

    # [loop-nest]
    with nogil:
        for n in range(items[0], items[1]):
            for oc in range(channels[0], channels[1]):
                g = oc // C_out_per_group                           # a group sees its own input channels only
                first_ic = g * C_in_per_group
                for od in range(oD):
                    for oh in range(oH):
                        for ow in range(oW):
                            poll(&clock, ROUNDING, &stop[0])        # Ctrl-C
                            clear(&total)
                            for ic in range(C_in_per_group):
                                for kd in range(kD):
                                    id = od * stride_d - pad_front + kd * dilation_d
                                    if id < 0 or id >= D:
                                        continue                    # the tap lies before or behind the image
                                    for kh in range(kH):
                                        poll(&clock, kW, &stop[0])
                                        ih = oh * stride_h - pad_top + kh * dilation_h
                                        if ih < 0 or ih >= H:
                                            continue                # above or below it
                                        for kw in range(kW):
                                            iw = ow * stride_w - pad_left + kw * dilation_w
                                            if iw < 0 or iw >= W:
                                                continue            # left or right of it
                                            add_product(&total, weight[oc, ic, kd, kh, kw],
                                                        input[n, first_ic + ic, id, ih, iw])
                            if has_bias:
                                add_value(&total, bias[oc])
                            output[n, oc, od, oh, ow] = <encoding_t>round_to(&total, target)
    # [/loop-nest]
