"""Shards checked by several processes of this machine, each with a target of its own.

A process that ends before its time loses nothing but its shard, and that is given to another one. A shard whose
process ends twice is reported as an error.
"""

import multiprocessing
import signal
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection, wait

from refconv.conformance.campaign import Campaign, Counts, Shard, check_shard, lost
from refconv.conformance.rows import Row
from refconv.conformance.targets.base import TargetError

__all__ = ["Workers"]

# What a shard may cost before it is given up.
_MOST_ENDS = 2
_SECONDS_TO_END = 5


class Workers:
    """Processes that check shards: an executor, for `refconv.conformance.campaign.run_campaign`.

    Parameters
    ----------
    campaign : Campaign
    width : int
        How many processes.

    Notes
    -----
    The processes import the main module, so a script that makes workers needs ``if __name__ == "__main__":``.
    """

    def __init__(self, campaign: Campaign, width: int):
        self.campaign = campaign
        self.width = width
        self._workers: list[_Worker] = []
        self._bad_starts = 0

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        for worker in self._workers:
            worker.end(at_once=kind is not None)
        self._workers.clear()

    def check(self, shards: Iterator[Shard], case_done: Callable[[], None]) -> Iterator[tuple[Shard, Row]]:
        """Yield the shards with what came of them, in the order in which they are done.

        Raises
        ------
        TargetError
            If the target cannot be loaded.
        """
        again: list[Shard] = []
        ends: Counter[Shard] = Counter()
        self._hand_out(again, shards)
        while any(worker.shard is not None for worker in self._workers):
            for worker in self._with_news():
                kind, content = worker.news()
                if kind == "cases":
                    for _ in range(content):
                        case_done()
                elif kind == "row":
                    yield worker.shard, content
                    worker.shard = None
                elif kind == "failed to load":
                    raise TargetError(content)
                elif kind == "ready":
                    worker.ready = True
                    self._bad_starts = 0
                else:
                    self._workers.remove(worker)
                    row = self._row_of_ended(worker, ends, again, content)
                    if row is not None:
                        yield worker.shard, row
                self._hand_out(again, shards)

    def _row_of_ended(self, worker, ends: "Counter[Shard]", again: list[Shard], how: str) -> Row | None:
        """Have the shard of a process that has ended checked again, or return what is to be reported."""
        if not worker.ready:
            self._bad_starts += 1
            if self._bad_starts == _MOST_ENDS:
                raise TargetError(f"the target cannot be loaded: the process that was to load it {how}")
        if worker.shard is None:
            return None
        ends[worker.shard] += 1
        if ends[worker.shard] == _MOST_ENDS:
            return lost(worker.shard, f"the process that checked it {how}, and another one had ended before")
        again.append(worker.shard)
        return None

    def _with_news(self) -> "list[_Worker]":
        ready = wait([worker.connection for worker in self._workers])
        return [worker for worker in self._workers if worker.connection in ready]

    def _hand_out(self, again: list[Shard], shards: Iterator[Shard]):
        """Give every worker without a shard the next one; start workers where there are too few."""
        for place in range(self.width):
            if place < len(self._workers) and self._workers[place].shard is not None:
                continue
            shard = again.pop() if again else next(shards, None)
            if shard is None:
                return
            if place == len(self._workers):
                self._workers.append(_Worker(self.campaign))
            self._workers[place].give(shard)


class _Worker:
    """A process, as seen from outside."""

    def __init__(self, campaign: Campaign):
        # Not a copy of this process, in which a library may have started threads of its own.
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, campaign), name="refconv worker")
        self.process.start()
        theirs.close()
        self.shard: Shard | None = None
        self.ready = False

    def give(self, shard: Shard):
        """Have a shard checked."""
        self.shard = shard
        with suppress(OSError):  # It may have ended, which is the next thing that will be heard of it.
            self.connection.send(shard)

    def news(self) -> tuple[str, object]:
        """Return a word and what belongs to it: "cases", "row", "failed to load", "ready", or at last "ended"."""
        try:
            return self.connection.recv()
        except (EOFError, OSError):
            self.process.join()
            code = self.process.exitcode
            how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"has ended with exit status {code}"
            return "ended", how

    def end(self, *, at_once: bool):
        """Let it end, or make it."""
        if at_once:
            self.process.terminate()
        self.connection.close()
        self.process.join(_SECONDS_TO_END)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


def _work(connection: Connection, campaign: Campaign):
    """Check the shards that come, until no more can come."""
    # Ctrl-C is for the process that has started this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        target = campaign.open()
    except TargetError as error:
        connection.send(("failed to load", str(error)))
        return
    connection.send(("ready", None))
    with target:
        while True:
            try:
                shard = connection.recv()
            except EOFError:
                return
            try:
                row = check_shard(target, campaign, shard, Counts(lambda cases: connection.send(("cases", cases))))
            except Exception as error:
                traceback.print_exc()
                row = lost(shard, f"{type(error).__name__}: {error}")
            connection.send(("row", row))
