"""Numbers for the operands of a convolution, by recipe and seed.

Drawing large arrays element by element would take Hypothesis longer than the convolutions that are tested, and
shrinking them longer still. So a test case is a recipe's name, a seed and a limit on the size of integers, from which
NumPy's generator makes the arrays.

Two kinds of recipe:

EXACT   Integers (times a power of two) small enough that every product and every partial sum, in any order, is a
        number of the format. Nothing is rounded, so every direct implementation must return the same, exact, result.
        `refconv.testing.exactness` has the certificate.
ROUNDED Real numbers of various kinds. Results depend on the order of summation, and are judged by a bound.
"""

import math

import numpy as np

from refconv.dtypes import kind_of, named_dtype
from refconv.testing.calls import ConvCall, Operands
from refconv.testing.exactness import largest_operand, precision_of_sums
from refconv.testing.formats import Format, format_of

__all__ = ["EXACT", "RECIPES", "ROUNDED", "build_operands"]


def build_operands(recipe: str, call: ConvCall, dtype: object, seed: int, bits: int = 53) -> Operands:
    """Make the arrays of a call.

    Parameters
    ----------
    recipe : str
        A key of `RECIPES`.
    call : ConvCall
        A right one.
    dtype : dtype
        Of the operands. Only the exact recipes know others than the four formats of `refconv.testing.formats`.
    seed : int
        Same arguments, same arrays.
    bits : int, optional
        Integers stay below 2**bits. Exact recipes only.

    Returns
    -------
    Operands

    Examples
    --------
    >>> call = ConvCall(input_shape=(1, 1, 1, 4), weight_shape=(1, 1, 1, 2))
    >>> build_operands("small_integers", call, "float32", seed=1, bits=2).input
    array([[[[ 2.,  3., -3., -2.]]]], dtype=float32)
    """
    rng = np.random.default_rng(seed)
    return RECIPES[recipe](_Maker(rng, call, named_dtype(dtype), bits))


class _Maker:
    """The things that recipes make arrays of.

    A result is a sum of products x * w, whatever the two arrays are called in the function at hand. Here w is seen as a
    table of kernels: a row for every channel of the result, holding all the numbers that its sums run over.
    """

    def __init__(self, rng: np.random.Generator, call: ConvCall, dtype: np.dtype, bits: int):
        self.rng = rng
        self.call = call
        self.dtype = dtype
        self.precision = precision_of_sums(dtype)
        self.largest_operand = largest_operand(dtype)
        x, w = call.factors
        self.x_shape = call.shapes[x] if x else (1,)
        self.w_shape = call.shapes[w]
        self.kernel_count = self._kernel_count()
        self.terms = max(1, math.prod(self.w_shape) // max(self.kernel_count, 1))
        self.largest_bias = self.below(2 ** (self.precision - 2), bits)
        self.bits = bits
        # The sum of the products has to stay below this, which is 2**p less the bias. A product of complex numbers is
        # two of real ones.
        self.budget = (2**self.precision - 1 - self.largest_bias) // (2 if kind_of(dtype) == "complex" else 1)

    @property
    def format(self) -> Format:
        """Of floating-point operands."""
        return format_of(self.dtype)

    def below(self, limit: int, bits: int) -> int:
        return max(1, min(limit, 2**bits - 1, self.largest_operand))

    def integers(self, shape: tuple[int, ...], limit: int) -> np.ndarray:
        """Whole numbers of either sign; for complex operands the real and the imaginary part."""
        least = 0 if self.dtype.kind == "u" else -limit
        if self.dtype.kind == "c":
            return self._real_integers(shape, least, limit) + 1j * self._real_integers(shape, least, limit)
        return self._real_integers(shape, least, limit)

    def _real_integers(self, shape, least, limit):
        return self.rng.integers(least, limit, shape, endpoint=True).astype(np.float64)

    def signs(self, shape: tuple[int, ...]) -> np.ndarray:
        return self.rng.choice([1.0 if self.dtype.kind == "u" else -1.0, 1.0], shape)

    def normal(self, shape: tuple[int, ...], scale: float = 1.0) -> np.ndarray:
        return scale * self.rng.standard_normal(shape)

    def bias(self, make) -> np.ndarray | None:
        return None if self.call.bias_shape is None else make(self.call.bias_shape)

    def integer_bias(self) -> np.ndarray | None:
        return self.bias(lambda shape: self.integers(shape, self.largest_bias))

    def sparse(self, w: np.ndarray, kept: int) -> np.ndarray:
        """Set all but some numbers of every kernel to zero."""
        if kept >= self.terms or not w.size:
            return w
        rank = self.rng.permuted(np.tile(np.arange(self.terms), (self.kernel_count, 1)), axis=1)
        return np.where(self.as_w(rank) < kept, w, 0.0)

    def _kernel_count(self) -> int:
        if self.call.kind == "forward":
            return self.w_shape[0]
        # weight has the summed channels on its first axis, in groups; grad_output the channels of the result on its
        # second.
        return self.w_shape[1] * (self.call.groups if self.call.factors[1] == "weight" else 1)

    def as_w(self, kernels: np.ndarray) -> np.ndarray:
        """Return a table of kernels in the shape of w."""
        if self.call.kind == "forward":
            return kernels.reshape(self.w_shape)
        first, second, *size = self.w_shape
        if self.call.factors[1] == "grad_output":
            return kernels.reshape(second, first, *size).swapaxes(0, 1)
        groups = self.call.groups
        return kernels.reshape(groups, second, first // groups, *size).swapaxes(1, 2).reshape(self.w_shape)

    def finish(self, x, w, bias) -> Operands:
        names = (*self.call.factors, "bias")
        arrays = {name: a for name, a in zip(names, (x, w, bias), strict=True) if name and a is not None}
        return Operands(**{name: a.astype(self.dtype) for name, a in arrays.items()})


# ---- Exact ----
# With at most `kept` nonzero weights in a kernel, |w| and |x| bounded by W and X, and |b| by B, every partial sum is at
# most kept W X + B, and that is to stay within 2**p.


def small_integers(make: _Maker) -> Operands:
    """Integers of about the same size in input and weight."""
    kept = min(make.terms, 2 ** (make.precision // 2))
    limit = make.below(int((make.budget // kept) ** 0.5), make.bits)
    weight = make.sparse(make.integers(make.w_shape, limit), kept)
    return make.finish(make.integers(make.x_shape, limit), weight, make.integer_bias())


def wide_by_ternary(make: _Maker) -> Operands:
    """Integers of nearly the format's precision on one side, -1, 0 and 1 on the other.

    The wide ones have too many bits for an implementation that casts its operands to a narrower format.
    """
    kept = min(make.terms, 2 ** (make.precision // 2))
    limits = [make.below(make.budget // kept, make.bits), 1]
    make.rng.shuffle(limits)
    weight = make.sparse(make.integers(make.w_shape, limits[0]), kept)
    return make.finish(make.integers(make.x_shape, limits[1]), weight, make.integer_bias())


def one_hot(make: _Maker) -> Operands:
    """A single 1 or -1 in every kernel, or in x, and wide integers on the other side.

    Every output is one number of the other operand: which one shows where a wrong implementation looked.
    """
    limit = make.below(make.budget, make.bits)
    if make.call.factors[0] is None:
        return make.finish(None, make.sparse(make.integers(make.w_shape, limit), 1), None)
    if make.rng.random() < 0.5:
        ones = make.signs(make.w_shape)
        return make.finish(make.integers(make.x_shape, limit), make.sparse(ones, 1), make.integer_bias())
    impulse = np.zeros(make.x_shape)
    if impulse.size:
        impulse.flat[make.rng.integers(impulse.size)] = make.signs(())
    return make.finish(impulse, make.integers(make.w_shape, limit), make.integer_bias())


def subnormal_integers(make: _Maker) -> Operands:
    """Small integers times powers of two, so that all sums are multiples of the least subnormal number.

    Everything is still exact, unless subnormal numbers are flushed to zero.
    """
    operands = small_integers(make)
    # The unit is split between x and w, from "all in x" to "all in w" (subnormal operands) by way of half in each
    # (subnormal sums).
    unit = make.format.least_exponent
    x, w = make.call.factors
    in_w = int(make.rng.integers(unit, 0, endpoint=True)) if x else unit
    scales = {x: unit - in_w, w: in_w, "bias": unit}
    return Operands(
        **{
            name: np.ldexp(array.astype(np.float64), scales[name]).astype(make.dtype)
            for name, array in operands.given.items()
        }
    )


# ---- Rounded ----


def normal(make: _Maker) -> Operands:
    """Normal deviates, the weights scaled so that results are about 1."""
    weight = make.normal(make.w_shape, make.terms**-0.5)
    return make.finish(make.normal(make.x_shape), weight, make.bias(make.normal))


def positive(make: _Maker) -> Operands:
    """All terms of one sign: sums grow, and the small terms at the end are rounded most."""

    def uniform(shape):
        return make.rng.uniform(0.5, 1.5, shape)

    return make.finish(uniform(make.x_shape), uniform(make.w_shape), make.bias(uniform))


def equal_sizes(make: _Maker) -> Operands:
    """Terms of one size and random signs: partial sums wander, and no term is lost against another."""

    def signs(shape):
        return 0.1 * make.rng.choice([-1.0, 1.0], shape)

    return make.finish(signs(make.x_shape), signs(make.w_shape), make.bias(signs))


def constant(make: _Maker) -> Operands:
    """The same term again and again: it is rounded the same way every time, so that errors do not cancel."""
    x, w = make.rng.uniform(0.05, 0.2, 2)
    shapes = make.x_shape, make.w_shape
    return make.finish(np.full(shapes[0], x), np.full(shapes[1], w), make.bias(lambda shape: np.full(shape, x)))


def ties(make: _Maker) -> Operands:
    """Integers of the format's full precision, so that sums of two lie in the middle between two numbers half the time.

    For each kernel all weights but two are zero, and these are 1 or -1.
    """
    limit = 2**make.format.precision - 1
    weight = make.sparse(make.rng.choice([-1.0, 1.0], make.w_shape), 2)
    return make.finish(make.integers(make.x_shape, limit), weight, make.integer_bias())


def wide_exponents(make: _Maker) -> Operands:
    """Magnitudes from all over the format, though not so far apart that products overflow."""
    # None at all, for float16 sums of thousands of terms.
    reach = max(0.0, make.format.emax / 2 - np.log2(make.terms + 1) / 2 - 3)

    def spread(shape):
        return make.normal(shape) * 2.0 ** make.rng.uniform(-reach, reach, shape)

    return make.finish(spread(make.x_shape), spread(make.w_shape), make.bias(spread))


def cancelling(make: _Maker) -> Operands:
    """Terms that nearly cancel: weights in pairs of opposite sign over a nearly constant input."""
    if not math.prod(make.w_shape):
        return normal(make)
    pairs = make.normal((make.kernel_count, (make.terms + 1) // 2))
    weight = np.concatenate([pairs, -pairs], axis=1)[:, : make.terms]
    weight = make.as_w(make.rng.permuted(weight, axis=1))
    input = 1.0 + make.normal(make.x_shape, 2.0 ** (-make.format.precision // 2))
    return make.finish(input, weight, make.bias(make.normal))


def near_overflow(make: _Maker) -> Operands:
    """Sums near the largest number, on either side of it: how near varies from case to case."""
    scale = 2.0 ** ((make.format.emax - np.log2(make.terms + 1) / 2) / 2 - make.rng.uniform(0.0, 3.0))

    def large(shape):
        return make.normal(shape, scale)

    return make.finish(large(make.x_shape), large(make.w_shape), make.bias(large))


def overflowing(make: _Maker) -> Operands:
    """Terms of one sign, whose sums are whole numbers of one unit, on either side of the largest number.

    No partial sum is rounded, in any order, unless it is beyond the largest number; then so is the sum.
    """
    sign = make.rng.choice([-1.0, 1.0])
    kept = min(make.terms, 2 ** (make.precision // 2))
    limit = make.below(int((make.budget // kept) ** 0.5), make.bits)
    x = np.abs(make.integers(make.x_shape, limit))
    w = make.sparse(np.abs(make.integers(make.w_shape, limit)), kept)
    # Sums of average size become about the largest number.
    typical = max(1.0, x.sum() / max(1, x.size) * w.sum() / max(1, make.kernel_count))
    unit = make.format.emax + 1 - int(np.ceil(np.log2(typical))) + int(make.rng.integers(-1, 1, endpoint=True))
    unit = min(unit, make.format.emax)
    in_w = unit // 2
    largest_bias = min(make.largest_bias, 2 ** (make.format.emax - unit))
    bias = make.bias(lambda shape: sign * np.ldexp(np.abs(make.integers(shape, largest_bias)), unit))
    return make.finish(np.ldexp(x, unit - in_w), sign * np.ldexp(w, in_w), bias)


def underflowing(make: _Maker) -> Operands:
    """Products of the size of the least subnormal number, most of which are rounded."""
    scale = 2.0 ** (make.format.least_exponent / 2 + 1)

    def small(shape):
        return make.normal(shape, scale)

    def small_bias(shape):
        return make.normal(shape, scale**2)

    return make.finish(small(make.x_shape), small(make.w_shape), make.bias(small_bias))


def special_values(make: _Maker) -> Operands:
    """Small integers with a few NaNs, infinities and negative zeros among them.

    In w only if nothing is padded, and never for transposed convolutions and gradients: whether a zero of the padding,
    or one put between numbers, is multiplied with an infinite weight is not agreed upon.
    """
    operands = small_integers(make)
    _, w = make.call.factors
    agreed = make.call.kind == "by bias" or (make.call.kind == "forward" and not make.call.pads)
    for name, array in operands.given.items():
        if name == w and not agreed:
            continue
        chosen = make.rng.random(array.shape) < min(0.2, 2.0 / max(array.size, 1))
        values = make.rng.choice([np.nan, np.inf, -np.inf, np.inf, -np.inf, -0.0], array.shape)
        array[chosen] = values[chosen].astype(array.dtype)
    return operands


def signed_zeros(make: _Maker) -> Operands:
    """Zeros with a 1 or -1 here and there, so that most sums are zero: of terms that are all -0, or of either sign."""

    def mostly_zeros(shape, sign):
        return np.copysign(make.rng.random(shape) < 0.2, sign or make.signs(shape))

    of_x, of_w, of_bias = (0, 0, 0) if make.rng.random() < 0.5 else (*make.rng.permutation([-1.0, 1.0]), -1.0)
    weight = make.sparse(mostly_zeros(make.w_shape, of_w), 2 ** (make.precision // 2))
    return make.finish(mostly_zeros(make.x_shape, of_x), weight, make.bias(lambda shape: mostly_zeros(shape, of_bias)))


EXACT = {recipe.__name__: recipe for recipe in (small_integers, wide_by_ternary, one_hot, subnormal_integers)}
ROUNDED = {
    recipe.__name__: recipe
    for recipe in (
        normal,
        positive,
        equal_sizes,
        constant,
        ties,
        wide_exponents,
        cancelling,
        near_overflow,
        underflowing,
    )
}
RECIPES = {
    **EXACT,
    **ROUNDED,
    **{recipe.__name__: recipe for recipe in (special_values, overflowing, signed_zeros)},
}
