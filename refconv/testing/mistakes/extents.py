"""Ends of loops and sizes of results: tails that are not computed, one row too many or too few."""

import numpy as np

from refconv.testing.mistakes.mistake import mistake


def _tail(axis, keep, value=0):
    """Make a `finish` that leaves what lies past `keep(size)` along an axis at a value."""

    def finish(result, operation):
        if operation.kind == "weight" or result.ndim < -axis:
            return result
        kept = keep(result.shape[axis])
        if kept >= result.shape[axis]:
            return result
        result = result.copy()
        result[(Ellipsis, slice(kept, None), *(slice(None),) * (-axis - 1))] = value
        return result

    return finish


def _enter(name, sentence, finish, reference=None):
    finish.__doc__ = sentence
    mistake(name, reference, finish=True)(finish)


_enter("last column stale", "The last column of the result is never written.", _tail(-1, lambda n: n - 1))
_enter("last row stale", "The last row of the result is never written.", _tail(-2, lambda n: n - 1 if n > 1 else n))
for _width in (4, 8):
    _enter(
        f"columns past a multiple of {_width} stale",
        "Columns that do not fill a SIMD register are never written.",
        _tail(-1, lambda n, width=_width: n // width * width if n > width else n),
        "ml-explore/mlx#3248 (tails of large arrays)",
    )


@mistake("output channels past a multiple of 4 zero", "pytorch/pytorch#142836 (beyond 65536 channels)", finish=True)
def output_tail(result, operation):
    """Output channels that do not fill a SIMD register are never written."""
    axis = 0 if operation.kind == "weight" else result.ndim - operation.spatial_ndim - 1
    K = result.shape[axis]
    if K <= 4 or K % 4 == 0:
        return result
    result = result.copy()
    result[(slice(None),) * axis + (slice(K // 4 * 4, None),)] = 0
    return result


@mistake("last output channel zero", "pytorch/pytorch#129207", finish=True)
def last_channel(result, operation):
    """The loop over the output channels ends one too early."""
    axis = 0 if operation.kind == "weight" else result.ndim - operation.spatial_ndim - 1
    result = result.copy()
    result[(slice(None),) * axis + (slice(-1, None),)] = 0
    return result


@mistake("rows written without their stride", "NVIDIA/cutlass#1323", finish=True)
def packed_rows(result, operation):
    """The rows of the result are written one element too far apart: each begins where the last one has not ended."""
    if result.ndim < 2 or result.shape[-1] < 2:
        return result
    flat = result.reshape(-1, result.shape[-2] * result.shape[-1])
    rows, columns = result.shape[-2:]
    at = (np.arange(rows)[:, None] * (columns + 1) + np.arange(columns)).reshape(-1)
    out = np.zeros_like(flat)
    inside = at < flat.shape[1]
    out[:, at[inside]] = flat[:, inside]
    return out.reshape(result.shape)


@mistake("last column repeats the one before", finish=True)
def repeated_column(result, operation):
    """The last column is computed from the windows of the column before it."""
    if result.shape[-1] < 2 or operation.kind == "weight":
        return result
    result = result.copy()
    result[..., -1] = result[..., -2]
    return result


@mistake("one element wrong", finish=True)
def one_element(result, operation):
    """A single element, in the middle, is stale."""
    result = result.copy()
    result.reshape(-1)[result.size // 2 : result.size // 2 + 1] = 0
    return result


def _resized(operation, sizes):
    shape = (*operation.shape[:2], *sizes)
    if operation.kind == "weight" or min(sizes, default=1) < 1 or shape == operation.shape:
        return None
    leading = len(operation.result_shape) - operation.spatial_ndim
    return operation.replace(shape=shape, result_shape=(*operation.result_shape[:leading], *sizes))


@mistake("size of the result rounded up")
def ceil(operation):
    """A window that hangs over the end gives one more row or column, as in pooling with ceil_mode."""
    if operation.kind != "forward":
        return None
    sizes = []
    for axis, size in enumerate(operation.x.shape[2:]):
        extent = operation.dilation[axis] * (operation.kernel_size[axis] - 1) + 1
        room = size + sum(operation.padding[axis]) - extent
        sizes.append(-(-room // operation.stride[axis]) + 1)
    return _resized(operation, tuple(sizes))


@mistake("size of the result one too small", "keras-team/keras#1092")
def one_less(operation):
    """The + 1 is missing in the formula for the size."""
    return _resized(operation, tuple(max(1, size - 1) for size in operation.shape[2:]))


@mistake("size of the result without dilation")
def size_without_dilation(operation):
    """The size of the result is computed from the undilated kernel."""
    if operation.kind != "forward":
        return None
    sizes = tuple(
        (size + sum(pads) - k) // s + 1
        for size, pads, k, s in zip(
            operation.x.shape[2:], operation.padding, operation.kernel_size, operation.stride, strict=True
        )
    )
    return _resized(operation, sizes)


@mistake("size of the result without padding")
def size_without_padding(operation):
    """The padding is forgotten altogether, also in the size of the result."""
    if operation.kind != "forward" or not any(map(sum, operation.padding)):
        return None
    sizes = []
    for axis, size in enumerate(operation.x.shape[2:]):
        extent = operation.dilation[axis] * (operation.kernel_size[axis] - 1) + 1
        sizes.append((size - extent) // operation.stride[axis] + 1)
    resized = _resized(operation, tuple(sizes))
    return resized and resized.replace(padding=((0, 0),) * operation.spatial_ndim)


@mistake("output_padding at the beginning")
def output_padding_first(operation):
    """What output_padding adds is put before the result, not after it."""
    if not any(operation.output_padding):
        return None
    pads = tuple((b - o, e) for (b, e), o in zip(operation.padding, operation.output_padding, strict=True))
    return operation.replace(padding=pads)
