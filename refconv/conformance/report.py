"""What people see of a run: progress on stderr while it lasts, and a report on stdout."""

import sys
import textwrap

import hypothesis
import numpy as np
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

import refconv
from refconv.conformance.clauses import Clause
from refconv.conformance.repro import script
from refconv.conformance.runner import Progress, Row, Run, rows_for
from refconv.conformance.targets.base import Target

__all__ = ["print_clauses", "print_failures", "print_header", "print_table", "print_verdict", "progress_for"]

_NARROWEST = 100


def report_console() -> Console:
    """Return a console for stdout. It has no colours where there is no terminal or NO_COLOR is set."""
    console = Console(highlight=False)
    # Without a terminal there is no width, and rich takes 80, which breaks lines of the table.
    return console if console.is_terminal else Console(highlight=False, width=_NARROWEST)


# ---- While it runs ----


def progress_for(target: Target, clauses: list[Clause], cases: int, *, quiet: bool) -> Progress:
    """Return what is to show the progress of a run: a bar on a terminal, lines otherwise, nothing if quiet."""
    if quiet:
        return Progress()
    console = Console(stderr=True, highlight=False)
    if console.is_terminal:
        return _BarProgress(console, cases, rows=len(rows_for(target, clauses)))
    return _LineProgress()


class _LineProgress(Progress):
    """A line per clause and dtype."""

    def row_ends(self, row):
        print(
            f"{row.clause.title:<46} {row.dtype:<8} {_verdict(row):<7} {row.seconds:5.1f} s",
            file=sys.stderr,
            flush=True,
        )


class _BarProgress(Progress):
    """A bar that goes away at the end."""

    def __init__(self, console: Console, cases: int, rows: int):
        self._cases = cases
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._task = self._bar.add_task("", total=cases * rows)

    def __enter__(self):
        self._bar.start()
        return self

    def __exit__(self, *_):
        self._bar.stop()

    def row_begins(self, row):
        self._bar.update(self._task, description=f"{row.clause.title} ({row.dtype})")

    def case_done(self):
        self._bar.advance(self._task)

    def row_ends(self, row):
        # A row may end early: it has failed, or there are no more different cases.
        self._bar.advance(self._task, self._cases - row.cases)


# ---- The report ----


def print_header(console: Console, target: Target, seed: int, cases: int):
    """Print what is tested, and everything that decides which cases are drawn."""
    versions = {
        "refconv": refconv.__version__,
        **target.versions(),
        "numpy": np.__version__,
        "hypothesis": hypothesis.__version__,
        "python": sys.version.split()[0],
    }
    console.print(Text(f"refconv check {target.name}", style="bold"))
    console.print(Text(", ".join(f"{name} {version}" for name, version in versions.items())))
    console.print(Text(f"seed {seed}, {cases} cases for every property and dtype"))


def print_table(console: Console, run: Run):
    """Print a line for every property and dtype."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("property", no_wrap=True)
    table.add_column("dtype")
    table.add_column("cases", justify="right")
    table.add_column("verdict")
    table.add_column("worst error\n(of allowed)", justify="right")
    table.add_column("worst\nulp", justify="right")
    previous = None
    for row in run.rows:
        verdict = _verdict(row)
        table.add_row(
            Text("" if row.clause is previous else row.clause.title),
            row.dtype,
            str(row.cases),
            Text(verdict, style={"ok": "green", "FAIL": "bold red"}.get(verdict, "yellow")),
            *_worst_errors(row),
        )
        previous = row.clause
    console.print(table)


def print_failures(console: Console, run: Run, cases: int):
    """Print for every property that failed what it says, how it failed, and a script that shows it.

    A script is printed once per call: a fault of one kind makes many properties fail, most of them in the same way.
    """
    printed_under = {}
    by_clause: dict[str, list[Row]] = {}
    for row in run.failures:
        by_clause.setdefault(row.clause.key, []).append(row)
    for key, rows in by_clause.items():
        case, mismatch = rows[0].failing
        dtypes = " and ".join(row.dtype for row in rows)
        console.print()
        console.print(Text.assemble(("FAIL ", "bold red"), (rows[0].clause.title, "bold"), f"  ({key}, {dtypes})"))
        _print_lines(console, textwrap.wrap(rows[0].clause.text, 96), style="dim")
        _print_lines(console, [mismatch.headline, *mismatch.details])
        if case.call in printed_under:
            _print_lines(console, [f"for the same call as under {printed_under[case.call]!r}"])
        else:
            printed_under[case.call] = key
            # Unwrapped and without a margin, to be copied.
            console.print(Text(f"\n{script(run.target, case, mismatch)}\n"), soft_wrap=True)
        again = f"refconv check {run.target.name} --seed {run.seed} --cases {cases} -k {key}"
        console.print(Text(f"    again: {again}", style="dim"), soft_wrap=True)


def _print_lines(console: Console, lines: list[str], style: str = ""):
    for line in lines:
        console.print(Text(textwrap.indent(line.rstrip(), "    "), style=style), soft_wrap=True)


def print_verdict(console: Console, run: Run, *, interrupted: bool):
    """Print the outcome in one line, with the seed."""
    clauses = {row.clause.key for row in run.rows if row.cases}
    failed = {row.clause.key for row in run.failures}
    skipped = {row.clause.key for row in run.rows if row.status == "not run"}
    checked = f"{len(clauses)} {'property' if len(clauses) == 1 else 'properties'}"
    s = "s" if len(clauses) == 1 else ""
    if failed:
        verdict, style = f"{run.target.name} does not conform: {len(failed)} of {checked} fail{s}", "bold red"
    elif interrupted or skipped:
        verdict, style = f"no failure so far in {checked}, but the run was cut short", "bold yellow"
    else:
        verdict, style = f"{run.target.name} conforms: {checked} hold{s}", "bold green"
    rate = run.cases / run.seconds if run.seconds else 0.0
    console.print()
    facts = f" ({run.cases} cases, {run.seconds:.1f} s, {rate:.0f} cases/s, seed {run.seed})"
    console.print(Text.assemble((verdict, style), facts), soft_wrap=True)


def print_clauses(console: Console, clauses: list[Clause]):
    """Print the specification."""
    for clause in clauses:
        console.print(Text.assemble((clause.title, "bold"), f"  ({clause.key})"))
        _print_lines(console, textwrap.wrap(clause.text, 96))
        console.print()


def _worst_errors(row: Row) -> tuple[str, str]:
    """Return what to print of errors that were allowed: nothing if one was not, or if results had to be equal."""
    share, ulp = row.tally.worst_share, row.tally.worst_ulp
    if row.failing is not None or share is None or ulp is None:
        return "", ""
    return f"{share:.0%}", f"{ulp:.0f}" if ulp < 1e5 else f"{ulp:.1e}".replace("e+0", "e").replace("e+", "e")


def _verdict(row: Row) -> str:
    if row.failing is not None:
        return "FAIL"
    return {"pass": "ok"}.get(row.status, row.status)
