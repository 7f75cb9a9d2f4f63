"""Every bound is kept by the arithmetic that it is for, nearly attained by it, and exceeded by poorer arithmetic."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import refconv
from refconv.testing import Claim, conv_bound, judge
from refconv.testing.correct import CORRECT
from refconv.testing.fast_algorithms import winograd_matrices
from refconv.testing.formats import FORMATS, TF32
from refconv.testing.mistakes.precision import cast, truncated
from refconv.testing.operation import Operation
from refconv.testing.recipes import ROUNDED
from refconv.testing.strategies import conv_calls, conv_cases
from refconv.testing.terms import terms_of

U = 2.0**-24
FLOAT32 = FORMATS["float32"]


def as_conv(x, w):
    """A 1x1 convolution whose only result is the dot product."""
    return np.float32(x).reshape(1, -1, 1, 1), np.float32(w).reshape(1, -1, 1, 1)


def share(result, x, w, claim):
    """The error of a dot product, as a share of its bound."""
    x, w = as_conv(x, w)
    exact = float(np.dot(x.ravel().astype(np.longdouble), w.ravel().astype(np.longdouble)))
    return abs(float(result) - exact) / conv_bound(x, w, claim=claim).item()


# ---- The arithmetics, one step at a time ----


def chain(products, round_step):
    total = np.zeros(products.shape[1:])
    for term in products:
        total = round_step(total + term)
    return total


def cut(values):
    return truncated(values.astype(np.float64), FLOAT32)


def truncating(x, w):
    """Products and sums cut off."""
    return chain(cut(x.astype(np.float64) * w), cut)


def tensor_core(x, w, block=4):
    """Blocks of exact products and the sum so far, aligned to the largest of them and cut without guard digits."""
    total = np.zeros(x.shape[1:])
    products = x.astype(np.float64) * w
    for begin in range(0, len(products), block):
        terms = np.concatenate([total[None], products[begin : begin + block]])
        _, exponent = np.frexp(np.abs(terms).max(axis=0))
        # A significand of 24 bits, of which the largest term uses all.
        grid = np.ldexp(1.0, exponent - 24)
        total = cut((np.trunc(terms / grid) * grid).sum(axis=0))
    return total


def flushed(values):
    values = np.float32(values)
    return np.where(np.abs(values) < 2.0**-126, np.float32(0), values)


def flushing(x, w):
    return chain(flushed(flushed(x) * flushed(w)).astype(np.float64), lambda total: flushed(total).astype(np.float64))


def with_cast(name, how):
    def run(x, w):
        fmt = {"tf32": TF32, **FORMATS}[name]
        products = (how(x, fmt) * how(w, fmt)).astype(np.float32)
        return chain(products.astype(np.float64), lambda total: total.astype(np.float32).astype(np.float64))

    return run


def cast_and_cut(x, w):
    return truncating(truncated(x, TF32), truncated(w, TF32))


ARITHMETICS = {
    "truncated": (truncating, Claim(rounding="truncate")),
    "tensor cores": (tensor_core, Claim(rounding="tensor-core")),
    "subnormals flushed": (flushing, Claim(flush_subnormals=True)),
    "TF32": (with_cast("tf32", cast), Claim(inputs="tf32")),
    "bfloat16": (with_cast("bfloat16", cast), Claim(inputs="bfloat16")),
    "TF32, all cut": (cast_and_cut, Claim(inputs="tf32", rounding="truncate")),
}


@pytest.mark.parametrize("name", ARITHMETICS)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_an_arithmetic_never_leaves_its_own_bound(name, data):
    run, claim = ARITHMETICS[name]
    recipes = set(ROUNDED) - {"near_overflow", *([] if "flushed" in name else ["underflowing", "wide_exponents"])}
    case = data.draw(
        conv_cases("float32", recipes, conv_calls(vary=("kernel", "channels", "padding"), max_macs=1 << 11))
    )
    geometry = {"padding": case.call.padding}
    operation = Operation.of("conv2d", **case.operands.given, **geometry)
    terms = terms_of(operation)
    with np.errstate(all="ignore"):
        result = run(terms.x, terms.w).astype(np.float32).reshape(operation.result_shape)
    verdict = judge(result, **case.operands.given, **geometry, claim=claim)
    assert verdict.right, verdict


def test_truncation_nearly_attains_its_bound():
    # Just less than a unit in the last place of 1, again and again: all of it is lost.
    x = np.array([1.0] + [2 * U * (1 - 2.0**-20)] * 63, np.float32)
    result = truncating(x[:, None], np.ones((64, 1)))[0]
    assert result == 1
    assert 0.95 < share(result, x, np.ones(64), Claim(rounding="truncate")) <= 1
    # To nearest nothing like that can happen.
    assert share(result, x, np.ones(64), Claim()) > 1


def test_tensor_cores_use_more_than_half_of_their_bound():
    x = np.array([1.0] + [2 * U * (1 - 2.0**-20)] * 256, np.float32)
    result = tensor_core(x[:, None], np.ones((257, 1)))[0]
    assert result == 1
    assert 0.6 < share(result, x, np.ones(257), Claim(rounding="tensor-core")) <= 1
    assert share(result, x, np.ones(257), Claim()) > 1


@pytest.mark.parametrize("name", ["tf32", "bfloat16"])
def test_casts_nearly_attain_their_bound(name):
    fmt = {"tf32": TF32, **FORMATS}[name]
    # In the middle between two numbers of the narrower format: ties go to even, downwards.
    x = np.array([1 + fmt.unit_roundoff], np.float32)
    result = cast(x, fmt) * cast(x, fmt)
    assert result == 1
    assert 0.95 < share(result[0], x, x, Claim(inputs=name)) <= 1
    assert share(result[0], x, x, Claim()) > 1000
    # Cut off, twice as much can be lost.
    x = np.array([1 + 2 * fmt.unit_roundoff - 2.0**-23], np.float32)
    result = truncated(x, fmt) * truncated(x, fmt)
    assert result == 1
    assert 0.95 < share(result[0], x, x, Claim(inputs=name, rounding="truncate")) <= 1


def test_float16_casts_lose_what_is_below_its_range():
    x = np.array([2.0**-26, 1.0], np.float32)
    w = np.array([1.0, 2.0**-26], np.float32)
    claim = Claim(inputs="float16")
    assert 0.2 < share(0.0, x, w, claim) <= 1
    assert share(0.0, x, w, Claim(inputs="tf32")) > 1
    # 70000 is no float16.
    assert conv_bound(*as_conv([70000.0], [1.0]), claim=claim).item() == np.inf


def test_flushing_uses_half_of_its_bound():
    x = np.array([2.0**-63], np.float32)
    w = np.array([2.0**-63 * (1 - 2 * U)], np.float32)
    assert flushing(x[:, None], w[:, None])[0] == 0
    assert 0.45 < share(0.0, x, w, Claim(flush_subnormals=True)) <= 1
    assert share(0.0, x, w, Claim()) > 1


def test_rounding_the_result_nearly_attains_its_bound():
    x, w = (a.astype(np.float16) for a in as_conv([1.0, 2.0**-11], [1.0, 1.0]))
    exact, bound = 1 + 2.0**-11, conv_bound(x, w).item()
    # 1 is the correctly rounded result; the other neighbour is as far away.
    assert 0.99 < (1 + 2.0**-10 - exact) / bound <= 1
    assert judge(np.full((1, 1, 1, 1), 1 + 2.0**-10, np.float16), x, w).grade == "WITHIN"
    assert judge(np.full((1, 1, 1, 1), 1 - 2.0**-11, np.float16), x, w).grade == "WRONG"


# ---- Winograd and FFT ----


@pytest.mark.parametrize("tile", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("r", [1, 2, 3, 5])
def test_winograd_matrices_compute_correlations(tile, r):
    AT, G, BT = winograd_matrices(tile, r)
    rng = np.random.default_rng(0)
    d, g = rng.integers(-9, 9, tile + r - 1).astype(float), rng.integers(-9, 9, r).astype(float)
    windows = np.lib.stride_tricks.sliding_window_view(d, r)
    np.testing.assert_array_equal(np.rint(AT @ ((G @ g) * (BT @ d))), windows @ g)


def test_f_2_3_is_the_textbook_one():
    AT, G, BT = winograd_matrices(2, 3)
    # Lavin and Gray (2016), up to the signs of rows.
    np.testing.assert_array_equal(np.abs(G), [[1, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0.5], [0, 0, 1]])
    np.testing.assert_array_equal(np.abs(BT), [[1, 0, 1, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 1, 0, 1]])
    np.testing.assert_array_equal(np.abs(AT), [[1, 1, 1, 0], [0, 1, 1, 1]])


def image(seed, channels=3, size=18):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((1, channels, size, size)).astype(np.float32)
    return x, rng.standard_normal((4, channels, 3, 3)).astype(np.float32)


@pytest.mark.parametrize(("name", "slack"), [("winograd_f2", 150), ("winograd_f4", 400), ("fft", 3000)])
def test_fast_algorithms_stay_inside_of_bounds_that_are_not_slack_beyond_a_factor(name, slack):
    implementation, largest = CORRECT[name], 0.0
    for seed in range(10):
        x, w = image(seed)
        verdict = judge(implementation(x, w, padding=1), x, w, padding=1, claim=implementation.claim(x.dtype))
        assert verdict.right
        largest = max(largest, verdict.shares.max())
    assert 1 / slack < largest <= 1


@pytest.mark.parametrize(("name", "longest"), [("winograd_f2", 14), ("winograd_f4", 12)])
def test_where_winograd_has_no_form_for_a_long_kernel_sums_are_direct(name, longest):
    """15 points give F(2, 14) and F(4, 12)."""
    rng = np.random.default_rng(5)
    x, w = (rng.standard_normal((1, 2, 1, n)).astype(np.float32) for n in (40, longest + 1))
    winograd = CORRECT[name]
    claim = winograd.claim(x.dtype)
    result, bound = winograd(x, w), conv_bound(x, w, claim=claim)
    np.testing.assert_array_equal(result, CORRECT["sequential"](x, w))
    np.testing.assert_array_equal(bound, conv_bound(x, w))
    assert judge(result, x, w, claim=claim).right
    assert (conv_bound(x, w[..., 1:], claim=claim) > 10 * conv_bound(x, w[..., 1:])).all()


def test_fast_algorithms_do_not_keep_to_the_direct_claim():
    x, w = image(0, channels=1)
    assert not judge(CORRECT["winograd_f4"](x, w), x, w).right
    # A window of zeros must give zero, but not in the frequency domain.
    x[..., :9] = 0
    assert judge(CORRECT["fft"](x, w), x, w).shares.max() == np.inf
    assert judge(CORRECT["fft"](x, w), x, w, claim=Claim(algorithm="fft")).right


def test_a_wrong_kernel_is_wrong_under_every_claim():
    x, w = image(1)
    wrong = CORRECT["sequential"](x, w[..., ::-1])
    claims = [Claim(inputs="bfloat16", rounding="truncate"), Claim(algorithm="fft"), Claim(algorithm="winograd")]
    for claim in (*claims, Claim(flush_subnormals=True), Claim(rounding="tensor-core")):
        assert judge(wrong, x, w, claim=claim).grade == "WRONG"


# ---- Claims that make no sense ----


def test_arguments_of_a_claim_are_checked():
    for wrong in ({"inputs": "int8"}, {"rounding": "up"}, {"algorithm": "magic"}, {"tile": 3}):
        name = next(iter(wrong))
        with pytest.raises(ValueError, match=f"argument '{name}' must be one of"):
            Claim(**wrong)
    with pytest.raises(TypeError, match="no bound is known for dtype int8"):
        Claim(out="int8")
    x, w = image(0)
    with pytest.raises(ValueError, match="Winograd's algorithm needs stride 1"):
        conv_bound(x, w, stride=2, claim=Claim(algorithm="winograd"))
    with pytest.raises(ValueError, match="fft is for forward convolutions, not for conv2d_bias"):
        conv_bound(op="conv2d_bias", grad_output=x, claim=Claim(algorithm="fft"))
    with pytest.raises(ValueError, match="accumulator of float16 cannot hold float32 operands"):
        judge(CORRECT["lanes"](x, w), x, w, claim=Claim("float16"))


def test_a_claim_of_a_dtype():
    assert {dtype: Claim.of(dtype).accumulate for dtype in FORMATS} == {
        "float16": "float32",
        "bfloat16": "float32",
        "float32": "float32",
        "float64": "float64",
    }
    assert Claim(out=np.float32).out == "float32"
    assert str(Claim(inputs="tf32", rounding="truncate")) == "sums in float32, operands cast to tf32, truncated"


@pytest.mark.parametrize(
    "claim",
    [
        Claim(),
        Claim(accumulate="float64"),
        Claim(inputs="tf32", rounding="tensor-core"),
        Claim(algorithm="winograd", tile=2),
        Claim(flush_subnormals=True, out="float16"),
    ],
)
def test_a_claim_is_read_from_its_spelling(claim):
    assert Claim.parse(claim.spelling) == claim


def test_spaces_and_defaults_may_be_spelt():
    assert Claim.parse("accumulate=float32, flush_subnormals=false,tile=4") == Claim()


@pytest.mark.parametrize(
    "text", ["", "float32", "acc=float32", "accumulate=", "tile=two", "flush_subnormals=1", "tile=2,tile=2"]
)
def test_what_is_no_claim_is_refused(text):
    with pytest.raises(ValueError, match=f"cannot read the claim '{text}': it is KEY=VALUE"):
        Claim.parse(text)


def test_a_claim_that_makes_no_sense_is_refused_as_ever():
    with pytest.raises(TypeError, match="no bound is known for dtype float80"):
        Claim.parse("accumulate=float80")
    with pytest.raises(ValueError, match="argument 'tile' must be one of 2, 4, 6, but got 3"):
        Claim.parse("tile=3")


@pytest.mark.parametrize("name", [name for name in CORRECT if not CORRECT[name].forward_only])
@pytest.mark.parametrize("op", ["conv2d", "conv_transpose2d"])
def test_right_implementations_answer_an_empty_batch_with_an_empty_batch(name, op):
    x, w = np.empty((0, 4, 5, 5), np.float32), np.ones((4, 4, 3, 3), np.float32)
    expected = getattr(refconv, op)(x, w, padding=1)
    assert CORRECT[name](x, w, padding=1, op=op).shape == expected.shape == (0, 4, 5, 5)
