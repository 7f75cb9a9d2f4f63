"""Scratch memory: one thread's buffers for one call, taken as one block that is kept for the next call.

    cdef Region region = empty_region()
    arrange(&buffers, &region)         # any function that calls `take` for every buffer: this time it adds up sizes,
    borrow(&region)
    arrange(&buffers, &region)         # and this time it hands out memory
    ...
    give_back(&region)
"""

cdef struct Region:
    char* memory                 # aligned to cache lines; NULL until it is borrowed
    void* block                  # what malloc gave
    Py_ssize_t size              # of `memory`
    Py_ssize_t used

cdef extern from "scratch.h" nogil:
    enum:
        STRIP
    void FORBID(void* address, Py_ssize_t size)

cdef enum:
    CACHE_LINE = 64              # bytes: a register of that size loads slowly from across two lines


cdef inline Region empty_region() noexcept nogil:
    return Region(NULL, NULL, 0, 0)


cdef inline void* take(Region* region, Py_ssize_t size) noexcept nogil:
    """The next `size` bytes, of which nothing is known; NULL while the region only counts."""
    cdef Py_ssize_t start = region.used
    cdef Py_ssize_t whole = (size + CACHE_LINE - 1) // CACHE_LINE * CACHE_LINE
    region.used += whole + STRIP
    if region.memory == NULL:
        return NULL
    FORBID(region.memory + start + size, whole + STRIP - size)
    return region.memory + start


cdef int borrow(Region* region) except -1
cdef void give_back(Region* region) noexcept
