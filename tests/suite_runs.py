"""Targets as files, and what of a run must not depend on who took part in it."""

import textwrap

from refconv.conformance.clauses import CLAUSES
from refconv.conformance.rows import Progress

CASES = 20
CHOSEN = [clause for clause in CLAUSES if clause.key in ("stride", "groups", "rounding", "unbatched")]

WRONG_GROUPS = (
    "if groups > 1:",
    "    return refconv.conv2d(input, weight, bias, stride, padding, dilation, groups)[..., ::-1, :, :]",
)
ONE_OFF = ("if input.ndim == 3 and input.dtype == 'f8': bias = np.ones(len(weight)) if bias is None else bias + 1",)


def written(folder, *lines):
    """A target for `load_target`: refconv's convolution, and before it lines that return or do something else."""
    body = textwrap.indent("\n".join(lines), "    ")
    (folder / "target.py").write_text(
        "import os, signal\nimport numpy as np\nimport refconv\n\n\n"
        "def conv2d(input, weight, bias, stride, padding, dilation, groups):\n"
        f"{body}\n"
        "    return refconv.conv2d(input, weight, bias, stride, padding, dilation, groups)\n"
    )
    return f"{folder / 'target.py'}:conv2d"


def seen(result):
    """All of a run but times."""
    return [(row.key, row.status, row.reason, row.cases, row.cut_short, row.tally, failure(row)) for row in result.rows]


def failure(row):
    """The failing case of a row, to be compared."""
    if row.failing is None:
        return None
    case, mismatch = row.failing
    arrays = {name: (a.dtype.name, a.shape, a.tobytes()) for name, a in case.operands.given.items()}
    return case.call, arrays, case.recipe, mismatch.headline, mismatch.details, mismatch.code


class Heard(Progress):
    """Writes down what it is told."""

    def __init__(self):
        self.begun, self.ended, self.cases = [], [], 0

    def row_begins(self, row):
        self.begun.append(row.key)

    def case_done(self):
        self.cases += 1

    def row_ends(self, row):
        self.ended.append(row.key)
