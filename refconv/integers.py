"""Integer convolution on arrays: prove that sums fit, run a kernel, and name the first result that does not.

A result is the exact sum, made to fit the output's dtype once. With ``overflow="raise"`` one that does not fit is an
error; ``"wrap"`` takes it modulo 2^bits, which is also what wrapping at every step gives; ``"saturate"`` clamps it,
which is *not* what an accumulator that saturates at every step gives.
"""

import math
from typing import NamedTuple

import numpy as np

from refconv import threads as threading
from refconv.arrays import aligned, contiguous, with_three_axes
from refconv.errors import ConvError
from refconv.kernels import integer, isa
from refconv.kernels.integer import Arithmetic, IntegerFormat

# Below this many multiply-adds of a kernel waking a thread costs more than it gains.
_BLOCKED_MACS_WORTH_A_THREAD = 1 << 20
_DIRECT_MACS_WORTH_A_THREAD = 1 << 16


class _Call(NamedTuple):
    """The arguments of `correlate` that describe its result."""

    input: np.ndarray
    weight: np.ndarray
    bias: np.ndarray | None
    output: np.ndarray
    stride: tuple
    padding: tuple
    dilation: tuple
    groups: int
    overflow: str

    @property
    def macs(self):
        return self.output.size * math.prod(self.weight.shape[1:])


def correlate(input, weight, bias, output, *, stride, padding, dilation, groups, overflow, algorithm, threads):
    """Fill `output` with the cross-correlation of integer arrays.

    Parameters
    ----------
    input : ndarray, shape (N, C_in, ...)
        Of any integer dtype, which need not be that of the others, and any strides; one to three spatial axes.
    weight : ndarray, shape (C_out, C_in // groups, ...)
    bias : ndarray, shape (C_out,), or None
    output : ndarray, shape (N, C_out, ...)
        Of any integer dtype and any strides. Its size says how many windows there are.
    stride, padding, dilation : tuple of int
        One for each spatial axis. Padding is that at the beginning; negative padding crops.
    groups : int
    algorithm : {'auto', 'blocked', 'direct'}
    threads : int
    overflow : {'raise', 'wrap', 'saturate'}

    Raises
    ------
    ConvError
        ``the output at index (0, 3, 1, 2) is 2147483648, which does not fit in int32``: the first such element, by
        its index in the array that `output` is a view of.
    """
    call = _Call(input, weight, bias, output, stride, padding, dilation, groups, overflow)
    if output.size == 0:
        return
    convolution = None if algorithm == "direct" else _blocked(call, threads)
    place = _run_direct(call, threads) if convolution is None else _run_blocked(call, convolution, threads)
    if place is not None and overflow == "raise":
        index = np.unravel_index(place, output.shape)
        raise ConvError(
            f"the output at index {_index_in_owner(output, index)} is {_exact_sum(call, index)}, which does not fit in"
            f" {output.dtype}; overflow='wrap' or 'saturate', or another dtype, would give a result"
        )


# ---------------------------------------------------------------------------------------------------------------------
# What is known about the sums
# ---------------------------------------------------------------------------------------------------------------------


def _arithmetic(call):
    """The fastest arithmetic of the blocked kernel that is exact for this call; None if none is.

    No sum, nor a part of one, is beyond B = max |input| * (the sum of the |weights| of an output channel) + max |bias|.
    Coarser bounds that need not look at all numbers are tried first.
    """
    terms = math.prod(call.weight.shape[1:])
    bias = 0 if call.bias is None else _largest(call.bias)
    if all(np.can_cast(operand.dtype, np.int16) for operand in (call.input, call.weight)):
        x, w = (max(-np.iinfo(operand.dtype).min, np.iinfo(operand.dtype).max) for operand in (call.input, call.weight))
        if x * w * terms + bias < 2**31:
            return _narrow(call)
    x, w = _largest(call.input), _largest(call.weight)
    bound = x * w * terms + bias
    if bound >= 2**31:
        bound = x * _largest_norm(call.weight) + bias
    if bound < 2**31 and max(x, w) < 2**15:
        return _narrow(call)
    if bound >= 2**63 and call.overflow != "wrap":
        return None
    return Arithmetic.NARROW_WORDS if max(x, w) < 2**31 else Arithmetic.WORDS


def _narrow(call):
    """The fastest arithmetic for sums in int32."""
    bytes_only = call.input.dtype.itemsize == 1 and call.weight.dtype == np.int8
    return Arithmetic.QUADS if bytes_only and isa.blocked_integer.has_quads() else Arithmetic.PAIRS


def _largest(array):
    """The largest absolute value, as a Python int."""
    return max(-int(array.min()), int(array.max())) if array.size else 0


def _largest_norm(weight):
    """The largest sum of absolute values of an output channel, as a Python int."""
    # Of -2^63 the absolute value is the same bits, read without a sign.
    magnitudes = np.abs(weight).view(f"u{weight.itemsize}").astype(np.uint64).reshape(len(weight), -1)
    halves = (magnitudes >> 32).sum(axis=1), (magnitudes & 0xFFFFFFFF).sum(axis=1)
    return max((high << 32) + low for high, low in zip(*(half.tolist() for half in halves), strict=True))


# ---------------------------------------------------------------------------------------------------------------------
# The kernels. Both runs return the place, in C order, of the first element of the output that does not fit, or None.
# ---------------------------------------------------------------------------------------------------------------------


def _blocked(call, threads):
    """The call of the blocked kernel; None if that is not exact here, or would need buffers that are too large."""
    arithmetic = _arithmetic(call)
    if arithmetic is None:
        return None
    operands = aligned(call.input), contiguous(call.weight), None if call.bias is None else contiguous(call.bias)
    formats = [0 if operand is None else IntegerFormat[operand.dtype.name.upper()] for operand in operands]
    limits = np.iinfo(np.int64 if call.overflow == "wrap" else call.output.dtype)
    convolution = isa.blocked_integer.Convolution(
        *operands,
        call.output,
        call.stride,
        call.padding,
        call.dilation,
        call.groups,
        formats,
        arithmetic,
        (limits.min, min(limits.max, 2**63 - 1)),
        threads,
    )
    return None if convolution.oversized else convolution


def _run_blocked(call, convolution, threads):
    """Fill the output by the fast kernel."""
    threads = threads if call.macs >= _BLOCKED_MACS_WORTH_A_THREAD else 1
    threading.run(convolution.run, min(threads, convolution.units))
    return convolution.first_clamped


def _run_direct(call, threads):
    """Fill the output by the definition."""
    operands = call.input, call.weight, call.bias
    output = with_three_axes(call.output)
    limits = np.iinfo(output.dtype)
    fixed = [None if operand is None else with_three_axes(_as_words(operand)) for operand in operands]
    fixed.append(output.view(f"i{output.itemsize}"))
    fixed.append(tuple(operand is not None and operand.dtype.kind == "i" for operand in operands))
    fixed += [call.overflow == "wrap", limits.min, limits.max]
    for neutral, values in zip((1, 0, 1), (call.stride, call.padding, call.dilation), strict=True):
        fixed.append((neutral,) * (5 - call.output.ndim) + tuple(values))
    places = []

    def work(items, channels, stop):
        place = integer.correlate(*fixed, call.groups, items, channels, stop)
        if place >= 0:
            places.append(place)

    threads = threads if call.macs >= _DIRECT_MACS_WORTH_A_THREAD else 1
    threading.run_channels(work, *output.shape[:2], threads)
    return min(places, default=None)


def _as_words(array):
    """A C-contiguous array of 64-bit words, sign-extended."""
    return array.astype(np.uint64, order="C")


# ---------------------------------------------------------------------------------------------------------------------
# The error
# ---------------------------------------------------------------------------------------------------------------------


def _exact_sum(call, index):
    """The element of the result as a Python int."""
    n, oc, *position = (int(i) for i in index)
    C_in_per_group = call.weight.shape[1]
    first_ic = oc // (len(call.weight) // call.groups) * C_in_per_group
    x, w = call.input[n, first_ic : first_ic + C_in_per_group], call.weight[oc]
    for axis, o in enumerate(position, start=1):
        taps = np.arange(w.shape[axis])
        places = o * call.stride[axis - 1] - call.padding[axis - 1] + taps * call.dilation[axis - 1]
        inside = (places >= 0) & (places < x.shape[axis])
        x, w = x.take(places[inside], axis), w.take(taps[inside], axis)
    products = x.astype(object) * w.astype(object)
    return int(products.sum()) + (0 if call.bias is None else int(call.bias[oc]))


def _index_in_owner(array, index):
    """The index of an element in the whole array that `array` is a view of."""
    owner = array if array.base is None else array.base
    offset = array.ctypes.data - owner.ctypes.data + sum(i * step for i, step in zip(index, array.strides, strict=True))
    return tuple(map(int, np.unravel_index(offset // owner.itemsize, owner.shape)))
