# cython: language_level=3
"""How the threads of `refconv.threads` wait for each other: for a moment with open eyes, before they go to sleep.

To wake a sleeping thread takes 50 microseconds, on a virtual machine often more, and many a layer takes no longer. So a
pool thread that has done its share looks for a moment whether another run begins, and the caller whether the shares of
the others end. Nobody holds the GIL while he looks, and nobody reports before he has given it back: who sees the report
can have the GIL at once, without going to sleep over it.
"""

cdef extern from "handoff.h" nogil:
    Py_ssize_t look(const Py_ssize_t* counter)
    void step(Py_ssize_t* counter)
    void let_others_run()

cdef enum:
    LOOKS = 500              # of 0.3 to 0.5 microseconds each; on a busy machine other threads run meanwhile

cdef Py_ssize_t begun = 0    # runs, modulo the size of the counter


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
