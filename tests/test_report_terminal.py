"""The report at a terminal: what it looks like, word by word, for a run made by hand."""

import pytest
from report_samples import report, row, wrong_values
from rich.console import Console

from refconv.conformance.baseline import Changes
from refconv.conformance.report import terminal


def printed(function, *arguments, width=100, **options):
    """What a function prints to a console without colours."""
    console = Console(width=width, highlight=False, no_color=True, force_terminal=False)
    with console.capture() as capture:
        function(console, *arguments, **options)
    return "\n".join(line.rstrip() for line in capture.get().splitlines()).strip("\n")


def text(expected):
    """What was printed, as it stands indented in a test."""
    return "\n".join(line[8:] for line in expected.splitlines()).strip("\n")


def test_the_table_of_one_operation():
    assert printed(terminal.print_tables, report()) == text("""
             conv2d                             float32  float64
         ───────────────────────────────────────────────────────
          1  The result has the right shape     ok       ok
          2  Rounding                           ok  43%  not run
          7  The stride is respected, per axis  FAIL     FAIL
          8  Groups                             n/a      n/a
          9  Padding                            xfail    XPASS
         10  Errors                             FAIL     ERROR
         11  Subnormals                         vacuous  ok

        Per cent: the largest error, as a share of what is allowed there.
        n/a: not supported, as the target's profile declares
            groups: only one group
        xfail: expected to fail
            padding: bug 12
    """)


def test_of_many_operations_only_what_is_not_as_usual_is_shown_clause_by_clause():
    rows = [row(op=op, dtype=dtype) for op in ("conv1d", "conv2d", "conv3d") for dtype in ("float32", "float64")]
    rows += [row("bias", "conv3d", outcome="fail", number=9), row("bias", "conv1d", number=9, worst_share=0.07)]
    rows += [row("rounding", "conv1d", worst_share=0.5, number=10), row("kernel", "conv1d", worst_share=0.4, number=11)]
    rows.append(row("groups", "conv2d", outcome="unsupported", reason="only one", number=8))
    assert printed(terminal.print_tables, report(*rows)) == text("""
         operation  float32       float64
         ────────────────────────────────
         conv1d     4 ok  50%     1 ok
         conv2d     1 ok, 1 n/a   1 ok
         conv3d     1 ok, 1 FAIL  1 ok


            conv3d  float32  float64
         ───────────────────────────
         9  Bias    FAIL

        Per cent: the largest error, as a share of what is allowed there.
        n/a: not supported, as the target's profile declares
            groups: only one
    """)


def test_verbose_shows_every_row_with_its_figures():
    rows = [row(worst_share=0.5, worst_ulp=2.0, cases=20, seconds=1.25), row(dtype="float64", outcome="fail", cases=2)]
    assert printed(terminal.print_tables, report(*rows), verbose=True) == text("""
            clause  operation  dtype    verdict  cases  worst ulp  seconds
         ─────────────────────────────────────────────────────────────────
         7  stride  conv2d     float32  ok  50%     20          2     1.25
         7  stride  conv2d     float64  FAIL         2                0.00

        Per cent: the largest error, as a share of what is allowed there.
    """)


def test_a_failure_is_what_the_clause_says_what_came_the_diagnosis_and_a_script():
    rows = [row(dtype=dtype, outcome="fail", finding=wrong_values(stride=2)) for dtype in ("float32", "float64")]
    assert printed(terminal.print_failures, report(*rows, options=["--cases", "9"])) == text("""
        FAIL The stride is respected, per axis  (stride, conv2d, float32 and float64)
            The paragraph of the clause 'stride' & what it says.
            2 of 4 results wrong
            at [0, 0, 1, 0]: expected -29994.0, got 7.0
            looks like: stride applied to the other axis: explains all 4 elements
                Height and width are swapped.

        import numpy as np
        assert 1 < 0, '<script>alert(1)</script>'

            again: refconv check mine.py:conv2d --seed 5 --cases 9 -k stride
    """)


def test_a_script_is_printed_once_per_call_and_never_wrapped():
    long_line = f"assert False, {'long line ' * 20!r}"
    finding = wrong_values()
    object.__setattr__(finding, "script", long_line)
    rows = [row(clause, outcome="fail", number=i, finding=finding) for i, clause in enumerate(["kernel", "stride"])]
    output = printed(terminal.print_failures, report(*rows))
    assert output.count(f"\n{long_line}\n") == 1
    assert output.count("for the same call as under 'kernel'") == 1


def test_an_unexpected_pass_and_an_error_of_the_suite_say_why():
    assert printed(terminal.print_failures, report(*report().rows[9:12:2])) == text("""
        XPASS Padding  (padding, conv2d, float64)
            The paragraph of the clause 'padding' & what it says.
            every case is right, but the xfail file says that one is wrong: bug 12

        ERROR Errors  (errors, conv2d, float64)
            The paragraph of the clause 'errors' & what it says.
            KeyError: the suite has a bug
    """)


@pytest.mark.parametrize(
    ("rows", "verdict"),
    [
        ([row(cases=9)], "conforms: 1 clause holds (9 cases, 2.0 s, 4 cases/s, seed 5)"),
        ([row(cases=9), row("bias", cases=2)], "conforms: 2 clauses hold (11 cases"),
        ([row(cases=9), row("bias", outcome="unsupported")], "conforms: 1 clause holds (9 cases"),
        ([row(cases=9, cut_short=True)], "has not failed in 1 clause so far, but the run was cut short ("),
        (
            [row(cases=9), row("bias", outcome="vacuous"), row("kernel", outcome="expected failure")],
            "conforms: 1 clause holds, but for 1 row expected to fail and 1 row that could not fail (",
        ),
        ([row(cases=9, outcome="expected failure")], "conforms: 1 clause holds, but for 1 row expected to fail ("),
        (
            [row(cases=9), row("bias", outcome="not run")],
            "has not failed in 1 clause so far, but the run was cut short",
        ),
        ([row(cases=9), row("bias", cases=1, outcome="fail")], "does not conform: 1 of 2 clauses fail ("),
        ([row(cases=9, outcome="fail")], "does not conform: 1 of 1 clause fails ("),
        ([row(cases=9, outcome="unexpected pass")], "does not conform: 1 of 1 clause fails ("),
    ],
)
def test_the_verdict_is_one_line(rows, verdict):
    line = printed(terminal.print_verdict, report(*rows))
    assert line.startswith(f"mine.py:conv2d {verdict}")
    assert line.endswith("seed 5)")
    assert "\n" not in line


@pytest.mark.parametrize(
    ("rows", "facts", "why"),
    [
        ([row(outcome="not run")], {}, "the run was cut short before the first case"),
        ([row(outcome="unsupported")], {}, "its profile declares the row selected to be unsupported"),
        ([row(outcome="unsupported")] * 2, {}, "its profile declares the 2 rows selected to be unsupported"),
        ([row(outcome="unsupported"), row(outcome="not run")], {}, "the run was cut short before the first case"),
        ([row(outcome="vacuous")], {}, "no case could have told a wrong result from a right one"),
        ([row(outcome="unsupported")], {"interrupted": True}, "the run was interrupted before the first case"),
    ],
)
def test_nothing_run_is_not_called_conforming(rows, facts, why):
    line = printed(terminal.print_verdict, report(*rows, **facts))
    assert line.startswith(f"mine.py:conv2d was not checked: {why} (0 cases")


def test_what_is_cut_short_is_not_called_conforming():
    assert "cut short" in printed(terminal.print_verdict, report(row(cases=3), interrupted=True))


def test_changes_are_printed():
    assert printed(terminal.print_changes, Changes("old.json")) == "Since old.json:\n  nothing has changed"
    found = Changes("old.json", new_failures=["a/conv2d/float32"])
    assert printed(terminal.print_changes, found) == "Since old.json:\n  + FAILS now         a/conv2d/float32"
