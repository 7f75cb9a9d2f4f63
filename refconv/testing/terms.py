"""The terms of each sum, written out: which number of x meets which number of w.

For the few elements that a message shows, for sums in other arithmetics, and for planted bugs; not for speed.
"""

import itertools
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from refconv.testing.operation import Operation

__all__ = ["Terms", "term_counts", "terms_of"]

# Terms of about this many products at a time, so that memory stays small.
_AT_A_TIME = 1 << 21


@dataclass(frozen=True, eq=False)
class Terms:
    """The products of some elements of a result, in the order of the definition.

    Parameters
    ----------
    x, w : ndarray, shape (m, E)
        The two factors. Where a term lies outside of x, both are zero.
    inside : ndarray of bool, shape (m, E)
    bias : ndarray, shape (E,), or None
    x_at, w_at : ndarray of int, shape (m, E)
        Where the factors are in the flattened arrays.
    """

    x: np.ndarray
    w: np.ndarray
    inside: np.ndarray
    bias: np.ndarray | None
    x_at: np.ndarray
    w_at: np.ndarray

    def products(self, dtype) -> np.ndarray:
        """Return the products in an arithmetic, each rounded to it."""
        with np.errstate(all="ignore"):
            return self.x.astype(dtype) * self.w.astype(dtype)


def terms_of(operation: Operation, elements=None) -> Terms:
    """Return the terms of some elements of a result.

    Parameters
    ----------
    operation : Operation
    elements : array_like of int, optional
        Indices into the flattened result; all by default.

    Returns
    -------
    Terms
    """
    indices = _Indices(operation)
    if elements is None:
        elements = np.arange(int(np.prod(operation.shape)))
    x_at, w_at, inside, channel = indices.of(np.asarray(elements))

    def factors(array, places):
        flat = array.reshape(-1)
        if flat.size == 0:
            return np.zeros(places.shape, array.dtype)
        return np.where(inside, flat[np.where(inside, places, 0)], array.dtype.type(0))

    bias = None if operation.bias is None else operation.bias[channel]
    return Terms(factors(operation.x, x_at), factors(operation.w, w_at), inside, bias, x_at, w_at)


def in_parts(operation: Operation):
    """Yield slices of the flattened result whose terms are few enough to be held at once."""
    total = int(np.prod(operation.shape))
    step = max(1, _AT_A_TIME // max(1, _Indices(operation).terms))
    for begin in range(0, total, step):
        yield slice(begin, min(begin + step, total))


class _Indices:
    """Where the factors of each term are: sums of one part per axis, as all arrays are read in C order."""

    def __init__(self, operation: Operation):
        self.operation = operation
        self.leading = operation.x.shape[0] if operation.kind == "weight" else self.channels_per_group

    @cached_property
    def spatial(self) -> list[np.ndarray]:
        """The places along every axis."""
        return [_places(*_along(self.operation, axis)) for axis in range(self.operation.spatial_ndim)]

    @property
    def channels_per_group(self) -> int:
        return self.operation.x.shape[1] // self.operation.groups

    @cached_property
    def terms(self) -> int:
        return self.leading * int(np.prod([len(table) for table in self.spatial]))

    def of(self, elements):
        op = self.operation
        first, second, *positions = np.unravel_index(elements, op.shape)
        x_at, w_at, channel = self._leading(first, second)
        inside = np.ones((self.leading, len(elements)), bool)
        for axis, (table, position) in enumerate(zip(self.spatial, positions, strict=True)):
            size = op.x.shape[2 + axis]
            place = table[:, position]
            here = place >= 0
            # What runs along w's axis: the window if w is grad_output, the tap otherwise; the summed index in any case.
            summed = np.arange(len(table))[:, None]
            x_at = _outer(x_at * size, place)
            w_at = _outer(w_at * op.w.shape[2 + axis], summed)
            inside = (inside[:, None] & here[None]).reshape(len(inside) * len(table), len(elements))
        return x_at, w_at, inside, channel

    def _leading(self, first, second):
        """The part of batch and channels, of shape (terms, elements)."""
        op, C = self.operation, self.channels_per_group
        summed = np.arange(self.leading)[:, None]
        if op.kind == "weight":
            group = first // max(1, op.shape[0] // op.groups)
            x_at = summed * op.x.shape[1] + group * C + second
            return x_at, summed * op.w.shape[1] + first, first
        per_group = max(1, op.shape[1] // op.groups)
        group = second // per_group
        x_at = first * op.x.shape[1] + group * C + summed
        if op.kind == "forward":
            return x_at, second * op.w.shape[1] + summed, second
        return x_at, (group * C + summed) * op.w.shape[1] + second % per_group, second


def _outer(leading, trailing):
    both = leading[:, None] + trailing[None]
    return both.reshape(len(leading) * len(trailing), both.shape[-1])


def _along(operation: Operation, axis: int) -> tuple:
    """What says along one axis which indices meet: the kind, three sizes, and the geometry."""
    sizes = operation.shape[2 + axis], operation.w.shape[2 + axis], operation.x.shape[2 + axis]
    return operation.kind, *sizes, operation.stride[axis], operation.padding[axis][0], operation.dilation[axis]


def _places(kind, results, summed, size, stride, pad, dilation) -> np.ndarray:
    """Along one axis, the place in x of summed index t for result index o, of shape (t, o); -1 if there is none."""
    o = np.arange(results)[None, :]
    t = np.arange(summed)[:, None]
    if kind == "forward":
        place = o * stride - pad + t * dilation
    elif kind == "weight":
        place = t * stride - pad + o * dilation
    else:
        place = o + pad - t * dilation
        place = np.where(place % stride == 0, place // stride, -1)
    return np.where((place >= 0) & (place < size), place, -1)


@lru_cache(maxsize=256)
def _reached(*along) -> np.ndarray:
    """How many summed indices have a place, for each result index of an axis."""
    return np.count_nonzero(_places(*along) >= 0, axis=0)


def term_counts(operation: Operation) -> np.ndarray:
    """Return how many terms each element has, zeros and the bias included, to be broadcast with the result.

    Returns
    -------
    ndarray of float64
        Of the result's number of axes; the first two are of size 1.
    """
    counts = np.full((1, 1), float(_Indices(operation).leading))
    for axis in range(operation.spatial_ndim):
        counts = counts[..., None] * _reached(*_along(operation, axis))
    return counts + (operation.bias is not None)


def describe_terms(operation: Operation, element: int) -> list[tuple]:
    """Return the terms of one element for people: (index in x, its value, index in w, its value)."""
    terms = terms_of(operation, [element])
    rows = []
    for t in itertools.compress(range(len(terms.x)), terms.inside[:, 0]):
        x_index = tuple(int(i) for i in np.unravel_index(terms.x_at[t, 0], operation.x.shape))
        w_index = tuple(int(i) for i in np.unravel_index(terms.w_at[t, 0], operation.w.shape))
        rows.append((x_index, terms.x[t, 0], w_index, terms.w[t, 0]))
    return rows
