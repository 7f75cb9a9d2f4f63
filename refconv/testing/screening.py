"""A quick look at a whole result, which settles what is beyond doubt: most results that are right.

The bound and the statistics need a dozen operations on every element. Here is how they are avoided: elements that are
equal to the exact ones need neither, few others are looked up term by term in ``kernels/terms.pyx``, and many go
through one pass of compiled code, ``kernels/screening.pyx``. Whatever is not beyond doubt is looked at properly
afterwards, so that nothing depends on this but time.
"""

import math
import threading
from functools import lru_cache

import numpy as np

from refconv import threads
from refconv.arrays import as_encodings, contiguous
from refconv.kernels import isa
from refconv.testing.bounds import Magnitudes
from refconv.testing.claim import Claim
from refconv.testing.formats import Format, format_of
from refconv.testing.frozen import made
from refconv.testing.operation import Operation
from refconv.testing.statistics import RMS_ROUNDING, Statistics, is_ordinary, largest_ordinary
from refconv.testing.terms import Indices, indices_of

__all__ = ["differing", "screen", "screen_few"]

# To look up an element takes about as long as this many terms. Instead of a second convolution are looked up: so many
# terms in any case, which takes less time than a convolution's way to its kernel; one for each element, as the other
# way, too, takes some time for each; and one element in so many, as a term takes so much longer here.
_TERMS_PER_ELEMENT, _FEW_TERMS, _ONE_IN = 11, 11_000, 64
# Instead of the long way, so many elements are looked up, and so many terms for each element, as it takes as long.
_MOST_OUTSTANDING, _TERMS_OF_THE_LONG_WAY = 64, 32
# Below this many elements waking a thread costs more than it gains.
_WORTH_A_THREAD = 1 << 17
# The counts of terms are repeated up to the first size, so that vectors of elements have theirs side by side, and kept
# up to the second.
_LEAST_PERIOD, _MOST_COUNTS_KEPT = 1 << 11, 1 << 17
# Bytes of memory that every thread may keep; less is not worth it.
_LEAST_KEPT, _MOST_KEPT = 1 << 16, 1 << 25
# What is left for the rounding of all that is computed here.
_CAUTION = 1.0 - 2.0**-20


def differing(actual: np.ndarray, exact: np.ndarray, terms: int) -> np.ndarray | None:
    """Return where two floating-point arrays have different numbers, or None if that is in many places.

    NaNs of different encodings may be among them. The indices are into the flattened arrays, and there are few if so
    many terms can be looked up for each of them.
    """
    few = (_FEW_TERMS + actual.size) // (terms + _TERMS_PER_ELEMENT) + actual.size // _ONE_IN
    found = np.empty(min(few, actual.size), np.int64)
    a, b = (as_encodings(contiguous(array)).reshape(-1) for array in (actual, exact))
    count = isa.screening.differing(a, b, found)
    return found[:count] if count <= found.size else None


def can_be_screened(claim: Claim) -> bool:
    """Whether the claim is the plain one: direct sums, rounded to nearest, of the operands as they are."""
    return (claim.rounding, claim.algorithm, claim.inputs) == ("nearest", "direct", None)


def screen_few(actual, exact, elements, operation: Operation, claim: Claim, out: Format) -> Statistics | None:
    """Return the figures of a result all of which but a few elements is exact, if it is right beyond doubt.

    Parameters
    ----------
    actual, exact : ndarray
        Of the operation's shape and one dtype; the latter is correctly rounded.
    elements : ndarray of int64
        Indices of the others in the flattened result.
    operation : Operation
    claim : Claim
    out : Format
        Of the result.
    """
    if not can_be_screened(claim):
        return None
    found = _looked_up(operation, claim, out, elements, actual, exact)
    if found is None:
        return None
    return _ordinary(*found, int(np.count_nonzero(np.isfinite(actual))), claim)


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
    """
    if not can_be_screened(claim):
        return None
    if magnitudes.working_dtype != reference.dtype or reference.size == 0:
        return None
    sizes, A = magnitudes.sizes(), _scratch(reference.shape, reference.dtype)
    magnitudes.operation.fill(A, *sizes)
    arrays = (contiguous(actual.astype(A.dtype, copy=False)).reshape(-1), reference.reshape(-1), A.reshape(-1))
    rule = _rule(claim, out, format_of(reference.dtype))
    limit = largest_ordinary(A.size) * claim.accumulator.unit_roundoff
    indices = indices_of(magnitudes.operation)
    most = _MOST_OUTSTANDING + _TERMS_OF_THE_LONG_WAY * A.size // (indices.terms + _TERMS_PER_ELEMENT)
    found = _screened(most, *arrays, *_counts(indices, magnitudes, sizes, A), rule, limit)
    if found is None:
        return None
    total, squares, top, outstanding = found
    if outstanding.size:
        more = _looked_up(magnitudes.operation, claim, out, outstanding, actual, reference)
        if more is None:
            return None
        total, squares, top = total + more[0], squares + more[1], max(top, more[2])
    return _ordinary(total, squares, top, A.size, claim)


@lru_cache(maxsize=64)
def _rule(claim: Claim, out: Format, reference: Format | None) -> dict:
    """What errors are compared with: the members of `Rule` in ``kernels/rule.pxd``.

    Parameters
    ----------
    claim : Claim
        One that can be screened.
    out : Format
        Of the result.
    reference : Format, optional
        What the exact sums have been rounded to; by default they are float64 sums of products that are exact.

    Notes
    -----
    With u of the accumulator, v of the reference and w of the result if that is narrower, else 0,

        \\|actual - reference\\| <= (1 - 2**-20) m u A + (w - v) \\|reference\\| + w eta / 2

    puts an element inside of `conv_bound`. A float64 sum of m exact products is off by m 2**-53 A at most, so that
    2**-52 is subtracted from u instead of v from w. Nothing is known more exactly than a float64 reference: an error
    that is not certainly too large is allowed then, as in `refconv.testing.errors`, and v is added to w.

    z, see `refconv.testing.statistics`, is at most

        usual**2 = u**2 ((0.425**2 (m + 1) / 3 + (t / u)**2) y**2 + 0.425**2 (m + 7) / 6 Q)

    with t of the result, and that is at least what it is with A**2 / m for Q. It is divided by u at the very end.
    """
    u = claim.accumulator.unit_roundoff
    w = out.unit_roundoff if not out.contains(claim.accumulator) else 0.0
    v = 0.0 if reference is None else reference.unit_roundoff
    final = reference is not None and reference.precision == 53
    squared = RMS_ROUNDING**2
    return {
        "of_m": _CAUTION * u - (2.0**-52 if reference is None else 0.0),
        "of_y": w + v if final else w - v,
        "least": w and out.least / 2,
        "square_of_m": squared / 3,
        "square": squared / 3 + (out.unit_roundoff / u) ** 2,
        "flat": squared / 6,
        "flat_by_m": squared * 7 / 6,
        # No partial sum overflows, by far.
        "largest": min(claim.accumulator.largest, out.largest) / 4,
        "largest_scale": claim.accumulator.emax,
    }


def _ordinary(total, squares, top, count, claim) -> Statistics | None:
    """The figures, from those of z * u, if they are ordinary."""
    if not (math.isfinite(squares) and math.isfinite(top)) or count == 0:
        return None
    u = claim.accumulator.unit_roundoff
    figures = made(Statistics, count=count, rms=math.sqrt(squares / count) / u, largest=top / u, mean=total / count / u)
    return figures if is_ordinary(figures) else None


def _looked_up(operation, claim, out, elements, actual, reference):
    """Sum, sum of squares and largest size of z * u of some elements; None if not all are beyond doubt."""
    wide = operation.dtype == np.float64
    # Of products of float64 numbers there is no sum exact enough, but the reference.
    rule = _rule(claim, out, format_of(reference.dtype) if wide else None)
    dtype = operation.dtype if wide else np.float32
    x, w, bias = [
        None if a is None else contiguous(a if a.dtype == dtype else a.astype(dtype)).reshape(-1)
        for a in (operation.x, operation.w, operation.bias)
    ]
    theirs = actual.reshape(-1).take(elements).astype(np.float64)
    exact = reference.reshape(-1).take(elements).astype(np.float64) if wide else None
    return indices_of(operation).nest.look_up(x, w, bias, theirs, exact, elements, rule)


_memory = threading.local()


def _scratch(shape, dtype):
    """An array for numbers that are not needed for long.

    The memory is kept, unless that is much: to get pages from the system takes longer than to fill them.
    """
    size = math.prod(shape) * dtype.itemsize
    if not _LEAST_KEPT <= size <= _MOST_KEPT:
        return np.empty(shape, dtype)
    if getattr(_memory, "bytes", np.empty(0)).size < size:
        _memory.bytes = np.empty(size, np.uint8)
    return _memory.bytes[:size].view(dtype).reshape(shape)


def _screened(most, *arrays_and_rule):
    """Sum, squares and largest size of z * u, and which elements are not in these; None if they are too many."""
    size = arrays_and_rule[0].size
    if size < _WORTH_A_THREAD:
        return _screened_part(most, arrays_and_rule, 0, size)
    parts = []
    threads.run_units(
        lambda first, last, _stop: parts.append(_screened_part(most, arrays_and_rule, first, last)),
        size,
        threads.thread_count(None, "judge"),
    )
    if None in parts:
        return None
    totals, squares, tops, outstanding = zip(*parts, strict=True)
    outstanding = np.sort(np.concatenate(outstanding))
    if len(outstanding) > most:
        return None
    return sum(totals), sum(squares), max(tops), outstanding


def _screened_part(most, arrays_and_rule, first, last):
    """The same of the elements first ... last - 1."""
    outstanding = np.empty(min(most, last - first), np.int64)
    figures = isa.screening.screen(*arrays_and_rule, first, last, outstanding)
    return figures and (*figures[:3], outstanding[: figures[3]])


def _counts(indices, magnitudes, sizes, A):
    """How many terms the flattened elements have, and 1 over that, as many as are needed until they repeat."""
    for a in sizes:
        if a is not None and isa.screening.has_zero(as_encodings(a).ravel(order="K")):
            return _repeated(magnitudes.m, A.shape, A.dtype)
    kept = math.prod(A.shape[2:]) <= _MOST_COUNTS_KEPT
    return (_full_counts if kept else _full_counts.__wrapped__)(indices, sizes[2] is not None, A.dtype)


@lru_cache(maxsize=16)
def _full_counts(indices: Indices, has_bias: bool, dtype):
    """The counts where no term is zero."""
    return _repeated(indices.counts + has_bias, indices.result, dtype)


def _repeated(m, shape, dtype):
    m = m.astype(dtype)
    if m.shape[0] == m.shape[1] == 1:
        m = np.broadcast_to(m[0, 0], shape[2:]).reshape(-1)
        if m.size < _LEAST_PERIOD:
            m = np.tile(m, min(-(-_LEAST_PERIOD // m.size), math.prod(shape) // m.size))
    else:
        m = np.broadcast_to(m, shape).reshape(-1)
    return m, 1 / np.maximum(m, 1)
