"""The machine's speed limit: float64 fused multiply-adds per second, measured.

A dozen independent chains of vector multiply-adds that never touch memory: no convolution in float64 can be faster.
"""

import ctypes
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

_SOURCE = r"""
#ifdef __AVX512F__
#define LANES 8
#else
#define LANES 4
#endif
#define CHAINS 12
typedef double vector __attribute__((vector_size(8 * LANES)));

/* Returns the number of multiply-adds done; *sink keeps the compiler from dropping them. */
long long run(long long rounds, double *sink)
{
    vector a[CHAINS], x = {0}, y = {0};
    x += 0.999999;
    y += 1e-6;
    for (int c = 0; c < CHAINS; c++) a[c] = y * c;
    for (long long r = 0; r < rounds; r++)
        for (int c = 0; c < CHAINS; c++) a[c] = a[c] * x + y;
    for (int c = 1; c < CHAINS; c++) a[0] += a[c];
    *sink = a[0][0];
    return rounds * CHAINS * LANES;
}
"""


@cache
def _compiled():
    """Compile the loop for this machine and load it."""
    directory = tempfile.mkdtemp(prefix="fma-peak-")
    source, library = Path(directory, "peak.c"), Path(directory, "peak.so")
    source.write_text(_SOURCE)
    flags = ["-O3", "-march=native", "-funroll-loops", "-ffp-contract=fast", "-shared", "-fPIC"]
    subprocess.run(["gcc", *flags, "-o", library, source], check=True, capture_output=True)
    run = ctypes.CDLL(str(library)).run
    run.restype, run.argtypes = ctypes.c_longlong, [ctypes.c_longlong, ctypes.POINTER(ctypes.c_double)]
    return run


def _one_thread(seconds):
    """Return the best rate of short bursts within `seconds`, in multiply-adds per second."""
    run, sink = _compiled(), ctypes.c_double()
    best, deadline = 0.0, time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        start = time.perf_counter()
        done = run(100_000, ctypes.byref(sink))
        best = max(best, done / (time.perf_counter() - start))
    return best


def fma_peak(seconds, threads):
    """Return the multiply-adds per second of `threads` threads that run at the same time for `seconds`."""
    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(_one_thread, [seconds] * threads))
