"""Right implementations, in honest arithmetic: none of these may ever be rejected under its claim.

All work for every function of the family, except Winograd's algorithm and the FFT, which are for forward convolutions.

>>> import numpy as np
>>> from refconv.testing import assert_conv_close, correct
>>> x = np.ones((1, 3, 5, 5), np.float32)
>>> w = np.full((2, 3, 3, 3), 0.1, np.float32)
>>> pairwise = correct.CORRECT["pairwise"]
>>> assert_conv_close(pairwise(x, w, padding=1), x, w, padding=1, claim=pairwise.claim(x.dtype))
<Verdict WITHIN: conv2d, 50 elements, at most 0.062 of the allowed error>
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from refconv.dtypes import extension_dtype
from refconv.testing import summation
from refconv.testing.claim import Claim
from refconv.testing.fast_algorithms import has_winograd, winograd_matrices
from refconv.testing.operation import Operation
from refconv.testing.terms import Terms, in_parts, terms_of

__all__ = ["CORRECT", "Implementation", "compute"]


@dataclass(frozen=True)
class Implementation:
    """A function of the family, in one arithmetic.

    Parameters
    ----------
    name : str
    sentence : str
        What it does.
    run : callable
        Computes an `Operation` in a format of a given name; returns an array of that format.
    changes : dict
        What its claim has beside the accumulator.
    forward_only : bool
        Whether it is for forward convolutions of stride 1 and dilation 1 only.
    """

    name: str
    sentence: str
    run: Callable[[Operation, str], np.ndarray]
    changes: dict
    forward_only: bool = False

    def claim(self, dtype) -> Claim:
        """What it says about its arithmetic on operands of a dtype."""
        return replace(Claim.of(dtype), **self.changes)

    def admits(self, operation: Operation) -> bool:
        """Whether it can compute an operation."""
        return not self.forward_only or (
            operation.kind == "forward" and {*operation.stride, *operation.dilation} == {1}
        )

    def compute(self, operation: Operation) -> np.ndarray:
        """Return the result of an operation, in the operands' format."""
        return compute(operation, self.run)

    def __call__(self, input=None, weight=None, bias=None, stride=1, padding=0, dilation=1, groups=1, **more):
        """Compute a call, of conv2d unless ``op=`` says otherwise; see `refconv.testing.judge` for the arguments."""
        op = more.pop("op", "conv2d")
        call = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups, **more}
        return self.compute(Operation.of(op, input, weight, bias, **call))


def compute(operation: Operation, run, accumulate: str | None = None) -> np.ndarray:
    """Run an algorithm on an operation and round what it gives to the operands' format.

    Parameters
    ----------
    operation : Operation
    run : callable
        As in `Implementation`.
    accumulate : str, optional
        The accumulator; by default that of the claim that goes with the dtype.
    """
    accumulate = accumulate or Claim.of(operation.dtype).accumulate
    with np.errstate(all="ignore"):
        result = run(operation, accumulate).astype(operation.dtype)
    return result.reshape(operation.result_shape)


#: By name.
CORRECT: dict[str, Implementation] = {}


def _correct(forward_only=False, **changes):
    def register(run):
        name = run.__name__.strip("_")
        CORRECT[name] = Implementation(name, " ".join(run.__doc__.split()), run, changes, forward_only)
        return run

    return register


def dtype_of(name: str) -> np.dtype:
    """The dtype of a name, bfloat16 included."""
    return extension_dtype(name) if name == "bfloat16" else np.dtype(name)


def _by_terms(operation: Operation, add: Callable[[Terms], np.ndarray], dtype: np.dtype) -> np.ndarray:
    """Fill a result from the terms of its elements, as many at a time as fit."""
    out = np.empty(int(np.prod(operation.shape)), dtype)
    for part in in_parts(operation):
        out[part] = add(terms_of(operation, np.arange(part.start, part.stop)))
    return out.reshape(operation.shape)


def _in_order(operation: Operation, accumulate: str, order, bias_first=False) -> np.ndarray:
    """Products rounded one by one, then added in an order; the bias before or after them."""
    dtype = dtype_of(accumulate)

    def add(terms):
        products = terms.products(dtype)
        if terms.bias is None:
            return order(products)
        bias = terms.bias.astype(dtype)
        return order(np.concatenate([bias[None], products])) if bias_first else order(products) + bias

    return _by_terms(operation, add, dtype)


@_correct()
def sequential(operation, accumulate):
    """One product after the other, channel by channel, then the bias."""
    return _in_order(operation, accumulate, summation.sequential)


@_correct()
def bias_first(operation, accumulate):
    """The sum starts from the bias."""
    return _in_order(operation, accumulate, summation.sequential, bias_first=True)


@_correct()
def backwards(operation, accumulate):
    """One product after the other, from the last to the first."""
    return _in_order(operation, accumulate, summation.backwards)


@_correct()
def pairwise(operation, accumulate):
    """Products are added in a balanced tree."""
    return _in_order(operation, accumulate, summation.pairwise)


@_correct()
def blocked(operation, accumulate):
    """Sums of blocks of sixteen products, then the sum of those."""
    return _in_order(operation, accumulate, summation.blocked)


@_correct()
def lanes(operation, accumulate):
    """Eight sums side by side, as in a SIMD register, then a tree."""
    return _in_order(operation, accumulate, summation.lanes)


@_correct()
def shuffled(operation, accumulate):
    """Products in an order that has nothing to do with the data."""
    return _in_order(operation, accumulate, summation.shuffled)


@_correct()
def largest_first(operation, accumulate):
    """Products sorted by size, the largest first."""
    return _in_order(operation, accumulate, summation.largest_first)


@_correct()
def fused(operation, accumulate):
    """A chain of fused multiply-adds: products are not rounded."""
    if accumulate == "bfloat16":
        return sequential(operation, accumulate)
    dtype = dtype_of(accumulate)

    def add(terms):
        total = summation.fused(terms.x, terms.w, dtype)
        return total if terms.bias is None else total + terms.bias.astype(dtype)

    return _by_terms(operation, add, dtype)


@_correct()
def tap_by_tap(operation, accumulate):
    """The image is shifted by each tap in turn and added to the result: taps outermost, channels innermost."""
    channels = operation.x.shape[0 if operation.kind == "weight" else 1] // (
        1 if operation.kind == "weight" else operation.groups
    )

    def taps_outermost(products):
        if channels < 2 or len(products) % channels:
            return summation.sequential(products)
        m = len(products)
        return summation.sequential(products.reshape(channels, m // channels, -1).swapaxes(0, 1).reshape(m, -1))

    dtype = dtype_of(accumulate)

    def add(terms):
        total = taps_outermost(terms.products(dtype))
        return total if terms.bias is None else total + terms.bias.astype(dtype)

    return _by_terms(operation, add, dtype)


@_correct()
def split_channels(operation, accumulate):
    """Two halves of the channels are summed by themselves, as by two threads, and added."""
    return _in_order(operation, accumulate, summation.halves)


@_correct()
def im2col(operation, accumulate):
    """The windows are copied into a matrix, and the rest is NumPy's matrix product: BLAS, in float32 and float64."""
    dtype = dtype_of(accumulate)
    if operation.kind != "forward":
        return lanes(operation, accumulate)
    columns = _columns(operation)
    out = np.empty(operation.shape, dtype)
    per_group = operation.w.reshape(operation.groups, operation.w.shape[0] // operation.groups, -1).astype(dtype)
    taps = per_group.shape[-1]
    matrices = columns.reshape(len(columns), operation.groups, taps, columns.shape[-1]).astype(dtype)
    for n, image in enumerate(matrices):
        out[n] = np.matmul(per_group, image).reshape(operation.shape[1:])
    return out if operation.bias is None else out + _per_channel(operation, dtype)


def _per_channel(operation, dtype):
    return operation.bias.astype(dtype).reshape(-1, *(1,) * operation.spatial_ndim)


def _columns(operation) -> np.ndarray:
    """The numbers under each tap, of shape (N, C * taps, windows), zeros in the padding."""
    n = operation.spatial_ndim
    padded = _padded(
        operation,
        operation.dtype,
        [d * (k - 1) + 1 for k, d in zip(operation.kernel_size, operation.dilation, strict=True)],
    )
    extents = [d * (k - 1) + 1 for k, d in zip(operation.kernel_size, operation.dilation, strict=True)]
    windows = np.lib.stride_tricks.sliding_window_view(padded, extents, axis=tuple(range(2, 2 + n)))
    steps = tuple(slice(None, s * (o - 1) + 1, s) for s, o in zip(operation.stride, operation.shape[2:], strict=True))
    taps = tuple(slice(None, None, d) for d in operation.dilation)
    windows = windows[(slice(None), slice(None), *steps, *taps)]
    windows = np.moveaxis(windows, range(2, 2 + n), range(-n, 0))
    N, C = windows.shape[:2]
    return windows.reshape(N, C * int(np.prod(operation.kernel_size)), int(np.prod(operation.shape[2:])))


def _padded(operation, dtype, extents):
    """The input with zeros around it, as large as all windows together at least."""
    spread = [(0, 0), (0, 0)]
    for axis, extent in enumerate(extents):
        begin, size = operation.padding[axis][0], operation.x.shape[2 + axis]
        needed = operation.stride[axis] * (operation.shape[2 + axis] - 1) + extent
        spread.append((begin, max(0, needed - size - begin)))
    return np.pad(operation.x.astype(dtype), spread)


def _winograd(tile):
    def run(operation, accumulate):
        if not has_winograd(tile, operation.kernel_size):
            return sequential(operation, accumulate)
        dtype, n, groups = dtype_of(accumulate), operation.spatial_ndim, operation.groups
        matrices = [[M.astype(dtype) for M in winograd_matrices(tile, r)] for r in operation.kernel_size]
        tiles = [-(-o // tile) for o in operation.shape[2:]]
        lengths = [tile + r - 1 for r in operation.kernel_size]
        # Tiles start every `tile` results, and the last ones hang over the end.
        whole = operation.replace(shape=(*operation.shape[:2], *(t * tile for t in tiles)))
        padded = _padded(whole, dtype, operation.kernel_size)
        windows = np.lib.stride_tricks.sliding_window_view(padded, lengths, axis=tuple(range(2, 2 + n)))
        starts = tuple(slice(0, t * tile, tile) for t in tiles)
        V = windows[(slice(None), slice(None), *starts)]
        N, C = V.shape[:2]
        V = V.reshape(N, groups, C // groups, *V.shape[2:])
        U = operation.w.astype(dtype).reshape(groups, -1, *operation.w.shape[1:])
        for axis, (_, G, BT) in enumerate(matrices):
            U = _transform(U, G, 3 + axis)
            V = _transform(V, BT, 3 + n + axis)
        letters = "hijxyz"
        places, points = letters[:n], letters[n : 2 * n]
        M = np.zeros((N, groups, U.shape[1], *tiles, *lengths), dtype)
        for c in range(C // groups):
            M = M + np.einsum(f"bg{places}{points},gk{points}->bgk{places}{points}", V[:, :, c], U[:, :, c])
        for axis, (AT, _, _) in enumerate(matrices):
            M = _transform(M, AT, 3 + n + axis)
        order = [0, 1, 2, *(axis for i in range(n) for axis in (3 + i, 3 + n + i))]
        out = M.transpose(order).reshape(N, -1, *(t * tile for t in tiles))
        out = out[(slice(None), slice(None), *(slice(0, o) for o in operation.shape[2:]))]
        return out if operation.bias is None else out + _per_channel(operation, dtype)

    run.__name__ = f"winograd_f{tile}"
    run.__doc__ = f"Winograd's algorithm, {tile} results per tile along each axis; direct sums for long kernels."
    return run


def _transform(array, matrix, axis):
    """Multiply a matrix onto an axis, one term after the other."""
    array = np.moveaxis(array, axis, -1)
    total = np.zeros((*array.shape[:-1], len(matrix)), array.dtype)
    for j, column in enumerate(matrix.T):
        total = total + array[..., j, None] * column
    return np.moveaxis(total, -1, axis)


for _tile in (2, 4):
    _correct(forward_only=True, algorithm="winograd", tile=_tile)(_winograd(_tile))


@_correct(forward_only=True, algorithm="fft")
def fft(operation, accumulate):
    """In the frequency domain, plane by plane."""
    dtype, n, groups = dtype_of(accumulate), operation.spatial_ndim, operation.groups
    padded = _padded(operation, dtype, operation.kernel_size)
    sizes = [2 ** int(np.ceil(np.log2(size))) for size in padded.shape[2:]]
    axes = tuple(range(3, 3 + n))
    N, C = padded.shape[:2]
    X = np.fft.fftn(padded.reshape(N, groups, C // groups, *padded.shape[2:]), sizes, axes)
    W = np.fft.fftn(operation.w.astype(dtype).reshape(groups, -1, *operation.w.shape[1:]), sizes, axes)
    product = np.einsum("bgc...,gkc...->bgk...", X, W.conj())
    out = np.fft.ifftn(product, sizes, axes).real.astype(dtype).reshape(N, -1, *sizes)
    out = out[(slice(None), slice(None), *(slice(0, o) for o in operation.shape[2:]))]
    return out if operation.bias is None else out + _per_channel(operation, dtype)
