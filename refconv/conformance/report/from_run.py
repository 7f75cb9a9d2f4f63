"""From what the runner leaves behind to what a report says."""

import sys
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

import hypothesis
import numpy as np

import refconv
from refconv.conformance.report.document import Finding, Report, ReportRow
from refconv.conformance.repro import script
from refconv.conformance.rows import Row, Run
from refconv.conformance.simplify import Failing
from refconv.conformance.targets.base import Target
from refconv.conformance.xfail import Expectations

__all__ = ["finding_of", "report_of", "versions_of"]


def versions_of(target: Target) -> dict[str, str]:
    """Return the versions of everything that decides which cases are drawn and what comes of them."""
    return {
        "refconv": refconv.__version__,
        **target.versions(),
        "numpy": np.__version__,
        "hypothesis": hypothesis.__version__,
        "python": sys.version.split()[0],
    }


def report_of(
    run: Run,
    *,
    effort: str,
    options: Sequence[str] = (),
    expectations: Expectations | None = None,
    interrupted: bool = False,
) -> Report:
    """Return the report on a run that has just ended.

    Parameters
    ----------
    run : Run
    effort : str
        The name of the number of cases.
    options : sequence of str
        Words of the command line that are needed to run it again.
    expectations : Expectations, optional
        Which rows are expected to fail.
    interrupted : bool

    Returns
    -------
    Report
    """
    expectations = expectations or Expectations({})
    return Report(
        target=run.target.name,
        profile=run.target.profile.as_dict(),
        seed=run.seed,
        effort=effort,
        options=list(options),
        versions=versions_of(run.target),
        rows=[_row(row, run.target, expectations) for row in run.rows],
        seconds=run.seconds,
        started=(datetime.now(timezone.utc) - timedelta(seconds=run.seconds)).isoformat(timespec="seconds"),
        interrupted=interrupted,
    )


def _row(row: Row, target: Target, expectations: Expectations) -> ReportRow:
    outcome, reason = row.status, row.reason
    expected = expectations.reason(row.key)
    if expected is not None and outcome in ("pass", "fail"):
        outcome = {"pass": "unexpected pass", "fail": "expected failure"}[outcome]
        reason = expected
    return ReportRow(
        number=row.clause.number,
        clause=row.clause.key,
        title=row.clause.title,
        text=row.clause.text,
        op=row.op,
        dtype=row.dtype,
        outcome=outcome,
        reason=reason,
        cases=row.cases,
        cut_short=row.cut_short,
        worst_share=row.tally.worst_share,
        worst_ulp=row.tally.worst_ulp,
        seconds=row.seconds,
        finding=None if row.failing is None else finding_of(row.failing, target),
    )


def finding_of(failing: Failing, target: Target) -> Finding:
    """Return what is known of a failing case.

    Parameters
    ----------
    failing : (ConvCase, Mismatch)
    target : Target

    Returns
    -------
    Finding
    """
    case, mismatch = failing
    verdict = mismatch.verdict
    known = {"explanation": mismatch.diagnosis}
    if verdict is not None:
        known |= {"actual": verdict.actual, "expected": verdict.exact, "shares": verdict.shares}
    # What a process has said before it died follows in further lines.
    headline, *last_words = mismatch.headline.splitlines() or [""]
    return Finding(
        headline=headline,
        details=[line for line in [*last_words, *mismatch.details] if line],
        script=script(target, case, mismatch),
        case=case,
        **known,
    )
