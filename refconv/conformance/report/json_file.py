"""A report as JSON, exact enough to run its failing cases again: ``--json``, ``--replay``, ``--baseline``.

``schema.json`` beside this file describes it. Readers should look at `version`: its first number changes when a field
goes away or changes its meaning, the second when one is added.
"""

import json
import math
from dataclasses import asdict, fields
from pathlib import Path

from refconv.conformance.report.arrays import decode, encode
from refconv.conformance.report.document import Finding, Report, ReportRow
from refconv.testing.calls import ConvCall, ConvCase, Operands

__all__ = ["SCHEMA", "VERSION", "ReportFileError", "load", "save"]

#: The JSON schema of the files.
SCHEMA = Path(__file__).parent / "schema.json"
VERSION = "1.0"
_FORMAT = "refconv report"
_ARRAYS = ("actual", "expected", "shares")


class ReportFileError(Exception):
    """A file is not a report, or not one that can be read here."""


def save(report: Report, path: str | Path) -> None:
    """Write a report.

    Parameters
    ----------
    report : Report
    path : str or Path
    """
    # Only strict JSON: NaN and infinity are Python's own.
    text = json.dumps(as_data(report), indent=1, allow_nan=False)
    Path(path).write_text(text + "\n", encoding="utf-8")


def load(path: str | Path) -> Report:
    """Read a report that `save` has written.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    Report

    Raises
    ------
    ReportFileError
        ``there is no file report.json``, ``report.json is not a report of refconv check: ...``, or
        ``report.json has version 2.0, but this refconv reads 1.*``.
    """
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ReportFileError(f"there is no file {path}") from None
    except (OSError, ValueError) as error:
        raise ReportFileError(f"{path} is not a report of refconv check: {error}") from error
    if not isinstance(data, dict) or data.get("format") != _FORMAT:
        raise ReportFileError(f"{path} is not a report of refconv check: it has no format {_FORMAT!r}")
    version = str(data.get("version"))
    if version.partition(".")[0] != VERSION.partition(".")[0]:
        raise ReportFileError(f"{path} has version {version}, but this refconv reads {VERSION.partition('.')[0]}.*")
    try:
        return _report(data)
    except (KeyError, TypeError, ValueError) as error:
        raise ReportFileError(f"{path} cannot be read: {type(error).__name__}: {error}") from error


def as_data(report: Report) -> dict:
    """Return a report as plain data.

    Parameters
    ----------
    report : Report

    Returns
    -------
    dict
        Which schema.json describes.
    """
    plain = {field.name: getattr(report, field.name) for field in fields(Report) if field.name != "rows"}
    return {
        "format": _FORMAT,
        "version": VERSION,
        "conforms": report.conforms,
        **plain,
        "rows": [_row_data(row) for row in report.rows],
    }


def _row_data(row: ReportRow) -> dict:
    plain = {field.name: _finite(getattr(row, field.name)) for field in fields(ReportRow) if field.name != "finding"}
    return {"key": row.key, **plain, "finding": None if row.finding is None else _finding_data(row.finding)}


def _finite(value):
    """JSON has no infinity."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _finding_data(finding: Finding) -> dict:
    case = finding.case
    return {
        "headline": finding.headline,
        "details": finding.details,
        "explanation": finding.explanation,
        "script": finding.script,
        "descriptor": finding.descriptor,
        "case": {
            "call": asdict(case.call),
            "operands": {name: _array_data(array) for name, array in case.operands._asdict().items()},
            "layouts": case.layouts,
            "fault": case.fault,
            "recipe": case.recipe,
        },
        **{name: _array_data(getattr(finding, name)) for name in _ARRAYS},
    }


def _array_data(array):
    # What an operation does not take is None, and of what a gradient needs only the shape of, there is the shape.
    return encode(array) if hasattr(array, "dtype") else array


def _report(data: dict) -> Report:
    plain = {field.name: data[field.name] for field in fields(Report) if field.name != "rows"}
    return Report(**plain, rows=[_row(row) for row in data["rows"]])


def _row(data: dict) -> ReportRow:
    plain = {field.name: data[field.name] for field in fields(ReportRow) if field.name != "finding"}
    return ReportRow(**plain, finding=None if data["finding"] is None else _finding(data["finding"]))


def _finding(data: dict) -> Finding:
    case = data["case"]
    call = ConvCall(**{name: _tuples(value) for name, value in case["call"].items()})
    operands = Operands(**{name: _array(value) for name, value in case["operands"].items()})
    return Finding(
        headline=data["headline"],
        details=data["details"],
        explanation=data["explanation"],
        script=data["script"],
        case=ConvCase(call, operands, case["recipe"], fault=case["fault"], layouts=case["layouts"]),
        **{name: _array(data[name]) for name in _ARRAYS},
    )


def _array(data):
    return decode(data) if isinstance(data, dict) else _tuples(data)


def _tuples(value):
    """Shapes and numbers per axis are tuples; JSON has lists only."""
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
