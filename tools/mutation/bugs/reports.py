"""Reports, known failures, comparisons, and the clauses as tests of another suite."""

from ..planted import mutation

CONFORMANCE = "refconv/conformance/"
REPORT = CONFORMANCE + "report/"

BUGS = [
    mutation(
        "sign_of_zero_lost_in_json",
        REPORT + "arrays.py",
        "float(number).hex()",
        "(float(number) + 0.0).hex()",
        "report_files::test_a_report_comes_back_from_its_file",
    ),
    mutation(
        "target_may_write_html",
        REPORT + "page.py",
        "autoescape=True",
        "autoescape=False",
        "report_files::test_what_the_target_says_is_escaped",
    ),
    mutation(
        "error_map_of_twice_the_bound",
        REPORT + "pictures.py",
        "share <= 1 else",
        "share <= 2 else",
        "report_files::test_error_maps_cross_out_what_is_wrong",
    ),
    mutation(
        "unexpected_pass_conforms",
        REPORT + "document.py",
        'GOOD = frozenset({"pass",',
        'GOOD = frozenset({"pass", "unexpected pass",',
        "report_terminal::test_the_verdict_is_one_line",
        "check_files::test_known_failures_do_not_fail_the_run_but_passes_do",
    ),
    mutation(
        "cut_short_is_complete",
        REPORT + "document.py",
        'any(row.cut_short or row.outcome == "not run"',
        'any(row.outcome == "not run"',
        "report_terminal::test_the_verdict_is_one_line",
    ),
    mutation(
        "known_failure_without_a_reason",
        CONFORMANCE + "xfail.py",
        "if not isinstance(reason, str) or not reason.strip():",
        "if not isinstance(reason, str):",
        "xfail::test_what_cannot_be_read_says_so",
    ),
    mutation(
        "known_failure_of_no_row",
        CONFORMANCE + "xfail.py",
        "            if not any(fnmatchcase(key, pattern) for key in keys):",
        "            if False:",
        "xfail::test_a_pattern_that_matches_nothing_is_a_mistake",
    ),
    mutation(
        "new_row_that_fails_is_no_change",
        CONFORMANCE + "baseline.py",
        "if fails and not failed:",
        "if fails and before is not None and not failed:",
        "baseline::test_every_kind_of_change",
    ),
    mutation(
        "suite_has_a_mind_of_its_own",
        CONFORMANCE + "runner.py",
        "shrink=True).run(hypothesis.settings(**_IN_ANY_CASE))",
        "shrink=True).run(hypothesis.settings(max_examples=100, **_IN_ANY_CASE))",
        "pytest_plugin::test_settings_and_seed_are_those_of_the_suite",
    ),
]
