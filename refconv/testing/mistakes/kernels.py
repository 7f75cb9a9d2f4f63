"""Taps: in the wrong order, lost, or counted twice."""

import numpy as np

from refconv.testing.mistakes.mistake import mistake


def _each_tap(operation, change):
    """Change the kernel of an operation, or the result if that is a gradient by the weight."""
    if operation.kind != "weight":
        return operation.replace(w=change(operation.w))
    return None


@mistake("kernel flipped", "FluxML/Flux.jl, hidden by onnx/onnx#1178")
def flipped(operation):
    """The kernel is turned by 180 degrees: a mathematical convolution instead of a cross-correlation."""
    axes = tuple(range(2, operation.w.ndim))
    return _each_tap(operation, lambda w: np.flip(w, axes))


@mistake("kernel flipped along its last axis")
def flipped_last(operation):
    """The kernel is mirrored, left and right change places."""
    return _each_tap(operation, lambda w: np.flip(w, -1))


@mistake("kernel flipped along its first axis")
def flipped_first(operation):
    """The kernel is upside down."""
    return _each_tap(operation, lambda w: np.flip(w, 2)) if operation.spatial_ndim > 1 else None


@mistake("kernel axes swapped")
def transposed(operation):
    """Height and width of the kernel change places; one that is not square is read row by row in the wrong shape."""
    if operation.spatial_ndim < 2:
        return None

    def change(w):
        return np.ascontiguousarray(w.swapaxes(-1, -2)).reshape(w.shape)

    return _each_tap(operation, change)


@mistake("kernel read column by column")
def column_major(operation):
    """The kernel's numbers are taken in the order of the file, but its sizes as (width, height)."""
    if operation.spatial_ndim < 2:
        return None

    def change(w):
        *rest, kH, kW = w.shape
        return np.ascontiguousarray(w).reshape(*rest, kW, kH).swapaxes(-1, -2)

    return _each_tap(operation, change)


def _without(w, index):
    w = w.copy()
    w[index] = 0
    return w


@mistake("last tap dropped")
def last_tap(operation):
    """A loop over the taps ends one too early: the last tap of every kernel has no effect."""
    return _each_tap(operation, lambda w: _without(w, (Ellipsis, *(-1,) * operation.spatial_ndim)))


@mistake("first tap dropped")
def first_tap(operation):
    """A loop over the taps starts one too late: the first tap of every kernel has no effect."""
    return _each_tap(operation, lambda w: _without(w, (Ellipsis, *(0,) * operation.spatial_ndim)))


@mistake("last row of the kernel dropped", "pytorch/pytorch#188335 (kernel sizes of 256 and more)")
def last_kernel_row(operation):
    """The loop over the rows of the kernel ends one too early."""
    return _each_tap(operation, lambda w: _without(w, (slice(None), slice(None), -1)))


@mistake("last column of the kernel dropped")
def last_kernel_column(operation):
    """The loop over the columns of the kernel ends one too early."""
    return _each_tap(operation, lambda w: _without(w, (Ellipsis, -1)))


@mistake("first tap counted twice")
def first_tap_twice(operation):
    """The first tap of every kernel is added when the sum begins, and again in the loop."""

    def change(w):
        w = w.copy()
        with np.errstate(over="ignore"):
            w[(Ellipsis, *(0,) * operation.spatial_ndim)] *= 2
        return w

    return _each_tap(operation, change)


@mistake("same kernel for all output channels")
def first_kernel(operation):
    """Every output channel is computed with the kernel of the first."""
    if operation.kind == "weight" or operation.w.shape[0] == 0:
        return None
    axis = 0 if operation.kind == "forward" else 1
    return operation.replace(w=np.repeat(operation.w.take([0], axis), operation.w.shape[axis], axis))


@mistake("kernels of the output channels reversed")
def kernels_reversed(operation):
    """The output channels come in the reverse order."""
    if operation.kind == "weight":
        return None
    return operation.replace(w=np.flip(operation.w, 0 if operation.kind == "forward" else 1))
