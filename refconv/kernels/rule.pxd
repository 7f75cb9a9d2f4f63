"""What an error is compared with, at the first look: numbers that `refconv.testing.screening` has derived."""

cdef struct Rule:
    double of_m                # allowed error: of_m * m * A + of_y * |y| + least
    double of_y
    double least
    double square_of_m         # usual error squared: (square_of_m * m + square) * y**2 + (flat * m + flat_by_m) * Q,
    double square              # where Q, the sum of the terms' squares, is at least A**2 / m
    double flat
    double flat_by_m
    double largest             # above all A, so that nothing overflows
    int largest_scale          # exponent of the largest power of two that A may be multiplied by
