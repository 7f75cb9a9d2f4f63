"""``refconv vectors --out DIR``: golden vectors, for convolutions that cannot be called from Python."""

import argparse
import sys

from refconv.cli.check_options import positive_int
from refconv.cli.status import DOES_NOT_CONFORM, UsageError

__all__ = ["add_to"]

_DESCRIPTION = """\
Writes a corpus of golden vectors, for convolutions that cannot be called from Python: hardware, firmware, JavaScript.
Each is a call with its operands, the correctly rounded result, and how far from it a result may be that keeps to a
claim about its arithmetic; as .npz, as JSON with hexadecimal floating-point numbers that is read line by line, or both.
index.json in the directory lists them with their descriptors and checksums, README.txt says how to read them.

The same seed gives the same bytes on every machine.
"""

_EXAMPLES = """\
examples:
  refconv vectors --out corpus --seed 1                      all functions and dtypes, about 2000 vectors, 20 MB
  refconv vectors --out corpus --seed 1 --ops conv2d --dtypes int8,float16 --format json
  refconv vectors --out corpus --seed 1 --dtypes float32 --claim inputs=tf32,rounding=tensor-core
  refconv vectors --out corpus --seed 1 --ops conv2d --claim float16:accumulate=float16 --claim accumulate=float64
  refconv vectors --verify corpus                            is every byte and every number of it still right?

A claim is KEY=VALUE,...: accumulate (float32), inputs (tf32, bfloat16, float16), rounding (nearest, truncate,
tensor-core), flush_subnormals (true), out (a dtype). Without DTYPE: before it, it is for all floating-point dtypes.

exit status: 0 written, or nothing wrong; 1 something is wrong with the corpus; 2 the command was wrong
"""


def add_to(commands: argparse._SubParsersAction) -> None:
    """Add the command to a parser's."""
    parser = commands.add_parser(
        "vectors",
        help="write golden vectors: calls with their right results, as files",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--out", metavar="DIR", help="where to write them: a new directory, or an empty one")
    where.add_argument("--verify", metavar="DIR", help="check a corpus again, and write nothing")
    parser.add_argument("--seed", type=int, metavar="N", help="which vectors; needed with --out")
    parser.add_argument("--ops", type=_names, metavar="OP,...", help="functions (default: all fifteen)")
    parser.add_argument("--dtypes", type=_names, metavar="DTYPE,...", help="of the operands (default: all)")
    parser.add_argument(
        "--count",
        type=positive_int,
        metavar="N",
        help="vectors per function and dtype (default: one for every theme)",
    )
    parser.add_argument(
        "--claim", action="append", default=[], metavar="[DTYPE:]CLAIM", help="what the bounds are for; repeatable"
    )
    parser.add_argument("--format", type=_names, metavar="FORMAT,...", help="json, npz (default: both)")
    parser.set_defaults(run=_run, parser=parser)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def _run(options: argparse.Namespace) -> int:
    # Imported here as it takes longer than all of --help.
    from refconv.conformance.vectors import verify_vectors

    if options.verify is None:
        return _write(options)
    try:
        problems = verify_vectors(options.verify)
    except (ValueError, ImportError) as error:
        raise UsageError(str(error)) from error
    for problem in problems:
        print(problem)
    print(f"{options.verify}: {len(problems) or 'nothing'} wrong", file=sys.stderr)
    return DOES_NOT_CONFORM if problems else 0


def _write(options: argparse.Namespace) -> int:
    from refconv.conformance.vectors import write_vectors

    if options.seed is None:
        options.parser.error("--out needs a --seed: the same seed gives the same vectors")
    chosen = {"ops": options.ops, "dtypes": options.dtypes, "formats": options.format, "count": options.count}
    try:
        claims = _claims(options.claim)
        given = {name: value for name, value in chosen.items() if value is not None}
        count = write_vectors(options.out, options.seed, claims=claims, **given)
    except (ValueError, TypeError, ImportError, OSError) as error:
        raise UsageError(str(error)) from error
    print(f"{count} vectors in {options.out}, seed {options.seed}")
    return 0


def _claims(texts: list[str]) -> dict:
    """The claims by dtype; one without a dtype is for those that have none of their own."""
    from refconv.conformance.vectors import DTYPES
    from refconv.testing.claim import Claim
    from refconv.testing.formats import FORMATS

    claims = {}
    for text in texts:
        dtype, separator, claim = text.rpartition(":")
        if separator and dtype not in FORMATS:
            raise ValueError(f"--claim {text}: {dtype!r} is no floating-point dtype; known are {', '.join(FORMATS)}")
        if dtype in claims:
            raise ValueError(f"--claim {text}: there is another claim for {dtype or 'all'}")
        claims[dtype] = Claim.parse(claim)
    everywhere = claims.pop("", None)
    return {dtype: claims.get(dtype, everywhere) for dtype in DTYPES if dtype in FORMATS}
