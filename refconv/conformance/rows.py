"""What comes of a run: rows, one for each clause, function and dtype; and who is told while it lasts."""

from dataclasses import dataclass, field

from refconv.conformance.clauses import CLAUSES, Clause
from refconv.conformance.judges import Tally
from refconv.conformance.simplify import Failing
from refconv.conformance.targets.base import Target

__all__ = ["Progress", "Row", "Run", "rows_for"]


@dataclass
class Row:
    """What came of one clause for one function and dtype.

    Parameters
    ----------
    clause : Clause
    op, dtype : str
    cases : int
        How many were checked, up to and including the first that failed.
    tally : Tally
    failing : (ConvCase, Mismatch) or None
        The smallest case that failed; the first one if it was not to be made small.
    seconds : float
    reason : str
        Why there is nothing to check, if the profile declares it, or what went wrong.
    cut_short : bool
        Whether time was up before all cases were drawn.
    error : bool
        Whether checking could not be brought to its end, for the `reason`.
    vacuous : int
        Cases that could not reveal anything, see `Clause.is_vacuous`. They are not among `cases`.
    wanted : int
        How many cases were to be checked.
    """

    clause: Clause
    op: str
    dtype: str
    cases: int = 0
    tally: Tally = field(default_factory=Tally)
    failing: Failing | None = None
    seconds: float = 0.0
    reason: str = ""
    cut_short: bool = False
    error: bool = False
    vacuous: int = 0
    wanted: int = 0

    @property
    def key(self) -> str:
        """What it is called in files: "stride/conv2d/float32"."""
        return f"{self.clause.key}/{self.op}/{self.dtype}"

    @property
    def status(self) -> str:
        """'fail', 'error', 'unsupported', 'vacuous', 'not run' or 'pass'."""
        if self.failing is not None:
            return "fail"
        if self.error:
            return "error"
        if self.reason:
            return "unsupported"
        # Hypothesis replaces vacuous cases by others, if it finds any.
        if self.vacuous and self.cases < self.wanted / 2 and not self.cut_short:
            return "vacuous"
        return "pass" if self.cases else "not run"


@dataclass
class Run:
    """What came of all clauses so far.

    Parameters
    ----------
    target : Target
    seed : int
    rows : list of Row
        Grows during the run; complete unless it was interrupted.
    seconds : float
    """

    target: Target
    seed: int
    rows: list[Row] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def cases(self) -> int:
        """Cases checked altogether."""
        return sum(row.cases for row in self.rows)

    @property
    def failures(self) -> list[Row]:
        """The rows with a failing case."""
        return [row for row in self.rows if row.status == "fail"]


class Progress:
    """Is told what happens during a run, as a context manager around it; does nothing with it."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def row_begins(self, row: Row):
        """A clause is about to be checked for a function and dtype."""

    def case_done(self):
        """One more case was checked."""

    def row_ends(self, row: Row):
        """The row is complete."""


def rows_for(target: Target, clauses: list[Clause] = CLAUSES) -> list[Row]:
    """Return the empty rows of a target: every clause for every function that it is about and every dtype.

    What the target's profile declares to be missing has its reason already.
    """
    profile = target.profile
    return [
        Row(clause, op, dtype, reason=clause.why_unsupported(profile, op, dtype) or "")
        for clause in clauses
        for op in profile.ops
        for dtype in profile.dtypes
        if clause.applies_to(profile, op, dtype)
    ]
