"""The command line: ``refconv check TARGET`` and ``refconv explain WORDS``."""

import argparse
import secrets
import sys

from refconv.errors import ConvError
from refconv.explanation import explanation, problem_from_words

__all__ = ["main"]

CONFORMS, DOES_NOT_CONFORM, USAGE_ERROR, INTERRUPTED = 0, 1, 2, 130

_DESCRIPTION = """\
Is an implementation of conv2d right? Every property of a convolution is checked on random cases: equal to the exact
result where the data allow it, within a derived error bound elsewhere. What fails is made small and printed as code.

TARGET is one of
  torch                          torch.nn.functional.conv2d on the CPU
  package.module:function        any function that can be imported from here
  path/to/file.py:function       or from a file

A function is called as f(input, weight, bias, stride, padding, dilation, groups), by position, with NumPy arrays of
float32 or float64, and returns an array. bias may be None; stride and dilation are ints or pairs; padding is an int, a
pair, 'same' or 'valid'; input is (N, C_in, H, W) or (C_in, H, W), weight (C_out, C_in / groups, kH, kW).
"""

_EXAMPLES = """\
examples:
  refconv check torch                              all properties of torch's conv2d
  refconv check mypackage.conv:conv2d              of your own function
  refconv check conv.py:conv2d -k padding          only properties with "padding" in their names
  refconv check conv.py:conv2d --seed 7            the same cases as the last time with --seed 7
  refconv check conv.py:conv2d --cases 2000        a thorough run
  refconv check --list                             what is checked, property by property

exit status: 0 the target conforms, 1 it does not, 2 the command was wrong (no such target, package missing)
"""

_EXPLAIN_DESCRIPTION = """\
What does a convolution do to the sizes? Prints the shapes, the formula with the numbers in it,
and what happens along each axis; or, if it is no convolution, the error that a call would raise
(torch has the same one).

Say it in words: the size of the input, then any of these in any order

  kernel 5          or 5x3, or the shape of the whole weight, 16x3x5x5 (C_out, C_in / groups, kH, kW)
  stride 2          how far the window moves from one output to the next; 1 if not said
  padding 1         zeros around the input: 1, 1x2, same, valid, 1-2x0-1 for different ends; 0
  dilation 2        how far the kernel's taps are apart; 1
  channels 3 to 16  of the input and of the output; also 3x28x28, or with a batch 8x3x28x28
  groups 2          runs of channels that do not see each other; 1
  bias, transposed, output_padding 1, batch 8

Each axis by itself:  output = floor((input + padding - dilation * (kernel - 1) - 1) / stride) + 1
where padding is that of both ends together.
"""

_EXPLAIN_EXAMPLES = """\
examples:
  refconv explain "28x28 kernel 5"                                 24x24, as 28 - 5 + 1 = 24
  refconv explain "28x28 kernel 5 stride 2 padding 1"              13x13
  refconv explain "224x224 kernel 7 stride 2 padding 3 channels 3 to 64"
  refconv explain "1x1x28x28 kernel 16x3x5x5"                      an error: 3 channels expected
  refconv explain "14x14 kernel 4 stride 2 padding 1 transposed"   28x28, the way back
  refconv explain g1n1ic3ih28iw28oc16kh5kw5ph1pw1                  a descriptor

exit status: 0 it is a convolution, 1 it is none, 2 the words cannot be read
"""


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return the exit status.

    Parameters
    ----------
    argv : list of str, optional
        Arguments; by default those of the process.
    """
    parser = _parser()
    options = parser.parse_args(argv)
    if options.command == "explain":
        return _explain(" ".join(options.words))
    if options.target is None and not options.list:
        parser.error("check needs a TARGET, such as 'torch' or 'file.py:function' (see refconv check --help)")
    try:
        return _check(options)
    except _UsageError as error:
        print(f"refconv: {error}", file=sys.stderr)
        return USAGE_ERROR


class _UsageError(Exception):
    """The command cannot be carried out as it was given."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="refconv", description="The convolution that other convolutions are judged by."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    check = commands.add_parser(
        "check",
        help="check an implementation of conv2d",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    check.add_argument("target", metavar="TARGET", nargs="?", help="what to check; see above")
    check.add_argument("--seed", type=int, metavar="N", help="draw the same cases as another run (default: random)")
    check.add_argument(
        "--cases",
        type=_positive_int,
        default=150,
        metavar="N",
        help="cases per property and dtype (default: %(default)s)",
    )
    check.add_argument("-k", dest="text", default="", metavar="TEXT", help="only properties with TEXT in their names")
    check.add_argument(
        "--max-time", type=float, default=float("inf"), metavar="S", help="draw no more cases after S seconds"
    )
    check.add_argument("--list", action="store_true", help="print the properties and what they say, and run nothing")
    check.add_argument("--quiet", action="store_true", help="print failures and the verdict only")
    explain = commands.add_parser(
        "explain",
        help="say what a convolution does to the sizes",
        description=_EXPLAIN_DESCRIPTION,
        epilog=_EXPLAIN_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    explain.add_argument("words", metavar="WORDS", nargs="+", help="a convolution in words; quotes are not needed")
    return parser


def _positive_int(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {number}")
    return number


def _explain(words: str) -> int:
    try:
        problem = problem_from_words(words)
    except ConvError as error:
        print(error, file=sys.stderr)
        return USAGE_ERROR if str(error).startswith("cannot read") else DOES_NOT_CONFORM
    print(problem)
    print()
    print(explanation(problem))
    return 0


def _check(options: argparse.Namespace) -> int:
    # Imported here because `import refconv` and its command line are to work without these packages.
    try:
        from refconv.conformance import report
        from refconv.conformance.clauses import CLAUSES
        from refconv.conformance.runner import Run, run
    except ModuleNotFoundError as error:
        if error.name in ("hypothesis", "rich"):
            raise _UsageError(f"check needs {error.name}: pip install refconv[conformance]") from None
        raise
    from refconv.conformance.targets.base import TargetError
    from refconv.conformance.targets.load import load_target

    wanted = options.text.lower()
    clauses = [clause for clause in CLAUSES if wanted in clause.key or wanted in clause.title.lower()]
    if not clauses:
        raise _UsageError(f"no property has {options.text!r} in its name; see refconv check --list")
    console = report.report_console()
    if options.list:
        report.print_clauses(console, clauses)
        return CONFORMS
    try:
        target = load_target(options.target)
    except TargetError as error:
        raise _UsageError(str(error)) from error

    seed = secrets.randbelow(10**9) if options.seed is None else options.seed
    if not options.quiet:
        report.print_header(console, target, seed, options.cases)
    result = Run(target, seed)
    interrupted = False
    try:
        with report.progress_for(target, clauses, options.cases, quiet=options.quiet) as progress:
            run(
                target,
                seed=seed,
                cases=options.cases,
                clauses=clauses,
                max_seconds=options.max_time,
                progress=progress,
                result=result,
            )
    except KeyboardInterrupt:
        interrupted = True
    if not options.quiet:
        report.print_table(console, result)
    report.print_failures(console, result, options.cases)
    report.print_verdict(console, result, interrupted=interrupted)
    if result.failures:
        return DOES_NOT_CONFORM
    return INTERRUPTED if interrupted else CONFORMS
