"""What cells.h declares, for Cython. `pairs` and `words` are registers; Cython need not know more than that."""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

cdef extern from "cells.h" nogil:
    ctypedef uint32_t quads
    ctypedef int32_t pairs
    ctypedef uint64_t words
    ctypedef int64_t narrow_words
    enum:
        CELL_CHANNELS    # output channels of a tile
        PAIR_LANES       # cells in a register; quads are like pairs
        WORD_LANES
        PAIR_VECTORS     # registers that hold one position's channels
        WORD_VECTORS
        PAIR_PIXELS      # output positions of a tile
        WORD_PIXELS
    pairs pairs_set(int32_t cell)
    words words_set(int64_t cell)
    pairs pairs_add(pairs a, pairs b)
    words words_add(words a, words b)
    bint has_fast_quads()
    quads quads_multiply_add(quads a, quads b, quads sums)
    pairs pairs_multiply_add(pairs a, pairs b, pairs sums)
    words words_multiply_add(words a, words b, words sums)
    narrow_words narrow_words_multiply_add(narrow_words a, narrow_words b, narrow_words sums)
    void gather_quads(const uint8_t** rows, uint32_t keep, uint32_t flip, int32_t* cells)
    void transpose_pairs(const int32_t* source, Py_ssize_t source_step, int32_t* target, Py_ssize_t target_step)
    void transpose_words(const int64_t* source, Py_ssize_t source_step, int64_t* target, Py_ssize_t target_step)

cdef enum:
    BLOCK_SIDE = 8       # cells that are gathered at a time, and along each side of what is transposed

# What is written for one of these is compiled for all.
ctypedef fused lanes_t:
    quads
    pairs
    words
    narrow_words

ctypedef fused cell_t:
    int32_t
    int64_t

cdef inline lanes_t broadcast(const lanes_t* cells, Py_ssize_t place) noexcept nogil:
    """All lanes equal to the cell at a place, counted in cells."""
    if lanes_t is quads or lanes_t is pairs:
        return pairs_set((<const int32_t*>cells)[place])
    else:
        return words_set((<const int64_t*>cells)[place])

cdef inline lanes_t* register_at(const lanes_t* cells, Py_ssize_t place) noexcept nogil:
    """The register whose first lane is at a place, counted in cells."""
    if lanes_t is quads or lanes_t is pairs:
        return <lanes_t*>(<int32_t*>cells + place)
    else:
        return <lanes_t*>(<int64_t*>cells + place)

cdef inline lanes_t zeros_like(const lanes_t* kind) noexcept nogil:
    if lanes_t is quads or lanes_t is pairs:
        return pairs_set(0)
    else:
        return words_set(0)

cdef inline lanes_t add(lanes_t a, lanes_t b) noexcept nogil:
    if lanes_t is quads or lanes_t is pairs:
        return pairs_add(a, b)
    else:
        return words_add(a, b)

cdef inline lanes_t multiply_add(lanes_t a, lanes_t b, lanes_t sums) noexcept nogil:
    """sums + a * b"""
    if lanes_t is quads:
        return quads_multiply_add(a, b, sums)
    elif lanes_t is pairs:
        return pairs_multiply_add(a, b, sums)
    elif lanes_t is words:
        return words_multiply_add(a, b, sums)
    else:
        return narrow_words_multiply_add(a, b, sums)

cdef inline void transpose(
    const cell_t* source, Py_ssize_t source_step, cell_t* target, Py_ssize_t target_step,
) noexcept nogil:
    """target[j * target_step + i] = source[i * source_step + j] for i and j below BLOCK_SIDE."""
    if cell_t is int32_t:
        transpose_pairs(source, source_step, target, target_step)
    else:
        transpose_words(source, source_step, target, target_step)
