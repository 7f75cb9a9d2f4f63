# cython: language_level=3
"""How the threads of `refconv.threads` wait for each other: they look for a moment before they go to sleep.

To wake a sleeping thread takes some 25 microseconds, on a virtual machine 50 and more; many a layer takes no longer.

    caller                                    pool thread
    puts a share into the queue               looks whether a run begins (open_and_look_out)
    gives up the GIL, and begins (begin)      sees it, takes the share, with the GIL, and gives that up again
    computes                                  computes
    looks whether the share is done           is done: takes the GIL, notes it, gives the GIL up
      (wait_a_moment)                         opens the latch, and looks whether another run begins
    sees it, and returns

Nobody holds the GIL while he looks, and nobody reports before he has given it back: who sees the report can have the
GIL at once, without going to sleep over it. Who has looked in vain sleeps, at the queue or at the share's lock, and is
woken as ever. So a report that is missed, or that was meant for another caller's thread, costs time and nothing else.
"""

cdef extern from "handoff.h" nogil:
    Py_ssize_t look(const Py_ssize_t* counter)
    void step(Py_ssize_t* counter)
    void let_others_run()

cdef enum:
    LOOKS = 500              # of 0.3 to 0.5 microseconds each; on a busy machine other threads run between them

cdef Py_ssize_t begun = 0    # runs of all callers


cdef void begin() noexcept nogil:
    """To be called by a kernel as soon as it has given up the GIL."""
    step(&begun)


cdef class Latch:
    """Opened once, at the end of a share."""
    cdef Py_ssize_t steps

    def wait_a_moment(self):
        """Return when it is open, or after a moment."""
        cdef int i = 0
        with nogil:
            while i < LOOKS and look(&self.steps) == 0:
                let_others_run()
                i += 1


def open_and_look_out(Latch latch):
    """Open a latch, and return when another run has begun, or after a moment."""
    cdef int i = 0
    cdef Py_ssize_t before = look(&begun)        # before the caller, who waits for the latch, can begin another run
    with nogil:
        step(&latch.steps)
        while i < LOOKS and look(&begun) == before:
            let_others_run()
            i += 1
