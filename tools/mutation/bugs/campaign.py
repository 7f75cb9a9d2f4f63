"""Runs cut into shards, and who checks them."""

from ..planted import mutation

CONFORMANCE = "refconv/conformance/"
KILLED = "campaign::test_a_killed_worker_loses_nothing"

BUGS = [
    mutation(
        "blocks_with_the_same_cases",
        CONFORMANCE + "runner.py",
        'f"{seed} {row.key} {block}"',
        'f"{seed} {row.key}"',
        "campaign::test_blocks_are_different_cases_and_always_the_same",
    ),
    mutation(
        "blocks_after_a_failing_one_count",
        CONFORMANCE + "campaign.py",
        "row.failing, row.error, row.reason = part.failing, part.error, part.reason\n                break",
        "row.failing, row.error, row.reason = part.failing, part.error, part.reason",
        "campaign::test_shards_put_together_are_the_run[5]",
    ),
    mutation(
        "shrunk_in_the_order_of_arrival",
        CONFORMANCE + "campaign.py",
        "for part in reversed(self.parts.values()) if",
        "for part in self.parts.values() if",
        "campaign::test_shards_put_together_are_the_run[1]",
    ),
    mutation(
        "no_time_limit_for_shards",
        CONFORMANCE + "campaign.py",
        "            if left <= 0:\n                return\n",
        "",
        "campaign::test_when_time_is_up_the_rest_is_not_run",
    ),
    mutation(
        "lost_while_shrinking_is_lost",
        CONFORMANCE + "campaign.py",
        "if row.failing is not None:  # else",
        "if True:  # else",
        "campaign::test_a_lost_shard_is_an_error_of_its_row_alone",
    ),
    mutation(
        "shard_of_a_killed_worker_forgotten",
        CONFORMANCE + "parallel.py",
        "        again.append(worker.shard)\n",
        "",
        KILLED,
    ),
    mutation(
        "shard_given_up_at_once",
        CONFORMANCE + "parallel.py",
        "_MOST_ENDS = 2",
        "_MOST_ENDS = 1",
        KILLED,
    ),
    mutation(
        "processes_left_behind_after_ctrl_c",
        CONFORMANCE + "parallel.py",
        "worker.end(at_once=kind is not None)",
        "pass",
        "campaign::test_an_interrupted_run_keeps_its_rows_and_ends_its_processes",
    ),
    mutation(
        "verdicts_lost_on_the_way",
        CONFORMANCE + "judges/mismatch.py",
        "self.code, self.verdict, self.refusal, self.diagnosis)",
        "self.code, None, self.refusal, self.diagnosis)",
        "campaign::test_a_failing_row_is_the_same_after_a_journey[float32]",
    ),
    mutation(
        "lost_at_once_on_a_cluster",
        CONFORMANCE + "cluster.py",
        "_MOST_LOSSES = 2",
        "_MOST_LOSSES = 1",
        "cluster::test_a_killed_worker_loses_nothing",
    ),
    mutation(
        "cluster_of_any_versions",
        CONFORMANCE + "cluster.py",
        "if there[package] != version:",
        "if there[package] is None:",
        "cluster::test_what_is_wrong_with_target_or_workers_is_said",
    ),
    mutation(
        "cases_of_a_cluster_not_counted",
        CONFORMANCE + "cluster.py",
        'self._counted["cases"] += cases',
        "pass",
        "cluster::test_a_killed_worker_loses_nothing",
    ),
    mutation(
        "quick_is_as_long_as_there_are_functions",
        CONFORMANCE + "effort.py",
        "min(most, shared // (len(profile.ops) * len(profile.dtypes)))",
        "most",
        "effort::test_cases_are_shared_by_the_rows_of_a_clause[quick]",
    ),
]
