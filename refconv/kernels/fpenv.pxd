"""The floating-point environment: refconv computes in the default one, whatever its caller's is.

torch.set_flush_denormal(True), a library built with -ffast-math, or a changed rounding mode alter what the processor
does with *our* additions and conversions too. The environment belongs to the thread, so every thread that runs a
kernel enters the default one and gives its own back.

The compiler may move arithmetic over these calls, but not reads and writes of memory: put them around a function that
reads its operands from memory and writes its results there.
"""
cdef extern from "<fenv.h>" nogil:
    ctypedef struct fenv_t:
        pass
    const fenv_t* FE_DFL_ENV
    int fegetenv(fenv_t*)
    int fesetenv(const fenv_t*)
