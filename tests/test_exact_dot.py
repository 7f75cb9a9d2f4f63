"""The exact dot product, bit for bit, on the hardest sums we know how to make."""

import random

import hard_cases
import numpy as np
import oracle
import pytest
from hard_cases import AVAILABLE, KINDS, PAIRS, Case, Pair
from oracle import FORMATS, from_bits, to_bits

import refconv

CASES = 100
"""Dot products per kind and pair of formats."""

everywhere = pytest.mark.parametrize(
    ("kind", "pair"), [pytest.param(name, pair, id=f"{name}-{pair}") for name, pair in AVAILABLE]
)


def dot_bits(case, pair):
    x, w = from_bits(case.xs, pair.operand), from_bits(case.ws, pair.operand)
    result = refconv.exact_dot(x, w, dtype=pair.result.dtype)
    assert result.dtype == pair.result.dtype
    return to_bits(result)[0]


def test_more_than_ten_thousand_hard_cases_are_run():
    assert CASES * len(AVAILABLE) > 10_000
    assert len({str(pair) for _, pair in AVAILABLE}) == 16


@everywhere
def test_hard_dot_products_are_correctly_rounded(kind, pair):
    seen, wrong = set(), []
    for case in hard_cases.cases(kind, pair, CASES):
        expected = oracle.encode(case.value, pair.result)
        found = dot_bits(case, pair)
        seen |= hard_cases.outcomes(pair, case.value, expected)
        if found != expected:
            wrong.append(f"{found:#x} instead of {expected:#x} for {case}")
    assert not wrong, f"{len(wrong)} of {CASES} are wrong, the first: {wrong[0]}"
    assert seen >= KINDS[kind].outcomes, "the cases do not show what they are for"


@pytest.mark.parametrize("pair", PAIRS, ids=str)
@pytest.mark.parametrize("kind", ["exact_tie", "special", "cancellation"])
def test_the_order_of_the_terms_does_not_matter(kind, pair):
    for case in hard_cases.cases(kind, pair, 10):
        backwards = Case(case.xs[::-1], case.ws[::-1], case.value)
        swapped = Case(case.ws, case.xs, case.value)
        assert dot_bits(case, pair) == dot_bits(backwards, pair) == dot_bits(swapped, pair)


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_one_product_with_one_converts_a_number_in_a_single_rounding(pair):
    """Numbers of every exponent, NaNs with any payload, subnormals; torch and ml_dtypes round some of these twice."""
    fmt, rng = pair.operand, random.Random(6)
    for encoding in [rng.randrange(2**fmt.width) for _ in range(3000)]:
        case = Case([encoding], [fmt.one], fmt.value(encoding))
        assert dot_bits(case, pair) == oracle.encode(case.value, pair.result), hex(encoding)


@pytest.mark.parametrize("fmt", FORMATS.values(), ids=FORMATS)
def test_the_empty_sum_is_positive_zero(fmt):
    assert dot_bits(Case([], [], 0), Pair(fmt, fmt)) == 0


def test_a_long_sum_is_exact():
    """So many terms that their sum needs more bits than a float64 product has."""
    count, term = 3_000_001, 2**53 - 1
    assert refconv.exact_dot(np.full(count, float(term)), np.full(count, float(term))) == float(count * term**2)


def test_a_long_sum_keeps_its_last_bit_under_large_terms_of_both_signs():
    x = np.full(1_000_001, 2.0**53 - 1)
    x[1::2] *= -1
    x[0] = 2.0**-1074  # the others cancel two by two
    assert refconv.exact_dot(x, np.ones(x.size)) == 2.0**-1074


def test_shapes_that_do_not_fit_raise_a_conv_error():
    one, two = np.ones(1), np.ones(2)
    for x, w in [(one, two), (one[:, None], one[:, None]), (np.float64(1), np.float64(1))]:
        with pytest.raises(refconv.ConvError):
            refconv.exact_dot(x, w)


def test_operands_of_two_dtypes_raise_a_conv_error_that_names_both():
    with pytest.raises(refconv.ConvError, match=r"float32.*float64"):
        refconv.exact_dot(np.ones(3, np.float32), np.ones(3))


@pytest.mark.parametrize("dtype", ["bool", "object", "longdouble"])
def test_dtypes_that_are_not_supported_are_named(dtype):
    with pytest.raises((TypeError, refconv.ConvError), match=dtype.replace("longdouble", str(np.dtype("longdouble")))):
        refconv.exact_dot(np.ones(3, dtype), np.ones(3, dtype))
