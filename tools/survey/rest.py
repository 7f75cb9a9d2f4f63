"""Rows that had no time, asked by themselves: a seed stands for the same cases whichever rows are selected."""

__all__ = ["selection", "waiting", "with_row"]


def waiting(report: dict) -> list[dict]:
    """Return the rows of a report, as ``refconv check --json`` writes it, that there was no time for."""
    return [row for row in report["rows"] if row["outcome"] == "not run"]


def selection(row: dict) -> list[str]:
    """Return options of ``refconv check`` that select a row; others may have its clause's key in their titles."""
    return ["-k", row["clause"], "--op", row["op"], "--dtype", row["dtype"]]


def with_row(report: dict, later: dict, key: str) -> dict:
    """Return a report with a row as a later one has it.

    Parameters
    ----------
    report, later : dict
    key : str
        Of a row that both have.
    """
    (row,) = (row for row in later["rows"] if row["key"] == key)
    rows = [row if one["key"] == key else one for one in report["rows"]]
    conforms = not any(one["outcome"] in ("fail", "error") for one in rows)
    return {**report, "rows": rows, "seconds": report["seconds"] + row["seconds"], "conforms": conforms}
