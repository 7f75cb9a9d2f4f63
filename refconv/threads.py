"""Work spread over Python threads; the kernels release the GIL.

No OpenMP: two OpenMP runtimes in one process (torch's and ours) spin against each other. The calling thread always
takes part, so a call makes progress even when every pool thread is busy, after a fork, and while Python shuts down.
"""

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np

from refconv.errors import ConvError

# The flag of a run that no other thread takes part in, and so none can stop.
NEVER = np.zeros(1, np.int32)

_MOST_THREADS = 256
_pool = None


def _forget_pool():
    """A fork copies the pool object but none of its threads."""
    global _pool
    _pool = None


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


def run(kernel, tasks, threads):
    """Call ``kernel(*task, stop)`` for every task, on up to `threads` threads, and return when all are done.

    If one raises (KeyboardInterrupt in the calling thread, say), the flag array `stop` is set, on which the kernels
    of the other threads give up soon, and the exception is raised here.

    Parameters
    ----------
    kernel : callable
    tasks : sequence of tuple
    threads : int
    """
    stop = np.zeros(1, np.int32)
    queue = deque(tasks)

    def work():
        try:
            while queue and not stop[0]:
                try:
                    task = queue.popleft()
                except IndexError:  # another thread took the last one
                    return
                kernel(*task, stop)
        except BaseException:
            stop[0] = 1
            raise

    helpers = _submit(work, min(threads, len(queue)) - 1)
    try:
        work()
    finally:
        # One that has not begun has nothing left to do.
        begun = [helper for helper in helpers if not helper.cancel()]
        wait(begun)
    for helper in begun:
        helper.result()


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
        per_task = max(units // (8 * threads), 1)
        run(kernel, [(first, min(first + per_task, units)) for first in range(0, units, per_task)], threads)


def run_channels(kernel, N, C, threads):
    """Call ``kernel(items, channels, stop)`` for ranges that cover all C channels of N batch items, neither of them 0.

    Parameters
    ----------
    kernel : callable
    N, C, threads : int
    """
    step = -(-C // min(C, -(-8 * threads // N)))
    run(kernel, [((n, n + 1), (c, min(c + step, C))) for n in range(N) for c in range(0, C, step)], threads)


def _submit(work, count):
    """Start `work` on up to `count` pool threads; on fewer if Python is shutting down."""
    global _pool
    if count <= 0:
        return []
    if _pool is None:
        _pool = ThreadPoolExecutor(_MOST_THREADS, thread_name_prefix="refconv")
    try:
        return [_pool.submit(work) for _ in range(count)]
    except RuntimeError:  # "cannot schedule new futures after shutdown"
        return []
