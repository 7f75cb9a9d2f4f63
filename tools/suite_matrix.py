"""Which clause of the conformance suite rejects which mutant, and is its diagnosis right? Writes docs/suite_matrix.md.

    python tools/suite_matrix.py              every mutant against the clauses whose business it is
    python tools/suite_matrix.py --check      nothing is written; exit status 1 if a mutant survives or has no row

Cases are as many as the quick profile gives to these functions and dtypes. The second table is about wrong functions
that were written after the clauses, and are counted as they were at the first try.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from refconv.conformance.clauses import CLAUSES
from refconv.conformance.clauses.catches import CATCHES
from refconv.conformance.effort import cases_for
from refconv.conformance.judges import Mismatch, function_of
from refconv.conformance.profile import Profile
from refconv.conformance.rows import Row, rows_for
from refconv.conformance.runner import run_row
from refconv.conformance.targets.function import FunctionTarget
from refconv.testing.calls import SIGNATURES
from refconv.testing.mutants import MUTANTS, Mutant

PAGE = Path(__file__).parent.parent / "docs" / "suite_matrix.md"
OPS = ("conv2d", "conv_transpose2d", "conv2d_weight")
DTYPES = ("float32", "float64")


@dataclass
class Rejection:
    """How a mutant was rejected.

    Parameters
    ----------
    row : Row
        The first that fails.
    cases : int
        Until then, over all rows that were tried.
    diagnosis : str or None
        The first hypothesis of `refconv.testing.explain` on the failing case.
    equally_good : list of str
        All hypotheses that these data do not tell from the first.
    """

    row: Row
    cases: int
    diagnosis: str | None
    equally_good: list[str]


def target_of(mutant: Mutant) -> FunctionTarget:
    """Return a mutant as a target, in three functions of the family."""

    def of(op):
        def call(*values):
            named = dict(zip(SIGNATURES[op], values, strict=True))
            return mutant(**{name.removesuffix("_size"): value for name, value in named.items()}, op=op)

        return call

    # It leaves wrong calls to refconv's own checks.
    profile = Profile(ops=OPS, dtypes=DTYPES, padding="torch")
    return FunctionTarget(mutant.name, {op: of(op) for op in OPS}, profile)


def rejection_of(mutant: Mutant, seed: int = 1) -> Rejection | None:
    """Run the clauses whose business a mutant is, until one fails."""
    target = target_of(mutant)
    rows = rows_for(target, CLAUSES)
    counts = cases_for("quick", target.profile, rows)
    order = CATCHES[mutant.name]
    own = sorted((row for row in rows if row.clause.key in order), key=lambda row: order.index(row.clause.key))
    cases = 0
    for row in own:
        run_row(row, target, seed=seed, cases=counts[row.key], shrink=False)
        cases += row.cases + row.vacuous
        if row.failing is not None:
            return Rejection(row, cases, *_diagnosis(row.failing[1], function_of(target, row.op)))
    return None


def _diagnosis(mismatch: Mismatch, function) -> tuple[str | None, list[str]]:
    if mismatch.verdict is None:
        return None, []
    # Within the bound, but not exact where all sums are, counts as right for a verdict.
    explanation = mismatch.verdict.explain(function)
    if explanation is None:
        return None, []
    return explanation.name, [hypothesis.name for hypothesis in explanation.equally_good]


def matrix(names=tuple(MUTANTS)) -> dict[str, Rejection | None]:
    """Return how each mutant is rejected; None for one that survives."""
    with np.errstate(all="ignore"):
        return {name: rejection_of(MUTANTS[name]) for name in names}


def is_right(name: str, rejection: Rejection) -> bool:
    """Whether the diagnosis is the mistake that was made, or nothing in the data tells it from that."""
    return name in rejection.equally_good


def table(found: dict[str, Rejection | None]) -> str:
    """Return the page's first part."""
    right = sum(rejection is not None and is_right(name, rejection) for name, rejection in found.items())
    first = sum(rejection is not None and rejection.diagnosis == name for name, rejection in found.items())
    lines = [
        "# Which clause rejects which mutant",
        "",
        "Made by `python tools/suite_matrix.py`; do not edit. Each row is a wrong convolution of",
        "`refconv.testing.mutants`, run against the clauses whose business its mistake is",
        "(`refconv.conformance.clauses.catches`), with the cases of the quick profile. The diagnosis is that of",
        "`refconv.testing.explain` on the first case that failed, as it was drawn, and on up to",
        "three further calls of the mutant.",
        "",
        f"{sum(rejection is not None for rejection in found.values())} of {len(found)} are rejected. {right} diagnoses",
        f"are right: {first} name the mistake first, {right - first} among those that the case does not tell from it.",
        "",
        "| mutant | clause | function, dtype | cases | diagnosis |",
        "|---|---|---|---|---|",
    ]
    for name, rejection in found.items():
        if rejection is None:
            lines.append(f"| {name} | survives | | | |")
            continue
        where = f"{rejection.row.op}, {rejection.row.dtype}"
        diagnosis = "right" if rejection.diagnosis == name else f"{rejection.diagnosis or 'none'}"
        if diagnosis != "right" and is_right(name, rejection):
            diagnosis = f"right, or {diagnosis}"
        lines.append(f"| {name} | {rejection.row.clause.key} | {where} | {rejection.cases} | {diagnosis} |")
    return "\n".join(lines) + "\n"


def main():
    """Run, and write or compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="do not write the page")
    options = parser.parse_args()
    found = matrix()
    survivors = [name for name, rejection in found.items() if rejection is None]
    if options.check:
        page = PAGE.read_text(encoding="utf-8")
        missing = [name for name in found if f"| {name} |" not in page]
        if missing:
            print(f"{PAGE} has no row for {', '.join(missing)}: run tools/suite_matrix.py")
            return 1
    else:
        # What is written by hand below the table stays.
        _, mark, below = (PAGE.read_text(encoding="utf-8") if PAGE.exists() else "").partition("\n## ")
        PAGE.write_text(table(found) + mark + below, encoding="utf-8")
    wrong = [name for name, rejection in found.items() if rejection and not is_right(name, rejection)]
    print(f"{len(found) - len(survivors)} of {len(found)} rejected, {len(wrong)} of them with a wrong diagnosis")
    for name in survivors:
        print(f"survives: {name}")
    for name in wrong:
        print(f"wrong diagnosis: {name}: {found[name].diagnosis} ({found[name].row.key})")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
