"""Runs that are cut into shards: the report is that of one process, whoever takes part and whoever gets lost."""

import os
import pickle
import signal
from dataclasses import replace
from itertools import islice

import ml_dtypes  # noqa: F401 - teaches NumPy bfloat16
import numpy as np
import pytest
from suite_runs import CASES, CHOSEN, ONE_OFF, WRONG_GROUPS, Heard, failure, seen, written

from refconv.conformance import runner
from refconv.conformance.campaign import Campaign, Counts, Shard, check_shard, lost, run_campaign
from refconv.conformance.clauses import CLAUSES
from refconv.conformance.parallel import Workers
from refconv.conformance.profile import Profile
from refconv.conformance.rows import Progress
from refconv.conformance.runner import blocks_of, run
from refconv.conformance.targets.base import TargetError
from refconv.testing.claim import Claim


@pytest.fixture(autouse=True)
def short_blocks(monkeypatch):
    """Three blocks for every row."""
    monkeypatch.setattr(runner, "CASES_IN_BLOCK", 8)


@pytest.fixture
def campaign(tmp_path):
    """Of a target that is wrong for groups, and for float64 images without a batch axis."""
    name = written(tmp_path, *WRONG_GROUPS, *ONE_OFF)
    return Campaign(name, None, seed=3, cases=CASES, isolated=False)


class Here:
    """Checks shards in this process."""

    def __init__(self, campaign, width=1):
        self.campaign, self.width = campaign, width
        self.target = campaign.open()
        self.shards = []

    def check(self, shards, case_done):
        """As many as there are at a time, the last one first."""
        counts = Counts(lambda cases: [case_done() for _ in range(cases)])
        while batch := list(islice(shards, self.width)):
            self.shards += batch
            for shard in reversed(batch):
                yield shard, check_shard(self.target, self.campaign, shard, counts)


# ---- Cut and put together ----


def test_a_row_is_cut_into_blocks():
    assert blocks_of(20) == [8, 8, 4]
    assert blocks_of(16) == [8, 8]
    assert blocks_of(3) == [3]


@pytest.mark.parametrize("width", [1, 5])
def test_shards_put_together_are_the_run(campaign, width):
    target = campaign.open()
    whole = run(target, seed=3, cases=CASES, clauses=CHOSEN)
    heard = Heard()
    parts = run_campaign(campaign, target, Here(campaign, width), clauses=CHOSEN, progress=heard)
    assert seen(parts) == seen(whole)
    assert {"unbatched/conv2d/float64", "groups/conv2d/float32"} < {row.key for row in whole.failures}
    assert "unbatched/conv2d/float32" not in {row.key for row in whole.failures}
    assert sorted(heard.begun) == sorted(heard.ended) == sorted(row.key for row in whole.rows)
    assert heard.cases >= parts.cases
    assert width > 1 or heard.cases == parts.cases


def test_blocks_are_different_cases_and_always_the_same(campaign):
    class Seeing:
        """Has its target's calls written down."""

        name = "seeing"
        profile = campaign.open().profile

        def outcomes(self, invocations):
            calls.append(invocations[0].operands.input.tobytes())
            return campaign.open().outcomes(invocations)

    drawn = []
    for block in (0, 1, 0):
        calls = []
        shard = Shard("unbatched", "conv2d", "float32", block, 8)
        check_shard(Seeing(), campaign, shard, Progress())
        drawn.append(calls)
    assert drawn[0] == drawn[2] != drawn[1]
    # Vacuous cases come on top.
    assert 8 <= len(drawn[1]) < 16


def test_what_comes_after_a_failing_block_is_not_checked(campaign):
    executor = Here(campaign)
    run_campaign(campaign, executor.target, executor, clauses=[c for c in CHOSEN if c.key == "groups"])
    checked = [(shard.row, shard.block) for shard in executor.shards if not shard.shrink]
    assert checked == [("groups/conv2d/float32", 0), ("groups/conv2d/float64", 0)]
    assert [(shard.row, shard.block) for shard in executor.shards if shard.shrink] == [("groups/conv2d/float32", 0)]


def test_what_the_profile_declares_is_not_checked(campaign):
    profile = Profile(dtypes=("float32",), unsupported={"groups": "not written yet"})
    campaign = replace(campaign, profile=profile)
    executor = Here(campaign)
    result = run_campaign(campaign, executor.target, executor, clauses=CHOSEN)
    assert {row.key: row.status for row in result.rows}["groups/conv2d/float32"] == "unsupported"
    assert not any(shard.clause == "groups" for shard in executor.shards)
    assert seen(result) == seen(run(executor.target, seed=3, cases=CASES, clauses=CHOSEN))


def test_a_lost_shard_is_an_error_of_its_row_alone(campaign):
    class Losing(Here):
        def check(self, shards, case_done):
            for shard, row in super().check(shards, case_done):
                lose = (shard.row, shard.block) == ("stride/conv2d/float32", 1) or shard.shrink
                yield shard, lost(shard, "struck by lightning") if lose else row

    executor = Losing(campaign)
    result = run_campaign(campaign, executor.target, executor, clauses=CHOSEN)
    whole = run(executor.target, seed=3, cases=CASES, clauses=CHOSEN)
    rows = {row.key: row for row in result.rows}
    struck = rows.pop("stride/conv2d/float32")
    assert (struck.status, struck.reason, struck.cases) == ("error", "struck by lightning", 8)
    # Failing cases that nobody could make small are still there.
    assert {key: row.status for key, row in rows.items()} == {
        row.key: row.status for row in whole.rows if row.key != struck.key
    }
    assert all(row.failing is not None for row in result.failures)


def test_when_time_is_up_the_rest_is_not_run(campaign):
    executor = Here(campaign)
    result = run_campaign(campaign, executor.target, executor, clauses=CHOSEN, max_seconds=0)
    assert {row.status for row in result.rows} == {"not run"}
    assert all(row.cut_short for row in result.rows)
    assert executor.shards == []


# ---- What travels ----


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_failing_row_is_the_same_after_a_journey(tmp_path, dtype):
    profile = Profile(dtypes=(dtype,), claims={dtype: Claim.of(dtype)})
    campaign = Campaign(written(tmp_path, *WRONG_GROUPS), profile, seed=1, cases=40, isolated=False)
    result = run(campaign.open(), seed=1, cases=40, clauses=[c for c in CHOSEN if c.key == "groups"])
    (row,) = result.failures
    (there,) = pickle.loads(pickle.dumps(result.failures))
    assert there.clause is row.clause
    assert failure(there) == failure(row)
    verdicts = [r.failing[1].verdict for r in (row, there)]
    assert str(verdicts[0].explanation) == str(verdicts[1].explanation) != "None"
    assert str(verdicts[0]) == str(verdicts[1])
    np.testing.assert_array_equal(verdicts[0].shares, verdicts[1].shares)


# ---- Several processes ----


class Killing(Heard):
    """Has somebody killed as soon as some cases have been checked."""

    def __init__(self, victim):
        super().__init__()
        self.victim = victim

    def case_done(self):
        super().case_done()
        if self.cases == 10:
            os.kill(self.victim(), signal.SIGKILL)


def test_a_killed_worker_loses_nothing(campaign):
    target = campaign.open()
    with Workers(campaign, 2) as workers:
        started = []
        progress = Killing(lambda: started.append(workers._workers[0].process) or started[0].pid)
        result = run_campaign(campaign, target, workers, clauses=CHOSEN, progress=progress)
        assert len(started) == 1
        assert started[0].exitcode == -signal.SIGKILL
        running = [worker.process for worker in workers._workers]
    assert seen(result) == seen(run(target, seed=3, cases=CASES, clauses=CHOSEN))
    assert not any(process.is_alive() for process in running)


def test_a_shard_that_kills_two_workers_is_an_error_and_the_run_goes_on(tmp_path):
    name = written(tmp_path, "if stride not in (1, (1, 1)): os.kill(os.getpid(), signal.SIGKILL)")
    campaign = Campaign(name, Profile(dtypes=("float32",)), seed=3, cases=CASES, isolated=False)
    clauses = [clause for clause in CLAUSES if clause.key in ("kernel", "stride", "groups")]
    with Workers(campaign, 2) as workers:
        result = run_campaign(campaign, campaign.open(), workers, clauses=clauses)
    assert {row.key: row.status for row in result.rows} == {
        "kernel/conv2d/float32": "pass", "stride/conv2d/float32": "error", "groups/conv2d/float32": "pass"
    }  # fmt: skip
    (row,) = (row for row in result.rows if row.status == "error")
    assert "SIGKILL" in row.reason


def test_a_target_that_crashes_does_not_end_its_worker(tmp_path):
    name = written(tmp_path, "if stride not in (1, (1, 1)): os.kill(os.getpid(), signal.SIGKILL)")
    campaign = Campaign(name, Profile(dtypes=("float32",)), seed=3, cases=8)
    shard = Shard("stride", "conv2d", "float32", 0, 8)
    with Workers(campaign, 1) as workers:
        ((_, row),) = workers.check(iter([shard]), lambda: None)
        assert workers._workers[0].process.is_alive()
    assert row.status == "fail"
    assert "SIGKILL" in row.failing[1].headline


def test_a_target_that_cannot_be_loaded_is_said_so(tmp_path):
    campaign = Campaign(f"{tmp_path / 'nothing.py'}:conv2d", None, seed=1, cases=1)
    here = Campaign(written(tmp_path), None, seed=1, cases=1, isolated=False).open()
    with Workers(campaign, 1) as workers, pytest.raises(TargetError, match=r"there is no file .*nothing\.py"):
        run_campaign(campaign, here, workers, clauses=CHOSEN)


def test_a_target_that_ends_whoever_loads_it_is_said_so(tmp_path):
    (tmp_path / "exits.py").write_text("import os\nos._exit(3)\n")
    campaign = Campaign(f"{tmp_path / 'exits.py'}:conv2d", None, seed=1, cases=1, isolated=False)
    here = Campaign(written(tmp_path), None, seed=1, cases=1, isolated=False).open()
    with Workers(campaign, 1) as workers, pytest.raises(TargetError, match=r"cannot be loaded: .* exit status 3"):
        run_campaign(campaign, here, workers, clauses=CHOSEN)


def test_an_interrupted_run_keeps_its_rows_and_ends_its_processes(campaign):
    class Interrupting(Heard):
        def row_ends(self, row):
            super().row_ends(row)
            if len(self.ended) == 2:
                running.extend(worker.process for worker in workers._workers)
                raise KeyboardInterrupt

    running, workers, result = [], Workers(campaign, 2), runner.Run(campaign.open(), 3)
    with pytest.raises(KeyboardInterrupt), workers:
        run_campaign(campaign, result.target, workers, clauses=CHOSEN, progress=Interrupting(), result=result)
    assert len(running) == 2
    assert not any(process.is_alive() for process in running)
    assert result.rows


def test_a_bug_of_the_suite_is_an_error_of_its_row(tmp_path, capfd):
    shard = Shard("no-such-clause", "conv2d", "float32", 0, 5)
    campaign = Campaign(written(tmp_path), None, seed=1, cases=5, isolated=False)
    good = Shard("kernel", "conv2d", "float32", 0, 5)
    with Workers(campaign, 1) as workers:
        wrong = Shard("kernel", "conv9d", "float32", 0, 5)
        rows = dict(workers.check(iter([wrong, good]), lambda: None))
    assert rows[wrong].status == "error"
    assert rows[good].status == "pass"
    assert "Traceback" in capfd.readouterr().err
    with pytest.raises(LookupError, match="there is no clause 'no-such-clause'"):
        shard.empty_row()
