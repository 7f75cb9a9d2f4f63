"""The clauses as tests in somebody's own suite, run by pytest and Hypothesis with the settings of that suite."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from rich.console import Console

from refconv.conformance.clauses import CLAUSES, Clause
from refconv.conformance.profile import Profile
from refconv.conformance.report.document import OUTCOMES
from refconv.conformance.report.from_run import report_of
from refconv.conformance.report.terminal import print_failures
from refconv.conformance.rows import Row, Run, rows_for
from refconv.conformance.runner import run_row_in_suite
from refconv.conformance.selection import SelectionError, narrowed
from refconv.conformance.targets.base import Target
from refconv.conformance.targets.load import function_target, load_target
from refconv.conformance.xfail import Expectations, expectations_of

__all__ = ["Check", "checks", "parametrize"]


def parametrize(
    implementation: str | Target | Callable | dict[str, Callable],
    *,
    profile: Profile | str | Path | None = None,
    ops: Sequence[str] | None = None,
    dtypes: Sequence[str] | None = None,
    clauses: Sequence[str] | None = None,
    xfail: dict[str, str] | str | Path | None = None,
    isolated: bool = False,
    argument: str = "check",
):
    """Make a pytest test of every clause, for each function and dtype of an implementation.

    Parameters
    ----------
    implementation : str, callable, dict or Target
        A function with the plain signature ``f(input, weight, bias, stride, padding, dilation, groups)``; several of
        them by the names that refconv has for them; or a target as ``refconv check`` takes it.
    profile : Profile or path, optional
        What it supports and claims, or a TOML file that says so. By default conv2d of float32 and float64, everything
        supported, sums in the operands' own format.
    ops, dtypes : sequence of str, optional
        Only these, of those in the profile.
    clauses : sequence of str, optional
        Only these, by key; ``refconv check --list`` prints them.
    xfail : dict or path, optional
        Known failures: reasons by patterns for ``clause/op/dtype``, or a file of them. If one passes, it fails.
    isolated : bool
        Whether a target that is given by its name is to run in a process of its own, where a crash is a failure like
        others.
    argument : str
        The name of the test's argument.

    Returns
    -------
    MarkDecorator
        ``pytest.mark.parametrize`` with a check for each row. A test has nothing to do but to call it. The ids are the
        rows' keys, ``stride/conv2d/float32``.

    Raises
    ------
    TargetError, ProfileError, XfailError
        If a file or a name is wrong.
    ValueError
        ``the target has no op 'conv9d'; its profile says conv2d``

    Notes
    -----
    Hypothesis runs the tests with the settings in force: number of examples, database, derandomization, the option
    ``--hypothesis-seed``. Only deadlines and health checks are off.

    Examples
    --------
    >>> import refconv
    >>> @parametrize(refconv.conv2d, dtypes=["float32"])
    ... def test_conv2d(check):
    ...     check()
    """
    selected = {"ops": ops, "dtypes": dtypes, "clauses": clauses}
    found = checks(implementation, profile=profile, **selected, xfail=xfail, isolated=isolated)
    return pytest.mark.parametrize(argument, [pytest.param(one, id=one.key, marks=one.marks) for one in found])


class Check:
    """One row as a test: call it.

    Parameters
    ----------
    row : Row
        An empty one.
    target : Target
    expectations : Expectations
    """

    def __init__(self, row: Row, target: Target, expectations: Expectations):
        self._row, self._target, self._expectations = row, target, expectations

    @property
    def key(self) -> str:
        """Its id, ``clause/op/dtype``."""
        return self._row.key

    @property
    def marks(self) -> list:
        """What is declared unsupported is skipped, what is known to fail marked so."""
        if self._row.reason:
            return [pytest.mark.skip(reason=f"declared unsupported: {self._row.reason}")]
        reason = self._expectations.reason(self.key)
        return [] if reason is None else [pytest.mark.xfail(reason=reason, strict=True)]

    def __call__(self):
        """Draw cases and judge them; fail with the report on the smallest one."""
        __tracebackhide__ = True
        row = Row(self._row.clause, self._row.op, self._row.dtype)
        run_row_in_suite(row, self._target)
        if row.status == "fail":
            pytest.fail(_failure_text(row, self._target), pytrace=False)
        if row.status == "vacuous":
            pytest.skip(f"vacuous: {OUTCOMES['vacuous']}")

    def __repr__(self):
        return f"<check of {self.key}>"


def _failure_text(row: Row, target: Target) -> str:
    console = Console(width=100, highlight=False, no_color=True)
    with console.capture() as capture:
        print_failures(console, report_of(Run(target, 0, [row]), effort=""), again=False)
    return capture.get().strip("\n")


def checks(
    implementation,
    *,
    profile=None,
    ops=None,
    dtypes=None,
    clauses=None,
    xfail=None,
    isolated=False,
) -> list[Check]:
    """Return the checks that `parametrize` makes tests of.

    Parameters
    ----------
    implementation, profile, ops, dtypes, clauses, xfail, isolated
        As for `parametrize`.

    Returns
    -------
    list of Check
    """
    if isinstance(profile, (str, Path)):
        profile = Profile.from_toml(profile)
    target = _target(implementation, profile, isolated)
    expectations = expectations_of(xfail)
    expectations.check([row.key for row in rows_for(target)])
    target.profile = narrowed(target.profile, ops, dtypes)
    return [Check(row, target, expectations) for row in rows_for(target, _selected(clauses))]


def _selected(keys: Sequence[str] | None) -> list[Clause]:
    if keys is None:
        return CLAUSES
    by_key = {clause.key: clause for clause in CLAUSES}
    for key in keys:
        if key not in by_key:
            raise SelectionError(f"there is no clause {key!r}; see refconv check --list")
    return [by_key[key] for key in keys]


def _target(implementation, profile: Profile | None, isolated: bool) -> Target:
    if isinstance(implementation, Target):
        return implementation
    if isinstance(implementation, str):
        return load_target(implementation, profile, isolated=isolated)
    name = getattr(implementation, "__qualname__", "implementation")
    module = getattr(implementation, "__module__", None)
    # What has no name in a module cannot be imported by a script.
    importable = module is not None and name.isidentifier()
    definition = [f"from {module} import {name} as {{op}}"] if importable else [f"# {{op}} is {name}"]
    return function_target(f"{module}:{name}" if importable else name, implementation, profile, definition)
