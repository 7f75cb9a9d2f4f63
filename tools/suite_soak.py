"""Does the suite reject a right implementation? Exit status 1 if it does.

    python tools/suite_soak.py                 the quick profile with 20 seeds on every one of `refconv.testing.correct`
    python tools/suite_soak.py --seeds 3 --names winograd_f4 fft

Each is held to its own claim: direct sums in many orders, Winograd's algorithm, the FFT. Those that claim the same are
given the same cases, one after the other, since drawing a case costs more than most of them take to compute it.
"""

import argparse
import dataclasses
import sys
from itertools import groupby

import numpy as np

from refconv.conformance.clauses import CLAUSES, Clause
from refconv.conformance.effort import cases_for
from refconv.conformance.judges import Mismatch
from refconv.conformance.profile import Profile
from refconv.conformance.rows import Run, rows_for
from refconv.conformance.runner import run
from refconv.conformance.targets.function import FunctionTarget
from refconv.testing.calls import SIGNATURES
from refconv.testing.correct import CORRECT, Implementation

OPS = ("conv2d", "conv_transpose2d", "conv2d_input", "conv2d_weight", "conv2d_bias")
DTYPES = ("float32", "float16")


def target_of(implementation: Implementation, dtypes=DTYPES) -> FunctionTarget:
    """Return a right implementation as a target that claims what it does."""

    def of(op):
        def call(*values):
            named = dict(zip(SIGNATURES[op], values, strict=True))
            arguments = {name.removesuffix("_size"): value for name, value in named.items()}
            return implementation(**arguments, op=op)

        return call

    ops = ("conv2d",) if implementation.forward_only else OPS
    unsupported = {}
    if implementation.forward_only:
        unsupported = {"stride": "stride 1 only", "dilation": "dilation 1 only"}
        unsupported["empty_batch"] = "there is nothing to transform"
        unsupported["non_finite"] = "NaN and infinity reach the whole tile or plane"
    profile = Profile(
        ops=ops,
        dtypes=dtypes,
        claims={dtype: implementation.claim(dtype) for dtype in dtypes},
        unsupported=unsupported,
    )
    return FunctionTarget(implementation.name, {op: of(op) for op in ops}, profile)


def quick_run(target: FunctionTarget, seed: int, clauses=CLAUSES, share: float = 1.0) -> Run:
    """Run the quick profile, or a share of its cases."""
    counts = cases_for("quick", target.profile, rows_for(target, clauses))
    cases = {key: max(1, round(share * count)) for key, count in counts.items()}
    with np.errstate(all="ignore"):
        return run(target, seed=seed, cases=cases, clauses=clauses)


def alike(names) -> list[list[Implementation]]:
    """Return the right implementations of some names, those together that make the same claim."""
    chosen = sorted((CORRECT[name] for name in names), key=lambda one: (one.forward_only, repr(one.changes)))
    return [list(group) for _, group in groupby(chosen, key=lambda one: (one.forward_only, one.changes))]


def for_each(clause: Clause, targets: list[FunctionTarget]) -> Clause:
    """Return a clause that asks several targets, whichever it is given, and says in its headline which one failed."""

    def check(_, case, tally):
        for target in targets:
            try:
                clause.check(target, case, tally)
            except Mismatch as mismatch:
                mismatch.headline = f"{target.name}: {mismatch.headline}"
                raise

    return dataclasses.replace(clause, check=check)


def main():
    """Run all, and print what was rejected."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20, help="how many (default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="the first of them (default: %(default)s)")
    parser.add_argument("--names", nargs="*", choices=list(CORRECT), default=list(CORRECT), help="by default all")
    options = parser.parse_args()
    rejected = 0
    groups = [[target_of(one) for one in group] for group in alike(options.names)]
    for seed in range(options.first, options.first + options.seeds):
        for targets in groups:
            result = quick_run(targets[0], seed, [for_each(clause, targets) for clause in CLAUSES])
            for row in result.failures:
                case, mismatch = row.failing
                rejected += 1
                print(f"seed {seed}: {row.key}: {mismatch.headline}; {case.call}", *mismatch.details, sep="\n    ")
            names = ", ".join(target.name for target in targets)
            print(f"seed {seed}: {result.cases} cases for each of {names}", flush=True)
    print(f"{rejected} rejected")
    return 1 if rejected else 0


if __name__ == "__main__":
    sys.exit(main())
