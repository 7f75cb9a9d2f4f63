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
    PAIRS = 0            # operands in the range of int16, no partial sum beyond int32
    NARROW_WORDS = 1     # operands in the range of int32, no partial sum beyond int64, or sums wanted modulo 2^64
    WORDS = 2            # no partial sum beyond int64, or sums wanted modulo 2^64
