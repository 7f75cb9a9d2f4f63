"""The two innermost loops of the fast kernel: sums of products, kept in registers over a block of taps.

`taps[t]` is the distance in `x` between an output position's first operand and the one under tap t. With it there is
no copy of the input for each tap (no im2col): every shape of kernel, stride and dilation is this one loop.
"""
from refconv.kernels.vector cimport (
    CHANNELS, LANES, PIXELS, VECTORS, vector, vector_add, vector_fma, vector_load, vector_set, vector_store,
)

cdef enum:
    ROW_VECTORS = 8          # registers of sums in a row tile


cdef inline void channel_tile(
    const double* w,               # [tap][CHANNELS]
    const double* x,
    const Py_ssize_t* taps,
    Py_ssize_t n_taps,
    const Py_ssize_t* positions,   # [PIXELS], places in x
    double* sums,                  # [PIXELS][CHANNELS]
    bint add,                      # add to what is there, or replace it
) noexcept nogil:
    """sums[p][c] (+)= sum over t of  w[t][c] * x[positions[p] + taps[t]]."""
    cdef vector total[PIXELS][VECTORS]
    cdef vector weights[VECTORS]
    cdef vector operand
    cdef const double* first[PIXELS]
    cdef Py_ssize_t t
    cdef int p, v
    for p in range(PIXELS):
        first[p] = x + positions[p]
        for v in range(VECTORS):
            total[p][v] = vector_set(0.0)
    for t in range(n_taps):
        for v in range(VECTORS):
            weights[v] = vector_load(w + CHANNELS * t + LANES * v)
        for p in range(PIXELS):
            operand = vector_set(first[p][taps[t]])
            for v in range(VECTORS):
                total[p][v] = vector_fma(operand, weights[v], total[p][v])
    if add:
        for p in range(PIXELS):
            for v in range(VECTORS):
                total[p][v] = vector_add(total[p][v], vector_load(sums + CHANNELS * p + LANES * v))
    for p in range(PIXELS):
        for v in range(VECTORS):
            vector_store(sums + CHANNELS * p + LANES * v, total[p][v])


cdef inline void wide_row_tile(
    const double* w,               # [tap]
    const double* x,
    const Py_ssize_t* taps,
    Py_ssize_t n_taps,
    double* sums,                  # [ROW_VECTORS * LANES]
    bint add,
) noexcept nogil:
    """sums[q] (+)= sum over t of  w[t] * x[q + taps[t]]  for ROW_VECTORS registers of neighbouring positions q."""
    cdef vector total[ROW_VECTORS]
    cdef vector weight
    cdef Py_ssize_t t
    cdef int v
    for v in range(ROW_VECTORS):
        total[v] = vector_set(0.0)
    for t in range(n_taps):
        weight = vector_set(w[t])
        for v in range(ROW_VECTORS):
            total[v] = vector_fma(weight, vector_load(x + taps[t] + LANES * v), total[v])
    if add:
        for v in range(ROW_VECTORS):
            total[v] = vector_add(total[v], vector_load(sums + LANES * v))
    for v in range(ROW_VECTORS):
        vector_store(sums + LANES * v, total[v])


cdef inline void narrow_row_tile(
    const double* w, const double* x, const Py_ssize_t* taps, Py_ssize_t n_taps, double* sums, bint add,
) noexcept nogil:
    """The same for one register of positions: what is left at the end of a row."""
    cdef vector total = vector_set(0.0)
    cdef Py_ssize_t t
    for t in range(n_taps):
        total = vector_fma(vector_set(w[t]), vector_load(x + taps[t]), total)
    if add:
        total = vector_add(total, vector_load(sums))
    vector_store(sums, total)
