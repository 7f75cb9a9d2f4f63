"""Work spread over Python threads; the kernels release the GIL.

No OpenMP: two OpenMP runtimes in one process (torch's and ours) spin against each other. The calling thread always
takes part, so a call makes progress even when every pool thread is busy, after a fork, and while Python shuts down.

The pool is a queue and threads that wait at it, for a moment without going to sleep (handoff.pyx). An executor of the
standard library takes three times as long to wake a thread, which is longer than many layers take to compute.
"""

import os
from _thread import allocate_lock
from collections import deque
from queue import SimpleQueue
from threading import Thread

import numpy as np

from refconv.errors import ConvError
from refconv.kernels.handoff import Latch, open_and_look_out

# The flag of a run that no other thread takes part in, and so none can stop.
NEVER = np.zeros(1, np.int32)

_MOST_THREADS = 256
_shares = SimpleQueue()
_pool = []


def _forget_pool():
    """A fork copies the list of threads, but none of them, and the queue in whatever state it was."""
    global _shares, _pool
    _shares, _pool = SimpleQueue(), []


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)


def thread_count(threads, function):
    """How many threads a call may use.

    Parameters
    ----------
    threads : int or None
        What the caller asked for; None means the environment variable ``REFCONV_NUM_THREADS``, or else the CPUs that
        this process may run on.
    function : str
        The called function, for the error message.

    Returns
    -------
    int

    Raises
    ------
    TypeError, ConvError
        If `threads` is not an int, or not between 1 and 256.
    """
    source = "argument 'threads'"
    if threads is None:
        text = os.environ.get("REFCONV_NUM_THREADS")
        if not text:
            return min(_available_cpus(), _MOST_THREADS)
        source = "the environment variable REFCONV_NUM_THREADS"
        try:
            threads = int(text)
        except ValueError:
            raise ConvError(f"{function}(): {source} must be an int of at least 1, not {text!r}") from None
    if isinstance(threads, (bool, np.bool_)) or not hasattr(threads, "__index__"):
        raise TypeError(f"{function}(): {source} must be an int or None, not {type(threads).__name__} ({threads!r})")
    threads = threads.__index__()
    if not 1 <= threads <= _MOST_THREADS:
        raise ConvError(f"{function}(): {source} must be between 1 and {_MOST_THREADS}, but got {threads}")
    return threads


def _available_cpus():
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run(work, threads):
    """Call ``work(stop)`` on up to `threads` threads, and return when all calls have.

    They find out among themselves who does what. If one raises (KeyboardInterrupt in the calling thread, say), the flag
    array `stop` is set, on which the kernels of the other threads give up soon, and the exception is raised here.

    Parameters
    ----------
    work : callable
    threads : int
    """
    if threads <= 1:
        work(NEVER)
        return
    stop = np.zeros(1, np.int32)

    def guarded():
        try:
            work(stop)
        except BaseException:
            stop[0] = 1
            raise

    shares = _hand_out(guarded, threads - 1)
    try:
        guarded()
        for share in shares:
            share.finish()
    except BaseException:
        stop[0] = 1
        for share in shares:
            share.finish()
        raise
    for share in shares:
        if share.error is not None:
            raise share.error


def run_tasks(kernel, tasks, threads):
    """Call ``kernel(*task, stop)`` for every task, on up to `threads` threads.

    Parameters
    ----------
    kernel : callable
    tasks : sequence of tuple
    threads : int
    """
    queue = deque(tasks)

    def work(stop):
        while not stop[0]:
            try:
                task = queue.popleft()
            except IndexError:
                return
            kernel(*task, stop)

    run(work, min(threads, len(queue)))


def run_units(kernel, units, threads):
    """Call ``kernel(first, last, stop)`` for ranges that cover so many units of work.

    Parameters
    ----------
    kernel : callable
    units, threads : int
    """
    if threads == 1:
        kernel(0, units, NEVER)
    else:
        step = max(units // (8 * threads), 1)
        run_tasks(kernel, [(first, min(first + step, units)) for first in range(0, units, step)], threads)


def run_channels(kernel, N, C, threads):
    """Call ``kernel(items, channels, stop)`` for ranges that cover all C channels of N batch items, neither of them 0.

    Parameters
    ----------
    kernel : callable
    N, C, threads : int
    """
    step = -(-C // min(C, -(-8 * threads // N)))
    run_tasks(kernel, [((n, n + 1), (c, min(c + step, C))) for n in range(N) for c in range(0, C, step)], threads)


class _Share:
    """A pool thread's part of a run, unless the caller calls it off first."""

    def __init__(self, work):
        self.work = work
        self.error = None
        self.finished = False
        self.taker = {}  # setdefault is atomic: the first one to write an entry has it
        self.done = allocate_lock()
        self.done.acquire()
        self.latch = Latch()  # opened after `done`, once the pool thread needs the GIL no more

    def run(self):
        """Do it, in a pool thread."""
        if self.taker.setdefault("taker", "pool") == "pool":
            try:
                self.work()
            except BaseException as error:  # for the caller to raise
                self.error = error
            self.finished = True
            self.done.release()

    def finish(self):
        """Wait for the thread that is at it. If none is, nothing is left to do. Ctrl-C may interrupt this anywhere."""
        if self.taker.setdefault("taker", "caller") == "pool":
            self.latch.wait_a_moment()
            while not self.finished:
                self.done.acquire()
        self.work = None


def _hand_out(work, count):
    """Offer `work` to `count` pool threads, in a list of shares; nobody takes them if Python is shutting down."""
    shares = [_Share(work) for _ in range(count)]
    try:
        while len(_pool) < min(count, _MOST_THREADS):
            _pool.append(Thread(target=_serve, args=(_shares,), name=f"refconv-{len(_pool)}", daemon=True))
            _pool[-1].start()
    except RuntimeError:  # "can't create new thread at interpreter shutdown"
        _pool.pop()
    for share in shares:
        _shares.put(share)
    return shares


def _serve(shares):
    """What a pool thread does, for as long as the process lives."""
    while True:
        share = shares.get()
        share.run()
        open_and_look_out(share.latch)
