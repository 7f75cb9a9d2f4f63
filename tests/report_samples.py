"""A report with a row of every outcome, made by hand: no target, no run, no time."""

import numpy as np

from refconv.conformance.report.document import Finding, Report, ReportRow
from refconv.testing.calls import ConvCall, ConvCase, Operands

__all__ = ["report", "row"]


def row(clause="stride", op="conv2d", dtype="float32", outcome="pass", number=7, **more):
    """A row of a clause."""
    title = {"stride": "The stride is respected, per axis", "shape": "The result has the right shape"}
    return ReportRow(
        number=number,
        clause=clause,
        title=title.get(clause, clause.capitalize()),
        text=f"The paragraph of the clause {clause!r} & what it says.",
        op=op,
        dtype=dtype,
        outcome=outcome,
        **more,
    )


def case(*, dtype=np.float32, fault=None, layouts=None, **arguments):
    """A call whose operands have numbers that are hard to print: 0.1, the least subnormal number, -0."""
    x = np.array([[[[0.1, -0.0, np.finfo(dtype).smallest_subnormal], [3.0, 1e4, -1.5]]]], dtype)
    w = np.array([[[[2.0, -3.0]]]], dtype)
    call = ConvCall(x.shape, w.shape, **arguments)
    return ConvCase(call, Operands(x, w), "small_integers", fault=fault, layouts=layouts or {})


def wrong_values(**arguments):
    """A finding with a result: one element right, one within what is allowed, two wrong."""
    return Finding(
        headline="2 of 4 results wrong",
        details=["at [0, 0, 1, 0]: expected -29994.0, got 7.0"],
        explanation="stride applied to the other axis: explains all 4 elements\n    Height and width are swapped.",
        script="import numpy as np\nassert 1 < 0, '<script>alert(1)</script>'",
        case=case(**arguments),
        actual=np.float32([[[[0.2, 3.0], [7.0, np.inf]]]]),
        expected=np.float32([[[[0.2, 3.1], [-29994.0, 20004.5]]]]),
        shares=np.array([[[[0.0, 0.5], [1.7, np.inf]]]]),
    )


def not_refused():
    """A finding without a result: a wrong call that was answered."""
    return Finding(
        headline="no exception, but: negative padding",
        details=["expected ConvError: negative padding is not supported"],
        explanation="",
        script="raise AssertionError",
        case=case(padding=(-1, 0), fault="negative padding", layouts={"input": "backwards"}),
    )


def report(*rows, **more):
    """A report; with no rows given, one row of each outcome."""
    facts = {
        "target": "mine.py:conv2d",
        "profile": {"ops": ["conv2d"]},
        "seed": 5,
        "effort": "quick",
        "options": [],
        "versions": {"refconv": "1.2", "numpy": "2.4"},
        "seconds": 2.0,
        "started": "2026-01-02T03:04:05+00:00",
    }
    return Report(**(facts | more), rows=list(rows) or every_outcome())


def every_outcome():
    """A row of each outcome, and further rows of one failure."""
    return [
        row("shape", number=1, cases=20, seconds=0.25),
        row("shape", number=1, dtype="float64", cases=20),
        row("rounding", number=2, cases=20, worst_share=0.43, worst_ulp=3.0),
        row("rounding", number=2, dtype="float64", outcome="not run"),
        row("stride", outcome="fail", cases=3, finding=wrong_values()),
        row("stride", dtype="float64", outcome="fail", cases=4, finding=wrong_values()),
        row("groups", number=8, outcome="unsupported", reason="only one group"),
        row("groups", number=8, dtype="float64", outcome="unsupported", reason="only one group"),
        row("padding", number=9, outcome="expected failure", cases=9, reason="bug 12", finding=wrong_values()),
        row("padding", number=9, dtype="float64", outcome="unexpected pass", cases=20, reason="bug 12"),
        row("errors", number=10, outcome="fail", cases=1, finding=not_refused()),
        row("errors", number=10, dtype="float64", outcome="error", reason="KeyError: the suite has a bug"),
        row("subnormals", number=11, outcome="vacuous", cases=1),
        row("subnormals", number=11, dtype="float64", cases=20),
    ]
