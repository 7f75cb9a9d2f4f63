"""The command on targets that crash, hang, exit and lie: the run is completed, and the report says what they did."""

import os
import re
import subprocess
import sys

import pytest
import unruly_targets

from refconv.conformance.report import json_file

if sys.platform != "linux":
    pytest.skip("isolation needs Linux", allow_module_level=True)


@pytest.fixture
def check(tmp_path):
    """Runs ``refconv check`` on one of `unruly_targets`, for float32 and a few cases, and returns the report too."""
    profile = tmp_path / "profile.toml"
    file = tmp_path / "report.json"

    def run(name, *arguments):
        seconds = 0.75 if name == "hangs" else 60
        profile.write_text(f'dtypes = ["float32"]\ntime_limit = {seconds}\nmemory_limit = 400_000_000\n')
        target = f"{unruly_targets.__file__}:{name}"
        options = ["--target-profile", str(profile), "--cases", "12", "--seed", "1", "--json", str(file)]
        done = subprocess.run(
            [sys.executable, "-m", "refconv", "check", target, *options, *arguments],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done, json_file.load(file)

    return run


@pytest.mark.parametrize(
    ("name", "headline"),
    [
        ("segfault", "crash: SIGSEGV"),
        ("abort_with_a_word", "SIGABRT"),
        ("leaves_at_once", "exit status 3"),
        ("hangs", "timeout: no result after 0.75 s"),
        ("fills_memory", "memory limit"),
        ("returns_nothing", "NoneType"),
        ("returns_two_things", "tuple of 2"),
        ("returns_objects", "dtype object"),
    ],
)
def test_what_it_does_is_the_failure_and_the_run_goes_on(name, headline, check):
    done, report = check(name, "-k", "bias")
    assert done.returncode == 1
    (row,) = report.rows
    assert row.outcome == "fail"
    assert headline.split(": ")[-1] in row.finding.headline
    assert row.finding.case.operands.size <= 8
    assert f"\n    {row.finding.headline}\n" in done.stdout
    assert "conv2d = function_from(" in done.stdout


def test_every_crash_is_a_row_and_the_others_are_checked(check):
    """Ten calls, then a crash: rows whose cases are all made in between pass."""
    done, report = check("crashes_every_tenth_time", "-k", "padding")
    assert done.returncode == 1
    assert not report.interrupted
    outcomes = {row.outcome for row in report.rows}
    assert outcomes <= {"fail", "pass", "unsupported"}
    crashed = [row for row in report.rows if row.outcome == "fail"]
    assert crashed
    assert all("SIGSEGV" in row.finding.headline for row in crashed)
    assert len(report.rows) == len({row.key for row in report.rows}) >= 3
    assert all(row.cases for row in report.rows if row.outcome != "unsupported")


@pytest.mark.parametrize(
    ("name", "clause", "headline"),
    [
        ("writes_to_its_input", "untouched", "the call has changed its input"),
        ("returns_the_same_buffer", "repeatable", "a later call has changed an earlier result"),
    ],
)
def test_liars_are_found_by_the_clause_that_is_about_it(name, clause, headline, check):
    done, report = check(name, "-k", clause)
    assert done.returncode == 1
    (row,) = (row for row in report.rows if row.clause == clause)
    assert row.finding.headline == headline


def test_lists_and_torch_tensors_will_do(check):
    for name in ("returns_a_list", "returns_a_tensor"):
        done, _ = check(name, "-k", "channels")
        assert done.returncode == 0, done.stdout


def test_what_the_target_prints_is_not_part_of_the_report(check):
    done, _ = check("prints_on_stdout", "-k", "channels")
    assert done.returncode == 0
    assert re.fullmatch(r"refconv check \S+", done.stdout.splitlines()[0])
    assert "aaaa" not in done.stdout + done.stderr
    assert not re.search("^b$", done.stdout + done.stderr, re.MULTILINE)


def test_a_crash_in_this_process_ends_the_run_as_the_help_says(check):
    with pytest.raises((AssertionError, json_file.ReportFileError)):
        check("segfault", "-k", "bias", "--in-process")
