"""Reports as files: JSON that keeps every bit and obeys its schema, JUnit XML, and a page that needs nothing else."""

import json
import re
from dataclasses import replace
from xml.etree import ElementTree

import jsonschema
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from report_samples import case, report, row, wrong_values

from refconv.conformance.report import json_file, junit, page
from refconv.conformance.report.arrays import decode, encode
from refconv.conformance.report.json_file import ReportFileError
from refconv.conformance.report.pictures import error_map

SCHEMA = json.loads(json_file.SCHEMA.read_text())

# ---- Arrays ----


def same_numbers(one, other):
    """Whether two arrays have equal numbers, of the same sign if they are zero, NaNs being equal."""
    if one.dtype.kind in "iu":
        return bool((one == other).all())
    one, other = one.astype(np.float64), other.astype(np.float64)
    return bool((((one == other) & (np.signbit(one) == np.signbit(other))) | (np.isnan(one) & np.isnan(other))).all())


_BITS = st.sampled_from(["uint16", "uint32", "uint64"])


@settings(deadline=None)
@given(_BITS.flatmap(lambda dtype: arrays(dtype, array_shapes(max_dims=4, max_side=3))), st.booleans())
def test_arrays_come_back_bit_for_bit(bits, as_bfloat16):
    """Any numbers of any format: subnormal, infinite, NaN, minus zero."""
    floats = {2: ml_dtypes.bfloat16 if as_bfloat16 else np.float16, 4: np.float32, 8: np.float64}
    for array in (bits, bits.view(floats[bits.itemsize])):
        with np.errstate(invalid="ignore"):
            data = json.loads(json.dumps(encode(array), allow_nan=False))
            back = decode(data)
            assert (back.dtype, back.shape) == (array.dtype, array.shape)
            assert same_numbers(array, back)
        jsonschema.validate(data, {"$ref": "#/$defs/array", "$defs": SCHEMA["$defs"]})


@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3)])
def test_arrays_without_axes_or_elements_come_back(shape):
    assert decode(encode(np.ones(shape, np.float32))).shape == shape


def test_too_few_numbers_are_an_error():
    with pytest.raises(ValueError, match="cannot reshape"):
        decode({"dtype": "float32", "shape": [2, 2], "data": ["0x1.0p+0"]})


# ---- JSON ----


def test_the_schema_is_one_and_describes_the_file(tmp_path):
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    json_file.save(report(), tmp_path / "report.json")
    data = json.loads((tmp_path / "report.json").read_text(), parse_constant=pytest.fail)
    jsonschema.validate(data, SCHEMA)
    assert data["conforms"] is False
    assert {one["outcome"] for one in data["rows"]} == set(SCHEMA["$defs"]["row"]["properties"]["outcome"]["enum"])


def test_the_schema_knows_what_is_no_report():
    data = json.loads(json.dumps(json_file.as_data(report())))
    for spoil in (
        lambda data: data.pop("seed"),
        lambda data: data.update(version="2.0"),
        lambda data: data.update(more=1),
        lambda data: data["rows"][0].update(outcome="perhaps"),
        lambda data: data["rows"][0].pop("key"),
        lambda data: data["rows"][4]["finding"]["actual"]["data"].append("0.1"),
    ):
        spoiled = json.loads(json.dumps(data))
        spoil(spoiled)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(spoiled, SCHEMA)


def test_a_report_comes_back_from_its_file(tmp_path):
    written = report(interrupted=True, options=["--cases", "7"])
    json_file.save(written, tmp_path / "report.json")
    read = json_file.load(tmp_path / "report.json")
    assert json_file.as_data(read) == json_file.as_data(written)
    before, after = written.rows[4].finding, read.rows[4].finding
    assert after.case.call == before.case.call
    for name in ("input", "weight"):
        one, other = getattr(before.case.operands, name), getattr(after.case.operands, name)
        assert one.tobytes() == other.tobytes()
    np.testing.assert_array_equal(after.shares, before.shares)
    assert read.rows[10].finding.case.layouts == {"input": "backwards"}
    assert read.rows[10].finding.case.call.padding == (-1, 0)


def test_infinite_errors_do_not_break_json():
    data = json_file.as_data(report(row(worst_share=0.5, worst_ulp=np.inf)))
    assert json.loads(json.dumps(data, allow_nan=False))["rows"][0]["worst_ulp"] is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"there is no file .*report\.json"),
        ("{", r"report\.json is not a report of refconv check: Expecting property name"),
        ("[]", r"report\.json is not a report of refconv check: it has no format 'refconv report'"),
        (
            '{"format": "refconv report", "version": "2.1"}',
            r"report\.json has version 2\.1, but this .* reads 1\.\*",
        ),
        ('{"format": "refconv report", "version": "1.0"}', r"report\.json cannot be read: KeyError"),
    ],
)
def test_what_cannot_be_read_says_so(text, message, tmp_path):
    path = tmp_path / "report.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ReportFileError, match=message):
        json_file.load(path)


# ---- JUnit ----


def test_junit_has_a_case_for_every_row(tmp_path):
    written = report()
    junit.save(written, tmp_path / "report.xml")
    root = ElementTree.parse(tmp_path / "report.xml").getroot()
    (suite,) = root
    assert (root.tag, suite.tag) == ("testsuites", "testsuite")
    cases = suite.findall("testcase")
    assert [one.get("name") for one in cases] == [f"{row.clause}[{row.dtype}]" for row in written.rows]
    assert suite.get("tests") == str(len(cases))
    kinds = [[child.tag for child in one] for one in cases]
    assert int(suite.get("failures")) == kinds.count(["failure"]) == 5
    assert int(suite.get("skipped")) == kinds.count(["skipped"]) == 5
    assert kinds.count([]) == 4
    assert {one.get("name"): one.get("value") for one in suite.find("properties")}["seed"] == "5"


def test_junit_failures_say_what_the_report_says(tmp_path):
    junit.save(report(), tmp_path / "report.xml")
    failures = ElementTree.parse(tmp_path / "report.xml").findall(".//failure")
    assert failures[0].get("message") == "2 of 4 results wrong"
    for part in ("got 7.0", "Height and width are swapped.", "<script>alert(1)</script>", "--seed 5 -k stride"):
        assert part in failures[0].text
    assert failures[2].get("message") == "every case is right, but the xfail file says that one is wrong: bug 12"
    assert failures[-1].get("message") == "KeyError: the suite has a bug"


def test_a_suite_for_each_operation(tmp_path):
    junit.save(report(row(op="conv1d"), row(op="conv2d"), row(op="conv1d", dtype="float64")), tmp_path / "report.xml")
    suites = ElementTree.parse(tmp_path / "report.xml").getroot()
    assert [(suite.get("name"), suite.get("tests")) for suite in suites] == [
        ("refconv check mine.py:conv2d: conv1d", "2"),
        ("refconv check mine.py:conv2d: conv2d", "1"),
    ]


def test_what_xml_cannot_contain_is_replaced(tmp_path):
    finding = replace(wrong_values(), headline="raised ValueError: \x00\x1b[31m \ud800 ]]>")
    junit.save(report(row(outcome="fail", finding=finding)), tmp_path / "report.xml")
    (failure,) = ElementTree.parse(tmp_path / "report.xml").findall(".//failure")
    assert failure.get("message") == "raised ValueError: \ufffd\ufffd[31m \ufffd ]]>"


# ---- HTML ----


def page_of(written):
    """The page as text and as a tree; it is well-formed enough for an XML parser once void elements are closed."""
    return page.as_html(written)


def test_the_page_needs_nothing_but_itself():
    text = page_of(report())
    assert not re.findall(r"""(?:src|href|srcset)=["'](?!#|data:)""", text)
    assert not re.findall(r"@import|url\(|<script", text)
    assert "prefers-color-scheme: dark" in text


def test_the_page_has_the_matrix_and_links_to_failures():
    text = page_of(report())
    targets = set(re.findall(r'href="#([^"]+)"', text))
    assert targets == set(re.findall(r'<article id="([^"]+)"', text))
    assert len(targets) == 4
    cells = re.findall(r'<td class="([a-z-]+)" title', text)
    assert cells == [one.outcome.replace(" ", "-") for one in report().rows]
    assert "ok <small>43 %</small>" in text


def test_what_the_target_says_is_escaped():
    hostile = "<img src=x onerror=alert(1)>"
    finding = replace(wrong_values(), headline=hostile, explanation=hostile, script=hostile, details=[hostile])
    written = report(row(outcome="fail", reason=hostile, finding=finding), target=hostile, versions={hostile: hostile})
    assert "<img src=x" not in page_of(written)


def test_error_maps_cross_out_what_is_wrong():
    root = ElementTree.fromstring(error_map(wrong_values()))
    assert [group.get("class") for group in root.findall("g")] == ["exact", "allowed", "wrong", "wrong"]
    assert [len(group.findall("path")) for group in root.findall("g")] == [0, 0, 1, 1]
    titles = [group.find("title").text for group in root.findall("g")]
    assert titles[1] == "[0, 0, 0, 1]: expected 3.0999999046325684, got 3.0, 0.5 of what is allowed"
    assert titles[3] == "[0, 0, 1, 1]: expected 20004.5, got inf"


@pytest.mark.parametrize(
    ("shape", "cells", "wrong"),
    [((2, 3, 4, 5), 20, 1), ((7,), 7, 1), ((2, 2, 3, 4, 5), 20, 1), ((1, 1, 33, 64), 17 * 32, 1), ((1, 0, 4, 4), 0, 0)],
)
def test_error_maps_of_any_shape(shape, cells, wrong):
    expected = np.zeros(shape)
    actual = expected.copy()
    actual.flat[-1:] = 1
    drawn = error_map(replace(wrong_values(), actual=actual, expected=expected, shares=None))
    assert drawn.count("<rect") == cells
    assert drawn.count('class="wrong"') == wrong


def test_without_a_result_there_is_no_map():
    assert error_map(replace(wrong_values(), actual=None, expected=None, shares=None)) == ""
    assert error_map(replace(wrong_values(), actual=np.zeros((1, 2)), shares=None)) == ""


def test_windows_are_drawn_in_the_colours_of_the_page():
    text = page_of(report(row(outcome="fail", finding=wrong_values())))
    (dark, light) = re.findall(r'"data:image/svg\+xml;base64,([^"]+)"', text)
    assert dark != light


def test_without_matplotlib_there_are_no_windows_but_there_is_a_page(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    text = page_of(report())
    assert "data:image" not in text
    assert 'class="errors"' in text


@pytest.mark.parametrize(
    "arguments", [{"padding": (-1, 0), "fault": "negative padding"}, {"padding": 300}, {"op": "conv2d_weight"}]
)
def test_cases_without_a_picture_of_a_window(arguments):
    finding = replace(wrong_values(), case=case(**arguments))
    assert "data:image" not in page_of(report(row(outcome="fail", finding=finding)))
