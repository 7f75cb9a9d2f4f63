"""An independent answer to "what is the correctly rounded result?", in plain integers.

It shares no code and no idea with the package: values are Python integers counted in units of 2**-2148 (the least
nonzero product of two float64 numbers), so every sum of products is exact; rounding is a bisection over the encodings
of the output format, where the package shifts bits. Slow, short, and easy to check by hand.
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import ml_dtypes
import numpy as np

UNIT_EXPONENT = 2148
"""Values are integers times 2**-UNIT_EXPONENT."""

ONE = 1 << UNIT_EXPONENT
NAN = "nan"


@dataclass(frozen=True)
class Format:
    """A binary interchange format: one sign bit, then the exponent field, then the fraction field."""

    name: str
    exponent_bits: int
    fraction_bits: int

    @property
    def width(self):
        return 1 + self.exponent_bits + self.fraction_bits

    @cached_property
    def sign_bit(self):
        return 1 << (self.width - 1)

    @cached_property
    def inf(self):
        """Encoding of +infinity: exponent field all ones, fraction zero."""
        return ((1 << self.exponent_bits) - 1) << self.fraction_bits

    @cached_property
    def nan(self):
        """Encoding of the positive quiet NaN, the only NaN the package may return."""
        return self.inf | 1 << (self.fraction_bits - 1)

    @cached_property
    def largest(self):
        """Encoding of the largest finite number."""
        return self.inf - 1

    @cached_property
    def one(self):
        return self.bias << self.fraction_bits

    @cached_property
    def bias(self):
        return (1 << (self.exponent_bits - 1)) - 1

    @cached_property
    def dtype(self):
        return np.dtype(ml_dtypes.bfloat16 if self.name == "bfloat16" else self.name)

    @cached_property
    def bits_dtype(self):
        return np.dtype(f"u{self.width // 8}")

    def magnitude(self, encoding):
        """Value in units of the encoding without its sign bit; +inf's encoding gives what would follow the largest."""
        field, fraction = encoding >> self.fraction_bits, encoding & ((1 << self.fraction_bits) - 1)
        significand = fraction + (1 << self.fraction_bits if field else 0)
        exponent = max(field, 1) - self.bias - self.fraction_bits
        return significand << (exponent + UNIT_EXPONENT)

    def value(self, encoding):
        """What an encoding stands for: an integer in units, ``"nan"``, or ``"+inf"`` or ``"-inf"``."""
        sign, rest = divmod(encoding, self.sign_bit)
        if rest > self.inf:
            return NAN
        if rest == self.inf:
            return "-inf" if sign else "+inf"
        return -self.magnitude(rest) if sign else self.magnitude(rest)

    def bracket(self, magnitude):
        """The encodings just below (or at) and just above a positive value."""
        low, high = 0, self.inf
        if magnitude >= self.magnitude(self.inf):
            return self.inf, self.inf
        while high - low > 1:
            middle = (low + high) // 2
            if self.magnitude(middle) <= magnitude:
                low = middle
            else:
                high = middle
        return low, high

    def is_tie(self, value):
        """Whether the value lies exactly between two neighbouring encodings (infinity being one beyond the largest)."""
        low, high = self.bracket(abs(value))
        return low != high and 2 * abs(value) == self.magnitude(low) + self.magnitude(high)

    def round(self, value):
        """Encoding of an exact value rounded to nearest, ties to even; exact zero is +0."""
        low, high = self.bracket(abs(value))
        excess = 2 * abs(value) - self.magnitude(low) - self.magnitude(high)
        nearest = high if excess > 0 or (excess == 0 and high % 2 == 0) else low
        return nearest | (self.sign_bit if value < 0 else 0)


FORMATS = {
    "float16": Format("float16", 5, 10),
    "bfloat16": Format("bfloat16", 8, 7),
    "float32": Format("float32", 8, 23),
    "float64": Format("float64", 11, 52),
}


def units(number):
    """An exactly given number (int, Fraction or Python float) in units."""
    scaled = Fraction(number) * ONE
    assert scaled.denominator == 1, f"{number} is not a multiple of 2**-{UNIT_EXPONENT}"
    return scaled.numerator


def to_bits(array):
    """The encodings of a NumPy array, as Python integers in C order."""
    array = np.asarray(array)
    return np.ascontiguousarray(array).view(format_of(array).bits_dtype).ravel().tolist()


def from_bits(encodings, fmt, shape=-1):
    return np.array(encodings, dtype=fmt.bits_dtype).view(fmt.dtype).reshape(shape)


def format_of(array):
    return FORMATS[array.dtype.name]


def same_bits(first, second):
    """Whether two arrays agree in dtype, shape and every bit, so that -0 is not +0 and a NaN equals itself."""
    return first.dtype == second.dtype and first.shape == second.shape and to_bits(first) == to_bits(second)


def product(a, b):
    """Exact product of two values: units in, units out."""
    if NAN in (a, b):
        return NAN
    if isinstance(a, int) and isinstance(b, int):
        return a * b >> UNIT_EXPONENT  # exact: each factor is a multiple of 2**-1074
    if a == 0 or b == 0:
        return NAN
    return "-inf" if is_negative(a) != is_negative(b) else "+inf"


def is_negative(value):
    return value == "-inf" if isinstance(value, str) else value < 0


def total(terms):
    """Exact sum of terms, with the definition's rules for NaN and the infinities."""
    infinities = {term for term in terms if isinstance(term, str)}
    if NAN in infinities or len(infinities) == 2:
        return NAN
    if infinities:
        return infinities.pop()
    return sum(terms)


def encode(value, fmt):
    """The one encoding of the output format that the definition allows for an exact value."""
    if value == NAN:
        return fmt.nan
    if isinstance(value, str):
        return fmt.inf | (fmt.sign_bit if value == "-inf" else 0)
    return fmt.round(value)


def exact_sum(xs, ws, fmt):
    """Exact value of a dot product of encodings."""
    return total([product(fmt.value(x), fmt.value(w)) for x, w in zip(xs, ws, strict=True)])


def dot(xs, ws, fmt, out=None):
    """Encoding of the correctly rounded dot product of two lists of encodings."""
    return encode(exact_sum(xs, ws, fmt), out or fmt)


def window_starts(size, before, after, reach, stride):
    """Where windows start, in input coordinates, so that each lies within the padded input.

    Written as an enumeration on purpose: no output-size formula to share a mistake with.
    """
    starts, start = [], -before
    while start + reach <= size + after:
        starts.append(start)
        start += stride
    return starts


def conv2d(x, w, b=None, stride=(1, 1), padding=((0, 0), (0, 0)), dilation=(1, 1), groups=1, out=None):
    """conv2d by its definition, for small NumPy arrays: every output element is one exact sum, rounded once.

    Only taps inside the input are terms. `padding` is ((top, bottom), (left, right)); `out` is a Format.
    """
    fmt = format_of(x)
    out = out or fmt
    batch, channels, height, width = x.shape
    filters, group_channels, kernel_height, kernel_width = w.shape
    assert channels == group_channels * groups
    assert filters % groups == 0
    xs = np.array([fmt.value(e) for e in to_bits(x)], dtype=object).reshape(x.shape)
    ws = np.array([fmt.value(e) for e in to_bits(w)], dtype=object).reshape(w.shape)
    bs = [[]] * filters if b is None else [[fmt.value(e)] for e in to_bits(b)]
    rows = window_starts(height, *padding[0], dilation[0] * (kernel_height - 1) + 1, stride[0])
    cols = window_starts(width, *padding[1], dilation[1] * (kernel_width - 1) + 1, stride[1])
    encodings = []
    for n in range(batch):
        for k in range(filters):
            first_channel = k // (filters // groups) * group_channels
            for top in rows:
                for left in cols:
                    terms = list(bs[k])
                    for c in range(group_channels):
                        for r in range(kernel_height):
                            for s in range(kernel_width):
                                row, col = top + r * dilation[0], left + s * dilation[1]
                                if 0 <= row < height and 0 <= col < width:
                                    terms.append(product(xs[n, first_channel + c, row, col], ws[k, c, r, s]))
                    encodings.append(encode(total(terms), out))
    return from_bits(encodings, out, (batch, filters, len(rows), len(cols)))
