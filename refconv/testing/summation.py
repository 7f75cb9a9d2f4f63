"""Ways to add up the terms of a convolution, in honest floating-point arithmetic.

Every function takes the terms of many sums, of shape (m, E), in the accumulator's format, and adds along the first
axis.
"""

import numpy as np

__all__ = [
    "ORDERS",
    "backwards",
    "blocked",
    "fused",
    "halves",
    "lanes",
    "largest_first",
    "pairwise",
    "sequential",
    "shuffled",
]


def sequential(terms: np.ndarray) -> np.ndarray:
    """One term after the other, in the order of the definition."""
    total = np.zeros(terms.shape[1:], terms.dtype)
    for term in terms:
        total = total + term
    return total


def backwards(terms: np.ndarray) -> np.ndarray:
    """One term after the other, the last one first."""
    return sequential(terms[::-1])


def pairwise(terms: np.ndarray) -> np.ndarray:
    """A balanced tree."""
    while len(terms) > 1:
        odd = terms[len(terms) & ~1 :]
        terms = np.concatenate([terms[0 : len(terms) & ~1 : 2] + terms[1::2], odd])
    return sequential(terms)


def blocked(terms: np.ndarray, size: int = 16) -> np.ndarray:
    """Sums of blocks, and the sum of those: cache blocking, or channels split between threads."""
    return sequential(np.array([sequential(terms[i : i + size]) for i in range(0, len(terms), size)], terms.dtype))


def halves(terms: np.ndarray) -> np.ndarray:
    """Two halves by themselves, as by two threads, and then their sum."""
    half = len(terms) // 2
    return sequential(terms[:half]) + sequential(terms[half:])


def lanes(terms: np.ndarray, count: int = 8) -> np.ndarray:
    """Every eighth term into one of eight sums, then a tree: SIMD."""
    return pairwise(np.array([sequential(terms[i::count]) for i in range(count)], terms.dtype))


def shuffled(terms: np.ndarray) -> np.ndarray:
    """In some order that has nothing to do with the data."""
    return sequential(np.random.default_rng(len(terms)).permutation(terms))


def largest_first(terms: np.ndarray) -> np.ndarray:
    """Sorted by size: the worst order that anybody would use, as each small term meets the full sum."""
    order = np.argsort(-np.abs(terms.astype(np.float64)), axis=0, kind="stable")
    return sequential(np.take_along_axis(terms, order, axis=0))


def fused(x: np.ndarray, w: np.ndarray, dtype) -> np.ndarray:
    """A chain of fused multiply-adds of two factors: each step rounds x * w + total once."""
    dtype = np.dtype(dtype)
    total = np.zeros(x.shape[1:], dtype)
    for a, b in zip(x.astype(np.float64), w.astype(np.float64), strict=True):
        total = _fma(a, b, total.astype(np.float64)).astype(dtype)
    return total


def _fma(a, b, c):
    """a * b + c in float64, all but rounded once: the product and the sum are split into result and error."""
    product, low = two_product(a, b)
    total = product + c
    # Knuth's error of a sum.
    back = total - product
    error = ((product - (total - back)) + (c - back)) + low
    # An infinity, or a product beyond float64, has no rounding error.
    return np.where(np.isfinite(error), total + error, total)


def two_product(a, b):
    """The product of two float64 arrays and its rounding error, by Dekker's splitting; exact unless it overflows."""
    product = a * b
    (a1, a2), (b1, b2) = _halves(a), _halves(b)
    return product, ((a1 * b1 - product) + a1 * b2 + a2 * b1) + a2 * b2


def _halves(a):
    scaled = 134217729.0 * a  # 2**27 + 1
    high = scaled - (scaled - a)
    return high, a - high


#: Orders that implementations use: of a right one, some of these is close to the errors.
ORDERS = {
    order.__name__: order
    for order in (sequential, backwards, pairwise, blocked, halves, lanes, shuffled, largest_first)
}
