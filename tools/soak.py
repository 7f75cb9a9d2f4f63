"""Compare the fast kernel with the definition on random problems, for as long as you like.

    python tools/soak.py                          100,000 problems, on all processors, every instruction set
    python tools/soak.py --cases 1000000 --seed 7
    python tools/soak.py --seconds 600 --isa v3

Each problem has small random sizes, a random geometry, operand and result formats, and data of some kind: ordinary,
integers, ties, heavy-tailed, cancelling, specials, any exponent. `algorithm="blocked"` and `algorithm="direct"` must
give the same bits. The first difference of a worker is printed with the seed that reproduces it, and the exit status
is 1. It also counts how many elements each rung of the ladder settled, and fails if one was never used.
"""

import argparse
import os
import subprocess
import sys
import time

import numpy as np

CASES_PER_JOB = 500
FORMATS = ("float16", "bfloat16", "float32", "float64")


def main():
    """Read the command line, hand out jobs, add up what the workers say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=100_000, help="problems to draw (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after this time")
    parser.add_argument("--seed", type=int, default=0, help="of the first problem (default: %(default)s)")
    parser.add_argument("--isa", action="append", help="instruction sets to use in turn (default: all that work here)")
    parser.add_argument("--worker", nargs=2, type=int, metavar=("SEED", "CASES"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        return compare(*options.worker)
    return supervise(options)


def supervise(options):
    """Keep one worker process busy on each processor; a process has one instruction set, chosen at import."""
    from refconv.kernels import isa

    levels = options.isa or isa.supported()
    began = time.monotonic()
    seeds = range(options.seed, options.seed + options.cases, CASES_PER_JOB)
    totals = np.zeros(5, int)
    running, failed, handed_out = [], False, 0
    while running or handed_out < len(seeds):
        stop = failed or time.monotonic() - began > options.seconds
        if stop and not running:
            break
        if not stop and handed_out < len(seeds) and len(running) < (os.cpu_count() or 1):
            level = levels[handed_out % len(levels)]
            count = min(CASES_PER_JOB, options.seed + options.cases - seeds[handed_out])
            command = [sys.executable, __file__, "--worker", str(seeds[handed_out]), str(count)]
            environment = dict(os.environ, REFCONV_ISA=level, REFCONV_NUM_THREADS="1")
            running.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True))
            handed_out += 1
            continue
        job = running.pop(0)
        output, _ = job.communicate()
        if job.returncode:
            print(output, flush=True)
            failed = True
            continue
        totals += np.array(output.split(), int)
        print(f"\r{totals[0]:,} problems, {time.monotonic() - began:.0f} s", end="", flush=True)
    cases, *counts = totals.tolist()
    print(f"\n{cases:,} problems, seed {options.seed}, instruction sets {', '.join(levels)}")
    print("elements {:,}, in slices {:,}, by rung 2 {:,}, by rung 3 {:,}".format(*counts))
    unused = cases >= CASES_PER_JOB and min(counts) == 0
    print("FAILED" if failed else "a rung was never used" if unused else "all bits agree")
    return int(failed or unused)


def compare(first, count):
    """Compare `count` problems; print the number of problems and the counters of the rungs."""
    import refconv
    from refconv import kernels

    for seed in range(first, first + count):
        call = draw(np.random.default_rng(seed))
        fast, definition = (refconv.conv2d(**call, algorithm=name) for name in ("blocked", "direct"))
        differs = fast.view(f"u{fast.itemsize}") != definition.view(f"u{fast.itemsize}")
        if differs.any():
            where = tuple(int(i) for i in np.argwhere(differs)[0])
            shapes = {name: value.shape if isinstance(value, np.ndarray) else value for name, value in call.items()}
            print(f"\nseed {seed} (--seed {seed} --cases 1): {differs.sum()} elements of {differs.size} differ")
            print(f"  {call['input'].dtype} operands: {shapes}")
            print(f"  at {where}: fast {fast[where]!r}, definition {definition[where]!r}")
            return 1
    print(count, *kernels.counters().values())
    return 0


def draw(rng):
    """Return the arguments of one call of conv2d."""
    while True:
        groups = int(rng.choice([1, 1, 1, 2, 3]))
        C, K = (int(n) for n in rng.integers(1, (9, 20)))
        if rng.random() < 0.1:
            C = int(rng.integers(20, 80))
        sizes, kernel = rng.integers(1, 18, 2), rng.integers(1, 6, 2)
        stride, dilation, padding = rng.integers(1, 4, 2), rng.integers(1, 4, 2), rng.integers(0, 4, (2, 2))
        if (sizes + padding.sum(1) >= dilation * (kernel - 1) + 1).all():
            break
    source, target = rng.choice(FORMATS, 2)
    kind_x, kind_w, kind_b = rng.choice(list(KINDS), 3)
    return {
        "input": fill(rng, kind_x, (int(rng.integers(1, 3)), groups * C, *sizes), source),
        "weight": fill(rng, kind_w, (groups * K, C, *kernel), source),
        "bias": fill(rng, kind_b, (groups * K,), source) if rng.random() < 0.5 else None,
        "stride": tuple(stride.tolist()),
        "padding": tuple(map(tuple, padding.tolist())),
        "dilation": tuple(dilation.tolist()),
        "groups": groups,
        "dtype": named(target if rng.random() < 0.5 else source),
    }


def named(name):
    """Return the dtype of that name."""
    if name == "bfloat16":
        from ml_dtypes import bfloat16

        return np.dtype(bfloat16)
    return np.dtype(name)


def fill(rng, kind, shape, name):
    """Return an array of a kind, rounded to a format."""
    with np.errstate(all="ignore"):
        return KINDS[kind](rng, shape, name).astype(named(name))


def _cancelling(rng, shape, _name):
    x = rng.standard_normal(shape)
    half = shape[1] // 2 if len(shape) > 1 else 0
    if half:
        x[:, half : 2 * half] = x[:, :half] * rng.choice([-1.0, 1.0])
    return x


def _ties(rng, shape, _name):
    x = rng.choice([-3.0, -1.0, 1.0, 3.0], shape)
    x.flat[0] = 1.5 * 2.0 ** rng.integers(4, 14)
    return x


def _specials(rng, shape, _name):
    x = rng.standard_normal(shape)
    return np.where(rng.random(shape) < 0.01, rng.choice([np.nan, np.inf, -np.inf, 0.0, -0.0], shape), x)


def _any_exponent(rng, shape, name):
    lowest, highest = {"float16": (-26, 16), "float64": (-1076, 1024)}.get(name, (-151, 128))
    return rng.standard_normal(shape) * 2.0 ** rng.integers(lowest, highest, shape)


KINDS = {
    "normal": lambda rng, shape, _: rng.standard_normal(shape),
    "relu": lambda rng, shape, _: np.maximum(rng.standard_normal(shape), 0),
    "integers": lambda rng, shape, _: rng.integers(-8, 9, shape).astype(float),
    "heavy_tailed": lambda rng, shape, _: rng.standard_t(2, shape) * 2.0 ** rng.integers(-10, 11, shape),
    "near_one": lambda rng, shape, _: 1 + 1e-3 * rng.standard_normal(shape),
    "few_bits": lambda rng, shape, _: rng.integers(-3, 4, shape) * 2.0 ** rng.integers(-3, 4, shape),
    "cancelling": _cancelling,
    "ties": _ties,
    "specials": _specials,
    "any_exponent": _any_exponent,
}

if __name__ == "__main__":
    sys.exit(main())
