"""Calls that cannot be carried out end at once and cleanly; long ones can be interrupted."""

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import refconv


def ones(*shape):
    return np.ones(shape, np.float32)


# --- sizes ---


@pytest.mark.parametrize(
    ("x", "w", "arguments"),
    [
        (ones(1, 1, 1, 1), ones(1, 1, 1, 1), {"padding": 2**23}),  # 2**48 pixels
        (ones(1, 1, 1, 1), ones(1, 1, 1, 1), {"padding": ((0, 2**45), (0, 0))}),
        (ones(1, 1, 1, 1), ones(1, 1, 2, 2), {"padding": 2**24, "dilation": 2**20}),
        (ones(64, 0, 2**20, 2**20), np.zeros((64, 0, 1, 1), np.float32), {}),  # no input at all, but an output
    ],
)
def test_an_output_that_cannot_be_allocated_is_a_memory_error(x, w, arguments):
    with pytest.raises(MemoryError):
        refconv.conv2d(x, w, **arguments)


def test_the_memory_error_comes_before_the_operands_are_copied():
    """A copy of this zero-stride input would take 2 GiB."""
    x = np.broadcast_to(np.ones((1, 1, 1, 1)), (1, 1, 2**14, 2**14))
    before = peak_memory()
    with pytest.raises(MemoryError):
        refconv.conv2d(x, np.ones((1, 1, 1, 1)), padding=2**23)
    assert peak_memory() - before < 2**30


def peak_memory():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.parametrize(
    "arguments",
    [
        {"padding": 2**31},  # 2**64 pixels, 0 in 64-bit arithmetic
        {"padding": 2**32},
        {"padding": ((2**62 - 1, 2**62 - 1), (0, 0))},  # a size, but not its bytes, fits in 64 bits
        {"padding": ((2**62, 0), (0, 0))},
        {"padding": (2**62, 0)},
        {"padding": 2**63},
        {"padding": 2**64},
        {"stride": 2**63},
        {"stride": 2**64 + 1},  # 1 in 64-bit arithmetic
        {"dilation": 2**63},
        {"dilation": 2**62, "padding": ((2**62, 2**62), (0, 0))},
        {"groups": 2**64 + 1},
    ],
    ids=str,
)
def test_sizes_that_overflow_64_bits_are_a_conv_error(arguments):
    with pytest.raises(refconv.ConvError):
        refconv.conv2d(ones(1, 1, 4, 4), ones(1, 1, 3, 3), **arguments)


@pytest.mark.parametrize(("batch", "channels"), [(1, 0), (0, 1)])
def test_an_output_of_2_to_the_64_elements_is_a_conv_error_even_without_input(batch, channels):
    with pytest.raises(refconv.ConvError):
        refconv.conv2d(ones(batch, channels, 4, 4), ones(1, channels, 3, 3), padding=2**31)


def test_steps_that_nearly_overflow_64_bits_are_computed():
    """The only window is at 0, however far the next one would be."""
    x, w = np.arange(16.0).reshape(1, 1, 4, 4), np.ones((1, 1, 1, 1))
    assert refconv.conv2d(x, w, stride=2**62).tolist() == [[[[0]]]]
    assert refconv.conv2d(x, w, stride=2**63 - 1, dilation=2**63 - 1).tolist() == [[[[0]]]]
    assert refconv.conv2d(x, w, stride=(2**62, 1), dilation=(1, 2**62)).tolist() == [[[[0, 1, 2, 3]]]]


def test_taps_that_are_nearly_2_to_the_62_apart_are_computed():
    """Window of the taps 0 and 2**61 on an image that a long padding follows: only tap 0 meets it, then only tap 1."""
    x, w = np.array([[[[3.0]]]]), np.array([[[[5.0, 7.0]]]])
    far = 2**61
    after = refconv.conv2d(x, w, dilation=(1, far), padding=((0, 0), (0, far)))
    before = refconv.conv2d(x, w, dilation=(1, far), padding=((0, 0), (far, 0)))
    assert (after.tolist(), before.tolist()) == ([[[[15]]]], [[[[21]]]])


def test_empty_outputs_cost_nothing():
    assert refconv.conv2d(ones(0, 3, 8, 8), ones(5, 3, 3, 3)).shape == (0, 5, 6, 6)
    assert refconv.conv2d(ones(0, 1, 4, 4), ones(1, 1, 3, 3), padding=2**20).shape == (0, 1, 2**21 + 2, 2**21 + 2)


@pytest.mark.parametrize("threads", [0, -1, 2**40])
def test_thread_counts_out_of_range_are_a_conv_error(threads):
    with pytest.raises(refconv.ConvError, match="threads"):
        refconv.conv2d(ones(1, 1, 4, 4), ones(1, 1, 3, 3), threads=threads)


@pytest.mark.parametrize("threads", [1.0, "2", True])
def test_thread_counts_that_are_no_integers_are_a_type_error(threads):
    with pytest.raises(TypeError, match="threads"):
        refconv.conv2d(ones(1, 1, 4, 4), ones(1, 1, 3, 3), threads=threads)


@pytest.mark.parametrize("algorithm", ["fft", "", "Direct", None, 1])
def test_algorithms_that_do_not_exist_are_refused_with_a_list_of_those_that_do(algorithm):
    with pytest.raises((refconv.ConvError, TypeError), match=r"auto.*direct"):
        refconv.conv2d(ones(1, 1, 4, 4), ones(1, 1, 3, 3), algorithm=algorithm)


@pytest.mark.parametrize("dtype", ["float8", "int32", "complex64", "longdouble", 3, object()])
def test_output_formats_that_do_not_exist_are_a_type_error(dtype):
    with pytest.raises(TypeError, match="dtype"):
        refconv.conv2d(ones(1, 1, 4, 4), ones(1, 1, 3, 3), dtype=dtype)


# --- Ctrl-C ---

INTERRUPTED = """
import signal, traceback
import numpy as np
import refconv
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background is born ignoring it
{setup}
place = ""
while not place.endswith((".pyx", ".pxd")):
    print("ready", flush=True)
    try:
        {call}
    except KeyboardInterrupt as error:
        place = traceback.extract_tb(error.__traceback__)[-1].filename
        print(place, flush=True)
    else:
        print("finished", flush=True)
"""

LONG_CALLS = {
    # One call takes minutes, but exact_dot's, whose operands would not fit in memory; its polls are seen all the same.
    "direct": (
        "x, w = np.ones((4, 128, 64, 64)), np.ones((256, 128, 15, 15))",
        "refconv.conv2d(x, w, algorithm='direct', threads=1)",
    ),
    "direct_on_threads": (
        "x, w = np.ones((4, 128, 64, 64)), np.ones((256, 128, 15, 15))",
        "refconv.conv2d(x, w, algorithm='direct', threads=2)",
    ),
    "auto_float64": (
        "x, w = np.random.default_rng(1).random((1, 64, 512, 512)), np.ones((256, 64, 31, 31))",
        "refconv.conv2d(x, w, padding=15)",
    ),
    "auto_float32": (
        "x, w = np.random.default_rng(1).random((1, 64, 512, 512), 'f4'), np.ones((256, 64, 31, 31), 'f4')",
        "refconv.conv2d(x, w, padding=15)",
    ),
    "all_windows_in_the_padding": (
        "x = w = np.ones((1, 1, 1, 1), np.float16)",
        "refconv.conv2d(x, w, padding=15000, algorithm='direct')",
    ),
    "no_input_channels": (
        "x, w = np.ones((1, 0, 16000, 16000), np.float16), np.ones((4, 0, 1, 1), np.float16)",
        "refconv.conv2d(x, w, algorithm='direct')",
    ),
    "direct_input_gradient": (
        "x, w = np.ones((4, 256, 50, 50)), np.ones((256, 128, 15, 15))",
        "refconv.conv_transpose2d(x, w, algorithm='direct', threads=1)",
    ),
    "direct_weight_gradient": (
        "x, y = np.ones((4, 128, 64, 64)), np.ones((4, 256, 50, 50))",
        "refconv.grad.conv2d_weight(x, (256, 128, 15, 15), y, algorithm='direct')",
    ),
    "weight_gradient_along_rows": (
        "x = np.ones((2, 64, 256, 256), np.float32)",
        "while True: refconv.grad.conv2d_weight(x, (64, 64, 3, 3), x, padding=1, threads=1)",
    ),
    "exact_sums_of_a_weight_gradient_along_rows": (
        "x, y = np.zeros((1, 1, 4096, 8193), np.float32), np.zeros((1, 1, 4096, 8192), np.float32);"
        " x[0, 0, 0, :5], y[0, 0, 0, :5] = (1, 5, 2**-24, 0, 2**-100), (1, 0, 1, 0, 2**-100)",
        "while True: refconv.grad.conv2d_weight(x, (1, 1, 1, 2), y)",
    ),
    "direct_bias_gradient": (
        "y = np.ones((1, 1, 4096, 4096))",
        "while True: refconv.grad.conv2d_bias(y, algorithm='direct')",
    ),
    "exact_dot": ("x = np.ones(2**24)", "while True: refconv.exact_dot(x, x)"),
}


@pytest.mark.parametrize("name", LONG_CALLS)
def test_ctrl_c_stops_a_long_call_inside_the_kernel(name):
    """Python raises KeyboardInterrupt after any call returns; here it must come out of the compiled loops.

    Where calls are short, Ctrl-C may by chance come between two of them, but not five times. The time limit only tells
    an interrupted call from one that goes on; the latency is printed (``pytest -s``).
    """
    setup, call = LONG_CALLS[name]
    program = INTERRUPTED.format(setup=setup, call=call)
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=environment())
    watchdog = threading.Timer(120, process.kill)
    watchdog.start()
    try:
        for attempt in range(5):
            assert process.stdout.readline() == "ready\n"
            compute_on(process, seconds=0.7 + 0.13 * attempt)  # into the call
            began = time.monotonic()
            process.send_signal(signal.SIGINT)
            raised_in = process.stdout.readline().strip()
            print(f"\n{name}: KeyboardInterrupt after {time.monotonic() - began:.3f} s in {raised_in}")
            if raised_in.endswith((".pyx", ".pxd")):
                break
        assert raised_in.endswith((".pyx", ".pxd"))
        assert process.wait() == 0
        print(f"{name}: the process ended after {time.monotonic() - began:.3f} s")
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()
        process.stdout.close()


def compute_on(process, seconds):
    """Wait until it has had so much more CPU time: on a busy machine that can take many times as long."""
    stat = Path(f"/proc/{process.pid}/stat")
    if not stat.exists():
        time.sleep(seconds)
        return
    end = cpu_seconds(stat) + seconds
    while process.poll() is None and cpu_seconds(stat) < end:
        time.sleep(0.05)


def cpu_seconds(stat):
    """The user's and the system's share, fields 14 and 15; the name in field 2 can hold spaces."""
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def environment():
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


# --- imports ---


@pytest.mark.parametrize("module", ["torch", "hypothesis", "pytest", "rich", "scipy", "matplotlib", "ml_dtypes"])
def test_import_refconv_needs_numpy_alone(module):
    """Checked in a fresh interpreter, on an import and a call."""
    program = f"""
import sys, numpy as np, refconv
refconv.conv2d(np.ones((1, 1, 2, 2)), np.ones((1, 1, 1, 1)))
sys.exit({module!r} in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], env=environment(), check=False)
    assert done.returncode == 0


@pytest.mark.parametrize("step", [2**20, 2**40, 2**62], ids=lambda step: f"2^{step.bit_length() - 1}")
@pytest.mark.parametrize("algorithm", ["blocked", "direct"])
def test_steps_far_beyond_the_image_cost_no_time_and_no_memory(step, algorithm):
    x, w = np.ones((1, 4, 8, 8), np.float32), np.ones((4, 4, 2, 2), np.float32)
    assert (refconv.conv2d(x, w, stride=step, algorithm=algorithm) == 16).all()
    # Two taps, `step` apart, around an image that lies in the middle: neither ever reaches it.
    assert (refconv.conv2d(x, w, padding=step // 2, dilation=step, algorithm=algorithm) == 0).all()


@pytest.mark.parametrize("step", [2**40, 2**62, 2**63 - 1], ids=["2^40", "2^62", "2^63-1"])
@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.int64, np.float32, np.float64, np.complex64])
@pytest.mark.parametrize("algorithm", ["auto", "direct"])
def test_the_largest_strides_leave_the_first_window(step, dtype, algorithm):
    """Adding a size to such a stride does not fit into 64 bits."""
    x, w, y = np.ones((1, 1, 5), dtype), np.full((1, 1, 2), 3, dtype), np.full((1, 1, 1), 2, dtype)
    options = {"stride": step, "algorithm": algorithm}
    assert refconv.conv1d(x, w, **options).tolist() == [[[6]]]
    assert refconv.grad.conv1d_input((1, 1, 5), w, y, **options).tolist() == [[[6, 6, 0, 0, 0]]]
    assert refconv.grad.conv1d_weight(x, (1, 1, 2), y, **options).tolist() == [[[2, 2]]]
    assert refconv.conv_transpose1d(y, w, **options).tolist() == [[[6, 6]]]


@pytest.mark.parametrize("dtype", [np.int8, np.float32, np.float64, np.complex64])
@pytest.mark.parametrize("algorithm", ["auto", "direct"])
def test_sizes_of_what_is_empty_cost_no_memory(dtype, algorithm):
    """2^40 windows of no images, and 2^40 taps on no channels."""
    x, y = np.ones((0, 1, 4), dtype), np.ones((0, 1, 2**40 + 3), dtype)
    gradient = refconv.grad.conv1d_weight(x, (1, 1, 2), y, padding=2**39, algorithm=algorithm)
    assert gradient.tolist() == [[[0, 0]]]
    assert gradient.dtype == refconv.conv1d(x, np.ones((1, 1, 2), dtype)).dtype
    x, w, b = np.ones((1, 0, 2**40), dtype), np.ones((1, 0, 2**40), dtype), np.full(1, 7, dtype)
    assert refconv.conv1d(x, w, b, algorithm=algorithm).tolist() == [[[7]]]
    x, w = np.ones((1, 0, 4, 4), dtype), np.ones((1, 0, 2, 2), dtype)
    for far in (2**31, 2**32, 2**61):  # whose squares, times 8 bytes, are 0 modulo 2^64
        y = refconv.conv2d(x, w, b, padding=((far, 0), (far, 0)), dilation=far, algorithm=algorithm)
        assert y.tolist() == [[[[7] * 4] * 4]]
