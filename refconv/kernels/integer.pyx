# cython: language_level=3
# cython: wraparound=False
# cython: initializedcheck=False
# wraparound: range tests precede every read, so an index is never negative and need not be tested for it.
# initializedcheck: every array is an argument, so it exists.
# boundscheck is left to setup.py: off in a release, on in a debug build.
"""Integer convolution by its definition: one exact sum per output element, made to fit its format once.

    output[n, oc, od, oh, ow] = fit( bias[oc] + sum over ic, kd, kh, kw of
                                         input[n, first_ic + ic, id, ih, iw] * weight[oc, ic, kd, kh, kw] )

        id = od * stride_d - pad_front + kd * dilation_d          ih, iw alike

This is cross-correlation, which deep learning calls convolution: the kernel is not flipped. A tap that falls outside
the input is not a term of the sum. `fit` takes the sum modulo 2^bits or clamps it to the range of the format; the sum
itself never overflows. It is kept in three words, as the integer

         +-----------------+-----------------+-----------------+
         |  high (signed)  |     middle      |       low       |
         +-----------------+-----------------+-----------------+
            times 2^128        times 2^64         times 1

A product of two 64-bit numbers is below 2^128, and refconv.limits sees to it that there are fewer than 2^63 of them.

What this file refuses to do: check its arguments (``problem.py`` has done it), block, vectorise, or save time.
``blocked_integer.pyx`` does all three. Operands arrive as 64-bit words, sign-extended, and with a word on whether their
format has a sign. The transposed convolution and the gradients come here as correlations (``adjoint.py``).
"""
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint64_t

from refconv.kernels.interrupt cimport PollClock, poll

# A result, by its size: its lowest bytes are the same with and without a sign.
ctypedef fused result_t:
    int8_t
    int16_t
    int32_t
    int64_t

cdef extern from *:
    """
    #define DIGIT UINT64_C(0xFFFFFFFF)             /* the low 32 bits of a word */
    """
    const uint64_t DIGIT

cdef struct Sum:
    uint64_t low, middle
    int64_t high


def correlate(
    const uint64_t[:, :, :, :, ::1] input,
    const uint64_t[:, :, :, :, ::1] weight,
    const uint64_t[::1] bias,                            # may be None
    result_t[:, :, :, :, :] output,                      # its size says how many windows there are
    (bint, bint, bint) signs,                            # whether the formats of input, weight and bias have a sign
    bint wrap,                                           # take sums modulo 2^bits, or else clamp them
    int64_t lowest,                                      # the range of the output format
    uint64_t highest,
    (Py_ssize_t, Py_ssize_t, Py_ssize_t) stride,
    (Py_ssize_t, Py_ssize_t, Py_ssize_t) padding,        # (pad_front, pad_top, pad_left); negative ones crop
    (Py_ssize_t, Py_ssize_t, Py_ssize_t) dilation,
    Py_ssize_t groups,
    (Py_ssize_t, Py_ssize_t) items,                      # the batch items to compute: first, one past the last
    (Py_ssize_t, Py_ssize_t) channels,                   # the output channels to compute
    const int[::1] stop,                                 # set by another thread to abandon the work
):
    """Write output[n, oc] for n in `items` and oc in `channels`; return the place of the first clamped element, or -1.

    The place counts the elements of the output in C order.
    """
    cdef Py_ssize_t D = input.shape[2], H = input.shape[3], W = input.shape[4]
    cdef Py_ssize_t kD = weight.shape[2], kH = weight.shape[3], kW = weight.shape[4]
    cdef Py_ssize_t C_out = output.shape[1], oD = output.shape[2], oH = output.shape[3], oW = output.shape[4]
    cdef Py_ssize_t C_in_per_group = weight.shape[1]
    cdef Py_ssize_t C_out_per_group = weight.shape[0] // groups
    cdef Py_ssize_t stride_d = stride[0], stride_h = stride[1], stride_w = stride[2]
    cdef Py_ssize_t pad_front = padding[0], pad_top = padding[1], pad_left = padding[2]
    cdef Py_ssize_t dilation_d = dilation[0], dilation_h = dilation[1], dilation_w = dilation[2]
    cdef Py_ssize_t n, g, oc, od, oh, ow, ic, kd, kh, kw, id, ih, iw, first_ic, first_clamped = -1
    cdef bint has_bias = bias is not None
    cdef Sum total
    cdef uint64_t result
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
                            poll(&clock, 1, &stop[0])               # Ctrl-C
                            total = Sum(0, 0, 0)
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
                                            add_product(&total, weight[oc, ic, kd, kh, kw], signs[1],
                                                        input[n, first_ic + ic, id, ih, iw], signs[0])
                            if has_bias:
                                add_product(&total, bias[oc], signs[2], 1, False)
                            result = total.low
                            if not wrap and not fits(&total, lowest, highest):
                                result = <uint64_t>lowest if total.high < 0 else highest
                                if first_clamped < 0:               # the loops run in C order
                                    first_clamped = (((n * C_out + oc) * oD + od) * oH + oh) * oW + ow
                            output[n, oc, od, oh, ow] = <result_t>result
    # [/loop-nest]
    return first_clamped


cdef inline void add_product(Sum* total, uint64_t w, bint w_signed, uint64_t x, bint x_signed) noexcept nogil:
    """total += w * x, by way of the absolute values: even that of -2^63 is a 64-bit number without a sign."""
    cdef bint w_negative = w_signed and w >> 63
    cdef bint x_negative = x_signed and x >> 63
    cdef uint64_t high, low
    multiply(0 - w if w_negative else w, 0 - x if x_negative else x, &high, &low)
    if x_negative == w_negative:
        add(total, low, high, 0)
    else:
        add(total, ~low, ~high, -1)              # -p = ~p + 1
        add(total, 1, 0, 0)


cdef inline void add(Sum* total, uint64_t low, uint64_t middle, int64_t high) noexcept nogil:
    """Add word by word. A word has overflowed if it is less than what was added to it."""
    cdef uint64_t carry
    total.low += low
    carry = total.low < low
    middle += carry
    carry = middle < carry                       # then the middle is 0 and can carry no more
    total.middle += middle
    carry += total.middle < middle
    total.high += high + <int64_t>carry


cdef inline void multiply(uint64_t a, uint64_t b, uint64_t* high, uint64_t* low) noexcept nogil:
    """high * 2^64 + low = a * b: long multiplication with 32-bit digits (C has no 128-bit type)."""
    cdef uint64_t a0 = a & DIGIT, a1 = a >> 32
    cdef uint64_t b0 = b & DIGIT, b1 = b >> 32
    # (2^32 - 1)^2 + 2^32 - 1 < 2^64: neither overflows.
    cdef uint64_t middle = a1 * b0 + ((a0 * b0) >> 32)
    cdef uint64_t other = a0 * b1 + (middle & DIGIT)
    high[0] = a1 * b1 + (middle >> 32) + (other >> 32)
    low[0] = (other << 32) | ((a0 * b0) & DIGIT)


cdef inline bint fits(const Sum* total, int64_t lowest, uint64_t highest) noexcept nogil:
    """Whether lowest <= total <= highest."""
    if total.high == 0:
        return total.middle == 0 and total.low <= highest
    # A negative number is at least -2^63 if its upper words are all ones and the low one begins with a one.
    return total.high == -1 and ~total.middle == 0 and total.low >> 63 and <int64_t>total.low >= lowest
