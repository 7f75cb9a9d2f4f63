"""``pytest --refconv-target TARGET``: the clauses as tests, without any test file.

pytest loads this in every run in an environment that refconv is installed in, so that it imports nothing that is not
needed for its options.
"""

import pytest

__all__ = ["pytest_addoption", "pytest_configure", "pytest_make_collect_report", "pytest_report_header"]


def pytest_addoption(parser):
    """Add the options ``--refconv-...``."""
    group = parser.getgroup("refconv", "refconv: is a convolution right?")
    group.addoption(
        "--refconv-target", metavar="TARGET", help="collect the clauses of refconv check as tests of this target"
    )
    group.addoption("--refconv-profile", metavar="FILE", help="TOML file that says what the target supports and claims")
    group.addoption("--refconv-op", metavar="OP", action="append", help="only this operation; repeatable")
    group.addoption("--refconv-dtype", metavar="DTYPE", action="append", help="only this dtype; repeatable")
    group.addoption(
        "--refconv-in-process", action="store_true", help="call the target in pytest's process, where a crash ends it"
    )
    group.addoption("--refconv-xfail", metavar="FILE", help="known failures, each with a reason (refconv check --help)")


def pytest_configure(config):
    """Register the marker of the tests, and refuse options that mean nothing without a target."""
    config.addinivalue_line("markers", "refconv: a clause of refconv's conformance suite")
    given = [name for name in ("profile", "op", "dtype", "xfail", "in_process") if config.getoption(f"refconv_{name}")]
    if given and not config.getoption("refconv_target"):
        raise pytest.UsageError(f"--refconv-{given[0].replace('_', '-')} needs --refconv-target")


def pytest_report_header(config):
    """Say what is tested."""
    target = config.getoption("refconv_target")
    return f"refconv target: {target}" if target else None


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    """Add the suite to what the session has collected from files."""
    report = yield
    if isinstance(collector, pytest.Session) and report.passed and collector.config.getoption("refconv_target"):
        report.result.append(Suite.from_parent(collector, name="refconv", nodeid="refconv"))
    return report


class Suite(pytest.Collector):
    """The clauses, for one target."""

    def collect(self):
        """Yield a test for each row."""
        try:
            from refconv.conformance.parametrized import checks
        except ModuleNotFoundError as error:
            raise self.CollectError(f"--refconv-target needs {error.name}: pip install refconv[conformance]") from None
        from refconv.conformance.targets.base import TargetError

        option = self.config.getoption
        try:
            found = checks(
                option("refconv_target"),
                profile=option("refconv_profile"),
                ops=option("refconv_op"),
                dtypes=option("refconv_dtype"),
                xfail=option("refconv_xfail"),
                isolated=not option("refconv_in_process"),
            )
        except (TargetError, ValueError) as error:
            raise self.CollectError(str(error)) from error
        for check in found:
            item = Item.from_parent(self, name=check.key, check=check)
            item.add_marker("refconv")
            for mark in check.marks:
                item.add_marker(mark)
            yield item


class Item(pytest.Item):
    """One row: a clause, for one operation and dtype."""

    def __init__(self, *, check, **others):
        super().__init__(**others)
        self.check = check

    def runtest(self):
        """Run it."""
        self.check()

    def reportinfo(self):
        """Say where it is defined and what to call it."""
        return self.path, None, f"refconv: {self.name}"
