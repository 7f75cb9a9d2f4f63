"""Sums that are proved in the registers in which they were added up: those of one block of taps, rounded to float32.

With few taps the rounding test takes nearly as long as the sums. It is cheapest where the registers lie along
positions: CHANNELS sums of LANES neighbours each,

    low = (bias - e) + sum of products,    high = low + 2 e,

begin with bias - e instead of zero, so that the test has one addition to do, and come out in the order of the output.
If low and high round to the same float32, that is the result (THE TEST of filter.pxd). The sum of products rounds as
often as one that the bias joins at the end, and 2 e is added once: the roundings that bound 1 counts.
"""
from refconv.kernels.exact cimport FLOAT32
from refconv.kernels.layout cimport Layout, Unit, ceil_div
from refconv.kernels.prove cimport (
    ChannelBounds, block_of, output_place, prove_block, prove_positions, set_bounds,
)
from refconv.kernels.tile cimport channel_tile, neighbour_tile
from refconv.kernels.vector cimport (
    CHANNELS, LANES, PIXELS, PROVES_NEIGHBOURS, SUMMED, VECTORS, store_neighbours, vector, vector_fma,
    vector_set, vector_store,
)
from refconv.kernels.workspace cimport Call, Workspace

cdef enum:
    STRETCH = 64                     # positions that share one bound: a multiple of LANES
    TEST_OF_NEIGHBOURS = 3           # what the rounding test of a tile costs, in taps,
    TEST_OF_POSITIONS = 6            # and where it has to transpose its results


cdef inline bint in_registers(const Layout* f) noexcept nogil:
    """Whether a tile's sums are complete after one block, and can be proved without going through memory."""
    return f.blocks == 1 and f.terms > 0 and not f.by_rows and f.target == FLOAT32


cdef inline void sum_and_prove(const Call* call, Workspace* s, const Unit* unit, Py_ssize_t oc) noexcept nogil:
    """The sums of a tile of channels; what is proved is written, what is in doubt is listed."""
    cdef ChannelBounds bounds
    cdef Py_ssize_t run, p = 0
    s.n_doubts = 0
    set_bounds(call, s, unit, oc, &bounds)
    run = run_length(call, s, unit, &bounds)
    if run == 0:
        sum_and_prove_positions(call, s, unit, oc, &bounds, 0, unit.count)
        return
    while p < unit.count:
        sum_and_prove_run(call, s, unit, oc, &bounds, p, p + run)
        p += run


cdef inline Py_ssize_t run_length(
    const Call* call, const Workspace* s, const Unit* unit, const ChannelBounds* bounds,
) noexcept nogil:
    """How many positions at a time are neighbours in the band and in the output; 0 if that is of no use."""
    cdef const Layout* f = &call.layout
    cdef Py_ssize_t tiles, run = unit.columns             # a row,
    if bounds.dense and unit.columns == f.w.extent:       # or all rows, if nothing lies between them here or there
        run = unit.count
    if not PROVES_NEIGHBOURS or run < LANES or bounds.lanes < CHANNELS or call.y.strides[4] != 4:
        return 0
    if not bounds.finite or not s.x_finite:               # a bound for many positions is none if one of them has none
        return 0
    # The end of each run is a tile of its own, which has to be worth it.
    tiles = unit.count // run * ceil_div(run, LANES)
    if tiles * (f.terms + TEST_OF_NEIGHBOURS) > ceil_div(unit.count, PIXELS) * (f.terms + TEST_OF_POSITIONS):
        return 0
    return run


cdef inline void sum_and_prove_run(
    const Call* call, Workspace* s, const Unit* unit, Py_ssize_t oc, const ChannelBounds* bounds, Py_ssize_t p,
    Py_ssize_t end,
) noexcept nogil:
    """Positions p to end - 1, LANES at a time; the last LANES overlap with those before, and come to the same."""
    cdef const Layout* f = &call.layout
    cdef const double* w = s.w + oc * f.terms
    # Moved back by p: since positions of a run are neighbours, the one numbered q is at x + q and at target + 4 q.
    cdef const double* x = s.x + s.positions[p] - p
    cdef char* target = output_place(call, unit, oc, p) - 4 * p
    cdef vector start[CHANNELS]
    cdef vector sums[CHANNELS]
    cdef double twice[CHANNELS]
    cdef Py_ssize_t stop, q
    while p < end:
        stop = min(p + STRETCH, end)
        set_errors(s, bounds, min(p, end - LANES), stop, start, twice)
        while p < stop:
            q = min(p, end - LANES)
            neighbour_tile(w, x + q, s.taps, f.terms, start, sums)
            if not store_neighbours(sums, twice, target + 4 * q, call.y.strides[1]):
                sum_and_prove_positions(call, s, unit, oc, bounds, p, q + LANES)
            p = q + LANES


cdef inline void set_errors(
    const Workspace* s, const ChannelBounds* bounds, Py_ssize_t p, Py_ssize_t end, vector* start, double* twice,
) noexcept nogil:
    """Of channel c at positions p to end - 1, start[c] = bias - e and twice[c] = 2 e, for the largest e of them."""
    cdef double errors[CHANNELS]
    cdef double biases[CHANNELS]
    cdef double largest = 0.0
    cdef Py_ssize_t eight
    cdef int c, v
    for eight in range(p // CHANNELS, (end - 1) // CHANNELS + 1):      # of CHANNELS positions each, which are 8
        largest = max(largest, s.x_measure_of_eight[eight])
    for v in range(VECTORS):
        vector_store(errors + LANES * v, vector_fma(bounds.measures[v], vector_set(largest), bounds.bias_bounds[v]))
        vector_store(biases + LANES * v, bounds.biases[v])
    for c in range(CHANNELS):
        start[c] = vector_set(biases[c] - errors[c])
        twice[c] = 2 * errors[c]


cdef inline void sum_and_prove_positions(
    const Call* call, Workspace* s, const Unit* unit, Py_ssize_t oc, const ChannelBounds* bounds, Py_ssize_t p,
    Py_ssize_t end,
) noexcept nogil:
    """The same for positions p to end - 1 wherever they lie: registers along channels, a bound for each position."""
    cdef const Layout* f = &call.layout
    cdef vector sums[SUMMED * VECTORS]
    cdef vector spilled[CHANNELS * VECTORS]
    cdef Py_ssize_t q, count, i
    cdef char* block
    while p < end:
        count = min(SUMMED, end - p)
        q = 0
        while q < count:
            channel_tile(
                s.w + oc * f.terms, s.x, s.taps, f.terms, s.positions + p + q, end - p - q, sums + q * VECTORS)
            q += PIXELS
        q = 0
        while q < count:
            block = block_of(call, unit, oc, bounds, p + q, count - q)
            if not prove_block(call, s, bounds, p + q, block, sums + q * VECTORS):
                for i in range(CHANNELS * VECTORS):      # a copy, so that the sums can stay in registers otherwise
                    spilled[i] = sums[q * VECTORS + i]
                prove_positions(call, s, unit, oc, bounds, p + q, min(CHANNELS, count - q), block, spilled)
            q += CHANNELS
        p += SUMMED
