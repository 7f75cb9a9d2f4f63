"""``refconv check TARGET``: is an implementation of convolution right?"""

import argparse

from refconv.cli.check_options import DESCRIPTION, EXAMPLES, add_options
from refconv.cli.status import UsageError

__all__ = ["add_to"]


def add_to(commands: argparse._SubParsersAction) -> None:
    """Add the command to a parser's."""
    parser = commands.add_parser(
        "check",
        help="is an implementation of convolution right?",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_options(parser)
    parser.set_defaults(run=_run, parser=parser)


def _run(options: argparse.Namespace) -> int:
    if options.target is None and not (options.list or options.targets):
        options.parser.error("check needs a TARGET, such as 'torch' or 'file.py:function' (see refconv check --help)")
    # Imported here because `import refconv` and its command line are to work without these packages.
    try:
        from refconv.cli.check_run import carry_out
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("hypothesis", "rich"):
            raise UsageError(
                f"check needs {package}: pip install refconv[conformance], or in a clone '.[conformance]'"
            ) from None
        raise
    return carry_out(options)
