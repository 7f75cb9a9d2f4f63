# cython: language_level=3
# cython: wraparound=False
# cython: initializedcheck=False
# The directives are those of direct.pyx, for the same reasons.
"""The gradients of a convolution by their definitions: one exact sum per element, rounded once.

The forward line, from ``direct.pyx``, with its index map (id and iw go like ih):

    output[n, oc, od, oh, ow] = bias[oc] + sum over ic, kd, kh, kw of
                                weight[oc, ic, kd, kh, kw] * input[n, first_ic + ic, id, ih, iw]

        ih = oh * stride_h - pad_top + kh * dilation_h

Let grad_output be the derivatives of some number L (a loss) by the elements of output. The line is linear in each
operand, so the derivative of L by an element of an operand is the sum, over all products in which the element occurs,
of grad_output times the other factor:

    grad_input[n, first_ic + ic, id, ih, iw] = sum over oc, kd, kh, kw of
                                               grad_output[n, oc, od, oh, ow] * weight[oc, ic, kd, kh, kw]
    grad_weight[oc, ic, kd, kh, kw]          = sum over n, od, oh, ow of
                                               grad_output[n, oc, od, oh, ow] * input[n, first_ic + ic, id, ih, iw]
    grad_bias[oc]                            = sum over n, od, oh, ow of grad_output[n, oc, od, oh, ow]

In the first sum ih is given and the index map is solved for oh. A transposed convolution is that sum and nothing else:
its input is our grad_output, its output is our grad_input, and it adds a bias.

The legend, the formats and the refusals are those of direct.pyx; each gradient has the sizes of its operand.
"""
from libc.stdint cimport uint16_t, uint32_t, uint64_t

from refconv.kernels.exact cimport Accumulator, FloatFormat, add_product, add_value, clear, round_to
from refconv.kernels.interrupt cimport PollClock, poll

ctypedef fused encoding_t:
    uint16_t
    uint32_t
    uint64_t

cdef enum:
    ROUNDING = 32        # clearing and rounding a sum takes as long as adding this many products


cdef inline Py_ssize_t window(
    Py_ssize_t i, Py_ssize_t k, Py_ssize_t stride, Py_ssize_t pad, Py_ssize_t dilation, Py_ssize_t windows,
) except -2 nogil:
    """The window o whose tap k falls on input i, or -1: the solution of  i = o * stride - pad + k * dilation."""
    cdef Py_ssize_t distance = i + pad - k * dilation        # from the first window's start, in inputs
    if distance < 0 or distance % stride != 0 or distance // stride >= windows:
        return -1
    return distance // stride


def input_gradient(
    const double[:, :, :, :, ::1] grad_output,
    const double[:, :, :, :, ::1] weight,
    const double[::1] bias,                              # of a transposed convolution, [first_ic + ic]; or None
    encoding_t[:, :, :, :, :] grad_input,
    FloatFormat target,
    (Py_ssize_t, Py_ssize_t, Py_ssize_t) stride,
    (Py_ssize_t, Py_ssize_t, Py_ssize_t) padding,
    (Py_ssize_t, Py_ssize_t, Py_ssize_t) dilation,
    Py_ssize_t groups,
    (Py_ssize_t, Py_ssize_t) items,
    (Py_ssize_t, Py_ssize_t) channels,
    const int[::1] stop,
):
    """Write the encodings of grad_input[n, c] for n in `items` and c in `channels`."""
    cdef Py_ssize_t D = grad_input.shape[2], H = grad_input.shape[3], W = grad_input.shape[4]
    cdef Py_ssize_t kD = weight.shape[2], kH = weight.shape[3], kW = weight.shape[4]
    cdef Py_ssize_t oD = grad_output.shape[2], oH = grad_output.shape[3], oW = grad_output.shape[4]
    cdef Py_ssize_t C_in_per_group = weight.shape[1]
    cdef Py_ssize_t C_out_per_group = weight.shape[0] // groups
    cdef Py_ssize_t stride_d = stride[0], stride_h = stride[1], stride_w = stride[2]
    cdef Py_ssize_t pad_front = padding[0], pad_top = padding[1], pad_left = padding[2]
    cdef Py_ssize_t dilation_d = dilation[0], dilation_h = dilation[1], dilation_w = dilation[2]
    cdef Py_ssize_t n, g, c, oc, od, oh, ow, ic, kd, kh, kw, id, ih, iw
    cdef bint has_bias = bias is not None
    cdef Accumulator total
    cdef PollClock clock = PollClock(0)

    with nogil:
        for n in range(items[0], items[1]):
            for c in range(channels[0], channels[1]):
                g = c // C_in_per_group
                ic = c % C_in_per_group                             # c = first_ic + ic
                for id in range(D):
                    for ih in range(H):
                        for iw in range(W):
                            # output[n, oc, od, oh, ow] += weight[oc, ic, kd, kh, kw] * input[n, c, id, ih, iw]
                            poll(&clock, ROUNDING, &stop[0])
                            clear(&total)
                            for oc in range(g * C_out_per_group, (g + 1) * C_out_per_group):
                                for kd in range(kD):
                                    od = window(id, kd, stride_d, pad_front, dilation_d, oD)
                                    if od < 0:
                                        continue                    # tap kd of no window falls on id
                                    for kh in range(kH):
                                        poll(&clock, kW, &stop[0])
                                        oh = window(ih, kh, stride_h, pad_top, dilation_h, oH)
                                        if oh < 0:
                                            continue
                                        for kw in range(kW):
                                            ow = window(iw, kw, stride_w, pad_left, dilation_w, oW)
                                            if ow < 0:
                                                continue
                                            add_product(&total, weight[oc, ic, kd, kh, kw],
                                                        grad_output[n, oc, od, oh, ow])
                            if has_bias:
                                add_value(&total, bias[c])
                            grad_input[n, c, id, ih, iw] = <encoding_t>round_to(&total, target)


def weight_gradient(
    const double[:, :, :, :, ::1] input,
    const double[:, :, :, :, ::1] grad_output,
    encoding_t[:, :, :, :, :] grad_weight,
    FloatFormat target,
    (Py_ssize_t, Py_ssize_t, Py_ssize_t) stride,
    (Py_ssize_t, Py_ssize_t, Py_ssize_t) padding,
    (Py_ssize_t, Py_ssize_t, Py_ssize_t) dilation,
    Py_ssize_t groups,
    (Py_ssize_t, Py_ssize_t) filters,
    (Py_ssize_t, Py_ssize_t) channels,
    const int[::1] stop,
):
    """Write the encodings of grad_weight[oc, ic] for oc in `filters` and ic in `channels`."""
    cdef Py_ssize_t N = input.shape[0], D = input.shape[2], H = input.shape[3], W = input.shape[4]
    cdef Py_ssize_t kD = grad_weight.shape[2], kH = grad_weight.shape[3], kW = grad_weight.shape[4]
    cdef Py_ssize_t oD = grad_output.shape[2], oH = grad_output.shape[3], oW = grad_output.shape[4]
    cdef Py_ssize_t C_in_per_group = grad_weight.shape[1]
    cdef Py_ssize_t C_out_per_group = grad_weight.shape[0] // groups
    cdef Py_ssize_t stride_d = stride[0], stride_h = stride[1], stride_w = stride[2]
    cdef Py_ssize_t pad_front = padding[0], pad_top = padding[1], pad_left = padding[2]
    cdef Py_ssize_t dilation_d = dilation[0], dilation_h = dilation[1], dilation_w = dilation[2]
    cdef Py_ssize_t n, g, oc, od, oh, ow, ic, kd, kh, kw, id, ih, iw, first_ic
    cdef Accumulator total
    cdef PollClock clock = PollClock(0)

    with nogil:
        for oc in range(filters[0], filters[1]):
            g = oc // C_out_per_group
            first_ic = g * C_in_per_group
            for ic in range(channels[0], channels[1]):
                for kd in range(kD):
                    for kh in range(kH):
                        for kw in range(kW):
                            # output[n, oc, od, oh, ow] += weight[oc, ic, kd, kh, kw] * input[n, first_ic + ic, ...]
                            poll(&clock, ROUNDING, &stop[0])
                            clear(&total)
                            for n in range(N):
                                for od in range(oD):
                                    id = od * stride_d - pad_front + kd * dilation_d
                                    if id < 0 or id >= D:
                                        continue
                                    for oh in range(oH):
                                        poll(&clock, oW, &stop[0])
                                        ih = oh * stride_h - pad_top + kh * dilation_h
                                        if ih < 0 or ih >= H:
                                            continue
                                        for ow in range(oW):
                                            iw = ow * stride_w - pad_left + kw * dilation_w
                                            if iw < 0 or iw >= W:
                                                continue
                                            add_product(&total, grad_output[n, oc, od, oh, ow],
                                                        input[n, first_ic + ic, id, ih, iw])
                            grad_weight[oc, ic, kd, kh, kw] = <encoding_t>round_to(&total, target)


def bias_gradient(
    const double[:, :, :, :, ::1] grad_output,
    encoding_t[::1] grad_bias,
    FloatFormat target,
    const int[::1] stop,
):
    """Write the encodings of grad_bias."""
    cdef Py_ssize_t n, oc, od, oh, ow
    cdef Accumulator total
    cdef PollClock clock = PollClock(0)

    with nogil:
        for oc in range(grad_output.shape[1]):
            # output[n, oc, od, oh, ow] += bias[oc]
            poll(&clock, ROUNDING, &stop[0])
            clear(&total)
            for n in range(grad_output.shape[0]):
                for od in range(grad_output.shape[2]):
                    for oh in range(grad_output.shape[3]):
                        poll(&clock, grad_output.shape[4], &stop[0])
                        for ow in range(grad_output.shape[4]):
                            add_value(&total, grad_output[n, oc, od, oh, ow])
            grad_bias[oc] = <encoding_t>round_to(&total, target)
