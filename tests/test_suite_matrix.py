"""Every mutant is rejected by a clause whose business it is, and nearly always known for what it is."""

import importlib.util
from pathlib import Path

import pytest

from refconv.conformance.clauses import CLAUSES
from refconv.conformance.clauses.catches import CATCHES
from refconv.testing.mutants import MUTANTS

TOOL = Path(__file__).parent.parent / "tools" / "suite_matrix.py"


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("suite_matrix", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_mistake_has_clauses_and_every_name_is_one():
    assert list(CATCHES.keys() ^ MUTANTS.keys()) == []
    assert {key for keys in CATCHES.values() for key in keys} <= {clause.key for clause in CLAUSES}


def test_every_mutant_is_rejected_and_nine_of_ten_are_recognised(tool):
    found = tool.matrix()
    assert [name for name, rejection in found.items() if rejection is None] == []
    right = sum(tool.is_right(name, rejection) for name, rejection in found.items())
    assert right >= 0.9 * len(found)


def test_the_page_has_a_row_for_every_mutant(tool):
    page = tool.PAGE.read_text(encoding="utf-8")
    assert [name for name in MUTANTS if f"| {name} |" not in page] == []
    assert "survives" not in page
