"""Handing over work between threads that do not sleep: handoff.pyx."""

cdef void begin() noexcept nogil
