"""A run on a Dask cluster is that of one process, also when a worker is killed in the middle of it."""

import os
import signal

import pytest
from suite_runs import CASES, CHOSEN, ONE_OFF, Heard, seen, written

from refconv.conformance import runner
from refconv.conformance.campaign import Campaign, Shard, run_campaign
from refconv.conformance.profile import Profile
from refconv.conformance.runner import run
from refconv.conformance.targets.base import TargetError

pytest.importorskip("distributed")
from refconv.conformance.cluster import DaskWorkers

# Dask warns about what it does itself when a worker is lost.
pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture(scope="module")
def local_cluster():
    """Two workers that outlive the runs, as those of a real cluster do."""
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster:
        yield cluster


def test_a_killed_worker_loses_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "CASES_IN_BLOCK", 8)
    campaign = Campaign(written(tmp_path, *ONE_OFF), None, seed=3, cases=CASES, isolated=False)
    target = campaign.open()

    class Killing(Heard):
        """Kills a worker as soon as some rows are there, while both are at work."""

        killed = None

        def row_ends(self, row):
            super().row_ends(row)
            if len(self.ended) == 2:
                self.killed = next(iter(workers._client.run(os.getpid).values()))
                os.kill(self.killed, signal.SIGKILL)

    progress = Killing()
    with DaskWorkers(campaign, "local:2") as workers:
        result = run_campaign(campaign, target, workers, clauses=CHOSEN, progress=progress)
        alive = set(workers._client.run(os.getpid).values())
    assert progress.killed
    assert progress.killed not in alive
    assert seen(result) == seen(run(target, seed=3, cases=CASES, clauses=CHOSEN))
    assert progress.cases >= result.cases - CASES


def test_a_shard_that_kills_two_workers_is_an_error_and_the_run_goes_on(tmp_path):
    name = written(tmp_path, "if stride not in (1, (1, 1)): os.kill(os.getpid(), signal.SIGKILL)")
    campaign = Campaign(name, Profile(dtypes=("float32",)), seed=3, cases=10, isolated=False)
    deadly, harmless = (Shard(key, "conv2d", "float32", 0, 10) for key in ("stride", "kernel"))
    with DaskWorkers(campaign, "local:1") as workers:
        rows = dict(workers.check(iter([deadly, harmless]), lambda: None))
    assert rows[deadly].status == "error"
    assert "was lost" in rows[deadly].reason
    assert (rows[harmless].status, rows[harmless].cases) == ("pass", 10)


def test_a_cluster_by_its_address_is_left_as_it_was(tmp_path, local_cluster):
    campaign = Campaign(written(tmp_path), None, seed=1, cases=5, isolated=False)
    shards = [Shard("kernel", "conv2d", dtype, 0, 5) for dtype in ("float32", "float64")]
    for _ in range(2):
        with DaskWorkers(campaign, local_cluster.scheduler_address) as workers:
            assert workers.width == 2
            rows = dict(workers.check(iter(shards), lambda: None))
            assert {row.status for row in rows.values()} == {"pass"}
    plugins = [set(worker.plugins) for worker in local_cluster.scheduler.workers.values() if hasattr(worker, "plugins")]
    assert not any(name.startswith("refconv") for names in plugins for name in names)
    assert len(local_cluster.scheduler_info["workers"]) == 2


def test_what_is_wrong_with_target_or_workers_is_said(tmp_path, local_cluster, monkeypatch):
    address = local_cluster.scheduler_address
    missing = Campaign(f"{tmp_path / 'nothing.py'}:conv2d", None, seed=1, cases=1, isolated=False)
    shard = Shard("kernel", "conv2d", "float32", 0, 1)
    with DaskWorkers(missing, address) as workers, pytest.raises(TargetError, match=r"there is no file .*nothing\.py"):
        list(workers.check(iter([shard]), lambda: None))
    monkeypatch.setattr("hypothesis.__version__", "6.0.0")
    with pytest.raises(TargetError, match=r"the worker tcp://\S+ has hypothesis 6\.\d+\.\d+, but here it is 6\.0\.0"):
        DaskWorkers(missing, address).__enter__()
    monkeypatch.setattr("refconv.conformance.cluster._SECONDS_TO_FIND_THE_SCHEDULER", 1)
    for nowhere in ("tcp://127.0.0.1:9", "local:0", "local:many"):
        with pytest.raises(TargetError, match=f"no scheduler at {nowhere}"):
            DaskWorkers(missing, nowhere).__enter__()
