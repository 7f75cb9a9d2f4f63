"""How a run differs from an earlier one: what fails now, what is fixed, which errors have changed."""

from dataclasses import dataclass, field

from refconv.conformance.report.document import Report, ReportRow

__all__ = ["Changes", "compare"]

# Worst errors are those of random cases, so small differences mean nothing.
_FACTOR = 1.5
_FAILS = frozenset({"fail", "error", "expected failure"})
_PASSES = frozenset({"pass", "unexpected pass"})


@dataclass(frozen=True)
class Changes:
    """Differences between two reports.

    Parameters
    ----------
    since : str
        What the earlier one is called.
    new_failures, fixed, no_longer_judged : list of str
        Keys of rows: that fail now and did not; that failed and pass now; that were judged and now are not run, or
        declared unsupported.
    worst_errors : dict of str to (float, float)
        Keys of rows that passed both times, with the largest share of the allowed error then and now, if one is more
        than one and a half times the other.
    versions : dict of str to (str, str)
        Versions that are others now.
    """

    since: str
    new_failures: list[str] = field(default_factory=list)
    fixed: list[str] = field(default_factory=list)
    no_longer_judged: list[str] = field(default_factory=list)
    worst_errors: dict[str, tuple[float, float]] = field(default_factory=dict)
    versions: dict[str, tuple[str, str]] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """The changes, a line each; none if there are none."""
        return [
            *(f"+ FAILS now         {key}" for key in self.new_failures),
            *(f"- fixed             {key}" for key in self.fixed),
            *(f"? no longer judged  {key}" for key in self.no_longer_judged),
            *(
                f"~ largest error     {key}: {before:.0%} of what is allowed, now {now:.0%}"
                for key, (before, now) in self.worst_errors.items()
            ),
            *(f"  version           {name} {old}, now {new}" for name, (old, new) in self.versions.items()),
        ]


def compare(now: Report, earlier: Report, since: str) -> Changes:
    """Return how a run differs from an earlier one.

    Parameters
    ----------
    now, earlier : Report
        They need not have the same rows; a row that only `now` has counts if it fails.
    since : str
        What to call the earlier one.

    Returns
    -------
    Changes
    """
    before = {row.key: row for row in earlier.rows}
    changes = Changes(since)
    for row in now.rows:
        _compare_row(changes, row, before.get(row.key))
    for name, version in now.versions.items():
        if earlier.versions.get(name, version) != version:
            changes.versions[name] = (earlier.versions[name], version)
    return changes


def _compare_row(changes: Changes, row: ReportRow, before: ReportRow | None):
    fails, failed = row.outcome in _FAILS, before is not None and before.outcome in _FAILS
    if fails and not failed:
        changes.new_failures.append(row.key)
    if before is None:
        return
    if failed and row.outcome in _PASSES:
        changes.fixed.append(row.key)
    if before.outcome in _FAILS | _PASSES and row.outcome not in _FAILS | _PASSES:
        changes.no_longer_judged.append(row.key)
    if row.outcome in _PASSES and before.outcome in _PASSES and None not in (row.worst_share, before.worst_share):
        low, high = sorted((row.worst_share, before.worst_share))
        if high > _FACTOR * low:
            changes.worst_errors[row.key] = (before.worst_share, row.worst_share)
