"""Shards checked by the workers of a Dask cluster, each with a target of its own.

Dask gives what a lost worker was checking to another one. Needs ``pip install refconv[dask]``, here and on the workers,
with the same versions: the cases that a seed stands for depend on them.
"""

import sys
import threading
import uuid
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import dask
import hypothesis
import numpy as np
from distributed import Client, KilledWorker, LocalCluster, WorkerPlugin, get_worker, wait
from hypothesis.errors import HypothesisDeprecationWarning

import refconv
from refconv.conformance.campaign import Campaign, Counts, Shard, check_shard, lost
from refconv.conformance.rows import Row
from refconv.conformance.targets.base import Target, TargetError

__all__ = ["DaskWorkers"]

# How often a shard may be lost before it is given up.
_MOST_LOSSES = 2
_SECONDS_BETWEEN_LOOKS = 0.2
_SECONDS_TO_FIND_THE_SCHEDULER = 30


class DaskWorkers:
    """Workers of a Dask cluster that check shards: an executor, for `refconv.conformance.campaign.run_campaign`.

    Parameters
    ----------
    campaign : Campaign
    scheduler : str
        The address of a scheduler, or 'local:4' for a cluster of four processes of this machine, which lasts as long as
        the context.

    Raises
    ------
    TargetError
        On entering: ``no scheduler at tcp://...``; ``there is no worker ...``; ``the worker tcp://... has hypothesis
        6.100.0, but here it is 6.168.5``.
    """

    def __init__(self, campaign: Campaign, scheduler: str):
        self.campaign = campaign
        self.scheduler = scheduler
        self._name = f"refconv-{uuid.uuid4()}"
        self._counted = Counter()
        self._client = None
        self._held = ExitStack()
        self.width = 0

    def __enter__(self):
        try:
            self._connect()
            self._check_workers()
            self._client.register_plugin(_TargetsOfWorker(self.campaign, self._name))
            self._held.callback(self._client.unregister_worker_plugin, self._name)
            self._client.subscribe_topic(self._name, self._count)
            self._held.callback(self._client.unsubscribe_topic, self._name)
        except BaseException:
            self._held.close()
            raise
        return self

    def __exit__(self, *_):
        self._held.close()

    def check(self, shards: Iterator[Shard], case_done: Callable[[], None]) -> Iterator[tuple[Shard, Row]]:
        """Yield the shards with what came of them, in the order in which they are done.

        Raises
        ------
        TargetError
            If the target cannot be loaded.
        """
        losses: Counter[Shard] = Counter()
        again: list[Shard] = []
        pending = {}
        while True:
            # No more than can be checked at a time: the next ones depend on what comes of these.
            while len(pending) < self._current_width():
                shard = again.pop() if again else next(shards, None)
                if shard is None:
                    break
                pending[self._submitted(shard, losses)] = shard
            if not pending:
                return
            for future in self._done(pending, case_done):
                shard = pending.pop(future)
                row = self._row_of(future, shard, losses)
                if row is None:
                    again.append(shard)
                else:
                    yield shard, row

    def _current_width(self) -> int:
        """Count the workers' threads: some may have joined. None at all is a bad moment, which will pass."""
        self.width = sum(self._client.nthreads().values()) or self.width
        return self.width

    def _connect(self):
        kind, _, count = self.scheduler.partition(":")
        if kind == "local" and count.isdecimal() and int(count):
            # A shard that ends its worker is to be given up here, and not to end more of them.
            with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
                cluster = LocalCluster(
                    n_workers=int(count), threads_per_worker=1, processes=True, dashboard_address=":0"
                )
            address = self._held.enter_context(cluster)
        else:
            address = self.scheduler
        try:
            client = Client(address, timeout=_SECONDS_TO_FIND_THE_SCHEDULER, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise TargetError(f"no scheduler at {self.scheduler}: {error}") from error
        self._client = self._held.enter_context(client)

    def _check_workers(self):
        if not self._current_width():
            raise TargetError(f"there is no worker at the scheduler {self._client.scheduler.address}")
        here = _versions()
        for worker, there in self._client.run(_versions).items():
            for package, version in here.items():
                if there[package] != version:
                    raise TargetError(f"the worker {worker} has {package} {there[package]}, but here it is {version}")

    def _submitted(self, shard: Shard, losses: "Counter[Shard]"):
        key = f"{self._name}-{shard.row}-{shard.block}-{shard.shrink}-{losses[shard]}"
        return self._client.submit(_check, self._name, self.campaign, shard, key=key, pure=False)

    def _done(self, pending, case_done) -> list:
        """Wait until something is done, and tell how many cases have been checked meanwhile."""
        done = ()
        with suppress(TimeoutError), self._client.as_current():
            done = wait(list(pending), timeout=_SECONDS_BETWEEN_LOOKS, return_when="FIRST_COMPLETED").done
        for _ in range(self._counted.pop("cases", 0)):
            case_done()
        return list(done)

    def _row_of(self, future, shard: Shard, losses: "Counter[Shard]") -> Row | None:
        """Return what came of a shard; None if it is to be checked again."""
        error = future.exception()
        if error is None:
            return future.result()
        if isinstance(error, TargetError):
            raise error
        if not isinstance(error, KilledWorker):
            return lost(shard, f"{type(error).__name__}: {error}")
        losses[shard] += 1
        if losses[shard] < _MOST_LOSSES:
            return None
        return lost(shard, f"the worker that checked it was lost, and another one before: {error.last_worker.address}")

    def _count(self, event):
        _, cases = event
        self._counted["cases"] += cases


class _TargetsOfWorker(WorkerPlugin):
    """The targets of one worker, one for each of its threads, and their end."""

    def __init__(self, campaign: Campaign, name: str):
        self.name = name
        self.campaign = campaign

    def setup(self, worker):  # noqa: ARG002 - Dask's signature
        self._of_thread = threading.local()
        self._all: list[Target] = []

    def teardown(self, worker):  # noqa: ARG002
        for target in self._all:
            target.close()

    def target(self) -> Target:
        """Return the target of this thread."""
        if not hasattr(self._of_thread, "target"):
            self._of_thread.target = self.campaign.open()
            self._all.append(self._of_thread.target)
        return self._of_thread.target


def _check(name: str, campaign: Campaign, shard: Shard) -> Row:
    """Check a shard, on a worker."""
    worker = get_worker()
    counts = Counts(lambda cases: worker.log_event(name, cases))
    with warnings.catch_warnings():
        # Other threads of the worker draw random numbers meanwhile, not our strategies.
        warnings.filterwarnings("ignore", "Do not use the `random` module", HypothesisDeprecationWarning)
        return check_shard(worker.plugins[name].target(), campaign, shard, counts)


def _versions() -> dict[str, str]:
    """What decides which cases a seed stands for."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return {
        "refconv": refconv.__version__,
        "hypothesis": hypothesis.__version__,
        "numpy": np.__version__,
        "python": python,
    }
