"""The command line, a module for each command: ``refconv check TARGET``, ``refconv explain WORDS``, ``vectors``."""

import argparse
import os
import sys

import refconv
from refconv.cli import check, explain, vectors
from refconv.cli.status import OUTPUT_CLOSED, USAGE_ERROR, UsageError

__all__ = ["main"]

#: Modules with `add_to`, which adds a command to the parser and names the function that carries it out. They import
#: what they need when they run: `import refconv.cli` and ``--help`` work with NumPy alone.
COMMANDS = (check, explain, vectors)

_EPILOG = """\
refconv COMMAND --help says what a command can do, with examples.
"""


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return the exit status.

    Parameters
    ----------
    argv : list of str, optional
        Arguments; by default those of the process.
    """
    options = _parser().parse_args(argv)
    try:
        status = options.run(options)
        sys.stdout.flush()
    except UsageError as error:
        print(f"refconv: {error}", file=sys.stderr)
        return USAGE_ERROR
    except BrokenPipeError:
        # Python writes what is left when it exits; into the closed pipe, that would be one more error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OUTPUT_CLOSED
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="refconv",
        description="The convolution that other convolutions are judged by.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"refconv {refconv.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_to(commands)
    return parser
