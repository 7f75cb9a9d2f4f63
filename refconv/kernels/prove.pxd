"""From the sums of a tile to proved results: the rounding test, and the output written."""
from libc.math cimport fabs
from libc.stdint cimport uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from refconv.kernels.band cimport largest_finite
from refconv.kernels.bounds cimport Strip, cut_bound, plain_bound, plain_factor
from refconv.kernels.exact cimport FLOAT32, FLOAT64, FloatFormat
from refconv.kernels.filter cimport (
    LOWEST_GRID, SLACK, TWO_TO_53, UNDERFLOW_STEP, UNIT_ROUNDOFF, accept, accept_pair, is_finite, lowest_bit,
    power_of_two, two_sum,
)
from refconv.kernels.grids cimport apply_grids, apply_grids_to_joins, know_input_bits
from refconv.kernels.layout cimport Layout, Unit, tile_channels
from refconv.kernels.modular cimport error_of_join, join_proved
from refconv.kernels.vector cimport (
    CHANNELS, LANES, VECTORS, store_proved, store_transposed, vector, vector_add, vector_fma, vector_load, vector_set,
    vector_test_float32,
)
from refconv.kernels.workspace cimport CUT_ALL, CUT_HIGH, MODULAR, WHOLE, Call, Cut, Workspace

# ---------------------------------------------------------------------------------------------------------------------
# The output
# ---------------------------------------------------------------------------------------------------------------------

cdef inline char* output_place(const Call* call, const Unit* unit, Py_ssize_t oc, Py_ssize_t p) noexcept nogil:
    cdef const Py_ssize_t* strides = &call.y.strides[0]
    return (call.y.data + unit.n * strides[0] + (unit.oc + oc) * strides[1] + unit.od * strides[2]
            + (unit.oh + p // unit.columns) * strides[3] + (unit.ow + p % unit.columns) * strides[4])


cdef inline void write(
    char* target, Py_ssize_t step, FloatFormat target_format, const uint64_t* encodings, Py_ssize_t count,
) noexcept nogil:
    """Store encodings `step` bytes apart."""
    cdef Py_ssize_t j
    if target_format == FLOAT32:
        for j in range(count):
            (<uint32_t*>(target + j * step))[0] = <uint32_t>encodings[j]
    elif target_format == FLOAT64:
        for j in range(count):
            (<uint64_t*>(target + j * step))[0] = encodings[j]
    else:
        for j in range(count):
            (<uint16_t*>(target + j * step))[0] = <uint16_t>encodings[j]


cdef inline void note_doubts(
    Workspace* s, int doubtful, Py_ssize_t oc, Py_ssize_t oc_step, Py_ssize_t p, Py_ssize_t p_step,
) noexcept nogil:
    """List the elements whose bits are set."""
    cdef Py_ssize_t j = 0
    while doubtful:
        if doubtful & 1:
            s.doubts[2 * s.n_doubts] = p + j * p_step
            s.doubts[2 * s.n_doubts + 1] = oc + j * oc_step
            s.n_doubts += 1
        doubtful >>= 1
        j += 1


# ---------------------------------------------------------------------------------------------------------------------
# A tile
# ---------------------------------------------------------------------------------------------------------------------

cdef inline void prove_tile(
    const Call* call, Workspace* s, const Unit* unit, Py_ssize_t oc, Cut cut, bint grids,
) noexcept nogil:
    """Test the sums of a tile, with the grids if asked to; write what is proved, list what is in doubt."""
    s.n_doubts = 0
    if grids:
        know_input_bits(call, s, unit)
    cdef Py_ssize_t c
    if call.layout.by_rows:
        for c in range(tile_channels(&call.layout, unit, oc)):
            if call.layout.target == FLOAT32 and cut == WHOLE and not grids:
                prove_rows_float32(call, s, unit, oc + c, s.first + c * call.layout.sums_step)
            else:
                prove_rows(call, s, unit, oc + c, c * call.layout.sums_step, cut, grids)
    elif call.layout.target == FLOAT32 and cut == WHOLE and not grids:
        prove_channels_float32(call, s, unit, oc)
    elif call.layout.target == FLOAT32 and cut == MODULAR:
        if grids:                    # a constant, so that the other case need not ask
            prove_joins_float32(call, s, unit, oc, True)
        else:
            prove_joins_float32(call, s, unit, oc, False)
    else:
        prove_channels(call, s, unit, oc, cut, grids)


cdef struct ChannelBounds:
    # What the float32 test of a channel tile needs, in registers.
    vector measures[VECTORS]     # times plain_factor
    vector biases[VECTORS]
    vector bias_bounds[VECTORS]  # times plain_factor
    bint finite                  # all of the above, and so the bound of every position whose measure is
    Py_ssize_t lanes             # channels that exist
    char* origin                 # of position 0 and the first channel
    bint dense                   # neighbouring positions are neighbouring floats, also at the end of a row


cdef inline void set_bounds(
    const Call* call, const Workspace* s, const Unit* unit, Py_ssize_t oc, ChannelBounds* bounds,
) noexcept nogil:
    cdef const Layout* f = &call.layout
    cdef double scaled_measure[CHANNELS]
    cdef double scaled_bias[CHANNELS]
    cdef int j, v
    bounds.finite = True
    for j in range(CHANNELS):
        scaled_measure[j] = plain_factor(f) * s.w_measure[oc + j]
        scaled_bias[j] = plain_factor(f) * fabs(s.bias[oc + j])
        # Measures of float32 numbers lie below 2^200: no product of two of them overflows.
        bounds.finite = bounds.finite and is_finite(scaled_measure[j]) and is_finite(scaled_bias[j])
    for v in range(VECTORS):
        bounds.measures[v] = vector_load(scaled_measure + LANES * v)
        bounds.bias_bounds[v] = vector_load(scaled_bias + LANES * v)
        bounds.biases[v] = vector_load(s.bias + oc + LANES * v)
    bounds.lanes = min(CHANNELS, unit.channels - oc)
    bounds.origin = output_place(call, unit, oc, 0)
    bounds.dense = call.y.strides[4] == 4 and call.y.strides[3] == 4 * unit.columns


cdef inline void prove_channels_float32(const Call* call, Workspace* s, const Unit* unit, Py_ssize_t oc) noexcept nogil:
    """prove_channels for the case that must be fast."""
    cdef ChannelBounds bounds
    cdef vector sums[CHANNELS * VECTORS]
    cdef Py_ssize_t p = 0, i, count
    cdef char* block
    set_bounds(call, s, unit, oc, &bounds)
    while p < unit.count:
        count = min(CHANNELS, unit.count - p)
        for i in range(count * VECTORS):
            sums[i] = vector_load(s.first + p * CHANNELS + i * LANES)
        block = block_of(call, unit, oc, &bounds, p, count)
        if not prove_block(call, s, &bounds, p, block, sums):
            prove_positions(call, s, unit, oc, &bounds, p, count, block, sums)
        p += count


cdef inline char* block_of(
    const Call* call, const Unit* unit, Py_ssize_t oc, const ChannelBounds* bounds, Py_ssize_t p, Py_ssize_t count,
) noexcept nogil:
    """Where CHANNELS positions from p on go if they are neighbouring floats, for CHANNELS channels; else NULL."""
    if count < CHANNELS or bounds.lanes < CHANNELS:
        return NULL
    if bounds.dense:
        return bounds.origin + 4 * p
    if call.y.strides[4] == 4 and p % unit.columns + CHANNELS <= unit.columns:
        return output_place(call, unit, oc, p)
    return NULL


cdef inline bint prove_block(
    const Call* call, const Workspace* s, const ChannelBounds* bounds, Py_ssize_t p, char* block, const vector* sums,
) noexcept nogil:
    """Whether a block is proved by one bound for all its positions, the first of which is a multiple of CHANNELS.

    If so, as nearly always, it is written. sums[position][VECTORS].
    """
    cdef vector errors[VECTORS]
    cdef int v
    if block == NULL or not bounds.finite or not s.x_finite:
        return False
    for v in range(VECTORS):
        errors[v] = vector_fma(
            bounds.measures[v], vector_set(s.x_measure_of_eight[p // CHANNELS]), bounds.bias_bounds[v])
    return store_proved(sums, bounds.biases, errors, block, call.y.strides[1])


cdef inline void prove_positions(
    const Call* call, Workspace* s, const Unit* unit, Py_ssize_t oc, const ChannelBounds* bounds, Py_ssize_t p,
    Py_ssize_t count, char* block, const vector* sums,
) noexcept nogil:
    """Test and write up to CHANNELS positions, one by one; sums[position][VECTORS]."""
    cdef float rounded[CHANNELS][CHANNELS]               # [position][channel]
    cdef int everything = (1 << bounds.lanes) - 1
    cdef Py_ssize_t i, j
    cdef char* target
    cdef int v, doubtful
    for i in range(count):
        doubtful = 0
        for v in range(VECTORS):
            doubtful |= vector_test_float32(
                vector_add(sums[i * VECTORS + v], bounds.biases[v]),
                vector_fma(bounds.measures[v], vector_set(s.x_measure[p + i]), bounds.bias_bounds[v]),
                &rounded[i][LANES * v],
            ) << (LANES * v)
        if doubtful & everything:
            note_doubts(s, doubtful & everything, oc, 1, p + i, 0)
    if block != NULL:
        store_transposed(&rounded[0][0], block, call.y.strides[1])
        return
    for i in range(count):
        target = output_place(call, unit, oc, p + i)
        for j in range(bounds.lanes):
            (<float*>(target + j * call.y.strides[1]))[0] = rounded[i][j]


cdef inline void prove_channels(
    const Call* call, Workspace* s, const Unit* unit, Py_ssize_t oc, Cut cut, bint grids,
) noexcept nogil:
    cdef Strip strip
    cdef Py_ssize_t p
    start_strip(s, unit, oc, &strip)
    for p in range(unit.count):
        prove_position(call, s, unit, &strip, p, cut, grids)


cdef inline void start_strip(const Workspace* s, const Unit* unit, Py_ssize_t oc, Strip* strip) noexcept nogil:
    """What is the same for all positions."""
    cdef Py_ssize_t j
    strip.lanes = min(CHANNELS, unit.channels - oc)
    strip.oc, strip.oc_step, strip.p_step = oc, 1, 0
    for j in range(CHANNELS):
        strip.w_measure[j] = s.w_measure[oc + j]
        strip.w_low_measure[j] = s.w_low_measure[oc + j]
        strip.w_grid[j] = s.w_grid[oc + j]
        strip.bias[j] = s.bias[oc + j]


cdef inline void prove_position(
    const Call* call, Workspace* s, const Unit* unit, Strip* strip, Py_ssize_t p, Cut cut, bint grids,
) noexcept nogil:
    cdef Py_ssize_t j
    strip.p = p
    for j in range(CHANNELS):
        strip.first[j] = s.first[p * CHANNELS + j]
        strip.second[j] = s.second[p * CHANNELS + j]
        strip.third[j] = s.third[p * CHANNELS + j]
        strip.x_measure[j] = s.x_measure[p]
    prove_strip(call, s, unit, strip, call.y.strides[1], cut, grids)


cdef inline void prove_joins_float32(
    const Call* call, Workspace* s, const Unit* unit, Py_ssize_t oc, bint grids,
) noexcept nogil:
    """prove_channels after a sum modulo 2^52: with one bound for all positions, and again where that does not do."""
    cdef Strip strip
    cdef ChannelBounds bounds
    cdef double errors[CHANNELS]
    cdef float rounded[CHANNELS]
    cdef double x_measure = largest_finite(s.x_measure, unit.count)
    cdef double x_low = 0.0
    cdef Py_ssize_t p, j
    cdef char* target
    for p in range(unit.count):
        x_low = max(x_low, s.x_low_at[p])
    start_strip(s, unit, oc, &strip)
    set_bounds(call, s, unit, oc, &bounds)
    for j in range(CHANNELS):
        errors[j] = error_of_join(&call.layout, s, oc + j, x_measure, x_low)
    if grids:
        apply_grids_to_joins(call, s, unit, oc, x_measure, x_low, errors)
    for p in range(unit.count):
        if is_finite(s.x_measure[p]) and bounds.lanes == CHANNELS and join_proved(
                s.first + p * CHANNELS, s.second + p * CHANNELS, s.third + p * CHANNELS, bounds.biases, errors,
                grids, rounded):
            target = output_place(call, unit, oc, p)
            for j in range(CHANNELS):
                (<float*>(target + j * call.y.strides[1]))[0] = rounded[j]
        else:
            prove_position(call, s, unit, &strip, p, MODULAR, grids)


cdef inline void prove_rows_float32(
    const Call* call, Workspace* s, const Unit* unit, Py_ssize_t oc, const double* sums,
) noexcept nogil:
    """prove_rows for the case that must be fast, in registers."""
    cdef const Layout* f = &call.layout
    cdef float rounded[LANES]
    cdef vector measure = vector_set(plain_factor(f) * s.w_measure[oc])
    cdef vector bias_bound = vector_set(plain_factor(f) * fabs(s.bias[oc]))
    cdef vector bias = vector_set(s.bias[oc])
    cdef Py_ssize_t row, column, j, p, lanes
    cdef Py_ssize_t column_step = call.y.strides[4]
    cdef char* target
    cdef int doubtful
    for row in range(unit.rows):
        p = row * unit.columns
        target = output_place(call, unit, oc, p)
        column = 0
        while column < unit.columns:
            lanes = min(LANES, unit.columns - column)
            doubtful = vector_test_float32(
                vector_add(vector_load(sums + row * f.w.extent + column), bias),
                vector_fma(measure, vector_load(s.x_measure + p + column), bias_bound),
                rounded,
            )
            if lanes == LANES and column_step == 4:
                memcpy(target, rounded, 4 * LANES)
            else:
                for j in range(lanes):
                    (<float*>(target + j * column_step))[0] = rounded[j]
            doubtful &= (1 << lanes) - 1
            if doubtful:
                note_doubts(s, doubtful, oc, 0, p + column, 1)
            target += lanes * column_step
            column += lanes


cdef inline void prove_rows(
    const Call* call, Workspace* s, const Unit* unit, Py_ssize_t oc, Py_ssize_t sums, Cut cut, bint grids,
) noexcept nogil:
    """`sums` is where the channel's are among those of the tile."""
    cdef const Layout* f = &call.layout
    cdef Strip strip
    cdef Py_ssize_t row, column, j
    memset(&strip, 0, sizeof(strip))
    strip.oc, strip.oc_step, strip.p_step = oc, 0, 1
    for j in range(CHANNELS):
        strip.w_measure[j] = s.w_measure[oc]
        strip.w_low_measure[j] = s.w_low_measure[oc]
        strip.w_grid[j] = s.w_grid[oc]
        strip.bias[j] = s.bias[oc]
    for row in range(unit.rows):
        column = 0
        while column < unit.columns:
            strip.lanes = min(CHANNELS, unit.columns - column)
            strip.p = row * unit.columns + column
            for j in range(strip.lanes):
                strip.first[j] = s.first[sums + row * f.w.extent + column + j]
                strip.second[j] = s.second[sums + row * f.w.extent + column + j]
                strip.third[j] = s.third[sums + row * f.w.extent + column + j]
                strip.x_measure[j] = s.x_measure[strip.p + j]
            prove_strip(call, s, unit, &strip, call.y.strides[4], cut, grids)
            column += strip.lanes


cdef inline void prove_strip(
    const Call* call, Workspace* s, const Unit* unit, Strip* strip, Py_ssize_t step, Cut cut, bint grids,
) noexcept nogil:
    """The rounding test for one strip; its elements are `step` bytes apart in the output."""
    cdef const Layout* f = &call.layout
    cdef double high[CHANNELS]
    cdef double low[CHANNELS]
    cdef double error, rest
    cdef int doubtful, j
    if cut == WHOLE:
        for j in range(CHANNELS):
            high[j] = strip.first[j] + strip.bias[j]
        plain_bound(f, strip)
        if grids:
            apply_grids(f, s, strip, WHOLE)
        doubtful = accept(high, strip.e, f.target, strip.encodings)
    else:
        for j in range(CHANNELS):
            two_sum(strip.first[j], strip.bias[j], &high[j], &error)
            two_sum(high[j], strip.second[j], &high[j], &rest)
            rest += error
            if cut != CUT_HIGH:
                rest += strip.third[j]
            two_sum(high[j], rest, &high[j], &low[j])
        if cut == MODULAR:
            for j in range(CHANNELS):
                strip.e[j] = error_of_join(f, s, strip.oc + j, s.x_measure[strip.p], s.x_low_at[strip.p])
        else:
            cut_bound(f, s, strip, cut)
        if grids:
            apply_grids(f, s, strip, cut)
        doubtful = accept_pair(high, low, strip.e, f.target, strip.encodings)
    doubtful &= (1 << strip.lanes) - 1
    write(output_place(call, unit, strip.oc, strip.p), step, f.target, strip.encodings, strip.lanes)
    if doubtful:
        note_doubts(s, doubtful, strip.oc, strip.oc_step, strip.p, strip.p_step)
