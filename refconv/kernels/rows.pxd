"""What weight_rows.pyx computes, and single elements of it that its bound does not prove: the rungs of ladder.pxd."""
from libc.stdint cimport uint64_t
from libc.string cimport memset

from refconv.kernels.exact cimport Accumulator, FloatFormat, add_product, clear, round_to
from refconv.kernels.filter cimport SLACK, UNIT_ROUNDOFF, is_finite, two_sum
from refconv.kernels.interrupt cimport PollClock, poll
from refconv.kernels.ladder cimport proves
from refconv.kernels.layout cimport Axis, ceil_div
from refconv.kernels.vector cimport LANES, vector, vector_fma, vector_load, vector_set, vector_store
from refconv.kernels.widen cimport widen_run
from refconv.kernels.workspace cimport Tensor

cdef enum:
    TERMS_AT_A_TIME = 64

cdef struct Rows:
    # The problem, with the names of direct_grad.pyx, and where its operands are.
    Axis d, h, w
    Py_ssize_t N, groups
    Py_ssize_t C                 # input channels in a group
    Py_ssize_t K                 # output channels in a group
    FloatFormat source, target
    Tensor x, y
    Py_ssize_t rows              # of input that a band meets
    Py_ssize_t row               # doubles in one of them, all residues together
    Py_ssize_t bands, slices     # a unit of work is a slice of a group's bands


cdef inline const char* place(
    const Tensor* a, Py_ssize_t n, Py_ssize_t c, Py_ssize_t d, Py_ssize_t h,
) noexcept nogil:
    return a.data + n * a.strides[0] + c * a.strides[1] + d * a.strides[2] + h * a.strides[3]


cdef inline int pair_sum(
    const Rows* f, Py_ssize_t oc, Py_ssize_t ic, Py_ssize_t kd, Py_ssize_t kh, Py_ssize_t kw, double bound,
    uint64_t* encoding, PollClock* clock, const int* stop,
) except -1 nogil:
    """Rung 2: sum one element in pairs of float64, one in each lane; return whether that proves its encoding.

    The bound is that of `pair_sum` in ladder.pxd, with products that are exact; `bound` is B.
    """
    cdef vector high = vector_set(0.0), low = vector_set(0.0)
    cdef double highs[LANES]
    cdef double lows[LANES]
    cdef double total = 0.0, rest = 0.0, q
    cdef double m = <double>f.N * f.d.output * f.h.output * f.w.output
    cdef Py_ssize_t n, od, oh, id, ih, channel = oc // f.K * f.C + ic
    cdef Py_ssize_t start = kw * f.w.dilation - f.w.pad          # iw of column 0
    # Columns first .. last - 1 meet the image.
    cdef Py_ssize_t first = ceil_div(-start, f.w.stride) if start < 0 else 0
    cdef Py_ssize_t last = min((f.w.size - 1 - start) // f.w.stride + 1, f.w.output) if start < f.w.size else 0
    cdef int lane
    if not is_finite(bound):
        return False
    for n in range(f.N):
        for od in range(f.d.output):
            id = od * f.d.stride - f.d.pad + kd * f.d.dilation
            if id < 0 or id >= f.d.size:
                continue
            for oh in range(f.h.output):
                poll(clock, f.w.output // 4, stop)
                ih = oh * f.h.stride - f.h.pad + kh * f.h.dilation
                if ih < 0 or ih >= f.h.size or first >= last:
                    continue
                add_row(f, place(&f.y, n, oc, od, oh) + first * f.y.strides[4],
                        place(&f.x, n, channel, id, ih) + (start + first * f.w.stride) * f.x.strides[4],
                        last - first, &high, &low)
    vector_store(highs, high)
    vector_store(lows, low)
    for lane in range(LANES):
        two_sum(total, highs[lane], &total, &q)
        rest += q + lows[lane]
    two_sum(total, rest, &total, &rest)
    return proves(total, rest, SLACK * (m + 8) * (m + 8) * UNIT_ROUNDOFF * UNIT_ROUNDOFF * bound, f.target, encoding)


cdef inline void add_row(
    const Rows* f, const char* y, const char* x, Py_ssize_t count, vector* high, vector* low,
) noexcept nogil:
    """high + low += the products of `count` numbers, a lane for every LANES-th of them."""
    cdef double y_terms[TERMS_AT_A_TIME]
    cdef double x_terms[TERMS_AT_A_TIME]
    cdef Py_ssize_t y_step = f.y.strides[4], x_step = f.w.stride * f.x.strides[4], n, i
    cdef vector sums = high[0], errors = low[0], term, total, part
    while count > 0:
        n = min(count, TERMS_AT_A_TIME)
        if n < TERMS_AT_A_TIME:
            memset(y_terms, 0, sizeof(y_terms))
            memset(x_terms, 0, sizeof(x_terms))
        widen_run(y, f.source, y_step, y_terms, n)
        widen_run(x, f.source, x_step, x_terms, n)
        i = 0
        while i < n:
            term = vector_fma(vector_load(y_terms + i), vector_load(x_terms + i), vector_set(0.0))
            # two_sum of filter.pxd
            total = sums + term
            part = total - sums
            errors = errors + ((sums - (total - part)) + (term - part))
            sums = total
            i += LANES
        y += n * y_step
        x += n * x_step
        count -= n
    high[0] = sums
    low[0] = errors


cdef inline uint64_t exact_sum(
    const Rows* f, Py_ssize_t oc, Py_ssize_t ic, Py_ssize_t kd, Py_ssize_t kh, Py_ssize_t kw, PollClock* clock,
    const int* stop,
) except? 0 nogil:
    """Rung 3: the nest of direct_grad.pyx for one element."""
    cdef Accumulator total
    cdef Py_ssize_t n, od, oh, ow, id, ih, iw, channel = oc // f.K * f.C + ic
    cdef const char* y
    cdef const char* x
    cdef double y_value, x_value
    clear(&total)
    for n in range(f.N):
        for od in range(f.d.output):
            id = od * f.d.stride - f.d.pad + kd * f.d.dilation
            if id < 0 or id >= f.d.size:
                continue
            for oh in range(f.h.output):
                poll(clock, f.w.output, stop)
                ih = oh * f.h.stride - f.h.pad + kh * f.h.dilation
                if ih < 0 or ih >= f.h.size:
                    continue
                y = place(&f.y, n, oc, od, oh)
                x = place(&f.x, n, channel, id, ih)
                for ow in range(f.w.output):
                    iw = ow * f.w.stride - f.w.pad + kw * f.w.dilation
                    if iw < 0 or iw >= f.w.size:
                        continue
                    widen_run(y + ow * f.y.strides[4], f.source, f.y.strides[4], &y_value, 1)
                    widen_run(x + iw * f.x.strides[4], f.source, f.x.strides[4], &x_value, 1)
                    add_product(&total, y_value, x_value)
    return round_to(&total, f.target)
