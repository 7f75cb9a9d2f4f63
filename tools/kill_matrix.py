"""Which check rejects which wrong convolution? Writes docs/kill_matrix.md, and fails if a mutant survives.

    python tools/kill_matrix.py              200 cases of a dozen kinds, drawn by Hypothesis
    python tools/kill_matrix.py --check      nothing is written; exit status 1 if a mutant survives or has no row

A case that would let nonsense pass, `refconv.testing.vacuity`, is replaced by another one.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, assume, given, seed, settings

from refconv.testing.mutants import MUTANTS
from refconv.testing.operation_strategies import operations
from refconv.testing.strategies import FEATURES, conv_calls, long_sums
from refconv.testing.vacuity import why_vacuous
from refconv.testing.verdict import judge_operation

PAGE = Path(__file__).parent.parent / "docs" / "kill_matrix.md"

_SMALL = {"max_macs": 1 << 14}
_ANY = conv_calls(vary=(*FEATURES, "asymmetric_padding"), **_SMALL)
_CHANNELS = conv_calls(vary=("kernel", "channels", "groups", "bias"), always=("bias",), **_SMALL)
_PADDED = conv_calls(vary=("kernel", "channels", "padding", "stride"), always=("bias",), **_SMALL)
_BATCHES = conv_calls(vary=("batch", "channels", "bias"), **_SMALL)
_DTYPES = ("float32", "float32", "float16", "float64")
_INTEGERS = ("small_integers", "wide_by_ternary")

# How many cases of which kind. Chance within a kind differs from one release of Hypothesis to the next, and with the
# modules that are loaded; so that none is without cases of a kind, the numbers are fixed.
_KINDS = (
    (40, operations(_ANY, dtypes=_DTYPES, ops=("conv2d",))),
    (10, operations(long_sums(), dtypes=_DTYPES, ops=("conv2d",))),
    (24, operations(_CHANNELS, dtypes=_DTYPES, recipes=("normal",), ops=("conv2d",), views=True)),
    (
        16,
        operations(
            _CHANNELS, recipes=("normal",), layouts=("fortran_order", "channels_last"), ops=("conv2d",), views=True
        ),
    ),
    (20, operations(_PADDED, recipes=("special_values",), ops=("conv2d",))),
    (8, operations(_ANY, recipes=("subnormal_integers", "underflowing"), ops=("conv2d",))),
    # A kernel of one tap, which many treat as a matrix product.
    (12, operations(conv_calls(vary=("channels", "stride"), **_SMALL), recipes=_INTEGERS, ops=("conv2d",))),
    (16, operations(conv_calls(vary=("kernel", "dilation"), always=("named_padding",), **_SMALL), ops=("conv2d",))),
    (10, operations(_BATCHES, recipes=("normal",), ops=("conv2d",))),
    (16, operations(_BATCHES, recipes=("normal",), ops=("conv2d_weight", "conv2d_bias"))),
    (16, operations(conv_calls(vary=("kernel", "stride", "channels"), **_SMALL), ops=("conv_transpose2d",))),
    (12, operations(_ANY, dtypes=_DTYPES, ops=("conv2d_input", "conv2d_weight", "conv_transpose2d"))),
)
CASES = sum(count for count, _ in _KINDS)


def drawn(number: int = 1):
    """Return the cases, none of them vacuous."""
    cases = []
    for count, kind in _KINDS:
        cases += _examples(kind, count, number)
    return cases


def _examples(strategy, count, number):
    found = []

    @seed(number)
    @settings(max_examples=count, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(strategy)
    def collect(operation):
        assume(len(found) < count and why_vacuous(operation) is None)
        found.append(operation)

    collect()
    return found


def kills(cases) -> dict[str, Counter]:
    """How many cases reject each mutant, by check; under 'first' the number of the first case that does."""
    matrix = {}
    for name, mutant in MUTANTS.items():
        matrix[name] = counts = Counter()
        for number, operation in enumerate(cases, start=1):
            if not mutant.differs(operation):
                continue
            check = check_that_rejects(mutant.compute(operation), operation)
            if check:
                counts[check] += 1
                counts.setdefault("first", number)
    return matrix


def check_that_rejects(result, operation) -> str | None:
    """Which check a result fails: the first of shape, values, bound and statistics."""
    verdict = judge_operation(result, operation)
    if verdict.right:
        return None
    if verdict.fault:
        return "shape"
    if verdict.grade == "SUSPICIOUS":
        return "statistics"
    return "values" if np.isinf(verdict.shares[verdict.wrong]).any() else "bound"


def table(matrix: dict[str, Counter], count: int) -> str:
    """The page."""
    lines = [
        "# Which check rejects which mutant",
        "",
        "Made by `python tools/kill_matrix.py`; do not edit. Each row is a wrong convolution of",
        f"`refconv.testing.mutants`. {count} cases were drawn at random: all features of a convolution, the transposed",
        "one and the gradients too; three dtypes, views, numbers of every recipe, none of them vacuous. How many of",
        "them reject the mutant, and how:",
        "",
        "- shape: the result has the wrong shape or dtype;",
        "- values: a NaN or an infinity is missing or out of place, or a sum without terms is not zero;",
        "- bound: outside of what the claimed arithmetic can give, `conv_bound`;",
        "- statistics: inside, but impossible in practice, `refconv.testing.statistics`.",
        "",
        "| mutant | shape | values | bound | statistics | first case | seen in |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, counts in matrix.items():
        figures = [str(counts[check] or "") for check in ("shape", "values", "bound", "statistics")]
        reference = MUTANTS[name].reference or ""
        lines.append(f"| {name} | {' | '.join(figures)} | {counts.get('first', 'never')} | {reference} |")
    return "\n".join(lines) + "\n"


def main():
    """Draw, count, and write or compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="do not write the page")
    options = parser.parse_args()
    with np.errstate(all="ignore"):
        cases = drawn()
        matrix = kills(cases)
    survivors = [name for name, counts in matrix.items() if not counts]
    if options.check:
        page = PAGE.read_text(encoding="utf-8")
        missing = [name for name in matrix if f"| {name} |" not in page]
        if missing:
            print(f"{PAGE} has no row for {', '.join(missing)}: run tools/kill_matrix.py")
            return 1
    else:
        PAGE.write_text(table(matrix, len(cases)), encoding="utf-8")
    latest = max(counts.get("first", 0) for counts in matrix.values())
    print(f"{len(matrix) - len(survivors)} of {len(matrix)} mutants rejected, the last one in case {latest}")
    for name in survivors:
        print(f"survives: {name}")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
