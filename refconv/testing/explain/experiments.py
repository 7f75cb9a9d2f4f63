"""Calls that tell apart what explains a result equally well."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from refconv.geometry import extent
from refconv.testing.calls import ConvCall, ConvCase
from refconv.testing.operation import Operation
from refconv.testing.recipes import build_operands

__all__ = ["answers"]

# For each call the channels of a group, of input and output, and the windows along the last axis. They are no multiples
# of a SIMD width, and what is lost past multiples of 4, 8 and 16 is not the same in all calls.
_CHANNELS, _WINDOWS = ((21, 5), (27, 9), (3, 2)), (11, 14, 10)


def answers(function: Callable, operation: Operation) -> Iterator[tuple[Operation, np.ndarray]]:
    """Call an implementation on dense data of larger sizes, and yield what it was called with and what it returned.

    The first call has the arguments of the operation, the others ones that differ along the axes. Calls that raise, or
    return no array of numbers, are left out.

    Parameters
    ----------
    function : callable
        Takes the arguments of the function that it implements, in torch's order.
    operation : Operation
    """
    if operation.problem is None:
        return
    for seed, call in enumerate(map(_larger, _varied(operation), range(3))):
        recipe = "normal" if operation.is_float else "small_integers"
        case = ConvCase(call, build_operands(recipe, call, operation.dtype, seed, 3), recipe)
        try:
            returned = np.asarray(function(*call.values(case.operands)))
        except Exception:
            continue
        if returned.dtype.kind in "iufcV":
            yield case.operation, returned


def _varied(operation: Operation) -> list[Operation]:
    """The convolution itself, and others of which no two axes are alike: with a stride, and with a dilation."""
    problem = operation.problem
    n = problem.spatial_ndim
    lopsided = any(begin != end for begin, end in problem.padding)
    uneven = replace(problem, kernel_size=tuple(range(2, 2 + n)), padding=tuple((i, i + lopsided) for i in range(n)))
    strided = replace(uneven, stride=tuple(range(1 + n, 1, -1)))
    dilated = replace(uneven, stride=(1,) * n, dilation=tuple(range(2, 2 + n)), output_padding=(0,) * n)
    return [operation.replace(problem=changed) for changed in (problem, strided, dilated)]


def _larger(operation: Operation, number: int) -> ConvCall:
    """A call of the same function, with more channels and windows."""
    problem, n = operation.problem, operation.spatial_ndim
    groups, kernel = problem.groups, problem.kernel_size
    C, K = (channels * groups for channels in _CHANNELS[number])
    windows = [_WINDOWS[number] - 2 * i for i in reversed(range(n))]
    axes = zip(windows, kernel, problem.stride, problem.padding, problem.dilation, strict=True)
    # One element more than the windows need, where the stride is larger than one.
    size = [max(1, (count - 1) * s + extent(k, d) - sum(pads) + (s > 1)) for count, k, s, pads, d in axes]
    padding = problem.padding
    if all(begin == end for begin, end in padding):
        padding = tuple(begin for begin, _ in padding)
    call = ConvCall(
        (3, C, *size),
        (K, C // groups, *kernel),
        (K,) if problem.bias else None,
        problem.stride,
        padding,
        problem.dilation,
        groups,
        op=operation.op,
    )
    if operation.op.endswith(("_input", "_weight")):
        forward = replace(call, op=f"conv{n}d")
        return replace(call, grad_shape=forward.result_shape)
    if problem.transposed:
        shape = (C, K // groups, *kernel)
        return replace(call, input_shape=(3, C, *windows), weight_shape=shape, output_padding=problem.output_padding)
    return call
