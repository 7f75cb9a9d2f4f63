"""The conformance suite: is an implementation of convolution right? ``refconv check TARGET`` on the command line.

    profile   what a target supports and claims; features that it may be without
    targets   what is tested: a function, a program, a library by one of the adapters
    clauses   the specification, one property after the other, each a paragraph and a test
    judges    the ways in which a result is compared with what it should be
    rows      a clause for one function and dtype, and what came of it
    runner    runs clauses on cases drawn by Hypothesis; simplify makes what fails small
    campaign  the same in shards, on several processes (parallel) or machines (cluster)
    repro     the failing case as code
    report    the table and the failures, for people and for programs to read

    parametrize        the clauses as tests of somebody's own suite
    pytest_plugin      the same without a test file: ``pytest --refconv-target TARGET``
    xfail, baseline    what is known to fail, and what has changed since an earlier report
    replay             only the cases that have failed, or one convolution
    vectors            calls with their right results, as files

`targets` needs NumPy alone (and torch if torch is tested). For the rest: ``pip install refconv[conformance]``.
"""

import importlib

from refconv.conformance.profile import Profile

__all__ = ["Profile", "parametrize"]


def __getattr__(name: str):
    # Not imported before it is asked for: it needs Hypothesis and pytest, which targets alone do not.
    if name == "parametrize":
        return importlib.import_module("refconv.conformance.parametrized").parametrize
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
