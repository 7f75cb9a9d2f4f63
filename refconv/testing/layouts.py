"""The same numbers, laid out differently in memory: the views that implementations forget to look at the strides of.

Every function returns an array that is equal to the one it was given. Memory that belongs to the base array but not to
the view holds NaN (integers: the largest), so that a kernel which reads it anyway cannot come away with a right answer.
"""

import numpy as np

__all__ = ["LAYOUTS", "NEEDS_NEGATIVE_STRIDES"]


def _nobody_expects(dtype):
    """A number that spoils every sum that it gets into: NaN, or the largest integer."""
    return np.iinfo(dtype).max if dtype.kind in "iu" else np.nan


def every_second_element(array: np.ndarray) -> np.ndarray:
    """A slice with a step of two along every axis."""
    base = np.full([2 * size + 1 for size in array.shape], _nobody_expects(array.dtype), array.dtype)
    view = base[tuple(slice(1, 1 + 2 * size, 2) for size in array.shape)]
    view[...] = array
    return view


def middle_of_a_larger_array(array: np.ndarray) -> np.ndarray:
    """A slice without steps: rows are contiguous, but farther apart than they are long."""
    base = np.full([size + 3 for size in array.shape], _nobody_expects(array.dtype), array.dtype)
    view = base[tuple(slice(1, 1 + size) for size in array.shape)]
    view[...] = array
    return view


def fortran_order(array: np.ndarray) -> np.ndarray:
    """Axes in reverse order, the first index running fastest."""
    return np.asfortranarray(array)


def channels_last(array: np.ndarray) -> np.ndarray:
    """The channel axis innermost (NHWC), seen through a view with the usual order of axes."""
    channel_axis = max(array.ndim - 3, 0)
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(array, channel_axis, -1)), -1, channel_axis)


def backwards(array: np.ndarray) -> np.ndarray:
    """Every axis reversed in memory: all strides are negative."""
    flip = (slice(None, None, -1),) * array.ndim
    return np.ascontiguousarray(array[flip])[flip]


def expanded(array: np.ndarray) -> np.ndarray:
    """A stride of zero along the first axis, if the entries there are all equal; a plain copy otherwise."""
    repeated = np.broadcast_to(array[:1], array.shape)
    return repeated if np.array_equal(repeated, array) else array.copy()


def misaligned(array: np.ndarray) -> np.ndarray:
    """One byte off the address that a processor would like, with bytes of NaN on both sides."""
    memory = np.full(array.nbytes + 2 * array.itemsize, 0xFF, np.uint8)
    view = memory[1 : 1 + array.nbytes].view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


def read_only(array: np.ndarray) -> np.ndarray:
    """A copy that nobody may write to."""
    copy = array.copy()
    copy.flags.writeable = False
    return copy


LAYOUTS = {
    layout.__name__: layout
    for layout in (
        fortran_order,
        channels_last,
        middle_of_a_larger_array,
        every_second_element,
        expanded,
        misaligned,
        read_only,
        backwards,
    )
}

#: Layouts that libraries without negative strides, torch among them, cannot be given.
NEEDS_NEGATIVE_STRIDES = frozenset({"backwards"})
