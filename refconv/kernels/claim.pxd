"""Units of work are given out by a counter that threads share: claim.h."""

cdef extern from "claim.h" nogil:
    Py_ssize_t claim_next(Py_ssize_t* counter)
