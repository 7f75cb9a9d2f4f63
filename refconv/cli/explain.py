"""``refconv explain WORDS``: what a convolution does to the sizes."""

import argparse
import sys

from refconv.cli.status import DOES_NOT_CONFORM, USAGE_ERROR
from refconv.errors import ConvError
from refconv.explanation import explanation, problem_from_words

__all__ = ["add_to"]

_DESCRIPTION = """\
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

_EXAMPLES = """\
examples:
  refconv explain "28x28 kernel 5"                                 24x24, as 28 - 5 + 1 = 24
  refconv explain "28x28 kernel 5 stride 2 padding 1"              13x13
  refconv explain "224x224 kernel 7 stride 2 padding 3 channels 3 to 64"
  refconv explain "28x28 kernel 3 dilation 2"                      24x24, as 3 taps 2 apart span 5
  refconv explain "1x1x28x28 kernel 16x3x5x5"                      an error: 3 channels expected
  refconv explain "14x14 kernel 4 stride 2 padding 1 transposed"   28x28, the way back
  refconv explain g1n1ic3ih28iw28oc16kh5kw5ph1pw1                  a descriptor

exit status: 0 it is a convolution, 1 it is none, 2 the words cannot be read
"""


def add_to(commands: argparse._SubParsersAction) -> None:
    """Add the command to a parser's."""
    parser = commands.add_parser(
        "explain",
        help="say what a convolution does to the sizes",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("words", metavar="WORDS", nargs="+", help="a convolution in words; quotes are not needed")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    try:
        problem = problem_from_words(" ".join(options.words))
    except ConvError as error:
        print(error, file=sys.stderr)
        return USAGE_ERROR if str(error).startswith("cannot read") else DOES_NOT_CONFORM
    print(problem)
    print()
    print(explanation(problem))
    return 0
