"""The integer formats, and the ways in which the fast kernel sums."""

# The formats that operands and results can have.
cpdef enum IntegerFormat:
    INT8 = 0
    INT16 = 1
    INT32 = 2
    INT64 = 3
    UINT8 = 4
    UINT16 = 5
    UINT32 = 6
    UINT64 = 7

# What the caller has proved about operands and sums.
cpdef enum Arithmetic:
    QUADS = 0            # input int8 or uint8, weights int8, no sum beyond int32
    PAIRS = 1            # operands in the range of int16, no partial sum beyond int32
    NARROW_WORDS = 2     # operands in the range of int32, no partial sum beyond int64, or sums wanted modulo 2^64
    WORDS = 3            # no partial sum beyond int64, or sums wanted modulo 2^64
