"""The bits do not depend on threads, on the floating-point environment of the caller, or on forks."""

import ctypes
import ctypes.util
import os
import platform
import signal
import subprocess
import sys
import threading
import time
import traceback

import numpy as np
import oracle
import pytest
from oracle import FORMATS, from_bits, same_bits, to_bits
from problems import any_bits

import refconv
from refconv.kernels import isa
from refconv.threads import run

every_format = pytest.mark.parametrize("fmt", FORMATS.values(), ids=FORMATS)
every_algorithm = pytest.mark.parametrize("algorithm", ["auto", "direct"])


def layer(fmt, seed=1, shape=(2, 8, 16, 15), filters=12):
    """Operands and arguments of a layer that is large enough to be spread over threads."""
    fill = any_bits(seed, fmt, rare=0.002)
    arrays = fill(shape), fill((filters, shape[1] // 2, 3, 3)), fill((filters,))
    return arrays, {"padding": 1, "groups": 2}


@every_format
@every_algorithm
def test_the_number_of_threads_does_not_change_a_bit(fmt, algorithm):
    arrays, arguments = layer(fmt)
    one = refconv.conv2d(*arrays, **arguments, algorithm=algorithm, threads=1)
    for threads in (2, 3, 8, 64):
        assert same_bits(refconv.conv2d(*arrays, **arguments, algorithm=algorithm, threads=threads), one)


@every_format
@every_algorithm
def test_an_item_gives_the_same_bits_alone_and_in_a_batch(fmt, algorithm):
    (x, w, b), arguments = layer(fmt, shape=(5, 8, 9, 9))
    together = refconv.conv2d(x, w, b, **arguments, algorithm=algorithm)
    for n in range(5):
        assert same_bits(refconv.conv2d(x[n], w, b, **arguments, algorithm=algorithm), together[n])


def test_a_thread_that_fails_stops_the_others():
    caller = threading.current_thread()

    def work(stop):
        if threading.current_thread() is not caller:
            raise ValueError("this one fails")
        deadline = time.monotonic() + 10
        while not stop[0]:
            assert time.monotonic() < deadline
            time.sleep(0.001)

    with pytest.raises(ValueError, match="this one fails"):
        run(work, 2)


@every_format
def test_calls_from_several_python_threads_do_not_disturb_each_other(fmt):
    problems = [layer(fmt, seed, shape=(2, 4, 10, 11)) for seed in range(8)]
    expected = [refconv.conv2d(*arrays, **arguments, threads=1) for arrays, arguments in problems]
    found = [None] * len(problems)
    barrier = threading.Barrier(len(problems))

    def call(i):
        arrays, arguments = problems[i]
        barrier.wait()
        found[i] = [refconv.conv2d(*arrays, **arguments, threads=2) for _ in range(3)]

    callers = [threading.Thread(target=call, args=(i,)) for i in range(len(problems))]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert all(same_bits(y, wanted) for results, wanted in zip(found, expected, strict=True) for y in results)


DIGEST = """
import hashlib
import refconv
from refconv.kernels import isa
from oracle import FORMATS
from test_determinism import layer

digest = hashlib.sha256()
for fmt in FORMATS.values():
    arrays, arguments = layer(fmt)
    for out in FORMATS.values():
        digest.update(refconv.conv2d(*arrays, **arguments, dtype=out.dtype).tobytes())
print(isa.level, digest.hexdigest())
"""


def test_the_instruction_set_does_not_change_a_bit():
    """The same convolutions in one process for each build of the fast kernel that this processor runs."""
    levels = isa.supported()
    answers = [run_python(DIGEST, REFCONV_ISA=level).split() for level in levels]
    assert [level for level, _ in answers] == levels
    assert len({digest for _, digest in answers}) == 1, answers


# --- the floating-point environment ---

if platform.machine().lower() in ("arm64", "aarch64"):
    MODES = {"to_nearest": 0, "upward": 0x400000, "downward": 0x800000, "toward_zero": 0xC00000}
else:
    MODES = {"to_nearest": 0, "downward": 0x400, "upward": 0x800, "toward_zero": 0xC00}
# the values of FE_TONEAREST and its siblings in <fenv.h>

libm = ctypes.CDLL(ctypes.util.find_library("m"))


@pytest.fixture(params=MODES.values(), ids=MODES)
def rounding_mode(request):
    """Sets the mode for the test, and the default again even if it fails."""
    assert libm.fesetround(request.param) == 0
    try:
        yield request.param
    finally:
        libm.fesetround(MODES["to_nearest"])


def awkward(fmt):
    """A layer with subnormals, ties and overflow in it, small enough for the oracle."""
    fill = any_bits(7, fmt, rare=0.2)
    x, w, b = fill((1, 2, 5, 6)), fill((3, 2, 2, 2)), fill((3,))
    encodings = np.array(to_bits(w)).reshape(w.shape)
    encodings[0] = [[[fmt.one, 1], [2, fmt.one]]] * 2
    return x, from_bits(encodings, fmt, w.shape), b


def test_the_rounding_modes_are_what_their_names_say(rounding_mode):
    """Shown by NumPy: otherwise the tests below would show nothing."""
    one, tiny = np.array([1.0]), np.array([2.0**-60])
    above, below = one + tiny > one, -one - tiny < -one
    assert above.item() == (rounding_mode == MODES["upward"])
    assert below.item() == (rounding_mode == MODES["downward"])


@every_format
@every_algorithm
@pytest.mark.parametrize("threads", [1, 4])
def test_the_callers_rounding_mode_neither_matters_nor_changes(fmt, algorithm, threads, rounding_mode):
    arrays = awkward(fmt)
    libm.fesetround(MODES["to_nearest"])
    expected = {out.name: oracle.conv2d(*arrays, out=out) for out in FORMATS.values()}
    large, arguments = layer(fmt)
    expected_large = refconv.conv2d(*large, **arguments, algorithm=algorithm, threads=threads)
    assert libm.fesetround(rounding_mode) == 0
    found = {
        name: refconv.conv2d(*arrays, dtype=y.dtype, algorithm=algorithm, threads=threads)
        for name, y in expected.items()
    }
    found_large = refconv.conv2d(*large, **arguments, algorithm=algorithm, threads=threads)
    mode_afterwards = libm.fegetround()
    libm.fesetround(MODES["to_nearest"])
    assert mode_afterwards == rounding_mode
    assert all(same_bits(found[name], expected[name]) for name in expected)
    assert same_bits(found_large, expected_large)


@every_format
def test_the_callers_rounding_mode_does_not_matter_to_exact_dot(fmt, rounding_mode):
    x, w, _ = (a.ravel()[:24] for a in awkward(fmt))
    for out in FORMATS.values():
        found = refconv.exact_dot(x, w, dtype=out.dtype)
        assert libm.fegetround() == rounding_mode
        assert to_bits(found)[0] == oracle.dot(to_bits(x), to_bits(w), fmt, out)


FLUSHED = """
import sys
import numpy as np
import torch
import oracle, refconv
from oracle import FORMATS, from_bits, same_bits, to_bits

assert torch.set_flush_denormal(True)
tiny = np.array([2.0**-1074])
assert tiny + tiny == 0, "flush-to-zero is not in effect, so this test shows nothing"
fmt = FORMATS[sys.argv[1]]
rng = np.random.default_rng(1)
least_normal = 1 << fmt.fraction_bits
for out in FORMATS.values():
    x = from_bits(rng.integers(0, 3 * least_normal, (1, 2, 40, 40)), fmt, (1, 2, 40, 40))
    w = from_bits([fmt.one, 1, fmt.one + 1, fmt.one - 1, 3, fmt.largest, 0, fmt.one], fmt, (2, 2, 2, 1))
    b = from_bits([1, fmt.sign_bit | 5], fmt)
    expected = oracle.conv2d(x, w, b, out=out)
    for algorithm in ("direct", "auto"):
        for threads in (1, 4):
            y = refconv.conv2d(x, w, b, dtype=out.dtype, algorithm=algorithm, threads=threads)
            assert same_bits(y, expected), (out, algorithm, threads)
            assert tiny + tiny == 0, "the caller's flush-to-zero was switched off"
    dot = refconv.exact_dot(x.ravel()[:8], w.ravel(), dtype=out.dtype)
    assert to_bits(dot)[0] == oracle.dot(to_bits(x)[:8], to_bits(w), fmt, out)
    assert tiny + tiny == 0, "exact_dot switched the caller's flush-to-zero off"
print("subnormals survive")
"""


@every_format
def test_flush_to_zero_set_by_torch_neither_matters_nor_changes(fmt):
    """In a process of its own: pool threads are born with the flags of the thread that starts them."""
    assert run_python(FLUSHED, fmt.name) == "subnormals survive\n"


def run_python(program, *arguments, **environment):
    """What a program prints, run in a process of its own that can import the test helpers."""
    path = [os.path.dirname(__file__), *sys.path]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env=os.environ | environment | {"PYTHONPATH": os.pathsep.join(filter(None, path))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# --- fork ---


def exit_code_of_a_fork(compute):
    """Exit code of a forked child that calls `compute`: 0 if it returned true. A child that hangs is killed."""
    child = os.fork()
    if child == 0:
        verdict = 1
        try:
            verdict = 0 if compute() else 2
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(verdict)
    given_up = time.monotonic() + 60
    while time.monotonic() < given_up:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork:DeprecationWarning")
def test_a_forked_child_computes_after_the_parent_did():
    """The child has the parent's pool object but none of its threads."""
    arrays, arguments = layer(FORMATS["float32"])
    expected = refconv.conv2d(*arrays, **arguments, threads=4)
    assert exit_code_of_a_fork(lambda: same_bits(refconv.conv2d(*arrays, **arguments, threads=4), expected)) == 0
    assert same_bits(refconv.conv2d(*arrays, **arguments, threads=4), expected)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork:DeprecationWarning")
def test_a_fork_in_the_middle_of_another_threads_call_does_not_hang_the_child():
    """Whatever lock that thread held stays locked in the child for ever."""
    arrays, arguments = layer(FORMATS["float32"])
    expected = refconv.conv2d(*arrays, **arguments, threads=4)
    enough = threading.Event()

    def call_on():
        while not enough.is_set():
            refconv.conv2d(*arrays, **arguments, threads=4)

    caller = threading.Thread(target=call_on)
    caller.start()
    try:
        for _ in range(5):
            code = exit_code_of_a_fork(lambda: same_bits(refconv.conv2d(*arrays, **arguments, threads=4), expected))
            assert code == 0
    finally:
        enough.set()
        caller.join()
