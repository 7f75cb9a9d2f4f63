"""Widening to float64, element by element and in bulk. Call in the default floating-point environment (fpenv.pxd)."""
from libc.stdint cimport uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from refconv.kernels.exact cimport FLOAT16, FLOAT32, FLOAT64, FloatFormat

cdef extern from *:
    """
    #define TWO_TO_1008 0x1p1008
    """
    const double TWO_TO_1008

cdef inline double widen_bfloat16(uint16_t bits) noexcept nogil:
    """A bfloat16 is the upper half of a float32."""
    cdef uint32_t wide = <uint32_t>bits << 16
    cdef float value
    memcpy(&value, &wide, 4)
    return value

cdef inline double widen_float16(uint16_t bits) noexcept nogil:
    """Put the ten fraction bits below float64's exponent and correct the exponent by a power of two.

    Under a float64 exponent field of 0..30 the number reads as 2^-1008 of what it is (1008 = 1023 - 15), subnormals
    included, and multiplying by 2^1008 is exact.
    """
    cdef uint64_t wide = <uint64_t>(bits & 0x7FFF) << 42
    cdef double value
    if (bits & 0x7C00) == 0x7C00:                 # infinity, NaN: all exponent bits are ones in any format
        wide |= <uint64_t>0x7FF << 52
        memcpy(&value, &wide, 8)
    else:
        memcpy(&value, &wide, 8)
        value *= TWO_TO_1008
    return -value if bits & 0x8000 else value

cdef inline void widen_run(
    const char* source, FloatFormat source_format, Py_ssize_t step, double* target, Py_ssize_t count,
) noexcept nogil:
    """target[i] = the number at source + i * step bytes."""
    cdef Py_ssize_t i
    if source_format == FLOAT32:
        if step == 4:                # the form that compilers turn into vector instructions
            for i in range(count):
                target[i] = (<const float*>source)[i]
        else:
            for i in range(count):
                target[i] = (<const float*>(source + i * step))[0]
    elif source_format == FLOAT64:
        for i in range(count):
            target[i] = (<const double*>(source + i * step))[0]
    elif source_format == FLOAT16:
        for i in range(count):
            target[i] = widen_float16((<const uint16_t*>(source + i * step))[0])
    else:
        for i in range(count):
            target[i] = widen_bfloat16((<const uint16_t*>(source + i * step))[0])

cdef void widen(const void* source, FloatFormat source_format, double* target, Py_ssize_t count) noexcept nogil
