"""No mutant survives two hundred cases, and the page in the docs has all of them."""

import importlib.util
from pathlib import Path

import numpy as np

from refconv.testing import Claim
from refconv.testing.mutants import MUTANTS
from refconv.testing.operation import Operation
from refconv.testing.vacuity import why_vacuous

TOOL = Path(__file__).parent.parent / "tools" / "kill_matrix.py"


def load_tool():
    spec = importlib.util.spec_from_file_location("kill_matrix", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_no_mutant_survives():
    tool = load_tool()
    assert tool.CASES <= 200
    with np.errstate(all="ignore"):
        matrix = tool.kills(tool.drawn())
    assert [name for name, counts in matrix.items() if not counts] == []


def test_the_page_has_a_row_for_every_mutant():
    page = load_tool().PAGE.read_text(encoding="utf-8")
    assert [name for name in MUTANTS if f"| {name} |" not in page] == []
    assert "never" not in page


def test_cases_that_cannot_fail_are_vacuous():
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((1, 2, 5, 5)).astype("f4"), rng.standard_normal((3, 2, 2, 2)).astype("f4")
    ones = np.ones_like(x)

    def why(*operands, claim=None, **geometry):
        return why_vacuous(Operation.of("conv2d", *operands, **geometry), claim)

    assert why(x, w) is None
    assert why(0 * x, w) == "a result of zeros passes"
    assert why(x, np.repeat(w[:1], 3, axis=0)) == "a result with permuted channels passes"
    assert why(ones, w) == "the result of the input turned round passes"
    assert why(x[:0], w) == "the result is empty"
    # Thousands of float16 sums that are cut off each time have no digits left: the claim allows anything.
    many = rng.standard_normal((1, 4096, 1, 2)).astype("f2"), rng.standard_normal((2, 4096, 1, 1)).astype("f2")
    assert why(*many, claim=Claim("float16", rounding="truncate")) == "a result of zeros passes"
    assert why(*many) is None
