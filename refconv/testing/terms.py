"""The terms of each sum, written out: which number of x meets which number of w.

For the few elements that a message shows, for sums in other arithmetics, and for planted bugs; not for speed.
"""

import itertools
import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from refconv.kernels.terms import Nest
from refconv.testing.operation import Operation

__all__ = ["Indices", "Terms", "indices_of", "term_counts", "terms_of"]

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
    indices = indices_of(operation)
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
    step = max(1, _AT_A_TIME // max(1, indices_of(operation).terms))
    for begin in range(0, total, step):
        yield slice(begin, min(begin + step, total))


@dataclass(frozen=True, eq=False)
class Indices:
    """Where the factors of each term are: sums of one part per axis, as all arrays are read in C order.

    Made by `indices_of`, which keeps one for every set of sizes.

    Parameters
    ----------
    kind : {'forward', 'transposed', 'weight'}
    groups : int
    result, x, w : tuple of int
        Shapes, of five axes at most.
    stride, padding, dilation : tuple of int
        Along each axis; the padding is that before x.
    """

    kind: str
    groups: int
    result: tuple[int, ...]
    x: tuple[int, ...]
    w: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]

    @cached_property
    def spatial(self) -> list[np.ndarray]:
        """The places along every axis: see `_places`."""
        sizes = zip(self.result[2:], self.w[2:], self.x[2:], self.stride, self.padding, self.dilation, strict=True)
        return [_places(self.kind, *along) for along in sizes]

    @property
    def counts(self) -> np.ndarray:
        """How many terms each element has, of the result's number of axes, the first two of size 1."""
        counts = np.full((1, 1), float(self.leading))
        for reached in self._reached:
            counts = counts[..., None] * reached
        return counts

    @cached_property
    def _reached(self) -> list[np.ndarray]:
        """Along every axis how many summed indices have a place, for each index of the result."""
        return [np.count_nonzero(table >= 0, axis=0) for table in self.spatial]

    @property
    def leading(self) -> int:
        """How many indices of the leading axes are summed over."""
        return self.x[0] if self.kind == "weight" else self.x[1] // self.groups

    @cached_property
    def terms(self) -> int:
        """How many terms a sum has, those outside of x included."""
        return self.leading * math.prod(len(table) for table in self.spatial)

    @cached_property
    def per_group(self) -> int:
        """How many output channels a group has."""
        return max(1, self.result[self.channel_axis] // self.groups)

    @property
    def channel_axis(self) -> int:
        """Which axis of the result the output channels are."""
        return 0 if self.kind == "weight" else 1

    @cached_property
    def steps(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """What one more adds to the place in the leading axes of x and of w.

        One more of the result's first index, of its second, of the group, and of the summed index.
        """
        C, (_, X, *_), (_, W, *_) = self.x[1] // self.groups, self.x, self.w
        if self.kind == "weight":
            return (0, 1, C, X), (1, 0, 0, W)
        if self.kind == "forward":
            return (X, 0, C, 1), (0, W, 0, 1)
        # The output channel within its group is the second index, less those of the groups before.
        return (X, 0, C, 1), (0, 1, C * W - self.per_group, W)

    def of(self, elements):
        """The places in x and in w, whether they are inside, and the output channel, for some elements."""
        leading = np.unravel_index(elements, self.result)
        positions, channel = leading[2:], leading[self.channel_axis]
        summed = np.arange(self.leading)[:, None]
        counted = (*leading[:2], channel // self.per_group, summed)
        x_at, w_at = (sum(map(np.multiply, steps, counted)) for steps in self.steps)
        inside = np.ones((self.leading, len(elements)), bool)
        for axis, (table, position) in enumerate(zip(self.spatial, positions, strict=True)):
            place = table[:, position]
            here = place >= 0
            # What runs along w's axis: the window if w is grad_output, the tap otherwise; the summed index in any case.
            along_w = np.arange(len(table))[:, None]
            x_at = _outer(x_at * self.x[2 + axis], place)
            w_at = _outer(w_at * self.w[2 + axis], along_w)
            inside = (inside[:, None] & here[None]).reshape(len(inside) * len(table), len(elements))
        return x_at, w_at, inside, channel

    @cached_property
    def nest(self) -> Nest:
        """The same for compiled loops."""
        missing = (1,) * (5 - len(self.result))
        tables = [np.zeros((1, 1), np.int64)] * len(missing)
        # Where nothing is summed over, one place that does not count.
        tables += [table.T.copy() if len(table) else np.full((table.shape[1], 1), -1) for table in self.spatial]
        sizes = [(*shape[:2], *missing, *shape[2:]) for shape in (self.result, self.x, self.w)]
        return Nest(tables, *sizes, *self.steps, self.leading, self.channel_axis, self.per_group)


@lru_cache(maxsize=256)
def _indices(*fields) -> Indices:
    return Indices(*fields)


def indices_of(operation: Operation) -> Indices:
    """Return where the factors of an operation's terms are; the same object for operations of the same sizes."""
    return _indices(
        operation.kind,
        operation.groups,
        operation.shape,
        operation.x.shape,
        operation.w.shape,
        operation.stride,
        tuple([begin for begin, _ in operation.padding]),
        operation.dilation,
    )


def _outer(leading, trailing):
    both = leading[:, None] + trailing[None]
    return both.reshape(len(leading) * len(trailing), both.shape[-1])


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


def term_counts(operation: Operation) -> np.ndarray:
    """Return how many terms each element has, zeros and the bias included, to be broadcast with the result.

    Returns
    -------
    ndarray of float64
        Of the result's number of axes; the first two are of size 1.
    """
    return indices_of(operation).counts + (operation.bias is not None)


def describe_terms(operation: Operation, element: int) -> list[tuple]:
    """Return the terms of one element for people: (index in x, its value, index in w, its value)."""
    terms = terms_of(operation, [element])
    rows = []
    for t in itertools.compress(range(len(terms.x)), terms.inside[:, 0]):
        x_index = tuple(int(i) for i in np.unravel_index(terms.x_at[t, 0], operation.x.shape))
        w_index = tuple(int(i) for i in np.unravel_index(terms.w_at[t, 0], operation.w.shape))
        rows.append((x_index, terms.x[t, 0], w_index, terms.w[t, 0]))
    return rows
