"""The transposed convolution and the gradients, as plain correlations.

The forward convolution is linear in each of its operands. Its index map along an axis,

    i = o * stride - padding + k * dilation

ties an input i, a window o and a tap k together. The forward sum runs over k with o given. The gradient by the input
runs over k (and o) with i given, that by the weight over o with k given. ``kernels/direct_grad.pyx`` writes both sums
out; here each is turned into correlations, whose index map has the same form, so that the fast kernel can do them.
"""

import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from refconv.arrays import as_encodings, as_float64, with_three_axes
from refconv.correlate import correlate
from refconv.dtypes import format_of
from refconv.floats import run_direct
from refconv.kernels import direct_grad
from refconv.threads import NEVER

__all__ = ["bias_gradient", "input_gradient", "weight_gradient"]


def input_gradient(
    grad_output, weight, bias, grad_input, *, stride, padding, dilation, groups, overflow, algorithm, threads
):
    """Fill `grad_input` with the gradient by the input, plus a bias: also the transposed convolution.

    Parameters
    ----------
    grad_output : ndarray, shape (N, C_out, oH, oW), with one to three spatial axes
        The input of a transposed convolution.
    weight : ndarray, shape (C_out, C_in // groups, kH, kW)
    bias : ndarray, shape (C_in,), or None
    grad_input : ndarray, shape (N, C_in, H, W)
    stride, padding, dilation, groups, overflow, algorithm, threads
        As for `correlate`, of the forward convolution.
    """
    geometry = (stride, padding, dilation)
    if grad_input.size == 0:
        return
    if algorithm == "direct" and format_of(grad_input.dtype) is not None:
        macs = grad_output.size * (weight.size // weight.shape[0])
        operands = (grad_output, weight, bias)
        run_direct(direct_grad.input_gradient, operands, grad_input, geometry, groups, macs, threads)
        return
    run = {"groups": groups, "overflow": overflow, "algorithm": algorithm, "threads": threads}
    turned = _turned(weight, groups)
    phases = [list(_phases(*axis)) for axis in zip(weight.shape[2:], *geometry, strict=True)]
    for phase in itertools.product(*phases):
        inputs, taps, pads, steps = zip(*phase, strict=True)
        here = (slice(None), slice(None), *inputs)
        sub_kernel = turned[(slice(None), slice(None), *taps)]
        geometry = {"stride": (1,) * len(stride), "padding": pads, "dilation": steps}
        correlate(grad_output, sub_kernel, bias, grad_input[here], **geometry, **run)
    # Elements that no tap reaches, because none does along one of the axes: sums without terms, over no channels.
    nothing = {"stride": (1,) * len(stride), "padding": (0,) * len(stride), "dilation": (1,) * len(stride)}
    for axis, reached in enumerate(phases, start=2):
        step = stride[axis - 2]
        for first in set(range(step)) - {phase.inputs.start for phase in reached}:
            here = (slice(None),) * axis + (slice(first, None, step),)
            correlate(grad_output[:, :0], turned[:, :0], bias, grad_input[here], **nothing, **run)


class _Phase(NamedTuple):
    """Some inputs of one axis, a stride apart, and the correlation along this axis that gives their gradient."""

    inputs: slice
    taps: slice  # of the kernel turned round
    padding: int
    dilation: int


def _phases(kernel: int, stride: int, padding: int, dilation: int) -> Iterator[_Phase]:
    """Yield the phases of one axis: inputs that meet the same taps.

    With g = gcd(stride, dilation), tap k and the taps period = stride / g, 2 * period, ... after it reach the inputs
    that are k * dilation - padding modulo stride, and no other taps reach them. Let `first` be the first of these
    inputs and o0 the window (inside or not) whose tap k falls on it. By the index map

        input first + j * stride  meets tap k + t * period  in window  o0 + j - t * (dilation / g)

    Going through t backwards, t = T - 1 - u for T taps, this is  j * 1 - pad + u * (dilation / g)  with

        pad = (T - 1) * (dilation / g) - o0

    the index map of a correlation with stride 1 whose input is grad_output.
    """
    common = math.gcd(stride, dilation)
    period, step = stride // common, dilation // common
    for k in range(min(kernel, period)):
        first = (k * dilation - padding) % stride
        o0 = (first + padding - k * dilation) // stride
        T = len(range(k, kernel, period))
        # Tap k is the last one of its phase in the kernel turned round, at kernel - 1 - k.
        taps = slice((kernel - 1 - k) % period, None, period)
        yield _Phase(slice(first, None, stride), taps, (T - 1) * step - o0, step)


def _turned(weight, groups):
    """Return the weight as seen from its outputs: in every group, inputs and outputs change places, taps are reversed.

    weight[g * oc + oc, ic, kh, kw] becomes turned[g * ic + ic, oc, kH - 1 - kh, kW - 1 - kw].
    """
    C_out, C_in_per_group, *kernel = weight.shape
    by_group = weight.reshape(groups, C_out // groups, C_in_per_group, *kernel).swapaxes(1, 2)
    turned = by_group.reshape(groups * C_in_per_group, C_out // groups, *kernel)
    return np.flip(turned, range(2, turned.ndim))


def weight_gradient(
    input, grad_output, grad_weight, *, stride, padding, dilation, groups, overflow, algorithm, threads
):
    """Fill `grad_weight` with the gradient by the weight.

    Parameters
    ----------
    input : ndarray, shape (N, C_in, H, W), with one to three spatial axes
    grad_output : ndarray, shape (N, C_out, oH, oW)
    grad_weight : ndarray, shape (C_out, C_in // groups, kH, kW)
    stride, padding, dilation, groups, overflow, algorithm, threads
        As for `correlate`, of the forward convolution.

    Notes
    -----
    In the index map, windows are summed over as taps were, and taps are counted as windows were: stride and dilation
    change places. So do the batch, over which the sum runs, and the channels of a group, over which it no longer does.
    """
    if grad_weight.size == 0:
        return
    if algorithm == "direct" and format_of(grad_weight.dtype) is not None:
        macs = grad_output.size * (grad_weight.size // grad_weight.shape[0])
        operands, geometry = (input, grad_output), (stride, padding, dilation)
        run_direct(direct_grad.weight_gradient, operands, grad_weight, geometry, groups, macs, threads)
        return
    N, C_in, *size = input.shape
    by_group = input.reshape(N, groups, C_in // groups, *size).swapaxes(0, 2)
    correlate(
        by_group.reshape(C_in // groups, groups * N, *size),
        grad_output.swapaxes(0, 1),
        None,
        grad_weight.swapaxes(0, 1),
        stride=dilation,
        padding=padding,
        dilation=stride,
        groups=groups,
        overflow=overflow,
        algorithm=algorithm,
        threads=threads,
    )


def bias_gradient(grad_output, grad_bias, *, overflow, algorithm, threads):
    """Fill `grad_bias`, of shape (C_out,), with the gradient by the bias: the sum of each channel of `grad_output`.

    The bias is the weight of an input channel that is one everywhere.
    """
    if algorithm == "direct" and format_of(grad_bias.dtype) is not None:
        terms = with_three_axes(as_float64(grad_output))
        direct_grad.bias_gradient(terms, as_encodings(grad_bias), format_of(grad_bias.dtype), NEVER)
        return
    N, C_out, *size = grad_output.shape
    n = len(size)
    weight_gradient(
        np.ones((N, 1, *size), grad_output.dtype),
        grad_output,
        grad_bias.reshape(C_out, 1, *(1,) * n),
        stride=(1,) * n,
        padding=(0,) * n,
        dilation=(1,) * n,
        groups=1,
        overflow=overflow,
        algorithm=algorithm,
        threads=threads,
    )
