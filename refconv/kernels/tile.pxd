"""The innermost loops of the fast kernel: sums of products, kept in registers over a block of taps.

`taps[t]` is the distance in `x` between an output position's first operand and the one under tap t. With it there is
no copy of the input for each tap (no im2col): every shape of kernel, stride and dilation is this one loop.
"""
from refconv.kernels.vector cimport (
    CHANNELS, LANES, PIXELS, VECTORS, vector, vector_add, vector_fma, vector_load, vector_set, vector_store,
)

cdef enum:
    ROW_VECTORS = 6          # registers of sums for each channel of a row tile
    HALF_TILE = (PIXELS + 1) // 2


# ---------------------------------------------------------------------------------------------------------------------
# Many output channels: CHANNELS of them side by side, for PIXELS positions anywhere in the band
# ---------------------------------------------------------------------------------------------------------------------

cdef inline void channel_tile(
    const double* w,               # [tap][CHANNELS]
    const double* x,
    const Py_ssize_t* taps,
    Py_ssize_t n_taps,             # at least 1
    const Py_ssize_t* positions,   # [PIXELS], places in x
    Py_ssize_t count,              # how many of them are wanted; the others are computed or not
    vector* sums,                  # [PIXELS][VECTORS]
) noexcept nogil:
    """sums[p][c] = sum over t of  w[t][c] * x[positions[p] + taps[t]]."""
    # Constant numbers of positions, so that all sums get a register of their own.
    if count > HALF_TILE:
        tile_of(PIXELS, w, x, taps, n_taps, positions, sums)
    else:
        tile_of(HALF_TILE, w, x, taps, n_taps, positions, sums)


cdef inline void tile_of(
    int pixels, const double* w, const double* x, const Py_ssize_t* taps, Py_ssize_t n_taps,
    const Py_ssize_t* positions, vector* sums,
) noexcept nogil:
    cdef vector total[PIXELS][VECTORS]
    cdef vector weights[VECTORS]
    cdef vector operand
    cdef const double* first[PIXELS]
    cdef Py_ssize_t t
    cdef int p, v
    for v in range(VECTORS):
        weights[v] = vector_load(w + LANES * v)
    for p in range(pixels):
        first[p] = x + positions[p]
        operand = vector_set(first[p][taps[0]])
        for v in range(VECTORS):
            total[p][v] = vector_fma(operand, weights[v], vector_set(0.0))
    for t in range(1, n_taps):
        for v in range(VECTORS):
            weights[v] = vector_load(w + CHANNELS * t + LANES * v)
        for p in range(pixels):
            operand = vector_set(first[p][taps[t]])
            for v in range(VECTORS):
                total[p][v] = vector_fma(operand, weights[v], total[p][v])
    for p in range(pixels):
        for v in range(VECTORS):
            sums[p * VECTORS + v] = total[p][v]


# ---------------------------------------------------------------------------------------------------------------------
# Many output channels: CHANNELS of them, for LANES neighbouring positions of the band side by side
# ---------------------------------------------------------------------------------------------------------------------

cdef inline void neighbour_tile(
    const double* w,               # [tap][CHANNELS]
    const double* x,
    const Py_ssize_t* taps,
    Py_ssize_t n_taps,
    const vector* start,           # [CHANNELS]
    vector* sums,                  # [CHANNELS]
) noexcept nogil:
    """sums[c][q] = start[c][q] + sum over t of  w[t][c] * x[q + taps[t]]  for neighbouring positions q."""
    cdef vector total[CHANNELS]
    cdef vector operand
    cdef Py_ssize_t t
    cdef int c
    for c in range(CHANNELS):
        total[c] = start[c]
    for t in range(n_taps):
        operand = vector_load(x + taps[t])
        for c in range(CHANNELS):
            total[c] = vector_fma(vector_set(w[CHANNELS * t + c]), operand, total[c])
    for c in range(CHANNELS):
        sums[c] = total[c]


# ---------------------------------------------------------------------------------------------------------------------
# Few output channels: one or two of them, for neighbouring positions of the band
# ---------------------------------------------------------------------------------------------------------------------

cdef inline void row_tile(
    int channels,                  # 1 or 2
    int vectors,                   # registers of positions, at most ROW_VECTORS
    const double* w,               # [channel][tap]
    Py_ssize_t w_step,             # from one channel to the next
    const double* x,
    const Py_ssize_t* taps,
    Py_ssize_t n_taps,             # at least 1
    double* sums,                  # [channel][position]
    Py_ssize_t sums_step,
    bint add,
) noexcept nogil:
    """sums[c][q] (+)= sum over t of  w[c][t] * x[q + taps[t]]  for neighbouring positions q."""
    cdef vector total[2][ROW_VECTORS]
    cdef vector weights[2]
    cdef vector operand
    cdef Py_ssize_t t
    cdef int c, v
    for c in range(channels):
        weights[c] = vector_set(w[c * w_step])
    for v in range(vectors):
        operand = vector_load(x + taps[0] + LANES * v)
        for c in range(channels):
            total[c][v] = vector_fma(weights[c], operand, vector_set(0.0))
    for t in range(1, n_taps):
        for c in range(channels):
            weights[c] = vector_set(w[c * w_step + t])
        for v in range(vectors):
            operand = vector_load(x + taps[t] + LANES * v)
            for c in range(channels):
                total[c][v] = vector_fma(weights[c], operand, total[c][v])
    for c in range(channels):
        for v in range(vectors):
            if add:
                total[c][v] = vector_add(total[c][v], vector_load(sums + c * sums_step + LANES * v))
            vector_store(sums + c * sums_step + LANES * v, total[c][v])


cdef inline void row_of_tiles(
    int channels, const double* w, Py_ssize_t w_step, const double* x, const Py_ssize_t* taps, Py_ssize_t n_taps,
    Py_ssize_t length, double* sums, Py_ssize_t sums_step, bint add,
) noexcept nogil:
    """`length` neighbouring positions (and up to a register more), in constant numbers of registers."""
    cdef Py_ssize_t q = 0
    while q + ROW_VECTORS * LANES <= length:
        row_tile(channels, ROW_VECTORS, w, w_step, x + q, taps, n_taps, sums + q, sums_step, add)
        q += ROW_VECTORS * LANES
    while q + 2 * LANES <= length:
        row_tile(channels, 2, w, w_step, x + q, taps, n_taps, sums + q, sums_step, add)
        q += 2 * LANES
    if q < length:
        row_tile(channels, 1, w, w_step, x + q, taps, n_taps, sums + q, sums_step, add)
        q += LANES
    if q < length:
        row_tile(channels, 1, w, w_step, x + q, taps, n_taps, sums + q, sums_step, add)
