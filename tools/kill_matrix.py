"""Which check rejects which wrong convolution? Writes docs/kill_matrix.md, and fails if a mutant survives.

    python tools/kill_matrix.py              200 cases, drawn by Hypothesis with a fixed seed
    python tools/kill_matrix.py --check      nothing is written; exit status 1 if a mutant survives or has no row

A case that would let nonsense pass, `refconv.testing.vacuity`, is replaced by another one.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, assume, given, seed, settings
from hypothesis import strategies as st

from refconv.testing.mutants import MUTANTS
from refconv.testing.operation_strategies import operations
from refconv.testing.strategies import FEATURES, conv_calls, long_sums
from refconv.testing.vacuity import why_vacuous
from refconv.testing.verdict import judge_operation

CASES = 200
PAGE = Path(__file__).parent.parent / "docs" / "kill_matrix.md"

_ANY_CALLS = st.one_of(
    conv_calls(vary=(*FEATURES, "asymmetric_padding"), max_macs=1 << 14),
    conv_calls(vary=FEATURES, always=("bias",), max_macs=1 << 14),
    conv_calls(vary=("batch", "channels"), max_macs=1 << 14),
    conv_calls(vary=("kernel", "channels", "dilation"), always=("named_padding",), max_macs=1 << 14),
    # A kernel of one tap, which many treat as a matrix product.
    conv_calls(vary=("channels", "stride", "padding"), always=("bias",), max_macs=1 << 14),
    long_sums(),
)
_DTYPES = ("float32", "float32", "float16", "float64")
_FAMILY = (
    *("conv2d",) * 7,
    *("conv_transpose2d",) * 2,
    "conv2d_input",
    *("conv2d_weight",) * 2,
    *("conv2d_bias",) * 2,
)


def drawn(count: int, number: int = 1):
    """Return so many operations that are not vacuous, the same ones for the same seed."""
    cases = []

    @seed(number)
    @settings(max_examples=count, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(operations(_ANY_CALLS, dtypes=_DTYPES, ops=_FAMILY))
    def collect(operation):
        assume(len(cases) < count and why_vacuous(operation) is None)
        cases.append(operation)

    collect()
    return cases


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
        cases = drawn(CASES)
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
