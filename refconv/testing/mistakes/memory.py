"""Views that are read as if they were not: what is taken for contiguous memory."""

import numpy as np

from refconv.testing.mistakes.mistake import mistake


def _from_its_start(array):
    """The numbers that lie in memory from an array's first on, as far as they belong to it."""
    base = array
    while isinstance(base.base, np.ndarray):
        base = base.base
    if array.flags.c_contiguous or array.size == 0 or base.dtype != array.dtype:
        return None
    memory = base.ravel(order="K")
    lowest = np.lib.array_utils.byte_bounds(base)[0]
    offset = (array.__array_interface__["data"][0] - lowest) // array.itemsize
    found = memory[offset : offset + array.size]
    return np.append(found, np.zeros(array.size - len(found), array.dtype)).reshape(array.shape)


def _in_memory_order(array):
    if array.flags.c_contiguous:
        return None
    # Of a negative stride the order in memory is not the order of indices: the beginning of what it spans.
    return np.ascontiguousarray(array.ravel(order="K")).reshape(array.shape)


def _other(operation, name, numbers):
    return None if numbers is None else operation.replace(**{name: numbers})


@mistake("strides of the weight ignored", "pytorch/pytorch#192212, #1246, #16018, #55781, #78247")
def weight_view(operation):
    """The weight is read as if it were contiguous, from its first number on."""
    return _other(operation, "w", _from_its_start(operation.w))


@mistake("strides of the input ignored", "pytorch/pytorch#180984, modular/modular#6712")
def input_view(operation):
    """The input is read as if it were contiguous, from its first number on."""
    return _other(operation, "x", _from_its_start(operation.x))


@mistake("weight read in the order of memory")
def weight_order(operation):
    """A weight in Fortran order, or channels last, is read in the order in which it lies in memory."""
    return _other(operation, "w", _in_memory_order(operation.w))


@mistake("input read in the order of memory")
def input_order(operation):
    """An input in Fortran order, or channels last, is read in the order in which it lies in memory."""
    return _other(operation, "x", _in_memory_order(operation.x))


@mistake("strides of the bias ignored")
def bias_view(operation):
    """The bias is read as if it were contiguous, from its first number on."""
    return None if operation.bias is None else _other(operation, "bias", _from_its_start(operation.bias))
