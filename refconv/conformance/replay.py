"""Again, but only this: the failing cases of an earlier report, or one convolution by its descriptor."""

import time
from collections.abc import Sequence
from dataclasses import replace

from hypothesis import strategies as st

from refconv.conformance.clauses import CLAUSES, Clause
from refconv.conformance.clauses.clause import INTEGERS
from refconv.conformance.judges import Mismatch
from refconv.conformance.report.document import Report
from refconv.conformance.rows import Progress, Row, Run
from refconv.conformance.targets.base import Target
from refconv.problem import ConvProblem
from refconv.testing.calls import ConvCall
from refconv.testing.recipes import ROUNDED
from refconv.testing.strategies import conv_cases

__all__ = ["call_of", "clauses_for", "replay"]

# The clauses that are about any call at all, and not about one feature, and the numbers that each is to be asked with.
_OF_ANY_CALL = {
    "shape": ["small_integers"],
    "anything-goes": INTEGERS,
    "rounding": ROUNDED,
    "non-finite": ["special_values"],
    "untouched": ["normal"],
    "repeatable": ["normal"],
}


def replay(
    target: Target,
    report: Report,
    clauses: Sequence[Clause] = CLAUSES,
    progress: Progress | None = None,
    result: Run | None = None,
) -> Run:
    """Judge the failing cases of a report once more, each as it is.

    Parameters
    ----------
    target : Target
        Rows of functions and dtypes that its profile does not name are left out.
    report : Report
    clauses : sequence of Clause, optional
        Others are left out.
    progress : Progress, optional
    result : Run, optional
        An empty one to be filled, for callers that want to see it even if it is interrupted.

    Returns
    -------
    Run
        A row for each row of the report that has a failing case, with one case.
    """
    progress = progress or Progress()
    by_key = {clause.key: clause for clause in clauses}
    run = result or Run(target, report.seed)
    began = time.perf_counter()
    for failed in report.rows:
        selected = failed.op in target.profile.ops and failed.dtype in target.profile.dtypes
        if failed.finding is None or failed.clause not in by_key or not selected:
            continue
        row = Row(by_key[failed.clause], failed.op, failed.dtype, cases=1)
        progress.row_begins(row)
        row_began = time.perf_counter()
        try:
            row.clause.check(target, failed.finding.case, row.tally)
        except Mismatch as mismatch:
            row.failing = failed.finding.case, mismatch
        row.seconds = time.perf_counter() - row_began
        run.rows.append(row)
        run.seconds = time.perf_counter() - began
        progress.row_ends(row)
    return run


def call_of(descriptor: str) -> ConvCall:
    """Return the call that a descriptor stands for.

    Parameters
    ----------
    descriptor : str
        As `ConvProblem.parse` reads it.

    Returns
    -------
    ConvCall

    Raises
    ------
    ConvError
        If it cannot be read, or is no convolution.

    Examples
    --------
    >>> call_of("n1ic3iw28oc16kw5pw1-2").padding
    ((1, 2),)
    """
    problem = ConvProblem.parse(descriptor)
    symmetric = all(begin == end for begin, end in problem.padding)
    return ConvCall(
        problem.input_shape,
        problem.weight_shape,
        problem.bias_shape,
        problem.stride,
        tuple(begin for begin, _ in problem.padding) if symmetric else problem.padding,
        problem.dilation,
        problem.groups,
        op=problem.name,
        output_padding=problem.output_padding if problem.transposed else 0,
    )


def clauses_for(call: ConvCall) -> list[Clause]:
    """Return the clauses that are about any call, with cases of this one only.

    Parameters
    ----------
    call : ConvCall

    Returns
    -------
    list of Clause
        The numbers of the operands are still drawn.
    """
    return [_about(clause, call) for clause in CLAUSES if clause.key in _OF_ANY_CALL]


def _about(clause: Clause, call: ConvCall) -> Clause:
    recipes = _OF_ANY_CALL[clause.key]
    return replace(clause, cases=lambda _profile, _op, dtype: conv_cases(dtype, recipes, st.just(call)))
