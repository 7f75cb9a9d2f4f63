"""The options of ``refconv check``, and the page that ``--help`` prints."""

import argparse
import math

__all__ = ["DESCRIPTION", "EXAMPLES", "add_options"]

DESCRIPTION = """\
Is an implementation of convolution right? Each clause of the specification is checked on random cases: equal to the
exact result where the data allow it, within a derived error bound elsewhere. What fails is made small and printed as
code, with the name of the bug that it looks like.

TARGET is one of
  torch, jax, ...                a library that refconv has an adapter for: see --targets
  package.module:function        any function that can be imported from here
  path/to/file.py:function       or from a file
  NAME                           an entry point of the group refconv.implementations: see --targets
  exec:COMMAND                   any program that reads operands (.npz) and writes a result (.npy)

A function is called as f(input, weight, bias, stride, padding, dilation, groups), by position, with NumPy arrays, and
returns an array. bias may be None; stride and dilation are ints or pairs; padding is an int, a pair, 'same' or 'valid';
input is (N, C_in, H, W) or (C_in, H, W), weight (C_out, C_in / groups, kH, kW). What is different in yours (other
operations, dtypes, layouts, padding, arithmetic), and what it does not support, goes into a --target-profile.

The target runs in a process of its own: if it crashes or hangs, that is a failure like others, and the run goes on.
"""

EXAMPLES = """\
examples:
  refconv check torch                              all clauses, on torch's convolutions
  refconv check mypackage.conv:conv2d              on your own function
  refconv check conv.py:conv2d -k padding          only clauses with "padding" in their names
  refconv check conv.py:conv2d --seed 7            the same cases as the last time with --seed 7
  refconv check conv.py:conv2d --profile thorough  before a release
  refconv check conv.py:conv2d --json now.json --baseline last.json    what has changed since?
  refconv check conv.py:conv2d --replay now.json   only the cases that failed
  refconv check conv.py:conv2d --replay g1n1ic3ih28iw28oc16kh5kw5ph1pw1    one convolution, with random numbers
  refconv check --list                             what is checked, clause by clause

An --xfail file has a line for each failure that is known: the key of the row, clause/operation/dtype, in which * stands
for anything, and a reason, which may not be missing. If the row passes, the run fails: the line has to go.

  named-padding/conv2d/*   'same' puts the extra zero first, to be mended in 2.0

exit status: 0 the target conforms, 1 it does not, 2 the command was wrong (no such target, package missing)
             or nothing was checked (all that was selected is declared unsupported, no time was left),
             130 interrupted by Ctrl-C before anything failed, 141 nobody reads the output any more
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add target and options to the parser of the command."""
    parser.add_argument("target", metavar="TARGET", nargs="?", help="what to check; see above")
    parser.add_argument(
        "--target-profile", metavar="FILE", help="TOML file that says what the target supports and claims"
    )

    cases = parser.add_argument_group("which cases")
    cases.add_argument("-k", dest="text", default="", metavar="TEXT", help="only clauses with TEXT in key or title")
    cases.add_argument("--op", action="append", metavar="OP", help="only this operation, such as conv2d; repeatable")
    cases.add_argument("--dtype", action="append", metavar="DTYPE", help="only this dtype; repeatable")
    cases.add_argument(
        "--profile",
        choices=("quick", "standard", "thorough"),
        default="quick",
        help="how many cases: seconds, minutes, or before a release (default: %(default)s)",
    )
    cases.add_argument("--cases", type=positive_int, metavar="N", help="cases per row, instead of the profile's number")
    cases.add_argument("--seed", type=int, metavar="N", help="draw the same cases as another run (default: random)")
    cases.add_argument(
        "--max-time", type=seconds, default=math.inf, metavar="S", help="draw no more cases after S seconds"
    )
    cases.add_argument(
        "--replay", metavar="WHAT", help="only the failing cases of a JSON report, or one convolution by its descriptor"
    )

    judged = parser.add_argument_group("what counts as a failure")
    judged.add_argument("--xfail", metavar="FILE", help="known failures, each with a reason")
    judged.add_argument(
        "--signed-zeros", action="store_true", help="compare the sign of zeros, too, if the profile does not say so"
    )
    judged.add_argument("--baseline", metavar="FILE", help="an earlier JSON report: print what has changed since")

    shown = parser.add_argument_group("what is written")
    shown.add_argument("--json", metavar="FILE", help="the report with all failing cases, for --replay and --baseline")
    shown.add_argument("--junit", metavar="FILE", help="the report for CI systems")
    shown.add_argument("--html", metavar="FILE", help="the report as a page with pictures")
    loud = shown.add_mutually_exclusive_group()
    loud.add_argument("--quiet", action="store_true", help="print failures and the verdict only")
    loud.add_argument("--verbose", action="store_true", help="print every row, with cases, ulps and times")

    run = parser.add_argument_group("how it runs")
    run.add_argument(
        "--in-process", action="store_true", help="call the target in this process, where a crash ends the run"
    )
    several = run.add_mutually_exclusive_group()
    several.add_argument("--workers", type=positive_int, metavar="N", help="check on N processes of this machine")
    several.add_argument(
        "--dask", metavar="SCHEDULER", help="check on the workers of a Dask cluster, by the address of its scheduler"
    )

    instead = parser.add_argument_group("instead of a run")
    instead.add_argument(
        "--list",
        action="store_true",
        help="print the clauses, and what a profile may declare unsupported",
    )
    instead.add_argument(
        "--targets", action="store_true", help="print the libraries that there are adapters for, and entry points"
    )
    instead.add_argument(
        "--dry-run", action="store_true", help="print the rows that would be run, and what is declared unsupported"
    )


def positive_int(text: str) -> int:
    """Read a number of things of which there has to be one."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {number}")
    return number


def seconds(text: str) -> float:
    """Read a time."""
    number = float(text)
    if not number >= 0:
        raise argparse.ArgumentTypeError(f"must be at least 0 seconds, not {text}")
    return number
