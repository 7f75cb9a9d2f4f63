"""The command line."""

import argparse
import json
import os
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.contenders import PEERS
from benchmarks.plots import draw_scaling, draw_zoo
from benchmarks.report import LEGEND, cautions, markdown, problems, screen_table, summary_table
from benchmarks.run import FULL, PARTS, QUICK, Plan, measure
from benchmarks.summary import summarize
from benchmarks.zoo import ZOO, select

DESCRIPTION = """\
Time refconv next to the convolutions people use today.

Each layer is computed by every contender in turn, several times around, on the same operands, after a
check that they agree. refconv and torch share a process; jax, NumPy and onnx have their own, limited to
the same number of CPUs. Ratios are of best times within the run.

A run also times gradients next to torch's backward pass in float64, and int8 next to float32. It measures
the machine's float64 multiply-add peak, how time scales from 10^4 to 10^10 multiply-adds, what hard data
costs (cancellation, ties), and peak extra memory.
"""

EXAMPLES = """\
examples:
  python -m benchmarks                          everything, on a machine that does nothing else
  python -m benchmarks --quick                  everything in about ten minutes, noisier
  python -m benchmarks --list                   the layers and their sizes
  python -m benchmarks --layers vgg,lenet --threads 1 --peers torch
                                                some layers, one thread, one peer

results, in benchmarks/results unless --out says otherwise:
  table.md      summary and table            zoo.png       the layers, every contender
  bench.json    every number                 scaling.png   size, and difficulty of the data

The exit status is 1 if a contender disagreed or failed, and 0 otherwise, whatever the speed.
"""


def parse_arguments(arguments):
    """Return the command line's choices."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="spend about ten minutes, and accept noise")
    parser.add_argument("--layers", metavar="FILTER", default="", help="parts of layer names, separated by commas")
    cpus = len(os.sched_getaffinity(0))
    both = "1,2" if cpus > 1 else "1"
    parser.add_argument("--threads", metavar="LIST", default=both, help="thread counts (default: %(default)s)")
    parser.add_argument(
        "--peers",
        metavar="LIST",
        default=",".join(PEERS),
        help="packages to compare with (default: %(default)s); those not installed are shown as missing",
    )
    parser.add_argument(
        "--parts",
        metavar="LIST",
        default=",".join(PARTS),
        help="what to measure (default: %(default)s): the layers, their gradients, int8, the ladder of sizes, hard"
        " data, peak memory",
    )
    parser.add_argument(
        "--out", metavar="DIR", type=Path, default=Path(__file__).with_name("results"), help="where results go"
    )
    parser.add_argument("--list", action="store_true", help="print the layers and exit")
    options = parser.parse_args(arguments)

    options.layers = select(ZOO, options.layers.split(",") if options.layers else [])
    options.peers = [peer for peer in options.peers.split(",") if peer]
    try:
        options.threads = sorted({int(count) for count in options.threads.split(",")})
    except ValueError:
        parser.error("--threads takes whole numbers separated by commas, such as 1,2")
    if not 1 <= options.threads[0] <= options.threads[-1] <= cpus:
        parser.error(f"--threads must lie between 1 and {cpus}, the CPUs of this machine")
    if not options.layers:
        parser.error("no layer matches --layers; --list shows their names")
    if unknown := set(options.peers) - set(PEERS):
        parser.error(f"unknown peers: {', '.join(sorted(unknown))}; known are {', '.join(PEERS)}")
    if unknown := set(options.parts.split(",")) - set(PARTS):
        parser.error(f"unknown parts: {', '.join(sorted(unknown))}; known are {', '.join(PARTS)}")
    return options


def measure_with_progress(options, console):
    """Run `measure` under a progress bar, which is redrawn between measurements only, so as not to disturb them."""
    bar = Progress(
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
        console=console,
        auto_refresh=False,
        transient=True,
    )
    plan = Plan.make(options.layers, options.parts.split(","), QUICK if options.quick else FULL)
    with bar:
        task = bar.add_task("", total=plan.count_steps(options.threads))

        def step(text):
            bar.update(task, advance=1, description=text, refresh=True)

        return measure(plan, options.threads, options.peers, step)


def write_results(run, figures, directory):
    """Write bench.json, table.md and the two pictures."""
    directory.mkdir(parents=True, exist_ok=True)
    results = run.to_json() | {"summary": [figure.to_json() for figure in figures]}
    (directory / "bench.json").write_text(json.dumps(results, indent=1) + "\n")
    (directory / "table.md").write_text(markdown(run, figures))
    draw_zoo(run, directory / "zoo.png")
    draw_scaling(run, directory / "scaling.png")


def main(arguments=None):
    """Measure, write the results, and print them."""
    options = parse_arguments(arguments)
    console = Console()
    if not console.is_terminal:
        console = Console(width=200)
    if options.list:
        for layer in options.layers:
            console.print(f"{layer.name:32} {layer.macs:14,} multiply-adds", highlight=False)
        return 0

    try:
        run = measure_with_progress(options, console)
    except KeyboardInterrupt:
        console.print("interrupted; nothing was written")
        return 130
    figures = summarize(run)
    write_results(run, figures, options.out)

    console.print(screen_table(run, console.width))
    console.print(LEGEND, style="dim", highlight=False)
    console.print(summary_table(figures))
    for line in cautions(run):
        console.print(line, style="yellow", highlight=False)
    for line in problems(run):
        console.print(line, style="bold red", highlight=False)
    console.print(f"table.md, bench.json, zoo.png and scaling.png are in {options.out}", highlight=False)
    return 1 if problems(run) else 0


if __name__ == "__main__":
    sys.exit(main())
