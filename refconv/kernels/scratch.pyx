# cython: language_level=3
# cython: cdivision=True
"""Scratch memory that outlives a call. How to use it: scratch.pxd.

Fresh memory costs a page fault for every 4 KiB, and large blocks go back to the system when they are freed. For a layer
of a few million multiply-adds that took several times as long as the convolution.

All of this is called with the GIL, which protects the list of kept blocks. A fork copies it.
"""
from libc.stdlib cimport free, malloc

cdef enum:
    KEPT_BLOCKS = 64
    LARGEST_KEPT = 1 << 24       # bytes; the buffers of nearly all layers are smaller

cdef extern from "scratch.h" nogil:
    void ALLOW(void* address, Py_ssize_t size)
    void MAKE_UNUSABLE(void* address, Py_ssize_t size)

# Blocks that nobody uses now, the last one given back at the end: its contents may still be in a cache.
cdef Region kept[KEPT_BLOCKS]
cdef int n_kept = 0


cdef int borrow(Region* region) except -1:
    """Give the region memory for all that has been taken from it, and start anew.

    Raises
    ------
    MemoryError
    """
    global n_kept
    cdef Py_ssize_t needed = region.used
    region.used = 0
    if n_kept > 0:
        n_kept -= 1
        region[0] = kept[n_kept]
        if region.size >= needed:
            MAKE_UNUSABLE(region.memory, region.size)
            return 0
        free(region.block)
    region.block = malloc(needed + CACHE_LINE)
    if region.block == NULL:
        region.memory = NULL
        raise MemoryError(f"cannot allocate {needed} bytes of workspace")
    region.memory = <char*>((<size_t>region.block + CACHE_LINE - 1) // CACHE_LINE * CACHE_LINE)
    region.size = needed
    MAKE_UNUSABLE(region.memory, region.size)
    return 0


cdef void give_back(Region* region) noexcept:
    """Keep the memory, if there was any, for whoever borrows next."""
    global n_kept
    if region.memory == NULL:
        return
    ALLOW(region.memory, region.size)
    if region.size > LARGEST_KEPT or n_kept == KEPT_BLOCKS:
        free(region.block)
    else:
        region.used = 0
        kept[n_kept] = region[0]
        n_kept += 1
    region[0] = empty_region()
