"""What cells.h declares, for Cython. `pairs` and `words` are registers; Cython need not know more than that."""
from libc.stdint cimport int32_t, int64_t, uint64_t

cdef extern from "cells.h" nogil:
    ctypedef int32_t pairs
    ctypedef uint64_t words
    ctypedef int64_t narrow_words
    enum:
        CELL_CHANNELS    # output channels of a tile
        PAIR_LANES       # cells in a register
        WORD_LANES
        PAIR_VECTORS     # registers that hold one position's channels
        WORD_VECTORS
        PAIR_PIXELS      # output positions of a tile
        WORD_PIXELS
    pairs pairs_set(int32_t cell)
    words words_set(int64_t cell)
    pairs pairs_add(pairs a, pairs b)
    words words_add(words a, words b)
    pairs pairs_multiply_add(pairs a, pairs b, pairs sums)
    words words_multiply_add(words a, words b, words sums)
    narrow_words narrow_words_multiply_add(narrow_words a, narrow_words b, narrow_words sums)

# What is written for one of these is compiled for both.
ctypedef fused lanes_t:
    pairs
    words
    narrow_words

ctypedef fused cell_t:
    int32_t
    int64_t

cdef inline lanes_t broadcast(const lanes_t* cells, Py_ssize_t place) noexcept nogil:
    """All lanes equal to the cell at a place, counted in cells."""
    if lanes_t is pairs:
        return pairs_set((<const int32_t*>cells)[place])
    else:
        return words_set((<const int64_t*>cells)[place])

cdef inline lanes_t* register_at(const lanes_t* cells, Py_ssize_t place) noexcept nogil:
    """The register whose first lane is at a place, counted in cells."""
    if lanes_t is pairs:
        return <lanes_t*>(<int32_t*>cells + place)
    else:
        return <lanes_t*>(<int64_t*>cells + place)

cdef inline lanes_t zeros_like(const lanes_t* kind) noexcept nogil:
    if lanes_t is pairs:
        return pairs_set(0)
    else:
        return words_set(0)

cdef inline lanes_t add(lanes_t a, lanes_t b) noexcept nogil:
    if lanes_t is pairs:
        return pairs_add(a, b)
    else:
        return words_add(a, b)

cdef inline lanes_t multiply_add(lanes_t a, lanes_t b, lanes_t sums) noexcept nogil:
    """sums + a * b"""
    if lanes_t is pairs:
        return pairs_multiply_add(a, b, sums)
    elif lanes_t is words:
        return words_multiply_add(a, b, sums)
    else:
        return narrow_words_multiply_add(a, b, sums)
