"""Targets that do what no convolution should: they crash, hang, exit, print, lie about memory, return odd things.

They are loaded in a worker process, by ``tests/unruly_targets.py:NAME``. `misbehaves` says what has to come of a call.
`anything` does what the first number of its input says, minus the position in `FUNCTIONS`, so that one worker is enough
for most tests; if it is positive, `anything` is right.
"""

import contextlib
import ctypes
import os
import signal
import stat
import subprocess
import sys
import threading
import time

import numpy as np

import refconv

# Name -> (kind, type, part of the text) of the refusal.
MISBEHAVIOUR = {}


def misbehaves(kind, type, text=""):
    def register(function):
        MISBEHAVIOUR[function.__name__] = kind, type, text
        return function

    return register


def anything(input, *rest):
    function = FUNCTIONS[int(-input.flat[0])] if input.flat[0] < 0 else refconv.conv2d
    return function(input, *rest)


# ---- Ends ----


@misbehaves("crash", "SIGSEGV", "Segmentation fault")
def segfault(*_):
    ctypes.string_at(0)


@misbehaves("crash", "SIGABRT", "terminate called after throwing")
def abort_with_a_word(*_):
    print("terminate called after throwing an instance of 'std::bad_alloc'", file=sys.stderr)
    os.abort()


@misbehaves("crash", "SIGFPE")
def division_by_zero(*_):
    os.kill(os.getpid(), signal.SIGFPE)


@misbehaves("crash", "SIGKILL", "if memory was short")
def killed_from_outside(*_):
    os.kill(os.getpid(), signal.SIGKILL)


@misbehaves("crash", "SIGINT")
def keyboard_interrupt(*_):
    raise KeyboardInterrupt


@misbehaves("crash", "SIGSEGV")
def stack_overflow(*_):
    callback = ctypes.CFUNCTYPE(None)

    def deeper():
        callback(deeper)()

    sys.setrecursionlimit(10**9)
    threading.stack_size(0)
    deeper()


@misbehaves("exit", "exit status 3", "so long")
def leaves_at_once(*_):
    print("so long")
    os._exit(3)


@misbehaves("exit", "SystemExit", "because I want to")
def leaves_politely(*_):
    sys.exit("because I want to")


@misbehaves("exception", "RecursionError", "maximum recursion depth")
def recursion(*rest):
    return recursion_itself(*rest)


def recursion_itself(*rest):
    return recursion_itself(*rest)


@misbehaves("exception", "Unprintable", "TypeError")
def raises_the_unprintable(*_):
    class Unprintable(BaseException):
        def __str__(self):
            return 1 + "one"

    raise Unprintable


@misbehaves("crash", "disconnected")
def closes_everything(*_):
    os.closerange(3, 1000)
    time.sleep(10)


@misbehaves("crash", "disconnected")
def talks_nonsense_to_everybody(*_):
    for descriptor in range(3, 50):
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                os.write(descriptor, b"\0\0\1\0the beginning of more than this")
    time.sleep(10)


@misbehaves("crash", "SIGSEGV")
def crashes_with_a_child_that_lives_on(*_):
    if os.fork() == 0:
        time.sleep(100)
    ctypes.string_at(0)


# ---- Too much ----


@misbehaves("timeout", "timeout", "no result after 0.75 s")
def hangs(*_):
    while True:
        pass


@misbehaves("timeout", "timeout")
def hangs_outside_of_python(*_):
    ctypes.CDLL(None).pause()  # which ctypes calls without the GIL; PyDLL keeps it


@misbehaves("timeout", "timeout")
def hangs_with_the_gil(*_):
    ctypes.PyDLL(None).sleep(100)


@misbehaves("timeout", "timeout")
def stops_itself(*_):
    os.kill(os.getpid(), signal.SIGSTOP)


@misbehaves("timeout", "timeout")
def prints_all_the_time(*_):
    while True:
        os.write(1, b"I am here. " * 10_000)


@misbehaves("memory", "memory limit", "400 MiB is the limit")
def fills_memory(*_):
    kept = []
    for _ in range(150):
        kept.append(np.ones(1 << 20))
        time.sleep(0.002)
    time.sleep(1)


# ---- No results ----


@misbehaves("not an array", "NoneType")
def returns_nothing(*_):
    pass


@misbehaves("not an array", "tuple of 2")
def returns_two_things(*rest):
    return refconv.conv2d(*rest), "done"


@misbehaves("not an array", "generator")
def yields(*rest):
    yield refconv.conv2d(*rest)


@misbehaves("not an array", "ndarray of shape", "dtype object")
def returns_objects(*rest):
    return refconv.conv2d(*rest).astype(object)


@misbehaves("not an array", "ndarray of shape", "dtype <U")
def returns_text(*rest):
    return refconv.conv2d(*rest).astype(str)


@misbehaves("not an array", "ndarray of shape (1099511627776,)", "4,398,046,511,104 bytes")
def returns_far_too_much(*_):
    return np.broadcast_to(np.float32(0), (1 << 40,))


# ---- Right, but noisy ----


def prints_on_stdout(*rest):
    print("a" * 100_000)
    os.write(1, b"b\n" * 1000)
    sys.stdin.read()
    return refconv.conv2d(*rest)


def returns_twice(*rest):
    os.fork()
    return refconv.conv2d(*rest)


def leaves_a_child(*rest):
    subprocess.Popen(["sleep", "1000"])
    return refconv.conv2d(*rest)


def takes_its_time(*rest):
    time.sleep(0.3)
    return refconv.conv2d(*rest)


def changes_directory_and_path(*rest):
    os.chdir("/")
    sys.path.clear()
    return refconv.conv2d(*rest)


def returns_a_list(*rest):
    return refconv.conv2d(*rest).tolist()


def returns_a_tensor(*rest):
    import torch

    return torch.from_numpy(refconv.conv2d(*rest))


# ---- Lies about memory ----


def writes_to_its_input(input, *rest):
    result = refconv.conv2d(input, *rest)
    input *= 2
    return result


def refuses_after_writing_to_its_weight(_, weight, *__):
    weight += 1
    raise ValueError("no")


def returns_its_input(input, *_):
    return input[..., ::2]


_buffer = np.zeros(1000, np.float32)


def returns_the_same_buffer(*rest):
    result = refconv.conv2d(*rest)
    view = _buffer[: result.size].reshape(result.shape)
    view[...] = result
    return view


_by_id = {}


def remembers_by_identity(input, weight, *rest):
    key = id(input), id(weight)
    if key not in _by_id:
        # Kept, so that nothing else gets the same id.
        _by_id[key] = input, weight, refconv.conv2d(input, weight, *rest)
    return _by_id[key][-1].copy()


def fortran(input, *rest):
    if not input.flags.f_contiguous:
        raise ValueError("not what was said")
    return refconv.conv2d(input, *rest)


_inside = 0


def counts_threads(*rest):
    global _inside
    _inside += 1
    deadline = time.monotonic() + 0.5
    while _inside < 2 and time.monotonic() < deadline:
        time.sleep(0.001)
    if _inside < 2:
        raise ValueError("alone")
    return refconv.conv2d(*rest)


_calls = 0


def crashes_every_tenth_time(*rest):
    global _calls
    _calls += 1
    if _calls == 10:
        ctypes.string_at(0)
    return refconv.conv2d(*rest)


FUNCTIONS = [value for value in globals().copy().values() if callable(value) and value.__module__ == __name__]
