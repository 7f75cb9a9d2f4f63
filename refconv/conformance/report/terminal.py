"""The report for people at a terminal: tables of clause by dtype, then each failure with a script to paste."""

import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from refconv.conformance.adapters import Adapter
from refconv.conformance.baseline import Changes
from refconv.conformance.clauses import Clause
from refconv.conformance.features import FEATURES
from refconv.conformance.report.document import Report, ReportRow

__all__ = ["console_for", "print_changes", "print_clauses", "print_failures", "print_features", "print_header"]
__all__ += ["print_rows", "print_tables", "print_targets", "print_verdict"]

#: What stands for an outcome in a table. The words differ, so that nothing is said by colour alone.
_WORDS = {
    "pass": ("ok", "green"),
    "fail": ("FAIL", "bold red"),
    "error": ("ERROR", "bold red"),
    "expected failure": ("xfail", "yellow"),
    "unexpected pass": ("XPASS", "bold red"),
    "unsupported": ("n/a", "cyan"),
    "vacuous": ("vacuous", "yellow"),
    "not run": ("not run", "yellow"),
}
_NARROWEST = 100
# With more operations than this, a table says how many rows of each there are, and others only what is not as usual.
_OPS_IN_FULL = 2
_AS_USUAL = ("pass", "unsupported")


class _Console(Console):
    def on_broken_pipe(self):
        """Leave it to the command to end: rich would, with the exit status of a target that does not conform."""
        self.quiet = True
        raise


def console_for(*, stderr: bool = False) -> Console:
    """Return a console for stdout or stderr. It has no colours where there is no terminal or NO_COLOR is set."""
    console = _Console(highlight=False, stderr=stderr)
    # Without a terminal there is no width, and rich takes 80, which breaks lines of the table.
    return console if console.is_terminal else _Console(highlight=False, stderr=stderr, width=_NARROWEST)


def print_header(console: Console, report: Report):
    """Print what is tested, and everything that decides which cases are drawn."""
    console.print(Text(f"refconv check {report.target}", style="bold"))
    console.print(Text(", ".join(f"{name} {version}" for name, version in report.versions.items())), soft_wrap=True)
    console.print(Text(f"seed {report.seed}, profile {report.effort}"))


# ---- Tables ----


def print_tables(console: Console, report: Report, *, verbose: bool = False):
    """Print what came of every row: a table of clause by dtype for each operation.

    Of many operations at once, only what is not as usual is printed clause by clause; with `verbose` everything is, and
    with the number of cases, the worst error and the time.
    """
    if verbose:
        console.print(_every_row(report))
    elif len(report.ops) > _OPS_IN_FULL:
        console.print(_summary(report))
    if not verbose:
        for op in report.ops:
            table = _clauses_by_dtype(report, op, everything=len(report.ops) <= _OPS_IN_FULL)
            if table.row_count:
                console.print(table)
    _print_notes(console, report)


def _clauses_by_dtype(report: Report, op: str, *, everything: bool) -> Table:
    table = _table()
    table.add_column("", justify="right")
    table.add_column(op, no_wrap=True)
    for dtype in report.dtypes:
        table.add_column(dtype)
    for rows in report.clauses.values():
        cells = {row.dtype: row for row in rows if row.op == op}
        if not cells or (not everything and all(row.outcome in _AS_USUAL for row in cells.values())):
            continue
        first = next(iter(cells.values()))
        table.add_row(
            str(first.number), Text(first.title), *(_cell(cells[d]) if d in cells else Text("") for d in report.dtypes)
        )
    return table


def _summary(report: Report) -> Table:
    """How many clauses passed, failed and so on, by operation and dtype, and the largest error of those that passed."""
    table = _table()
    table.add_column("operation")
    for dtype in report.dtypes:
        table.add_column(dtype)
    for op in report.ops:
        cells = []
        for dtype in report.dtypes:
            rows = [row for row in report.rows if (row.op, row.dtype) == (op, dtype)]
            counts = Counter(row.outcome for row in rows)
            parts = [
                Text(f"{counts[outcome]} {word}", style) for outcome, (word, style) in _WORDS.items() if counts[outcome]
            ]
            shares = [row.worst_share for row in rows if row.outcome == "pass" and row.worst_share is not None]
            cells.append(Text(", ").join(parts) + Text(f" {max(shares):4.0%}" if shares else ""))
        table.add_row(op, *cells)
    return table


def _every_row(report: Report) -> Table:
    table = _table()
    table.add_column("", justify="right")
    table.add_column("clause", no_wrap=True)
    for name in ("operation", "dtype", "verdict"):
        table.add_column(name)
    for name in ("cases", "worst ulp", "seconds"):
        table.add_column(name, justify="right")
    for row in report.rows:
        ulp = "" if row.worst_ulp is None or not row.good else f"{row.worst_ulp:.3g}"
        table.add_row(
            str(row.number), row.clause, row.op, row.dtype, _cell(row), str(row.cases), ulp, f"{row.seconds:.2f}"
        )
    return table


def _table() -> Table:
    return Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))


def _cell(row: ReportRow) -> Text:
    word, style = _WORDS[row.outcome]
    # Errors that were allowed are worth a number; what is wrong is wrong.
    share = f" {row.worst_share:4.0%}" if row.outcome == "pass" and row.worst_share is not None else ""
    return Text.assemble((word, style), share)


def _print_notes(console: Console, report: Report):
    """Print what the words and numbers of the tables mean, and the reasons that were given."""
    if any(row.outcome == "pass" and row.worst_share is not None for row in report.rows):
        console.print(Text("Per cent: the largest error, as a share of what is allowed there.", style="dim"))
    for outcome, heading in (
        ("unsupported", "n/a: not supported, as the target's profile declares"),
        ("expected failure", "xfail: expected to fail"),
    ):
        by_reason: dict[str, list[str]] = {}
        for row in report.rows:
            if row.outcome == outcome:
                by_reason.setdefault(row.reason, []).append(row.clause)
        if by_reason:
            console.print(Text(heading))
        for reason, clauses in by_reason.items():
            names = ", ".join(dict.fromkeys(clauses))
            _print_lines(console, textwrap.wrap(f"{names}: {reason}", 96), style="dim")


# ---- Failures ----


def print_failures(console: Console, report: Report, *, again: bool = True):
    """Print for each row that speaks against the target what the clause says, how it failed, and a script.

    With `again`, also the command that runs it alone.

    A script is printed once per call: a fault of one kind makes many clauses fail, most of them in the same way.
    """
    printed_under = {}
    for rows in report.failures:
        first = rows[0]
        dtypes = " and ".join(row.dtype for row in rows)
        word, style = _WORDS[first.outcome]
        where = f"  ({first.clause}, {first.op}, {dtypes})"
        console.print()
        console.print(Text.assemble((f"{word} ", style), (first.title, "bold"), where), soft_wrap=True)
        _print_lines(console, textwrap.wrap(first.text, 96), style="dim")
        finding = next((row.finding for row in rows if row.finding is not None), None)
        if first.remark:
            _print_lines(console, [first.remark])
        if finding is None:
            continue
        _print_lines(console, [finding.headline, *finding.details])
        if finding.explanation:
            _print_lines(console, f"looks like: {finding.explanation}".splitlines())
        if finding.case.call in printed_under:
            _print_lines(console, [f"for the same call as under {printed_under[finding.case.call]!r}"])
        else:
            printed_under[finding.case.call] = first.clause
            # Unwrapped and without a margin, to be copied.
            console.print(Text(f"\n{finding.script}\n"), soft_wrap=True)
        if again:
            console.print(Text(f"    again: {report.again(rows)}", style="dim"), soft_wrap=True)


def print_verdict(console: Console, report: Report):
    """Print the outcome in one line, with the seed."""
    style = "bold green" if report.complete and report.cases else "bold yellow"
    verdict = Text(f"{report.target} {report.verdict}", style=style if report.conforms else "bold red")
    rate = report.cases / report.seconds if report.seconds else 0.0
    facts = f" ({report.cases} cases, {report.seconds:.1f} s, {rate:.0f} cases/s, seed {report.seed})"
    console.print()
    console.print(Text.assemble(verdict, facts), soft_wrap=True)


def print_rows(console: Console, rows, cases: Mapping[str, int]):
    """Print what would be run: a line for each row, by the key that it has in files."""
    for row in rows:
        what = f"unsupported: {row.reason}" if row.reason else f"{cases[row.key]} cases"
        console.print(Text(f"{row.key:<44} {what}"), soft_wrap=True)
    running = [row for row in rows if not row.reason]
    count = sum(cases[row.key] for row in running)
    console.print(Text(f"{len(running)} rows, up to {count} cases; {len(rows) - len(running)} unsupported"))


def print_changes(console: Console, changes: Changes):
    """Print how a run differs from an earlier one."""
    console.print()
    console.print(Text(f"Since {changes.since}:", style="bold"))
    lines = changes.lines() or ["nothing has changed"]
    for line in lines:
        style = "red" if line.startswith("+ ") else "green" if line.startswith("- ") else ""
        console.print(Text(f"  {line}", style=style), soft_wrap=True)


# ---- What there is to be checked, and the specification ----


def print_targets(console: Console, adapters: Iterable[Adapter], entry_points: Iterable[EntryPoint]):
    """Print the targets that have names."""
    lines = [(one.name, one.sentence, f"pip install {one.packages}") for one in adapters]
    lines += [(one.name, one.value, f"entry point of {one.dist.name} {one.dist.version}") for one in entry_points]
    for name, what, whence in lines:
        console.print(Text.assemble((f"{name:<20}", "bold"), f" {what}", (f"  {whence}", "dim")), soft_wrap=True)


def print_clauses(console: Console, clauses: list[Clause]):
    """Print the specification: number, title, key and paragraph of each clause."""
    for clause in clauses:
        console.print(Text.assemble((f"{clause.number}. {clause.title}", "bold"), f"  ({clause.key})"))
        _print_lines(console, textwrap.wrap(clause.text, 96))
        if clause.needs:
            _print_lines(console, [f"needs: {', '.join(clause.needs)}"], style="dim")
        console.print()


def print_features(console: Console, clauses: list[Clause]):
    """Print what a profile may declare to be missing, and which clauses are not asked without it."""
    console.print(Text("What a profile may declare unsupported, and the clauses that then are not asked", style="bold"))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    for feature, (meaning, _) in FEATURES.items():
        keys = [clause.key for clause in clauses if feature in clause.needs]
        table.add_row(feature, meaning, Text(", ".join(keys), style="dim"))
    console.print(table)
    console.print(Text("The others are asked without the cases that need the feature."))


def _print_lines(console: Console, lines: list[str], style: str = ""):
    for line in lines:
        console.print(Text(textwrap.indent(line.rstrip(), "    "), style=style), soft_wrap=True)
