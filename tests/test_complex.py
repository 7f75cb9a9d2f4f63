"""Convolutions of complex numbers: real and imaginary part each correctly rounded."""

import re

import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import FORMATS, from_bits, same_bits, to_bits
from problems import any_bits, integers, problems, seeds

import refconv
import refconv.grad

ALGORITHMS = ["auto", "direct"]
PARTS = {"complex64": FORMATS["float32"], "complex128": FORMATS["float64"]}
every_algorithm = pytest.mark.parametrize("algorithm", ALGORITHMS)
every_dtype = pytest.mark.parametrize("dtype", PARTS)


def complex_array(real, imaginary):
    """From its parts, without arithmetic."""
    array = np.empty(real.shape, np.result_type(real.dtype, np.complex64))
    array.real, array.imag = real, imaginary
    return array


def complex_fill(seed, dtype, rare):
    real, imaginary = (any_bits(seed + i, PARTS[dtype], rare) for i in range(2))
    return lambda shape: complex_array(real(shape), imaginary(shape))


def same_parts(first, second):
    return same_bits(first.real, second.real) and same_bits(first.imag, second.imag)


def definition(x, w, b, stride, padding, dilation, groups, out):
    """Every part of every element as one exact sum of real products, from values in the oracle's units."""
    fmt = oracle.format_of(x.real)

    def values(array):
        return np.array([fmt.value(e) for e in to_bits(array)], object).reshape(array.shape)

    xr, xi, wr, wi = values(x.real), values(x.imag), values(w.real), values(w.imag)
    minus_wi = values(-w.imag)
    rows, columns = (
        oracle.window_starts(x.shape[2 + a], *padding[a], dilation[a] * (w.shape[2 + a] - 1) + 1, stride[a])
        for a in range(2)
    )
    parts = [], []
    for n, k, top, left in np.ndindex(len(x), len(w), len(rows), len(columns)):
        real, imaginary = [], []
        if b is not None:
            real, imaginary = [fmt.value(to_bits(b.real)[k])], [fmt.value(to_bits(b.imag)[k])]
        for c, r, s in np.ndindex(w.shape[1:]):
            row, column = rows[top] + r * dilation[0], columns[left] + s * dilation[1]
            if 0 <= row < x.shape[2] and 0 <= column < x.shape[3]:
                at, tap = (n, k // (len(w) // groups) * w.shape[1] + c, row, column), (k, c, r, s)
                real += [oracle.product(wr[tap], xr[at]), oracle.product(minus_wi[tap], xi[at])]
                imaginary += [oracle.product(wi[tap], xr[at]), oracle.product(wr[tap], xi[at])]
        for encodings, terms in zip(parts, (real, imaginary), strict=True):
            encodings.append(oracle.encode(oracle.total(terms), out))
    shape = len(x), len(w), len(rows), len(columns)
    return complex_array(*(from_bits(encodings, out, shape) for encodings in parts))


@every_algorithm
@every_dtype
def test_nothing_is_conjugated(dtype, algorithm):
    x, w = np.array([[[[1 + 2j, 3j]]]], dtype), np.array([[[[5 - 1j]]]], dtype)
    y = refconv.conv2d(x, w, np.array([100j], dtype), algorithm=algorithm)
    assert y.dtype == dtype
    assert y.tolist() == [[[[7 + 109j, 3 + 115j]]]]


@every_algorithm
def test_both_parts_are_correct_where_their_product_by_three_multiplications_is_not(algorithm):
    x = np.full((1, 1, 1, 1), 1e8 + 1j, np.complex64)
    assert refconv.conv2d(x, x, algorithm=algorithm).item() == np.float32(1e16 - 1) + 2e8j


@every_algorithm
def test_a_sum_that_cancels_is_plus_zero(algorithm):
    x, w = np.array([[[[1 + 1j]]]]), np.array([[[[-1 - 1j]]]])
    assert str(refconv.conv2d(x, w, np.array([2j]), algorithm=algorithm).item()) == "0j"


@every_algorithm
@every_dtype
@pytest.mark.parametrize(
    ("x", "w", "real", "imaginary"),
    [
        (complex(np.inf, 1), complex(2, 3), np.inf, np.inf),
        (complex(np.inf, 1), complex(2, 0), np.inf, np.nan),  # infinity * 0 is in the imaginary part only
        (complex(np.inf, np.inf), complex(1, 1), np.nan, np.inf),
        (complex(np.nan, 0), complex(1, 0), np.nan, np.nan),
        (complex(1, 2), complex(-np.inf, 1), -np.inf, -np.inf),
    ],
)
def test_infinities_follow_the_rules_of_real_numbers(x, w, real, imaginary, dtype, algorithm):
    y = refconv.conv2d(np.full((1, 1, 1, 1), x, dtype), np.full((1, 1, 1, 1), w, dtype), algorithm=algorithm)
    np.testing.assert_array_equal([y.real.item(), y.imag.item()], [real, imaginary])


@pytest.mark.parametrize("result", PARTS)
@every_dtype
@settings(max_examples=60, deadline=None)
@given(problem=problems(), seed=seeds, rare=st.sampled_from([0, 0.02, 0.3]), algorithm=st.sampled_from(ALGORITHMS))
def test_every_geometry_gives_the_bits_of_the_definition(dtype, result, problem, seed, rare, algorithm):
    x, w, b = problem.arrays(complex_fill(seed, dtype, rare))
    expected = definition(x, w, b, **problem.arguments, out=PARTS[result])
    assert same_parts(refconv.conv2d(x, w, b, **problem.arguments, dtype=result, algorithm=algorithm), expected)


def test_layers_of_many_channels_agree_with_the_definition():
    fill = complex_fill(1, "complex64", 0.01)
    x, w, b = fill((2, 18, 13, 12)), fill((22, 9, 3, 3)), fill((22,))
    arguments = {"groups": 2, "padding": 1, "stride": (1, 2)}
    expected = refconv.conv2d(x, w, b, **arguments, algorithm="direct")
    for threads in (1, 3):
        assert same_parts(refconv.conv2d(x, w, b, **arguments, threads=threads), expected)


@every_algorithm
def test_the_layout_of_operands_does_not_matter(algorithm):
    fill = complex_fill(1, "complex64", 0)
    x, w, b = fill((2, 4, 6, 5)), fill((6, 2, 3, 2)), fill((6,))
    expected = refconv.conv2d(x, w, b, groups=2, algorithm=algorithm)
    turned = [a.T.copy().T for a in (x, w, b)]
    backwards = [np.flip(np.flip(a).copy()) for a in (x, w, b)]
    foreign = [a.astype(">c8") for a in (x, w, b)]
    for same in (turned, backwards, foreign):
        assert same_parts(refconv.conv2d(*same, groups=2, algorithm=algorithm), expected)
    assert same_parts(refconv.conv2d(x[1], w, b, groups=2, algorithm=algorithm), expected[1])


@every_algorithm
def test_an_empty_batch_and_no_channels(algorithm):
    x, w, b = np.ones((0, 2, 3, 3), complex), np.ones((4, 2, 2, 2), complex), np.arange(4) * (1 + 2j)
    assert refconv.conv2d(x, w, b, algorithm=algorithm).shape == (0, 4, 2, 2)
    y = refconv.conv2d(np.ones((1, 0, 2, 2), complex), np.ones((4, 0, 2, 2), complex), b, algorithm=algorithm)
    assert (y.ravel() == b).all()


def by_parts(function, a, b):
    """A function that is linear in both operands, of complex numbers, by way of real ones."""
    real = function(a.real, b.real) - function(a.imag, b.imag)
    return real + 1j * (function(a.real, b.imag) + function(a.imag, b.real))


@every_algorithm
@pytest.mark.parametrize("n", [1, 2, 3])
def test_the_whole_family_takes_complex_numbers(n, algorithm):
    """On small integers, whose sums are exact in any order."""
    options = {"stride": 2, "groups": 2, "algorithm": algorithm}
    x, w, g = (
        complex_array(integers(seed, "float64")(shape), integers(seed + 9, "float64")(shape))
        for seed, shape in enumerate([(2, 4, 6, 4, 5)[: n + 2], (6, 2, 2, 2, 3)[: n + 2], (2, 6, 3, 2, 2)[: n + 2]])
    )
    functions = {name: getattr(refconv, f"{name}{n}d") for name in ("conv", "conv_transpose")}
    gradients = {name: getattr(refconv.grad, f"conv{n}d_{name}") for name in ("input", "weight", "bias")}
    calls = [
        (lambda a, b: functions["conv"](a, b, **options), x, w),
        (lambda a, b: functions["conv_transpose"](a, b, **options), g, w),
        (lambda a, b: gradients["input"](x.shape, a, b, **options), w, g),
        (lambda a, b: gradients["weight"](a, w.shape, b, **options), x, g),
    ]
    for function, *operands in calls:
        assert (function(*operands) == by_parts(function, *operands)).all()
    assert (gradients["bias"](g, algorithm=algorithm) == g.sum(axis=(0, *range(2, n + 2)))).all()


def test_the_dot_product_of_complex_numbers_is_exact_too():
    assert refconv.exact_dot([1e300 + 1j, 1.0, -1e300], [1e300, 1j, 1e300]) == complex(0, 1e300)


# ---------------------------------------------------------------------------------------------------------------------
# Dtypes
# ---------------------------------------------------------------------------------------------------------------------


@every_algorithm
def test_both_complex_dtypes_are_combined_exactly_if_one_is_asked_for(algorithm):
    narrow, wide = complex_fill(1, "complex64", 0.1), complex_fill(5, "complex128", 0.1)
    x, w, b = narrow((1, 3, 4, 4)), wide((2, 3, 2, 2)), narrow((2,))
    with pytest.raises(refconv.ConvError, match="input complex64, weight complex128, bias complex64"):
        refconv.conv2d(x, w, b)
    widened = refconv.conv2d(x.astype(complex), w, b.astype(complex), dtype="complex64", algorithm=algorithm)
    assert same_parts(refconv.conv2d(x, w, b, dtype="complex64", algorithm=algorithm), widened)


@pytest.mark.parametrize("dtype", [None, "complex128"])
def test_complex_and_real_numbers_do_not_go_together(dtype):
    x = np.ones((1, 1, 1, 1))
    with pytest.raises(refconv.ConvError, match=r"must share one dtype, but got input float64, weight complex128$"):
        refconv.conv2d(x, x.astype(complex), dtype=dtype)


@pytest.mark.parametrize("dtype", ["float64", "int64", "complex256"])
def test_results_of_complex_numbers_are_complex(dtype):
    x = np.ones((1, 1, 1, 1), complex)
    with pytest.raises(
        TypeError, match="must be complex64 or complex128 for complex operands, not " + re.escape(repr(dtype))
    ):
        refconv.conv2d(x, x, dtype=dtype)
