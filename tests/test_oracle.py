"""The oracle judges the package, so something else has to judge the oracle: Python's own correct roundings."""

import math
import random
import struct
from fractions import Fraction

import numpy as np
import oracle
import pytest
from oracle import FORMATS, ONE, units

ALL = pytest.mark.parametrize("fmt", FORMATS.values(), ids=FORMATS)


@pytest.mark.parametrize(
    ("name", "encoding", "number"),
    [
        ("float16", 0x3C00, 1),
        ("float16", 0x7BFF, 65504),
        ("float16", 0x0001, Fraction(1, 2**24)),
        ("float16", 0xC248, Fraction(-201, 64)),
        ("bfloat16", 0x3F80, 1),
        ("bfloat16", 0x0001, Fraction(1, 2**133)),
        ("bfloat16", 0x7F7F, 255 * 2**120),
        ("float32", 0x00000001, Fraction(1, 2**149)),
        ("float32", 0x007FFFFF, Fraction(2**23 - 1, 2**149)),
        ("float32", 0x00800000, Fraction(1, 2**126)),
        ("float64", 0x0000000000000001, Fraction(1, 2**1074)),
        ("float64", 0xC000000000000000, -2),
        ("float64", 0x7FEFFFFFFFFFFFFF, (2**53 - 1) * 2**971),
    ],
)
def test_encodings_have_the_values_of_the_standard(name, encoding, number):

    assert Fraction(FORMATS[name].value(encoding), ONE) == number


@pytest.mark.parametrize(("name", "code"), [("float16", "<e"), ("float32", "<f"), ("float64", "<d")])
def test_values_agree_with_the_struct_module_on_random_encodings(name, code):
    fmt, rng = FORMATS[name], random.Random(1)
    for _ in range(3000):
        encoding = rng.randrange(2**fmt.width)
        (number,) = struct.unpack(code, encoding.to_bytes(fmt.width // 8, "little"))
        if math.isfinite(number):
            assert fmt.value(encoding) == units(number)
        else:
            assert fmt.value(encoding) == {"nan": "nan", "inf": "+inf", "-inf": "-inf"}[str(number)]


@ALL
def test_every_kind_of_encoding_is_its_own_rounding(fmt):
    rng = random.Random(2)
    everything = range(fmt.inf) if fmt.width == 16 else [rng.randrange(fmt.inf) for _ in range(3000)]
    for encoding in everything:
        assert fmt.round(fmt.magnitude(encoding)) == encoding


def test_float64_rounding_agrees_with_python_division():
    """Python rounds the quotient of two integers correctly, subnormal results included."""
    rng, fmt = random.Random(3), FORMATS["float64"]
    for _ in range(3000):
        numerator = rng.getrandbits(rng.randrange(1, 130)) - rng.getrandbits(rng.randrange(1, 130))
        exponent = rng.choice([rng.randrange(1200), rng.randrange(1000, 1200)])
        expected = numerator / (1 << exponent)
        if expected or not numerator:
            assert fmt.round(units(Fraction(numerator, 1 << exponent))) == oracle.to_bits(np.float64(expected))[0]


@pytest.mark.parametrize("name", ["float16", "float32"])
def test_narrow_rounding_agrees_with_one_conversion_from_float64(name):
    rng, fmt = random.Random(4), FORMATS[name]
    with np.errstate(over="ignore", under="ignore"):
        for _ in range(3000):
            number = math.ldexp(rng.uniform(-2, 2), rng.randrange(-fmt.bias - 30, fmt.bias + 3))
            assert fmt.round(units(number)) == oracle.to_bits(np.float64(number).astype(fmt.dtype))[0]


@ALL
def test_midpoints_go_to_the_even_neighbour_and_anything_beyond_goes_beyond(fmt):
    rng = random.Random(5)
    for encoding in [0, 1, 2, fmt.largest - 1, fmt.largest, *(rng.randrange(fmt.inf) for _ in range(500))]:
        midpoint = (fmt.magnitude(encoding) + fmt.magnitude(encoding + 1)) // 2
        assert fmt.is_tie(midpoint)
        assert not fmt.is_tie(midpoint + 1)
        assert fmt.round(midpoint) == encoding + encoding % 2
        assert fmt.round(midpoint - 1) == encoding
        assert fmt.round(midpoint + 1) == encoding + 1
        assert fmt.round(-midpoint - 1) == fmt.sign_bit | (encoding + 1)


@pytest.mark.parametrize(
    ("name", "threshold"), [("float16", 65520), ("float32", 2**128 - 2**103), ("float64", 2**1024 - 2**970)]
)
def test_overflow_starts_exactly_half_an_ulp_above_the_largest_number(name, threshold):
    fmt = FORMATS[name]
    assert fmt.round(units(threshold)) == fmt.inf
    assert fmt.round(units(threshold) - 1) == fmt.largest
    assert fmt.round(-units(threshold)) == fmt.inf | fmt.sign_bit


def test_special_values_follow_the_rules_of_real_arithmetic():
    nan, plus, minus = "nan", "+inf", "-inf"
    assert oracle.product(plus, 0) == nan
    assert oracle.product(plus, -3) == minus
    assert oracle.product(minus, minus) == plus
    assert oracle.product(nan, 0) == nan
    assert oracle.total([plus, minus]) == nan
    assert oracle.total([plus, 5, plus]) == plus
    assert oracle.total([minus, nan]) == nan


def test_conv2d_by_definition_reproduces_a_sum_done_by_hand():
    """One row 1 2 3, kernel 10 100, padding 1 on the left only, stride 2: (0*10 + 1*100), (2*10 + 3*100)."""
    x = np.array([1, 2, 3], dtype=np.float32).reshape(1, 1, 1, 3)
    w = np.array([10, 100], dtype=np.float32).reshape(1, 1, 1, 2)
    assert oracle.conv2d(x, w, stride=(1, 2), padding=((0, 0), (1, 0))).ravel().tolist() == [100, 320]
