"""A quick look at a whole result, which settles what is beyond doubt: most results that are right.

The bound and the statistics need a dozen operations on every element. Here is how they are avoided: elements that are
equal to the exact ones need neither, few others are looked up term by term, and many go through one pass of compiled
code, ``kernels/screening.pyx``. Whatever is not beyond doubt is looked at properly afterwards, so that nothing depends
on this but time.
"""

import math
import threading

import numpy as np

from refconv import threads
from refconv.arrays import as_encodings, contiguous
from refconv.kernels import isa
from refconv.testing.bounds import Magnitudes
from refconv.testing.claim import Claim
from refconv.testing.formats import Format, format_of
from refconv.testing.statistics import RMS_ROUNDING, Statistics, is_ordinary, largest_ordinary, usual_error_of
from refconv.testing.terms import terms_of

__all__ = ["differing", "screen", "screen_few"]

# Terms are looked up for one element in so many, as that costs about as much as some hundred terms of a convolution.
_ONE_IN = 512
# Of so many elements with a large z the terms are looked at.
_MOST_OUTSTANDING = 64
# Below this many elements waking a thread costs more than it gains.
_WORTH_A_THREAD = 1 << 17
# The counts of terms are repeated up to this size, so that vectors of elements have theirs side by side.
_LEAST_PERIOD = 1 << 11
# Bytes of memory that every thread may keep.
_MOST_KEPT = 1 << 25
# What is left for the rounding of all that is computed here.
_CAUTION = 1.0 - 2.0**-20


def differing(actual: np.ndarray, exact: np.ndarray) -> np.ndarray | None:
    """Return where two floating-point arrays have different numbers, or None if that is in many places.

    NaNs of different encodings may be among them. The indices are into the flattened arrays.
    """
    found = np.empty(actual.size // _ONE_IN, np.int64)
    a, b = (as_encodings(contiguous(array)).reshape(-1) for array in (actual, exact))
    count = isa.screening.differing(a, b, found)
    return found[:count] if count <= found.size else None


def can_be_screened(claim: Claim) -> bool:
    """Whether the claim is the plain one: direct sums, rounded to nearest, of the operands as they are."""
    return (claim.rounding, claim.algorithm, claim.inputs) == ("nearest", "direct", None)


def screen_few(actual, elements, operation, claim: Claim, out: Format) -> Statistics | None:
    """Return the figures of a result all of which but a few elements is exact, if it is right beyond doubt.

    Parameters
    ----------
    actual : ndarray
        Of the operation's shape.
    elements : ndarray of int
        Indices of the others in the flattened result.
    operation : Operation
    claim : Claim
    out : Format
        Of the result.
    """
    # Products of float64 numbers are no longer exact in float64.
    if not can_be_screened(claim) or operation.dtype == np.float64:
        return None
    sums = _Sums(operation, elements)
    error = actual.reshape(-1)[elements].astype(np.float64) - sums.y
    # A float64 sum of m exact products is off by m * 2**-53 * A at most.
    distance = np.abs(error) + sums.m * 2.0**-52 * sums.A
    allowed = _CAUTION * sums.m * claim.accumulator.unit_roundoff * sums.A
    if not out.contains(claim.accumulator):
        allowed += _CAUTION * out.unit_roundoff * np.abs(sums.y) + out.least / 2
    # Of infinite sums the bound is infinite too, and says nothing.
    if not (distance <= allowed).all() or not np.isfinite(distance).all():
        return None
    z = error / sums.usual_error(claim, out)
    count = int(np.count_nonzero(np.isfinite(actual)))
    figures = Statistics(
        count=count,
        rms=math.sqrt(float(z @ z) / count),
        largest=float(np.abs(z).max()),
        mean=float(z.sum()) / count,
    )
    return figures if is_ordinary(figures) else None


def screen(actual, reference, magnitudes: Magnitudes, claim: Claim, out: Format) -> Statistics | None:
    """Return the figures of a result that is certainly inside the bound and ordinary as a whole, or else None.

    Parameters
    ----------
    actual, reference : ndarray
        Of the operation's shape. The reference is correctly rounded to its own format.
    magnitudes : Magnitudes
    claim : Claim
    out : Format
        Of the result.

    Notes
    -----
    With u of the accumulator, v of the reference and w of the result if that is narrower, else 0,

        \\|actual - reference\\| <= (1 - 2**-20) m u A + (w - v) \\|reference\\| + w eta / 2

    puts an element inside of `conv_bound`. From Q >= A**2 / m follows that z, see `refconv.testing.statistics`, is at
    most what it is with A**2 / m for Q:

        usual**2 = u**2 ((0.425**2 (m + 1) / 3 + (t / u)**2) y**2 + 0.425**2 (1 + 7 / m) / 6 A**2)

    with t of the result. It is divided by u at the very end.
    """
    if not can_be_screened(claim):
        return None
    if magnitudes.working_dtype != reference.dtype or reference.size == 0:
        return None
    A = magnitudes.write_A(_scratch(reference.shape, reference.dtype))
    largest = float(A.max())
    accumulator = claim.accumulator
    if not largest < min(accumulator.largest, out.largest) / 4:
        return None
    u, v = accumulator.unit_roundoff, format_of(reference.dtype).unit_roundoff
    w = out.unit_roundoff if not out.contains(accumulator) else 0.0
    squared = RMS_ROUNDING**2
    rule = {
        "scale": 2.0 ** min(-math.frexp(largest)[1], accumulator.emax),
        "of_m": _CAUTION * u,
        "of_y": w - v,
        "least": w and out.least / 2,
        "square_of_m": squared / 3,
        "square": squared / 3 + (out.unit_roundoff / u) ** 2,
        "flat": squared / 6,
        "flat_by_m": squared * 7 / 6,
        "limit": largest_ordinary(A.size) * u,
    }
    arrays = [contiguous(a.astype(A.dtype, copy=False)).reshape(-1) for a in (actual, reference, A)]
    m = _period(magnitudes.m, A)
    found = _screened(*arrays, m, 1 / np.maximum(m, 1), rule)
    if found is None:
        return None
    total, squares, top, outstanding = found
    if outstanding.size:
        sums = _Sums(magnitudes.operation, outstanding)
        actual, reference = (a[outstanding].astype(np.float64) for a in arrays[:2])
        z = u * (actual - reference) / sums.usual_error(claim, out)
        total, squares, top = total + z.sum(), squares + z @ z, max(top, np.abs(z).max())
    if not (math.isfinite(squares) and math.isfinite(top)):
        return None
    figures = Statistics(A.size, math.sqrt(squares / A.size) / u, float(top / u), float(total / A.size / u))
    return figures if is_ordinary(figures) else None


_memory = threading.local()


def _scratch(shape, dtype):
    """An array for numbers that are not needed for long.

    The memory of a small one is kept: to get pages from the system takes longer than to fill them.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size > _MOST_KEPT:
        return np.empty(shape, dtype)
    if getattr(_memory, "bytes", np.empty(0)).size < size:
        _memory.bytes = np.empty(size, np.uint8)
    return _memory.bytes[:size].view(dtype).reshape(shape)


def _screened(actual, reference, A, m, one_by_m, rule):
    """Sum, squares and largest size of z * u, and which elements are not in these; None if not all are beyond doubt."""
    parts = []

    def look(first, last, _stop):
        outstanding = np.empty(_MOST_OUTSTANDING, np.int64)
        figures = isa.screening.screen(actual, reference, A, m, one_by_m, rule, first, last, outstanding)
        parts.append((figures, outstanding))

    at_once = threads.thread_count(None, "judge") if A.size >= _WORTH_A_THREAD else 1
    threads.run_units(look, A.size, at_once)
    if any(figures is None for figures, _ in parts):
        return None
    totals, squares, tops, counts = zip(*(figures for figures, _ in parts), strict=True)
    outstanding = np.concatenate([found[:count] for (_, found), count in zip(parts, counts, strict=True)])
    if len(outstanding) > _MOST_OUTSTANDING:
        return None
    return sum(totals), sum(squares), max(tops), outstanding


def _period(m, A):
    """The counts of terms in the order of the flattened elements, as many as are needed until they repeat."""
    if m.shape[0] == m.shape[1] == 1:
        row = np.broadcast_to(m[0, 0], A.shape[2:]).reshape(-1)
        repeats = min(-(-_LEAST_PERIOD // row.size), A.size // row.size)
        return np.tile(row, repeats).astype(A.dtype)
    return np.broadcast_to(m, A.shape).astype(A.dtype).reshape(-1)


class _Sums:
    """The sums that bounds and statistics are made of, for some elements, term by term in float64."""

    def __init__(self, operation, elements):
        terms = terms_of(operation, elements)
        with np.errstate(all="ignore"):
            products = terms.products(np.float64)
            if terms.bias is not None:
                products = np.concatenate([products, terms.bias[None].astype(np.float64)])
            self.y = products.sum(axis=0)
            self.A = np.abs(products).sum(axis=0)
            self.Q = np.square(products).sum(axis=0)
        self.m = np.count_nonzero(products, axis=0)

    def usual_error(self, claim, out):
        """As `refconv.testing.statistics` has it."""
        return usual_error_of(self.Q, self.y, np.maximum(self.m, 1), claim, out)
