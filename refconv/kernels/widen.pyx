# cython: language_level=3
"""Every float16, bfloat16 and float32 as the float64 of the same value.

Widening is exact. NaN payloads are not kept: any NaN is as good as another here.
"""
from libc.stdint cimport uint16_t
from libc.string cimport memcpy

from refconv.kernels.exact cimport BFLOAT16, FLOAT16, FLOAT32, FloatFormat
from refconv.kernels.fpenv cimport FE_DFL_ENV, fegetenv, fenv_t, fesetenv


cdef void widen(const void* source, FloatFormat source_format, double* target, Py_ssize_t count) noexcept nogil:
    """Write `count` numbers of the source format to `target` as float64; call it in the default environment."""
    cdef Py_ssize_t i
    if source_format == FLOAT16:
        for i in range(count):
            target[i] = widen_float16((<const uint16_t*>source)[i])
    elif source_format == BFLOAT16:
        for i in range(count):
            target[i] = widen_bfloat16((<const uint16_t*>source)[i])
    elif source_format == FLOAT32:
        for i in range(count):
            target[i] = (<const float*>source)[i]
    else:
        memcpy(target, source, 8 * count)


def widened(const unsigned char[::1] source, FloatFormat source_format, double[::1] target):
    """Fill `target` with the numbers whose bytes are in `source`."""
    cdef fenv_t callers
    with nogil:
        fegetenv(&callers)
        fesetenv(FE_DFL_ENV)       # under DAZ a float32 subnormal would widen to zero
        if target.shape[0] > 0:
            widen(&source[0], source_format, &target[0], target.shape[0])
        fesetenv(&callers)
