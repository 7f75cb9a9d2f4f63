"""Runs clauses against a target, on cases that Hypothesis draws from a seed, and makes what fails small."""

import re
import time
import zlib
from collections.abc import Callable, Mapping

import hypothesis
from hypothesis import HealthCheck, Phase, Verbosity

from refconv.conformance.clauses import CLAUSES, Clause
from refconv.conformance.judges import Mismatch
from refconv.conformance.rows import Progress, Row, Run, rows_for
from refconv.conformance.simplify import simplify
from refconv.conformance.targets.base import Target
from refconv.testing.calls import ConvCase

__all__ = ["CASES_IN_BLOCK", "blocks_of", "cases_of", "run", "run_block", "run_row", "run_row_in_suite"]

#: The cases of a row are drawn in blocks of so many, each from a seed of its own, so that they can be drawn apart from
#: each other: on several processors, say.
CASES_IN_BLOCK = 250

# How often a failing target is called again to find a smaller failing case. Counted instead of timed, so that a seed
# always leads to the same small case.
_SHRINKING_CALLS = 150
_SIMPLIFYING_CALLS = 800
# How much a row may cost the target's process: it is started again after each of these, or waited for until time is up.
_PATIENCE = 30
_COSTS = {"crash": 1, "exit": 1, "memory": 10, "timeout": 10}

# A target may be slow, and its failures are reported by a report of their own.
_IN_ANY_CASE = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "report_multiple_bugs": False,
    "print_blob": False,
}


def run(
    target: Target,
    *,
    seed: int,
    cases: int | Mapping[str, int],
    clauses: list[Clause] = CLAUSES,
    max_seconds: float = float("inf"),
    progress: Progress | None = None,
    result: Run | None = None,
) -> Run:
    """Check clauses for all functions and dtypes of a target.

    Parameters
    ----------
    target : Target
    seed : int
        Same seed, same cases, for every row by itself: whichever others are selected.
    cases : int or dict of str to int
        How many to draw per row, or by the row's key: see `refconv.conformance.effort`.
    clauses : list of Clause, optional
        All by default.
    max_seconds : float, optional
        After this time no more cases are drawn. What is left of it is divided evenly between the rows still to come.
    progress : Progress, optional
    result : Run, optional
        An empty one to be filled, for callers that want to see it even if the run is interrupted.

    Returns
    -------
    Run
    """
    result = result or Run(target, seed)
    progress = progress or Progress()
    began = time.perf_counter()
    rows = rows_for(target, clauses)
    for position, row in enumerate(rows):
        share = (began + max_seconds - time.perf_counter()) / (len(rows) - position)
        # Of a clause that fails for several functions or dtypes, one small case is enough.
        shrink = all(failure.clause is not row.clause for failure in result.failures)
        count = cases_of(row, cases)
        run_row(row, target, seed=seed, cases=count, max_seconds=share, shrink=shrink, progress=progress)
        result.rows.append(row)
        result.seconds = time.perf_counter() - began
    return result


def cases_of(row: Row, cases: int | Mapping[str, int]) -> int:
    """Return how many cases a row gets, of a number for all rows or numbers by their keys."""
    return cases if isinstance(cases, int) else cases[row.key]


def run_row(
    row: Row,
    target: Target,
    *,
    seed: int,
    cases: int,
    max_seconds: float = float("inf"),
    shrink: bool = True,
    progress: Progress | None = None,
):
    """Check one clause for one function and dtype, and fill in its row.

    Parameters
    ----------
    row : Row
        An empty one.
    target, seed, cases, max_seconds, progress
        As for `run`.
    shrink : bool
        Whether a failing case is to be made small.
    """
    progress = progress or Progress()
    progress.row_begins(row)
    began = time.perf_counter()
    if not row.reason:
        for block, count in enumerate(blocks_of(cases)):
            left = began + max_seconds - time.perf_counter()
            run_block(
                row, target, seed=seed, block=block, cases=count, max_seconds=left, shrink=shrink, progress=progress
            )
            if row.failing is not None or row.cut_short:
                break
    row.seconds = time.perf_counter() - began
    progress.row_ends(row)


def blocks_of(cases: int) -> list[int]:
    """Return how many cases there are in each block of a row.

    Examples
    --------
    >>> blocks_of(600)
    [250, 250, 100]
    """
    whole, rest = divmod(cases, CASES_IN_BLOCK)
    return [CASES_IN_BLOCK] * whole + ([rest] if rest else [])


def run_block(
    row: Row,
    target: Target,
    *,
    seed: int,
    block: int,
    cases: int,
    max_seconds: float = float("inf"),
    shrink: bool = True,
    progress: Progress | None = None,
):
    """Check one block of the cases of a row, and add to the row what comes of it.

    Parameters
    ----------
    row, target, seed, max_seconds, shrink, progress
        As for `run_row`.
    block : int
        Its number. Same seed, row and number, same cases.
    cases : int
        How many there are in it.
    """
    row.wanted += cases
    settings = hypothesis.settings(
        max_examples=cases,
        # Nothing is remembered from run to run, so that the seed alone decides.
        database=None,
        phases=[Phase.generate, Phase.shrink] if shrink else [Phase.generate],
        verbosity=Verbosity.quiet,
        **_IN_ANY_CASE,
    )
    decorate = hypothesis.seed(_block_seed(seed, row, block))
    deadline = time.perf_counter() + max_seconds
    runner = _BlockRunner(row, target, progress or Progress(), deadline, shrink)
    runner.run(lambda test: decorate(settings(test)))


def run_row_in_suite(row: Row, target: Target):
    """Check one clause as a test of somebody's own suite: with the settings, seed and database that are in force there.

    Parameters
    ----------
    row : Row
        An empty one.
    target : Target
    """
    _BlockRunner(row, target, Progress(), deadline=float("inf"), shrink=True).run(hypothesis.settings(**_IN_ANY_CASE))


class _Enough(BaseException):
    """Ends a Hypothesis run at once; an `Exception` would be taken for a failing test, and shrunk."""


class _BlockRunner:
    """Runs one clause for one function and dtype on one block of cases and fills in the row."""

    def __init__(self, row: Row, target: Target, progress: Progress, deadline: float, shrink: bool):
        self.row = row
        self.target = target
        self.progress = progress
        self.deadline = deadline
        self.shrink = shrink
        self.shrinking_calls = 0
        self.patience = _PATIENCE

    def run(self, decorate: Callable[[Callable], Callable]):
        """Draw cases; `decorate` gives the test its settings."""

        def check(case):
            self._check(case)

        # Hypothesis's database tells tests apart by their names, which have to be names of Python.
        check.__name__ = re.sub(r"\W", "_", f"check {self.target.name} {self.row.key}")
        strategy = self.row.clause.drawn(self.target.profile, self.row.op, self.row.dtype)
        test = decorate(hypothesis.given(strategy)(check))
        try:
            test()
        except Mismatch:
            pass
        except (_Enough, hypothesis.errors.Flaky, hypothesis.errors.Unsatisfiable):
            # Flaky: what failed has not failed again. It is reported as it was seen.
            # Unsatisfiable: all cases were vacuous.
            pass
        if self.row.failing is not None and self.shrink:
            self.row.failing = simplify(self.row.failing, self._mismatch_if_admitted, _SIMPLIFYING_CALLS)

    def _check(self, case: ConvCase):
        if time.perf_counter() > self.deadline:
            self.row.cut_short = self.row.failing is None
            raise _Enough
        mismatch = self._mismatch(case)
        if self.row.failing is None:
            self._count(case, mismatch)
        else:
            self.shrinking_calls += 1
            if self.shrinking_calls > _SHRINKING_CALLS or self.patience <= 0:
                raise _Enough
        if mismatch is not None:
            # The certificate costs as much as the reference; a result that is right does not need it.
            if not self.row.clause.admits(case):
                raise AssertionError(f"{self.row.clause.key}: a case was drawn that the clause cannot judge: {case}")
            self._keep_if_smaller(case, mismatch)
            raise mismatch

    def _count(self, case: ConvCase, mismatch: Mismatch | None):
        if mismatch is None and self.row.clause.is_vacuous(case):
            self.row.vacuous += 1
            # Hypothesis draws another one instead.
            hypothesis.reject()
        self.row.cases += 1
        self.progress.case_done()

    def _mismatch_if_admitted(self, case: ConvCase) -> Mismatch | None:
        clause = self.row.clause
        possible = clause.admits(case) and clause.is_possible(case, self.target.profile)
        return self._mismatch(case) if possible and self.patience > 0 else None

    def _mismatch(self, case: ConvCase) -> Mismatch | None:
        """Return how the target fails the clause on a case, or None."""
        try:
            self.row.clause.check(self.target, case, self.row.tally)
        except Mismatch as mismatch:
            if mismatch.refusal is not None:
                self.patience -= _COSTS.get(mismatch.refusal.kind, 0)
            return mismatch
        return None

    def _keep_if_smaller(self, case: ConvCase, mismatch: Mismatch):
        # Hypothesis tries simpler and simpler cases, so of equally small ones the latest.
        if self.row.failing is None or case.operands.size <= self.row.failing[0].operands.size:
            self.row.failing = case, mismatch


def _block_seed(seed: int, row: Row, block: int) -> int:
    return zlib.crc32(f"{seed} {row.key} {block}".encode())
