"""The quick look at a result: what it settles is so, and it settles what it is there for."""

from unittest import mock

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from test_operation import draw

from refconv.testing import Claim, errors, judge, screening
from refconv.testing.bounds import Magnitudes, allowed_error
from refconv.testing.correct import CORRECT, dtype_of
from refconv.testing.formats import format_of
from refconv.testing.operation import OPS, Operation
from refconv.testing.operation_strategies import operations
from refconv.testing.statistics import statistics_of
from refconv.testing.strategies import conv_calls
from refconv.testing.terms import indices_of, terms_of
from refconv.testing.verdict import judge_operation

DTYPES = ("float32", "float64", "float16")
ORDINARY = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.filter_too_much]}


class Result:
    """Somebody's result, and the ways to look at it."""

    def __init__(self, actual, operation):
        self.operation, self.claim = operation, Claim.of(operation.dtype)
        self.actual = actual.reshape(operation.shape)
        self.exact = operation.exact()
        self.out = format_of(operation.result_dtype)
        self.magnitudes = Magnitudes.for_claim(operation, self.claim)
        self.reference = operation.exact(np.float32) if self.out.precision < 24 else self.exact

    def screened(self):
        return screening.screen(self.actual, self.reference, self.magnitudes, self.claim, self.out)

    def screened_as_few(self):
        elements = np.flatnonzero(self.actual != self.exact)
        if not elements.size:
            return None
        return screening.screen_few(self.actual, self.exact, elements, self.operation, self.claim, self.out)

    def is_inside(self):
        """Whether all errors are allowed, by the whole formula and the exact sums."""
        y = self.operation.exact(np.float64)
        allowed = allowed_error(self.magnitudes, self.claim, np.abs(y), self.out)
        rounding = 2.0**-52 * np.abs(y) if self.operation.dtype == np.float64 else 0.0
        inside = np.abs(self.actual.astype(np.float64) - y) <= allowed + rounding
        return bool((inside | (self.actual == self.exact)).all())

    def statistics(self):
        error = self.actual.astype(np.float64) - self.reference.astype(np.float64)
        y = self.reference.astype(np.float64)
        return statistics_of(self.operation, self.claim, error, y, self.magnitudes, self.out)


@pytest.mark.parametrize("how", ["screened", "screened_as_few"])
@given(
    operation=operations(conv_calls(max_macs=1 << 11), dtypes=DTYPES),
    size=st.floats(-3.0, 1.5),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=300, **ORDINARY)
def test_what_passes_is_inside_of_the_bound_and_not_suspicious(how, operation, size, seed):
    """With errors of all sizes about those that are allowed."""
    with np.errstate(all="ignore"):
        exact = operation.exact(np.float64)
        claim = Claim.of(operation.dtype)
        magnitudes = Magnitudes.for_claim(operation, claim)
        allowed = allowed_error(magnitudes, claim, np.abs(exact), format_of(operation.result_dtype))
        share = np.random.default_rng(seed).uniform(-1, 1, exact.shape)
        result = Result((exact + 10.0**size * share * allowed).astype(operation.result_dtype), operation)
        figures = getattr(result, how)()
        if figures is not None:
            assert result.is_inside()
            assert result.statistics().anomaly is None


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("claim", ["default", "float64 sums", "subnormals flushed"])
@given(data=st.data(), size=st.floats(-3.0, 1.0), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=40, **ORDINARY)
def test_a_quick_look_changes_no_grade(dtype, claim, data, size, seed):
    """Some elements, or all of them, are off by what is allowed, more or less; the long way says what that is worth."""
    operation = data.draw(operations(conv_calls(max_macs=1 << 11), dtypes=(dtype,)))
    rng = np.random.default_rng(seed)
    claim = {
        "default": Claim.of(operation.dtype),
        "float64 sums": Claim("float64"),
        "subnormals flushed": Claim(Claim.of(operation.dtype).accumulate, flush_subnormals=True),
    }[claim]
    with np.errstate(all="ignore"):
        exact = operation.exact(np.float64)
        magnitudes = Magnitudes.for_claim(operation, claim)
        allowed = allowed_error(magnitudes, claim, np.abs(exact), format_of(operation.result_dtype))
        share = rng.uniform(-1, 1, exact.shape) * (rng.random(exact.shape) < rng.choice([0.0, 0.05, 0.5, 1.0]))
        actual = np.where(share == 0, operation.exact(), exact + 10.0**size * share * allowed)
        actual = actual.astype(operation.result_dtype).reshape(operation.result_shape)
        verdict = judge_operation(actual, operation, claim)
        with mock.patch.multiple(errors, differing=nothing, screen_few=nothing, screen=nothing):
            assert verdict.grade == judge_operation(actual, operation, claim).grade


def nothing(*_arguments):
    return None


def test_an_error_beyond_the_bound_does_not_pass_wherever_it_is():
    """Blocks, the rest after the last whole vector, and both sides of a border between counts of terms.

    Of sums of four positive terms such an error is not so unusual that the statistics would see it.
    """
    rng = np.random.default_rng(0)
    x, w = rng.uniform(0.5, 1, (2, 1, 17, 19)).astype("f4"), rng.uniform(0.5, 1, (2, 1, 2, 2)).astype("f4")
    operation = Operation.of("conv2d", x, w, padding=1)
    result = Result(operation.exact(), operation)
    assert result.screened() is not None
    y = operation.exact(np.float64)
    allowed = allowed_error(result.magnitudes, result.claim, np.abs(y), result.out)
    for i in range(result.actual.size):
        result.actual = result.exact.copy()
        result.actual.flat[i] += np.float32(1.01 * allowed.flat[i])
        if abs(result.actual.flat[i].astype(float) - y.flat[i]) > allowed.flat[i]:
            assert result.screened() is None
            assert result.screened_as_few() is None


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_looked_up_is_the_terms(op, dtype):
    """The sums of every element, by rules that make each of them visible; of integers, so that they are exact."""
    rule = dict.fromkeys(("of_m", "of_y", "least", "square_of_m", "square", "flat", "flat_by_m"), 0.0)
    rule |= {"largest": np.inf, "largest_scale": 0}
    for seed in range(2):
        call = draw(op, np.random.default_rng(seed))
        operation = Operation.of(op, **{k: a.astype(dtype) if hasattr(a, "astype") else a for k, a in call.items()})
        terms = terms_of(operation)
        products = terms.products(np.float64)
        if terms.bias is not None:
            products = np.concatenate([products, terms.bias[None]])
        elements = np.flatnonzero(products.any(axis=0))
        products = products[:, elements]
        y, A, Q = products.sum(axis=0), np.abs(products).sum(axis=0), (products**2).sum(axis=0)
        m = np.count_nonzero(products, axis=0)

        def look_up(actual, chosen=slice(None), reference=None, *, operation=operation, elements=elements, **changes):
            operands = (None if a is None else a.reshape(-1) for a in (operation.x, operation.w, operation.bias))
            reference = None if reference is None else reference[chosen]
            nest = indices_of(operation).nest
            return nest.look_up(*operands, actual[chosen], reference, elements[chosen], rule | changes)

        off = np.arange(1.0, 1 + y.size)
        for usual, changes in (
            (np.sqrt(Q), {"flat_by_m": 1.0}),
            (np.sqrt(m * Q), {"flat": 1.0}),
            (np.ones(y.size), {"square": 1.0, "flat_by_m": 1.0, "reference": np.zeros(y.size)}),
        ):
            exact = changes.pop("reference", None)
            if exact is not None:
                usual = np.sqrt(exact + Q)
            z = off / usual
            actual = (y if exact is None else exact) + off
            assert look_up(actual, reference=exact, least=np.inf, **changes) == (sum(z), sum(z * z), max(z))
        for i in range(0, y.size, 7):
            one = slice(i, i + 1)
            assert look_up(y + m * A, one, of_m=1.0, flat=1.0) is not None
            assert look_up(y + m * A + 1, one, of_m=1.0, flat=1.0) is None


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("at", [0, 15, 16, 255, 256, -1])
def test_what_is_no_number_does_not_pass(bad, at):
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((1, 4, 20, 20), np.float32), rng.standard_normal((2, 4, 3, 3), np.float32)
    operation = Operation.of("conv2d", x, w)
    actual = operation.exact()
    actual.flat[at] = bad
    result = Result(actual, operation)
    assert result.screened() is None
    assert result.screened_as_few() is None


@pytest.mark.parametrize("instead", [0.0, 3e38, np.inf, np.nan])
def test_what_is_not_the_infinity_that_it_should_be_does_not_pass(instead):
    x, w = np.float32([[[[1, 1, 1]]]]), np.float32([[[[-np.inf]]]])
    operation = Operation.of("conv2d", x, w)
    actual = operation.exact()
    actual[..., 1] = instead
    result = Result(actual, operation)
    with np.errstate(all="ignore"):
        assert result.screened() is None
        assert result.screened_as_few() is None
    assert judge(actual, x, w).grade == "WRONG"


def test_sums_without_terms_must_be_zero():
    x, w = np.float32([[[[0, 0, 1]]]]), np.float32([[[[2]]]])
    operation = Operation.of("conv2d", x, w)
    assert Result(np.float32([0, 0, 2]), operation).screened() is not None
    assert Result(np.float32([1e-45, 0, 2]), operation).screened() is None


def test_zeros_are_no_terms():
    """One product is exact: adding zeros to it is no reason for an error."""
    x, w = np.float32([[[[1, 0, 0, 0]]]]), np.ones((1, 1, 1, 4), np.float32)
    result = Result(np.nextafter(np.ones((1, 1, 1, 1), np.float32), np.float32(2)), Operation.of("conv2d", x, w))
    assert result.screened() is None
    assert result.screened_as_few() is None
    assert judge(result.actual, x, w).grade == "WRONG"


def test_looked_up_elements_count_in_the_figures():
    x = np.float32([[[[1, 1, 1, 1, 1e-30, 1e-30, 1e-30, 1e-30]]]])
    operation = Operation.of("conv2d", x, np.ones((1, 1, 1, 4), np.float32))
    off = operation.exact()
    off[..., 4] = np.nextafter(off[..., 4], np.float32(0))
    figures = Result(off, operation).screened()
    assert figures.largest > 0
    assert figures.rms == pytest.approx(figures.largest / 5**0.5)


def test_errors_beside_numbers_too_small_to_be_squared_are_looked_up(monkeypatch):
    x = np.float32([[[[1, 1, 1, 1, 1e-30, 1e-30, 1e-30, 1e-30]]]])
    operation = Operation.of("conv2d", x, np.ones((1, 1, 1, 4), np.float32))
    assert Result(operation.exact(), operation).screened() is not None
    looked_up = []
    look_up = screening._looked_up
    monkeypatch.setattr(screening, "_looked_up", lambda *call: looked_up.extend(call[3]) or look_up(*call))
    for i in (0, 4):
        off = operation.exact()
        off[..., i] = np.nextafter(off[..., i], np.float32(0))
        looked_up.clear()
        assert Result(off, operation).screened() is not None
        assert looked_up == ([i] if i == 4 else [])
        assert judge(off, x, operation.w).grade == "WITHIN"
        off[..., i] *= np.float32(1.001)
        assert Result(off, operation).screened() is None
    tiny = operation.replace(x=x * np.float32(1e-14))
    assert Result(tiny.exact(), tiny).screened() is not None


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("geometry", [{}, {"padding": 1}, {"groups": 4}], ids=["plain", "padded", "grouped"])
@pytest.mark.parametrize("zeros", ["none", "in x", "in w", "in the bias"])
def test_ordinary_results_need_no_long_way(dtype, geometry, zeros, monkeypatch):
    """This is about time: whatever is not settled costs a dozen times as much."""
    rng = np.random.default_rng(0)
    C = 8 // geometry.get("groups", 1)
    x, w, b = (rng.standard_normal(shape) for shape in ((2, 8, 20, 20), (8, C, 3, 3), 8))
    {"none": np.ones(1), "in x": x, "in w": w, "in the bias": b}[zeros][..., ::2] = 0
    x, w, b = (a.astype(dtype_of(dtype)) for a in (x, w, b))
    y = CORRECT["blocked"](x, w, b, **geometry)
    monkeypatch.setattr(errors, "statistics_of", None)
    monkeypatch.setattr(errors.Errors, "_judged_elements", None)
    assert judge(y, x, w, b, **geometry).right


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_ordinary_sums_of_few_terms_need_no_long_way(dtype, channels, monkeypatch):
    """The rounding of a float64 reference is no less than such a sum's own error."""
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal(shape).astype(dtype) for shape in ((1, channels, 64, 64), (64, channels, 1, 1)))
    y = CORRECT["sequential"](x, w)
    monkeypatch.setattr(errors, "statistics_of", None)
    monkeypatch.setattr(errors.Errors, "_judged_elements", None)
    for part in (64, 1):  # many elements, and few
        assert judge(y[:, :part, ::part, ::part], x[..., ::part, ::part], w[:part]).right


def test_sums_of_a_wider_format_are_judged_in_a_narrower_one():
    x = np.array([[[[1, 2.0**-24, 2.0**-60]]]])
    w = np.ones((1, 1, 1, 3))
    claim = Claim("float64", out="float32")
    verdicts = {y: judge(np.float32([[[[y]]]]), x, w, claim=claim) for y in (1 + 2.0**-23, 1.0, 1 - 2.0**-24)}
    assert [verdict.grade for verdict in verdicts.values()] == ["EXACT", "WITHIN", "WRONG"]


def outstanding(count):
    """A result with so many sums of two large terms, which cancel, and many small ones.

    Of such a sum A**2 / m is far less than Q, so that its usual error seems to be much smaller than it is.
    """
    rng = np.random.default_rng(0)
    x = rng.choice(np.float32([-1, 1]), (1, 4096, 16, 16)) * rng.uniform(0.5, 1, (1, 4096, 16, 16)).astype(np.float32)
    w = rng.choice(np.float32([-1, 1]), (4, 4096, 1, 1))
    large = np.zeros((16, 16), bool)
    large.flat[: count // 4] = True
    x[0, :2, large] = 2.0**11
    w[:, 1] = -w[:, 0]
    operation = Operation.of("conv2d", x, w)
    exact = operation.exact()
    off = np.float32(3e-7) * np.abs(x[0] * w[:, :, 0, 0][:, :, None, None]).sum(axis=1)
    return Result(np.where(large, exact + off, exact), operation)


def test_a_few_outstanding_elements_are_looked_up(monkeypatch):
    assert outstanding(16).screened() is not None
    assert outstanding(1000).screened() is None
    monkeypatch.setattr(screening, "_MOST_OUTSTANDING", 0)
    assert outstanding(16).screened() is None


@given(
    size=st.integers(0, 3000),
    places=st.sets(st.integers(0, 2999), max_size=8),
    dtype=st.sampled_from(["float32", "float64", "float16", "bfloat16"]),
)
@example(size=64 * 4, places={0, 1, 128, 255}, dtype="float32")
@example(size=64 * 16, places={0, 255, 256, 1023}, dtype="float16")
@example(size=64 * 3, places={0, 100, 101, 191}, dtype="float64")
@settings(deadline=None)
def test_different_elements_are_found_if_there_are_few(size, places, dtype):
    a = np.ones(size).astype(dtype_of(dtype))
    b = a.copy()
    places = sorted(place for place in places if place < size)
    b[places] = 2
    found = screening.differing(a, b, 1 << 30)
    if len(places) > size // 64:
        assert found is None
    else:
        assert found.tolist() == places


def test_zeros_of_either_sign_do_not_differ_and_nans_may():
    zeros = np.zeros(600, np.float32)
    assert screening.differing(zeros, -zeros, 1).size == 0
    others = -zeros
    others[[300, 599]] = 1  # beside these the zeros are looked at once more
    assert screening.differing(zeros, others, 1).tolist() == [300, 599]
    a = np.full(600, np.nan, np.float32)
    assert screening.differing(a, a, 1).size == 0
    assert judge(-a.reshape(1, 1, 1, 600), a.reshape(1, 1, 1, 600), np.ones((1, 1, 1, 1), np.float32)).grade == "EXACT"


def test_a_verdict_keeps_its_figures_when_the_next_one_is_made():
    """Memory for sums is used again: nothing that is kept may be in it."""
    rng = np.random.default_rng(0)

    def one():
        x, w = rng.standard_normal((1, 8, 20, 20), np.float32), rng.standard_normal((4, 8, 3, 3), np.float32)
        return judge(CORRECT["sequential"](x, w), x, w)

    first = one()
    second = one()
    kept = first.allowed.copy(), first.shares.copy()
    third = one()
    assert (first.allowed == kept[0]).all()
    assert (first.shares == kept[1]).all()
    assert {second.grade, third.grade} == {"WITHIN"}
