"""A report as JUnit XML, which CI systems read: a test case per row, a suite per operation.

The elements are those of the schema that Jenkins publishes for its xUnit plugin (``junit-10.xsd``), as pytest's are.
"""

import re
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from refconv.conformance.report.document import OUTCOMES, Report, ReportRow

__all__ = ["save"]

# The element that an outcome becomes; a test case without any has passed. (In a test case the schema has no `error`.)
_ELEMENTS = {
    "fail": "failure",
    "unexpected pass": "failure",
    "error": "failure",
    "expected failure": "skipped",
    "unsupported": "skipped",
    "vacuous": "skipped",
    "not run": "skipped",
}

# What XML 1.0 cannot contain; a target's exception may.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def save(report: Report, path: str | Path) -> None:
    """Write a report.

    Parameters
    ----------
    report : Report
    path : str or Path
    """
    root = Element("testsuites")
    for op in report.ops:
        _add_suite(root, report, op)
    ElementTree.indent(root)
    ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def _add_suite(root: Element, report: Report, op: str) -> None:
    rows = [row for row in report.rows if row.op == op]
    kinds = [_ELEMENTS.get(row.outcome) for row in rows]
    suite = SubElement(
        root,
        "testsuite",
        name=_clean(f"refconv check {report.target}: {op}"),
        tests=str(len(rows)),
        failures=str(kinds.count("failure")),
        errors="0",
        skipped=str(kinds.count("skipped")),
        time=f"{sum(row.seconds for row in rows):.3f}",
    )
    if report.started:
        suite.set("timestamp", report.started.removesuffix("+00:00"))
    properties = SubElement(suite, "properties")
    facts = {"seed": str(report.seed), "profile": report.effort, **report.versions}
    for name, value in facts.items():
        SubElement(properties, "property", name=name, value=_clean(value))
    for row in rows:
        _add_case(suite, report, row)


def _add_case(suite: Element, report: Report, row: ReportRow) -> None:
    case = SubElement(
        suite,
        "testcase",
        classname=_clean(f"{report.target}.{row.op}"),
        name=f"{row.clause}[{row.dtype}]",
        time=f"{row.seconds:.3f}",
    )
    element = _ELEMENTS.get(row.outcome)
    if element is None:
        return
    SubElement(case, element, type=row.outcome, message=_clean(_message(row))).text = _clean(_text(report, row)) or None


def _message(row: ReportRow) -> str:
    if row.outcome in ("fail", "error") and row.finding is not None:
        return row.finding.headline
    return row.remark or OUTCOMES[row.outcome]


def _text(report: Report, row: ReportRow) -> str:
    finding = row.finding
    if finding is None:
        return ""
    parts = [f"{row.title}. {row.text}", "\n".join([finding.headline, *finding.details])]
    if finding.explanation:
        parts.append(f"looks like: {finding.explanation}")
    return "\n\n".join([*parts, finding.script, report.again([row])])


def _clean(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
