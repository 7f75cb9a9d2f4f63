"""Integers wherever they lie in memory: between others, backwards, repeated, of the other byte order."""

import numpy as np
import pytest
from integer_sums import DTYPES, convolution, fill

import refconv
from refconv.problem import ConvProblem

every_algorithm = pytest.mark.parametrize("algorithm", ["auto", "direct"])
every_dtype = pytest.mark.parametrize("dtype", DTYPES)


def every_second(a):
    """Every second element, along every axis, of an array full of other numbers."""
    large = np.full([2 * size for size in a.shape], 77, a.dtype)
    view = large[tuple(slice(None, None, 2) for _ in a.shape)]
    view[...] = a
    return view


def backwards(a):
    flip = (slice(None, None, -1),) * a.ndim
    return a[flip].copy()[flip]


def axes_turned_round(a):
    return a.T.copy().T


def misaligned(a):
    """The fields of packed records: strides that are no multiple of the item size."""
    records = np.zeros(a.shape, [("tag", "u1"), ("value", a.dtype)])
    records["value"] = a
    return records["value"]


def read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


def foreign(a):
    return a.astype(a.dtype.newbyteorder())


@every_algorithm
@every_dtype
@pytest.mark.parametrize("layout", [every_second, backwards, axes_turned_round, misaligned, read_only, foreign])
def test_the_layout_of_operands_does_not_matter(layout, dtype, algorithm):
    x, w, b = fill(1, dtype, 7)((2, 4, 7, 6)), fill(2, dtype, 7)((6, 2, 3, 2)), fill(3, dtype, 7)((6,))
    arguments = {"stride": (2, 1), "padding": (1, 2), "groups": 2}
    problem = ConvProblem.from_shapes(x.shape, w.shape, b.shape, **arguments)
    expected = convolution(problem, x, w, b)
    found = refconv.conv2d(layout(x), layout(w), layout(b), **arguments, algorithm=algorithm)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype.isnative


@every_dtype
def test_rows_of_an_image_may_lie_apart(dtype):
    """Without padding, where rows that do not are packed in one piece."""
    x, w = fill(1, dtype, 7)((2, 4, 9, 11)), fill(2, dtype, 7)((6, 4, 3, 2))
    for part in (x[..., :8], x[:, :, ::2], x[:, :, ::2, :8]):
        for stride in (1, (2, 1)):
            expected = refconv.conv2d(part.copy(), w, stride=stride, algorithm="direct")
            np.testing.assert_array_equal(refconv.conv2d(part, w, stride=stride), expected)


@every_dtype
@pytest.mark.parametrize("stride", [1, 2, (1, 2), (2, 1)])
def test_results_are_written_between_others(dtype, stride):
    x, w = fill(1, dtype, 7)((2, 3, 5, 6)), fill(2, dtype, 7)((3, 20, 3, 2))
    expected = refconv.conv_transpose2d(x, w, stride=stride, algorithm="direct")
    np.testing.assert_array_equal(refconv.conv_transpose2d(x, w, stride=stride), expected)


@every_algorithm
def test_operands_may_repeat_their_numbers(algorithm):
    x, w = np.broadcast_to(np.int8(3), (2, 4, 5, 5)), np.broadcast_to(np.int8(-2), (3, 4, 2, 2))
    assert (refconv.conv2d(x, w, algorithm=algorithm) == 3 * -2 * 16).all()


@every_algorithm
def test_operands_are_not_written_to(algorithm):
    x, w, b = fill(1, "int64", 64)((1, 3, 5, 5)), fill(2, "int64", 64)((2, 3, 2, 2)), fill(3, "int64", 64)((2,))
    copies = [a.copy() for a in (x, w, b)]
    refconv.conv2d(x, w, b, overflow="wrap", algorithm=algorithm)
    assert all((a == copy).all() for a, copy in zip((x, w, b), copies, strict=True))
