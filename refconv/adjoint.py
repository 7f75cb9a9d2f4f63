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
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from refconv import floats
from refconv.arrays import as_encodings, as_float64, with_three_axes
from refconv.correlate import correlate
from refconv.dtypes import format_of
from refconv.floats import run_direct
from refconv.kernels import direct_grad
from refconv.threads import NEVER

# Of a kernel of many channels, so many are rearranged at a time: both sides of the copy stay in a cache.
_CHANNELS_MOVED = 32

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
    if grad_input.size == 0:
        return
    geometry = (stride, padding, dilation)
    if algorithm == "direct" and format_of(grad_input.dtype) is not None:
        macs = grad_output.size * (weight.size // weight.shape[0])
        operands = (grad_output, weight, bias)
        run_direct(direct_grad.input_gradient, operands, grad_input, geometry, groups, macs, threads)
        return
    size = grad_input.shape[2:]
    ones = (1,) * len(size)
    options = {"stride": ones, "groups": groups, "overflow": overflow, "algorithm": algorithm, "threads": threads}
    turned = _turned(weight, groups)
    unreached, views = _views(size, weight.shape[2:], *geometry)
    if unreached is not None:
        # Elements that meet no tap are sums without terms, like those of a correlation over no channels. Some of them
        # first, and then all elements for a start: if a bias does not fit, the error should not name any others.
        for place in (grad_input[unreached], grad_input):
            correlate(grad_output[:, :0], turned[:, :0], bias, place, padding=ones, dilation=ones, **options)
    for view in views:
        _correlate_phases(grad_output, turned, bias, grad_input, view, options)


class _Phase(NamedTuple):
    """Some inputs of one axis, a stride apart, and the correlation along this axis that gives their gradient."""

    inputs: slice
    count: int
    taps: slice  # of the kernel turned round
    n_taps: int
    padding: int
    dilation: int


def _phases(size: int, kernel: int, stride: int, padding: int, dilation: int) -> Iterator[_Phase]:
    """Yield the phases of one axis: inputs that meet the same taps.

    With common = gcd(stride, dilation), tap k and every (stride / common)-th tap after it reach the inputs that are
    k * dilation - padding modulo stride, and no other taps reach them. Let `first` be the first of these inputs and o
    the window (there or not) whose tap k falls on it. By the index map

        input first + j * stride  meets tap k + t * stride / common  in window  o + j - t * dilation / common

    Going through T taps backwards, t = T - 1 - u, that is window  j - pad + u * (dilation / common)  with

        pad = (T - 1) * (dilation / common) - o

    which is the index map of a correlation of grad_output with stride 1.
    """
    common = math.gcd(stride, dilation)
    period, step = stride // common, dilation // common
    for k in range(min(kernel, period)):
        first = (k * dilation - padding) % stride
        if first < size:
            o = (first + padding - k * dilation) // stride
            T = len(range(k, kernel, period))
            # In the kernel turned round tap k is the last one of the phase, at kernel - 1 - k.
            yield _Phase(
                inputs=slice(first, None, stride),
                count=len(range(first, size, stride)),
                taps=slice((kernel - 1 - k) % period, None, period),
                n_taps=T,
                padding=(T - 1) * step - o,
                dilation=step,
            )


class _View(NamedTuple):
    """What phases see of grad_output: for each axis the geometry of a correlation. One for all that see the same."""

    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    inputs: list[tuple[slice, ...]]  # of each phase, as an index into grad_input
    taps: list[tuple[slice, ...]]  # into the weight turned round
    # How many phases each axis has, where they are the cells of a grid over grad_input and over the kernel; else None.
    grid: tuple[int, ...] | None


@lru_cache(maxsize=256)
def _views(size, kernel, stride, padding, dilation):
    """Return an index of some inputs that are in no phase, or None, and the phases of all axes by what they see."""
    axes = [list(_phases(*axis)) for axis in zip(size, kernel, stride, padding, dilation, strict=True)]
    unreached = None
    for axis, (phases, step, inputs) in enumerate(zip(axes, stride, size, strict=True), start=2):
        reached = {phase.inputs.start for phase in phases}
        if len(reached) < min(step, inputs):
            first = next(first for first in itertools.count() if first not in reached)
            unreached = (slice(None),) * axis + (slice(first, None, step),)
    grid = stride if all(map(_tiles, size, kernel, stride, padding, dilation)) else None
    everywhere = (slice(None), slice(None))
    views = {}
    for phase in itertools.product(*axes):
        inputs, counts, taps, n_taps, padding, dilation = zip(*phase, strict=True)
        view = views.setdefault((counts, n_taps, padding, dilation), _View(padding, dilation, [], [], grid))
        view.inputs.append((*everywhere, *inputs))
        view.taps.append((*everywhere, *taps))
    return unreached, tuple(views.values())


def _tiles(size, kernel, stride, padding, dilation):
    """Whether phase k of an axis begins at input k and, in the kernel turned round, at tap stride - 1 - k.

    Then all phases are as long, and the one view that there is has them in the order of their elements.
    """
    return size % stride == kernel % stride == padding == 0 and dilation == 1


def _correlate_phases(grad_output, turned, bias, grad_input, view, options):
    """Fill the elements of the phases that have a view."""
    options = options | {"padding": view.padding, "dilation": view.dilation}
    if len(view.taps) == 1 or grad_input.dtype.kind in "iu":
        # An integer that does not fit is named by its place in grad_input, so that is where it must be written to.
        for taps, inputs in zip(view.taps, view.inputs, strict=True):
            correlate(grad_output, turned[taps], bias, grad_input[inputs], **options)
        return
    # Several phases, as when the stride is the kernel's size: as many filters for each channel of one correlation.
    kernel = _kernels_by_phase(turned, view)
    kernel = kernel.reshape(-1, *kernel.shape[2:])
    biases = None if bias is None else bias.repeat(len(view.taps))
    N, C_in, *counts = grad_input[view.inputs[0]].shape
    results = np.empty((N, C_in, len(view.inputs), *counts), grad_input.dtype)
    correlate(grad_output, kernel, biases, results.reshape(N, -1, *counts), **options)
    _spread(results, view, grad_input)


def _kernels_by_phase(turned, view):
    """Return kernels[ic, phase, oc, ...], the taps of each phase."""
    C_in, C_out, *kernel = turned.shape
    if view.grid is None:
        return np.stack([turned[taps] for taps in view.taps], axis=1)
    split, n = _split(kernel, view.grid), len(kernel)
    n_taps = tuple(split[::2])
    kernels = np.empty((C_in, *view.grid, C_out, *n_taps), turned.dtype)
    backwards = (slice(None), slice(None), *(slice(None), slice(None, None, -1)) * n)
    by_phase = turned.reshape(C_in, C_out, *split)[backwards]
    by_phase = by_phase.transpose(0, *range(3, 3 + 2 * n, 2), 1, *range(2, 2 + 2 * n, 2))
    for first in range(0, C_out, _CHANNELS_MOVED):
        some = (..., slice(first, first + _CHANNELS_MOVED), *(slice(None),) * n)
        kernels[some] = by_phase[some]
    return kernels.reshape(C_in, -1, C_out, *n_taps)


def _spread(results, view, grad_input):
    """Write results[n, ic, phase, ...] to the elements of grad_input that each phase has an index of."""
    if view.grid is None:
        for phase, inputs in enumerate(view.inputs):
            grad_input[inputs] = results[:, :, phase]
        return
    # One assignment, which writes to neighbours in memory.
    N, C_in, _, *counts = results.shape
    n = len(counts)
    by_element = itertools.chain.from_iterable((2 + n + axis, 2 + axis) for axis in range(n))
    results = results.reshape(N, C_in, *view.grid, *counts).transpose(0, 1, *by_element)
    grad_input.reshape(N, C_in, *_split(grad_input.shape[2:], view.grid))[...] = results


def _split(sizes, steps):
    """Return the sizes of axes that are cut into pieces of `steps` elements: that of the pieces after their number."""
    return tuple(itertools.chain.from_iterable((size // step, step) for size, step in zip(sizes, steps, strict=True)))


def _turned(weight, groups):
    """Return the weight as seen from its outputs: in every group, inputs and outputs change places, taps are reversed.

    weight[g * oc + oc, ic, kh, kw] becomes turned[g * ic + ic, oc, kH - 1 - kh, kW - 1 - kw].
    """
    C_out, C_in_per_group, *kernel = weight.shape
    by_group = weight.reshape(groups, C_out // groups, C_in_per_group, *kernel).swapaxes(1, 2)
    turned = by_group.reshape(groups * C_in_per_group, C_out // groups, *kernel)
    return turned[(slice(None), slice(None), *(slice(None, None, -1),) * len(kernel))]


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
    Few long sums, a case that correlations are slow for, have a kernel of their own, ``weight_rows.pyx``. Otherwise:

    In the index map, windows are summed over as taps were, and taps are counted as windows were: stride and dilation
    change places. So do the batch, over which the sum runs, and the channels of a group, over which it no longer does.
    """
    if input.size == 0 or grad_output.size == 0:  # sums without terms, under a grad_output of any size
        grad_weight[...] = 0
        return
    if algorithm == "direct" and format_of(grad_weight.dtype) is not None:
        macs = grad_output.size * (grad_weight.size // grad_weight.shape[0])
        operands, geometry = (input, grad_output), (stride, padding, dilation)
        run_direct(direct_grad.weight_gradient, operands, grad_weight, geometry, groups, macs, threads)
        return
    geometry = {"stride": stride, "padding": padding, "dilation": dilation}
    if floats.weight_gradient(input, grad_output, grad_weight, **geometry, groups=groups, threads=threads):
        return
    N, C_in, *size = input.shape
    n = len(size)
    image = input.reshape(N, groups, C_in // groups, *size)
    kernel = grad_output.swapaxes(0, 1)
    if n == 3:
        # [ic, g * n, id, ih, iw]: the channels of a group are the batch.
        image = image.swapaxes(0, 2).reshape(C_in // groups, groups * N, *size)
        output = grad_weight.swapaxes(0, 1)
    else:
        # [0, g * n, ih, ic, iw]: they are an axis of the image, with a kernel of size 1. A kernel has few elements, and
        # the fast kernel computes many windows of one image at once; this way it has some.
        image = image.transpose(1, 0, *range(3, 2 + n), 2, 2 + n)
        image = image.reshape(1, groups * N, *image.shape[2:])
        kernel = kernel[..., np.newaxis, :]
        output = grad_weight.transpose(0, *range(2, 1 + n), 1, 1 + n)[np.newaxis]
        stride, dilation = ((*values[:-1], 1, values[-1]) for values in (stride, dilation))
        padding = (*padding[:-1], 0, padding[-1])
    geometry = {"stride": dilation, "padding": padding, "dilation": stride, "groups": groups}
    correlate(image, kernel, None, output, **geometry, overflow=overflow, algorithm=algorithm, threads=threads)


def bias_gradient(grad_output, grad_bias, *, overflow, algorithm, threads):
    """Fill `grad_bias`, of shape (C_out,), with the gradient by the bias: the sum of each channel of `grad_output`.

    The bias is the weight of an input channel that is one everywhere.
    """
    if grad_output.size == 0:  # no kernel either
        grad_bias[...] = 0
        return
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
