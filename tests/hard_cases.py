"""Dot products that a wrong accumulator or a wrong rounding gets wrong.

Each kind generates cases for a pair of formats (operands, result), states the property of the exact terms that makes
them hard, and names the outcomes that its cases must show between them. Both are checked when the cases are used, so a
kind that had become harmless would fail the tests rather than pass them.
"""

import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product as cartesian

from oracle import FORMATS, UNIT_EXPONENT, Format, product, total


@dataclass(frozen=True)
class Pair:
    """Format of the operands and format of the result."""

    operand: Format
    result: Format

    def __str__(self):
        return f"{self.operand.name}-{self.result.name}"

    @property
    def low(self):
        """Exponent of the least power of two among the operands."""
        return 1 - self.operand.bias - self.operand.fraction_bits

    @property
    def high(self):
        """Exponent of the greatest power of two among the operands."""
        return self.operand.bias

    @property
    def last_bit(self):
        """The least nonzero product, in units: every sum is a multiple of it."""
        return 1 << (2 * self.low + UNIT_EXPONENT)

    @property
    def greatest(self):
        """A value, in units, that one product can still reach."""
        return 1 << (2 * self.high + UNIT_EXPONENT)

    @property
    def least_subnormal(self):
        return self.result.magnitude(1)

    @property
    def least_normal(self):
        return self.result.magnitude(1 << self.result.fraction_bits)

    @property
    def threshold(self):
        """The largest number plus half an ulp: the least value that rounds to infinity."""
        return (self.result.magnitude(self.result.largest) + self.result.magnitude(self.result.inf)) // 2

    def random_encoding(self, rng):
        """A finite result that sums can reach, along with values an eighth of an ulp away; all binades alike."""
        out = self.result
        binades = [
            first
            for first in range(0, out.inf, 1 << out.fraction_bits)
            if out.magnitude(first + 1) - out.magnitude(first) >= 8 * self.last_bit
            and 2 * out.magnitude(first) < self.greatest
        ]
        return rng.choice(binades) + rng.randrange(1 << out.fraction_bits)


PAIRS = [Pair(operand, result) for operand, result in cartesian(FORMATS.values(), repeat=2)]


# --- numbers, and products that add up to a wanted value ---


def scaled(fmt, significand, exponent):
    """Encoding of significand * 2**exponent, which must be a number of the format."""
    size = abs(significand)
    biased = max(exponent + size.bit_length() - 1 + fmt.bias, 1)
    shift = exponent - (biased - fmt.bias - fmt.fraction_bits)
    return (size << shift) + (biased - 1 << fmt.fraction_bits) | (fmt.sign_bit if significand < 0 else 0)


def any_finite(rng, fmt):
    return rng.randrange(2) * fmt.sign_bit | rng.randrange(fmt.inf)


def near(rng, fmt, exponent, spread):
    """A random number whose exponent differs from the given one by at most `spread`."""
    biased = min(max(exponent + rng.randint(-spread, spread), -fmt.bias), fmt.bias) + fmt.bias
    return rng.randrange(2) * fmt.sign_bit | biased << fmt.fraction_bits | rng.randrange(1 << fmt.fraction_bits)


def random_sign(rng, value):
    return rng.choice([-1, 1]) * value


def pieces(rng, pair, value):
    """Factors whose products add up to a value (in units) exactly; its binary digits are cut at random places."""
    factors, rest = [], abs(value)
    while rest:
        lowest = (rest & -rest).bit_length() - 1
        exponent = lowest - UNIT_EXPONENT
        width = min(rng.randint(1, pair.operand.fraction_bits + 1), 2 * pair.high - exponent + 1)
        assert 2 * pair.low <= exponent <= 2 * pair.high, f"{pair}: 2**{exponent} is out of reach"
        chunk = rest >> lowest & (1 << width) - 1
        rest -= chunk << lowest
        # chunk * 2**exponent is chunk * 2**split times 2**(exponent - split), both within the operands' range
        split = rng.randint(
            max(pair.low, exponent - pair.high), min(pair.high - chunk.bit_length() + 1, exponent - pair.low)
        )
        flip = rng.choice([-1, 1])
        sign = -flip if value < 0 else flip
        factors.append((scaled(pair.operand, sign * chunk, split), scaled(pair.operand, flip, exponent - split)))
    return factors


def cancelling(rng, pair, x, w):
    """Two factor pairs whose products are opposite."""
    flipped = [(x ^ pair.operand.sign_bit, w), (x, w ^ pair.operand.sign_bit)]
    return [(x, w), rng.choice(flipped)]


def noise(rng, pair, count):
    """Terms of any size that cancel two by two."""
    factors = []
    for _ in range(count):
        factors += cancelling(rng, pair, any_finite(rng, pair.operand), any_finite(rng, pair.operand))
    return factors


def shuffled(rng, factors):
    """The factor pairs in random order, each in random order, as two lists."""
    factors = [rng.choice([(x, w), (w, x)]) for x, w in factors]
    rng.shuffle(factors)
    return [x for x, _ in factors], [w for _, w in factors]


def hidden(rng, pair, *values):
    """A dot product equal to the sum of the values: each cut into pieces, all under cancelling noise."""
    factors = [piece for value in values for piece in pieces(rng, pair, value)]
    detour = random_sign(rng, pair.last_bit * rng.randint(1, 99) << rng.randrange(2 * (pair.high - pair.low) - 7))
    if rng.random() < 0.5:  # up and back, by other pieces
        factors += pieces(rng, pair, detour) + pieces(rng, pair, -detour)
    return shuffled(rng, factors + noise(rng, pair, rng.randint(0, 5)))


# --- generators ---


def random_bits(rng, pair):
    return shuffled(
        rng, [(any_finite(rng, pair.operand), any_finite(rng, pair.operand)) for _ in range(rng.randint(1, 40))]
    )


def balanced_exponents(rng, pair):
    """Factors of any size, the second about as large as the first is small: no product dominates all others."""
    factors = []
    for _ in range(rng.randint(2, 40)):
        x = any_finite(rng, pair.operand)
        exponent = (x % pair.operand.sign_bit >> pair.operand.fraction_bits) - pair.operand.bias
        factors.append((x, near(rng, pair.operand, -exponent, 9)))
    return shuffled(rng, factors)


def close_exponents(rng, pair):
    centre = rng.randint(-4, 4)
    return shuffled(
        rng, [(near(rng, pair.operand, centre, 3), near(rng, pair.operand, 0, 3)) for _ in range(rng.randint(2, 40))]
    )


def cancellation(rng, pair):
    """The largest terms cancel and leave a few of the lowest bits that a sum can have."""
    remainder = random_sign(rng, rng.randint(1, 2**16) * pair.last_bit)
    large = [near(rng, pair.operand, pair.high, 1) for _ in range(2)]
    return shuffled(
        rng, pieces(rng, pair, remainder) + cancelling(rng, pair, *large) + noise(rng, pair, rng.randint(0, 8))
    )


def midpoint(rng, pair):
    encoding = pair.random_encoding(rng)
    return (pair.result.magnitude(encoding) + pair.result.magnitude(encoding + 1)) // 2


def exact_tie(rng, pair):
    return hidden(rng, pair, random_sign(rng, midpoint(rng, pair)))


def near_tie(rng, pair):
    """The last bit that a sum can have decides: for float64 operands it is 2**-2148."""
    return hidden(rng, pair, random_sign(rng, midpoint(rng, pair)), random_sign(rng, pair.last_bit))


def subnormal(rng, pair):
    """A result below the least normal number: a tie, or next to one, or next to a number."""
    encoding = rng.randrange(1, 1 << pair.result.fraction_bits)
    value = pair.result.magnitude(encoding) + rng.choice([-1, 0, 1]) * pair.least_subnormal // 2
    return hidden(rng, pair, random_sign(rng, value), rng.choice([-1, 0, 1]) * pair.last_bit)


def overflow_threshold(rng, pair):
    """Exactly the least value that rounds to infinity, or one last bit to either side of it."""
    sign = random_sign(rng, 1)
    return hidden(rng, pair, sign * pair.threshold, rng.choice([-1, 0, 1]) * pair.last_bit)


def intermediate_overflow(rng, pair):
    """Terms beyond the result's range cancel and leave an ordinary number."""
    factors = pieces(rng, pair, random_sign(rng, midpoint(rng, pair)))
    for _ in range(rng.randint(1, 9)):
        large = [near(rng, pair.operand, pair.high, 1) for _ in range(2)]
        factors += cancelling(rng, pair, *large)
    largest = pair.operand.largest
    return shuffled(rng, factors + cancelling(rng, pair, largest, largest))


def special(rng, pair):
    """NaNs (quiet, signalling, of both signs) and infinities among ordinary numbers and zeros."""
    fmt = pair.operand
    nans = [fmt.nan | 1, fmt.nan | fmt.sign_bit, fmt.inf | 1, fmt.inf | 1 | fmt.sign_bit]
    infinities = [fmt.inf, fmt.inf | fmt.sign_bit]
    others = [0, fmt.sign_bit, fmt.largest, fmt.one, fmt.one | fmt.sign_bit, 1, fmt.sign_bit | 1]
    factors = [(near(rng, fmt, 0, 3), near(rng, fmt, 0, 3)) for _ in range(rng.randint(0, 8))]
    for _ in range(rng.choice([1, 1, 2])):
        rare = rng.choice([rng.choice(nans), *infinities, *infinities])
        factors.append((rare, rng.choice([*others, near(rng, fmt, 0, 3), *infinities])))
    return shuffled(rng, factors)


def exact_zero(rng, pair):
    """Terms that cancel to nothing, and products that are zeros of both signs."""
    zeros = [0, pair.operand.sign_bit]
    factors = noise(rng, pair, rng.randint(0, 8))
    for _ in range(rng.randint(1, 4)):
        factors.append((rng.choice(zeros), rng.choice([*zeros, any_finite(rng, pair.operand)])))
    return shuffled(rng, factors)


def underflow(rng, pair):
    """At most half of the least subnormal, but not zero: the zero it rounds to keeps the sign."""
    half = pair.least_subnormal // 2 // pair.last_bit
    steps = rng.choice([half, half - 1, rng.randint(1, half), 1])
    return hidden(rng, pair, random_sign(rng, steps * pair.last_bit))


# --- what makes a case hard, and what must come out ---


def outcomes(pair, value, encoding):
    """Words that describe how an exact value became an encoding."""
    out = pair.result
    if encoding == out.nan:
        return {"nan"}
    size = encoding % out.sign_bit
    words = {"negative" if encoding >= out.sign_bit else "positive"}
    words.add("inf" if size == out.inf else "zero" if size == 0 else "finite")
    if isinstance(value, int):
        rounded, exact = out.magnitude(size), abs(value)
        words.add("up" if rounded > exact else "down" if rounded < exact else "exact")
    return words


def finite(pair, terms):  # noqa: ARG001
    return all(isinstance(term, int) for term in terms)


def has_close_terms(pair, terms):  # noqa: ARG001
    sizes = [abs(term) for term in terms]
    return min(sizes) << 20 > max(sizes)


def loses_everything_in_naive_sums(pair, terms):
    return 0 < abs(sum(terms)) << pair.result.fraction_bits + 1 < max(terms)


def is_tie(pair, terms):
    return pair.result.is_tie(sum(terms))


def is_one_bit_from_tie(pair, terms):
    value = abs(sum(terms))
    return any(pair.result.is_tie(value + step) for step in (-pair.last_bit, pair.last_bit)) and not is_tie(pair, terms)


def is_subnormal(pair, terms):
    return 0 < abs(sum(terms)) < pair.least_normal


def is_at_threshold(pair, terms):
    return abs(abs(sum(terms)) - pair.threshold) <= pair.last_bit


def overflows_on_the_way(pair, terms):
    return abs(sum(terms)) < pair.threshold <= max(terms)


def has_specials(pair, terms):
    return not finite(pair, terms)


def is_zero(pair, terms):  # noqa: ARG001
    return sum(terms) == 0


def rounds_to_zero(pair, terms):
    return 0 < 2 * abs(sum(terms)) <= pair.least_subnormal


def everywhere(pair):  # noqa: ARG001
    return True


def below_least_subnormal(pair):
    return 4 * pair.last_bit <= pair.least_subnormal


def above_largest(pair):
    return pair.threshold < pair.greatest


@dataclass(frozen=True)
class Kind:
    generate: Callable
    holds: Callable
    outcomes: frozenset
    exists: Callable = everywhere


def kind(generate, holds, words, exists=everywhere):
    return Kind(generate, holds, frozenset(words.split()), exists)


KINDS = {
    "random_bits": kind(random_bits, finite, "positive negative"),
    "balanced_exponents": kind(balanced_exponents, finite, "positive negative finite"),
    "close_exponents": kind(close_exponents, has_close_terms, "positive negative finite"),
    "cancellation": kind(cancellation, loses_everything_in_naive_sums, "positive negative"),
    "exact_tie": kind(exact_tie, is_tie, "positive negative up down"),
    "near_tie": kind(near_tie, is_one_bit_from_tie, "positive negative up down"),
    "subnormal": kind(subnormal, is_subnormal, "positive negative up down exact", below_least_subnormal),
    "overflow_threshold": kind(overflow_threshold, is_at_threshold, "positive negative inf finite", above_largest),
    "intermediate_overflow": kind(
        intermediate_overflow, overflows_on_the_way, "positive negative up down", above_largest
    ),
    "special": kind(special, has_specials, "nan inf positive negative"),
    "exact_zero": kind(exact_zero, is_zero, "positive zero exact"),
    "underflow": kind(underflow, rounds_to_zero, "positive negative zero down", below_least_subnormal),
}

AVAILABLE = [(name, pair) for name, kind in KINDS.items() for pair in PAIRS if kind.exists(pair)]
"""Kinds with the format pairs in which such sums exist: float16 products never reach float64's subnormals."""


@dataclass(frozen=True)
class Case:
    """One dot product, as encodings, with its exact value."""

    xs: list
    ws: list
    value: int | str


def cases(name, pair, count):
    """The same cases on every run: `count` dot products of a kind, each checked to have the kind's property."""
    rng = random.Random(zlib.crc32(f"{name} {pair}".encode()))
    fmt, found = pair.operand, []
    for _ in range(count):
        xs, ws = KINDS[name].generate(rng, pair)
        terms = [product(fmt.value(x), fmt.value(w)) for x, w in zip(xs, ws, strict=True)]
        assert KINDS[name].holds(pair, terms), f"{name} {pair}: the generator missed its aim"
        found.append(Case(xs, ws, total(terms)))
    return found
