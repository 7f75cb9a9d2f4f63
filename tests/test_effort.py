"""Efforts: few functions get many cases each, many share them, so that the time of a run is bounded."""

import pytest

from refconv.conformance.effort import EFFORTS, cases_per_row
from refconv.conformance.profile import Profile
from refconv.testing.operation import OPS

DTYPES = ("float32", "float64", "float16", "bfloat16")


def profile(functions, dtypes):
    return Profile(ops=OPS[:functions], dtypes=DTYPES[:dtypes])


@pytest.mark.parametrize("effort", EFFORTS)
def test_cases_are_shared_by_the_rows_of_a_clause(effort):
    most, least, shared = EFFORTS[effort]
    assert cases_per_row(effort, profile(1, 1)) == cases_per_row(effort, profile(1, 2)) == most
    assert cases_per_row(effort, profile(len(OPS), 4)) == max(least, shared // 60) < most
    for functions in range(1, len(OPS) + 1):
        for dtypes in range(1, 5):
            cases = cases_per_row(effort, profile(functions, dtypes))
            assert least <= cases <= most
            assert cases == least or cases * functions * dtypes <= shared


def test_more_effort_is_more_cases():
    for functions in (1, 7, 15):
        quick, standard, thorough = (cases_per_row(effort, profile(functions, 4)) for effort in EFFORTS)
        assert quick < standard < thorough
