"""The two innermost loops of the fast integer kernel: those of tile.pxd, on cells (cells.h) instead of doubles.

All their loops but one have constant lengths, without which compilers would not keep the sums in registers. That a
constant argument becomes one inside cannot be relied on, so there is none.

Each is compiled four times over: for quads, pairs, words and narrow words.
"""
from refconv.kernels.cells cimport (
    PAIR_LANES, PAIR_PIXELS, PAIR_VECTORS, WORD_LANES, WORD_PIXELS, WORD_VECTORS, add, broadcast, lanes_t, multiply_add,
    pairs, quads, register_at, zeros_like,
)

cdef enum:
    MOST_VECTORS = 8         # registers that hold one position's channels, at most
    MOST_PIXELS = 12         # positions of a tile, at most
    ROW_VECTORS = 6          # registers of sums of a row tile; with them no more cells than READABLE_AFTER


cdef inline void channel_tile(
    const lanes_t* w,              # [tap][CELL_CHANNELS]
    const lanes_t* x,
    const Py_ssize_t* taps,
    Py_ssize_t n_taps,
    const Py_ssize_t* positions,   # [pixels], places in x
    lanes_t* sums,                 # [pixels][CELL_CHANNELS]
    bint more,                     # add to what is there, or replace it
) noexcept nogil:
    """sums[p][c] (+)= sum over t of  w[t][c] * x[positions[p] + taps[t]], for all positions of a tile."""
    cdef int vectors = PAIR_VECTORS if lanes_t is quads or lanes_t is pairs else WORD_VECTORS
    cdef int pixels = PAIR_PIXELS if lanes_t is quads or lanes_t is pairs else WORD_PIXELS
    cdef lanes_t total[MOST_PIXELS][MOST_VECTORS]
    cdef lanes_t operand
    cdef Py_ssize_t t
    cdef int p, v
    for p in range(pixels):
        for v in range(vectors):
            total[p][v] = zeros_like(sums)
    for t in range(n_taps):
        for p in range(pixels):
            operand = broadcast(x, positions[p] + taps[t])
            for v in range(vectors):
                total[p][v] = multiply_add(operand, w[t * vectors + v], total[p][v])
    for p in range(pixels):
        for v in range(vectors):
            if more:
                total[p][v] = add(total[p][v], sums[p * vectors + v])
            sums[p * vectors + v] = total[p][v]


cdef inline void row_tile(
    const lanes_t* w,              # [tap], as cells
    const lanes_t* x,
    const Py_ssize_t* taps,
    Py_ssize_t n_taps,
    Py_ssize_t q,                  # the first position, a place in x and in sums
    lanes_t* sums,
    bint more,
) noexcept nogil:
    """sums[q] (+)= sum over t of  w[t] * x[q + taps[t]], for ROW_VECTORS registers of neighbouring positions q."""
    cdef int lanes = PAIR_LANES if lanes_t is quads or lanes_t is pairs else WORD_LANES
    cdef lanes_t total[ROW_VECTORS]
    cdef lanes_t weight
    cdef Py_ssize_t t
    cdef int v
    for v in range(ROW_VECTORS):
        total[v] = zeros_like(sums)
    for t in range(n_taps):
        weight = broadcast(w, t)
        for v in range(ROW_VECTORS):
            total[v] = multiply_add(register_at(x, q + taps[t] + lanes * v)[0], weight, total[v])
    for v in range(ROW_VECTORS):
        if more:
            total[v] = add(total[v], register_at(sums, q + lanes * v)[0])
        register_at(sums, q + lanes * v)[0] = total[v]
