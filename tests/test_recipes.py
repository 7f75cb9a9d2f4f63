"""Recipes for numbers: exact where they say so, with the certificate to prove it, and layouts that keep the numbers."""

import math
from fractions import Fraction
from itertools import pairwise

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import refconv
from refconv.testing.calls import ConvCall
from refconv.testing.exactness import exact_in_any_order
from refconv.testing.formats import format_of
from refconv.testing.layouts import LAYOUTS, NEEDS_NEGATIVE_STRIDES
from refconv.testing.operation import Operation
from refconv.testing.recipes import EXACT, RECIPES, build_operands
from refconv.testing.strategies import conv_calls, conv_cases, long_sums

DTYPES = {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16, "float32": np.float32, "float64": np.float64}
SIMPLEST = ConvCall(input_shape=(1, 1, 1, 1), weight_shape=(1, 1, 1, 1))


# ---- Numbers ----


def is_number_of(format_, value):
    """Return whether a fraction is a number of the format, by the definition."""
    if value == 0:
        return True
    numerator, denominator = abs(value.numerator), value.denominator
    if denominator & (denominator - 1):
        return False
    trailing = (numerator & -numerator).bit_length() - 1
    lowest = trailing - (denominator.bit_length() - 1)
    digits = numerator.bit_length() - trailing
    return digits <= format_.precision and lowest >= format_.least_exponent and lowest + digits - 1 <= format_.emax


def terms_of(case, position):
    """The exact terms of one element of the output."""
    problem = case.call.problem
    x, w, b, _ = case.operands
    n, k, *pixel = position
    x = x.reshape(problem.N, problem.C_in, *problem.input_size)
    C = problem.C_in // problem.groups
    first = k // (problem.C_out // problem.groups) * C
    terms = [
        Fraction(float(x[(n, first + c, *at)])) * Fraction(float(w[(k, c, *tap)]))
        for tap, at in problem.taps(*pixel)
        for c in range(C)
    ]
    return terms + ([] if b is None else [Fraction(float(b[k]))])


@pytest.mark.parametrize("recipe", EXACT)
@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_exact_recipes_are_exact_in_every_order(dtype, recipe, data):
    case = data.draw(conv_cases(DTYPES[dtype], [recipe], conv_calls(max_macs=2000) | long_sums()), label="case")
    assert exact_in_any_order(case.operation)
    problem = case.call.problem
    shape = (problem.N, problem.C_out, *problem.output_size)
    if 0 in shape:
        return
    terms = terms_of(case, [data.draw(st.integers(0, size - 1)) for size in shape])
    format_ = format_of(DTYPES[dtype])
    order = data.draw(st.randoms(use_true_random=False))
    order.shuffle(terms)
    # By size and sign the partial sums become as large as they can.
    for arranged in (terms, sorted(terms)):
        total = Fraction(0)
        for term in arranged:
            assert is_number_of(format_, term)
            total += term
            assert is_number_of(format_, total)


@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_the_certificate_is_given_only_to_exact_sums(dtype, data):
    """Numbers made at random, most of which get no certificate; those that do have to deserve it."""
    format_ = format_of(DTYPES[dtype])
    p = format_.precision
    terms = data.draw(st.integers(1, 4))
    scale = st.sampled_from(
        [0, -p, format_.least_exponent // 2, format_.least_exponent, format_.emax // 2, format_.emax]
    )
    integers = st.integers(-(2 ** (p // 2)), 2 ** (p // 2)) | st.integers(-3, 3)

    def draw_numbers(count):
        exponent = data.draw(scale)
        with np.errstate(over="ignore"):
            return np.ldexp([float(data.draw(integers)) for _ in range(count)], exponent).astype(DTYPES[dtype])

    x, w, b = (draw_numbers(count) for count in (terms, terms, 1))
    if exact_in_any_order(Operation.of("conv2d", x.reshape(1, -1, 1, 1), w.reshape(1, -1, 1, 1), b)):
        addends = [Fraction(float(a)) * Fraction(float(c)) for a, c in zip(x, w, strict=True)] + [Fraction(float(b[0]))]
        for subset in range(1, 2 ** len(addends)):
            assert is_number_of(format_, sum(t for i, t in enumerate(addends) if subset >> i & 1))


def certified(x, w, b=None, dtype=np.float32):
    x, w = (np.array(values, dtype).reshape(1, -1, 1, 1) for values in (x, w))
    return exact_in_any_order(Operation.of("conv2d", x, w, None if b is None else np.array(b, dtype)))


def test_the_certificate_knows_its_limits():
    half = 2.0**23
    assert certified([half, 1], [1, 1])
    assert certified([2.0**24 - 1], [1], [1])
    assert not certified([2.0**24 - 1], [1], [2])
    assert not certified([half, half], [1, 1], [1])
    # Zeros in the kernel or the image do not count as terms.
    assert certified([half, half, half], [1, 0, 1])
    assert certified([half, 0, 0], [1, 1, 1])
    # The product's grid is that of the factors; the bias may have a finer one.
    assert certified([0.5], [0.25], [1 / 16])
    assert not certified([2.0**20], [1], [2.0**-8])
    # Below the least number and above the largest there is no grid.
    assert certified([2.0**-149], [1])
    assert not certified([2.0**-149], [0.5])
    assert certified([2.0**100], [2.0**27])
    assert not certified([2.0**100], [2.0**28])
    assert not certified([np.inf], [1])
    assert not certified([np.nan], [0])
    assert certified([0], [0])
    assert not certified([2049], [1], dtype=np.float16) or float(np.float16(2049)) == 2048


# ---- Recipes ----

CALL = ConvCall((2, 6, 8, 8), (9, 3, 3, 3), (9,), padding=1, groups=2)


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_recipes_make_arrays_of_the_shapes_and_dtype_asked_for(dtype, recipe):
    for call in (ConvCall((2, 6, 8, 8), (4, 3, 3, 3), (4,), groups=2), SIMPLEST, ConvCall((0, 1, 2, 2), (1, 1, 1, 1))):
        operands = build_operands(recipe, call, DTYPES[dtype], seed=3)
        assert [None if a is None else a.shape for a in operands[:3]] == [
            call.input_shape,
            call.weight_shape,
            call.bias_shape,
        ]
        assert {a.dtype for a in operands if a is not None} == {np.dtype(DTYPES[dtype])}


@pytest.mark.parametrize("recipe", RECIPES)
def test_same_seed_same_numbers(recipe):
    call = ConvCall((2, 6, 8, 8), (4, 3, 3, 3), (4,), groups=2)
    first, again, other = (build_operands(recipe, call, "float32", seed) for seed in (1, 1, 2))
    assert all(a.tobytes() == b.tobytes() for a, b in zip(first[:3], again[:3], strict=True))
    assert any(a.tobytes() != b.tobytes() for a, b in zip(first[:3], other[:3], strict=True))


@pytest.mark.parametrize("bits", [1, 3])
def test_bits_limit_the_integers(bits):
    call = ConvCall((1, 4, 9, 9), (8, 4, 1, 1), (8,))
    for recipe in ("small_integers", "wide_by_ternary", "one_hot"):
        operands = build_operands(recipe, call, "float64", seed=0, bits=bits)
        assert max(np.abs(a).max() for a in operands.given.values()) == 2**bits - 1


def many(recipe, dtype="float32", call=None):
    call = call or ConvCall((2, 4, 6, 6), (4, 4, 2, 2), (4,))
    return [(build_operands(recipe, call, dtype, seed), call) for seed in range(20)]


def results(recipe, **arguments):
    for operands, call in many(recipe, **arguments):
        yield operands, refconv.conv2d(*call.values(operands))


@pytest.mark.parametrize("recipe", [recipe for recipe in RECIPES if recipe != "signed_zeros"])
def test_results_are_not_mostly_zeros(recipe):
    zeros = np.mean([(result == 0).mean() for _, result in results(recipe)])
    assert zeros < 0.3


def test_wide_numbers_do_not_survive_a_cast_to_fewer_bits():
    tf32 = np.uint32(0x1FFF)
    for operands, _ in many("wide_by_ternary"):
        wide = max(operands[:2], key=lambda a: np.abs(a).max())
        assert (wide.view(np.uint32) & tf32).any()


def test_one_hot_results_are_numbers_of_the_other_operand():
    for operands, result in results("one_hot", call=ConvCall((1, 2, 5, 5), (3, 2, 2, 2))):
        x, w, _, _ = operands
        hot, wide = (w, x) if np.count_nonzero(w) == 3 else (x, w)
        assert np.count_nonzero(hot) in (1, 3)
        assert set(np.abs(result).ravel()) <= {*np.abs(wide).ravel(), 0.0}


def test_subnormal_integers_have_subnormal_operands_products_and_sums():
    least_normal = np.finfo(np.float32).tiny

    def subnormal(array):
        return bool(((array != 0) & (np.abs(array) < least_normal)).any())

    # Of the operands either one may be, or none, so that neither is saved by the other's being handled right.
    found = [
        (subnormal(operands.input), subnormal(operands.weight), subnormal(result))
        for operands, result in results("subnormal_integers")
    ]
    for input, weight in ((True, False), (False, True), (False, False)):
        assert (input, weight, True) in found


def test_sums_near_overflow_fall_on_both_sides():
    finite = np.concatenate([np.isfinite(result).ravel() for _, result in results("near_overflow")])
    assert 0.5 < finite.mean() < 1


def test_cancelling_sums_are_much_smaller_than_their_terms():
    for operands, result in results("cancelling", call=ConvCall((1, 4, 6, 6), (4, 4, 2, 2))):
        sizes = refconv.conv2d(**operands.map(np.abs).given)
        assert np.median(np.abs(result) / sizes) < 1e-2


def test_special_values_stay_out_of_the_weights_under_padding():
    padded = ConvCall((1, 2, 4, 4), (2, 2, 2, 2), padding=1)
    plain = ConvCall((1, 2, 4, 4), (2, 2, 2, 2))
    assert all(np.isfinite(operands.weight).all() for operands, _ in many("special_values", call=padded))
    assert any(not np.isfinite(operands.weight).all() for operands, _ in many("special_values", call=plain))
    inputs = np.concatenate([operands.input.ravel() for operands, _ in many("special_values", call=padded)])
    assert np.isnan(inputs).any()
    assert {np.inf, -np.inf} <= set(inputs)


# ---- Layouts ----


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_do_not_change_the_numbers(layout):
    for shape in ((2, 3, 4, 5), (3, 4, 5), (7,), (1, 1, 1, 1)):
        array = np.arange(math.prod(shape), dtype=np.float32).reshape(shape)
        np.testing.assert_array_equal(LAYOUTS[layout](array), array)


def traits(array):
    """What a layout can change of an array that holds the same numbers."""
    return array.strides, array.flags.aligned, array.flags.writeable


def test_layouts_differ():
    array = np.broadcast_to(np.arange(60, dtype=np.float32).reshape(3, 4, 5), (2, 3, 4, 5)).copy()
    laid_out = [layout(array) for layout in LAYOUTS.values()]
    assert len({traits(a) for a in [array, *laid_out]}) == len(LAYOUTS) + 1
    negative = {name for name, layout in LAYOUTS.items() if min(layout(array).strides) < 0}
    assert negative == NEEDS_NEGATIVE_STRIDES
    assert LAYOUTS["expanded"](array).strides[0] == 0


@pytest.mark.parametrize("layout", ["every_second_element", "middle_of_a_larger_array"])
def test_memory_between_the_elements_is_poisoned(layout):
    view = LAYOUTS[layout](np.ones((2, 2, 2, 2), np.float32))
    assert np.isnan(view.base).sum() == view.base.size - 16
    assert all(np.isnan(view.base.reshape(-1)[[0, -1]]))
    assert any(np.isnan([a, b]).any() for a, b in pairwise(view.base.reshape(-1)))
