"""A report as one HTML page: the matrix, and for each failure an error map, the window, the diagnosis and a script.

The page needs nothing but itself: no script, no font, no picture is fetched. It is light or dark as its reader likes.
"""

from pathlib import Path

from refconv.conformance.report.document import OUTCOMES, Finding, Report
from refconv.conformance.report.pictures import error_map, window_pictures

__all__ = ["save"]

_HERE = Path(__file__).parent
# Drawing a window takes a tenth of a second, and a page with hundreds of them a while to load.
_MOST_WINDOWS = 20


def save(report: Report, path: str | Path) -> None:
    """Write a report.

    Parameters
    ----------
    report : Report
    path : str or Path

    Raises
    ------
    ModuleNotFoundError
        If Jinja2 is not installed.
    """
    Path(path).write_text(as_html(report), encoding="utf-8")


def as_html(report: Report) -> str:
    """Return a report as a page.

    Parameters
    ----------
    report : Report

    Returns
    -------
    str
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    findings = [row.finding for rows in report.failures for row in rows[:1] if row.finding is not None]
    windows = {id(finding): window_pictures(finding) for finding in findings[:_MOST_WINDOWS]}

    def window_of(finding: Finding) -> dict[str, str]:
        return windows.get(id(finding), {})

    template = environment.get_template("page.html")
    return template.render(
        report=report,
        outcomes=OUTCOMES,
        style=(_HERE / "page.css").read_text(encoding="utf-8"),
        error_map=error_map,
        window_of=window_of,
        anchor=lambda rows: f"{rows[0].clause}-{rows[0].op}-{rows[0].outcome}".replace(" ", "-"),
    )
