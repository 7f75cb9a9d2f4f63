"""A process that runs contenders and times them: one JSON request per line on stdin, one JSON answer on stdout.

Used through `benchmarks.team`; ``python -m benchmarks.worker THREADS`` by hand works too.
"""

import gc
import importlib
import json
import os
import sys
import time
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from benchmarks.contenders import CONTENDERS, rung_counts
from benchmarks.operands import float32_operands
from benchmarks.peak import fma_peak
from benchmarks.zoo import Layer

# OpenMP threads (torch's) spin for about 10 ms after a parallel region, measured; the next contender needs that core.
SETTLE_SECONDS = 0.02
# A sample lasts at least this long; a shorter call is repeated and the mean taken, as timeit does.
SAMPLE_SECONDS = 1e-4
# A call shorter than this runs untimed first, to refill the caches that another contender has emptied.
WARM_SECONDS = 0.05
# Values of the output that are compared between contenders.
FINGERPRINT_VALUES = 4096


class Worker:
    """The requests a process answers; each method is one."""

    def __init__(self, threads):
        self.threads = threads
        self.entrants = {}  # entrant id -> (call, seconds the first one took)

    def installed(self, package):
        """Return the version of `package`, or None if it cannot be imported."""
        try:
            module = importlib.import_module(package)
        except ImportError:
            return None
        try:
            return version(package)
        except PackageNotFoundError:
            return getattr(module, "__version__", "from the source tree")

    def prepare(self, entrant, contender, layer):
        """Make a contender ready for a layer; return the `fingerprint` and the seconds of a first call."""
        layer = Layer.from_json(layer)
        call = CONTENDERS[contender].prepare(layer, self.threads)
        start = time.perf_counter()
        output = np.asarray(call())  # compiles, loads, starts threads: never counted
        seconds = time.perf_counter() - start
        self.entrants[entrant] = call, seconds
        return fingerprint(layer, output) | {"seconds": seconds}

    def time(self, entrant, seconds):
        """Return times of one call, in seconds, measured again and again for `seconds`, once at least."""
        if entrant not in self.entrants:
            raise RuntimeError("another contender brought its process down")
        call, first_call = self.entrants[entrant]
        samples = []
        gc.collect()
        gc.disable()
        time.sleep(SETTLE_SECONDS)
        number = calls_per_sample(call) if first_call < WARM_SECONDS else 1
        deadline = time.perf_counter() + seconds
        while not samples or time.perf_counter() < deadline:
            samples.append(seconds_of(call, number) / number)
        gc.enable()
        return samples

    def rungs(self, entrant, outputs):
        """Return the shares of a call's `outputs` elements that needed rung 2 and rung 3, or None if not known."""
        call, _ = self.entrants[entrant]
        before = rung_counts()
        if before is None:
            return None
        call()
        after = rung_counts()
        return {rung: (after[rung] - before[rung]) / outputs for rung in after}

    def peak(self, seconds):
        """Return float64 multiply-adds per second, all threads together."""
        return fma_peak(seconds, self.threads)

    def release(self):
        """Forget every entrant."""
        self.entrants.clear()


def seconds_of(call, number):
    """Return the seconds that `number` calls take together."""
    start = time.perf_counter()
    for _ in range(number):
        call()
    return time.perf_counter() - start


def calls_per_sample(call):
    """Return how many calls make a sample of `SAMPLE_SECONDS`; the calls made to find out are a warm-up as well."""
    number = 1
    while seconds_of(call, number) < SAMPLE_SECONDS:
        number *= 2
    return number


def fingerprint(layer, output):
    """Return what the contenders must agree on: the shape, some values, and the scale of their errors."""
    x, w = float32_operands(layer)
    values = output.reshape(-1)[:: max(1, output.size // FINGERPRINT_VALUES)].astype(np.float64)
    scale = layer.terms * np.sqrt(np.mean(np.square(x, dtype=np.float64)) * np.mean(np.square(w, dtype=np.float64)))
    return {"shape": output.shape, "values": values.tolist(), "scale": float(scale)}


def main():
    """Answer requests until stdin closes."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints must not land among the answers
    worker = Worker(threads=int(sys.argv[1]))
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"ok": getattr(worker, request.pop("op"))(**request)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
