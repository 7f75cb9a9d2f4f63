"""The error bound is never exceeded by arithmetic that keeps to the claim, and is hardly larger than it has to be."""

from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import refconv
from refconv.testing import Claim, conv_bound, judge, ulp_error
from refconv.testing.calls import ConvCall
from refconv.testing.correct import CORRECT
from refconv.testing.formats import FORMATS, Format, format_of
from refconv.testing.recipes import ROUNDED
from refconv.testing.strategies import conv_calls, conv_cases
from refconv.testing.verdict import judge_operation

DTYPES = {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16, "float32": np.float32, "float64": np.float64}
SMALL = ("float16", "bfloat16")


def claim_of(name):
    return Claim(accumulate=name, out=name)


class Bound:
    """The bound of a call of conv2d under a claim, and the shares of it that results take."""

    def __init__(self, *operands, claim, stride=1, padding=0, dilation=1, groups=1):
        names = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
        geometry = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        self.call = {**geometry, **dict(zip(names, operands, strict=False)), "claim": claim}
        self.allowed = conv_bound(**self.call)

    def shares(self, result):
        return judge(result, **self.call).shares


def dot_as_conv(x, w):
    """The operands of a 1x1 convolution whose only output is the dot product of x and w."""
    return x.reshape(1, -1, 1, 1), w.reshape(1, -1, 1, 1)


# ---- Formats and ulps ----


@pytest.mark.parametrize("name", FORMATS)
def test_formats_are_those_of_numpy(name):
    info, fmt = ml_dtypes.finfo(DTYPES[name]), format_of(DTYPES[name])
    assert fmt.largest == float(info.max)
    assert fmt.least == float(info.smallest_subnormal)
    assert fmt.unit_roundoff == float(info.eps) / 2


def test_a_format_contains_the_narrower_ones():
    contains = {(a, b) for a in FORMATS for b in FORMATS if FORMATS[a].contains(FORMATS[b])}
    wider = {("float32", "float16"), ("float32", "bfloat16")} | {("float64", name) for name in FORMATS}
    # More digits, but not as large: none of the four is like that.
    assert not Format(precision=24, emax=10).contains(Format(precision=8, emax=11))
    assert contains == wider | {(name, name) for name in FORMATS}


@pytest.mark.parametrize("name", SMALL)
def test_ulp_error_counts_all_numbers_of_a_format(name):
    every = np.arange(1 << 16, dtype=np.uint16).view(DTYPES[name])
    with np.errstate(invalid="ignore"):
        numbers = every[~np.isnan(every)]
    numbers = numbers[np.argsort(numbers.astype(np.float64), kind="stable")]
    # The two zeros are neighbours in this order, and the same number.
    position = np.searchsorted(np.unique(numbers.astype(np.float64)), numbers.astype(np.float64)).astype(np.float64)
    for shift in (1, 2, 1000, 30000):
        assert (ulp_error(numbers[shift:], numbers[:-shift]) == position[shift:] - position[:-shift]).all()


@pytest.mark.parametrize("name", ["float32", "float64"])
def test_ulp_error_of_special_values(name):
    def error(a, b):
        return ulp_error(*(np.array(value, DTYPES[name]) for value in (a, b)))

    fmt = FORMATS[name]
    largest_step = 2.0 ** (fmt.emax + 1 - fmt.precision)
    assert error(0.0, -0.0) == 0
    assert error(fmt.least, 0.0) == 1
    assert error(fmt.least, -fmt.least) == 2
    assert error(fmt.largest, np.inf) == 1
    assert error(fmt.largest - largest_step, fmt.largest) == 1
    assert error(np.inf, np.inf) == 0
    assert error(np.nan, np.nan) == 0
    assert error(np.nan, 1.0) == error(1.0, np.nan) == np.inf
    # All finite numbers but one zero lie between the two infinities: more than fit into a signed integer.
    encodings = 2 * fmt.emax + 1, fmt.precision - 1
    assert error(-np.inf, np.inf) == 2.0 * encodings[0] * 2.0 ** encodings[1]


def test_ulp_error_needs_one_dtype():
    with pytest.raises(TypeError, match="float32 and float64"):
        ulp_error(np.float32([1]), np.float64([1]))
    with pytest.raises(TypeError, match="int32"):
        ulp_error(np.int32([1]), np.int32([1]))


# ---- Never exceeded ----


def sequential(terms):
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def pairwise(terms):
    while len(terms) > 1:
        terms = [a + b for a, b in zip(terms[::2], terms[1::2], strict=False)] + terms[len(terms) & ~1 :]
    return terms[0]


def by_size(terms, sign=1):
    return sequential(sorted(terms, key=lambda term: sign * abs(float(term))))


def positive_first(terms):
    return sequential(sorted(terms, key=lambda term: -np.sign(float(term))))


def fused(x, w):
    """A chain of fused multiply-adds: each step correctly rounded from the exact x * w + total."""
    total = np.zeros(1, x.dtype)
    one = np.ones(1, x.dtype)
    for i in range(len(x)):
        step = np.concatenate([x[i : i + 1], total]), np.concatenate([w[i : i + 1], one])
        total = refconv.exact_dot(*step).reshape(1)
    return total[0]


ORDERS = {
    "sequential": sequential,
    "backwards": lambda terms: sequential(terms[::-1]),
    "pairwise": pairwise,
    "smallest first": by_size,
    "largest first": lambda terms: by_size(terms, -1),
    "positive first": positive_first,
}


@pytest.mark.parametrize("name", DTYPES)
@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_no_order_of_summation_exceeds_the_bound(name, data):
    terms = data.draw(st.integers(1, 60), label="terms")
    calls = st.just(ConvCall(input_shape=(1, terms, 1, 1), weight_shape=(1, terms, 1, 1)))
    case = data.draw(conv_cases(DTYPES[name], ROUNDED, calls), label="case")
    x, w = case.operands.input, case.operands.weight
    bound = Bound(x, w, claim=claim_of(name))
    with np.errstate(all="ignore"):
        products = list(x.ravel() * w.ravel())
        results = {order: add(products) for order, add in ORDERS.items()}
    results["fused"] = fused(x.ravel(), w.ravel())
    for order, result in results.items():
        share = bound.shares(np.array(result).reshape(1, 1, 1, 1)).item()
        assert share <= 1, (order, share)


@pytest.mark.parametrize("name", ["float32", "float64"])
@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_torch_does_not_exceed_the_bound(name, data):
    case = data.draw(conv_cases(DTYPES[name], ROUNDED, conv_calls(vary=("kernel", "channels", "batch", "bias"))))
    tensors = [None if a is None else torch.from_numpy(a) for a in case.operands[:3]]
    result = torch.nn.functional.conv2d(*tensors).numpy()
    bound = Bound(*case.operands[:3], claim=claim_of(name))
    assert bound.shares(result).max() <= 1


@pytest.mark.parametrize("name", SMALL)
@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_float32_accumulation_with_a_narrow_result_stays_within_its_claim(name, data):
    calls = st.just(ConvCall(input_shape=(1, 40, 1, 2), weight_shape=(3, 40, 1, 1)))
    case = data.draw(conv_cases(DTYPES[name], ROUNDED, calls))
    x, w = (a.astype(np.float32) for a in (case.operands.input, case.operands.weight))
    with np.errstate(all="ignore"):
        result = np.zeros((1, 3, 1, 2), np.float32)
        for c in range(40):
            result += x[:, c, None] * w[None, :, c]
        result = result.astype(DTYPES[name])
    bound = Bound(*case.operands[:3], claim=Claim(accumulate="float32", out=name))
    assert bound.shares(result).max() <= 1


@pytest.mark.parametrize("name", DTYPES)
@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_the_correctly_rounded_result_is_always_allowed(name, data):
    case = data.draw(conv_cases(DTYPES[name], [*ROUNDED, "special_values"], conv_calls()))
    result = refconv.conv2d(*case.call.values(case.operands))
    bound = Bound(*case.operands[:3], **case.call.keywords, claim=claim_of(name))
    assert bound.shares(result).max(initial=0) <= 1


# ---- Not slack ----


@pytest.mark.parametrize(("name", "m"), [("float16", 64), ("bfloat16", 16), ("float32", 64), ("float64", 64)])
def test_absorbed_terms_use_up_most_of_the_bound(name, m):
    """1 + u + u + ... from left to right is 1: ties go to even. All of (m - 1) u is lost, of m u (1 + u) A allowed."""
    u = FORMATS[name].unit_roundoff
    x = np.array([1.0] + [u] * (m - 1), DTYPES[name])
    result = sequential(list(x))
    assert result == 1
    bound = Bound(*dot_as_conv(x, np.ones(m, x.dtype)), claim=claim_of(name))
    share = bound.shares(np.array(result).reshape(1, 1, 1, 1)).item()
    # A = 1 + (m - 1) u; the reference's own rounding matters for float64 only, and then as much as one term.
    loss = (m - 1) / (m + 1) / (1 + (m - 1) * u)
    assert loss < share <= 1
    assert share > 0.85


@pytest.mark.parametrize("name", SMALL)
def test_a_product_lost_to_underflow_uses_up_half_of_what_is_allowed(name):
    fmt = FORMATS[name]
    # 2**a * 2**b = eta / 2, a tie, which goes to zero.
    a = fmt.least_exponent // 2
    b = fmt.least_exponent - 1 - a
    x, w = (np.array([[[[2.0**e]]]], DTYPES[name]) for e in (a, b))
    assert (x * w).item() == 0
    share = (fmt.least / 2 / conv_bound(x, w, claim=claim_of(name))).item()
    # Allowed is eta: the number of halves is rounded up, for the sake of float64.
    assert 0.4 < share <= 1


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_allowed_is_the_formula_rounded_up(data):
    name = data.draw(st.sampled_from(sorted(DTYPES)))
    output = data.draw(st.sampled_from([name, *SMALL]))
    terms = data.draw(st.integers(1, 12))
    call = ConvCall(input_shape=(1, terms, 1, 1), weight_shape=(1, terms, 1, 1), bias_shape=(1,))
    case = data.draw(conv_cases(DTYPES[name], {"normal", "positive", "cancelling", "small_integers"}, st.just(call)))
    allowed = conv_bound(*case.operands[:3], claim=Claim(name, out=output)).item()

    products = [
        Fraction(float(a)) * Fraction(float(b))
        for a, b in zip(case.operands.input.ravel(), case.operands.weight.ravel(), strict=True)
    ]
    addends = [*products, Fraction(float(case.operands.bias[0]))]
    m = sum(term != 0 for term in addends)
    y, A = abs(sum(addends)), sum(map(abs, addends))
    if m == 0:
        assert allowed == 0
        return
    acc, out = FORMATS[name], FORMATS[output]
    u, half = Fraction(acc.unit_roundoff), Fraction(acc.least) / 2
    formula = m * u * (1 + u) * A + (1 + m * u) * m * half
    if not out.contains(acc):
        formula += Fraction(out.unit_roundoff) * (y + formula) + Fraction(out.least) / 2
    if A + formula >= min(acc.largest, out.largest):
        assert allowed == np.inf
    else:
        # Above it by no more than roundings, those of A in float32 included, and half a least number where m is odd.
        rounding = Fraction(1, 2**40 if name == "float64" else 2**21)
        least = Fraction(FORMATS["float64" if name == "float64" else "float32"].least)
        assert formula <= Fraction(allowed) <= formula * (1 + rounding) + 2 * half + m * least


# ---- Values that are right or wrong ----


def shares_of(result, x, w, bias=None, **arguments):
    bound = Bound(x, w, bias, **arguments, claim=claim_of("float32"))
    return bound.shares(np.asarray(result, np.float32).reshape(bound.allowed.shape)).ravel().tolist()


ONES = np.ones((1, 1, 1, 1), np.float32)


def image(*numbers):
    return np.array(numbers, np.float32).reshape(1, 1, 1, -1)


def test_where_every_term_is_zero_the_result_is_zero():
    assert shares_of([0.0, -0.0, 1e-45, np.nan], image(0, 0, 0, -0.0), ONES) == [0, 0, np.inf, np.inf]
    # Windows in the padding have no terms at all; with a bias they have one.
    assert shares_of([0, 1, 1e-9], image(1), ONES, padding=(0, 1)) == [0, 0, np.inf]
    assert shares_of([2, 3, 2.0000003], image(1), ONES, np.float32([2]), padding=(0, 1))[2] > 1


def test_nan_and_infinity_must_be_where_they_belong():
    x = image(np.nan, np.inf, -np.inf, 1)
    assert shares_of([np.nan, np.inf, -np.inf, 1], x, ONES) == [0, 0, 0, 0]
    assert shares_of([0, -np.inf, np.nan, np.nan], x, ONES) == [np.inf] * 4
    assert shares_of([np.inf, 3e38, -3e38, np.inf], x, ONES) == [np.inf] * 4
    # Infinity times zero is NaN, although the finite terms are zero.
    assert shares_of([np.nan, np.nan, np.nan, 0], x, 0 * ONES) == [0, 0, 0, 0]
    assert shares_of([np.nan, 0, 0, 0], x, 0 * ONES)[1:3] == [np.inf, np.inf]


def test_sums_that_may_overflow_on_the_way_are_not_judged():
    x, w = image(3e38, 3e38, -3e38), np.ones((1, 1, 1, 3), np.float32)
    assert shares_of([np.inf], x, w) == shares_of([np.nan], x, w) == shares_of([3e38], x, w) == [0]
    # Where they cannot, an infinity is wrong.
    assert shares_of([np.inf], image(1e38, 1e38, -1e38), w) == [np.inf]
    # An infinite operand does not excuse anything, unless the finite terms beside it may overflow.
    assert shares_of([1.0], image(np.inf, 1, 1), w) == [np.inf]
    assert shares_of([np.nan], image(np.inf, -3e38, -3e38), w) == [0]


def test_a_narrow_result_may_overflow_although_the_accumulator_does_not():
    x = np.array([[[[300.0]]]], np.float16)
    bound = Bound(x, x, claim=Claim(accumulate="float32", out="float16"))
    assert bound.shares(np.array([[[[np.inf]]]], np.float16)) == 0


def test_errors_of_another_arithmetic_exceed_the_bound():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 8, 6, 6)).astype(np.float32)
    w = rng.standard_normal((4, 8, 3, 3)).astype(np.float32)
    bound = Bound(x, w, claim=claim_of("float32"))

    def tf32(a):
        return (a.view(np.uint32) & np.uint32(0xFFFFE000)).view(np.float32)

    half = refconv.conv2d(x.astype(np.float16), w.astype(np.float16), dtype=np.float32)
    dropped = refconv.conv2d(x, np.where(np.arange(3) == 2, np.float32(0), w))
    for wrong in (refconv.conv2d(tf32(x), tf32(w)), half, dropped):
        assert bound.shares(wrong).max() > 10
    assert bound.shares(refconv.conv2d(x, w)).max() <= 1


def test_flushing_subnormal_results_exceeds_the_bound():
    x, w = image(3 * 2.0**-149), ONES
    assert shares_of([0.0], x, w)[0] > 1
    assert shares_of([3 * 2.0**-149], x, w) == [0]


# ---- Arguments ----


def test_arguments_that_make_no_sense_are_refused():
    x = np.ones((1, 1, 2, 2), np.float32)
    with pytest.raises(ValueError, match="accumulator of float16 cannot hold float32 operands"):
        Bound(x, x, claim=claim_of("float16"))
    with pytest.raises(TypeError, match="no bound is known for dtype int32"):
        Claim(accumulate="int32")
    with pytest.raises(refconv.ConvError, match="Kernel size can't be greater"):
        Bound(x, np.ones((1, 1, 3, 3), np.float32), claim=claim_of("float32"))


def test_geometry_is_passed_on():
    rng = np.random.default_rng(1)
    x, w = rng.standard_normal((2, 4, 7, 6)), rng.standard_normal((6, 2, 3, 2))
    arguments = {"stride": (2, 1), "padding": (1, 2), "dilation": (2, 1), "groups": 2}
    bound = Bound(x, w, **arguments, claim=claim_of("float64"))
    assert bound.shares(refconv.conv2d(x, w, **arguments)).max() == 0
    other = {**arguments, "dilation": (1, 2), "padding": ((1, 0), (2, 3))}
    assert bound.shares(refconv.conv2d(x, w, **other)).max() > 1


# ---- The quick look ----


@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_a_quick_look_passes_nothing_that_a_careful_one_does_not(data):
    """Right and slightly wrong results, judged with the quick look and without."""
    name = data.draw(st.sampled_from(sorted(DTYPES)))
    case = data.draw(conv_cases(DTYPES[name], ROUNDED, conv_calls(max_macs=1 << 12)))
    operation = case.operation
    with np.errstate(all="ignore"):
        result = CORRECT[data.draw(st.sampled_from(["sequential", "pairwise", "fused"]))].compute(operation)
        off = data.draw(st.sampled_from([0, 2.0**-22, 2.0**-18, 2.0**-12]), label="off by")
        result = (result * (1 + off * np.sign(np.arange(result.size) % 3 - 1).reshape(result.shape))).astype(
            result.dtype
        )
        quick = judge_operation(result, operation)
        with pytest.MonkeyPatch.context() as patch:
            for name in ("screen", "screen_few"):
                patch.setattr(f"refconv.testing.errors.{name}", lambda *_: None)
            careful = judge_operation(result, operation)
    assert quick.grade == careful.grade


def test_a_quick_look_is_what_settles_an_ordinary_layer():
    rng = np.random.default_rng(0)
    for dtype in (np.float16, np.float32, np.float64):
        x, w = rng.standard_normal((2, 16, 20, 20)).astype(dtype), rng.standard_normal((8, 16, 3, 3)).astype(dtype)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("refconv.testing.errors.allowed_error", None)
            assert judge(CORRECT["sequential"](x, w, padding=1), x, w, padding=1).right
