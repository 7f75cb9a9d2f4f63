"""Stopping a long loop: Ctrl-C, or another thread's word that the work is no longer wanted."""
from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport int64_t

cdef enum:
    # Work between two looks: a few milliseconds, at 1 to 10 ns a unit.
    WORK_BETWEEN_POLLS = 1 << 19

cdef struct PollClock:
    int64_t work               # units of work since the last look

cdef inline int poll(PollClock* clock, int64_t work, const int* stop) except -1 nogil:
    """Count `work` units; now and then raise KeyboardInterrupt if a signal is waiting or `stop` was set."""
    clock.work += work
    if clock.work < WORK_BETWEEN_POLLS:
        return 0
    clock.work = 0
    with gil:
        PyErr_CheckSignals()
        if stop[0]:
            raise KeyboardInterrupt("the other threads of this call were interrupted")
    return 0
