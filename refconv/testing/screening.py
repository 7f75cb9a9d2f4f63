"""A quick look at a whole result, which settles what is beyond doubt: most results that are right.

The bound and the statistics need a dozen operations on every element; here are the few that decide almost always, in
the working format and a part at a time, so that all stays in the cache. Whatever is not beyond doubt is looked at
properly afterwards, so that nothing depends on this but time.
"""

import math

import numpy as np

from refconv.testing.bounds import Magnitudes
from refconv.testing.claim import Claim
from refconv.testing.formats import Format, format_of
from refconv.testing.statistics import Statistics, is_ordinary, largest_ordinary
from refconv.testing.terms import terms_of

__all__ = ["screen"]

# Elements at a time: some arrays of so many numbers fit into a processor's second-level cache.
_PART = 1 << 15
# Of so many elements with a large z the terms are looked at.
_MOST_OUTSTANDING = 64
_RMS_ROUNDING = 0.425


def can_be_screened(claim: Claim) -> bool:
    """Whether the claim is the plain one: direct sums, rounded to nearest, of the operands as they are."""
    return (claim.rounding, claim.algorithm, claim.inputs) == ("nearest", "direct", None)


def screen(actual, reference, magnitudes: Magnitudes, claim: Claim, out: Format) -> Statistics | None:
    """Return the figures of a result that is certainly inside the bound and ordinary as a whole, or else None.

    Parameters
    ----------
    actual, reference : ndarray
        Of the operation's shape. The reference is correctly rounded to its own format.
    magnitudes : Magnitudes
    claim : Claim
        One that `can_be_screened`.
    out : Format
        Of the result.

    Notes
    -----
    With u of the accumulator, v of the reference and w of the result if that is narrower, else 0,

        \\|actual - reference\\| <= (1 - 2**-20) m u A + (w - v) \\|reference\\| + w eta / 2

    puts an element inside of `conv_bound`. From Q >= A**2 / m follows that z, see `refconv.testing.statistics`, is at
    most what it is with A**2 / m for Q.
    """
    A = magnitudes.A_nearest
    if not can_be_screened(claim) or A.dtype != reference.dtype or A.size == 0:
        return None
    largest = A.max()
    accumulator = claim.accumulator
    if not largest < min(accumulator.largest, out.largest) / 4 or not math.isfinite(largest):
        return None
    narrow = not out.contains(accumulator)
    u, v = accumulator.unit_roundoff, format_of(reference.dtype).unit_roundoff
    w = out.unit_roundoff if narrow else 0.0
    m = np.broadcast_to(magnitudes.m, (*magnitudes.m.shape[:2], *A.shape[2:])).astype(A.dtype)
    at_least_one = np.maximum(m, 1)
    # Everything is divided by A, and z by u at the very end: z**2 = error**2 / (square * reference**2 + constant).
    square = _RMS_ROUNDING**2 * (at_least_one + 1) / 3 + (out.unit_roundoff / u) ** 2
    constant = _RMS_ROUNDING**2 * (at_least_one + 7) / (6 * at_least_one)
    factors = (m * A.dtype.type((1 - 2.0**-20) * u), square.astype(A.dtype), constant.astype(A.dtype))
    screen_part = _Part(
        actual,
        reference,
        A,
        factors,
        A.dtype.type(w - v),
        A.dtype.type(w and out.least / 2),
        largest_ordinary(A.size) * u,
    )
    with np.errstate(all="ignore"):  # of results that are far off
        if not all(screen_part.passes(part, of_m) for part, of_m in _parts(A.shape, m.shape)):
            return None
    squares, total = sum(screen_part.squares), sum(screen_part.totals)
    top = max(screen_part.tops) / u
    if screen_part.outstanding:
        elements, z = (np.concatenate(both) for both in zip(*screen_part.outstanding, strict=True))
        if len(elements) > _MOST_OUTSTANDING:
            return None
        top = np.maximum(top, float(np.abs(z / u * _of_true_squares(magnitudes, elements, m, reference, out, u)).max()))
    if not (math.isfinite(squares) and math.isfinite(top)):
        return None
    figures = Statistics(A.size, (squares / A.size) ** 0.5 / u, top, total / A.size / u)
    return figures if is_ordinary(figures) else None


class _Part:
    """What is done with each part of a result; lists grow by one entry per part."""

    def __init__(self, actual, reference, A, factors, of_reference, least, limit):
        self.actual, self.reference, self.A, self.factors = actual, reference, A, factors
        self.of_reference, self.least, self.limit = of_reference, least, limit
        self.totals, self.squares, self.tops, self.outstanding = [], [], [0.0], []

    def passes(self, part, of_m) -> bool:
        """Whether all elements of a part are inside of the bound for certain; notes the figures of their z if so."""
        allowed, square, constant = (factor[of_m] for factor in self.factors)
        A = self.A
        error = self.actual[part].astype(A.dtype, copy=False) - self.reference[part]
        # An element without terms must not have an error, and is not to have one of 0 / 0.
        of_A = np.maximum(A[part], np.finfo(A.dtype).tiny)
        error /= of_A
        y = self.reference[part] / of_A
        slack = np.abs(y)
        slack *= self.of_reference
        slack += allowed
        if self.least:
            slack += self.least / of_A
        slack -= np.abs(error)
        if not slack.min() >= 0:
            return False
        y *= y
        y *= square
        y += constant
        np.sqrt(y, out=y)
        z = np.divide(error, y, out=error).reshape(-1)
        self.totals.append(float(z.sum()))
        self.squares.append(float(np.dot(z, z)))
        top = max(float(z.max()), -float(z.min()))
        self.tops.append(min(top, self.limit))
        if top > self.limit:
            inside = np.flatnonzero(np.abs(z) > self.limit)
            first = (part[0].start * A.shape[1] + part[1].start) * math.prod(A.shape[2:])
            self.outstanding.append((first + inside, z[inside].astype(np.float64)))
        return True


@np.errstate(all="ignore")
def _of_true_squares(magnitudes, elements, m, reference, out, u) -> np.ndarray:
    """By how much z is smaller for some elements with Q itself instead of A**2 / m."""
    terms = terms_of(magnitudes.operation, elements)
    products = terms.x.astype(np.float64) * terms.w.astype(np.float64)
    if terms.bias is not None:
        products = np.concatenate([products, terms.bias[None].astype(np.float64)])
    A, Q = np.abs(products).sum(axis=0), (products**2).sum(axis=0)
    m = np.maximum(np.broadcast_to(m, reference.shape).reshape(-1)[elements].astype(np.float64), 1.0)
    y2 = (reference.reshape(-1)[elements].astype(np.float64)) ** 2
    rest = y2 * (_RMS_ROUNDING**2 * (m + 1) / 3 + (out.unit_roundoff / u) ** 2)
    of_squares = _RMS_ROUNDING**2 * (m + 7) / 6
    return np.sqrt((rest + A**2 / m * of_squares) / (rest + Q * of_squares))


def _parts(shape, shape_of_m):
    """Yield indices of parts of a result, and of what belongs to them in an array of the shape of m."""
    plane = math.prod(shape[2:])
    channels = max(1, _PART // max(1, plane))
    for n in range(shape[0]):
        for begin in range(0, shape[1], channels):
            here = slice(begin, begin + channels)
            of_m = tuple(
                s if size > 1 else slice(None) for s, size in zip((slice(n, n + 1), here), shape_of_m, strict=False)
            )
            yield (slice(n, n + 1), here), of_m
