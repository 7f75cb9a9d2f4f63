"""Compare the fast kernel with the definition on random problems, for as long as you like.

    python tools/soak.py                          100,000 problems, on all processors, every instruction set
    python tools/soak.py --cases 1000000 --seed 7
    python tools/soak.py --seconds 600 --isa v3

Each problem has small random sizes over one to three axes, a random geometry, operand and result formats, and data of
some kind: ordinary, integers, ties, heavy-tailed, cancelling, specials, any exponent; or all of it is integer arrays,
some of whose sums overflow. It is computed as a convolution, a transposed one, or a gradient. `algorithm="blocked"` and
`algorithm="direct"` must give the same bits, or the same error. The first difference of a worker is printed with the
seed that reproduces it, and the exit status is 1. It also counts how many elements each rung of the ladder settled, and
fails if one was never used.
"""

import argparse
import os
import subprocess
import sys
import time

import numpy as np

CASES_PER_JOB = 500
FORMATS = ("float16", "bfloat16", "float32", "float64")
INTEGERS = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")


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
    from refconv import kernels

    for seed in range(first, first + count):
        function, call = draw(np.random.default_rng(seed))
        fast, definition = (result(function, call, name) for name in ("blocked", "direct"))
        if isinstance(fast, str) or isinstance(definition, str):
            if isinstance(fast, str) and fast == definition:
                continue
            print(f"\nseed {seed} (--seed {seed} --cases 1): {function.__name__}: {fast} instead of {definition}")
            return 1
        differs = fast.view(f"u{fast.itemsize}") != definition.view(f"u{fast.itemsize}")
        if differs.any():
            where = tuple(int(i) for i in np.argwhere(differs)[0])
            shapes = {name: value.shape if isinstance(value, np.ndarray) else value for name, value in call.items()}
            print(f"\nseed {seed} (--seed {seed} --cases 1): {differs.sum()} elements of {differs.size} differ")
            print(f"  {function.__name__}, {fast.dtype}: {shapes}")
            print(f"  at {where}: fast {fast[where]!r}, definition {definition[where]!r}")
            return 1
    print(count, *kernels.counters().values())
    return 0


def result(function, call, algorithm):
    """Return what a function returns, or the text of its error: an integer that does not fit."""
    from refconv import ConvError

    try:
        return function(**call, algorithm=algorithm)
    except ConvError as error:
        return str(error)


def draw(rng):
    """Return a function of refconv, and the arguments of one call."""
    import refconv

    n = int(rng.choice([1, 2, 2, 2, 3]))
    while True:
        groups = int(rng.choice([1, 1, 1, 2, 3]))
        C, K = (int(n) for n in rng.integers(1, (9, 20)))
        if rng.random() < 0.1:
            C = int(rng.integers(20, 80))
        sizes, kernel = rng.integers(1, 18 if n < 3 else 9, n), rng.integers(1, 6 if n < 3 else 4, n)
        stride, dilation, padding = rng.integers(1, 4, n), rng.integers(1, 4, n), rng.integers(0, 4, (n, 2))
        if (sizes + padding.sum(1) >= dilation * (kernel - 1) + 1).all():
            break
    arguments = {
        "stride": tuple(stride.tolist()),
        "padding": tuple(map(tuple, padding.tolist())),
        "dilation": tuple(dilation.tolist()),
        "groups": groups,
    }
    x_shape, w_shape = (int(rng.integers(1, 3)), groups * C, *sizes.tolist()), (groups * K, C, *kernel.tolist())
    y_shape = refconv.ConvProblem.from_shapes(x_shape, w_shape, None, **arguments, spatial_ndim=n).output_shape
    if rng.random() < 0.25:
        source, target = rng.choice(INTEGERS, 2)
        arguments |= {"dtype": target, "overflow": rng.choice(["raise", "wrap", "saturate"])}
        operand = integer_fill(rng, source)
    else:
        source, target = rng.choice(FORMATS, 2)
        arguments["dtype"] = named(target if rng.random() < 0.5 else source)

        def operand(shape):
            return fill(rng, rng.choice(list(KINDS)), shape, source)

    what = rng.choice(["conv", "conv", "conv_transpose", "input", "weight"])
    if what in ("conv", "conv_transpose"):
        shapes = (x_shape, w_shape) if what == "conv" else (y_shape, w_shape)
        bias = operand((groups * (K if what == "conv" else C),)) if rng.random() < 0.5 else None
        operands = {"input": operand(shapes[0]), "weight": operand(shapes[1]), "bias": bias}
        return getattr(refconv, f"{what}{n}d"), operands | arguments
    if what == "input":
        operands = {"input_size": x_shape, "weight": operand(w_shape)}
    else:
        operands = {"input": operand(x_shape), "weight_size": w_shape}
    return getattr(refconv.grad, f"conv{n}d_{what}"), operands | {"grad_output": operand(y_shape)} | arguments


def integer_fill(rng, name):
    """Return a function from a shape to integers of up to some number of bits."""
    info = np.iinfo(name)
    largest = 2 ** int(rng.integers(1, info.bits + 1)) - 1

    def operand(shape):
        low, high = max(info.min, -largest), min(info.max, largest)
        return rng.integers(low, high, shape, dtype=name, endpoint=True)

    return operand


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
