"""Judge right implementations on random problems, for as long as you like: none may ever be rejected.

    python tools/soak_oracle.py                       50,000 judged results
    python tools/soak_oracle.py --results 1000000 --seed 7

Every implementation of `refconv.testing.correct`, on every function of the family, in float16, bfloat16, float32 and
float64; sums of up to 4608 terms; data of every recipe: same-sign, constant, cancelling, wide exponents, ties, around
overflow and underflow. A result that is SUSPICIOUS or WRONG under the implementation's claim is printed with its seed,
and the exit status is 1. In the end the figures by implementation, and the largest share of a bound that was used.
"""

import argparse
import sys
import time
from collections import Counter

import numpy as np

from refconv.testing.calls import ConvCall, ConvCase
from refconv.testing.correct import CORRECT, dtype_of
from refconv.testing.operation import OPS, Operation
from refconv.testing.recipes import RECIPES, build_operands
from refconv.testing.verdict import judge_operation

DTYPES = ("float32", "float32", "float64", "float16", "bfloat16")


def random_operation(rng) -> tuple[Operation, str]:
    """Return some call of some function, and what to call it."""
    op = str(rng.choice(OPS if rng.random() < 0.5 else OPS[:3]))
    dtype = str(rng.choice(DTYPES))
    recipe = str(rng.choice(list(RECIPES)))
    call = long_sum(rng, op) if rng.random() < 0.1 else small(rng, op)
    operands = build_operands(recipe, call, dtype_of(dtype), int(rng.integers(1 << 32)), int(rng.integers(1, 25)))
    return ConvCase(call, operands, recipe).operation, f"{op}, {dtype}, {recipe}"


def small(rng, op) -> ConvCall:
    """A problem with every feature."""
    n = ConvCall((), (), op=op).spatial_ndim
    groups = int(rng.choice([1, 1, 2, 3]))
    C, K, N = int(rng.integers(1, 9)), int(rng.integers(1, 5)), int(rng.integers(1, 3))
    kernel = rng.integers(1, 5, n)
    plain = rng.random() < 0.5  # stride 1 and dilation 1, for Winograd
    stride = np.ones(n, int) if plain else rng.integers(1, 4, n)
    dilation = np.ones(n, int) if plain else rng.integers(1, 3, n)
    padding = rng.integers(0, 3, n)
    size = dilation * (kernel - 1) + rng.integers(1, 7 if n < 3 else 4, n)
    x, w = (N, C * groups, *map(int, size)), (K * groups, C, *map(int, kernel))
    bias = (K * groups,) if rng.random() < 0.5 else None
    arguments = [tuple(map(int, values)) for values in (stride, padding, dilation)]
    if "transpose" in op:
        if (2 * padding >= (size - 1) * stride + dilation * (kernel - 1) + 1).any():
            arguments[1] = 0
        return ConvCall(x, (C * groups, K, *w[2:]), bias, *arguments, groups, op=op)
    if op in OPS[:3]:
        return ConvCall(x, w, bias, *arguments, groups, op=op)
    windows = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    return ConvCall(x, w, None, *arguments, groups, op=op, grad_shape=(N, K * groups, *map(int, windows)))


def long_sum(rng, op) -> ConvCall:
    """A problem with few results, each a sum of up to 4608 terms."""
    if op not in OPS[:3]:
        return small(rng, op)
    n = int(op[4])
    C = int(rng.choice([64, 128, 256, 512]))
    kernel = (3,) * min(n, 2) if n < 3 else (1, 3, 3)
    x = (1, C, *(k + int(rng.integers(0, 3)) for k in kernel))
    K = int(rng.integers(1, 4))
    return ConvCall(x, (K, C, *kernel), (K,) if rng.random() < 0.5 else None, op=op)


def soak(results: int, seed: int, seconds: float = float("inf"), report=print) -> bool:
    """Judge so many results; return whether all were accepted."""
    grades, worst, longest = Counter(), Counter(), 0
    began, judged, rejected, case = time.monotonic(), 0, 0, seed
    while judged < results and time.monotonic() - began < seconds:
        with np.errstate(all="ignore"):
            operation, what = random_operation(np.random.default_rng(case))
            for name, implementation in CORRECT.items():
                if not implementation.admits(operation):
                    continue
                claim = implementation.claim(operation.dtype)
                verdict = judge_operation(implementation.compute(operation), operation, claim)
                judged += 1
                grades[name, verdict.grade] += 1
                finite = verdict.shares[np.isfinite(verdict.shares)]
                worst[name] = max(worst[name], float(finite.max(initial=0.0)))
                if not verdict.right:
                    rejected += 1
                    report(f"seed {case}, {name}, {what}: {verdict!r}")
        longest = max(longest, int(np.prod(operation.w.shape[1:])))
        case += 1
    for name in CORRECT:
        counts = ", ".join(f"{grades[name, grade]} {grade}" for grade in ("EXACT", "WITHIN", "SUSPICIOUS", "WRONG"))
        report(f"{name:16} {counts}; largest share {worst[name]:.2g}")
    report(f"{judged} results of {case - seed} problems judged, {rejected} rejected; sums of up to {longest} terms")
    return rejected == 0


def main():
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=int, default=50_000, help="results to judge (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after this time")
    parser.add_argument("--seed", type=int, default=0, help="of the first problem (default: %(default)s)")
    options = parser.parse_args()
    return 0 if soak(options.results, options.seed, options.seconds) else 1


if __name__ == "__main__":
    sys.exit(main())
