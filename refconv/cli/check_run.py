"""What ``refconv check`` does: prepare, run, write the reports."""

import argparse
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from refconv.cli.status import CONFORMS, DOES_NOT_CONFORM, INTERRUPTED, NOTHING_CHECKED, UsageError
from refconv.conformance.adapters import ADAPTERS
from refconv.conformance.baseline import compare
from refconv.conformance.campaign import Campaign, Executor, run_campaign
from refconv.conformance.clauses import Clause
from refconv.conformance.effort import cases_for
from refconv.conformance.features import FEATURES, needed_by
from refconv.conformance.parallel import Workers
from refconv.conformance.profile import Profile, ProfileError
from refconv.conformance.replay import call_of, clauses_for, replay
from refconv.conformance.report import json_file, junit, page, terminal
from refconv.conformance.report.document import Report
from refconv.conformance.report.from_run import report_of
from refconv.conformance.report.progress import progress_for
from refconv.conformance.rows import Progress, Run, rows_for
from refconv.conformance.runner import run
from refconv.conformance.selection import SelectionError, clauses_named, narrowed
from refconv.conformance.targets.base import Target, TargetError
from refconv.conformance.targets.load import entry_points, load_target
from refconv.conformance.xfail import Expectations, XfailError, read_xfails
from refconv.errors import ConvError
from refconv.testing.calls import ConvCall, ConvCase, Operands

__all__ = ["carry_out"]

# What is wrong with the command or a file that it names.
_MISTAKES = (TargetError, ProfileError, XfailError, SelectionError, json_file.ReportFileError, ConvError)


def carry_out(options: argparse.Namespace) -> int:
    """Do what the command says and return the exit status.

    Parameters
    ----------
    options : argparse.Namespace
        Of `refconv.cli.check_options`.

    Raises
    ------
    UsageError
        For a command that cannot be carried out.
    """
    console = terminal.console_for()
    if options.targets:
        terminal.print_targets(console, ADAPTERS.values(), entry_points())
        return CONFORMS
    try:
        clauses = clauses_named(options.text)
        plan = None if options.list else _Plan.of(options, clauses)
    except _MISTAKES as error:
        raise UsageError(str(error)) from error
    if plan is None:
        terminal.print_clauses(console, clauses)
        if not options.text:
            terminal.print_features(console, clauses)
        return CONFORMS
    with plan.target:
        if options.dry_run:
            terminal.print_rows(console, plan.rows, plan.cases)
            return CONFORMS
        report = _report(console, options, plan)
    _write(options, report)
    _show(console, options, plan, report)
    if not report.conforms:
        return DOES_NOT_CONFORM
    if report.interrupted:
        return INTERRUPTED
    return CONFORMS if report.cases else NOTHING_CHECKED


# ---- What is to be done ----


@dataclass
class _Plan:
    """Everything that the command names, loaded and checked before anything runs.

    Parameters
    ----------
    target : Target
    clauses : list of Clause
    seed : int
    cases : dict of str to int
        By the row's key.
    expectations : Expectations
    replayed, earlier : Report or None
        The reports that --replay and --baseline name.
    """

    target: Target
    clauses: list[Clause]
    seed: int
    cases: Mapping[str, int]
    expectations: Expectations
    replayed: Report | None = None
    earlier: Report | None = None

    @classmethod
    def of(cls, options: argparse.Namespace, clauses: list[Clause]) -> "_Plan":
        if options.replay and (options.workers or options.dask):
            raise UsageError("a replay is run by one process: leave out --workers and --dask")
        _check_outputs(options)
        expectations = read_xfails(options.xfail) if options.xfail else Expectations({})
        earlier = json_file.load(options.baseline) if options.baseline else None
        replayed = call = None
        if options.replay and Path(options.replay).suffix == ".json":
            replayed = json_file.load(options.replay)
        elif options.replay:
            call = call_of(options.replay)
        profile = Profile.from_toml(options.target_profile) if options.target_profile else None
        target = load_target(options.target, profile, isolated=not options.in_process)
        if options.signed_zeros:
            target.profile = replace(target.profile, signed_zeros=True)
        rows = rows_for(target)
        # Of the whole target: what is selected makes no difference to the cases of a row.
        cases = cases_for(options.profile, target.profile, rows)
        if options.cases:
            cases = dict.fromkeys(cases, options.cases)
        expectations.check([row.key for row in rows])
        target.profile = narrowed(target.profile, options.op, options.dtype)
        if call is not None:
            target.profile = _able(narrowed(target.profile, [call.op], None), call, options.replay)
            keys = {clause.key for clause in clauses}
            clauses = [clause for clause in clauses_for(call) if clause.key in keys]
        seed = secrets.randbelow(10**9) if options.seed is None else options.seed
        return cls(target, clauses, seed, cases, expectations, replayed, earlier)

    @property
    def rows(self):
        """The rows to be run, still empty."""
        rows = rows_for(self.target, self.clauses)
        if self.replayed is None:
            return rows
        failed = {row.key for row in self.replayed.rows if row.finding is not None}
        return [row for row in rows if row.key in failed]

    def run(self, options: argparse.Namespace, result: Run, progress: Progress):
        """Fill in the rows of a run."""
        how = {"clauses": self.clauses, "progress": progress, "result": result}
        if self.replayed is not None:
            replay(self.target, self.replayed, **how)
        elif options.workers or options.dask:
            profile, isolated = self.target.profile, not options.in_process
            campaign = Campaign(options.target, profile, self.seed, self.cases, isolated)
            try:
                with _executor(campaign, options) as executor:
                    run_campaign(campaign, self.target, executor, max_seconds=options.max_time, **how)
            except TargetError as error:
                raise UsageError(str(error)) from error
        else:
            run(self.target, seed=self.seed, cases=self.cases, max_seconds=options.max_time, **how)


def _executor(campaign: Campaign, options: argparse.Namespace) -> Executor:
    if options.workers:
        return Workers(campaign, options.workers)
    try:
        from refconv.conformance.cluster import DaskWorkers
    except ModuleNotFoundError as error:
        raise UsageError(f"--dask needs {error.name}: pip install refconv[dask]") from None
    return DaskWorkers(campaign, options.dask)


def _able(profile: Profile, call: ConvCall, descriptor: str) -> Profile:
    """Return a profile with the dtypes for which it does not declare a convolution to be unsupported."""
    zeros = Operands(**{name: np.zeros(shape, np.float32) for name, shape in call.shapes.items()})
    why = {}
    for dtype in profile.dtypes:
        missing = profile.narrowed(call.op, dtype).missing
        why[dtype] = [f"{FEATURES[one][0]}: {missing[one]}" for one in needed_by(ConvCase(call, zeros, ""), missing)]
    able = [dtype for dtype in profile.dtypes if not why[dtype]]
    if not able:
        reasons = "; ".join(dict.fromkeys(reason for reasons in why.values() for reason in reasons))
        raise UsageError(f"{descriptor} needs what the target does not support: {reasons}")
    return replace(profile, dtypes=able)


def _check_outputs(options: argparse.Namespace):
    """Find out before a long run, not after it, that a report cannot be written."""
    for path in filter(None, (options.json, options.junit, options.html)):
        folder = Path(path).absolute().parent
        if not folder.is_dir():
            raise UsageError(f"cannot write {path}: there is no directory {folder}")
        if Path(path).is_dir():
            raise UsageError(f"cannot write {path}: it is a directory")
    if options.html:
        try:
            import jinja2  # noqa: F401
        except ModuleNotFoundError:
            raise UsageError("--html needs jinja2: pip install refconv[conformance]") from None


# ---- The run and what it leaves behind ----


def _report(console, options: argparse.Namespace, plan: _Plan) -> Report:
    result = Run(plan.target, plan.seed if plan.replayed is None else plan.replayed.seed)
    facts = {
        "effort": _effort(options),
        "options": _words(options, plan.target.profile),
        "expectations": plan.expectations,
    }
    if not options.quiet:
        terminal.print_header(console, report_of(result, **facts))
    interrupted = False
    try:
        with progress_for(len(plan.rows), quiet=options.quiet, verbose=options.verbose) as progress:
            plan.run(options, result, progress)
    except KeyboardInterrupt:
        interrupted = True
    return report_of(result, **facts, interrupted=interrupted)


def _effort(options: argparse.Namespace) -> str:
    if options.replay:
        return f"replay of {options.replay}"
    return f"{options.cases} cases per row" if options.cases else options.profile


def _words(options: argparse.Namespace, profile: Profile) -> list[str]:
    """The words of the command line that have to be there to see the same again."""
    words = []
    for name in ("target_profile", "replay", "cases", "xfail"):
        if getattr(options, name):
            words += [f"--{name.replace('_', '-')}", str(getattr(options, name))]
    words += [f"--{name.replace('_', '-')}" for name in ("in_process", "signed_zeros") if getattr(options, name)]
    # Of several, that of the row is named later.
    if options.op and len(profile.ops) == 1:
        words += ["--op", *profile.ops]
    words += [word for dtype in options.dtype or () for word in ("--dtype", dtype)]
    if options.profile != "quick" and not options.cases:
        words += ["--profile", options.profile]
    return words


def _write(options: argparse.Namespace, report: Report):
    savers: dict[str, Callable[[Report, str], None]] = {
        "json": json_file.save,
        "junit": junit.save,
        "html": page.save,
    }
    for name, save in savers.items():
        path = getattr(options, name)
        if path:
            save(report, path)


def _show(console, options: argparse.Namespace, plan: _Plan, report: Report):
    if not options.quiet:
        terminal.print_tables(console, report, verbose=options.verbose)
    terminal.print_failures(console, report)
    if plan.earlier is not None:
        terminal.print_changes(console, compare(report, plan.earlier, options.baseline))
    terminal.print_verdict(console, report)
