# cython: language_level=3
"""What somebody else's Cython code would do with refconv's accumulator."""
from libc.stdint cimport int64_t, uint64_t

from refconv.kernels.exact cimport (
    BFLOAT16, FLOAT16, FLOAT32, FLOAT64, Accumulator, FloatFormat, add_product, add_value, clear, round_to,
)

cdef FloatFormat[4] FORMATS = [FLOAT16, BFLOAT16, FLOAT32, FLOAT64]


def round_to_all(const double[:] x, const double[:] w):
    """The encodings of one dot product in the four formats, rounded one after the other from one sum."""
    cdef Accumulator acc
    cdef Py_ssize_t i
    cdef uint64_t[4] encodings
    with nogil:
        clear(&acc)
        for i in range(x.shape[0]):
            add_product(&acc, x[i], w[i])
        for i in range(4):
            encodings[i] = round_to(&acc, FORMATS[i])
    return list(encodings)


def running_sums(const double[:] x):
    """The float64 encodings of x[0], x[0] + x[1], x[0] + x[1] + x[2], ..., from one accumulator."""
    cdef Accumulator acc
    cdef Py_ssize_t i
    encodings = []
    clear(&acc)
    for i in range(x.shape[0]):
        add_value(&acc, x[i])
        encodings.append(round_to(&acc, FLOAT64))
    return encodings


def settled_on_the_way(const double[:] x, const double[:] w, int64_t terms):
    """The float64 encoding, and the accumulator's count of terms, if it has already seen a number of zero terms."""
    cdef Accumulator acc
    cdef Py_ssize_t i
    clear(&acc)
    acc.terms = terms
    for i in range(x.shape[0]):
        add_product(&acc, x[i], w[i])
    return acc.terms, round_to(&acc, FLOAT64)
