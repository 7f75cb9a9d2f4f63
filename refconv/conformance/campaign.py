"""A run cut into shards, which several processes check apart from each other, and put together again.

A shard is one block of the cases of one row. Its cases are decided by seed, row and block, so that it does not matter
who checks it, when, or how often: a shard that is lost with its process is checked again by another one, and the
report is that of a single process.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from refconv.conformance.clauses import CLAUSES, Clause
from refconv.conformance.clauses.clause import clause_named
from refconv.conformance.judges import Tally
from refconv.conformance.profile import Profile
from refconv.conformance.rows import Progress, Row, Run, rows_for
from refconv.conformance.runner import blocks_of, cases_of, run_block
from refconv.conformance.targets.base import Target
from refconv.conformance.targets.load import load_target

__all__ = ["Campaign", "Counts", "Executor", "Shard", "check_shard", "lost", "run_campaign"]

# Cases are counted where they are checked, and told in lots.
_SECONDS_BETWEEN_COUNTS = 0.2


@dataclass(frozen=True)
class Campaign:
    """What every process has to know that takes part in a run.

    Parameters
    ----------
    target : str
        As for `load_target`.
    profile : Profile or None
        What it supports and claims.
    seed : int
    cases : int or dict of str to int
        For every row, or by the row's key.
    isolated : bool
        Whether each of the processes runs the target in another one, so that a crash of the target is a row of the
        report, and not the end of the process that checks it.
    """

    target: str
    profile: Profile | None
    seed: int
    cases: int | Mapping[str, int]
    isolated: bool = True

    def open(self) -> Target:
        """Load the target; a `TargetError` if that cannot be done."""
        return load_target(self.target, self.profile, isolated=self.isolated)


@dataclass(frozen=True)
class Shard:
    """A block of the cases of a row.

    Parameters
    ----------
    clause, op, dtype : str
        The row.
    block : int
        Which of its blocks.
    cases : int
        How many there are in it.
    shrink : bool
        Whether a failing case is to be made small.
    max_seconds : float
        After this time no more cases are drawn.
    """

    clause: str
    op: str
    dtype: str
    block: int
    cases: int
    shrink: bool = False
    max_seconds: float = float("inf")

    @classmethod
    def of(cls, row: Row, block: int, cases: int, **options) -> "Shard":
        """The shard of a row."""
        return cls(row.clause.key, row.op, row.dtype, block, cases, **options)

    @property
    def row(self) -> str:
        """The key of the row."""
        return f"{self.clause}/{self.op}/{self.dtype}"

    def empty_row(self) -> Row:
        """A row for what comes of it."""
        return Row(clause_named(self.clause), self.op, self.dtype)


class Executor(Protocol):
    """Checks shards, one way or another.

    A context manager; what it holds, processes say, ends with the context.
    """

    #: How many shards are checked at a time.
    width: int

    def check(self, shards: Iterator[Shard], case_done: Callable[[], None]) -> Iterator[tuple[Shard, Row]]:
        """Yield the shards with what came of them, in the order in which they are done.

        Parameters
        ----------
        shards : iterator of Shard
            Asked for the next one only when there is somebody to check it.
        case_done : callable
            Called for every case.

        Yields
        ------
        (Shard, Row)
            For a shard that cannot be checked what `lost` makes of it.
        """


class Counts(Progress):
    """Tells how many cases have been checked, now and then.

    Parameters
    ----------
    tell : callable
        Called with a number of cases.
    """

    def __init__(self, tell: Callable[[int], None]):
        self._tell = tell
        self._cases = 0
        self._told = time.perf_counter()

    def __exit__(self, *_):
        self._tell_all()

    def case_done(self):
        self._cases += 1
        if time.perf_counter() - self._told >= _SECONDS_BETWEEN_COUNTS:
            self._tell_all()

    def _tell_all(self):
        self._tell(self._cases)
        self._cases, self._told = 0, time.perf_counter()


def check_shard(target: Target, campaign: Campaign, shard: Shard, progress: Progress) -> Row:
    """Check a shard and return what comes of it, as a row of its own."""
    row = shard.empty_row()
    began = time.perf_counter()
    with progress:
        run_block(
            row,
            target,
            seed=campaign.seed,
            block=shard.block,
            cases=shard.cases,
            max_seconds=shard.max_seconds,
            shrink=shard.shrink,
            progress=progress,
        )
    row.seconds = time.perf_counter() - began
    return row


def lost(shard: Shard, reason: str) -> Row:
    """Return the row of a shard that could not be checked."""
    return replace(shard.empty_row(), error=True, reason=reason)


def run_campaign(
    campaign: Campaign,
    target: Target,
    executor: Executor,
    *,
    clauses: list[Clause] = CLAUSES,
    max_seconds: float = float("inf"),
    progress: Progress | None = None,
    result: Run | None = None,
) -> Run:
    """Check clauses for all functions and dtypes of a target, by an executor.

    Parameters
    ----------
    campaign : Campaign
    target : Target
        The same target, to be asked for its profile; it makes no calls.
    executor : Executor
        In its context.
    clauses, max_seconds, progress, result
        As for `refconv.conformance.runner.run`.

    Returns
    -------
    Run
        With the rows that `run` gives, their cases and failing cases: how many take part makes no difference. Only a
        time limit does, as it does there.
    """
    result = result or Run(target, campaign.seed)
    rows = rows_for(target, clauses)
    _Course(campaign, executor, rows, max_seconds, progress or Progress(), result).run()
    return result


class _Course:
    """One run of a campaign: what has been handed out, and what has come back."""

    def __init__(self, campaign, executor, rows: list[Row], max_seconds: float, progress: Progress, result: Run):
        self.executor = executor
        self.progress = progress
        self.result = result
        self.parts = {row.key: _Parts(row, blocks_of(cases_of(row, campaign.cases))) for row in rows}
        self.began = time.perf_counter()
        self.deadline = self.began + max_seconds

    def run(self):
        for part in self.parts.values():
            if part.row.reason:  # declared to be unsupported
                self.progress.row_begins(part.row)
                self._end(part)
        for shard, row in self.executor.check(self._shards(), self.progress.case_done):
            part = self.parts[shard.row]
            part.done[shard.block] = row
            if not part.ended and part.is_complete:
                self._end(part)
        for part in self.parts.values():
            if not part.ended:  # time was up
                self._end(part)
        self._shrink()
        self.result.seconds = time.perf_counter() - self.began

    def _shards(self) -> Iterator[Shard]:
        """Yield what is still to be checked at the moment."""
        wanted = [(part, block) for part in self.parts.values() if not part.row.reason for block in range(part.count)]
        for position, (part, block) in enumerate(wanted):
            if part.fails_before(block):
                continue
            left = self.deadline - time.perf_counter()
            if left <= 0:
                return
            if block == 0:
                self.progress.row_begins(part.row)
            share = left * self.executor.width / (len(wanted) - position)
            yield Shard.of(part.row, block, part.cases[block], max_seconds=min(left, share))

    def _end(self, part: "_Parts"):
        part.put_together()
        self.progress.row_ends(part.row)
        self.result.rows[:] = [part.row for part in self.parts.values() if part.ended]
        self.result.seconds = time.perf_counter() - self.began

    def _shrink(self):
        """Have the first failing case of every clause made small, as `run` does."""
        first = {part.row.clause.key: part for part in reversed(self.parts.values()) if part.row.failing is not None}
        shards = [
            Shard.of(part.row, part.failing_block, part.cases[part.failing_block], shrink=True)
            for part in self.parts.values()
            if first.get(part.row.clause.key) is part
        ]
        for shard, row in self.executor.check(iter(shards), lambda: None):
            if row.failing is not None:  # else the process was lost, or the target changes its mind
                part = self.parts[shard.row]
                row.seconds += part.done[shard.block].seconds
                part.done[shard.block] = row
                part.put_together()


class _Parts:
    """A row and the blocks that it is made of."""

    def __init__(self, row: Row, cases: list[int]):
        self.row = row
        self.cases = cases
        self.done: dict[int, Row] = {}
        self.ended = False

    @property
    def count(self) -> int:
        return len(self.cases)

    @property
    def failing_block(self) -> int | None:
        return min((block for block, row in self.done.items() if row.failing is not None), default=None)

    def fails_before(self, block: int) -> bool:
        """Whether a block need not be checked, since in a single process it would not be."""
        return any(earlier < block and (row.failing is not None or row.error) for earlier, row in self.done.items())

    @property
    def is_complete(self) -> bool:
        """Whether all blocks are there that count: up to the first that fails."""
        for block in range(self.count):
            if block not in self.done:
                return False
            if self.done[block].failing is not None or self.done[block].error:
                return True
        return True

    def put_together(self):
        """Fill in the row from its blocks."""
        row = self.row
        row.cases, row.vacuous, row.wanted, row.seconds, row.tally = 0, 0, 0, 0.0, Tally()
        for block in range(self.count):
            part = self.done.get(block)
            if part is None:
                row.cut_short = not row.reason
                break
            row.cases += part.cases
            row.vacuous += part.vacuous
            row.wanted += part.wanted
            row.seconds += part.seconds
            if part.tally.worst_share is not None:
                row.tally.add(part.tally.worst_share, part.tally.worst_ulp)
            row.cut_short |= part.cut_short
            if part.failing is not None or part.error:
                row.failing, row.error, row.reason = part.failing, part.error, part.reason
                break
        self.ended = True
