"""Plant known bugs one at a time and demand that a named test catches each.

    python -m tools.mutation                      all of them, two at a time
    python -m tools.mutation --only flipped_kernel --only ties_away
    python -m tools.mutation --list

For every mutation the tree is copied, one piece of text is replaced (an error if it does not occur exactly once), the
extensions concerned are rebuilt, and the named tests are run: each of them has to fail. First they all have to pass on
the unchanged tree. Exit status 1 if a mutation survives or cannot be judged. The bugs are in tools/mutation/bugs.
"""

import argparse
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .bugs import planted
from .runner import build, copy, instruction_set, judge, pytest

ROOT = Path(__file__).resolve().parents[2]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", metavar="NAME", help="one mutation; may be repeated")
    parser.add_argument("--jobs", type=int, default=2, help="mutations at a time")
    parser.add_argument("--list", action="store_true", help="print the names and stop")
    arguments = parser.parse_args()
    mutations = planted()
    if arguments.list:
        print(*(change.name for change in mutations), sep="\n")
        return 0
    unknown = set(arguments.only or ()) - {change.name for change in mutations}
    if unknown:
        parser.error(f"no such mutation: {', '.join(sorted(unknown))}")
    chosen = [change for change in mutations if not arguments.only or change.name in arguments.only]

    with tempfile.TemporaryDirectory(prefix="refconv-mutation-") as name:
        base = Path(name) / "tree"
        copy(ROOT, base)
        build(base)
        level = instruction_set(base)
        status, output = pytest(sorted({test for change in chosen for test in change.tests}), base)
        if status != 0:
            print(output)
            raise SystemExit("the tests have to pass before they can be said to catch anything")
        survivors = 0
        width = max(len(change.name) for change in chosen)
        with ThreadPoolExecutor(arguments.jobs) as pool:
            began = time.monotonic()
            for change, verdict in zip(
                chosen, pool.map(lambda change: judge(change, base, level), chosen), strict=True
            ):
                survivors += verdict != "caught"
                print(f"{change.name:{width}}  {Path(change.file).name:14}  {verdict}", flush=True)
    print(f"{len(chosen) - survivors} of {len(chosen)} caught in {time.monotonic() - began:.0f} s")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
