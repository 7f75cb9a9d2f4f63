"""What ``refconv check`` reads and writes: reports, known failures, earlier runs; all of it on small runs."""

import json
import re
from xml.etree import ElementTree

import jsonschema
import numpy as np
import pytest
from suite_helpers import in_file

from refconv.cli import main
from refconv.conformance.clauses import Clause
from refconv.conformance.report import json_file

SCHEMA = json.loads(json_file.SCHEMA.read_text())
OPTIONS = ["--cases", "30", "--seed", "1", "--dtype", "float32"]


def check(name, *arguments):
    """Check one of the wrong convolutions and return the exit status."""
    return main(["check", in_file(name), *OPTIONS, *arguments])


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The reports on a convolution with a bug."""
    folder = tmp_path_factory.mktemp("reports")
    paths = {kind: folder / f"report.{kind}" for kind in ("json", "junit", "html")}
    options = [word for kind, path in paths.items() for word in (f"--{kind}", str(path))]
    assert check("padding_on_one_side", "-k", "padding", *options) == 1
    return paths


def test_every_file_tells_of_the_same_rows(written):
    data = json.loads(written["json"].read_text())
    jsonschema.validate(data, SCHEMA)
    outcomes = {row["key"]: row["outcome"] for row in data["rows"]}
    assert outcomes["padding/conv2d/float32"] == "fail"
    assert data["conforms"] is False
    assert (data["seed"], data["target"]) == (1, in_file("padding_on_one_side"))
    cases = ElementTree.parse(written["junit"]).findall(".//testcase")
    assert [f"{row['clause']}[{row['dtype']}]" for row in data["rows"]] == [case.get("name") for case in cases]
    assert {case.get("name") for case in cases if case.find("failure") is not None} == {
        f"{row['clause']}[{row['dtype']}]" for row in data["rows"] if row["outcome"] == "fail"
    }
    page = written["html"].read_text()
    assert page.count("<article") == sum(row["outcome"] == "fail" for row in data["rows"])
    assert 'class="errors"' in page


def test_the_case_in_the_file_fails_by_itself(written):
    """Its script, and the numbers beside it, which say the same."""
    (row,) = (row for row in json.loads(written["json"].read_text())["rows"] if row["clause"] == "padding")
    with pytest.raises(AssertionError):
        exec(row["finding"]["script"], {})
    report = json_file.load(written["json"])
    finding = next(one.finding for one in report.rows if one.clause == "padding")
    np.testing.assert_array_equal(finding.expected, finding.case.exact)
    assert (finding.actual != finding.expected).any()


def test_a_replay_runs_the_failing_cases_and_no_others(written, capsys, tmp_path):
    assert check("padding_on_one_side", "--replay", str(written["json"]), "--json", str(tmp_path / "again.json")) == 1
    before, again = json_file.load(written["json"]), json_file.load(tmp_path / "again.json")
    assert [row.key for row in again.rows] == [row.key for row in before.rows if row.finding]
    for one in again.rows:
        (other,) = (row for row in before.rows if row.key == one.key)
        assert one.cases == 1
        assert one.finding.case.call == other.finding.case.call
        assert one.finding.headline == other.finding.headline
        np.testing.assert_array_equal(one.finding.actual, other.finding.actual)
    assert f"profile replay of {written['json']}" in capsys.readouterr().out
    assert check("right", "--replay", str(written["json"])) == 0
    assert "conforms" in capsys.readouterr().out


def test_several_processes_say_what_one_says(written, tmp_path):
    """Also the diagnosis and the result, which another process has seen."""
    path = tmp_path / "report.json"
    assert check("padding_on_one_side", "-k", "padding", "--workers", "2", "--json", str(path)) == 1
    one, several = (json.loads(file.read_text()) for file in (written["json"], path))
    for report in (one, several):
        for row in report["rows"]:
            del row["seconds"]
    assert several["rows"] == one["rows"]
    assert any(row["finding"] and row["finding"]["explanation"] and row["finding"]["actual"] for row in one["rows"])


def test_a_replay_can_be_narrowed(written, capsys):
    assert check("padding_on_one_side", "--replay", str(written["json"]), "-k", "named-padding", "--dry-run") == 0
    assert "\npadding/" not in "\n" + capsys.readouterr().out


def test_a_descriptor_is_one_convolution_with_random_numbers(capsys):
    descriptor = "g1n2ic3ih5iw6oc4kh2kw3ph1pw0"
    assert check("right", "--replay", descriptor) == 0
    assert "conforms: 6 clauses hold" in capsys.readouterr().out
    assert check("padding_on_one_side", "--replay", descriptor) == 1
    printed = capsys.readouterr().out
    assert f"--replay {descriptor} --cases 30 --dtype float32 -k anything-goes" in printed


def test_known_failures_do_not_fail_the_run_but_passes_do(written, capsys, tmp_path):
    known = tmp_path / "known.txt"
    keys = [row.key for row in json_file.load(written["json"]).rows if row.outcome == "fail"]
    known.write_text("".join(f"{key} zeros on one side only\n" for key in keys))
    arguments = ("-k", "padding", "--xfail", str(known))
    assert check("padding_on_one_side", *arguments) == 0
    printed = capsys.readouterr().out
    assert "xfail: expected to fail\n    " in printed
    assert ": zeros on one side only" in printed
    assert f"but for {len(keys)} row{'s' * (len(keys) > 1)} expected to fail" in printed
    assert check("right", *arguments) == 1
    assert len(re.findall(r"^XPASS ", capsys.readouterr().out, re.MULTILINE)) == len(keys)
    known.write_text("paddin/* a typo\n")
    assert check("right", *arguments) == 2
    assert "no row of this target matches 'paddin/*'" in capsys.readouterr().err


def test_a_baseline_tells_what_has_changed(written, capsys):
    assert check("right", "-k", "padding", "--baseline", str(written["json"])) == 0
    printed = capsys.readouterr().out
    assert re.search(r"^  - fixed +padding/conv2d/float32$", printed, re.MULTILINE)
    assert check("padding_on_one_side", "-k", "padding", "--baseline", str(written["json"])) == 1
    assert f"Since {written['json']}:\n  nothing has changed\n" in capsys.readouterr().out


def test_a_target_that_does_not_fail_has_files_too(tmp_path):
    options = [word for kind in ("json", "junit", "html") for word in (f"--{kind}", str(tmp_path / kind))]
    assert check("right", "-k", "kernel", "--quiet", *options) == 0
    assert json_file.load(tmp_path / "json").conforms
    assert not ElementTree.parse(tmp_path / "junit").findall(".//failure")
    assert "Failures" not in (tmp_path / "html").read_text()


def test_a_row_whose_cases_could_not_fail_is_not_said_to_hold(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(Clause, "is_vacuous", lambda *_: True)
    path = tmp_path / "report.json"
    arguments = ["-k", "stride-as-subsampling", "--dtype", "float32", "--json", str(path), "--in-process"]
    assert main(["check", in_file("right"), "--cases", "10", "--seed", "1", *arguments]) == 2
    printed = capsys.readouterr().out
    assert "vacuous" in printed
    assert "was not checked: no case could have told a wrong result from a right one" in printed
    data = json.loads(path.read_text())
    jsonschema.validate(data, SCHEMA)
    assert [row["outcome"] for row in data["rows"]] == ["vacuous"]
