"""The table, on the screen and in Markdown, and the summary above it."""

from collections.abc import Callable
from dataclasses import dataclass

from rich import box
from rich.table import Table
from rich.text import Text

from benchmarks.memory import DEFINITION
from benchmarks.zoo import GRADIENTS

# Share of CPU time taken by other programs above which a run is called disturbed.
DISTURBED = 0.05

# On a narrower screen the columns marked `wide` are left to table.md.
WIDE_SCREEN = 175

LEGEND = (
    "Times are of one call, best of several. An `x` column is that contender's time over refconv's: above 1, refconv "
    "was faster. `refconv` computes correctly rounded float32 results from float32 operands; `f64/torch` is "
    "refconv's time on float64 operands over torch float64's, below 1, refconv was faster. `peak` is the share of "
    "the machine's float64 multiply-add rate, measured in the same run. `rung 2` and `rung 3` are the shares of output "
    "elements that needed double-double arithmetic and the exact accumulator. `-` was not measured."
)

VERDICT_STYLES = {"aim met": "green", "must met": "yellow", "missed": "bold red", "not measured": "dim"}
VERDICT_MARKS = {"aim met": "++", "must met": "+", "missed": "!!", "not measured": "?"}


@dataclass(frozen=True)
class Column:
    """A column of the table: its heading, and its text for a `Result` and the layer's memory row (may be empty)."""

    title: str
    text: Callable
    wide: bool = False


def columns(run):
    """Return the columns of the table.

    Parameters
    ----------
    run : Run

    Returns
    -------
    list of Column
    """
    return [
        Column("layer", lambda result, _: result.layer.name),
        Column("threads", lambda result, _: str(result.threads)),
        Column("10^6 MACs", lambda result, _: f"{result.layer.macs / 1e6:,.2f}", wide=True),
        Column("refconv ms", lambda result, _: _milliseconds(result, "best")),
        Column("median", lambda result, _: _milliseconds(result, "median"), wide=True),
        Column("GMAC/s", lambda result, _: _number(result.rate("refconv-f32"), 1e-9)),
        Column("peak", lambda result, _: _percent(run.peak_share(result), 0)),
        Column("torch f64 x", lambda result, _: _number(result.ratio("torch-f64", "refconv-f32"))),
        Column("torch f32 x", lambda result, _: _number(result.ratio("torch-f32", "refconv-f32"))),
        Column("jax f64 x", lambda result, _: _number(result.ratio("jax-f64", "refconv-f32"))),
        Column("NumPy f64 x", lambda result, _: _number(result.ratio("numpy-f64", "refconv-f32"))),
        Column("onnx f64 x", lambda result, _: _number(result.ratio("onnx-f64", "refconv-f32"))),
        Column("SciPy f64 x", lambda result, _: _number(result.ratio("scipy-f64", "refconv-f32"))),
        Column("f64/ torch", lambda result, _: _number(result.ratio("refconv-f64", "torch-f64"))),
        Column("rung 2", lambda result, _: _rung(result, "rung2"), wide=True),
        Column("rung 3", lambda result, _: _rung(result, "rung3"), wide=True),
        Column("refconv MB", lambda _, memory: _number(memory.get("refconv"), 1e-6), wide=True),
        Column("torch f64 MB", lambda _, memory: _number(memory.get("torch-f64"), 1e-6), wide=True),
        Column("upcast + torch f64 MB", lambda _, memory: _number(memory.get("torch-workflow"), 1e-6), wide=True),
    ]


def rows(run):
    """Yield each `Result` of the zoo and its memory row."""
    memory = {(row["layer"], row["threads"]): row for row in run.memory}
    for result in run.zoo:
        yield result, memory.get((result.layer.name, result.threads), {})


def screen_table(run, width):
    """Return the table for a screen `width` characters wide."""
    shown = [column for column in columns(run) if width >= WIDE_SCREEN or not column.wide]
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), title=f"One row per layer and thread count, {_where(run)}")
    for column in shown:
        is_name = column.title == "layer"
        table.add_column(column.title, justify="left" if is_name else "right", no_wrap=is_name, vertical="bottom")
    for result, memory in rows(run):
        table.add_row(*(column.text(result, memory) for column in shown))
    return table


def summary_table(figures):
    """Return the summary for the screen."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), title="Summary")
    for heading, justify in (("figure", "left"), ("measured", "right"), ("must", "right"), ("aim", "right")):
        table.add_column(heading, justify=justify)
    table.add_column("verdict")
    table.add_column("behind it", style="dim")
    for figure in figures:
        verdict = Text(figure.verdict, style=VERDICT_STYLES[figure.verdict])
        table.add_row(*_summary_cells(figure), verdict, figure.detail)
    return table


def problems(run):
    """Return a line for each contender that failed or disagreed; those that were not run on purpose are left out."""
    lines = []
    for result in run.zoo + run.gradients + run.integers + run.ladder + run.hard:
        for contender, reason in result.problems.items():
            if not reason.startswith("not run"):
                details = {result.layer.data, result.layer.task} - {"normal", "forward"}
                layer = ", ".join([result.layer.name, *sorted(details)])
                lines.append(f"{contender} on {layer}, {result.threads} thread(s): {reason}")
    return lines


def cautions(run):
    """Return what a reader should know before trusting the numbers: missing packages, a busy machine."""
    lines = []
    if absent := [package for package, version in run.versions.items() if version is None]:
        lines.append(f"Missing, so not compared: {', '.join(absent)}.")
    if run.disturbance > DISTURBED:
        lines.append(
            f"Disturbed: other programs took {run.disturbance:.0%} of the CPU time. "
            "Times on several threads, torch's above all, may be many times too long."
        )
    return lines


def markdown(run, figures):
    """Return table.md: where it ran, the summary, the table, the problems."""
    versions = ", ".join(f"{package} {version or 'missing'}" for package, version in run.versions.items())
    peaks = ", ".join(f"{rate / 1e9:.1f}e9/s on {threads} thread(s)" for threads, rate in run.peaks.items())
    shown = columns(run)
    lines = [
        "# Benchmark",
        "",
        f"{_where(run)}. Python {run.machine['python']}, {versions}. float64 multiply-add peak: {peaks}.",
        "",
        *(f"**{line}**" for line in cautions(run)),
        "",
        "## Summary",
        "",
        "| | figure | measured | must | aim | verdict | behind it |",
        "|---|---|---:|---:|---:|---|---|",
        *(_markdown_figure(figure) for figure in figures),
        "",
        "## Layers",
        "",
        LEGEND,
        "",
        DEFINITION,
        "",
        "| " + " | ".join(column.title for column in shown) + " |",
        "|---|" + "---:|" * (len(shown) - 1),
        *("| " + " | ".join(column.text(result, memory) for column in shown) + " |" for result, memory in rows(run)),
    ]
    if run.gradients or run.integers:
        lines += ["", "## Gradients and integers", "", *_gradient_and_integer_lines(run)]
    if run.hard:
        lines += ["", "## Hard data", "", *_hard_data_lines(run)]
    if problems(run):
        lines += ["", "## Problems", "", *(f"- {line}" for line in problems(run))]
    return "\n".join(lines) + "\n"


def _markdown_figure(figure):
    cells = [VERDICT_MARKS[figure.verdict], *_summary_cells(figure), figure.verdict, figure.detail]
    return "| " + " | ".join(cells) + " |"


def _summary_cells(figure):
    relation = ">=" if figure.higher_is_better else "<="
    goals = [f"{relation} {figure.show(goal)}" for goal in (figure.must, figure.aim)]
    return [figure.title, figure.show(figure.value), *goals]


def _gradient_and_integer_lines(run):
    """One row per layer and thread count."""
    yield "Gradients are of float32 operands, next to torch's backward pass in float64 (`aten.convolution_backward`)."
    yield "`int8` is int8 by int8 to int32, next to the same numbers in float32."
    yield ""
    titles = ["input gradient ms", "torch f64 x", "weight gradient ms", "torch f64 x", "int8 ms", "float32 x"]
    yield "| " + " | ".join(["layer", "threads", *titles]) + " |"
    yield "|---|" + "---:|" * (len(titles) + 1)
    found = {}
    for result in run.gradients + run.integers:
        key = "int8" if result.layer.data == "int8" else result.layer.task
        found.setdefault((result.layer.name, result.threads), {})[key] = result
    for (name, threads), results in found.items():
        cells = [name, str(threads)]
        for task in GRADIENTS:
            result = results.get(task)
            cells += (
                [_milliseconds(result, "best"), _number(result.ratio("torch-f64", "refconv-f32"))] if result else "--"
            )
        result = results.get("int8")
        if result:
            cells += [_number(result.best("refconv-i8"), 1e3), _number(result.ratio("refconv-f32", "refconv-i8"))]
        yield "| " + " | ".join(cells + ["-"] * (8 - len(cells))) + " |"


def _hard_data_lines(run):
    first = run.hard[0]
    yield f"{first.layer.name}, {first.layer.terms} terms for each output, {first.threads} thread(s)."
    yield ""
    yield "| data | refconv ms | rung 2 | rung 3 | torch f64 ms |"
    yield "|---|---:|---:|---:|---:|"
    for result in run.hard:
        torch_ms = _number(result.best("torch-f64"), 1e3)
        kind = result.layer.data.replace("|", "\\|")
        cells = [kind, _milliseconds(result, "best"), _rung(result, "rung2"), _rung(result, "rung3"), torch_ms]
        yield "| " + " | ".join(cells) + " |"


def _where(run):
    return f"{run.machine['processor']}, {run.machine['cpus']} CPUs, {run.machine['date']}"


def _number(value, scale=1.0):
    """Write about three digits."""
    if value is None:
        return "-"
    value *= scale
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"


def _percent(share, digits):
    return "-" if share is None else f"{share:.{digits}%}"


def _milliseconds(result, which):
    timing = result.timings.get("refconv-f32")
    return "-" if timing is None else f"{timing[which] * 1e3:,.4g}"


def _rung(result, rung):
    shares = result.rungs.get("refconv-f32")
    if not shares:
        return "-"
    share = shares[rung]
    return "0" if share == 0 else f"{share:.2g}" if share < 1e-3 else f"{share:.2%}"
