"""What is shown while a run lasts, on stderr: a bar with rate and remaining time; lines where there is no terminal."""

import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.text import Text

from refconv.conformance.report.terminal import console_for
from refconv.conformance.rows import Progress, Row

__all__ = ["progress_for"]

_SECONDS_BETWEEN_LINES = 10.0


def progress_for(rows: int, *, quiet: bool = False, verbose: bool = False) -> Progress:
    """Return what is to show the progress of a run.

    Parameters
    ----------
    rows : int
        How many there will be.
    quiet : bool
        Nothing is shown.
    verbose : bool
        Every row is, when it is done, not only those that fail.

    Returns
    -------
    Progress
        On a terminal a bar that goes away at the end; otherwise now and then a line. Failures are shown as they come.
    """
    if quiet:
        return Progress()
    console = console_for(stderr=True)
    return (_BarProgress if console.is_terminal else _LineProgress)(console, rows, verbose)


class _ShownProgress(Progress):
    """Counts, and prints the rows that are worth a line."""

    def __init__(self, console: Console, rows: int, verbose: bool):
        self.console, self.rows, self.verbose = console, rows, verbose
        self.done = self.failing = self.cases = 0
        self.began = time.perf_counter()

    def case_done(self):
        self.cases += 1

    def row_ends(self, row):
        self.done += 1
        bad = row.status in ("fail", "error")
        self.failing += bad
        if bad or self.verbose:
            self.console.print(_line(row, bad), soft_wrap=True)

    @property
    def rate(self) -> float:
        """Cases per second."""
        return self.cases / max(time.perf_counter() - self.began, 1e-9)


def _line(row: Row, bad: bool) -> Text:
    what = row.reason
    if row.failing is not None:
        what = row.failing[1].headline.partition("\n")[0]
    word = {"pass": "ok", "fail": "FAIL", "error": "ERROR", "unsupported": "n/a"}.get(row.status, row.status)
    text = f"{word:<7} {row.key}  {what}".rstrip()
    return Text(text if bad else f"{text}  {row.seconds:.1f} s", style="red" if bad else "")


class _LineProgress(_ShownProgress):
    """For logs: how far it has got, every ten seconds."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._last = self.began

    def row_ends(self, row):
        super().row_ends(row)
        now = time.perf_counter()
        if now - self._last >= _SECONDS_BETWEEN_LINES and self.done < self.rows:
            self._last = now
            elapsed = now - self.began
            left = elapsed / self.done * (self.rows - self.done)
            self.console.print(
                f"{self.done} of {self.rows} rows, {self.failing} failing, {elapsed:.0f} s, about {left:.0f} s to go",
                soft_wrap=True,
            )


class _BarProgress(_ShownProgress):
    """A bar with the row in hand, the rate and the remaining time."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[facts]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
        )
        self._task = self._bar.add_task("", total=self.rows, facts="")

    def __enter__(self):
        self._bar.start()
        return self

    def __exit__(self, *_):
        self._bar.stop()

    def row_begins(self, row):
        self._bar.update(self._task, description=f"{row.clause.key} {row.op} {row.dtype}")

    def case_done(self):
        super().case_done()
        self._show()

    def row_ends(self, row):
        super().row_ends(row)
        self._show()

    def _show(self):
        failing = f", {self.failing} failing" if self.failing else ""
        self._bar.update(self._task, completed=self.done, facts=f"{self.rate:.0f} cases/s{failing}")
