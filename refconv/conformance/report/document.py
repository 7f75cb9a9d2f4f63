"""What is left to say when a run is over, as plain data: the one thing that all forms of the report are made of.

A `Report` can be written to a file and read again (`json_file`), so whatever shows one (terminal, JUnit, HTML) works
for the run that has just ended and for last month's.
"""

import shlex
from collections import Counter
from dataclasses import dataclass

import numpy as np

from refconv.errors import ConvError
from refconv.testing.calls import ConvCase

__all__ = ["GOOD", "OUTCOMES", "Finding", "Report", "ReportRow"]

#: What may come of a row, with what it means. `expected failure` and `unexpected pass` are by an xfail file.
OUTCOMES = {
    "pass": "every case is right",
    "fail": "a case is wrong",
    "error": "the suite itself could not judge a case",
    "expected failure": "a case is wrong, as the xfail file says",
    "unexpected pass": "every case is right, but the xfail file says that one is wrong",
    "unsupported": "the target's profile declares that it cannot do this",
    "vacuous": "hardly a case could have told a wrong result from a right one",
    "not run": "there was no time left",
}

#: Outcomes that leave the target conforming.
GOOD = frozenset({"pass", "expected failure", "unsupported", "vacuous", "not run"})


@dataclass(frozen=True, eq=False)
class Finding:
    """The smallest case that fails, and what is known about it.

    Parameters
    ----------
    headline : str
        What is wrong, in one line.
    details : list of str
        The worst place, expected and actual values.
    script : str
        Python code that raises for the same reason.
    case : ConvCase
    explanation : str
        Which bug it looks like; may be empty.
    actual, expected, shares : ndarray or None
        The target's result, the right one, and per element the error as a share of what is allowed. None where the
        result is not an array of the right shape.
    """

    headline: str
    details: list[str]
    script: str
    case: ConvCase
    explanation: str = ""
    actual: np.ndarray | None = None
    expected: np.ndarray | None = None
    shares: np.ndarray | None = None

    @property
    def descriptor(self) -> str:
        """The convolution as one line of text; empty if it is none, as for wrong calls."""
        try:
            return self.case.call.problem.descriptor
        except (ConvError, TypeError):
            return ""


@dataclass(frozen=True, eq=False)
class ReportRow:
    """What came of one clause, for one operation and dtype.

    Parameters
    ----------
    number : int
        Of the clause, in the order of the specification.
    clause, title, text : str
        Key, name and paragraph of the clause.
    op, dtype : str
    outcome : str
        A key of `OUTCOMES`.
    reason : str
        Why it is unsupported, an expected failure, an error.
    cases : int
        How many were checked.
    cut_short : bool
        Whether time was up before all were drawn.
    worst_share : float or None
        Largest error as a share of what was allowed; None if nothing was allowed.
    worst_ulp : float or None
    seconds : float
    finding : Finding or None
    """

    number: int
    clause: str
    title: str
    text: str
    op: str
    dtype: str
    outcome: str
    reason: str = ""
    cases: int = 0
    cut_short: bool = False
    worst_share: float | None = None
    worst_ulp: float | None = None
    seconds: float = 0.0
    finding: Finding | None = None

    @property
    def key(self) -> str:
        """Its identity in xfail files and baselines."""
        return f"{self.clause}/{self.op}/{self.dtype}"

    @property
    def good(self) -> bool:
        """Whether a target with this row may conform."""
        return self.outcome in GOOD

    @property
    def remark(self) -> str:
        """What the outcome and its reason say together, in a line; empty if there is no reason."""
        if not self.reason:
            return ""
        return f"{OUTCOMES[self.outcome]}: {self.reason}" if self.outcome != "error" else self.reason


@dataclass(frozen=True, eq=False)
class Report:
    """A whole run.

    Parameters
    ----------
    target : str
    profile : dict
        What the target supports and claims.
    seed : int
    effort : str
        Such as ``quick``, which decides how many cases a row has.
    options : list of str
        Further words of the command line that are needed to run it again.
    versions : dict of str to str
    rows : list of ReportRow
    seconds : float
    started : str
        Date and time, ISO 8601 in UTC.
    interrupted : bool
    """

    target: str
    profile: dict
    seed: int
    effort: str
    options: list[str]
    versions: dict[str, str]
    rows: list[ReportRow]
    seconds: float = 0.0
    started: str = ""
    interrupted: bool = False

    @property
    def conforms(self) -> bool:
        """Whether nothing that was checked speaks against the target."""
        return all(row.good for row in self.rows)

    @property
    def complete(self) -> bool:
        """Whether everything was checked that was to be checked."""
        return not self.interrupted and not any(row.cut_short or row.outcome == "not run" for row in self.rows)

    @property
    def cases(self) -> int:
        """Cases checked altogether."""
        return sum(row.cases for row in self.rows)

    @property
    def ops(self) -> list[str]:
        """Operations, in the order of the rows."""
        return list(dict.fromkeys(row.op for row in self.rows))

    @property
    def dtypes(self) -> list[str]:
        """Dtypes, in the order of the rows."""
        return list(dict.fromkeys(row.dtype for row in self.rows))

    @property
    def clauses(self) -> dict[str, list[ReportRow]]:
        """The rows of each clause, in the order of the specification."""
        found: dict[str, list[ReportRow]] = {}
        for row in sorted(self.rows, key=lambda row: row.number):
            found.setdefault(row.clause, []).append(row)
        return found

    @property
    def failures(self) -> list[list[ReportRow]]:
        """The rows that speak against the target, those of one clause, operation and outcome together."""
        found: dict[tuple[str, str, str], list[ReportRow]] = {}
        for rows in self.clauses.values():
            for row in rows:
                if not row.good:
                    found.setdefault((row.clause, row.op, row.outcome), []).append(row)
        return list(found.values())

    @property
    def verdict(self) -> str:
        """The outcome in a sentence without its subject, the target."""
        checked = {row.clause for row in self.rows if row.cases}
        failed = {rows[0].clause for rows in self.failures}
        count = f"{len(checked)} clause{'s' * (len(checked) != 1)}"
        s = "s" * (len(checked) == 1)
        if failed:
            return f"does not conform: {len(failed)} of {count} fail{s}"
        if not checked:
            return f"was not checked: {self._why_unchecked}"
        if not self.complete:
            return f"has not failed in {count} so far, but the run was cut short"
        counts = Counter(row.outcome for row in self.rows)
        exceptions = [
            f"{counts[outcome]} row{'s' * (counts[outcome] != 1)} {how}"
            for outcome, how in (("expected failure", "expected to fail"), ("vacuous", "that could not fail"))
            if counts[outcome]
        ]
        but = f", but for {' and '.join(exceptions)}" if exceptions else ""
        return f"conforms: {count} hold{s}{but}"

    @property
    def _why_unchecked(self) -> str:
        outcomes = {row.outcome for row in self.rows}
        if self.interrupted:
            return "the run was interrupted before the first case"
        if not outcomes:
            return "no row was selected"
        if outcomes == {"unsupported"}:
            rows = "row" if len(self.rows) == 1 else f"{len(self.rows)} rows"
            return f"its profile declares the {rows} selected to be unsupported"
        if "not run" in outcomes:
            return "the run was cut short before the first case"
        return "no case could have told a wrong result from a right one"

    def again(self, rows: list[ReportRow]) -> str:
        """The command that runs rows of one clause and operation again, with the same cases."""
        first = rows[0]
        # Not if there is only one, which may be because the options say so.
        op = ["--op", first.op] if len(self.profile["ops"]) > 1 else []
        words = ["refconv", "check", self.target, "--seed", str(self.seed), *self.options, "-k", first.clause, *op]
        return shlex.join(words)
