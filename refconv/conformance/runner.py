"""Runs clauses against a target, on cases that Hypothesis draws from a seed, and makes what fails small."""

import re
import time
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress

import hypothesis
from hypothesis import HealthCheck, Phase, Verbosity

from refconv.conformance.clauses import CLAUSES, Clause
from refconv.conformance.judges import Mismatch, function_of
from refconv.conformance.rows import Progress, Row, Run, rows_for
from refconv.conformance.simplify import Failing, simplify
from refconv.conformance.targets.base import Target
from refconv.testing.calls import ConvCase
from refconv.testing.message import looks_like

__all__ = ["CASES_IN_BLOCK", "blocks_of", "cases_of", "run", "run_block", "run_row", "run_row_in_suite"]

#: The cases of a row are drawn in blocks of so many, each from a seed of its own, so that they can be drawn apart from
#: each other: on several processors, say.
CASES_IN_BLOCK = 250

# How often a failing target is called again to find a smaller failing case. Counted instead of timed, so that a seed
# always leads to the same small case.
_SHRINKING_CALLS = 150
_SIMPLIFYING_CALLS = 800
# And how often to find one that returns a wrong array, which can be explained, if it has raised exceptions so far.
_CASES_TO_LOOK_AT = 10
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
        self.unsteady = False
        self.cases_looked_at = 0
        #: The smallest case so far whose failure can be explained, since an array came of it.
        self.explained: Failing | None = None

    def run(self, decorate: Callable[[Callable], Callable]):
        """Draw cases; `decorate` gives the test its settings."""

        strategy = self.row.clause.drawn(self.target.profile, self.row.op, self.row.dtype)

        def test_with(look: Callable[[ConvCase], None], what: str) -> Callable[[], None]:
            def check(case):
                look(case)

            # Hypothesis's database tells tests apart by their names, which have to be names of Python.
            check.__name__ = re.sub(r"\W", "_", f"{what} {self.target.name} {self.row.key}")
            return decorate(hypothesis.given(strategy)(check))

        try:
            test_with(self._check, "check")()
        except Mismatch:
            pass
        except hypothesis.errors.Flaky:
            # What failed has not failed again. It is reported as it was seen.
            self.unsteady = True
        except (_Enough, hypothesis.errors.Unsatisfiable):
            # Unsatisfiable: all cases were vacuous.
            pass
        if self.row.failing is not None:
            if self.shrink:
                self.row.failing = simplify(self.row.failing, self._mismatch_if_admitted, _SIMPLIFYING_CALLS)
            self._say_if_it_takes_more_than_the_case()
            if self._has_only_raised:
                with suppress(_Enough):
                    test_with(self._look_for_an_array, "explain")()
            self._explain()

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
            self.row.failing = _smaller(self.row.failing, case, mismatch)
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
            self.explained = self.explained if mismatch.verdict is None else _smaller(self.explained, case, mismatch)
            return mismatch
        return None

    def _say_if_it_takes_more_than_the_case(self):
        """Add a line to the failing case if it does not fail by itself."""
        case, mismatch = self.row.failing
        refusal = mismatch.refusal
        if refusal is not None and refusal.kind in ("crash", "exit") and self.target.renew():
            again = self._mismatch(case)
            if again is None or again.refusal is None or again.refusal.kind != refusal.kind:
                mismatch.details.append(
                    f"only after earlier calls: this was call {refusal.number} of its process, and as the first of "
                    "another one it does not fail so"
                )
        elif self.unsteady and self._mismatch(case) is None:
            mismatch.details.append("only now and then: called once more, it did not fail")

    @property
    def _has_only_raised(self) -> bool:
        refusal = self.row.failing[1].refusal
        return self.explained is None and refusal is not None and refusal.kind in ("exception", "not an array")

    def _look_for_an_array(self, case: ConvCase):
        """Try one more case, in the hope that a wrong array comes of it."""
        self.cases_looked_at += 1
        self._mismatch(case)
        if self.explained is not None or self.cases_looked_at == _CASES_TO_LOOK_AT:
            raise _Enough

    def _explain(self):
        """Say what the failure looks like; where no array came of the smallest case, what another one looks like."""
        _, mismatch = self.row.failing
        # A target that has crashed or hung is not asked for more.
        function = function_of(self.target, self.row.op) if self.patience == _PATIENCE else None
        if mismatch.verdict is not None:
            mismatch.diagnosis = looks_like(mismatch.verdict, function)
        if mismatch.refusal is None or self.explained is None:
            return
        case, other = self.explained
        mismatch.details.append(f"another case returns an array, {case.call.problem.descriptor}: {other.headline}")
        if explanation := looks_like(other.verdict, function):
            mismatch.diagnosis = f"{explanation}\n(This is about the other case, which returns an array.)"


def _smaller(failing: Failing | None, case: ConvCase, mismatch: Mismatch) -> Failing:
    # Hypothesis tries simpler and simpler cases, so of equally small ones the latest.
    return (case, mismatch) if failing is None or case.operands.size <= failing[0].operands.size else failing


def _block_seed(seed: int, row: Row, block: int) -> int:
    return zlib.crc32(f"{seed} {row.key} {block}".encode())
